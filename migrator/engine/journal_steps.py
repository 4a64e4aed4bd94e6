"""The journal's steps: what is done to which table, how far it is, how it ended; and its exclusive moments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from migrator.db import Session
from migrator.engine.journal_ranges import pack, unpack
from migrator.errors import OwnerUnknown
from migrator.model import TableName
from migrator.planner.schedule import Sample
from migrator.sql import journal as say
from migrator.sql.keys import Bound

COPYING: Final = 0.7
"""The share of a step's time that its copy takes, about; the rest is indexes, comparison and waiting."""


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step as the journal has it. `phase` is the last one whose work is done."""

    id: int
    kind: str
    table: TableName
    method: str
    run_id: str
    phase: str
    state: str
    copy_key: str
    key_max: Bound | None
    ranges_complete: bool
    source_ids: str
    shadow_ids: str
    definition: str
    definer: str
    rows_expected: int
    bytes: int
    rows_copied: int
    rows_verified: int
    retained_until: str
    message: str
    copy_seconds: float
    rollback_hours: int
    """How long the retained table was to be kept current after the swap; 0: not at all."""
    current_until: str
    """It is kept current, at least until then (UTC); '' if it is not, or not any more."""
    retain_days: float
    worked_seconds: float = 0.0
    """How long runs were at work on it."""
    half_left_seconds: float | None = None
    """What was said to be left when half of its rows were copied."""


class JournalSteps:
    """The part of `Journal` about steps."""

    schema: str
    _at: str
    """The schema, quoted."""

    columns = (
        "id, kind, schema_name, name, method, run_id, phase, state, copy_key, key_max, ranges_complete, source_ids,"
        " shadow_ids, definition, definer, rows_expected, bytes, rows_copied, rows_verified, retained_until, message,"
        " copy_seconds, rollback_hours, current_until, retain_days, worked_seconds,"
        " half_left_seconds"
    )

    @staticmethod
    def step_of(row: Sequence[Any]) -> StepRow:
        """A row of `columns`, whatever follows them."""
        return StepRow(
            id=int(row[0]),
            kind=row[1],
            table=TableName(row[2], row[3]),
            method=row[4],
            run_id=row[5],
            phase=row[6],
            state=row[7],
            copy_key=row[8],
            key_max=unpack(row[9]),
            ranges_complete=bool(row[10]),
            source_ids=row[11],
            shadow_ids=row[12],
            definition=row[13],
            definer=row[14],
            rows_expected=int(row[15]),
            bytes=int(row[16]),
            rows_copied=int(row[17]),
            rows_verified=int(row[18]),
            retained_until=str(row[19] or ""),
            message=row[20],
            copy_seconds=float(row[21]),
            rollback_hours=int(row[22]),
            current_until=str(row[23] or ""),
            retain_days=float(row[24]),
            worked_seconds=float(row[25]),
            half_left_seconds=None if row[26] is None else float(row[26]),
        )

    def open_step(self, session: Session, table: TableName, kind: str = "table") -> StepRow | None:
        """The step of a table that is under way or retained: the newest that is not closed."""
        row = session.row(
            f"SELECT {self.columns} FROM {self._at}.steps WHERE schema_name = %s AND name = %s AND kind = %s"
            " AND state IN ('open', 'swapped') ORDER BY id DESC LIMIT 1",
            (table.schema, table.name, kind),
        )
        return self.step_of(row) if row else None

    def steps(self, session: Session, *, run_id: str = "", states: Iterable[str] = ()) -> list[StepRow]:
        """Steps, oldest first; of one run, or in some states."""
        wanted = tuple(states)
        conditions, args = ["TRUE"], []
        if run_id:
            conditions.append("run_id = %s")
            args.append(run_id)
        if wanted:
            conditions.append(f"state IN ({', '.join(['%s'] * len(wanted))})")
            args += wanted
        rows = session.rows(
            f"SELECT {self.columns} FROM {self._at}.steps WHERE {' AND '.join(conditions)} ORDER BY id", args
        )
        return [self.step_of(row) for row in rows]

    def step(self, session: Session, step_id: int) -> StepRow:
        """One step, as it is now."""
        row = session.row(f"SELECT {self.columns} FROM {self._at}.steps WHERE id = %s", (step_id,))
        if row is None:
            raise OwnerUnknown(
                f"step {step_id} has gone from the journal",
                remedy="somebody changed the journal; find out who before going on",
            )
        return self.step_of(row)

    def new_step(
        self,
        session: Session,
        *,
        kind: str,
        table: TableName,
        method: str,
        run_id: str,
        copy_key: str = "",
        source_ids: str = "",
        definition: str = "",
        rows_expected: int = 0,
        bytes_expected: int = 0,
        retain_days: float = 0.0,
    ) -> int:
        """A step begins; gives its id."""
        session.run(
            f"INSERT INTO {self._at}.steps (kind, schema_name, name, method, run_id, phase, state, copy_key, key_max,"
            " ranges_complete, source_ids, shadow_ids, definition, definer, rows_expected, bytes, rows_copied,"
            " rows_verified, started_at, copy_seconds, retain_days, waiting, message, backlog_entries, backlog_bytes,"
            " backlog_age)"
            " VALUES (%s, %s, %s, %s, %s, 'begun', 'open', %s, NULL, 0, %s, '', %s, CURRENT_USER(), %s, %s, 0, 0,"
            " UTC_TIMESTAMP(6), 0, %s, '', '', 0, 0, 0)",
            (
                kind,
                table.schema,
                table.name,
                method,
                run_id,
                copy_key,
                source_ids,
                definition,
                rows_expected,
                bytes_expected,
                retain_days,
            ),
        )
        return int(session.value("SELECT LAST_INSERT_ID()"))

    def set_step(self, session: Session, step_id: int, **fields: object) -> None:
        """Change fields of a step."""
        session.run(say.update_step(self.schema, list(fields)), (*fields.values(), step_id))

    def set_key_max(self, session: Session, step_id: int, key_max: Bound) -> None:
        """The largest key that is copied by ranges; what lies beyond comes through the log."""
        self.set_step(session, step_id, key_max=pack(key_max))

    def add_to_step(
        self, session: Session, step_id: int, *, rows_copied: int = 0, rows_verified: int = 0, seconds: float = 0.0
    ) -> None:
        """Count rows and seconds of work."""
        session.run(
            f"UPDATE {self._at}.steps SET rows_copied = rows_copied + %s, rows_verified = rows_verified + %s,"
            " copy_seconds = copy_seconds + %s WHERE id = %s",
            (rows_copied, rows_verified, seconds, step_id),
        )

    def note_time(
        self, session: Session, table: TableName, kind: str, *, worked: float, expected: float | None
    ) -> None:
        """Count seconds of work on the newest step of a table, and keep what it was first expected to take."""
        session.run(
            f"UPDATE {self._at}.steps SET worked_seconds = worked_seconds + %s,"
            " expected_seconds = COALESCE(expected_seconds, %s)"
            " WHERE schema_name = %s AND name = %s AND kind = %s ORDER BY id DESC LIMIT 1",
            (worked, expected, table.schema, table.name, kind),
        )

    def samples(self, session: Session) -> tuple[list[Sample], str]:
        """What the newest thousand finished steps took, and the day of the last one (UTC).

        Not settings: what they take is waiting, if anything, and a log must never come after a table that fits better.
        """
        rows = session.rows(
            f"SELECT method, bytes, worked_seconds, DATE_FORMAT(ended_at, '%%Y-%%m-%%d') FROM {self._at}.steps"
            " WHERE state IN ('swapped', 'done') AND kind NOT IN ('rehearsal', 'setting') AND message = ''"
            " AND worked_seconds > 0"
            " ORDER BY id DESC LIMIT 1000"
        )
        newest = max((str(day) for *_, day in rows if day), default="")
        return [Sample(str(method), int(size), float(seconds)) for method, size, seconds, _ in rows], newest

    def shares_left(self, session: Session) -> dict[TableName, float]:
        """Of copies that are under way: about how much of their work is still to be done."""
        rows = session.rows(
            "SELECT s.schema_name, s.name, s.phase, s.rows_expected, COALESCE(SUM(r.rows_copied), 0)"
            f" FROM {self._at}.steps s LEFT JOIN {self._at}.ranges r ON r.step_id = s.id"
            " WHERE s.state = 'open' AND s.kind = 'table' GROUP BY s.id"
        )
        return {
            TableName(schema, name): 1 - COPYING * (float(copied) / max(int(expected), 1) if phase == "log" else 1.0)
            for schema, name, phase, expected, copied in rows
            if phase not in {"begun", "build"} and float(copied) <= int(expected)
        }

    def close_step(self, session: Session, step_id: int, state: str, message: str = "", **fields: object) -> None:
        """The step is over: swapped, done, failed, given-up or void. Other fields with it.

        A swapped one that is done, since its retained table is gone, ended when it was swapped.
        """
        more = "".join(f", {field} = %s" for field in fields)
        # The server assigns from left to right: `state` is still the one before where `ended_at` asks for it.
        session.run(
            f"UPDATE {self._at}.steps SET"
            " ended_at = IF(state = 'swapped' AND %s = 'done', ended_at, UTC_TIMESTAMP(6)),"
            f" state = %s, message = %s, waiting = ''{more} WHERE id = %s",
            (state, state, message, *fields.values(), step_id),
        )

    def forget_step(self, session: Session, step_id: int) -> None:
        """Take a rehearsal's step out of the journal; what it had made is gone by now."""
        session.run(f"DELETE FROM {self._at}.moments WHERE step_id = %s", (step_id,))
        session.run(f"DELETE FROM {self._at}.steps WHERE id = %s AND kind = 'rehearsal'", (step_id,))

    def note_moment(
        self,
        session: Session,
        step_id: int,
        purpose: str,
        *,
        probes: int,
        tries: int,
        waited: float,
        held: float | None,
    ) -> None:
        """An exclusive moment, for the report."""
        session.run(
            f"INSERT INTO {self._at}.moments (step_id, purpose, probes, tries, waited, held, at)"
            " VALUES (%s, %s, %s, %s, %s, %s, UTC_TIMESTAMP(6))",
            (step_id, purpose, probes, tries, waited, held),
        )
