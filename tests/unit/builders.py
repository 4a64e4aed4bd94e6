"""Facts for tests without a server: everything is ordinary unless an argument says otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from migrator.model import (
    Check,
    Column,
    Finding,
    Flavour,
    ForeignKey,
    Inventory,
    Key,
    KeyPart,
    Keyring,
    Schema,
    Segment,
    Server,
    Table,
    TableName,
    Tablespace,
    TablespaceKind,
    Trigger,
)
from migrator.planner.around import Around, look_around
from migrator.planner.checks import examine
from migrator.planner.plan import Policy

PLAIN: Final = TableName("shop", "orders")
NASTY: Final = TableName('we`ird %s "näme"', 'tä`ble.%s "x"')
NAMES: Final = (PLAIN, NASTY)
"""Every test that says something about names runs with both."""

MIB: Final = 2**20

ALL_GLOBAL: Final = frozenset({"PROCESS", "REPLICATION CLIENT", "REPLICATION SLAVE", "SUPER"})
ALL_SCHEMA: Final = frozenset(
    {"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "TRIGGER", "LOCK TABLES"}
)


def a_column(name: str = "id", type: str = "bigint", **changes: Any) -> Column:
    """A NOT NULL column; the data type follows from the type."""
    word = type.split("(")[0].split(" ")[0]
    return replace(Column(name=name, type=type, data_type=word, nullable=False), **changes)


def a_key(*columns: str | KeyPart, name: str = "PRIMARY", unique: bool = True, **changes: Any) -> Key:
    """A key over whole columns."""
    parts = tuple(KeyPart(c) if isinstance(c, str) else c for c in columns or ("id",))
    return replace(Key(name=name, parts=parts, unique=unique), **changes)


def a_segment(kind: TablespaceKind = TablespaceKind.FILE_PER_TABLE, **changes: Any) -> Segment:
    """A table's own file, in clear."""
    return replace(Segment(table_id=1000, space=100, tablespace="shop/orders", kind=kind, encrypted=False), **changes)


def a_table(name: TableName = PLAIN, **changes: Any) -> Table:
    """An InnoDB table of 100 MiB in a file of its own, in clear, with an integer primary key."""
    table = Table(
        name=name,
        engine="InnoDB",
        rows=1_000_000,
        data_bytes=80 * MIB,
        index_bytes=20 * MIB,
        row_format="Dynamic",
        create_time="2026-05-01T10:00:00",
        columns=(
            a_column("id", auto_increment=True),
            a_column("note", "varchar(100)", nullable=True, charset="utf8mb4"),
        ),
        keys=(a_key("id"),),
        segments=(a_segment(),),
    )
    return replace(table, **changes)


def a_small_table(name: TableName = PLAIN, **changes: Any) -> Table:
    """A table of 32 KiB."""
    return a_table(name, **{"rows": 10, "data_bytes": 16384, "index_bytes": 16384, **changes})


def an_encrypted_table(name: TableName = PLAIN, **changes: Any) -> Table:
    """A table that is done."""
    return a_table(name, **{"segments": (a_segment(encrypted=True),), **changes})


def a_trigger(name: str = "orders_audit", table: TableName = PLAIN, **changes: Any) -> Trigger:
    """A trigger of the application."""
    trigger = Trigger(
        schema=table.schema,
        name=name,
        table=table.name,
        timing="AFTER",
        event="INSERT",
        definer="app@%",
        created="2026-05-01 10:00:00.00",
        body_hash="0" * 64,
    )
    return replace(trigger, **changes)


def a_foreign_key(child: TableName, parent: TableName, name: str = "fk_1") -> ForeignKey:
    """A foreign key from child to parent."""
    return ForeignKey(name=name, table=child, parent=parent)


def checks(table: TableName, *numbers: int) -> tuple[Check, ...]:
    """CHECK constraints whose names the server made."""
    return tuple(Check(f"{table.name}_chk_{n}", generated_name=True) for n in numbers)


def a_tablespace(kind: TablespaceKind = TablespaceKind.GENERAL, **changes: Any) -> Tablespace:
    """A general tablespace of 50 MiB, in clear."""
    return replace(Tablespace(space=200, name="archive", kind=kind, encrypted=False, file_bytes=50 * MIB), **changes)


def a_keyring(**changes: Any) -> Keyring:
    """A component that works, its file apart from the data."""
    ring = Keyring(
        name="component_keyring_file", kind="component", active=True, data_file="/keys/keyring", has_master_key=True
    )
    return replace(ring, **changes)


def a_server(*, variables: dict[str, str] | None = None, **changes: Any) -> Server:
    """A MySQL 9.7 source without replicas on which nothing is wrong, and an account that may do all that is needed."""
    settings = {
        "log_bin": "ON",
        "binlog_format": "ROW",
        "binlog_encryption": "ON",
        "innodb_redo_log_encrypt": "ON",
        "innodb_undo_log_encrypt": "ON",
        "default_table_encryption": "ON",
        "table_encryption_privilege_check": "OFF",
        "log_bin_trust_function_creators": "OFF",
        "innodb_autoinc_lock_mode": "2",
        "require_secure_transport": "ON",
        "performance_schema": "ON",
        "read_only": "OFF",
        "super_read_only": "OFF",
    }
    server = Server(
        server_uuid="11111111-2222-3333-4444-555555555555",
        flavour=Flavour.MYSQL,
        version=(9, 7, 4),
        version_text="9.7.4",
        version_comment="MySQL Community Server",
        host="db1",
        port=3306,
        datadir="/var/lib/mysql/",
        keyring=a_keyring(),
        variables=settings | (variables or {}),
        privileges=ALL_GLOBAL,
        schema_privileges={
            "performance_schema": frozenset({"SELECT"}),
            "%": ALL_SCHEMA,
        },
        account="migrator@10.0.%",
    )
    return replace(server, **changes)


def an_inventory(*tables: Table, server: Server | None = None, **changes: Any) -> Inventory:
    """These tables, each schema born encrypted."""
    schemas = tuple(Schema(name, default_encryption=True) for name in sorted({t.name.schema for t in tables}))
    found = Inventory(
        server=server or a_server(), schemas=schemas, tables=tables, tablespaces=(), read_at="2026-05-01T12:00:00Z"
    )
    return replace(found, **changes)


SMALL_DIRECTLY = Policy(direct_below_bytes=8 * 2**20)
"""A policy under which small tables are altered directly; by default none is."""


def around(*tables: Table, **changes: Any) -> Around:
    """The surroundings of these tables, with changes."""
    return replace(look_around(an_inventory(*tables)), **changes)


def findings(table: Table, where: Around | None = None) -> dict[str, Finding]:
    """The findings about a table by their codes."""
    found = examine(table, where or around(table))
    assert len({f.code for f in found}) == len(found), "a code is given once"
    return {f.code: f for f in found}
