"""What is read of a MariaDB: its tables, whether they are encrypted, who it is and whom it follows."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from migrator.inventory import read_inventory, read_server, read_tables
from migrator.model import Family, Flavour, Table, TableName, TablespaceKind
from tests.server.mariadb.kit import Maria
from tests.servers import mariadb, until

SHAPES = {
    "simple": "(id INT PRIMARY KEY, v VARCHAR(40), KEY k (v DESC), UNIQUE u (v, id), KEY unused (id, v) IGNORED)",
    "computed": "(id INT PRIMARY KEY AUTO_INCREMENT, a INT, b INT AS (a + 1) STORED, c INT AS (a + 2) VIRTUAL,"
    " hidden INT INVISIBLE DEFAULT 1)",
    "checked": "(id INT PRIMARY KEY, a INT CHECK (a > 0), CONSTRAINT named CHECK (a < 9), CHECK (id <> 5))",
    "parted": "(id INT PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION low VALUES LESS THAN (5),"
    " PARTITION High VALUES LESS THAN MAXVALUE)",
    "words": "(id INT PRIMARY KEY, v TEXT, FULLTEXT (v))",
    "versioned": "(id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING",
    "no": "(id INT PRIMARY KEY) ENCRYPTED = NO",
    "yes": "(id INT PRIMARY KEY) ENCRYPTED = YES ENCRYPTION_KEY_ID = 2",
    "aria": "(id INT PRIMARY KEY) ENGINE = Aria",
    "child": "(id INT PRIMARY KEY, parent INT, CONSTRAINT of_simple FOREIGN KEY (parent) REFERENCES simple (id))",
    "wéird na/me": "(id INT PRIMARY KEY)",
}


@pytest.fixture
def tables(maria: Maria) -> dict[str, Table]:
    """One table of each shape, as they are read."""
    with closing(maria.server.connect(database=maria.schema)) as connection, connection.cursor() as cursor:
        for name, shape in SHAPES.items():
            cursor.execute(f"CREATE TABLE `{name}` {shape}")
        cursor.execute("CREATE SEQUENCE counting")
        cursor.execute("CREATE VIEW seen AS SELECT id FROM simple")
        cursor.execute("CREATE TRIGGER fires BEFORE INSERT ON simple FOR EACH ROW SET NEW.v = 'x'")
    names = [TableName(maria.schema, name) for name in (*SHAPES, "counting", "seen")]
    with maria.session() as session:
        return {table.name.name: table for table in read_tables(session, names)}


def test_every_table_is_read(tables: dict[str, Table]) -> None:
    """Also tables with system versioning and sequences, which the server does not call base tables; views are none."""
    assert set(tables) == {*SHAPES, "counting"}
    assert all(table.segments for name, table in tables.items() if name != "aria")
    assert tables["aria"].segments == ()


def test_columns_and_keys(tables: dict[str, Table]) -> None:
    """Computed and invisible columns, ignored indexes, conditions by name, partitions, keys, triggers."""
    computed = {column.name: column for column in tables["computed"].columns}
    assert [computed[name].generated for name in "abc"] == ["", "STORED", "VIRTUAL"]
    assert computed["hidden"].invisible
    assert not computed["a"].invisible
    assert computed["id"].auto_increment
    keys = {key.name: key for key in tables["simple"].keys}
    assert {name: key.visible for name, key in keys.items()} == {"PRIMARY": True, "k": True, "u": True, "unused": False}
    assert keys["u"].unique
    assert {check.name for check in tables["checked"].checks} == {"a", "named", "CONSTRAINT_1"}
    assert tables["parted"].partitions == ("low", "High")
    assert [segment.partition for segment in tables["parted"].segments] == ["low", "High"]
    assert [key.name for key in tables["child"].foreign_keys] == ["of_simple"]
    assert [key.name for key in tables["simple"].referenced_by] == ["of_simple"]
    assert [trigger.name for trigger in tables["simple"].triggers] == ["fires"]


def test_what_is_encrypted(tables: dict[str, Table]) -> None:
    """By the server's word on each tablespace: what was made with ENCRYPTED=YES, and nothing else."""
    assert {name for name, table in tables.items() if table.encrypted} == {"yes"}
    assert {segment.kind for table in tables.values() for segment in table.segments} == {TablespaceKind.FILE_PER_TABLE}


def test_the_server_itself(maria: Maria) -> None:
    """Who made it, its plugin, our rights, and an id that a restart does not change."""
    with maria.session() as session:
        assert session.family is Family.MARIADB
        server = read_server(session)
        inventory = read_inventory(session)
    assert server.flavour is Flavour.MARIADB
    assert server.version[:2] == tuple(map(int, maria.server.server.version.split(".")[:2]))
    assert (server.keyring.name, server.keyring.active) == ("file_key_management", True)
    assert server.privileges >= {"ALL"}
    assert not server.is_replica
    kinds = {space.kind for space in inventory.tablespaces}
    assert {TablespaceKind.SYSTEM, TablespaceKind.TEMPORARY} <= kinds
    # From 11.0 on undo has tablespaces of its own unless somebody says otherwise; before it lies in ibdata1.
    assert (TablespaceKind.UNDO in kinds) is server.at_least(11)
    assert sum(space.kind is TablespaceKind.SYSTEM for space in inventory.tablespaces) == 1
    maria.server.restart()
    with maria.session() as session:
        assert session.server_uuid == server.server_uuid


def test_an_account_with_a_role(maria: Maria) -> None:
    """The rights of the role that it begins with are its own; its password's hash is said to nobody."""
    user = maria.schema
    maria.run(
        f"CREATE ROLE r_{user}",
        f"GRANT SELECT, PROCESS ON *.* TO r_{user}",
        f"CREATE USER {user}@'%' IDENTIFIED BY 'secret word'",
        f"GRANT r_{user} TO {user}@'%'",
        f"SET DEFAULT ROLE r_{user} FOR {user}@'%'",
    )
    try:
        ran = maria.migrator("audit", options=maria.options(user, "secret word"))
        assert ran.code == 1, ran
        assert "PASSWORD" not in ran.out + ran.err
        assert "secret word" not in ran.out + ran.err
    finally:
        maria.run(f"DROP USER {user}@'%'", f"DROP ROLE r_{user}")


def test_a_replica_and_its_source(tmp_path: Path) -> None:
    """Each knows of the other; filters are read."""
    options = ["--log-slave-updates=ON", "--gtid-strict-mode=OFF"]
    with (
        mariadb.start("11.8", options=[*options, "--server-id=11"], name="source") as source,
        mariadb.start("11.8", options=[*options, "--server-id=12", "--replicate-ignore-db=junk"], name="copy") as copy,
    ):
        to = source.server
        with closing(source.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE USER rep@'%' IDENTIFIED BY 'r'")
            cursor.execute("GRANT REPLICATION SLAVE ON *.* TO rep@'%'")
        with closing(copy.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(
                f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={to.port}, MASTER_USER='rep',"
                " MASTER_PASSWORD='r', MASTER_SSL_VERIFY_SERVER_CERT=0, MASTER_USE_GTID=slave_pos"
            )
            cursor.execute("START SLAVE")
        until(
            lambda: bool(
                source.value("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%%'")
            ),
            "the replica is connected",
        )
        with Maria(source, "d", tmp_path).session() as session:
            asked = read_server(session)
        with Maria(copy, "d", tmp_path).session() as session:
            follows = read_server(session)
    assert not asked.is_replica
    assert [(member.kind, member.detail) for member in asked.members] == [("replica", "server_id 12")]
    assert follows.is_replica
    assert follows.replica_detail == f"follows 127.0.0.1:{to.port}"
    assert follows.replication_filters == ("replicate-ignore-db=junk",)
