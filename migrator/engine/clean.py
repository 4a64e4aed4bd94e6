"""Take away what is ours: of a step that is given up, of a run that was abandoned, and retained tables in their time.

Triggers first: without the shadow or the log behind it a trigger breaks every write of the application.
"""

from __future__ import annotations

from migrator.engine.journal_names import Owned
from migrator.engine.moment import locked, to_the_end
from migrator.engine.objects import drop_if_ours, is_our_trigger, name_taken, trigger_proofs
from migrator.engine.relay import drop_space
from migrator.engine.work import Work
from migrator.model import TableName
from migrator.sql.swap import lock_write
from migrator.sql.triggers import drop_trigger


def give_up(work: Work, state: str, message: str) -> None:
    """Remove triggers, shadow and log of the step, and close it. One exclusive moment on the source; safe to repeat."""
    take_down(work)
    work.journal.forget_ranges(work.session, work.step_id)
    work.journal.close_step(work.session, work.step_id, state, message)


def take_down(work: Work) -> None:
    """Remove triggers, then shadow, then log, then a relay's tablespace, each only with proof."""
    owned = work.journal.owned(work.session, work.step_id)
    triggers = [o for o in owned if o.kind == "trigger"]
    # LOCK TABLES takes what the triggers write to as well.
    to_the_end(work, [work.table.name, work.log, work.retained], lambda: _drop_triggers(work, triggers))
    for one in owned:
        if one.kind == "trigger":
            work.journal.gone(work.session, "trigger", one.name)
    for one in owned:
        if one.kind in {"shadow", "log", "twin", "staging"}:
            drop_if_ours(work.session, work.journal, work.step_id, one.kind, one.name, work)
    drop_space(work.session, work.journal, work.step_id, work)


def _drop_triggers(work: Work, owned: list[Owned]) -> None:
    for table, triggers in _by_table(work, owned).items():
        with locked(work, "take down", [table], lock_write(table)) as held:
            for name in triggers:
                held.ddl(drop_trigger(name.schema, name.name))


def _by_table(work: Work, owned: list[Owned]) -> dict[TableName, list[TableName]]:
    """Our triggers that exist, by the table that they are on now; raises `OwnerUnknown` if one is not as we made it."""
    found: dict[TableName, list[TableName]] = {}
    for one in owned:
        row = work.session.row(
            "SELECT EVENT_OBJECT_SCHEMA, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS"
            " WHERE TRIGGER_SCHEMA = %s AND TRIGGER_NAME = %s",
            (one.name.schema, one.name.name),
        )
        if row is None:
            continue
        table = TableName(str(row[0]), str(row[1]))
        if not is_our_trigger(one, trigger_proofs(work.session, table)[one.name.name]):
            raise name_taken(one.name)
        found.setdefault(table, []).append(one.name)
    return found
