"""What the planner takes for granted about servers, shown on one: each check rests on a fact below."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pymysql
import pytest

from migrator.db import Session
from migrator.driver import Connect
from migrator.inventory import read_inventory, read_server, read_tables
from migrator.model import Method, Table, TableName
from migrator.planner.around import look_around
from migrator.planner.checks import examine
from migrator.planner.keys import usable_key
from migrator.planner.make import make_plan
from migrator.planner.methods import choose
from migrator.planner.privileges import RIGHTS, Level, Need, grants, missing
from migrator.sql.names import qualified, quote
from tests.servers import RunningServer
from tests.unit.builders import ALL_SCHEMA, SMALL_DIRECTLY, a_server

CHECK_DICTIONARY, NAME_TOO_LONG, NO_SUCH_KEY, PLAIN_TABLESPACE, DENIED_BY_DEFAULT = 3507, 1059, 1176, 3825, 3826


@contextmanager
def cursor(server: RunningServer, **options: Any) -> Iterator[Any]:
    with closing(server.connect(**options)) as connection, connection.cursor() as found:
        yield found


@contextmanager
def session(server: RunningServer, user: str | None = None, password: str | None = None) -> Iterator[Session]:
    to = server.server
    who, secret = (to.user, to.password) if user is None else (user, password or "")
    found = Session(Connect(host=to.host, port=to.port, user=who, password=secret))
    try:
        yield found
    finally:
        found.close()


def fails(on: Any, statement: str) -> int:
    """The number of the error that the statement gives."""
    with pytest.raises(pymysql.err.MySQLError) as raised:
        on.execute(statement)
    return int(raised.value.args[0])


def created(on: Any, table: str) -> str:
    on.execute(f"SHOW CREATE TABLE {table}")
    return str(on.fetchone()[1])


def facts(server: RunningServer, schema: str, name: str) -> Table:
    with session(server) as reading:
        (table,) = read_tables(reading, [TableName(schema, name)])
    return table


def codes(server: RunningServer, schema: str, name: str) -> set[str]:
    with session(server) as reading:
        inventory = read_inventory(reading, wanted=lambda t: t.schema == schema)
    table = next(t for t in inventory.tables if t.name.name == name)
    return {f.code for f in examine(table, look_around(inventory))}


# -- CHECK constraints ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numbers", "kept"), [(range(1, 10), True), (range(1, 11), False), ((2,), False), ((1, 3), False)]
)
def test_like_keeps_check_names_up_to_nine_without_gaps(
    server: RunningServer, schema: str, numbers: Any, *, kept: bool
) -> None:
    """A copy that takes the table's name has the same CHECK constraints exactly where we say that it has."""
    with cursor(server, database=schema) as on:
        checks = ", ".join(f"CONSTRAINT t_chk_{n} CHECK (a > {n})" for n in numbers)
        on.execute(f"CREATE TABLE t (id INT PRIMARY KEY, a INT, {checks})")
        before = created(on, "t")
        on.execute("CREATE TABLE _t_shadow LIKE t")
        on.execute("RENAME TABLE t TO _t_retained, _t_shadow TO t")
        assert (created(on, "t") == before) is kept
        on.execute("DROP TABLE t")
        on.execute("RENAME TABLE _t_retained TO t")
    assert ("check-numbers" in codes(server, schema, "t")) is not kept


def test_like_gives_named_checks_other_names(server: RunningServer, schema: str) -> None:
    """A CHECK constraint with a name of its own is not in a copy under that name."""
    with cursor(server, database=schema) as on:
        on.execute("CREATE TABLE t (id INT PRIMARY KEY, a INT, CONSTRAINT positive CHECK (a > 0))")
        on.execute("CREATE TABLE _t_shadow LIKE t")
        assert "positive" not in created(on, "_t_shadow")
        on.execute("DROP TABLE _t_shadow")
    assert codes(server, schema, "t") == {"named-check"}


def test_a_check_makes_long_names_impossible(server: RunningServer, schema: str) -> None:
    """The server derives the constraint's name from the copy's and finds it too long."""
    name = "n" * 58
    with cursor(server, database=schema) as on:
        on.execute(f"CREATE TABLE {name} (id INT PRIMARY KEY, a INT, CHECK (a > 0))")
        assert fails(on, f"CREATE TABLE {'s' * 60} LIKE {name}") == CHECK_DICTIONARY
        assert fails(on, f"RENAME TABLE {name} TO {'r' * 60}") == NAME_TOO_LONG
    assert codes(server, schema, name) == {"check-name-length"}


# -- keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "column",
    [
        "TINYINT", "BIGINT UNSIGNED", "DECIMAL(20,4)", "FLOAT", "DOUBLE", "BIT(9)", "YEAR", "DATE", "TIME(3)",
        "DATETIME(6)", "CHAR(36) CHARACTER SET ascii", "VARCHAR(64) COLLATE utf8mb4_bin", "BINARY(16)",
        "VARBINARY(64)", "ENUM('a','b')", "SET('a','b')", "INT GENERATED ALWAYS AS (other + 1) STORED",
    ],
)  # fmt: skip
def test_keys_of_these_types_are_usable_and_can_be_forced(server: RunningServer, schema: str, column: str) -> None:
    """What we say can be walked is a key that the server takes by name."""
    with cursor(server, database=schema) as on:
        on.execute(f"CREATE TABLE t (k {column} NOT NULL, other INT, UNIQUE KEY `u %%s` (k))", ())
        on.execute("SELECT k FROM t FORCE INDEX (`u %%s`)", ())
    table = facts(server, schema, "t")
    key = usable_key(table)
    assert key is not None
    assert key.name == "u %s"


@pytest.mark.parametrize(
    ("column", "key"),
    [
        ("k INT", "UNIQUE KEY u (k)"),
        ("k VARCHAR(100) NOT NULL", "UNIQUE KEY u (k(10))"),
        ("k INT NOT NULL", "UNIQUE KEY u ((k + 1))"),
        ("k INT GENERATED ALWAYS AS (other + 1) VIRTUAL NOT NULL", "UNIQUE KEY u (k)"),
        ("k INT NOT NULL", "KEY u (k)"),
        ("k TIMESTAMP NOT NULL", "UNIQUE KEY u (k)"),
        ("k ENUM('','a') NOT NULL", "UNIQUE KEY u (k)"),
        ("k POINT NOT NULL SRID 4326", "SPATIAL KEY u (k)"),
    ],
)
def test_keys_like_these_are_not_usable(server: RunningServer, schema: str, column: str, key: str) -> None:
    """The server allows these keys, and each has a reason why rows cannot be walked by it."""
    with cursor(server, database=schema) as on:
        on.execute(f"CREATE TABLE t ({column}, other INT, {key})")
    assert usable_key(facts(server, schema, "t")) is None
    assert "no-usable-key" in codes(server, schema, "t")


def test_an_invisible_key_cannot_be_forced(server: RunningServer, schema: str) -> None:
    """So the wider, visible one is taken; the server lets no key be invisible that stands for the primary one."""
    with cursor(server, database=schema) as on:
        on.execute(
            "CREATE TABLE t (k BIGINT NOT NULL, s TINYINT NOT NULL, UNIQUE KEY u (k), UNIQUE KEY i (s) INVISIBLE)"
        )
        assert fails(on, "SELECT k FROM t FORCE INDEX (i)") == NO_SUCH_KEY
    key = usable_key(facts(server, schema, "t"))
    assert key is not None
    assert key.name == "u"


# -- methods --------------------------------------------------------------------------------------


def test_a_direct_alter_keeps_what_a_copy_does_not(server: RunningServer, schema: str) -> None:
    """Foreign keys of both sides, own triggers, CHECK names, a missing key: an ALTER under LOCK TABLES keeps them all.

    So the remedy that a refusal names does what it says.
    """
    with cursor(server, database=schema) as on:
        on.execute("CREATE TABLE parent (id INT PRIMARY KEY)")
        on.execute(
            "CREATE TABLE child (p INT, note INT, CONSTRAINT positive CHECK (note > 0),"
            " CONSTRAINT fk FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE)"
        )
        on.execute("CREATE TRIGGER own BEFORE INSERT ON child FOR EACH ROW SET NEW.note = NEW.note + 1")
        on.execute("INSERT INTO parent VALUES (1)")
        on.execute("INSERT INTO child VALUES (1, 1)")
        for name in ("parent", "child"):
            assert codes(server, schema, name) & {"referenced", "foreign-key"}
            before = created(on, name)
            on.execute(f"LOCK TABLES {name} WRITE")
            on.execute(f"ALTER TABLE {name} ENCRYPTION='Y'")
            on.execute("UNLOCK TABLES")
            assert created(on, name).replace(" /*!80016 ENCRYPTION='Y' */", "").replace(" ENCRYPTION='Y'", "") == before
        on.execute("INSERT INTO child VALUES (1, 5)")
        on.execute("SELECT note FROM child ORDER BY note")
        assert on.fetchall() == ((2,), (6,))
        on.execute("DELETE FROM parent")
        on.execute("SELECT COUNT(*) FROM child")
        assert on.fetchone() == (0,)


def test_a_table_in_ibdata1_cannot_be_altered_directly(server: RunningServer, schema: str) -> None:
    """ENCRYPTION='Y' alone is refused there, so even a small table is copied."""
    with cursor(server, database=schema) as on:
        on.execute("CREATE TABLE t (id INT PRIMARY KEY) TABLESPACE innodb_system")
        assert fails(on, "ALTER TABLE t ENCRYPTION='Y'") == PLAIN_TABLESPACE
    choice = choose(facts(server, schema, "t"), a_server(), SMALL_DIRECTLY)
    assert choice.method is Method.SHADOW_COPY


def test_a_table_in_a_general_tablespace_is_done_with_it(server: RunningServer, schema: str) -> None:
    """Its tablespace has the step, and the statement of that step encrypts the table."""
    space = f"planner {secrets.token_hex(4)} `x`"
    with cursor(server, database=schema) as on:
        file = secrets.token_hex(8)
        on.execute(f"CREATE TABLESPACE {quote(space)} ADD DATAFILE '{file}.ibd'")
        try:
            on.execute(f"CREATE TABLE t (a INT) TABLESPACE {quote(space)}")
            with session(server) as reading:
                inventory = read_inventory(reading, wanted=lambda t: t.schema == schema)
            plan = make_plan(inventory, SMALL_DIRECTLY, {})
            step = next(s for s in plan.steps if s.tablespace_name == space and s.kind == "tablespace")
            assert [s.method for s in plan.steps if s.table_name == "t"] == [Method.TABLESPACE]
            on.execute(step.sql[0])
            assert facts(server, schema, "t").encrypted
        finally:
            on.execute("DROP TABLE IF EXISTS t")
            on.execute(f"DROP TABLESPACE {quote(space)}")


# -- rights ---------------------------------------------------------------------------------------


@contextmanager
def account(server: RunningServer, statements: list[str]) -> Iterator[tuple[str, str]]:
    """A user with these grants, written for 'migrator'@'%', and no other."""
    user, password = f"planner_{secrets.token_hex(4)}", secrets.token_urlsafe(12)
    with cursor(server) as on:
        on.execute("CREATE USER %s@'%%' IDENTIFIED BY %s", (user, password))
        try:
            for statement in statements:
                on.execute(statement.replace("'migrator'@'%'", f"'{user}'@'%'"))
            yield user, password
        finally:
            on.execute("DROP USER %s@'%%'", (user,))


def asked_for(schema: str, *, without: str = "") -> list[str]:
    """Our GRANTs for reading and copying in a schema, perhaps with one right of the schema left out."""
    everything = grants(a_server(account=""), [schema], {Need.READ, Need.COPY})
    on = f"ON {quote(schema)}.*".replace("_", r"\_")
    return [
        g.replace(f"{without}, ", "").replace(f", {without} ON", " ON") if without and on in g else g
        for g in everything
    ]


COPYING = {
    "SELECT": "CREATE TABLE other LIKE t",
    "INSERT": "INSERT INTO _t_shadow VALUES (2, 2)",
    "UPDATE": "UPDATE _t_shadow SET a = 3 WHERE id = 1",
    "DELETE": "DELETE FROM _t_shadow WHERE id = 2",
    "CREATE": "CREATE TABLE another (id INT PRIMARY KEY) ENCRYPTION='Y'",
    "ALTER": "ALTER TABLE _t_shadow ADD INDEX (a), ALGORITHM=INPLACE, LOCK=NONE",
    "DROP": "RENAME TABLE t TO _t_retained, _t_shadow TO t",
    "TRIGGER": "CREATE TRIGGER _t_log_ins AFTER INSERT ON t FOR EACH ROW INSERT INTO _t_shadow VALUES (NEW.id, NEW.a)",
    "LOCK TABLES": "LOCK TABLES t WRITE",
}
"""A statement of a copy for each right, which cannot be run without it."""


@pytest.mark.parametrize("without", [None, *COPYING])
def test_each_right_on_the_schema_is_needed_and_all_are_enough(
    server: RunningServer, schema: str, without: str | None
) -> None:
    """With our GRANTs every statement of a copy runs; without one of them its statement is denied, and we know it."""
    assert set(COPYING) == ALL_SCHEMA == {r.name for r in RIGHTS if r.level is Level.SCHEMA}
    with cursor(server, database=schema) as root:
        root.execute("CREATE TABLE t (id INT PRIMARY KEY, a INT)")
        root.execute("CREATE TABLE _t_shadow LIKE t")
        root.execute("INSERT INTO _t_shadow VALUES (1, 1)")
    with account(server, asked_for(schema, without=without or "")) as (user, password):
        with cursor(server, user=user, password=password, database=schema) as on:
            if without is None:
                for statement in COPYING.values():
                    on.execute(statement)
            else:
                assert fails(on, COPYING[without]) in {1044, 1142}
        with session(server, user, password) as reading:
            found = missing(read_server(reading), [schema], {Need.READ, Need.COPY})
        assert [f.subject for f in found] == ([] if without is None else [schema])
        if without is not None:
            assert f"GRANT {without} ON" in found[0].remedy


def test_the_remedy_of_a_missing_right_mends_it(server: RunningServer, schema: str) -> None:
    """An account that may do nothing, given exactly the GRANTs that its findings name, lacks nothing."""
    with account(server, []) as (user, password):
        with session(server, user, password) as reading:
            found = missing(read_server(reading), [schema], {Need.READ, Need.COPY})
        with cursor(server) as root:
            for finding in found:
                root.execute(finding.remedy)
        with session(server, user, password) as reading:
            assert missing(read_server(reading), [schema], {Need.READ, Need.COPY}) == ()


def test_triggers_are_hidden_without_the_right_to_them(server: RunningServer, schema: str) -> None:
    """So TRIGGER is needed for planning already: a table could look as if it had none."""
    with cursor(server, database=schema) as root:
        root.execute("CREATE TABLE t (id INT PRIMARY KEY)")
        root.execute("CREATE TRIGGER own BEFORE INSERT ON t FOR EACH ROW SET NEW.id = NEW.id")
    statements = asked_for(schema, without="TRIGGER")
    with account(server, statements) as (user, password), session(server, user, password) as reading:
        (table,) = read_tables(reading, [TableName(schema, "t")])
        assert table.triggers == ()
        assert [f.subject for f in missing(read_server(reading), [schema], {Need.READ})] == [schema]
    assert codes(server, schema, "t") == {"own-trigger"}


def test_create_trigger_wants_super_unless_trusted(server: RunningServer, schema: str) -> None:
    """With the binlog on, TRIGGER alone is not enough (1419) unless log_bin_trust_function_creators is ON."""
    with cursor(server, database=schema) as root:
        root.execute("CREATE TABLE t (id INT PRIMARY KEY)")
        root.execute("SELECT @@log_bin_trust_function_creators")
        (before,) = root.fetchone()
        statement = "CREATE TRIGGER own BEFORE INSERT ON t FOR EACH ROW SET NEW.id = NEW.id"
        try:
            with account(server, asked_for(schema)) as (user, password):
                root.execute("SET GLOBAL log_bin_trust_function_creators = OFF")
                with cursor(server, user=user, password=password, database=schema) as on:
                    assert fails(on, statement) == 1419
                with session(server, user, password) as reading:
                    found = missing(read_server(reading), [schema], {Need.TRIGGERS})
                assert "SUPER" in found[0].remedy
                root.execute("SET GLOBAL log_bin_trust_function_creators = ON")
                with cursor(server, user=user, password=password, database=schema) as on:
                    on.execute(statement)
        finally:
            root.execute(f"SET GLOBAL log_bin_trust_function_creators = {int(before)}")


@pytest.mark.parametrize("right", ["", "TABLE_ENCRYPTION_ADMIN"])
def test_encrypting_against_the_default_wants_a_right_where_it_is_checked(
    server: RunningServer, schema: str, right: str
) -> None:
    """With table_encryption_privilege_check ON and a schema born in clear, ENCRYPTION='Y' wants a right of its own."""
    with cursor(server, database=schema) as root:
        root.execute("CREATE TABLE t (id INT PRIMARY KEY)")
        root.execute("SELECT @@table_encryption_privilege_check")
        (before,) = root.fetchone()
        more = [f"GRANT {right} ON *.* TO 'migrator'@'%'"] if right else []
        try:
            root.execute("SET GLOBAL table_encryption_privilege_check = ON")
            with account(server, asked_for(schema) + more) as (user, password):
                with cursor(server, user=user, password=password, database=schema) as on:
                    if right:
                        on.execute("ALTER TABLE t ENCRYPTION='Y'")
                    else:
                        assert fails(on, "ALTER TABLE t ENCRYPTION='Y'") == DENIED_BY_DEFAULT
                with session(server, user, password) as reading:
                    found = missing(read_server(reading), [schema], {Need.ENCRYPTION_ADMIN})
                assert (found == ()) is bool(right)
        finally:
            root.execute(f"SET GLOBAL table_encryption_privilege_check = {int(before)}")


def test_a_nasty_name_is_planned_like_any_other(server: RunningServer, schema: str) -> None:
    """Quotes, backticks, per cent signs, blanks and letters of all sorts change no decision."""
    name = TableName(schema, 'we`ird %s "näme"')
    with cursor(server, database=schema) as on:
        on.execute(f"CREATE TABLE {qualified(name)} (`k %%s` INT PRIMARY KEY, `ä``` INT CHECK (`ä``` > 0))", ())
    table = facts(server, schema, name.name)
    assert choose(table, a_server(), SMALL_DIRECTLY).method is Method.DIRECT_ALTER
    assert codes(server, schema, name.name) == set()
