"""The server's own threads encrypt every tablespace, in place: told to begin, watched to the end, held like any work.

MariaDB. No table is locked and no row is copied; what applications feel is the disk. The threads are as many as the
run has places for work, so a pause, the throttle and the end of a window hold them: with none the server stops after
the page that each is at. A process that is killed leaves them at work; they end by themselves when all is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from migrator.db import Session
from migrator.engine.work import Work
from migrator.errors import Failed, LeaseLost, MigratorError
from migrator.events import DdlDone, DdlStarting, LegProgress
from migrator.inventory import read_inventory
from migrator.planner.background import out_of_reach
from migrator.sql.background import AGE, MOST_THREADS, SETTINGS, TABLES, THREADS, set_global, settings_now, spaces_now
from migrator.sql.statement import Sql
from migrator.sql_errors import SqlError

LOOK_EVERY_SECONDS: Final = 0.5
LEFT_RUNNING: Final = 1
"""Threads that stay when all is done: without any, nothing is brought up to a new version of the key."""

STUCK_AFTER_SECONDS: Final = 600.0
"""So long nothing may get done while threads are at it; then a person is asked."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the server is."""

    spaces: int
    spaces_done: int
    bytes_all: int
    bytes_done: int

    @property
    def is_over(self) -> bool:
        """True when every page of every tablespace is encrypted."""
        return self.spaces_done == self.spaces


def is_encrypted(session: Session) -> bool:
    """True if new tables are encrypted, and all that the server's threads can encrypt is. Reads only."""
    on = str(session.value(f"SELECT @@GLOBAL.{TABLES}")).upper() in {"ON", "FORCE"}
    return on and _look(session, _out_of_reach(session)).is_over


def encrypt_in_background(work: Work) -> None:
    """Have the server encrypt everything, and return when it has. Safe to repeat: it goes on where it was.

    Locks nothing. Raises `Failed` where nothing gets done any more, and what ends the run; then no thread is at work,
    and what is encrypted by then stays so.
    """
    left_out, before = _out_of_reach(work.session), _threads_now(work.session)
    _begin(work)
    try:
        _watch(work, left_out)
    except LeaseLost:
        raise  # the threads are the other run's
    except MigratorError:
        _set_threads(work.session, 0)
        raise
    _set_threads(work.session, max(LEFT_RUNNING, before))


def _begin(work: Work) -> None:
    """Before any thread: with threads and without the word to encrypt, the server decrypts (seen on 11.8.6)."""
    now = dict(zip(SETTINGS, work.session.row(settings_now()) or (), strict=True))
    if int(now[AGE]) == 0:
        _tell_and_set(work, set_global(AGE, 1))
    if str(now[TABLES]).upper() not in {"ON", "FORCE"}:
        _tell_and_set(work, set_global(TABLES, "ON"))


def _watch(work: Work, left_out: frozenset[int]) -> None:
    best, since = -1, work.clock.monotonic()
    while True:
        work.check()
        if work.is_held:
            _set_threads(work.session, 0)
            work.checkpoint()
            since = work.clock.monotonic()
        asked = work.lease.control.wishes.workers or work.limits.workers
        wanted = min(work.sessions.slots.now, asked, MOST_THREADS)
        if _threads_now(work.session) != wanted:
            _tell_and_set(work, set_global(THREADS, wanted))
        progress = _look(work.session, left_out)
        work.doing(
            LegProgress(work.subject, "background", "encrypting", progress.bytes_done, max(progress.bytes_all, 1))
        )
        if progress.is_over:
            return
        if progress.bytes_done > best:
            best, since = progress.bytes_done, work.clock.monotonic()
        elif work.clock.monotonic() - since > STUCK_AFTER_SECONDS:
            raise _stuck(progress)
        work.clock.wait(work.stop, LOOK_EVERY_SECONDS)


def _look(session: Session, left_out: frozenset[int]) -> Progress:
    """A tablespace that is being done counts by its pages."""
    spaces = done = size = size_done = 0
    for space, _, file_bytes, encrypted, page, pages in session.rows(spaces_now()):
        if int(space) in left_out:
            continue
        spaces, size = spaces + 1, size + int(file_bytes or 0)
        if encrypted:
            done, size_done = done + 1, size_done + int(file_bytes or 0)
        elif page is not None and pages:
            size_done += int(int(file_bytes or 0) * min(1.0, int(page) / int(pages)))
    return Progress(spaces, done, size, size_done)


def _out_of_reach(session: Session) -> frozenset[int]:
    """Tablespaces of tables that the threads leave as they are."""
    tables = read_inventory(session).tables
    return frozenset(s.space for table in tables if out_of_reach(table) for s in table.segments)


def _threads_now(session: Session) -> int:
    return int(session.value(f"SELECT @@GLOBAL.{THREADS}"))


def _set_threads(session: Session, threads: int) -> None:
    """Also at the end, when the server may be gone: then there is no thread either."""
    try:
        session.run(set_global(THREADS, threads))
    except SqlError as error:
        if not error.link_lost:
            raise


def _tell_and_set(work: Work, statement: Sql) -> None:
    work.listen(DdlStarting(work.subject, statement.shown))
    began = work.clock.monotonic()
    work.session.run(statement)
    work.listen(DdlDone(work.subject, statement.shown, work.clock.monotonic() - began))


def _stuck(progress: Progress) -> Failed:
    return Failed(
        f"for {STUCK_AFTER_SECONDS:.0f} s the server has encrypted nothing more:"
        f" {progress.spaces_done} of {progress.spaces} tablespaces are done",
        remedy="look at its error log and at INNODB_TABLESPACES_ENCRYPTION; apply again goes on",
    )
