"""Numbers, sizes and durations as people read them, and text that a terminal shows and does not obey. Pure."""

from __future__ import annotations

import unicodedata

from migrator.events import LegProgress
from migrator.planner.units import about
from migrator.report.values import Span

__all__ = [
    "about",
    "bounds",
    "count",
    "duration",
    "duration_range",
    "leg_words",
    "milliseconds",
    "plural",
    "printable",
    "width",
]


def printable(text: str) -> str:
    """The text with control characters as `\\x1b`: names may hold any character, and a terminal obeys some."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" if ord(c) < 256 else f"\\u{ord(c):04x}" for c in text)


def width(text: str) -> int:
    """Columns that a terminal needs for printable text."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def count(number: float) -> str:
    """`1,234,567`."""
    return f"{number:,.0f}"


def plural(number: int, one: str, many: str = "") -> str:
    """`1 table`, `2 tables`."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def milliseconds(seconds: float) -> str:
    """`32 ms`; below a millisecond `0.4 ms`."""
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.0095 else f"{seconds * 1000:.1f} ms"


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 05 min`, `3 d 4 h`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def bounds(span: Span) -> tuple[str, str]:
    """Both ends as people read them."""
    return duration(span.low), duration(span.high)


def duration_range(span: Span | None) -> str:
    """`4 min 00 s to 6 min 10 s`; one of them if they read alike; `uncalibrated` if nothing was measured."""
    if span is None:
        return "uncalibrated"
    low, high = bounds(span)
    return low if low == high else f"{low} to {high}"


def leg_words(event: LegProgress) -> str:
    """`move in: log apply table, 42 %`; without the percentage where the server does not count."""
    stage = event.stage.removeprefix("alter table (").removeprefix("alter tablespace (").removesuffix(")")
    said = f"{event.leg}: {stage}" if stage else event.leg
    if event.work_done is None or not event.work_expected:
        return said
    return f"{said}, {min(100, 100 * event.work_done // event.work_expected)} %"
