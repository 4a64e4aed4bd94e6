"""The triggers that make the shadow follow the source: first they log, then they mirror; and, after the swap, the
retained table the one in use.

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


PURPOSES = ("log", "mirror", "back")


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


_IF_GONE = "DECLARE EXIT HANDLER FOR 1146 BEGIN END;"


def _mark(log: TableName) -> str:
    return f"INSERT INTO {qualified(log)} () VALUES ();"


def log_trigger(table: TableName, log: TableName, key: Sequence[KeyColumn], event: str) -> Sql:
    """Appends the changed key: the old one, and the new one if it is another.

    Where somebody has dropped the log, the application's write goes on (the handler; without a warning, and
    LAST_INSERT_ID() as before, seen on 9.7.4): a log that is gone is noticed by whoever reads it.
    """
    names = [part.column.name for part in key]
    append = f"INSERT INTO {qualified(log)} ({', '.join(log_columns(key))}) VALUES"
    old, new = f"{append} ({_values('OLD', names)});", f"{append} ({_values('NEW', names)});"
    changed = {"INSERT": new, "DELETE": old, "UPDATE": f"{old} IF NOT ({_key_kept(names)}) THEN {new} END IF;"}
    return _create(table, "log", event, f"BEGIN {_IF_GONE} {changed[event]} END")


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


def mirror_trigger(table: Table, shadow: TableName, log: TableName, key: Sequence[KeyColumn], event: str) -> Sql:
    """Does to the shadow what was done to the source, by key; deletes and inserts only when the key changes.

    What cannot be done (a duplicate after TRUNCATE of the source, a shadow that somebody has dropped) is marked
    in the log instead, and the application's write goes on. A mark ends the copy: see `engine.watch`. The mark is
    part of the application's transaction. Without the log nothing can be marked, so then the write fails.
    """
    otherwise = f"DECLARE EXIT HANDLER FOR SQLEXCEPTION {_mark(log)}"
    return _create(table.name, "mirror", event, f"BEGIN {otherwise} {_same_change(table, shadow, key, event)} END")


def back_trigger(table: Table, retained: TableName, log: TableName, key: Sequence[KeyColumn], event: str) -> Sql:
    """Does to the retained table what was done to the new one; what cannot be done is marked in the log instead.

    The mirror lives for minutes, this for days, and meanwhile people alter the table: a column that is gone
    (1054) or wider (1406) must not make the application's write fail. A deadlock or a lock wait that ran out
    does go to the application: the server has undone its statement. The mark is an INSERT without a look
    whether there is one, since a look would lock, and make deadlocks. Without the log (1146) nothing is left
    to be marked: then there is no rollback. (All seen on 9.7.4.)
    """
    otherwise = f"DECLARE EXIT HANDLER FOR SQLEXCEPTION, SQLWARNING BEGIN {_IF_GONE} {_mark(log)} END;"
    return _create(table.name, "back", event, f"BEGIN {otherwise} {_same_change(table, retained, key, event)} END")


def _same_change(table: Table, other: TableName, key: Sequence[KeyColumn], event: str) -> str:
    columns = stored_columns(table)
    names = [part.column.name for part in key]
    there = " AND ".join(f"{quote(name)} = OLD.{quote(name)}" for name in names)
    values = ", ".join(_new(column) for column in columns)
    insert = f"INSERT INTO {qualified(other)} ({column_list(columns)}) VALUES ({values});"
    delete = f"DELETE FROM {qualified(other)} WHERE {there};"
    if event == "INSERT":
        return insert
    if event == "DELETE":
        return delete
    assign = ", ".join(f"{quote(c.name)} = {_new(c)}" for c in columns)
    update = f"UPDATE {qualified(other)} SET {assign} WHERE {there};"
    return f"IF {_key_kept(names)} THEN {update} ELSE {delete} {insert} END IF;"


def drop_trigger(schema: str, name: str) -> Sql:
    """DROP TRIGGER; an error if it is not there."""
    return Sql(f"DROP TRIGGER {trigger(schema, name)}")
