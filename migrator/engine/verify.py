"""Verify: every row of both tables compared by the server, range by range, before anything is swapped.

From the switch on both tables are equal at every commit, and one statement reads both in one snapshot: so
the comparison is exact while the application writes, and takes no lock. Short statements, because a long
one of ours would keep purge and whoever wants the table for himself waiting.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from migrator.db import Session
from migrator.engine.journal_ranges import RangeRow
from migrator.engine.pace import Pacer
from migrator.engine.ranges import parts_of, step_forward
from migrator.engine.watch import check_marks, check_source
from migrator.engine.work import Work, side_by_side
from migrator.errors import Mismatch
from migrator.events import ChunkVerified
from migrator.sql.copy import COPIED, ORIGIN, compare_part
from migrator.sql.keys import Bound
from migrator.sql.statement import Sql
from migrator.sql_errors import SqlError

CHUNKS_AT_ONCE: Final = 4
"""So many of the copy's largest chunks are compared in one statement. It commits nothing that others wait behind."""

_NO_SUCH_VALUE: Final = 1231


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the key to compare: a range of the copy, or what lies beyond the last one."""

    no: int | None
    low: Bound | None
    high: Bound | None


def compare(work: Work) -> None:
    """Compare both tables completely. No locks. Raises `Mismatch` at the first range that differs."""
    check_source(work, triggers="mirror")
    try:
        rows = compare_rows(work)
    except Mismatch:
        check_source(work, triggers="mirror")  # a source that was truncated meanwhile differs, too
        raise
    work.journal.set_step(work.session, work.step_id, rows_verified=rows)
    check_source(work, triggers="mirror")
    check_marks(work, work.session)


def compare_rows(work: Work) -> int:
    """Compare every row of `work.table` with `work.shadow`; gives how many there are. No locks."""
    known = work.journal.ranges(work.session, work.step_id)
    waiting = [_stretch(one) for one in known if not one.verified]
    waiting.append(Stretch(None, known[-1].high if known else None, None))
    lock, done = threading.Lock(), [0]

    def count(rows: int) -> int:
        with lock:
            done[0] += rows
            return done[0]

    def worker(ending: threading.Event) -> None:
        with work.open() as session:
            by_hash, pacer = hash_joins(session, work), _pacer(work, session)
            while not ending.is_set():
                with lock:
                    if not waiting:
                        return
                    one = waiting.pop(0)
                _compare_stretch(work, session, one, pacer, ending, count, by_hash=by_hash)

    side_by_side([worker] * work.limits.workers)
    return done[0]


def _stretch(one: RangeRow) -> Stretch:
    return Stretch(one.no, one.low if one.verified_at is None else one.verified_at, one.high)


def _compare_stretch(
    work: Work,
    session: Session,
    one: Stretch,
    pacer: Pacer,
    ending: threading.Event,
    count: Callable[[int], int],
    *,
    by_hash: bool,
) -> None:
    low, more = one.low, True
    while more and not ending.is_set():
        work.checkpoint(ending)
        pacer.aim(work.chunk_seconds)
        with work.place():
            began = work.clock.monotonic()
            high = step_forward(session, work, work.shadow, low, one.high, pacer.rows)
            more = high is not None
            rows = compare_range(work, session, low, high if more else one.high, by_hash=by_hash)
            seconds = work.clock.monotonic() - began
        pacer.learn(rows, seconds)
        low = high
        if one.no is not None:
            work.journal.advance_verified(
                session, work.step_id, one.no, at=high if more else one.high, verified=not more
            )
        work.listen(ChunkVerified(work.subject, rows, seconds, count(rows), work.table.rows))
        work.breathe(seconds)


def _pacer(work: Work, session: Session) -> Pacer:
    row_bytes = work.table.data_bytes / max(work.table.rows, 1)
    most = _join_memory(work, session) // 2
    return Pacer(target_seconds=work.limits.chunk_time_seconds, max_bytes=most, row_bytes=row_bytes)


def _join_memory(work: Work, session: Session) -> int:
    """For each worker; an eighth of the buffer pool at most: a server is as large as its pool."""
    pool = int(session.value("SELECT @@innodb_buffer_pool_size"))
    return min(2 * CHUNKS_AT_ONCE * work.limits.chunk_max_bytes, pool // 8)


def hash_joins(session: Session, work: Work) -> bool:
    """Let the session join by hashes, in so much memory that no chunk goes through a file; False if it cannot."""
    session.set_session("join_buffer_size", str(_join_memory(work, session)))
    try:
        session.set_session("optimizer_switch", "'hash_join=on,block_nested_loop=on'")
    except SqlError as error:
        if error.number != _NO_SUCH_VALUE:
            raise
        return False
    return True


def compare_range(work: Work, session: Session, low: Bound | None, high: Bound | None, *, by_hash: bool) -> int:
    """Compare one range of both tables; gives the number of rows. Raises `Mismatch`, without any value."""
    counted = [_counted(work, session, *part, by_hash=by_hash) for part in _parts(work, session, low, high)]
    for source, shadow, equal in counted:
        if not source == shadow == equal:
            raise Mismatch(
                f"{work.table.name} and {work.shadow} differ in one range of the key:"
                f" {source} rows and {shadow} rows, {equal} of them equal",
                remedy="nothing was swapped; apply again copies this table anew; report it",
            )
    return sum(source for source, _, _ in counted)


def rows_if_equal(work: Work, session: Session, *, longest_seconds: float) -> int | None:
    """How many rows both tables have, if they are the same in one statement of so long at most (else 3024); or None."""
    by_hash = hash_joins(session, work)
    (everything,) = _parts(work, session, None, None)
    source, shadow, equal = _counted(work, session, *everything, by_hash=by_hash, longest_seconds=longest_seconds)
    return source if source == shadow == equal else None


def _parts(work: Work, session: Session, low: Bound | None, high: Bound | None) -> Iterator[tuple[Sql, Sql, Sql]]:
    """The parts of a range: each without an alias, and on the columns of the source and of the shadow."""
    return zip(*(parts_of(session, work, low, high, alias=alias) for alias in ("", ORIGIN, COPIED)), strict=True)


def _counted(
    work: Work,
    session: Session,
    part: Sql,
    of_origin: Sql,
    of_copied: Sql,
    *,
    by_hash: bool,
    longest_seconds: float = 0,
) -> tuple[int, int, int]:
    one = compare_part(
        work.table,
        work.shadow,
        work.key.name,
        work.key_columns,
        part,
        of_origin,
        of_copied,
        by_hash=by_hash,
        longest_seconds=longest_seconds,
    )
    source, shadow, equal = session.row(one) or (0, 0, 0)
    return int(source), int(shadow), int(equal)
