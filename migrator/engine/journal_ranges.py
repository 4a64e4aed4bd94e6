"""The journal's ranges: how far each part of a table's key is copied and compared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from migrator.db import Session
from migrator.errors import OwnerUnknown
from migrator.sql.keys import Bound


@dataclass(frozen=True, slots=True)
class RangeRow:
    """One range of the key: `low < key <= high`; copied up to `at`, verified up to `verified_at`."""

    no: int
    low: Bound | None
    high: Bound
    at: Bound | None = None
    copied: bool = False
    rows_copied: int = 0
    verified_at: Bound | None = None
    verified: bool = False


def pack(bound: Bound | None) -> str | None:
    """A place of the key for the journal."""
    return None if bound is None else json.dumps(bound)


def unpack(text: str | None) -> Bound | None:
    """And back."""
    return None if text is None else tuple(json.loads(text))


class JournalRanges:
    """The part of `Journal` about ranges. Bounds are values of keys: they are never shown."""

    _at: str
    """The schema, quoted."""

    _RANGE = "no, low, high, at, copied, rows_copied, verified_at, verified"

    @staticmethod
    def _range(row: Sequence[Any]) -> RangeRow:
        high = unpack(row[2])
        assert high is not None  # noqa: S101 - the column is NOT NULL
        return RangeRow(
            int(row[0]), unpack(row[1]), high, unpack(row[3]), bool(row[4]), int(row[5]), unpack(row[6]), bool(row[7])
        )

    def ranges(self, session: Session, step_id: int) -> list[RangeRow]:
        """All ranges made so far, in key order; raises `OwnerUnknown` unless they are as only a run writes them.

        A gap between two of them, or one that says it is done but not up to which place, would be neither
        copied nor compared.
        """
        rows = session.rows(f"SELECT {self._RANGE} FROM {self._at}.ranges WHERE step_id = %s ORDER BY no", (step_id,))
        found = [self._range(row) for row in rows]
        before: Bound | None = None
        for no, one in enumerate(found):
            unproved = (one.copied and one.at != one.high) or (one.verified and one.verified_at != one.high)
            if one.no != no or one.low != before or unproved:
                raise OwnerUnknown(
                    f"the ranges of step {step_id} are not as a run wrote them: see range {no}",
                    remedy="somebody changed the journal; find out who, give the table up with cleanup --abandon, and"
                    " apply again",
                )
            before = one.high
        return found

    def has_range(self, session: Session, step_id: int, no: int) -> bool:
        """True if the range is noted."""
        return session.row(f"SELECT 1 FROM {self._at}.ranges WHERE step_id = %s AND no = %s", (step_id, no)) is not None

    def range(self, session: Session, step_id: int, no: int) -> RangeRow:
        """One range, locked until the transaction ends: a second worker on it would wait here."""
        row = session.row(
            f"SELECT {self._RANGE} FROM {self._at}.ranges WHERE step_id = %s AND no = %s FOR UPDATE", (step_id, no)
        )
        if row is None:
            raise OwnerUnknown(
                f"range {no} of step {step_id} has gone from the journal",
                remedy="somebody changed the journal; find out who before going on",
            )
        return self._range(row)

    def add_range(self, session: Session, step_id: int, no: int, low: Bound | None, high: Bound) -> None:
        """A new range after the last one."""
        session.run(
            f"INSERT INTO {self._at}.ranges (step_id, {self._RANGE}) VALUES (%s, %s, %s, %s, NULL, 0, 0, NULL, 0)",
            (step_id, no, pack(low), pack(high)),
        )

    def advance(self, session: Session, step_id: int, no: int, *, at: Bound | None, copied: bool, rows: int) -> None:
        """The cursor of a range; call it in the transaction of the rows."""
        changed = session.run(
            f"UPDATE {self._at}.ranges SET at = %s, copied = %s, rows_copied = rows_copied + %s"
            " WHERE step_id = %s AND no = %s AND copied = 0",
            (pack(at), int(copied), rows, step_id, no),
        )
        if changed != 1:
            raise OwnerUnknown(
                f"range {no} of step {step_id} was advanced by somebody else", remedy="look for a second run at work"
            )

    def advance_verified(self, session: Session, step_id: int, no: int, *, at: Bound | None, verified: bool) -> None:
        """How far a range is verified."""
        session.run(
            f"UPDATE {self._at}.ranges SET verified_at = %s, verified = %s WHERE step_id = %s AND no = %s",
            (pack(at), int(verified), step_id, no),
        )

    def forget_ranges(self, session: Session, step_id: int) -> None:
        """Boundaries are key values: they go when the step is done."""
        session.run(f"DELETE FROM {self._at}.ranges WHERE step_id = %s", (step_id,))
        session.run(f"UPDATE {self._at}.steps SET key_max = NULL WHERE id = %s", (step_id,))
