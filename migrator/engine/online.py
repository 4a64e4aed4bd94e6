"""Online DDL of the server: begun in a free instant, watched, and taken back if its last lock does not come.

An online ALTER needs the table for itself twice: for milliseconds when it begins and when it ends. The
beginning is an exclusive moment like all others. The end comes when the server is ready. Nobody can choose
it; while it waits for its lock, everybody queues behind it. So it is watched: if the lock does not come in
time the statement is ended, the server throws the copy away, and it is begun anew.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

from migrator.db import Session
from migrator.engine.moment import Struck, strike, tell
from migrator.engine.work import Work
from migrator.errors import Failed, MigratorError
from migrator.events import DdlDone, DdlStarting, LegProgress
from migrator.inventory import read_blockers
from migrator.model import TableName
from migrator.sql.statement import Sql
from migrator.sql_errors import SqlError

END_PATIENCE_SECONDS: Final = (0.1, 0.3, 0.8)
"""How long each try may wait at its end, and others behind it, before its work is thrown away. Below 1 s, where
lock_wait_timeout would end it."""

NEVER: Final = 1e9

_LOOK_EVERY_SECONDS: Final = 0.02
_TELL_EVERY_SECONDS: Final = 1.0
_LOG_FULL: Final = 1799
_DUPLICATE: Final = 1062
"""A statement of the application that met a duplicate in a secondary unique index (INSERT IGNORE, REPLACE, ON DUPLICATE
KEY UPDATE): the server has logged its row by then, and meets it when it brings the log in (seen on 9.7.4)."""

_AT_WORK: Final = "alter"
"""How states begin in which a statement has got its first lock: `alter table (insert)`, `altering table`..."""


class _NoEnd(Exception):
    """The lock at the end did not come; the server has thrown the work away."""

    def __init__(self, who: str) -> None:
        super().__init__(who)
        self.who = who


def alter_online(work: Work, purpose: str, tables: Sequence[TableName], statement: Sql) -> None:
    """Send an online ALTER that needs these tables for itself when it begins and when it ends.

    Locks for milliseconds at the beginning; at the end others wait for `END_PATIENCE_SECONDS` at most. Begun anew
    when that was not enough, and when a duplicate of the application's threw it away; then raises `Failed`:
    nothing was changed. Whatever else is raised, look at what is there.
    """
    why = remedy = ""
    for patience in END_PATIENCE_SECONDS:
        try:
            run_online(work, purpose, tables, statement, end_patience_seconds=patience)
            return
        except _NoEnd as error:
            why = f"it was ready and did not get the table for itself; in the way: {error.who}"
            remedy = "apply again when no long transactions use the table"
        except SqlError as error:
            if error.number == _LOG_FULL:
                raise _log_full(work, purpose) from None
            if error.number != _DUPLICATE:
                raise
            why = "a statement of the application met a duplicate in a unique index meanwhile (1062)"
            remedy = (
                "apply again when fewer statements meet duplicates (INSERT IGNORE, REPLACE, ON DUPLICATE KEY UPDATE)"
            )
        work.waits(f"{purpose}: {why}; the server begins anew", 0.0)
    raise Failed(
        f"{purpose}: the server began it {len(END_PATIENCE_SECONDS)} times; at last {why};"
        " the table is as it was before this leg",
        remedy=remedy,
    )


def run_online(
    work: Work,
    purpose: str,
    tables: Sequence[TableName],
    statement: Sql,
    *,
    end_patience_seconds: float | None,
) -> None:
    """Send it once, in a free instant, and watch it to its end.

    With `end_patience_seconds=None` it is never ended, neither by us nor by a stop: for ALTER TABLESPACE, whose
    waits nothing can end; it is then sent only in a free instant.
    """

    def send(session: Session, ender: Session, asked: Sql, patience: float) -> None:
        _Followed(work, purpose, tables, session, ender, patience, end_patience_seconds).run(asked)

    work.listen(DdlStarting(work.subject, statement.shown))
    with work.open() as session:
        mine = session.id
        try:
            struck = strike(
                work,
                session,
                tables,
                statement,
                wait_seconds=work.limits.moment_wait_seconds,
                patience_seconds=NEVER if end_patience_seconds is None else None,
                send=send,
            )
        except SqlError as error:
            if error.link_lost:
                _end_orphan(work, mine)
            raise
    work.listen(DdlDone(work.subject, statement.shown, struck.request_seconds))
    tell(work, purpose, Struck(struck.probes, struck.tries, struck.waited_seconds, struck.request_seconds), None)


class _Followed:
    """One statement that is being run in a thread, and the eyes on it."""

    def __init__(
        self,
        work: Work,
        purpose: str,
        tables: Sequence[TableName],
        session: Session,
        ender: Session,
        begin_patience_seconds: float,
        end_patience_seconds: float | None,
    ) -> None:
        self._work = work
        self._purpose = purpose
        self._tables = tables
        self._session = session
        self._ender = ender
        self._begin_patience = begin_patience_seconds
        self._end_patience = end_patience_seconds
        self._mine = session.id
        self._done = threading.Event()
        self._error: BaseException | None = None
        self._at_work = False
        self._waits_since: float | None = None
        self._told = -NEVER

    def run(self, statement: Sql) -> None:
        """Run it; raises what the server says, `_NoEnd`, or what stops the run."""
        thread = threading.Thread(target=self._send, args=(statement,), name="online")
        thread.start()
        stopped: MigratorError | None = None
        who = ""
        try:
            while not self._work.clock.wait(self._done, self._pause()):
                if self._end_patience is not None and stopped is None:
                    try:
                        self._work.check()
                    except MigratorError as error:
                        stopped = error
                if stopped is not None:
                    self._end()
                else:
                    who = self._look() or who
        finally:
            thread.join()
        if stopped is not None:
            raise stopped
        if self._error is not None:
            if who and isinstance(self._error, SqlError) and not self._error.link_lost:
                raise _NoEnd(who)
            raise self._error

    def _send(self, statement: Sql) -> None:
        try:
            self._session.run(statement)
        except BaseException as error:  # noqa: BLE001 - carried to the caller's thread and raised there
            self._error = error
        finally:
            self._done.set()

    def _pause(self) -> float:
        return _LOOK_EVERY_SECONDS if self._at_work else min(self._begin_patience, _LOOK_EVERY_SECONDS)

    def _look(self) -> str:
        """Look at it once; gives who was in the way if its last lock did not come and it was ended."""
        try:
            state = self._ender.value(
                "SELECT PROCESSLIST_STATE FROM performance_schema.threads WHERE PROCESSLIST_ID = %s", (self._mine,)
            )
            now = self._work.clock.monotonic()
            if "Waiting for" not in str(state or ""):
                self._waits_since = None
                self._at_work = self._at_work or str(state or "").startswith(_AT_WORK)
                if self._at_work:
                    self._tell(str(state or ""), now)
                return ""
            if self._waits_since is None:
                self._waits_since = now
            waited = now - self._waits_since
            if self._end_patience is None:
                self._tell_wait(waited, now)
            elif not self._at_work and waited >= self._begin_patience:
                self._end()
            elif self._at_work and waited >= self._end_patience:
                who = _who(self._ender, self._tables)
                self._end()
                return who
        except SqlError:
            self._work.clock.wait(self._done, 1.0)  # unseen it goes on; lock_wait_timeout ends its waits
        return ""

    def _end(self) -> None:
        try:
            self._ender.run(f"KILL QUERY {self._mine}")
        except SqlError:
            self._work.clock.wait(self._done, 0.1)

    def _tell(self, state: str, now: float) -> None:
        if now - self._told < _TELL_EVERY_SECONDS:
            return
        self._told = now
        row = self._ender.row(
            "SELECT s.WORK_COMPLETED, s.WORK_ESTIMATED FROM performance_schema.events_stages_current AS s"
            " JOIN performance_schema.threads AS t ON t.THREAD_ID = s.THREAD_ID WHERE t.PROCESSLIST_ID = %s",
            (self._mine,),
        )
        done, expected = (row[0], row[1]) if row else (None, None)
        self._work.doing(
            LegProgress(
                self._work.subject,
                self._purpose,
                state,
                None if done is None else int(done),
                None if expected is None else int(expected),
            )
        )

    def _tell_wait(self, waited: float, now: float) -> None:
        if now - self._told < _TELL_EVERY_SECONDS:
            return
        self._told = now
        reason = f"{self._purpose} waits for the table, and nothing but the end of these sessions ends that wait"
        self._work.waits(reason, waited, read_blockers(self._ender, self._tables))


def _who(session: Session, tables: Sequence[TableName]) -> str:
    found = read_blockers(session, tables)
    return (
        ", ".join(f"session {b.session_id} ({b.user}, {b.reason}, {b.seconds} s)" for b in found) or "nobody any more"
    )


def _end_orphan(work: Work, session_id: int) -> None:
    """After a lost connection: end the session that may still be at it, and wait until it is gone.

    The number alone would not do: after a restart of the server it may be somebody else's.
    """
    work.session.reconnect()
    while work.session.rows(
        "SELECT 1 FROM performance_schema.session_account_connect_attrs WHERE PROCESSLIST_ID = %s"
        " AND ATTR_NAME = 'program_name' AND ATTR_VALUE = %s",
        (session_id, work.lease.purpose),
    ):
        work.check()
        try:
            work.session.run(f"KILL CONNECTION {session_id}")
        except SqlError as error:
            if error.link_lost:
                raise
        work.clock.wait(work.stop, 0.1)


def _log_full(work: Work, purpose: str) -> Failed:
    limit = work.session.value("SELECT @@GLOBAL.innodb_online_alter_log_max_size")
    return Failed(
        f"{purpose}: more was written to the table while the server copied it than"
        f" innodb_online_alter_log_max_size ({limit} bytes) holds; the table is as it was before this leg",
        remedy=f"SET PERSIST innodb_online_alter_log_max_size = {4 * int(limit)}, or a quieter time; then apply again",
    )
