"""The journal: durable facts of runs, steps, ranges and of every name that we made.

Reads and writes through whatever `Session` is given, so that a worker can write its cursor in the
transaction of its rows. Nothing here decides anything.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from migrator.db import Session
from migrator.errors import MissingPrivilege, OwnerUnknown
from migrator.model import TableName
from migrator.planner.privileges import RIGHTS, Level, account_text
from migrator.sql import journal as say
from migrator.sql.keys import Bound
from migrator.sql.names import quote
from migrator.sql_errors import SqlError

SCHEMA: Final = "migrator"
"""The journal's schema."""

_NO_SUCH_SCHEMA: Final = 1049
_NO_SUCH_TABLE: Final = 1146
_DENIED: Final = frozenset({1044, 1142, 1227, 1370})
_EXISTS: Final = frozenset({1007})


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


@dataclass(frozen=True, slots=True)
class Owned:
    """A name that the journal says is ours. `state` is intended or made; `proof` identifies the very object."""

    step_id: int
    kind: str
    name: TableName
    state: str
    proof: str


def pack(bound: Bound | None) -> str | None:
    """A place of the key for the journal."""
    return None if bound is None else json.dumps(bound)


def unpack(text: str | None) -> Bound | None:
    """And back."""
    return None if text is None else tuple(json.loads(text))


class Journal:
    """The journal's schema on one server."""

    def __init__(self, schema: str = SCHEMA) -> None:
        self.schema = schema
        self._at = quote(schema)

    # -- being there ----------------------------------------------------------------------------

    def exists(self, session: Session) -> bool:
        """True if there is a journal of this format; raises `OwnerUnknown` if the schema holds something else."""
        try:
            row = session.row(f"SELECT format, server_uuid FROM {self._at}.meta WHERE id = 1")
        except SqlError as error:
            if error.number == _NO_SUCH_SCHEMA:
                return False
            if error.number == _NO_SUCH_TABLE:
                if self._holds_anything_else(session):
                    raise OwnerUnknown(
                        f"schema {self.schema} holds tables that are not the journal's",
                        remedy="look at what is in it; name another journal schema or move it away",
                    ) from None
                return False
            if error.number in _DENIED:
                raise self._denied(session, error) from None
            raise
        if row is None:
            return False
        if row[0] != say.FORMAT:
            raise OwnerUnknown(
                f"the journal in schema {self.schema} has format {row[0]}, this version knows {say.FORMAT}",
                remedy="finish or clean up with the version that made it",
            )
        if row[1] != session.server_uuid:
            raise OwnerUnknown(
                f"the journal in schema {self.schema} was made on server {row[1]}, this is {session.server_uuid}",
                remedy="after a failover a person has to confirm that this is the same data",
            )
        if missing := sorted(set(say.TABLES) - self._tables(session)):
            raise OwnerUnknown(
                f"the journal in schema {self.schema} lacks its tables {', '.join(missing)}",
                remedy="somebody dropped them; restore them, or get rid of everything by hand (docs/what-if.md)",
            )
        return True

    def _tables(self, session: Session) -> set[str]:
        rows = session.rows("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s", (self.schema,))
        return {str(name) for (name,) in rows}

    def _holds_anything_else(self, session: Session) -> bool:
        return bool(self._tables(session) - set(say.TABLES))

    def open(self, session: Session, tool_version: str) -> bool:
        """Make the journal where there is none; True if this call made it. Safe to repeat, also half-way."""
        if self.exists(session):
            return False
        try:
            session.run(say.create_schema(self.schema))
        except SqlError as error:
            if error.number in _DENIED:
                raise self._denied(session, error) from None
            if error.number not in _EXISTS:
                raise
        for statement in say.create_tables(self.schema):
            session.run(statement)
        session.run(
            f"INSERT INTO {self._at}.meta VALUES (1, %s, %s, %s) ON DUPLICATE KEY UPDATE id = id",
            (say.FORMAT, tool_version, session.server_uuid),
        )
        return True

    def remove(self, session: Session) -> None:
        """Take the whole journal away; for a dry run that made it."""
        for statement in say.drop_schema(self.schema):
            session.run(statement)

    def was_used(self, session: Session) -> bool:
        """True if any run or step is noted."""
        return (
            session.row(f"SELECT 1 FROM {self._at}.runs UNION ALL SELECT 1 FROM {self._at}.steps LIMIT 1") is not None
        )

    def _denied(self, session: Session, error: SqlError) -> MissingPrivilege:
        account = account_text(str(session.value("SELECT CURRENT_USER()")))
        rights = ", ".join(right.name for right in RIGHTS if right.level is Level.JOURNAL)
        return MissingPrivilege(
            f"no right to use the journal's schema {self.schema}: {error.text}",
            remedy=f"GRANT {rights} ON {self._at}.* TO {account}",
        )

    # -- runs -----------------------------------------------------------------------------------

    def begin_run(self, session: Session, *, run_id: str, plan_hash: str, version: str, attested: str) -> None:
        """A run begins."""
        session.run(
            f"INSERT INTO {self._at}.runs VALUES (%s, %s, %s, %s, %s, UTC_TIMESTAMP(6), NULL, NULL, %s)",
            (run_id, plan_hash, version, socket.gethostname(), os.getpid(), attested),
        )

    def end_run(self, session: Session, run_id: str, exit_code: int) -> None:
        """A run has ended with this exit code."""
        session.run(
            f"UPDATE {self._at}.runs SET ended_at = UTC_TIMESTAMP(6), exit_code = %s WHERE id = %s", (exit_code, run_id)
        )

    def paused(self, session: Session) -> bool:
        """True while a person wants the run to pause."""
        return bool(session.value(f"SELECT paused FROM {self._at}.control WHERE id = 1"))

    def pause(self, session: Session, *, paused: bool) -> None:
        """Ask the run to pause at the next chunk boundary, or to go on. Changes the journal only."""
        session.run(
            f"UPDATE {self._at}.control SET paused = %s, by_whom = CURRENT_USER(), at = UTC_TIMESTAMP(6) WHERE id = 1",
            (int(paused),),
        )

    # -- steps ----------------------------------------------------------------------------------

    _STEP = (
        "id, kind, schema_name, name, method, run_id, phase, state, copy_key, key_max, ranges_complete, source_ids,"
        " shadow_ids, definition, definer, rows_expected, bytes, rows_copied, rows_verified, retained_until, message,"
        " copy_seconds, rollback_hours, current_until, retain_days"
    )

    @staticmethod
    def _step(row: Sequence[Any]) -> StepRow:
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
        )

    def open_step(self, session: Session, table: TableName, kind: str = "table") -> StepRow | None:
        """The step of a table that is under way or retained: the newest that is not closed."""
        row = session.row(
            f"SELECT {self._STEP} FROM {self._at}.steps WHERE schema_name = %s AND name = %s AND kind = %s"
            " AND state IN ('open', 'swapped') ORDER BY id DESC LIMIT 1",
            (table.schema, table.name, kind),
        )
        return self._step(row) if row else None

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
            f"SELECT {self._STEP} FROM {self._at}.steps WHERE {' AND '.join(conditions)} ORDER BY id", args
        )
        return [self._step(row) for row in rows]

    def step(self, session: Session, step_id: int) -> StepRow:
        """One step, as it is now."""
        row = session.row(f"SELECT {self._STEP} FROM {self._at}.steps WHERE id = %s", (step_id,))
        if row is None:
            raise OwnerUnknown(
                f"step {step_id} has gone from the journal",
                remedy="somebody changed the journal; find out who before going on",
            )
        return self._step(row)

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

    def close_step(self, session: Session, step_id: int, state: str, message: str = "") -> None:
        """The step is over: done, failed, given-up or void."""
        session.run(
            f"UPDATE {self._at}.steps SET state = %s, message = %s, waiting = '', ended_at = UTC_TIMESTAMP(6)"
            " WHERE id = %s",
            (state, message, step_id),
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

    # -- ranges ---------------------------------------------------------------------------------

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

    # -- names ----------------------------------------------------------------------------------

    def owned(self, session: Session, step_id: int | None = None) -> list[Owned]:
        """Names that are ours, of one step or all."""
        where, args = ("", ()) if step_id is None else (" WHERE step_id = %s", (step_id,))
        rows = session.rows(
            f"SELECT step_id, kind, schema_name, name, state, proof FROM {self._at}.objects{where}"
            " ORDER BY step_id, FIELD(kind, 'trigger', 'shadow', 'log', 'retained')",
            args,
        )
        return [Owned(int(r[0]), r[1], TableName(r[2], r[3]), r[4], r[5]) for r in rows]

    def intend(self, session: Session, step_id: int, kind: str, name: TableName, proof: str = "") -> None:
        """Say that a name will be made, and by what it can be told. The caller has just seen that nobody holds it."""
        session.run(
            f"INSERT INTO {self._at}.objects VALUES (%s, %s, %s, %s, 'intended', %s, UTC_TIMESTAMP(6))"
            " ON DUPLICATE KEY UPDATE step_id = VALUES(step_id), state = 'intended', proof = VALUES(proof),"
            " noted_at = UTC_TIMESTAMP(6)",
            (step_id, kind, name.schema, name.name, proof),
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

    def becomes(self, session: Session, step_id: int, *, shadow: TableName, retained: TableName, proof: str) -> None:
        """After the swap: the shadow's name is gone, the old table is ours to keep and to clean up."""
        self.gone(session, "shadow", shadow)
        self.intend(session, step_id, "retained", retained, proof)
        self.made(session, "retained", retained, proof)

    def goes_back(self, session: Session, step_id: int, *, shadow: TableName, retained: TableName, proof: str) -> None:
        """After a rollback: the encrypted table bears the shadow's name again and is ours to drop. Safe to repeat."""
        self.intend(session, step_id, "shadow", shadow, proof)
        self.made(session, "shadow", shadow, proof)
        self.gone(session, "retained", retained)
