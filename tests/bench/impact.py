"""What an application notices: it writes before, during and after, and answers for every row in the end.

It is the demonstration's application (`tests.demo.application`), on case (a)'s table: six connections, by a
schedule that does not wait, REPEATABLE READ, each transaction reads one to four rows, thinks for 5 to 10 ms and
writes one to three times (insert, update, delete, move, exchange of keys, upsert); one of twenty rolls back.
Its threads own their rows and never meet each other, so each error that it gets is of the contestant's making.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pymysql

from tests.bench.cases import SCHEMA, Case
from tests.bench.contestants import Contestant, events_in, phase_at
from tests.bench.measure import cpu_seconds
from tests.bench.proof import NotDone, contents, encrypted_bytes
from tests.bench.results import Effort, Impact
from tests.bench.rounds import rotated
from tests.bench.stand import Stand
from tests.demo import ledger
from tests.demo.shapes import Account, Shape, read_shapes
from tests.demo.traffic import ApplicationDied, Result, Traffic, traffic
from tests.servers import RunningServer

WARM_UP_SECONDS: Final = 3.0
BLOCKS: Final = 100
"""Of ten neighbouring rows, for each thread: spread evenly over the key."""

_WAITS: Final = "performance_schema.events_waits_summary_by_user_by_event_name"


@dataclass(frozen=True, slots=True)
class Load:
    """How the application works."""

    rate: float
    """Transactions a second."""
    threads: int
    """And connections."""
    seconds: float
    """Before, and after."""


def impacts(
    stand: Stand,
    case: Case,
    contestants: Mapping[str, Contestant],
    folder: Path,
    load: Load,
    *,
    scale: float,
    rounds: int,
) -> Iterator[Impact]:
    """Prepare the case and have each contestant encrypt it while the application writes; each is given at once."""
    tables = case.tables(scale)
    stand.prepare(case.letter, tables)
    stand.server.start()
    at = stand.server.server
    root = Account(at.host, at.port, at.user, at.password)
    shapes = read_shapes(root, [SCHEMA])
    before = ledger.snapshot(root, shapes.values())
    rows = sum(map(len, before.values()))
    names = [name for name in ("migrator", "pt-osc") if name in contestants]
    for round_no in range(1, rounds + 1):
        for name in rotated(names, round_no):
            left = folder / f"impact-{round_no}-{name}"
            shutil.rmtree(left, ignore_errors=True)
            left.mkdir(parents=True)
            stand.begin(case.letter)
            try:
                contents(stand.server, [table.name for table in tables])
                found = _under_load(stand, contestants[name], [table.name for table in tables], left, load)
                if not found.failed:
                    encrypted_bytes(stand.server, [table.name for table in tables])
                _same_as_ledger(root, shapes, before, found.result)
            except (NotDone, ApplicationDied, pymysql.err.MySQLError) as error:
                yield Impact(name, round_no, rows, failed=str(error) or type(error).__name__)
            else:
                yield _impact(name, round_no, rows, found)
    stand.drop(case.letter)


@dataclass(frozen=True, slots=True)
class _Found:
    effort: Effort | None
    failed: str
    result: Result
    events: Sequence[Mapping[str, Any]]
    longest_block_ms: float
    busy_before: float


def _under_load(stand: Stand, contestant: Contestant, tables: list[str], folder: Path, load: Load) -> _Found:
    file = stand.application.option_file(folder / "application.cnf")
    how = ("--schema", SCHEMA, "--blocks", str(BLOCKS), "--single-rate", "0", "--report-every", "0", "--seed", "1")
    pause = threading.Event()
    with traffic(file, folder, rate=load.rate, threads=load.threads, more=how) as application:
        application.mark("warm-up")
        pause.wait(WARM_UP_SECONDS)
        application.mark("before")
        used = _used(stand, application)
        pause.wait(load.seconds)
        busy = (_used(stand, application) - used) / load.seconds / (os.cpu_count() or 1)
        _forget_waits(stand.server)
        application.mark("during")
        effort, failed = None, ""
        try:
            effort = contestant(stand, tables, folder)
        except NotDone as error:
            failed = str(error)
        blocked = _longest_block_ms(stand.server)
        application.mark("after")
        pause.wait(load.seconds)
        return _Found(effort, failed, application.stop(), events_in(folder), blocked, busy)


def _used(stand: Stand, application: Traffic) -> float:
    return stand.cpu_seconds() + cpu_seconds(application.process.pid)


def _forget_waits(server: RunningServer) -> None:
    server.rows(f"TRUNCATE {_WAITS}")


def _longest_block_ms(server: RunningServer) -> float:
    """The longest wait of one of the application's statements for a metadata lock since they were forgotten."""
    picoseconds = server.value(
        f"SELECT COALESCE(MAX(max_timer_wait), 0) FROM {_WAITS} "
        "WHERE user = 'application' AND event_name = 'wait/lock/metadata/sql/mdl'"
    )
    return int(picoseconds) / 1e9


def _same_as_ledger(root: Account, shapes: Mapping[str, Shape], before: ledger.Snapshot, result: Result) -> None:
    """`NotDone` if a row is not as the application's ledger has it, or was not when it was read."""
    differences = ledger.compare_all(before, result.ledger, ledger.snapshot(root, shapes.values()))
    wrong = [
        *result.wrong[:3],
        *(f"{one.table} has other rows than the ledger" for one in differences if not one.equal),
    ]
    if wrong:
        raise NotDone("; ".join(wrong))


def _going_on(trouble: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> str:
    phase = phase_at(events, trouble["at"]) if trouble["period"] == "during" else ""
    return f"{trouble['period']}, {phase}" if phase else str(trouble["period"])


def _impact(name: str, round_no: int, rows: int, found: _Found) -> Impact:
    result = found.result
    return Impact(
        contestant=name,
        round=round_no,
        rows=rows,
        effort=found.effort,
        failed=found.failed,
        periods=result.periods,
        errors=result.errors,
        errors_in=dict(Counter(_going_on(trouble, found.events) for trouble in result.troubles)),
        longest_block_ms=found.longest_block_ms,
        busy_before=found.busy_before,
    )
