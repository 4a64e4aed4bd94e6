"""Where a relay has left a table, and who else is in its tablespace: said by name, with what to do."""

from __future__ import annotations

from contextlib import closing

import pytest

from migrator.cli_plan import read_and_plan
from migrator.engine.cleanup import CleanupOptions, cleanup
from migrator.errors import Failed
from migrator.model import Method
from migrator.planner.plan import Plan, Policy, Scope
from tests.server.engine.kit import SMALL, VOUCHED, WEIRD, At, Crash, Lab, crash, ddl, name

KEYLESS = ("(a INT, b VARCHAR(20))", [(1, "one"), (1, "one"), (2, None)])


def planned(lab: Lab, policy: Policy) -> Plan:
    """A plan for the whole schema."""
    scope = Scope(databases=(lab.schema,))
    with closing(lab.session()) as session:
        return read_and_plan(session, policy, scope=scope, defaults=SMALL, attestations=VOUCHED)[1]


def ended_at(lab: Lab, words: str, table: str) -> str:
    """A relay that is ended after this statement; the tablespace that it has made."""
    lab.table(table, *KEYLESS)
    with pytest.raises(Crash):
        lab.apply(at=[At(ddl(words, done=True), crash)])
    (space,) = lab.spaces()
    return space


@pytest.mark.parametrize("table", ["t", WEIRD])
@pytest.mark.parametrize(("leg", "state"), [(" TABLESPACE = `migrator", "in clear"), ("ALTER TABLESPACE", "encrypted")])
def test_a_refused_table_that_lies_half_relayed(lab: Lab, table: str, leg: str, state: str) -> None:
    """Where the policy does without relays, plan and outcome say where it lies and which command brings it home; it does."""
    space = ended_at(lab, leg, table)
    plan = planned(lab, Policy(relay=False))
    (step,) = plan.steps
    assert step.method is Method.REFUSE
    assert next(f.code for f in step.findings if f.blocks) == "half-relayed"
    ran = lab.apply(plan=plan)
    ran.assert_outcome("refused")
    assert f"lies in tablespace {space}, {state}" in ran.step.message
    assert f"migrator cleanup --abandon {lab.schema}.{table}" in ran.step.remedy
    with closing(lab.session()) as session:
        cleanup(session, CleanupOptions(abandon=(f"{lab.schema}.{table}",)), lambda event: None)
    assert lab.spaces() == []
    assert lab.encrypted(table) is (state == "encrypted")
    lab.assert_equal(table)


@pytest.mark.parametrize("guest", ["guest", WEIRD])
@pytest.mark.parametrize(
    ("leg", "method", "encrypted"),
    [(" TABLESPACE = `migrator", Method.REFUSE, False), ("ALTER TABLESPACE", Method.SKIP, True)],
    ids=["in clear", "encrypted"],
)
def test_tables_of_others_in_our_tablespace(
    lab: Lab, guest: str, leg: str, method: Method, encrypted: bool
) -> None:  # fmt: skip
    """The plan names the tablespace and whose it is; apply encrypts its own table and says which tables are in the way; with
    the statement that it names they are out, and the same command finishes."""
    space = ended_at(lab, leg, "t")
    encryption = " ENCRYPTION = 'Y'" if encrypted else ""
    lab.run(
        f"CREATE TABLE {name(guest)} (a INT) TABLESPACE = {space}{encryption}", f"INSERT INTO {name(guest)} VALUES (7)"
    )
    plan = lab.plan("t")
    (theirs,) = [s for s in planned(lab, Policy()).steps if s.table is not None and s.table.name == guest]
    assert theirs.method is method
    (finding,) = [f for f in theirs.findings if f.code == "in-relay-tablespace"]
    assert f"{space}, which migrator has made for {lab.schema}.t" in finding.message
    ran = lab.apply(plan=plan)
    ran.assert_outcome("failed")
    assert lab.encrypted("t")
    assert f"{lab.schema}.{guest}" in ran.step.message
    assert "3120" not in ran.step.message
    statement, _, again = ran.step.remedy.partition(";")
    assert "then the same command again" in again
    lab.run(statement)
    lab.apply(plan=plan)
    assert lab.spaces() == []
    assert lab.rows(f"SELECT a FROM {name(guest)}") == [(7,)]
    lab.assert_equal("t")
    assert lab.encrypted(guest)  # with the tablespace, in either case


def test_tables_of_others_when_it_is_abandoned(lab: Lab) -> None:
    """The table is brought home; what is in the way of the tablespace's end is named, and the same command finishes then."""
    space = ended_at(lab, " TABLESPACE = `migrator", "t")
    lab.run(
        f"CREATE TABLE guest (a INT) TABLESPACE = {space}", f"CREATE TABLE {name(WEIRD)} (a INT) TABLESPACE = {space}"
    )
    options = CleanupOptions(abandon=(f"{lab.schema}.t",))
    with closing(lab.session()) as session, pytest.raises(Failed) as raised:
        cleanup(session, options, lambda event: None)
    for guest in ("guest", WEIRD):
        assert f"{lab.schema}.{guest}" in raised.value.message
    assert lab.encrypted("t") is False
    lab.run(*raised.value.remedy.split("; ")[:2])
    with closing(lab.session()) as session:
        cleanup(session, options, lambda event: None)
    assert lab.spaces() == []
    assert lab.rows("SELECT * FROM migrator.objects") == []
    lab.assert_equal("t")
