"""DDL statements that are at work: who, for how long; their statements never with a value."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from migrator.db import Session
from migrator.inventory.ask import ask
from migrator.inventory.statements import with_statements
from migrator.model import Blocker

# Every DDL statement holds the backup lock like this from its beginning to its end; DML does not (seen on 9.7.4).
_DDL: Final = """
    SELECT DISTINCT t.PROCESSLIST_ID, t.PROCESSLIST_USER, t.PROCESSLIST_TIME, t.NAME
    FROM performance_schema.metadata_locks m
    LEFT JOIN performance_schema.threads t ON t.THREAD_ID = m.OWNER_THREAD_ID
    WHERE m.OBJECT_TYPE = 'BACKUP LOCK' AND m.LOCK_TYPE = 'INTENTION_EXCLUSIVE' AND m.LOCK_STATUS = 'GRANTED'
"""


def read_ddl(session: Session, *, ours: Collection[int] = ()) -> tuple[Blocker, ...] | None:
    """Sessions that are at work on DDL, `ours` and this one left out; None if we may not see them.

    Where the instrument of metadata locks is off nothing is seen: `read_blockers` says so. Two statements, no locks.
    """
    rows = ask(session, _DDL)
    if rows is None:
        return None
    mine = {session.id, *ours}
    found = [
        Blocker(int(id or 0), str(user or ""), max(0, int(seconds or 0)), "ddl", "" if id else f"thread {name}")
        for id, user, seconds, name in rows
        if int(id or 0) not in mine
    ]
    return with_statements(session, found)
