"""How long a step will take, and how far off that is, by what was said of earlier ones when they were half done."""

from __future__ import annotations

import pytest

from migrator.report.eta import ETA_SPREAD, TAIL, Measured, Pace, time_of, within


def a_pace(actual: float, said: float = 10.0, copy: float = 20.0) -> Pace:
    return Pace(copy_seconds=copy, worked_seconds=15 + actual, half_after_seconds=15, half_left_seconds=said)


@pytest.mark.parametrize(("actual", "error"), [(10, 0.0), (12.5, 0.25), (8, 0.25), (20, 1.0), (5, 1.0)])
def test_an_error_counts_alike_both_ways(actual: float, error: float) -> None:
    """A quarter more than was said, or a fifth less: both are a quarter off."""
    assert a_pace(actual).error == pytest.approx(error)


def test_the_bound_is_what_four_of_five_kept() -> None:
    """One of five steps was further off than the bound; before three are known it is what the documentation says."""
    paces = tuple(a_pace(actual) for actual in (10, 11, 12, 12.5, 40))
    assert Measured(paces).spread == pytest.approx(0.25)
    assert Measured(paces[:3]).spread == pytest.approx(0.2)
    assert Measured(paces[3:]).spread == ETA_SPREAD


def test_what_comes_after_the_copy_is_measured() -> None:
    """The share of the copy that indexes, switch, comparison and swap took, in the middle of the steps."""
    paces = tuple(a_pace(actual, copy=20) for actual in (10, 15, 25))
    assert Measured(paces).tail == pytest.approx(0.5)
    assert Measured(paces[:2]).tail == TAIL


def test_the_time_of_a_step() -> None:
    """Half of 2,000 rows at 100 a second, and then a tail of 0.4: 10 s and 8 s; later only what is left of the tail."""
    assert time_of(2000, 1000, 100, 0.4) == pytest.approx(18)
    assert time_of(2000, 2000, 100, 0.4, phase="copy") == pytest.approx(8)
    assert time_of(2000, 2000, 100, 0.4, phase="swap") == 0
    span = within(18, 0.5)
    assert (span.low, span.high) == (12, 27)
