"""What the application does in its transactions: each habit sends statements, says what must be answered, and notes it.

A habit that finds nothing to work on returns False and has done nothing. The ledger is changed when the
server has answered; a transaction that is rolled back gets its old ledger back (`workload`).
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tests.oracle.hand import Hand
from tests.oracle.ledger import COUNTED, Estate, Row, Unique, columns_of, difference, read
from tests.oracle.schemas import quote

DUPLICATE: Final = 1062


@dataclass(slots=True)
class Work:
    """What a habit needs."""

    hand: Hand
    estate: Estate
    chance: random.Random

    @property
    def table(self) -> str:
        """The table, quoted."""
        return self.estate.schema.sql

    @property
    def by_key(self) -> str:
        """The index by which the table must be searched: a scan would lock rows of others."""
        return f"FORCE INDEX ({quote(self.estate.schema.key_index)})"

    @property
    def forced(self) -> str:
        """The table, with that index."""
        return f"{self.table} {self.by_key}"

    @property
    def columns(self) -> str:
        """The columns that the application writes."""
        return columns_of(self.estate.schema)

    def some(self, most: int = 4) -> list[int]:
        """Places with rows."""
        there = list(self.estate.rows)
        return self.chance.sample(there, min(len(there), self.chance.randint(1, most)))

    def some_free(self, most: int = 4) -> list[int]:
        """Places without rows."""
        free = self.estate.free_keys()
        return self.chance.sample(free, min(len(free), self.chance.randint(1, most)))

    def fresh(self, keys: Sequence[int]) -> dict[int, Row]:
        """New rows for these places, as many as there are unique values for."""
        made: dict[int, Row] = {}
        for k in keys:
            row = self.estate.new_row(self.chance, list(made.values()))
            if row is None:
                break
            made[k] = row
        return made

    def values(self, rows: dict[int, Row]) -> str:
        """Rows as in VALUES."""
        return ", ".join(f"({', '.join(self.estate.literals(k, row))})" for k, row in rows.items())

    def differ(self, k: int, row: Row) -> bool:
        """True if this row is another one, byte by byte, than the one that is there."""
        return self.estate.exact(k, row) != self.estate.exact(k, self.estate.rows[k])

    def set_payload(self, payload: int) -> str:
        """Assignments."""
        group, values = self.estate.schema.payload, self.estate.pools.payload[payload].sql
        return ", ".join(f"{c.sql} = {sql}" for c, sql in zip(group.columns, values, strict=True))

    def set_key(self, k: int, spelling: int) -> str:
        """Assignments."""
        values = self.estate.key(k, spelling).sql
        return ", ".join(f"{c.sql} = {sql}" for c, sql in zip(self.estate.schema.key.columns, values, strict=True))

    def set_unique(self, number: int, unique: Unique) -> str:
        """Assignments."""
        columns = self.estate.schema.uniques[number].columns
        values = (
            ["NULL"] * len(columns) if unique is None else self.estate.pools.uniques[number][unique[0]][unique[1]].sql
        )
        return ", ".join(f"{c.sql} = {sql}" for c, sql in zip(columns, values, strict=True))


# -- plain ------------------------------------------------------------------------------------------


def insert(work: Work) -> bool:
    """Some rows in one statement."""
    rows = work.fresh(work.some_free(5))
    if not rows:
        return False
    work.hand.do(f"INSERT INTO {work.table} ({work.columns}) VALUES {work.values(rows)}", affected=len(rows))
    work.estate.rows.update(rows)
    return True


def remove(work: Work) -> bool:
    """Some rows in one statement."""
    keys = work.some()
    if not keys:
        return False
    where = work.estate.where(*keys, spelling=work.chance.randrange(3))
    if len(keys) == 1:
        work.hand.do(f"DELETE FROM {work.table} WHERE {where}", affected=1)
    else:
        work.hand.do(f"DELETE FROM gone USING {work.table} AS gone {work.by_key} WHERE {where}", affected=len(keys))
    for k in keys:
        del work.estate.rows[k]
    return True


def reborn(work: Work) -> bool:
    """Delete rows and insert others with the same keys, often with the same unique values."""
    for k in work.some(2):
        old = work.estate.rows[k]
        work.hand.do(f"DELETE FROM {work.table} WHERE {work.estate.where(k)}", affected=1)
        del work.estate.rows[k]
        rows = work.fresh([k])
        if work.chance.random() < 0.5 or not rows:
            rows = {k: replace(old, payload=work.chance.randrange(len(work.estate.pools.payload)))}
        work.hand.do(f"INSERT INTO {work.table} ({work.columns}) VALUES {work.values(rows)}", affected=1)
        work.estate.rows.update(rows)
    return True


def change(work: Work) -> bool:
    """The payload of some rows."""
    keys, payload = work.some(6), work.chance.randrange(len(work.estate.pools.payload))
    rows = {k: replace(work.estate.rows[k], payload=payload) for k in keys}
    affected = sum(work.differ(k, row) for k, row in rows.items())
    work.hand.do(
        f"UPDATE {work.forced} SET {work.set_payload(payload)} WHERE {work.estate.where(*keys)}", affected=affected
    )
    work.estate.rows.update(rows)
    return True


def respell(work: Work) -> bool:
    """A key that is equal and different: 'a' becomes 'A', 0 becomes -0."""
    keys = [k for k in work.estate.rows if k < COUNTED and len(work.estate.pools.key[k]) > 1]
    if not keys:
        return False
    k = work.chance.choice(keys)
    row = replace(work.estate.rows[k], spelling=work.estate.rows[k].spelling + 1)
    work.hand.do(
        f"UPDATE {work.forced} SET {work.set_key(k, row.spelling)} WHERE {work.estate.where(k)}",
        affected=int(work.differ(k, row)),
    )
    work.estate.rows[k] = row
    return True


# -- keys and unique values that move ---------------------------------------------------------------


def _move(work: Work, k: int, to: int) -> None:
    row = work.estate.rows[k]
    work.hand.do(f"UPDATE {work.forced} SET {work.set_key(to, row.spelling)} WHERE {work.estate.where(k)}", affected=1)
    work.estate.rows[to] = work.estate.rows.pop(k)


def move(work: Work) -> bool:
    """A row gets another key."""
    for k, to in zip(work.some(3), work.some_free(3), strict=False):
        _move(work, k, to)
    return True


def swap_keys(work: Work) -> bool:
    """Two rows swap their keys, by way of a third."""
    keys, free = work.chance.sample(list(work.estate.rows), min(2, len(work.estate.rows))), work.some_free(1)
    if len(keys) < 2 or not free:
        return False
    for k, to in ((keys[0], free[0]), (keys[1], keys[0]), (free[0], keys[1])):
        _move(work, k, to)
    return True


def shift(work: Work) -> bool:
    """`SET id = id + n ORDER BY id DESC`: neighbours move on together, into places that they leave."""
    estate, key = work.estate, work.estate.schema.key
    if not key.columns[0].kind.steps or len(key.columns) > 1 or len(estate.keys) < 20:
        return False
    first, length, by = (
        work.chance.randrange(len(estate.keys) - 12),
        work.chance.randint(2, 8),
        work.chance.choice((-2, -1, 1, 2)),
    )
    window = estate.keys[first : first + length]
    moving = {k: k + by for k in window if k in estate.rows}
    if not moving or any(to not in estate.keys or (to in estate.rows and to not in moving) for to in moving.values()):
        return False
    number = {k: int(estate.key(k).sql[0]) for k in {*moving, *moving.values()}}
    distances = {number[to] - number[k] for k, to in moving.items()}
    if len(distances) > 1:
        return False
    (distance,) = distances
    name, low, high = key.columns[0].sql, min(number[k] for k in moving), max(number[k] for k in moving)
    sign, way = ("+", "DESC") if distance > 0 else ("-", "ASC")
    work.hand.do(
        f"UPDATE {work.forced} SET {name} = {name} {sign} {abs(distance)} WHERE {name} BETWEEN {low} AND {high} ORDER BY {name} {way}",
        affected=len(moving),
    )
    rows = {to: estate.rows.pop(k) for k, to in moving.items()}
    estate.rows.update(rows)
    return True


def _unique(work: Work) -> int | None:
    count = len(work.estate.schema.uniques)
    return work.chance.randrange(count) if count else None


def _give(work: Work, k: int, number: int, unique: Unique) -> None:
    old = work.estate.rows[k]
    row = replace(old, uniques=(*old.uniques[:number], unique, *old.uniques[number + 1 :]))
    changed = int(work.differ(k, row))
    work.hand.do(
        f"UPDATE {work.forced} SET {work.set_unique(number, unique)} WHERE {work.estate.where(k)}", affected=changed
    )
    work.estate.rows[k] = row


def hand_on(work: Work) -> bool:
    """A unique value goes from row to row; with two, they swap it."""
    number = _unique(work)
    if number is None:
        return False
    held, free = work.estate.held(number), work.estate.free_uniques(number)
    nullable = work.estate.schema.uniques[number].nullable
    if len(held) < 2 or not (free or nullable):
        return False
    (u1, k1), (u2, k2) = work.chance.sample(sorted(held.items()), 2)
    spare: Unique = (
        work.estate.any_unique(work.chance, number, free)
        if free and not (nullable and work.chance.random() < 0.5)
        else None
    )
    if spare is None and not nullable:
        return False
    _give(work, k1, number, spare)
    _give(work, k2, number, work.estate.any_unique(work.chance, number, [u1]))
    if work.chance.random() < 0.5:
        _give(work, k1, number, work.estate.any_unique(work.chance, number, [u2]))
    return True


def new_unique(work: Work) -> bool:
    """A row gets a unique value that is free."""
    number = _unique(work)
    free = work.estate.free_uniques(number) if number is not None else []
    for k in work.some(1):
        if number is not None and free:
            _give(work, k, number, work.estate.any_unique(work.chance, number, free))
    return True


# -- statements that meet what is there -------------------------------------------------------------


def _conflicts(work: Work, k: int, row: Row) -> set[int]:
    """Rows that this one cannot stand beside."""
    found = {k} & work.estate.rows.keys()
    for number, unique in enumerate(row.uniques):
        if unique is not None and (holder := work.estate.held(number).get(unique[0])) is not None:
            found.add(holder)
    return found


def _meeting(work: Work, k: int) -> Row | None:
    """A row for this place that perhaps wants unique values of others."""
    row = work.estate.new_row(work.chance)
    number = _unique(work)
    if row is None or number is None or work.chance.random() < 0.5:
        return row
    held = work.estate.held(number)
    if not held:
        return row
    wanted = work.estate.any_unique(work.chance, number, sorted(held))
    return replace(row, uniques=(*row.uniques[:number], wanted, *row.uniques[number + 1 :]))


def replace_(work: Work) -> bool:
    """REPLACE, which deletes up to one row for each unique index. (An identical row: see `test_known`.)"""
    for k in work.chance.choice((work.some(1), work.some_free(1))):
        row = _meeting(work, k)
        if row is None or (k in work.estate.rows and not work.differ(k, row)):
            return False
        conflicts = _conflicts(work, k, row)
        work.hand.do(
            f"REPLACE INTO {work.table} ({work.columns}) VALUES {work.values({k: row})}", affected=1 + len(conflicts)
        )
        for gone in conflicts:
            del work.estate.rows[gone]
        work.estate.rows[k] = row
    return True


def upsert(work: Work) -> bool:
    """INSERT ... ON DUPLICATE KEY UPDATE, of a key or a unique value that is there, and of one that is not."""
    names = [c.sql for c in work.estate.schema.payload.columns]
    sets = ", ".join(f"{name} = fresh.{name}" for name in names)
    for k in work.chance.choice((work.some(1), work.some_free(1))):
        row = _meeting(work, k)
        if row is None or len(conflicts := _conflicts(work, k, row)) > 1:
            return False
        sql = f"INSERT INTO {work.table} ({work.columns}) VALUES {work.values({k: row})} AS fresh ON DUPLICATE KEY UPDATE {sets}"
        if conflicts:
            (met,) = conflicts
            changed = replace(work.estate.rows[met], payload=row.payload)
            work.hand.do(sql, affected=2 * int(work.differ(met, changed)))
            work.estate.rows[met] = changed
        else:
            work.hand.do(sql, affected=1)
            work.estate.rows[k] = row
    return True


def _mixed(work: Work) -> tuple[dict[int, Row], dict[int, Row]]:
    """Rows that fit beside each other, and rows that meet some that are there."""
    fitting = work.fresh(work.some_free(3))
    free = [k for k in work.some_free(2) if k not in fitting]
    met = {}
    for k in [*work.some(2), *free]:
        row = _meeting(work, k)
        if row is not None and _conflicts(work, k, row):
            met[k] = row
    return fitting, met


def insert_ignore(work: Work) -> bool:
    """INSERT IGNORE of rows that fit and rows that do not: each of these is a warning, and no more."""
    fitting, met = _mixed(work)
    if not fitting and not met:
        return False
    rows = {**met, **fitting}
    work.hand.do(
        f"INSERT IGNORE INTO {work.table} ({work.columns}) VALUES {work.values(rows)}",
        affected=len(fitting),
        warned=len(met),
    )
    work.estate.rows.update(fitting)
    return True


def update_ignore(work: Work) -> bool:
    """UPDATE IGNORE to a key or unique value that another row has."""
    keys = work.some(3)
    others = [k for k in work.estate.rows if k not in keys]
    if not keys or not others:
        return False
    other = work.chance.choice(others)
    number = _unique(work)
    wanted = work.estate.rows[other].uniques[number] if number is not None else None
    if number is not None and wanted is not None and work.chance.random() < 0.6:
        sets = work.set_unique(number, wanted)
    else:
        sets = work.set_key(other, work.chance.randrange(3))
    work.hand.do(
        f"UPDATE IGNORE {work.forced} SET {sets} WHERE {work.estate.where(*keys)}", affected=0, warned=len(keys)
    )
    return True


def refused(work: Work) -> bool:
    """INSERT of rows of which the last is a duplicate: error 1062, as without us, and none of them is there."""
    fitting, met = _mixed(work)
    if not met:
        return False
    work.hand.do(f"INSERT INTO {work.table} ({work.columns}) VALUES {work.values({**fitting, **met})}", error=DUPLICATE)
    return True


def load(work: Work) -> bool:
    """LOAD DATA LOCAL of a file: duplicates are left out with a warning, or replace what is there."""
    fitting, met = _mixed(work)
    replacing = work.chance.random() < 0.4
    if replacing:
        # One row that meets others, or rows that fit: which rows a second one meets would depend on the first.
        met = {k: row for k, row in list(met.items())[:1] if k not in work.estate.rows or work.differ(k, row)}
        fitting = {} if met else fitting
    rows = {**fitting, **met}
    if not rows:
        return False
    columns = work.estate.schema.columns
    variables = ", ".join(f"@v{n}" for n in range(len(columns)))
    sets = ", ".join(f"{c.sql} = {c.kind.wrap.format(f'@v{n}')}" for n, c in enumerate(columns))
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="", suffix=".txt") as file:
        for k, row in rows.items():
            file.write("\t".join(map(_field, work.estate.texts(k, row))) + "\n")
        file.flush()
        conflicts = {gone for k, row in met.items() for gone in _conflicts(work, k, row)} if replacing else set()
        path = Path(file.name).as_posix()
        work.hand.do(
            f"LOAD DATA LOCAL INFILE '{path}' {'REPLACE' if replacing else ''} INTO TABLE {work.table}"
            f" CHARACTER SET utf8mb4 ({variables}) SET {sets}",
            affected=len(rows) + len(conflicts) if replacing else len(fitting),
            warned=0 if replacing else len(met),
        )
    for gone in conflicts:
        del work.estate.rows[gone]
    work.estate.rows.update(rows if replacing else fitting)
    return True


def _field(text: str | None) -> str:
    if text is None:
        return "\\N"
    return (
        text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r").replace("\0", "\\0")
    )


def insert_select(work: Work) -> bool:
    """INSERT ... SELECT from the same table."""
    rows = work.fresh(work.some_free(1))
    sources = work.some(1)
    if not rows or not sources:
        return False
    ((k, row),) = rows.items()
    row = replace(row, payload=work.estate.rows[sources[0]].payload)
    literals = work.estate.literals(k, row)[: -len(work.estate.schema.payload.columns)]
    picked = ", ".join([*literals, *(c.sql for c in work.estate.schema.payload.columns)])
    work.hand.do(
        f"INSERT INTO {work.table} ({work.columns}) SELECT {picked} FROM {work.forced} WHERE {work.estate.where(sources[0])}",
        affected=1,
    )
    work.estate.rows[k] = row
    return True


# -- looking ----------------------------------------------------------------------------------------


def look(work: Work) -> bool:
    """Read rows of one's own, and places where none is: nobody else changes them."""
    keys = [*work.some(20), *(k for k in work.some_free(5))]
    how = work.chance.choice(("", "", "FOR UPDATE", "FOR SHARE"))
    clause = f"{work.by_key} WHERE {work.estate.where(*keys)} {how}"
    with work.hand.connection.cursor() as cursor:
        found = read(cursor, work.estate.schema, clause)
    odd = difference(work.estate.expected(keys), found)
    if odd:
        work.hand.seen.wrong.append(f"rows of one's own: {odd}")
    return True


Habit = Callable[[Work], bool]

HABITS: Final[tuple[Habit, ...]] = (
    insert, insert, remove, remove, reborn, change, change, change, respell, move, move, swap_keys, shift, shift, hand_on, hand_on,
    new_unique, replace_, replace_, upsert, upsert, insert_ignore, update_ignore, refused, load, insert_select, look, look,
)  # fmt: skip
"""What a transaction is made of."""
