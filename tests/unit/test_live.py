"""A run at work as a screen: what is on it, and how it fits terminals of any size; without a terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from migrator.model import Blocker, Method
from migrator.planner.control import Wishes
from migrator.report.live import live_lines, live_screen
from migrator.report.values import (
    AheadStatus,
    BacklogStatus,
    RunStatus,
    ServerId,
    Span,
    StatusReport,
    StepStatus,
)
from migrator.report.words import width

COPYING = StepStatus(
    "shop.orders", Method.SHADOW_COPY, "running", phase="log", rows_done=500, rows_expected=2000, rows_per_second=90.4,
    eta=Span(15, 25), backlog=BacklogStatus(120, 4096, 0.4), waiting_for="waiting for a free instant",
    blockers=(Blocker(12, "app", 200, "metadata-lock", "shop.orders: SHARED_READ", "10.0.0.7", "SELECT ?"),),
)  # fmt: skip
READY = StepStatus("shop.b", Method.SHADOW_COPY, "ready", phase="verify", rows_done=9, rows_expected=9)
AHEAD = AheadStatus(34, {"done": 3, "failed": 1}, 800 * 2**20, 200 * 2**20, Span(240, 370), ("shop.x", "shop.y"), 29)
RUN = RunStatus(
    "r1", "ab" * 32, "running", "2026-05-01T22:00:00Z", "host1", 4711, 0.4, (COPYING, READY),
    wishes=Wishes(postpone_swap=True), told={"throttle": "replica lag 8 s"}, ahead=AHEAD,
)  # fmt: skip
REPORT = StatusReport(ServerId("u", "9.7.4", "mysql", "db1:3306"), "2026-05-01T22:05:00Z", RUN)


def test_the_whole_screen() -> None:
    """The run, its bar and counts; what it says, what was asked; a bar a table, with what is to say of it; the next."""
    assert live_screen(REPORT, columns=120, lines=40) == [
        "db1:3306  9.7.4  2026-05-01T22:05:00Z",
        "run r1 since 2026-05-01T22:00:00Z: running on host1, last sign of life 0.4 s ago",
        "all  [######------------------]  25 %  4 of 34 steps, 200.0 MiB of 800.0 MiB, 4 min 00 s to 6 min 10 s left.",
        "3 done, 1 failed, 29 not begun, 1 running, 1 ready",
        "throttle: replica lag 8 s",
        "asked for: postpone-swap=on",
        "",
        "shop.orders  copy    [######------------------]  25 %  90 rows/s, 15 s to 25 s left",
        "    log: 120 entries, 4.0 KiB, the oldest 0.4 s old",
        "    waits: waiting for a free instant",
        "      session 12 (app@10.0.0.7): metadata-lock for 3 min 20 s, shop.orders: SHARED_READ",
        "        ran last: SELECT ?",
        "shop.b       ready   [########################] 100 %  ",
        "",
        "Next: shop.x, shop.y, and 27 more.",
        "q: leave this view; the run goes on",
    ]


@pytest.mark.parametrize("columns", [1, 40, 60, 79, 80, 200])
@pytest.mark.parametrize("lines", [1, 2, 5, 24])
def test_every_terminal_is_kept_to(columns: int, lines: int) -> None:
    """Never more lines than there are, none wider than the terminal (forty columns at least), whatever the names."""
    wide = replace(COPYING, subject="shop.表" + "表" * 60)
    evil = replace(COPYING, subject="shop.a\x1b[2J\n")
    many = replace(REPORT, run=replace(RUN, steps=(wide, evil, *[COPYING] * 50)))
    screen = live_screen(many, columns=columns, lines=lines)
    assert len(screen) <= max(lines, 2)
    assert max(map(width, screen)) <= max(columns, 40)
    assert all(line.isprintable() for line in screen)
    assert screen[-1].startswith("q: leave")


def test_names_are_cut_where_they_are_alike() -> None:
    """The schema goes first, then the beginning of the name."""
    long = replace(COPYING, subject="a_schema.orders_of_the_year_2025_by_country", blockers=())
    screen = live_screen(replace(REPORT, run=replace(RUN, steps=(long,))), columns=60, lines=30)
    assert any(line.startswith("..he_year_2025_by_country") or "2025_by_country" in line for line in screen)


def test_plain_lines() -> None:
    """Each with the time of the look; nothing that a terminal would obey."""
    lines = live_lines(REPORT)
    assert all(line.startswith("2026-05-01T22:05:00Z ") for line in lines)
    assert "2026-05-01T22:05:00Z shop.orders: copy, 500 of about 2,000 rows, 90 rows/s, 15 s to 25 s left" in lines
    assert live_lines(replace(REPORT, run=None)) == ["2026-05-01T22:05:00Z no run has been recorded on this server"]
