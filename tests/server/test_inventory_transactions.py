"""Open transactions: the quick answer is yes only where nobody has one, however the server is set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from migrator.db import Session
from migrator.driver import Connect
from migrator.inventory.transactions import nobody_is_in_a_transaction
from tests.servers import Account, RunningServer, least_privileged, start, until

if TYPE_CHECKING:
    from tests.servers.running import Connection

PROGRAM = "migrator test"


@pytest.fixture(scope="module")
def alone() -> Iterator[RunningServer]:
    """A server that nobody else uses."""
    with start(name="transactions") as server:
        yield server


@pytest.fixture
def dba(alone: RunningServer) -> Iterator[Account]:
    """The account that migrates."""
    with least_privileged(alone) as account:
        yield account


def looking(dba: Account) -> Session:
    """A session of the run that asks."""
    at = dba.server.server
    return Session(Connect(host=at.host, port=at.port, user=dba.user, password=dba.password), purpose=PROGRAM)


@contextmanager
def somebody(server: RunningServer) -> Iterator[Connection]:
    """Another session, with a table of its own to use."""
    with closing(server.connect(autocommit=True)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE IF NOT EXISTS t_open")
        cursor.execute("CREATE TABLE IF NOT EXISTS t_open.t (id INT PRIMARY KEY)")
        cursor.execute("INSERT IGNORE INTO t_open.t VALUES (1)")
        yield connection


def statements(*texts: str) -> Callable[[Connection], None]:
    """Runs these."""

    def run(connection: Connection) -> None:
        with connection.cursor() as cursor:
            for text in texts:
                cursor.execute(text)

    return run


OPEN = {
    "a snapshot": ("START TRANSACTION WITH CONSISTENT SNAPSHOT",),
    "a read only snapshot": ("START TRANSACTION READ ONLY, WITH CONSISTENT SNAPSHOT",),
    "begun, and nothing read yet": ("BEGIN",),
    "a row read": ("BEGIN", "SELECT * FROM t_open.t"),
    "without autocommit": ("SET autocommit = 0", "SELECT * FROM t_open.t"),
    "a row written": ("BEGIN", "INSERT INTO t_open.t VALUES (2)"),
    "XA": ("XA START 'x'", "SELECT * FROM t_open.t"),
    "after a savepoint": ("BEGIN", "SELECT * FROM t_open.t", "SAVEPOINT s", "ROLLBACK TO s"),
    "read uncommitted": ("SET SESSION transaction_isolation = 'READ-UNCOMMITTED'", "BEGIN", "SELECT * FROM t_open.t"),
}


@pytest.mark.parametrize("doing", OPEN)
def test_a_session_in_a_transaction_is_seen(alone: RunningServer, dba: Account, doing: str) -> None:
    """However it was begun, and whatever was done in it; and when it has ended, nobody is seen."""
    with somebody(alone) as other, closing(looking(dba)) as session:
        until(lambda: nobody_is_in_a_transaction(session, PROGRAM), "nobody is in a transaction")
        statements(*OPEN[doing])(other)
        assert not nobody_is_in_a_transaction(session, PROGRAM)
    with closing(looking(dba)) as session:
        until(lambda: nobody_is_in_a_transaction(session, PROGRAM), "nobody is in a transaction any more")


def test_a_statement_without_a_transaction_is_one(alone: RunningServer, dba: Account) -> None:
    """A long SELECT under autocommit reads from its snapshot until it ends."""
    with somebody(alone) as other, closing(looking(dba)) as session, other.cursor() as cursor:
        until(lambda: nobody_is_in_a_transaction(session, PROGRAM), "nobody is in a transaction")
        other._execute_command(3, "SELECT SLEEP(5) FROM t_open.t")  # type: ignore[attr-defined]  # sent, not waited for
        until(lambda: not nobody_is_in_a_transaction(session, PROGRAM), "the statement is seen")
        with closing(alone.connect()) as root, root.cursor() as killer:
            killer.execute(f"KILL {other.thread_id()}")
        del cursor


def test_our_own_sessions_do_not_count(alone: RunningServer, dba: Account) -> None:
    """What this run has open, by its program name, is no reader of what it is about to swap; another run's is."""
    with closing(looking(dba)) as session, closing(session.another(PROGRAM)) as ours:
        ours.run("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        assert nobody_is_in_a_transaction(session, PROGRAM)
        assert not nobody_is_in_a_transaction(session, "another run")


_CONSUMER = "UPDATE performance_schema.setup_consumers SET ENABLED = '{{}}' WHERE NAME = '{}'"

BLIND = {
    "the consumer": _CONSUMER.format("events_transactions_current"),
    "all consumers": _CONSUMER.format("global_instrumentation"),
    "of threads": _CONSUMER.format("thread_instrumentation"),
    "the instrument": "UPDATE performance_schema.setup_instruments SET ENABLED = '{}' WHERE NAME = 'transaction'",
}


@pytest.mark.parametrize("what", BLIND)
def test_a_server_that_does_not_look_says_nothing(alone: RunningServer, dba: Account, what: str) -> None:
    """Where the server is told not to watch transactions the answer is not that there are none."""
    with closing(alone.connect(autocommit=True)) as root, root.cursor() as cursor, closing(looking(dba)) as session:
        cursor.execute(BLIND[what].format("NO"))
        try:
            assert not nobody_is_in_a_transaction(session, PROGRAM)
        finally:
            cursor.execute(BLIND[what].format("YES"))


def test_a_session_that_is_not_watched(alone: RunningServer, dba: Account) -> None:
    """A thread that performance_schema leaves out could be in a transaction."""
    with somebody(alone) as other, closing(alone.connect(autocommit=True)) as root, closing(looking(dba)) as session:
        with root.cursor() as cursor:
            until(lambda: nobody_is_in_a_transaction(session, PROGRAM), "nobody is in a transaction")
            unwatch = "UPDATE performance_schema.threads SET INSTRUMENTED = 'NO' WHERE PROCESSLIST_ID = %s"
            cursor.execute(unwatch, (other.thread_id(),))
        assert not nobody_is_in_a_transaction(session, PROGRAM)


def test_a_transaction_that_began_before_the_server_looked(alone: RunningServer, dba: Account) -> None:
    """It is in InnoDB's own list, which may be late, but sees everybody."""
    with somebody(alone) as other, closing(alone.connect(autocommit=True)) as root, closing(looking(dba)) as session:
        with root.cursor() as cursor:
            cursor.execute(BLIND["the instrument"].format("NO"))
            try:
                statements("START TRANSACTION WITH CONSISTENT SNAPSHOT", "SELECT * FROM t_open.t")(other)
            finally:
                cursor.execute(BLIND["the instrument"].format("YES"))
            until(lambda: _in_list(alone, other), "InnoDB's list has it")
        assert not nobody_is_in_a_transaction(session, PROGRAM)


def _in_list(server: RunningServer, other: Connection) -> bool:
    with closing(server.connect()) as root, root.cursor() as cursor:
        cursor.execute("SELECT SLEEP(0.12)")
        cursor.execute(
            "SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id = %s", (other.thread_id(),)
        )
        return bool((cursor.fetchone() or (0,))[0])
