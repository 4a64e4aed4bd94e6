"""The plan: everything accounted for, in order, with its price."""

from __future__ import annotations

from dataclasses import replace

import pytest

from migrator import __version__
from migrator.model import Blocker, Method, TableName, TablespaceKind
from migrator.planner.make import extra_disk, make_plan
from migrator.planner.order import run_order
from migrator.planner.plan import Calibration, Defaults, Plan, Policy, Scope, Step
from migrator.sql.names import qualified, retained_of, trigger_name
from tests.unit.builders import (
    MIB,
    NAMES,
    NASTY,
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
    checks,
)

GENERAL = a_segment(TablespaceKind.GENERAL, space=200, tablespace="archive")
MYSQL = a_tablespace(TablespaceKind.MYSQL, space=4294967294, name="mysql", file_bytes=25 * MIB)
UNDO = a_tablespace(TablespaceKind.UNDO, space=4294967279, name="innodb_undo_001")


def named(name: str) -> TableName:
    return TableName("shop", name)


def everything() -> Plan:
    """A plan with every kind of step."""
    inventory = an_inventory(
        a_table(named("large")),
        a_small_table(named("small")),
        a_table(named("in_archive"), segments=(GENERAL,), data_bytes=500 * MIB),
        a_table(named("also_in_archive"), segments=(GENERAL,), keys=()),
        a_table(named("triggered"), triggers=(a_trigger(),)),
        a_table(named("isam"), engine="MyISAM", segments=()),
        an_encrypted_table(named("done")),
        a_table(NASTY),
        tablespaces=(a_tablespace(), MYSQL, UNDO),
    )
    return make_plan(inventory, SMALL_DIRECTLY, {})


def test_every_table_and_tablespace_is_accounted_for() -> None:
    """Nothing that was looked at is missing, whatever is done with it."""
    plan = everything()
    methods = {s.name: s.method for s in plan.steps}
    assert methods == {
        "shop.large": Method.SHADOW_COPY,
        "shop.small": Method.DIRECT_ALTER,
        "shop.in_archive": Method.TABLESPACE,
        "shop.also_in_archive": Method.TABLESPACE,
        "shop.triggered": Method.TABLESPACE_RELAY,
        "shop.isam": Method.REFUSE,
        "shop.done": Method.SKIP,
        str(NASTY): Method.SHADOW_COPY,
        "archive": Method.TABLESPACE,
        "mysql": Method.TABLESPACE,
    }
    assert plan.totals.bytes_to_do == 3 * 100 * MIB + 32768 + (50 + 25) * MIB
    assert plan.totals.bytes_refused == 100 * MIB
    assert plan.totals.tables == 8
    assert plan.totals.tablespaces == 2
    assert plan.totals.by_method == {
        "direct-alter": 1,
        "refuse": 1,
        "shadow-copy": 2,
        "skip": 1,
        "tablespace": 4,
        "tablespace-relay": 1,
    }


def test_the_plan_says_where_it_comes_from() -> None:
    """Server, version, time of the server's clock and this tool's version are in the head."""
    plan = everything()
    assert plan.tool_version == __version__
    assert plan.created_at == "2026-05-01T12:00:00Z"
    assert (plan.server.server_uuid, plan.server.version, plan.server.where) == (
        a_server().server_uuid,
        "9.7.4",
        "db1:3306",
    )


def test_the_facts_that_a_reviewer_sees() -> None:
    """Everything that the decision rests on is there in words; our own triggers are not the application's."""
    other = TableName("crm", "customers")
    table = a_table(
        foreign_keys=(a_foreign_key(PLAIN, other, "up"),),
        referenced_by=(a_foreign_key(other, PLAIN, "down"),),
        triggers=(a_trigger(), a_trigger(trigger_name(PLAIN, "log", "insert"))),
        checks=checks(PLAIN, 1),
        partitions=("p0", "p1"),
    )
    facts = make_plan(an_inventory(table), SMALL_DIRECTLY, {}).steps[0].facts
    assert facts.foreign_keys == ("up: shop.orders -> crm.customers", "down: crm.customers -> shop.orders")
    assert facts.triggers == ("orders_audit (AFTER INSERT)",)
    assert facts.checks == ("orders_chk_1",)
    assert (facts.partitions, facts.chunk_key, facts.tablespace) == (2, "PRIMARY (id)", "file-per-table")
    assert (facts.engine, facts.rows, facts.data_bytes, facts.index_bytes) == ("InnoDB", 10**6, 80 * MIB, 20 * MIB)


def test_tables_follow_their_tablespace() -> None:
    """The step of a tablespace comes first, then its tables, by name."""
    plan = everything()
    names = [s.name for s in plan.steps]
    at = names.index("archive")
    assert plan.steps[at].facts.tables == ("shop.also_in_archive", "shop.in_archive")
    assert plan.steps[at].why.startswith("holds 2 tables")
    assert names[at : at + 3] == ["archive", "shop.also_in_archive", "shop.in_archive"]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("smallest-first", ["b", "c", "a", "refused", "done"]),
        ("largest-first", ["a", "c", "b", "refused", "done"]),
        ("as-listed", ["c", "a", "b", "refused", "done"]),
    ],
)
def test_the_order_of_steps(order: str, expected: list[str]) -> None:
    """What is done comes first, in the chosen order; then what is refused, then what needs nothing."""
    tables = (
        an_encrypted_table(named("done")),
        a_table(named("c"), data_bytes=200 * MIB),
        a_table(named("a"), data_bytes=300 * MIB),
        a_table(named("refused"), engine="MyISAM", segments=()),
        a_table(named("b"), data_bytes=190 * MIB, index_bytes=0),
    )
    defaults = Defaults.model_validate({"order": order})
    plan = make_plan(an_inventory(*tables), SMALL_DIRECTLY, {}, defaults=defaults)
    assert [s.table_name for s in plan.steps] == expected
    assert run_order(plan.steps, order) == plan.steps


def test_the_order_does_not_depend_on_how_the_catalog_lists() -> None:
    """The same tables in another order make the same plan."""
    tables = [a_table(named(n), data_bytes=100 * MIB) for n in "abc"]
    assert make_plan(an_inventory(*tables), SMALL_DIRECTLY, {}) == make_plan(
        an_inventory(*tables[::-1]), SMALL_DIRECTLY, {}
    )


def test_scope_limits_the_plan_and_is_written_into_it() -> None:
    """Tables out of scope have no step; a tablespace has one if a table in it is in scope."""
    inventory = an_inventory(a_table(PLAIN), a_table(NASTY, segments=(GENERAL,)), tablespaces=(a_tablespace(), MYSQL))
    scope = Scope(databases=("shop",))
    plan = make_plan(inventory, SMALL_DIRECTLY, {}, scope=scope)
    assert [s.name for s in plan.steps] == ["shop.orders"]
    assert plan.scope == scope
    other = make_plan(inventory, SMALL_DIRECTLY, {}, scope=Scope(ignore_databases=("shop",)))
    assert [s.name for s in other.steps] == ["mysql", "archive", str(NASTY)]
    assert "any others in it" in other.steps[1].why
    for left_out in (Scope(ignore_databases=("mysql",)), Scope(tables=("shop.*",))):
        names = [s.name for s in make_plan(inventory, SMALL_DIRECTLY, {}, scope=left_out).steps]
        assert "mysql" not in names
    unseen = make_plan(
        an_inventory(tablespaces=(a_tablespace(),)), SMALL_DIRECTLY, {}, scope=Scope(ignore_databases=("x",))
    )
    assert unseen.steps == ()


@pytest.mark.parametrize("name", NAMES)
def test_retained_tables_are_listed_and_left_alone(name: TableName) -> None:
    """What the journal proves to be ours has a step that says until when it is kept."""
    old = retained_of(name)
    inventory = an_inventory(an_encrypted_table(name), a_table(old))
    plan = make_plan(inventory, SMALL_DIRECTLY, {}, retained={old: "2026-05-08T00:00:00Z"})
    step = plan.step_of(old)
    assert step is not None
    assert step.method is Method.SKIP
    assert step.why == "retained by migrator until 2026-05-08T00:00:00Z, in clear."


def test_policy_leaves_tablespaces_and_their_tables() -> None:
    """What the policy leaves is refused, with the switch that would change that."""
    inventory = an_inventory(a_table(segments=(GENERAL,)), tablespaces=(a_tablespace(), MYSQL))
    plan = make_plan(inventory, Policy(tablespaces=False, mysql_tablespace=False), {})
    assert {s.name: s.method for s in plan.steps} == dict.fromkeys(["archive", "mysql", "shop.orders"], Method.REFUSE)
    assert plan.steps[0].findings[0].remedy == "plan again with --tablespaces"
    assert all(f.blocks for s in plan.steps for f in s.findings)
    assert plan.totals.bytes_to_do == 0


def test_the_price_of_a_relay() -> None:
    """Three times the table is written, nothing into the binlog; the peak is a copy, sort files and the log."""
    server = a_server(variables={"log_bin": "ON", "innodb_online_alter_log_max_size": str(128 * MIB)})
    inventory = replace(an_inventory(a_table(keys=())), server=server)
    (step,) = make_plan(inventory, SMALL_DIRECTLY, {}).steps
    assert step.estimate.bytes_written == 3 * 100 * MIB
    assert step.estimate.extra_disk_peak_bytes == (100 + 20 + 128) * MIB
    assert step.estimate.binlog_bytes == 0
    assert [line.split(" ")[0] for line in step.sql] == ["CREATE", "ALTER", "ALTER", "ALTER", "DROP"]


def test_the_tablespace_of_a_relay_under_way_has_no_step() -> None:
    """It is ours, and goes with the step of its table, whose definition is the one from before."""
    table, ours = a_table(keys=()), a_tablespace(name="migrator_relay_1")
    away = replace(table, segments=(a_segment(TablespaceKind.GENERAL, space=200, tablespace="migrator_relay_1"),))
    inventory = an_inventory(away, tablespaces=(ours,))
    plan = make_plan(inventory, SMALL_DIRECTLY, {}, relays={"migrator_relay_1": table.name})
    assert [(s.name, s.method) for s in plan.steps] == [("shop.orders", Method.TABLESPACE_RELAY)]
    assert plan.steps[0].fingerprint == make_plan(an_inventory(table), SMALL_DIRECTLY, {}).steps[0].fingerprint


def test_the_price_of_a_shadow_copy() -> None:
    """It writes the table once more, and its rows into the binlog; the log may grow to its limit."""
    (step,) = make_plan(an_inventory(a_table()), SMALL_DIRECTLY, {}).steps
    assert step.estimate.bytes_written == 100 * MIB
    assert step.estimate.binlog_bytes == 80 * MIB
    assert step.estimate.extra_disk_peak_bytes == (100 + 80 + 1024) * MIB
    assert (step.estimate.seconds_low, step.estimate.calibration) == (None, "uncalibrated")
    server = a_server(variables={"log_bin": "OFF"})
    (step,) = make_plan(an_inventory(a_table(), server=server), SMALL_DIRECTLY, {}).steps
    assert step.estimate.binlog_bytes == 0


def test_the_peak_counts_what_earlier_steps_keep() -> None:
    """Retained tables and the binlog stay while later tables are copied; the log does not."""
    tables = [a_table(named(n)) for n in "abc"]
    plan = make_plan(an_inventory(*tables), SMALL_DIRECTLY, {})
    assert plan.totals.estimate.extra_disk_peak_bytes == 3 * (100 + 80) * MIB + 1024 * MIB
    assert plan.totals.estimate.bytes_written == 300 * MIB
    small = [a_small_table(named(n)) for n in "abc"]
    assert make_plan(an_inventory(*small), SMALL_DIRECTLY, {}).totals.estimate.extra_disk_peak_bytes == 32768


def test_the_limit_of_extra_disk_blocks_the_plan() -> None:
    """One byte too much is a blocking finding of the plan; exactly the limit is none."""
    peak = (100 + 80 + 1024) * MIB
    enough = make_plan(an_inventory(a_table()), SMALL_DIRECTLY, {}, defaults=Defaults(max_extra_disk_bytes=peak))
    assert extra_disk(enough) is None
    short = make_plan(an_inventory(a_table()), SMALL_DIRECTLY, {}, defaults=Defaults(max_extra_disk_bytes=peak - 1))
    assert short.findings[0].code == "extra-disk"
    assert short.findings[0].blocks
    assert extra_disk(short) == short.findings[0]


def test_times_come_from_measurements_only() -> None:
    """Seconds are given once something was measured, as a range, and with what they rest on."""
    measured = Calibration(slowest_bytes_per_second=MIB, fastest_bytes_per_second=2 * MIB, basis="3 tables, 1 GiB")
    plan = make_plan(an_inventory(a_table(named("a")), a_table(named("b"))), SMALL_DIRECTLY, {}, measured)
    estimate = plan.steps[0].estimate
    assert (estimate.seconds_low, estimate.seconds_high, estimate.calibration) == (50.0, 100.0, "3 tables, 1 GiB")
    assert plan.totals.estimate.seconds_low == 100.0
    assert plan.totals.estimate.seconds_high == 200.0
    assert plan.totals.estimate.calibration == "3 tables, 1 GiB"


def test_the_gates_findings_are_in_the_plan_without_the_moments_sessions() -> None:
    """What is wrong with the server is reviewed too; who holds a lock just now is not worth a review."""
    server = a_server(is_replica=True, blockers=(Blocker(7, "app", 60, "idle-transaction"),))
    codes = [f.code for f in make_plan(an_inventory(a_table(), server=server), SMALL_DIRECTLY, {}).findings]
    assert codes == ["keyring-backup", "replica"]


def test_only_the_owner_of_a_tablespace_step_acts() -> None:
    """Bytes are counted once: for the tablespace, not again for its tables."""
    inventory = an_inventory(a_table(segments=(GENERAL,)), tablespaces=(a_tablespace(),))
    plan = make_plan(inventory, SMALL_DIRECTLY, {})
    assert plan.totals.bytes_to_do == 50 * MIB
    assert [s.sql for s in plan.steps] == [("ALTER TABLESPACE `archive` ENCRYPTION = 'Y'",), ()]


@pytest.mark.parametrize("name", NAMES)
def test_the_statements_are_those_of_the_engine_in_order(name: TableName) -> None:
    """Each step shows what it will run, as a person types it: names quoted, per cent signs single."""
    shadow, small = make_plan(an_inventory(a_table(name), a_small_table(named("small"))), SMALL_DIRECTLY, {}).steps[
        ::-1
    ]
    typed = qualified(name).replace("%%", "%")
    assert shadow.sql[0].endswith(f" LIKE {typed}")
    assert any(s.startswith(f"RENAME TABLE {typed} TO ") for s in shadow.sql)
    assert "DROP TABLE" in shadow.sql[-1]
    assert "%%" not in "".join(shadow.sql)
    assert small.sql[1] == "ALTER TABLE `shop`.`small` ENCRYPTION = 'Y'"


def test_names_of_tablespaces_are_quoted() -> None:
    """A backtick in a tablespace's name is doubled, a per cent sign stays single in what people read."""
    space = a_tablespace(name="a`b%")
    (step,) = make_plan(an_inventory(tablespaces=(space,)), SMALL_DIRECTLY, {}).steps
    assert step.sql == ("ALTER TABLESPACE `a``b%` ENCRYPTION = 'Y'",)


def test_the_same_facts_make_the_same_plan() -> None:
    """Making a plan twice gives the same steps: nothing depends on time or chance."""
    assert isinstance(everything().steps[0], Step)
    assert everything() == everything()
