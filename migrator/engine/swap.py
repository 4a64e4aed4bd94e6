"""Swap: one atomic RENAME, when nobody can be surprised by it.

Two conditions. Nobody holds a metadata lock on either table: the strike looks after that. And every open
transaction began after the tables became equal: one whose snapshot is older than the rows of the shadow
would read an empty or half-full table after the RENAME, without any error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from migrator.db import Session
from migrator.engine.back import intend_to_keep_current, settle, turn_round
from migrator.engine.journal_steps import StepRow
from migrator.engine.moment import locked, to_the_end
from migrator.engine.objects import (
    drop_if_ours,
    forget_triggers,
    name_is_free,
    table_proof,
    table_proofs,
    trigger_names,
    trigger_proofs,
)
from migrator.engine.older import wait_out_older
from migrator.engine.watch import check_marks, check_source
from migrator.engine.work import Work
from migrator.errors import Failed, OwnerUnknown, PutAside
from migrator.events import Retained
from migrator.inventory import read_tables, show_create
from migrator.model import TableName
from migrator.sql.names import retained_of, shadow_of
from migrator.sql.swap import lock_for_swap, rename
from migrator.sql.table import comparable
from migrator.sql.triggers import drop_trigger
from migrator.sql_errors import SqlError

HOW_TO_SWAP: Final = "migrator set postpone-swap=off, while the run is at work; or apply again without --postpone-swap"


def swap(work: Work) -> None:
    """Wait out older transactions, lock both tables, look once more, RENAME. Held for some milliseconds.

    Where a rollback is wanted, the triggers are turned round within the same moment.

    Safe to repeat: after a lost connection the server is asked who owns the name, never guessed.
    """
    if swapped_already(work):
        return
    check_source(work, triggers="mirror")
    check_marks(work, work.session)
    intend_to_keep_current(work)
    wait_until_it_may(work)
    tables = [work.table.name, work.shadow, work.log]
    try:
        rename_surely(work, tables, lambda: _rename_locked(work, tables))
    except SqlError:
        check_source(work, triggers="mirror")  # a log that was dropped while this waited, say
        raise


def hold_while_postponed(work: Work) -> None:
    """Raise `PutAside` while swaps are postponed, unless an earlier run had swapped. The mirror keeps both equal."""
    if work.swap_is_postponed and not swapped_already(work):
        raise PutAside("copied and compared; its swap is postponed", remedy=HOW_TO_SWAP)


def wait_until_it_may(work: Work) -> None:
    """Wait for every transaction that was open when this began, so after the tables became equal. Locks nothing.

    Raises `Failed` if one is still open after `swap_wait_seconds`, `OwnerUnknown` if the name for the old table is
    taken.
    """
    if who := wait_out_older(work, "waiting for transactions that are older than the copy"):
        raise _too_old(work, who)
    if not name_is_free(work.session, work.retained):
        raise OwnerUnknown(
            f"{work.retained} exists already", remedy=f"look at {work.retained}; drop or rename it and apply again"
        )


def rename_surely(work: Work, tables: Sequence[TableName], attempt: Callable[[], bool]) -> bool:
    """Make attempts at the RENAME until one comes to its end, and know whether it was done: False if it gave up.

    After an error of the server, one in the bookkeeping after the RENAME say, who owns the name decides; if that is
    the old table, the error is raised.
    """
    try:
        if not to_the_end(work, tables, attempt):
            return False
    except SqlError as error:
        if error.link_lost:
            work.session.reconnect()
        if not swapped_already(work):
            raise
        return True
    if not swapped_already(work):
        raise _ambiguous(work)
    return True


def _rename_locked(work: Work, tables: Sequence[TableName]) -> bool:
    if swapped_already(work):
        return True
    with locked(work, "swap", tables, lock_for_swap(work.table.name, work.shadow, work.log)) as held:
        # Whoever changed a definition or truncated while we waited for this instant has done it by now.
        check_source(work, triggers="mirror")
        check_marks(work, held.session)
        held.ddl(rename(work.table.name, work.shadow, work.retained))
        turn_round(held)
    return True


def swapped_already(work: Work) -> bool:
    """True if the encrypted table has the name, False if it still is the shadow; else `OwnerUnknown`. No locks."""
    step = work.step()
    if not step.shadow_ids:
        return False
    shadow, name, old = table_proofs(work.session, work.shadow, work.table.name, work.retained)
    if shadow == step.shadow_ids:
        return False
    if name == step.source_ids:
        return False  # the shadow was dropped or rebuilt by somebody, which `check_source` says
    if old != step.source_ids:
        raise _ambiguous(work)
    if name == step.shadow_ids or _is_the_copy_rebuilt(work, step):
        return True
    raise _rebuilt(work)


def was_swapped(session: Session, step: StepRow) -> bool:
    """True if the RENAME of a copy was done, also if a person has rebuilt the new table since. No locks."""
    if not step.shadow_ids or table_proof(session, shadow_of(step.table)) == step.shadow_ids:
        return False
    if table_proof(session, step.table) == step.shadow_ids:
        return True
    return table_proof(session, retained_of(step.table)) == step.source_ids


def _is_the_copy_rebuilt(work: Work, step: StepRow) -> bool:
    """True if what bears the name has other ids than the shadow had, but is encrypted and has its definition."""
    name = work.table.name
    found = read_tables(work.session, [name])
    return bool(
        found
        and found[0].encrypted
        and comparable(show_create(work.session, name), name.name) == comparable(step.definition, name.name)
    )


def _ambiguous(work: Work) -> OwnerUnknown:
    return OwnerUnknown(
        f"neither the old nor the new table is where it must be: {work.table.name}, {work.shadow}, {work.retained}",
        remedy="look at the three tables; the journal's step has the ids of both (source_ids, shadow_ids)",
    )


def _rebuilt(work: Work) -> OwnerUnknown:
    name = work.table.name
    return OwnerUnknown(
        f"{name} was swapped by a run that was ended before it could tidy up, and was rebuilt since with another"
        f" definition or in clear: nothing proves that it is the copy; {work.retained} is the old table",
        remedy=f"look whether {name} has your rows; if so: migrator cleanup --abandon {name}"
        f" (takes our triggers and the log away, keeps {work.retained} for its time)",
    )


def _too_old(work: Work, who: str) -> Failed:
    return Failed(
        f"{work.table.name} is copied, but transactions older than the copy are still open: {who}",
        remedy="apply again when they have ended: the swap is all that is left (a small table is copied anew)",
    )


def finish(work: Work) -> None:
    """After the swap: mirror triggers off the retained table, log dropped, retention noted. Nobody uses these.

    Where the retained table is kept current, the log stays: it takes the marks of the back triggers.
    """
    step = work.step()
    work.session.transaction(
        lambda at: work.journal.becomes(at, work.step_id, retained=work.retained, proof=step.source_ids)
    )
    there = trigger_proofs(work.session, work.retained)
    for name in trigger_names(work.table.name, "mirror").values():
        if name in there:
            work.ddl(drop_trigger(work.table.name.schema, name), on=work.retained)
    forget_triggers(work, "mirror")
    until = retained_until(work, step)
    if not settle(work, until):
        drop_if_ours(work.session, work.journal, work.step_id, "log", work.log, work)

    def note(at: Session) -> None:
        work.journal.forget_ranges(at, work.step_id)
        work.journal.close_step(at, work.step_id, "swapped", retained_until=until)

    work.session.transaction(note)
    work.listen(Retained(work.subject, str(work.retained), until, work.step().current_until))


def retained_until(work: Work, step: StepRow) -> str:
    """How long the old table is kept from now on, in UTC."""
    return str(
        work.session.value(
            "SELECT DATE_FORMAT(UTC_TIMESTAMP() + INTERVAL %s SECOND, '%%Y-%%m-%%d %%H:%%i:%%s')",
            (int(step.retain_days * 86400),),
        )
    )
