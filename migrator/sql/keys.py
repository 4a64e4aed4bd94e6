"""Places in a key: how a boundary is read, written as a literal, and turned into ranges.

Keys are compared by the server only: collations, FLOAT, ENUM order and zero dates are its business. So a
boundary leaves the server as text by `reading`, and goes back as a constant of the column's own type by
`literal`, which the range optimizer can use on the index (looked at with EXPLAIN for every type). It takes no
numeric range on ENUM and SET: a range of an ENUM is said as the list of its members, each a point of the
index; SET alone is scanned.

A range of a composite key is said as disjoint parts, each one interval of the index, in key order:
`(1, 5) < (a, b) <= (4, 2)` is `a = 1 AND b > 5`, `a > 1 AND a < 4`, `a = 4 AND b <= 2`. The OR of these
in one WHERE made other tools scan millions of rows for one boundary (gh-ost 855, 1669).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from migrator.model import Column, Key
from migrator.sql.names import quote
from migrator.sql.statement import Sql

Bound = tuple[str, ...]
"""The text of each key column at one place of the key, as `reading` gave it."""

_AS_NUMBER = frozenset({"enum", "set", "bit"})
_INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "year"})
_TEXTS = frozenset({"char", "varchar"})
_BYTES = frozenset({"binary", "varbinary"})
_TEMPORAL = frozenset({"date", "datetime", "timestamp", "time"})

KEY_TYPES = _AS_NUMBER | _INTEGERS | _TEXTS | _BYTES | _TEMPORAL | {"decimal", "float", "double"}
"""Types whose places in a key can be read and written exactly."""


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """One column of the copying key, with its direction in the index."""

    column: Column
    descending: bool


def key_columns(key: Key, columns: Sequence[Column]) -> tuple[KeyColumn, ...]:
    """The columns of a usable key (whole columns only), in index order."""
    by_name = {column.name: column for column in columns}
    return tuple(KeyColumn(by_name[part.column], part.descending) for part in key.parts if part.column is not None)


def reading(column: Column, alias: str = "") -> str:
    """SQL that gives the column's value as ASCII text (or a number that Python writes exactly)."""
    name = f"{alias}.{quote(column.name)}" if alias else quote(column.name)
    kind = column.data_type
    if kind in _TEXTS or kind in _BYTES:
        return f"HEX({name})"
    if kind in _AS_NUMBER:
        return f"CAST({name} + 0 AS CHAR)"
    if kind in {"float", "double"}:
        return f"({name} + 0e0)"  # not as text: CAST gives 22 characters at most, which is not always exact
    return f"CAST({name} AS CHAR)"


def literal(column: Column, text: str) -> Sql:
    """A constant of the column's own type and collation for what `reading` gave."""
    kind = column.data_type
    if kind in _TEXTS:
        return Sql(f"_{column.charset} X%s COLLATE {column.collation}", (text,))
    if kind in _BYTES:
        return Sql("X%s", (text,))
    if kind in _AS_NUMBER or kind in _INTEGERS:
        return Sql("%s", (int(text),))
    if kind == "decimal":
        digits = column.type.partition("(")[2].partition(")")[0] or "65,30"
        return Sql(f"CAST(%s AS DECIMAL({digits}))", (text,))
    if kind in {"float", "double"}:
        return Sql("(%s + 0e0)", (text,))
    return Sql("%s", (text,))


def readings(key: Sequence[KeyColumn], alias: str = "") -> str:
    """The select list that reads a place of the key."""
    return ", ".join(reading(part.column, alias) for part in key)


def order(key: Sequence[KeyColumn], *, backwards: bool = False, alias: str = "") -> str:
    """ORDER BY of the key in index order, or against it."""
    dot = f"{alias}." if alias else ""
    return ", ".join(f"{dot}{quote(p.column.name)} {'DESC' if p.descending != backwards else 'ASC'}" for p in key)


def _compare(part: KeyColumn, operator: str, text: str, name: str) -> Sql:
    """`name operator constant`, the operator in the direction of the index."""
    if part.descending:
        operator = operator.translate(str.maketrans("<>", "><"))
    if part.column.data_type == "enum" and (members := enum_members(part.column.type)):
        return _listed(members, operator, int(text), name)
    constant = literal(part.column, text)
    return Sql(f"{name} {operator} {constant.text}", constant.args)


def _listed(members: tuple[str, ...], operator: str, index: int, name: str) -> Sql:
    """A range of an ENUM as its values; '' is index 0, a value that is no member (no usable ENUM has '' as one)."""
    values = ("", *members)
    first, last = {
        "=": (index, index + 1),
        ">": (index + 1, None),
        ">=": (index, None),
        "<": (0, index),
        "<=": (0, index + 1),
    }[operator]
    chosen = values[first:last]
    return Sql(f"{name} IN ({', '.join(['%s'] * len(chosen))})", chosen) if chosen else Sql("FALSE")


def enum_members(column_type: str) -> tuple[str, ...]:
    """The members of `enum('a','b')`; none if one has an escape that we would have to guess."""
    if "\\" in column_type:
        return ()
    return tuple(found.replace("''", "'") for found in re.findall(r"'((?:[^']|'')*)'", column_type))


def conjunction(terms: Sequence[Sql]) -> Sql:
    """All terms, or TRUE for none."""
    return Sql(" AND ".join(term.text for term in terms) or "TRUE", tuple(a for term in terms for a in term.args))


def _names(key: Sequence[KeyColumn], alias: str, names: Sequence[str]) -> Sequence[str]:
    dot = f"{alias}." if alias else ""
    return names or [dot + quote(part.column.name) for part in key]


def parts(
    key: Sequence[KeyColumn],
    low: Bound | None,
    high: Bound | None,
    *,
    common: int,
    alias: str = "",
    names: Sequence[str] = (),
) -> tuple[Sql, ...]:
    """Conditions for `low < key <= high`, disjoint and in key order; None is the end of the key.

    `common` says how many leading columns of low and high are equal *by the server's word*
    (`common_prefix`). `names` are column expressions to use instead of the key's own.
    """
    width = len(key)
    columns = _names(key, alias, names)

    def term(i: int, operator: str, bound: Bound) -> Sql:
        return _compare(key[i], operator, bound[i], columns[i])

    def equal(bound: Bound, count: int) -> list[Sql]:
        return [term(i, "=", bound) for i in range(count)]

    if low is not None and high is not None and common >= width:
        return ()
    found: list[Sql] = []
    first = common if low is not None and high is not None else 0
    if low is not None:
        stop_at = first if high is not None else -1
        found += [conjunction([*equal(low, i), term(i, ">", low)]) for i in range(width - 1, stop_at, -1)]
    if low is not None and high is not None:
        over = term(first, ">", low)
        under = term(first, "<=" if first == width - 1 else "<", high)
        found.append(conjunction([*equal(low, first), over, under]))
        first += 1
    if high is not None:
        found += [
            conjunction([*equal(high, i), term(i, "<=" if i == width - 1 else "<", high)]) for i in range(first, width)
        ]
    return tuple(found) or (Sql("TRUE"),)


def within(
    key: Sequence[KeyColumn], low: Bound | None, high: Bound | None, *, common: int, names: Sequence[str]
) -> Sql:
    """One condition for `low < key <= high`, to be evaluated on rows (not to search an index)."""
    found = parts(key, low, high, common=common, names=names)
    if not found:
        return Sql("FALSE")
    return Sql("(" + " OR ".join(f"({p.text})" for p in found) + ")", tuple(a for p in found for a in p.args))


def common_prefix(key: Sequence[KeyColumn], low: Bound, high: Bound) -> Sql:
    """SELECT that gives, column by column, whether the two places are equal for the server."""
    terms: list[Sql] = []
    for part, a, b in zip(key, low, high, strict=True):
        left, right = literal(part.column, a), literal(part.column, b)
        if part.column.data_type in _TEMPORAL:
            left, right = Sql("%s", (a,)), Sql("%s", (b,))  # one spelling for one time, by `reading`
        terms.append(Sql(f"{left.text} = {right.text}", left.args + right.args))
    return Sql("SELECT " + ", ".join(t.text for t in terms), tuple(a for t in terms for a in t.args))


def same(key: Sequence[KeyColumn], left: str, right: str, left_names: Sequence[str] = ()) -> str:
    """Join condition: the key of alias `right` equals that of alias `left` (or of `left_names` there)."""
    names = left_names or [quote(part.column.name) for part in key]
    return " AND ".join(
        f"{right}.{quote(part.column.name)} = {left}.{name}" for part, name in zip(key, names, strict=True)
    )


def log_columns(key: Sequence[KeyColumn]) -> list[str]:
    """The key's columns in the log: k1, k2 ..."""
    return [f"k{number}" for number in range(1, len(key) + 1)]
