"""Two worlds alike: one is migrated, the other is what it would be without us.

Each has two schemas. Both are made by the same statements, and each statement of the application is done in
both. At the end all that can be read of them must be the same, apart from what encryption is allowed to change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pymysql

from tests.server.matrix.feature import Feature

MODES: Final = "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION"
Facts = dict[str, list[tuple[Any, ...]]]

_SPEAK_OF_TABLES: Final = {
    "COLUMNS": ("TABLE_SCHEMA", "TABLE_NAME", ""),
    "COLUMNS_EXTENSIONS": ("TABLE_SCHEMA", "TABLE_NAME", ""),
    "STATISTICS": ("TABLE_SCHEMA", "TABLE_NAME", "CARDINALITY"),
    "TABLE_CONSTRAINTS": ("TABLE_SCHEMA", "TABLE_NAME", ""),
    "KEY_COLUMN_USAGE": ("TABLE_SCHEMA", "TABLE_NAME", ""),
    "REFERENTIAL_CONSTRAINTS": ("CONSTRAINT_SCHEMA", "TABLE_NAME", ""),
    "TRIGGERS": ("EVENT_OBJECT_SCHEMA", "EVENT_OBJECT_TABLE", "CREATED"),
    "PARTITIONS": (
        "TABLE_SCHEMA",
        "TABLE_NAME",
        "TABLE_ROWS AVG_ROW_LENGTH DATA_LENGTH MAX_DATA_LENGTH INDEX_LENGTH DATA_FREE CREATE_TIME UPDATE_TIME CHECK_TIME"
        " CHECKSUM TABLESPACE_NAME",
    ),
    "TABLES": (
        "TABLE_SCHEMA",
        "TABLE_NAME",
        "TABLE_ROWS AVG_ROW_LENGTH DATA_LENGTH MAX_DATA_LENGTH INDEX_LENGTH DATA_FREE AUTO_INCREMENT CREATE_TIME UPDATE_TIME"
        " CHECK_TIME CHECKSUM",
    ),
    "TABLE_PRIVILEGES": ("TABLE_SCHEMA", "TABLE_NAME", ""),
    "COLUMN_PRIVILEGES": ("TABLE_SCHEMA", "TABLE_NAME", ""),
    "COLUMN_STATISTICS": ("SCHEMA_NAME", "TABLE_NAME", "HISTOGRAM"),
}
"""Views of information_schema: where the table stands, and what is no fact about its definition."""


@dataclass(slots=True)
class World:
    """Two schemas, and one connection to both of them and for the application."""

    connection: Any
    schema: str
    other: str
    made: dict[str, Feature] = field(default_factory=dict)
    """Table -> feature."""

    def place(self, feature: Feature) -> str:
        """The schema of a feature's table."""
        return self.other if feature.elsewhere else self.schema

    def say(self, text: str, feature: Feature, table: str, count: int = 0) -> str:
        """A statement of a feature, in this world."""
        full = f"{self.place(feature)}.{quoted(table)}"
        own = f"{self.place(feature)}.{quoted(f'own {table}'[:64])}"
        words = {"{t}": full, "{s}": self.schema, "{o}": self.other, "{c}": str(count), "{own}": own}
        for mark, word in words.items():
            text = text.replace(mark, word)
        return text

    def run(self, *statements: str) -> None:
        """Run statements."""
        with self.connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def rows(self, statement: str, args: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one statement; its rows."""
        with self.connection.cursor() as cursor:
            cursor.execute(statement, args or None)
            return list(cursor.fetchall())

    def make(self, feature: Feature, table: str, besides: Sequence[str]) -> None:
        """Make and fill a feature's table; `besides` are statements that put it where a method can serve it."""
        say = lambda text: self.say(text, feature, table)  # noqa: E731
        self.run(f"SET sql_mode = '{MODES}'", *map(say, feature.before))
        if feature.definition:
            whole = feature.definition.startswith("CREATE ")
            self.run(say(feature.definition if whole else f"CREATE TABLE {{t}} {feature.definition}"))
        if feature.rows:
            self.run(say(f"INSERT IGNORE INTO {{t}} {feature.rows}"))
        self.run(*map(say, feature.after), f"SET sql_mode = '{MODES}'", *map(say, besides))
        self.made[table] = feature

    def use(self, feature: Feature, table: str, count: int) -> None:
        """What the application does at one moment."""
        self.run(*(self.say(change, feature, table, count) for change in feature.changes))

    # -- what there is

    def contents(self, feature: Feature, table: str) -> list[tuple[Any, ...]]:
        """Every row, every column, exactly: bytes in hex, FLOAT in full, ENUM and SET with their numbers."""
        full = f"{self.place(feature)}.{quoted(table)}"
        shown = []
        for name, kind, *_ in self.rows(f"SHOW COLUMNS FROM {full}"):
            column, kind = quoted(str(name)), str(kind).partition("(")[0].partition(" ")[0]
            if kind in {"float", "double"}:
                shown.append(f"CAST({column} AS DOUBLE)")
            elif kind in {"enum", "set"}:
                shown.append(f"CONCAT({column} + 0, ':', HEX({column}))")
            elif kind in _AS_TEXT or "int" in kind.removesuffix("point"):
                shown.append(f"CAST({column} AS CHAR)")
            else:
                shown.append(f"HEX({column})")
        return sorted(self.rows(f"SELECT {', '.join(shown)} FROM {full}"), key=repr)

    def definition(self, feature: Feature, table: str) -> str:
        """SHOW CREATE TABLE (or VIEW)."""
        shown = self.rows(f"SHOW CREATE TABLE {self.place(feature)}.{quoted(table)}")[0][1]
        return str(self._neutral(shown))

    def facts(self) -> dict[str, Facts]:
        """Table -> view of information_schema -> its rows about it, without the names of this world's schemas."""
        found: dict[str, Facts] = {}
        for view, (schema, name, without) in _SPEAK_OF_TABLES.items():
            for table, row in self._view(view, schema, name, without.split()):
                found.setdefault(table, {}).setdefault(view, []).append(row)
        for table, row in self._triggers():
            found.setdefault(table, {}).setdefault("SHOW CREATE TRIGGER", []).append(row)
        for facts in found.values():
            for rows in facts.values():
                rows.sort(key=repr)
        return found

    def _view(self, view: str, schema: str, name: str, without: Sequence[str]) -> Iterator[tuple[str, tuple[Any, ...]]]:
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT * FROM information_schema.{view} WHERE {schema} IN (%s, %s)", (self.schema, self.other)
            )
            columns = [str(column[0]).upper() for column in cursor.description]
            place = columns.index(name)
            for row in cursor.fetchall():
                kept = [self._neutral(value) for c, value in zip(columns, row, strict=True) if c not in without]
                yield str(row[place]), tuple(kept)

    def _triggers(self) -> Iterator[tuple[str, tuple[Any, ...]]]:
        named = self.rows(
            "SELECT EVENT_OBJECT_TABLE, TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s",
            (self.schema,),
        )
        for table, trigger in named:
            name, mode, text, *_ = self.rows(f"SHOW CREATE TRIGGER {self.schema}.{quoted(str(trigger))}")[0]
            yield str(table), (name, mode, self._neutral(text))

    def _neutral(self, value: Any) -> Any:
        """A value without what names this world, and without encryption."""
        if not isinstance(value, str):
            return value
        value = value.replace(self.other, "{o}").replace(self.schema, "{s}")
        value = re.sub(r" ?(/\*!80016 )?ENCRYPTION='[YN]'( \*/)?", "", value)
        return re.sub(r" ?/\*!50100 TABLESPACE `[^`]*` \*/| AUTO_INCREMENT=\d+", "", value).strip()


_AS_TEXT: Final = frozenset({"json", "date", "datetime", "timestamp", "time", "decimal", "year"})


def quoted(name: str) -> str:
    """An identifier in backticks."""
    return "`" + name.replace("`", "``") + "`"


def refusal(error: pymysql.MySQLError) -> str:
    """What stands in a cell when the server allows no such table."""
    return f"– ({error.args[0]})"
