"""Who encrypts the tables of a case, each as people run it."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.bench.cases import SCHEMA
from tests.bench.measure import Ran, run
from tests.bench.proof import NotDone
from tests.bench.results import Effort, ExclusiveMoment
from tests.bench.stand import Stand
from tests.bench.toolkit import Toolkit

MIGRATOR: Final = Path(sys.executable).with_name("migrator")

Contestant = Callable[[Stand, Sequence[str], Path], Effort]
"""Encrypts the named tables of the schema; what it says is left in the folder. Raises `NotDone`."""


def contestants(toolkit: Toolkit | None) -> Mapping[str, Contestant]:
    """By name; without the toolkit, without pt-online-schema-change."""
    found: dict[str, Contestant] = {
        "migrator": migrator,
        "migrator --direct-below 8MiB": partial(migrator, policy=("--direct-below", "8MiB")),
        "native": native,
    }
    return found | ({"pt-osc": partial(pt_osc, toolkit=toolkit)} if toolkit else {})


def migrator(stand: Stand, _tables: Sequence[str], folder: Path, *, policy: Sequence[str] = ()) -> Effort:
    """`plan` and `apply`, by the installed command, with every gate and the verification; a backup is attested.

    `cleanup` of the old tables, which the others drop within their time, has a time of its own.
    """
    login = f"--defaults-file={stand.dba.option_file(folder / 'dba.cnf')}"
    environment = {name: value for name, value in os.environ.items() if name != "MYSQL_PWD"}
    attested = f"--attest-keyring-backup=the benchmark, {datetime.now(UTC):%Y-%m-%d}"
    plan = (str(MIGRATOR), "plan", login, f"--databases={SCHEMA}", attested, *policy, "-o", "plan.yaml")
    planned = run(plan, folder=folder, out="plan.out", err="plan.err", environment=environment)
    if planned.exit_code:
        raise NotDone(f"plan: exit code {planned.exit_code}: {_last_words(folder / 'plan.err')}")
    apply = (str(MIGRATOR), "apply", login, "plan.yaml", "--events")
    applied = run(apply, folder=folder, out="events.jsonl", err="apply.err", environment=environment)
    events = events_in(folder)
    if applied.exit_code:
        why = unfinished(events) or _last_words(folder / "apply.err")
        raise NotDone(f"apply: exit code {applied.exit_code}: {why}")
    cleanup = (str(MIGRATOR), "cleanup", login, "--now")
    cleaned = run(cleanup, folder=folder, out="cleanup.out", err="cleanup.err", environment=environment)
    if cleaned.exit_code:
        raise NotDone(f"cleanup: exit code {cleaned.exit_code}: {_last_words(folder / 'cleanup.err')}")
    return Effort(
        seconds=planned.seconds + applied.seconds,
        client_cpu_seconds=planned.cpu_seconds + applied.cpu_seconds,
        client_peak_bytes=max(planned.peak_bytes, applied.peak_bytes),
        phases={"plan": planned.seconds, **phases(events, applied.seconds)},
        moments=moments(events),
        cleanup_seconds=cleaned.seconds,
    )


def native(stand: Stand, tables: Sequence[str], _folder: Path) -> Effort:
    """`ALTER TABLE ... ENCRYPTION='Y'`, one table after the other; nobody can write meanwhile."""
    with closing(stand.server.connect(database=SCHEMA)) as connection, connection.cursor() as cursor:
        began = time.monotonic()
        for table in tables:
            cursor.execute(f"ALTER TABLE `{table}` ENCRYPTION='Y'")
        return Effort(time.monotonic() - began)


def pt_osc(stand: Stand, tables: Sequence[str], folder: Path, *, toolkit: Toolkit) -> Effort:
    """pt-online-schema-change with its defaults, a process for each table: the loop that people write."""
    file = stand.root_file(folder / "root.cnf")
    began = time.monotonic()
    processes: list[Ran] = []
    for table in tables:
        command = (*toolkit.command, "--execute", "--alter", "ENCRYPTION='Y'", "--no-version-check")
        dsn = f"F={file},D={SCHEMA},t={table}"
        ran = run((*command, dsn), folder=folder, out="pt.out", err="pt.err", environment=toolkit.environment)
        if ran.exit_code:
            raise NotDone(f"{table}: exit code {ran.exit_code}: {_last_words(folder / 'pt.err', folder / 'pt.out')}")
        processes.append(ran)
    return Effort(
        seconds=time.monotonic() - began,
        client_cpu_seconds=sum(ran.cpu_seconds for ran in processes),
        client_peak_bytes=max(ran.peak_bytes for ran in processes),
    )


def _last_words(*files: Path) -> str:
    lines = [line for file in files for line in file.read_text(encoding="utf-8", errors="replace").splitlines()]
    return " / ".join(line for line in lines[-4:] if line.strip())[:400]


# -- what migrator's events tell ----------------------------------------------------------------


def events_in(folder: Path) -> list[dict[str, Any]]:
    """The events that a run of migrator left in its folder; none if it was somebody else's."""
    file = folder / "events.jsonl"
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def unfinished(events: Sequence[Mapping[str, Any]]) -> str:
    """What became of the steps that are not done, in their own words."""
    told = [event for event in events if event["event"] == "StepEnded" and event["outcome"] not in {"done", "skipped"}]
    return "; ".join(f"{event['subject']} {event['outcome']}: {event['message']}" for event in told[:3])


def phase_at(events: Sequence[Mapping[str, Any]], at: str) -> str:
    """The phase that the run was in at a moment (UTC, ISO 8601), or ''."""
    moment = datetime.fromisoformat(at)
    phase = ""
    for event in events:
        if datetime.fromisoformat(event["at"]) > moment:
            break
        if event["event"] == "PhaseStarted":
            phase = event["phase"]
    return phase


def phases(events: Sequence[Mapping[str, Any]], seconds: float) -> dict[str, float]:
    """Where the seconds of `apply` went, all steps together: each phase, within steps around them, around the steps."""
    spent: Counter[str] = Counter()
    for event in events:
        if event["event"] == "PhaseEnded":
            spent[event["phase"]] += event["seconds"]
    steps = sum(event["seconds"] for event in events if event["event"] == "StepEnded")
    around_phases = steps - sum(spent.values())
    return {**spent, "rest of the steps": around_phases, "around the steps": seconds - steps}


def moments(events: Sequence[Mapping[str, Any]]) -> tuple[ExclusiveMoment, ...]:
    """Every moment in which it had a table for itself."""
    return tuple(
        ExclusiveMoment(
            event["subject"], event["purpose"], event["tries"], event["waited_seconds"], event["held_seconds"]
        )
        for event in events
        if event["event"] == "Moment"
    )
