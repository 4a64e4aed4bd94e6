"""What is done next in the time that is left, by what steps took on this server before. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from migrator.planner.plan import Calibration
from migrator.planner.units import about

SMALL_BYTES: Final = 4 * 2**20
"""What a step takes is for a table up to this the same, whatever its size."""

ENOUGH: Final = 5
"""So many steps show how far off an estimate may be."""

UNKNOWN_SPREAD: Final = (0.5, 2.0)
"""Before that: half as long to twice as long."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A step that was done on this server: how much it was, and for how long runs were at work on it."""

    method: str
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Took:
    """How long something takes: as a rule, at least, at most."""

    seconds: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a method is on this server."""

    fixed_seconds: float
    bytes_per_second: float | None
    """None where only small tables were done."""
    spread: tuple[float, float]
    """What steps took, of what they would have been said to take: nearly the least, nearly the most."""

    def of(self, size: int) -> Took | None:
        """How long a step of so many bytes takes; None where nothing says."""
        if size > SMALL_BYTES and self.bytes_per_second is None:
            return None
        moved = size / self.bytes_per_second if self.bytes_per_second else 0.0
        seconds = self.fixed_seconds + moved
        return Took(seconds, seconds * self.spread[0], seconds * self.spread[1])


def paces(samples: Iterable[Sample]) -> dict[str, Pace]:
    """By method, how fast this server was."""
    by_method: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.seconds > 0:
            by_method[sample.method].append(sample)
    return {method: _pace(done) for method, done in by_method.items()}


def _pace(done: Sequence[Sample]) -> Pace:
    small = [one.seconds for one in done if one.bytes <= SMALL_BYTES]
    large = [one for one in done if one.bytes > SMALL_BYTES]
    fixed = median(small) if small else 0.0
    if large:
        fixed = min(fixed, *(one.seconds / 2 for one in large))
    rate = sum(one.bytes for one in large) / sum(one.seconds - fixed for one in large) if large else None
    pace = Pace(fixed, rate, (1.0, 1.0))
    ratios = sorted(one.seconds / said.seconds for one in done if (said := pace.of(one.bytes)) and said.seconds)
    if len(ratios) < ENOUGH:
        return Pace(fixed, rate, UNKNOWN_SPREAD)
    tenth = len(ratios) // 10
    return Pace(fixed, rate, (min(ratios[tenth], 1.0), max(ratios[-1 - tenth], 1.0)))


def calibration_of(samples: Sequence[Sample], newest: str) -> Calibration | None:
    """What a plan's estimates rest on, where tables that are not small were copied here; `newest` is their last day."""
    large = [one for one in samples if one.bytes > SMALL_BYTES and one.seconds > 0]
    if not large:
        return None
    rates = sorted(one.bytes / one.seconds for one in large)
    tenth = len(rates) // 10
    return Calibration(
        slowest_bytes_per_second=rates[tenth],
        fastest_bytes_per_second=rates[-1 - tenth],
        basis=f"{len(large)} tables, {about(sum(one.bytes for one in large))}, until {newest}",
    )


# -- what is next ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Time:
    """How much there is of it."""

    left_seconds: float
    """Until the window or the budget ends."""
    longest_seconds: float
    """The longest time that any later call will have at once."""


def fits(took: Took | None, time: Time | None) -> bool:
    """True if a step is done in the time that is left, as far as anybody knows."""
    return took is None or time is None or took.seconds <= time.left_seconds


def next_of(waiting: Sequence[Took | None], time: Time | None) -> int | None:
    """Which of those that wait is begun now: the first that fits; None if each is better begun later.

    What is longer than any window is begun where nothing else fits: a copy goes on where it stopped.
    """
    for number, took in enumerate(waiting):
        if fits(took, time):
            return number
    for number, took in enumerate(waiting):
        if time is not None and took is not None and took.seconds > time.longest_seconds:
            return number
    return None


def took_of(pace: Mapping[str, Pace], method: str, size: int) -> Took | None:
    """How long a step takes, by its method and size."""
    return pace[method].of(size) if method in pace else None
