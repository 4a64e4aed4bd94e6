"""Drift: what matters stops a plan and is shown, growth and our own work do not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from migrator.model import Check, Finding, Inventory, KeyPart, Method, Table, TableName, TablespaceKind
from migrator.planner.drift import changes, definition, drift, fingerprint
from migrator.planner.make import make_plan
from migrator.planner.plan import Plan, Policy, Scope
from migrator.sql.names import log_of, retained_of, shadow_of, trigger_name
from tests.unit.builders import (
    MIB,
    NAMES,
    NASTY,
    PLAIN,
    SMALL_DIRECTLY,
    a_column,
    a_foreign_key,
    a_key,
    a_segment,
    a_server,
    a_small_table,
    a_table,
    a_tablespace,
    a_trigger,
    an_encrypted_table,
    an_inventory,
    checks,
)

OTHER = TableName("crm", "customers")
GENERAL = a_segment(TablespaceKind.GENERAL, space=200, tablespace="archive")


def planned(*tables: Table, policy: Policy | None = None, **more: Any) -> Plan:
    return make_plan(an_inventory(*tables, **more), policy or SMALL_DIRECTLY, {})


def found(plan: Plan, now: Inventory, **more: Any) -> dict[str, Finding]:
    return {f.code: f for f in drift(plan, now, **more)}


@pytest.mark.parametrize("name", NAMES)
def test_an_unchanged_server_has_no_drift(name: TableName) -> None:
    """The same facts give no findings, whatever is in the plan."""
    tables = (a_table(name), a_table(OTHER, keys=()), an_encrypted_table(TableName("shop", "done")))
    assert found(planned(*tables), an_inventory(*tables)) == {}


def test_growth_is_no_drift() -> None:
    """Rows, sizes, partitions, creation time, histograms, file ids: nothing that was reviewed rests on them."""
    before = a_table(partition_method="RANGE", partitions=("p0",))
    after = replace(
        before,
        rows=10**9,
        data_bytes=10**12,
        index_bytes=10**11,
        create_time="2027-01-01T00:00:00",
        histograms=("note",),
        partitions=("p0", "p1"),
        segments=(a_segment(space=900, table_id=901),),
    )
    assert fingerprint(before) == fingerprint(after)
    assert found(planned(before), an_inventory(after)) == {}


def test_another_server_blocks_and_nothing_else_is_said() -> None:
    """A plan is for one server_uuid."""
    server = a_server(server_uuid="99999999-2222-3333-4444-555555555555")
    result = found(planned(a_table()), an_inventory(a_table(OTHER), server=server))
    assert set(result) == {"server-changed"}
    assert result["server-changed"].blocks
    assert "99999999" in result["server-changed"].message


def test_an_upgraded_server_is_mentioned() -> None:
    """Another version of the same server is worth a word, not a stop."""
    server = a_server(version=(9, 7, 5), version_text="9.7.5")
    result = found(planned(a_table()), an_inventory(a_table(), server=server))
    assert set(result) == {"server-upgraded"}
    assert not result["server-upgraded"].blocks


CHANGED: dict[str, tuple[dict[str, Any], str]] = {
    "column type": (
        {"columns": (a_column("id", "int", auto_increment=True), a_table().columns[1])},
        "column `id` was bigint NOT NULL auto_increment, is int NOT NULL auto_increment",
    ),
    "column new": ({"columns": (*a_table().columns, a_column("more"))}, "column `more` is new (bigint NOT NULL)"),
    "column gone": ({"columns": a_table().columns[:1]}, "column `note` is gone (was varchar(100)"),
    "column order": ({"columns": a_table().columns[::-1]}, "the columns have another order"),
    "collation": (
        {"columns": (a_table().columns[0], replace(a_table().columns[1], collation="utf8mb4_bin"))},
        "collate utf8mb4_bin",
    ),
    "generated": ({"columns": (a_table().columns[0], replace(a_table().columns[1], generated="VIRTUAL"))}, "VIRTUAL"),
    "key new": ({"keys": (a_key(), a_key("note", name="n", unique=False))}, "key `n` is new (BTREE (`note`))"),
    "key direction": ({"keys": (a_key(KeyPart("id", descending=True)),)}, "key `PRIMARY` was unique BTREE (`id`)"),
    "row format": ({"row_format": "Compressed"}, "row format was Dynamic, is Compressed"),
    "engine": ({"engine": "MyISAM", "segments": ()}, "engine was InnoDB, is MyISAM"),
    "options": ({"create_options": "stats_persistent=0"}, "options was , is stats_persistent=0"),
    "trigger": ({"triggers": (a_trigger(),)}, "trigger `orders_audit` is new (AFTER INSERT by app@%"),
    "foreign key": ({"foreign_keys": (a_foreign_key(PLAIN, OTHER),)}, "foreign key `fk_1` is new (to crm.customers"),
    "referenced": ({"referenced_by": (a_foreign_key(OTHER, PLAIN),)}, "referenced by `crm.customers.fk_1` is new"),
    "check": ({"checks": checks(PLAIN, 1)}, "check `orders_chk_1` is new"),
    "tablespace": ({"segments": (GENERAL,)}, "tablespace was file-per-table, is general `archive`"),
    "data directory": ({"data_directory": True}, "data directory was no, is yes"),
    "partitioned": ({"partition_method": "HASH"}, "partitioned was no, is HASH"),
}


@pytest.mark.parametrize("what", CHANGED)
def test_each_change_of_a_table_to_be_done_blocks_and_is_spelled_out(what: str) -> None:
    """Old and new are in the message, and the plan has to be made anew."""
    change, words = CHANGED[what]
    result = found(planned(a_table()), an_inventory(a_table(**change)))
    assert result["table-changed"].blocks
    assert words in result["table-changed"].message
    assert result["table-changed"].subject == "shop.orders"


def test_changes_are_counted_when_there_are_too_many() -> None:
    """A dozen changes are spelled out, the rest is a number."""
    columns = tuple(a_column(f"c{n}") for n in range(20))
    message = found(planned(a_table()), an_inventory(a_table(columns=(*a_table().columns, *columns))))
    assert message["table-changed"].message.endswith("; and 8 more")


def test_the_order_in_which_the_catalog_lists_does_not_matter() -> None:
    """Keys, triggers and constraints are compared by name."""
    one = a_table(keys=(a_key(), a_key("note", name="n", unique=False)), checks=checks(PLAIN, 1, 2))
    other = replace(one, keys=one.keys[::-1], checks=one.checks[::-1])
    assert definition(one) == definition(other)


@pytest.mark.parametrize("name", NAMES)
def test_changes_name_columns_with_any_characters(name: TableName) -> None:
    """A column's name may hold backticks, colons and line ends and is still told from its text."""
    odd = f"{name}: `x`\n"
    before, after = a_table(columns=(a_column(odd, "int"),)), a_table(columns=(a_column(odd, "bigint"),))
    shown = "`" + odd.replace("`", "``") + "`"
    assert changes(definition(before), definition(after))[-1] == f"column {shown} was int NOT NULL, is bigint NOT NULL"


@pytest.mark.parametrize("option", ["ENCRYPTION='Y'", 'encryption="y"', "ENCRYPTION='Y' partitioned"])
def test_the_tables_own_encryption_is_not_part_of_its_definition(option: str) -> None:
    """What we change is looked at by itself, however the server spells it."""
    plain, done = a_table(create_options="stats_persistent=0"), a_table(create_options=f"stats_persistent=0 {option}")
    assert fingerprint(plain) == fingerprint(done)


@pytest.mark.parametrize("name", NAMES)
def test_our_own_work_is_no_drift(name: TableName) -> None:
    """A killed run leaves triggers, log and shadow; the next one goes on with the same plan."""
    plan = planned(a_table(name))
    ours = tuple(a_trigger(trigger_name(name, "log", event), name) for event in ("insert", "update", "delete"))
    now = an_inventory(a_table(name, triggers=ours), a_table(shadow_of(name)), a_table(log_of(name)))
    assert found(plan, now, owned={shadow_of(name), log_of(name)}) == {}


@pytest.mark.parametrize("name", NAMES)
def test_what_was_done_meanwhile_is_fine(name: TableName) -> None:
    """An encrypted table needs nothing any more; its retained copy is no new table."""
    plan = planned(a_table(name))
    now = an_inventory(an_encrypted_table(name), a_table(retained_of(name)))
    result = found(plan, now, retained={retained_of(name): "2026-05-08"})
    assert set(result) == {"encrypted-meanwhile"}
    assert not result["encrypted-meanwhile"].blocks


def test_strangers_with_our_names_block() -> None:
    """A shadow that the journal does not know makes the method impossible."""
    result = found(planned(a_table()), an_inventory(a_table(), an_encrypted_table(shadow_of(PLAIN))))
    assert result["method-does-not-fit"].blocks
    assert "shop._orders_shadow" in result["method-does-not-fit"].message


def test_tables_that_are_gone_or_new_are_told_and_left() -> None:
    """Neither makes the rest of the plan unsafe."""
    result = found(planned(a_table()), an_inventory(a_table(NASTY)))
    assert set(result) == {"table-gone", "table-new"}
    assert not any(f.blocks for f in result.values())
    assert result["table-new"].subject == str(NASTY)


def test_new_tables_count_if_they_are_in_scope_and_in_clear() -> None:
    """Encrypted tables, tables without data on disk and tables out of scope are nothing new."""
    now = an_inventory(
        a_table(),
        an_encrypted_table(TableName("shop", "done")),
        a_table(TableName("shop", "memory"), engine="MEMORY", segments=()),
        a_table(OTHER),
    )
    plan = make_plan(an_inventory(a_table()), SMALL_DIRECTLY, {}, scope=Scope(databases=("shop",)))
    assert found(plan, now) == {}


def test_a_skipped_table_that_came_into_the_clear_is_told() -> None:
    """The plan would leave it as it is."""
    result = found(planned(an_encrypted_table()), an_inventory(a_table()))
    assert set(result) == {"in-clear-now"}
    assert not result["in-clear-now"].blocks


def test_changes_of_tables_that_are_left_alone_do_not_block() -> None:
    """A refused table that became InnoDB could be done by a new plan; this one goes on without it."""
    result = found(planned(a_table(engine="MyISAM", segments=())), an_inventory(a_table()))
    assert set(result) == {"table-changed"}
    assert not result["table-changed"].blocks


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("encrypted", [False, True])
def test_a_relay_under_way_is_no_drift(name: TableName, encrypted: bool) -> None:  # noqa: FBT001
    """The table lies in our tablespace instead of its own file; anything else that changed still stops the plan."""
    space = a_segment(TablespaceKind.GENERAL, space=200, tablespace="migrator_relay_1", encrypted=encrypted)
    ours = {"migrator_relay_1": name}
    before, away = a_table(name, keys=()), a_table(name, keys=(), segments=(space,))
    spaces = (a_tablespace(name="migrator_relay_1", encrypted=encrypted),)
    assert found(planned(before), an_inventory(away, tablespaces=spaces), relays=ours) == {}
    in_ibdata1 = a_table(name, keys=(), segments=(a_segment(TablespaceKind.SYSTEM, space=0),))
    assert found(planned(in_ibdata1), an_inventory(away, tablespaces=spaces), relays=ours) == {}
    altered = replace(away, row_format="Compact")
    assert set(found(planned(before), an_inventory(altered, tablespaces=spaces), relays=ours)) == {"table-changed"}


def test_a_method_that_was_edited_into_the_file_is_held_off() -> None:
    """Only `skip` may be written by hand: refused tables stay refused, large ones are not altered directly."""
    for table, reason in (
        (a_table(engine="MyISAM", segments=()), "MyISAM cannot encrypt"),
        (a_table(keys=()), "no-usable-key"),
    ):
        other = planned(table)
        step = other.steps[0].model_copy(update={"method": Method.SHADOW_COPY})
        result = found(other.model_copy(update={"steps": (step,)}), an_inventory(table))
        assert result["method-does-not-fit"].blocks
        assert reason in result["method-does-not-fit"].message
    large = planned(a_table())
    step = large.steps[0].model_copy(update={"method": Method.DIRECT_ALTER})
    result = found(large.model_copy(update={"steps": (step,)}), an_inventory(a_table()))
    assert result["method-does-not-fit"].blocks
    shared = planned(a_table(segments=(GENERAL,)), tablespaces=(a_tablespace(),))
    step = shared.steps[1].model_copy(update={"method": Method.SHADOW_COPY})
    result = found(
        shared.model_copy(update={"steps": (shared.steps[0], step)}),
        an_inventory(a_table(segments=(GENERAL,)), tablespaces=(a_tablespace(),)),
    )
    assert result["method-does-not-fit"].blocks


def test_a_reviewer_may_skip_a_step() -> None:
    """A table that the reviewer leaves out stops nothing; it is said while it lies in clear."""
    plan = planned(a_table())
    step = plan.steps[0].model_copy(update={"method": Method.SKIP})
    skipping = plan.model_copy(update={"steps": (step,)})
    (finding,) = found(skipping, an_inventory(a_table())).values()
    assert (finding.code, finding.blocks) == ("skipped-in-clear", False)
    assert found(skipping, an_inventory(a_table(segments=(a_segment(encrypted=True),)))) == {}


def test_a_reviewer_may_skip_a_tablespace() -> None:
    """It is said of the tablespace, and of each table in it that has no step of its own; in clear, all of them."""
    inside, space = a_table(segments=(GENERAL,)), a_tablespace()
    plan = planned(inside, tablespaces=(space,))
    steps = tuple(s.model_copy(update={"method": Method.SKIP}) if s.kind == "tablespace" else s for s in plan.steps)
    skipping = plan.model_copy(update={"steps": steps})
    now = drift(skipping, an_inventory(inside, tablespaces=(space,)))
    assert {(f.subject, f.code, f.blocks) for f in now} == {
        (step.name, "skipped-in-clear", False) for step in plan.steps
    }
    encrypted = replace(inside, segments=(replace(GENERAL, encrypted=True),))
    assert drift(skipping, an_inventory(encrypted, tablespaces=(replace(space, encrypted=True),))) == ()


def test_a_small_table_may_grow_a_little() -> None:
    """Up to twice the limit a direct-alter stays what was reviewed; beyond that writes would wait too long."""
    plan = planned(a_small_table())
    assert plan.steps[0].method is Method.DIRECT_ALTER
    assert found(plan, an_inventory(a_table(data_bytes=15 * MIB, index_bytes=0))) == {}
    result = found(plan, an_inventory(a_table(data_bytes=16 * MIB, index_bytes=0)))
    assert result["method-does-not-fit"].blocks
    assert "16.0 MiB" in result["method-does-not-fit"].message


def test_a_table_that_shrank_is_still_copied() -> None:
    """A copy serves any size."""
    assert found(planned(a_table()), an_inventory(a_small_table())) == {}


def test_tablespaces_drift_like_tables() -> None:
    """Gone, new, encrypted meanwhile or back in clear: all told, none blocks."""
    space = a_tablespace()
    done = replace(space, encrypted=True)
    plan, nothing = planned(tablespaces=(space,)), an_inventory()
    assert found(plan, replace(nothing, tablespaces=(space,))) == {}
    assert set(found(plan, nothing)) == {"tablespace-gone"}
    assert set(found(plan, replace(nothing, tablespaces=(done,)))) == {"encrypted-meanwhile"}
    assert set(found(planned(), replace(nothing, tablespaces=(space,)))) == {"tablespace-new"}
    assert set(found(planned(tablespaces=(done,)), replace(nothing, tablespaces=(space,)))) == {"in-clear-now"}


def test_blocking_findings_come_first() -> None:
    """Who reads the first line reads what stops the run."""
    plan = planned(a_table(), a_table(OTHER))
    result = drift(plan, an_inventory(a_table(OTHER, row_format="Compact")))
    assert [f.code for f in result] == ["table-changed", "table-gone"]


def test_named_checks_are_in_the_definition() -> None:
    """A constraint that was renamed is a change."""
    before = a_table(checks=(Check("a", generated_name=False),))
    after = a_table(checks=(Check("b", generated_name=False),))
    assert changes(definition(before), definition(after)) == ("check `a` is gone (was yes)", "check `b` is new (yes)")
