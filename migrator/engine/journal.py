"""The journal: durable facts of runs, steps, ranges and of every name that we made.

Whether it is there, and the runs, are here; steps, ranges, names, rotations and progress are parts of their own
(journal_steps.py, journal_ranges.py, journal_names.py, journal_rotations.py, journal_progress.py).

Reads and writes through whatever `Session` is given, so that a worker can write its cursor in the
transaction of its rows. Nothing here decides anything.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from typing import Final

from migrator.db import Session
from migrator.engine.journal_names import JournalNames
from migrator.engine.journal_progress import JournalProgress
from migrator.engine.journal_ranges import JournalRanges
from migrator.engine.journal_rotations import JournalRotations
from migrator.engine.journal_steps import JournalSteps
from migrator.errors import MissingPrivilege, OwnerUnknown
from migrator.model import Family
from migrator.planner.control import Control, Wishes
from migrator.planner.privileges import RIGHTS, Level, account_text
from migrator.sql import journal as say
from migrator.sql.names import quote
from migrator.sql.statement import Sql
from migrator.sql_errors import LOCK_WAIT, SqlError

SCHEMA: Final = "migrator"
"""The journal's schema."""

_FROM: Final = "failover_from"

_NO_SUCH_SCHEMA: Final = 1049
_NO_SUCH_TABLE: Final = 1146
_DENIED: Final = frozenset({1044, 1142, 1227, 1370})
_EXISTS: Final = frozenset({1007})


def _patiently(session: Session, statement: Sql) -> None:
    """Send what is safe to repeat, and again where it waits for another run that makes the same: for that one the disk
    may be slow, and lock_wait_timeout is 1 s."""
    session.transaction(lambda again: again.run(statement))


class Journal(JournalSteps, JournalRanges, JournalNames, JournalRotations, JournalProgress):
    """The journal's schema on one server, with all of its parts."""

    def __init__(self, schema: str = SCHEMA, *, former: str = "") -> None:
        """`former` is the server_uuid of a server whose journal will do as well: this one has taken its place."""
        self.schema = schema
        self._at = quote(schema)
        self._former = former

    # -- being there ----------------------------------------------------------------------------

    def exists(self, session: Session) -> bool:
        """True if there is a journal of this format; raises `OwnerUnknown` if the schema holds something else.

        Waits some seconds for whoever keeps it locked: another run that makes it, a backup. Not within a transaction.
        """
        try:
            row = session.transaction(
                lambda again: again.row(f"SELECT format, server_uuid FROM {self._at}.meta WHERE id = 1")
            )
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
        if row[1] not in {session.server_uuid, self._former}:
            raise OwnerUnknown(
                f"the journal in schema {self.schema} was made on server {row[1]}, this is {session.server_uuid}",
                remedy="if this server has taken the place of that one (a failover, a switchover), say so:"
                f" migrator apply PLAN --failover-from {row[1]} (docs/replication.md); else connect to that one",
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
            self.encrypt_new_tables(session, encrypt=False)  # a run that died may have left it so
            return False
        try:
            _patiently(session, say.create_schema(self.schema, session.family))
        except SqlError as error:
            if error.number in _DENIED:
                raise self._denied(session, error) from None
            if error.number not in _EXISTS:
                raise
        for statement in say.create_tables(self.schema, session.family):
            _patiently(session, statement)
        made = Sql(
            f"INSERT INTO {self._at}.meta VALUES (1, %s, %s, %s) ON DUPLICATE KEY UPDATE id = id",
            (say.FORMAT, tool_version, session.server_uuid),
        )
        _patiently(session, made)
        return True

    def encrypt_new_tables(self, session: Session, *, encrypt: bool) -> None:
        """Have the server make new tables in the journal's schema encrypted, or in clear as their sources are.

        Encrypted, a copy of a small table needs no rebuild to become so. But then no table in a plain shared
        tablespace can be copied (3825). An exclusive metadata lock on the schema, where only we are. Nobody relies on
        it: what is made is looked at. So where it is refused, it stays as it is.
        """
        if session.family is Family.MARIADB:
            return  # it has no default of a schema, and nothing is copied there
        now = session.value(
            "SELECT DEFAULT_ENCRYPTION FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s", (self.schema,)
        )
        if (now == "YES") == encrypt:
            return
        try:
            session.run(say.default_encryption(self.schema, encrypt=encrypt))
        except SqlError as error:
            if error.number not in _DENIED | {LOCK_WAIT}:
                raise

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

    def begin_run(
        self, session: Session, *, run_id: str, plan_hash: str, version: str, attested: str, extent: str = ""
    ) -> None:
        """A run begins; `extent` is what it found, in numbers (`engine/extent.py`)."""
        session.run(
            f"INSERT INTO {self._at}.runs VALUES"
            " (%s, %s, %s, %s, %s, UTC_TIMESTAMP(6), NULL, NULL, %s, CURRENT_USER(), %s)",
            (run_id, plan_hash, version, socket.gethostname(), os.getpid(), attested, extent),
        )

    def end_run(self, session: Session, run_id: str, exit_code: int) -> None:
        """A run has ended with this exit code."""
        session.run(
            f"UPDATE {self._at}.runs SET ended_at = UTC_TIMESTAMP(6), exit_code = %s WHERE id = %s", (exit_code, run_id)
        )

    # -- on which server ------------------------------------------------------------------------

    def made_on(self, session: Session, *, lock: bool = False) -> str:
        """The server_uuid on which its work goes on; with `lock` nobody else moves it until the transaction ends."""
        found = session.value(f"SELECT server_uuid FROM {self._at}.meta WHERE id = 1" + (" FOR UPDATE" if lock else ""))
        return str(found or "")

    def as_it_came(self, session: Session) -> tuple[Journal, str]:
        """For reading only: the journal as it lies here, and the server that it is of where that is another one.

        A replica has the journal of its source. '' where it is this server's, or where there is none.
        """
        try:
            made_on = self.made_on(session)
        except SqlError as error:
            if error.number not in {_NO_SUCH_SCHEMA, _NO_SUCH_TABLE, *_DENIED}:
                raise
            return self, ""
        if made_on in {"", session.server_uuid, self._former}:
            return self, ""
        return Journal(self.schema, former=made_on), made_on

    def predecessors(self, session: Session) -> frozenset[str]:
        """Servers whose place this one has taken, as people have confirmed: a plan for one of them holds here."""
        rows = session.rows(f"SELECT attested FROM {self._at}.runs WHERE attested LIKE '%%\"{_FROM}\"%%'")
        return frozenset(str(json.loads(text)[_FROM]) for (text,) in rows)

    def accepted(self, session: Session) -> frozenset[str]:
        """As `predecessors`, with the one that is being confirmed; none where there is no journal."""
        noted = self.predecessors(session) if self.exists(session) else frozenset()
        return noted | {self._former} - {""}

    def move(self, session: Session, former: str, *, run_id: str, plan_hash: str, version: str) -> None:
        """Say that the work of `former` goes on here, and that its run is over. In a transaction of the caller's."""
        session.run(f"UPDATE {self._at}.meta SET server_uuid = %s WHERE id = 1", (session.server_uuid,))
        session.run(f"UPDATE {self._at}.lease SET run_id = '', token = token + 1, told = '' WHERE id = 1")
        noted = json.dumps({_FROM: former, "to": session.server_uuid})
        self.begin_run(session, run_id=run_id, plan_hash=plan_hash, version=version, attested=noted)
        self.end_run(session, run_id, 0)

    def compare_again(self, session: Session, step_id: int) -> None:
        """Forget what was compared of a step: it is done once more. In a transaction of the caller's."""
        session.run(f"UPDATE {self._at}.ranges SET verified_at = NULL, verified = 0 WHERE step_id = %s", (step_id,))
        self.set_step(session, step_id, phase="mirror", rows_verified=0)

    # -- what people ask for --------------------------------------------------------------------

    def control(self, session: Session) -> Control:
        """What people ask of the run that is at work, or of the next one."""
        row = session.row(f"SELECT paused, by_whom, wishes FROM {self._at}.control WHERE id = 1")
        return Control(bool(row[0]), str(row[1]), Wishes.from_json(str(row[2]))) if row else Control()

    def wish(self, session: Session, wishes: Wishes) -> None:
        """Ask the run for something; all that was asked before is replaced. Changes the journal only."""
        session.run(f"UPDATE {self._at}.control SET wishes = %s WHERE id = 1", (wishes.to_json(),))

    def change_wishes(self, session: Session, change: Callable[[Wishes], Wishes]) -> Wishes:
        """Change what people ask of the run, and give it. Locks the control row until it is written."""

        def changed(inner: Session) -> Wishes:
            text = inner.value(f"SELECT wishes FROM {self._at}.control WHERE id = 1 FOR UPDATE")
            wishes = change(Wishes.from_json(str(text or "")))
            self.wish(inner, wishes)
            return wishes

        return session.transaction(changed)

    def pause(self, session: Session, *, paused: bool) -> None:
        """Ask the run to pause at the next chunk boundary, or to go on. Changes the journal only."""
        session.run(
            f"UPDATE {self._at}.control SET paused = %s, by_whom = CURRENT_USER(), at = UTC_TIMESTAMP(6) WHERE id = 1",
            (int(paused),),
        )
