"""A bug of InnoDB that tables are refused for (`spatial-key`): three statements of an application end the server."""

from __future__ import annotations

from contextlib import closing

import pymysql
import pytest

from migrator.inventory import read_tables
from migrator.model import TableName
from tests.server.test_planner_facts import cursor, session
from tests.servers import start
from tests.unit.builders import findings

SMALL = ["--innodb-buffer-pool-size=64M"]
LINK_LOST = 2013


@pytest.mark.parametrize(
    ("key", "old", "new"),
    [
        ("VARCHAR(9)", "a", "ä"),
        ("VARCHAR(9) COLLATE utf8mb4_bin", "a", "a "),
        ("CHAR(4) COLLATE utf8mb4_general_ci", "aaaa", "ääää"),
    ],
)
def test_a_rollback_ends_the_server(key: str, old: str, new: str) -> None:
    """A key replaced by an equal one of another length, rolled back, in a table with a SPATIAL index. No migration is
    there; the planner refuses the table. If this fails since the server lives: it is mended, and the check can go."""
    with start(options=SMALL, name="abort") as server:
        with cursor(server) as on:
            on.execute("CREATE DATABASE shop")
            on.execute(f"CREATE TABLE shop.t (k {key} PRIMARY KEY, g POINT NOT NULL SRID 4326, SPATIAL KEY place (g))")
            on.execute("INSERT INTO shop.t VALUES (%s, ST_SRID(POINT(1, 2), 4326))", (old,))
        with session(server) as reading:
            (table,) = read_tables(reading, [TableName("shop", "t")])
        assert findings(table)["spatial-key"].blocks
        with closing(server.connect(autocommit=False)) as connection, connection.cursor() as on:
            assert on.execute("UPDATE shop.t SET k = %s", (new,)) == 1
            with pytest.raises(pymysql.err.OperationalError) as raised:
                connection.rollback()
        assert raised.value.args[0] == LINK_LOST
        assert server.folder is not None
        assert "Error (Failed, retry may succeed) in rollback" in (server.folder / "error.log").read_text()


def test_without_either_the_server_lives() -> None:
    """The same without a SPATIAL index, with a length that stays, and where only the same bytes are equal: the
    planner takes the first and the last, and refuses the second, whose other values could differ in length."""
    place = "g POINT NOT NULL SRID 4326, SPATIAL KEY place (g)"
    tables = {
        "plain": ("k VARCHAR(9) PRIMARY KEY, g POINT NOT NULL SRID 4326", "ä", False),
        "as_long": (f"k VARCHAR(9) PRIMARY KEY, {place}", "A", True),
        "bytes": (f"k VARCHAR(9) COLLATE utf8mb4_0900_bin PRIMARY KEY, {place}", "a ", False),
        "numbers": (f"n INT PRIMARY KEY DEFAULT 1, k VARCHAR(9), {place}", "ä", False),
    }
    with start(options=SMALL, name="abort") as server, cursor(server, autocommit=False) as on:
        on.execute("CREATE DATABASE shop")
        for name, (columns, new, refused) in tables.items():
            on.execute(f"CREATE TABLE shop.{name} ({columns})")
            on.execute(f"INSERT INTO shop.{name} (k, g) VALUES ('a', ST_SRID(POINT(1, 2), 4326))")
            on.execute("COMMIT")
            assert on.execute(f"UPDATE shop.{name} SET k = %s", (new,)) == 1, name
            on.execute("ROLLBACK")
            on.execute(f"SELECT k FROM shop.{name}")
            assert on.fetchone() == ("a",), name
            with session(server) as reading:
                (table,) = read_tables(reading, [TableName("shop", name)])
            assert ("spatial-key" in findings(table)) == refused, name
