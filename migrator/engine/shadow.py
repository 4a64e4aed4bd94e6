"""Build: the empty encrypted shadow and the log; then the log triggers, in one exclusive moment."""

from __future__ import annotations

from migrator.engine.moment import locked, to_the_end
from migrator.engine.objects import Made, intend_triggers, make_table, note_triggers, trigger_names
from migrator.engine.work import Work
from migrator.errors import Failed
from migrator.model import TableName
from migrator.sql.copy import drain_forget
from migrator.sql.keys import log_columns
from migrator.sql.names import qualified
from migrator.sql.statement import Sql
from migrator.sql.swap import lock_write
from migrator.sql.table import (
    column_list,
    create_log,
    create_shadow,
    encrypt_shadow,
    fence_log,
    left_out_at_first,
    stored_columns,
)
from migrator.sql.triggers import EVENTS, log_trigger


def build(work: Work) -> None:
    """Make the shadow and the log, empty. Holds a shared metadata lock on the source for milliseconds."""
    table = work.table
    unique_too = work.limits.unique_indexes_wait
    waiting = left_out_at_first(table, work.key.name, work.step().definition, unique_too=unique_too)

    def shadow(name: TableName) -> tuple[Sql, ...]:
        encrypted = encrypt_shadow(name, kind=table.tablespace_kind, drop_indexes=waiting)
        return create_shadow(table.name, name), encrypted

    check_encrypted(work, make_table(work, "shadow", work.shadow, shadow))
    make_table(work, "log", work.log, lambda name: [create_log(name, work.key_columns), fence_log(name)])
    _prove_rights(work)


def check_encrypted(work: Work, shadow: Made) -> None:
    """Raise `Failed` if the server has made the shadow in clear. No locks."""
    if not shadow.encrypted:
        raise Failed(
            f"the server made {work.shadow} in clear", remedy="look at the keyring and at default_table_encryption"
        )


def _prove_rights(work: Work) -> None:
    """Run what the triggers will run, on no rows: they run with the rights of this account and its default roles.

    A right that is missing must show here and not as error 1142 in the application.
    """
    shadow, log, key = qualified(work.shadow), qualified(work.log), ", ".join(log_columns(work.key_columns))
    columns = column_list(stored_columns(work.table))
    names = column_list([part.column for part in work.key_columns])
    source = qualified(work.table.name)
    first = stored_columns(work.table)[0]
    for text in (
        f"INSERT INTO {log} ({key}) SELECT {names} FROM {source} LIMIT 0",
        f"INSERT INTO {shadow} ({columns}) SELECT {columns} FROM {source} LIMIT 0",
        f"UPDATE {shadow} SET {column_list([first])} = {column_list([first])} WHERE FALSE",
        f"DELETE FROM {shadow} WHERE FALSE",
    ):
        work.session.run(text)
    work.session.run(drain_forget(work.log, [0]))


def start_logging(work: Work) -> None:
    """Make the log triggers in one exclusive moment: from then on every change of the source has its entry.

    LOCK TABLES has waited out every transaction that used the table before, so none is missed.
    """
    to_the_end(work, [work.table.name], lambda: _make_log_triggers(work))
    note_triggers(work, "log")


def _make_log_triggers(work: Work) -> None:
    there = intend_triggers(work, "log")
    names = trigger_names(work.table.name, "log")
    with locked(work, "log triggers", [work.table.name], lock_write(work.table.name)) as held:
        for event in EVENTS:
            if names[event] not in there:
                held.ddl(log_trigger(work.table.name, work.log, work.key_columns, event))
