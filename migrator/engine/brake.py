"""The brake of a run: whether work may be begun, and how much of it at a time.

Set by the throttle from its own thread, asked by all others. A verdict that is too old stops the work: then nobody
knows what the server suffers.
"""

from __future__ import annotations

from typing import Final

from migrator.clock import Clock, SystemClock
from migrator.errors import Stopped
from migrator.planner.throttle import NOTHING, Verdict, places_of

STALE_AFTER_SECONDS: Final = 10.0
"""A verdict is good for so long."""

SMALLEST_CHUNK: Final = 0.2
"""Chunks are made smaller near a limit, down to this part of what they should take."""

SHORTEST_CHUNK_SECONDS: Final = 0.05
LONGEST_PAUSE_SECONDS: Final = 2.0


class Brake:
    """Free until somebody sets a verdict."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._verdict, self._set_at, self._working = NOTHING, 0.0, 1.0
        self._on = False

    def set(self, verdict: Verdict, *, most: int, pace: float = 1.0) -> int:
        """What is so from now on, with `pace` the largest share of work; gives how many of `most` workers may work."""
        places, working = places_of(min(verdict.share, pace), most)
        self._verdict, self._working, self._set_at, self._on = verdict, working, self._clock.monotonic(), True
        return places

    def off(self) -> None:
        """Nobody looks any more."""
        self._on = False
        self._verdict, self._working = NOTHING, 1.0

    @property
    def held(self) -> str:
        """Why nothing is begun now, in a few words that stay the same while it is so; '' where work may go on."""
        if not self._on:
            return ""
        if self._clock.monotonic() - self._set_at > STALE_AFTER_SECONDS:
            return "throttled: what the server suffers could not be looked at for some time"
        names = sorted(self._verdict.exceeded)
        return f"throttled: {', '.join(names)}" if names else ""

    @property
    def signal(self) -> str:
        """By which the work is held or slowed, the strongest; '' where there is none."""
        return self._verdict.pressures[0].signal if self._on and self._verdict.pressures else ""

    def check(self) -> None:
        """Raise `Stopped` if a critical limit is exceeded."""
        if critical := self._verdict.critical:
            raise Stopped(
                f"{critical}; what was made so far stays, and any triggers go on writing",
                remedy="apply again at a quieter time to go on",
            )

    def chunk_seconds(self, wanted: float) -> float:
        """How long a chunk should take instead: near a limit it is smaller, so that it is over soon."""
        share = max(self._verdict.share, SMALLEST_CHUNK)
        return wanted if share >= 1.0 else max(min(wanted, SHORTEST_CHUNK_SECONDS), wanted * share)

    def pause_after(self, seconds: float) -> float:
        """How long to do nothing after a chunk that took so long."""
        working = self._working
        return 0.0 if working >= 1.0 else min(LONGEST_PAUSE_SECONDS, seconds * (1 / working - 1))
