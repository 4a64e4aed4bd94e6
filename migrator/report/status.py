"""What the journal says about the latest run. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict

from migrator.report.blocks import Block, Grid, Heading, Items, Paragraph, as_text, left, right, wrapping
from migrator.report.documents import as_json, as_json_line
from migrator.report.findings import blocker_line
from migrator.report.summary import retained_grid, rollback_notes
from migrator.report.values import BacklogStatus, RunStatus, StatusReport, StepStatus
from migrator.report.words import about, count, duration, duration_range, plural

_BUSY = ("running", "aside", "ready", "parked")


def status_json(report: StatusReport) -> str:
    """For programs: one document."""
    return as_json("status", report)


def status_json_line(report: StatusReport) -> str:
    """For programs that watch: one line."""
    return as_json_line("status", report)


def at_work(report: StatusReport) -> bool:
    """True while there is something to watch: a run that has not ended."""
    return report.run is not None and report.run.state in {"running", "paused"}


def status_text(report: StatusReport) -> str:
    """For a terminal: the run, the steps at work, what is waited for, what is retained."""
    server = report.server
    head: list[Block] = [
        Heading("Status", 1),
        Paragraph(f"{server.where}, server_uuid {server.server_uuid}, read at {report.read_at}"),
    ]
    if report.journal_of:
        head += [Paragraph(_of_another(report.journal_of), "bad")]
    if report.run is None:
        return as_text([*head, Paragraph("No run has been recorded on this server.")])
    blocks: list[Block] = [Paragraph(headline(report.run)), Paragraph(_counts(report.run.steps))]
    blocks += [Paragraph(line, "note") for line in (*ahead_lines(report.run), *said_lines(report.run))]
    blocks += _steps(report.run.steps)
    if report.earlier:
        blocks += [Heading("Of earlier runs"), Paragraph(_counts(report.earlier)), *_steps(report.earlier)]
    return as_text([*head, *blocks])


def _of_another(uuid: str) -> str:
    return (
        f"This is the journal of server {uuid}, as it was replicated here. If this server has taken the place of that"
        f" one: migrator apply PLAN --failover-from {uuid} (docs/replication.md). Else nothing is to be done here."
    )


def _steps(steps: tuple[StepStatus, ...]) -> list[Block]:
    blocks: list[Block] = []
    busy = [s for s in steps if s.state in _BUSY]
    if busy:
        blocks.append(Grid(_COLUMNS, tuple(_row(s) for s in busy)))
    blocks += [Paragraph(f"{s.subject}: {s.doing}.", "note") for s in busy if s.doing]
    blocks += [Paragraph(f"{s.subject} waits: {s.waiting_for}.", "note") for s in busy if s.waiting_for]
    blockers = tuple(f"{s.subject}: {blocker_line(b)}" for s in busy for b in s.blockers)
    if blockers:
        blocks.append(Items(blockers))
    titles = (("person", "A person must look"), ("failed", "Failed"), ("refused", "Refused"))
    for state, title in (*titles, ("rolled-back", "Rolled back")):
        lines = tuple(f"{s.subject}: {s.message or 'no reason recorded'}" for s in steps if s.state == state)
        if lines:
            blocks += [Heading(title), Items(lines)]
    retained = [s.retained for s in steps if s.retained is not None]
    if retained:
        blocks += [Heading("Retained"), retained_grid(retained), *rollback_notes(retained)]
    return blocks


def ahead_lines(run: RunStatus) -> list[str]:
    """How far a run at work is in its plan, and what comes next."""
    if run.ahead is None:
        return []
    ahead = run.ahead
    ended = sum(ahead.ended.values())
    left = f", {duration_range(ahead.left)} left" if ahead.left else ""
    lines = [f"{ended} of {plural(ahead.steps, 'step')}, {about(ahead.bytes_done)} of {about(ahead.bytes)}{left}."]
    if ahead.next:
        more = ahead.not_begun - len(ahead.next)
        lines.append(f"Next: {', '.join(ahead.next)}{f', and {count(more)} more' if more > 0 else ''}.")
    return lines


def said_lines(run: RunStatus) -> list[str]:
    """What the run says of itself, and what people asked of it."""
    asked = ", ".join(
        f"{name.replace('_', '-')}={_wish(value)}" for name, value in asdict(run.wishes).items() if value is not None
    )
    return [*(f"{name}: {text}" for name, text in run.told.items()), *([f"asked for: {asked}"] if asked else [])]


def _wish(value: object) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else f"{value}"


def headline(run: RunStatus) -> str:
    """The run and its state, in a sentence."""
    beat = f"last sign of life {duration(run.heartbeat_age_seconds)} ago"
    where = f"on {run.host}, process {run.pid}"
    match run.state:
        case "running":
            state = f"is running {where}, {beat}"
        case "paused":
            state = f"is paused{f' by {run.paused_by}' if run.paused_by else ''} {where}, {beat}"
        case "silent":
            state = f"is silent {where}, {beat}: `migrator apply` takes over and goes on"
        case "ended":
            state = "has ended" + ("" if run.exit_code is None else f" with exit code {run.exit_code}")
    return f"Run {run.run_id}, started at {run.started_at}, {state}."


def _counts(steps: tuple[StepStatus, ...]) -> str:
    by_state = Counter(s.state for s in steps)
    said = ", ".join(f"{count(number)} {state}" for state, number in by_state.items())
    return f"{plural(len(steps), 'step')}: {said}." if steps else "No steps."


_COLUMNS = (
    wrapping("subject"),
    left("method"),
    left("phase"),
    right("%"),
    right("rows"),
    right("rows/s"),
    wrapping("left"),
    wrapping("backlog"),
)


def _row(step: StepStatus) -> tuple[str, ...]:
    percent = f"{min(100.0, 100 * step.rows_done / step.rows_expected):.0f}" if step.rows_expected else ""
    rate = "" if step.rows_per_second is None else count(step.rows_per_second)
    phase = step.phase if step.state == "running" else f"{step.phase} ({step.state})"
    left_over = duration_range(step.eta) if step.state == "running" else ""
    return (step.subject, str(step.method), phase, percent, count(step.rows_done), rate, left_over, _log(step.backlog))


def _log(backlog: BacklogStatus | None) -> str:
    if backlog is None:
        return ""
    if not backlog.entries:
        return "0"
    return f"{count(backlog.entries)}, {about(backlog.bytes)}, {duration(backlog.age_seconds)} old"
