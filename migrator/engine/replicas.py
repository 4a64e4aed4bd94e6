"""Replicas while a run is at work: one that has stopped applying stops the run, before it falls behind for good.

A replica whose keyring was attested and is not there stops at the first encrypted table. On the source nothing of that
can be seen: the replica still receives. So whoever can be asked is asked, now and then, in a session that is closed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from migrator.clock import Clock
from migrator.db import Session
from migrator.engine.lease import Lease
from migrator.engine.members import address_of
from migrator.engine.work import beside
from migrator.errors import MigratorError, Stopped
from migrator.model import Member
from migrator.sql_errors import SqlError

EVERY_SECONDS: Final = 5.0

_KEYRING: Final = frozenset({3180, 3184, 3185, 3188})
"""What an applier stops with where there is no usable keyring (3185 was seen on 9.7.4)."""

_STOPPED: Final = """
    SELECT LAST_ERROR_NUMBER FROM performance_schema.replication_applier_status_by_worker
    WHERE SERVICE_STATE = 'OFF' AND LAST_ERROR_NUMBER <> 0
    UNION ALL
    SELECT LAST_ERROR_NUMBER FROM performance_schema.replication_applier_status_by_coordinator
    WHERE SERVICE_STATE = 'OFF' AND LAST_ERROR_NUMBER <> 0
    LIMIT 1
"""


@contextmanager
def watching_members(session: Session, lease: Lease, members: Sequence[Member], clock: Clock) -> Iterator[None]:
    """While the body runs, ask the members now and then; one that has stopped with an error ends the run (75).

    Locks nothing. Who does not answer is passed over: there may be no account of ours.
    """
    if not members:
        yield
        return
    with beside("members", lambda over: _watch(session, lease, members, clock, over)):
        yield


def _watch(session: Session, lease: Lease, members: Sequence[Member], clock: Clock, over: threading.Event) -> None:
    while not clock.wait(over, EVERY_SECONDS):
        for member in members:
            if over.is_set():
                return
            number = stopped_with(session, member)
            if number:
                lease.end(_stopped(member, number))
                return


def stopped_with(session: Session, member: Member) -> int:
    """The error with which a member has stopped applying; 0 if it has not, or if it cannot be asked."""
    at = address_of(member)
    if at is None:
        return 0
    try:
        with session.elsewhere(*at, server_uuid=member.server_uuid) as there:
            return int(there.value(_STOPPED) or 0)
    except (MigratorError, SqlError):
        return 0


def _stopped(member: Member, number: int) -> Stopped:
    what = (
        "give it a usable keyring (mysqld.my), then" if number in _KEYRING else "mend it there (SHOW REPLICA STATUS),"
    )
    return Stopped(
        f"{member.kind} {member.name} has stopped applying changes with error {number}; nothing more is done until it"
        " goes on",
        remedy=f"{what} START REPLICA, and apply again; or take it out of replication",
    )
