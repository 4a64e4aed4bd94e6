"""What lies in plans/: the schema and two example plans, made from code so that they are never out of date.

`python -m tests.plan_files --write` writes them anew; tests/unit/test_plan_files.py compares.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

from migrator.model import (
    Column,
    Flavour,
    ForeignKey,
    Inventory,
    Key,
    KeyPart,
    Keyring,
    Member,
    Schema,
    Segment,
    Server,
    Table,
    TableName,
    Tablespace,
    TablespaceKind,
)
from migrator.planner.file import plan_text
from migrator.planner.make import make_plan
from migrator.planner.plan import HARDEN, Calibration, Plan, Policy, Scope
from migrator.planner.schema import schema_text

FOLDER: Final = Path(__file__).resolve().parent.parent / "plans"
MIB: Final = 2**20

SCHEMA_LINE: Final = "# yaml-language-server: $schema=plan.schema.json\n"

SERVER: Final = Server(
    server_uuid="0f5b9a4c-6f0e-11f0-9a3c-02420a000105",
    flavour=Flavour.MYSQL,
    version=(8, 4, 6),
    version_text="8.4.6",
    version_comment="MySQL Community Server - GPL",
    host="db1.example.com",
    port=3306,
    datadir="/var/lib/mysql/",
    keyring=Keyring(
        "component_keyring_file",
        "component",
        active=True,
        data_file="/var/lib/mysql-keyring/keyring",
        has_master_key=True,
    ),
    variables={
        "log_bin": "ON",
        "binlog_format": "ROW",
        "binlog_encryption": "OFF",
        "innodb_redo_log_encrypt": "ON",
        "innodb_undo_log_encrypt": "ON",
        "default_table_encryption": "OFF",
        "log_bin_trust_function_creators": "ON",
        "innodb_autoinc_lock_mode": "2",
        "performance_schema": "ON",
    },
    privileges=frozenset({"ALL"}),
    account="migrator@10.0.5.%",
    members=(Member("db2.example.com:3306", "replica", "1a6c0b5d-6f0e-11f0-8b1f-02420a000106"),),
)


def _column(name: str, type: str, **more: object) -> Column:
    word = type.split("(")[0].split(" ")[0]
    text = {"charset": "utf8mb4", "collation": "utf8mb4_0900_ai_ci"} if word == "varchar" else {}
    return replace(Column(name, type, word, nullable=False), **text, **more)  # type: ignore[arg-type]


def _table(name: str, megabytes: float, columns: tuple[Column, ...], **more: object) -> Table:
    schema, _, table = name.partition(".")
    size = int(megabytes * MIB)
    space = sum(map(ord, name))
    found = Table(
        name=TableName(schema, table),
        engine="InnoDB",
        rows=size // 160,
        data_bytes=(size - size // 5) // 16384 * 16384,
        index_bytes=size // 5 // 16384 * 16384,
        row_format="Dynamic",
        columns=columns,
        keys=(Key("PRIMARY", (KeyPart(columns[0].name),), unique=True),),
        segments=(Segment(space, space, name.replace(".", "/"), TablespaceKind.FILE_PER_TABLE, encrypted=False),),
    )
    return replace(found, **more)  # type: ignore[arg-type]


_ID: Final = _column("id", "bigint unsigned", auto_increment=True)
_ITEMS: Final = TableName("shop", "order_items")
_ORDERS_KEY: Final = ForeignKey("items_product", _ITEMS, TableName("shop", "products"), "RESTRICT", "CASCADE")
_REVIEWS_KEY: Final = ForeignKey(
    "reviews_product", TableName("shop", "reviews"), TableName("shop", "products"), "RESTRICT", "CASCADE"
)
_ARCHIVE: Final = (Segment(300, 300, "archive", TablespaceKind.GENERAL, encrypted=False),)

TABLES: Final = (
    _table("archive.invoices_2023", 310, (_ID, _column("pdf", "mediumblob")), segments=_ARCHIVE),
    _table("archive.invoices_2024", 280, (_ID, _column("pdf", "mediumblob")), segments=_ARCHIVE),
    _table("shop.countries", 0.1, (_column("code", "char(2)", charset="ascii", collation="ascii_general_ci"),)),
    _table(
        "shop.events",
        2048,
        (_column("tenant", "int"), _column("at", "datetime(6)"), _column("no", "int"), _column("body", "json")),
        keys=(Key("PRIMARY", (KeyPart("tenant"), KeyPart("at"), KeyPart("no")), unique=True),),
        partition_method="RANGE COLUMNS",
        partitions=tuple(f"p2025_{month:02}" for month in range(1, 13)),
    ),
    _table("shop.order_items", 900, (_ID, _column("product", "bigint unsigned")), foreign_keys=(_ORDERS_KEY,)),
    _table(
        "shop.orders",
        1200,
        (_ID, _column("customer", "bigint unsigned"), _column("state", "enum('new','paid','sent')")),
        keys=(
            Key("PRIMARY", (KeyPart("id"),), unique=True),
            Key("customer", (KeyPart("customer"), KeyPart("id")), unique=False),
        ),
    ),
    _table("shop.payments", 400, (_ID, _column("card", "varbinary(64)")), segments=(
        Segment(700, 700, "shop/payments", TablespaceKind.FILE_PER_TABLE, encrypted=True),
    )),
    _table("shop.products", 60, (_ID, _column("name", "varchar(200)")), referenced_by=(_ORDERS_KEY, _REVIEWS_KEY)),
    _table(
        "shop.reviews",
        35,
        (_ID, _column("product", "bigint unsigned"), _column("body", "varchar(4000)")),
        keys=(
            Key("PRIMARY", (KeyPart("id"),), unique=True),
            Key("body", (KeyPart("body"),), unique=False, type="FULLTEXT"),
        ),
        foreign_keys=(_REVIEWS_KEY,),
    ),
    _table("shop.sessions", 12, (_ID, _column("data", "blob")), engine="MyISAM", segments=()),
)  # fmt: skip

DEFINITIONS: Final = {
    TableName("shop", "orders"): (
        "CREATE TABLE `orders` (\n"
        "  `id` bigint unsigned NOT NULL AUTO_INCREMENT,\n"
        "  `customer` bigint unsigned NOT NULL,\n"
        "  `state` enum('new','paid','sent') NOT NULL,\n"
        "  PRIMARY KEY (`id`),\n"
        "  KEY `customer` (`customer`,`id`)\n"
        ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci"
    ),
    TableName("shop", "events"): (
        "CREATE TABLE `events` (\n"
        "  `tenant` int NOT NULL,\n"
        "  `at` datetime(6) NOT NULL,\n"
        "  `no` int NOT NULL,\n"
        "  `body` json NOT NULL,\n"
        "  PRIMARY KEY (`tenant`,`at`,`no`)\n"
        ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci\n"
        "/*!50500 PARTITION BY RANGE  COLUMNS(`at`)\n"
        "(PARTITION p2025_01 VALUES LESS THAN ('2025-02-01') ENGINE = InnoDB,\n"
        " PARTITION p2025_12 VALUES LESS THAN (MAXVALUE) ENGINE = InnoDB) */"
    ),
}

INVENTORY: Final = Inventory(
    server=SERVER,
    schemas=(Schema("archive", default_encryption=False), Schema("shop", default_encryption=True)),
    tables=TABLES,
    tablespaces=(
        Tablespace(300, "archive", TablespaceKind.GENERAL, encrypted=False, file_bytes=600 * MIB),
        Tablespace(4294967294, "mysql", TablespaceKind.MYSQL, encrypted=False, file_bytes=29 * MIB),
    ),
    read_at="2026-05-01T12:00:00.000000Z",
)

REVIEW: Final = (
    (
        "attestations:\n  keyring_backup: null\n  members: {}\n",
        "attestations:\n"
        "  keyring_backup:\n"
        "    by: Ann Example\n"
        "    at: 2026-05-02\n"
        '    note: "CHG-4711: copied to the vault, restored on a test server"\n'
        "  members:\n"
        "    db2.example.com:3306:\n"
        "      by: Ben Example\n"
        "      at: 2026-05-02T09:30:00+02:00\n"
        "      note: keyring_component_status says Active\n",
    ),
    (
        "  order: smallest-first\n  workers: 4\n",
        "  order: smallest-first\n  # Eight cores are idle at night; see CHG-4711.\n  workers: 8\n",
    ),
    ("  retain_days: 7 d\n", "  # The month's end has to pass before the old tables go.\n  retain_days: 35 d\n"),
    (
        "  max_extra_disk_bytes: null\n",
        "  # The volume has 20 GiB free; half of it stays free.\n  max_extra_disk_bytes: 10 GiB\n",
    ),
    (
        "  # shop.events: shadow-copy\n",
        "  # shop.events: shadow-copy\n  # The busiest table: one connection, short chunks.\n",
    ),
    (
        "    table_name: events\n    method: shadow-copy\n",
        "    table_name: events\n    method: shadow-copy\n    workers: 1\n    chunk_time_seconds: 200 ms\n",
    ),
    (
        "  # shop.countries: direct-alter\n",
        "  # shop.countries: left out on purpose. Public data, and it is written at every deployment.\n",
    ),
    ("    table_name: countries\n    method: direct-alter\n", "    table_name: countries\n    method: skip\n"),
)
"""What a reviewer changes in the first example to make the second one: places and what stands there then."""


def example_plan() -> Plan:
    """A plan as `migrator plan` writes it: every method, nothing attested yet."""
    measured = Calibration(20e6, 45e6, "run of 2026-04-20 on this server: 14 tables, 6.2 GiB")
    policy = Policy(direct_below_bytes=8 * MIB, convert=True, harden=HARDEN)
    return make_plan(INVENTORY, policy, DEFINITIONS, measured, scope=Scope(ignore_databases=("test*",)))


MARIADB: Final = Inventory(
    server=replace(
        SERVER,
        server_uuid="2c0d1f3a-6f0e-51f0-9a3c-02420a000107",
        flavour=Flavour.MARIADB,
        version=(11, 8, 6),
        version_text="11.8.6-MariaDB-log",
        version_comment="MariaDB Server",
        host="db7.example.com",
        keyring=Keyring("hashicorp_key_management", "plugin", active=True, has_master_key=True),
        variables={
            "log_bin": "ON",
            "innodb_encrypt_tables": "OFF",
            "innodb_encryption_threads": "0",
            "innodb_encryption_rotate_key_age": "1",
            "innodb_encryption_rotation_iops": "100",
            "innodb_default_encryption_key_id": "1",
            "innodb_page_size": "16384",
        },
        members=(),
    ),
    schemas=(Schema("shop", default_encryption=False),),
    tables=(
        _table("shop.baskets", 20, (_ID,), engine="Aria", segments=()),
        _table("shop.orders", 1200, (_ID, _column("customer", "bigint unsigned"))),
        _table("shop.public", 4, (_ID,), create_options="`ENCRYPTED`=NO"),
    ),
    tablespaces=(
        Tablespace(0, "innodb_system", TablespaceKind.SYSTEM, encrypted=False, file_bytes=76 * MIB),
        Tablespace(
            sum(map(ord, "shop.orders")),
            "shop/orders",
            TablespaceKind.FILE_PER_TABLE,
            encrypted=False,
            file_bytes=1210 * MIB,
        ),
        Tablespace(
            sum(map(ord, "shop.public")),
            "shop/public",
            TablespaceKind.FILE_PER_TABLE,
            encrypted=False,
            file_bytes=5 * MIB,
        ),
    ),
    read_at="2026-05-01T12:00:00.000000Z",
)


def mariadb_plan() -> Plan:
    """The same of a MariaDB, whose own threads do it."""
    return make_plan(MARIADB, Policy(), {})


def reviewed(text: str) -> str:
    """The same file after review; raises `ValueError` if a place that the review changes is not there once."""
    for old, new in REVIEW:
        if text.count(old) != 1:
            raise ValueError(f"there {text.count(old)} times: {old!r}")
        text = text.replace(old, new)
    return text


def files() -> dict[str, str]:
    """Everything that lies in plans/, by name."""
    text = SCHEMA_LINE + plan_text(example_plan())
    return {
        "plan.schema.json": schema_text(),
        "example.yaml": text,
        "example-reviewed.yaml": reviewed(text),
        "example-mariadb.yaml": SCHEMA_LINE + plan_text(mariadb_plan()),
    }


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python -m tests.plan_files --write")
    for name, content in files().items():
        (FOLDER / name).write_text(content, encoding="utf-8")
