"""Tables of every kind on a real server, read into facts."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from migrator.db import Row, Session
from migrator.driver import Connect
from migrator.errors import Failed, MissingPrivilege
from migrator.inventory import SYSTEM_SCHEMAS, read_inventory, read_server, read_tables, show_create, unreadable
from migrator.model import Check, ForeignKey, KeyPart, Table, TableName, TablespaceKind
from migrator.sql.statement import Sql
from tests.servers import RunningServer, start, until

WEIRD = 'we`ird %s "näme"'
SETUP = """
CREATE DATABASE shop;
CREATE DATABASE `we``ird %s "näme"`;
CREATE DATABASE migrator;
CREATE DATABASE coded DEFAULT ENCRYPTION 'Y';
CREATE TABLE migrator.runs (id INT PRIMARY KEY);
USE shop;
CREATE TABLE plain (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20) NOT NULL) COMMENT 'x';
INSERT INTO plain (v) VALUES ('a'), ('b'), ('c');
CREATE TABLE columns_ (
    id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
    a INT,
    kept INT AS (a + 1) STORED,
    computed INT AS (a + 2) VIRTUAL,
    hidden INT INVISIBLE,
    u BINARY(16) DEFAULT (UUID_TO_BIN(UUID())),
    g GEOMETRY NOT NULL SRID 4326,
    e ENUM('a', 'it''s'),
    s VARCHAR(20) CHARSET latin1 COLLATE latin1_german2_ci,
    KEY functional ((a * 2), e DESC),
    UNIQUE KEY uniq (kept),
    KEY prefix (s(4)),
    KEY unseen (a) INVISIBLE,
    SPATIAL KEY place (g)
);
ANALYZE TABLE columns_ UPDATE HISTOGRAM ON a, e WITH 4 BUCKETS;
CREATE TABLE coded (id INT PRIMARY KEY, t TEXT, FULLTEXT (t)) ENCRYPTION='Y';
CREATE TABLE compressed (id INT PRIMARY KEY) ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=4;
CREATE TABLE partitioned (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 3;
CREATE TABLESPACE gts ADD DATAFILE 'gts.ibd';
CREATE TABLE general (id INT PRIMARY KEY) TABLESPACE gts;
SET GLOBAL innodb_file_per_table = OFF;
CREATE TABLE system_ (id INT PRIMARY KEY);
SET GLOBAL innodb_file_per_table = ON;
CREATE TABLE checks (
    id INT PRIMARY KEY, v INT CHECK (v > 0), CONSTRAINT checks_chk_x CHECK (v < 9), CONSTRAINT named CHECK (id > 0)
);
CREATE TABLE parent (id INT PRIMARY KEY);
CREATE TABLE `we``ird %s "näme"`.`we``ird %s "näme"` (
    id INT PRIMARY KEY, p INT,
    CONSTRAINT `fk/%s ä` FOREIGN KEY (p) REFERENCES shop.parent (id) ON DELETE CASCADE ON UPDATE SET NULL
);
CREATE TABLE self (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES self (id));
CREATE TRIGGER second BEFORE INSERT ON parent FOR EACH ROW SET @a = 'x%s';
CREATE TRIGGER first BEFORE INSERT ON parent FOR EACH ROW PRECEDES second SET @b = 2;
CREATE TABLE myisam_ (id INT) ENGINE=MyISAM;
CREATE TABLE csv_ (id INT NOT NULL) ENGINE=CSV;
CREATE TABLE memory_ (id INT) ENGINE=MEMORY;
CREATE VIEW view_ AS SELECT id FROM plain;
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    outside = tmp_path_factory.mktemp("outside")
    options = ["--innodb-buffer-pool-size=64M", f"--innodb-directories={outside}"]
    with start(options=options, name="tables") as running:
        run(running, *(s for s in SETUP.split(";\n") if s.strip()))
        run(running, f"CREATE TABLE shop.outside (id INT PRIMARY KEY) DATA DIRECTORY='{outside}'")
        yield running


def run(server: RunningServer, *statements: str) -> None:
    with closing(server.connect()) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def connect(server: RunningServer, user: str | None = None, password: str = "") -> Connect:
    to = server.server
    return Connect(host=to.host, port=to.port, user=user or to.user, password=password if user else to.password)


@pytest.fixture
def session(server: RunningServer) -> Iterator[Session]:
    with Session(connect(server)) as opened:
        yield opened


@pytest.fixture(scope="module")
def tables(server: RunningServer) -> dict[str, Table]:
    """Tables of `shop` by name; read once, and only read."""
    with Session(connect(server)) as session:
        found = read_inventory(session, wanted=lambda table: table.schema == "shop").tables
    return {table.name.name: table for table in found}


# -- which tables -------------------------------------------------------------------------------------


def test_every_base_table_is_accounted_for(server: RunningServer, session: Session) -> None:
    """All base tables of users, of every engine; no view, no table of the server's or the journal's."""
    rows = server.rows("SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE'")
    expected = {TableName(*row) for row in rows if row[0] not in SYSTEM_SCHEMAS | {"migrator"}}
    inventory = read_inventory(session)
    assert {table.name for table in inventory.tables} == expected
    assert TableName(WEIRD, WEIRD) in expected
    assert TableName("shop", "view_") not in expected
    assert [table.name for table in inventory.tables] == sorted(expected)


def test_another_journal_schema_is_left_out_instead(session: Session) -> None:
    """With the journal elsewhere a schema that is called migrator is a schema like others."""
    found = {table.name for table in read_inventory(session, journal_schema="shop").tables}
    assert TableName("migrator", "runs") in found
    assert not any(table.schema == "shop" for table in found)


def test_only_wanted_tables_are_read(session: Session) -> None:
    """The filter decides by schema and name; shared tablespaces stay, files of other tables do not."""
    inventory = read_inventory(session, wanted=lambda table: table.name == "plain")
    assert [str(table.name) for table in inventory.tables] == ["shop.plain"]
    kinds = {tablespace.name: tablespace.kind for tablespace in inventory.tablespaces}
    own = [name for name, kind in kinds.items() if kind is TablespaceKind.FILE_PER_TABLE]
    assert own == ["shop/plain"]
    assert {"innodb_system", "mysql", "gts", "innodb_temporary", "innodb_undo_001"} <= set(kinds)


def test_a_table_that_does_not_exist_is_left_out(session: Session) -> None:
    """Asking for a missing table, a view and a table of the server's gives nothing."""
    names = [TableName("shop", "missing"), TableName("shop", "view_"), TableName("mysql", "user")]
    assert read_tables(session, names) == ()


def test_schemas_tell_how_their_tables_are_born(session: Session) -> None:
    """DEFAULT ENCRYPTION of each schema of users; the server's and the journal's are left out."""
    found = {schema.name: schema.default_encryption for schema in read_inventory(session).schemas}
    assert found == {"shop": False, WEIRD: False, "coded": True}


class Counting(Session):
    """A session that counts what it is asked."""

    statements = 0

    def _execute(self, statement: str | Sql, args: Sequence[object] = ()) -> tuple[int, list[Row], int]:
        self.statements += 1
        return super()._execute(statement, args)


def test_the_number_of_statements_does_not_grow_with_the_tables(server: RunningServer) -> None:
    """Three tables and sixty cost the same number of statements, whole inventory or named tables."""

    def asked(names: Collection[TableName]) -> tuple[int, int]:
        with closing(Counting(connect(server))) as session:
            session.statements = 0
            assert len(read_tables(session, names)) == len(names)
            named, session.statements = session.statements, 0
            assert len(read_inventory(session, wanted=lambda t: t.schema == "many").tables) == len(names)
            return named, session.statements

    run(server, "CREATE DATABASE many")
    try:
        create = "CREATE TABLE many.t{} (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES many.t0 (id))"
        run(server, *(create.format(number) for number in range(3)))
        few = asked([TableName("many", f"t{number}") for number in range(3)])
        run(server, *(create.format(number) for number in range(3, 60)))
        many = asked([TableName("many", f"t{number}") for number in range(60)])
    finally:
        run(server, "DROP DATABASE many")
    assert few == many
    assert few[0] <= 17


# -- facts of one table -------------------------------------------------------------------------------


def test_sizes_and_options(tables: dict[str, Table], server: RunningServer) -> None:
    """Engine, rows, bytes, format and options are those of information_schema.TABLES."""
    for name, table in tables.items():
        row = server.rows(
            "SELECT /*+ SET_VAR(information_schema_stats_expiry = 0) */ ENGINE, DATA_LENGTH, INDEX_LENGTH, ROW_FORMAT,"
            " CREATE_OPTIONS FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'shop' AND TABLE_NAME = %s",
            name,
        )[0]
        assert (table.engine, table.data_bytes, table.index_bytes, table.row_format, table.create_options) == row
    assert tables["plain"].rows == 3
    assert tables["compressed"].create_options == "row_format=COMPRESSED KEY_BLOCK_SIZE=4"
    assert {tables[name].engine for name in ("myisam_", "csv_", "memory_")} == {"MyISAM", "CSV", "MEMORY"}
    assert tables["plain"].create_time.startswith("20")


def test_columns(tables: dict[str, Table]) -> None:
    """Types, generated, invisible and AUTO_INCREMENT columns, character sets and SRIDs."""
    columns = {column.name: column for column in tables["columns_"].columns}
    assert list(columns) == ["id", "a", "kept", "computed", "hidden", "u", "g", "e", "s"]
    assert {name: column.generated for name, column in columns.items() if column.generated} == {
        "kept": "STORED",
        "computed": "VIRTUAL",
    }
    assert {name: column.expression for name, column in columns.items() if column.expression} == {
        "kept": "(`a` + 1)",
        "computed": "(`a` + 2)",
    }
    assert [name for name, column in columns.items() if column.invisible] == ["hidden"]
    assert (columns["id"].type, columns["id"].data_type, columns["id"].nullable) == ("bigint unsigned", "bigint", False)
    assert (columns["e"].type, columns["e"].charset) == ("enum('a','it''s')", "utf8mb4")
    assert (columns["s"].charset, columns["s"].collation) == ("latin1", "latin1_german2_ci")
    assert (columns["g"].srid, columns["a"].srid, columns["a"].charset) == (4326, None, None)
    assert [c.auto_increment for c in tables["plain"].columns] == [True, False]
    assert columns["a"].nullable


def test_keys(tables: dict[str, Table]) -> None:
    """Parts in order, prefixes, expressions, descending parts, invisible and spatial keys."""
    keys = {key.name: key for key in tables["columns_"].keys}
    assert keys["PRIMARY"].parts == (KeyPart("id"),) and keys["PRIMARY"].unique
    assert keys["functional"].parts == (KeyPart(None, expression="(`a` * 2)"), KeyPart("e", descending=True))
    assert keys["prefix"].parts == (KeyPart("s", prefix=4),)
    assert keys["uniq"].unique and not keys["prefix"].unique
    assert [name for name, key in keys.items() if not key.visible] == ["unseen"]
    assert (keys["place"].type, keys["place"].parts) == ("SPATIAL", (KeyPart("g"),))
    assert {key.name: key.type for key in tables["coded"].keys} == {"PRIMARY": "BTREE", "t": "FULLTEXT"}
    assert tables["myisam_"].keys == ()


def test_where_the_rows_lie(tables: dict[str, Table]) -> None:
    """File-per-table, general and system tablespace, DATA DIRECTORY, partitions, engines without segments."""
    kinds = {name: table.tablespace_kind for name, table in tables.items()}
    assert kinds["plain"] == kinds["compressed"] == TablespaceKind.FILE_PER_TABLE
    assert kinds["general"] is TablespaceKind.GENERAL
    assert tables["general"].segments[0].tablespace == "gts"
    assert kinds["system_"] is TablespaceKind.SYSTEM
    assert kinds["myisam_"] is kinds["memory_"] is None
    assert [name for name, table in tables.items() if table.data_directory] == ["outside"]
    assert tables["partitioned"].partitions == ("p0", "p1", "p2")
    assert [segment.partition for segment in tables["partitioned"].segments] == ["p0", "p1", "p2"]
    assert tables["plain"].partition_method == "" and tables["partitioned"].partition_method == "HASH"


def test_what_is_encrypted(tables: dict[str, Table]) -> None:
    """The FULLTEXT table with ENCRYPTION='Y' and no other; its auxiliary tables are not tables."""
    assert [name for name, table in tables.items() if table.encrypted] == ["coded"]
    assert len(tables["coded"].segments) == 1


def test_encrypting_a_general_tablespace_shows_in_its_tables(server: RunningServer, session: Session) -> None:
    """The same table is in clear before and encrypted after ALTER TABLESPACE ... ENCRYPTION='Y'."""
    name = TableName("shop", "in_ts")
    run(server, "CREATE TABLESPACE ts ADD DATAFILE 'ts.ibd'", "CREATE TABLE shop.in_ts (id INT) TABLESPACE ts")
    try:
        before = read_tables(session, [name])[0].encrypted
        run(server, "ALTER TABLESPACE ts ENCRYPTION='Y'")
        inventory = read_inventory(session, wanted=lambda table: table == name)
    finally:
        run(server, "DROP TABLE shop.in_ts", "DROP TABLESPACE ts")
    assert (before, inventory.tables[0].encrypted) == (False, True)
    assert [(t.name, t.encrypted) for t in inventory.tablespaces if t.kind is TablespaceKind.GENERAL] == [
        ("gts", False),
        ("ts", True),
    ]


def test_foreign_keys_of_both_directions(session: Session, tables: dict[str, Table]) -> None:
    """The child has the key, the parent in another schema is told of it, with its rules and its name."""
    child = TableName(WEIRD, WEIRD)
    key = ForeignKey("fk/%s ä", child, TableName("shop", "parent"), on_delete="CASCADE", on_update="SET NULL")
    assert tables["parent"].referenced_by == (key,)
    assert tables["parent"].foreign_keys == ()
    assert read_tables(session, [child])[0].foreign_keys == (key,)
    me = TableName("shop", "self")
    assert tables["self"].foreign_keys == tables["self"].referenced_by == (ForeignKey("self_ibfk_1", me, me),)


def test_triggers_in_the_order_they_fire(tables: dict[str, Table]) -> None:
    """Definer, time and event, and a hash of the body instead of the body."""
    first, second = tables["parent"].triggers
    assert [first.name, second.name] == ["first", "second"]
    assert (second.timing, second.event, second.schema, second.table) == ("BEFORE", "INSERT", "shop", "parent")
    assert second.definer == "root@127.0.0.1"
    assert second.body_hash == hashlib.sha256(b"SET @a = 'x%s'").hexdigest()
    assert second.created.startswith("20")


def test_checks_and_their_names(tables: dict[str, Table]) -> None:
    """Only `<table>_chk_<number>` is a name that the server makes."""
    assert tables["checks"].checks == (
        Check("checks_chk_1", generated_name=True, expression="(`v` > 0)"),
        Check("checks_chk_x", generated_name=False, expression="(`v` < 9)"),
        Check("named", generated_name=False, expression="(`id` > 0)"),
    )


def test_histograms(tables: dict[str, Table]) -> None:
    """The columns that have one."""
    assert tables["columns_"].histograms == ("a", "e")
    assert tables["plain"].histograms == ()


def test_the_definition_is_the_servers(server: RunningServer, session: Session) -> None:
    """SHOW CREATE TABLE, word for word, whatever the name."""
    table = TableName(WEIRD, WEIRD)
    expected = server.rows('SHOW CREATE TABLE `we``ird %%s "näme"`.`we``ird %%s "näme"`')[0][1]
    assert show_create(session, table) == expected
    assert "fk/%s ä" in expected


def test_a_file_per_table_tablespace_has_the_size_of_its_file(server: RunningServer, session: Session) -> None:
    """file_bytes is what lies on disk."""
    inventory = read_inventory(session, wanted=lambda table: str(table) == "shop.plain")
    (space,) = (t for t in inventory.tablespaces if t.kind is TablespaceKind.FILE_PER_TABLE)
    datadir = server.server.datadir
    assert datadir is not None
    assert space.file_bytes == (Path(datadir) / "shop" / "plain.ibd").stat().st_size
    (system,) = (t for t in inventory.tablespaces if t.kind is TablespaceKind.SYSTEM)
    assert system.file_bytes == (Path(datadir) / "ibdata1").stat().st_size


# -- what our account may not see ---------------------------------------------------------------------


def account(server: RunningServer, *grants: str) -> Connect:
    """A new account with these grants and no other; `{}` stands for its name."""
    user = f"u{abs(hash(grants)) % 10**9}"
    run(server, f"DROP USER IF EXISTS {user}", f"CREATE USER {user} IDENTIFIED BY 'throwaway'")
    run(server, *(grant.format(user).replace("%", "%%") for grant in grants))
    return connect(server, user, "throwaway")


def test_process_and_select_are_enough_for_the_facts(server: RunningServer, tables: dict[str, Table]) -> None:
    """An account with PROCESS, SELECT and TRIGGER on the schema reads the same facts as root."""
    with Session(account(server, "GRANT PROCESS ON *.* TO {}", "GRANT SELECT, TRIGGER ON shop.* TO {}")) as session:
        found = read_tables(session, [table.name for table in tables.values()])
    assert {table.name.name: table for table in found} == tables


def test_without_trigger_nobody_can_tell_so_it_blocks(server: RunningServer) -> None:
    """Triggers are invisible without TRIGGER: the finding names the table and the GRANT."""
    name = TableName("shop", "parent")
    with Session(account(server, "GRANT PROCESS ON *.* TO {}", "GRANT SELECT ON shop.* TO {}")) as session:
        found = read_tables(session, [name])
        findings = unreadable(read_server(session), found)
    assert found[0].triggers == ()
    assert [(f.code, f.blocks) for f in findings if f.subject == "shop.parent"] == [("triggers-unreadable", True)]


def test_hidden_tables_are_not_forgotten(server: RunningServer, tables: dict[str, Table]) -> None:
    """InnoDB tables that information_schema hides from our account come without columns, with their segments."""
    with Session(
        account(server, "GRANT PROCESS ON *.* TO {}", 'GRANT SELECT ON `we``ird %s "näme"`.* TO {}')
    ) as session:
        inventory = read_inventory(session)
        assert not session.rows("SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'shop'")
    found = {table.name: table for table in inventory.tables}
    assert set(found) == {TableName(WEIRD, WEIRD), *(t.name for t in tables.values() if t.engine == "InnoDB")}
    coded, plain = found[TableName("shop", "coded")], found[TableName("shop", "plain")]
    assert (coded.columns, coded.rows, coded.encrypted) == ((), 0, True)
    assert (plain.engine, plain.columns, plain.encrypted) == ("InnoDB", (), False)
    assert len(found[TableName("shop", "partitioned")].segments) == 3
    findings = unreadable(inventory.server, inventory.tables)
    assert ("table-unreadable", "shop.plain", True) in {(f.code, f.subject, f.blocks) for f in findings}


def test_a_grant_on_columns_does_not_pass_for_the_table(server: RunningServer) -> None:
    """With SELECT on one column information_schema shows a part: we show no columns and no keys."""
    grants = ("GRANT PROCESS ON *.* TO {}", "GRANT SELECT (id) ON shop.plain TO {}")
    with Session(account(server, *grants)) as session:
        (found,) = read_tables(session, [TableName("shop", "plain")])
    assert (found.columns, found.keys, found.engine) == ((), (), "InnoDB")


def test_a_foreign_key_of_a_hidden_child_is_seen(server: RunningServer, tables: dict[str, Table]) -> None:
    """The parent knows of a child in a schema that our account has no privilege on."""
    with Session(account(server, "GRANT PROCESS ON *.* TO {}", "GRANT SELECT ON shop.* TO {}")) as session:
        assert not session.rows(
            "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA NOT IN ('shop', 'information_schema')"
            " AND TABLE_SCHEMA <> 'performance_schema'"
        )
        (parent,) = read_tables(session, [TableName("shop", "parent")])
    assert parent.referenced_by == tables["parent"].referenced_by


def test_without_process_the_error_names_it(server: RunningServer) -> None:
    """Nobody can tell what is encrypted then; the remedy is the GRANT for this account."""
    to = account(server, "GRANT SELECT ON *.* TO {}")
    with Session(to) as session, pytest.raises(MissingPrivilege) as error:
        read_tables(session, [TableName("shop", "plain")])
    assert error.value.remedy == f"GRANT PROCESS ON *.* TO '{to.user}'@'%'"


def test_a_definition_that_we_may_not_see_is_an_error(server: RunningServer) -> None:
    """SHOW CREATE TABLE without any privilege on the table."""
    to = account(server, "GRANT PROCESS ON *.* TO {}")
    with Session(to) as session, pytest.raises(MissingPrivilege) as error:
        show_create(session, TableName("shop", "plain"))
    assert error.value.remedy == f"GRANT SELECT ON `shop`.`plain` TO '{to.user}'@'%'"


# -- while others are at work -------------------------------------------------------------------------


def test_tables_in_use_are_read_without_waiting(server: RunningServer, session: Session) -> None:
    """LOCK TABLES ... WRITE by somebody else does not hold us up: the facts are all there."""
    with closing(server.connect()) as other, other.cursor() as cursor:
        cursor.execute("LOCK TABLES shop.plain WRITE")
        (found,) = read_tables(session, [TableName("shop", "plain")])
    assert (len(found.columns), len(found.segments), found.rows) == (2, 1, 3)


@pytest.mark.parametrize("released", [True, False])
def test_ddl_that_waits_holds_up_the_catalog_and_is_named(
    server: RunningServer, session: Session, *, released: bool
) -> None:
    """Nobody can read InnoDB's catalog behind waiting DDL: we try again, then say on which table it waits."""
    waiting = "SELECT COUNT(*) FROM performance_schema.metadata_locks WHERE LOCK_STATUS = 'PENDING'"
    with closing(server.connect()) as reader, closing(server.connect()) as writer, reader.cursor() as reads:
        reads.execute("BEGIN")
        reads.execute("SELECT * FROM shop.checks")
        end = threading.Timer(1.5, reader.rollback)
        ddl = threading.Thread(target=writer.query, args=("ALTER TABLE shop.checks COMMENT = 'x'",))
        ddl.start()
        try:
            until(lambda: server.value(waiting), "the DDL waits")
            if released:
                end.start()
                assert len(read_tables(session, [TableName("shop", "plain")])) == 1
            else:
                with pytest.raises(Failed, match=r"shop\.checks"):
                    read_tables(session, [TableName("shop", "plain")])
        finally:
            if released:
                end.join()
            else:
                reader.rollback()
            ddl.join()
