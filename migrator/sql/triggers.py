"""The triggers that make the shadow follow the source: first they log, then they mirror.

Log triggers append the key of what changed, in the application's own transaction; an append takes no lock
that anybody waits for. Mirror triggers write the change itself, by key; they are made only once both tables
are equal, since a DELETE or REPLACE that finds no row locks a gap, and two transactions that hold the same
gap and insert are a deadlock of the application (measured; docs/how-it-works.md).

CREATE and DROP TRIGGER take an exclusive metadata lock on the table for some milliseconds; here they are
only sent while LOCK TABLES is held, or to a table that nobody uses.
"""

from __future__ import annotations

from collections.abc import Sequence

from migrator.model import Column, Table, TableName
from migrator.sql.keys import KeyColumn, log_columns
from migrator.sql.names import qualified, quote, trigger_name
from migrator.sql.statement import Sql
from migrator.sql.table import column_list, stored_columns

EVENTS = ("DELETE", "UPDATE", "INSERT")
"""In this order a half-made set of mirror triggers is harmless: until INSERT is there, the shadow only
holds rows that the source holds, so nothing that is mirrored can be a duplicate."""


def trigger(schema: str, name: str) -> str:
    """`schema`.`trigger`, quoted."""
    return f"{quote(schema)}.{quote(name)}"


def _create(table: TableName, purpose: str, event: str, body: str) -> Sql:
    name = trigger(table.schema, trigger_name(table, purpose, event))
    return Sql(f"CREATE DEFINER = CURRENT_USER TRIGGER {name} AFTER {event} ON {qualified(table)} FOR EACH ROW {body}")


def _values(row: str, names: Sequence[str]) -> str:
    return ", ".join(f"{row}.{quote(name)}" for name in names)


def _key_kept(names: Sequence[str]) -> str:
    return " AND ".join(f"NEW.{quote(name)} <=> OLD.{quote(name)}" for name in names)


def log_trigger(table: TableName, log: TableName, key: Sequence[KeyColumn], event: str) -> Sql:
    """Appends the changed key: the old one, and the new one if it is another."""
    names = [part.column.name for part in key]
    append = f"INSERT INTO {qualified(log)} ({', '.join(log_columns(key))}) VALUES"
    if event == "INSERT":
        return _create(table, "log", event, f"{append} ({_values('NEW', names)})")
    if event == "DELETE":
        return _create(table, "log", event, f"{append} ({_values('OLD', names)})")
    return _create(
        table,
        "log",
        event,
        f"BEGIN {append} ({_values('OLD', names)});"
        f" IF NOT ({_key_kept(names)}) THEN {append} ({_values('NEW', names)}); END IF; END",
    )


def _new(column: Column) -> str:
    """The new value of a column, exact whatever time zone the application's session has.

    A TIMESTAMP is assigned by way of a date and time in the session's time zone, which in the hour that comes
    twice makes it an hour older (seen on 9.7.4 where NULL is allowed, and with our sql_mode everywhere). So its
    instant is said with an offset, for which the server has to be 8.0.19 or newer: the planner sees to that.
    The zero date is the one value without an instant.
    """
    new = f"NEW.{quote(column.name)}"
    if column.data_type != "timestamp":
        return new
    seconds = f"UNIX_TIMESTAMP({new})"
    instant = f"TIMESTAMP'1970-01-01 00:00:00' + INTERVAL {seconds} SECOND"
    return f"IF({seconds} = 0, '0000-00-00 00:00:00', CONCAT({instant}, '+00:00'))"


def mirror_trigger(table: Table, shadow: TableName, key: Sequence[KeyColumn], event: str) -> Sql:
    """Does to the shadow what was done to the source, by key; deletes and inserts only when the key changes."""
    columns = stored_columns(table)
    names = [part.column.name for part in key]
    there = " AND ".join(f"{quote(name)} = OLD.{quote(name)}" for name in names)
    values = ", ".join(_new(column) for column in columns)
    insert = f"INSERT INTO {qualified(shadow)} ({column_list(columns)}) VALUES ({values})"
    delete = f"DELETE FROM {qualified(shadow)} WHERE {there}"
    if event == "INSERT":
        return _create(table.name, "mirror", event, insert)
    if event == "DELETE":
        return _create(table.name, "mirror", event, delete)
    assign = ", ".join(f"{quote(c.name)} = {_new(c)}" for c in columns)
    update = f"UPDATE {qualified(shadow)} SET {assign} WHERE {there}"
    return _create(
        table.name,
        "mirror",
        event,
        f"BEGIN IF {_key_kept(names)} THEN {update}; ELSE {delete}; {insert}; END IF; END",
    )


def drop_trigger(schema: str, name: str) -> Sql:
    """DROP TRIGGER; an error if it is not there."""
    return Sql(f"DROP TRIGGER {trigger(schema, name)}")
