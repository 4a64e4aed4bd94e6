"""The plan's types: scope patterns, limits of settings, and what a step must be."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from pydantic import ValidationError

from migrator.model import Flavour, Method, TableName
from migrator.planner.plan import (
    Attestation,
    Defaults,
    Plan,
    PlanServer,
    Policy,
    Scope,
    Step,
    fingerprint_of,
    matches,
)
from tests.unit.builders import NASTY, PLAIN

SERVER = PlanServer(server_uuid="u", version="9.7.4", flavour=Flavour.MYSQL)


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("shop", "shop", True),
        ("shop", "Shop", False),
        ("shop*", "shop_eu", True),
        ("shop?", "shop", False),
        ("*.orders", "shop.orders", True),
        ("shop.[a-z]*", "shop.orders", False),
        ("shop.[a-z]*", "shop.[a-z]x", True),
        (r"a\*b", "a*b", True),
        (r"a\*b", "axb", False),
        (r"a\\b", r"a\b", True),
        ("a\nb", "a\nb", True),
        ("shop.*", "shop.a\nb", True),
        ("a%b", "axb", False),
    ],
)
def test_patterns_know_star_and_question_mark_only(pattern: str, text: str, *, fits: bool) -> None:
    """`*` and `?` are wild, everything else is itself, case and brackets and per cent signs included."""
    assert matches(pattern, text) is fits


def test_an_empty_scope_wants_everything() -> None:
    """Without patterns every table is in scope."""
    assert Scope().wants(PLAIN)
    assert Scope().wants(NASTY)


@pytest.mark.parametrize("table", [PLAIN, NASTY])
def test_scope_is_what_fits_all_and_is_not_ignored(table: TableName) -> None:
    """A table must fit databases and tables, and ignoring wins over both."""
    schema = table.schema
    assert Scope(databases=(schema,)).wants(table)
    assert Scope(databases=("other", schema), tables=("*.other", str(table))).wants(table)
    assert not Scope(ignore_databases=("other", schema)).wants(table)
    assert not Scope(ignore_tables=("*.other", str(table))).wants(table)
    assert Scope(databases=(schema,), tables=(str(table),)).wants(table)
    assert not Scope(databases=("other",), tables=(str(table),)).wants(table)
    assert not Scope(databases=(schema,), tables=("*.other",)).wants(table)
    assert not Scope(databases=(schema,), ignore_tables=(str(table),)).wants(table)
    assert not Scope(tables=(str(table),), ignore_databases=(schema,)).wants(table)


def test_a_table_pattern_names_its_schema() -> None:
    """A pattern without a dot could mean a table or a schema, so it is refused with the way to say it."""
    with pytest.raises(ValidationError, match=r"write schema\.table, or \*\.orders"):
        Scope(tables=("orders",))
    with pytest.raises(ValidationError, match="matches nothing"):
        Scope(databases=("",))


@pytest.mark.parametrize(
    "setting",
    [
        {"workers": 0},
        {"workers": 65},
        {"workers": True},
        {"workers": "2"},
        {"chunk_time_seconds": 0.01},
        {"chunk_time_seconds": float("nan")},
        {"chunk_max_bytes": 1},
        {"retain_days": -1},
        {"rollback_hours": -1},
        {"log_max_bytes": 0},
        {"log_max_entries": 0},
        {"moment_wait_seconds": 0},
        {"swap_wait_seconds": 0},
        {"index_build_memory_bytes": 2**40},
        {"max_extra_disk_bytes": -1},
        {"order": "random"},
        {"unknown": 1},
    ],
)
def test_defaults_have_limits(setting: dict[str, object]) -> None:
    """A setting outside its limits, of the wrong type or unknown is refused."""
    with pytest.raises(ValidationError):
        Defaults.model_validate(setting)


def test_the_defaults_are_within_their_own_limits() -> None:
    """The values that nobody has chosen pass the same validation."""
    assert Defaults.model_validate(Defaults().model_dump()) == Defaults()


def test_tables_of_other_engines_are_converted_only_if_the_policy_asks() -> None:
    """The default is no."""
    assert not Policy().convert
    assert Policy.model_validate({"convert": True}).convert


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-05-01", date(2026, 5, 1)),
        ("2026-05-01T09:30:00Z", datetime(2026, 5, 1, 9, 30, tzinfo=UTC)),
        ("2026-05-01T11:30:00+02:00", datetime(2026, 5, 1, 9, 30, tzinfo=UTC)),
    ],
)
def test_an_attestation_is_of_a_day_or_a_time_with_zone(text: str, at: date) -> None:
    """A date stays a date, a time keeps its instant."""
    assert Attestation.model_validate({"by": "Ann", "at": text}).at == at


@pytest.mark.parametrize("text", ["2026-05-01T09:30:00", "yesterday", "2026-13-01", "20260501", ""])
def test_an_unclear_time_is_refused(text: str) -> None:
    """A time without zone, or no time at all, is refused."""
    with pytest.raises(ValidationError, match=r"zone|neither"):
        Attestation.model_validate({"by": "Ann", "at": text})


def a_step(**changes: object) -> Step:
    return Step.model_validate(
        {"kind": "table", "schema_name": "shop", "table_name": "orders", "method": Method.SHADOW_COPY} | changes
    )


def test_a_step_is_about_one_thing() -> None:
    """A table needs its schema and name, a tablespace its name alone."""
    assert a_step().table == PLAIN
    assert a_step().name == "shop.orders"
    with pytest.raises(ValidationError, match="needs schema_name and table_name"):
        a_step(schema_name="")
    with pytest.raises(ValidationError, match="needs tablespace_name"):
        a_step(kind="tablespace")
    with pytest.raises(ValidationError, match="needs tablespace_name"):
        a_step(method=Method.TABLESPACE)
    for more in ({"schema_name": "shop"}, {"table_name": "orders"}):
        with pytest.raises(ValidationError, match="neither schema_name nor table_name"):
            Step.model_validate({"kind": "tablespace", "tablespace_name": "ts", "method": Method.SKIP} | more)
    with pytest.raises(ValidationError, match="cannot be done by shadow-copy"):
        Step(kind="tablespace", tablespace_name="ts", method=Method.SHADOW_COPY)


def test_only_steps_that_run_statements_change_something() -> None:
    """A table that its tablespace's step encrypts changes nothing by itself."""
    assert a_step().changes_something
    assert a_step(method=Method.DIRECT_ALTER).changes_something
    assert not a_step(method=Method.TABLESPACE, tablespace_name="ts").changes_something
    assert not a_step(method=Method.SKIP).changes_something
    assert not a_step(method=Method.REFUSE).changes_something
    assert Step(kind="tablespace", tablespace_name="ts", method=Method.TABLESPACE).changes_something


def test_an_edited_definition_is_noticed() -> None:
    """The fingerprint belongs to the definition: editing one of them is refused."""
    lines = ("engine: InnoDB",)
    assert a_step(definition=lines, fingerprint=fingerprint_of(lines)).definition == lines
    with pytest.raises(ValidationError, match="do not belong together"):
        a_step(definition=("engine: MyISAM",), fingerprint=fingerprint_of(lines))


def test_fingerprints_keep_lines_apart() -> None:
    """Moving text from one line to the next makes another fingerprint."""
    assert fingerprint_of(("ab", "c")) != fingerprint_of(("a", "bc"))
    assert fingerprint_of(("ab",)) != fingerprint_of(("ab", ""))


def test_nothing_is_planned_twice() -> None:
    """Two steps for one table are refused; a tablespace may share a table's name."""
    with pytest.raises(ValidationError, match=r"shop\.orders is there twice"):
        Plan(tool_version="1", created_at="", server=SERVER, steps=(a_step(), a_step(method=Method.SKIP)))
    space = Step(kind="tablespace", tablespace_name="shop.orders", method=Method.SKIP)
    plan = Plan(tool_version="1", created_at="", server=SERVER, steps=(a_step(), space))
    assert plan.step_of(PLAIN) == a_step()
    assert plan.step_of(NASTY) is None


def test_a_plan_cannot_be_changed() -> None:
    """What was reviewed stays what it is; a change makes another plan."""
    with pytest.raises(ValidationError, match="frozen"):
        a_step().method = Method.SKIP  # type: ignore[misc]


def test_a_plan_of_another_format_is_refused() -> None:
    """Only format 1 is known."""
    with pytest.raises(ValidationError):
        Plan.model_validate({"format": 2, "tool_version": "1", "created_at": "", "server": SERVER})
