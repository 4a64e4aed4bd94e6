"""Parked tables: what waits unfinished is drained while the run is at work on other tables, and kept within its bound.

Parked is a table whose step failed in this run, or was stopped in an earlier one and has not had its turn
yet. Its log triggers go on logging. While no run is there at all, nobody drains.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from migrator.clock import Clock
from migrator.db import Session
from migrator.engine.clean import give_up
from migrator.engine.drain import drain_pass, tell_backlog
from migrator.engine.journal import Journal
from migrator.engine.journal_steps import StepRow
from migrator.engine.lease import Lease
from migrator.engine.objects import trigger_names
from migrator.engine.sessions import Sessions
from migrator.engine.swap import was_swapped
from migrator.engine.watch import check_source
from migrator.engine.work import Work, beside, limits_of, work_on
from migrator.errors import LeaseLost, LogOverflow, MigratorError, ServerUnreachable, SourceChanged, Stopped
from migrator.events import Listener, Noticed
from migrator.inventory import read_tables
from migrator.model import Finding, Method, Server
from migrator.planner.plan import Plan
from migrator.planner.privileges import Need, missing
from migrator.sql_errors import SqlError

EVERY_SECONDS: Final = 1.0

_LOGGED: Final = frozenset({"log", "copy", "index"})
"""Phases after which a step has log triggers."""


_BY_PHASE: Final = {"log": "log", "copy": "log", "index": "log", "mirror": "mirror", "verify": "mirror"}
"""Which triggers a step has after a phase."""


@dataclass(frozen=True, slots=True)
class Turns:
    """Who works on a table, the run or the one that drains it meanwhile: a lock for each."""

    _locks: dict[str, threading.Lock] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def of(self, subject: str) -> threading.Lock:
        """The lock of one table."""
        with self._guard:
            return self._locks.setdefault(subject, threading.Lock())


@dataclass(frozen=True, slots=True)
class Tender:
    """What draining parked tables needs."""

    plan: Plan
    sessions: Sessions
    lease: Lease
    journal: Journal
    turns: Turns
    listen: Listener
    clock: Clock


def give_up_forsaken(
    session: Session,
    journal: Journal,
    plan: Plan,
    server: Server,
    listen: Listener,
    work_of: Callable[[StepRow], Work],
) -> None:
    """Give up the copies of tables that have changed and that this plan does nothing with: no turn of theirs comes.

    Else their triggers would stay, and their log could not be drained any more. At the beginning of a run, under
    its lease; one exclusive moment each. What cannot be done now is told, and stays as it is. Where a right on
    the schema is missing nothing is done: triggers that are hidden are not gone.
    """
    acting = {step.table for step in plan.steps if step.changes_something}
    for step in journal.steps(session, states=["open"]):
        triggers = _BY_PHASE.get(step.phase)
        if (step.kind, step.method) != ("table", Method.SHADOW_COPY) or triggers is None or step.table in acting:
            continue
        if step.phase == "index" and _is_switching(journal, session, step):
            continue  # between two sets of triggers: whoever goes on with it will see
        if missing(server, [step.table.schema], {Need.READ, Need.COPY}, journal_schema=journal.schema):
            continue
        if was_swapped(session, step):
            continue  # by a run that was ended before it could note that
        work = work_of(step)
        try:
            _give_up_if_changed(work, triggers)
        except (LeaseLost, Stopped):
            raise
        except (SqlError, MigratorError) as error:
            if isinstance(error, SqlError) and error.link_lost:
                raise
            finding = Finding("parked-not-drained", f"its copy is void, and stays: {error}", subject=work.subject)
            listen(Noticed(finding.subject, finding))


def _give_up_if_changed(work: Work, triggers: str) -> None:
    try:
        check_source(work, triggers=triggers)
    except SourceChanged as changed:
        give_up(work, "void", changed.message)
        finding = Finding("parked-given-up", changed.message, "plan again to have it done", subject=work.subject)
        work.listen(Noticed(finding.subject, finding))


@contextmanager
def tending(tender: Tender) -> Iterator[None]:
    """While the body runs, drain parked tables from another thread, and give up those whose log is at its bound.

    Locks what `drain_pass` and `give_up` lock.
    """
    with beside("tender", lambda over: _tend_all(tender, over)):
        yield


def tend_once(tender: Tender, stop: threading.Event) -> None:
    """Drain each parked table once, and give up those whose log is at its bound. Locks as `tending`.

    For a call that comes outside of every window: it keeps logs small, and does nothing else.
    """
    works: dict[int, Work | None] = {}
    with tender.sessions.borrow() as session:
        for step in _parked(tender, session):
            _in_turn(tender, session, step, works, stop)


def _tend_all(tender: Tender, over: threading.Event) -> None:
    works: dict[int, Work | None] = {}
    while not over.is_set():
        try:
            with tender.sessions.borrow() as session:
                for step in _parked(tender, session):
                    _in_turn(tender, session, step, works, over)
        except (LeaseLost, Stopped):
            return  # the run meets it too, and says so
        except ServerUnreachable:
            pass  # so it does here; by the next round the server may be back
        except SqlError as error:
            if not error.link_lost:
                raise
        tender.clock.wait(over, EVERY_SECONDS)


def _parked(tender: Tender, session: Session) -> list[StepRow]:
    """Steps whose changes are in their log; with a mirror trigger on the table it is for the switch to go on."""
    found = []
    for step in tender.journal.steps(session, states=["open"]):
        if (step.kind, step.method) != ("table", Method.SHADOW_COPY) or step.phase not in _LOGGED:
            continue
        if not _is_switching(tender.journal, session, step):
            found.append(step)
    return found


def _is_switching(journal: Journal, session: Session, step: StepRow) -> bool:
    """True if a mirror trigger is there or was about to be made."""
    mirror = set(trigger_names(step.table, "mirror").values())
    return any(one.kind == "trigger" and one.name.name in mirror for one in journal.owned(session, step.id))


def _in_turn(
    tender: Tender, session: Session, step: StepRow, works: dict[int, Work | None], over: threading.Event
) -> None:
    """Drain one table unless the run is at work on it; one that cannot be drained is said, and left to its own turn."""
    turn = tender.turns.of(str(step.table))
    if over.is_set() or not turn.acquire(blocking=False):
        return
    try:
        if step.id not in works:
            works[step.id] = _work(tender, session, step, over)
        work = works[step.id]
        if work is not None:
            _drain(dataclasses.replace(work, session=session))
    except (LeaseLost, Stopped, ServerUnreachable):
        raise
    except (SqlError, MigratorError) as error:
        if isinstance(error, SqlError) and error.link_lost:
            raise
        works[step.id] = None
        finding = Finding("parked-not-drained", f"its log is not drained meanwhile: {error}", subject=str(step.table))
        tender.listen(Noticed(finding.subject, finding))
    finally:
        turn.release()


def _work(tender: Tender, session: Session, step: StepRow, over: threading.Event) -> Work:
    """The work on a parked table; raises `SourceChanged` where it is not as its step left it."""
    found = read_tables(session, [step.table])
    if not found:
        raise SourceChanged(f"{step.table} is gone", remedy="plan again if it was dropped on purpose")
    planned = next((one for one in tender.plan.steps if one.table == step.table), None)
    work = work_on(
        found[0],
        step.id,
        step.copy_key,
        session=session,
        sessions=tender.sessions,
        lease=tender.lease,
        journal=tender.journal,
        limits=limits_of(tender.plan.defaults, planned),
        listen=tender.listen,
        stop=over,
        clock=tender.clock,
    )
    check_source(work, triggers="log")
    return work


def _drain(work: Work) -> None:
    work.check()
    done = drain_pass(work, work.session, gently=True)
    try:
        tell_backlog(work, work.session, done.left, done.drained)
    except LogOverflow as error:
        give_up(work, "given-up", error.message)
        finding = Finding("parked-given-up", error.message, error.remedy, subject=work.subject)
        work.listen(Noticed(finding.subject, finding))
