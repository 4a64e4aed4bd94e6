"""Status: where the latest run is, as the journal has it. Reads only, from any host."""

from __future__ import annotations

import json
from typing import Final, Literal

from migrator.db import Session
from migrator.engine.back import why_not
from migrator.engine.journal import Journal
from migrator.engine.journal_steps import StepRow
from migrator.errors import MigratorError
from migrator.inventory import read_server
from migrator.model import Blocker, Method
from migrator.report.values import (
    BacklogStatus,
    RetainedTable,
    RunStatus,
    Span,
    StatusReport,
    StepStatus,
    server_id,
)
from migrator.sql.names import quote, retained_of
from migrator.sql_errors import SqlError

_State = Literal[
    "waiting", "running", "aside", "ready", "parked", "done", "skipped", "refused", "failed", "person", "rolled-back"
]
_CLOSED: Final[dict[str, _State]] = {
    "done": "done",
    "swapped": "done",
    "void": "failed",
    "given-up": "failed",
    "rolled-back": "rolled-back",
}
ETA_SPREAD: Final = 0.5
"""How far off the time left may be, either way, while rates of one run are all there is."""


def read_status(session: Session, journal: Journal | None = None) -> StatusReport:
    """The latest run with its steps, and what earlier ones left unfinished, retained or rolled back. No locks.

    `run` is None where nothing was ever applied.
    """
    journal = journal or Journal()
    server = server_id(read_server(session))
    now = str(session.value("SELECT DATE_FORMAT(UTC_TIMESTAMP(), '%%Y-%%m-%%dT%%H:%%i:%%sZ')"))
    if not journal.exists(session):
        return StatusReport(server, now, None)
    run = _run(session, journal)
    known = [step for step in journal.steps(session) if step.kind != "rehearsal"]
    latest = {step.table: step.id for step in known}
    left = [
        s for s in known if s.state in {"open", "swapped"} or (s.state == "rolled-back" and latest[s.table] == s.id)
    ]
    earlier = [step for step in left if run is None or step.run_id != run.run_id]
    return StatusReport(server, now, run, tuple(_step(session, journal, step, working=False) for step in earlier))


def _run(session: Session, journal: Journal) -> RunStatus | None:
    at = quote(journal.schema)
    row = session.row(
        "SELECT r.id, r.plan_hash, DATE_FORMAT(r.started_at, '%%Y-%%m-%%dT%%H:%%i:%%sZ'), r.host, r.pid, r.exit_code,"
        " r.ended_at IS NOT NULL, l.run_id = r.id, l.expires_at > UTC_TIMESTAMP(6),"
        " TIMESTAMPDIFF(MICROSECOND, l.heartbeat_at, UTC_TIMESTAMP(6)) / 1e6, c.paused, c.by_whom"
        f" FROM {at}.runs AS r JOIN {at}.lease AS l JOIN {at}.control AS c ORDER BY r.started_at DESC LIMIT 1"
    )
    if row is None:
        return None
    run_id, plan_hash, started, host, pid, exit_code, ended, holds, alive, silent, paused, by_whom = row
    working = bool(holds) and bool(alive) and not ended
    state: Literal["running", "paused", "ended", "silent"] = "silent"
    if ended:
        state = "ended"
    elif working:
        state = "paused" if paused else "running"
    steps = tuple(
        _step(session, journal, step, working=working)
        for step in journal.steps(session, run_id=str(run_id))
        if step.kind != "rehearsal"
    )
    return RunStatus(
        run_id=str(run_id),
        plan_hash=str(plan_hash),
        state=state,
        started_at=str(started),
        host=str(host),
        pid=int(pid),
        heartbeat_age_seconds=float(silent),
        steps=steps,
        exit_code=None if exit_code is None else int(exit_code),
        paused_by=str(by_whom) if paused else "",
    )


def _step(session: Session, journal: Journal, step: StepRow, *, working: bool) -> StepStatus:
    open_now = step.state == "open"
    done = (
        step.rows_expected
        if step.phase in {"copy", "index", "mirror", "verify", "swap"}
        else _copied(session, journal, step)
    )
    rate = _rate(session, journal, step, done)
    left = max(step.rows_expected - done, 0)
    eta = None
    if open_now and rate and left:
        eta = Span(left / rate * (1 - ETA_SPREAD), left / rate * (1 + ETA_SPREAD))
    extra = session.row(
        f"SELECT backlog_entries, backlog_bytes, backlog_age, waiting FROM {quote(journal.schema)}.steps WHERE id = %s",
        (step.id,),
    )
    waiting = json.loads(extra[3]) if extra and extra[3] and open_now else {}
    backlog = BacklogStatus(int(extra[0]), int(extra[1]), float(extra[2])) if extra and open_now else None
    now: _State = "parked" if not working else waiting.get("state", "running")
    state: _State = now if open_now else _CLOSED.get(step.state, "failed")
    retained = None
    if step.state == "swapped" and step.kind == "table":
        why = _no_rollback(session, journal, step) if step.current_until else ""
        over = bool(step.current_until and session.value("SELECT %s <= UTC_TIMESTAMP()", (step.current_until,)))
        retained = RetainedTable(
            retained_of(step.table), step.retained_until, step.bytes, step.current_until, why, rollback_is_over=over
        )
    return StepStatus(
        subject=str(step.table) if step.kind == "table" else step.table.name,
        method=Method(step.method),
        state=state,
        phase=step.phase if open_now else "",
        rows_done=done if open_now else max(step.rows_copied, step.rows_verified),
        rows_expected=step.rows_expected,
        rows_per_second=rate,
        eta=eta,
        backlog=backlog,
        waiting_for=waiting.get("reason", ""),
        blockers=tuple(Blocker(**one) for one in waiting.get("blockers", ())),
        doing=waiting.get("doing", ""),
        retained=retained,
        message=step.message,
    )


def _no_rollback(session: Session, journal: Journal, step: StepRow) -> str:
    """Why the swap cannot be taken back, or ''; also from an account that may only read the journal."""
    try:
        return why_not(session, journal, step)
    except (SqlError, MigratorError) as error:
        return f"this account cannot see whether it can be done: {error}"


def _copied(session: Session, journal: Journal, step: StepRow) -> int:
    value = session.value(
        f"SELECT COALESCE(SUM(rows_copied), 0) FROM {quote(journal.schema)}.ranges WHERE step_id = %s", (step.id,)
    )
    return int(value)


def _rate(session: Session, journal: Journal, step: StepRow, done: int) -> float | None:
    if step.copy_seconds > 0 and step.rows_copied > 0:
        return step.rows_copied / step.copy_seconds
    seconds = session.value(
        "SELECT TIMESTAMPDIFF(MICROSECOND, started_at, UTC_TIMESTAMP(6)) / 1e6"
        f" FROM {quote(journal.schema)}.steps WHERE id = %s",
        (step.id,),
    )
    return done / float(seconds) if done and seconds else None
