"""Statements of what is not a table: the server's settings, and whether new tables of a schema are born encrypted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from migrator.sql.names import quote
from migrator.sql.statement import Sql

BINLOG: Final = "binlog_encryption"
REDO: Final = "innodb_redo_log_encrypt"
UNDO: Final = "innodb_undo_log_encrypt"
DEFAULT: Final = "default_table_encryption"
PRIVILEGE_CHECK: Final = "table_encryption_privilege_check"

VARIABLES: Final = (BINLOG, REDO, UNDO, DEFAULT, PRIVILEGE_CHECK)

SPARE_UNDO: Final = "migrator_spare_undo"
"""An undo tablespace that a person makes for as long as the others are emptied."""


def switch_on(variable: str, *, persist: bool) -> Sql:
    """The setting is ON from now on; persisted, also after a restart. Only for names of `VARIABLES`.

    No metadata lock; neither LOCK INSTANCE FOR BACKUP nor FLUSH TABLES WITH READ LOCK holds it up (seen on 9.7.4).
    Persisted is what goes before my.cnf and the command line at the next start (9.7.4; manual 7.1.9.3).
    """
    if variable not in VARIABLES:
        raise ValueError(variable)
    return Sql(f"SET {'PERSIST' if persist else 'GLOBAL'} {variable} = ON")


def is_on(variable: str) -> Sql:
    """Its global value, as the server has it now."""
    if variable not in VARIABLES:
        raise ValueError(variable)
    return Sql(f"SELECT @@GLOBAL.{variable}")


def encrypt_new_tables(schema: str) -> Sql:
    """New tables of the schema are born encrypted; those that are there stay as they are.

    Exclusive metadata locks on the schema and on each of its tables, one after the other, and all are kept until it is
    done: 1 to 145 ms, and 0.15 to 0.8 ms for each table (9.7.4, two cores, a quiet and a busy disk). Whoever has used
    one of the tables in an open transaction is waited for, and others wait behind (1213 for who wants a second one);
    lock_wait_timeout and KILL QUERY end the wait, and then nothing has changed (seen on 9.7.4).
    """
    return Sql(f"ALTER SCHEMA {quote(schema)} DEFAULT ENCRYPTION = 'Y'")


def new_tables_encrypted(schema: str) -> Sql:
    """YES or NO; no row where there is no such schema."""
    return Sql("SELECT DEFAULT_ENCRYPTION FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s", (schema,))


# -- for a person, afterwards -----------------------------------------------------------------------


def purge_binlogs(first_kept: str) -> str:
    """Deletes all binary logs before that one. For a person: replicas and backups may need them."""
    return f"PURGE BINARY LOGS TO '{first_kept}'"


def empty_undo(tablespaces: Sequence[str]) -> tuple[str, ...]:
    """Empties undo tablespaces one by one, so that no page of before is left; for a person, who waits in between.

    The server wants two that are active beside the one that is emptied, hence the spare one (manual 17.6.3.4; each was
    empty within 0.1 s on a server that was idle, 9.7.4; it waits for transactions that are open).
    """
    lines = [f"CREATE UNDO TABLESPACE {SPARE_UNDO} ADD DATAFILE '{SPARE_UNDO}.ibu'"]
    empty = "when INNODB_TABLESPACES has STATE = 'empty' for it"
    for name in tablespaces:
        lines += [
            f"ALTER UNDO TABLESPACE {_name(name)} SET INACTIVE",
            f"ALTER UNDO TABLESPACE {_name(name)} SET ACTIVE  -- {empty}",
        ]
    lines += [
        f"ALTER UNDO TABLESPACE {SPARE_UNDO} SET INACTIVE",
        f"DROP UNDO TABLESPACE {SPARE_UNDO}  -- {empty}",
    ]
    return tuple(lines)


def _name(name: str) -> str:
    return quote(name).replace("%%", "%")
