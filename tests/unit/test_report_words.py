"""Numbers and durations read well, and estimates are ranges."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.report.eta import Samples, rate_bounds, rate_now, time_left, with_sample
from migrator.report.values import Span
from migrator.report.words import count, duration, duration_range, milliseconds, plural


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.6, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (86400 * 3 + 3600 * 4, "3 d 4 h"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    """Two units at most, and never 60 of a smaller one."""
    assert duration(seconds) == text


def test_ranges() -> None:
    """Both ends, one if they read alike, and no number where there is none."""
    assert duration_range(Span(240, 370)) == "4 min 00 s to 6 min 10 s"
    assert duration_range(Span(240.1, 240.2)) == "4 min 00 s"
    assert duration_range(None) == "uncalibrated"


def test_counts() -> None:
    """Thousands are set apart; one is singular."""
    assert [count(1234567), plural(1, "table"), plural(2, "try", "tries")] == ["1,234,567", "1 table", "2 tries"]
    assert [milliseconds(0.0004), milliseconds(0.032), milliseconds(1.2)] == ["0.4 ms", "32 ms", "1200 ms"]


def seen(*points: tuple[float, float]) -> Samples:
    samples = Samples()
    for at, done in points:
        samples = with_sample(samples, at, done)
    return samples


def test_no_rate_before_three_seconds() -> None:
    """The first moments say nothing: uncalibrated."""
    samples = seen((0, 0), (1, 1000), (2.9, 3000))
    assert rate_bounds(samples) is None
    assert rate_now(samples) is None
    assert time_left(samples, 10_000) is None


def test_a_steady_pace_gives_one_duration() -> None:
    """At 100 rows a second, 9,000 more rows take 90 s."""
    samples = seen(*((t, 100.0 * t) for t in range(11)))
    assert time_left(samples, 10_000) == Span(90, 90)
    assert rate_now(samples) == 100


def test_a_changing_pace_gives_a_range() -> None:
    """100 a second for a minute, then 50 for ten seconds: bounds from the slow end to the average of the whole."""
    samples = seen(*((t, 100.0 * t) for t in range(61)), *((60 + t, 6000 + 50.0 * t) for t in range(1, 11)))
    span = time_left(samples, 7500)
    assert span is not None
    assert span.high == pytest.approx(1000 / 50)
    assert span.low == pytest.approx(1000 / (6500 / 70))
    assert rate_now(samples) == pytest.approx(50)


def test_a_stall_does_not_promise_forever() -> None:
    """While nothing moves the rate now is 0; the bounds rest on the looks back that saw work."""
    samples = seen((0, 0), (10, 1000), (40, 1000))
    assert rate_now(samples) == 0
    assert time_left(samples, 2000) == Span(40, 40)


def test_the_estimate_of_rows_may_be_passed() -> None:
    """Beyond the server's estimate no duration is made up."""
    assert time_left(seen((0, 0), (10, 1000)), 900) is None


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e12)), max_size=600), st.floats(1, 1e12))
def test_any_history_gives_ordered_bounds(points: list[tuple[float, float]], expected: float) -> None:
    """Whatever was seen: no error, low <= high, both positive, and memory stays bounded."""
    samples = seen(*sorted(points))
    assert len(samples.points) <= 256
    span = time_left(samples, expected)
    assert span is None or 0 <= span.low <= span.high
