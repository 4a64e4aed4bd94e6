"""Ranges of the key: made one after the other by walking the index, each copied by one worker at a time.

More ranges than workers, and smaller ones towards the end, so that none is left with the tail, whatever the
distribution of the keys: boundaries are places that exist in the index, found by counting rows, not by arithmetic. No
smaller than that needs, since what is copied at several places at once leaves pages free in the file (2,000,000 rows by
four workers: 484 MiB with 32 equal ranges, 452 with 8, 440 by one worker; seen on 9.7.4). The last range ends at the
largest key that was there when logging had begun; what is inserted beyond is in the log.
"""

from __future__ import annotations

import threading
from typing import Final

from migrator.db import Session
from migrator.engine.journal_ranges import RangeRow
from migrator.engine.work import Work
from migrator.model import TableName
from migrator.sql.copy import count_up_to, key_at, last_key
from migrator.sql.keys import Bound, common_prefix, parts
from migrator.sql.statement import Sql

SMALLEST_PARTS: Final = 8
"""A range is at least this part (an eighth) of what a worker would have if the table were shared out evenly."""
FEWEST_ROWS: Final = 10_000
MOST_ROWS: Final = 500_000


def common_of(session: Session, work: Work, low: Bound | None, high: Bound | None) -> int:
    """How many leading key columns of two places are equal, by the server's word."""
    if low is None or high is None or len(work.key_columns) == 1:
        return 0
    row = session.row(common_prefix(work.key_columns, low, high)) or ()
    count = 0
    while count < len(row) and row[count]:
        count += 1
    return count


def parts_of(
    session: Session, work: Work, low: Bound | None, high: Bound | None, *, alias: str = ""
) -> tuple[Sql, ...]:
    """The parts of a range, in key order, on the columns of the alias."""
    return parts(work.key_columns, low, high, common=common_of(session, work, low, high), alias=alias)


def step_forward(
    session: Session, work: Work, table: TableName, low: Bound | None, high: Bound | None, rows: int
) -> Bound | None:
    """The place `rows` rows after `low`, or None if the range ends before. Walks so many index entries, no locks."""
    left = rows
    for part in parts_of(session, work, low, high):
        found = session.row(key_at(table, work.key.name, work.key_columns, part, left - 1))
        if found is not None:
            return tuple(str(text) for text in found)
        left -= int(session.value(count_up_to(table, work.key.name, part, left)))
        if left <= 0:
            # Rows came in between the two looks: the part ends here or nearly so.
            last = session.row(last_key(table, work.key.name, work.key_columns, part))
            return tuple(str(text) for text in last) if last else None
    return None


def rows_of_next(expected: int, ranged: int, workers: int) -> int:
    """How many rows the next range has, of a table in which so many of those expected lie in ranges already."""
    smallest = max(FEWEST_ROWS, expected // (workers * SMALLEST_PARTS))
    return min(MOST_ROWS, max(smallest, (expected - ranged) // (workers + 1)))


class Ranges:
    """Hands ranges to workers; makes the next one when it is asked for one and all known ones are taken."""

    def __init__(self, work: Work, session: Session) -> None:
        self._work = work
        self._lock = threading.Lock()
        step = work.journal.step(session, work.step_id)
        known = work.journal.ranges(session, work.step_id)
        self._waiting = [r.no for r in known if not r.copied]
        self._last: RangeRow | None = known[-1] if known else None
        self._key_max = step.key_max
        self._complete = step.ranges_complete
        self._expected = step.rows_expected
        self._ranged = sum(r.rows_copied for r in known)
        """So many rows lie in ranges already, as far as anybody knows."""
        self.done = sum(1 for r in known if r.copied)
        self.rows_done = sum(r.rows_copied for r in known)
        self.copied_here = 0

    @property
    def known(self) -> int:
        """How many ranges there are so far."""
        return self._last.no + 1 if self._last else 0

    def take(self, session: Session) -> int | None:
        """The number of a range that nobody works on, or None if all are taken or done."""
        with self._lock:
            if self._waiting:
                return self._waiting.pop(0)
            return None if self._complete or self._key_max is None else self._make(session, self._key_max)

    def count(self, rows: int, *, finished: bool) -> int:
        """Count copied rows; gives all of the step so far."""
        with self._lock:
            self.rows_done += rows
            self.copied_here += rows
            self.done += finished
            return self.rows_done

    def _make(self, session: Session, key_max: Bound) -> int:
        work, low = self._work, self._last.high if self._last else None
        rows = rows_of_next(self._expected, self._ranged, work.limits.workers)
        self._ranged += rows
        high = step_forward(session, work, work.table.name, low, key_max, rows)
        last = high is None or high == key_max
        no = self.known
        made = RangeRow(no, low, key_max if high is None else high)

        def note(inner: Session) -> None:
            if not work.journal.has_range(inner, work.step_id, no):
                work.journal.add_range(inner, work.step_id, no, made.low, made.high)
            if last:
                work.journal.set_step(inner, work.step_id, ranges_complete=1)

        session.transaction(note)
        self._last, self._complete = made, last
        return no
