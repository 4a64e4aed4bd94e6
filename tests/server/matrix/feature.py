"""What a table can have, as a row of the matrix: how it is made, filled, and used while it is migrated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PLAIN_CHANGES: Final = (
    "UPDATE {t} SET n = COALESCE(n, 0) + 1 WHERE id % 3 = 0",
    "DELETE FROM {t} WHERE id % 10 = {c}",
    # By the triggers that is a row deleted and one inserted, with every column.
    "UPDATE {t} SET id = id + 10000 * {c} WHERE id % 10 = 3 + {c}",
)


@dataclass(frozen=True, slots=True)
class Feature:
    """One row. In all statements `{t}` is the table, `{s}` its schema, `{o}` another schema, `{c}` 1, 2, 3 ...,
    `{own}` a name beside the table's that nothing else bears.

    A table called `id, n, ...` is used by `PLAIN_CHANGES`; others bring their own.
    """

    group: str
    name: str
    definition: str
    """After CREATE TABLE and the name; or a whole statement that begins with CREATE."""
    rows: str = ""
    """After INSERT INTO and the name."""
    changes: tuple[str, ...] = PLAIN_CHANGES
    """What the application does, once at each moment; `{c}` is the moment's number."""
    table: str = ""
    """Its name, if that is what matters."""
    elsewhere: bool = False
    """True if it lies in `{o}`, whose tables are encrypted by default."""
    before: tuple[str, ...] = ()
    """Statements before it is made,"""
    after: tuple[str, ...] = ()
    """and when it is filled."""
    alone: bool = False
    """True if no step is expected: not a base table of the application."""


def numbers(most: int = 40) -> str:
    """A derived table of the numbers from 1, column `n`."""
    recursive = f"WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < {most}) SELECT n FROM r"
    return f"({recursive}) AS many"


MANY: Final = numbers()


@dataclass(frozen=True, slots=True)
class Typed:
    """A column of a type, and what its n-th row has in it."""

    name: str
    kind: str
    value: str


def typed(name: str, kind: str, *values: str) -> Typed:
    """A column of a type, with these values in turn and NULL."""
    cases = " ".join(f"WHEN {i} THEN {value}" for i, value in enumerate(values))
    return Typed(name, kind, f"CASE n % {len(values) + 1} {cases} END")


def side_by_side(table: str, columns: tuple[Typed, ...]) -> tuple[Feature, ...]:
    """A row of the matrix for each column; all of them are columns of one table, which is made once."""
    kinds = ", ".join(f"c{i} {column.kind}" for i, column in enumerate(columns))
    values = ", ".join(column.value for column in columns)
    definition, rows = f"(id INT PRIMARY KEY, n INT, {kinds})", f"SELECT n, n, {values} FROM {MANY}"
    return tuple(Feature("Types", column.name, definition, rows, table=table) for column in columns)
