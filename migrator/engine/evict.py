"""Sessions that are in the way for too long, ended (KILL), where a person has asked for that; never by default.

Each is looked at anew right before, one after the other, and `planner.spared` says who is never ended. What cannot
be seen for certain is taken for a reason against it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from migrator.db import Session
from migrator.engine.work import Work
from migrator.events import Evicted
from migrator.inventory.ask import ask
from migrator.model import Blocker
from migrator.planner.spared import Suspect, why_spared
from migrator.sql_errors import SqlError

_GONE: Final = 1094
_DENIED: Final = frozenset({1095, 1227})

# All of it must be watched, and our own session must be found by its name, or nobody could be told from another.
_SEEN: Final = """
    SELECT (SELECT COUNT(*) FROM performance_schema.setup_consumers WHERE ENABLED = 'YES'
            AND NAME IN ('global_instrumentation', 'thread_instrumentation', 'events_transactions_current')) = 3
      AND (SELECT COUNT(*) FROM performance_schema.setup_instruments WHERE ENABLED = 'YES'
            AND NAME IN ('transaction', 'wait/lock/metadata/sql/mdl')) = 2
      AND EXISTS (SELECT 1 FROM performance_schema.session_connect_attrs
            WHERE PROCESSLIST_ID = CONNECTION_ID() AND ATTR_NAME = 'program_name' AND ATTR_VALUE = %s)
"""

_SUSPECT: Final = """
    SELECT t.NAME, t.PROCESSLIST_USER, t.PROCESSLIST_COMMAND, a.ATTR_VALUE,
        (SELECT GROUP_CONCAT(DISTINCT m.OBJECT_TYPE, ' ', m.LOCK_TYPE) FROM performance_schema.metadata_locks AS m
            WHERE m.OWNER_THREAD_ID = t.THREAD_ID AND m.LOCK_STATUS = 'GRANTED'),
        t.PROCESSLIST_COMMAND = 'Sleep' AND EXISTS (SELECT 1 FROM performance_schema.table_handles AS h
            WHERE h.OWNER_THREAD_ID = t.THREAD_ID AND h.EXTERNAL_LOCK IS NOT NULL),
        x.XA_STATE, IF(x.STATE = 'ACTIVE', x.TIMER_WAIT / 1e12, NULL)
    FROM performance_schema.threads AS t
    LEFT JOIN performance_schema.session_connect_attrs AS a
        ON a.PROCESSLIST_ID = t.PROCESSLIST_ID AND a.ATTR_NAME = 'program_name'
    LEFT JOIN performance_schema.events_transactions_current AS x ON x.THREAD_ID = t.THREAD_ID
    WHERE t.PROCESSLIST_ID = %s AND t.INSTRUMENTED = 'YES'
"""


def evict(work: Work, session: Session, blockers: Iterable[Blocker], waited: float) -> tuple[Blocker, ...]:
    """End the sessions among the blockers that may be ended, once it was waited for as long as the plan says.

    Gives the blockers with what became of each in its detail. `session` belongs to the run and is under no LOCK
    TABLES. A transaction that is ended is rolled back by the server, which can take a while. No locks.
    """
    after, found = work.limits.kill_blockers_after_seconds, tuple(blockers)
    if after is None or waited < after:
        return found
    if not ask(session, _SEEN, (work.lease.purpose,)) or not session.value(_SEEN, (work.lease.purpose,)):
        return tuple(_kept(one, "the server does not show enough of sessions") for one in found)
    return tuple(_one(work, session, one, waited, after) for one in found)


def _one(work: Work, session: Session, blocker: Blocker, waited: float, after: float) -> Blocker:
    if not blocker.session_id:
        return blocker
    work.check()
    suspect = _look(session, blocker.session_id)
    if suspect is None:
        return _kept(blocker, "it has gone, or is not watched")
    if why := why_spared(suspect, ours=work.lease.purpose, older_than_seconds=after):
        return _kept(blocker, why)
    try:
        session.run(f"KILL CONNECTION {blocker.session_id}")
    except SqlError as error:
        if error.number == _GONE:
            return _kept(blocker, "it has gone by itself")
        if error.number in _DENIED:
            return _kept(blocker, "the server does not let this account end it (CONNECTION_ADMIN, SYSTEM_USER)")
        raise
    work.listen(Evicted(work.subject, blocker, waited))
    return replace(blocker, detail=_with(blocker.detail, "was ended just now"))


def _kept(blocker: Blocker, why: str) -> Blocker:
    return replace(blocker, detail=_with(blocker.detail, f"is not ended: {why}"))


def _with(detail: str, more: str) -> str:
    return f"{detail}; {more}" if detail else more


def _look(session: Session, session_id: int) -> Suspect | None:
    row = session.row(_SUSPECT, (session_id,))
    if row is None:
        return None
    thread, user, command, program, locks, has_locked_tables, xa_state, seconds = row
    return Suspect(
        session_id=session_id,
        thread=str(thread),
        user=str(user or ""),
        command=str(command or ""),
        program=str(program or ""),
        locks=frozenset(str(locks).split(",")) if locks else frozenset(),
        has_locked_tables=bool(has_locked_tables),
        xa_state=str(xa_state or ""),
        transaction_seconds=None if seconds is None else float(seconds),
    )
