"""Copy: several workers, each with a session of its own; the server moves the rows, without a lock on the source.

A chunk and its cursor are one transaction. Who reads them after a crash reads the truth; there is no
watermark to compute. The drain runs beside, for what is copied already.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

from migrator.db import Session
from migrator.engine.drain import DUPLICATE, Passes, keep_draining
from migrator.engine.half import Half
from migrator.engine.pace import Pacer
from migrator.engine.parts import bytes_at_most, no_smaller
from migrator.engine.ranges import Ranges, parts_of
from migrator.engine.watch import check_source
from migrator.engine.work import Work, side_by_side
from migrator.events import ChunkCopied, RangeCopied
from migrator.sql.copy import copy_part, last_key
from migrator.sql.statement import Sql
from migrator.sql_errors import TOO_LARGE, SqlError

DUPLICATE_TRIES: Final = 20


@dataclass(frozen=True, slots=True)
class Copied:
    """What one chunk did."""

    rows: int
    range_done: bool


def copy_rows(work: Work) -> None:
    """Copy every row up to the largest key there was at the beginning. No locks on the source; safe to repeat."""
    check_source(work, triggers="log")
    _fix_end(work)
    ranges = Ranges(work, work.session)
    began, half = work.clock.monotonic(), Half(work)
    copying, passes = threading.Event(), Passes()
    still_at_work = [None] * work.limits.workers

    def worker(ending: threading.Event) -> None:
        try:
            with work.open() as session:
                _work(work, session, ranges, passes, half, ending)
        finally:
            still_at_work.pop()
            if not still_at_work:
                copying.set()

    try:
        side_by_side([*([worker] * work.limits.workers), lambda ending: keep_draining(work, passes, copying, ending)])
    finally:
        work.journal.add_to_step(
            work.session, work.step_id, rows_copied=ranges.copied_here, seconds=work.clock.monotonic() - began
        )


def _fix_end(work: Work) -> None:
    """Note the largest key. Log triggers are in place: what is inserted beyond it from now on has its entry."""
    step = work.step()
    if step.key_max is not None or step.ranges_complete:
        return
    found = work.session.row(last_key(work.table.name, work.key.name, work.key_columns, Sql("TRUE")))
    if found is None:
        work.journal.set_step(work.session, work.step_id, ranges_complete=1)
    else:
        work.journal.set_key_max(work.session, work.step_id, tuple(str(text) for text in found))


def _work(work: Work, session: Session, ranges: Ranges, passes: Passes, half: Half, ending: threading.Event) -> None:
    row_bytes = work.table.data_bytes / max(work.table.rows, 1)
    most = bytes_at_most(work, work.limits.chunk_max_bytes)
    pacer = Pacer(target_seconds=work.limits.chunk_time_seconds, max_bytes=most, row_bytes=row_bytes)
    while not ending.is_set() and (no := ranges.take(session)) is not None:
        done = False
        while not done and not ending.is_set():
            work.checkpoint(ending)
            if ending.is_set():
                return
            pacer.aim(work.chunk_seconds)
            chunk, seconds = _one_chunk(work, session, no, pacer, passes, ending)
            pacer.learn(chunk.rows, seconds)
            done, workers = chunk.range_done, min(work.limits.workers, work.sessions.slots.now)
            total = ranges.count(chunk.rows, finished=done)
            work.listen(ChunkCopied(work.subject, chunk.rows, seconds, total, work.table.rows, workers))
            half.copied(session, chunk.rows, total)
            work.breathe(seconds)
        if done:
            work.listen(RangeCopied(work.subject, no, ranges.done, ranges.known))


def _one_chunk(
    work: Work, session: Session, no: int, pacer: Pacer, passes: Passes, ending: threading.Event
) -> tuple[Copied, float]:
    """A chunk, and how many seconds it took; where a unique index was there from the start, again after the drain.

    A row that has handed its unique value (or has moved) on to a place that is copied now can still stand
    in the shadow as it was. One that the server refuses as too large is tried again with fewer rows.
    """

    def once() -> tuple[Copied, float]:
        while True:
            rows = pacer.rows
            try:
                with work.place():
                    began = work.clock.monotonic()
                    copied = session.transaction(lambda inner: copy_chunk(work, inner, no, rows))  # noqa: B023
                    return copied, work.clock.monotonic() - began
            except SqlError as error:
                if error.number not in TOO_LARGE:
                    raise
                if not pacer.too_large(rows):
                    raise no_smaller(work, error) from None
                work.checkpoint(ending)

    for _ in range(DUPLICATE_TRIES):
        try:
            return once()
        except SqlError as error:
            if error.number != DUPLICATE:
                raise
            passes.wait_for_a_whole_one(ending)
            work.checkpoint()
    return once()


def copy_chunk(work: Work, session: Session, no: int, rows_at_most: int) -> Copied:
    """Copy the next rows of a range and advance its cursor; run it in a transaction.

    Locks rows of the shadow and the range's row in the journal until commit, nothing of the source. Reads
    the cursor first, so it is safe to repeat also after a COMMIT that nobody knows the outcome of.
    """
    at = work.journal.range(session, work.step_id, no)
    if at.copied:
        return Copied(0, range_done=True)
    low = at.low if at.at is None else at.at
    left, place = rows_at_most, None
    for part in parts_of(session, work, low, at.high):
        left -= session.run_exact(copy_part(work.table, work.shadow, work.key.name, work.key_columns, part, left))
        if left <= 0:
            place = session.row(last_key(work.shadow, work.key.name, work.key_columns, part))
            break
    rows, done = rows_at_most - left, left > 0
    cursor = at.high if done or place is None else tuple(str(text) for text in place)
    work.journal.advance(session, work.step_id, no, at=cursor, copied=done, rows=rows)
    return Copied(rows, range_done=done)
