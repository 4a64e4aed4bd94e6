"""A process of the command line: how it ended, and one that is held at an event.

It is held without any timing. Its stdout is a pipe of one packet: it can write an event only after we have
taken the one before. We look at an event without taking it, and so know that the process is behind that
event and before the next one, for as long as we like. What has to happen before a statement is done at an
event that has another one between itself and the statement.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.servers import until

Event = dict[str, Any]
When = Callable[[Event], bool]

WAIT_SECONDS: Final = 90.0
"""How long a process may take to come to an event, or to end."""

_libc: Final = ctypes.CDLL(None, use_errno=True)


# -- how a command ended ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended, and all that it said."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[Event]:
        """What `apply --events` streamed."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def json(self) -> Any:
        """The one document of `--format json`."""
        return json.loads(self.out)

    def of(self, kind: str) -> list[Event]:
        """The events of one type."""
        return [event for event in self.events if event["event"] == kind]

    def says(self, *words: str) -> None:
        """Everything of `words` is on stderr, wherever its lines are broken."""
        said = f"{self.err}\n{' '.join(self.err.split())}"
        missing = [word for word in words if word not in said]
        assert not missing, f"not said: {missing}\n{self}"

    def grants(self) -> list[str]:
        """The GRANT statements that stderr names, each once."""
        found = re.findall(r"GRANT .*? ON .*? TO '[^']*'@'[^']*'", self.err)
        return list(dict.fromkeys(found))


# -- a process held at an event ---------------------------------------------------------------------


def ddl(words: str, *, done: bool = False) -> When:
    """The moment before a statement with these words is sent, or after the server has done it."""
    kind = "DdlDone" if done else "DdlStarting"
    return lambda event: event["event"] == kind and words in event["statement"]


def phase(which: str, *, ended: bool = False) -> When:
    """A phase begins, or has ended."""
    kind = "PhaseEnded" if ended else "PhaseStarted"
    return lambda event: event["event"] == kind and event["phase"] == which


def each(kind: str) -> When:
    """Every event of a type."""
    return lambda event: event["event"] == kind


def narrow_pipe() -> tuple[int, int]:
    """A pipe with room for one packet; what is written in one piece is one, up to 4096 bytes."""
    ends = os.pipe2(os.O_DIRECT | os.O_CLOEXEC)
    fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, 4096)
    return ends


class Held:
    """A running `apply --events` that goes no further than the test lets it."""

    def __init__(
        self, arguments: Sequence[str], environment: dict[str, str], folder: Path, check: Callable[[str], None]
    ):
        self._read_end, write_end = narrow_pipe()
        self._copy_read, self._copy_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._err = folder / f"stderr-{time.monotonic_ns()}"
        self._check = check
        self._taken = b""
        self._held = False
        with self._err.open("wb") as err:
            self.process = subprocess.Popen(
                arguments,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=write_end,
                stderr=err,
                start_new_session=True,
            )
        os.close(write_end)

    @property
    def pid(self) -> int:
        """The process's number."""
        return self.process.pid

    @property
    def err(self) -> str:
        """What it has said on stderr so far."""
        return self._err.read_text()

    def hold(self, when: When, nth: int = 1) -> Event:
        """Let it go on until the n-th event from here that fits; it stays behind that event and before the next."""
        self._let_go()
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            packet = self._look(max(0.0, deadline - time.monotonic()))
            assert packet is not None, f"it took longer than {WAIT_SECONDS:g} s\n{self._told()}"
            assert packet, f"it ended before the event came\n{self._told()}"
            if packet.endswith(b"\n") and not self._taken.rpartition(b"\n")[2]:
                event: Event = json.loads(packet)
                nth -= when(event)
                if nth == 0:
                    self._held = True
                    return event
            self._take()

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Let it go on until a condition holds that is looked at again and again."""
        self._let_go()

        def met() -> object:
            while self._look(0.0):
                self._take()
            return condition()

        until(met, what, seconds=WAIT_SECONDS)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; it has arrived before the next event is written."""
        os.kill(self.pid, number)

    def finish(self) -> Ran:
        """Let it go on to its end."""
        self._let_go()
        deadline = time.monotonic() + WAIT_SECONDS
        while packet := self._look(max(0.0, deadline - time.monotonic())):
            self._take()
        assert packet is not None, f"it did not end within {WAIT_SECONDS:g} s\n{self._told()}"
        ran = Ran(self.process.wait(WAIT_SECONDS), self._taken.decode(), self.err)
        self.close()
        self._check(ran.out + ran.err)
        return ran

    def go_deaf(self) -> Ran:
        """Close our end of the pipe, as `| head` does, and let it end."""
        os.close(self._read_end)
        self._read_end = -1
        ran = Ran(self.process.wait(WAIT_SECONDS), self._taken.decode(), self.err)
        self.close()
        self._check(ran.out + ran.err)
        return ran

    def kill(self) -> None:
        """End it without a chance to do anything more (kill -9)."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End it if it still runs; safe to repeat."""
        if self.process.poll() is None:
            self.kill()
        for end in (self._read_end, self._copy_read, self._copy_write):
            if end >= 0:
                os.close(end)
        self._read_end = self._copy_read = self._copy_write = -1

    def _look(self, seconds: float) -> bytes | None:
        """The packet in the pipe, which stays there; b'' at the end, None if there is none within `seconds`."""
        if not select.select([self._read_end], [], [], seconds)[0]:
            return None
        count = _libc.tee(self._read_end, self._copy_write, 65536, 0)
        if count < 0:
            raise OSError(ctypes.get_errno(), "tee")
        return os.read(self._copy_read, 65536) if count else b""

    def _take(self) -> None:
        self._taken += os.read(self._read_end, 65536)

    def _let_go(self) -> None:
        if self._held:
            self._held = False
            self._take()

    def _told(self) -> str:
        return "\n".join([*self._taken.decode().splitlines()[-8:], self.err[-3000:]])
