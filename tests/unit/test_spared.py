"""Which sessions are never ended: every reason, each by itself, without a server."""

from __future__ import annotations

from dataclasses import replace

import pytest

from migrator.planner.spared import Suspect, why_spared

ORDINARY = Suspect(
    session_id=7,
    thread="thread/sql/one_connection",
    user="app",
    command="Sleep",
    program="shop",
    locks=frozenset({"TABLE SHARED_READ", "TABLE SHARED_WRITE", "GLOBAL INTENTION_EXCLUSIVE", "SCHEMA SHARED"}),
    has_locked_tables=False,
    xa_state="NOTXA",
    transaction_seconds=61.0,
)


def asked(suspect: Suspect) -> str:
    return why_spared(suspect, ours="migrator:abc", older_than_seconds=60)


def test_an_ordinary_client_may_be_ended() -> None:
    """In a transaction of that age, with the locks that statements take."""
    assert asked(ORDINARY) == ""


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"program": "migrator:abc"}, "migrator's"),
        ({"program": "migrator status"}, "migrator's"),
        ({"thread": "thread/sql/replica_worker"}, "replica_worker"),
        ({"thread": "thread/group_rpl/THD_applier_module_receiver"}, "no client's"),
        ({"thread": "thread/sql/event_scheduler"}, "event_scheduler"),
        ({"user": "system user"}, "the server's own"),
        ({"command": "Binlog Dump GTID"}, "Binlog Dump GTID"),
        ({"command": "Clone"}, "Clone"),
        ({"program": "mysqldump"}, "backup"),
        ({"locks": frozenset({"BACKUP LOCK SHARED"})}, "backup lock"),
        ({"locks": frozenset({"GLOBAL SHARED", "COMMIT SHARED"})}, "global read lock"),
        ({"locks": frozenset({"USER LEVEL LOCK EXCLUSIVE"})}, "GET_LOCK"),
        ({"locks": frozenset({"LOCKING SERVICE SHARED"})}, "GET_LOCK"),
        ({"locks": frozenset({"TABLE SHARED_READ_ONLY"})}, "LOCK TABLES"),
        ({"locks": frozenset({"TABLE SHARED_NO_READ_WRITE"})}, "LOCK TABLES"),
        ({"locks": frozenset({"TABLE SHARED_UPGRADABLE"})}, "changes a definition"),
        ({"has_locked_tables": True}, "LOCK TABLES"),
        ({"xa_state": "PREPARED"}, "XA"),
        ({"xa_state": "IDLE"}, "XA"),
        ({"transaction_seconds": None}, "no transaction"),
        ({"transaction_seconds": 59.9}, "younger"),
    ],
)
def test_who_is_never_ended(changes: dict[str, object], why: str) -> None:
    """Each reason is enough."""
    assert why in asked(replace(ORDINARY, **changes))  # type: ignore[arg-type]
