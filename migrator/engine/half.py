"""What a step was said to have left when half of its rows were copied: by that the bound of later ones is measured.

Noted once a step, and only where there is a second at least to be wrong about.
"""

from __future__ import annotations

import threading

from migrator.db import Session
from migrator.engine.journal import Journal
from migrator.engine.work import Work
from migrator.report.eta import Measured, Pace, time_of

_STEPS = 50
"""So many of the last steps say how fast this server is, and how far off what was said is."""


def read_measured(session: Session, journal: Journal) -> Measured:
    """What this server's own steps were: the last ones that were copied to their end. One statement, no locks."""
    rows = session.rows(
        "SELECT copy_seconds, worked_seconds, half_after_seconds, half_left_seconds"
        f" FROM `{journal.schema}`.steps WHERE kind = 'table' AND state IN ('swapped', 'done', 'rolled-back')"
        f" AND half_left_seconds > 0 ORDER BY id DESC LIMIT {_STEPS}"
    )
    paces = (Pace(*map(float, row)) for row in rows)
    return Measured(tuple(pace for pace in paces if pace.worked_seconds > pace.half_after_seconds))


class Half:
    """Watches one copy until it is half done. Used by several threads."""

    def __init__(self, work: Work) -> None:
        step = work.step()
        self._work = work
        self._expected = work.table.rows
        self._began = work.worked_seconds
        self._lock = threading.Lock()
        self._noted = step.half_left_seconds is not None or not self._expected
        self._worked_before = step.worked_seconds
        self._copied = 0

    def copied(self, session: Session, rows: int, total: int) -> None:
        """A chunk of so many rows is copied, `total` of the step so far: note it once half of them are."""
        with self._lock:
            self._copied += rows
            if self._noted or total < self._expected / 2:
                return
            self._noted = True
            copied = self._copied
        now = self._work.worked_seconds
        seconds = now - self._began
        if not copied or seconds <= 0:
            return
        left = time_of(self._expected, total, copied / seconds, read_measured(session, self._work.journal).tail)
        if left < 1:
            return
        worked = self._worked_before + now
        self._work.journal.set_step(session, self._work.step_id, half_after_seconds=worked, half_left_seconds=left)
