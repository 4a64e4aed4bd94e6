"""Back: after the swap the retained table is kept current for a time, so that the swap can be taken back.

The mirror triggers are turned round in the exclusive moment of the swap, so no change falls between. All
three back triggers are made there and nowhere else: where they are all there, nothing is missing; where
one is missing, something may be, and the table cannot be rolled back. Either way the swap itself is done.
"""

from __future__ import annotations

from migrator.db import Session
from migrator.engine.clean import take_down
from migrator.engine.journal import Journal
from migrator.engine.journal_steps import StepRow
from migrator.engine.moment import GivenBack, Held
from migrator.engine.objects import (
    forget_triggers,
    intend_triggers,
    is_our_trigger,
    note_triggers,
    table_proof,
    trigger_names,
    trigger_proofs,
)
from migrator.engine.watch import child_of
from migrator.engine.work import Work
from migrator.events import Noticed
from migrator.inventory import show_create
from migrator.model import Finding, TableName
from migrator.sql.names import log_of, qualified, retained_of
from migrator.sql.table import NO_FENCE, comparable
from migrator.sql.triggers import EVENTS, back_trigger, drop_trigger
from migrator.sql_errors import SqlError

_NO_SUCH_TABLE = 1146


def intend_to_keep_current(work: Work) -> None:
    """Say in the journal whether the retained table will be kept current, and by which triggers. No locks."""
    work.journal.set_step(work.session, work.step_id, rollback_hours=work.limits.rollback_hours)
    if work.limits.rollback_hours:
        intend_triggers(work, "back")
    else:
        forget_triggers(work, "back")


def turn_round(held: Held) -> None:
    """Right after the RENAME, under its lock: mirror triggers off the old table, back triggers onto the new one.

    An error here, or a wait for a lock, is told and ends it: the swap is done, and `settle` will find that a
    trigger is missing.
    """
    work = held.work
    if not work.limits.rollback_hours:
        return
    try:
        for name in trigger_names(work.table.name, "mirror").values():
            held.ddl(drop_trigger(work.table.name.schema, name))
        for event in EVENTS:
            held.ddl(back_trigger(work.table, work.retained, work.log, work.key_columns, event))
    except (SqlError, GivenBack) as error:
        if isinstance(error, SqlError) and error.link_lost:
            raise
        _tell(work, f"the triggers that keep {work.retained} current could not be made: {error}")


def settle(work: Work, retained_until: str) -> bool:
    """After the swap: True if the retained table is kept current, and the journal says until when; not beyond its own.

    If a back trigger is missing, the others are dropped in an exclusive moment. Safe to repeat.
    """
    step = work.step()
    if not step.rollback_hours:
        return False
    there = _there(work.session, work.journal, step)
    if all(there.values()):
        note_triggers(work, "back")
        until = work.session.value(
            "SELECT DATE_FORMAT(LEAST(%s, UTC_TIMESTAMP() + INTERVAL %s HOUR), '%%Y-%%m-%%d %%H:%%i:%%s')",
            (retained_until, step.rollback_hours),
        )
        work.journal.set_step(work.session, work.step_id, current_until=until)
        return True
    for name, is_there in there.items():
        if not is_there:  # never made; whoever bears the name now, it is not ours
            work.journal.gone(work.session, "trigger", name)
    take_down(work)
    work.journal.set_step(work.session, work.step_id, rollback_hours=0)
    _tell(work, f"something may have been written between the swap and the triggers that keep {work.retained} current")
    return False


def _tell(work: Work, why: str) -> None:
    finding = Finding(
        "no-rollback",
        f"the swap is done and all rows are right, but it cannot be taken back: {why}",
        "nothing to do, unless you rely on a rollback: then look before the old table is dropped",
        subject=work.subject,
    )
    work.listen(Noticed(finding.subject, finding))


def stop_keeping_current(work: Work) -> None:
    """Drop the back triggers in one exclusive moment on the table in use, then the log. Safe to repeat.

    The retained table stays until its deadline, as it is at that moment; the swap cannot be taken back any more.
    """
    take_down(work)
    work.journal.set_step(work.session, work.step_id, current_until=None)


def _there(session: Session, journal: Journal, step: StepRow) -> dict[TableName, bool]:
    """The three back triggers, and whether the table bears each of them as it was made."""
    there = trigger_proofs(session, step.table)
    owned = {one.name: one for one in journal.owned(session, step.id) if one.kind == "trigger"}
    names = [TableName(step.table.schema, name) for name in trigger_names(step.table, "back").values()]
    return {n: n in owned and n.name in there and is_our_trigger(owned[n], there[n.name]) for n in names}


# -- can it be taken back? ----------------------------------------------------------------------------


def why_not(session: Session, journal: Journal, step: StepRow, holder: Session | None = None) -> str:
    """Why the swap of a step cannot be taken back, or ''. Reads only; the rows are compared elsewhere.

    `holder` is the session that has the tables locked, if one has.
    """
    table, retained = step.table, retained_of(step.table)
    if not step.current_until:
        return f"{retained} is not kept current"
    if table_proof(session, table) != step.shadow_ids:
        return f"{table} was truncated, rebuilt or replaced since the swap"
    if table_proof(session, retained) != step.source_ids:
        return f"{retained} was truncated, rebuilt or replaced since the swap"
    if not all(_there(session, journal, step).values()):
        return f"a trigger of ours on {table} is not as it was made"
    ours = set(trigger_names(table, "back").values())
    if added := sorted({*trigger_proofs(session, table), *trigger_proofs(session, retained)} - ours):
        return f"a trigger was added since the swap: {', '.join(added)}"
    if _shown(session, table) != _shown(session, retained):
        return f"the definition of {table} or of {retained} was changed since the swap"
    if child := child_of(session, table) or child_of(session, retained):
        return f"a foreign key of {child} refers to it since the swap"
    return _marked(holder or session, log_of(table), retained)


def _shown(session: Session, table: TableName) -> tuple[tuple[str, ...], str]:
    return comparable(show_create(session, table), table.name)


def _marked(session: Session, log: TableName, retained: TableName) -> str:
    try:
        noted = "DATE_FORMAT(MIN(noted), '%%Y-%%m-%%d %%H:%%i:%%s')"
        first = session.value(f"SELECT {noted} FROM {qualified(log)} WHERE {NO_FENCE}")
    except SqlError as error:
        if error.number != _NO_SUCH_TABLE:
            raise
        return f"{log}, where changes that could not be made are marked, is gone"
    return f"a change could not be made in {retained}, the first at {first} UTC" if first else ""
