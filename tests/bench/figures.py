"""Medians, ratios and spreads. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Spread:
    """Some measurements of one thing."""

    median: float
    least: float
    most: float
    count: int


def spread(values: Iterable[float | None]) -> Spread | None:
    """The median and the extremes of what was measured; None of nothing."""
    found = [value for value in values if value is not None]
    return Spread(median(found), min(found), max(found), len(found)) if found else None


def ratio(theirs: Mapping[int, float], ours: Mapping[int, float]) -> float | None:
    """How many times as long they took, median by median, from the rounds in which both came to an end.

    Both by the number of the round. None if there is no such round.
    """
    both = theirs.keys() & ours.keys()
    if not both:
        return None
    return median(theirs[no] for no in both) / median(ours[no] for no in both)
