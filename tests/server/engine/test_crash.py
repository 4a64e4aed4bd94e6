"""Whenever a run dies or is stopped, nothing is lost, and the next one goes on."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from migrator.events import (
    Backlog,
    ChunkCopied,
    ChunkVerified,
    DdlDone,
    DdlStarting,
    Event,
    PhaseEnded,
    PhaseStarted,
    StepStarted,
)
from migrator.model import Method
from tests.server.engine.kit import WEIRD, At, Beside, Crash, Do, Lab, crash, ddl, each, phase
from tests.server.engine.test_rows import BY_NUMBER, BY_TEXT, everything_of


def place(event: Event) -> str:
    """Where in the story an event is: its type, and what it is about."""
    detail = ""
    if isinstance(event, PhaseStarted | PhaseEnded):
        detail = event.phase
    elif isinstance(event, DdlStarting | DdlDone):
        detail = event.statement
    return f"{type(event).__name__} {detail}"


class Everywhere:
    """Says where to end a run: at the first place where no run has ended yet."""

    def __init__(self) -> None:
        self.places: list[str] = []
        self._before: Event | None = None

    def __call__(self, event: Event) -> bool:
        before, self._before = self._before, event
        here = place(event)
        often = 3 if isinstance(event, ChunkCopied | ChunkVerified | Backlog) else 1
        # Between the end of one thing and the beginning of the next nothing happens.
        same = isinstance(before, DdlDone | PhaseEnded) and isinstance(event, DdlStarting | PhaseStarted)
        if same or self.places.count(here) >= often:
            return False
        self.places.append(here)
        return True


def go_on_until_done(lab: Lab, everywhere: Everywhere, end: Do, stop: threading.Event) -> None:
    """Apply again and again, the application writing in between; each run ends at a place where none has before."""
    lab.table("t", *BY_TEXT)
    everything, plan = everything_of(BY_TEXT[0]), lab.plan("t")
    with lab.application("t") as app:
        while True:
            stop.clear()
            try:
                ran = lab.apply(plan=plan, at=[At(everywhere, end, nth=0)], stop=stop)
                if ran.outcome.exit_code == 0:
                    break
                assert ran.step.outcome == "stopped", ran.step
            except Crash:
                pass
            n = len(everywhere.places)
            app.write(f"UPDATE {{t}} SET v = 'after run {n}' WHERE b = {n}", f"DELETE FROM {{t}} WHERE b = {2000 + n}")
            app.write(
                f"UPDATE {{t}} SET a = 'zz' WHERE b = {100 + n}", f"UPDATE {{t}} SET a = UPPER(a) WHERE b = {300 + n}"
            )
            if n % 4 == 0:
                everything(app)
    lab.assert_done("t")


def test_a_crash_at_every_event(lab: Lab) -> None:
    """A run that dies at any event is gone on with, the application writing in between, and no row is lost."""
    everywhere = Everywhere()
    go_on_until_done(lab, everywhere, crash, threading.Event())
    words = " ".join(everywhere.places)
    for wanted in ("Done CREATE TABLE", "ChunkCopied", "ADD UNIQUE", "_mirror_del", "_t_retained`", "Retained"):
        assert wanted in words, f"no run was ended at {wanted}"


def test_a_stop_at_every_event(lab: Lab) -> None:
    """Whenever a person stops a run, it ends at a safe point, is told to be stopped (75), and the next one goes on."""
    everywhere, stop = Everywhere(), threading.Event()
    go_on_until_done(lab, everywhere, stop.set, stop)
    assert len(everywhere.places) > 8


@pytest.mark.parametrize(
    ("at", "nth"),
    [("ChunkCopied", 3), ("Starting ALTER TABLE", 2), ("Done CREATE DEFINER", 4), ("Done RENAME", 3)],
    ids=["copy", "index", "half of the mirror", "swapped"],
)
def test_a_process_that_is_killed(lab: Lab, tmp_path: Path, at: str, nth: int) -> None:
    """After SIGKILL the application goes on without an error, and the next run, once the lease is over, finishes."""
    lab.table(WEIRD, *BY_NUMBER)
    plan, everything = lab.plan(WEIRD), everything_of(BY_NUMBER[0])
    with lab.process(plan, tmp_path, at=at, nth=nth, lease=3.0) as run:
        assert run.wait(60) == -9, run.communicate()
    with lab.application(WEIRD) as app:
        everything(app)
        everything(app)
    ran = lab.apply_when_free(plan=plan)
    ran.assert_outcome("done")
    assert any(event.resumed for event in ran.of(StepStarted))
    lab.assert_done(WEIRD)


def test_a_chunk_and_its_cursor_are_one(lab: Lab) -> None:
    """The rows in the shadow are always those that the journal says are copied, at every chunk."""
    lab.table("t", *BY_NUMBER)

    def look() -> None:
        with_cursor = lab.value("SELECT SUM(rows_copied) FROM migrator.`ranges`")
        assert lab.value("SELECT COUNT(*) FROM _t_shadow") == with_cursor

    ran = lab.apply("t", at=[At(each(ChunkCopied), look, nth=0)], defaults=lab.alone)
    ran.assert_outcome("done")


def test_a_chunk_is_never_half_there(lab: Lab) -> None:
    """Seen from another session, rows and cursor appear together: a reader beside the copy never sees one without the other."""
    lab.table("t", *BY_NUMBER)
    apart: list[tuple[int, int]] = []
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            # One statement, one snapshot.
            rows = lab.rows("SELECT (SELECT COUNT(*) FROM _t_shadow), (SELECT SUM(rows_copied) FROM migrator.`ranges`)")
            if rows[0][1] is not None and rows[0][0] != rows[0][1]:
                apart.append(rows[0])

    with ExitStack() as stack:
        stack.callback(over.set)
        at = [At(phase("copy"), lambda: stack.enter_context(Beside(read))), At(phase("copy", ended=True), over.set)]
        ran = lab.apply("t", at=at)
    ran.assert_outcome("done")
    assert not apart


def test_another_method_takes_down_what_a_copy_left(lab: Lab) -> None:
    """A copy that was interrupted and a new plan that alters directly: nothing of the copy is left behind."""
    lab.table("t", *BY_NUMBER)
    with pytest.raises(Crash):
        lab.apply("t", at=[At(each(ChunkCopied), crash, 2)])
    plan = lab.plan("t", direct=True)
    assert plan.steps[0].method is Method.DIRECT_ALTER
    ran = lab.apply(plan=plan)
    ran.assert_outcome("done")
    lab.assert_done("t")


def test_a_new_plan_finishes_what_a_crash_after_the_swap_left(lab: Lab) -> None:
    """After a crash right behind RENAME the table is encrypted; a new plan or a cleanup leaves no trigger and no log."""
    lab.table("t", *BY_NUMBER)
    with pytest.raises(Crash):
        lab.apply("t", at=[At(ddl("_retained`", done=True), crash)])
    lab.apply("t")
    lab.assert_done("t")
