"""Which sessions are never ended, whatever they keep waiting: decided by what the server shows of one of them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PEOPLE: Final = frozenset({"thread/sql/one_connection", "thread/thread_pool/tp_one_connection"})
"""What serves a client. Replication, group replication, the event scheduler and the server's own have other names."""

SYSTEM_USERS: Final = frozenset(
    {"system user", "event_scheduler", "mysql.session", "mysql.sys", "mysql.infoschema", "unauthenticated user"}
)

NO_CLIENTS: Final = frozenset(
    {"Binlog Dump", "Binlog Dump GTID", "Clone", "Daemon", "Group Replication", "Register Slave"}
)
"""Commands of sessions that are no client's: replicas read the binary log by them, and clones are made."""

BACKUPS: Final = frozenset(
    {"mysqldump", "mysqlpump", "mydumper", "mysqlsh", "xtrabackup", "mysqlbackup", "mariadb-dump"}
)
"""Programs whose work would be lost, and nobody may notice until it is needed."""

OF_TRAFFIC: Final = frozenset(
    {"TABLE SHARED", "TABLE SHARED_HIGH_PRIO", "TABLE SHARED_READ", "TABLE SHARED_WRITE", "TABLE SHARED_WRITE_LOW_PRIO"}
)
"""Locks of tables that statements of the application take; any other is LOCK TABLES, or DDL that is at work."""

_HARMLESS: Final = "INTENTION_EXCLUSIVE"


@dataclass(frozen=True, slots=True)
class Suspect:
    """A session that is in the way, as it is right now."""

    session_id: int
    thread: str
    """What kind of thread the server runs it in."""
    user: str
    command: str
    program: str
    """What it calls itself."""
    locks: frozenset[str]
    """Kind of object and type of each metadata lock that it has (`TABLE SHARED_READ`)."""
    has_locked_tables: bool
    """It holds tables without running a statement or having a transaction."""
    xa_state: str
    transaction_seconds: float | None
    """The age of the transaction that it is in; None if it is in none."""


def why_spared(suspect: Suspect, *, ours: str, older_than_seconds: float) -> str:
    """Why this session must not be ended, or '' if it may be: an ordinary client's, in a transaction of that age.

    `ours` is the program name of the run's own sessions.
    """
    kinds = {lock.partition(" ")[0] for lock in suspect.locks if not lock.endswith(_HARMLESS)}
    tables = {lock for lock in suspect.locks if lock.startswith("TABLE ") and not lock.endswith(_HARMLESS)}
    reasons = (
        (suspect.program == ours or suspect.program.startswith("migrator"), "it is one of migrator's"),
        (suspect.thread not in PEOPLE, f"it is no client's ({suspect.thread.rpartition('/')[2]})"),
        (suspect.user in SYSTEM_USERS, "it is the server's own"),
        (suspect.command in NO_CLIENTS, f"it is a replica's, a clone's or the server's own ({suspect.command})"),
        (suspect.program in BACKUPS, f"it is a backup ({suspect.program})"),
        (bool({"BACKUP", "GLOBAL", "COMMIT"} & kinds), "it holds a backup lock or a global read lock"),
        ("USER" in kinds or "LOCKING" in kinds, "it holds a user lock (GET_LOCK)"),
        (suspect.has_locked_tables or not tables <= OF_TRAFFIC, "it holds LOCK TABLES, or changes a definition"),
        (suspect.xa_state in {"IDLE", "PREPARED"}, "its XA transaction is at its end or prepared"),
        (suspect.transaction_seconds is None, "it is in no transaction any more"),
        ((suspect.transaction_seconds or 0) < older_than_seconds, "its transaction is younger than that"),
    )
    return next((why for holds, why in reasons if holds), "")
