"""The method for each table, and the sentence that says why."""

from __future__ import annotations

import pytest

from migrator.model import Method, Table, TableName, TablespaceKind
from migrator.planner.checks import look_around
from migrator.planner.methods import Choice, choose
from migrator.planner.plan import Policy
from tests.unit.builders import (
    MIB,
    NAMES,
    PLAIN,
    SMALL_DIRECTLY,
    a_foreign_key,
    a_segment,
    a_server,
    a_small_table,
    a_table,
    a_tablespace,
    a_trigger,
    an_encrypted_table,
    an_inventory,
)


def chosen(table: Table, policy: Policy | None = None) -> Choice:
    choice = choose(table, a_server(), policy or SMALL_DIRECTLY)
    assert choice.why.endswith(".")
    assert "\n" not in choice.why
    return choice


@pytest.mark.parametrize("name", NAMES)
def test_the_default_is_a_shadow_copy_by_its_key(name: TableName) -> None:
    """A large table with a usable key is copied, and the reason names the key."""
    choice = chosen(a_table(name))
    assert choice.method is Method.SHADOW_COPY
    assert choice.key is not None
    assert "PRIMARY (id)" in choice.why


def test_a_small_table_is_altered_directly_if_the_policy_allows_it() -> None:
    """Below the policy's size one ALTER; at the size itself not; by default never, for it can be noticed (1412)."""
    assert chosen(a_small_table()).method is Method.DIRECT_ALTER
    assert chosen(a_small_table(), Policy()).method is Method.SHADOW_COPY
    exact = a_table(data_bytes=8 * MIB, index_bytes=0)
    assert chosen(exact).method is Method.SHADOW_COPY
    assert chosen(exact, Policy(direct_below_bytes=8 * MIB + 1)).method is Method.DIRECT_ALTER


def test_stale_statistics_do_not_make_a_large_table_small() -> None:
    """The file's size counts where the statistics say less."""
    table = a_small_table()
    space = a_tablespace(TablespaceKind.FILE_PER_TABLE, space=100, file_bytes=1024 * MIB)
    around = look_around(an_inventory(table, tablespaces=(space,)))
    assert choose(table, a_server(), SMALL_DIRECTLY, around).method is Method.SHADOW_COPY


@pytest.mark.parametrize("make", [a_table, a_small_table])
def test_what_needs_a_later_method_is_refused_at_any_size(make: object) -> None:
    """Foreign keys, own triggers and missing keys are refused, small tables included."""
    for changes in (
        {"foreign_keys": (a_foreign_key(PLAIN, TableName("crm", "c")),)},
        {"referenced_by": (a_foreign_key(TableName("crm", "c"), PLAIN),)},
        {"triggers": (a_trigger(),)},
        {"keys": ()},
    ):
        choice = chosen(make(**changes))  # type: ignore[operator]
        assert choice.method is Method.REFUSE
        assert any(f.blocks and f.remedy for f in choice.findings)


def test_a_refusal_counts_its_reasons() -> None:
    """The sentence gives the first reason and how many more there are; the findings give them all."""
    choice = chosen(a_table(keys=(), triggers=(a_trigger(),), data_directory=True))
    assert choice.why.startswith("triggers of the application: orders_audit")
    assert choice.why.endswith("(and 2 more reasons).")
    assert len([f for f in choice.findings if f.blocks]) == 3


def test_done_is_skipped_whatever_else_is_true() -> None:
    """An encrypted table needs nothing, so nothing about it blocks."""
    choice = chosen(an_encrypted_table(keys=(), triggers=(a_trigger(),)))
    assert choice.method is Method.SKIP
    assert not any(f.blocks for f in choice.findings)


@pytest.mark.parametrize("kind", [TablespaceKind.GENERAL, TablespaceKind.MYSQL])
def test_tables_in_shared_tablespaces_go_with_them(kind: TablespaceKind) -> None:
    """Such tables are neither copied nor altered, so keys, triggers and foreign keys do not matter."""
    segment = a_segment(kind, space=200, tablespace="archive")
    choice = chosen(a_small_table(segments=(segment,), keys=(), triggers=(a_trigger(),)))
    assert choice.method is Method.TABLESPACE
    assert choice.tablespace == "archive"
    assert "archive" in choice.why
    left = Policy(tablespaces=False) if kind is TablespaceKind.GENERAL else Policy(mysql_tablespace=False)
    refused = chosen(a_small_table(segments=(segment,)), left)
    assert refused.method is Method.REFUSE
    assert refused.findings[-1].code == "left-by-policy"
    assert refused.findings[-1].blocks


def test_a_table_in_ibdata1_leaves_it_by_a_copy_even_if_small() -> None:
    """ALTER ... ENCRYPTION='Y' is refused there (3825); the copy gets a file of its own."""
    table = a_small_table(segments=(a_segment(TablespaceKind.SYSTEM, space=0, tablespace="innodb_system"),))
    choice = chosen(table)
    assert choice.method is Method.SHADOW_COPY
    assert [f.code for f in choice.findings] == ["in-system-tablespace"]
