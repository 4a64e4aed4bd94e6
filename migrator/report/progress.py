"""Progress on stderr: bars on a terminal, lines at a sane interval otherwise. Both are listeners.

Everything that is shown is made by `seen`; here is only when and where it is shown.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Final, NoReturn, Protocol, TextIO

from tqdm import tqdm

from migrator.clock import Clock
from migrator.events import (
    Event,
    Evicted,
    HookFailed,
    Moment,
    Noticed,
    PhaseStarted,
    Retained,
    RunEnded,
    RunStarted,
    SetAside,
    StepEnded,
    StepStarted,
    Throttled,
    Told,
    Waiting,
    Workers,
)
from migrator.report.findings import blocker_line, finding_line
from migrator.report.seen import Seen, SeenStep, after, ended_words, run_words, step_words
from migrator.report.words import duration, milliseconds, plural, printable

LINE_EVERY_SECONDS: Final = 10.0
"""Without a terminal, a step at work says so this often."""

BAR_EVERY_SECONDS: Final = 0.2

_NAME_COLUMNS: Final = 32


class Progress(Protocol):
    """A listener with an end."""

    def __call__(self, event: Event) -> None:
        """Hear one event."""

    def close(self) -> None:
        """Take the bars off the terminal; safe to repeat."""


def news(event: Event) -> str:
    """What is worth a line of its own, or ''."""
    match event:
        case RunStarted():
            return f"run {event.run_id} begins: {plural(event.steps, 'step')}, plan {event.plan_hash[:12]}"
        case RunEnded():
            return f"run {event.run_id} ends with exit code {event.exit_code} after {duration(event.seconds)}"
        case StepStarted():
            return f"{event.subject}: {event.method} {'goes on' if event.resumed else 'begins'}"
        case StepEnded():
            return f"{event.subject}: {ended_words(event)}"
        case Waiting():
            who = "".join(f"; {blocker_line(b)}" for b in event.blockers)
            return f"{event.subject or 'the run'}: waits for {duration(event.seconds)} now: {event.reason}{who}"
        case SetAside():
            return f"{event.subject}: put aside: {event.reason}"
        case Evicted():
            return f"{event.subject}: ended after {duration(event.waited_seconds)}: {blocker_line(event.blocker)}"
        case Moment():
            tries = plural(event.tries, "try", "tries")
            held = "done online" if event.held_seconds is None else f"held {milliseconds(event.held_seconds)}"
            return f"{event.subject}: {event.purpose}: {held}, {tries}, waited {duration(event.waited_seconds)}"
        case Workers():
            return f"{event.now} of {plural(event.most, 'worker')}: others run {event.others:.0f} statements at a time"
        case Throttled():
            return "throttled no more" if event.state == "ends" else f"throttled: {event.reason}"
        case Told():
            return f"set by a person: {event.wishes}" if event.wishes else "what a person had set is taken back"
        case Retained():
            current = f", current until {event.current_until}" if event.current_until else ""
            return f"{event.subject}: the old table is kept in clear as {event.table} until {event.until}{current}"
        case Noticed():
            return finding_line(event.finding)
        case HookFailed():
            return f"hook {event.hook}, called for {event.called_for}: {event.reason}"
        case _:
            return ""


class Lines:
    """Plain lines with the time, for logs and pipes."""

    def __init__(self, out: TextIO, clock: Clock) -> None:
        self._out = out
        self._clock = clock
        self._seen = Seen()
        self._said: dict[str, float] = {}
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Write what is worth a line now."""
        with self._lock:
            at = self._clock.monotonic()
            self._seen = after(self._seen, event, at)
            for line in self._lines(event, at):
                stamp = self._clock.now().isoformat(timespec="seconds").replace("+00:00", "Z")
                self._out.write(f"{stamp} {printable(line)}\n")
            self._out.flush()

    def close(self) -> None:
        """Nothing is left open."""

    def _lines(self, event: Event, at: float) -> list[str]:
        step = self._seen.steps.get(event.subject)
        if isinstance(event, PhaseStarted):
            self._said[event.subject] = at
            return [f"{event.subject}: {event.phase}"]
        if isinstance(event, Waiting):
            # A wait is told of again and again while it lasts: once in an interval is enough.
            return [news(event)] if self._is_time(f"waiting {event.subject}", at) else []
        line = news(event)
        if line:
            self._said[event.subject] = at
            return [line]
        if step is None or not step_words(step) or not self._is_time(event.subject, at):
            return []
        lines = [f"{event.subject}: {step.phase}: {step_words(step)}"]
        return [*lines, f"all: {run_words(self._seen)}"] if self._seen.steps_total > 1 else lines

    def _is_time(self, what: str, at: float) -> bool:
        if what in self._said and at - self._said[what] < LINE_EVERY_SECONDS:
            return False
        self._said[what] = at
        return True


class Bars:
    """A bar for the run and one for each step at work; news scrolls by above them."""

    def __init__(self, out: TextIO, clock: Clock) -> None:
        self._out = out
        self._clock = clock
        self._seen = Seen()
        self._bars: dict[str, tqdm[NoReturn]] = {}
        self._drawn = float("-inf")
        self._lock = threading.Lock()
        tqdm.monitor_interval = 0  # no thread of tqdm's beside ours

    def __call__(self, event: Event) -> None:
        """Draw, at most every `BAR_EVERY_SECONDS` unless there is news."""
        with self._lock:
            at = self._clock.monotonic()
            self._seen = after(self._seen, event, at)
            line = "" if isinstance(event, Waiting) else news(event)
            if line:
                tqdm.write(printable(line), file=self._out)
            for subject in [s for s in self._bars if s and s not in self._seen.steps]:
                self._bars.pop(subject).close()
            if line or at - self._drawn >= BAR_EVERY_SECONDS:
                self._drawn = at
                self._draw()

    def close(self) -> None:
        """Take the bars off the terminal; safe to repeat."""
        for bar in self._bars.values():
            bar.close()
        self._bars.clear()

    def _draw(self) -> None:
        if self._seen.steps_total:
            share = self._seen.bytes_done / self._seen.bytes_total if self._seen.bytes_total else 0.0
            self._show("", "all", share, run_words(self._seen))
        for subject, step in self._seen.steps.items():
            self._show(subject, bar_name(step), step.fraction, step_words(step))

    def _show(self, subject: str, name: str, share: float, words: str) -> None:
        bar = self._bars.get(subject)
        if bar is None:
            bar = tqdm(
                total=100.0,
                file=self._out,
                leave=False,
                bar_format="{desc} {percentage:3.0f}% |{bar:20}| {unit}",
            )
            self._bars[subject] = bar
        bar.ncols, bar.nrows = _shape(self._out)
        bar.n = 100 * min(1.0, share)
        bar.set_description_str(printable(name), refresh=False)
        bar.unit = printable(words)  # a postfix would begin with a comma
        bar.refresh()


def _shape(out: TextIO) -> tuple[int, int]:
    """Columns and rows of the terminal now; some terminals say 0, and then tqdm would draw nothing."""
    try:
        size = os.get_terminal_size(out.fileno())
        return (size.columns or 80) - 1, size.lines or 24
    except OSError:
        return 79, 24


def bar_name(step: SeenStep) -> str:
    """`shop.orders copy`, cut at the front so that bars stand below each other."""
    name = f"{step.subject} {step.phase or step.method}"
    return name if len(name) <= _NAME_COLUMNS else "..." + name[3 - _NAME_COLUMNS :]


def progress(out: TextIO, clock: Clock) -> Progress:
    """Bars if `out` is a terminal, else lines."""
    return Bars(out, clock) if out.isatty() else Lines(out, clock)


def together(*listeners: Callable[[Event], None]) -> Callable[[Event], None]:
    """One listener that tells them all, in order."""

    def listen(event: Event) -> None:
        for each in listeners:
            each(event)

    return listen
