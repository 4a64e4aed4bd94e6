"""Which key a table can be walked by."""

from __future__ import annotations

import pytest

from migrator.model import Column, Key, KeyPart
from migrator.planner.keys import key_obstacle, key_text, usable_key, width_bytes
from tests.unit.builders import NAMES, a_column, a_key, a_table


def test_the_primary_key_comes_first() -> None:
    """PRIMARY is taken even if a unique key is narrower."""
    table = a_table(
        columns=(a_column("a", "varchar(200)", charset="utf8mb4"), a_column("b", "tinyint")),
        keys=(a_key("b", name="b"), a_key("a")),
    )
    assert usable_key(table) == a_key("a")


def test_without_a_primary_key_the_fewest_and_narrowest_columns_win() -> None:
    """Among unique keys the one with fewer columns, then the narrower one, is taken."""
    columns = (
        a_column("a", "int"),
        a_column("b", "int"),
        a_column("c", "varchar(64)", charset="utf8mb4"),
        a_column("d", "bigint"),
    )
    keys = (a_key("a", "b", name="ab"), a_key("c", name="c"), a_key("d", name="d"))
    assert usable_key(a_table(columns=columns, keys=keys)) == keys[2]
    assert usable_key(a_table(columns=columns, keys=keys[:2])) == keys[1]


@pytest.mark.parametrize(
    "column",
    [
        a_column("k", "int unsigned"),
        a_column("k", "decimal(20,4)"),
        a_column("k", "char(36)", charset="ascii"),
        a_column("k", "binary(16)"),
        a_column("k", "varbinary(255)"),
        a_column("k", "enum('a','b')"),
        a_column("k", "set('a','b')"),
        a_column("k", "datetime(6)"),
        a_column("k", "date"),
        a_column("k", "year"),
        a_column("k", "bit(3)"),
        a_column("k", "double"),
        a_column("k", "float"),
        a_column("k", "int", generated="STORED"),
        a_column("k", "bigint unsigned", invisible=True, auto_increment=True),
    ],
    ids=lambda c: c.type,
)
def test_types_that_can_be_walked(column: Column) -> None:
    """Every type whose place in a key can be said as a constant makes a usable key."""
    assert usable_key(a_table(columns=(column,), keys=(a_key("k"),))) is not None


UNUSABLE = {
    "is not unique": (a_column("k"), a_key("k", name="k", unique=False)),
    "is FULLTEXT, not BTREE": (a_column("k"), a_key("k", name="k", type="FULLTEXT")),
    "is invisible": (a_column("k"), a_key("k", name="k", visible=False)),
    "is over an expression": (a_column("k"), a_key(KeyPart(None), name="k")),
    "allows NULL in k": (a_column("k", nullable=True), a_key("k", name="k")),
    "holds only a prefix of k": (a_column("k", "varchar(200)"), a_key(KeyPart("k", prefix=10), name="k")),
    "is over the VIRTUAL column k": (a_column("k", generated="VIRTUAL"), a_key("k", name="k")),
    "a place in json": (a_column("k", "json"), a_key("k", name="k")),
    "a place in geometry": (a_column("k", "geometry"), a_key("k", name="k")),
    "a place in text": (a_column("k", "text"), a_key("k", name="k")),
    "a place in vector": (a_column("k", "vector(3)"), a_key("k", name="k")),
    "an hour that comes twice": (a_column("k", "timestamp"), a_key("k", name="k")),
    "cannot be told from an invalid value": (a_column("k", "enum('','a')"), a_key("k", name="k")),
    "which cannot be read": (a_column("k"), a_key("other", name="k")),
}


@pytest.mark.parametrize("reason", UNUSABLE)
def test_keys_that_cannot_be_walked(reason: str) -> None:
    """Each reason is given in words, and the key is not taken."""
    column, key = UNUSABLE[reason]
    table = a_table(columns=(column,), keys=(key,))
    assert reason in key_obstacle(table, key)
    assert usable_key(table) is None


def test_an_invisible_primary_key_would_still_be_usable() -> None:
    """Only secondary indexes must be visible: PRIMARY is always there (the server allows no other)."""
    assert usable_key(a_table(keys=(a_key("id", visible=False),))) is not None


@pytest.mark.parametrize(
    ("type", "charset", "width"),
    [
        ("int unsigned", None, 4),
        ("decimal(20,4)", None, 11),
        ("char(36)", "ascii", 36),
        ("varchar(50)", "utf8mb4", 200),
        ("varchar(50)", "utf8mb3", 150),
        ("binary(16)", None, 16),
        ("datetime(6)", None, 8),
    ],
)
def test_widths_compare_keys_by_bytes(type: str, charset: str | None, width: int) -> None:
    """Characters count as many bytes as their character set may need."""
    assert width_bytes(a_column("k", type, charset=charset)) == width


@pytest.mark.parametrize("table", NAMES)
def test_a_key_is_shown_as_it_is(table: object) -> None:
    """Name, columns, directions and prefixes are all in the text."""
    name = str(table)
    key = Key(name, (KeyPart("a"), KeyPart("b", prefix=3, descending=True), KeyPart(None)), unique=True)
    assert key_text(key) == f"{name} (a, b(3) DESC, (expression))"
