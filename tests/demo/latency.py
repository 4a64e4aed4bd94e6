"""Latency of transactions: percentiles of a period, and of each second for a picture of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

OUTCOMES: Final = ("committed", "rolled back", "failed")


@dataclass(frozen=True, slots=True)
class Sample:
    """One transaction: how long it took from the moment it was due, without its pause."""

    period: str
    at_seconds: float
    """When it ended, since the application started."""
    latency_seconds: float
    outcome: str


@dataclass(frozen=True, slots=True)
class Summary:
    """A number of transactions; latencies in milliseconds."""

    transactions: int
    committed: int
    rolled_back: int
    failed: int
    seconds: float
    per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that is not exceeded by `share` of the sorted values (nearest rank); 0 of none."""
    if not ordered:
        return 0.0
    rank = -(-len(ordered) * share // 1)
    return ordered[max(0, int(rank) - 1)]


def summary(samples: Iterable[Sample], seconds: float) -> Summary:
    """What happened in a period of so many seconds."""
    found = list(samples)
    ordered = sorted(sample.latency_seconds * 1000 for sample in found)
    committed, rolled_back, failed = (sum(sample.outcome == outcome for sample in found) for outcome in OUTCOMES)
    return Summary(
        transactions=len(found),
        committed=committed,
        rolled_back=rolled_back,
        failed=failed,
        seconds=round(seconds, 3),
        per_second=round(len(found) / seconds, 1) if seconds > 0 else 0.0,
        p50_ms=round(percentile(ordered, 0.50), 1),
        p95_ms=round(percentile(ordered, 0.95), 1),
        p99_ms=round(percentile(ordered, 0.99), 1),
        max_ms=round(ordered[-1], 1) if ordered else 0.0,
    )


def by_second(samples: Iterable[Sample]) -> list[tuple[int, int, float, float]]:
    """For each second since the start: its number, transactions, p95 and maximum in milliseconds."""
    seconds: dict[int, list[float]] = {}
    for sample in samples:
        seconds.setdefault(int(sample.at_seconds), []).append(sample.latency_seconds * 1000)
    return [
        (second, len(found), round(percentile(sorted(found), 0.95), 1), round(max(found), 1))
        for second, found in sorted(seconds.items())
    ]
