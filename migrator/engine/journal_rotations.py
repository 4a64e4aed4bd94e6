"""The journal's rotations of master keys: begun, then done. Names of keys, never a byte of one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

from migrator.db import Session
from migrator.sql.rotate import Which

State = Literal["begun", "done", "not-done"]
"""`begun` is noted before the statement is sent. Who finds it later was not told how it ended."""


@dataclass(frozen=True, slots=True)
class RotationRow:
    """One rotation."""

    id: int
    which: Which
    account: str
    run_id: str
    """Of the lease under which it was done."""
    key_from: str
    """The newest key before; '' if there was none."""
    key_to: str
    """The newest key afterwards; '' while nobody knows."""
    state: State
    attested: str
    """Who has said that the keyring was backed up before, as JSON."""
    began_at: datetime
    """UTC, by the server's clock."""
    ended_at: datetime | None


class JournalRotations:
    """The part of `Journal` about rotations."""

    _at: str
    """The schema, quoted."""

    def begin_rotation(
        self, session: Session, which: Which, *, key_from: str, run_id: str, version: str, attested: str
    ) -> int:
        """Note that a rotation begins; gives its number."""
        session.run(
            f"INSERT INTO {self._at}.rotations VALUES"
            " (NULL, %s, CURRENT_USER(), %s, %s, %s, '', 'begun', %s, UTC_TIMESTAMP(6), NULL)",
            (which, run_id, version, key_from, attested),
        )
        return int(session.value("SELECT LAST_INSERT_ID()"))

    def end_rotation(self, session: Session, rotation_id: int, *, key_to: str, state: State) -> None:
        """Note how it ended. Safe to repeat."""
        session.run(
            f"UPDATE {self._at}.rotations SET key_to = %s, state = %s, ended_at = UTC_TIMESTAMP(6) WHERE id = %s",
            (key_to, state, rotation_id),
        )

    def rotated_at(self, session: Session) -> datetime | None:
        """When the newest rotation began that was done, or may have been: older backups of the keyring lack its key."""
        at = session.value(f"SELECT MAX(began_at) FROM {self._at}.rotations WHERE state <> 'not-done'")
        return at if isinstance(at, datetime) else None

    def rotations(self, session: Session) -> list[RotationRow]:
        """All that are noted, the oldest first."""
        rows = session.rows(
            "SELECT id, which, account, run_id, key_from, key_to, state, attested, began_at, ended_at"
            f" FROM {self._at}.rotations ORDER BY id"
        )
        return [
            RotationRow(
                int(id),
                cast("Which", str(which)),
                str(account),
                str(run_id),
                str(key_from),
                str(key_to),
                cast("State", str(state)),
                str(attested),
                began_at,
                ended_at,
            )
            for id, which, account, run_id, key_from, key_to, state, attested, began_at, ended_at in rows
        ]
