"""The number of workers follows the load: fewer while others are busy on the server, all of them when it is quiet."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
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


_OURS: Final = (
    "SELECT PROCESSLIST_ID FROM performance_schema.session_connect_attrs"
    " WHERE ATTR_NAME = 'program_name' AND ATTR_VALUE = %s"
)


def others_running(session: Session, purpose: str) -> int:
    """How many sessions but those of this run (by their program name) run a statement now. No locks.

    0 where the server does not keep program names: then nobody can tell, and workers stay as they are.
    Those that wait for a metadata lock are left out: they may wait for us, and fewer workers would not help them. A
    replica's appliers are, too: they seem to run a statement at all times.
    """
    return int(
        session.value(
            f"SELECT IF(CONNECTION_ID() NOT IN ({_OURS}), 0, COUNT(*))"
            " FROM performance_schema.threads WHERE TYPE = 'FOREGROUND'"
            " AND NAME NOT LIKE 'thread/sql/slave%%' AND NAME NOT LIKE 'thread/sql/replica%%'"
            " AND PROCESSLIST_COMMAND IN ('Query', 'Execute')"
            " AND COALESCE(PROCESSLIST_STATE, '') NOT LIKE 'Waiting for%%lock'"
            " AND COALESCE(PROCESSLIST_STATE, '') <> 'User lock'"
            f" AND PROCESSLIST_ID NOT IN ({_OURS})",
            (purpose, purpose),
        )
    )


@contextmanager
def adapting(sessions: Sessions, purpose: str, *, busy: int, listen: Listener, clock: Clock) -> Iterator[None]:
    """While the body runs, take a place away each half second in which others run more than `busy` statements, down to
    one, and give one back each half second in which they run less than half of that.

    A look every half second, by a session of its own; locks nothing. Without an answer the number stays as it is. A
    server that is busy when it begins is met with one worker.
    """
    slots, seen = sessions.slots, list[int]()

    def look(*, steep: bool = False) -> None:
        try:
            with sessions.borrow() as session:
                seen[:] = [*seen[1 - SMOOTHED_OVER :], others_running(session, purpose)]
        except (SqlError, MigratorError):
            return  # the run itself meets what is wrong, and says so
        mean, before = sum(seen) / len(seen), slots.now
        if mean > busy:
            slots.allow(1 if steep else before - 1)
        elif mean < busy / 2:
            slots.allow(before + 1)
        if slots.now != before:
            listen(Workers("", slots.now, slots.most, mean))

    def watch(over: threading.Event) -> None:
        while not clock.wait(over, LOOK_EVERY_SECONDS):
            look()

    look(steep=True)
    with beside("load", watch):
        yield
