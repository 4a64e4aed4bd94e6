"""The file of metrics, kept current by a thread of its own: neither a full nor a hanging disk holds a run up."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from migrator.clock import Clock
from migrator.events import Event, NotBegun, RunStarted
from migrator.report.metrics import Counted, counted, last_success, metrics_text

EVERY_SECONDS: Final = 5.0

ANOTHER_IS_AT_WORK: Final = 75
"""The exit code of a call that found another run at work: the file is that run's."""

_PATIENCE_SECONDS: Final = 10.0


class MetricsFile:
    """A listener. The file is replaced in one step, with mode 0644; what goes wrong is said once."""

    def __init__(self, path: Path, clock: Clock, say: Callable[[str], None]) -> None:
        self._path = path
        self._clock = clock
        self._say = say
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._counted = Counted()
        self._said = False
        self._thread: threading.Thread | None = None

    def __call__(self, event: Event) -> None:
        """Count it. The first one that says what becomes of this call begins the file."""
        with self._lock:
            at, now = self._clock.monotonic(), self._clock.now().timestamp()
            self._counted = counted(self._counted, event, at=at, now=now)
            ours = isinstance(event, RunStarted) or (
                isinstance(event, NotBegun) and event.exit_code != ANOTHER_IS_AT_WORK
            )
            if ours and self._thread is None:
                self._thread = threading.Thread(target=self._keep, name="metrics", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Have it written a last time; not waited for longer than some seconds."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(_PATIENCE_SECONDS)

    def _keep(self) -> None:
        succeeded_at = self._of_before()
        with self._lock:
            if self._counted.succeeded_at is None:
                self._counted = replace(self._counted, succeeded_at=succeeded_at)
        while True:
            over = self._over.is_set()
            self._write()
            if over:
                return
            self._clock.wait(self._over, EVERY_SECONDS)

    def _of_before(self) -> float | None:
        try:
            return last_success(self._path.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            return None

    def _write(self) -> None:
        with self._lock:
            text = metrics_text(self._counted, self._clock.now().timestamp())
        try:
            _put(self._path, text)
        except OSError as error:
            if not self._said:
                self._said = True
                self._say(f"warning: cannot write {self._path}: {error.strerror}; the run goes on without metrics")


def _put(path: Path, text: str) -> None:
    # The collector reads what ends in .prom: a file that is half-written must not.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:64]}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fchmod(out.fileno(), 0o644)
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
