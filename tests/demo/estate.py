"""Which rows a thread answers for, so that the ledger is exact and no two threads ever meet.

A thread owns blocks: a handful of neighbouring loaded rows each, spread over the whole key. The first and
the last row of a block are fences: never deleted, moved or replaced. So the gap locks that InnoDB takes
under REPEATABLE READ, when a key is inserted again or replaced, stay inside the block, and the application
has no deadlock of its own making. (For that, neighbours by key are neighbours by every other unique key
too: the company's tables are loaded so.) Keys and unique values are never made up, they go from row to row
of one thread; new ones come from AUTO_INCREMENT, with unique values that name the run and the thread.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from tests.demo.ledger import Owned
from tests.demo.shapes import Account, Row, Shape, quote

BLOCK_ROWS: Final = 10


@dataclass(slots=True)
class Estate:
    """What one thread owns of one table."""

    shape: Shape
    rows: dict[Row, Row | None] = field(default_factory=dict)
    """By key; None where a key is free."""
    fences: frozenset[Row] = frozenset()
    spare: list[list[Row]] = field(default_factory=list)
    """For each unique key: values that no row holds now."""
    appended: dict[Row, Row] = field(default_factory=dict)
    """Rows that did not exist when the application started, by key."""
    respelled: set[Row] = field(default_factory=set)
    """Keys that were replaced by themselves in other letters (`abc` by `ABC`): nothing may be found there."""

    def live(self, *, fences: bool = False) -> list[Row]:
        """Keys of rows that are there; with `fences`, also of those that only get other values."""
        return [key for key, row in self.rows.items() if row is not None and (fences or key not in self.fences)]

    def free(self) -> list[Row]:
        """Keys that no row holds now."""
        return [key for key, row in self.rows.items() if row is None]

    def known(self) -> list[Row]:
        """Keys whose row, or absence, can be looked up; not those respelled, where the server finds the other one."""
        return [*self.rows, *self.appended]

    def at(self, key: Row) -> Row | None:
        """The row with the key, as the thread last wrote it."""
        return self.appended.get(key) or self.rows.get(key)

    def put(self, key: Row, row: Row) -> None:
        """The row is there from now on."""
        if key in self.appended:
            self.appended[key] = row
        else:
            self.rows[key] = row

    def own_unique(self, unique: tuple[int, ...]) -> tuple[int, ...]:
        """The positions of a unique key's columns that are not in the key."""
        return tuple(position for position in unique if position not in self.shape.key)

    def remove(self, key: Row) -> None:
        """The row is gone: its key is free and its unique values are spare."""
        if key in self.appended:
            # Its unique values were made for it: nobody needs them again.
            del self.appended[key]
            return
        row = self.rows[key]
        if row is not None:
            self.give_back(row)
        self.rows[key] = None

    def give_back(self, row: Row) -> None:
        """The row's unique values are spare from now on."""
        for unique, spare in zip(self.shape.uniques, self.spare, strict=True):
            values = tuple(row[position] for position in self.own_unique(unique))
            if None not in values:
                spare.append(values)

    def saved(self) -> Estate:
        """A copy to go back to after a rollback."""
        return Estate(
            self.shape,
            dict(self.rows),
            self.fences,
            [list(values) for values in self.spare],
            dict(self.appended),
            set(self.respelled),
        )

    def owned(self) -> Owned:
        """The ledger's view: what is known of every key that the thread answers for."""
        return dict.fromkeys(self.respelled) | self.rows | self.appended


def adopt(account: Account, shape: Shape, *, owners: int, blocks: int) -> list[Estate]:
    """An estate for each owner, of `blocks` blocks each, spread evenly over the key; what fits in a small table.

    One pass over the key, without locks; nobody may write to the table meanwhile.
    """
    estates = [Estate(shape, spare=[[] for _ in shape.uniques]) for _ in range(owners)]
    with closing(account.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {shape.sql}", ())
        count = int((cursor.fetchone() or (b"0",))[0])
        blocks = max(1, min(blocks, count // (owners * BLOCK_ROWS * 2)))
        step = max(BLOCK_ROWS, count // (owners * blocks))
        key = ", ".join(quote(shape.columns[position].name) for position in shape.key)
        cursor.execute(
            f"SELECT {shape.column_list}, `#` FROM {shape.sql} JOIN "
            f"(SELECT {key}, ROW_NUMBER() OVER (ORDER BY {shape.key_order}) - 1 AS `#` FROM {shape.sql}) AS numbered "
            f"USING ({key}) WHERE `#` %% %s BETWEEN %s AND %s ORDER BY `#`",
            (step, step // 2, step // 2 + BLOCK_ROWS - 1),
        )
        found: dict[int, list[Row]] = {}
        for *row, number in cursor.fetchall():
            found.setdefault(int(number) // step, []).append(tuple(row))
    for rows, estate in zip(found.values(), itertools.cycle(estates), strict=False):
        keyed = {shape.key_of(row): row for row in rows}
        estate.rows.update(keyed)
        estate.fences |= {*list(keyed)[:1], *list(keyed)[-1:]}
    return estates


def names(run: int, thread: int) -> Iterator[bytes]:
    """Unique values of this run and thread, twelve characters each; they sort together."""
    return (f"{run % 0x1000000:06x}{thread % 16:x}{number % 0x100000:05x}".encode() for number in itertools.count())
