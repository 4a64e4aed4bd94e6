"""`status --watch`: a view on a terminal, JSON lines for programs, plain lines for anything else.

The view draws over what it has drawn before, line by line, so that nothing flickers; afterwards the terminal is as it
was. It only reads: neither `q` nor Ctrl-C is heard by the run.
"""

from __future__ import annotations

import os
import select
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from migrator.clock import SystemClock
from migrator.db import Session

DRAW_EVERY_SECONDS: Final = 0.5
LINES_EVERY_SECONDS: Final = 2.0

_ENTER: Final = "\x1b[?1049h\x1b[?25l"
"""A screen beside the one that is there, without a cursor."""

_LEAVE: Final = "\x1b[?25h\x1b[?1049l"


def watched(session: Session, stop: threading.Event, *, as_json: bool) -> int:
    """Follow the latest run until it has ended, or until whoever watches leaves; gives the exit code."""
    from migrator.engine.status import read_status
    from migrator.engine.watching import Watching
    from migrator.report.live import live_lines, live_screen
    from migrator.report.status import at_work, status_json_line, status_text

    if as_json:
        while True:
            report = read_status(session)
            _write(status_json_line(report))
            if not at_work(report) or SystemClock().wait(stop, LINES_EVERY_SECONDS):
                return 0
    watching = Watching(session, SystemClock())
    report = watching.look()
    if at_work(report) and sys.stdout.isatty():
        with _screen() as leave:
            while at_work(report):
                size = os.get_terminal_size(sys.stdout.fileno())
                _write(_drawn(live_screen(report, columns=size.columns or 80, lines=size.lines or 24)))
                if leave(DRAW_EVERY_SECONDS):
                    break
                report = watching.look()
    while at_work(report) and not sys.stdout.isatty():
        _write("".join(f"{line}\n" for line in live_lines(report)))
        if SystemClock().wait(stop, LINES_EVERY_SECONDS):
            return 0
        report = watching.look()
    _write(status_text(read_status(session)))
    return 0


def _drawn(lines: list[str]) -> str:
    """Each line over the one that was there, and nothing below."""
    return "\x1b[H" + "\n".join(f"{line}\x1b[K" for line in lines) + "\x1b[J"


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


@contextmanager
def _screen() -> Iterator[Callable[[float], bool]]:
    """A screen of our own for the body; gives what waits for so long, and says True when `q` was pressed."""
    keys = sys.stdin.fileno() if sys.stdin.isatty() else None
    before = termios.tcgetattr(keys) if keys is not None else None

    def leave(seconds: float) -> bool:
        if keys is None:
            return SystemClock().wait(threading.Event(), seconds)
        pressed, _, _ = select.select([keys], [], [], seconds)
        return bool(pressed) and os.read(keys, 64)[:1] in {b"q", b"Q", b""}

    try:
        if keys is not None:
            tty.setcbreak(keys)
        _write(_ENTER)
        yield leave
    finally:
        _write(_LEAVE)
        if keys is not None and before is not None:
            termios.tcsetattr(keys, termios.TCSADRAIN, before)
