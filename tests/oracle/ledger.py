"""What must be there, as the application was told: rows by their place in the key, divided among threads."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.oracle.pools import Place, Pools, Spelling, exact
from tests.oracle.schemas import Group, Schema, quote

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

COUNTED: Final = 10**12
"""Added to a number that AUTO_INCREMENT gave, for its place in the key."""

Unique = tuple[int, int] | None
"""Place and spelling of a unique value, or NULL."""

Exact = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A row beside its place in the key: which spelling the key has, its unique values, its payload."""

    spelling: int
    uniques: tuple[Unique, ...]
    payload: int


@dataclass(slots=True)
class Estate:
    """The stretch of one table that one thread owns, and the rows in it."""

    schema: Schema
    pools: Pools
    keys: range
    uniques: tuple[range, ...]
    rows: dict[int, Row] = field(default_factory=dict)

    # -- what is free and what is taken

    def free_keys(self) -> list[int]:
        """Places without a row."""
        return [k for k in self.keys if k not in self.rows]

    def held(self, number: int) -> dict[int, int]:
        """Who has a value of this unique index: place in the key by place in the index."""
        found = ((row.uniques[number], k) for k, row in self.rows.items())
        return {unique[0]: k for unique, k in found if unique is not None}

    def free_uniques(self, number: int) -> list[int]:
        """Places of a unique index that no row has."""
        held = self.held(number)
        return [u for u in self.uniques[number] if u not in held]

    # -- rows that could be

    def new_row(self, chance: random.Random, used: Sequence[Row] = ()) -> Row | None:
        """A row with unique values that are free, also beside `used`; None if nothing is free."""
        uniques: list[Unique] = []
        for number, group in enumerate(self.schema.uniques):
            also = {row.uniques[number] for row in used}
            taken = {unique[0] for unique in also if unique is not None}
            free = [u for u in self.free_uniques(number) if u not in taken]
            if group.nullable and (not free or chance.random() < 0.2):
                uniques.append(None)
            elif free:
                uniques.append(self.any_unique(chance, number, free))
            else:
                return None
        return Row(chance.randrange(10), tuple(uniques), chance.randrange(len(self.pools.payload)))

    def any_unique(self, chance: random.Random, number: int, places: Sequence[int]) -> Unique:
        """One of these values of a unique index, in any spelling."""
        place = chance.choice(places)
        return place, chance.randrange(len(self.pools.uniques[number][place]))

    # -- rows as SQL and as they are read

    def key(self, k: int, spelling: int = 0) -> Spelling:
        """The values of the key's columns; spellings repeat where there are fewer."""
        if k >= COUNTED:
            number = str(k - COUNTED)
            return Spelling((number,), (number,), exact((number,)))
        place: Place = self.pools.key[k]
        return place[spelling % len(place)]

    def groups(self, k: int, row: Row) -> Iterator[tuple[Group, Spelling | None]]:
        """Every group of columns with its values; None for NULL."""
        yield self.schema.key, self.key(k, row.spelling)
        for number, (group, unique) in enumerate(zip(self.schema.uniques, row.uniques, strict=True)):
            yield group, None if unique is None else self.pools.uniques[number][unique[0]][unique[1]]
        yield self.schema.payload, self.pools.payload[row.payload]

    def literals(self, k: int, row: Row) -> list[str]:
        """The row's values as literals, in the order of `Schema.columns`."""
        return [
            sql
            for group, found in self.groups(k, row)
            for sql in (found.sql if found else ["NULL"] * len(group.columns))
        ]

    def texts(self, k: int, row: Row) -> list[str | None]:
        """The row's values as texts in a file."""
        return [
            text
            for group, found in self.groups(k, row)
            for text in (found.texts if found else [None] * len(group.columns))
        ]

    def exact(self, k: int, row: Row) -> Exact:
        """The row as it is read."""
        found: list[str] = []
        for group, spelling in self.groups(k, row):
            found += spelling.exact if spelling else exact([None] * len(group.columns))
        return tuple(found)

    def where(self, *keys: int, spelling: int = 0) -> str:
        """A condition for these rows, each a point of the index."""
        columns = self.schema.key.columns
        one = [
            " AND ".join(f"{c.sql} = {sql}" for c, sql in zip(columns, self.key(k, spelling).sql, strict=True))
            for k in keys
        ]
        return " OR ".join(f"({condition})" for condition in one) or "FALSE"

    def expected(self, keys: Sequence[int] | None = None) -> list[Exact]:
        """The rows as they must be read, sorted."""
        chosen = self.rows if keys is None else {k: self.rows[k] for k in keys if k in self.rows}
        return sorted(self.exact(k, row) for k, row in chosen.items())


def shared_out(schema: Schema, pools: Pools, threads: int, fences: int) -> tuple[list[Estate], Estate]:
    """Estates for threads, and one with the fences between, before and behind them, whose rows are there for good.

    Every unique index is cut in the same way, so that a row of a fence stands between stretches in each.
    """

    def cut(count: int) -> tuple[list[range], list[int]]:
        stretch = (count - fences * (threads + 1)) // threads
        ranges, walls = [], list(range(fences))
        for number in range(threads):
            start = fences + number * (stretch + fences)
            ranges.append(range(start, start + stretch))
            walls += range(start + stretch, start + stretch + fences)
        walls[-1] = count - 1
        return ranges, walls

    keys, walls = cut(len(pools.key))
    uniques = [cut(len(places)) for places in pools.uniques]
    estates = [Estate(schema, pools, keys[n], tuple(ranges[n] for ranges, _ in uniques)) for n in range(threads)]
    fence = Estate(schema, pools, range(0), ())
    for number, k in enumerate(walls):
        values: tuple[Unique, ...] = tuple((marks[number], 0) for _, marks in uniques)
        fence.rows[k] = Row(0, values, number % len(pools.payload))
    return estates, fence


def columns_of(schema: Schema) -> str:
    """The columns that the application writes, quoted."""
    return ", ".join(column.sql for column in schema.columns)


def read(cursor: Cursor, schema: Schema, rest: str = "") -> list[Exact]:
    """Rows as they are, each value exactly, sorted. `rest`: all behind the table's name."""
    picked = ", ".join(column.read for column in schema.columns)
    cursor.execute(f"SELECT {picked} FROM {schema.sql} {rest}")
    return sorted(exact(row) for row in cursor.fetchall())


def strange(cursor: Cursor, schema: Schema) -> int:
    """How many rows have a generated column that is not what its expression says, or a constant that is none."""
    wrong = [f"NOT ({_bytes(quote(name))} <=> {_bytes(expression)})" for name, expression, _ in schema.generated]
    wrong += [f"NOT ({quote(one.name)} <=> {one.value})" for one in schema.constants if one.type != "JSON"]
    if not wrong:
        return 0
    cursor.execute(f"SELECT COUNT(*) FROM {schema.sql} WHERE {' OR '.join(wrong)}")
    return int((cursor.fetchone() or (0,))[0])


def _bytes(expression: str) -> str:
    # As bytes: a column and what it is computed from may have collations that cannot be compared (1267).
    return f"CAST(CONVERT(({expression}) USING utf8mb4) AS BINARY)"


def difference(must: Sequence[Exact], found: Sequence[Exact]) -> str:
    """In which way rows are not what they must be; '' if they are."""
    if list(must) == list(found):
        return ""
    missing, extra = sorted(set(must) - set(found)), sorted(set(found) - set(must))
    return f"{len(found)} rows, {len(must)} expected; missing {len(missing)}: {missing[:2]}; extra {len(extra)}: {extra[:2]}"
