"""Every statement that a step will run, in order, with its locks: for the plan and for the review.

Made by the very functions that the engine calls; the ranges of the copy stand for all of their chunks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from migrator.model import Key, Method, Table, TableName
from migrator.sql import relay as say
from migrator.sql.background import AGE, TABLES, THREADS, set_global
from migrator.sql.convert import convert_table, digest
from migrator.sql.copy import compare_part, copy_part, drain_delete, drain_forget, drain_insert, lock_for_switch
from migrator.sql.keys import KeyColumn, key_columns
from migrator.sql.names import log_of, retained_of, shadow_of, trigger_name
from migrator.sql.settings import BINLOG, UNDO, empty_undo, encrypt_new_tables, purge_binlogs, switch_on
from migrator.sql.statement import Sql
from migrator.sql.swap import direct_alter, encrypt_tablespace, lock_for_swap, lock_to_compare, lock_write, rename
from migrator.sql.table import (
    add_indexes,
    analyze,
    create_log,
    create_shadow,
    drop_table,
    encrypt_shadow,
    fence_log,
    left_out_at_first,
    move,
    parse_definition,
    set_auto_increment,
    together,
)
from migrator.sql.triggers import EVENTS, back_trigger, drop_trigger, log_trigger, mirror_trigger


@dataclass(frozen=True, slots=True)
class Said:
    """One statement: in which phase it runs, what it locks, and for how long at most."""

    phase: str
    text: str
    locks: str = ""
    longest: str = ""


_NOBODY = "rows of our own tables only"
_MOMENT = "all of {table}: everybody else waits"
_SHORT = "some tens of ms; a request is given up after 3 ms of waiting (100 ms at most) and tried again"


def _said(phase: str, statement: Sql | str, locks: str = "", longest: str = "") -> Said:
    sql = statement if isinstance(statement, Sql) else Sql(statement)
    return Said(phase, sql.shown, locks, longest)


def shadow_copy(
    table: Table,
    key: Key,
    create_table: str,
    *,
    journal_schema: str = "migrator",
    deadline: str = "the retention's end",
    rollback_hours: int = 0,
    one_moment: bool = False,
) -> tuple[Said, ...]:
    """What `apply` runs to encrypt a table by shadow-copy, and to keep the old one current where that is wanted.

    With `one_moment` it tries that first; the rest is for a table that is written to.
    """
    shadow, retained, log, name = shadow_of(table.name), retained_of(table.name), log_of(table.name), table.name
    staging, staged_log = TableName(journal_schema, "step_<n>_shadow"), TableName(journal_schema, "step_<n>_log")
    columns = key_columns(key, table.columns)
    indexes = parse_definition(create_table).indexes
    waiting = left_out_at_first(table, key.name, create_table)
    held = _MOMENT.format(table=name)
    a_range, entries = Sql("<a range of the key>"), [0]
    said = [
        *(_in_one_moment(table, key, journal_schema) if one_moment else ()),
        _said("build", create_shadow(name, staging), f"shared metadata lock on {name}", "milliseconds"),
        _said("build", encrypt_shadow(staging, kind=table.tablespace_kind, drop_indexes=waiting)),
        _said("build", move(staging, shadow)),
        _said("build", create_log(staged_log, columns)),
        _said("build", fence_log(staged_log)),
        _said("build", move(staged_log, log)),
        _said("log", lock_write(name), held, _SHORT),
        *(_said("log", log_trigger(name, log, columns, event), held, "within the same moment") for event in EVENTS),
        _said("log", "UNLOCK TABLES"),
        _said(
            "copy", copy_part(table, shadow, key.name, columns, a_range, 0), _NOBODY, "one chunk; no lock on the source"
        ),
        _said("copy", drain_delete(shadow, log, key.name, columns, entries), _NOBODY, "milliseconds"),
        _said("copy", drain_insert(table, shadow, log, key.name, columns, entries), _NOBODY, "milliseconds"),
        _said("copy", drain_forget(log, entries), _NOBODY, "milliseconds"),
    ]
    for names in together(table, waiting):
        build = add_indexes(shadow, [indexes[one] for one in names])
        said.append(_said("index", build, "the shadow, which nobody else uses", "the build"))
    said.append(_said("index", analyze(shadow)))
    said.append(_said("mirror", lock_for_switch(table, shadow, log), held, _SHORT))
    if any(column.auto_increment for column in table.columns):
        said.append(_said("mirror", set_auto_increment(shadow, 0).shown.removesuffix("0") + "<of the source>"))
    said += [
        *(
            _said("mirror", mirror_trigger(table, shadow, log, columns, event), held, "within the same moment")
            for event in EVENTS
        ),
        *(_said("mirror", _drop(name, "log", event), held, "within the same moment") for event in EVENTS),
        _said("mirror", "UNLOCK TABLES"),
        _said("verify", compare_part(table, shadow, key.name, columns, a_range, a_range, a_range, by_hash=True)),
        _said("swap", lock_for_swap(name, shadow, log), f"{held}; when every older transaction has ended", _SHORT),
        _said("swap", rename(name, shadow, retained), held, "within the same moment"),
    ]
    if rollback_hours:
        said += _kept_current(table, columns, held, rollback_hours)
    else:
        unused = "the retained table, which nobody uses"
        said += [
            _said("swap", "UNLOCK TABLES"),
            *(_said("clean", _drop(name, "mirror", event), unused) for event in EVENTS),
            _said("clean", drop_table(log)),
        ]
    said += [
        Said("cleanup", f"{drop_table(retained).shown}  -- by `migrator cleanup`, after {deadline}"),
    ]
    return tuple(said)


def _in_one_moment(table: Table, key: Key, journal_schema: str) -> list[Said]:
    """Tried first with a small table: no triggers, and nothing changed if somebody writes to it meanwhile."""
    phase, name = "one moment", table.name
    shadow, held = TableName(journal_schema, "step_<n>_moment"), _MOMENT.format(table=name)
    columns, everything = key_columns(key, table.columns), Sql("TRUE")
    encrypted = encrypt_shadow(shadow, kind=table.tablespace_kind, drop_indexes=())
    compared = compare_part(table, shadow, key.name, columns, everything, everything, everything, by_hash=True)
    return [
        _said(phase, create_shadow(name, shadow), f"shared metadata lock on {name}", "milliseconds"),
        _said(phase, encrypted),
        _said(phase, copy_part(table, shadow, key.name, columns, everything, 0), _NOBODY, "no lock on the source"),
        _said(phase, analyze(shadow)),
        _said(phase, lock_to_compare(name, shadow), f"{held}; when every older transaction has ended", _SHORT),
        _said(phase, compared, held, "within the same moment; the server ends it after 0.1 s"),
        _said(phase, rename(name, shadow, retained_of(name)), held, "within the same moment"),
        _said(
            phase,
            "UNLOCK TABLES  -- and this was all, unless it was written to since the copy: nothing is renamed,",
        ),
        _said(phase, f"{drop_table(shadow).shown}  -- the copy is dropped, and what follows is done"),
    ]


def _kept_current(table: Table, columns: Sequence[KeyColumn], held: str, hours: int) -> list[Said]:
    """The triggers turned round in the moment of the swap, and taken off when the time is over."""
    name, retained, log = table.name, retained_of(table.name), log_of(table.name)
    within = "within the same moment"
    backs = [back_trigger(table, retained, log, columns, event) for event in EVENTS]
    return [
        *(_said("swap", _drop(name, "mirror", event), held, within) for event in EVENTS),
        *(_said("swap", back, held, f"{within}; then each change is written twice for {hours} h") for back in backs),
        _said("swap", "UNLOCK TABLES"),
        _said("end of rollback", lock_write(name), held, _SHORT),
        *(_said("end of rollback", _drop(name, "back", event), held, within) for event in EVENTS),
        _said("end of rollback", "UNLOCK TABLES"),
        _said("end of rollback", drop_table(log)),
    ]


def _drop(table: TableName, purpose: str, event: str) -> Sql:
    return drop_trigger(table.schema, trigger_name(table, purpose, event))


def direct(table: Table) -> tuple[Said, ...]:
    """What `apply` runs to alter a small table in one statement."""
    held = _MOMENT.format(table=table.name)
    return (
        _said("alter", lock_write(table.name), held, _SHORT),
        _said("alter", direct_alter(table.name), held, "the whole rewrite of the table"),
        _said("alter", "UNLOCK TABLES"),
    )


def conversion(table: Table) -> tuple[Said, ...]:
    """What `apply` runs to convert a table of another engine."""
    held, twin = _MOMENT.format(table=table.name), TableName("migrator", "step_<n>_shadow")
    counted = _said("convert", digest(table), held, "one scan of the table")
    return (
        _said("twin", create_shadow(table.name, twin), f"shared metadata lock on {table.name}", "milliseconds"),
        _said("twin", convert_table(replace(table, name=twin)), "an empty table that nobody else uses"),
        _said("twin", drop_table(twin)),
        _said("convert", lock_write(table.name), held, _SHORT),
        counted,
        _said("convert", convert_table(table), held, "the whole rewrite of the table"),
        counted,
        _said("convert", "UNLOCK TABLES"),
    )


def relayed(table: Table, create_table: str) -> tuple[Said, ...]:
    """What `apply` runs to encrypt a table by tablespace-relay."""
    space = say.space_name("<random>")
    others = ", and all tables that refer to it" if table.referenced_by else ""
    ends = (
        f"exclusive metadata locks on {table.name}{others} at the beginning and at the end; rows are read and written"
        " in between, DDL waits"
    )
    server = (
        "some 10 ms at each end; at the end others wait for 0.1 s, in later tries 0.3 s and 0.8 s, then the work is"
        " thrown away and begun anew"
    )
    unended = "some 10 ms at each end, when nobody uses the table; nothing can end the wait at the end"
    return (
        _said("move-in", say.create_space(space), "a tablespace of ours"),
        _said("move-in", say.move_in(table.name, space), f"when every older transaction has ended; {ends}", server),
        _said("encrypt", encrypt_tablespace(space), ends, unended),
        _said(
            "move-out",
            say.move_out(table.name, say.autoextend_bytes(create_table)),
            f"when every older transaction has ended; {ends}",
            server,
        ),
        _said("settle", say.drop_space(space), "a tablespace of ours, empty"),
    )


def tablespace(name: str, tables: int) -> tuple[Said, ...]:
    """What `apply` runs to encrypt a tablespace in place."""
    ends = f"exclusive metadata locks on its {tables} tables at the beginning and at the end"
    locks = f"{ends}; rows are read and written in between"
    longest = "milliseconds; sent when nobody holds one of the tables, for nothing can end these waits"
    return (_said("alter", encrypt_tablespace(name), locks, longest),)


def setting(variable: str, *, persist: bool) -> tuple[Said, ...]:
    """What `apply` runs for a variable of the server's, and what it leaves to a person."""
    phase = "setting"
    locks, longest = "", ""
    if variable == BINLOG:
        locks, longest = "commits wait until the next binary log is begun", "some tens of ms"
    said = [_said(phase, switch_on(variable, persist=persist), locks, longest)]
    if variable == BINLOG:
        said.append(_said("by hand", f"{purge_binlogs('<the first encrypted one>')}  -- by you, after the last table"))
    if variable == UNDO:
        first, *others = empty_undo(["<each>"])
        said += [_said("by hand", f"{first}  -- by you, after the last table"), *(_said("by hand", o) for o in others)]
    return tuple(said)


def in_background(threads: int) -> tuple[Said, ...]:
    """What `apply` has MariaDB's own threads do."""
    nothing = "nothing: pages are changed in memory and written encrypted, while the tables are used"
    longest = "as long as it takes: each page is read once, innodb_encryption_rotation_iops of them a second from disk"
    return (
        _said("setting", set_global(AGE, 1), "nothing", ""),
        _said("setting", set_global(TABLES, "ON"), "nothing", ""),
        _said("background", set_global(THREADS, threads), nothing, longest),
    )


def schema_default(schema: str) -> tuple[Said, ...]:
    """What `apply` runs so that new tables of a schema are born encrypted."""
    locks = f"the schema {schema} and all of its tables: everybody else waits"
    longest = "0.2 s and 0.8 ms for each table; a request is given up after 3 ms of waiting and tried again"
    return (_said("schema default", encrypt_new_tables(schema), locks, longest),)


def statements(
    table: Table,
    method: Method,
    key: Key | None,
    create_table: str = "",
    *,
    rollback_hours: int = 0,
    one_moment: bool = False,
) -> tuple[Said, ...]:
    """The statements of a table's step; none if it is skipped, refused or done with its tablespace."""
    if method is Method.SHADOW_COPY and key is not None:
        return shadow_copy(table, key, create_table, rollback_hours=rollback_hours, one_moment=one_moment)
    if method is Method.TABLESPACE_RELAY:
        return relayed(table, create_table)
    if method is Method.DIRECT_ALTER:
        return direct(table)
    if method is Method.CONVERT:
        return conversion(table)
    return ()
