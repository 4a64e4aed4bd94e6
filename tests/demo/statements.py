"""One transaction of the application, and the statements it is made of: rows found, inserted, changed by full key.

Each checks what the server answers (rows affected, rows read back): a wrong answer is counted, never
repaired. Locks are those of single rows; see `estate` for why no two threads wait for each other.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.demo.estate import Estate
from tests.demo.shapes import Row, Shape, Value, quote
from tests.demo.values import completed, literal, new_value

if TYPE_CHECKING:
    from pymysql.cursors import Cursor


@dataclass(slots=True)
class Work:
    """One transaction of one thread."""

    cursor: Cursor
    chance: random.Random
    estates: Mapping[str, Estate]
    names: Iterator[bytes]
    wrong: list[str] = field(default_factory=list)
    """Answers that were not what they must be: table and what it was about, never values."""
    touched: dict[str, Estate] = field(default_factory=dict)
    """Estates as they were before this transaction."""

    def run(self, shape: Shape, statement: str, args: list[object], *, affected: int | None = None) -> None:
        """Execute; `affected` rows must change."""
        self.cursor.execute(statement, args)
        if affected is not None and self.cursor.rowcount != affected:
            self.wrong.append(f"{shape.table}: {statement.split()[0]} affected {self.cursor.rowcount}, not {affected}")

    def estate(self, table: str) -> Estate:
        """The thread's estate of the table, remembered as it is for a rollback."""
        if table not in self.touched:
            self.touched[table] = self.estates[table].saved()
        return self.estates[table]


def read_back(work: Work, estate: Estate, key: Row) -> None:
    """SELECT a row by its key, without locks: it must be what this thread last wrote there."""
    shape = estate.shape
    condition, args = where(shape, key)
    work.cursor.execute(f"SELECT {shape.column_list} FROM {shape.sql} WHERE {condition}", args)
    found = work.cursor.fetchall()
    row = estate.at(key)
    if list(found) != ([] if row is None else [row]):
        work.wrong.append(f"{shape.table}: a row was read that is not what was written")


def where(shape: Shape, key: Row) -> tuple[str, list[object]]:
    """The condition that finds one row, and its arguments."""
    columns = [shape.columns[position] for position in shape.key]
    condition = " AND ".join(f"{quote(column.name)} = %s" for column in columns)
    return condition, [literal(column, value) for column, value in zip(columns, key, strict=True)]


def some(work: Work, keys: list[Row], most: int) -> list[Row]:
    return work.chance.sample(keys, min(len(keys), work.chance.randint(1, most)))


def row_at(estate: Estate, key: Row) -> Row:
    row = estate.at(key)
    assert row is not None, "only rows that are there are chosen"
    return row


def with_(row: Row, changes: Mapping[int, Value]) -> Row:
    return tuple(changes.get(position, value) for position, value in enumerate(row))


def changed(work: Work, shape: Shape, row: Row, *, every: bool = False) -> Row:
    """The row with other values in some (or every) column that is in no unique key."""
    positions = shape.free if every else work.chance.sample(shape.free, min(len(shape.free), work.chance.randint(1, 3)))
    changes = {position: new_value(shape.columns[position], work.chance, of=shape.table) for position in positions}
    return completed(shape, with_(row, changes))


def new_row(work: Work, estate: Estate, key: Row) -> Row:
    """A row for a free key, with unique values that are spare."""
    shape = estate.shape
    values: dict[int, Value] = dict(zip(shape.key, key, strict=True))
    for unique, spare in zip(shape.uniques, estate.spare, strict=True):
        positions = estate.own_unique(unique)
        if spare:
            values |= zip(positions, spare.pop(work.chance.randrange(len(spare))), strict=True)
        else:
            assert all(shape.columns[position].nullable for position in positions), "a deleted row leaves its values"
            values |= dict.fromkeys(positions)
    return changed(work, shape, tuple(values.get(position) for position in range(len(shape.columns))), every=True)


def fresh_row(work: Work, shape: Shape) -> Row:
    """A row that never was: unique values with this thread's name; AUTO_INCREMENT to be filled in."""
    bound = {position for unique in shape.uniques for position in unique} - {*shape.key}
    row = tuple(
        next(work.names) if position in bound else new_value(column, work.chance, of=shape.table)
        for position, column in enumerate(shape.columns)
        if not column.generated
    )
    values = dict(zip(shape.written, row, strict=True))
    return completed(shape, tuple(values.get(position) for position in range(len(shape.columns))))


def insert(
    work: Work,
    shape: Shape,
    verb: str,
    rows: list[Row],
    *,
    affected: int | None = None,
    but: int | None = None,
    then: str = "",
) -> None:
    """Insert or replace rows in one statement; `but` is the position of a column that the server fills."""
    written = [position for position in shape.written if position != but]
    places = "(" + ", ".join(["%s"] * len(written)) + ")"
    work.run(
        shape,
        f"{verb} INTO {shape.sql} ({', '.join(quote(shape.columns[position].name) for position in written)}) "
        f"VALUES {', '.join([places] * len(rows))}{then}",
        [literal(shape.columns[position], row[position]) for row in rows for position in written],
        affected=affected,
    )


def kept(shape: Shape, *written: int) -> str:
    """Assignments that keep what an UPDATE would otherwise set by itself."""
    names = [quote(column.name) for n, column in enumerate(shape.columns) if column.set_by_update and n not in written]
    return "".join(f"{name} = {name}, " for name in names)


def update_row(work: Work, estate: Estate, key: Row, old: Row, new: Row) -> None:
    """UPDATE the columns that differ, by the old key; the estate gets the row only where the key stays."""
    shape = estate.shape
    differ = [position for position in shape.written if old[position] != new[position]]
    if not differ:
        return
    condition, args = where(shape, key)
    work.run(
        shape,
        f"UPDATE {shape.sql} SET {kept(shape, *differ)}"
        f"{', '.join(f'{quote(shape.columns[position].name)} = %s' for position in differ)} WHERE {condition}",
        [*(literal(shape.columns[position], new[position]) for position in differ), *args],
        affected=1,
    )
    if shape.key_of(new) == key:
        estate.put(key, new)
