"""Apply: the plan, step by step, under the lease. Look, refuse what must be refused, then do."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from migrator import __version__
from migrator.clock import Clock, SystemClock
from migrator.db import Session, SqlError
from migrator.engine.clean import give_up
from migrator.engine.direct import alter, encrypt_space, space_encrypted
from migrator.engine.journal import Journal
from migrator.engine.lease import LEASE_SECONDS, Lease, new_run_id, purpose_of
from migrator.engine.members import confirmed_members
from migrator.engine.migrate import migrate
from migrator.engine.objects import table_proof
from migrator.engine.sessions import Sessions
from migrator.engine.watch import check_source
from migrator.engine.work import Work, limits_of, tell_event, work_on
from migrator.errors import (
    Failed,
    LeaseLost,
    LogOverflow,
    MigratorError,
    Mismatch,
    MissingPrivilege,
    PlanDrifted,
    Refused,
    ServerUnreachable,
    SourceChanged,
    Stopped,
)
from migrator.events import (
    ChunkVerified,
    Event,
    Listener,
    Moment,
    Noticed,
    Retained,
    RunEnded,
    RunStarted,
    StepEnded,
    StepStarted,
)
from migrator.inventory import read_inventory, read_tables, show_create, unreadable
from migrator.model import Finding, Inventory, Method, Table, TableName
from migrator.planner.drift import drift
from migrator.planner.file import plan_hash
from migrator.planner.gates import gates
from migrator.planner.keys import usable_key
from migrator.planner.make import extra_disk
from migrator.planner.plan import Attestations, Plan, Step
from migrator.report.values import ExclusiveMoment, Leftover, Outcome, Outcomes, RetainedTable, StepOutcome
from migrator.sql.names import retained_of

LINKS: Final = 10
"""How often the connection may be lost within one step before it is called failed."""

_DENIED: Final = frozenset({1044, 1045, 1142, 1143, 1227, 1370, 1419})


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """What the command line says over the plan; None leaves the plan's word."""

    attestations: Attestations = field(default_factory=Attestations)
    workers: int | None = None
    chunk_time_seconds: float | None = None
    max_extra_disk_bytes: int | None = None
    lease_seconds: float = LEASE_SECONDS


@dataclass(frozen=True, slots=True)
class Run:
    """What all steps of a run share."""

    session: Session
    sessions: Sessions
    lease: Lease
    journal: Journal
    run_id: str
    plan: Plan
    options: ApplyOptions
    inventory: Inventory
    listen: Listener
    stop: threading.Event
    clock: Clock


def apply(
    session: Session,
    plan: Plan,
    options: ApplyOptions,
    listen: Listener,
    stop: threading.Event,
    *,
    clock: Clock | None = None,
    journal: Journal | None = None,
) -> Outcome:
    """Do a plan, or go on with it: every run looks at what exists and skips what is done.

    Before any DDL: `PlanDrifted` if the server is not what was reviewed, `Refused` if a gate says no. Then
    one step after the other; what fails is told and the next step begins. `LeaseHeld` if another run is at
    work. Locks: docs/how-it-works.md.
    """
    clock, journal, listen = clock or SystemClock(), journal or Journal(), tell_event(listen)
    plan = with_options(plan, options)
    began = clock.monotonic()
    inventory = read_inventory(session, wanted=plan.scope.wants, journal_schema=journal.schema)
    check_plan(session, journal, plan, inventory, options.attestations, listen)
    journal.open(session, __version__)
    run_id = new_run_id()
    with (
        session.another(purpose_of(run_id)) as own,
        Lease(journal, own, run_id=run_id, clock=clock, seconds=options.lease_seconds) as lease,
        Sessions(own, lease.purpose) as sessions,
    ):
        journal.begin_run(
            own,
            run_id=run_id,
            plan_hash=plan_hash(plan),
            version=__version__,
            attested=_attested(options.attestations),
        )
        run = Run(own, sessions, lease, journal, run_id, plan, options, inventory, listen, stop, clock)
        steps_to_do = sum(step.changes_something for step in plan.steps)
        listen(RunStarted("", run_id, plan_hash(plan), steps_to_do, plan.totals.bytes_to_do))
        steps = _all_steps(run)
        outcome = Outcome(_exit_code(steps), tuple(steps), run_id, clock.monotonic() - began, _stopped_by(steps))
        journal.end_run(own, run_id, outcome.exit_code)
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
        )
    )
    return outcome


# -- before anything is done ------------------------------------------------------------------------


def with_options(plan: Plan, options: ApplyOptions) -> Plan:
    """The plan with what the command line says over it."""
    over = {
        "workers": options.workers,
        "chunk_time_seconds": options.chunk_time_seconds,
        "max_extra_disk_bytes": options.max_extra_disk_bytes,
    }
    said = {name: value for name, value in over.items() if value is not None}
    return plan.model_copy(update={"defaults": plan.defaults.model_copy(update=said)}) if said else plan


def check_plan(
    session: Session, journal: Journal, plan: Plan, inventory: Inventory, attestations: Attestations, listen: Listener
) -> None:
    """Raise `PlanDrifted` or `Refused` if anything blocks; tell what does not. Reads only."""
    drifted, gated = findings_of(session, journal, plan, inventory, attestations)
    for finding in (*drifted, *gated):
        if not finding.blocks:
            listen(Noticed(finding.subject, finding))
    if blocking := [f for f in drifted if f.blocks]:
        raise PlanDrifted(
            _listed("the server is not as it was when the plan was made", blocking), remedy=_remedies(blocking)
        )
    if blocking := [f for f in gated if f.blocks]:
        raise Refused(_listed("nothing was touched", blocking), remedy=_remedies(blocking))


def findings_of(
    session: Session, journal: Journal, plan: Plan, inventory: Inventory, attestations: Attestations
) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """What has drifted since the plan was made, and what the gates say now."""
    owned = journal.owned(session) if journal.exists(session) else []
    names = frozenset(one.name for one in owned if one.kind != "trigger")
    kept = {one.name: journal.step(session, one.step_id).retained_until for one in owned if one.kind == "retained"}
    drifted = drift(plan, inventory, owned=names, retained=kept)
    gated = gates(
        inventory.server,
        attestations,
        steps=plan.steps,
        schemas=inventory.schemas,
        confirmed=confirmed_members(session, inventory.server),
        journal_schema=journal.schema,
    )
    disk = extra_disk(plan)
    acting = {step.name for step in plan.steps if step.changes_something}
    unread = [f for f in unreadable(inventory.server, inventory.tables) if not f.blocks or f.subject in acting]
    return drifted, (*((disk,) if disk else ()), *unread, *gated)


def _listed(head: str, findings: list[Finding]) -> str:
    return "\n  - ".join([f"{head}:", *(f"{f.subject}: {f.message}" if f.subject else f.message for f in findings)])


def _remedies(findings: list[Finding]) -> str:
    return "\n  - ".join(["", *dict.fromkeys(f.remedy for f in findings if f.remedy)])


def _attested(attestations: Attestations) -> str:
    return attestations.model_dump_json()


# -- the steps --------------------------------------------------------------------------------------


def _all_steps(run: Run) -> list[StepOutcome]:
    outcomes: list[StepOutcome] = []
    over = ""
    for step in run.plan.steps:
        if over and step.changes_something:
            outcomes.append(_outcome(step, "left", message=over, in_clear=True))
            continue
        outcome = _one_step(run, step)
        outcomes.append(outcome)
        if outcome.outcome == "stopped":
            over = f"not begun: {outcome.message}"
    return outcomes


def _one_step(run: Run, step: Step) -> StepOutcome:
    if not step.changes_something and not _swapped_but_not_finished(run, step):
        refused = step.method is Method.REFUSE
        return _outcome(step, "refused" if refused else "skipped", message=step.why, in_clear=refused)
    listen = Seen(step, run.listen)
    began = run.clock.monotonic()
    try:
        done = _space(run, step, listen) if step.kind == "tablespace" else _table(run, step, listen)
        outcome = _outcome(step, "done" if done else "skipped", message="" if done else "already encrypted")
    except (LeaseLost, ServerUnreachable):
        raise
    except Stopped as error:
        outcome = _outcome(step, "stopped", message=error.message, remedy=error.remedy, in_clear=True)
    except LogOverflow as error:
        outcome = _outcome(step, "given-up", message=error.message, remedy=error.remedy, in_clear=True)
    except MigratorError as error:
        word: Outcomes = "person" if error.exit_code == 4 else "failed"
        outcome = _outcome(step, word, message=error.message, remedy=error.remedy, in_clear=True)
    seconds = run.clock.monotonic() - began
    outcome = replace(
        outcome,
        seconds=seconds,
        rows=listen.rows,
        moments=tuple(listen.moments),
        retained=listen.retained,
        leftovers=_leftovers(run, step) if outcome.outcome in {"failed", "person", "stopped"} else (),
    )
    run.listen(StepEnded(step.name, outcome.outcome, seconds, outcome.message, outcome.remedy))
    return outcome


def _swapped_but_not_finished(run: Run, step: Step) -> bool:
    """True if an earlier run swapped this table and was ended before it could take its triggers and log away.

    A plan that was made since then finds an encrypted table and nothing to do.
    """
    if step.table is None or step.method is not Method.SKIP:
        return False
    noted = run.journal.open_step(run.session, step.table)
    return (
        noted is not None
        and noted.state == "open"
        and noted.shadow_ids != ""
        and noted.shadow_ids == table_proof(run.session, step.table)
    )


def _table(run: Run, step: Step, listen: Listener) -> bool:
    """One table by its method; False if there is nothing to do any more."""
    name = step.table
    assert name is not None  # noqa: S101 - a step of kind table has one
    for _ in range(LINKS):
        try:
            work = _begin(run, step, name, listen)
            if work is None:
                return False
            _by_method(work)
            return True
        except SqlError as error:
            if not error.link_lost:
                raise _told(error, str(name)) from None
            run.session.reconnect()  # and look again at what has happened
    raise Failed(f"the connection was lost {LINKS} times while {name} was worked on", remedy="apply again to go on")


def _by_method(work: Work) -> None:
    """By the journal's method: what an earlier run has begun is finished as it was begun."""
    try:
        if work.step().method == Method.DIRECT_ALTER:
            alter(work)
            work.journal.close_step(work.session, work.step_id, "done")
        else:
            migrate(work)
    except (SourceChanged, Mismatch) as error:
        give_up(work, "void", error.message)
        raise
    except SqlError as error:
        if not error.link_lost:
            _if_the_source_changed(work)
        raise
    except LogOverflow as error:
        give_up(work, "given-up", error.message)
        raise


def _if_the_source_changed(work: Work) -> None:
    """After an error of the server: if the reason is that the source or our tables changed, say that and give up."""
    triggers = {"log": "log", "copy": "log", "mirror": "mirror", "verify": "mirror"}.get(work.step().phase)
    if triggers is None:
        return
    try:
        check_source(work, triggers=triggers)
    except SourceChanged as changed:
        give_up(work, "void", changed.message)
        raise changed from None


def _begin(run: Run, step: Step, name: TableName, listen: Listener) -> Work | None:
    """The work on a table: gone on with where the journal has it open, else begun; None if it is done."""
    found = read_tables(run.session, [name])
    open_step = run.journal.open_step(run.session, name)
    if not found:
        gone = SourceChanged(f"{name} is gone", remedy="plan again if it was dropped on purpose")
        if open_step is not None and open_step.state == "open":
            give_up(_work(run, step, Table(name, "InnoDB", 0, 0, 0), open_step.id, listen), "void", gone.message)
        raise gone
    table = found[0]
    if open_step is not None and open_step.state == "swapped":
        if table.encrypted:
            return None
        raise SourceChanged(
            f"{name} was encrypted by an earlier run and lies in clear again; its old table is still retained",
            remedy=f"look at {retained_of(name)}; then: migrator cleanup --now, and apply again",
        )
    if open_step is not None and open_step.method == Method.DIRECT_ALTER != step.method:
        run.journal.close_step(run.session, open_step.id, "void", "begun anew by another method")
        open_step = None
    if table.encrypted and (open_step is None or open_step.method == Method.DIRECT_ALTER):
        if open_step is not None:
            run.journal.close_step(run.session, open_step.id, "done")
        return None
    key = (
        usable_key(table) if open_step is None else next((k for k in table.keys if k.name == open_step.copy_key), None)
    )
    if key is None and step.method is Method.SHADOW_COPY:
        raise SourceChanged(f"{name} has no usable key any more", remedy="plan again")
    if open_step is None:
        step_id = run.journal.new_step(
            run.session,
            kind="table",
            table=name,
            method=step.method,
            run_id=run.run_id,
            copy_key=key.name if key else "",
            source_ids=table_proof(run.session, name) or "",
            definition=show_create(run.session, name),
            rows_expected=table.rows,
            bytes_expected=table.size_bytes,
        )
    else:
        step_id = open_step.id
        run.journal.set_step(run.session, step_id, run_id=run.run_id)
    listen(StepStarted(str(name), step.method, table.rows, table.size_bytes, resumed=open_step is not None))
    return _work(run, step, table, step_id, listen)


def _work(run: Run, step: Step, table: Table, step_id: int, listen: Listener) -> Work:
    return work_on(
        table,
        step_id,
        session=run.session,
        sessions=run.sessions,
        lease=run.lease,
        journal=run.journal,
        limits=limits_of(run.plan.defaults, step),
        listen=listen,
        stop=run.stop,
        clock=run.clock,
    )


def _space(run: Run, step: Step, listen: Listener) -> bool:
    """One tablespace; False if there is nothing to do any more."""
    name = TableName("", step.tablespace_name)
    open_step = run.journal.open_step(run.session, name, kind="tablespace")
    inside = [t for t in run.inventory.tables if any(s.tablespace == step.tablespace_name for s in t.segments)]
    if open_step is None:
        step_id = run.journal.new_step(
            run.session,
            kind="tablespace",
            table=name,
            method=step.method,
            run_id=run.run_id,
            bytes_expected=step.facts.data_bytes,
        )
    else:
        step_id = open_step.id
        run.journal.set_step(run.session, step_id, run_id=run.run_id)
    space = Table(name, "InnoDB", sum(t.rows for t in inside), step.facts.data_bytes, 0)
    work = _work(run, step, space, step_id, listen)
    listen(StepStarted(step.name, step.method, space.rows, space.data_bytes, resumed=open_step is not None))
    try:
        if space_encrypted(work, step.tablespace_name):
            return False
        encrypt_space(work, step.tablespace_name, [t.name for t in inside])
        return True
    except SqlError as error:
        raise _told(error, step.name) from None
    finally:
        if space_encrypted(work, step.tablespace_name):
            run.journal.close_step(run.session, step_id, "done")


def _told(error: SqlError, name: str) -> MigratorError:
    if error.number in _DENIED:
        return MissingPrivilege(
            f"{name}: {error.text}", remedy="grant what is missing (docs/privileges.md) and apply again"
        )
    return Failed(f"{name}: {error}", remedy="apply again to go on; the work done so far is kept")


# -- telling ----------------------------------------------------------------------------------------


class Seen:
    """A listener that keeps what the events of one step said for its outcome, and passes them on."""

    def __init__(self, step: Step, listen: Listener) -> None:
        self._step = step
        self._listen = listen
        self.rows = 0
        self.moments: list[ExclusiveMoment] = []
        self.retained: RetainedTable | None = None

    def __call__(self, event: Event) -> None:
        """Keep, and pass on."""
        match event:
            case ChunkVerified():
                self.rows = event.rows_done
            case Moment():
                self.moments.append(
                    ExclusiveMoment(event.purpose, event.tries, event.waited_seconds, event.held_seconds)
                )
            case Retained():
                assert self._step.table is not None  # noqa: S101 - only tables are retained
                size = self._step.facts.data_bytes + self._step.facts.index_bytes
                self.retained = RetainedTable(retained_of(self._step.table), event.until, size)
            case _:
                pass
        self._listen(event)


def _outcome(
    step: Step, outcome: Outcomes, *, message: str = "", remedy: str = "", in_clear: bool = False
) -> StepOutcome:
    size = step.facts.data_bytes + step.facts.index_bytes
    return StepOutcome(
        step.name, step.method, outcome, size_bytes=size, message=message, remedy=remedy, in_clear=in_clear
    )


def _leftovers(run: Run, step: Step) -> tuple[Leftover, ...]:
    """What the journal says there is of a step that did not end well."""
    if step.table is None:
        return ()
    open_step = run.journal.open_step(run.session, step.table)
    if open_step is None:
        return ()
    kinds: dict[str, Literal["trigger", "shadow", "log", "retained"]] = {
        "trigger": "trigger",
        "shadow": "shadow",
        "log": "log",
        "retained": "retained",
    }
    owned = run.journal.owned(run.session, open_step.id)
    return tuple(Leftover(kinds[one.kind], one.name) for one in owned if one.kind in kinds)


def _stopped_by(steps: list[StepOutcome]) -> str:
    return next((one.message for one in steps if one.outcome == "stopped"), "")


def _exit_code(steps: list[StepOutcome]) -> int:
    have = {one.outcome for one in steps}
    for outcome, code in (("person", 4), ("failed", 3), ("stopped", 75), ("given-up", 1), ("refused", 1), ("left", 1)):
        if outcome in have:
            return code
    return 0
