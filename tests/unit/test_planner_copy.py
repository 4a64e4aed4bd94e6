"""Reasons against a copy by triggers, where they have edges."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from migrator.model import Check, Key, KeyPart, Table, TableName
from migrator.planner.around import look_around
from migrator.sql.names import log_of, retained_of, shadow_of, trigger_name
from tests.unit.builders import (
    NAMES,
    PLAIN,
    a_column,
    a_key,
    a_server,
    a_table,
    a_trigger,
    an_inventory,
    around,
    checks,
    findings,
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("derive", [shadow_of, log_of, retained_of])
def test_a_taken_name_blocks_unless_the_journal_owns_it(name: TableName, derive: object) -> None:
    """A table that bears a name of ours, and is not provably ours, is left alone, so the step is refused."""
    taken = derive(name)  # type: ignore[operator]
    table, other = a_table(name), a_table(taken)
    finding = findings(table, around(table, other))["name-taken"]
    assert finding.blocks
    assert str(taken) in finding.message
    assert "name-taken" not in findings(table, around(table, other, owned=frozenset({taken})))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("purpose", "event"), [("log", "insert"), ("mirror", "delete")])
def test_a_trigger_with_our_name_blocks_unless_the_journal_owns_the_work(
    name: TableName, purpose: str, event: str
) -> None:
    """Trigger names are unique in a schema: ours may be taken on the table itself or on another one."""
    ours = a_trigger(trigger_name(name, purpose, event), name)
    table, other = a_table(name, triggers=(ours,)), a_table(TableName(name.schema, "other"), triggers=(ours,))
    plain = a_table(name)
    assert set(findings(table)) == {"name-taken"}
    assert set(findings(plain, around(plain, other))) == {"name-taken"}
    assert findings(table, around(table, owned=frozenset({log_of(name)}))) == {}


def test_the_retained_table_of_an_earlier_run_is_in_the_way() -> None:
    """A table in clear whose retained copy is still kept needs that name again: cleanup comes first."""
    table, old = a_table(), a_table(retained_of(PLAIN))
    where = look_around(an_inventory(table, old), retained={old.name: "2026-05-08"})
    assert findings(table, where)["retained-in-the-way"].blocks


def test_generated_check_names_survive_up_to_nine_without_gaps() -> None:
    """LIKE numbers CHECK constraints anew in the order of their names, so ten or a gap would be renamed."""
    assert findings(a_table(checks=checks(PLAIN, *range(1, 10)))) == {}
    assert set(findings(a_table(checks=checks(PLAIN, *range(1, 11))))) == {"check-numbers"}
    assert set(findings(a_table(checks=checks(PLAIN, 1, 3)))) == {"check-numbers"}


def test_a_check_on_a_very_long_name_cannot_be_copied() -> None:
    """The server derives the constraint's name from the copy's, which must fit into 64 characters."""
    short, long = TableName("shop", "t" * 30), TableName("shop", "t" * 55)
    assert findings(a_table(short, checks=checks(short, 1))) == {}
    assert set(findings(a_table(long, checks=checks(long, 1)))) == {"check-name-length"}
    assert findings(a_table(long)) == {}


def test_a_keyless_table_says_why_its_keys_do_not_serve() -> None:
    """Each unique key is named with what is wrong with it."""
    columns = (a_column("a", nullable=True), a_column("b", "varchar(300)"))
    keys = (a_key("a", name="ua"), Key("ub", (KeyPart("b", prefix=10),), unique=True))
    message = findings(a_table(columns=columns, keys=keys))["no-usable-key"].message
    assert "ua allows NULL in a" in message
    assert "ub holds only a prefix of b" in message


def test_document_ids_of_ones_own_are_refused() -> None:
    """Only together with a FULLTEXT index do their values have to grow."""
    columns = (a_column("id"), a_column("fts_doc_id", "bigint unsigned"), a_column("note", "text"))
    words = a_key("note", name="words", unique=False, type="FULLTEXT")
    for name in NAMES:
        assert findings(a_table(name, columns=columns, keys=(a_key("id"), words)))["document-ids"].blocks
        assert "document-ids" not in findings(a_table(name, columns=columns))
        assert "document-ids" not in findings(a_table(name, keys=(a_key("id"), words)))


def test_a_spatial_index_with_text_in_the_key_is_refused() -> None:
    """Text in the clustered key, wherever equal values can be of other bytes; in another index it does no harm."""
    text = {"charset": "utf8mb4", "collation": "utf8mb4_bin"}
    columns = (a_column("id"), a_column("code", "varchar(9)", **text), a_column("place", "point"))
    place = a_key("place", name="place", unique=False, type="SPATIAL")
    for name in NAMES:
        for keys in ((a_key("id", "code"), place), (a_key("code", name="u"), place)):
            assert findings(a_table(name, columns=columns, keys=keys))["spatial-key"].blocks
        assert "spatial-key" not in findings(a_table(name, columns=columns, keys=(a_key("code"),)))
        for others in (a_key("code", name="u"), a_key("code", name="k", unique=False)):
            assert "spatial-key" not in findings(a_table(name, columns=columns, keys=(a_key("id"), others, place)))
    for exact in (
        a_column("code", "varchar(9)", charset="utf8mb4", collation="utf8mb4_0900_bin"),
        a_column("code", "varbinary(9)"),
        a_column("code", "enum('a','b')", **text),
    ):
        table = a_table(columns=(a_column("id"), exact, columns[2]), keys=(a_key("code"), place))
        assert "spatial-key" not in findings(table)


# -- time zones -----------------------------------------------------------------------------------

AT = 'we`ird %s "at"'
IN_EXPRESSION = '`we``IRD %s "at"`'


def timed(**changes: Any) -> Table:
    return a_table(columns=(a_column(), a_column(AT, "timestamp(3)"), a_column("note", "varchar(10)")), **changes)


def test_a_timestamp_that_nothing_is_computed_from_is_no_finding() -> None:
    """Texts and other columns that only look like it are none either."""
    near = f"concat(_utf8mb4\\'{AT}\\',`note`,`from_unixtime`,`x{AT}`)"
    columns = (*timed().columns, a_column("g", "int", generated="STORED", expression=near))
    assert findings(replace(timed(), columns=columns)) == {}


@pytest.mark.parametrize("kind", ["STORED", "VIRTUAL"])
@pytest.mark.parametrize(
    ("type", "expression"),
    [("int", f"hour({IN_EXPRESSION})"), ("timestamp", "`note`"), ("datetime", "from_unixtime(`id`)")],
)
def test_columns_that_are_computed_in_a_time_zone_are_refused(kind: str, type: str, expression: str) -> None:
    """By a name in any case, by their own type, or by a function; the finding names the column."""
    columns = (*timed().columns, a_column("g", type, generated=kind, expression=expression))
    finding = findings(replace(timed(), columns=columns))["generated-timestamp"]
    assert finding.blocks
    assert finding.message.endswith(": column g")
    assert "time_zone" in finding.remedy


def test_indexes_and_checks_that_are_computed_in_a_time_zone_are_refused() -> None:
    """Both are named."""
    part = KeyPart(None, expression=f"cast({IN_EXPRESSION} as date)")
    table = timed(
        keys=(a_key(), a_key(part, name="by_day", unique=False)),
        checks=(Check("orders_chk_1", generated_name=True, expression=f"({IN_EXPRESSION} > _utf8mb4\\'2020\\')"),),
    )
    assert findings(table)["generated-timestamp"].message.endswith(": index by_day, check orders_chk_1")


def test_timestamps_need_a_server_that_knows_offsets() -> None:
    """Refused before 8.0.19, where a mirror trigger could not say an instant."""
    old, new = (around(timed(), server=a_server(version=version)) for version in ((8, 0, 18), (8, 0, 19)))
    assert set(findings(timed(), old)) == {"old-timestamp"}
    assert findings(timed(), new) == {}
    assert findings(a_table(), old) == {}
