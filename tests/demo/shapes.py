"""What the application and its ledger know of a table: columns, key, unique keys. Read from the catalog."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pymysql
from pymysql.converters import encoders
from pymysql.cursors import Cursor, SSCursor

if TYPE_CHECKING:
    Connection = pymysql.connections.Connection[Cursor]
    Streaming = pymysql.connections.Connection[SSCursor]

Value = bytes | None
"""A value as the server sends it in the text protocol: comparing two of them compares what is stored."""

Row = tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Account:
    """Where the server is and who connects; the password is never shown."""

    host: str
    port: int
    user: str
    password: str

    def __repr__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}"

    def connect(self, **options: Any) -> Connection:
        """A connection whose rows are tuples of `Value`, in UTC, under REPEATABLE READ, without autocommit."""
        known: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "charset": "utf8mb4",
            "use_unicode": False,
            "conv": encoders,
            "autocommit": False,
            "connect_timeout": 10,
            "init_command": "SET SESSION time_zone = '+00:00', transaction_isolation = 'REPEATABLE-READ'",
        }
        return pymysql.connect(**(known | options))


@dataclass(frozen=True, slots=True)
class Column:
    """A column; `type` is the whole type (`int unsigned`), `data_type` the bare word (`int`)."""

    name: str
    type: str
    data_type: str
    nullable: bool
    length: int
    """Characters or bytes that fit."""
    precision: int
    scale: int
    """Digits after the point, or of a second."""
    charset: str
    collation: str
    srid: int | None
    generated: bool
    auto_increment: bool
    set_by_update: bool
    """ON UPDATE CURRENT_TIMESTAMP: whoever wants to know the value has to write it."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A table. `key` is empty if no unique key without NULL and without a prefix exists."""

    table: str
    sql: str
    """Schema and name, quoted, for statements that PyMySQL formats with arguments."""
    columns: tuple[Column, ...]
    key: tuple[int, ...]
    """Positions of the key's columns."""
    descending: tuple[bool, ...]
    """Of each of the key's columns."""
    uniques: tuple[tuple[int, ...], ...]
    """Positions of the columns of each other unique key."""

    def key_of(self, row: Row) -> Row:
        """The key's values of a row."""
        return tuple(row[position] for position in self.key)

    @property
    def column_list(self) -> str:
        """All columns, the invisible too, for SELECT."""
        return ", ".join(quote(column.name) for column in self.columns)

    @property
    def key_order(self) -> str:
        """For ORDER BY: as the key's index is ordered."""
        return ", ".join(
            quote(self.columns[position].name) + (" DESC" if down else "")
            for position, down in zip(self.key, self.descending, strict=True)
        )

    @property
    def written(self) -> tuple[int, ...]:
        """Positions of the columns that a client writes: all that are not generated."""
        return tuple(position for position, column in enumerate(self.columns) if not column.generated)

    @property
    def free(self) -> tuple[int, ...]:
        """Positions of the columns that belong to no unique key and are not generated."""
        bound = {*self.key, *(position for unique in self.uniques for position in unique)}
        return tuple(position for position in self.written if position not in bound)

    @property
    def auto_increment(self) -> int | None:
        """Position of the AUTO_INCREMENT column."""
        return next((position for position, column in enumerate(self.columns) if column.auto_increment), None)


def quote(identifier: str) -> str:
    """The identifier in backticks, for statements that PyMySQL formats with arguments."""
    return "`" + identifier.replace("`", "``").replace("%", "%%") + "`"


_COLUMNS: Final = """
SELECT table_schema, table_name, column_name, column_type, data_type, is_nullable = 'YES',
  COALESCE(character_maximum_length, 0), COALESCE(numeric_precision, 0), COALESCE(numeric_scale, datetime_precision, 0),
  COALESCE(character_set_name, ''), COALESCE(collation_name, ''), srs_id,
  extra LIKE '%% GENERATED%%', extra LIKE '%%auto_increment%%', extra LIKE '%%on update%%'
FROM information_schema.columns WHERE table_schema IN %s ORDER BY table_schema, table_name, ordinal_position
"""

_KEYS: Final = """
SELECT table_schema, table_name, index_name, column_name, nullable = 'YES' OR sub_part IS NOT NULL, collation = 'D'
FROM information_schema.statistics WHERE table_schema IN %s AND non_unique = 0
ORDER BY table_schema, table_name, index_name <> 'PRIMARY', index_name, seq_in_index
"""


def read_shapes(account: Account, schemas: Collection[str]) -> Mapping[str, Shape]:
    """The shape of every table in the schemas that the account may see, by `schema.table`."""
    with closing(account.connect(use_unicode=True)) as connection, connection.cursor() as cursor:
        cursor.execute(_COLUMNS, (tuple(schemas),))
        columns: dict[tuple[str, str], list[Column]] = {}
        for row in cursor.fetchall():
            columns.setdefault((row[0], row[1]), []).append(
                Column(
                    name=row[2],
                    type=row[3],
                    data_type=row[4],
                    nullable=row[5] == "1",
                    length=int(row[6]),
                    precision=int(row[7]),
                    scale=int(row[8]),
                    charset=row[9],
                    collation=row[10],
                    srid=None if row[11] is None else int(row[11]),
                    generated=row[12] == "1",
                    auto_increment=row[13] == "1",
                    set_by_update=row[14] == "1",
                )
            )
        cursor.execute(_KEYS, (tuple(schemas),))
        keys: dict[tuple[str, str], dict[str, list[_Part]]] = {}
        for schema, table, index, column, unfit, down in cursor.fetchall():
            parts = keys.setdefault((schema, table), {}).setdefault(index, [])
            parts.append(_Part(column, fit=unfit == "0", descending=down == "1"))
    return {f"{s}.{t}": _shape(s, t, tuple(found), keys.get((s, t), {})) for (s, t), found in columns.items()}


@dataclass(frozen=True, slots=True)
class _Part:
    column: str
    fit: bool
    descending: bool


def _shape(schema: str, table: str, columns: tuple[Column, ...], keys: Mapping[str, list[_Part]]) -> Shape:
    position = {column.name: number for number, column in enumerate(columns)}
    usable = [name for name, parts in keys.items() if all(part.fit for part in parts)][:1]
    key = [part for name in usable for part in keys[name]]
    return Shape(
        table=f"{schema}.{table}",
        sql=f"{quote(schema)}.{quote(table)}",
        columns=columns,
        key=tuple(position[part.column] for part in key),
        descending=tuple(part.descending for part in key),
        uniques=tuple(
            tuple(position[part.column] for part in parts) for name, parts in keys.items() if name not in usable
        ),
    )
