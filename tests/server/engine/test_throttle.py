"""What the server suffers has limits: beyond one nothing is begun and the reason shows, below it the run goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from migrator.engine.journal import Journal
from migrator.errors import Refused
from migrator.events import ChunkCopied, DdlStarting, RunStarted, Throttled, Told
from migrator.planner.control import Wishes
from tests.server.engine.kit import SMALL, At, Beside, Lab, Meets, Ran, each, phase
from tests.server.engine.test_rows import BY_NUMBER
from tests.servers import until

pytestmark = pytest.mark.timeout(120)

ALONE = SMALL.model_copy(update={"max_load": "", "max_history_list": 0, "max_checkpoint_age": 0.0})
"""No limit but that of the test: others use this machine, too."""


def told(lab: Lab) -> str:
    """What the run says of itself, as `status` reads it; '' before there is a journal."""
    if not lab.rows("SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'migrator' AND TABLE_NAME = 'lease'"):
        return ""
    return str(lab.value("SELECT COALESCE(MAX(told), '') FROM migrator.lease"))


def beats(lab: Lab, count: int) -> None:
    """Return when the run has had so many heartbeats more, a second each: it has looked as often."""
    seen = {lab.value("SELECT heartbeat_at FROM migrator.lease")}

    def enough() -> bool:
        seen.add(lab.value("SELECT heartbeat_at FROM migrator.lease"))
        return len(seen) > count

    until(enough, f"{count} heartbeats")


@dataclass(slots=True)
class Running:
    """A run in a thread beside the test."""

    lab: Lab
    ran: list[Ran] = field(default_factory=list)

    def is_held(self, words: str) -> None:
        """Wait until the journal says that nothing is begun because of this; then no chunk and no DDL is, for two looks."""
        until(lambda: "nothing is begun" in told(self.lab) and words in told(self.lab), f"it is held: {words}")
        beats(self.lab, 1)  # what was under way has come to its end
        before = self.begun()
        beats(self.lab, 2)
        assert self.begun() == before

    def begun(self) -> int:
        """How many chunks were copied and DDL statements begun so far."""
        return sum(isinstance(event, ChunkCopied | DdlStarting) for event in self.lab.events)


@contextmanager
def running(lab: Lab, *, at: list[Meets] | None = None, **changes: object) -> Iterator[Running]:
    """A run of table `t` beside the body, which is waited for at its end."""
    run = Running(lab)
    plan = lab.plan("t", defaults=ALONE.model_copy(update=changes))
    with Beside(lambda: run.ran.append(lab.apply(plan=plan, at=at or []))):
        yield run


def waiters(lab: Lab, count: int, stack: ExitStack) -> Callable[[], None]:
    """So many sessions that wait for a user lock, and so count as running; gives what ends them."""
    holder = stack.enter_context(closing(lab.connect(autocommit=True)))
    with holder.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK('t_throttle', 0)")
    over = threading.Event()

    def wait() -> None:
        with closing(lab.connect(autocommit=True)) as one, one.cursor() as cursor:
            while not over.is_set():
                cursor.execute("SELECT GET_LOCK('t_throttle', 60)")
                cursor.execute("DO RELEASE_ALL_LOCKS()")

    threads = [stack.enter_context(Beside(wait)) for _ in range(count)]
    assert threads

    def end() -> None:
        over.set()
        with holder.cursor() as cursor:
            cursor.execute("DO RELEASE_ALL_LOCKS()")

    stack.callback(end)
    until(
        lambda: (
            lab.value("SELECT COUNT(*) FROM performance_schema.threads WHERE PROCESSLIST_STATE = 'User lock'") >= count
        ),
        "all of them wait",
    )
    return end


# -- each signal --------------------------------------------------------------------------------------


def test_threads_running(lab: Lab) -> None:
    """Nothing is begun while more statements run than `max_load` says; when they are over, the run is done."""
    lab.table("t", *BY_NUMBER)
    with ExitStack() as stack:
        end = waiters(lab, 14, stack)
        with running(lab, max_load="Threads_running=10") as run:
            run.is_held("the limit is 10 (max_load)")
            end()
    run.ran[0].assert_outcome("done")
    states = [event.state for event in run.ran[0].of(Throttled)]
    assert states[0] == "begins"
    (throttled,) = run.ran[0].outcome.throttled
    assert throttled.signal == "Threads_running"
    assert throttled.held_seconds > 1
    lab.assert_done("t")


def test_the_throttle_file(lab: Lab, tmp_path: Path) -> None:
    """Nothing is begun while it is there."""
    lab.table("t", *BY_NUMBER)
    file = tmp_path / "hold"
    file.touch()
    with running(lab, throttle_file=str(file)) as run:
        run.is_held("the throttle file is there")
        file.unlink()
    run.ran[0].assert_outcome("done")
    lab.assert_done("t")


@pytest.mark.parametrize("which", ["copy", "index", "mirror", "verify", "swap"])
def test_within_each_phase(lab: Lab, tmp_path: Path, which: str) -> None:
    """What begins to be exceeded later holds the phase back: no chunk, no index build, no exclusive moment, no RENAME."""
    lab.table("t", *BY_NUMBER)
    file = tmp_path / "hold"

    def hold() -> None:
        file.touch()
        until(lambda: "throttle file" in told(lab), "the run has seen it")

    with running(lab, at=[At(phase(which), hold)], throttle_file=str(file)) as run:
        until(file.exists, "the phase has begun")
        run.is_held("the throttle file is there")
        file.unlink()
    run.ran[0].assert_outcome("done")
    lab.assert_done("t")


def test_the_throttle_query(lab: Lab) -> None:
    """Nothing is begun while its first value is true; a per cent sign in it is one."""
    lab.table("t", *BY_NUMBER)
    lab.run("CREATE TABLE flag (n INT)", "INSERT INTO flag VALUES (7)")
    query = f"SELECT COUNT(*) FROM `{lab.schema}`.flag WHERE n % 2 = 1"
    with running(lab, throttle_query=query) as run:
        run.is_held("the throttle query says so")
        lab.run("UPDATE flag SET n = 8")
    run.ran[0].assert_outcome("done")
    lab.assert_done("t")


def test_a_query_that_cannot_be_read_counts_as_exceeded(lab: Lab) -> None:
    """It worked when the run began; its error's number is told, and no more."""
    lab.table("t", *BY_NUMBER)
    lab.run("CREATE TABLE flag (n INT)")
    begins = At(each(RunStarted), lambda: lab.run("DROP TABLE flag"))
    with running(lab, at=[begins], throttle_query=f"SELECT COUNT(*) FROM `{lab.schema}`.flag") as run:
        run.is_held("throttle query cannot be read (throttle_query: error 1146)")
        lab.run("CREATE TABLE flag (n INT)")
    run.ran[0].assert_outcome("done")
    lab.assert_done("t")


def test_a_query_that_takes_too_long_is_ended(lab: Lab) -> None:
    """The server ends it after two seconds; at the beginning of a run that is a refusal, and nothing is touched."""
    lab.table("t", *BY_NUMBER)
    lab.run("CREATE TABLE many (n INT)", "INSERT INTO many SELECT id FROM t")
    query = f"SELECT COUNT(*) > 0 FROM `{lab.schema}`.many a, `{lab.schema}`.many b, `{lab.schema}`.many c"
    before = lab.names()
    with pytest.raises(Refused) as error:
        lab.apply(plan=lab.plan("t", defaults=ALONE.model_copy(update={"throttle_query": query})))
    assert "3024" in error.value.message
    assert lab.names() == before


def test_a_counter_that_is_none_is_refused(lab: Lab) -> None:
    """It would hold the run for ever."""
    lab.table("t", *BY_NUMBER)
    with pytest.raises(Refused) as error:
        lab.apply(plan=lab.plan("t", defaults=ALONE.model_copy(update={"critical_load": "Threads_runing=5"})))
    assert "Threads_runing" in error.value.message


def test_the_history_list(lab: Lab) -> None:
    """A transaction that keeps old versions from being purged holds the run; its end lets it go on."""
    lab.table("t", *BY_NUMBER)
    lab.run("CREATE TABLE other (n INT)", "INSERT INTO other VALUES (0)")
    frequency = lab.value("SELECT @@innodb_purge_rseg_truncate_frequency")
    lab.run("SET GLOBAL innodb_purge_rseg_truncate_frequency = 1")
    try:
        with closing(lab.connect()) as old, closing(lab.connect(autocommit=True)) as other:
            with old.cursor() as cursor:
                cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
            with other.cursor() as cursor:
                cursor.execute("SET sql_log_bin = 0")
                for _ in range(600):
                    cursor.execute("UPDATE other SET n = n + 1")
            with running(lab, max_history_list=500) as run:
                run.is_held("the history list has")
                old.rollback()
    finally:
        lab.run(f"SET GLOBAL innodb_purge_rseg_truncate_frequency = {frequency}")
    run.ran[0].assert_outcome("done")
    lab.assert_done("t")


def test_the_checkpoint_age(lab: Lab) -> None:
    """Redo that waits for a checkpoint holds the run; when its pages are written, the run goes on.

    While anything is written, the server's checkpoint stays 2 MiB behind the oldest page (innodb_log_recent_closed_size):
    on one of 256 MiB the limit must be above that.
    """
    lab.table("t", *BY_NUMBER)
    names = ("innodb_idle_flush_pct", "innodb_max_dirty_pages_pct_lwm", "innodb_max_dirty_pages_pct")
    before = {name: lab.value(f"SELECT @@{name}") for name in names}
    try:
        lab.run("SET GLOBAL innodb_max_dirty_pages_pct_lwm = 0", "SET GLOBAL innodb_idle_flush_pct = 0")
        lab.run("CREATE TABLE other (text LONGTEXT)", "INSERT INTO other VALUES (REPEAT('x', 12000000))")
        with running(lab, max_checkpoint_age=0.02) as run:
            run.is_held("of the redo log wait for a checkpoint")
            lab.run("SET GLOBAL innodb_idle_flush_pct = 100", "SET GLOBAL innodb_max_dirty_pages_pct = 0")
    finally:
        lab.run(*(f"SET GLOBAL {name} = {value}" for name, value in before.items()))
    run.ran[0].assert_outcome("done")
    lab.assert_done("t")


def test_free_disk(lab: Lab) -> None:
    """Less than the plan wants: the run is held until it is stopped; one that wants what there is, is done."""
    lab.table("t", *BY_NUMBER)
    stop, ran = threading.Event(), list[Ran]()
    plan = lab.plan("t", defaults=ALONE.model_copy(update={"min_free_disk_bytes": 2**59}))
    with Beside(lambda: ran.append(lab.apply(plan=plan, stop=stop))):
        try:
            Running(lab).is_held("GiB of disk are free")
        finally:
            stop.set()
    ran[0].assert_outcome("stopped")
    lab.apply(plan=lab.plan("t", defaults=ALONE.model_copy(update={"min_free_disk_bytes": 1}))).assert_outcome("done")
    lab.assert_done("t")


# -- critical -----------------------------------------------------------------------------------------


def test_a_critical_load_ends_the_run_with_75(lab: Lab) -> None:
    """In the middle of the copy, and what was made so far stays: the next run goes on with it."""
    lab.table("t", *BY_NUMBER)
    with ExitStack() as stack:
        ended: list[Callable[[], None]] = []

        def load() -> None:
            ended.append(waiters(lab, 14, stack))
            until(lambda: "critical" in told(lab), "the run has seen it")

        plan = lab.plan("t", defaults=ALONE.model_copy(update={"critical_load": "Threads_running=10"}))
        ran = lab.apply(plan=plan, at=[At(each(ChunkCopied), load, 2)])
        ended[0]()
    assert ran.outcome.exit_code == 75
    ran.assert_outcome("stopped")
    assert "the critical limit is 10" in ran.step.message
    copied = lab.value("SELECT SUM(rows_copied) FROM migrator.ranges")
    assert copied > 0
    again = lab.apply(plan=plan)
    again.assert_outcome("done")
    assert sum(event.rows for event in again.of(ChunkCopied)) < int(lab.value("SELECT COUNT(*) FROM t"))
    lab.assert_done("t")


# -- wishes -------------------------------------------------------------------------------------------


def test_a_wish_takes_effect_within_the_run(lab: Lab) -> None:
    """Workers fall and rise, a limit of `set` holds the run and lets it go, and each is told."""
    lab.table("t", *BY_NUMBER)
    journal = Journal()
    with closing(lab.session()) as control, ExitStack() as stack:
        end = waiters(lab, 14, stack)

        def ask() -> None:
            journal.wish(control, Wishes(workers=1, max_load="Threads_running=10"))
            until(lambda: "Threads_running" in told(lab), "the run has heard it")

        with running(lab, at=[At(each(ChunkCopied), ask, 2)], workers=3) as run:
            run.is_held("the limit is 10 (max_load)")
            assert journal.control(control).wishes.workers == 1
            journal.wish(control, Wishes())
        end()
    run.ran[0].assert_outcome("done")
    wishes = [event.wishes for event in run.ran[0].of(Told)]
    assert wishes[0] == "workers=1, max-load=Threads_running=10"
    assert wishes[-1] == ""
    lab.assert_done("t")
