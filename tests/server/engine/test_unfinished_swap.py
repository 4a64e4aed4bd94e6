"""A run that is ended right after its RENAME, and what people do to the tables before the next one comes."""

from __future__ import annotations

import pytest

from migrator.events import Moment
from migrator.model import Method
from migrator.planner.plan import Plan
from tests.server.engine.kit import WEIRD, At, Crash, Lab, crash, ddl, name
from tests.server.engine.test_cleanup import SOME, actions, cleaned, method

pytestmark = pytest.mark.timeout(120)

REBUILT = ["ALTER TABLE {t} FORCE", "OPTIMIZE TABLE {t}", "ALTER TABLE {t} ENGINE = InnoDB, ALGORITHM = COPY"]


def ended_after_rename(lab: Lab, table: str) -> Plan:
    """A table that is swapped, its triggers, its log and its step left as they were then; the plan of that run."""
    lab.table(table, *SOME)
    plan = lab.plan(table)
    with pytest.raises(Crash):
        lab.apply(plan=plan, at=[At(ddl("_retained`", done=True), crash)])
    assert {f"_{table}_mirror_ins", f"_{table}_retained", f"_{table}_log"} <= lab.names()
    return plan


def states(lab: Lab) -> set[str]:
    """The states of all steps in the journal."""
    return {str(state) for (state,) in lab.rows("SELECT state FROM migrator.steps")}


@pytest.mark.parametrize("stale", [False, True], ids=["a new plan", "the same plan"])
@pytest.mark.parametrize(("table", "rebuilt"), [*(("t", how) for how in REBUILT), (WEIRD, REBUILT[0])])
def test_a_swap_is_finished_though_the_new_table_was_rebuilt(lab: Lab, table: str, rebuilt: str, stale: bool) -> None:
    """The old table bears its retained name and the new one has the definition: apply finishes, and keeps the old one."""
    plan = ended_after_rename(lab, table)
    lab.run(rebuilt.format(t=name(table)))
    ran = lab.apply(plan=plan if stale else lab.plan(table))
    ran.assert_outcome("done")
    lab.assert_done(table)
    assert lab.names() == {table, f"_{table}_retained"}
    assert states(lab) == {"swapped"}
    assert actions(cleaned(lab, now=True)) == {f"_{table}_retained": "dropped"}


@pytest.mark.parametrize("stale", [False, True], ids=["a new plan", "the same plan"])
def test_a_new_table_with_another_definition_is_for_a_person(lab: Lab, stale: bool) -> None:
    """Nothing proves whose table it is then: exit code 4, nothing is touched, and the command that is named finishes it."""
    plan = ended_after_rename(lab, "t")
    lab.run("ALTER TABLE t ADD COLUMN extra INT, ALGORITHM = COPY")
    before = lab.names()
    ran = lab.apply(plan=plan if stale else lab.plan("t"))
    ran.assert_outcome("person")
    assert ran.outcome.exit_code == 4
    assert "rebuilt since" in ran.step.message
    assert f"migrator cleanup --abandon {lab.schema}.t" in ran.step.remedy
    assert lab.names() == before
    done = actions(cleaned(lab, abandon=(f"{lab.schema}.t",)))
    assert (done["_t_log"], done["_t_retained"]) == ("dropped", "kept")
    assert lab.names() == {"t", "_t_retained"}
    assert states(lab) == {"swapped"}


def test_a_plan_made_before_it_is_finished_leaves_the_old_table_alone(lab: Lab) -> None:
    """The old table is nobody's to encrypt, though no run came to note it: the plan skips it, and apply finishes."""
    ended_after_rename(lab, "t")
    plan = lab.plan()
    assert (method(plan, "t"), method(plan, "_t_retained")) == (Method.SKIP, Method.SKIP)
    lab.apply(plan=plan)
    assert lab.names() == {"t", "_t_retained"}
    assert not lab.encrypted("_t_retained")
    assert states(lab) == {"swapped"}


def test_a_new_table_that_was_decrypted_is_for_a_person(lab: Lab) -> None:
    """The plan says that an earlier run encrypted it, and that the old table is still there; it does not call it a stranger's."""
    stale = ended_after_rename(lab, "t")
    lab.run("ALTER TABLE t ENCRYPTION = 'N'")
    step = next(s for s in lab.plan("t").steps if s.table is not None and s.table.name == "t")
    assert {f.code for f in step.findings if f.blocks} == {"retained-in-the-way"}
    assert lab.apply_or_error(stale) is None
    assert {"t", "_t_retained"} <= lab.names()


def test_a_new_table_that_is_decrypted_right_after_the_swap_is_not_called_done(lab: Lab) -> None:
    """Between the moment of the swap and the look at what it did: exit code 4, and the old table is there."""
    lab.table("t", *SOME)

    def decrypt() -> None:
        lab.run("ALTER TABLE t ENCRYPTION = 'N'")

    swapped = At(lambda event: isinstance(event, Moment) and event.purpose == "swap", decrypt)
    ran = lab.apply("t", at=[swapped])
    assert swapped.seen == 1
    ran.assert_outcome("person")
    assert "rebuilt since" in ran.step.message
    assert {"t", "_t_retained"} <= lab.names()
    lab.assert_equal("t")


def test_an_old_table_that_a_person_renamed_is_not_taken_for_a_swap(lab: Lab) -> None:
    """Renamed before the swap, another table in its place: the copy is void, also by --abandon; no table of a person goes."""
    lab.table("t", *SOME)
    with pytest.raises(Crash):
        lab.apply("t", at=[At(ddl("_retained`"), crash)])
    lab.run("RENAME TABLE t TO _t_retained", "CREATE TABLE t LIKE _t_retained", "ALTER TABLE t ENCRYPTION = 'Y'")
    assert "_t_shadow" in lab.names()
    cleaned(lab, abandon=(f"{lab.schema}.t",))
    assert lab.names() == {"t", "_t_retained"}
    assert lab.value("SELECT COUNT(*) FROM _t_retained") == len(SOME[1])
    assert states(lab) == {"abandoned"}
