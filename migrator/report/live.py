"""A run at work as a screen of so many columns and lines: bars, rates, times left, what is waited for. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from migrator.model import Method
from migrator.report.findings import blocker_line, executes
from migrator.report.status import ahead_lines, said_lines
from migrator.report.values import BacklogStatus, RunStatus, StatusReport, StepStatus
from migrator.report.words import about, count, duration, duration_range, printable, width

NARROWEST: Final = 40

NOW: Final = {
    "begun": "build",
    "build": "log",
    "log": "copy",
    "copy": "index",
    "index": "mirror",
    "mirror": "verify",
    "verify": "swap",
    "swap": "clean",
}
"""What a copy is at after a phase; the phases of other methods are shown as they are noted."""

_LEAVE: Final = "q: leave this view; the run goes on"


def live_screen(report: StatusReport, *, columns: int, lines: int) -> list[str]:
    """The screen: at most so many lines, none wider than the terminal, and the last one says how to leave."""
    columns = max(columns, NARROWEST)
    shown = [_cut(line, columns) for line in _all(report, columns)]
    room = max(1, lines - 1)
    if len(shown) > room:
        more = f"... and {count(len(shown) - room + 1)} more lines: the terminal is too small"
        shown = [*shown[: room - 1], _cut(more, columns)]
    return [*shown, _cut(_LEAVE, columns)]


def live_lines(report: StatusReport) -> list[str]:
    """The same as plain lines with the time, for logs and pipes."""
    if report.run is None:
        return [f"{report.read_at} {_NOTHING}"]
    said = [*ahead_lines(report.run), *said_lines(report.run)]
    for step in report.run.steps:
        said.append(f"{step.subject}: {_words(step)}")
        said += [f"{step.subject}: {line}" for line in _under(step)]
    return [f"{report.read_at} {printable(line)}" for line in said]


_NOTHING: Final = "no run has been recorded on this server"


def _all(report: StatusReport, columns: int) -> list[str]:
    head = f"{report.server.where}  {report.server.version_text}  {report.read_at}"
    run = report.run
    if run is None:
        return [head, "", _NOTHING]
    lines = [head, _head(run)]
    if run.ahead is not None and run.ahead.bytes:
        share = min(1.0, run.ahead.bytes_done / run.ahead.bytes)
        lines.append(f"all  {_bar(share, _bar_columns(columns))} {100 * share:3.0f} %  {ahead_lines(run)[0]}")
    lines += [_counts(run), *said_lines(run), ""]
    names = max([width(printable(step.subject)) for step in run.steps], default=0)
    room = min(names, columns // 3)
    for step in run.steps:
        lines += [_step(step, room, columns), *(f"    {line}" for line in _under(step))]
    return [*lines, "", *ahead_lines(run)[1:]]


def _head(run: RunStatus) -> str:
    state = f"paused by {run.paused_by}" if run.state == "paused" else run.state
    beat = duration(run.heartbeat_age_seconds)
    return f"run {run.run_id} since {run.started_at}: {state} on {run.host}, last sign of life {beat} ago"


def _counts(run: RunStatus) -> str:
    ended = Counter(run.ahead.ended if run.ahead else {})
    failed = sum(ended[outcome] for outcome in ("failed", "given-up", "person"))
    now = Counter(step.state for step in run.steps)
    left = run.ahead.not_begun if run.ahead else 0
    said = [f"{count(ended['done'])} done", f"{count(failed)} failed", f"{count(left)} not begun"]
    said += [f"{count(number)} {state}" for state, number in now.items()]
    return ", ".join(said)


def _step(step: StepStatus, room: int, columns: int) -> str:
    name = _short(printable(step.subject), room)
    padded = name + " " * (room - width(name))
    share = min(1.0, step.rows_done / step.rows_expected) if step.rows_expected else 0.0
    return f"{padded}  {_phase(step):<8}{_bar(share, _bar_columns(columns))} {100 * share:3.0f} %  {_pace(step)}"


def _phase(step: StepStatus) -> str:
    if step.state in {"aside", "ready", "parked"}:
        return step.state
    return NOW.get(step.phase, step.phase) if step.method is Method.SHADOW_COPY else step.phase


def _pace(step: StepStatus) -> str:
    rate = "" if step.rows_per_second is None else f"{count(step.rows_per_second)} rows/s"
    left = f"{duration_range(step.eta)} left" if step.eta and step.state == "running" else ""
    return ", ".join(part for part in (rate, left) if part)


def _words(step: StepStatus) -> str:
    rows = f"{count(step.rows_done)} of about {count(step.rows_expected)} rows" if step.rows_expected else ""
    return ", ".join(part for part in (_phase(step), rows, _pace(step)) if part)


def _under(step: StepStatus) -> Iterable[str]:
    """What there is to say of a step besides its bar: statement of the server's, log, wait, who is in the way."""
    if step.doing:
        yield step.doing
    if step.backlog is not None and step.backlog.entries:
        yield f"log: {_log(step.backlog)}"
    if step.waiting_for:
        yield step.waiting_for if step.state in {"aside", "ready"} else f"waits: {step.waiting_for}"
    for blocker in step.blockers:
        yield f"  {blocker_line(replace(blocker, statement=''))}"
        if blocker.statement:
            yield f"    {executes(blocker)}"


def _log(backlog: BacklogStatus) -> str:
    return f"{count(backlog.entries)} entries, {about(backlog.bytes)}, the oldest {duration(backlog.age_seconds)} old"


def _bar_columns(columns: int) -> int:
    return max(6, min(30, columns // 5))


def _bar(share: float, columns: int) -> str:
    full = int(share * columns)
    return f"[{'#' * full}{'-' * (columns - full)}]"


def _short(name: str, columns: int) -> str:
    """The name in so many columns: its schema goes first, then its front, since tables differ at their ends."""
    if width(name) <= columns:
        return name
    name = name.partition(".")[2] or name
    while width(name) > columns - 2:
        name = name[1:]
    return f"..{name}"


def _cut(line: str, columns: int) -> str:
    line = printable(line)
    if width(line) <= columns:
        return line
    while width(line) > columns - 2:
        line = line[:-1]
    return f"{line}.."
