"""Apply: the plan, step by step, under the lease. Look, refuse what must be refused, then do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from migrator import __version__
from migrator.clock import Clock, SystemClock
from migrator.db import Session
from migrator.engine.ahead import Ahead
from migrator.engine.allowed import check_plan
from migrator.engine.bounds import Bounds
from migrator.engine.course import Course, wait_until_open
from migrator.engine.extent import extent_text
from migrator.engine.facts import Facts
from migrator.engine.failover import take_over
from migrator.engine.journal import Journal
from migrator.engine.journal_steps import StepRow
from migrator.engine.lanes import all_steps, connected
from migrator.engine.lease import LEASE_SECONDS, Lease, new_run_id, purpose_of
from migrator.engine.load import adapting
from migrator.engine.parked import Tender, Turns, give_up_forsaken, tend_once, tending
from migrator.engine.replicas import watching_members
from migrator.engine.rollback import tend_swapped
from migrator.engine.sampling import Doing, Sampler, sampling
from migrator.engine.sessions import Sessions
from migrator.engine.setting import by_hand
from migrator.engine.steps import Run
from migrator.engine.throttle import Throttle, check_readable, throttling
from migrator.engine.work import Work, tell_event, work_left
from migrator.errors import MigratorError, OutsideWindow
from migrator.events import Listener, RunEnded, RunStarted, together
from migrator.inventory import read_inventory
from migrator.model import Inventory, Member, Method, Server
from migrator.planner.background import encrypts_in_background
from migrator.planner.drift import LEFT_IN_CLEAR
from migrator.planner.failover import Former
from migrator.planner.file import plan_hash
from migrator.planner.plan import Attestations, Plan, Scope
from migrator.planner.schedule import Took, paces, took_of
from migrator.report.values import Outcome, StepOutcome
from migrator.sql_errors import READ_ONLY, SqlError


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """What the command line says over the plan; None leaves the plan's word."""

    attestations: Attestations = field(default_factory=Attestations)
    workers: int | None = None
    chunk_time_seconds: float | None = None
    max_extra_disk_bytes: int | None = None
    max_failures: int | None = None
    limits: Mapping[str, object] = field(default_factory=dict)
    """Of the throttle, by the names of the plan's defaults."""
    outside_window: Literal["exit", "wait"] = "exit"
    budget_seconds: float | None = None
    max_tables: int | None = None
    wanted: Scope = field(default_factory=Scope)
    """Of the plan's tables."""
    postpone_swap: bool | None = None
    kill_blockers_after_seconds: float | None = None
    end_when_ready: bool = False
    """With nothing left but swaps that are postponed: end (75) instead of waiting for the word."""
    lease_seconds: float = LEASE_SECONDS
    failover_from: Former | None = None
    """The server whose place this one has taken, if a person says so."""


def apply(
    session: Session,
    plan: Plan,
    options: ApplyOptions,
    listen: Listener,
    stop: threading.Event,
    *,
    clock: Clock | None = None,
    journal: Journal | None = None,
    ends_with: Callable[[int], int] = int,
) -> Outcome:
    """Do a plan, or go on with it: every run looks at what exists and skips what is done.

    Before any DDL: `PlanDrifted` if the server is not what was reviewed, `Refused` if a gate says no. Then
    one step after the other; what fails is told and the next step begins. `LeaseHeld` if another run is at
    work. `ends_with` makes the process's exit code of the steps': a signal has its own. Locks: docs/how-it-works.md.
    """
    clock, journal, listen = clock or SystemClock(), journal or Journal(), tell_event(listen)
    plan = with_options(plan, options)
    began = clock.monotonic()
    if options.failover_from is not None:
        confirmed = Journal(journal.schema, former=options.failover_from.uuid)
        take_over(session, confirmed, plan, options.failover_from, options.attestations, listen)
    bounds = Bounds(plan.defaults.windows, budget_seconds=options.budget_seconds, clock=clock)
    closed = bounds.over() if options.outside_window == "exit" else ""
    if closed and not journal.exists(session):
        raise OutsideWindow(f"nothing was done: {closed}", remedy="apply again then, or with --outside-window=wait")
    _end_what_a_dead_run_left(session, journal, clock, options)
    inventory = read_inventory(session, wanted=plan.scope.wants, journal_schema=journal.schema)
    known = check_plan(session, journal, plan, inventory, options.attestations, listen)
    check_readable(session, plan.defaults.throttle)
    journal.open(session, __version__)
    run_id = new_run_id()
    with (
        session.another(purpose_of(run_id)) as own,
        Lease(journal, own, run_id=run_id, clock=clock, seconds=options.lease_seconds) as lease,
        Sessions(own, lease.purpose, workers=_most_workers(plan)) as sessions,
    ):
        journal.begin_run(
            own,
            run_id=run_id,
            plan_hash=plan_hash(plan),
            version=__version__,
            attested=_attested(options.attestations),
            extent=extent_text(inventory),
        )
        sampler = Sampler(sessions, journal, run_id, partial(_doing, lease, bounds), clock)
        listen = together(listen, Ahead(plan, lease.tell, clock), sampler)
        in_clear = frozenset(finding.subject for finding in known if finding.code in LEFT_IN_CLEAR)
        turns, took = Turns(), _took(own, journal, plan)
        run = Run(
            own, sessions, lease, journal, run_id, plan, in_clear, turns, Facts(), listen, stop, clock, bounds, took
        )
        run = replace(run, end_when_ready=options.end_when_ready)
        course = Course(
            bounds,
            took=took,
            wanted=options.wanted,
            waits_for_windows=options.outside_window == "wait",
            max_tables=options.max_tables,
            max_failures=plan.defaults.max_failures,
            done_before=_done_before(plan, inventory),
        )
        steps_to_do = sum(step.changes_something for step in plan.steps)
        try:
            listen(RunStarted("", run_id, plan_hash(plan), steps_to_do, plan.totals.bytes_to_do))
        except MigratorError as error:  # somebody who is told may say no
            journal.end_run(own, run_id, error.exit_code)
            raise
        tender = Tender(plan, sessions, lease, journal, turns, listen, clock)
        throttle = Throttle(
            plan.defaults,
            inventory.server.members,
            sessions=sessions,
            lease=lease,
            journal=journal,
            listen=listen,
            clock=clock,
        )
        if closed:
            tend_once(tender, stop)
            course.closed(closed)
        with (
            nullcontext() if closed else throttling(throttle),
            watching_members(own, lease, _that_get_it(inventory.server), clock),
            sampling(sampler),
        ):
            steps = _steps(run, course, tender, inventory.server)
        outcome = Outcome(
            ends_with(_exit_code(steps, early=bool(course.why_early))),
            tuple(steps),
            run_id,
            clock.monotonic() - began,
            _stopped_by(steps) or course.why_early,
            throttle.throttled,
            _by_hand(run, steps),
        )
        if connected(run):
            _note_end(run, outcome)
    count = [one.outcome for one in steps].count
    listen(
        RunEnded(
            "",
            run_id,
            outcome.exit_code,
            count("done"),
            count("skipped"),
            count("refused"),
            count("failed") + count("person") + count("given-up"),
            count("left") + count("stopped"),
            outcome.seconds,
            outcome.stopped_by,
        )
    )
    return outcome


def _steps(run: Run, course: Course, tender: Tender, server: Server) -> list[StepOutcome]:
    """What earlier runs left first, then all steps; within the windows, and parked logs are drained all the while.

    What nobody goes on with is given up before anybody drains it.
    """

    def tidy() -> None:
        tend_swapped(run.session, run.journal, run.listen, lambda step: _left(run, step))
        give_up_forsaken(run.session, run.journal, run.plan, server, run.listen, lambda step: _left(run, step))

    if not run.bounds.over():
        tidy()
    busy = run.plan.defaults.busy_running_statements
    with (
        tending(tender),
        adapting(run.sessions, run.lease.purpose, busy=busy, listen=run.listen, clock=run.clock),
    ):
        if course.waits_for_windows and run.bounds.seconds_until_open() and wait_until_open(run):
            tidy()
        return all_steps(run, course)


def _done_before(plan: Plan, inventory: Inventory) -> list[str]:
    """Steps whose table or tablespace is encrypted already, or is not there any more."""
    to_do = {str(table.name) for table in inventory.tables if not table.encrypted}
    to_do |= {space.name for space in inventory.tablespaces if not space.encrypted}
    return [step.name for step in plan.steps if step.kind != "setting" and step.name not in to_do]


def _by_hand(run: Run, steps: list[StepOutcome]) -> tuple[str, ...]:
    """What is left to a person when all of the plan is done; nothing where it is not, or cannot be asked any more."""
    if any(one.outcome not in {"done", "skipped", "refused"} for one in steps):
        return ()
    try:
        return by_hand(run.session, run.journal, run.plan)
    except SqlError:
        return ()


def _note_end(run: Run, outcome: Outcome) -> None:
    """Note how the run ended, and what it did not do; a server that became read-only meanwhile cannot."""
    try:
        run.journal.end_run(run.session, run.run_id, outcome.exit_code)
    except SqlError as error:
        if error.number != READ_ONLY:
            raise
        return
    not_done = [one for one in outcome.steps if one.outcome not in {"done", "skipped"}]
    try:
        run.journal.note_outcomes(run.session, run.run_id, not_done)
    except (SqlError, MigratorError):
        return  # for `report` alone: what became of the run does not depend on it


def _that_get_it(server: Server) -> tuple[Member, ...]:
    """The members that are sent what is done here."""
    return () if encrypts_in_background(server) else server.members


def _doing(lease: Lease, bounds: Bounds) -> Doing:
    return "paused" if lease.paused else "closed" if bounds.seconds_until_open() else "work"


def _left(run: Run, step: StepRow) -> Work:
    return work_left(
        step,
        session=run.session,
        sessions=run.sessions,
        lease=run.lease,
        journal=run.journal,
        listen=run.listen,
        stop=run.stop,
        clock=run.clock,
    )


def _end_what_a_dead_run_left(session: Session, journal: Journal, clock: Clock, options: ApplyOptions) -> None:
    """If a relay is under way: end the statement of a dead run that the server may still be at.

    Else the table could move between two looks at the catalog. `LeaseHeld` if that run is not dead.
    """
    if not journal.exists(session):
        return
    if all(step.method != Method.TABLESPACE_RELAY for step in journal.steps(session, states=["open"])):
        return
    run_id = new_run_id()
    with (
        session.another(purpose_of(run_id)) as own,
        Lease(journal, own, run_id=run_id, clock=clock, seconds=options.lease_seconds),
    ):
        pass  # to take it over is to end the sessions of the run that had it


def with_options(plan: Plan, options: ApplyOptions) -> Plan:
    """The plan with what the command line says over it."""
    over = {
        "workers": options.workers,
        "chunk_time_seconds": options.chunk_time_seconds,
        "max_extra_disk_bytes": options.max_extra_disk_bytes,
        "max_failures": options.max_failures,
        "postpone_swap": options.postpone_swap,
        "kill_blockers_after_seconds": options.kill_blockers_after_seconds,
        **options.limits,
    }
    said = {name: value for name, value in over.items() if value is not None}
    return plan.model_copy(update={"defaults": plan.defaults.model_copy(update=said)}) if said else plan


def _most_workers(plan: Plan) -> int:
    return max([plan.defaults.workers, *(step.workers or 0 for step in plan.steps)])


def _attested(attestations: Attestations) -> str:
    return attestations.model_dump_json()


def _stopped_by(steps: list[StepOutcome]) -> str:
    return next((one.message for one in steps if one.outcome == "stopped"), "")


def _took(session: Session, journal: Journal, plan: Plan) -> dict[str, Took]:
    """How long each step takes that is to be done, or gone on with, where earlier ones on this server tell."""
    pace, shares = paces(journal.samples(session)[0]), journal.shares_left(session)
    found = {}
    for step in plan.steps:
        took = took_of(pace, step.method, step.facts.data_bytes + step.facts.index_bytes)
        if step.changes_something and took is not None:
            share = shares.get(step.table, 1.0) if step.table else 1.0
            found[step.name] = Took(took.seconds * share, took.low * share, took.high * share)
    return found


def _exit_code(steps: list[StepOutcome], *, early: bool) -> int:
    have = {one.outcome for one in steps} | ({"stopped"} if early else set())
    for outcome, code in (("person", 4), ("failed", 3), ("stopped", 75), ("given-up", 1), ("refused", 1), ("left", 1)):
        if outcome in have:
            return code
    return 0
