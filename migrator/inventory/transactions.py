"""Open transactions, from a list that is proved to be fresh.

INNODB_TRX is a copy that the server renews only if nobody, in any session, has read it for 100 ms. Who
reads it more often than that, or shares the server with a monitor that does, never sees it change. So a
session of ours opens a transaction first, and the list counts only if that one is in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from migrator.db import Row, Session
from migrator.errors import Failed
from migrator.sql_errors import SqlError

_NOT_IN_UTF8MB3 = 3854
"""INNODB_TRX cannot be read while any statement that runs holds a character of four bytes (seen on 9.7.4)."""

_TRIES = 20
_TRANSACTIONS = """
    SELECT trx_id, trx_mysql_thread_id, trx_state, trx_started, trx_rows_modified
    FROM information_schema.INNODB_TRX
"""


@dataclass(frozen=True, slots=True)
class Transaction:
    """An InnoDB transaction. The same one has the same `id`, `session_id` and `started`."""

    id: str
    session_id: int
    """0 if it has no session: prepared by XA and left, or rolled back after a crash."""
    state: str
    """RUNNING, LOCK WAIT, ROLLING BACK or COMMITTING."""
    started: datetime
    """By the server's clock, in its own time zone; for comparing, not for showing."""
    seconds: int
    """Age."""
    has_written: bool


def read_transactions(session: Session) -> tuple[Transaction, ...]:
    """Every transaction that was open when this was called and still is; ours of this call left out.

    Needs PROCESS. Opens a second session for as long as it takes, usually 0.1 s, and holds a read view
    there meanwhile; locks nothing. Raises `SqlError` 1227 without PROCESS, `Failed` if somebody reads
    the list so often that it is never renewed, or if for two seconds it cannot be read at all.
    """
    with session.another("migrator witness") as witness:
        begin_witness(witness)
        for _ in range(_TRIES):
            found = read_if_fresh(session, witness.id)
            if found is not None:
                return found
            session.rows("SELECT SLEEP(0.11)")
    raise Failed(
        "the list of open transactions (information_schema.INNODB_TRX) is not renewed by the server",
        remedy="something reads it more often than every 100 ms: find it in the process list and slow it down",
    )


_NOBODY: Final = """
    SELECT (SELECT COUNT(*) FROM performance_schema.setup_consumers WHERE ENABLED = 'YES'
            AND NAME IN ('global_instrumentation', 'thread_instrumentation', 'events_transactions_current')) = 3
      AND (SELECT COUNT(*) FROM performance_schema.setup_instruments WHERE ENABLED = 'YES' AND NAME = 'transaction') = 1
      AND (SELECT VARIABLE_VALUE FROM performance_schema.global_status
            WHERE VARIABLE_NAME = 'Performance_schema_thread_instances_lost') = 0
      AND NOT EXISTS (SELECT 1 FROM performance_schema.threads AS t
            LEFT JOIN performance_schema.events_transactions_current AS e USING (THREAD_ID)
            WHERE COALESCE(t.PROCESSLIST_ID, 0) NOT IN ({ours})
            AND (e.STATE = 'ACTIVE' OR (t.INSTRUMENTED = 'NO' AND t.PROCESSLIST_ID IS NOT NULL)))
      AND NOT EXISTS (SELECT 1 FROM information_schema.INNODB_TRX
            WHERE trx_mysql_thread_id <> 0 AND trx_mysql_thread_id NOT IN ({ours}))
""".format(
    ours="SELECT PROCESSLIST_ID FROM performance_schema.session_connect_attrs"
    " WHERE ATTR_NAME = 'program_name' AND ATTR_VALUE = %s"
)


def nobody_is_in_a_transaction(session: Session, program_name: str) -> bool:
    """True if no session but those of that program name has a transaction open: then none is older than this moment.

    False says nothing: somebody may be in one, or the server is set so that it cannot tell. performance_schema is no
    copy, but sees only what it was told to look at, and since it was told; INNODB_TRX sees all, but perhaps late: what
    escapes one of them is in the other. One statement, no waiting, no locks.
    """
    try:
        return bool(session.value(_NOBODY, (program_name, program_name)))
    except SqlError as error:
        if error.number == _NOT_IN_UTF8MB3:
            return False
        raise


def begin_witness(session: Session) -> None:
    """Open the transaction that shows later that a list is younger than it. Holds a read view, locks nothing."""
    session.run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    session.run("START TRANSACTION WITH CONSISTENT SNAPSHOT")


def read_if_fresh(session: Session, witness: int) -> tuple[Transaction, ...] | None:
    """The list without the witness (the session of that number); None if it is older than that, or cannot be read now.

    Asked more often than every 100 ms it is never renewed.
    """
    found = _look(session)
    # A session's number is never used again, so an old copy of the list cannot have it.
    now = next((row[3] for row in found if int(row[1]) == witness), None)
    if now is None:
        return None
    return tuple(
        Transaction(
            id=str(id),
            session_id=int(session_id),
            state=str(state),
            started=started,
            seconds=max(0, int((now - started).total_seconds())),
            has_written=bool(rows_modified),
        )
        for id, session_id, state, started, rows_modified in found
        if int(session_id) != witness
    )


def _look(session: Session) -> list[Row]:
    """The list as the server has it; nothing if it cannot be read just now."""
    try:
        return session.rows(_TRANSACTIONS)
    except SqlError as error:
        if error.number == _NOT_IN_UTF8MB3:
            return []
        raise
