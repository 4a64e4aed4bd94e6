"""What a process and a server needed: seconds, CPU, memory. Linux: read from /proc."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MOST_SECONDS: Final = 7200.0
"""After so long a contestant is ended, and has failed."""

_LOOK_EVERY_SECONDS: Final = 0.02
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Ran:
    """A process that has ended."""

    exit_code: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    """Of its resident memory."""


def run(
    command: Sequence[str], *, folder: Path, out: str, err: str, environment: Mapping[str, str] | None = None
) -> Ran:
    """Run a program in the folder, its output in files there, to its end; `MOST_SECONDS` at most."""
    with (folder / out).open("ab") as said, (folder / err).open("ab") as complained:
        began = time.monotonic()
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=complained
        )
    ended, peaks = threading.Event(), [0]
    watcher = threading.Thread(target=_watch_memory, args=(process.pid, peaks, ended), name="memory")
    watcher.start()
    late = threading.Timer(MOST_SECONDS, process.kill)
    late.start()
    try:
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
    finally:
        late.cancel()
        ended.set()
        watcher.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    return Ran(process.returncode, seconds, used.ru_utime + used.ru_stime, peaks[-1])


def _watch_memory(pid: int, peaks: list[int], ended: threading.Event) -> None:
    # Not ru_maxrss, which begins with what the parent had when it forked.
    while not ended.wait(_LOOK_EVERY_SECONDS):
        peaks.append(max(peaks[-1], peak_bytes(pid)))
        del peaks[:-1]


def peak_bytes(pid: int) -> int:
    """The most resident memory that a living process has had; 0 if it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def cpu_seconds(pid: int) -> float:
    """User and system time of a living process, all its threads, since it began."""
    _, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")
    fields = rest.split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def machine() -> str:
    """This machine in words: cores, processor, memory, and how busy it is. No names."""
    processor = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores, load = os.cpu_count() or 0, os.getloadavg()[0]
    return (
        f"{cores} cores ({processor[1].strip() if processor else 'unknown'}), {memory:.0f} GiB of memory; "
        f"load average {load:.1f} before it began"
    )
