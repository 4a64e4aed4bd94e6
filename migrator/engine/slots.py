"""How many sessions of a run move or compare rows at the same time: no more than the plan's workers, and fewer while
the server is busy with others.

A run has one such number, whatever is done side by side: workers of one large table, or several smaller tables.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Slots:
    """Places for work on rows. Who finds none free waits until another one gives his back."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.now = most
        """How many may be taken at present; between 1 and `most`."""
        self._cap = most
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def one(self, check: Callable[[], None]) -> Iterator[None]:
        """A place for the body; while it waits for one, `check` is called now and then and may raise."""
        with self._changed:
            while self._taken >= min(self.now, self._cap):
                self._changed.wait(0.1)
                check()
            self._taken += 1
        try:
            yield
        finally:
            with self._changed:
                self._taken -= 1
                self._changed.notify()

    def allow(self, count: int) -> None:
        """From now on so many; what is under way comes to its end."""
        with self._changed:
            self.now = max(1, min(count, self.most))
            self._changed.notify_all()

    def wish(self, most: int) -> None:
        """From now on no more than so many, whatever there were to be; with more, they come by and by."""
        with self._changed:
            self.most = self._cap = max(1, most)
            self.now = min(self.now, self.most)
            self._changed.notify_all()

    def cap(self, count: int) -> None:
        """For the time being no more than so many, whatever `now` says."""
        with self._changed:
            self._cap = max(1, count)
            self._changed.notify_all()
