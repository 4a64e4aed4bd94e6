"""A server whose own threads encrypt: its one step, what they leave, what stops a run, and drift."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from migrator.model import Inventory, Member, Method, Server, TablespaceKind
from migrator.planner.drift import drift
from migrator.planner.gates import gates
from migrator.planner.make import make_plan
from migrator.planner.plan import HARDEN, Attestation, Attestations, Plan, Policy, Scope, Step
from migrator.sql.background import set_global
from tests.plan_files import MARIADB
from tests.unit.builders import NASTY, a_keyring, a_table

STEP = "@@innodb_encrypt_tables"
ATTESTED = Attestations(keyring_backup=Attestation(by="Ann", at=date(2026, 5, 1)))
ENOUGH = frozenset({"PROCESS", "SUPER", "BINLOG ADMIN"})
JOURNAL = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP"})


def a_mariadb(**variables: str) -> Server:
    """With the rights that are needed and no more."""
    rights = {"migrator": JOURNAL, "performance_schema": frozenset({"SELECT"})}
    server = replace(MARIADB.server, privileges=ENOUGH, schema_privileges=rights)
    return replace(server, variables=server.variables | variables)


def planned(inventory: Inventory = MARIADB, **more: Any) -> Plan:
    """The plan for it."""
    return make_plan(inventory, more.pop("policy", Policy()), {}, **more)


def step_of(plan: Plan, name: str = STEP) -> Step:
    """One step."""
    return next(step for step in plan.steps if step.name == name)


def done(inventory: Inventory = MARIADB) -> Inventory:
    """The same when the threads have done all that they do."""
    tables = tuple(
        replace(t, segments=tuple(replace(s, encrypted=t.name.name != "public") for s in t.segments))
        for t in inventory.tables
    )
    spaces = tuple(replace(s, encrypted=s.name != "shop/public") for s in inventory.tablespaces)
    return replace(inventory, tables=tables, tablespaces=spaces, server=a_mariadb(innodb_encrypt_tables="ON"))


def test_one_step_for_the_server_and_none_of_their_own_for_tables() -> None:
    """It acts, tables do not; what the threads leave is refused with the statement that does it."""
    plan = planned()
    methods = {step.name: step.method for step in plan.steps}
    assert methods == {
        STEP: Method.BACKGROUND, "shop.orders": Method.BACKGROUND, "shop.baskets": Method.REFUSE,
        "shop.public": Method.REFUSE,
    }  # fmt: skip
    assert [step.name for step in plan.steps if step.changes_something] == [STEP]
    assert plan.steps[0].name == STEP
    assert step_of(plan).sql[-1] == "SET GLOBAL innodb_encryption_threads = 4"
    assert step_of(plan).facts.data_bytes == sum(space.file_bytes for space in MARIADB.tablespaces)
    assert "ENCRYPTED = DEFAULT" in step_of(plan, "shop.public").findings[0].remedy
    assert "ROW_FORMAT = PAGE" in step_of(plan, "shop.baskets").findings[0].remedy


def test_when_nothing_is_left_nothing_is_done() -> None:
    """What was made with ENCRYPTED=NO does not count; a system tablespace in clear does, and the word to encrypt."""
    assert step_of(planned(done())).method is Method.SKIP
    left = replace(done(), tablespaces=MARIADB.tablespaces)
    assert step_of(planned(left)).method is Method.BACKGROUND
    off = replace(done(), server=a_mariadb(innodb_encrypt_tables="OFF"))
    assert step_of(planned(off)).method is Method.BACKGROUND


def test_what_is_said_of_it() -> None:
    """That scope does not hold for it, that it neither lasts nor replicates, and that logs are by hand."""
    inventory = replace(MARIADB, server=replace(a_mariadb(), members=(Member("db8:3306", "replica"),)))
    plan = planned(inventory, scope=Scope(databases=("shop",)), policy=Policy(harden=HARDEN))
    assert {found.code for found in step_of(plan).findings} == {"whole-server", "not-persisted", "on-each-server"}
    assert "harden-by-hand" in {found.code for found in plan.findings}
    assert {step.setting_name for step in plan.steps if step.kind == "setting"} == {"innodb_encrypt_tables"}
    assert {found.code for found in step_of(planned()).findings} == {"not-persisted"}


def test_the_estimate_is_the_bound_that_the_server_has() -> None:
    """Every page read from disk, 100 a second."""
    estimate = step_of(planned()).estimate
    assert estimate.seconds_high == pytest.approx(1291 * 2**20 / 16384 / 100, abs=0.1)
    assert step_of(planned(replace(MARIADB, server=a_mariadb(innodb_page_size="")))).estimate.seconds_high is None


@pytest.mark.parametrize("missing", ["", *sorted(ENOUGH), "performance_schema", "migrator"])
def test_rights(missing: str) -> None:
    """Those are enough; each that is missing stops the run, with its GRANT."""
    server = a_mariadb()
    schemas = {name: rights for name, rights in server.schema_privileges.items() if name != missing}
    server = replace(server, privileges=ENOUGH - {missing}, schema_privileges=schemas)
    found = gates(server, ATTESTED, steps=planned().steps)
    assert [(f.code, missing in f.remedy) for f in found if f.blocks] == (
        [("missing-privilege", True)] if missing else []
    )


@pytest.mark.parametrize(
    ("code", "server"),
    [
        ("keyring-missing", replace(a_mariadb(), keyring=a_keyring(kind="none", active=False))),
        ("read-only", a_mariadb(read_only="ON")),
        ("force-recovery", a_mariadb(innodb_force_recovery="1")),
        ("wsrep", replace(a_mariadb(), wsrep_on=True)),
    ],
)
def test_what_stops_a_run(code: str, server: Server) -> None:
    """One thing wrong, one finding that blocks."""
    assert {f.code for f in gates(server, ATTESTED, steps=planned().steps) if f.blocks} == {code}


def test_a_replica_may_do_it() -> None:
    """Nothing replicates, so each server does its own."""
    assert not [f for f in gates(replace(a_mariadb(), is_replica=True), ATTESTED, steps=planned().steps) if f.blocks]
    assert [f.code for f in gates(a_mariadb(), Attestations(), steps=planned().steps) if f.blocks] == ["keyring-backup"]


def test_drift() -> None:
    """Done meanwhile is told; a new table needs no new plan; another default key does."""
    plan = planned()
    server = replace(a_mariadb(), server_uuid=MARIADB.server.server_uuid)
    assert [f.code for f in drift(plan, replace(MARIADB, server=server))] == []
    assert [f.code for f in drift(planned(policy=Policy(harden=HARDEN)), replace(MARIADB, server=server))] == []
    now = {f.subject: (f.code, f.blocks) for f in drift(plan, done())}
    assert now[STEP] == ("encrypted-meanwhile", False)
    new = a_table(NASTY)
    more = replace(MARIADB, tables=(*MARIADB.tables, new))
    assert "table-new" not in {f.code for f in drift(plan, more)}
    other = replace(MARIADB, server=a_mariadb(innodb_default_encryption_key_id="2"))
    assert {f.subject: (f.code, f.blocks) for f in drift(plan, other)}[STEP] == ("setting-changed", True)


def test_a_reviewer_may_skip_it() -> None:
    """Then it is said of the step, and of each table that it would encrypt."""
    plan = planned()
    steps = tuple(s.model_copy(update={"method": Method.SKIP}) if s.name == STEP else s for s in plan.steps)
    found = drift(plan.model_copy(update={"steps": steps}), MARIADB)
    assert {(f.subject, f.code) for f in found} == {(STEP, "skipped-in-clear"), ("shop.orders", "skipped-in-clear")}
    assert drift(plan.model_copy(update={"steps": steps}), done()) == ()


@pytest.mark.parametrize(
    "edit",
    [
        {"kind": "setting", "setting_name": "innodb_encrypt_tables", "method": Method.SETTING},
        {"kind": "setting", "setting_name": "binlog_encryption", "method": Method.BACKGROUND},
        {"kind": "tablespace", "tablespace_name": "a", "method": Method.BACKGROUND},
    ],
)
def test_no_other_thing_is_done_in_the_background(edit: dict[str, Any]) -> None:
    """And the server's step by nothing else."""
    with pytest.raises(ValidationError, match="cannot be done by"):
        Step(**edit)


def test_only_its_own_settings() -> None:
    """No other variable, and nothing but a number or a word."""
    with pytest.raises(ValueError, match="innodb_flush_log_at_trx_commit"):
        set_global("innodb_flush_log_at_trx_commit", 0)
    with pytest.raises(ValueError, match="invalid literal"):
        set_global("innodb_encryption_threads", "4; DROP TABLE t")


def test_temporary_tablespaces_do_not_count() -> None:
    """They are made anew at each start."""
    temporary = replace(MARIADB.tablespaces[0], space=4294967294, kind=TablespaceKind.TEMPORARY, encrypted=False)
    assert step_of(planned(replace(done(), tablespaces=(*done().tablespaces, temporary)))).method is Method.SKIP
