"""The number of workers follows the load: few while others work on the server, all of them when it is quiet.

What others run at an instant says that they suffer, and by then they do. So where anybody is at work, a run begins
with one worker and tries more only after a time of calm, which doubles each time that more was too many.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from migrator.clock import Clock
from migrator.db import Session
from migrator.engine.sessions import Sessions
from migrator.engine.work import beside
from migrator.errors import MigratorError
from migrator.events import Listener, Workers
from migrator.sql_errors import SqlError

LOOK_EVERY_SECONDS: Final = 0.5
SMOOTHED_OVER: Final = 3
"""Looks whose mean counts: a single one can meet a burst."""

FIRST_CALM_SECONDS: Final = 8.0
SHORTEST_CALM_SECONDS: Final = 2.0
LONGEST_CALM_SECONDS: Final = 64.0
"""How long nobody may suffer before one worker more is tried."""

QUIET_LOOKS: Final = 2
"""So many in a row make a server quiet: some applications come in bursts."""

QUIET_SESSIONS: Final = 1
"""So many others may be at work on a quiet server: a heartbeat, somebody who monitors it."""


@dataclass(frozen=True, slots=True)
class Others:
    """What sessions but ours do."""

    running: int
    """So many run a statement at this instant."""
    at_work: int
    """So many run one, or have run one within the last half second."""


_OURS: Final = (
    "SELECT DISTINCT PROCESSLIST_ID FROM performance_schema.session_connect_attrs"
    " WHERE ATTR_NAME = 'program_name' AND ATTR_VALUE = %s"
)
_NOW: Final = (
    "SELECT MAX(TIMER_END) FROM performance_schema.events_statements_current"
    " WHERE THREAD_ID = (SELECT THREAD_ID FROM performance_schema.threads WHERE PROCESSLIST_ID = CONNECTION_ID())"
)
"""In picoseconds, by the clock of those events: a statement that has not ended ends now."""
_TIMED: Final = (
    "SELECT COUNT(*) = 3 FROM performance_schema.setup_consumers WHERE ENABLED = 'YES'"
    " AND NAME IN ('global_instrumentation', 'thread_instrumentation', 'events_statements_current')"
)
"""Where they are off, the list keeps what was true when they were turned off (seen on 9.7.4)."""
_HALF_A_SECOND: Final = 500_000_000_000


def look_at_others(session: Session, purpose: str) -> Others:
    """What sessions but those of this run (by their program name) do now. No locks.

    Nothing where the server does not keep program names: then nobody can tell, and workers stay as they are. Where it
    does not keep the times of statements, somebody counts as at work.
    Those that wait for a metadata lock are left out: they may wait for us, and fewer workers would not help them. A
    replica's appliers are, too: they seem to run a statement at all times.
    """
    # Each list is read once (DISTINCT and GROUP BY see to that), whatever the number of connections.
    known, timed, running, at_work = session.row(
        f"SELECT CONNECTION_ID() IN ({_OURS}), ({_TIMED}),"
        " COALESCE(SUM(t.PROCESSLIST_COMMAND <> 'Sleep'), 0), COUNT(*)"
        f" FROM performance_schema.threads t LEFT JOIN ({_OURS}) ours ON ours.PROCESSLIST_ID = t.PROCESSLIST_ID"
        " LEFT JOIN (SELECT THREAD_ID, MAX(TIMER_END) AS ended FROM performance_schema.events_statements_current"
        " GROUP BY THREAD_ID) last ON last.THREAD_ID = t.THREAD_ID"
        " WHERE t.TYPE = 'FOREGROUND' AND ours.PROCESSLIST_ID IS NULL"
        " AND t.NAME NOT LIKE 'thread/sql/slave%%' AND t.NAME NOT LIKE 'thread/sql/replica%%'"
        " AND (t.PROCESSLIST_COMMAND IN ('Query', 'Execute')"
        f" OR t.PROCESSLIST_COMMAND = 'Sleep' AND last.ended > ({_NOW}) - {_HALF_A_SECOND})"
        " AND COALESCE(t.PROCESSLIST_STATE, '') NOT LIKE 'Waiting for%%lock'"
        " AND COALESCE(t.PROCESSLIST_STATE, '') <> 'User lock'",
        (purpose, purpose),
    ) or (0, 0, 0, 0)
    if not known:
        return Others(0, 0)
    return Others(int(running), int(at_work) if timed else QUIET_SESSIONS + 1)


class Follower:
    """Decides how many places there are, look by look. Knows the time only as it is told."""

    def __init__(self, *, busy: float, most: int) -> None:
        self._busy, self.most = busy, most
        self._seen: list[int] = []
        self._calm_since = 0.0
        self._calm_seconds = FIRST_CALM_SECONDS
        self._last_try_held = False
        self._quiet_looks = 0

    @property
    def mean(self) -> float:
        """How many statements others ran at a time, in the last looks since the number was changed."""
        return sum(self._seen) / len(self._seen) if self._seen else 0.0

    def first(self, at: float, others: Others) -> int:
        """With how many to begin: one where others are at work."""
        self._calm_since = at
        return self.most if others.at_work <= QUIET_SESSIONS else 1

    def next(self, at: float, others: Others, now: int) -> int:
        """How many from now on, instead of `now`: half if others suffer, one more on a quiet server or after calm."""
        self._seen = [*self._seen[1 - SMOOTHED_OVER :], others.running]
        self._quiet_looks = self._quiet_looks + 1 if others.at_work <= QUIET_SESSIONS else 0
        enough = len(self._seen) > 1 or others.running > 2 * self._busy
        if self.mean > self._busy and enough:
            self._calm_since = at
            if now > 1:
                self._calm_seconds = min(2 * self._calm_seconds, LONGEST_CALM_SECONDS)
                self._last_try_held = False
            return max(1, now // 2)
        if self._quiet_looks >= QUIET_LOOKS:
            return min(now + 1, self.most)
        if now < self.most and self.mean < self._busy / 2 and at - self._calm_since >= self._calm_seconds:
            if self._last_try_held:
                self._calm_seconds = max(self._calm_seconds / 2, SHORTEST_CALM_SECONDS)
            self._calm_since, self._last_try_held = at, True
            return now + 1
        return now

    def changed(self) -> None:
        """What was seen before says nothing about so many."""
        self._seen.clear()


@contextmanager
def adapting(sessions: Sessions, purpose: str, *, busy: int, listen: Listener, clock: Clock) -> Iterator[None]:
    """While the body runs, follow the load with the places for work on rows: see `Follower`.

    A look every half second, by a session of its own; locks nothing. Without an answer the number stays as it is.
    """
    slots = sessions.slots
    follower = Follower(busy=busy, most=slots.most)

    def look(*, first: bool = False) -> None:
        try:
            with sessions.borrow() as session:
                others = look_at_others(session, purpose)
        except (SqlError, MigratorError):
            return  # the run itself meets what is wrong, and says so
        at, before, follower.most = clock.monotonic(), slots.now, slots.most
        slots.allow(follower.first(at, others) if first else follower.next(at, others, before))
        if slots.now != before:
            listen(Workers("", slots.now, slots.most, float(others.running) if first else follower.mean))
            follower.changed()

    def watch(over: threading.Event) -> None:
        while not clock.wait(over, LOOK_EVERY_SECONDS):
            look()

    look(first=True)
    with beside("load", watch):
        yield
