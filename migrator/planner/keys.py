"""Which key a table can be walked by: chunks, log and verification all rest on it.

Pure. A usable key names each row once and can be compared exactly: PRIMARY, else a visible UNIQUE one,
all columns NOT NULL and whole (a prefix of a column does not name a row), no expression, no VIRTUAL
column, and only types that `sql.keys` can say as a constant.
"""

from __future__ import annotations

import re
from typing import Final

from migrator.model import Column, Key, Table
from migrator.sql.keys import KEY_TYPES

_BYTES: Final = {
    "tinyint": 1,
    "year": 1,
    "bit": 8,
    "smallint": 2,
    "enum": 2,
    "mediumint": 3,
    "date": 3,
    "int": 4,
    "float": 4,
    "time": 6,
    "timestamp": 7,
    "bigint": 8,
    "double": 8,
    "datetime": 8,
    "set": 8,
}
_BYTES_A_CHARACTER: Final = {"utf8mb4": 4, "utf16": 4, "utf32": 4, "utf16le": 4, "gb18030": 4, "utf8mb3": 3, "utf8": 3}


def width_bytes(column: Column) -> int:
    """About how many bytes a value of the column has in a key, at most; only good for comparing keys."""
    if column.data_type in _BYTES:
        return _BYTES[column.data_type]
    length = re.search(r"\((\d{1,9})", column.type)
    characters = int(length[1]) if length else 1
    if column.data_type == "decimal":
        return characters // 2 + 1
    return characters * _BYTES_A_CHARACTER.get(column.charset or "", 1)


def key_obstacle(table: Table, key: Key) -> str:
    """Why rows cannot be walked by this key, as half a sentence; '' if they can."""
    columns = {c.name: c for c in table.columns}
    if not key.unique:
        return "is not unique"
    if key.type != "BTREE":
        return f"is {key.type}, not BTREE"
    if not key.visible and key.name != "PRIMARY":
        return "is invisible, so that FORCE INDEX cannot name it"
    if not key.parts:
        return "has no columns"
    for part in key.parts:
        column = columns.get(part.column) if part.column is not None else None
        if part.column is None:
            return "is over an expression"
        if column is None:
            return f"is over {part.column}, which cannot be read"
        if part.prefix is not None:
            return f"holds only a prefix of {column.name}"
        if column.nullable:
            return f"allows NULL in {column.name}"
        if column.generated == "VIRTUAL":
            return f"is over the VIRTUAL column {column.name}"
        if column.data_type == "timestamp":
            return (
                f"is over {column.name}: a trigger compares TIMESTAMP in the application's time zone, where an hour"
                " that comes twice makes two values one"
            )
        if column.data_type == "enum" and "''" in column.type[4:].strip("()").split(","):
            return f"is over {column.name}, whose member '' cannot be told from an invalid value"
        if column.data_type not in KEY_TYPES:
            return f"is over {column.name}, and a place in {column.data_type} cannot be said exactly"
    return ""


def usable_key(table: Table) -> Key | None:
    """The key to walk the table by, or None: PRIMARY, else the UNIQUE one with the fewest and narrowest columns.

    A narrow key makes a small log; PRIMARY comes first because it is the order in which the rows lie.
    """
    columns = {c.name: c for c in table.columns}
    usable = [key for key in table.keys if not key_obstacle(table, key)]

    def cost(key: Key) -> tuple[bool, int, int, str]:
        width = sum(width_bytes(columns[p.column]) for p in key.parts if p.column is not None)
        return key.name != "PRIMARY", len(key.parts), width, key.name

    return min(usable, key=cost, default=None)


def key_text(key: Key) -> str:
    """`PRIMARY (tenant, id DESC)`, for people."""
    parts = [
        (part.column or "(expression)")
        + (f"({part.prefix})" if part.prefix is not None else "")
        + (" DESC" if part.descending else "")
        for part in key.parts
    ]
    return f"{key.name} ({', '.join(parts)})"
