"""How long it will take, from what was seen so far: a range, or nothing before there is a rate. Pure.

The server's estimate of rows can be wrong by half and the pace changes with the load, so one number
would be a lie: the bounds are the slowest and the fastest of the rates over several look-backs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from migrator.report.values import Span

LOOK_BACK_SECONDS: Final = (10.0, 60.0, 600.0, float("inf"))
"""The last moments, the last minute, the last ten, and the whole time."""

CALIBRATED_AFTER_SECONDS: Final = 3.0
"""Before that a rate says more about caches than about the copy."""

_KEEP: Final = 256


ETA_SPREAD: Final = 0.5
"""How far off the time left of a table may be, either way, until this server has shown how far off it is."""

FEWEST_MEASURED: Final = 3
"""So many steps say more than that."""

TAIL: Final = 0.4
"""What comes after the copy (indexes, switch, comparison, swap) takes this share of it, until it was measured."""

AFTER: Final = {"copy": 1.0, "index": 0.7, "mirror": 0.65, "verify": 0.05, "swap": 0.0}
"""After a phase so much of that is left."""


@dataclass(frozen=True, slots=True)
class Pace:
    """A step that was copied to its end: what was said when half of its rows were copied, and what it took."""

    copy_seconds: float
    worked_seconds: float
    half_after_seconds: float
    half_left_seconds: float

    @property
    def error(self) -> float:
        """By how much the time that was left differed from what was said: 0.25 for a quarter more, or a fifth less."""
        ratio = (self.worked_seconds - self.half_after_seconds) / self.half_left_seconds
        return max(ratio, 1 / ratio) - 1 if ratio > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What this server's own steps were like."""

    paces: tuple[Pace, ...] = ()

    @property
    def spread(self) -> float:
        """Four of five steps were not further off than this."""
        errors = sorted(pace.error for pace in self.paces)
        return errors[int(0.8 * (len(errors) - 1) + 0.5)] if len(errors) >= FEWEST_MEASURED else ETA_SPREAD

    @property
    def tail(self) -> float:
        """What comes after the copy, as a share of it."""
        shares = sorted(max(0.0, one.worked_seconds / one.copy_seconds - 1) for one in self.paces if one.copy_seconds)
        return shares[len(shares) // 2] if len(shares) >= FEWEST_MEASURED else TAIL


def time_of(expected: float, done: float, rate: float, tail: float, *, phase: str = "log") -> float:
    """The seconds that a step has left: for the rows, and for what comes after them. `phase` is the last one done."""
    return (max(expected - done, 0.0) + AFTER.get(phase, 1.0) * tail * expected) / rate


def within(seconds: float, spread: float) -> Span:
    """The range in which that is, if it is off by so much at most."""
    return Span(seconds / (1 + spread), seconds * (1 + spread))


@dataclass(frozen=True, slots=True)
class Samples:
    """What was done at which moment (seconds of a clock that never goes back), oldest first."""

    points: tuple[tuple[float, float], ...] = ()


def with_sample(samples: Samples, at: float, done: float) -> Samples:
    """With one more point; thinned out when there are many, so that memory stays flat. The first is kept."""
    points = samples.points
    if points and at <= points[-1][0]:
        return Samples((*points[:-1], (points[-1][0], done)))
    points = (*points, (at, done))
    if len(points) > _KEEP:
        old, recent = points[: _KEEP // 2], points[_KEEP // 2 :]
        points = (*old[::2], *recent)
    return Samples(points)


def rate_bounds(samples: Samples) -> tuple[float, float] | None:
    """The slowest and the fastest rate (a second) over the look-backs; None before there is one."""
    if len(samples.points) < 2:
        return None
    last_at, last_done = samples.points[-1]
    if last_at - samples.points[0][0] < CALIBRATED_AFTER_SECONDS:
        return None
    rates = []
    for seconds in LOOK_BACK_SECONDS:
        at, done = next(p for p in samples.points if last_at - p[0] <= seconds)
        if last_at - at >= CALIBRATED_AFTER_SECONDS:
            rates.append((last_done - done) / (last_at - at))
    moving = [r for r in rates if r > 0]
    return (min(moving), max(moving)) if moving else None


def rate_now(samples: Samples) -> float | None:
    """The rate (a second) over the last moments; 0 if nothing moved; None before there is one."""
    if rate_bounds(samples) is None:
        return None
    last_at, last_done = samples.points[-1]
    at, done = next(p for p in samples.points if last_at - p[0] <= LOOK_BACK_SECONDS[0])
    if at == last_at:
        at, done = samples.points[-2]
    return (last_done - done) / (last_at - at)


def time_left(samples: Samples, expected: float) -> Span | None:
    """How long until `expected` is done; None before there is a rate, or when `expected` is passed already."""
    bounds = rate_bounds(samples)
    if bounds is None or not samples.points or samples.points[-1][1] >= expected:
        return None
    remaining = expected - samples.points[-1][1]
    return Span(remaining / bounds[1], remaining / bounds[0])
