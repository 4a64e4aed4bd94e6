"""A chart over time as one inline SVG: lines that rise, lanes that say what kept a run from its work. Pure.

It is drawn without colours that mean something by themselves, without patterns and without scripts: lines differ by
their dashes, lanes by their place, so it can be read in grey, on paper and by whoever cannot tell colours apart.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from migrator.report.words import about, count, printable

_WIDTH: Final = 960.0
_LEFT: Final = 90.0
_RIGHT: Final = 20.0
_TOP: Final = 34.0
_HEIGHT: Final = 220.0
"""Of the part with lines."""
_LANE: Final = 18.0
_GAP: Final = 10.0
_MOST_TICKS: Final = 6
_DAY: Final = 86400
_STEPS: Final = (
    1, 5, 15, 30, 60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, _DAY, 2 * _DAY, 7 * _DAY, 14 * _DAY,
    30 * _DAY, 90 * _DAY, 365 * _DAY,
)  # fmt: skip
"""Seconds between ticks of the time axis."""
_DASHES: Final = ("", "7 4", "2 3")


@dataclass(frozen=True, slots=True)
class Line:
    """What has been done by when: seconds since 1970 (UTC) and an amount, in order. It is flat between points only if
    they say so."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Span:
    """From when until when, and how much of that time, from 0 to 1."""

    begin: float
    end: float
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Lane:
    """A row of its own beneath the lines."""

    name: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over time, with lanes beneath. `level` is an amount that is reached when all is done, with its words."""

    title: str
    tells: str
    """What is to be seen in it, in words, for who cannot see it."""
    lines: tuple[Line, ...]
    lanes: tuple[Lane, ...] = ()
    level: tuple[str, float] | None = None
    in_bytes: bool = False


def seconds_of(text: str) -> float:
    """`2026-05-01T22:05:00Z` as seconds since 1970."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()


def chart_svg(chart: Chart) -> str:
    """The chart as an SVG element; '' where there is nothing to draw."""
    times = [at for line in chart.lines for at, _ in line.points]
    times += [at for lane in chart.lanes for span in lane.spans for at in (span.begin, span.end)]
    if not times:
        return ""
    first, last = min(times), max(times)
    first, last = (first - 30, last + 30) if last - first < 1 else (first, last)
    top = max([amount for line in chart.lines for _, amount in line.points] + [chart.level[1] if chart.level else 0])
    amounts = amount_ticks(top, in_bytes=chart.in_bytes)
    highest = max(amounts[-1], top, 1)

    def x(at: float) -> float:
        return _LEFT + (at - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT)

    def y(amount: float) -> float:
        return _TOP + _HEIGHT * (1 - amount / highest)

    bottom = _TOP + _HEIGHT
    height = bottom + 26 + (_GAP + len(chart.lanes) * _LANE if chart.lanes else 0)
    parts = [f"<title>{_text(chart.title)}</title>", f"<desc>{_text(chart.tells)}</desc>"]
    parts += _legend(chart)
    parts += [_rule(_LEFT, y(a), _WIDTH - _RIGHT, y(a)) for a in amounts]
    write = about if chart.in_bytes else count
    parts += [_label(_LEFT - 8, y(a) + 4, write(int(a)), anchor="end") for a in amounts]
    for at, label in time_ticks(first, last):
        parts += [_rule(x(at), bottom, x(at), bottom + 5), _label(x(at), bottom + 20, label, anchor="middle")]
    if chart.level is not None:
        words, amount = chart.level
        parts.append(_rule(_LEFT, y(amount), _WIDTH - _RIGHT, y(amount), kind="level"))
        parts.append(_label(_WIDTH - _RIGHT, y(amount) - 5, words, anchor="end"))
    parts += [_drawn(line, number, x, y) for number, line in enumerate(chart.lines) if line.points]
    for number, lane in enumerate(chart.lanes):
        parts += _lane(lane, bottom + 26 + _GAP + number * _LANE, x)
    body = "\n".join(parts)
    return f'<svg class="chart" viewBox="0 0 {_WIDTH:.0f} {height:.0f}" role="img">\n{body}\n</svg>'


def amount_ticks(highest: float, *, in_bytes: bool) -> list[float]:
    """From 0 up to what is not less than the highest amount, in even steps that can be said in a word."""
    unit = 1.0
    while in_bytes and highest >= unit * 1024:
        unit *= 1024
    wanted = max(highest / unit, 1.0) / (_MOST_TICKS - 1)
    size = 10.0 ** math.floor(math.log10(wanted))
    step = next(size * n for n in (1, 2, 5, 10) if size * n >= wanted * 0.999999)
    # Nobody has half a row or half a byte.
    step = max(step * unit, 1.0)
    return [n * step for n in range(max(math.ceil(round(highest / step, 6)), 1) + 1)]


def time_ticks(first: float, last: float) -> list[tuple[float, str]]:
    """Times between the two that are said in a word, in UTC; the day where it is the first tick's or a new one."""
    step = next((s for s in _STEPS if (last - first) / s <= _MOST_TICKS), _STEPS[-1])
    ticks, day = [], ""
    at = math.ceil(first / step) * step
    while at <= last:
        when = datetime.fromtimestamp(at, UTC)
        today = f"{when:%Y-%m-%d}"
        time = "" if step >= _DAY else f"{when:%H:%M:%S}" if step < 60 else f"{when:%H:%M}"
        ticks.append((float(at), today if not time else f"{today} {time}" if today != day else time))
        day = today
        at += step
    return ticks


def _drawn(line: Line, number: int, x: Callable[[float], float], y: Callable[[float], float]) -> str:
    path = " ".join(f"{'L' if n else 'M'}{x(at):.1f} {y(amount):.1f}" for n, (at, amount) in enumerate(line.points))
    return f'<path class="line" d="{path}"{_dashes(number)}/>'


def _dashes(number: int) -> str:
    dashes = _DASHES[number % len(_DASHES)]
    return f' stroke-dasharray="{dashes}"' if dashes else ""


def _legend(chart: Chart) -> list[str]:
    parts, at = [], _LEFT
    for number, line in enumerate(chart.lines):
        parts.append(f'<path class="line" d="M{at:.0f} 14 L{at + 30:.0f} 14"{_dashes(number)}/>')
        parts.append(_label(at + 36, 18, line.name))
        at += 60 + 7.5 * len(line.name)
    return parts


def _lane(lane: Lane, top: float, x: Callable[[float], float]) -> list[str]:
    room = _LANE - 4
    parts = [
        _label(_LEFT - 8, top + room - 3, lane.name, anchor="end"),
        _rule(_LEFT, top + room, _WIDTH - _RIGHT, top + room),
    ]
    for span in lane.spans:
        # What took a moment is still to be seen.
        high, wide = room * min(max(span.share, 0.15), 1), max(x(span.end) - x(span.begin), 1.0)
        parts.append(
            f'<rect class="span" x="{x(span.begin):.1f}" y="{top + room - high:.1f}"'
            f' width="{wide:.1f}" height="{high:.1f}"/>'
        )
    return parts


def _rule(x1: float, y1: float, x2: float, y2: float, *, kind: str = "rule") -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _label(x: float, y: float, text: str, *, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{_text(text)}</text>'


def _text(text: str) -> str:
    return html.escape(printable(text), quote=True)


def cumulated(points: Sequence[tuple[float, float]], *, begins_at: float = 0.0) -> tuple[tuple[float, float], ...]:
    """Amounts at times, added up: a line that is flat between them and rises at each."""
    found: list[tuple[float, float]] = []
    total = begins_at
    for at, amount in sorted(points):
        found.append((at, total))
        total += amount
        found.append((at, total))
    return tuple(found)
