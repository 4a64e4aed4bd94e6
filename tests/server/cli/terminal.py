"""A command on a terminal: what it draws there, as a person sees it, and the keys that are pressed."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Sequence
from typing import Final

WAIT_SECONDS: Final = 60.0

_CODE: Final = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])")


class Terminal:
    """A pseudo-terminal of a size, with a command on it."""

    def __init__(self, words: Sequence[str], environment: dict[str, str], *, columns: int, lines: int) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.size = columns, lines
        self.raw = ""
        self.process = subprocess.Popen(
            words, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self._ours, keys.encode())

    def until(self, condition: Callable[[list[str]], object], what: str) -> list[str]:
        """Read on until a whole screen fits a condition; that screen."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            screens = self.screens()
            if screens and condition(screens[-1]):
                return screens[-1]
            left = deadline - time.monotonic()
            assert left > 0 and self._read(left), f"not seen: {what}\n{self.raw[-3000:]}"

    def screens(self) -> list[list[str]]:
        """Every screen that was drawn to its end, each as its lines."""
        drawn = self.raw.split("\x1b[H")[1:]
        whole = [one.partition("\x1b[J")[0] for one in drawn if "\x1b[J" in one]
        return [[_CODE.sub("", line) for line in one.split("\r\n")] for one in whole]

    def end(self) -> int:
        """Read to its end; its exit code."""
        deadline = time.monotonic() + WAIT_SECONDS
        while self._read(max(0.0, deadline - time.monotonic())):
            pass
        return self.process.wait(WAIT_SECONDS)

    def close(self) -> None:
        """End it if it still runs; safe to repeat."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self._ours >= 0:
            os.close(self._ours)
            self._ours = -1

    def _read(self, seconds: float) -> bool:
        if not select.select([self._ours], [], [], seconds)[0]:
            return False
        try:
            read = os.read(self._ours, 65536)
        except OSError:  # the other end was closed
            return False
        self.raw += read.decode()
        return bool(read)
