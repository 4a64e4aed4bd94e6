"""Status: where the latest run is, as the journal has it. Reads only, from any host."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Final, Literal

from migrator.db import Session
from migrator.engine import ahead
from migrator.engine.back import why_not
from migrator.engine.half import read_measured
from migrator.engine.journal import Journal
from migrator.engine.journal_steps import StepRow
from migrator.engine.noted import Noted, read_noted
from migrator.errors import MigratorError
from migrator.inventory import read_server
from migrator.model import Blocker, Method
from migrator.planner.control import Wishes
from migrator.report.eta import AFTER, Measured, time_of, within
from migrator.report.values import (
    RetainedTable,
    RunStatus,
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


def read_status(session: Session, journal: Journal | None = None) -> StatusReport:
    """The latest run with its steps, and what earlier ones left unfinished, retained or rolled back. No locks.

    `run` is None where nothing was ever applied. Also on a replica, which has its source's journal: that is said.
    """
    journal, made_on = (journal or Journal()).as_it_came(session)
    server = server_id(read_server(session))
    now = _now(session)
    if not journal.exists(session):
        return StatusReport(server, now, None)
    run = read_run(session, journal)
    measured = read_measured(session, journal)
    known = read_noted(session, journal, "TRUE")
    latest = {one.step.table: one.step.id for one in known}
    left = [
        one
        for one in known
        if one.step.state in {"open", "swapped"}
        or (one.step.state == "rolled-back" and latest[one.step.table] == one.step.id)
    ]
    earlier = [one for one in left if run is None or one.step.run_id != run.run_id]
    if run is not None:
        working = run.state in {"running", "paused"}
        steps = (step_status(session, journal, one, measured, working=working) for one in known)
        mine = [status for one, status in zip(known, steps, strict=True) if one.step.run_id == run.run_id]
        run = replace(run, steps=tuple(mine))
    left_over = tuple(step_status(session, journal, one, measured, working=False) for one in earlier)
    return StatusReport(server, now, run, left_over, made_on)


def _now(session: Session) -> str:
    return str(session.value("SELECT DATE_FORMAT(UTC_TIMESTAMP(), '%%Y-%%m-%%dT%%H:%%i:%%sZ')"))


def read_run(session: Session, journal: Journal) -> RunStatus | None:
    """The latest run without its steps; None where there is none. One statement, no locks."""
    at = quote(journal.schema)
    row = session.row(
        "SELECT r.id, r.plan_hash, DATE_FORMAT(r.started_at, '%%Y-%%m-%%dT%%H:%%i:%%sZ'), r.host, r.pid, r.exit_code,"
        " r.ended_at IS NOT NULL, l.run_id = r.id, l.expires_at > UTC_TIMESTAMP(6),"
        " TIMESTAMPDIFF(MICROSECOND, l.heartbeat_at, UTC_TIMESTAMP(6)) / 1e6, c.paused, c.by_whom, c.wishes, l.told"
        f" FROM {at}.runs AS r JOIN {at}.lease AS l JOIN {at}.control AS c ORDER BY r.started_at DESC LIMIT 1"
    )
    if row is None:
        return None
    run_id, plan_hash, started, host, pid, exit_code, ended, holds, alive, silent, paused, by_whom, wishes, told = row
    working = bool(holds) and bool(alive) and not ended
    state: Literal["running", "paused", "ended", "silent"] = "silent"
    if ended:
        state = "ended"
    elif working:
        state = "paused" if paused else "running"
    said = _told(str(told)) if working else {}
    return RunStatus(
        run_id=str(run_id),
        plan_hash=str(plan_hash),
        state=state,
        started_at=str(started),
        host=str(host),
        pid=int(pid),
        heartbeat_age_seconds=float(silent),
        steps=(),
        exit_code=None if exit_code is None else int(exit_code),
        paused_by=str(by_whom) if paused else "",
        wishes=Wishes.from_json(str(wishes)),
        told={name: text for name, text in said.items() if name != ahead.NAME},
        ahead=ahead.ahead_of(said.get(ahead.NAME, "")),
    )


def _told(text: str) -> dict[str, str]:
    """What a run says of itself; nothing if that was cut off, since it said too much."""
    try:
        return {str(name): str(said) for name, said in json.loads(text).items()} if text else {}
    except (ValueError, AttributeError):
        return {}


def step_status(
    session: Session, journal: Journal, noted: Noted, measured: Measured, *, working: bool, rate: float | None = None
) -> StepStatus:
    """One step; `rate` in rows a second, where somebody knows better than the journal."""
    step = noted.step
    open_now = step.state == "open"
    done = step.rows_expected if step.phase in AFTER else noted.copied
    if step.phase == "mirror":
        done = noted.compared
    rate = rate or _rate(noted)
    now: _State = "parked" if not working else noted.waiting.get("state", "running")
    state: _State = now if open_now else _CLOSED.get(step.state, "failed")
    waiting = noted.waiting if open_now else {}
    eta = None
    if open_now and rate:
        copied = step.rows_expected if step.phase in AFTER else noted.copied
        seconds = time_of(step.rows_expected, copied, rate, measured.tail, phase=step.phase)
        eta = within(seconds, measured.spread) if seconds else None
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
        backlog=noted.backlog if open_now else None,
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


def _rate(noted: Noted) -> float | None:
    step = noted.step
    if step.copy_seconds > 0 and step.rows_copied > 0:
        return step.rows_copied / step.copy_seconds
    return noted.copied / noted.seconds if noted.copied and noted.seconds else None
