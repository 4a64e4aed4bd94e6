"""Cleanup: what runs left, removed only where the journal proves that it is ours."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from migrator.clock import Clock, SystemClock
from migrator.db import Session
from migrator.engine.back import stop_keeping_current
from migrator.engine.clean import give_up, take_down
from migrator.engine.journal import Journal
from migrator.engine.journal_names import Owned
from migrator.engine.journal_steps import StepRow
from migrator.engine.lease import Lease, new_run_id, purpose_of, sessions_of
from migrator.engine.objects import drop_if_ours, is_encrypted
from migrator.engine.ours import forget_retained, retained_is_gone
from migrator.engine.relay import bring_back
from migrator.engine.rollback import is_over, tend_swapped
from migrator.engine.sessions import Sessions
from migrator.engine.swap import finish, was_swapped
from migrator.engine.work import Work, tell_event, work_left
from migrator.errors import UsageError
from migrator.events import Listener
from migrator.inventory import read_tables
from migrator.model import Method, Table, TableName
from migrator.planner.plan import matches
from migrator.report.values import Cleaned
from migrator.sql.names import retained_of

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
_DOING: Final = frozenset({"would-drop", "would-forget"})


@dataclass(frozen=True, slots=True)
class CleanupOptions:
    """What to remove: `tables` and `abandon` are `schema.table`, or patterns of it.

    With `abandon` and no `tables` nothing else is removed than what the abandoned steps made.
    """

    tables: tuple[str, ...] = ()
    now: bool = False
    dry_run: bool = False
    abandon: tuple[str, ...] = ()

    def wants(self, table: TableName) -> bool:
        """True if the table is among those that were asked for."""
        if not self.tables:
            return not self.abandon
        return any(matches(pattern, str(table)) for pattern in self.tables)

    def abandons(self, step: StepRow) -> bool:
        """True if this is an unfinished step that is to be given up."""
        return step.state == "open" and any(matches(pattern, str(step.table)) for pattern in self.abandon)


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
    """Drop retained tables whose deadline has passed (`now`: all), what dry runs left, and abandoned steps.

    First ends the keeping current of retained tables whose time for a rollback is over (`now`: of all).

    Under the lease, so never beside a run. A retained table is dropped only while an encrypted table bears
    its old name. DROP TABLE locks names that nobody uses; triggers of abandoned steps go in one exclusive
    moment on the source. Forgets retained tables that a person has dropped or renamed, and takes the journal
    away if nothing but killed dry runs was in it. Raises `OwnerUnknown` for anything that is not as the journal
    says. Safe to repeat.
    """
    clock, journal = clock or SystemClock(), journal or Journal()
    if not journal.exists(session):
        return ()
    if options.dry_run:
        abandoned = {step.id for step in journal.steps(session, states=["open"]) if options.abandons(step)}
        return tuple(one for _, one in _judged(session, journal, options, abandoned))
    run_id = new_run_id()
    with (
        session.another(purpose_of(run_id)) as own,
        Lease(journal, own, run_id=run_id, clock=clock) as lease,
        Sessions(own, lease.purpose) as sessions,
    ):
        here = _Here(own, sessions, lease, journal, options, tell_event(listen), clock, stop or threading.Event())
        tend_swapped(own, journal, here.listen, lambda step: _work(here, step))
        was_used = journal.was_used(own)
        cleaned = _all(here)
    # After the lease, which is in the journal. One that only a dry run made is not kept, as the dry run itself does.
    if was_used and not journal.was_used(session):
        journal.remove(session)
    return cleaned


def _all(here: _Here) -> tuple[Cleaned, ...]:
    """First the steps that end by this, each as a whole; then every object of those that have ended."""
    session, journal, options = here.session, here.journal, here.options
    steps = journal.steps(session)
    _known(options, steps)
    ending = [s for s in steps if options.abandons(s) or (options.wants(s.table) and _is_forsaken(session, s))]
    ended = [one for step in ending for one in _end(here, step)]
    judged = _judged(session, journal, options, {step.id for step in ending})
    return (*ended, *(_do(here, owned, one) if one.action in _DOING else one for owned, one in judged))


def _is_forsaken(session: Session, step: StepRow) -> bool:
    """True for a dry run's step if that run has no session on the server any more: nobody else takes it down."""
    return step.kind == "rehearsal" and step.state == "open" and not sessions_of(session, step.run_id)


def _end(here: _Here, step: StepRow) -> list[Cleaned]:
    """Take down what an unfinished step made, and close it. One that is swapped is finished, a relay brought home."""
    owned = here.journal.owned(here.session, step.id)
    facts = _facts(here.session, [one.name for one in owned])
    sizes = {one: _size(facts, one) for one in owned}
    work = _work(here, step)
    if step.kind == "table" and was_swapped(here.session, step):
        finish(work)
    elif step.kind == "table" and step.method == Method.TABLESPACE_RELAY:
        here.journal.close_step(here.session, step.id, bring_back(work), "abandoned by a person")
    else:
        give_up(work, "abandoned", "abandoned by a person")
    left = here.journal.owned(here.session, step.id)
    if step.kind == "rehearsal":
        here.journal.forget_step(here.session, step.id)
    kept = {(one.kind, one.name) for one in left}
    return [
        Cleaned(one.name, _KINDS[one.kind], "dropped", "", sizes[one])
        for one in owned
        if (one.kind, one.name) not in kept and one.kind != "retained"
    ]


def _judged(
    session: Session, journal: Journal, options: CleanupOptions, ending: set[int]
) -> list[tuple[Owned, Cleaned]]:
    """What would be done with each object of ours; `ending` are steps that end by this, or have just ended."""
    steps = {step.id: step for step in journal.steps(session)}
    _known(options, list(steps.values()))
    meant = [
        (one, steps[one.step_id])
        for one in journal.owned(session)
        if one.step_id in steps and (options.wants(steps[one.step_id].table) or one.step_id in ending)
    ]
    facts = _facts(session, [name for one, step in meant for name in (one.name, step.table)])
    return [(one, _judge(session, facts, options, one, step, ends=step.id in ending)) for one, step in meant]


def _facts(session: Session, names: Collection[TableName]) -> Mapping[TableName, Table]:
    """The tables that are there. All at once: to read one takes as long as there are tables on the server."""
    return {table.name: table for table in read_tables(session, names)} if names else {}


def _known(options: CleanupOptions, steps: list[StepRow]) -> None:
    for pattern in (*options.tables, *options.abandon):
        if not any(matches(pattern, str(step.table)) for step in steps):
            raise UsageError(f"the journal knows no table {pattern}", remedy="look at: migrator status")


def _judge(
    session: Session,
    facts: Mapping[TableName, Table],
    options: CleanupOptions,
    one: Owned,
    step: StepRow,
    *,
    ends: bool,
) -> Cleaned:
    kind, size = _KINDS[one.kind], _size(facts, one)
    if step.state == "open" and not ends and not _is_forsaken(session, step):
        why = "unfinished: apply goes on with it, or cleanup --abandon gives it up"
        if step.kind == "rehearsal":
            why = "a dry run is at work with it"
        return Cleaned(one.name, kind, "kept", why, size)
    if step.current_until and one.kind != "retained" and not options.now and not is_over(session, step):
        why = f"keeps {retained_of(step.table)} current until {step.current_until} UTC; --now ends it before"
        return Cleaned(one.name, kind, "kept", why, size)
    if one.kind == "retained" and retained_is_gone(session, one):
        return Cleaned(one.name, kind, "would-forget", "it is not there any more: a person dropped or renamed it")
    if one.kind == "retained" and (why := _keep(session, facts, options, step, one)):
        return Cleaned(one.name, kind, "kept", why, size)
    return Cleaned(one.name, kind, "would-drop", "", size)


def _size(facts: Mapping[TableName, Table], one: Owned) -> int:
    table = facts.get(one.name) if one.kind not in {"trigger", "tablespace"} else None
    return table.size_bytes if table else 0


def _keep(
    session: Session, facts: Mapping[TableName, Table], options: CleanupOptions, step: StepRow, one: Owned
) -> str:
    """Why a retained table stays, or ''."""
    live = facts.get(step.table)
    if live is None or not live.encrypted:
        return (
            f"{step.table} is not there encrypted: this may be all there is;"
            f" if it is not needed, drop or rename {one.name} by hand"
        )
    if options.now:
        return ""
    if not step.retained_until:  # its run was killed before it noted one
        return f"until {step.retain_days:g} days after its step is finished; --now drops it before"
    due = session.value("SELECT %s <= UTC_TIMESTAMP()", (step.retained_until,))
    return "" if due else f"until {step.retained_until} UTC; --now drops it before"


def _do(here: _Here, owned: Owned, one: Cleaned) -> Cleaned:
    """Drop or forget one object of a step that has ended."""
    if here.journal.owned_one(here.session, owned.kind, owned.name) is None:
        return Cleaned(one.name, one.kind, "dropped", "with its step", one.size_bytes)
    if one.action == "would-forget":
        forget_retained(here.session, here.journal, owned)
        return Cleaned(one.name, one.kind, "forgotten", one.why)
    step = here.journal.step(here.session, owned.step_id)
    if owned.kind == "retained":
        return _drop_retained(here, owned, step, one)
    work = _work(here, step)
    if step.current_until:
        stop_keeping_current(work)
    else:
        take_down(work)
    return Cleaned(one.name, one.kind, "dropped", "", one.size_bytes)


def _drop_retained(here: _Here, owned: Owned, step: StepRow, one: Cleaned) -> Cleaned:
    """Drop it, if an encrypted table bears its old name still: what was judged can be minutes ago."""
    session = here.session
    if not is_encrypted(session, step.table) and (
        why := _keep(session, _facts(session, [step.table]), here.options, step, owned)
    ):
        return Cleaned(one.name, one.kind, "kept", why, one.size_bytes)
    work = _work(here, step, Table(step.table, "InnoDB", 0, 0, 0))  # nobody needs to know more of it
    was_there = drop_if_ours(session, here.journal, owned.step_id, "retained", owned.name, work)
    here.journal.close_step(session, owned.step_id, "done")
    if not was_there:
        return Cleaned(one.name, one.kind, "forgotten", "it is not there any more: a person dropped or renamed it")
    return Cleaned(one.name, one.kind, "dropped", "", one.size_bytes)


def _work(here: _Here, step: StepRow, table: Table | None = None) -> Work:
    return work_left(
        step,
        table,
        session=here.session,
        sessions=here.sessions,
        lease=here.lease,
        journal=here.journal,
        listen=here.listen,
        stop=here.stop,
        clock=here.clock,
    )
