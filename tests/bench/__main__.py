"""The command line of the benchmark: python -m tests.bench [options]."""

from __future__ import annotations

import argparse
import compileall
import logging
import shlex
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import migrator
from tests.bench import page, results
from tests.bench.cases import CASES
from tests.bench.contestants import MIGRATOR, Contestant, contestants
from tests.bench.impact import Load, impacts
from tests.bench.measure import machine
from tests.bench.results import Impact, Report, Turn
from tests.bench.rounds import turns
from tests.bench.stand import OPTIONS, Stand, standing
from tests.bench.toolkit import toolkit
from tests.servers import NoServer
from tests.servers.model import NotAvailable

BUILD: Final = Path(__file__).parents[2] / "build"
SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - where --memory asks for it
IMPACT: Final = "impact"
ALL: Final = (*(case.letter for case in CASES), IMPACT)


def main(arguments: list[str] | None = None) -> int:
    """Measure what is asked for; 1 if a contestant failed."""
    options = _options().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    if not MIGRATOR.exists():
        print(f"the command line is not installed beside this Python: {MIGRATOR}", file=sys.stderr)
        return 1
    # As pip does with what it installs: else each process of a checkout may compile all of it anew.
    compileall.compile_dir(Path(migrator.__file__).parent, quiet=1)
    # SIGTERM ends the server as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    whole = options.scale == 1 and options.cases == ALL and not options.memory
    to: Path = options.page or (page.PAGE if whole else BUILD / "bench.md")
    try:
        report = measure(options, sys.argv[1:] if arguments is None else arguments)
    except NoServer as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted: the server is ended; what was measured is in build/bench.json", file=sys.stderr)
        return 130
    page.put(report, to)
    print(f"\n{page.results(report)}\nIn {to} and {BUILD / 'bench.json'}; what the programs said: {BUILD / 'bench'}.")
    return 1 if any(turn.failed for turn in report.turns) or any(one.failed for one in report.impacts) else 0


def measure(options: argparse.Namespace, arguments: list[str]) -> Report:
    """The whole run; after each turn the JSON is written anew."""
    absent: tuple[str, ...] = ()
    about = machine()
    try:
        found = contestants(toolkit())
    except NotAvailable as reason:
        found, absent = contestants(None), (f"pt-osc: {reason}",)
    with standing(base=SHARED_MEMORY if options.memory else Path(tempfile.gettempdir())) as stand:
        report = Report(
            command=" ".join(["make bench", *([f"BENCH={shlex.quote(shlex.join(arguments))}"] if arguments else [])]),
            date=f"{datetime.now(UTC):%Y-%m-%d}",
            machine=about,
            server=f"MySQL {stand.server.server.version}",
            options=OPTIONS,
            scale=options.scale,
            rounds=options.rounds,
            in_memory=options.memory,
            rate=options.rate,
            threads=options.threads,
            absent=absent,
        )
        for one in _all(stand, found, options):
            _tell(one)
            if isinstance(one, Turn):
                report = replace(report, turns=(*report.turns, one))
            else:
                report = replace(report, impacts=(*report.impacts, one))
            results.write(report, BUILD / "bench.json")
    return report


def _all(stand: Stand, found: Mapping[str, Contestant], options: argparse.Namespace) -> Iterator[Turn | Impact]:
    folder = BUILD / "bench"
    for case in CASES:
        if case.letter in options.cases:
            yield from turns(stand, case, found, folder, scale=options.scale, rounds=options.rounds)
    if IMPACT in options.cases:
        load = Load(options.rate, options.threads, options.load_seconds)
        yield from impacts(stand, CASES[0], found, folder, load, scale=options.scale, rounds=options.rounds)


def _tell(one: Turn | Impact) -> None:
    where = f"({one.case})" if isinstance(one, Turn) else "under load"
    took = f"FAILED: {one.failed}" if one.failed or not one.effort else f"{one.effort.seconds:.1f} s"
    errors = f", errors: {dict(one.errors) or 'none'}" if isinstance(one, Impact) and not one.failed else ""
    print(f"{where:<11} round {one.round}  {one.contestant:<22} {took}{errors}", flush=True)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--cases", type=_cases, default=ALL, help=f"of {','.join(ALL)} (default: all)")
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of rows; in (d) of tables")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", action="store_true", help="keep the server's files in memory, not on disk")
    parser.add_argument("--rate", type=float, default=100.0, help="transactions a second of the application")
    parser.add_argument("--threads", type=int, default=6, help="of the application")
    parser.add_argument("--load-seconds", type=float, default=10.0, help="that it works before, and after")
    parser.add_argument("--page", type=Path, help="where the results go; docs/benchmarks.md for a whole run on disk")
    return parser


def _cases(text: str) -> tuple[str, ...]:
    chosen = text.split(",")
    if unknown := [letter for letter in chosen if letter not in ALL]:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are {', '.join(ALL)}")
    return tuple(name for name in ALL if name in chosen)


if __name__ == "__main__":
    sys.exit(main())
