"""Steps that are put aside so that they keep no other waiting, and taken up again later.

A table whose free instant, or whose swap, does not come within half a minute; and a copy that is ready to be
swapped while a person wants swaps postponed. Nothing of it is lost: its triggers stay, its log is drained
meanwhile (`parked`), and a mirrored copy stays equal by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

from migrator.errors import PutAside
from migrator.planner.control import Control
from migrator.planner.plan import Step
from migrator.report.values import StepOutcome

ASIDE_AFTER_SECONDS: Final = 30.0
"""A table that waits for longer lets others go first; when it is taken up again it may wait twice as long."""

MOMENT: Final = "moment"
OLDER: Final = "older transactions"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a step may wait in this turn before others go first, and what it has waited in earlier turns."""

    seconds: float | None = None
    """None: as long as the plan's limits say."""
    what: str = ""
    """What was waited for when it was put aside last: `MOMENT` or `OLDER`."""
    spent: float = 0.0
    """And for how long, in all."""

    def before(self, what: str) -> float:
        """Seconds that were waited for this in earlier turns of the step."""
        return self.spent if what == self.what else 0.0

    def is_over(self, what: str, waited: float) -> bool:
        """True if others should go first after so long (in all turns)."""
        return self.seconds is not None and waited - self.before(what) >= self.seconds


def postponed(control: Control, *, by_plan: bool) -> bool:
    """True if swaps are to wait: what people asked of the run goes over what the plan or the command line says."""
    return by_plan if control.wishes.postpone_swap is None else control.wishes.postpone_swap


@dataclass(frozen=True, slots=True)
class Put:
    """A step that was put aside."""

    step: Step
    why: PutAside
    times: int


class Aside:
    """The steps that are aside now, in the order in which they came. Used by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._put: dict[str, Put] = {}
        self._times: dict[str, int] = {}
        self._patience: dict[str, Patience] = {}
        self._first = Patience()

    def others_follow(self) -> None:
        """From now on no step waits for longer than half a minute in its turn: others are to be done."""
        self._first = Patience(ASIDE_AFTER_SECONDS)

    def clear(self) -> None:
        """All have a turn anew."""
        with self._lock:
            self._put.clear()

    def patience(self, step: Step) -> Patience:
        """How long a step may wait in its turn that begins now."""
        with self._lock:
            return self._patience.get(step.name, self._first)

    def put(self, step: Step, why: PutAside) -> None:
        """Put a step aside."""
        with self._lock:
            times = self._times[step.name] = self._times.get(step.name, 0) + 1
            self._put[step.name] = Put(step, why, times)

    def has(self, step: Step) -> bool:
        """True if the step is aside: not while it has a turn."""
        with self._lock:
            return step.name in self._put

    def waiting(self) -> list[Put]:
        """All that are aside."""
        with self._lock:
            return list(self._put.values())

    def begin_again(self, put: Put, *, alone: bool) -> None:
        """Its turn comes again: with twice the patience, or, where no other waits, with all that the plan allows."""
        seconds = None if alone else ASIDE_AFTER_SECONDS * 2**put.times
        with self._lock:
            self._patience[put.step.name] = Patience(seconds, put.why.what, put.why.seconds)
            del self._put[put.step.name]


class AtWork(Protocol):
    """The run, as far as it matters here."""

    @property
    def aside(self) -> Aside:
        """Its steps that are aside."""

    def may_swap(self) -> bool:
        """True unless swaps are postponed now."""

    def ends(self) -> bool:
        """True if nothing more is to be begun."""

    def wait_for_word(self, ready: int) -> bool:
        """Wait for some time until something has changed; False if nobody is to wait for that."""


def take_up(
    run: AtWork, outcomes: Mapping[str, StepOutcome], again: Callable[[Step], StepOutcome]
) -> dict[str, StepOutcome]:
    """Do the steps that are aside until none is left, each in its turn; gives the outcomes with theirs.

    Where all of them are copies that wait to be told to swap, the run waits for that word, or ends with them as they
    are. The end of a window and a stop leave them as they are, too.
    """
    found = dict(outcomes)
    while not run.ends() and (waiting := run.aside.waiting()):
        ready = [put for put in waiting if put.why.what or run.may_swap()]
        if not ready and not run.wait_for_word(len(waiting)):
            break
        for put in ready:
            if run.ends():
                break
            run.aside.begin_again(put, alone=len(ready) == 1)
            found[put.step.name] = _both(found[put.step.name], again(put.step))
    return found


def _both(before: StepOutcome, now: StepOutcome) -> StepOutcome:
    return replace(
        now,
        seconds=before.seconds + now.seconds,
        rows=max(before.rows, now.rows),
        moments=(*before.moments, *now.moments),
        evicted=(*before.evicted, *now.evicted),
    )
