"""Windows: what texts mean, on every day of the year, those included on which clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.planner.windows import DAYS, Closed, Open, longest_seconds, look, parse_window


def at(text: str, zone: str = "UTC") -> datetime:
    """That wall clock, as an instant."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def state(text: str, now: datetime) -> tuple[bool, datetime]:
    """Is it open, and until when it is or is not."""
    said = look([parse_window(text)], now)
    return isinstance(said, Open), said.until


@pytest.mark.parametrize(
    ("text", "now", "is_open", "until"),
    [
        ("Sat 22:00-Sun 04:00 UTC", "2026-11-21 21:59:59", False, "2026-11-21 22:00"),
        ("Sat 22:00-Sun 04:00 UTC", "2026-11-21 22:00", True, "2026-11-22 04:00"),
        ("Sat 22:00-Sun 04:00 UTC", "2026-11-22 03:59:59", True, "2026-11-22 04:00"),
        ("Sat 22:00-Sun 04:00 UTC", "2026-11-22 04:00", False, "2026-11-28 22:00"),
        ("Mon-Fri 01:00-05:00 UTC", "2026-11-20 05:00", False, "2026-11-23 01:00"),
        ("Fri-Mon 23:00-01:00 UTC", "2026-11-24 00:30", True, "2026-11-24 01:00"),
        ("Fri-Mon 23:00-01:00 UTC", "2026-11-24 23:30", False, "2026-11-27 23:00"),
        ("Tue,Thu 23:30-02:00 UTC", "2026-11-26 23:45", True, "2026-11-27 02:00"),
        ("daily 22:00:05-22:00:15 UTC", "2026-11-26 22:00:06", True, "2026-11-26 22:00:15"),
        ("Mon 20:00-24:00 UTC", "2026-11-23 23:59:59", True, "2026-11-24"),
        ("Sun 20:00-Sun 06:00 UTC", "2026-11-26 12:00", True, "2026-11-29 06:00"),
    ],
)
def test_what_a_window_says(text: str, now: str, is_open: bool, until: str) -> None:  # noqa: FBT001
    """Over midnight, over the end of the week, on several days; the end belongs to no window."""
    assert state(text, at(now)) == (is_open, at(until))


@pytest.mark.parametrize(
    ("text", "day", "begins", "ends"),
    [
        # In Berlin 02:00 becomes 03:00 on 2026-03-29, and 03:00 becomes 02:00 on 2026-10-25.
        ("daily 01:00-05:00 Europe/Berlin", "2026-03-29", "2026-03-29 00:00", "2026-03-29 03:00"),
        ("daily 01:00-05:00 Europe/Berlin", "2026-10-25", "2026-10-24 23:00", "2026-10-25 04:00"),
        ("daily 02:30-05:00 Europe/Berlin", "2026-03-29", "2026-03-29 01:00", "2026-03-29 03:00"),
        ("daily 02:30-05:00 Europe/Berlin", "2026-10-25", "2026-10-25 00:30", "2026-10-25 04:00"),
        ("daily 01:00-02:30 Europe/Berlin", "2026-03-29", "2026-03-29 00:00", "2026-03-29 01:00"),
        ("daily 01:00-02:30 Europe/Berlin", "2026-10-25", "2026-10-24 23:00", "2026-10-25 00:30"),
        # Half an hour on Lord Howe Island, and at midnight in Beirut.
        ("daily 01:45-03:00 Australia/Lord_Howe", "2026-10-04", "2026-10-03 15:15", "2026-10-03 16:00"),
        ("daily 00:30-03:00 Asia/Beirut", "2026-03-29", "2026-03-28 22:00", "2026-03-29 00:00"),
    ],
)
def test_days_on_which_clocks_change(text: str, day: str, begins: str, ends: str) -> None:
    """What comes twice counts where it comes first; what does not exist, when the clock jumps over it."""
    assert parse_window(text).on(datetime.fromisoformat(day).date()) == (at(begins), at(ends))


def test_a_window_that_the_clock_jumps_over_is_none() -> None:
    """Nothing is open within a quarter of an hour that does not exist; the next one is the day after."""
    text = "daily 02:10-02:50 Europe/Berlin"
    assert state(text, at("2026-03-29 01:00")) == (False, at("2026-03-30 02:10", "Europe/Berlin"))


def test_windows_that_follow_each_other_are_one() -> None:
    """Until the last one ends; those that are open now are named."""
    windows = [parse_window(text) for text in ("Sat 20:00-24:00 UTC", "Sun 00:00-04:00 UTC", "Sun 03:00-05:00 UTC")]
    assert look(windows, at("2026-11-21 21:00")) == Open(at("2026-11-22 05:00"), ("Sat 20:00-24:00 UTC",))
    assert look(windows, at("2026-11-22 05:00")) == Closed(at("2026-11-28 20:00"), "Sat 20:00-24:00 UTC")
    assert longest_seconds(windows) == 4 * 3600


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("Sat 22:00-04:00", "is not a window"),
        ("Sat 25:00-04:00 UTC", "no time of a day"),
        ("Sat-Sun 22:00-Mon 04:00 UTC", "one day"),
        ("Sam 22:00-04:00 UTC", "is not a window"),
        ("daily 22:00-04:00 Europe/Berlim", "no time zone"),
        ("daily 22:00-04:00 ../../etc/passwd", "is not a window"),
        ("daily 22:00-04:00 UTC\n", "is not a window"),
        ("", "is not a window"),
    ],
)
def test_mistakes(text: str, what: str) -> None:
    """Each is named."""
    with pytest.raises(ValueError, match=what):
        parse_window(text)


TIMES = st.integers(0, 24 * 60 - 1)


@given(days=st.sets(st.sampled_from(range(7)), min_size=1), begin=TIMES, end=TIMES, minute=st.integers(0, 14 * 24 * 60))
def test_minute_by_minute(days: set[int], begin: int, end: int, minute: int) -> None:
    """As a model that walks back minute by minute to the last beginning."""
    text = (
        f"{','.join(DAYS[d] for d in sorted(days))} {begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02} UTC"
    )
    now = datetime(2026, 6, 1, tzinfo=UTC) + timedelta(minutes=minute)
    length = (end - begin) % (24 * 60) or 24 * 60
    back = [now - timedelta(minutes=n) for n in range(length)]
    inside = any(one.weekday() in days and one.hour * 60 + one.minute == begin for one in back)
    said = look([parse_window(text)], now)
    assert isinstance(said, Open) == inside
    # And its end is the first minute at which that changes.
    assert isinstance(look([parse_window(text)], said.until - timedelta(seconds=1)), Open) == inside
    assert isinstance(look([parse_window(text)], said.until), Open) != inside or length == 24 * 60
