"""Values for a column: new ones, by its type, and how one is written in a statement.

A new value is made as the server will send it back (`Value`), so the application knows what must be
stored without asking the server: a DECIMAL with all its digits, a JSON text with its keys in MySQL's order,
a point in MySQL's own bytes. Numbers that a FLOAT cannot hold exactly are not made.
"""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from tests.demo.shapes import Column, Row, Shape, Value

LIMITS: Final[Mapping[str, tuple[int, int]]] = {
    "shop.order_lines.quantity": (0, 999),
    "shop.order_lines.price": (0, 9999),
    "shop.prices.price": (0, 9_999_999),
}
"""Numbers that a CHECK or a generated column bounds, by `schema.table.column`."""

_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "ascii": ("plain", "50% off", "it's", 'say "hi"', "back\\slash", "two\nlines", "%s", "", "0", "NULL", "tab\there"),
    "latin1": ("Früh", "garçon", "50% off", "it's", "back\\slash", "Ø", "", "ÿ"),
    "utf8mb4": (
        "naïve",
        "李小龙",
        "🌷🌷",
        "50% off",
        "it's",
        "back\\slash",
        "e\u0301",
        "two\nlines",
        "",
        "ß",
        "\u0130",
    ),
}

_WHOLE: Final[Mapping[str, int]] = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
_BYTES: Final = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "bit"})
_SHAPES: Final = frozenset({"point", "geometry", "geomcollection"})
_TEXTS: Final = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
_EPOCH: Final = datetime(2020, 1, 1, tzinfo=UTC)


def new_value(column: Column, chance: random.Random, *, of: str = "") -> Value:
    """A value that the column can hold; now and then NULL or an edge. `of` is the table, for `LIMITS`."""
    if column.nullable and chance.random() < 0.15:
        return None
    limits = LIMITS.get(f"{of}.{column.name}")
    kind = column.data_type
    if kind in _WHOLE:
        return str(_whole(column, chance, limits)).encode()
    if kind == "decimal":
        most = 10 ** min(column.precision - column.scale, 6) - 1
        low, high = limits or (-most, most)
        digits = Decimal(chance.randint(low * 10**column.scale, high * 10**column.scale))
        return f"{digits.scaleb(-column.scale):.{column.scale}f}".encode()
    if kind in {"float", "double"}:
        return f"{chance.randint(-700, 700) / 8:.10g}".encode()
    if kind in _TEXTS:
        return _text(column, chance).encode()
    if kind in _BYTES:
        return _bytes(column, chance)
    if kind in _SHAPES:
        return _point(column, chance)
    return _OTHERS[kind](column, chance)


def literal(column: Column, value: Value) -> object:
    """The value as an argument that PyMySQL writes so that the server compares and stores it exactly."""
    if value is None:
        return None
    kind = column.data_type
    if kind in _WHOLE or kind == "year":
        return int(value)
    if kind == "decimal":
        return Decimal(value.decode())
    if kind in {"float", "double"}:
        return float(value)
    if kind in _BYTES or kind in _SHAPES:
        return value
    return value.decode()


def _whole(column: Column, chance: random.Random, limits: tuple[int, int] | None) -> int:
    bits = _WHOLE[column.data_type]
    low, high = (0, 2**bits - 1) if "unsigned" in column.type else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if limits:
        low, high = limits
    if column.type == "tinyint(1)":
        low, high = 0, 1
    if chance.random() < 0.1:
        return chance.choice((low, high))
    return chance.randint(max(low, -1000), min(high, 1000))


def _text(column: Column, chance: random.Random) -> str:
    words = _WORDS.get(column.charset, _WORDS["utf8mb4"])
    count = chance.choice((1, 1, 2, 3, 8, 60)) if column.length > 300 else chance.choice((1, 1, 2, 3))
    text = " ".join(chance.choice(words) for _ in range(count))[: min(column.length, 16_000)]
    # CHAR loses the spaces at its end, by definition.
    return text.rstrip(" ") if column.data_type == "char" else text


def _bytes(column: Column, chance: random.Random) -> bytes:
    if column.data_type == "bit":
        return chance.getrandbits(column.precision).to_bytes((column.precision + 7) // 8, "big")
    if column.data_type == "binary":
        return chance.randbytes(column.length)
    return chance.randbytes(chance.choice((0, 1, min(column.length, 40), min(column.length, 3000))))


def _point(column: Column, chance: random.Random) -> bytes:
    # Manual, "Internal Geometry Storage Format": the SRID, then well-known binary, both little-endian here.
    x, y = chance.randint(-179, 179) + 0.5, chance.randint(-89, 89) + 0.25
    return struct.pack("<IBIdd", column.srid or 0, 1, 1, x, y)


def _json(_: Column, chance: random.Random) -> bytes:
    # MySQL orders keys by length, then by bytes: these four-letter words are in that order.
    document = {
        "kind": chance.choice(("bill", "deed", "note", "größe")),
        "page": chance.randint(-5, 10**6),
        "tags": [chance.choice(_WORDS["utf8mb4"]) for _ in range(chance.randint(0, 4))],
        "true": chance.choice((True, False, None)),
    }
    return json.dumps(document, ensure_ascii=False, separators=(", ", ": ")).encode()


def _members(column: Column) -> list[str]:
    return [word.strip("'") for word in column.type[column.type.index("(") + 1 : -1].split(",")]


def _set(column: Column, chance: random.Random) -> bytes:
    return ",".join(word for word in _members(column) if chance.random() < 0.4).encode()


def _moment(column: Column, chance: random.Random) -> bytes:
    moment = _EPOCH + timedelta(microseconds=chance.randrange(10 * 365 * 86_400 * 10**6))
    text = f"{moment:%Y-%m-%d %H:%M:%S.%f}"
    return text[: 19 + (column.scale + 1 if column.scale else 0)].encode()


def _time(column: Column, chance: random.Random) -> bytes:
    hours, rest = chance.randint(0, 838), chance.randrange(3599 * 10**6)
    text = f"{chance.choice(('', '-'))}{hours:02}:{rest // 60_000_000:02}:{rest // 10**6 % 60:02}"
    fraction = f".{rest % 10**6:06}"[: column.scale + 1] if column.scale else ""
    return (text + fraction).encode()


_OTHERS: Final[Mapping[str, Callable[[Column, random.Random], bytes]]] = {
    "json": _json,
    "enum": lambda column, chance: chance.choice(_members(column)).encode(),
    "set": _set,
    "date": lambda column, chance: _moment(column, chance)[:10],
    "datetime": _moment,
    "timestamp": _moment,
    "time": _time,
    "year": lambda _, chance: str(chance.randint(1901, 2155)).encode(),
}

GENERATED: Final[Mapping[str, Callable[[Mapping[str, Value]], Value]]] = {
    "shop.customers.email_domain": lambda row: (row["email"] or b"").rsplit(b"@", 1)[-1],
    "shop.order_lines.amount": lambda row: str(
        int(row["quantity"] or 0) * Decimal((row["price"] or b"0").decode())
    ).encode(),
    "archive.documents.bytes": lambda row: str(len(row["body"] or b"")).encode(),
    "archive.documents.kind": lambda row: str(json.loads(row["meta"] or b"{}")["kind"]).encode(),
}
"""What each generated column of the company computes, in Python: the server's own result is not trusted."""


def completed(shape: Shape, row: Row) -> Row:
    """The row with its generated columns computed."""
    named = {column.name: value for column, value in zip(shape.columns, row, strict=True)}
    return tuple(
        GENERATED[f"{shape.table}.{column.name}"](named) if column.generated else named[column.name]
        for column in shape.columns
    )
