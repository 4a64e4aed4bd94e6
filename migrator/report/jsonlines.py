"""Events as JSON lines on a stream, each flushed at once: what was heard before a crash is there."""

from __future__ import annotations

import threading
from typing import TextIO

from migrator.clock import Clock
from migrator.events import Event
from migrator.report.documents import event_line


class JsonLines:
    """A listener that writes each event as one line; `at` is the listener's clock, UTC."""

    def __init__(self, out: TextIO, clock: Clock) -> None:
        self._out = out
        self._clock = clock
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Write and flush one line."""
        with self._lock:
            self._out.write(event_line(event, self._clock.now()))
            self._out.flush()
