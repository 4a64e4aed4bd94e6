"""What a listener knows after each event: a fold over the stream, without a terminal. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from migrator.events import (
    Backlog,
    ChunkCopied,
    ChunkVerified,
    Event,
    LegProgress,
    PhaseStarted,
    RunStarted,
    SetAside,
    StepEnded,
    StepStarted,
    Throttled,
    Waiting,
)
from migrator.report.eta import Samples, rate_now, time_left, with_sample
from migrator.report.words import about, count, duration, duration_range, leg_words

COPY_SHARE: Final = 0.8
"""Of a step's bytes, so much counts as done when all is copied; the rest comes with the verification."""


@dataclass(frozen=True, slots=True)
class SeenStep:
    """One step at work."""

    subject: str
    method: str
    bytes: int
    rows_expected: int
    phase: str = ""
    rows_done: int = 0
    samples: Samples = field(default_factory=Samples)
    """Rows over time, in this phase."""
    backlog: int = 0
    waiting: str = ""
    doing: str = ""
    """How far a statement of the server's own is."""

    @property
    def fraction(self) -> float:
        """How much of the phase is done, from 0 to 1; the server's estimate of rows may be passed."""
        return min(1.0, self.rows_done / self.rows_expected) if self.rows_expected else 0.0

    @property
    def bytes_done(self) -> float:
        """Bytes of the step that count as done."""
        if self.phase == "copy":
            return self.bytes * COPY_SHARE * self.fraction
        if self.phase == "verify":
            return self.bytes * (COPY_SHARE + (1 - COPY_SHARE) * self.fraction)
        if self.phase in {"index", "drain", "mirror"}:
            return self.bytes * COPY_SHARE
        return float(self.bytes) if self.phase in {"swap", "clean"} else 0.0


@dataclass(frozen=True, slots=True)
class Seen:
    """The run so far."""

    steps_total: int = 0
    steps_ended: int = 0
    bytes_total: int = 0
    bytes_ended: float = 0.0
    steps: Mapping[str, SeenStep] = field(default_factory=dict)
    """At work now, by subject."""
    samples: Samples = field(default_factory=Samples)
    """Bytes over time, all steps."""
    aside: Mapping[str, float] = field(default_factory=dict)
    """Bytes that count as done, of steps that are put aside."""
    throttled: str = ""
    """What the server or a replica suffers, in a few words."""

    @property
    def bytes_done(self) -> float:
        """Bytes that count as done."""
        return self.bytes_ended + sum(s.bytes_done for s in self.steps.values()) + sum(self.aside.values())


def after(seen: Seen, event: Event, at: float) -> Seen:
    """What is known after `event`, heard at `at` seconds of the listener's clock."""
    match event:
        case RunStarted():
            return replace(seen, steps_total=event.steps, bytes_total=event.bytes_to_do, samples=Samples(((at, 0.0),)))
        case Throttled():
            return replace(seen, throttled=event.signal if event.state != "ends" else "")
        case StepStarted():
            step = SeenStep(event.subject, event.method, event.bytes, event.rows)
            aside_now = {name: bytes for name, bytes in seen.aside.items() if name != event.subject}
            return replace(seen, steps={**seen.steps, event.subject: step}, aside=aside_now)
        case StepEnded():
            ended = seen.steps.get(event.subject)
            finished = ended.bytes if ended is not None and event.outcome == "done" else 0
            skipped = ended.bytes if ended is not None and event.outcome != "done" else 0
            rest = {name: step for name, step in seen.steps.items() if name != event.subject}
            # What did not get done will not be: it leaves the total, or the bar would never fill.
            total = max(0, seen.bytes_total - skipped)
            seen = replace(
                seen,
                steps=rest,
                steps_ended=seen.steps_ended + 1,
                bytes_ended=seen.bytes_ended + finished,
                bytes_total=total,
            )
            return _sampled(seen, at)
        case SetAside():
            rest = {name: step for name, step in seen.steps.items() if name != event.subject}
            aside = seen.steps.get(event.subject)
            kept = aside.bytes_done if aside is not None else 0.0
            return _sampled(replace(seen, steps=rest, aside={**seen.aside, event.subject: kept}), at)
        case _:
            step_now = seen.steps.get(event.subject)
            if step_now is None:
                return seen
            return _sampled(replace(seen, steps={**seen.steps, event.subject: _step_after(step_now, event, at)}), at)


def _sampled(seen: Seen, at: float) -> Seen:
    # A step that is given up takes back what counted before; a rate must not see that as work undone.
    done = max(seen.bytes_done, seen.samples.points[-1][1] if seen.samples.points else 0.0)
    return replace(seen, samples=with_sample(seen.samples, at, done))


def _step_after(step: SeenStep, event: Event, at: float) -> SeenStep:
    match event:
        case PhaseStarted():
            return replace(step, phase=event.phase, rows_done=0, samples=Samples(), waiting="", doing="")
        case ChunkCopied() | ChunkVerified():
            return replace(
                step,
                rows_done=event.rows_done,
                rows_expected=event.rows_expected,
                samples=with_sample(step.samples, at, event.rows_done),
                waiting="",
            )
        case Backlog():
            return replace(step, backlog=event.entries)
        case Waiting():
            return replace(step, waiting=event.reason)
        case LegProgress():
            return replace(step, doing=leg_words(event), waiting="")
        case _:
            return step


# -- how it reads -----------------------------------------------------------------------------


def step_words(step: SeenStep) -> str:
    """`1,234 of about 2,800,000 rows, 45,210 rows/s, 25 s to 40 s left, backlog 120`."""
    said = []
    if step.phase in {"copy", "verify"}:
        said.append(f"{count(step.rows_done)} of about {count(step.rows_expected)} rows")
        rate = rate_now(step.samples)
        if rate is not None:
            said.append(f"{count(rate)} rows/s")
        said.append(_left(step.samples, step.rows_expected, step.rows_done))
    if step.doing:
        said.append(step.doing)
    if step.backlog:
        said.append(f"backlog {count(step.backlog)}")
    if step.waiting:
        said.append(f"waits: {step.waiting}")
    return ", ".join(s for s in said if s)


def run_words(seen: Seen) -> str:
    """`3 of 34 steps, 3.1 GiB of 7.2 GiB, 4 min 00 s to 6 min 10 s left`."""
    done = f"{about(int(seen.bytes_done))} of {about(seen.bytes_total)}"
    left = _left(seen.samples, seen.bytes_total, seen.bytes_done)
    throttled = f"throttled: {seen.throttled}" if seen.throttled else ""
    return ", ".join(s for s in (f"{seen.steps_ended} of {seen.steps_total} steps", done, left, throttled) if s)


def _left(samples: Samples, expected: float, done: float) -> str:
    if expected and done >= expected:
        return ""
    span = time_left(samples, expected)
    return "time left uncalibrated" if span is None else f"{duration_range(span)} left"


def ended_words(event: StepEnded) -> str:
    """`done in 12 s`, `failed in 3.0 s: message. Remedy: ...`."""
    said = f"{event.outcome} in {duration(event.seconds)}"
    if event.message:
        said += f": {event.message.rstrip('.')}."
    return said + (f" Remedy: {event.remedy.rstrip('.')}." if event.remedy else "")
