"""The course of a run: what may still be begun in this call, and why no more is."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final

from migrator.engine.bounds import MOMENT_SECONDS, Bounds
from migrator.events import Waiting
from migrator.planner.harden import LOGS
from migrator.planner.plan import Scope, Step
from migrator.planner.schedule import Took, fits
from migrator.report.values import StepOutcome
from migrator.report.words import duration
from migrator.sql_errors import SqlError

if TYPE_CHECKING:
    from migrator.engine.steps import Run

LOOK_EVERY_SECONDS: Final = 0.5
_LOGS: Final = frozenset(f"@@{name}" for name in LOGS)
ASK_EVERY_SECONDS: Final = 60.0
"""While a window is waited for the run's own session says something so often: idle ones are cut off by firewalls."""


class Course:
    """Says of each step whether it is begun. Asked and told from several lanes.

    `why_early` is why the run ended before its plan, and that it is worth while to call it again; '' if it did not.
    """

    def __init__(
        self,
        bounds: Bounds,
        *,
        took: Mapping[str, Took],
        wanted: Scope,
        waits_for_windows: bool,
        max_tables: int | None = None,
        max_failures: int | None = None,
        done_before: Collection[str] = (),
    ) -> None:
        """`done_before` are steps by name that have nothing to do any more: they do not count."""
        self.took = took
        """By step: how long it takes, where anything says."""
        self.why_early = ""
        self._bounds = bounds
        self._wanted = wanted
        self.waits_for_windows = waits_for_windows
        self._max_tables, self._max_failures = max_tables, max_failures
        self._begun: set[str] = set()
        """Tables and tablespaces, by name: what the end of a window stopped counts once."""
        self._failed = 0
        self._done_before = frozenset(done_before)
        self._why_not = self._too_many = ""
        self._for_good = False
        self._lock = threading.Lock()

    def begins(self, step: Step) -> str:
        """Count the step as begun; or why it is not, in this call or not now."""
        with self._lock:
            if not self._is_wanted(step):
                return "not begun: it is not among the tables that this call was asked for"
            if step.kind == "setting" and step.setting_name not in LOGS and self._wanted != Scope():
                return "not begun: this call was asked for certain tables; apply without them sets it"
            if not self._why_not and (over := self._bounds.over()):
                self._end(over)
            if self._why_not:
                return f"not begun: {self._why_not}"
            if too_many := self._one_too_many(step):
                self.why_early = self.why_early or too_many
                return f"not begun: {too_many}"
            took, time = self.took.get(step.name), self._bounds.time()
            if took is not None and time is not None and not fits(took, time) and took.seconds <= time.longest_seconds:
                self.why_early = self.why_early or "what is left takes longer than the time that is left"
                return f"not begun: it takes about {duration(took.seconds)}, and {duration(time.left_seconds)} are left"
            if self._counts(step):
                self._begun.add(step.name)
            return ""

    def may_begin(self, step: Step) -> bool:
        """False if this call never begins it, in whichever window; what it has begun is gone on with."""
        with self._lock:
            return self._is_wanted(step) and not self._one_too_many(step)

    def _is_wanted(self, step: Step) -> bool:
        return step.table is None or self._wanted.wants(step.table)

    def _one_too_many(self, step: Step) -> str:
        if self._max_tables is None or not self._counts(step) or step.name in self._begun:
            return ""
        if len(self._begun) >= self._max_tables:
            self._too_many = f"this call begins no more than {self._max_tables} tables"
        return self._too_many

    def _counts(self, step: Step) -> bool:
        return step.kind != "setting" and step.name not in self._done_before

    def ended(self, outcome: StepOutcome, *, is_connected: bool) -> None:
        """A step has ended: after a stop, too many failures, or without a server nothing more is begun.

        Nor after a log could not be encrypted that the plan wants encrypted: whatever follows would be written to it.
        """
        with self._lock:
            self._failed += outcome.outcome in {"failed", "person"}
            if outcome.outcome in {"failed", "person"} and outcome.subject in _LOGS:
                self._end(f"{outcome.subject} is not on, and what is copied would be written in clear", for_good=True)
            if outcome.outcome == "stopped":
                # An exclusive moment is not begun shortly before the end: that is the window's end, too.
                self._end(outcome.message, for_good=not self._bounds.over(needed_seconds=MOMENT_SECONDS))
            elif not is_connected:
                self._end(outcome.message, for_good=True)
            elif self._max_failures is not None and self._failed >= self._max_failures:
                self._end(f"{self._failed} steps failed, and the plan allows no more", for_good=True)

    def closed(self, why: str) -> None:
        """Nothing is begun at all."""
        with self._lock:
            self._end(why, for_good=True)

    def goes_on(self, run: Run) -> bool:
        """Wait for the next window, if that is what ended this one and the run may; False if the run is over."""
        if self._for_good or not self.why_early or not self.waits_for_windows or self._bounds.over_for_good():
            return False
        if not wait_for_next(run):
            return False
        with self._lock:
            self._why_not = ""
            self.why_early = self._too_many  # which holds in every window
        return True

    def _end(self, why: str, *, for_good: bool = False) -> None:
        if not self._why_not:
            self._why_not = why
            self._for_good = for_good
        self.why_early = self.why_early or self._why_not


def wait_for_next(run: Run) -> bool:
    """Wait until the window that is open now, if one is, has ended and the next one is open: see `wait_until_open`."""
    while not run.bounds.over():
        left = run.bounds.time()
        if left is None or _wait(run, left.left_seconds):
            return False
    return wait_until_open(run)


def wait_until_open(run: Run) -> bool:
    """Wait until a window is open; False if the run is stopped before. Parked tables are drained meanwhile.

    Locks nothing. Raises `LeaseLost` if another run has taken over.
    """
    if not run.bounds.seconds_until_open():
        return True
    why = run.bounds.over()
    run.lease.tell("window", why)
    run.listen(Waiting("", why, 0.0))
    began = asked = run.clock.monotonic()
    try:
        while (left := run.bounds.seconds_until_open()) > 0:
            if _wait(run, left):
                return False
            if run.clock.monotonic() - asked > ASK_EVERY_SECONDS:
                asked = run.clock.monotonic()
                run.listen(Waiting("", why, asked - began))
                _stay_connected(run)
    finally:
        run.lease.tell("window", "")
    return True


def _wait(run: Run, seconds: float) -> bool:
    """Wait a little, no longer than that; True if the run is stopped."""
    run.lease.check()
    return run.clock.wait(run.stop, min(max(seconds, 0.01), LOOK_EVERY_SECONDS))


def _stay_connected(run: Run) -> None:
    try:
        run.session.run("DO 1")
    except SqlError as error:
        if not error.link_lost:
            raise
        run.session.reconnect()
