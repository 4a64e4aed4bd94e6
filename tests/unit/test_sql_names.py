"""Names: quoted for the server and for the driver, and derived without ever meeting another."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from migrator.model import TableName
from migrator.sql.names import (
    MAX_NAME,
    derived,
    log_of,
    qualified,
    quote,
    retained_of,
    shadow_of,
    trigger_name,
    twin_of,
)
from migrator.sql.statement import Sql
from tests.unit.builders import NAMES, NASTY, PLAIN

identifiers = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=64)
SUFFIXES = ("shadow", "log", "retained", "mirror_upd")


@given(identifiers)
def test_a_quoted_name_reaches_the_server_as_it_is(identifier: str) -> None:
    """After the driver has put arguments in, the text between the backticks is the name, backticks doubled."""
    sent = (f"SELECT {quote(identifier)}, %s" % ("5",)).removeprefix("SELECT `").removesuffix("`, 5")
    assert sent.replace("``", "`") == identifier
    assert sent.count("`") == 2 * identifier.count("`")


@given(identifiers, st.lists(st.just("%s"), max_size=3))
def test_shown_is_what_a_person_would_type(identifier: str, values: list[str]) -> None:
    """Per cent signs are single again, values are question marks, whatever stands in a name."""
    text = ", ".join([quote(identifier), *values])
    typed = "`" + identifier.replace("`", "``") + "`"
    assert Sql(text, tuple(values)).shown == ", ".join([typed, *["?"] * len(values)])


def test_shown_leaves_values_out() -> None:
    """A value never gets into the text that is logged and shown."""
    assert "secret" not in Sql("SELECT %s", ("secret",)).shown


@pytest.mark.parametrize(
    ("table", "quoted"), [(PLAIN, "`shop`.`orders`"), (NASTY, '`we``ird %%s "näme"`.`tä``ble.%%s "x"`')]
)
def test_schema_and_table(table: TableName, quoted: str) -> None:
    """Each part is quoted by itself, so that a dot in a name stays in it."""
    assert qualified(table) == quoted


@pytest.mark.parametrize("table", NAMES)
def test_names_beside_a_table(table: TableName) -> None:
    """All that is made for a table lies in its schema and begins with its name."""
    assert shadow_of(table) == TableName(table.schema, f"_{table.name}_shadow")
    assert log_of(table) == TableName(table.schema, f"_{table.name}_log")
    assert retained_of(table) == TableName(table.schema, f"_{table.name}_retained")
    assert trigger_name(table, "mirror", "UPDATE") == f"_{table.name}_mirror_upd"


@given(identifiers, st.sampled_from(SUFFIXES))
def test_a_derived_name_fits(name: str, suffix: str) -> None:
    """64 characters are the most; a short name is kept whole, a long one begins alike."""
    made = derived(name, suffix)
    assert len(made) <= MAX_NAME
    assert made.endswith(f"_{suffix}")
    assert made.startswith("_" + name[:30])
    assert made == derived(name, suffix)
    if len(name) + len(suffix) + 2 <= MAX_NAME:
        assert made == f"_{name}_{suffix}"


@given(st.text("äb", min_size=50, max_size=64), st.text("äb", min_size=50, max_size=64), st.sampled_from(SUFFIXES))
def test_two_long_names_never_meet(one: str, other: str, suffix: str) -> None:
    """Names that differ only where they are cut get different derived names."""
    assume(one != other)
    assert derived(one, suffix) != derived(other, suffix)


def test_all_names_of_one_long_table_differ() -> None:
    """Tables and triggers of one table of 64 characters never share a name."""
    table = TableName("s", "x" * 64)
    made = [shadow_of(table).name, log_of(table).name, retained_of(table).name]
    made += [trigger_name(table, p, e) for p in ("log", "mirror") for e in ("INSERT", "UPDATE", "DELETE")]
    assert len(set(made)) == 9


def test_twins_of_two_schemas_and_runs_differ() -> None:
    """Rehearsals of equal names meet in the journal's schema, so schema and run are in the name."""
    made = {twin_of(TableName(s, "t"), "migrator", run).name for s in ("a", "b") for run in ("1", "2")}
    assert len(made) == 4
