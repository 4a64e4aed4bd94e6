"""The company's application: many small transactions a second against every table that is migrated.

    python -m tests.demo.application --defaults-file app.cnf --output folder [--rate 80] [--threads 6]

It reads, thinks for 5 to 10 ms and writes, under REPEATABLE READ, by a schedule that does not wait for it:
a transaction that starts late because the one before was slow counts its delay as latency. Every error is
counted raw, by number, and nothing is tried again. Whatever it reads must be what it wrote; what it holds to be
true is its ledger, which changes when COMMIT has returned and not before. Beside that two threads send single
statements to the tables that are relayed: see `singles`.

It is driven by lines on stdin: `mark NAME` begins a period, `count` prints the numbers so far, `stop` (or
the end of stdin) ends it. Each is answered by one line of JSON, once the application has chosen its rows; the
first `mark` begins the load, until then nothing is written. It leaves `application.json` (errors,
latencies) and `ledger.jsonl` (every row it answers for) in the folder. Rights: SELECT, INSERT, UPDATE, DELETE.
"""

from __future__ import annotations

import argparse
import configparser
import dataclasses
import json
import sys
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.demo import company, ledger
from tests.demo.estate import Estate, adopt
from tests.demo.latency import by_second, summary
from tests.demo.shapes import Account, Row, Shape, read_shapes
from tests.demo.singles import Single
from tests.demo.threads import Reporter, Shared, Thread, Writer

SINGLES: Final = 2
"""Threads that send single statements to the tables that are relayed."""

BLOCKS: Final = 12
"""Of ten rows, for each thread in a large table; one in a small."""


def estates_of(
    account: Account, *, owners: int, schemas: Collection[str] = company.SCHEMAS, blocks_of_all: int | None = None
) -> tuple[Mapping[str, Shape], list[dict[str, Estate]]]:
    """What every owner gets of each table that is written; reads the server, about 4 s.

    `blocks_of_all`: so many blocks in every table, and not as many as a table of the company has by its size.
    """
    shapes = read_shapes(account, schemas)
    # What is moved by the server itself can give transactions 1412 and 1213: that gets single statements only.
    left = {*company.QUIET, *company.EXPECTED_RELAYED}
    written = [shape for table, shape in sorted(shapes.items()) if table not in left and shape.key]
    estates: list[dict[str, Estate]] = [{} for _ in range(owners)]
    for shape in written:
        blocks = blocks_of_all or (BLOCKS if shape.table in company.LARGE else 1)
        for owner, estate in zip(estates, adopt(account, shape, owners=owners, blocks=blocks), strict=True):
            owner[shape.table] = estate
    return shapes, estates


def owned(estates: Sequence[Mapping[str, Estate]], singles: Sequence[Single] = ()) -> ledger.Ledger:
    """All threads' rows, by table: no key has two owners."""
    together: dict[str, dict[Row, Row | None]] = {}
    for owner in estates:
        for table, estate in owner.items():
            together.setdefault(table, {}).update(estate.owned())
    for single in singles:
        for table, rows in single.owned().items():
            together.setdefault(table, {}).update(rows)
    return together


def results(threads: Sequence[Thread], lasted: Mapping[str, float], rate: float) -> dict[str, object]:
    """Everything that was counted, for `application.json`."""
    samples = [sample for thread in threads for sample in thread.samples]
    troubles = sorted((trouble for thread in threads for trouble in thread.troubles), key=lambda t: t.at_seconds)
    return {
        "rate_wanted": rate,
        "periods": {
            period: dataclasses.asdict(summary((sample for sample in samples if sample.period == period), seconds))
            for period, seconds in lasted.items()
        },
        "errors": dict(Counter(str(trouble.number) for trouble in troubles)),
        "troubles": [dataclasses.asdict(trouble) for trouble in troubles],
        "wrong": [wrong for thread in threads for wrong in thread.wrong],
        "reports": sum(thread.reports for thread in threads if isinstance(thread, Reporter)),
        "tables": dict(sum((thread.tables for thread in threads), Counter[str]())),
        "habits": dict(sum((thread.habits for thread in threads), Counter[str]())),
        "seconds": by_second(samples),
    }


def account_from(path: Path) -> Account:
    """The [client] group of an option file."""
    options = configparser.ConfigParser(interpolation=None)
    options.read_string(path.read_text(encoding="utf-8"))
    client = options["client"]
    return Account(client["host"], int(client["port"]), client["user"], client.get("password", ""))


def say(**what: object) -> None:
    """One line of JSON on stdout."""
    print(json.dumps(what), flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until told to stop; 0 if nothing went wrong in here, whatever the server answered."""
    parser = argparse.ArgumentParser(prog="python -m tests.demo.application")
    parser.add_argument("--defaults-file", type=Path, required=True, help="option file with a [client] group")
    parser.add_argument("--output", type=Path, required=True, help="folder for application.json and ledger.jsonl")
    parser.add_argument("--rate", type=float, default=80.0, help="transactions a second, all threads")
    parser.add_argument("--threads", type=int, default=6)
    parser.add_argument(
        "--single-rate", type=float, default=30.0, help="single statements a second beside these; 0: none"
    )
    parser.add_argument("--report-every", type=float, default=5.0, help="seconds between long reads; 0: none")
    parser.add_argument("--report-held", type=float, default=0.8, help="seconds between a snapshot and its reads")
    parser.add_argument("--seed", type=int, default=None, help="of the choices; the time by default")
    parser.add_argument("--schema", action="append", help="of the tables; the company's by default. Repeatable")
    parser.add_argument(
        "--blocks", type=int, help=f"of ten rows, for each thread in every table; {BLOCKS} in large ones"
    )
    options = parser.parse_args(arguments)
    account = account_from(options.defaults_file)
    seed = int(time.time()) if options.seed is None else options.seed

    shapes, estates = estates_of(
        account,
        owners=options.threads + 1,
        schemas=options.schema or company.SCHEMAS,
        blocks_of_all=options.blocks,
    )
    shared = Shared(account)
    threads: list[Thread] = [
        Writer(shared, number, estates[number], seed, rate=options.rate, threads=options.threads)
        for number in range(options.threads)
    ]
    if options.report_every:
        last = options.threads
        threads.append(
            Reporter(shared, last, estates[last], seed, every=options.report_every, held=options.report_held)
        )
    singles = [
        Single(shared, options.threads + 1 + n, shapes, seed, rate=options.single_rate / SINGLES)
        for n in range(SINGLES if options.single_rate else 0)
    ]
    threads += singles
    lasted = listen(shared, threads)
    for thread in threads:
        if thread.ident is not None:
            thread.join()
        if thread.crash is not None:
            raise thread.crash
    options.output.mkdir(parents=True, exist_ok=True)
    ledger.write(options.output / "ledger.jsonl", owned(estates, singles))
    text = json.dumps(results(threads, lasted, options.rate), indent=1)
    (options.output / "application.json").write_text(text, encoding="utf-8")
    say(stopped=True)
    return 0


def listen(shared: Shared, threads: Sequence[Thread]) -> dict[str, float]:
    """Obey the lines on stdin until one says stop; the seconds that each period lasted."""
    began: list[tuple[str, float]] = []
    for line in sys.stdin:
        word, _, name = line.strip().partition(" ")
        if word == "mark":
            now = time.monotonic()
            shared.period = name
            if not began:
                shared.started = now
                for thread in threads:
                    thread.start()
            began.append((name, now))
            say(marked=name)
        elif word == "count":
            counted = Counter(trouble.number for thread in threads for trouble in list(thread.troubles))
            say(
                transactions=sum(len(thread.samples) for thread in threads),
                errors={str(number): count for number, count in counted.items()},
                wrong=sum(len(thread.wrong) for thread in threads),
                tables=sorted({table for thread in threads for table in tuple(thread.tables)}),
                habits=sorted({habit for thread in threads for habit in tuple(thread.habits)}),
                alive=not shared.stop.is_set(),
            )
        elif word == "stop":
            break
    ended = time.monotonic()
    shared.stop.set()
    lasted = dict.fromkeys((name for name, _ in began), 0.0)
    for (name, start), end in zip(began, [*(start for _, start in began[1:]), ended], strict=True):
        lasted[name] += end - start
    return lasted


if __name__ == "__main__":
    sys.exit(main())
