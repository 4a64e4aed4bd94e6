"""Progress: what is known after each event, as lines, as bars on a real terminal, and as JSON lines."""

from __future__ import annotations

import dataclasses
import fcntl
import io
import json
import os
import pty
import struct
import termios
import threading
from datetime import UTC, datetime, timedelta

import pytest

from migrator.events import (
    Backlog,
    ChunkCopied,
    ChunkVerified,
    DdlDone,
    Event,
    Moment,
    Noticed,
    PhaseStarted,
    Retained,
    RunEnded,
    RunStarted,
    StepEnded,
    StepStarted,
    Waiting,
)
from migrator.model import Blocker, Finding
from migrator.report.jsonlines import JsonLines
from migrator.report.progress import Bars, Lines, bar_name, news, progress, together
from migrator.report.seen import Seen, SeenStep, after, run_words, step_words

MIB = 2**20
ORDERS = "shop.orders"


class HandClock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2026, 5, 1, 22, 0, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.seconds += seconds
        return event.is_set()


STORY: list[tuple[float, Event]] = [
    (0, RunStarted("", run_id="r1", plan_hash="abcdef0123456789", steps=2, bytes_to_do=200 * MIB)),
    (0, StepStarted(ORDERS, method="shadow-copy", rows=2000, bytes=150 * MIB, resumed=False)),
    (1, PhaseStarted(ORDERS, phase="copy")),
    (2, ChunkCopied(ORDERS, rows=100, seconds=0.5, rows_done=100, rows_expected=2000, workers=2)),
    (7, ChunkCopied(ORDERS, rows=500, seconds=0.5, rows_done=600, rows_expected=2000, workers=2)),
    (12, ChunkCopied(ORDERS, rows=400, seconds=0.5, rows_done=1000, rows_expected=2000, workers=2)),
]


def heard(story: list[tuple[float, Event]]) -> Seen:
    seen = Seen()
    for at, event in story:
        seen = after(seen, event, at)
    return seen


def test_what_is_known_half_way() -> None:
    """Rows, rate and time left of the step; bytes of the run, where a copied row is not yet a verified one."""
    seen = heard(STORY)
    assert step_words(seen.steps[ORDERS]) == "1,000 of about 2,000 rows, 90 rows/s, 11 s left"
    assert seen.bytes_done == 150 * MIB * 0.8 * 0.5
    assert run_words(seen) == "0 of 2 steps, 60.0 MiB of 200.0 MiB, 26 s to 28 s left"


def test_before_there_is_a_rate_it_says_so() -> None:
    """No time is made up before three seconds of work were seen."""
    assert step_words(heard(STORY[:4]).steps[ORDERS]) == "100 of about 2,000 rows, time left uncalibrated"


def test_verification_counts_anew_and_the_backlog_is_shown() -> None:
    """Each phase has its own rows and rate; what the log holds and what is waited for stand beside them."""
    story = [
        *STORY,
        (20, PhaseStarted(ORDERS, phase="verify")),
        (21, ChunkVerified(ORDERS, rows=500, seconds=0.1, rows_done=500, rows_expected=1000)),
        (21, Backlog(ORDERS, entries=120, bytes=4096, age_seconds=0.4, drained=99)),
        (22, Waiting(ORDERS, reason="old snapshots", seconds=3)),
    ]
    step = heard(story).steps[ORDERS]
    assert step_words(step) == ("500 of about 1,000 rows, time left uncalibrated, backlog 120, waits: old snapshots")
    assert step.bytes_done == 150 * MIB * 0.9


def test_the_bar_of_the_run_never_goes_back() -> None:
    """From phase to phase of a step no work that was counted is taken back."""
    step = SeenStep(ORDERS, "shadow-copy", 100, rows_expected=10)
    phases = ["build", "log", "copy", "index", "drain", "mirror", "verify", "swap", "clean"]
    done = [dataclasses.replace(step, phase=p, rows_done=r).bytes_done for p in phases for r in (0, 10)]
    assert done == sorted(done)
    assert done[-1] == 100


def test_a_step_that_is_done_counts_whole_and_one_that_failed_leaves_the_total() -> None:
    """So the bar of the run is full at the end, whatever became of the steps."""
    seen = heard([*STORY, (30, StepEnded(ORDERS, outcome="done", seconds=30))])
    assert (seen.bytes_done, seen.bytes_total, seen.steps_ended, seen.steps) == (150 * MIB, 200 * MIB, 1, {})
    seen = heard([*STORY, (30, StepEnded(ORDERS, outcome="failed", seconds=30))])
    assert (seen.bytes_done, seen.bytes_total, seen.steps_ended) == (0, 50 * MIB, 1)


def test_events_of_steps_that_never_began_change_nothing() -> None:
    """A stray event is no reason to fail in the middle of a run."""
    assert heard([(0, Backlog("x.y", entries=1, bytes=1, age_seconds=1, drained=0))]) == Seen()


def test_rows_beyond_the_estimate_do_not_overfill_the_bar() -> None:
    """The server's estimate of rows may be too low."""
    step = SeenStep(ORDERS, "shadow-copy", MIB, rows_expected=10, phase="copy", rows_done=25)
    assert step.fraction == 1.0
    assert step_words(step) == "25 of about 10 rows"


NEWS: list[tuple[Event, str]] = [
    (STORY[0][1], "run r1 begins: 2 steps, plan abcdef012345"),
    (STORY[1][1], "shop.orders: shadow-copy begins"),
    (StepStarted(ORDERS, method="shadow-copy", rows=1, bytes=1, resumed=True), "shop.orders: shadow-copy goes on"),
    (
        StepEnded(ORDERS, outcome="failed", seconds=3, message="disk full.", remedy="make room"),
        "shop.orders: failed in 3.0 s: disk full. Remedy: make room.",
    ),
    (
        Waiting(
            ORDERS,
            reason="an older transaction",
            seconds=31,
            blockers=(Blocker(12, "app@10.0.0.7", 200, "idle-transaction", "holds shop.orders"),),
        ),
        "shop.orders: waits for 31 s now: an older transaction;"
        " session 12 (app@10.0.0.7): idle-transaction for 3 min 20 s, holds shop.orders",
    ),
    (
        Moment(ORDERS, purpose="swap", probes=3, tries=1, waited_seconds=4.2, held_seconds=0.0301),
        "shop.orders: swap: held 30 ms, 1 try, waited 4.2 s",
    ),
    (
        Moment(ORDERS, purpose="move in", probes=3, tries=2, waited_seconds=4.2, held_seconds=None),
        "shop.orders: move in: done online, 2 tries, waited 4.2 s",
    ),
    (
        Retained(ORDERS, table="shop._orders_retained", until="2026-05-08T22:00:00Z"),
        "shop.orders: the old table is kept in clear as shop._orders_retained until 2026-05-08T22:00:00Z",
    ),
    (
        Noticed("", finding=Finding("plain-binlog", "the binlog is in clear", "encrypt it")),
        "the binlog is in clear. Remedy: encrypt it. [plain-binlog]",
    ),
    (
        RunEnded("", run_id="r1", exit_code=1, done=1, skipped=0, refused=1, failed=0, left=0, seconds=75),
        "run r1 ends with exit code 1 after 1 min 15 s",
    ),
    (DdlDone(ORDERS, statement="ALTER TABLE x", seconds=1), ""),
]


def test_news() -> None:
    """What is worth a line reads as a sentence; the rest is no news."""
    assert [news(event) for event, _ in NEWS] == [text for _, text in NEWS]


def lines_of(story: list[tuple[float, Event]]) -> list[str]:
    out, clock = io.StringIO(), HandClock()
    lines = Lines(out, clock)
    for at, event in story:
        clock.seconds = at
        lines(event)
    lines.close()
    return out.getvalue().splitlines()


def test_lines() -> None:
    """Without a terminal: news at once, work every ten seconds, each line with its time."""
    assert lines_of([*STORY, (13, STORY[-1][1])]) == [
        "2026-05-01T22:00:00Z run r1 begins: 2 steps, plan abcdef012345",
        "2026-05-01T22:00:00Z shop.orders: shadow-copy begins",
        "2026-05-01T22:00:01Z shop.orders: copy",
        "2026-05-01T22:00:12Z shop.orders: copy: 1,000 of about 2,000 rows, 90 rows/s, 11 s left",
        "2026-05-01T22:00:12Z all: 0 of 2 steps, 60.0 MiB of 200.0 MiB, 26 s to 28 s left",
    ]


def test_a_long_wait_is_one_line_in_ten_seconds() -> None:
    """A wait that is told every 100 ms for 25 s makes three lines."""
    story: list[tuple[float, Event]] = [(t / 10, Waiting(ORDERS, "busy", t / 10)) for t in range(250)]
    assert len(lines_of([*STORY[:2], *story])) == 2 + 3


def test_lines_show_no_control_characters() -> None:
    """A table's name cannot write to the terminal of who reads the log."""
    name = 'we`ird %s "näme"\x1b[2J\n'
    lines = lines_of([(0, StepStarted(name, method="shadow-copy", rows=1, bytes=1, resumed=False))])
    assert lines == ['2026-05-01T22:00:00Z we`ird %s "näme"\\x1b[2J\\x0a: shadow-copy begins']


def all_of(descriptor: int) -> str:
    parts: list[bytes] = []
    try:
        while part := os.read(descriptor, 65536):
            parts.append(part)
    except BlockingIOError:
        return b"".join(parts).decode()
    return b"".join(parts).decode()


@pytest.mark.parametrize("size", [(24, 120), (0, 0)])
def test_bars_on_a_terminal(size: tuple[int, int]) -> None:
    """A bar for the run and one for the step, news above them; close takes them away. Any size will do."""
    main, side = pty.openpty()
    clock = HandClock()
    with os.fdopen(side, "w", encoding="utf-8") as terminal:
        os.set_blocking(main, False)
        fcntl.ioctl(main, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        shown = progress(terminal, clock)
        assert isinstance(shown, Bars)
        for at, event in STORY:
            clock.seconds = at
            shown(event)
        drawn = all_of(main)
        shown(StepEnded(ORDERS, outcome="done", seconds=12))
        shown.close()
        shown.close()
        ended = all_of(main)
    os.close(main)
    assert "shop.orders: shadow-copy begins" in drawn
    assert "shop.orders copy" in drawn
    assert " 50% |██████████          | 1,000 of" in drawn
    assert "1,000 of about 2,000 rows" in drawn
    assert "all" in drawn
    assert " 30% |" in drawn
    assert "shop.orders: done in 12 s" in ended


def test_no_terminal_means_lines() -> None:
    """Bars are for terminals only."""
    assert isinstance(progress(io.StringIO(), HandClock()), Lines)


def test_bars_are_not_drawn_for_every_chunk() -> None:
    """A thousand chunks in a second are drawn about five times."""
    out, clock = io.StringIO(), HandClock()
    bars = Bars(out, clock)
    for _, event in STORY[:3]:
        bars(event)
    for number in range(1000):
        clock.seconds = number / 1000
        bars(ChunkCopied(ORDERS, rows=1, seconds=0.1, rows_done=number, rows_expected=2000, workers=2))
    bars.close()
    assert out.getvalue().count("of about 2,000 rows") <= 12


def test_long_names_keep_their_end() -> None:
    """The table's own name is at the end, and so is the phase."""
    step = SeenStep("a_very_long_schema_name.and_a_long_table_name", "shadow-copy", 1, 1, phase="verify")
    assert bar_name(step) == "....and_a_long_table_name verify"
    assert bar_name(dataclasses.replace(step, subject=ORDERS)) == "shop.orders verify"


def test_json_lines() -> None:
    """Each event is one line with its name, its time and its fields, nested ones too, whatever the names hold."""
    out, clock = io.StringIO(), HandClock()
    listen = JsonLines(out, clock)
    name = 'we`ird %s "näme"\n\x1b'
    listen(STORY[0][1])
    clock.seconds = 1.5
    listen(Waiting(name, reason="busy", seconds=1, blockers=(Blocker(1, "a@b", 2, "clone"),)))
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert first == {
        "event": "RunStarted",
        "format": 1,
        "at": "2026-05-01T22:00:00.000+00:00",
        "subject": "",
        "run_id": "r1",
        "plan_hash": "abcdef0123456789",
        "steps": 2,
        "bytes_to_do": 200 * MIB,
    }
    assert second["subject"] == name
    assert second["at"] == "2026-05-01T22:00:01.500+00:00"
    assert second["blockers"] == [
        {
            "session_id": 1,
            "user": "a@b",
            "seconds": 2,
            "reason": "clone",
            "detail": "",
            "host": "",
            "statement": "",
            "statement_seconds": None,
        }
    ]
    assert out.getvalue().isascii()


def test_every_event_has_a_line_of_json() -> None:
    """No event type has a field that JSON cannot say."""
    out = io.StringIO()
    listen = JsonLines(out, HandClock())
    events = [event for event, _ in NEWS] + [event for _, event in STORY]
    for event in events:
        listen(event)
    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == [type(e).__name__ for e in events]


def test_all_listeners_hear_in_order_and_one_that_raises_ends_it() -> None:
    """`together` tells each; an error of one goes to the caller, as the contract of events says."""
    told: list[str] = []

    def first(event: Event) -> None:
        told.append("first")

    def second(event: Event) -> None:
        raise BrokenPipeError

    try:
        together(first, second, first)(STORY[0][1])
    except BrokenPipeError:
        told.append("raised")
    assert told == ["first", "raised"]


class Hesitant(io.StringIO):
    """A stream that lets others go first in the middle of each write."""

    def write(self, text: str) -> int:
        half = len(text) // 2
        super().write(text[:half])
        os.sched_yield()
        return half + super().write(text[half:])


def test_lines_from_several_threads_are_whole() -> None:
    """Workers share the listener: no line is torn."""
    out, clock = Hesitant(), HandClock()
    listen = JsonLines(out, clock)

    def work() -> None:
        for _ in range(200):
            listen(STORY[1][1])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([json.loads(line) for line in out.getvalue().splitlines()]) == 800
