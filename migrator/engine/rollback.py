"""Rollback: a swap is taken back, with everything that was written since.

The retained table has been kept current from the very moment of the swap (`back`). So no transaction can
be surprised, however old its snapshot is: both tables were equal at every commit since before the swap,
and the swap itself has waited for whoever was older. Nothing is waited for here but a free instant.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from migrator.clock import Clock, SystemClock
from migrator.db import Session
from migrator.engine.back import stop_keeping_current, why_not
from migrator.engine.clean import take_down
from migrator.engine.journal import Journal
from migrator.engine.journal_steps import StepRow
from migrator.engine.lease import Lease, new_run_id, purpose_of
from migrator.engine.mirror import carry_auto_increment
from migrator.engine.moment import locked, to_the_end
from migrator.engine.objects import drop_if_ours, name_taken, table_proof
from migrator.engine.sessions import Sessions
from migrator.engine.swap import finish
from migrator.engine.verify import compare_rows
from migrator.engine.work import Work, tell_event, work_left
from migrator.errors import Failed, LeaseLost, MigratorError, Mismatch, OwnerUnknown, Refused, Stopped, UsageError
from migrator.events import Listener, Noticed, PhaseStarted, StepEnded, StepStarted
from migrator.model import Finding, TableName
from migrator.report.values import TakenBack
from migrator.sql.copy import lock_for_switch
from migrator.sql.names import retained_of, shadow_of
from migrator.sql.swap import rename_back
from migrator.sql_errors import SqlError

ROLLBACK: Final = "rollback"
"""The phase of a step whose tables were compared: its RENAME is ours."""


@dataclass(frozen=True, slots=True)
class RollbackOptions:
    """Which table, as `schema.table`; `forget` only ends the keeping current."""

    table: str
    forget: bool = False
    dry_run: bool = False


def rollback(
    session: Session,
    options: RollbackOptions,
    listen: Listener,
    stop: threading.Event | None = None,
    *,
    clock: Clock | None = None,
    journal: Journal | None = None,
) -> TakenBack:
    """Give the old table its name back, with the rows written since the swap, and drop the encrypted copy.

    Under the lease, so never beside a run. Compares every row without a lock; then one exclusive moment on
    the table in use. Afterwards the table lies in clear, under its name. Raises `UsageError` for a table
    that the journal does not know as swapped, `Refused` if it cannot be taken back, `Mismatch` if a row
    differs: then nothing was changed. Safe to repeat: goes on where it was ended.
    """
    clock, journal = clock or SystemClock(), journal or Journal()
    step = _step(session, journal, options.table)
    if options.dry_run:
        if not gone_back(session, step) and (why := why_not(session, journal, step)):
            raise _refused(step, why)
        return TakenBack(step.table, "would-stop" if options.forget else "would-roll-back")
    run_id, listen, began = new_run_id(), tell_event(listen), clock.monotonic()
    with (
        session.another(purpose_of(run_id)) as own,
        Lease(journal, own, run_id=run_id, clock=clock) as lease,
        Sessions(own, lease.purpose) as sessions,
    ):
        step = _step(own, journal, options.table)
        work = work_left(
            step,
            session=own,
            sessions=sessions,
            lease=lease,
            journal=journal,
            listen=listen,
            stop=stop or threading.Event(),
            clock=clock,
        )
        if step.state == "open":
            finish(work)  # swapped by a run that was ended before it could tidy up
        listen(StepStarted(work.subject, "rollback", work.table.rows, work.table.size_bytes, resumed=False))
        rows = _do(work, forget=options.forget)
        seconds = clock.monotonic() - began
        listen(StepEnded(work.subject, "done", seconds))
    return TakenBack(step.table, "stopped" if options.forget else "rolled-back", rows, seconds)


def _step(session: Session, journal: Journal, table: str) -> StepRow:
    states = ["open", "swapped", "rolled-back", "done"]
    known = journal.steps(session, states=states) if journal.exists(session) else []
    step = next((s for s in reversed(known) if s.kind == "table" and str(s.table) == table), None)
    if step is not None and step.state == "rolled-back":
        raise UsageError(f"the swap of {table} is taken back already", remedy="nothing to do; look at: migrator verify")
    if (
        step is None
        or step.state == "done"
        or (step.state == "open" and table_proof(session, step.table) != step.shadow_ids)
    ):
        raise UsageError(
            f"the journal knows no swap of {table} that could be taken back", remedy="look at: migrator status"
        )
    return step


def _refused(step: StepRow, why: str) -> Refused:
    return Refused(
        f"the swap of {step.table} cannot be taken back: {why}",
        remedy=f"{step.table} is in use as it was; end what writes each change twice: migrator rollback {step.table}"
        " --forget"
        if step.current_until
        else f"{step.table} is in use as it was; {retained_of(step.table)} has its rows as of the swap",
    )


def _do(work: Work, *, forget: bool) -> int:
    try:
        if forget and not _bears_its_name(work.session, work.step()):
            stop_keeping_current(work)
            return 0
        if gone_back(work.session, work.step()):
            finish_rollback(work)
            return 0
        return _take_back(work)
    except SqlError as error:
        if not error.link_lost:
            raise
        raise Failed(
            f"the connection was lost while {work.table.name} was rolled back", remedy="the same command again goes on"
        ) from None
    except Failed as error:
        if type(error) is not Failed:
            raise
        raise Failed(error.message, remedy="the same command again goes on; what is in use is complete") from None
    except Stopped as error:
        if type(error) is not Stopped:
            raise
        raise Stopped(
            f"stopped before {work.table.name} was swapped back; all is as it was",
            remedy="the same command again begins anew",
        ) from None


def _take_back(work: Work) -> int:
    """Compare, lock, look once more, RENAME; gives the number of rows."""
    _check(work)
    if table_proof(work.session, work.shadow) is not None:
        raise name_taken(work.shadow)
    work.listen(PhaseStarted(work.subject, "verify"))
    pair = replace(work, shadow=work.retained)
    try:
        rows = compare_rows(pair)
    except Mismatch as error:
        raise Mismatch(
            error.message, remedy=f"nothing was changed, {work.table.name} is in use as it was; report it"
        ) from None
    before = work.step().phase
    work.journal.set_step(work.session, work.step_id, phase=ROLLBACK)
    work.listen(PhaseStarted(work.subject, ROLLBACK))
    try:
        to_the_end(work, [work.table.name, work.retained, work.log], lambda: _rename_back_locked(pair, work.shadow))
    except SqlError as error:
        # Also what came after the RENAME, its bookkeeping say, ends here: who owns the name decides.
        if error.link_lost:
            work.session.reconnect()
        if not gone_back(work.session, work.step()):
            _as_before(work, before)
            raise Failed(
                f"{work.table.name} was not swapped back, all is as it was: {error}",
                remedy="the same command again begins anew",
            ) from None
    except (Refused, Stopped, Failed) as error:
        if not isinstance(error, LeaseLost):
            _as_before(work, before)
        raise
    finish_rollback(work)
    return rows


def _as_before(work: Work, phase: str) -> None:
    """Nothing was renamed: a person who does that later by hand does it to rows that nobody has compared then."""
    work.journal.set_step(work.session, work.step_id, phase=phase)


def _rename_back_locked(pair: Work, shadow: TableName) -> None:
    """`pair` is the table in use and, in the place of its shadow, the retained one."""
    if gone_back(pair.session, pair.step()):
        return
    tables = [pair.table.name, pair.retained, pair.log]
    with locked(pair, "rollback", tables, lock_for_switch(pair.table, pair.retained, pair.log)) as held:
        # Nobody writes now, so every mark of a change that could not be made is there to be seen.
        _check(pair, held.session)
        carry_auto_increment(pair, held)
        held.ddl(rename_back(pair.table.name, pair.retained, shadow))


def _check(work: Work, holder: Session | None = None) -> None:
    step = work.step()
    if why := why_not(work.session, work.journal, step, holder):
        raise _refused(step, why)


def gone_back(session: Session, step: StepRow) -> bool:
    """True if the old table bears its name again, False if the encrypted one does; else `OwnerUnknown`. No locks."""
    if _bears_its_name(session, step):
        return True
    there = table_proof(session, step.table)
    if there == step.shadow_ids or table_proof(session, retained_of(step.table)) == step.source_ids:
        return False  # rebuilt or not: it is what is in use
    raise OwnerUnknown(
        f"neither the old nor the new table is where it must be: {step.table}, {retained_of(step.table)},"
        f" {shadow_of(step.table)}",
        remedy="look at the three tables; the journal's step has the ids of both (source_ids, shadow_ids)",
    )


def _bears_its_name(session: Session, step: StepRow) -> bool:
    return table_proof(session, step.table) == step.source_ids


def finish_rollback(work: Work) -> None:
    """After the RENAME: encrypted copy, its triggers and the log dropped. Nobody uses these. Safe to repeat.

    Where a person has made that RENAME, the rows were not compared: then the encrypted table stays.
    """
    step = work.step()
    if step.phase == ROLLBACK:
        work.journal.goes_back(
            work.session, work.step_id, shadow=work.shadow, retained=work.retained, proof=step.shadow_ids
        )
        drop_if_ours(work.session, work.journal, work.step_id, "shadow", work.shadow, work)
    else:
        work.journal.gone(work.session, "retained", work.retained)
    take_down(work)
    work.journal.set_step(work.session, work.step_id, current_until=None)
    work.journal.close_step(work.session, work.step_id, "rolled-back", "rolled back by a person: in clear again")


def tend_swapped(session: Session, journal: Journal, listen: Listener, work_of: Callable[[StepRow], Work]) -> None:
    """Finish rollbacks that were interrupted, and end the keeping current of tables whose time is over.

    At the beginning of a run, under its lease. What cannot be done now is told, and stays as it is.
    """
    for step in journal.steps(session, states=["swapped"]):
        if step.kind != "table" or not (step.current_until or step.rollback_hours):
            continue
        try:
            if _bears_its_name(session, step):
                finish_rollback(work_of(step))
            elif step.current_until and is_over(session, step):
                stop_keeping_current(work_of(step))
        except (LeaseLost, Stopped):
            raise
        except MigratorError as error:
            finding = Finding("still-kept-current", error.message, error.remedy, subject=str(step.table))
            listen(Noticed(finding.subject, finding))


def is_over(session: Session, step: StepRow) -> bool:
    """True if the time is over, or a person has taken the retained table away: there is nothing to keep current."""
    over = session.value("SELECT %s <= UTC_TIMESTAMP()", (step.current_until,))
    return bool(over) or table_proof(session, retained_of(step.table)) is None
