"""Sessions that stand in the way of DDL: who, for how long, why; their statements never with a value.

What our account may not look for is reported as a blocker with reason 'unknown', so that silence means
that nobody is in the way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from migrator.db import Session
from migrator.errors import Failed
from migrator.inventory.ask import DENIED, ask
from migrator.inventory.flavour import version_of
from migrator.inventory.statements import with_statements
from migrator.inventory.transactions import Transaction, read_transactions
from migrator.inventory.versions import Statements, statements
from migrator.model import Blocker, TableName
from migrator.sql_errors import SqlError

UNKNOWN: Final = "unknown"
"""Reason of a blocker that stands for blockers which cannot be looked for."""

IDLE_SECONDS: Final = 5
"""An open transaction is reported if its session has been idle for so long."""

LONG_SECONDS: Final = 60
"""An open transaction is reported at this age, busy or not."""


@dataclass(frozen=True, slots=True)
class Process:
    """A session, as the process list has it."""

    user: str
    command: str
    seconds: int


def read_blockers(
    session: Session,
    tables: Collection[TableName] = (),
    *,
    ours: Collection[int] = (),
    idle_seconds: int = IDLE_SECONDS,
    long_seconds: int = LONG_SECONDS,
) -> tuple[Blocker, ...]:
    """Backup locks, a running clone, prepared XA, idle and long transactions, metadata locks on `tables`.

    A table without a name stands for all of its schema. `ours` are sessions that do not count, besides this one, which
    must not be under LOCK TABLES. Takes no lock; ten statements, and a second session for 0.1 s (`read_transactions`).
    Wants PROCESS, XA_RECOVER_ADMIN and SELECT on performance_schema. Raises `SqlError` if the link is lost.
    """
    mine = {session.id, *ours}
    version, performance_schema = session.row("SELECT VERSION(), @@GLOBAL.performance_schema") or ("", 0)
    words = statements(version_of(str(version)), performance_schema=bool(performance_schema), family=session.family)
    transactions, unread = _transactions(session)
    processes = _processes(session, words)
    ages = {t.session_id: t.seconds for t in transactions}
    found = (
        *unread,
        *_lock_blockers(session, tables, processes, ages),
        *_clone_blockers(session, processes),
        *_xa_blockers(session, transactions),
        *transaction_blockers(transactions, processes, idle_seconds=idle_seconds, long_seconds=long_seconds),
    )
    return with_statements(session, [blocker for blocker in found if blocker.session_id not in mine])


def _unknown(what: str, why: str) -> Blocker:
    return Blocker(0, "", 0, UNKNOWN, f"not readable: {what}: {why}")


# -- transactions -------------------------------------------------------------------------------------


def _transactions(session: Session) -> tuple[tuple[Transaction, ...], tuple[Blocker, ...]]:
    try:
        return read_transactions(session), ()
    except SqlError as error:
        if error.number not in DENIED:
            raise
        return (), (_unknown("open transactions", "PROCESS is missing"),)
    except Failed as error:
        return (), (_unknown("open transactions", error.message),)


def _processes(session: Session, words: Statements) -> dict[int, Process]:
    return {
        int(id): Process(user=str(user or ""), command=str(command or ""), seconds=max(0, int(seconds or 0)))
        for id, user, _, command, seconds in session.rows(words.processes)
    }


def transaction_blockers(
    transactions: Iterable[Transaction], processes: Mapping[int, Process], *, idle_seconds: int, long_seconds: int
) -> tuple[Blocker, ...]:
    """Transactions whose session sleeps, or that are old; each is reported once. Pure."""
    found = []
    for transaction in transactions:
        process = processes.get(transaction.session_id)
        if process is None:
            continue
        wrote = "has written" if transaction.has_written else "has only read"
        detail = f"open for {transaction.seconds} s, {wrote}"
        reason = ""
        if process.command == "Sleep" and process.seconds >= idle_seconds:
            reason, detail = "idle-transaction", f"{detail}, idle for {process.seconds} s"
        elif transaction.seconds >= long_seconds:
            reason = "long-transaction"
        if reason:
            found.append(Blocker(transaction.session_id, process.user, transaction.seconds, reason, detail))
    return tuple(found)


_XA_DENIED: Final = DENIED | {1401}


def _xa_blockers(session: Session, transactions: Iterable[Transaction]) -> tuple[Blocker, ...]:
    """Prepared XA transactions; the oldest age stands for all, since nothing says which is which."""
    alone = [t for t in transactions if t.session_id == 0]
    seconds = max((t.seconds for t in alone), default=0)
    prepared = ask(session, "XA RECOVER", denied=_XA_DENIED)
    if prepared is not None:
        detail = "prepared: XA RECOVER CONVERT XID names it, XA COMMIT or XA ROLLBACK ends it"
        return tuple(Blocker(0, "", seconds, "prepared-xa", f"format {row[0]}, {detail}") for row in prepared)
    detail = "a transaction without a session, so prepared by XA or being rolled back"
    found = [Blocker(0, "", t.seconds, "prepared-xa", f"{detail} ({t.state.lower()})") for t in alone]
    return (*found, _unknown("prepared XA transactions that still have their session", "XA_RECOVER_ADMIN is missing"))


# -- clone --------------------------------------------------------------------------------------------

_CLONE_PLUGIN: Final = (
    "SELECT 1 FROM information_schema.PLUGINS WHERE PLUGIN_TYPE = 'CLONE' AND PLUGIN_STATUS = 'ACTIVE'"
)
_CLONE: Final = (
    "SELECT PID, TIMESTAMPDIFF(SECOND, BEGIN_TIME, SYSDATE()) FROM performance_schema.clone_status"
    " WHERE STATE NOT IN ('Completed', 'Failed')"
)


def _clone_blockers(session: Session, processes: Mapping[int, Process]) -> tuple[Blocker, ...]:
    """A clone that this server makes or gives; the table exists only while the plugin does."""
    given = [
        Blocker(id, process.user, process.seconds, "clone", "gives a clone to another server")
        for id, process in processes.items()
        if process.command == "Clone"
    ]
    if not session.rows(_CLONE_PLUGIN):
        return tuple(given)
    made = ask(session, _CLONE)
    if made is None:
        return (*given, _unknown("a running clone", "SELECT on performance_schema.clone_status is missing"))
    return (*given, *(_cloning(int(id or 0), seconds, processes) for id, seconds in made))


def _cloning(id: int, seconds: object, processes: Mapping[int, Process]) -> Blocker:
    process = processes.get(id, Process("", "", 0))
    age = max(0, int(str(seconds))) if seconds is not None else process.seconds
    return Blocker(id, process.user, age, "clone", "makes a clone")


# -- locks --------------------------------------------------------------------------------------------

_SWITCH: Final = "SELECT ENABLED FROM performance_schema.setup_instruments WHERE NAME = 'wait/lock/metadata/sql/mdl'"
# DDL takes the backup lock and the global lock itself, as INTENTION_EXCLUSIVE: that is in nobody's way.
_LOCKS: Final = """
    SELECT m.OBJECT_TYPE, m.OBJECT_SCHEMA, m.OBJECT_NAME, m.LOCK_TYPE, m.LOCK_DURATION, t.PROCESSLIST_ID
    FROM performance_schema.metadata_locks m
    LEFT JOIN performance_schema.threads t ON t.THREAD_ID = m.OWNER_THREAD_ID
    WHERE m.LOCK_STATUS = 'GRANTED' AND (
        (m.OBJECT_TYPE LIKE 'BACKUP%%' OR m.OBJECT_TYPE = 'GLOBAL') AND m.LOCK_TYPE IN ('SHARED', 'EXCLUSIVE')
        {tables}
    )
"""
_ON_TABLES: Final = (
    "OR m.OBJECT_TYPE = 'TABLE' AND m.OBJECT_SCHEMA IN ({0}) AND ('' IN ({1}) OR m.OBJECT_NAME IN ({1}))"
)


def _lock_blockers(
    session: Session, tables: Collection[TableName], processes: Mapping[int, Process], ages: Mapping[int, int]
) -> tuple[Blocker, ...]:
    switch = ask(session, _SWITCH)
    if switch is None:
        why = "SELECT on performance_schema.setup_instruments, metadata_locks and threads is missing"
        return (_unknown("metadata locks and backup locks", why),)
    if [str(value) for (value,) in switch] != ["YES"]:
        why = "performance_schema or its instrument wait/lock/metadata/sql/mdl is off"
        return (_unknown("metadata locks and backup locks", why),)
    schemas, names = {t.schema for t in tables}, {t.name for t in tables}
    places = [", ".join(["%s"] * len(some)) for some in (schemas, names)]
    args = (*schemas, *names, *names)
    rows = ask(session, _LOCKS.format(tables=_ON_TABLES.format(*places) if tables else ""), args)
    if rows is None:
        why = "SELECT on performance_schema.metadata_locks and threads is missing"
        return (_unknown("metadata locks and backup locks", why),)
    held: dict[tuple[int, str, str], set[str]] = {}
    for kind, schema, name, lock, duration, id in rows:
        table = TableName(str(schema), str(name))
        if kind == "TABLE" and table not in tables and TableName(table.schema, "") not in tables:
            continue
        reason, what = ("metadata-lock", str(table)) if kind == "TABLE" else ("backup-lock", _instance_lock(str(kind)))
        held.setdefault((int(id or 0), reason, what), set()).add(f"{lock} {str(duration).lower()}")
    found = []
    for (id, reason, what), locks in sorted(held.items()):
        process = processes.get(id, Process("", "", 0))
        seconds = ages.get(id, process.seconds)
        found.append(Blocker(id, process.user, seconds, reason, f"{what}: {', '.join(sorted(locks))}"))
    return tuple(found)


def _instance_lock(kind: str) -> str:
    return "FLUSH TABLES WITH READ LOCK" if kind == "GLOBAL" else kind
