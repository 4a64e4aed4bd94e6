"""Sizes and times: what is read is exact or refused, what is written reads back as the same number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.planner.units import about, bytes_of, bytes_text, days_of, hours_of, seconds_of, whole_seconds_of


@pytest.mark.parametrize(
    ("text", "size"),
    [("8 MiB", 8388608), ("8MiB", 8388608), ("1.5 GiB", 1610612736), ("1 GB", 10**9), ("0 B", 0), ("512 KiB", 524288)],
)
def test_sizes_are_read_exactly(text: str, size: int) -> None:
    """A size with a unit is the number of bytes that it says."""
    assert bytes_of(text) == size


@pytest.mark.parametrize(
    "text", ["8 mib", "MiB", "-1 MiB", "1e3 B", "8 MiB ", " 8 MiB", "8 MiB\n", "", "0.3 KiB", "٣ KiB"]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    """A text that is no size, or no whole number of bytes, is an error and not a guess."""
    with pytest.raises(ValueError, match="is not"):
        bytes_of(text)


@given(st.integers(min_value=0, max_value=2**62))
def test_written_sizes_read_back(size: int) -> None:
    """Every size that is written with a unit is read back as the same number."""
    text = bytes_text(size)
    assert (int(text) if text.isdigit() else bytes_of(text)) == size


@pytest.mark.parametrize(("text", "seconds"), [("0.5 s", 0.5), ("500 ms", 0.5), ("10 min", 600.0), ("2h", 7200.0)])
def test_times_are_read_exactly(text: str, seconds: float) -> None:
    """A time with a unit is the number of seconds that it says."""
    assert seconds_of(text) == seconds


def test_whole_seconds_and_days_are_whole() -> None:
    """What must be whole is refused when it is not, in whatever unit it is said."""
    assert whole_seconds_of("10 min") == 600
    assert days_of("48 h") == 2
    assert hours_of("2 d") == 48
    with pytest.raises(ValueError, match="whole number of seconds"):
        whole_seconds_of("0.5 s")
    with pytest.raises(ValueError, match="whole number of days"):
        days_of("36 h")
    with pytest.raises(ValueError, match="whole number of hours"):
        hours_of("90 min")


def test_numbers_pass_through() -> None:
    """A plain number means bytes, seconds or days, and types other than text are left to the type check."""
    for reader in (bytes_of, seconds_of, whole_seconds_of, hours_of, days_of):
        assert reader(5) == 5
        assert reader(None) is None


def test_about_is_for_people() -> None:
    """The rounded size names the largest unit that fits."""
    assert about(123456789) == "117.7 MiB"
    assert about(5) == "5 bytes"
