"""Keeps one mysqld: whatever happens to the process that wanted it, the server ends and its folder goes.

Run as a program by `tests.servers.local`: keeper.py BASE PREFIX. It makes the folder, says its name,
and then obeys one JSON line after another on stdin, answering each with one on stdout. When stdin
ends or its parent is gone (also by SIGKILL), it kills the server and removes the folder. Should the
keeper itself be killed, the kernel kills the server. Standard library only; starts in milliseconds.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_STOP_SECONDS = 120


def main() -> None:
    parent = os.getppid()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(1))
    folder = Path(tempfile.mkdtemp(prefix=sys.argv[2], dir=sys.argv[1]))
    server: subprocess.Popen[bytes] | None = None
    try:
        _answer({"folder": str(folder)})
        for order in _orders(parent):
            match order["do"]:
                case "start":
                    server = _start(folder, order["argv"])
                    _answer({"pid": server.pid})
                case "quit":
                    return
                case "poll":
                    _answer({"status": server.poll() if server else None})
                case _:
                    _answer({"status": _end(server, order["signal"])})
    finally:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        _end(server, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


def _orders(parent: int) -> Iterator[dict[str, Any]]:
    """Lines of stdin until it ends. A fork of the parent may hold it open, so the parent is watched too."""
    waiting = b""
    while os.getppid() == parent:
        ready, _, _ = select.select([0], [], [], 1.0)
        if ready:
            read = os.read(0, 65536)
            if not read:
                return
            *lines, waiting = (waiting + read).split(b"\n")
            yield from map(json.loads, lines)


def _answer(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def _start(folder: Path, argv: list[str]) -> subprocess.Popen[bytes]:
    libc = ctypes.CDLL(None)
    with (folder / "mysqld.out").open("ab") as out:
        return subprocess.Popen(
            argv,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            # SIGXFSZ stays ignored, as Python has it: at a limit of file size mysqld meets an error, not its end.
            restore_signals=False,
            # The keeper has one thread, which lives as long as it does, so the signal means its death.
            preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),
        )


def _end(server: subprocess.Popen[bytes] | None, number: int) -> int | None:
    if server is None:
        return None
    if server.poll() is None:
        server.send_signal(number)
        try:
            server.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
    return server.returncode


if __name__ == "__main__":
    main()
