"""Habits whose statements meet rows that are there: each answer says which were replaced, changed or left out."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

from tests.oracle.ledger import Row
from tests.oracle.work import Work

DUPLICATE: Final = 1062


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
    number = work.any_index()
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
    number = work.any_index()
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
