"""Exclusive moments: the few milliseconds in which nobody else may use a table.

Every lock that shuts others out is taken here and nowhere else. A plain DDL statement waits for its lock
while all new statements queue behind it, and a transaction that has read the table and now wants to write
is made the victim of a metadata-lock deadlock. So: wait, without any lock request, for an instant in which
nobody holds a metadata lock on the tables; ask in the very same request; give the wait up within
milliseconds (a second session ends our own statement; lock_wait_timeout knows whole seconds only); let
traffic flow, and try again. Where no free instant ever comes, ask without looking, with slowly growing
patience. Measured: docs/how-it-works.md.

Within a moment a statement can meet a lock that came after that instant: LOCK INSTANCE FOR BACKUP. Then the
moment is given back at once, and all of it is done again.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from migrator.db import Session
from migrator.engine.aside import MOMENT
from migrator.engine.bounds import MOMENT_SECONDS
from migrator.engine.evict import evict
from migrator.engine.work import Work
from migrator.errors import Failed
from migrator.events import DdlDone, DdlStarting, Moment
from migrator.inventory import read_blockers
from migrator.model import Blocker, TableName
from migrator.sql.statement import Sql
from migrator.sql.swap import after_probe
from migrator.sql_errors import INTERRUPTED, TRY_AGAIN, SqlError

T = TypeVar("T")

FIRST_PATIENCE_SECONDS: Final = 0.003
"""How long our request may wait, and others behind it, after a free instant was seen."""

A_READER_MORE_AFTER_SECONDS: Final = 30.0
"""After so long without a free instant one will do in which somebody has read the tables and written nothing, after
twice as long two, and so on. If he wants to write while we wait for him, he is the victim of a deadlock (1213); no
other is. A request while somebody writes makes victims of those who come next, too: our locks come one by one, and the
triggers make a writer want those of the log and the shadow after that of the table."""

READERS_PATIENCE_SECONDS: Final = 0.02
"""How long our request may wait for them, and others behind it."""

LONGEST_PATIENCE_SECONDS: Final = 0.1
"""How long it may wait at most where no free instant is ever seen."""

BLIND_AFTER_SECONDS: Final = 120.0
"""After so long without a free instant, ask without looking at the tables. Such requests make victims (1213): where
five transactions are open on average a free instant comes every few seconds, and with ten every few minutes."""

PATIENCE_WITHIN_SECONDS: Final = 0.02
"""How long a statement may wait while the tables are held."""

TELL_EVERY_SECONDS: Final = 2.0

_BUSY: Final = 1242
_LATER: Final = INTERRUPTED | TRY_AGAIN

Send = Callable[[Session, Session, Sql, float], None]
"""Sends a statement in the first session, and ends it by the second if it waits for its lock for longer than that."""


@dataclass(frozen=True, slots=True)
class Struck:
    """How the lock was got."""

    probes: int
    tries: int
    waited_seconds: float
    """Until the request that got it was sent."""
    request_seconds: float
    """That request: waiting for the lock, and the statement itself."""


class GivenBack(Failed):
    """A moment was given back half-done, since a statement in it had to wait; see `to_the_end`."""


@dataclass(frozen=True, slots=True)
class Held:
    """A moment while it lasts."""

    work: Work
    session: Session
    """That has the locks."""
    ender: Session

    def ddl(self, statement: Sql) -> None:
        """Send a statement that changes a definition, and tell before and after.

        Raises `GivenBack` if it waits for a lock; it has not happened then, as far as one can know.
        """
        work, shown = self.work, statement.shown
        work.listen(DdlStarting(work.subject, shown))
        began = work.clock.monotonic()
        try:
            _send(work, self.session, self.ender, statement, PATIENCE_WITHIN_SECONDS)
        except SqlError as error:
            if error.number not in _LATER:
                raise
            raise GivenBack(
                f"the tables were held, and then a statement had to wait: {error}", remedy="apply again to go on"
            ) from None
        work.listen(DdlDone(work.subject, shown, work.clock.monotonic() - began))


def to_the_end(work: Work, tables: Sequence[TableName], attempt: Callable[[], T]) -> T:
    """Do what needs a moment on the tables, again from the top whenever the moment was given back.

    So the attempt looks at what is there already, as after a crash. Raises `Failed`, and names who is in the
    way, if it was not done within the limit.
    """
    began = work.clock.monotonic()
    while True:
        try:
            return attempt()
        except GivenBack:
            waited = work.clock.monotonic() - began
            if waited > work.limits.moment_wait_seconds:
                raise _in_the_way(work, tables, waited) from None
        work.check()
        work.waits("the exclusive moment was given back, a lock had come", waited, read_blockers(work.session, tables))
        work.clock.wait(work.stop, _jitter(0.3))


@contextmanager
def locked(
    work: Work,
    purpose: str,
    tables: Sequence[TableName],
    lock_tables: str,
    *,
    meanwhile: Callable[[], None] = lambda: None,
) -> Iterator[Held]:
    """Hold LOCK TABLES on the tables for the body, in a session of its own. Only within `to_the_end`.

    Everybody else waits while the body runs, so it is short. Raises `Failed` if there was no instant for
    it within the limit; nothing is changed then. `meanwhile` is called between the looks for that instant.
    """
    with work.open() as session, work.open() as ender:
        limit = work.limits.moment_wait_seconds
        struck = strike(work, session, tables, Sql(lock_tables), wait_seconds=limit, meanwhile=meanwhile)
        began = work.clock.monotonic()
        try:
            yield Held(work, session, ender)
        finally:
            _unlock(session)
            tell(work, purpose, struck, work.clock.monotonic() - began)


def _unlock(session: Session) -> None:
    try:
        session.run("UNLOCK TABLES")
    except SqlError as error:
        if not error.link_lost:  # with the connection went the locks
            raise


def tell(work: Work, purpose: str, struck: Struck, held_seconds: float | None) -> None:
    """Report an exclusive moment and note it in the journal; None where it was not measured."""
    work.listen(Moment(work.subject, purpose, struck.probes, struck.tries, struck.waited_seconds, held_seconds))
    work.journal.note_moment(
        work.session,
        work.step_id,
        purpose,
        probes=struck.probes,
        tries=struck.tries,
        waited=struck.waited_seconds,
        held=held_seconds,
    )


def strike(
    work: Work,
    session: Session,
    tables: Sequence[TableName],
    statement: Sql,
    *,
    wait_seconds: float,
    patience_seconds: float | None = None,
    send: Send | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> Struck:
    """Send a statement that needs the tables for itself, in an instant in which nobody uses them.

    Gives up each try within milliseconds of waiting, for `wait_seconds` in all; then raises `Failed` and
    names who is in the way. The statement itself is never ended once it has its lock and does not wait.
    With `patience_seconds` of one's own the statement is never sent without looking at the tables first.
    `send` is for statements that do more than wait and be done; `meanwhile` is called after each try in vain.
    """
    send = send or partial(_send, work)
    began = told = work.clock.monotonic() - work.patience.before(MOMENT)
    probes, tries, readers, patience, blind = 0, 0, 0, patience_seconds or FIRST_PATIENCE_SECONDS, False
    with work.open() as ender:
        while True:
            work.check()
            began += _held(work, meanwhile)
            work.bounds.check(needed_seconds=MOMENT_SECONDS)
            asked = after_probe(() if blind else tables, statement, readers=readers)
            sent = work.clock.monotonic()
            try:
                probes += 1
                send(session, ender, asked, patience)
                return Struck(probes, tries + 1, sent - began, work.clock.monotonic() - sent)
            except SqlError as error:
                if error.number not in {_BUSY} | _LATER:
                    raise
                tries += error.number != _BUSY
            waited = work.clock.monotonic() - began
            if waited > wait_seconds:
                raise _in_the_way(work, tables, wait_seconds)
            work.let_others_go_first(MOMENT, "waiting for a free instant", waited)
            if patience_seconds is None:
                readers, patience = _next(waited, patience)
                blind = waited > BLIND_AFTER_SECONDS
            if work.clock.monotonic() - told > TELL_EVERY_SECONDS:
                told = work.clock.monotonic()
                work.waits("waiting for a free instant", waited, _without_the_old(work, ender, tables, waited))
            meanwhile()
            work.clock.wait(work.stop, _jitter(0.3 if blind else 0.005))


def is_free_instant(session: Session, table: TableName) -> bool:
    """Look for an instant in which nobody holds or awaits a lock on it, without asking for one; for a rehearsal."""
    try:
        session.run(after_probe([table], Sql("DO 0")))
    except SqlError as error:
        if error.number != _BUSY:
            raise
        return False
    return True


def _without_the_old(work: Work, session: Session, tables: Sequence[TableName], waited: float) -> tuple[Blocker, ...]:
    """Who is in the way; where the plan asks for it, those on these tables are ended that are for long enough."""
    blockers = read_blockers(session, tables)
    on_them = [one for one in blockers if one.reason == "metadata-lock"]
    return (*evict(work, session, on_them, waited), *(one for one in blockers if one not in on_them))


def _held(work: Work, meanwhile: Callable[[], None]) -> float:
    """Wait while a limit is exceeded: no moment is begun then. Gives for how many seconds; traffic flows."""
    began = work.clock.monotonic()
    while work.sessions.brake.held:
        work.check()
        meanwhile()
        work.clock.wait(work.stop, 0.1)
    return work.clock.monotonic() - began


def _next(waited: float, patience: float) -> tuple[int, float]:
    """After so long in vain: with how many readers an instant will do, and how long the next request may wait."""
    readers = int(waited / A_READER_MORE_AFTER_SECONDS)
    if waited > BLIND_AFTER_SECONDS:
        return readers, min(patience * 1.2, LONGEST_PATIENCE_SECONDS)
    return readers, READERS_PATIENCE_SECONDS if readers else FIRST_PATIENCE_SECONDS


def _send(work: Work, session: Session, ender: Session, statement: Sql, patience: float) -> None:
    """Run the statement; if it still waits for a lock after `patience` seconds, end it."""
    done = threading.Event()
    ending = threading.Lock()
    mine = session.id

    def end() -> None:
        while not work.clock.wait(done, patience):
            with ending:
                if done.is_set() or not _end_if_waiting(ender, mine):
                    return

    watcher = threading.Thread(target=end, name="patience")
    watcher.start()
    try:
        session.run(statement)
    finally:
        # With the lock held no KILL can be under way any more, so none hits a later statement.
        with ending:
            done.set()
        watcher.join()


def _end_if_waiting(ender: Session, session_id: int) -> bool:
    """End the statement of a session if it waits for a lock; False if that cannot be done any more."""
    try:
        state = ender.value(
            "SELECT PROCESSLIST_STATE FROM performance_schema.threads WHERE PROCESSLIST_ID = %s", (session_id,)
        )
        # Not each "Waiting for": what waits for a replica's answer has been done.
        if state is not None and str(state).startswith("Waiting for") and str(state).endswith("lock"):
            ender.run(f"KILL QUERY {session_id}")
    except SqlError:
        return False  # without this session lock_wait_timeout still ends the wait, after a second
    return True


def _jitter(seconds: float) -> float:
    """Between half and one and a half of `seconds`, so that two who wait do not meet again."""
    return seconds * random.uniform(0.5, 1.5)


def _statement(blocker: Blocker) -> str:
    return f": {blocker.statement}" if blocker.statement else ""


def _in_the_way(work: Work, tables: Sequence[TableName], waited: float) -> Failed:
    blockers = read_blockers(work.session, tables)
    who = (
        "; ".join(f"session {b.session_id} ({b.user}, {b.reason}, {b.seconds} s){_statement(b)}" for b in blockers)
        or "nobody in particular"
    )
    return Failed(
        f"no free instant on {' and '.join(map(str, tables))} within {waited:.0f} s; in the way: {who}",
        remedy="apply again when the table is quieter, or raise moment_wait_seconds in the plan; the work done is kept",
    )
