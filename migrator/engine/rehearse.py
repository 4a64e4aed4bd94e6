"""Rehearse: the whole story of each table on an empty twin, in the journal's schema, by the very code of `apply`.

The source is touched by nothing but CREATE TABLE ... LIKE, a shared metadata lock for milliseconds. Every
twin is in the journal before it is made; at the end nothing is left, not even the journal if this made it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from typing import Final

from migrator import __version__
from migrator.clock import Clock, SystemClock
from migrator.db import Session
from migrator.engine.allowed import findings_of
from migrator.engine.clean import give_up
from migrator.engine.convert import convert
from migrator.engine.direct import alter
from migrator.engine.failover import check_failover
from migrator.engine.journal import Journal
from migrator.engine.lease import new_run_id, purpose_of
from migrator.engine.migrate import STORY
from migrator.engine.moment import is_free_instant
from migrator.engine.objects import make_table, table_proof
from migrator.engine.relay import encrypt, move_in, move_out, settle
from migrator.engine.sessions import Sessions
from migrator.engine.steps import IN_ONE_STATEMENT
from migrator.engine.work import Work, limits_of, side_by_side, tell_event, work_on
from migrator.errors import MigratorError, Stopped
from migrator.events import Listener, StepEnded, StepStarted
from migrator.inventory import read_inventory, show_create
from migrator.model import Finding, Inventory, Method, Table, TableName
from migrator.planner.control import Control
from migrator.planner.failover import Former
from migrator.planner.file import plan_hash
from migrator.planner.harden import setting_is_on, setting_said
from migrator.planner.keys import usable_key
from migrator.planner.make import step_statements
from migrator.planner.plan import Attestations, Plan, Step
from migrator.report.values import Rehearsal, Review, ReviewStep, server_id
from migrator.report.words import duration
from migrator.sql.names import twin_of
from migrator.sql.story import Said, tablespace
from migrator.sql.swap import rename
from migrator.sql.table import create_shadow
from migrator.sql_errors import SqlError

SIDE_BY_SIDE: Final = 4

LOOK_FOR_SECONDS: Final = 3.0
"""So long a free instant on a schema is looked for."""

_NOTHING = Rehearsal("nothing")


@dataclass(frozen=True, slots=True)
class _NoLease:
    """A rehearsal needs no lease: its names are its own."""

    purpose: str
    paused: bool = False
    held_seconds: float = 0.0
    control: Control = field(default_factory=Control)

    def tell(self, name: str, text: str) -> None:
        """Nobody asks where a rehearsal is."""

    def check(self) -> None:
        """Nothing can take a rehearsal over."""


@dataclass(frozen=True, slots=True)
class _Here:
    session: Session
    sessions: Sessions
    journal: Journal
    run_id: str
    plan: Plan
    listen: Listener
    stop: threading.Event
    clock: Clock


def rehearse(
    session: Session,
    plan: Plan,
    *,
    attestations: Attestations,
    plan_name: str,
    listen: Listener,
    stop: threading.Event | None = None,
    clock: Clock | None = None,
    journal: Journal | None = None,
    failover_from: Former | None = None,
) -> Review:
    """The review of a plan: drift, gates, every statement, and each step tried on an empty twin.

    No twin is made while a gate is closed. Leaves nothing behind but the server's first master key, where
    there was none; after a crash `cleanup` finds the rest in the journal.
    """
    clock, journal = clock or SystemClock(), journal or Journal()
    if failover_from is not None:
        journal = Journal(journal.schema, former=failover_from.uuid)
        check_failover(session, journal, plan, failover_from, listen)
    inventory = read_inventory(session, wanted=plan.scope.wants, journal_schema=journal.schema)
    drifted, gated = findings_of(session, journal, plan, inventory, attestations)
    closed = any(finding.blocks for finding in (*drifted, *gated))
    run_id, stop = new_run_id(), stop or threading.Event()
    tried: dict[str, Rehearsal] = {}
    if not closed:
        with Sessions(session, purpose_of(run_id)) as sessions:
            here = _Here(session, sessions, journal, run_id, plan, tell_event(listen), stop, clock)
            tried = _try_all(here, inventory) | _try_settings(here, inventory)
    tables = {table.name: table for table in inventory.tables}
    return Review(
        server=server_id(inventory.server),
        made_at=inventory.read_at,
        plan=plan_name,
        plan_hash=plan_hash(plan),
        drift=drifted,
        gates=gated,
        steps=tuple(
            _reviewed(session, plan, step, tables, tried.get(step.name, _NOTHING), drifted) for step in plan.steps
        ),
        total=plan.totals.estimate,
    )


def _reviewed(
    session: Session,
    plan: Plan,
    step: Step,
    tables: dict[TableName, Table],
    tried: Rehearsal,
    drifted: tuple[Finding, ...],
) -> ReviewStep:
    said: tuple[Said, ...] = ()
    if step.kind == "tablespace" and step.changes_something:
        said = tablespace(step.tablespace_name, len(step.facts.tables))
    elif step.kind == "setting" and step.changes_something:
        said = setting_said(step, plan.defaults.workers)
    elif step.table in tables and step.changes_something:
        table = tables[step.table]
        told = {Method.SHADOW_COPY, Method.TABLESPACE_RELAY}
        create = show_create(session, table.name) if step.method in told else ""
        said = step_statements(table, step.method, usable_key(table), create, plan.defaults)
    findings = (*step.findings, *(f for f in drifted if f.subject == step.name))
    return ReviewStep(
        subject=step.name,
        method=step.method,
        why=step.why,
        findings=findings,
        statements=said,
        rehearsal=tried,
        estimate=step.estimate,
        rows=step.facts.rows,
    )


# -- on the twin --------------------------------------------------------------------------------------


def _try_all(here: _Here, inventory: Inventory) -> dict[str, Rehearsal]:
    """Each step on its twin, some side by side: they wait for the disk more than for anything else."""
    made_journal = here.journal.open(here.session, __version__)
    tables = {table.name: table for table in inventory.tables}
    todo = [
        (step, tables[step.table])
        for step in here.plan.steps
        if step.changes_something and step.table in tables and not tables[step.table].encrypted
    ]
    waiting = SimpleQueue[tuple[Step, Table]]()
    for one in todo:
        waiting.put(one)
    tried: dict[str, Rehearsal] = {}

    def work(ending: threading.Event) -> None:
        with here.sessions.borrow() as session:
            while not ending.is_set():
                if here.stop.is_set():
                    raise Stopped("stopped; what was built for the rehearsal is removed again")
                try:
                    step, table = waiting.get_nowait()
                except Empty:
                    return
                tried[step.name] = _told(replace(here, session=session), step, table)

    try:
        side_by_side([work] * min(SIDE_BY_SIDE, len(todo)))
    finally:
        if made_journal and not here.journal.was_used(here.session):
            here.journal.remove(here.session)
    return tried


def _try_settings(here: _Here, inventory: Inventory) -> dict[str, Rehearsal]:
    """Settings cannot be tried without making them. Of a schema it is looked whether there is a free instant."""
    todo = [s for s in here.plan.steps if s.kind == "setting" and s.changes_something]
    on = {step.name for step in todo if setting_is_on(step, inventory)}
    return {step.name: _look_at_setting(here, step) for step in todo if step.name not in on}


def _look_at_setting(here: _Here, step: Step) -> Rehearsal:
    if not step.schema_name:
        return Rehearsal("nothing", "not tried: that would be to do it. Rights and keyring are there")
    began = here.clock.monotonic()
    while here.clock.monotonic() - began < LOOK_FOR_SECONDS:
        if here.stop.is_set():
            raise Stopped("stopped; what was built for the rehearsal is removed again")
        if is_free_instant(here.session, TableName(step.schema_name, "")):
            return Rehearsal("ok", "an instant was seen in which nobody used a table of the schema")
    message = (
        f"in {LOOK_FOR_SECONDS:.0f} s no instant was seen in which nobody used a table of the schema; apply waits for"
        f" {duration(here.plan.defaults.moment_wait_seconds)}, without a request that anybody waits behind"
    )
    return Rehearsal("nothing", message)


def _told(here: _Here, step: Step, table: Table) -> Rehearsal:
    here.listen(StepStarted(step.name, step.method, 0, 0, resumed=False))
    began = here.clock.monotonic()
    result = _try(here, step, table)
    outcome = "done" if result.result == "ok" else "failed"
    here.listen(StepEnded(step.name, outcome, here.clock.monotonic() - began, result.message, result.remedy))
    return result


def _try(here: _Here, step: Step, table: Table) -> Rehearsal:
    twin = twin_of(table.name, here.journal.schema, here.run_id, short=step.method is Method.TABLESPACE_RELAY)
    key = usable_key(table)
    step_id = here.journal.new_step(
        here.session,
        kind="rehearsal",
        table=twin,
        method=step.method,
        run_id=here.run_id,
        copy_key=key.name if key else "",
    )
    work = _work(here, step, replace(table, name=twin, histograms=()), step_id, key.name if key else "")
    try:
        make_table(work, "twin", twin, lambda name: [create_shadow(table.name, name)])
        return _play(here, step, work, twin)
    except Stopped:
        raise
    except MigratorError as error:
        return Rehearsal("failed", error.message, error.remedy)
    except SqlError as error:
        return Rehearsal("failed", str(error), "look up the number; privileges are in docs/privileges.md")
    finally:
        if step.method is not Method.SHADOW_COPY and (proof := table_proof(here.session, twin)) is not None:
            here.journal.made(here.session, "twin", twin, proof)  # the server has rebuilt it
        give_up(work, "rehearsed", "")
        here.journal.forget_step(here.session, step_id)


def _play(here: _Here, step: Step, work: Work, twin: TableName) -> Rehearsal:
    here.journal.set_step(
        here.session,
        work.step_id,
        source_ids=table_proof(here.session, twin),
        definition=show_create(here.session, twin),
    )
    if step.method is Method.TABLESPACE_RELAY:
        for leg in (move_in, encrypt, move_out, settle):  # nobody uses a twin, so nobody is waited for
            leg(work)
        return Rehearsal("ok", "moved in, encrypted and moved out on an empty twin")
    if step.method in IN_ONE_STATEMENT:
        # Rebuilt, it is told by another proof: till that is noted, being in the journal's schema is all the proof.
        here.journal.intend(here.session, work.step_id, "twin", twin)
        (convert if step.method is Method.CONVERT else alter)(work)
        here.journal.made(here.session, "twin", twin, table_proof(here.session, twin) or "")
        return Rehearsal("ok", f"{'converted' if step.method is Method.CONVERT else 'altered'} on an empty twin")
    for name, phase in STORY:
        if name == "swap":
            break
        phase(work)
    # Whoever is killed in between leaves any two of these names: `cleanup` drops what it finds under them.
    for kind, bears in (("twin", twin), ("shadow", work.shadow), ("twin", work.retained)):
        here.journal.intend(here.session, work.step_id, kind, bears)
    work.ddl(rename(twin, work.shadow, work.retained))
    work.ddl(rename(twin, work.retained, work.shadow))  # and back, so that what is taken down is what was noted
    return Rehearsal("ok", "built, logged, mirrored, verified and swapped on an empty twin")


def _work(here: _Here, step: Step, table: Table, step_id: int, copy_key: str) -> Work:
    return work_on(
        table,
        step_id,
        copy_key,
        session=here.session,
        sessions=here.sessions,
        lease=_NoLease(purpose_of(here.run_id)),
        journal=here.journal,
        limits=replace(limits_of(here.plan.defaults, step), workers=1),  # no row to share
        listen=_quiet,
        stop=here.stop,
        clock=here.clock,
    )


def _quiet(_event: object) -> None:
    """A twin's chunks and moments are nobody's news."""
