"""What the application does in its transactions: each habit sends statements, says what must be answered, and notes it.

A habit that finds nothing to work on returns False and has done nothing. The ledger is changed when the
server has answered; a transaction that is rolled back gets its old ledger back (`workload`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from tests.oracle.ledger import COUNTED, Unique, difference, read
from tests.oracle.meetings import insert_ignore, insert_select, load, refused, replace_, update_ignore, upsert
from tests.oracle.work import Work

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
    number = work.any_index()
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
    number = work.any_index()
    free = work.estate.free_uniques(number) if number is not None else []
    for k in work.some(1):
        if number is not None and free:
            _give(work, k, number, work.estate.any_unique(work.chance, number, free))
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
