"""Drain: bring to the shadow what the log says has changed, without a lock on the source.

Entries are read, then *in a later statement* the present rows of their keys, then exactly those entries are
deleted: a change after the read has an entry of its own. Only keys that lie in copied ranges: a chunk under
way could still bring an older row than the one that was drained. The order of entries is not the order of
commits, so every pass begins at the first entry; there is no high-water mark.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from migrator.db import Session
from migrator.engine.parts import bring_in_parts, is_too_many
from migrator.engine.ranges import common_of
from migrator.engine.work import Work
from migrator.errors import Failed, LogOverflow
from migrator.events import Backlog
from migrator.sql.copy import ENTRY, drain_delete, drain_forget, drain_insert, read_log
from migrator.sql.keys import Bound, log_columns, within
from migrator.sql.names import qualified
from migrator.sql.statement import Sql
from migrator.sql_errors import TOO_LARGE, SqlError

BATCH: Final = 500
LARGEST_BATCH: Final = 20_000
LOOK_EVERY_SECONDS: Final = 0.5
TELL_EVERY_SECONDS: Final = 1.0
NEARLY_NOTHING: Final = 50
"""With so few entries left the log counts as drained; the rest is for the exclusive moment of the switch."""

NOW_AND_THEN_SECONDS: Final = 0.2

PASSES_UNTIL_TOLD: Final = 20

GENTLE_SECONDS: Final = 0.5
"""Between batches while a limit is exceeded."""

GENTLE_ENTRIES: Final = 10_000
"""Of a pass; what a log holds beyond that is drained without pauses, or it could grow up to its bound."""

DUPLICATE: Final = 1062


@dataclass(frozen=True, slots=True)
class Pass:
    """One walk through the log: entries seen, and how many of them are drained."""

    seen: int
    drained: int

    @property
    def left(self) -> int:
        """Entries that this pass left."""
        return self.seen - self.drained


def uncopied(work: Work, session: Session) -> Sql:
    """A condition on a log entry: its key lies where nothing is copied yet. Never wrong towards draining:
    cursors only move on after this was read."""
    step = work.journal.step(session, work.step_id)
    open_places: list[tuple[Bound | None, Bound]] = []
    last: Bound | None = None
    for one in work.journal.ranges(session, work.step_id):
        last = one.high
        if one.copied:
            continue
        low = one.low if one.at is None else one.at
        if open_places and one.at is None and open_places[-1][1] == one.low:
            open_places[-1] = (open_places[-1][0], one.high)
        else:
            open_places.append((low, one.high))
    if not step.ranges_complete:
        if step.key_max is None:
            return Sql("TRUE")
        open_places.append((last, step.key_max))
    names = log_columns(work.key_columns)
    terms = [
        within(work.key_columns, low, high, common=common_of(session, work, low, high), names=names)
        for low, high in open_places
    ]
    if not terms:
        return Sql("FALSE")
    return Sql(" OR ".join(term.text for term in terms), tuple(a for term in terms for a in term.args))


def drain_pass(work: Work, session: Session, *, gently: bool = False) -> Pass:
    """Walk the log once, or until a stop is wanted, and drain what lies in copied ranges.

    Locks rows of the shadow and of the log only.

    `gently` leaves pauses while a limit is exceeded; what the application writes has to be drained all the same.

    Two rows that hand a unique value on can be met in either order where the shadow has unique indexes: on
    a duplicate the walk begins again, with more entries in one transaction, so that both rows are in it.
    """
    batch = BATCH
    while True:
        try:
            return _walk(work, session, batch, gently=gently)
        except SqlError as error:
            if error.number != DUPLICATE or batch > LARGEST_BATCH:
                raise
            batch *= 2


def _walk(work: Work, session: Session, batch: int, *, gently: bool) -> Pass:
    condition = uncopied(work, session)
    after = seen = drained = 0
    while not work.stop.is_set():
        entries = session.rows(read_log(work.log, condition, after=after, limit=batch))
        if not entries:
            break
        seen += len(entries)
        after = int(entries[-1][0])
        ready = [int(seq) for seq, waits in entries if not waits]
        if ready:
            bring_all(work, session, ready, once=session.transaction)
            drained += len(ready)
        if len(entries) < batch:
            break
        if gently and seen <= GENTLE_ENTRIES and work.is_held:
            work.clock.wait(work.stop, GENTLE_SECONDS)
    return Pass(seen, drained)


def bring(work: Work, session: Session, entries: list[int]) -> None:
    """Make the shadow equal the source for the keys of these entries, and forget the entries.

    In this order, each statement may be the last one that happens: what is not forgotten is brought again.
    """
    session.run(drain_delete(work.shadow, work.log, work.key.name, work.key_columns, entries))
    session.run_exact(drain_insert(work.table, work.shadow, work.log, work.key.name, work.key_columns, entries))
    session.run(drain_forget(work.log, entries))


def bring_all(
    work: Work, session: Session, entries: list[int], *, once: Callable[[Callable[[Session], object]], object]
) -> None:
    """As `bring`, `once` for all of them; in parts, each `once`, where that is more than a transaction may have."""
    if not is_too_many(work, len(entries)):
        try:
            once(lambda at: bring(work, at, entries))
            return
        except SqlError as error:
            if error.number not in TOO_LARGE:
                raise
    bring_in_parts(work, session, entries, once)


class Passes:
    """Counts passes of the drain, so that a worker can wait for one that began after it asked."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._count = 0

    def one_more(self) -> None:
        """A pass is done."""
        with self._condition:
            self._count += 1
            self._condition.notify_all()

    def wait_for_a_whole_one(self, ending: threading.Event) -> None:
        """Return when a pass that began after this call is done, or the work is to end."""
        with self._condition:
            until = self._count + 2
            while self._count < until and not ending.is_set():
                self._condition.wait(0.1)


def keep_draining(work: Work, passes: Passes, copying: threading.Event, ending: threading.Event) -> None:
    """Drain until the copy is over, also while it pauses; tells the backlog and keeps it within its bound."""
    drained, told = 0, 0.0
    with work.open() as session:
        while not copying.is_set() and not ending.is_set():
            if work.stop.is_set():
                return
            done = drain_pass(work, session, gently=True)
            passes.one_more()
            drained += done.drained
            if work.clock.monotonic() - told > TELL_EVERY_SECONDS:
                told = work.clock.monotonic()
                tell_backlog(work, session, done.left, drained)
            if done.drained < BATCH:
                work.clock.wait(copying, LOOK_EVERY_SECONDS)


def tell_backlog(work: Work, session: Session, entries: int, drained: int) -> None:
    """Look at the log's size and age, tell it, note it; raises `LogOverflow` at the bound."""
    oldest = session.value(f"SELECT TIMESTAMPDIFF(SECOND, MIN(noted), NOW()) FROM {qualified(work.log)} WHERE {ENTRY}")
    # Not DATA_LENGTH, which is a statistic and late: the file, which never shrinks.
    size = session.value(
        "SELECT FILE_SIZE FROM information_schema.INNODB_TABLESPACES WHERE NAME = %s",
        (f"{work.log.schema}/{work.log.name}",),
    )
    age, used = float(oldest or 0), int(size or 0)
    work.listen(Backlog(work.subject, entries, used, age, drained))
    work.journal.set_step(session, work.step_id, backlog_entries=entries, backlog_bytes=used, backlog_age=age)
    if entries > work.limits.log_max_entries or used > work.limits.log_max_bytes:
        raise LogOverflow(
            f"the log of {work.subject} holds {entries} changes ({used} bytes), more than the plan allows",
            remedy="apply at a quieter time, or raise log_max_entries and log_max_bytes in the plan",
        )


def catch_up(work: Work, *, until: int = NEARLY_NOTHING) -> None:
    """Drain until a pass has met no more than `until` entries; a paused run goes on with it. No locks on the source."""
    drained = passes = 0
    while True:
        work.check()
        done = drain_pass(work, work.session)
        passes += 1
        drained += done.drained
        tell_backlog(work, work.session, done.left, drained)
        if done.left:
            raise Failed(
                f"{done.left} changes of {work.subject} lie in ranges that are not copied",
                remedy="this is a bug: report it",
            )
        if work.is_held:
            work.clock.wait(work.stop, LOOK_EVERY_SECONDS)
        elif done.seen <= until and not work.stop.is_set():
            return
        elif passes % PASSES_UNTIL_TOLD == 0:
            work.waits(f"changes come as fast as they are drained ({done.seen} in the last pass)", 0.0)


def draining_now_and_then(work: Work) -> Callable[[], None]:
    """What to call while something is waited for: drains from time to time, so that little is left when it comes.

    A pass is over before the wait goes on: its own locks are in nobody's way then. Raises what `tell_backlog` does.
    """
    last = told = work.clock.monotonic()
    drained = 0

    def drain() -> None:
        nonlocal last, told, drained
        if work.clock.monotonic() - last < NOW_AND_THEN_SECONDS:
            return
        done = drain_pass(work, work.session)
        last, drained = work.clock.monotonic(), drained + done.drained
        if last - told > TELL_EVERY_SECONDS:
            told = last
            tell_backlog(work, work.session, done.left, drained)

    return drain
