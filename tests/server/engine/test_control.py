"""Who is at work, and for how long: lease, pause, the bound of the log, stop."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from migrator.engine.journal import Journal
from migrator.errors import LeaseHeld, LeaseLost
from migrator.events import Backlog, ChunkCopied, Event, StepStarted, Waiting
from tests.server.engine.kit import SMALL, At, Beside, Crash, Lab, Run, crash, ddl, each, phase
from tests.server.engine.test_rows import BY_NUMBER, NUMBERS, everything_of
from tests.servers import least_privileged, start, until

pytestmark = pytest.mark.timeout(90)


def test_a_second_run_is_told_who_is_at_work(lab: Lab) -> None:
    """While a run is at work a second one raises `LeaseHeld` and changes nothing; the first does not notice."""
    lab.table("t", *BY_NUMBER)
    plan = lab.plan("t")
    held: list[LeaseHeld] = []

    def second() -> None:
        before = lab.names(), lab.rows("SELECT COUNT(*), MAX(id) FROM migrator.steps")
        with closing(lab.session()) as session, pytest.raises(LeaseHeld) as error:
            lab.apply_quietly(session, plan)
        held.append(error.value)
        assert before == (lab.names(), lab.rows("SELECT COUNT(*), MAX(id) FROM migrator.steps"))

    ran = lab.apply(plan=plan, at=[At(each(ChunkCopied), second, 2), At(phase("swap"), second)])
    ran.assert_outcome("done")
    assert len(held) == 2
    assert f"pid {os.getpid()}" in held[0].message
    assert held[0].exit_code == 75
    lab.assert_done("t")


def stopped(run: Run) -> bool:
    """True if the process is stopped by a signal."""
    return Path(f"/proc/{run.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@pytest.mark.parametrize(
    ("at", "nth", "elsewhere"),
    [
        ("ChunkCopied", 3, False),
        ("Done CREATE DEFINER", 2, False),
        ("Starting RENAME TABLE", 3, False),
        ("ChunkCopied", 3, True),
    ],
    ids=["copy", "log", "swap", "copy, taken over from another client host"],
)
def test_a_run_that_slept_past_its_lease_changes_nothing_more(
    lab: Lab, tmp_path: Path, at: str, nth: int, elsewhere: bool
) -> None:
    """Stopped (SIGSTOP) while another run takes over and finishes, then woken: it sends no statement and ends with 75.

    It is connected over TCP; the other one, from elsewhere, over the socket, which is another client host.
    """
    lab.table("t", *BY_NUMBER)
    socket = lab.server.server.socket if elsewhere else None
    plan, everything = lab.plan("t"), everything_of(BY_NUMBER[0])
    with lab.process(plan, tmp_path, at=at, nth=nth, send="SIGSTOP", lease=2.5) as run:
        try:
            until(lambda: stopped(run), "the run has stopped itself", seconds=60)
            with lab.application("t") as app:
                changes = At(phase("verify"), lambda: everything(app))
                lab.apply_when_free(plan=plan, at=[changes], socket=socket).assert_outcome("done")
            lab.assert_done("t")
            names, journal = lab.names(), lab.rows("SELECT * FROM migrator.steps")
        finally:
            run.send_signal(signal.SIGCONT)
        error = run.communicate(timeout=60)[1]
    assert run.returncode == LeaseLost.exit_code, error
    assert "LeaseLost" in error
    assert (names, journal) == (lab.names(), lab.rows("SELECT * FROM migrator.steps"))
    lab.assert_done("t")


def test_the_lease_is_free_after_a_run(lab: Lab) -> None:
    """A run that ended, well or by an error, leaves no lease behind: the next begins at once."""
    lab.table("t", *BY_NUMBER)
    for _ in range(2):
        with pytest.raises(Crash):
            lab.apply("t", at=[At(each(ChunkCopied), crash)])
    lab.apply("t").assert_outcome("done")


def test_a_paused_run_drains_and_goes_on(lab: Lab) -> None:
    """While a person has paused the run no chunk is copied, but changes of what is copied still reach the shadow."""
    lab.table("t", *BY_NUMBER)
    journal, chunks = Journal(), [0]
    with closing(lab.session()) as control, lab.application("t") as app, ExitStack() as stack:

        def count(event: Event) -> bool:
            chunks[0] += isinstance(event, ChunkCopied)
            return False

        def pause() -> None:
            journal.pause(control, paused=True)

        def check_and_go_on() -> None:
            copied = chunks[0]
            try:
                app.write("UPDATE {t} SET v = 'while paused' WHERE id <= 100", "DELETE FROM {t} WHERE id = 50")
                until(
                    lambda: lab.value("SELECT COUNT(*) FROM _t_log WHERE k1 IS NOT NULL") == 0,
                    "the drain has emptied the log",
                )
                assert lab.value("SELECT COUNT(*) FROM _t_shadow WHERE v = 'while paused'") == 9
                assert not lab.value("SELECT COUNT(*) FROM _t_shadow WHERE id = 50")
                assert chunks[0] == copied
            finally:
                journal.pause(control, paused=False)

        paused = lambda event: isinstance(event, Waiting) and "paused" in event.reason  # noqa: E731
        noticed = At(each(ChunkCopied), lambda: until(lab.pause_is_noticed, "the pause is noticed"), 3)
        beside = At(paused, lambda: stack.enter_context(Beside(check_and_go_on)))
        ran = lab.apply(
            "t", at=[At(count, crash), At(each(ChunkCopied), pause, 2), noticed, beside], defaults=lab.alone
        )
    ran.assert_outcome("done")
    assert beside.seen >= 1
    lab.assert_done("t")


@pytest.mark.parametrize("paused", [False, True], ids=["running", "paused"])
def test_a_log_that_grows_beyond_its_bound_is_given_up(lab: Lab, paused: bool) -> None:
    """More changes than the plan allows: triggers, log and shadow are taken away at once, and the application goes on."""
    lab.table("t", *BY_NUMBER)
    defaults = SMALL.model_copy(update={"log_max_entries": 1000, "workers": 1})
    with closing(lab.session()) as control, lab.application("t") as app, closing(lab.connect()) as holder:

        def write_much() -> None:
            app.write("UPDATE {t} SET v = 'much' WHERE id > 10000")
            if paused:
                Journal().pause(control, paused=True)
                until(lab.pause_is_noticed, "the pause is noticed")
            else:
                # The copy waits for this row, so that nothing of the backlog can be drained.
                with holder.cursor() as cursor:
                    cursor.execute("INSERT INTO _t_shadow (id, v) VALUES (6000, 'in the way')")

        many = At(lambda event: isinstance(event, Backlog) and event.entries > 1000, holder.rollback)
        try:
            ran = lab.apply("t", at=[At(each(ChunkCopied), write_much, 1), many], defaults=defaults)
        finally:
            if paused:
                Journal().pause(control, paused=False)
        ran.assert_outcome("given-up")
        assert ran.outcome.exit_code == 1
        assert many.seen
        app.write("UPDATE {t} SET w = 5 WHERE id = 20")
    assert lab.names() == {"t"}
    lab.assert_equal("t")
    lab.apply("t").assert_outcome("done")
    lab.assert_done("t")


def test_a_stopped_run_leaves_the_triggers_logging(lab: Lab) -> None:
    """What happens between a stop and the next run is in the log, and nothing is lost."""
    lab.table("t", *BY_NUMBER)
    stop, everything = threading.Event(), everything_of(BY_NUMBER[0])
    ran = lab.apply("t", at=[At(each(ChunkCopied), stop.set, 3)], stop=stop)
    ran.assert_outcome("stopped")
    assert ran.outcome.exit_code == 75
    with lab.application("t") as app:
        everything(app)
    assert lab.value("SELECT COUNT(*) FROM _t_log WHERE k1 IS NOT NULL") > 20
    ran = lab.apply("t")
    ran.assert_outcome("done")
    assert [e.resumed for e in ran.of(StepStarted)] == [True]
    lab.assert_done("t")


def test_steps_after_a_stop_are_left(lab: Lab) -> None:
    """A stop in one table leaves the others as they are, and says so."""
    lab.table("a", *BY_NUMBER)
    lab.table("b", *BY_NUMBER)
    stop = threading.Event()
    plan = lab.plan()
    ran = lab.apply(plan=plan, at=[At(ddl("ADD UNIQUE"), stop.set)], stop=stop)
    assert sorted(s.outcome for s in ran.outcome.steps) == ["left", "stopped"]
    assert [s.outcome for s in lab.apply(plan=plan).outcome.steps] == ["done", "done"]
    lab.assert_done("a")
    lab.assert_done("b")


def test_a_run_that_lives_is_found_from_another_client_host(lab: Lab) -> None:
    """A second run over the socket, which is another client host than the first one's, is told who is at work."""
    lab.table("t", *BY_NUMBER)
    plan = lab.plan("t")
    socket = lab.server.server.socket

    def second() -> None:
        opened = lab.session(socket=str(socket)) if socket else lab.session()
        with closing(opened) as session, pytest.raises(LeaseHeld):
            lab.apply_quietly(session, plan)

    ran = lab.apply(plan=plan, at=[At(each(ChunkCopied), second)])
    ran.assert_outcome("done")


def test_nobody_takes_over_from_a_run_whose_sessions_cannot_be_found(tmp_path: Path) -> None:
    """Without connection attributes a run that is silent keeps its lease; the error says how a person ends it."""
    with (
        start(name="no-attributes", options=["--performance-schema-session-connect-attrs-size=0"]) as server,
        least_privileged(server) as dba,
        closing(server.connect()) as root,
        root.cursor() as cursor,
    ):
        cursor.execute("CREATE DATABASE t_x")
        cursor.execute("CREATE DATABASE t_x_ledger")
        lab = Lab(server, dba, "t_x", "t_x_ledger")
        lab.table("t", *BY_NUMBER)
        plan = lab.plan("t")
        with lab.process(plan, tmp_path, at="ChunkCopied", send="SIGSTOP") as run:
            try:
                until(lambda: stopped(run), "the run has stopped itself", seconds=60)
                with pytest.raises(LeaseHeld, match="is at work"):
                    lab.apply(plan=plan)
                lab.run("UPDATE migrator.lease SET expires_at = UTC_TIMESTAMP(6) - INTERVAL 1 SECOND")
                with pytest.raises(LeaseHeld, match="does not show its sessions") as held:
                    lab.apply(plan=plan)
                assert f"process {run.pid} on host" in held.value.remedy
            finally:
                run.kill()
        cursor.execute(held.value.remedy.rpartition("then: ")[2])
        lab.apply(plan=plan).assert_outcome("done")
        lab.assert_done("t")


def test_a_stop_ends_an_index_build(lab: Lab) -> None:
    """The server's statement is ended, which may take hours else; the next run builds the indexes, and copies nothing."""
    definition = "(id INT PRIMARY KEY, a VARCHAR(200), b VARCHAR(200), c VARCHAR(200), KEY a (a), KEY b (b), KEY c (c))"
    text = "REPEAT(CONCAT(CRC32(n), '-'), 15)"
    lab.table("t", definition, f"SELECT n, {text}, {text}, {text} FROM ({NUMBERS.format(120_000)}) AS many")
    stop, beside = threading.Event(), list[Beside]()
    building = (
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE LIKE 'alter%%' AND INFO LIKE '%%_shadow%%'"
    )

    def when_it_builds() -> None:
        until(lambda: lab.value(building), "the indexes are being built", seconds=60)
        stop.set()

    adding = At(ddl("ADD KEY"), lambda: beside.append(Beside(when_it_builds).__enter__()))
    ran = lab.apply("t", at=[adding], stop=stop)
    beside[0].join()
    assert adding.seen
    assert (ran.step.outcome, ran.outcome.exit_code) == ("stopped", 75)
    assert "KEY `a`" not in lab.show_create("_t_shadow"), "it was ended, and not waited for"
    again = lab.apply("t")
    again.assert_outcome("done")
    assert not again.of(ChunkCopied)
    lab.assert_done("t")
