"""The values that may stand in a table: drawn by chance, put in order by the server, divided among threads.

A place is one value of a key or of a unique index. It can have several spellings ('a' and 'A', 0 and -0)
that are equal for the index and different byte by byte. The server says which are equal and how they are
ordered, in small tables of its own schema that nobody migrates; and it says how each is read back.

Each thread owns a stretch of neighbouring places, in the key and in every unique index. Between two
stretches stand rows that nobody touches (fences). So no lock of one thread reaches into the stretch of
another, not even one on a gap: two threads never wait for each other, and each wait or deadlock is ours.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.oracle.schemas import PLACES, Column, Group, Schema, quote

if TYPE_CHECKING:
    from tests.servers.running import Connection

SQL_MODE: Final = "STRICT_ALL_TABLES,ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO"
"""Of every session that writes values: no value is changed to fit, zero dates and zero numbers are values."""

PAYLOADS: Final = 60


@dataclass(frozen=True, slots=True)
class Spelling:
    """Values of a group's columns."""

    texts: tuple[str | None, ...]
    sql: tuple[str, ...]
    """As literals."""
    exact: tuple[str, ...]
    """As they are read back."""


Place = tuple[Spelling, ...]


@dataclass(frozen=True, slots=True)
class Pools:
    """All values of one table. The last place of a key or unique index, like the first, is a fence."""

    key: tuple[Place, ...]
    uniques: tuple[tuple[Place, ...], ...]
    payload: tuple[Spelling, ...]


def exact(values: Sequence[object]) -> tuple[str, ...]:
    """What was read, so that equal means equal: -0.0 is not 0.0, '1' is not 1."""
    return tuple(map(repr, values))


def make_pools(connection: Connection, schema: Schema, chance: random.Random) -> Pools:
    """Draw values for every group and have the server put them in order. Leaves nothing behind."""
    return Pools(
        key=_places(connection, schema.key, _tuples(chance, schema.key, PLACES)),
        uniques=tuple(_places(connection, group, _tuples(chance, group, PLACES)) for group in schema.uniques),
        payload=_spellings(connection, schema.payload, _tuples(chance, schema.payload, PAYLOADS)),
    )


def _tuples(chance: random.Random, group: Group, count: int) -> list[tuple[str | None, ...]]:
    def one(column: Column) -> str | None:
        if column.nullable and not group.parts and chance.random() < 0.2:
            return None
        return column.kind.some(chance)

    return [tuple(one(column) for column in group.columns) for _ in range(count)]


def _literals(group: Group, texts: Sequence[str | None]) -> tuple[str, ...]:
    return tuple(column.kind.literal(text) for column, text in zip(group.columns, texts, strict=True))


def _fill(connection: Connection, group: Group, drawn: Sequence[tuple[str | None, ...]]) -> None:
    columns = ", ".join(f"{c.sql} {c.kind.type} {'NULL' if c.nullable else 'NOT NULL'}" for c in group.columns)
    with connection.cursor() as cursor:
        cursor.execute(f"SET sql_mode = '{SQL_MODE}', time_zone = '+00:00'")
        for table in ("drawn", "places"):
            cursor.execute(f"DROP TABLE IF EXISTS {table}")
            index = f", UNIQUE KEY ({', '.join(group.parts)})" if group.parts and table == "places" else ""
            cursor.execute(f"CREATE TABLE {table} (`no.` INT PRIMARY KEY, {columns}{index})")
        for start in range(0, len(drawn), 100):
            rows = [
                f"({start + n}, {', '.join(_literals(group, texts))})"
                for n, texts in enumerate(drawn[start : start + 100])
            ]
            cursor.execute(f"INSERT INTO drawn (`no.`, {group.names}) VALUES {', '.join(rows)}")


def _spellings(connection: Connection, group: Group, drawn: Sequence[tuple[str | None, ...]]) -> tuple[Spelling, ...]:
    _fill(connection, group, drawn)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(c.read for c in group.columns)} FROM drawn ORDER BY `no.`")
        found = [exact(row) for row in cursor.fetchall()]
        cursor.execute("DROP TABLE drawn, places")
    return tuple(Spelling(texts, _literals(group, texts), row) for texts, row in zip(drawn, found, strict=True))


def _places(connection: Connection, group: Group, drawn: Sequence[tuple[str | None, ...]]) -> tuple[Place, ...]:
    _fill(connection, group, drawn)
    equal = " AND ".join(f"{same.format('p.')} = {same.format('d.')}" for same in group.same)
    order = ", ".join(part.format("p.") for part in group.order)
    with connection.cursor() as cursor:
        cursor.execute("INSERT IGNORE INTO places SELECT * FROM drawn ORDER BY `no.`")
        reads = ", ".join(c.kind.read.format(f"d.{quote(c.name)}") for c in group.columns)
        cursor.execute(
            f"SELECT p.`no.`, d.`no.`, {reads} FROM places p JOIN drawn d ON {equal} ORDER BY {order}, p.`no.`, d.`no.`"
        )
        found = list(cursor.fetchall())
        cursor.execute("DROP TABLE drawn, places")
    places: dict[int, dict[tuple[str, ...], Spelling]] = {}
    for place, number, *values in found:
        texts = drawn[number]
        spelling = Spelling(texts, _literals(group, texts), exact(values))
        places.setdefault(place, {}).setdefault(spelling.exact, spelling)
    return tuple(tuple(spellings.values()) for spellings in places.values())
