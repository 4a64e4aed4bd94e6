"""What the tests of topologies share: a source with its replica, what is promoted, and that all is equal on both."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from migrator.db import Session
from migrator.driver import Connect
from tests.server.engine.kit import Lab, name
from tests.servers import RunningServer, least_privileged, replica, start, until
from tests.servers.replication import status

SMALL_SERVER: Final = ("--innodb-buffer-pool-size=64M", "--innodb-redo-log-capacity=64M")

ROWS: Final = (
    "(id, a, b) WITH RECURSIVE r (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < {rows})"
    " SELECT i * 3, i, CONCAT('row ', i, REPEAT('x', 200)) FROM r"
)
TABLE: Final = "(id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, a INT, b VARCHAR(400), KEY a (a), KEY b (b(20)))"


@dataclass(slots=True)
class Pair:
    """A source with a replica, and a laboratory on each."""

    source: RunningServer
    replica: RunningServer
    lab: Lab

    @property
    def there(self) -> Lab:
        """The same schemas on the replica, by the account that has been replicated."""
        account = replace(self.lab.dba, server=self.replica)
        return Lab(self.replica, account, self.lab.schema, self.lab.ledger)

    def impatient(self) -> Session:
        """A session to the source that does not wait for a server that is gone."""
        to = self.source.server
        account = self.lab.dba
        connect = Connect(host=to.host, port=to.port, user=account.user, password=account.password)
        return Session(connect, patience_seconds=0.5)

    def promote(self) -> None:
        """Let the replica apply what it has received, forget its source, and take writes."""
        until(lambda: applied(self.replica), "the replica has applied its relay logs", seconds=60)
        self.replica.rows("STOP REPLICA")
        self.replica.rows("RESET REPLICA ALL")
        writable(self.replica)


def applied(server: RunningServer) -> bool:
    """True if a replica has applied all that it has received; AssertionError if it has stopped."""
    now = status(server)
    assert not now["Last_SQL_Errno"], now["Last_SQL_Error"]
    if now["Replica_SQL_Running"] != "Yes":
        return False
    if server.value("SELECT @@gtid_mode") == "ON":
        return bool(server.value("SELECT GTID_SUBSET(%s, @@gtid_executed)", now["Retrieved_Gtid_Set"]))
    ahead = (now["Source_Log_File"], now["Read_Source_Log_Pos"])
    return ahead == (now["Relay_Source_Log_File"], now["Exec_Source_Log_Pos"])


def writable(server: RunningServer) -> None:
    """Let a server take writes."""
    server.rows("SET GLOBAL super_read_only = OFF")
    server.rows("SET GLOBAL read_only = OFF")


@contextmanager
def laboratory(server: RunningServer) -> Iterator[Lab]:
    """A schema with a ledger and an account, on a server that is thrown away afterwards."""
    schema = f"t_{secrets.token_hex(6)}"
    with least_privileged(server) as account:
        with closing(server.connect()) as connection, connection.cursor() as cursor:
            for each in (schema, f"{schema}_ledger"):
                cursor.execute(f"CREATE DATABASE {each}")
        yield Lab(server, account, schema, f"{schema}_ledger")


@contextmanager
def pair(*, source: Sequence[str] = (), second: Sequence[str] = (), keyring: bool = True) -> Iterator[Pair]:
    """A source without a past, its replica, and a laboratory on the source."""
    with (
        start(options=[*SMALL_SERVER, *source], name="source") as first,
        laboratory(first) as lab,
        replica(first, keyring=keyring, options=[*SMALL_SERVER, *second]) as other,
    ):
        with_other_ids(other)
        yield Pair(first, other, lab)


def with_other_ids(server: RunningServer) -> None:
    """Let the ids of tables run ahead of the source's: on two fresh servers the same DDL gives the same ids."""
    alone(
        server,
        "CREATE DATABASE ahead",
        *(f"CREATE TABLE ahead.t{n} (id INT PRIMARY KEY)" for n in range(7)),
        "DROP DATABASE ahead",
    )


def alone(server: RunningServer, *statements: str) -> None:
    """Run statements on a replica that go into nobody's binlog."""
    server.rows("SET GLOBAL super_read_only = OFF")
    with closing(server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SET sql_log_bin = 0")
        for statement in statements:
            cursor.execute(statement)
    server.rows("SET GLOBAL super_read_only = ON")


def all_rows(server: RunningServer) -> dict[str, tuple[str, list[tuple[Any, ...]]]]:
    """Definition and every row of every table that is not the server's own; without what ids and clocks make differ."""
    found = {}
    for schema, table in server.rows(
        "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE'"
        " AND TABLE_SCHEMA NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')"
    ):
        full = f"{name(schema)}.{name(table)}"
        create = str(server.rows(f"SHOW CREATE TABLE {full.replace('%', '%%')}")[0][1])
        found[f"{schema}.{table}"] = (create, sorted(server.rows(f"SELECT * FROM {full.replace('%', '%%')}"), key=repr))
    return found


def assert_same_everywhere(one: RunningServer, *others: RunningServer) -> None:
    """Every table, its definition, every row and every trigger are the same on all servers."""
    wanted = all_rows(one)
    triggers = (
        "SELECT TRIGGER_SCHEMA, TRIGGER_NAME, ACTION_STATEMENT, DEFINER, SQL_MODE FROM information_schema.TRIGGERS"
    )
    mine = " WHERE TRIGGER_SCHEMA <> 'sys' ORDER BY 1, 2"
    for other in others:
        there = all_rows(other)
        assert wanted.keys() == there.keys()
        for table, content in wanted.items():
            assert content == there[table], f"{table} differs on {other!r}"
        assert one.rows(triggers + mine) == other.rows(triggers + mine)
