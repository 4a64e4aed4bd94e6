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


def one_of_each_key(log: TableName, key: Sequence[KeyColumn], seqs: Sequence[int]) -> Sql:
    """Reads one entry of each distinct key among the given ones, as the server tells keys apart. No locks."""
    places = ", ".join(["%s"] * len(seqs))
    return Sql(
        f"SELECT MIN(seq) FROM {qualified(log)} FORCE INDEX (PRIMARY) WHERE seq IN ({places})"
        f" GROUP BY {', '.join(log_columns(key))}",
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


_TEXT: Final = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})

_BYTE_ORDERED: Final = frozenset({"ascii", "latin1", "utf8mb3", "utf8mb4"})
"""Character sets whose `_bin` collation calls two texts of the same length equal only if all of their bytes are."""


def as_bytes(column: Column, alias: str) -> str:
    """The value of a column, equal only if every byte is: collations, JSON numbers and geometry compare loosely."""
    name = f"{alias}.{quote(column.name)}"
    if column.data_type in _TEXT or column.data_type in {"enum", "set"}:
        return f"CAST({name} AS BINARY)"
    if column.data_type == "json":
        return f"CAST(CAST({name} AS CHAR) AS BINARY)"
    if column.srid is not None or column.data_type in _GEOMETRY:
        return f"CAST({name} AS BINARY)"
    return name


def _same_bytes(column: Column, one: str, other: str, *, has_no_pad: bool) -> str:
    """True if both values of the column are the same, byte for byte, or both NULL.

    By a collation, where that says the same: a CAST copies each text (it made the comparison of 2,000,000 rows of
    sysbench's table half as long again). And by the length where the collation pads with spaces; the one that does
    not is utf8mb4's, of 8.0.17.
    """
    if column.data_type in _TEXT and column.charset in _BYTE_ORDERED:
        left, right = f"{one}.{quote(column.name)}", f"{other}.{quote(column.name)}"
        if column.charset == "utf8mb4" and has_no_pad:
            return f"{left} <=> {right} COLLATE utf8mb4_0900_bin"
        return f"{left} <=> {right} COLLATE {column.charset}_bin AND LENGTH({left}) <=> LENGTH({right})"
    return f"{as_bytes(column, one)} <=> {as_bytes(column, other)}"


def _same_key(key: Sequence[KeyColumn], one: str, other: str) -> str:
    """Join condition on the key that no index serves, so that the server hashes one side instead of going down the
    index of the other for each row: half the time."""

    def hashed(column: Column, alias: str) -> str:
        name = f"{alias}.{quote(column.name)}"
        if column.data_type in {"enum", "set", "bit"}:
            return f"CAST({name} AS UNSIGNED)"
        if column.data_type in _TEXT and column.charset not in _BYTE_ORDERED:
            return as_bytes(column, alias)
        # A collation alone would not do: the server overlooks it where it is the column's own (seen on 9.7.4).
        return f"COALESCE({name})" + (f" COLLATE {column.charset}_bin" if column.data_type in _TEXT else "")

    return " AND ".join(f"{hashed(part.column, one)} = {hashed(part.column, other)}" for part in key)


_GEOMETRY = frozenset(
    {"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon"}
    | {"geomcollection", "geometrycollection"}
)


ORIGIN: Final = "origin"
COPIED: Final = "copied"
"""What the comparison calls the source and the shadow."""


def compare_part(
    table: Table,
    shadow: TableName,
    key_name: str,
    key: Sequence[KeyColumn],
    part: Sql,
    of_origin: Sql,
    of_copied: Sql,
    *,
    by_hash: bool,
    longest_seconds: float = 0,
) -> Sql:
    """Counts rows in the source, in the shadow, and rows that are the same in both, byte for byte and NULL for NULL.

    One statement, so one snapshot of both tables; no locks. The three parts say the same range: without an alias,
    and with the columns of `ORIGIN` and `COPIED`. `by_hash`: for a server that has hash joins (8.0.18), else it would
    try each row with each. After `longest_seconds`, if that is not 0, the server ends it (3024). Generated columns are
    compared where they are stored.
    """
    columns = [column for column in table.columns if column.generated != "VIRTUAL"]
    equal = " AND ".join(_same_bytes(column, ORIGIN, COPIED, has_no_pad=by_hash) for column in columns)
    index = f"FORCE INDEX ({quote(key_name)})"
    joined = _same_key(key, ORIGIN, COPIED) if by_hash else same(key, ORIGIN, COPIED)
    source = qualified(table.name)
    bound = f"/*+ MAX_EXECUTION_TIME({round(longest_seconds * 1000)}) */ " if longest_seconds else ""
    return Sql(
        f"SELECT {bound}(SELECT COUNT(*) FROM {source} {index} WHERE {part.text}),"
        f" (SELECT COUNT(*) FROM {qualified(shadow)} {index} WHERE {part.text}), COUNT(IF({equal}, 1, NULL))"
        f" FROM {source} AS {ORIGIN} {index} JOIN {qualified(shadow)} AS {COPIED} {index} ON {joined}"
        f" WHERE {of_origin.text} AND {of_copied.text}",
        part.args * 2 + of_origin.args + of_copied.args,
    )
