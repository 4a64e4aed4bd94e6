"""Who hears what a run does: progress, JSON lines, metrics, hooks; and that each hears how it ended.

Hooks are commands, so they come from the command line only: a plan travels between hosts and people, and whoever may
edit one must not get a shell by it.
"""

from __future__ import annotations

import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from migrator.cli_call import BUG, Signalled, StopSignal, say, to_nowhere
from migrator.clock import SystemClock
from migrator.errors import Failed, Interrupted, MigratorError, Stopped, UsageError
from migrator.events import Event, HookFailed, Listener, NotBegun, RunEnded, RunStarted, StepEnded
from migrator.report.hooks import CALLED_FOR, Hook
from migrator.report.jsonlines import JsonLines
from migrator.report.metrics_file import MetricsFile
from migrator.report.progress import Progress, progress
from migrator.sql_errors import SqlError

HOOK_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the options of `apply` say about listeners."""

    events: bool = False
    hooks: tuple[tuple[str, ...], ...] = ()
    hook_seconds: float = HOOK_SECONDS
    hook_must_succeed: bool = False
    metrics_file: Path | None = None


def listening(
    events: bool, hooks: list[str] | None, hook_timeout: float | None, must_succeed: bool, metrics_file: Path | None
) -> Wanted:
    """The options as values; raises `UsageError` for a command that cannot be split into words."""
    seconds = HOOK_SECONDS if hook_timeout is None else hook_timeout
    if seconds <= 0:
        raise UsageError("--hook-timeout is 0", remedy="write a time, such as 30s")
    return Wanted(events, tuple(_words(text) for text in hooks or ()), seconds, must_succeed, metrics_file)


def _words(text: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"--hook: {error}", remedy="quote it as for a shell; none is used") from None
    if not words or not words[0]:
        raise UsageError("--hook names no command", remedy="name a program, with its arguments")
    return words


class Listeners:
    """All who hear of one call of `apply`; a context manager around it."""

    def __init__(self, wanted: Wanted, stop: StopSignal) -> None:
        self.shown: Progress = progress(sys.stderr, SystemClock())
        self.began = False
        """A run has begun, so something may have been changed."""
        self.hook_failures = 0
        self._lock = threading.Lock()
        self._must_succeed = wanted.hook_must_succeed
        self._stop = stop
        self._start: RunStarted | None = None
        self._outcomes: list[str] = []
        self._ended = False
        self._closed = False
        self._hooks = [
            Hook(words, seconds=wanted.hook_seconds, clock=SystemClock(), say=say, failed=self._hook_failed)
            for words in wanted.hooks
        ]
        self._seconds = wanted.hook_seconds
        self._metrics = MetricsFile(wanted.metrics_file, SystemClock(), say) if wanted.metrics_file else None
        self._json = JsonLines(sys.stdout, SystemClock()) if wanted.events else None

    def __call__(self, event: Event) -> None:
        """Tell them all. Raises what stdout raises, and `Failed` if a hook that must succeed fails at the start."""
        self._note(event)
        self._show(event)
        if self._metrics is not None:
            self._metrics(event)
        if self._json is not None:
            self._json(event)
        calls = [hook.call(event) for hook in self._hooks if _calls_for(event)]
        if self._must_succeed and isinstance(event, RunStarted):
            for call in calls:
                call.over.wait(self._seconds + 5)
            if any(not call.over.is_set() or call.why_not for call in calls):
                raise Failed(
                    "a hook failed at the start of the run, and hooks must succeed; no table was touched",
                    remedy="see why it failed, above; or leave --hook-must-succeed out",
                )
        self.began = self._start is not None

    @contextmanager
    def hearing(self) -> Iterator[Listener]:
        """While this is open, an error that ends the call is heard of by all; then it goes its way."""
        try:
            yield self
        except BaseException as error:
            if not self._ended:
                self._tell_the_end(_code_of(error), _words_of(error))
            raise

    def close(self) -> None:
        """Take the bars off, wait for the hooks, write the metrics a last time. Safe to repeat."""
        if self._closed:
            return
        self._closed = True
        self.shown.close()
        try:
            for hook in self._hooks:
                hook.close()
        finally:  # a signal may end the wait for a hook
            if self._metrics is not None:
                self._metrics.close()
        if self.hook_failures:
            say(f"warning: hooks failed {self.hook_failures} time(s), see above")

    def exit_code(self, exit_code: int) -> int:
        """The process's: where hooks must succeed and one has not, 75 instead of 0 and 1, so that it is tried again."""
        return Stopped.exit_code if self._must_succeed and self.hook_failures and exit_code in {0, 1} else exit_code

    def _note(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._start = event
            case StepEnded():
                self._outcomes.append(event.outcome)
            case RunEnded() | NotBegun():
                self._ended = True
            case _:
                pass

    def _show(self, event: Event) -> None:
        """Progress is for people: a terminal that was closed, or a full disk, is no reason to end a run."""
        try:
            self.shown(event)
        except OSError:
            to_nowhere(sys.stderr)

    def _hook_failed(self, event: HookFailed) -> None:
        """Called by the hooks' threads."""
        if self._must_succeed:
            self._stop.set()  # first: whoever reads our stdout may take his time
        with self._lock:
            self.hook_failures += 1
        self._show(event)
        if self._metrics is not None:
            self._metrics(event)
        if self._json is not None:
            with suppress(OSError):  # the run meets it with its next event
                self._json(event)

    def _tell_the_end(self, exit_code: int, reason: str) -> None:
        if self._start is None:
            end: Event = NotBegun("", exit_code, reason)
        else:
            count = self._outcomes.count
            done, failed = count("done"), count("failed") + count("person") + count("given-up")
            skipped = count("skipped")
            left = max(0, self._start.steps - done - failed - skipped)
            end = RunEnded("", self._start.run_id, exit_code, done, skipped, 0, failed, left, 0.0, reason)
        with suppress(OSError):
            self(end)


def _calls_for(event: Event) -> bool:
    return type(event).__name__ in CALLED_FOR


def _code_of(error: BaseException) -> int:
    """The exit code that `cli_call.exit_code_of` will give for it."""
    match error:
        case Interrupted():
            return error.signal_exit_code
        case MigratorError():
            return error.exit_code
        case SqlError() | OSError():
            return Failed.exit_code
        case Signalled():
            return 128 + error.number
        case KeyboardInterrupt():
            return 128 + signal.SIGINT
        case _:
            return BUG


def _words_of(error: BaseException) -> str:
    """Why, without anything that could hold a value."""
    match error:
        case MigratorError():
            return error.message
        case SqlError():
            return f"the server said no: {error}"
        case OSError():
            return "the operating system said no"
        case KeyboardInterrupt():
            return "interrupted"
        case _:
            return f"{type(error).__name__}: a bug in migrator"
