"""Steps for what is not a table: which a server gets, in which order, with which notes; drift and rights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from migrator.cli_options import harden_of
from migrator.errors import UsageError
from migrator.inventory.old_logs import OldBinlogs, not_emptied, old_binlogs
from migrator.model import Finding, Inventory, Member, Method, Schema, Server, TableName, TablespaceKind
from migrator.planner.drift import drift
from migrator.planner.gates import gates
from migrator.planner.harden import setting_said
from migrator.planner.make import make_plan
from migrator.planner.order import run_order
from migrator.planner.plan import HARDEN, Attestation, Attestations, Defaults, Plan, Policy, Scope, Step
from migrator.report.planned import planned_lines
from migrator.sql.settings import VARIABLES, empty_undo, encrypt_new_tables, is_on, switch_on
from migrator.sql.statement import Sql
from migrator.sql.swap import after_probe
from tests.unit.builders import NASTY, a_server, a_table, a_tablespace, an_inventory

OFF = dict.fromkeys(VARIABLES, "OFF")
ALL = Policy(harden=HARDEN)
REPLICA = Member("db2:3306", "replica", "22222222-2222-3333-4444-555555555555")


def a_plain_server(**variables: str) -> Server:
    """A server on which everything is off."""
    return a_server(variables=OFF | variables)


def inventory_of(server: Server, **changes: Any) -> Inventory:
    """Two tables in clear, one of them in a tablespace, in a schema in which new tables are born in clear."""
    segment = replace(a_table().segments[0], kind=TablespaceKind.GENERAL, tablespace="archive", space=200)
    found = an_inventory(
        a_table(TableName("shop", "orders")),
        a_table(TableName("shop", "old"), segments=(segment,)),
        server=server,
        schemas=(Schema("shop", default_encryption=False),),
        tablespaces=(a_tablespace(), a_tablespace(TablespaceKind.MYSQL, name="mysql", space=1)),
        names=frozenset({TableName("shop", "orders"), TableName("shop", "old")}),
    )
    return replace(found, **changes)


def planned(inventory: Inventory, policy: Policy = ALL, **more: Any) -> Plan:
    """The plan for it."""
    return make_plan(inventory, policy, {}, **more)


def settings(plan: Plan) -> dict[str, Step]:
    """The steps for settings, by their names."""
    return {step.name: step for step in plan.steps if step.kind == "setting"}


def codes(step: Step) -> set[str]:
    """Of its findings."""
    return {finding.code for finding in step.findings}


# -- which, in which order --------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["smallest-first", "largest-first"])
def test_the_order(order: Any) -> None:
    """Logs, schemas, default, tablespaces, tables, and at the end the check of privileges."""
    plan = planned(inventory_of(a_plain_server()), defaults=Defaults(order=order))
    acting = [step.name for step in plan.steps if step.changes_something]
    spaces = ["mysql", "archive"] if acting.index("mysql") < acting.index("archive") else ["archive", "mysql"]
    assert acting == [
        "@@binlog_encryption",
        "@@innodb_redo_log_encrypt",
        "@@innodb_undo_log_encrypt",
        "schema shop",
        "@@default_table_encryption",
        *spaces,
        "shop.orders",
        "@@table_encryption_privilege_check",
    ]


def test_a_reviewers_order_does_not_move_settings() -> None:
    """With `as-listed` tables and tablespaces are as they are listed, between the settings."""
    plan = planned(inventory_of(a_plain_server()))
    turned = run_order(tuple(reversed(plan.steps)), "as-listed")
    assert [s.name for s in turned if s.kind == "setting"] == [s.name for s in plan.steps if s.kind == "setting"]
    acting = [s for s in turned if s.changes_something]
    assert [s.kind for s in acting] == ["setting"] * 5 + ["table", "tablespace", "tablespace", "setting"]


def test_without_it_there_is_no_such_step() -> None:
    """The same steps in the same order as ever, and one line that says what there is."""
    plan = planned(inventory_of(a_plain_server()), Policy())
    assert not settings(plan)
    assert plan.policy.harden == ()
    assert any("--harden all" in line for line in planned_lines(plan, "x"))
    assert not any("--harden all" in line for line in planned_lines(planned(inventory_of(a_server())), "x"))


def test_only_what_is_asked_for() -> None:
    """Words may come in any order, and twice."""
    plan = planned(inventory_of(a_plain_server()), Policy(harden=("undo", "binlog", "undo")))
    assert list(settings(plan)) == ["@@binlog_encryption", "@@innodb_undo_log_encrypt"]
    assert plan.policy.harden == ("binlog", "undo")
    with pytest.raises(ValidationError):
        Policy(harden=("redo-log",))  # type: ignore[arg-type]


def test_the_option() -> None:
    """A list, `all`, nothing; a word that nobody knows is named."""
    assert harden_of(None) is None
    assert harden_of(["all"]) == HARDEN
    assert harden_of(["redo, binlog", "undo"]) == ("redo", "binlog", "undo")
    with pytest.raises(UsageError, match="'redolog'"):
        harden_of(["redolog"])


def test_what_is_on_is_skipped() -> None:
    """Also by a word of Percona Server's before 8.0.30 (hand-written)."""
    server = a_plain_server(innodb_redo_log_encrypt="MASTER_KEY", innodb_undo_log_encrypt="ON")
    found = settings(planned(inventory_of(server, schemas=(Schema("shop", default_encryption=True),))))
    for name in ("@@innodb_redo_log_encrypt", "@@innodb_undo_log_encrypt", "schema shop"):
        assert found[name].method is Method.SKIP
        assert codes(found[name]) == {"already-on"}
        assert not found[name].sql


def test_what_is_on_until_the_next_start() -> None:
    """SET GLOBAL alone: nothing to do now, and the line for my.cnf is said."""
    server = replace(a_plain_server(innodb_redo_log_encrypt="ON"), fleeting=frozenset({"innodb_redo_log_encrypt"}))
    step = settings(planned(inventory_of(server)))["@@innodb_redo_log_encrypt"]
    assert step.method is Method.SKIP
    assert codes(step) == {"already-on", "not-persisted"}


def test_no_binlog_and_no_variable() -> None:
    """Without a binary log, or where the server has no such variable, there is no step."""
    variables = {name: "OFF" for name in VARIABLES if name != "table_encryption_privilege_check"} | {"log_bin": "OFF"}
    server = replace(a_plain_server(), variables=variables)
    found = settings(planned(inventory_of(server)))
    assert "@@binlog_encryption" not in found
    assert "@@table_encryption_privilege_check" not in found


def test_the_schemas_in_scope() -> None:
    """Patterns choose schemas; a plan for certain tables chooses none, and says so. The server's variables stay."""
    schemas = (Schema("shop", default_encryption=False), Schema(NASTY.schema, default_encryption=False))
    inventory = inventory_of(a_plain_server(), schemas=schemas)
    assert f"schema {NASTY.schema}" in settings(planned(inventory))
    only = planned(inventory, scope=Scope(ignore_databases=("shop",)))
    assert "schema shop" not in settings(only)
    some = planned(inventory, scope=Scope(tables=("shop.orders",)))
    assert not [name for name in settings(some) if name.startswith("schema")]
    assert "@@innodb_redo_log_encrypt" in settings(some)
    assert "schemas-left" in {finding.code for finding in some.findings}


# -- what is said -----------------------------------------------------------------------------------


def test_what_lasts() -> None:
    """SET PERSIST; where the server does not read that, SET GLOBAL and the line for my.cnf."""
    lasting = settings(planned(inventory_of(a_plain_server())))["@@innodb_undo_log_encrypt"]
    assert lasting.sql == ("SET PERSIST innodb_undo_log_encrypt = ON",)
    assert "not-persisted" not in codes(lasting)
    forgotten = settings(planned(inventory_of(a_plain_server(persisted_globals_load="OFF"))))[
        "@@innodb_undo_log_encrypt"
    ]
    assert forgotten.sql == ("SET GLOBAL innodb_undo_log_encrypt = ON",)
    (finding,) = [one for one in forgotten.findings if one.code == "not-persisted"]
    assert "innodb_undo_log_encrypt = ON" in finding.remedy
    assert setting_said(forgotten, 4)[0].text == forgotten.sql[0]


def test_the_notes() -> None:
    """What is to be known before: the keyring, what stays in clear, who may be refused, how long a schema is locked."""
    found = settings(planned(inventory_of(a_plain_server())))
    assert codes(found["@@binlog_encryption"]) == {"needs-keyring", "old-binlogs"}
    assert codes(found["@@innodb_redo_log_encrypt"]) == {"needs-keyring"}
    assert codes(found["@@innodb_undo_log_encrypt"]) == {"needs-keyring", "old-undo"}
    assert codes(found["@@table_encryption_privilege_check"]) == {"may-refuse-create"}
    assert codes(found["schema shop"]) == {"schema-moment"}
    assert "its 2 tables and views" in found["schema shop"].findings[0].message
    assert not any(finding.blocks for step in found.values() for finding in step.findings)


def test_other_servers() -> None:
    """What does not replicate is named with the statement for each; what does, too."""
    found = settings(planned(inventory_of(replace(a_plain_server(), members=(REPLICA,)))))
    for name, step in found.items():
        code = "schema-on-replicas" if name.startswith("schema") else "on-each-server"
        (finding,) = [one for one in step.findings if one.code == code]
        assert "db2:3306" in finding.message
    (finding,) = [f for f in found["@@binlog_encryption"].findings if f.code == "on-each-server"]
    assert "SET PERSIST binlog_encryption = ON" in finding.remedy


def test_what_a_step_mends_is_no_warning() -> None:
    """Logs and defaults that the plan itself sets are not said to be in clear; the others are."""

    def warned(policy: Policy) -> set[str]:
        return {f.code for f in planned(inventory_of(a_plain_server()), policy).findings}

    plain = {"plain-binlog", "plain-redo", "plain-undo", "default-plain", "schema-default-plain"}
    assert warned(Policy()) >= plain
    assert not warned(ALL) & plain
    assert warned(Policy(harden=("redo", "schemas"))) & plain == {"plain-binlog", "plain-undo", "default-plain"}


# -- rights -----------------------------------------------------------------------------------------


def lacking(server: Server, policy: Policy) -> str:
    """The remedies of what is missing."""
    vouched = Attestations(keyring_backup=Attestation(by="x", at="2026-05-01"))  # type: ignore[arg-type]
    steps = planned(inventory_of(server), policy).steps
    found = gates(server, vouched, steps=steps)
    return " ".join(f.remedy for f in found if f.code == "missing-privilege")


@pytest.mark.parametrize(
    ("word", "right"),
    [
        ("binlog", "BINLOG_ENCRYPTION_ADMIN"),
        ("redo", "SYSTEM_VARIABLES_ADMIN"),
        ("undo", "SYSTEM_VARIABLES_ADMIN"),
        ("default", "TABLE_ENCRYPTION_ADMIN"),
        ("privilege-check", "SUPER"),
    ],
)
def test_rights(word: Any, right: str) -> None:
    """Each word asks for its right, and a plan without it does not; SUPER stands for those of variables."""
    server = a_plain_server(log_bin_trust_function_creators="ON")
    server = replace(server, privileges=server.privileges - {right, "SUPER", "TABLE_ENCRYPTION_ADMIN"})
    assert right in lacking(server, Policy(harden=(word,)))
    assert right not in lacking(server, Policy())
    mighty = replace(server, privileges=server.privileges | {"SUPER", "TABLE_ENCRYPTION_ADMIN"})
    assert right not in lacking(mighty, Policy(harden=(word,)))


def test_alter_for_a_schema_without_tables() -> None:
    """Nothing else is asked for there."""
    server = replace(
        a_plain_server(), schema_privileges={**a_server().schema_privileges, "empty": frozenset({"SELECT"})}
    )
    inventory = inventory_of(server, schemas=(Schema("empty", default_encryption=False),))
    steps = planned(inventory, Policy(harden=("schemas",))).steps
    (finding,) = [f for f in gates(server, Attestations(), steps=steps) if f.subject == "empty"]
    assert finding.remedy == "GRANT ALTER ON `empty`.* TO 'migrator'@'10.0.%'"


# -- drift ------------------------------------------------------------------------------------------


def drifted(before: Inventory, after: Inventory) -> list[tuple[str, str, bool]]:
    """What has drifted, about settings."""
    found: tuple[Finding, ...] = drift(planned(before), after)
    return [(f.code, f.subject, f.blocks) for f in found]


def test_drift() -> None:
    """On by now: nothing to do. Off by now: said, and void if it is a log. Gone: said. Set in another way: void."""
    plain = inventory_of(a_plain_server())
    assert drifted(plain, plain) == []
    on = inventory_of(a_plain_server(binlog_encryption="ON"))
    assert drifted(plain, on) == [("encrypted-meanwhile", "@@binlog_encryption", False)]
    assert drifted(on, plain) == [("log-in-clear-now", "@@binlog_encryption", True)]
    default = inventory_of(a_plain_server(default_table_encryption="ON"))
    assert drifted(default, plain) == [("in-clear-now", "@@default_table_encryption", False)]
    gone = inventory_of(a_plain_server(log_bin="OFF"))
    assert drifted(plain, gone) == [("setting-gone", "@@binlog_encryption", False)]
    other = drifted(plain, inventory_of(a_plain_server(persisted_globals_load="OFF")))
    assert {(code, blocks) for code, _, blocks in other} == {("setting-changed", True)}
    assert len(other) == len(VARIABLES)


def test_drift_of_schemas() -> None:
    """The same for schemas, and one that is new is told."""
    plain = inventory_of(a_plain_server())
    on = replace(plain, schemas=(Schema("shop", default_encryption=True),))
    assert drifted(plain, on) == [("encrypted-meanwhile", "schema shop", False)]
    assert drifted(on, plain) == [("in-clear-now", "schema shop", False)]
    assert drifted(plain, replace(plain, schemas=())) == [("setting-gone", "schema shop", False)]
    more = replace(plain, schemas=(*plain.schemas, Schema("crm", default_encryption=False)))
    assert drifted(plain, more) == [("schema-new", "crm", False)]


def test_a_person_may_skip_a_step() -> None:
    """An edit to `skip` is no drift; any other method is no plan."""
    plan = planned(inventory_of(a_plain_server()))
    skipped = [s.model_copy(update={"method": Method.SKIP}) if s.kind == "setting" else s for s in plan.steps]
    assert drift(plan.model_copy(update={"steps": tuple(skipped)}), inventory_of(a_plain_server())) == ()
    for method in (Method.SHADOW_COPY, Method.TABLESPACE, Method.REFUSE):
        with pytest.raises(ValidationError):
            Step(kind="setting", setting_name="binlog_encryption", method=method)
    with pytest.raises(ValidationError):
        Step(kind="setting", setting_name="general_log", method=Method.SETTING)
    with pytest.raises(ValidationError):
        Step(kind="setting", setting_name="binlog_encryption", schema_name="shop", method=Method.SETTING)
    with pytest.raises(ValidationError):
        Step(kind="table", schema_name="shop", table_name="t", method=Method.SETTING)


# -- statements and what is left --------------------------------------------------------------------


def test_statements() -> None:
    """Only names that are known become text; a schema is quoted."""
    assert encrypt_new_tables('a`b %s "ö"').shown == "ALTER SCHEMA `a``b %s \"ö\"` DEFAULT ENCRYPTION = 'Y'"
    for say in (is_on, lambda name: switch_on(name, persist=True)):
        with pytest.raises(ValueError, match="x = 1"):
            say("x = 1")
    assert [text.split()[3] for text in empty_undo(["a`b"])][1:3] == ["`a``b`", "`a``b`"]


def test_a_whole_schema_in_a_probe() -> None:
    """A table without a name stands for all that is in its schema, and has one argument."""
    asked = after_probe([TableName("shop", ""), TableName("shop", "t")], Sql("DO %s", (1,)))
    assert asked.args == ("shop", "shop", "t", 1)
    assert str(TableName("shop", "")) == "shop.*"


def test_old_binlogs() -> None:
    """What is in clear, and up to where it can be purged (rows by hand)."""
    rows = [("b.1", 1, "No"), ("b.2", 1, "Yes"), ("b.3", 1, "No"), ("b.4", 1, "Yes"), ("b.5", 1, "Yes")]
    assert old_binlogs(rows) == OldBinlogs(("b.1", "b.3"), "b.4")
    assert old_binlogs(rows[:3]) == OldBinlogs(("b.1", "b.3"), "")
    assert old_binlogs(rows[3:]) == OldBinlogs()
    assert old_binlogs([("b.1", 1)]) == OldBinlogs()


def test_undo_that_was_not_emptied() -> None:
    """The same number: the same file as then."""
    assert not_emptied({"u1": 7, "u2": 6}, {"u1": 7, "u2": 4, "u3": 3}) == ("u1",)
