"""The cases: tables, how many rows, and the SQL by which the server fills them, with the same rows in each run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.servers import RunningServer

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

SCHEMA: Final = "bench"

_BATCH: Final = 250_000
"""Rows in one transaction of the loader."""


@dataclass(frozen=True, slots=True)
class TableOf:
    """A table of a case. `{name}` stands for its name in `create`; `select` gives a row for each number `n` from 1 on,
    and knows the number of rows as `{rows}`."""

    name: str
    rows: int
    create: str
    select: str
    indexes: str = ""
    """Added when the rows are there."""


@dataclass(frozen=True, slots=True)
class Case:
    """Tables that are encrypted together, and by whom."""

    letter: str
    title: str
    tables: Callable[[float], Sequence[TableOf]]
    """At a scale."""
    contestants: tuple[str, ...] = ("migrator", "native", "pt-osc")


def load(server: RunningServer, tables: Sequence[TableOf]) -> None:
    """Make and fill the tables in the schema `bench`, which must not be there; not for the binary log."""
    with closing(server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_log_bin = 0, cte_max_recursion_depth = 4294967295")
        # With these RAND() gives the same numbers in each run.
        cursor.execute("SET SESSION rand_seed1 = 20260501, rand_seed2 = 77777")
        cursor.execute(f"CREATE SCHEMA {SCHEMA}")
        cursor.execute("CREATE SCHEMA loading")
        cursor.execute("CREATE TABLE loading.n (n INT NOT NULL PRIMARY KEY)")
        most = max(table.rows for table in tables)
        cursor.execute(
            f"INSERT INTO loading.n WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {most}) "
            "SELECT n FROM c"
        )
        cursor.execute(f"USE {SCHEMA}")
        for table in tables:
            _fill(cursor, table)
        cursor.execute("DROP SCHEMA loading")


def _fill(cursor: Cursor, table: TableOf) -> None:
    cursor.execute(table.create.replace("{name}", table.name))
    select = table.select.replace("{rows}", str(table.rows))
    for first in range(1, table.rows + 1, _BATCH):
        last = min(first + _BATCH - 1, table.rows)
        cursor.execute(f"INSERT INTO {table.name} {select} FROM loading.n WHERE n BETWEEN {first} AND {last}")
    if table.indexes:
        cursor.execute(f"ALTER TABLE {table.name} {table.indexes}")
    cursor.execute(f"ANALYZE NO_WRITE_TO_BINLOG TABLE {table.name}")


# -- the tables ---------------------------------------------------------------------------------


def _digits(groups: int) -> str:
    return "CONCAT_WS('-', " + ", ".join(["LPAD(FLOOR(RAND() * 1e11), 11, '0')"] * groups) + ")"


def _hex(digits: int) -> str:
    return f"LPAD(LOWER(HEX(FLOOR(RAND() * POW(16, {digits})))), {digits}, '0')"


_UUID: Final = "CONCAT_WS('-', " + ", ".join(_hex(digits) for digits in (8, 4, 4, 4, 12)) + ")"
_TEXT: Final = (
    "SUBSTR(REPEAT('Lorem ipsum dolor sit amet, consetetur sadipscing elitr, ', 8), 1 + FLOOR(RAND() * 50), {})"
)
_TIME: Final = "TIMESTAMP('2024-01-01') + INTERVAL FLOOR(RAND() * 63072000) SECOND"

_SYSBENCH: Final = """CREATE TABLE {name} (
  id INT NOT NULL AUTO_INCREMENT,
  k INT NOT NULL DEFAULT '0',
  c CHAR(120) NOT NULL DEFAULT '',
  pad CHAR(60) NOT NULL DEFAULT '',
  PRIMARY KEY (id){more}
) ENGINE=InnoDB"""
_SYSBENCH_ROW: Final = f"SELECT n, 1 + FLOOR(RAND() * {{rows}}), {_digits(10)}, {_digits(5)}"


def _sysbench(name: str, rows: int, more: str = "") -> TableOf:
    return TableOf(name, rows, _SYSBENCH.replace("{more}", more), _SYSBENCH_ROW, "ADD KEY k_1 (k)")


_WIDE: Final = """CREATE TABLE {name} (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  reference CHAR(36) CHARACTER SET ascii NOT NULL,
  customer_id INT UNSIGNED NOT NULL,
  status VARCHAR(16) NOT NULL,
  email VARCHAR(120) NOT NULL,
  country CHAR(2) NOT NULL,
  city VARCHAR(60) NOT NULL,
  street VARCHAR(120) NOT NULL,
  amount DECIMAL(12,2) NOT NULL,
  tax DECIMAL(12,2) NOT NULL,
  discount DECIMAL(6,2) NOT NULL,
  weight DOUBLE NOT NULL,
  quantity INT NOT NULL,
  flags BIT(8) NOT NULL,
  note VARCHAR(255) NOT NULL,
  internal_note VARCHAR(255) NOT NULL,
  created_at DATETIME NOT NULL,
  updated_at DATETIME(6) NOT NULL,
  PRIMARY KEY (id)
) ENGINE=InnoDB"""
_WIDE_ROW: Final = (
    f"SELECT n, {_UUID}, 1 + FLOOR(RAND() * {{rows}} / 10), ELT(1 + FLOOR(POW(RAND(), 2) * 5), 'done', 'shipped', "
    f"'paid', 'open', 'returned'), CONCAT('customer', LPAD(FLOOR(RAND() * {{rows}}), 9, '0'), '@mail', n % 97, "
    "'.example'), ELT(1 + FLOOR(RAND() * 6), 'DE', 'FR', 'US', 'JP', 'BR', 'ZA'), CONCAT('City of ', "
    "FLOOR(POW(RAND(), 2) * 5000)), CONCAT(FLOOR(RAND() * 999), ' ', "
    f"{_TEXT.format(30)}), RAND() * 10000, RAND() * 1000, RAND() * 100, RAND() * 50, 1 + FLOOR(RAND() * 20), "
    f"FLOOR(RAND() * 256), {_TEXT.format('20 + FLOOR(RAND() * 150)')}, {_TEXT.format('20 + FLOOR(RAND() * 100)')}, "
    f"{_TIME}, {_TIME} + INTERVAL FLOOR(RAND() * 999999) MICROSECOND"
)
_WIDE_INDEXES: Final = (
    "ADD UNIQUE KEY reference (reference), ADD KEY customer (customer_id, created_at), ADD KEY email (email), "
    "ADD KEY status (status, created_at), ADD KEY place (country, city), ADD KEY updated (updated_at)"
)

_TENANTS: Final = """CREATE TABLE {name} (
  tenant VARCHAR(32) NOT NULL,
  uuid CHAR(36) NOT NULL,
  kind VARCHAR(20) NOT NULL,
  payload VARCHAR(500) NOT NULL,
  created_at DATETIME NOT NULL,
  PRIMARY KEY (tenant, uuid)
) ENGINE=InnoDB"""
_TENANTS_ROW: Final = (
    f"SELECT CONCAT('tenant-', LPAD(FLOOR(POW(RAND(), 3) * 500), 5, '0')), {_UUID}, "
    f"ELT(1 + FLOOR(RAND() * 4), 'login', 'view', 'purchase', 'logout'), {_TEXT.format('50 + FLOOR(RAND() * 200)')}, "
    f"{_TIME}"
)

_SMALL_ROW: Final = f"SELECT n, 1 + FLOOR(RAND() * 1000), {_TEXT.format('20 + FLOOR(RAND() * 160)')}, {_TIME}"
_SMALL: Final = """CREATE TABLE {name} (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  parent INT UNSIGNED NOT NULL,
  text VARCHAR(255) NOT NULL,
  created_at DATETIME NOT NULL,
  PRIMARY KEY (id)
) ENGINE=InnoDB"""
_SMALL_INDEXES: Final = "ADD KEY parent (parent), ADD KEY created (created_at)"

_GAPS: Final = """CREATE TABLE {name} (
  id BIGINT NOT NULL,
  account INT UNSIGNED NOT NULL,
  text VARCHAR(255) NOT NULL,
  created_at DATETIME NOT NULL,
  PRIMARY KEY (id)
) ENGINE=InnoDB"""
_GAPS_ROW: Final = (
    # 90 of 100 rows lie in the hundredth part of the keys that begins at 62 of 100; the others 10^12 apart.
    "SELECT CASE WHEN n % 10 = 0 THEN n DIV 10 * 1000000000000 ELSE {rows} DIV 10 * 620000000000 + "
    "n * ({rows} DIV 10 * 10000000000 DIV {rows}) + 1 + n % 9 END, 1 + FLOOR(RAND() * 100000), "
    f"{_TEXT.format('50 + FLOOR(RAND() * 150)')}, {_TIME}"
)


def _many(scale: float) -> list[TableOf]:
    # Of 200 tables 141 hold 500 rows, 47 hold 10,000 and 12 hold 100,000; scaled is the number of tables.
    tables = []
    for number in range(max(10, round(200 * scale))):
        rows = 100_000 if number % 17 == 9 else 10_000 if number % 4 == 2 else 500
        tables.append(TableOf(f"t{number:03}", rows, _SMALL, _SMALL_ROW, _SMALL_INDEXES))
    return tables


def _rows(full: int, scale: float) -> int:
    return max(1000, round(full * scale))


CASES: Final = (
    Case(
        "a",
        "sysbench's table: an integer key, one secondary index",
        lambda scale: [_sysbench("sbtest", _rows(2_000_000, scale))],
    ),
    Case(
        "h",
        "does a row cost the same in a smaller table: (a)'s, a quarter of the rows",
        lambda scale: [_sysbench("quarter", _rows(500_000, scale))],
        ("migrator",),
    ),
    Case(
        "x",
        "and in a larger one: (a)'s, four times the rows",
        lambda scale: [_sysbench("fourfold", _rows(8_000_000, scale))],
        ("migrator",),
    ),
    Case(
        "b",
        "wide rows, six secondary indexes, one of them unique on a random UUID",
        lambda scale: [TableOf("wide", _rows(1_000_000, scale), _WIDE, _WIDE_ROW, _WIDE_INDEXES)],
    ),
    Case(
        "c",
        "a composite string key: (tenant, uuid)",
        lambda scale: [
            TableOf("tenants", _rows(1_000_000, scale), _TENANTS, _TENANTS_ROW, "ADD KEY created (created_at)")
        ],
    ),
    Case(
        "d",
        "a database of 200 tables of mixed size, most of them small",
        _many,
        ("migrator", "migrator --direct-below 8MiB", "native", "pt-osc"),
    ),
    Case(
        "e",
        "an integer key with gaps of 10^12, and 90 % of the rows in 1 % of it",
        lambda scale: [TableOf("gaps", _rows(1_000_000, scale), _GAPS, _GAPS_ROW, "ADD KEY account (account)")],
    ),
    Case(
        "r",
        "(a)'s table with a named CHECK constraint, so tablespace-relay",
        lambda scale: [_sysbench("relayed", _rows(2_000_000, scale), ",\n  CONSTRAINT positive CHECK (k > 0)")],
        ("migrator", "native"),
    ),
)
