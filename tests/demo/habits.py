"""What the application does to its rows: one function a habit, each in the thread's open transaction.

Each changes the server and the thread's estate alike, and says whether the table had a use for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from tests.demo.estate import Estate
from tests.demo.shapes import quote
from tests.demo.statements import (
    Work,
    changed,
    fresh_row,
    insert,
    kept,
    new_row,
    row_at,
    some,
    update_row,
    where,
    with_,
)
from tests.demo.values import LIMITS, completed, literal, new_value

MOST_APPENDED: Final = 60
"""Of new rows a thread keeps in a table; beyond that it deletes as it appends."""


def update(work: Work, estate: Estate) -> bool:
    """Give one to three rows other values, in a statement each."""
    keys = some(work, [*estate.live(fences=True), *estate.appended], 3)
    for key in keys:
        old = row_at(estate, key)
        new = changed(work, estate.shape, old)
        update_row(work, estate, key, old, new)
    return bool(keys)


def update_several(work: Work, estate: Estate) -> bool:
    """Give two or three rows the same value in one statement."""
    shape = estate.shape
    keys = some(work, estate.live(fences=True), 3)
    if not keys or not shape.free:
        return False
    position = work.chance.choice(shape.free)
    value = new_value(shape.columns[position], work.chance, of=shape.table)
    conditions, args = zip(*(where(shape, key) for key in keys), strict=True)
    olds = [row_at(estate, key) for key in keys]
    work.run(
        shape,
        f"UPDATE {shape.sql} SET {kept(shape, position)}{quote(shape.columns[position].name)} = %s WHERE "
        + " OR ".join(f"({condition})" for condition in conditions),
        [literal(shape.columns[position], value), *(arg for some in args for arg in some)],
        affected=sum(old[position] != value for old in olds),
    )
    for key, old in zip(keys, olds, strict=True):
        estate.put(key, completed(shape, with_(old, {position: value})))
    return True


def add(work: Work, estate: Estate) -> bool:
    """Add a little to a number: applied twice or not at all, it would be seen."""
    shape = estate.shape
    keys = some(work, [*estate.live(fences=True), *estate.appended], 1)
    numbers = [
        position
        for position in shape.free
        if shape.columns[position].data_type in {"int", "bigint", "decimal"}
        and f"{shape.table}.{shape.columns[position].name}" not in LIMITS
    ]
    if not keys or not numbers:
        return False
    position = work.chance.choice(numbers)
    column, old = shape.columns[position], row_at(estate, keys[0])
    value = old[position]
    if value is None or not 100 < Decimal(value.decode()) < min(100_000, 10 ** (column.precision - column.scale) - 1):
        return False
    step = Decimal(work.chance.randint(-99, 99)).scaleb(-column.scale)
    condition, args = where(shape, keys[0])
    work.run(
        shape,
        f"UPDATE {shape.sql} SET {kept(shape, position)}{quote(column.name)} = {quote(column.name)} + %s "
        f"WHERE {condition}",
        [step, *args],
        affected=int(step != 0),
    )
    total = f"{Decimal(value.decode()) + step:.{column.scale}f}".encode()
    estate.put(keys[0], completed(shape, with_(old, {position: total})))
    return True


def delete(work: Work, estate: Estate) -> bool:
    """Delete one or two rows by their keys."""
    keys = some(work, list(estate.appended), 2) if work.chance.random() < 0.4 else []
    keys = keys or some(work, estate.live(), 2)
    for key in keys:
        condition, args = where(estate.shape, key)
        work.run(estate.shape, f"DELETE FROM {estate.shape.sql} WHERE {condition}", args, affected=1)
        estate.remove(key)
    return bool(keys)


def insert_again(work: Work, estate: Estate) -> bool:
    """Insert rows under keys that were deleted before, all in one statement."""
    keys = some(work, estate.free(), 3)
    if not keys:
        return False
    rows = [new_row(work, estate, key) for key in keys]
    insert(work, estate.shape, "INSERT", rows, affected=len(rows))
    estate.rows.update(zip(keys, rows, strict=True))
    return True


def delete_and_insert(work: Work, estate: Estate) -> bool:
    """Delete a row and insert its key again in one transaction."""
    keys = some(work, estate.live(), 1)
    for key in keys:
        condition, args = where(estate.shape, key)
        work.run(estate.shape, f"DELETE FROM {estate.shape.sql} WHERE {condition}", args, affected=1)
        estate.remove(key)
        row = new_row(work, estate, key)
        insert(work, estate.shape, "INSERT", [row], affected=1)
        estate.rows[key] = row
    return bool(keys)


def append(work: Work, estate: Estate) -> bool:
    """Insert one to three rows whose key AUTO_INCREMENT makes, in one statement."""
    shape, position = estate.shape, estate.shape.auto_increment
    if position is None:
        return False
    if len(estate.appended) > MOST_APPENDED:
        return delete(work, estate)
    rows = [fresh_row(work, shape) for _ in range(work.chance.randint(1, 3))]
    insert(work, shape, "INSERT", rows, affected=len(rows), but=position)
    first = work.cursor.lastrowid or 0
    for number, row in enumerate(rows):
        made = with_(row, {position: str(first + number).encode()})
        estate.appended[shape.key_of(made)] = made
    return True


def upsert(work: Work, estate: Estate) -> bool:
    """INSERT ... ON DUPLICATE KEY UPDATE of rows that are there and of rows that are not, in one statement."""
    shape = estate.shape
    there, not_there = some(work, estate.live(), 2), some(work, estate.free(), 1)
    if not there or not shape.free:
        return False
    olds = [row_at(estate, key) for key in there]
    news = [changed(work, shape, old, every=True) for old in olds]
    made = [new_row(work, estate, key) for key in not_there]
    insert(
        work,
        shape,
        "INSERT",
        [*news, *made],
        affected=len(made) + sum(2 * (old != new) for old, new in zip(olds, news, strict=True)),
        then=" AS new ON DUPLICATE KEY UPDATE "
        + ", ".join(
            f"{name} = new.{name}" for name in (quote(shape.columns[position].name) for position in shape.free)
        ),
    )
    estate.rows.update(zip([*there, *not_there], [*news, *made], strict=True))
    return True


def replace(work: Work, estate: Estate) -> bool:
    """REPLACE a row that is there, under the same key."""
    keys = some(work, estate.live(), 1)
    for key in keys:
        row = changed(work, estate.shape, row_at(estate, key), every=True)
        insert(work, estate.shape, "REPLACE", [row])
        estate.rows[key] = row
    return bool(keys)


def replace_by_unique(work: Work, estate: Estate) -> bool:
    """REPLACE under a free key with a unique value that another row holds: that row goes."""
    shape = estate.shape
    keys, free = some(work, estate.live(), 1), some(work, estate.free(), 1)
    whole = [unique for unique in shape.uniques if unique == estate.own_unique(unique)]
    if not keys or not free or len(whole) != 1 or len(shape.uniques) != 1:
        return False
    old = row_at(estate, keys[0])
    if any(old[position] is None for position in whole[0]):
        return False
    row = with_(changed(work, shape, old, every=True), dict(zip(shape.key, free[0], strict=True)))
    insert(work, shape, "REPLACE", [row])
    estate.rows[keys[0]] = None
    estate.rows[free[0]] = row
    return True


def move(work: Work, estate: Estate) -> bool:
    """Change the key of a row to a free one, near it or far away."""
    keys, free = some(work, estate.live(), 1), some(work, estate.free(), 1)
    if not keys or not free:
        return False
    old = row_at(estate, keys[0])
    new = completed(estate.shape, with_(old, dict(zip(estate.shape.key, free[0], strict=True))))
    update_row(work, estate, keys[0], old, new)
    estate.rows[keys[0]] = None
    estate.rows[free[0]] = new
    return True


def hand_over(work: Work, estate: Estate) -> bool:
    """Give the unique value of one row to another, in two statements."""
    shape = estate.shape
    keys = some(work, estate.live(), 2)
    if len(keys) != 2 or not shape.uniques:
        return False
    number = work.chance.randrange(len(shape.uniques))
    positions = estate.own_unique(shape.uniques[number])
    if not positions or not estate.spare[number]:
        return False
    giver, taker = (row_at(estate, key) for key in keys)
    other = estate.spare[number].pop(work.chance.randrange(len(estate.spare[number])))
    left = completed(shape, with_(giver, dict(zip(positions, other, strict=True))))
    update_row(work, estate, keys[0], giver, left)
    right = completed(shape, with_(taker, {position: giver[position] for position in positions}))
    update_row(work, estate, keys[1], taker, right)
    dropped = tuple(taker[position] for position in positions)
    if None not in dropped:
        estate.spare[number].append(dropped)
    return True


def respell(work: Work, estate: Estate) -> bool:
    """Change only the case of a key's letters, where the collation takes both for one."""
    shape = estate.shape
    texts = [position for position in shape.key if shape.columns[position].collation.endswith("_ci")]
    keys = some(work, estate.live(), 1)
    if not keys or not texts or any(shape.columns[position].data_type == "enum" for position in texts):
        return False
    old = row_at(estate, keys[0])
    position = work.chance.choice(texts)
    # bytes.swapcase knows ASCII letters only, which is what is wanted: no other letter changes its length.
    new = completed(shape, with_(old, {position: (old[position] or b"").swapcase()}))
    if new == old:
        return False
    update_row(work, estate, keys[0], old, new)
    del estate.rows[keys[0]]
    estate.respelled.add(keys[0])
    estate.respelled.discard(shape.key_of(new))
    estate.rows[shape.key_of(new)] = new
    return True


def place_order(work: Work, estate: Estate) -> bool:
    """A new order and its lines, or the oldest new order taken back with what is left of its lines."""
    if estate.shape.table != "shop.orders":
        return False
    lines = work.estate("shop.order_lines")
    if len(estate.appended) > MOST_APPENDED // 2:
        key = next(iter(estate.appended))
        taken_back = [(estate, key), *((lines, line) for line in lines.appended if line[0] == key[0])]
        for of, row_key in reversed(taken_back):
            condition, args = where(of.shape, row_key)
            work.run(of.shape, f"DELETE FROM {of.shape.sql} WHERE {condition}", args, affected=1)
            of.remove(row_key)
        return True
    if not append(work, estate):
        return False
    order_id = next(reversed(estate.appended))[0]
    bound = lines.shape.key
    rows = [
        completed(lines.shape, with_(fresh_row(work, lines.shape), dict(zip(bound, (order_id, line), strict=True))))
        for line in (b"1", b"2", b"3", b"10")
    ]
    insert(work, lines.shape, "INSERT", rows, affected=len(rows))
    lines.appended.update((lines.shape.key_of(row), row) for row in rows)
    return True


Operation = Callable[[Work, Estate], bool]

HABITS: Final[Mapping[Operation, int]] = {
    update: 24,
    update_several: 6,
    add: 8,
    delete: 10,
    insert_again: 12,
    delete_and_insert: 5,
    append: 10,
    upsert: 8,
    replace: 6,
    replace_by_unique: 4,
    move: 8,
    hand_over: 8,
    respell: 3,
    place_order: 10,
}
"""What a transaction does, by weight; a habit that a table has no use for makes way for another."""


def something(work: Work, estate: Estate) -> str:
    """Do one thing that the table has a use for, and say what."""
    habits = list(HABITS)
    while habits:
        (habit,) = work.chance.choices(habits, [HABITS[habit] for habit in habits])
        if habit(work, estate):
            return habit.__name__
        habits.remove(habit)
    return "nothing"
