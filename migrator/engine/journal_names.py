"""The journal's names: every table, trigger and tablespace that we made, noted before it is made."""

from __future__ import annotations

from dataclasses import dataclass

from migrator.db import Session
from migrator.model import TableName


@dataclass(frozen=True, slots=True)
class Owned:
    """A name that the journal says is ours. `state` is intended or made; `proof` identifies the very object."""

    step_id: int
    kind: str
    name: TableName
    state: str
    proof: str


class JournalNames:
    """The part of `Journal` about names."""

    _at: str
    """The schema, quoted."""

    def owned(self, session: Session, step_id: int | None = None) -> list[Owned]:
        """Names that are ours, of one step or all."""
        where, args = ("", ()) if step_id is None else (" WHERE step_id = %s", (step_id,))
        rows = session.rows(
            f"SELECT step_id, kind, schema_name, name, state, proof FROM {self._at}.objects{where}"
            " ORDER BY step_id, FIELD(kind, 'trigger', 'shadow', 'log', 'retained')",
            args,
        )
        return [Owned(int(r[0]), r[1], TableName(r[2], r[3]), r[4], r[5]) for r in rows]

    def owned_one(self, session: Session, kind: str, name: TableName) -> Owned | None:
        """One name, if it is ours as that kind."""
        row = session.row(
            f"SELECT step_id, state, proof FROM {self._at}.objects WHERE kind = %s AND schema_name = %s AND name = %s",
            (kind, name.schema, name.name),
        )
        return Owned(int(row[0]), kind, name, row[1], row[2]) if row else None

    def intend(self, session: Session, step_id: int, kind: str, name: TableName, proof: str = "") -> None:
        """Say that a name will be made, and by what it can be told. The caller has just seen that nobody holds it."""
        self._note(session, step_id, kind, name, "intended", proof)

    def exists_already(self, session: Session, step_id: int, kind: str, name: TableName, proof: str) -> None:
        """Say that what has this proof is ours, and has that name or is about to get it."""
        self._note(session, step_id, kind, name, "made", proof)

    def _note(self, session: Session, step_id: int, kind: str, name: TableName, state: str, proof: str) -> None:
        session.run(
            f"INSERT INTO {self._at}.objects VALUES (%s, %s, %s, %s, %s, %s, UTC_TIMESTAMP(6))"
            " ON DUPLICATE KEY UPDATE step_id = VALUES(step_id), state = VALUES(state), proof = VALUES(proof),"
            " noted_at = UTC_TIMESTAMP(6)",
            (step_id, kind, name.schema, name.name, state, proof),
        )

    def made(self, session: Session, kind: str, name: TableName, proof: str) -> None:
        """Say that it exists, and what identifies it (ids of a table, body hash and time of a trigger)."""
        session.run(
            f"UPDATE {self._at}.objects SET state = 'made', proof = %s"
            " WHERE kind = %s AND schema_name = %s AND name = %s",
            (proof, kind, name.schema, name.name),
        )

    def gone(self, session: Session, kind: str, name: TableName) -> None:
        """Say that it is not there any more."""
        session.run(
            f"DELETE FROM {self._at}.objects WHERE kind = %s AND schema_name = %s AND name = %s",
            (kind, name.schema, name.name),
        )

    def becomes(self, session: Session, step_id: int, *, retained: TableName, proof: str) -> None:
        """After the swap: the step has no shadow any more, the old table is ours to keep and to clean up.

        Two statements, so in a transaction of the caller's.
        """
        session.run(f"DELETE FROM {self._at}.objects WHERE step_id = %s AND kind = 'shadow'", (step_id,))
        self.exists_already(session, step_id, "retained", retained, proof)

    def goes_back(self, session: Session, step_id: int, *, shadow: TableName, retained: TableName, proof: str) -> None:
        """After a rollback: the encrypted table bears the shadow's name again and is ours to drop. Safe to repeat."""

        def note(at: Session) -> None:
            self.exists_already(at, step_id, "shadow", shadow, proof)
            self.gone(at, "retained", retained)

        session.transaction(note)
