"""Definitions of tables: columns in groups, indexes, partitions, options.

Columns come in groups, so that the ledger stays simple. The key's columns name a row; each unique index has
columns of its own; all others are the payload.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from migrator.model import Method
from tests.oracle.kinds import Kind

PLACES: Final = 700
"""Places in a key: how many different rows there could be."""


def quote(name: str) -> str:
    """An identifier in backticks. Not the package's own function: that is what is tested."""
    return "`" + name.replace("`", "``") + "`"


@dataclass(frozen=True, slots=True)
class Column:
    """A column that the application writes."""

    name: str
    kind: Kind
    nullable: bool = False
    extra: str = ""
    """What stands behind the type: INVISIBLE, COMMENT, DEFAULT."""

    @property
    def sql(self) -> str:
        """The name, quoted."""
        return quote(self.name)

    @property
    def definition(self) -> str:
        """As in CREATE TABLE."""
        null = "NULL" if self.nullable else "NOT NULL"
        return f"{self.sql} {self.kind.type} {null} {self.extra}".rstrip()

    @property
    def read(self) -> str:
        """SQL that shows the value exactly."""
        return self.kind.read.format(self.sql)


@dataclass(frozen=True, slots=True)
class Group:
    """Columns that get their values together. For a key, `parts` is the index over them."""

    columns: tuple[Column, ...]
    parts: tuple[str, ...] = ()
    """As in the index: name, length of a prefix, direction."""
    order: tuple[str, ...] = ()
    """As in ORDER BY, in the order of the index; `{0}` is the alias with a dot."""
    same: tuple[str, ...] = ()
    """What two rows have in common if they are one place of the index."""

    @property
    def names(self) -> str:
        """The columns, quoted."""
        return ", ".join(column.sql for column in self.columns)

    @property
    def nullable(self) -> bool:
        """True if the index leaves rows out that have NULL here."""
        return any(column.nullable for column in self.columns)


@dataclass(frozen=True, slots=True)
class Constant:
    """A column that the application never names: always its default, as SQL."""

    name: str
    type: str
    value: str
    instant: bool = False
    """Added when the rows were there."""


@dataclass(frozen=True, slots=True)
class Schema:
    """A table's definition."""

    table: str
    key: Group
    uniques: tuple[Group, ...] = ()
    payload: Group = Group(())
    key_index: str = "PRIMARY"
    auto: bool = False
    """The key is AUTO_INCREMENT; numbers above all places are the server's to give."""
    constants: tuple[Constant, ...] = ()
    generated: tuple[tuple[str, str, str], ...] = ()
    """Name, expression, and all that stands behind the name."""
    extras: tuple[str, ...] = ()
    """Indexes and CHECK constraints."""
    options: tuple[str, ...] = ()
    partitions: str = ""
    features: tuple[str, ...] = ()
    shuffle: int = 0
    """Decides the order of columns and indexes."""
    before: tuple[str, ...] = ()
    """Statements before the table is made."""
    after: tuple[str, ...] = ()
    """Statements once the rows are there."""
    relayed: bool = False
    """It cannot be copied."""

    @property
    def sql(self) -> str:
        """The table's name, quoted."""
        return quote(self.table)

    @property
    def columns(self) -> tuple[Column, ...]:
        """All that the application writes, group by group."""
        return tuple(column for group in (self.key, *self.uniques, self.payload) for column in group.columns)

    @property
    def method(self) -> Method:
        """The method that the plan has to choose."""
        return Method.TABLESPACE_RELAY if self.relayed else Method.SHADOW_COPY

    def create(self) -> str:
        """CREATE TABLE."""
        chance = random.Random(self.shuffle)
        columns = [column.definition for column in self.columns]
        columns += [f"{quote(name)} {rest}" for name, _, rest in self.generated]
        columns += [_constant(one) for one in self.constants if not one.instant]
        indexes = [*self.extras]
        for number, group in enumerate(self.uniques):
            indexes.append(f"UNIQUE KEY {quote(f'u{number} %d')} ({', '.join(group.parts)})")
        word = "PRIMARY KEY" if self.key_index == "PRIMARY" else f"UNIQUE KEY {quote(self.key_index)}"
        indexes.append(f"{word} ({', '.join(self.key.parts)})")
        for listed in (columns, indexes):
            chance.shuffle(listed)
        return f"CREATE TABLE {self.sql} ({', '.join(columns + indexes)}) {' '.join(self.options)} {self.partitions}"

    def after_load(self) -> tuple[str, ...]:
        """ALTERs once the rows are there (instant where the server can, which it cannot beside FULLTEXT or compression),
        and what else comes then."""
        alters = (f"ALTER TABLE {self.sql} ADD COLUMN {_constant(one)}" for one in self.constants if one.instant)
        return (*alters, *self.after)


def _constant(one: Constant) -> str:
    return f"{quote(one.name)} {one.type} DEFAULT {one.value}"


def single(name: str, kind: Kind, *, down: bool = False, nullable: bool = False, extra: str = "") -> Group:
    """A group of one column."""
    column = Column(name, kind, nullable, extra)
    way = " DESC" if down else ""
    same = f"{{0}}{column.sql}"
    return Group((column,), (column.sql + way,), (same + way,), (same,))
