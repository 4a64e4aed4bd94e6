"""Commands that are called when something has happened: each in a thread of its own, never waited for by a run.

A command gets the event as one line of JSON on its stdin, as `--events` writes it, and the event's name in
the variable MIGRATOR_EVENT. It is run without a shell, in a process group of its own, which is ended with all that
it started when the command ends or its time is up. Nothing here raises.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import IO, Final

from migrator.clock import Clock
from migrator.events import Event, HookFailed
from migrator.report.documents import event_line

CALLED_FOR: Final = ("NotBegun", "RunStarted", "StepEnded", "SetAside", "Evicted", "Throttled", "RunEnded")
"""Names of events; the others come too often, or tell nobody what to do."""

WAITING_AT_MOST: Final = 100
"""So many events may wait for a slow hook; then the oldest is passed over."""

LINES_AT_MOST: Final = 50
"""Of what a hook says in one call."""

LINE_LENGTH_AT_MOST: Final = 500

_SECRET: Final = re.compile(r"^MYSQL_|PASSW|PASSPHRASE|_PWD$|SECRET", re.IGNORECASE)
"""Names of variables that a hook does not inherit."""


def environment_of(ours: Mapping[str, str], event: Event) -> dict[str, str]:
    """What a hook finds in its environment: ours without what could be a password, and the event's name."""
    return {name: value for name, value in ours.items() if not _SECRET.search(name)} | {
        "MIGRATOR_EVENT": type(event).__name__
    }


@dataclass(slots=True)
class Called:
    """One call of a hook: asked for, and over when `over` is set; `why_not` says what went wrong, or ''."""

    event: Event
    line: str
    over: threading.Event = field(default_factory=threading.Event)
    why_not: str = ""


class Hook:
    """One command, called for one event after the other."""

    def __init__(
        self,
        words: Sequence[str],
        *,
        seconds: float,
        clock: Clock,
        say: Callable[[str], None],
        failed: Callable[[HookFailed], None],
    ) -> None:
        self._words = tuple(words)
        self._seconds = seconds
        self._clock = clock
        self._say = say
        self._failed = failed
        self._waiting: deque[Called] = deque()
        self._changed = threading.Condition()
        self._passed_over = 0
        self._closing = False
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None

    @property
    def name(self) -> str:
        """The program, without its arguments: these could hold a secret."""
        return PurePath(self._words[0]).name

    def call(self, event: Event) -> Called:
        """Have the command called for an event, when those before are done. Returns at once."""
        called = Called(event, event_line(event, self._clock.now()))
        with self._changed:
            if len(self._waiting) >= WAITING_AT_MOST:
                self._pass_over()
            self._waiting.append(called)
            self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=f"hook {self.name}", daemon=True)
                self._thread.start()
        return called

    def close(self) -> None:
        """Wait for the calls that are asked for: as long as one may take; after that only for the last one."""
        if self._thread is None:
            return
        with self._changed:
            self._closing = True
            self._changed.notify()
        try:
            self._thread.join(self._seconds)
            with self._changed:
                while len(self._waiting) > 1:
                    self._pass_over()
            self._thread.join(2 * self._seconds + 5)
        finally:
            process = self._process
            if self._thread.is_alive() and process is not None:
                _end_group(process)

    def _pass_over(self) -> None:
        called = self._waiting.popleft()
        called.why_not = "passed over"
        called.over.set()
        self._passed_over += 1

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closing:
                    self._changed.wait()
                passed_over, self._passed_over = self._passed_over, 0
                called = self._waiting.popleft() if self._waiting else None
            if passed_over:
                self._failed(
                    HookFailed("", self.name, "", f"it is too slow: it was not called for {passed_over} events")
                )
            if called is None:
                return
            why_not = self._run(called)
            if why_not:
                called.why_not = why_not
                self._failed(HookFailed(called.event.subject, self.name, type(called.event).__name__, why_not))
            called.over.set()

    def _run(self, called: Called) -> str:
        """Call the command to its end; gives why it failed, or ''."""
        try:
            process = subprocess.Popen(
                self._words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment_of(os.environ, called.event),
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return f"it cannot be run: {getattr(error, 'strerror', None) or type(error).__name__}"
        self._process = process
        assert process.stdin is not None and process.stdout is not None  # noqa: S101 - both are pipes
        late = threading.Event()

        def end() -> None:
            late.set()
            _end_group(process)

        limit = threading.Timer(self._seconds, end)
        limit.daemon = True
        limit.start()
        reader = threading.Thread(target=self._pass_on, args=(process.stdout,), daemon=True)
        reader.start()
        try:
            # A hook need not read what it is told: whether the pipe breaks is its own business.
            with suppress(OSError):
                process.stdin.write(called.line.encode())
            with suppress(OSError):
                process.stdin.close()
            code = process.wait()
        finally:
            limit.cancel()
            _end_group(process)
            _reap_group(process)
            self._process = None
            reader.join(1.0)  # what has left the group may keep the pipe open for ever
        if late.is_set():
            return f"it was ended after {self._seconds:g} s"
        if code < 0:
            return f"it was ended by signal {-code}"
        return f"it ended with exit code {code}" if code else ""

    def _pass_on(self, out: IO[bytes]) -> None:
        """What the hook says, line by line, marked as its words; no more than is bearable."""
        lines = 0
        with out:
            while line := out.readline(LINE_LENGTH_AT_MOST):
                lines += 1
                if lines <= LINES_AT_MOST:
                    self._say(f"hook {self.name}: {line.decode(errors='replace').rstrip()}")
                elif lines == LINES_AT_MOST + 1:
                    self._say(f"hook {self.name}: (it says more, which is not shown)")


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End a hook's process and all that it started, but for what has left its group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _reap_group(process: subprocess.Popen[bytes]) -> None:
    """Where we are process 1, of a container, what the hook left behind is ours to bury."""
    if os.getpid() != 1:
        return
    with suppress(ChildProcessError):
        while True:
            os.waitpid(-process.pid, 0)
