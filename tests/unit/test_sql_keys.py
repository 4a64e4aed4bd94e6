"""Places in a key: ranges become disjoint parts of the index, and constants are of the column's own type."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.model import Column
from migrator.sql.keys import (
    KEY_TYPES,
    Bound,
    KeyColumn,
    common_prefix,
    enum_members,
    key_columns,
    literal,
    log_columns,
    order,
    parts,
    reading,
    same,
    within,
)
from migrator.sql.statement import Sql
from tests.unit.builders import NASTY, a_column, a_key

Place = tuple[int, ...]

NASTY_COLUMN = 'k`1 %s "%d" ä'
VALUES = range(4)


def columns_of(directions: Sequence[bool], *, nasty: bool) -> tuple[KeyColumn, ...]:
    """Integer columns; True is DESC."""
    plain = [f"c{n}" for n in range(len(directions))]
    names = [f"{NASTY_COLUMN}{n}" for n in range(len(directions))] if nasty else plain
    return tuple(
        KeyColumn(a_column(name, "int"), descending=desc) for name, desc in zip(names, directions, strict=True)
    )


def in_order(place: Place, key: Sequence[KeyColumn]) -> Place:
    """What Python has to sort by to get the order of the index."""
    return tuple(-n if column.descending else n for n, column in zip(place, key, strict=True))


def selected(key: Sequence[KeyColumn], conditions: Sequence[Sql], expressions: Sequence[str] = ()) -> list[list[Place]]:
    """Which of all places each condition selects, asked of a database that is not ours."""
    names = expressions or ["`" + c.column.name.replace("`", "``") + "`" for c in key]
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute(f"CREATE TABLE t ({', '.join(names)})")
        database.executemany(
            f"INSERT INTO t VALUES ({', '.join('?' * len(key))})", list(product(VALUES, repeat=len(key)))
        )
        return [list(database.execute(f"SELECT * FROM t WHERE {for_sqlite(c)}", c.args)) for c in conditions]


def for_sqlite(condition: Sql) -> str:
    """The text as the driver would send it, with `?` for arguments."""
    return re.sub("%s|%%", lambda found: "?" if found[0] == "%s" else "%", condition.text)


def between(key: Sequence[KeyColumn], low: Place | None, high: Place | None) -> list[Place]:
    """All places with low < place <= high, in the order of the index."""
    inside = [
        place
        for place in product(VALUES, repeat=len(key))
        if (low is None or in_order(low, key) < in_order(place, key))
        and (high is None or in_order(place, key) <= in_order(high, key))
    ]
    return sorted(inside, key=lambda place: in_order(place, key))


@st.composite
def ranges(draw: st.DrawFn) -> tuple[tuple[KeyColumn, ...], Place | None, Place | None, int]:
    """A key, two of its places in order (or its ends), and how many leading columns of the two are equal."""
    directions = draw(st.lists(st.booleans(), min_size=1, max_size=4))
    key = columns_of(directions, nasty=draw(st.booleans()))
    places = st.tuples(*[st.sampled_from(VALUES)] * len(key))
    ends = sorted([draw(places), draw(places)], key=lambda place: in_order(place, key))
    low = draw(st.sampled_from([ends[0], None]))
    high = draw(st.sampled_from([ends[1], None]))
    common = 0
    if low is not None and high is not None:
        while common < len(key) and low[common] == high[common]:
            common += 1
    return key, low, high, common


def bound(place: Place | None) -> Bound | None:
    """A place as it was read."""
    return None if place is None else tuple(str(n) for n in place)


@given(ranges())
def test_the_parts_of_a_range_are_disjoint_in_order_and_complete(
    drawn: tuple[tuple[KeyColumn, ...], Place | None, Place | None, int],
) -> None:
    """The parts of (low, high] select exactly the keys between, each once, and in the order of the index."""
    key, low, high, common = drawn
    found = selected(key, parts(key, bound(low), bound(high), common=common))
    in_parts = [sorted(rows, key=lambda place: in_order(place, key)) for rows in found]
    assert [place for rows in in_parts for place in rows] == between(key, low, high)


@given(ranges())
def test_each_part_is_one_interval_of_the_index(
    drawn: tuple[tuple[KeyColumn, ...], Place | None, Place | None, int],
) -> None:
    """No part has an OR, and each is equality on leading columns and at most one column with bounds behind."""
    key, low, high, common = drawn
    for part in parts(key, bound(low), bound(high), common=common):
        assert " OR " not in part.text
        terms = [] if part.text == "TRUE" else part.text.split(" AND ")
        operators = [term.rsplit(" ", 2)[-2] for term in terms]
        equal = [o == "=" for o in operators]
        assert equal == sorted(equal, reverse=True)
        assert sum(not e for e in equal) <= 2
        assert len(terms) - equal.count(True) <= 2


@given(ranges())
def test_the_condition_for_rows_says_the_same(
    drawn: tuple[tuple[KeyColumn, ...], Place | None, Place | None, int],
) -> None:
    """`within`, which is asked of log entries, selects the same keys by the log's own columns."""
    key, low, high, common = drawn
    names = log_columns(key)
    (rows,) = selected(key, [within(key, bound(low), bound(high), common=common, names=names)], names)
    assert sorted(rows, key=lambda place: in_order(place, key)) == between(key, low, high)


def test_a_range_between_equal_places_is_empty() -> None:
    """Where the server calls both ends equal there is nothing between, and nothing is asked."""
    key = columns_of([False, True], nasty=False)
    assert parts(key, ("1", "5"), ("1", "5"), common=2) == ()
    assert within(key, ("1", "5"), ("1", "5"), common=2, names=["k1", "k2"]) == Sql("FALSE")


def test_the_whole_key() -> None:
    """Without ends everything is selected, by one condition."""
    assert parts(columns_of([False], nasty=False), None, None, common=0) == (Sql("TRUE"),)


def test_the_parts_of_the_example() -> None:
    """(1, 5) < (a, b) <= (4, 2), with an alias, reads as the module says."""
    key = (KeyColumn(a_column("a", "int"), descending=False), KeyColumn(a_column("b", "int"), descending=False))
    assert parts(key, ("1", "5"), ("4", "2"), common=0, alias="origin") == (
        Sql("origin.`a` = %s AND origin.`b` > %s", (1, 5)),
        Sql("origin.`a` > %s AND origin.`a` < %s", (1, 4)),
        Sql("origin.`a` = %s AND origin.`b` <= %s", (4, 2)),
    )


# -- enums --------------------------------------------------------------------------------------------

MEMBERS = ("z", "a", "it's %s", 'b"`', "m")


def enum_column(name: str = "e") -> Column:
    """An ENUM whose order is not that of its words."""
    listed = ",".join("'" + m.replace("'", "''") + "'" for m in MEMBERS)
    return a_column(name, f"enum({listed})")


@given(st.tuples(st.integers(0, 5), st.integers(0, 3)), st.tuples(st.integers(0, 5), st.integers(0, 3)), st.booleans())
def test_ranges_of_an_enum_follow_its_own_order(one: Place, other: Place, descending: bool) -> None:  # noqa: FBT001
    """An ENUM sorts by number, also descending, also the value 0 that is no member; a range is a list of words."""
    key = (KeyColumn(enum_column(), descending=descending), KeyColumn(a_column("n", "int"), descending=False))
    low, high = sorted([one, other], key=lambda place: in_order(place, key))
    common = 2 if low == high else int(low[0] == high[0])
    words = ("", *MEMBERS)
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE t (e, n, place)")
        database.executemany(
            "INSERT INTO t VALUES (?, ?, ?)", [(words[i], n, f"{i} {n}") for i, n in product(range(6), VALUES)]
        )
        found: list[Place] = []
        for part in parts(key, bound(low), bound(high), common=common):
            rows = database.execute(f"SELECT place FROM t WHERE {for_sqlite(part)}", part.args)
            places = [tuple(int(n) for n in row[0].split()) for row in rows]
            found += sorted(places, key=lambda place: in_order(place, key))
    everything = product(range(6), VALUES)
    inside = [p for p in everything if in_order(low, key) < in_order(p, key) <= in_order(high, key)]
    assert found == sorted(inside, key=lambda place: in_order(place, key))


def test_members_of_an_enum() -> None:
    """Quotes are doubled in the type's text; a type with an escape is not guessed at."""
    assert enum_members(enum_column().type) == MEMBERS
    assert enum_members("enum('a,b','c)','''','')") == ("a,b", "c)", "'", "")
    assert enum_members(r"enum('a\\b')") == ()


# -- constants ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "read", "text", "expected"),
    [
        (a_column("c", "int"), "CAST(`c` AS CHAR)", "-5", Sql("%s", (-5,))),
        (a_column("c", "bigint unsigned"), "CAST(`c` AS CHAR)", "18446744073709551615", Sql("%s", (2**64 - 1,))),
        (a_column("c", "year"), "CAST(`c` AS CHAR)", "0000", Sql("%s", (0,))),
        (
            a_column("c", "varchar(9)", charset="utf16", collation="utf16_bin"),
            "HEX(`c`)",
            "0061",
            Sql("_utf16 X%s COLLATE utf16_bin", ("0061",)),
        ),
        (a_column("c", "binary(16)"), "HEX(`c`)", "00FF", Sql("X%s", ("00FF",))),
        (a_column("c", "decimal(30,10)"), "CAST(`c` AS CHAR)", "1.5", Sql("CAST(%s AS DECIMAL(30,10))", ("1.5",))),
        (a_column("c", "decimal"), "CAST(`c` AS CHAR)", "1", Sql("CAST(%s AS DECIMAL(65,30))", ("1",))),
        (a_column("c", "bit(9)"), "CAST(`c` + 0 AS CHAR)", "257", Sql("%s", (257,))),
        (a_column("c", "set('a','b')"), "CAST(`c` + 0 AS CHAR)", "3", Sql("%s", (3,))),
        (a_column("c", "float"), "(`c` + 0e0)", "0.1", Sql("(%s + 0e0)", ("0.1",))),
        (a_column("c", "datetime(6)"), "CAST(`c` AS CHAR)", "0000-00-00 00:00:00", Sql("%s", ("0000-00-00 00:00:00",))),
    ],
    ids=lambda value: value.type if isinstance(value, Column) else "",
)
def test_a_place_is_read_and_written_exactly(column: Column, read: str, text: str, expected: Sql) -> None:
    """Each type leaves the server as exact text and goes back as a constant of its own type and collation."""
    assert reading(column) == read
    assert literal(column, text) == expected


@pytest.mark.parametrize("kind", sorted(KEY_TYPES))
def test_every_type_of_key_can_be_read_and_written(kind: str) -> None:
    """No type that the planner lets through lacks its reading or its constant; names are quoted."""
    column = a_column(NASTY_COLUMN, f"{kind}(3)", charset="utf8mb4", collation="utf8mb4_bin")
    assert '`k``1 %%s "%%d" ä`' in reading(column, "a")
    assert literal(column, "1").text.count("%s") == len(literal(column, "1").args)


def test_order_and_its_reverse() -> None:
    """ORDER BY follows the index, each column in its own direction, or all of it backwards."""
    key = (KeyColumn(a_column("a", "int"), descending=False), KeyColumn(a_column(NASTY.name, "int"), descending=True))
    nasty = '`tä``ble.%%s "x"`'
    assert order(key) == f"`a` ASC, {nasty} DESC"
    assert order(key, backwards=True) == f"`a` DESC, {nasty} ASC"
    assert order(key, alias="x") == f"x.`a` ASC, x.{nasty} DESC"


def test_join_on_the_log() -> None:
    """Rows are joined with log entries by the key's columns, whatever their names."""
    key = columns_of([False, False], nasty=True)
    first, second = ('`k``1 %%s "%%d" ä0`', '`k``1 %%s "%%d" ä1`')
    assert same(key, "entry", "t", log_columns(key)) == f"t.{first} = entry.k1 AND t.{second} = entry.k2"
    assert same(key, "a", "b") == f"b.{first} = a.{first} AND b.{second} = a.{second}"


def test_equality_is_asked_of_the_server() -> None:
    """Two words of a collation may be equal; times have one spelling each and are compared as text."""
    text = a_column("c", "varchar(9)", charset="utf8mb4", collation="utf8mb4_0900_ai_ci")
    key = (KeyColumn(text, descending=False), KeyColumn(a_column("t", "datetime"), descending=False))
    asked = common_prefix(key, ("61", "2024-01-01 00:00:00"), ("41", "2024-01-01 00:00:00"))
    assert asked.text == (
        "SELECT _utf8mb4 X%s COLLATE utf8mb4_0900_ai_ci = _utf8mb4 X%s COLLATE utf8mb4_0900_ai_ci, %s = %s"
    )
    assert asked.args == ("61", "41", "2024-01-01 00:00:00", "2024-01-01 00:00:00")


def test_columns_of_a_key() -> None:
    """In the order and direction of the index, not of the table."""
    columns = (a_column("a", "int"), a_column("b", "int"))
    key = a_key("b", "a")
    assert [c.column.name for c in key_columns(key, columns)] == ["b", "a"]
