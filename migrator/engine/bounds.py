"""Until when a run may work: maintenance windows, and the budget of the call."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from migrator.clock import Clock, SystemClock
from migrator.errors import OutsideWindow
from migrator.planner.schedule import Time
from migrator.planner.windows import Closed, Open, Window, longest_seconds, look, parse_window

MOMENT_SECONDS: Final = 2.0
"""An exclusive moment is begun no later than this before the end; most take some tens of milliseconds."""


class Bounds:
    """Windows by this machine's clock and the time zones that they name; a budget from the making of this on.

    May be asked from any thread.
    """

    def __init__(
        self, windows: Sequence[str] = (), *, budget_seconds: float | None = None, clock: Clock | None = None
    ) -> None:
        self._windows: tuple[Window, ...] = tuple(map(parse_window, windows))
        self._budget = budget_seconds
        self._clock = clock or SystemClock()
        self._began = self._clock.monotonic()
        self._now: Open | Closed | None = None

    def window(self) -> Open | Closed | None:
        """What the windows say of this instant; None where there are none, so that any time will do."""
        if not self._windows:
            return None
        now, known = self._clock.now(), self._now
        if known is None or now >= known.until:
            known = self._now = look(self._windows, now)
        return known

    def budget_left(self) -> float | None:
        """Seconds of the budget; None if there is none."""
        return None if self._budget is None else self._began + self._budget - self._clock.monotonic()

    def over(self, *, needed_seconds: float = 0.0) -> str:
        """Why nothing more may be done now, or nothing that takes so long; '' while it may."""
        left = self.budget_left()
        if left is not None and left <= needed_seconds:
            return f"the budget of this call is used up ({self._budget:g} s)"
        match self.window():
            case Closed(begins, text):
                return f"outside of the maintenance windows: the next one, {text}, begins at {_utc(begins)}"
            case Open(until, texts) if (until - self._clock.now()).total_seconds() <= needed_seconds:
                return f"too little is left of the maintenance window {' and '.join(texts)}: it ends at {_utc(until)}"
        return ""

    def over_for_good(self) -> bool:
        """True if the budget ends before any window is open again."""
        left = self.budget_left()
        return left is not None and left <= self.seconds_until_open()

    def check(self, *, needed_seconds: float = 0.0) -> None:
        """Raise `OutsideWindow` if nothing more may be done, or nothing that takes so long."""
        if why := self.over(needed_seconds=needed_seconds):
            raise OutsideWindow(
                why, remedy="apply again goes on; what was made so far stays, and any triggers write on"
            )

    def time(self) -> Time | None:
        """How much time is left, and the longest that there is at once; None where there is no bound."""
        left, windows = self.budget_left(), self.window()
        longest = left
        if isinstance(windows, Open):
            until = (windows.until - self._clock.now()).total_seconds()
            left = until if left is None else min(left, until)
            usual = longest_seconds(self._windows)
            longest = usual if self._budget is None else min(usual, self._budget)
        elif self._budget is not None:
            longest = self._budget
        return None if left is None or longest is None else Time(left, longest)

    def seconds_until_open(self) -> float:
        """How long until a window is open; 0 if one is."""
        now = self.window()
        return max((now.until - self._clock.now()).total_seconds(), 0.0) if isinstance(now, Closed) else 0.0


UNBOUNDED: Final = Bounds()
"""For what may be done at any time: to take away what is ours, to look, to rehearse."""


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
