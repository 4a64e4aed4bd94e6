"""The parts of tables: columns, keys, triggers, CHECK constraints, partitions, histograms.

Each query stands right above the code that unpacks its rows, and is asked once for all tables.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from migrator.db import Row, Session
from migrator.inventory.ask import DENIED
from migrator.inventory.catalog import OF, Catalog
from migrator.model import Check, Column, Family, Key, KeyPart, Segment, TableName, Trigger
from migrator.sql_errors import SqlError

K = TypeVar("K")
V = TypeVar("V")

_MOST_NAMES: Final = 1000
"""So many names of tables are handed to the server; for more it is asked about their whole schemas."""


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition, or one of its subpartitions."""

    name: str
    subpartition: str
    method: str
    """`RANGE`, or with subpartitions `RANGE/HASH`."""

    @property
    def leaf(self) -> str:
        """The name of what has rows; no two in a table are the same."""
        return self.subpartition or self.name


@dataclass(frozen=True, slots=True)
class Parts:
    """What belongs to tables, by table."""

    columns: Mapping[TableName, Sequence[Column]]
    keys: Mapping[TableName, Sequence[Key]]
    triggers: Mapping[TableName, Sequence[Trigger]]
    checks: Mapping[TableName, Sequence[Check]]
    partitions: Mapping[TableName, Sequence[Partition]]
    histograms: Mapping[TableName, Sequence[str]]


def read_parts(session: Session, names: set[TableName]) -> Parts:
    """Read them with six statements, perhaps with parts of other tables in the same schemas.

    Parts that our account has no privilege for are left out by the server, without a word.
    """
    catalog = OF[session.family]
    return Parts(
        columns=_by_table(rows_about(session, names, catalog.columns), _column),
        keys=_keys(rows_about(session, names, catalog.keys)),
        triggers=_by_table(rows_about(session, names, _TRIGGERS), _trigger),
        checks=_by_table(rows_about(session, names, catalog.checks), _check),
        partitions=_by_table(rows_about(session, names, _PARTITIONS), _partition),
        histograms=_by_table(_histograms(session, names, catalog), lambda row: str(row[2])),
    )


def _histograms(session: Session, names: set[TableName], catalog: Catalog) -> list[Row]:
    """MariaDB has them in a table of its own, and refuses who may not read it; then none is known."""
    try:
        return rows_about(session, names, catalog.histograms)
    except SqlError as error:
        if session.family is not Family.MARIADB or error.number not in DENIED:
            raise
        return []


def rows_about(session: Session, names: set[TableName], statement: str) -> list[Row]:
    """The rows about `names` (at least one), perhaps with rows about other tables of their schemas.

    In `statement` the two names of columns in braces become conditions: the schema's, then the table's.
    """
    schemas = sorted({name.schema for name in names})
    tables = sorted({name.name for name in names})
    if len(tables) > _MOST_NAMES:
        tables = []
    for column, some in zip(re.findall(r"{([\w.]+)}", statement), (schemas, tables), strict=True):
        statement = statement.replace(f"{{{column}}}", _one_of(column, some))
    return session.rows(statement, (*schemas, *tables))


def _one_of(column: str, values: Sequence[str]) -> str:
    return f"{column} IN ({', '.join(['%s'] * len(values))})" if values else "TRUE"


def grouped(pairs: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    """The values of each key, both in order of appearance."""
    found: dict[K, list[V]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return found


def _by_table(rows: Iterable[Row], make: Callable[[Row], V]) -> dict[TableName, list[V]]:
    return grouped((TableName(str(row[0]), str(row[1])), make(row)) for row in rows)


# -- columns ------------------------------------------------------------------------------------------

_GENERATED: Final = re.compile(r"\b(STORED|VIRTUAL) GENERATED\b")


def _column(row: Row) -> Column:
    _, _, name, type_, data_type, nullable, charset, collation, extra, srid, expression = row
    words = str(extra or "").upper()
    generated = _GENERATED.search(words)
    return Column(
        name=str(name),
        type=str(type_),
        data_type=str(data_type).lower(),
        nullable=str(nullable) == "YES",
        charset=str(charset) if charset is not None else None,
        collation=str(collation) if collation is not None else None,
        generated=generated[1] if generated else "",
        invisible="INVISIBLE" in words.split(),
        auto_increment="AUTO_INCREMENT" in words.split(),
        srid=int(srid) if srid is not None else None,
        expression=str(expression or "") if generated else "",
    )


# -- keys ---------------------------------------------------------------------------------------------


def _keys(rows: Iterable[Row]) -> dict[TableName, list[Key]]:
    by_key = grouped(((TableName(str(row[0]), str(row[1])), str(row[2])), row) for row in rows)
    return grouped((table, _key(name, parts)) for (table, name), parts in by_key.items())


def _key(name: str, rows: Sequence[Row]) -> Key:
    _, _, _, non_unique, _, _, _, type_, visible, _ = rows[0]
    parts = tuple(
        KeyPart(
            column=str(column) if column is not None else None,
            # SUB_PART of a SPATIAL index is the size of a bounding box.
            prefix=int(prefix) if prefix is not None and type_ != "SPATIAL" else None,
            descending=collation == "D",
            expression=str(expression or ""),
        )
        for _, _, _, _, column, prefix, collation, _, _, expression in rows
    )
    return Key(name=name, parts=parts, unique=not int(non_unique), type=str(type_), visible=str(visible) == "YES")


# -- triggers and checks ------------------------------------------------------------------------------

_TRIGGERS: Final = """
    SELECT EVENT_OBJECT_SCHEMA, EVENT_OBJECT_TABLE, TRIGGER_SCHEMA, TRIGGER_NAME, ACTION_TIMING, EVENT_MANIPULATION,
           DEFINER, CREATED, ACTION_STATEMENT
    FROM information_schema.TRIGGERS
    WHERE {EVENT_OBJECT_SCHEMA} AND {EVENT_OBJECT_TABLE}
    ORDER BY EVENT_OBJECT_SCHEMA, EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER
"""


def _trigger(row: Row) -> Trigger:
    _, table, schema, name, timing, event, definer, created, body = row
    return Trigger(
        schema=str(schema),
        name=str(name),
        table=str(table),
        timing=str(timing),
        event=str(event),
        definer=str(definer),
        created=str(created or ""),
        body_hash=hashlib.sha256(str(body).encode()).hexdigest(),
    )


def _check(row: Row) -> Check:
    table, name, expression = str(row[1]), str(row[2]), str(row[3] or "")
    generated_name = re.fullmatch(re.escape(table) + r"_chk_[0-9]+", name) is not None
    return Check(name, generated_name=generated_name, expression=expression)


# -- partitions and histograms ------------------------------------------------------------------------

_PARTITIONS: Final = """
    SELECT TABLE_SCHEMA, TABLE_NAME, PARTITION_NAME, SUBPARTITION_NAME, PARTITION_METHOD, SUBPARTITION_METHOD
    FROM information_schema.PARTITIONS
    WHERE PARTITION_NAME IS NOT NULL AND {TABLE_SCHEMA} AND {TABLE_NAME}
    ORDER BY TABLE_SCHEMA, TABLE_NAME, PARTITION_ORDINAL_POSITION, SUBPARTITION_ORDINAL_POSITION
"""


def _partition(row: Row) -> Partition:
    _, _, name, subpartition, method, submethod = row
    return Partition(str(name), str(subpartition or ""), "/".join(str(word) for word in (method, submethod) if word))


def partitioned(segments: Sequence[Segment], partitions: Sequence[Partition]) -> tuple[Segment, ...]:
    """The segments, their partitions as the server spells them, in the partitions' order. Pure."""
    last = len(partitions)
    order = {_folded(partition.leaf): place for place, partition in enumerate(partitions)}
    placed = []
    for segment in segments:
        place = order.get(_folded(segment.partition), last) if segment.partition else last
        placed.append((place, segment if place == last else replace(segment, partition=partitions[place].leaf)))
    return tuple(segment for _, segment in sorted(placed, key=lambda pair: pair[0]))


def _folded(name: str) -> str:
    # Letter by letter, as the server does it: İ is i there, and i with a dot above in Python.
    return "".join(letter.lower()[0] for letter in name)
