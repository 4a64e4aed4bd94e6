"""What the application may know of a run: its phase, and when it waits. Threads hold transactions open by it."""

from __future__ import annotations

import threading
import time

from migrator.events import Event, Moment, PhaseStarted, Waiting


class Stage:
    """Told each event of a run; threads wait here for what comes next."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.phase = "before"
        self.moments = 0
        """Exclusive moments so far."""
        self.waits = 0
        """How often the run said that it waits for somebody."""
        self.calm = False
        """Nobody may meet duplicates any more: on a relayed table that throws a move away."""

    def meet(self, event: Event) -> None:
        """Note an event."""
        with self._changed:
            if isinstance(event, PhaseStarted):
                self.phase = event.phase
            elif isinstance(event, Moment):
                self.moments += 1
            elif isinstance(event, Waiting):
                self.waits += 1
            self._changed.notify_all()

    def over(self) -> None:
        """The run is at its end."""
        with self._changed:
            self.phase = "after"
            self._changed.notify_all()

    def hold(self, seconds: float, *, moments: int = 0, waits: int = 0) -> float:
        """Wait until so many more exclusive moments or waits were told, or the run is over; how long that took."""
        began = time.monotonic()
        with self._changed:
            moments, waits = self.moments + (moments or 10**9), self.waits + (waits or 10**9)
            self._changed.wait_for(
                lambda: self.moments >= moments or self.waits >= waits or self.phase == "after", timeout=seconds
            )
        return time.monotonic() - began

    def reach(self, *phases: str, seconds: float = 30.0) -> None:
        """Wait until the run is in one of these phases, or over."""
        with self._changed:
            self._changed.wait_for(lambda: self.phase in {*phases, "after"}, timeout=seconds)
