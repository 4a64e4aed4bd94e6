"""What `verify` does with files: options that become a wish, and what is said while they are read."""

from __future__ import annotations

import re
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from migrator.cli_call import say
from migrator.clock import SystemClock
from migrator.errors import UsageError
from migrator.planner.units import seconds_of

if TYPE_CHECKING:
    from migrator.db import Session
    from migrator.model import Inventory
    from migrator.planner.plan import Scope
    from migrator.proof.files import Wish
    from migrator.report.files import FilesReport

TELL_EVERY_SECONDS: Final = 10.0
_LOOK_AGAIN_SECONDS: Final = 10.0
_READ_AT_MOST: Final = 8192


def _percent(text: str) -> float:
    match = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,3})?) ?%", text)
    percent = float(match[1]) if match else 0.0
    if not 0 < percent <= 100:
        raise typer.BadParameter(f"{text!r} is no share: write 1%")
    return percent


def _time(text: str) -> float:
    try:
        return float(str(seconds_of(text)))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


Files = Annotated[
    bool,
    typer.Option(
        "--files", help="Read the tables' files, and prove each page. On the server's host, as who may read them."
    ),
]
DatadirHere = Annotated[
    Path | None,
    typer.Option(
        "--datadir",
        metavar="FOLDER",
        help="With --files or --canary: where the server's datadir is on this machine. Default: where the server says.",
    ),
]
Sample = Annotated[
    Any,
    typer.Option(
        "--sample",
        metavar="PERCENT",
        help="With --files: read only so much of each file (1%), its first and its last extent always. Default: all.",
        parser=_percent,
    ),
]
LookAgain = Annotated[
    Any,
    typer.Option(
        "--look-again",
        metavar="TIME",
        help="With --files: how long pages in clear are looked at again, for the server to write them. Default: 10 s.",
        parser=_time,
    ),
]
CanaryFile = Annotated[
    Path | None,
    typer.Option(
        "--canary",
        metavar="FILE",
        help="Search every file of the server, logs too, for the bytes in FILE (- is stdin), and tell only places.",
    ),
]


def wish_of(
    scope: Scope,
    *,
    files: bool,
    datadir: Path | None,
    sample: float | None,
    look_again: float | None,
    canary: Path | None,
) -> Wish | None:
    """What is to be done with files; None if nothing. Raises `UsageError`."""
    for option, given in (("--sample", sample), ("--look-again", look_again)):
        if given is not None and not files:
            raise UsageError(f"{option} says how files are read", remedy="give --files, too")
    if not files and canary is None:
        if datadir is not None:
            raise UsageError("--datadir says where files are read", remedy="give --files or --canary, too")
        return None
    from migrator.proof.canary import needle_from
    from migrator.proof.files import Wish

    narrowed = scope.databases or scope.tables or scope.ignore_databases or scope.ignore_tables
    return Wish(
        pages=files,
        datadir=datadir,
        percent=100.0 if sample is None else sample,
        look_again_seconds=_LOOK_AGAIN_SECONDS if look_again is None else look_again,
        needle=None if canary is None else needle_from(_read(canary)),
        wants=scope.wants,
        everything=not narrowed,
    )


def _read(file: Path) -> bytes:
    """The bytes to search for; never more than could be searched for."""
    try:
        if str(file) == "-":
            return sys.stdin.buffer.read(_READ_AT_MOST)
        with file.open("rb") as stream:
            return stream.read(_READ_AT_MOST)
    except OSError as error:
        raise UsageError(
            f"--canary: cannot read {file}: {error.strerror}", remedy="name a file, or - for stdin"
        ) from None


def prove_in_files(session: Session, inventory: Inventory, wish: Wish, stop: threading.Event) -> FilesReport:
    """Read the files, with a line on stderr now and then, so that nobody takes a long reading for a dead one."""
    from migrator.planner.units import about
    from migrator.proof.files import Beside, prove_files

    clock = SystemClock()
    said_at, read = clock.monotonic(), 0

    def tell(done: int) -> None:
        nonlocal said_at, read
        read += done
        if clock.monotonic() - said_at >= TELL_EVERY_SECONDS:
            said_at = clock.monotonic()
            say(f"{about(read)} read")

    return prove_files(session, inventory, wish, Beside(clock, stop, tell))
