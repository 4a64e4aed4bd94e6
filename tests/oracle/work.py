"""What a habit needs: the connection, the stretch of the table, and SQL for both."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from tests.oracle.hand import Hand
from tests.oracle.ledger import Estate, Row, Unique, columns_of
from tests.oracle.schemas import quote


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

    def any_index(self) -> int | None:
        """The number of a unique index; None if there is none beside the key."""
        count = len(self.estate.schema.uniques)
        return self.chance.randrange(count) if count else None
