"""Transactions that are older than what is about to happen: wait them out, and name them."""

from __future__ import annotations

from typing import Final

from migrator.db import Session, SqlError
from migrator.engine.work import Work
from migrator.model import Blocker

LOOK_EVERY_SECONDS: Final = 0.15
"""INNODB_TRX is a cache that the server renews only after a tenth of a second without readers (seen; and in
its source, trx0i_s.cc): asked more often it never changes."""

TELL_EVERY_SECONDS: Final = 2.0

_NOT_IN_UTF8MB3: Final = 3854
"""INNODB_TRX cannot be read while any statement that runs holds a character of four bytes (seen on 9.7.4)."""


def wait_out_older(work: Work, reason: str) -> str:
    """Return '' when no transaction is open that was open when this began; after `swap_wait_seconds` who still is.

    A marker transaction of our own shows that the list was made after it began.
    """
    deadline = work.clock.monotonic() + work.limits.swap_wait_seconds
    began, told = work.clock.monotonic(), 0.0
    with work.open() as marker:
        marker.run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        marker.run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        older: set[tuple[int, str]] | None = None
        while True:
            work.checkpoint()
            now = _open_transactions(work.session)
            if now is not None and any(one[0] == marker.id for one in now):
                others = {one for one in now if one[0] != marker.id}
                older = others if older is None else older & others
                if not older:
                    break
            waited = work.clock.monotonic() - began
            if work.clock.monotonic() > deadline:
                marker.run("COMMIT")
                return ", ".join(f"session {b.session_id} ({b.user})" for b in _name(work, older)) or "unknown sessions"
            if waited - told > TELL_EVERY_SECONDS:
                told = waited
                work.waits(reason, waited, _name(work, older))
            work.clock.wait(work.stop, LOOK_EVERY_SECONDS)
        marker.run("COMMIT")
    return ""


def _open_transactions(session: Session) -> set[tuple[int, str]] | None:
    """Session and beginning of each; None if the server cannot say now.

    Not by trx_id: a transaction gets another one when it writes for the first time.
    """
    try:
        rows = session.rows("SELECT trx_mysql_thread_id, trx_started FROM information_schema.INNODB_TRX")
    except SqlError as error:
        if error.number == _NOT_IN_UTF8MB3:
            return None
        raise
    # Without a session it is a prepared one: it can be committed or rolled back, but read nothing any more.
    return {(int(thread), str(started)) for thread, started in rows if int(thread)}


def _name(work: Work, older: set[tuple[int, str]] | None) -> tuple[Blocker, ...]:
    ids = sorted(one[0] for one in older or ())
    if not ids:
        return ()
    rows = work.session.rows(
        "SELECT PROCESSLIST_ID, PROCESSLIST_USER, PROCESSLIST_TIME FROM performance_schema.threads"
        f" WHERE PROCESSLIST_ID IN ({', '.join(['%s'] * len(ids))})",
        ids,
    )
    return tuple(Blocker(int(i), str(user or ""), int(seconds or 0), "long-transaction") for i, user, seconds in rows)
