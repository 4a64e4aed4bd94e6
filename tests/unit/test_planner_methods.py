"""The method for each table, and the sentence that says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from migrator.model import Check, KeyPart, Method, Table, TableName, TablespaceKind
from migrator.planner.around import look_around
from migrator.planner.methods import Choice, choose
from migrator.planner.plan import Policy
from migrator.planner.relay import RELAY_SERVES
from migrator.sql.names import shadow_of
from tests.unit.builders import (
    MIB,
    NAMES,
    PLAIN,
    SMALL_DIRECTLY,
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


CHILD, PARENT = TableName("crm", "c"), TableName("crm", "p")

NEEDS_RELAY: tuple[dict[str, Any], ...] = (
    {"foreign_keys": (a_foreign_key(PLAIN, PARENT),)},
    {"referenced_by": (a_foreign_key(CHILD, PLAIN),)},
    {"triggers": (a_trigger(),)},
    {"checks": (Check("positive", generated_name=False),)},
    {"checks": checks(PLAIN, 2)},
    {"keys": ()},
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("make", [a_table, a_small_table])
@pytest.mark.parametrize("changes", NEEDS_RELAY)
def test_what_a_copy_cannot_serve_is_relayed_at_any_size(
    name: TableName, make: Callable[..., Table], changes: dict[str, Any]
) -> None:
    """Foreign keys, own triggers, CHECK names and missing keys go by tablespace-relay."""
    choice = chosen(make(name, **changes))
    assert choice.method is Method.TABLESPACE_RELAY
    assert not any(f.blocks for f in choice.findings)
    codes = [f.code for f in choice.findings]
    assert codes[0] in RELAY_SERVES
    assert {"relay-moments", "relay-log"} <= set(codes)
    assert codes[0] in choice.why


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"keys": (a_key("note", name="words", unique=False, type="FULLTEXT"),)}, "FULLTEXT"),
        ({"keys": (a_key("note", name="place", unique=False, type="SPATIAL"),)}, "SPATIAL"),
        (
            {"keys": (a_key(KeyPart(None, expression="cast(json_extract(`j`,_utf8mb4'$.b[0]') as unsigned array)")),)},
            "multi-valued",
        ),
        ({"partition_method": "HASH"}, "partitions"),
        ({"row_format": "Compressed"}, "COMPRESSED"),
        ({"create_options": 'COMPRESSION="zlib"'}, "page compression"),
        ({"data_directory": True}, "DATA DIRECTORY"),
    ],
)
def test_what_neither_serves_is_refused(changes: dict[str, Any], reason: str) -> None:
    """A trigger keeps it from being copied, and the server does not move it: refused, with both reasons."""
    choice = chosen(a_table(**{"triggers": (a_trigger(),)} | changes))
    assert choice.method is Method.REFUSE
    blocking = {f.code: f for f in choice.findings if f.blocks}
    assert {"own-trigger", "relay-impossible"} <= set(blocking)
    assert reason in blocking["relay-impossible"].message
    assert all("ENCRYPTION='Y'" in f.remedy for f in blocking.values())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("changes", NEEDS_RELAY)
def test_a_policy_without_relay(name: TableName, changes: dict[str, Any]) -> None:
    """`relay: false`: what only a relay serves is refused, the first reason says so, and the remedy names both ways."""
    choice = chosen(a_table(name, **changes), Policy(relay=False))
    assert choice.method is Method.REFUSE
    first = choice.findings[0]
    assert (first.code, first.blocks) == ("relay-off", True)
    assert "tablespace-relay" in choice.why
    assert "--relay" in first.remedy
    assert "ENCRYPTION='Y'" in first.remedy
    assert choice.findings[1].code in RELAY_SERVES
    assert chosen(a_table(name), Policy(relay=False)).method is Method.SHADOW_COPY


def test_fulltext_alone_is_copied() -> None:
    """What a relay cannot serve and a copy can is copied."""
    words = a_key("note", name="words", unique=False, type="FULLTEXT")
    assert chosen(a_table(keys=(a_key("id"), words))).method is Method.SHADOW_COPY


def test_names_beside_the_table_do_not_matter_to_a_relay() -> None:
    """A relay makes no table and no trigger, so a taken name stops a copy only."""
    taken = a_table(shadow_of(PLAIN))
    triggered = a_table(triggers=(a_trigger(),))
    around = look_around(an_inventory(triggered, taken))
    assert choose(triggered, a_server(), SMALL_DIRECTLY, around).method is Method.TABLESPACE_RELAY
    around = look_around(an_inventory(a_table(), taken))
    assert choose(a_table(), a_server(), SMALL_DIRECTLY, around).method is Method.REFUSE


def test_a_relay_tells_what_it_costs_others() -> None:
    """Errors that can be met, lag of replicas where there is a binlog, and the log's limit are findings."""
    server = a_server(variables={"log_bin": "ON", "innodb_online_alter_log_max_size": str(128 * MIB)})
    choice = choose(a_table(keys=()), server, SMALL_DIRECTLY)
    found = {f.code: f.message for f in choice.findings}
    assert "1412" in found["relay-moments"]
    assert "To KILL the applier's statement does not end that" in found["relay-lag"]
    assert "128.0 MiB" in found["relay-log"]


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_relay_under_way_is_gone_on_with(encrypted: bool) -> None:  # noqa: FBT001
    """A table in a tablespace that the journal proves to be a relay's is neither skipped nor done with that."""
    segment = a_segment(TablespaceKind.GENERAL, space=200, tablespace="migrator_relay_1", encrypted=encrypted)
    table = a_table(keys=(), segments=(segment,))
    around = look_around(an_inventory(table), relays={"migrator_relay_1": table.name})
    assert choose(table, a_server(), SMALL_DIRECTLY, around).method is Method.TABLESPACE_RELAY
    refused = choose(table, a_server(), Policy(relay=False), around)
    assert refused.method is Method.REFUSE
    assert [f.code for f in refused.findings if f.blocks] == ["half-relayed", "relay-off"]
    assert f"migrator_relay_1, {'encrypted' if encrypted else 'in clear'}, where" in refused.why
    assert choose(table, a_server(), SMALL_DIRECTLY).method is (Method.SKIP if encrypted else Method.TABLESPACE)


def test_a_refusal_counts_its_reasons() -> None:
    """The sentence gives the first reason and how many more there are; the findings give them all."""
    choice = chosen(a_table(keys=(), triggers=(a_trigger(),), data_directory=True))
    assert choice.why.startswith("triggers of the application: orders_audit")
    assert choice.why.endswith("(and 3 more reasons).")
    assert len([f for f in choice.findings if f.blocks]) == 4


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
