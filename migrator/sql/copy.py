"""The statements that move rows: chunk copy, drain, and the comparison of both tables.

All run under READ COMMITTED, where INSERT ... SELECT reads the source by consistent read (MySQL manual,
17.7.3; seen in performance_schema.data_locks): no lock on any row of the source, ever. Plain INSERT: only
one writer owns a range of the shadow at a time, so a duplicate is an error and never ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from migrator.model import Column, Table, TableName
from migrator.sql.keys import KeyColumn, log_columns, order, readings, same
from migrator.sql.names import qualified, quote
from migrator.sql.statement import Sql
from migrator.sql.table import column_list, stored_columns


def copy_part(
    table: Table, shadow: TableName, key_name: str, key: Sequence[KeyColumn], part: Sql, rows_at_most: int
) -> Sql:
    """Copies the first rows of one part of a range, in key order. Locks rows of the shadow only, until commit."""
    columns = column_list(stored_columns(table))
    return Sql(
        f"INSERT INTO {qualified(shadow)} ({columns}) SELECT {columns} FROM {qualified(table.name)}"
        f" FORCE INDEX ({quote(key_name)}) WHERE {part.text} ORDER BY {order(key)} LIMIT {int(rows_at_most)}",
        part.args,
    )


def last_key(where: TableName, key_name: str, key: Sequence[KeyColumn], part: Sql) -> Sql:
    """Reads the last place of the key within a part: one dive into the index."""
    return Sql(
        f"SELECT {readings(key)} FROM {qualified(where)} FORCE INDEX ({quote(key_name)})"
        f" WHERE {part.text} ORDER BY {order(key, backwards=True)} LIMIT 1",
        part.args,
    )


def key_at(where: TableName, key_name: str, key: Sequence[KeyColumn], part: Sql, offset: int) -> Sql:
    """Reads the place of the key `offset` rows into a part; walks that many index entries."""
    return Sql(
        f"SELECT {readings(key)} FROM {qualified(where)} FORCE INDEX ({quote(key_name)})"
        f" WHERE {part.text} ORDER BY {order(key)} LIMIT 1 OFFSET {int(offset)}",
        part.args,
    )


def count_up_to(where: TableName, key_name: str, part: Sql, limit: int) -> Sql:
    """Counts the rows of a part, but no further than `limit`."""
    return Sql(
        f"SELECT COUNT(*) FROM (SELECT 1 FROM {qualified(where)} FORCE INDEX ({quote(key_name)})"
        f" WHERE {part.text} LIMIT {int(limit)}) AS counted",
        part.args,
    )


# -- drain ------------------------------------------------------------------------------------------


ENTRY: Final = "k1 IS NOT NULL"
"""What tells an entry of the log from a fence; a key has no NULL."""


def read_log(log: TableName, uncopied: Sql, *, after: int, limit: int) -> Sql:
    """Reads entries without a lock: their number, and whether their key lies where nothing is copied yet."""
    return Sql(
        f"SELECT seq, {uncopied.text} FROM {qualified(log)} FORCE INDEX (PRIMARY)"
        f" WHERE seq > %s AND {ENTRY} ORDER BY seq LIMIT {int(limit)}",
        (*uncopied.args, after),
    )


def _entries(log: TableName, key: Sequence[KeyColumn], count: int) -> str:
    """The distinct keys of the given entries. By single places of the primary key: a scan would wait for
    entries whose transactions are still open."""
    names = ", ".join(log_columns(key))
    places = ", ".join(["%s"] * count)
    return f"(SELECT DISTINCT {names} FROM {qualified(log)} FORCE INDEX (PRIMARY) WHERE seq IN ({places})) AS entry"


def drain_delete(
    shadow: TableName, log: TableName, key_name: str, key: Sequence[KeyColumn], seqs: Sequence[int]
) -> Sql:
    """Takes the rows of the given entries out of the shadow. (An alias would need a default schema: 1046.)"""
    target = qualified(shadow)
    return Sql(
        f"DELETE FROM {target} USING {_entries(log, key, len(seqs))} STRAIGHT_JOIN {target}"
        f" FORCE INDEX ({quote(key_name)}) ON {same(key, 'entry', target, log_columns(key))}",
        tuple(seqs),
    )


def drain_insert(
    table: Table, shadow: TableName, log: TableName, key_name: str, key: Sequence[KeyColumn], seqs: Sequence[int]
) -> Sql:
    """Puts the present rows of the given entries into the shadow: what the source holds now, read without a lock."""
    columns, source = stored_columns(table), qualified(table.name)
    return Sql(
        f"INSERT INTO {qualified(shadow)} ({column_list(columns)}) SELECT {column_list(columns, source)}"
        f" FROM {_entries(log, key, len(seqs))} STRAIGHT_JOIN {source}"
        f" FORCE INDEX ({quote(key_name)}) ON {same(key, 'entry', source, log_columns(key))}",
        tuple(seqs),
    )


def drain_forget(log: TableName, seqs: Sequence[int]) -> Sql:
    """Deletes exactly the entries that were read."""
    places = ", ".join(["%s"] * len(seqs))
    return Sql(
        f"DELETE FROM {qualified(log)} USING {qualified(log)} FORCE INDEX (PRIMARY) WHERE seq IN ({places})",
        tuple(seqs),
    )


def lock_for_switch(table: Table, shadow: TableName, log: TableName) -> str:
    """LOCK TABLES for the switch. The drain's statements name each table without an alias, so each is locked once."""
    return f"LOCK TABLES {qualified(table.name)} WRITE, {qualified(shadow)} WRITE, {qualified(log)} WRITE"


# -- compare ----------------------------------------------------------------------------------------


def as_bytes(column: Column, alias: str) -> str:
    """The value of a column, equal only if every byte is: collations, JSON numbers and geometry compare loosely."""
    name = f"{alias}.{quote(column.name)}"
    if column.data_type in {"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set"}:
        return f"CAST({name} AS BINARY)"
    if column.data_type == "json":
        return f"CAST(CAST({name} AS CHAR) AS BINARY)"
    if column.srid is not None or column.data_type in _GEOMETRY:
        return f"CAST({name} AS BINARY)"
    return name


_GEOMETRY = frozenset(
    {"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon"}
    | {"geomcollection", "geometrycollection"}
)


def compare_part(
    table: Table, shadow: TableName, key_name: str, key: Sequence[KeyColumn], part: Sql, aliased: Sql
) -> Sql:
    """Counts rows in the source, in the shadow, and rows that are the same in both, byte for byte and NULL for NULL.

    One statement, so one snapshot of both tables; no locks. `part` and `aliased` say the same range, the
    latter with the columns of alias `origin`. Generated columns are compared where they are stored. A row of the
    source that the shadow lacks is joined with NULLs, from which its key differs: no column of a key is NULL.
    """
    columns = [column for column in table.columns if column.generated != "VIRTUAL"]
    equal = " AND ".join(f"{as_bytes(c, 'origin')} <=> {as_bytes(c, 'copied')}" for c in columns)
    index = quote(key_name)
    return Sql(
        f"SELECT COUNT(*), (SELECT COUNT(*) FROM {qualified(shadow)} FORCE INDEX ({index}) WHERE {part.text}),"
        f" COUNT(IF({equal}, 1, NULL)) FROM {qualified(table.name)} AS origin FORCE INDEX ({index})"
        f" LEFT JOIN {qualified(shadow)} AS copied FORCE INDEX ({index}) ON {same(key, 'origin', 'copied')}"
        f" WHERE {aliased.text}",
        part.args + aliased.args,
    )
