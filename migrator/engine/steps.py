"""One step of a plan: begun or gone on with, by its method, and what became of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from migrator.clock import Clock
from migrator.db import Session
from migrator.engine.aside import Aside, postponed
from migrator.engine.background import encrypt_in_background, is_encrypted
from migrator.engine.bounds import Bounds
from migrator.engine.clean import give_up
from migrator.engine.convert import UNCOMPARED, convert, wait_out_conversion
from migrator.engine.direct import alter, encrypt_space, space_encrypted
from migrator.engine.facts import Facts
from migrator.engine.journal import Journal
from migrator.engine.journal_steps import StepRow
from migrator.engine.lease import Lease
from migrator.engine.migrate import migrate
from migrator.engine.ours import forget_retained, retained_is_gone
from migrator.engine.outcomes import Seen, leftovers, outcome_of, told
from migrator.engine.parked import Turns
from migrator.engine.relay import relay
from migrator.engine.sessions import Sessions
from migrator.engine.setting import is_set, put, was_before, where_it_is
from migrator.engine.swap import was_swapped
from migrator.engine.watch import check_source
from migrator.engine.work import Limits, Work, limits_of, work_on
from migrator.errors import (
    Failed,
    LeaseLost,
    LogOverflow,
    MigratorError,
    Mismatch,
    PutAside,
    ServerUnreachable,
    SourceChanged,
    Stopped,
    UniqueValuesMove,
)
from migrator.events import Listener, Noticed, SetAside, StepEnded, StepStarted, Waiting
from migrator.model import Finding, Method, Table, TableName
from migrator.planner.drift import changes, definition
from migrator.planner.failover import no_source_any_more
from migrator.planner.keys import usable_key
from migrator.planner.plan import Plan, Step, fingerprint_of
from migrator.planner.schedule import Took
from migrator.report.values import Outcomes, StepOutcome
from migrator.sql_errors import READ_ONLY, SqlError

LINKS: Final = 40
"""How often the connection may be lost within one step before it is called failed."""

WENT_WRONG: Final = frozenset({"failed", "person", "stopped"})
"""Outcomes of steps that may have left something on the server."""

_LOOK_EVERY_SECONDS: Final = 60.0
"""A session that does nothing for longer is asked whether it is there; the server ends it after hours."""

IN_ONE_STATEMENT: Final = frozenset({Method.DIRECT_ALTER, Method.CONVERT})
"""Methods that leave nothing half-done."""


@dataclass(frozen=True, slots=True)
class Run:
    """What all steps of a run share."""

    session: Session
    sessions: Sessions
    lease: Lease
    journal: Journal
    run_id: str
    plan: Plan
    left_in_clear: frozenset[str]
    """Subjects that the plan skips though they lie in clear."""
    turns: Turns
    facts: Facts
    listen: Listener
    stop: threading.Event
    clock: Clock
    bounds: Bounds
    took: Mapping[str, Took]
    """By step: how long it takes, where anything says."""
    aside: Aside = field(default_factory=Aside)
    end_when_ready: bool = False
    """With nothing left but swaps that are postponed, end; else wait for the word."""

    def may_swap(self) -> bool:
        """True unless swaps are postponed now."""
        return not postponed(self.lease.control, by_plan=self.plan.defaults.postpone_swap)

    def wait_for_word(self, ready: int) -> bool:
        """Wait until swaps may be made; False if the run is to end without them, or to stop. Raises what ends it."""
        if self.end_when_ready:
            return False
        what = f"{ready} copied and compared, ready to be swapped: swaps are postponed"
        self.lease.tell("swap", what)
        self.listen(Waiting("", what, 0.0))
        looked = self.clock.monotonic()
        while not self.may_swap() and not self.ends() and not self.clock.wait(self.stop, 0.2):
            self.lease.check()
            if self.clock.monotonic() - looked > _LOOK_EVERY_SECONDS:
                looked = self.clock.monotonic()
                self._keep_connected()
        self.lease.tell("swap", "")
        return True

    def ends(self) -> bool:
        """True if it is to stop, or its window is over."""
        return self.stop.is_set() or bool(self.bounds.over())

    def _keep_connected(self) -> None:
        try:
            self.session.run("DO 1")
        except SqlError as error:
            if not error.link_lost:
                raise
            self.session.reconnect()


def do_step(run: Run, step: Step) -> StepOutcome:
    """Do one step, or go on with it; what goes wrong with it is its outcome, and the run goes on.

    Raises only what ends the run: `LeaseLost`, `ServerUnreachable`.
    """
    left = step.name in run.left_in_clear
    if not step.changes_something and (left or not _swapped_but_not_finished(run, step)):
        if left:
            return outcome_of(step, "left", message="the plan says to skip it", in_clear=True)
        if step.method is Method.REFUSE:
            remedy = next((finding.remedy for finding in step.findings if finding.blocks), "")
            return outcome_of(step, "refused", message=step.why, remedy=remedy, in_clear=True)
        said = "the plan says to skip it" if step.kind == "setting" and step.sql else step.why
        return outcome_of(step, "skipped", message=said)
    listen = Seen(step, run.listen)
    began, held = run.clock.monotonic(), run.lease.held_seconds
    aside: PutAside | None = None
    try:
        with run.turns.of(step.name):
            why_not = _OF_KIND[step.kind](run, step, listen)
        outcome = outcome_of(step, "skipped" if why_not else "done", message=why_not)
    except (LeaseLost, ServerUnreachable):
        raise
    except PutAside as error:
        aside = error
        run.aside.put(step, error)
        outcome = outcome_of(step, "stopped", message=error.message, remedy=error.remedy, in_clear=True)
    except Stopped as error:
        outcome = outcome_of(step, "stopped", message=error.message, remedy=error.remedy, in_clear=True)
    except LogOverflow as error:
        outcome = outcome_of(step, "given-up", message=error.message, remedy=error.remedy, in_clear=True)
    except MigratorError as error:
        word: Outcomes = "person" if error.exit_code == 4 else "failed"
        outcome = outcome_of(step, word, message=error.message, remedy=error.remedy, in_clear=True)
    seconds = run.clock.monotonic() - began
    if outcome.outcome != "skipped":
        _note_time(run, step, worked=seconds - (run.lease.held_seconds - held))
    outcome = replace(
        outcome,
        seconds=seconds,
        expected_seconds=run.took[step.name].seconds if step.name in run.took else None,
        rows=listen.rows,
        moments=tuple(listen.moments),
        retained=listen.retained,
        evicted=tuple(listen.evicted),
        leftovers=leftovers(run.session, run.journal, step) if outcome.outcome in WENT_WRONG else (),
    )
    if aside is not None:
        run.listen(SetAside(step.name, aside.message, ready=not aside.what, seconds=seconds))
        return outcome
    run.listen(StepEnded(step.name, outcome.outcome, seconds, outcome.message, outcome.remedy))
    return outcome


def _note_time(run: Run, step: Step, *, worked: float) -> None:
    """For later estimates; where the server cannot be asked any more there is one sample less."""
    expected = run.took[step.name].seconds if step.name in run.took else None
    with suppress(SqlError):
        run.journal.note_time(run.session, step.noted_as, step.kind, worked=max(worked, 0.0), expected=expected)


def _swapped_but_not_finished(run: Run, step: Step) -> bool:
    """True if an earlier run encrypted this table and was ended before it could take its own things away.

    A plan that was made since then finds an encrypted table and nothing to do.
    """
    if step.table is None or step.method is not Method.SKIP:
        return False
    noted = run.journal.open_step(run.session, step.table)
    return (
        noted is not None
        and noted.state == "open"
        and (noted.method == Method.TABLESPACE_RELAY or was_swapped(run.session, noted))
    )


def _is_copied(run: Run, noted: StepRow) -> bool:
    """True if the step is a copy that still needs the key: not a relay, and not what is swapped already."""
    return noted.method == Method.SHADOW_COPY and not was_swapped(run.session, noted)


def _table(run: Run, step: Step, listen: Listener) -> str:
    """One table by its method; gives why there is nothing to do any more, or ''."""
    name, unique_indexes_wait = step.table, True
    assert name is not None  # noqa: S101 - a step of kind table has one
    for _ in range(LINKS):
        try:
            work = _begin(run, step, name, listen)
            if isinstance(work, str):
                return work
            _by_method_or_aside(replace(work, limits=replace(work.limits, unique_indexes_wait=unique_indexes_wait)))
            return ""
        except UniqueValuesMove as error:
            if not unique_indexes_wait:
                raise
            finding = Finding("unique-from-the-start", error.message, subject=step.name)
            listen(Noticed(finding.subject, finding))
            unique_indexes_wait = False
        except SqlError as error:
            if not error.link_lost:
                if error.number == READ_ONLY:
                    raise no_source_any_more(run.session.server_uuid) from None
                raise told(error, str(name)) from None
            run.session.reconnect()  # and look again at what has happened
    raise Failed(f"the connection was lost {LINKS} times while {name} was worked on", remedy="apply again to go on")


def _by_method_or_aside(work: Work) -> None:
    """As `_by_method`; where the step is put aside, the journal says so, for `status`."""
    try:
        _by_method(work)
    except PutAside as aside:
        state = "aside" if aside.what else "ready"
        noted = json.dumps({"reason": aside.message, "state": state})
        work.journal.set_step(work.session, work.step_id, waiting=noted)
        raise


def _by_method(work: Work) -> None:
    """By the journal's method: what an earlier run has begun is finished as it was begun."""
    method = work.step().method
    if method == Method.TABLESPACE_RELAY:
        relay(work)  # each of its legs leaves the table whole, so there is nothing to take down
        return
    try:
        if method in IN_ONE_STATEMENT:
            (convert if method == Method.CONVERT else alter)(work)
            work.journal.close_step(work.session, work.step_id, "done")
        else:
            migrate(work)
    except (SourceChanged, Mismatch, UniqueValuesMove) as error:
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


def _begin(run: Run, step: Step, name: TableName, listen: Listener) -> Work | str:
    """The work on a table: gone on with where the journal has it open, else begun; or why there is nothing to do."""
    open_step = run.journal.open_step(run.session, name)
    if open_step is not None and open_step.method == Method.CONVERT:
        wait_out_conversion(_work(run, step, Table(name, "", 0, 0, 0), open_step.id, listen))
    known = run.facts.of(run.session, name)
    if known is None:
        if open_step is None or open_step.state != "open":
            return "is not there any more"
        gone = SourceChanged(f"{name} is gone", remedy="plan again if it was dropped on purpose")
        give_up(_work(run, step, Table(name, "InnoDB", 0, 0, 0), open_step.id, listen), "void", gone.message)
        raise gone
    table = known.table
    if open_step is not None and open_step.state == "swapped":
        if table.encrypted:
            return "already encrypted"
        _forget_the_swap(run, open_step)
        open_step = None
    if open_step is not None and open_step.method in IN_ONE_STATEMENT and open_step.method != step.method:
        run.journal.close_step(run.session, open_step.id, "void", "begun anew by another method")
        open_step = None
    if table.encrypted and (open_step is None or open_step.method in IN_ONE_STATEMENT):
        if open_step is not None:
            run.journal.close_step(run.session, open_step.id, "done")
        converted = open_step is not None and open_step.method == Method.CONVERT
        return UNCOMPARED if converted else "already encrypted"
    key = (
        usable_key(table) if open_step is None else next((k for k in table.keys if k.name == open_step.copy_key), None)
    )
    if open_step is None and key is None and step.method is Method.SHADOW_COPY:
        raise SourceChanged(f"{name} has no usable key any more", remedy="plan again")
    if open_step is not None and key is None and _is_copied(run, open_step):
        lost = SourceChanged(
            f"{name} has lost the key {open_step.copy_key} by which it was copied",
            remedy="apply again: the copy of this table begins anew",
        )
        give_up(_work(run, step, table, open_step.id, listen), "void", lost.message)
        raise lost
    if open_step is None:
        _as_reviewed(step, table)
        copy_key = key.name if key and step.method is not Method.TABLESPACE_RELAY else ""
        step_id = run.journal.new_step(
            run.session,
            kind="table",
            table=name,
            method=step.method,
            run_id=run.run_id,
            copy_key=copy_key,
            source_ids=known.proof,
            definition=known.definition,
            rows_expected=table.rows,
            bytes_expected=table.size_bytes,
            retain_days=run.plan.defaults.retain_days,
        )
    else:
        step_id, copy_key = open_step.id, open_step.copy_key
        run.journal.set_step(run.session, step_id, run_id=run.run_id)
        if step.changes_something:  # a plan that skips the table says nothing about its old one
            run.journal.set_step(run.session, step_id, retain_days=run.plan.defaults.retain_days)
    listen(StepStarted(str(name), step.method, table.rows, table.size_bytes, resumed=open_step is not None))
    return _work(run, step, table, step_id, listen, copy_key=copy_key)


def _as_reviewed(step: Step, table: Table) -> None:
    """Raise `SourceChanged` if the table was altered between the review and its turn, which may be hours of a run."""
    now = definition(table)
    if step.fingerprint and step.fingerprint != fingerprint_of(now):
        raise SourceChanged(
            f"{table.name} is not as it was when the plan was made: {'; '.join(changes(step.definition, now)[:3])}",
            remedy="plan again, and review that",
        )


def _forget_the_swap(run: Run, swapped: StepRow) -> None:
    """Close the step of an earlier run whose table is in clear again; not while its old table is still there."""
    for one in run.journal.owned(run.session, swapped.id):
        if one.kind == "retained" and not retained_is_gone(run.session, one):
            raise SourceChanged(
                f"{swapped.table} was encrypted by an earlier run and lies in clear again; {one.name} is still there",
                remedy=f"look which of the two has your rows; drop or rename {one.name} by hand, and apply again",
            )
        forget_retained(run.session, run.journal, one)
    run.journal.close_step(run.session, swapped.id, "done", "in clear again")


def _work(run: Run, step: Step, table: Table, step_id: int, listen: Listener, *, copy_key: str = "") -> Work:
    """The work of a step; without a key what walks none: waiting, taking down, a tablespace."""
    work = work_on(
        table,
        step_id,
        copy_key,
        session=run.session,
        sessions=run.sessions,
        lease=run.lease,
        journal=run.journal,
        limits=_limits(run, step),
        listen=listen,
        stop=run.stop,
        clock=run.clock,
        bounds=run.bounds,
    )
    held = run.lease.held_seconds
    return replace(work, patience=run.aside.patience(step), began=run.clock.monotonic(), held_before=held)


def _limits(run: Run, step: Step) -> Limits:
    """As the plan says; what people asked for goes before its defaults, and not before what it says of this step.

    Those who are more than people want find no place; they are there when the wish is taken back.
    """
    limits, asked = limits_of(run.plan.defaults, step), run.lease.control.wishes.workers
    return replace(limits, workers=max(limits.workers, asked)) if asked and step.workers is None else limits


def _begin_other(run: Run, step: Step, listen: Listener, *, source_ids: str = "", definition: str = "") -> Work:
    """The work on a tablespace or a setting: gone on with where the journal has it open, else begun."""
    name = step.noted_as
    open_step = run.journal.open_step(run.session, name, kind=step.kind)
    if open_step is None:
        step_id = run.journal.new_step(
            run.session,
            kind=step.kind,
            table=name,
            method=step.method,
            run_id=run.run_id,
            source_ids=source_ids,
            definition=definition,
            bytes_expected=step.facts.data_bytes,
        )
    else:
        step_id = open_step.id
        run.journal.set_step(run.session, step_id, run_id=run.run_id)
    size = step.facts.data_bytes
    listen(StepStarted(step.name, step.method, 0, size, resumed=open_step is not None))
    return _work(run, step, Table(name, "InnoDB", 0, size, 0), step_id, listen)


def _setting(run: Run, step: Step, listen: Listener) -> str:
    """One setting; gives why there is nothing to do any more, or ''."""
    for _ in range(LINKS):
        try:
            in_background = step.method is Method.BACKGROUND
            if is_encrypted(run.session) if in_background else is_set(run.session, step):
                if open_step := run.journal.open_step(run.session, step.noted_as, kind=step.kind):
                    run.journal.close_step(run.session, open_step.id, "done")
                return "already on"
            before = "" if in_background else was_before(run.session, step)
            where = where_it_is(run.session, step)
            work = _begin_other(run, step, listen, source_ids=before, definition=where)
            if in_background:
                encrypt_in_background(work)
            else:
                put(work, step)
            run.journal.close_step(run.session, work.step_id, "done")
            return ""
        except SqlError as error:
            if not error.link_lost:
                if error.number == READ_ONLY:
                    raise no_source_any_more(run.session.server_uuid) from None
                raise told(error, step.name) from None
            run.session.reconnect()  # and look again at what has happened
    raise Failed(f"the connection was lost {LINKS} times at {step.name}", remedy="apply again to go on")


def _space(run: Run, step: Step, listen: Listener) -> str:
    """One tablespace; gives why there is nothing to do any more, or ''."""
    try:
        work = _begin_other(run, step, listen)
        try:
            if space_encrypted(work, step.tablespace_name):
                return "already encrypted"
            encrypt_space(work, step.tablespace_name)
            return ""
        finally:
            if space_encrypted(work, step.tablespace_name):
                run.journal.close_step(run.session, work.step_id, "done")
    except SqlError as error:
        if error.number == READ_ONLY:
            raise no_source_any_more(run.session.server_uuid) from None
        raise told(error, step.name) from None


_OF_KIND: Final[Mapping[str, Callable[[Run, Step, Listener], str]]] = {
    "table": _table,
    "tablespace": _space,
    "setting": _setting,
}
