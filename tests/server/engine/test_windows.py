"""Windows, budgets, and what fits, on a server: what is stopped, what waits, and what goes on."""

from __future__ import annotations

import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from migrator.engine import aside, moment
from migrator.engine.apply import ApplyOptions, apply
from migrator.engine.journal import Journal
from migrator.errors import OutsideWindow
from migrator.events import ChunkCopied, Event, Moment, RunStarted, SetAside, StepStarted, Waiting
from migrator.planner.control import Wishes
from migrator.planner.plan import Defaults, Scope
from tests.server.engine.kit import SMALL, VOUCHED, At, Beside, Lab, each, phase
from tests.server.engine.test_rows import BY_NUMBER, NUMBERS
from tests.servers import until

pytestmark = pytest.mark.timeout(120)

FEW = (BY_NUMBER[0], f"SELECT 10 * n, n, 'few', n FROM ({NUMBERS.format(300)}) AS some")
STEADY = SMALL.model_copy(update={"workers": 1, "small_tables_at_once": 1})
TRIGGERS = {"_t_log_ins", "_t_log_upd", "_t_log_del"}
LOGGED = "SELECT COUNT(*) FROM _t_log WHERE k1 IS NOT NULL"


def window(begin: datetime, end: datetime) -> str:
    """A daily window of these times of a day."""
    return f"daily {begin:%H:%M:%S}-{end:%H:%M:%S} UTC"


def seconds_from_now(seconds: float) -> datetime:
    """A time, to the second, not before that."""
    return (datetime.now(UTC) + timedelta(seconds=seconds + 1)).replace(microsecond=0)


def open_until(end: datetime) -> Defaults:
    """Open since a minute."""
    return STEADY.model_copy(update={"windows": (window(seconds_from_now(-60), end),)})


def closed() -> Defaults:
    """Not open for the next hours."""
    return STEADY.model_copy(update={"windows": (window(seconds_from_now(4 * 3600), seconds_from_now(5 * 3600)),)})


def over(end: datetime) -> None:
    """Wait for a time."""
    until(lambda: datetime.now(UTC) >= end, "the window is over", seconds=60)


def stopped_in_its_copy(lab: Lab) -> None:
    """`t`, whose copy a window's end has stopped after a chunk."""
    lab.table("t", *BY_NUMBER)
    end = seconds_from_now(4)
    ran = lab.apply("t", defaults=open_until(end), at=[At(each(ChunkCopied), lambda: over(end))])
    assert (ran.outcome.exit_code, ran.step.outcome) == (75, "stopped")
    assert "outside of the maintenance windows: the next one, daily" in ran.outcome.stopped_by
    assert lab.names() >= TRIGGERS


def test_a_copy_stops_at_the_end_and_goes_on_in_the_next(lab: Lab) -> None:
    """At a chunk's end, with exit code 75; triggers stay; the next call goes on from there."""
    stopped_in_its_copy(lab)
    copied = int(lab.value("SELECT COUNT(*) FROM _t_shadow"))
    assert 0 < copied < lab.value("SELECT COUNT(*) FROM t")
    with lab.application("t") as app:
        app.write("UPDATE {t} SET v = 'between' WHERE id % 7 = 0")
    ran = lab.apply("t", defaults=STEADY)
    ran.assert_outcome("done")
    assert next(event for event in ran.events if isinstance(event, StepStarted)).resumed
    lab.assert_done("t")


def test_a_call_between_windows_drains_and_does_nothing_else(lab: Lab) -> None:
    """It ends with 75 at once; the log of what is parked is empty then, and the source is not touched."""
    stopped_in_its_copy(lab)
    with lab.application("t") as app:
        app.write("UPDATE {t} SET v = 'between' WHERE id <= 50")
    assert lab.value(LOGGED) > 0
    ran = lab.apply("t", defaults=closed())
    assert (ran.outcome.exit_code, ran.step.outcome) == (75, "left")
    assert lab.value(LOGGED) == 0
    assert lab.value("SELECT COUNT(*) FROM _t_shadow WHERE v = 'between'") == 5
    assert lab.names() >= TRIGGERS
    assert not [event for event in ran.events if isinstance(event, StepStarted | Moment)]


def test_a_log_at_its_bound_is_given_up_between_windows(lab: Lab) -> None:
    """Rather than to let it grow until the disk is full; its triggers are gone."""
    stopped_in_its_copy(lab)
    with lab.application("t") as app:
        app.write("UPDATE {t} SET v = 'much' WHERE id > 5000")
    assert lab.value(LOGGED) > 1000
    ran = lab.apply("t", defaults=closed().model_copy(update={"log_max_entries": 1000}))
    assert ran.outcome.exit_code == 75
    assert not [one for one in lab.names() if one.startswith("_t")]
    lab.assert_equal("t")


def test_one_call_waits_for_the_window(lab: Lab) -> None:
    """Nothing of the table is touched before; `status` can say what is waited for."""
    lab.table("t", *FEW)
    begin = seconds_from_now(3)
    defaults = STEADY.model_copy(update={"windows": (window(begin, begin + timedelta(hours=1)),)})
    began: list[datetime] = []
    beside: list[Beside] = []

    def look() -> None:
        noted = "SELECT told FROM migrator.lease"
        until(lambda: "maintenance" in str(lab.value(noted)), "the lease says why nothing is done")
        assert lab.names() == {"t"}

    ran = lab.apply(
        "t",
        defaults=defaults,
        outside_window="wait",
        at=[
            At(
                lambda event: isinstance(event, Waiting) and "maintenance windows" in event.reason,
                lambda: beside.append(Beside(look).__enter__()),
            ),
            At(each(StepStarted), lambda: began.append(datetime.now(UTC))),
        ],
    )
    ran.assert_outcome("done")
    beside[0].join()
    assert began[0] >= begin
    lab.assert_done("t")


def test_one_call_works_in_one_window_and_the_next(lab: Lab) -> None:
    """What the end of the first stopped is gone on with in the second; its log is drained in between."""
    lab.table("t", *BY_NUMBER)
    end = seconds_from_now(4)
    again = end + timedelta(seconds=8)
    windows = (window(end - timedelta(minutes=2), end), window(again, again + timedelta(hours=1)))

    def between() -> None:
        with lab.application("t") as app:
            app.write("UPDATE {t} SET v = 'between' WHERE id <= 50")
        until(lambda: lab.value(LOGGED) == 0, "the log is drained between windows")
        assert datetime.now(UTC) < again, "too slow to say"

    beside: list[Beside] = []
    waiting = At(
        lambda event: isinstance(event, Waiting) and "maintenance windows" in event.reason,
        lambda: beside.append(Beside(between).__enter__()),
    )
    ran = lab.apply(
        "t",
        defaults=STEADY.model_copy(update={"windows": windows}),
        outside_window="wait",
        at=[At(each(ChunkCopied), lambda: over(end)), waiting],
    )
    assert waiting.seen == 1
    beside[0].join()
    ran.assert_outcome("done")
    assert lab.value("SELECT SUM(closed) FROM migrator.progress") > 3, "for the report"
    lab.assert_done("t")


def test_a_wait_for_a_window_can_be_stopped(lab: Lab) -> None:
    """At once, and nothing was begun."""
    lab.table("t", *FEW)
    stop = threading.Event()
    ran = lab.apply("t", defaults=closed(), outside_window="wait", stop=stop, at=[At(each(Waiting), stop.set)])
    assert ran.outcome.exit_code == 75
    assert lab.names() == {"t"}


def test_outside_of_windows_not_even_a_journal_is_made(lab: Lab) -> None:
    """Where no run ever was, a call that comes too early changes nothing at all."""
    lab.table("t", *FEW)
    plan = lab.plan("t", defaults=closed())
    journal = Journal("migrator_of_nobody")
    root = lab.server.server
    with closing(lab.session(user=root.user, password=root.password)) as session:
        with pytest.raises(OutsideWindow, match="nothing was done: outside of the maintenance windows"):
            apply(session, plan, ApplyOptions(attestations=VOUCHED), lambda _: None, threading.Event(), journal=journal)
        assert not journal.exists(session)


def test_no_moment_begins_that_could_outlast_the_window(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """With less left than a moment may take, the switch waits for the next window."""
    lab.table("t", *FEW)
    defaults = STEADY.model_copy(update=MOMENTS)
    late = At(phase("mirror"), lambda: monkeypatch.setattr(moment, "MOMENT_SECONDS", 7200.0))
    ran = lab.apply("t", defaults=open_until(seconds_from_now(3600)).model_copy(update=MOMENTS), at=[late])
    assert late.seen
    assert ran.step.outcome == "stopped"
    assert "too little is left of the maintenance window" in ran.step.message
    assert [event.purpose for event in ran.events if isinstance(event, Moment)] == ["log triggers"]
    monkeypatch.undo()
    lab.apply("t", defaults=defaults).assert_outcome("done")
    lab.assert_done("t")


MOMENTS = {"one_moment_bytes": 0}


def test_a_budget_is_a_window_that_begins_with_the_call(lab: Lab) -> None:
    """What is under way stops when it is used up; nothing else is begun."""
    lab.table("a", *BY_NUMBER)
    lab.table("z", *BY_NUMBER)
    used_up = datetime.now(UTC) + timedelta(seconds=8)
    ran = lab.apply("a", "z", defaults=STEADY, budget_seconds=5, at=[At(each(ChunkCopied), lambda: over(used_up))])
    assert ran.outcome.exit_code == 75
    assert [step.outcome for step in ran.outcome.steps] == ["stopped", "left"]
    assert "the budget of this call is used up" in ran.outcome.stopped_by
    lab.apply("a", "z", defaults=STEADY)
    lab.assert_done("a")
    lab.assert_done("z")


def outcomes(lab: Lab, **options: object) -> tuple[int, dict[str, str]]:
    """Exit code, and outcomes by table, of an apply of the whole schema."""
    ran = lab.apply(defaults=STEADY, **options)  # type: ignore[arg-type]
    return ran.outcome.exit_code, {step.subject.split(".")[1]: step.outcome for step in ran.outcome.steps}


def three(lab: Lab) -> None:
    """Three tables."""
    for table in "abc":
        lab.table(table, *FEW)


def test_no_more_tables_than_asked_for(lab: Lab) -> None:
    """What is done already does not count; the last call ends with 0."""
    three(lab)
    assert outcomes(lab, max_tables=2) == (75, {"a": "done", "b": "done", "c": "left"})
    plan = lab.plan(defaults=STEADY)
    ran = lab.apply(plan=plan, max_tables=1)
    assert ran.outcome.exit_code == 0
    for table in "abc":
        lab.assert_done(table)


def test_one_plan_night_after_night(lab: Lab) -> None:
    """The same plan with the same bound goes on each time: what earlier calls have done, or is gone, does not count."""
    three(lab)
    plan = lab.plan(defaults=STEADY.model_copy(update={"order": "as-listed"}))
    found = []
    for _ in "abc":
        ran = lab.apply(plan=plan, max_tables=1)
        found.append((ran.outcome.exit_code, [step.outcome for step in ran.outcome.steps]))
        lab.run("DROP TABLE IF EXISTS b")
    assert found == [
        (75, ["done", "left", "left"]),
        (0, ["skipped", "skipped", "done"]),
        (0, ["skipped", "skipped", "skipped"]),
    ]


def test_a_table_that_goes_on_in_the_next_window_counts_once(lab: Lab) -> None:
    """One table a call: it is stopped by the end of a window and done in the next one; the other is not begun in either."""
    lab.table("t", *BY_NUMBER)
    lab.table("u", *FEW)
    end = seconds_from_now(4)
    again = end + timedelta(seconds=4)
    windows = (window(end - timedelta(minutes=2), end), window(again, again + timedelta(hours=1)))
    ran = lab.apply(
        defaults=STEADY.model_copy(update={"windows": windows, "order": "as-listed"}),
        outside_window="wait",
        max_tables=1,
        at=[At(each(ChunkCopied), lambda: over(end))],
    )
    assert {step.subject.split(".")[1]: step.outcome for step in ran.outcome.steps} == {"t": "done", "u": "left"}
    assert ran.outcome.exit_code == 75
    assert ran.outcome.stopped_by == "this call begins no more than 1 tables"
    lab.assert_done("t")
    assert lab.names() >= {"u"} and not lab.encrypted("u")


def test_nobody_waits_for_a_window_in_which_nothing_may_be_begun(lab: Lab) -> None:
    """Of two tables that are asked for one is done, and that is all for this call: it ends while the window is open."""
    three(lab)
    begin, end = seconds_from_now(-60), seconds_from_now(3600)
    code, found = outcomes(
        lab,
        plan=lab.plan(defaults=STEADY.model_copy(update={"windows": (window(begin, end),)})),
        wanted=Scope(tables=("*.a", "*.b")),
        max_tables=1,
        outside_window="wait",
    )
    assert (code, found) == (75, {"a": "done", "b": "left", "c": "left"})


def test_one_that_is_aside_goes_on_in_the_next_window(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """One table a call, and it is in use: it lets nobody go first who may not begin, and is done in the next window."""
    monkeypatch.setattr(aside, "ASIDE_AFTER_SECONDS", 1.0)
    lab.table("t", *FEW)
    lab.table("u", *FEW)
    end = seconds_from_now(10)
    again = end + timedelta(seconds=4)
    windows = (window(end - timedelta(minutes=2), end), window(again, again + timedelta(hours=1)))
    with closing(lab.connect(autocommit=True)) as user, user.cursor() as cursor:
        cursor.execute("LOCK TABLES t READ")
        closed = At(
            lambda event: isinstance(event, Waiting) and "maintenance windows" in event.reason,
            lambda: cursor.execute("UNLOCK TABLES"),
        )
        ran = lab.apply(
            defaults=STEADY.model_copy(update={"windows": windows, "order": "as-listed"}),
            outside_window="wait",
            max_tables=1,
            at=[closed],
        )
    assert closed.seen == 1
    assert ran.of(SetAside)
    assert {step.subject.split(".")[1]: step.outcome for step in ran.outcome.steps} == {"t": "done", "u": "left"}
    lab.assert_done("t")


def test_what_is_ready_stays_ready_over_a_window_s_end(lab: Lab) -> None:
    """Swaps are postponed, the window ends and the next one opens: kept equal meanwhile, and swapped at the word."""
    lab.table("t", *FEW)
    end = seconds_from_now(8)
    again = end + timedelta(seconds=5)
    windows = (window(end - timedelta(minutes=2), end), window(again, again + timedelta(hours=1)))
    beside: list[Beside] = []

    def between() -> None:
        with lab.application("t") as app:
            app.write("UPDATE {t} SET v = 'between' WHERE id <= 50")

    def tell() -> None:
        with closing(lab.session()) as session:
            Journal().wish(session, Wishes(postpone_swap=False))

    def is_ready_again(event: Event) -> bool:
        return isinstance(event, Waiting) and "ready to be swapped" in event.reason and datetime.now(UTC) >= again

    closed = At(
        lambda event: isinstance(event, Waiting) and "maintenance windows" in event.reason,
        lambda: beside.append(Beside(between).__enter__()),
    )
    ran = lab.apply(
        "t",
        defaults=STEADY.model_copy(update={"windows": windows, "postpone_swap": True}),
        outside_window="wait",
        at=[closed, At(is_ready_again, tell)],
    )
    beside[0].join()
    ran.assert_outcome("done")
    assert [moment.purpose for moment in ran.of(Moment)].count("swap") == 1
    assert lab.value("SELECT COUNT(*) FROM t WHERE v = 'between'") == 5
    lab.assert_done("t")


def test_after_enough_failures_nothing_else_is_begun(lab: Lab) -> None:
    """A step that failed counts, whatever the reason; the others are named as left."""
    three(lab)
    taken = At(each(RunStarted), lambda: lab.run("CREATE TABLE _a_shadow (id INT)"))
    assert outcomes(lab, at=[taken], max_failures=1) == (4, {"a": "person", "b": "left", "c": "left"})
    lab.run("DROP TABLE _a_shadow")
    taken.seen = 0
    assert outcomes(lab, at=[taken], max_failures=2) == (4, {"a": "person", "b": "done", "c": "done"})


def test_a_call_for_some_of_the_tables(lab: Lab) -> None:
    """Of the plan's tables, by pattern; the others are left, and the exit code says so."""
    three(lab)
    wanted = Scope(tables=("*.a", "*.b"), ignore_tables=("*.b",))
    assert outcomes(lab, wanted=wanted) == (1, {"a": "done", "b": "left", "c": "left"})
    assert lab.encrypted("a")
    assert not lab.encrypted("b")


def test_what_steps_took_is_what_later_ones_are_expected_to_take(lab: Lab) -> None:
    """And what is longer than the time that is left waits for a window in which it fits."""
    lab.table("a", *FEW)
    first = lab.apply("a", defaults=STEADY)
    assert first.step.expected_seconds is None or first.step.expected_seconds > 0
    noted = lab.value("SELECT worked_seconds FROM migrator.steps ORDER BY id DESC LIMIT 1")
    assert 0 < noted <= first.outcome.seconds
    lab.run("UPDATE migrator.steps SET worked_seconds = 5000")
    lab.table("b", *FEW)
    end, later = seconds_from_now(600), seconds_from_now(6 * 3600)
    windows = (window(end - timedelta(minutes=11), end), window(later, later + timedelta(hours=2)))
    ran = lab.apply("b", defaults=STEADY.model_copy(update={"windows": windows}))
    assert (ran.outcome.exit_code, ran.step.outcome) == (75, "left")
    assert "not begun: it takes about" in ran.step.message
    ran = lab.apply("b", defaults=STEADY)
    ran.assert_outcome("done")
    assert ran.step.expected_seconds == pytest.approx(5000)
    assert lab.value("SELECT expected_seconds FROM migrator.steps ORDER BY id DESC LIMIT 1") == pytest.approx(5000)
    lab.run("UPDATE migrator.steps SET worked_seconds = 0")


def test_a_pause_is_not_work(lab: Lab) -> None:
    """What steps are expected to take does not grow because people had paused the run."""
    lab.table("t", *BY_NUMBER)
    journal, beside = Journal(), list[Beside]()

    def set_paused(*, paused: bool) -> None:
        with closing(lab.session()) as session:
            journal.pause(session, paused=paused)

    def go_on() -> None:
        later = lab.value("SELECT heartbeat_at + INTERVAL 3 SECOND FROM migrator.lease")
        until(lambda: lab.value("SELECT heartbeat_at FROM migrator.lease") > later, "three seconds of heartbeats")
        set_paused(paused=False)

    def pause() -> None:
        set_paused(paused=True)
        until(lab.pause_is_noticed, "the pause is noticed")
        beside.append(Beside(go_on).__enter__())

    ran = lab.apply("t", defaults=STEADY, at=[At(each(ChunkCopied), pause)])
    beside[0].join()
    ran.assert_outcome("done")
    worked = lab.value("SELECT worked_seconds FROM migrator.steps ORDER BY id DESC LIMIT 1")
    assert worked < ran.step.seconds - 2
    assert lab.value("SELECT SUM(paused) FROM migrator.progress") > 2, "for the report"
