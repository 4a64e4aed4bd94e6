"""Parked tables: their logs while the run is at work on another table."""

from __future__ import annotations

from contextlib import ExitStack, closing

import pytest

from migrator.engine.cleanup import CleanupOptions, cleanup
from migrator.events import Backlog, ChunkCopied, Event, Noticed, RunStarted, StepEnded, StepStarted
from migrator.model import Method
from tests.server.engine.kit import SMALL, At, Beside, Crash, Do, Lab, Ran, crash, ddl, each, phase
from tests.server.engine.test_rows import BY_NUMBER, NUMBERS
from tests.servers import until

pytestmark = pytest.mark.timeout(90)

FEW = (BY_NUMBER[0], f"SELECT 10 * n, n, 'few', n FROM ({NUMBERS.format(300)}) AS some")
PARKED = SMALL.model_copy(update={"workers": 1, "log_max_entries": 200})


def of(subject: str, kind: type[Event]) -> At:
    """Counts the events of a type about one table."""
    return At(lambda event: isinstance(event, kind) and event.subject.endswith(f".{subject}"), lambda: None, nth=0)


def beside_another_table(lab: Lab, meanwhile: Do, *more: At) -> Ran:
    """Park `z` half copied; run a plan for `a` and `z`, and do something while `a` is held in its copy."""
    lab.table("a", *FEW)
    lab.table("z", *BY_NUMBER)
    with pytest.raises(Crash):
        lab.apply("z", at=[At(each(ChunkCopied), crash, 5)], defaults=PARKED)
    with closing(lab.connect()) as holder, ExitStack() as stack:

        def change() -> None:
            try:
                until(lambda: lab.waits_for_row("_a_shadow"), "the copy of `a` is held")
                meanwhile()
            finally:
                holder.rollback()

        def hold() -> None:
            with holder.cursor() as cursor:
                cursor.execute("INSERT INTO _a_shadow (id, v) VALUES (500, 'in the way')")
            stack.enter_context(Beside(change))

        return lab.apply("a", "z", at=[At(phase("copy"), hold), *more], defaults=PARKED)


def test_a_parked_table_is_drained(lab: Lab) -> None:
    """What is changed in the copied part of a parked table goes to its shadow while the run is at work elsewhere."""
    told = of("z", Backlog)

    def meanwhile() -> None:
        with lab.application("z") as app:
            app.write("UPDATE {t} SET v = 'meanwhile' WHERE id <= 200", "DELETE FROM {t} WHERE id = 210")
        changed = "SELECT COUNT(*) FROM _z_shadow WHERE v = 'meanwhile'"
        until(lambda: lab.value(changed) == 20, "the shadow of `z` is as its source")
        assert lab.value("SELECT COUNT(*) FROM _z_log WHERE k1 IS NOT NULL") == 0
        assert not any(isinstance(event, StepStarted) and event.subject.endswith(".z") for event in lab.events)

    ran = beside_another_table(lab, meanwhile, told)
    assert [step.outcome for step in ran.outcome.steps] == ["done", "done"]
    assert told.seen
    lab.assert_done("a")
    lab.assert_done("z")


def test_a_parked_table_is_given_up_at_its_bound(lab: Lab) -> None:
    """A parked table whose log grows beyond the plan's bound loses triggers, log and shadow; its turn begins anew."""

    def meanwhile() -> None:
        with lab.application("z") as app:
            app.write("UPDATE {t} SET v = 'much' WHERE id > 20000")
            until(
                lambda: not any(one.startswith("_z") for one in lab.names()), "`z` is given up, nothing of it is left"
            )
            app.write("UPDATE {t} SET v = 'more' WHERE id > 24000")

    ran = beside_another_table(lab, meanwhile)
    assert [event.finding.code for event in ran.of(Noticed) if event.subject.endswith(".z")] == ["parked-given-up"]
    assert [step.outcome for step in ran.outcome.steps] == ["done", "done"]
    assert [event.resumed for event in ran.of(StepStarted)] == [False, False]
    lab.assert_done("a")
    lab.assert_done("z")


def test_a_parked_table_that_cannot_be_drained(lab: Lab) -> None:
    """Its shadow is gone: that is said once, the run goes on with the others, and its own turn takes it down."""

    def meanwhile() -> None:
        until(lambda: noticed(lab.events), "it is said that `z` is not drained")

    def noticed(events: list[Event]) -> list[str]:
        return [event.finding.code for event in events if isinstance(event, Noticed) and event.subject.endswith(".z")]

    def drop() -> None:
        lab.run("DROP TABLE _z_shadow")

    ran = beside_another_table(lab, meanwhile, At(lambda event: isinstance(event, RunStarted), drop))
    assert noticed(ran.events) == ["parked-not-drained"]
    assert [event.outcome for event in ran.of(StepEnded)] == ["done", "failed"]
    assert lab.names() == {"a", "_a_retained", "z"}
    lab.assert_equal("z")
    lab.apply("z").assert_outcome("done")
    lab.assert_done("a")
    lab.assert_done("z")


@pytest.mark.parametrize("moment", ["copy", "verify"])
def test_a_copy_that_no_plan_goes_on_with(lab: Lab, moment: str) -> None:
    """Of a table that has changed and is refused now nothing of ours is left; one that is as it was stays parked."""
    lab.table("t", "(id INT PRIMARY KEY, v TEXT)", f"SELECT n, n FROM ({NUMBERS.format(300)}) AS some")
    lab.table("z", *FEW)
    for table in ("t", "z"):
        with pytest.raises(Crash):
            lab.apply(table, at=[At(phase(moment), crash)])
    parked = {n for n in lab.names() if "z" in n}
    lab.run("CREATE FULLTEXT INDEX words ON t (v)", "CREATE TRIGGER app BEFORE DELETE ON t FOR EACH ROW SET @a = 1")
    ran = lab.apply("t")
    ran.assert_outcome("refused")
    assert [e.finding.code for e in ran.of(Noticed) if e.finding.code.startswith("parked")] == ["parked-given-up"]
    assert lab.names() == {"t", "app", *parked}
    lab.assert_equal("t")
    lab.apply("z").assert_outcome("done")
    lab.assert_done("z")


def test_triggers_that_are_hidden_are_not_gone(lab: Lab) -> None:
    """Without TRIGGER on the schema ours are not seen: a copy that is parked stays whole, and the application writes on."""
    lab.table("t", "(id INT PRIMARY KEY, v INT)", f"SELECT n, n FROM ({NUMBERS.format(300)}) AS some")
    with pytest.raises(Crash):
        lab.apply("t", at=[At(phase("verify"), crash)])
    parked, plan = lab.names(), lab.plan("t")
    skip = plan.model_copy(update={"steps": tuple(s.model_copy(update={"method": Method.SKIP}) for s in plan.steps)})
    rights = next(
        str(g) for (g,) in lab.rows(f"SHOW GRANTS FOR '{lab.dba.user}'@'%'") if "TRIGGER" in g and "`migrator`" not in g
    )
    on = rights[rights.index(" ON ") : rights.index(" TO ")]
    lab.run(f"REVOKE TRIGGER{on} FROM '{lab.dba.user}'@'%'")
    try:
        lab.apply(plan=skip).assert_outcome("left")
    finally:
        lab.run(f"GRANT TRIGGER{on} TO '{lab.dba.user}'@'%'")
    assert lab.names() == parked
    with lab.application("t") as app:
        app.write("DELETE FROM {t} WHERE id = 3")
    lab.apply("t").assert_outcome("done")
    lab.assert_done("t")


def test_a_swap_that_was_not_finished_is_no_void_copy(lab: Lab) -> None:
    """Killed right after its RENAME, then rebuilt by a person: the journal still knows the old table, and abandon its end."""
    lab.table("t", "(id INT PRIMARY KEY, v INT)", f"SELECT n, n FROM ({NUMBERS.format(300)}) AS some")
    lab.table("z", *FEW)
    with pytest.raises(Crash):
        lab.apply("t", at=[At(ddl("`_t_retained`,", done=True), crash)])
    lab.run("ALTER TABLE t DROP PRIMARY KEY")
    lab.apply("z").assert_outcome("done")
    assert lab.value("SELECT state FROM migrator.steps WHERE name = 't'") == "open"
    assert lab.value("SELECT COUNT(*) FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_TABLE = '_t_retained'") == 3
    with closing(lab.session()) as session:
        cleaned = cleanup(session, CleanupOptions(abandon=(f"{lab.schema}.t",)), lambda event: None)
    assert ("retained", "kept") in [(one.kind, one.action) for one in cleaned]
    assert lab.names() == {"t", "_t_retained", "z", "_z_retained"}
    lab.assert_equal("t")


def test_an_error_while_draining_ends_the_run_as_its_own(lab: Lab) -> None:
    """What nobody expected is not lost with the thread that met it."""
    lab.table("a", *FEW)
    lab.table("z", *BY_NUMBER)
    with pytest.raises(Crash):
        lab.apply("z", at=[At(each(ChunkCopied), crash, 5)], defaults=PARKED)
    parked = of("z", Backlog)
    parked.do, parked.nth = crash, 1
    with pytest.raises(Crash):
        lab.apply("a", "z", at=[parked], defaults=PARKED)
    # The run itself went on to its end: it was the other thread that met the error.
    assert [e.outcome for e in lab.events if isinstance(e, StepEnded)] == ["done", "done"]
