"""Maintenance windows: texts such as `Sat 22:00-Sun 04:00 Europe/Berlin`, and what they say of an instant. Pure.

    Sat 22:00-Sun 04:00 Europe/Berlin     one day, to a named day
    Mon-Fri 01:00-05:00 UTC               several days; the end is the first such time after the beginning
    Tue,Thu 23:30-02:00 America/New_York
    daily 22:00-04:30 UTC                 seconds may be given: 22:00:30

Times are wall clock in the zone that is named. On the day when clocks change, a time that comes twice counts where it
comes first, and one that does not exist counts when the clock jumps over it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EXAMPLE: Final = "Sat 22:00-Sun 04:00 Europe/Berlin"
LONGEST_DAYS: Final = 7
_AHEAD_DAYS: Final = 16
"""A weekly window that the change of clocks swallows comes again within so many days."""

_TIME: Final = r"[0-2][0-9]:[0-5][0-9](?::[0-5][0-9])?"
_DAY: Final = "|".join(DAYS)
_FORM: Final = re.compile(
    rf"(?P<days>daily|(?:{_DAY})(?:[-,](?:{_DAY}))*) (?P<begin>{_TIME}) ?- ?(?:(?P<last>{_DAY}) )?(?P<end>{_TIME})"
    r" (?P<zone>[A-Za-z][A-Za-z0-9_+/-]*)",
    flags=re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Window:
    """A time that comes again each week, on one day or several."""

    text: str
    """As it was written."""
    days: frozenset[int]
    """On which it begins; 0 is Monday."""
    begin: time
    end: time
    days_later: int
    """The end is so many days after the day of the beginning."""
    zone: ZoneInfo

    def on(self, day: date) -> tuple[datetime, datetime]:
        """From when until when it is open if it begins on that day, in UTC; the end may lie before the beginning
        where the clock jumps over all of it."""
        return (
            _instant(day, self.begin, self.zone),
            _instant(day + timedelta(days=self.days_later), self.end, self.zone),
        )


def parse_window(text: str) -> Window:
    """The window that a text says; raises `ValueError` with what is wrong."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a window such as {EXAMPLE!r}, 'Mon-Fri 01:00-05:00 UTC' or 'daily ...'")
    days = _days(found["days"])
    begin, end, midnight = _time(found["begin"], text), *_end(found["end"], text)
    if found["last"]:
        if len(days) != 1:
            raise ValueError(f"{text!r}: with a day for the end, name one day for the beginning")
        later = (DAYS.index(found["last"]) - min(days)) % 7 + midnight
        if later == 0 and end <= begin:
            later = LONGEST_DAYS
    else:
        later = 1 if midnight or end <= begin else 0
    try:
        zone = ZoneInfo(found["zone"])
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{text!r}: no time zone {found['zone']!r} is known here") from None
    return Window(text, days, begin, end, later, zone)


def _days(text: str) -> frozenset[int]:
    if text == "daily":
        return frozenset(range(7))
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        begin, end = DAYS.index(first), DAYS.index(last[:3] or first)
        found |= {(begin + n) % 7 for n in range((end - begin) % 7 + 1)}
    return frozenset(found)


def _time(text: str, window: str) -> time:
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{window!r}: {text} is no time of a day") from None


def _end(text: str, window: str) -> tuple[time, int]:
    """The time, and how many days later for 24:00."""
    return (time(0), 1) if text in {"24:00", "24:00:00"} else (_time(text, window), 0)


def _instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    local = datetime.combine(day, at, zone)
    instant = local.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return instant
    # The clock jumps over it. By the offset before the jump it lies after it, by that after the jump before it.
    before, after = local.replace(fold=1).astimezone(UTC), instant
    offset = after.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=1) // 2)
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after


# -- what they say of an instant ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Open:
    """Some window is open, and the last of those that follow each other without a gap ends then (UTC)."""

    until: datetime
    texts: tuple[str, ...]
    """The windows that are open now, as they were written."""


@dataclass(frozen=True, slots=True)
class Closed:
    """No window is open; the next one begins then (UTC)."""

    until: datetime
    text: str
    """That one, as it was written."""


def look(windows: Sequence[Window], now: datetime) -> Open | Closed:
    """What the windows say of an instant. There must be one. The end belongs to no window, the beginning does."""
    spans = sorted(_spans(windows, now), key=lambda span: span[:2])
    inside = tuple(dict.fromkeys(text for begin, end, text in spans if begin <= now < end))
    if not inside:
        begin, _, text = next(span for span in spans if span[0] > now)
        return Closed(begin, text)
    until = now
    for begin, end, _ in spans:
        if begin <= until < end:
            until = end
    return Open(until, inside)


def longest_seconds(windows: Sequence[Window]) -> float:
    """The longest time that a run has from the beginning of a window to its end, as a rule: without changes of clocks
    and without regard to other windows."""
    return max(
        (
            datetime.combine(date.min, one.end) - datetime.combine(date.min, one.begin)
            + timedelta(days=one.days_later)
        ).total_seconds()
        for one in windows
    )  # fmt: skip


def _spans(windows: Sequence[Window], now: datetime) -> Iterator[tuple[datetime, datetime, str]]:
    for window in windows:
        today = now.astimezone(window.zone).date()
        for n in range(-LONGEST_DAYS - 1, _AHEAD_DAYS):
            day = today + timedelta(days=n)
            if day.weekday() in window.days:
                begin, end = window.on(day)
                if begin < end:
                    yield begin, end, window.text
