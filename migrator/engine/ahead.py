"""How far a run is in its plan, and what comes next: told to the journal, for whoever looks from elsewhere.

The journal knows only the steps that were begun.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from itertools import islice
from typing import Final

from migrator.clock import Clock
from migrator.events import ChunkCopied, ChunkVerified, Event, RunStarted, SetAside, StepEnded, StepStarted
from migrator.planner.order import run_order
from migrator.planner.plan import Plan
from migrator.report.eta import time_left
from migrator.report.seen import Seen, after
from migrator.report.values import AheadStatus, Span

NAME: Final = "ahead"
"""Under this name it stands in the journal among what the run says of itself."""

_EVERY_SECONDS: Final = 1.0
_NEXT: Final = 3


class Ahead:
    """A listener that tells how far the run is, once a second at most. One event at a time."""

    def __init__(self, plan: Plan, tell: Callable[[str, str], None], clock: Clock) -> None:
        in_order = run_order(plan.steps, plan.defaults.order)
        self._waiting = dict.fromkeys(step.name for step in in_order if step.changes_something)
        self._tell = tell
        self._clock = clock
        self._seen = Seen()
        self._ended: Counter[str] = Counter()
        self._told = float("-inf")

    def __call__(self, event: Event) -> None:
        """Hear one event."""
        at = self._clock.monotonic()
        self._seen = after(self._seen, event, at)
        if isinstance(event, StepStarted | StepEnded):
            self._waiting.pop(event.subject, None)
        if isinstance(event, StepEnded):
            self._ended[event.outcome] += 1
        is_news = isinstance(event, RunStarted | StepStarted | StepEnded | SetAside)
        if is_news or (isinstance(event, ChunkCopied | ChunkVerified) and at - self._told > _EVERY_SECONDS):
            self._told = at
            self._tell(NAME, self._text())

    def _text(self) -> str:
        seen = self._seen
        left = time_left(seen.samples, seen.bytes_total)
        return json.dumps(
            {
                "steps": seen.steps_total,
                "ended": dict(self._ended),
                "bytes": seen.bytes_total,
                "bytes_done": int(seen.bytes_done),
                "left": [left.low, left.high] if left else None,
                "next": list(islice(self._waiting, _NEXT)),
                "not_begun": len(self._waiting),
            }
        )


def ahead_of(text: str) -> AheadStatus | None:
    """What the text says; None if it is not whole."""
    try:
        said = json.loads(text)
        left = said["left"]
        return AheadStatus(
            steps=int(said["steps"]),
            ended={str(outcome): int(number) for outcome, number in said["ended"].items()},
            bytes=int(said["bytes"]),
            bytes_done=int(said["bytes_done"]),
            left=Span(float(left[0]), float(left[1])) if left else None,
            next=tuple(map(str, said["next"])),
            not_begun=int(said["not_begun"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
