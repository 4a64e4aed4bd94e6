"""The installed command line, run as a DBA runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

MIGRATOR: Final = Path(sys.executable).with_name("migrator")
MOST_SECONDS: Final = 600


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that has ended."""

    command: Sequence[str]
    exit_code: int
    seconds: float
    stdout: str
    stderr: str


def run(folder: Path, *arguments: str) -> Ran:
    """Run `migrator` in the folder and wait for it."""
    began = time.monotonic()
    done = subprocess.run(
        [str(MIGRATOR), *arguments],
        cwd=folder,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=MOST_SECONDS,
        check=False,
    )
    return Ran(arguments, done.returncode, time.monotonic() - began, done.stdout, done.stderr)


def stream(folder: Path, heard: Callable[[dict[str, Any]], None], *arguments: str, to: str, log: str) -> Ran:
    """Run `migrator` in the folder; each JSON line of its stdout is kept in `to` and heard at once.

    What it says to people goes to `log`. It is ended by SIGTERM if `heard` raises, or after `MOST_SECONDS`.
    """
    began = time.monotonic()
    with (folder / log).open("w", encoding="utf-8") as said, (folder / to).open("w", encoding="utf-8") as kept:
        process = subprocess.Popen(
            [str(MIGRATOR), *arguments],
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
        assert process.stdout
        late = threading.Timer(MOST_SECONDS, process.terminate)
        late.start()
        try:
            for line in process.stdout:
                kept.write(line)
                heard(json.loads(line))
        finally:
            late.cancel()
            if process.poll() is None and sys.exc_info()[0]:
                process.terminate()
            process.stdout.close()
            process.wait(MOST_SECONDS)
    text = (folder / log).read_text(encoding="utf-8")
    return Ran(arguments, process.returncode, time.monotonic() - began, "", text)


def _environment() -> dict[str, str]:
    # A password in the user's environment is not for this server.
    return {name: value for name, value in os.environ.items() if name != "MYSQL_PWD"}
