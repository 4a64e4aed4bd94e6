"""Mirror: the one moment in which the log is emptied, the mirror triggers take over and both tables are equal."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from migrator.db import Session
from migrator.engine.aside import Patience
from migrator.engine.drain import bring_all, catch_up, draining_now_and_then
from migrator.engine.moment import Held, locked, to_the_end
from migrator.engine.objects import forget_triggers, intend_triggers, note_triggers, trigger_names, trigger_proofs
from migrator.engine.watch import check_source
from migrator.engine.work import Work
from migrator.errors import Failed, PutAside
from migrator.model import TableName
from migrator.sql.copy import ENTRY, lock_for_switch
from migrator.sql.names import qualified
from migrator.sql.swap import lock_write
from migrator.sql.table import auto_increment, set_auto_increment
from migrator.sql.triggers import EVENTS, drop_trigger, mirror_trigger

TRIES: Final = 20

RESIDUE: Final = 400
"""So many entries at most are drained within the moment: some 20 ms (425 took that long, seen on 9.7.4)."""


def switch_to_mirror(work: Work) -> None:
    """Lock source, shadow and log; drain the residue; make the mirror triggers, drop the log triggers; unlock.

    The locks are held for some ten milliseconds; with too many entries left they are given back at once and
    the drain goes on. Zero comes before the mirror: a mirror trigger on a row that is not drained yet would
    deadlock the application. After a crash in between, what is missing is made: see `EVENTS`.
    """
    to_the_end(work, [work.table.name, work.shadow, work.log], lambda: _try_to_switch(work))
    note_triggers(work, "mirror")
    forget_triggers(work, "log")


def _try_to_switch(work: Work) -> None:
    mirrored = intend_triggers(work, "mirror")
    if len(mirrored) == len(EVENTS):
        _drop_log_triggers(work)
        return
    check_source(work, triggers="log")
    logs = set(trigger_names(work.table.name, "log").values())
    if mirrored:
        work = replace(work, patience=Patience())  # nobody could drain it meanwhile
    for _ in range(TRIES):
        catch_up(work)
        try:
            done = _switched(work, mirrored | logs)
        except PutAside:
            forget_triggers(work, "mirror")  # none was made; else nobody would drain the log meanwhile
            raise
        if done:
            return
    raise Failed(
        f"changes of {work.table.name} come faster than they are drained:"
        f" after {TRIES} tries more than {RESIDUE} were left",
        remedy="apply again at a quieter time; the triggers stay and go on logging",
    )


def _switched(work: Work, there: set[str]) -> bool:
    """Take the moment and switch in it; False if too many entries were left."""
    tables = [work.table.name, work.shadow, work.log]
    lock = lock_for_switch(work.table, work.shadow, work.log)
    with locked(work, "switch", tables, lock, meanwhile=draining_now_and_then(work)) as held:
        return _switch(work, held, there)


def _drop_log_triggers(work: Work) -> None:
    """All mirror triggers are there: an earlier run had drained all before it made them. What it left to do."""
    there = trigger_proofs(work.session, work.table.name)
    logs = [name for name in trigger_names(work.table.name, "log").values() if name in there]
    if logs:
        with locked(work, "switch, rest", [work.table.name], lock_write(work.table.name)) as held:
            for name in logs:
                held.ddl(drop_trigger(work.table.name.schema, name))


def _switch(work: Work, held: Held, there: set[str]) -> bool:
    found = held.session.rows(f"SELECT seq FROM {qualified(work.log)} WHERE {ENTRY} LIMIT {RESIDUE + 1}")
    entries = [int(row[0]) for row in found]
    if len(entries) > RESIDUE:
        return False
    if entries:
        # No transaction: START TRANSACTION would give the locks back. Nobody else can use any of the three.
        bring_all(work, held.session, entries, once=lambda do: do(held.session))
    carry_auto_increment(work, held)
    mirror, logs = trigger_names(work.table.name, "mirror"), trigger_names(work.table.name, "log")
    for event in EVENTS:
        if mirror[event] not in there:
            held.ddl(mirror_trigger(work.table, work.shadow, work.log, work.key_columns, event))
    for event in EVENTS:
        if logs[event] in there:
            held.ddl(drop_trigger(work.table.name.schema, logs[event]))
    return True


def carry_auto_increment(work: Work, held: Held) -> None:
    """Give the shadow the source's counter, which may be ahead of its rows: a deleted number must not come back."""
    if not any(column.auto_increment for column in work.table.columns):
        return
    counter = counter_of(held.session, work.table.name)
    if counter is not None and counter != counter_of(held.session, work.shadow):
        held.ddl(set_auto_increment(work.shadow, counter))


def counter_of(session: Session, table: TableName) -> int | None:
    """The next AUTO_INCREMENT value, if the server tells one. No locks."""
    row = session.row(f"SHOW CREATE TABLE {qualified(table)}")
    return auto_increment(str(row[1]) if row else "")
