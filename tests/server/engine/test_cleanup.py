"""What `cleanup` drops, keeps and forgets, and that a person who went back by hand can begin again."""

from __future__ import annotations

from contextlib import closing

import pytest

from migrator.engine.cleanup import CleanupOptions, cleanup
from migrator.events import ChunkCopied, DdlStarting, Event
from migrator.model import Method
from migrator.planner.plan import Plan
from migrator.report.values import Cleaned
from tests.server.engine.kit import SMALL, WEIRD, At, Crash, Lab, crash, ddl, each, name
from tests.server.engine.test_rows import BY_NUMBER

pytestmark = pytest.mark.timeout(120)

SOME = ("(id INT PRIMARY KEY, v VARCHAR(20))", [(1, "one"), (2, "two")])


def cleaned(lab: Lab, **options: object) -> dict[str, Cleaned]:
    """Clean up; what was done with each object, by its name."""
    chosen = CleanupOptions(**options)  # type: ignore[arg-type]
    with closing(lab.session()) as session:
        return {one.name.name: one for one in cleanup(session, chosen, lambda _: None)}


def actions(found: dict[str, Cleaned]) -> dict[str, str]:
    """name -> action."""
    return {one: found[one].action for one in found}


def method(plan: Plan, table: str) -> Method:
    """What a plan says about a table."""
    return next(step.method for step in plan.steps if step.table is not None and step.table.name == table)


def retained_days(lab: Lab, table: str) -> int:
    """How many days from now the old table is kept, by the journal."""
    return int(
        lab.value(
            "SELECT ROUND(TIMESTAMPDIFF(MINUTE, UTC_TIMESTAMP(), retained_until) / 1440) FROM migrator.steps"
            " WHERE name = %s ORDER BY id DESC LIMIT 1",
            table,
        )
    )


@pytest.mark.parametrize("now", [False, True], ids=["in time", "now"])
def test_to_abandon_one_table_drops_nothing_of_others(lab: Lab, now: bool) -> None:
    """`--abandon` without `--table` leaves retained tables of finished steps alone, also with `--now`."""
    lab.table("other", *SOME)
    lab.apply("other").assert_outcome("done")
    lab.run("UPDATE migrator.steps SET retained_until = '2001-01-01'")  # due
    lab.table("t", *BY_NUMBER)
    with pytest.raises(Crash):
        lab.apply("t", at=[At(each(ChunkCopied), crash)])
    pattern = f"{lab.schema}.t"
    shown = actions(cleaned(lab, abandon=(pattern,), now=now, dry_run=True))
    done = actions(cleaned(lab, abandon=(pattern,), now=now))
    assert shown.keys() == done.keys()
    assert {"_t_shadow", "_t_log", "_t_log_ins"} <= done.keys()
    assert (set(shown.values()), set(done.values())) == ({"would-drop"}, {"dropped"})
    assert lab.names() == {"t", "other", "_other_retained"}
    lab.assert_equal("t")
    assert actions(cleaned(lab)) == {"_other_retained": "dropped"}


def test_a_step_without_objects_can_be_abandoned(lab: Lab) -> None:
    """A step that was begun, and nothing made for it, is closed by `--abandon`; it is not unfinished any more."""
    lab.table("t", *SOME)
    with pytest.raises(Crash):
        lab.apply("t", at=[At(ddl("LIKE"), crash)])
    lab.run("DELETE FROM migrator.objects")
    assert lab.value("SELECT COUNT(*) FROM migrator.steps WHERE state = 'open'") == 1
    cleaned(lab, abandon=(f"{lab.schema}.t",))
    assert lab.value("SELECT COUNT(*) FROM migrator.steps WHERE state = 'open'") == 0


@pytest.mark.parametrize("table", ["t", WEIRD])
@pytest.mark.parametrize("by", ["cleanup", "apply"])
def test_back_by_hand_and_begin_again(lab: Lab, table: str, by: str) -> None:
    """After RENAME has put the old table back, plan and apply work, with `cleanup` before (it forgets) or without."""
    lab.table(table, *SOME)
    lab.apply().assert_outcome("done")
    old = f"_{table}_retained"
    lab.run(f"RENAME TABLE {name(table)} TO enc, {name(old)} TO {name(table)}", "DROP TABLE enc")
    if by == "cleanup":
        shown = cleaned(lab, now=True, dry_run=True)
        assert actions(shown) == {old: "would-forget"}
        assert actions(cleaned(lab)) == {old: "forgotten"}
        assert cleaned(lab) == {}
    plan = lab.plan()
    assert method(plan, table) is Method.SHADOW_COPY
    lab.apply(plan=plan).assert_outcome("done")
    lab.assert_done(table)
    assert old in lab.names()
    assert actions(cleaned(lab, now=True)) == {old: "dropped"}


@pytest.mark.parametrize("how", ["DROP TABLE _t_retained", "RENAME TABLE _t_retained TO mine"])
def test_decrypted_by_hand_and_begin_again(lab: Lab, how: str) -> None:
    """A table that somebody decrypted: plan and cleanup say what to do with the old one; done so, all works again."""
    lab.table("t", *SOME)
    stale = lab.plan("t")
    lab.apply("t").assert_outcome("done")
    lab.run("ALTER TABLE t ENCRYPTION = 'N'")
    refused = next(step for step in lab.plan("t").steps if step.table is not None and step.table.name == "t")
    (finding,) = [f for f in refused.findings if f.blocks]
    assert (refused.method, finding.code) == (Method.REFUSE, "retained-in-the-way")
    assert "drop or rename the retained one by hand" in finding.remedy
    assert lab.apply_or_error(stale) is None
    kept = cleaned(lab, now=True)["_t_retained"]
    assert kept.action == "kept"
    assert f"drop or rename {lab.schema}._t_retained by hand" in kept.why
    lab.run(how)
    lab.apply("t").assert_outcome("done")
    lab.assert_done("t")
    assert lab.names() == {"t", "_t_retained"} | ({"mine"} if "mine" in how else set())


def test_a_retained_table_that_was_dropped_is_forgotten(lab: Lab) -> None:
    """Dropped by hand before its time: `cleanup` says that it is not there, and closes the step."""
    lab.table("t", *SOME)
    lab.apply("t").assert_outcome("done")
    lab.run("DROP TABLE _t_retained")
    assert actions(cleaned(lab)) == {"_t_retained": "forgotten"}
    assert lab.value("SELECT COUNT(*) FROM migrator.steps WHERE state = 'swapped'") == 0


@pytest.mark.parametrize("moment", ["DROP TRIGGER", "DROP TABLE"])
@pytest.mark.parametrize("now", [False, True], ids=["in time", "now"])
def test_a_step_that_was_swapped_is_finished_by_abandon(lab: Lab, moment: str, now: bool) -> None:
    """Ended while it cleaned: `--abandon` finishes it, and keeps the old table for as long as its plan said."""
    lab.table("t", *SOME)
    words = "_t_mirror_" if moment == "DROP TRIGGER" else "_t_log`"
    fits = lambda event: ddl(moment)(event) and ddl(words)(event)  # noqa: E731
    defaults = SMALL.model_copy(update={"retain_days": 30})
    with pytest.raises(Crash):
        lab.apply("t", at=[At(fits, crash)], defaults=defaults)
    assert lab.encrypted("t")
    assert lab.value("SELECT retained_until FROM migrator.steps") is None
    pattern = f"{lab.schema}.t"
    shown = cleaned(lab, abandon=(pattern,), now=now, dry_run=True)
    assert shown["_t_retained"].action == ("would-drop" if now else "kept")
    done = cleaned(lab, abandon=(pattern,), now=now)
    assert done["_t_retained"].action == ("dropped" if now else "kept")
    assert done["_t_log"].action == "dropped"
    assert lab.names() == ({"t"} if now else {"t", "_t_retained"})
    if not now:
        assert retained_days(lab, "t") == 30


def test_a_later_plan_that_skips_the_table_keeps_its_retention(lab: Lab) -> None:
    """A swapped step that a new plan (7 days) finishes keeps the old table for the 30 days of its own plan."""
    lab.table("t", *SOME)
    with pytest.raises(Crash):
        lab.apply("t", at=[At(ddl("DROP TABLE"), crash)], defaults=SMALL.model_copy(update={"retain_days": 30}))
    lab.apply("t").assert_outcome("done")
    assert retained_days(lab, "t") == 30


@pytest.mark.parametrize("table", ["t", WEIRD])
def test_after_the_way_out_by_hand_abandon_tidies_the_journal(lab: Lab, table: str) -> None:
    """Triggers, shadow and log dropped by a person, in this order: `--abandon` names them and closes the step; all begins anew."""
    lab.table(table, *BY_NUMBER)
    with pytest.raises(Crash):
        lab.apply(table, at=[At(each(ChunkCopied), crash)])
    lab.run(*(f"DROP TRIGGER {name(f'_{table}_log_{event}')}" for event in ("del", "ins", "upd")))
    lab.run(*(f"DROP TABLE {name(f'_{table}_{made}')}" for made in ("shadow", "log")))
    tidied = cleaned(lab, abandon=(f"{lab.schema}.{table}",))
    assert {f"_{table}_shadow", f"_{table}_log"} <= tidied.keys()
    assert set(actions(tidied).values()) == {"dropped"}
    assert lab.value("SELECT COUNT(*) FROM migrator.objects") == 0
    assert lab.value("SELECT COUNT(*) FROM migrator.steps WHERE state = 'open'") == 0
    lab.apply(table).assert_outcome("done")
    lab.assert_done(table)


def test_a_retained_table_that_may_be_all_there_is_is_kept(lab: Lab) -> None:
    """While no table bears the name, `cleanup` keeps the old one, also with `--now`, and says why."""
    lab.table("t", *SOME)
    lab.apply("t").assert_outcome("done")
    lab.run("RENAME TABLE t TO elsewhere")
    kept = cleaned(lab, now=True)["_t_retained"]
    assert kept.action == "kept"
    assert f"{lab.schema}.t" in kept.why
    lab.run("RENAME TABLE elsewhere TO t")
    assert actions(cleaned(lab, now=True)) == {"_t_retained": "dropped"}


def test_what_is_known_of_tables_is_read_once(lab: Lab) -> None:
    """To read one table's facts takes as long as there are tables on the server: for each of thousands that is hours."""
    for table in ("t1", "t2", "t3", "t4"):
        lab.table(table, *SOME)
    assert [step.outcome for step in lab.apply("t1", "t2", "t3", "t4").outcome.steps] == ["done"] * 4
    lab.run("TRUNCATE TABLE performance_schema.events_statements_summary_by_digest")
    assert set(actions(cleaned(lab, now=True)).values()) == {"dropped"}
    assert {n for n in lab.names() if n.startswith("_")} == set()
    assert lab.digest_count("%FROM `information_schema` . `INNODB_TABLES` ORDER BY%") == 1


def test_a_table_that_goes_while_cleanup_is_at_work_keeps_its_old_one(lab: Lab) -> None:
    """What was judged can be minutes ago when it is dropped: without the encrypted table the old one may be all there is."""
    for table in ("t1", "t2"):
        lab.table(table, *SOME)
    assert [step.outcome for step in lab.apply("t1", "t2").outcome.steps] == ["done"] * 2

    def listen(event: Event) -> None:
        if isinstance(event, DdlStarting) and "_t1_retained" in event.statement:
            lab.run("DROP TABLE t2")

    with closing(lab.session()) as session:
        found = {one.name.name: one.action for one in cleanup(session, CleanupOptions(now=True), listen)}
    assert found == {"_t1_retained": "dropped", "_t2_retained": "kept"}
    assert "_t2_retained" in lab.names()
