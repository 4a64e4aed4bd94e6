"""Where a relay has left a table, and who else is in its tablespace: said by name, with what to do."""

from __future__ import annotations

from contextlib import closing

import pytest

from migrator.cli_plan import read_and_plan
from migrator.engine.cleanup import CleanupOptions, cleanup
from migrator.model import Method
from migrator.planner.plan import Plan, Policy, Scope
from tests.server.engine.kit import SMALL, VOUCHED, WEIRD, At, Crash, Lab, crash, ddl

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
