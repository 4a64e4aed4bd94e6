"""Cleanup: what runs left, removed only where the journal proves that it is ours."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final, Literal

from migrator.clock import Clock, SystemClock
from migrator.db import Session
from migrator.engine.clean import give_up, take_down
from migrator.engine.journal import Journal, Owned, StepRow
from migrator.engine.lease import Lease, new_run_id, purpose_of
from migrator.engine.objects import drop_if_ours, table_proof
from migrator.engine.relay import bring_back
from migrator.engine.sessions import Sessions
from migrator.engine.swap import finish
from migrator.engine.work import Work, limits_of, tell_event, work_on
from migrator.errors import UsageError
from migrator.events import Listener
from migrator.inventory import read_tables
from migrator.model import Method, Table, TableName
from migrator.planner.plan import Defaults, matches
from migrator.report.values import Cleaned

_Kind = Literal["trigger", "shadow", "log", "retained", "tablespace"]
_KINDS: Final[dict[str, _Kind]] = {
    "trigger": "trigger",
    "shadow": "shadow",
    "twin": "shadow",
    "staging": "shadow",
    "log": "log",
    "retained": "retained",
    "tablespace": "tablespace",
}


@dataclass(frozen=True, slots=True)
class CleanupOptions:
    """What to remove: `tables` and `abandon` are `schema.table`, or patterns of it."""

    tables: tuple[str, ...] = ()
    now: bool = False
    dry_run: bool = False
    abandon: tuple[str, ...] = ()

    def wants(self, table: TableName) -> bool:
        """True if the table is among those that were asked for."""
        return not self.tables or any(matches(pattern, str(table)) for pattern in self.tables)

    def abandons(self, table: TableName) -> bool:
        """True if its unfinished step is to be given up."""
        return any(matches(pattern, str(table)) for pattern in self.abandon)


@dataclass(frozen=True, slots=True)
class _Here:
    session: Session
    sessions: Sessions
    lease: Lease
    journal: Journal
    options: CleanupOptions
    listen: Listener
    clock: Clock
    stop: threading.Event


def cleanup(
    session: Session,
    options: CleanupOptions,
    listen: Listener,
    stop: threading.Event | None = None,
    *,
    clock: Clock | None = None,
    journal: Journal | None = None,
) -> tuple[Cleaned, ...]:
    """Drop retained tables whose deadline has passed (`now`: all), what closed steps left, and abandoned steps.

    Under the lease, so never beside a run. A retained table is dropped only while an encrypted table bears
    its old name. DROP TABLE locks names that nobody uses; triggers of abandoned steps go in one exclusive
    moment on the source. Raises `OwnerUnknown` for anything that is not as the journal says. Safe to repeat.
    """
    clock, journal = clock or SystemClock(), journal or Journal()
    if not journal.exists(session):
        return ()
    if options.dry_run:
        return tuple(_judged(session, journal, options))
    run_id = new_run_id()
    with (
        session.another(purpose_of(run_id)) as own,
        Lease(journal, own, run_id=run_id, clock=clock) as lease,
        Sessions(own, lease.purpose) as sessions,
    ):
        here = _Here(own, sessions, lease, journal, options, tell_event(listen), clock, stop or threading.Event())
        judged = _judged(own, journal, options)
        return tuple(_do(here, one) if one.action == "would-drop" else one for one in judged)


def _judged(session: Session, journal: Journal, options: CleanupOptions) -> list[Cleaned]:
    """What would be done with each object of ours."""
    steps = {step.id: step for step in journal.steps(session)}
    _known(options, list(steps.values()))
    found = []
    for one in journal.owned(session):
        step = steps.get(one.step_id)
        if step is not None and (options.wants(step.table) or options.abandons(step.table)):
            found.append(_judge(session, options, one, step))
    return found


def _known(options: CleanupOptions, steps: list[StepRow]) -> None:
    for pattern in (*options.tables, *options.abandon):
        if not any(matches(pattern, str(step.table)) for step in steps):
            raise UsageError(f"the journal knows no table {pattern}", remedy="look at: migrator status")


def _judge(session: Session, options: CleanupOptions, one: Owned, step: StepRow) -> Cleaned:
    kind = _KINDS[one.kind]
    tables = read_tables(session, [one.name]) if one.kind not in {"trigger", "tablespace"} else ()
    size = tables[0].size_bytes if tables else 0
    if step.state == "open" and not options.abandons(step.table):
        return Cleaned(
            one.name, kind, "kept", "unfinished: apply goes on with it, or cleanup --abandon gives it up", size
        )
    if one.kind == "retained" and (why := _keep(session, options, step)):
        return Cleaned(one.name, kind, "kept", why, size)
    return Cleaned(one.name, kind, "would-drop", "", size)


def _keep(session: Session, options: CleanupOptions, step: StepRow) -> str:
    """Why a retained table stays, or ''."""
    due = session.value("SELECT %s <= UTC_TIMESTAMP()", (step.retained_until,))
    if not due and not options.now:
        return f"until {step.retained_until} UTC; --now drops it before"
    live = read_tables(session, [step.table])
    if not live or not live[0].encrypted:
        return f"{step.table} is not there encrypted: the retained table may be all there is"
    return ""


def _do(here: _Here, one: Cleaned) -> Cleaned:
    owned = next(
        (
            o
            for o in here.journal.owned(here.session)
            if o.name == one.name and (o.kind == "trigger") == (one.kind == "trigger")
        ),
        None,
    )
    if owned is None:
        return Cleaned(one.name, one.kind, "dropped", "with its step", one.size_bytes)
    step = here.journal.step(here.session, owned.step_id)
    work = _work(here, step)
    if owned.kind == "retained":
        drop_if_ours(here.session, here.journal, step.id, "retained", owned.name, work)
        here.journal.close_step(here.session, step.id, "done")
    elif step.state == "open" and step.shadow_ids and step.shadow_ids == table_proof(here.session, step.table):
        finish(work)  # the swap was done: what is left is not to be abandoned but to be finished
    elif step.state == "open" and step.method == Method.TABLESPACE_RELAY and step.kind == "table":
        here.journal.close_step(here.session, step.id, bring_back(work), "abandoned by a person")
    elif step.state == "open":
        give_up(work, "abandoned", "abandoned by a person")
    else:
        take_down(work)
    return Cleaned(one.name, one.kind, "dropped", "", one.size_bytes)


def _work(here: _Here, step: StepRow) -> Work:
    found = read_tables(here.session, [step.table])
    table = found[0] if found else Table(step.table, "InnoDB", 0, 0, 0)
    return work_on(
        table,
        step.id,
        session=here.session,
        sessions=here.sessions,
        lease=here.lease,
        journal=here.journal,
        limits=limits_of(Defaults()),
        listen=here.listen,
        stop=here.stop,
        clock=here.clock,
    )
