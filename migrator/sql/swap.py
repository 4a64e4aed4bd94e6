"""Statements of the exclusive moments: probe, lock, rename, and the alters that need no shadow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from migrator.model import TableName
from migrator.sql.copy import COPIED, ORIGIN
from migrator.sql.names import qualified, quote
from migrator.sql.statement import Sql

LOOKS: Final = 60
LOOK_EVERY_SECONDS: Final = 0.001


def after_probe(tables: Sequence[TableName], statement: Sql, *, readers: int = 0) -> Sql:
    """The statement, sent only in an instant in which no other session holds or awaits a metadata lock on the tables.

    The server itself looks for that instant, each millisecond, `LOOKS` times: with two or three transactions open on
    average free instants are short, and a look for which a client has to ask misses most of them.

    Nor, whatever the tables, a lock on the whole server that keeps DDL out: LOCK INSTANCE FOR BACKUP, FLUSH
    TABLES WITH READ LOCK. Ordinary statements take these as INTENTION_EXCLUSIVE, which counts for nothing
    (seen on 9.7.4). Both in one request: the first fails with 1242 where no look found one, and the server does
    not go on to the next statement after an error. (Manual: 29.12.13.3, The metadata_locks Table.)

    With `readers`: or in an instant in which so many others at most have read the tables, and done nothing else to
    them. A table without a name stands for the schema and all that is in it.
    """
    one, everything = (
        " OR (OBJECT_TYPE = 'TABLE' AND OBJECT_SCHEMA = %s AND OBJECT_NAME = %s)",
        " OR OBJECT_SCHEMA = %s",
    )
    here = "".join(one if table.name else everything for table in tables)
    everywhere = "(LEFT(OBJECT_TYPE, 6) IN ('BACKUP', 'GLOBAL') AND LOCK_TYPE IN ('SHARED', 'EXCLUSIVE'))"
    read = "LOCK_TYPE = 'SHARED_READ' AND LOCK_DURATION = 'TRANSACTION' AND LOCK_STATUS = 'GRANTED'"
    few = f"COUNT(*) = COUNT(IF({read}, 1, NULL)) AND COUNT(DISTINCT OWNER_THREAD_ID) <= {readers}"
    # `n > 0` makes the server count anew for each look.
    free = (
        f"(SELECT {few if readers else 'COUNT(*) = 0'} FROM performance_schema.metadata_locks"
        f" WHERE n > 0 AND OWNER_THREAD_ID <> PS_CURRENT_THREAD_ID() AND ({everywhere}{here}))"
    )
    return Sql(
        f"WITH RECURSIVE looks (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM looks WHERE n < {LOOKS})"
        " SELECT IF((SELECT COUNT(*) FROM (SELECT 1 FROM looks"
        f" WHERE IF({free}, 1, SLEEP({LOOK_EVERY_SECONDS})) = 1 LIMIT 1) AS free) = 0,"
        f" (SELECT 1 UNION SELECT 2), 0); {statement.text}",
        (*(value for table in tables for value in (table.schema, table.name) if value), *statement.args),
    )


def lock_write(table: TableName) -> str:
    """LOCK TABLES ... WRITE: waits out every transaction that has used the table, and keeps all others out."""
    return f"LOCK TABLES {qualified(table)} WRITE"


def lock_for_swap(source: TableName, shadow: TableName, log: TableName) -> str:
    """LOCK TABLES for the swap: RENAME is allowed under it when all its tables are locked WRITE (8.0.13).

    The log, which the mirror triggers can write to, is locked with them anyway; named, it can be read.
    """
    return f"LOCK TABLES {qualified(source)} WRITE, {qualified(shadow)} WRITE, {qualified(log)} WRITE"


def lock_to_compare(source: TableName, shadow: TableName) -> str:
    """LOCK TABLES for the comparison and the swap in one moment. Each name in a statement needs a lock of its own."""
    return (
        f"LOCK TABLES {qualified(source)} WRITE, {qualified(source)} AS {ORIGIN} READ,"
        f" {qualified(shadow)} WRITE, {qualified(shadow)} AS {COPIED} READ"
    )


def rename(source: TableName, shadow: TableName, retained: TableName) -> Sql:
    """The swap: both names change in one atomic statement, while both tables are locked."""
    return Sql(f"RENAME TABLE {qualified(source)} TO {qualified(retained)}, {qualified(shadow)} TO {qualified(source)}")


def rename_back(table: TableName, retained: TableName, shadow: TableName) -> Sql:
    """The rollback: the swap's names, the other way round."""
    return rename(table, retained, shadow)


def direct_alter(table: TableName) -> Sql:
    """Rewrites the table in place of itself; sent while LOCK TABLES is held, so everybody waits for all of it."""
    return Sql(f"ALTER TABLE {qualified(table)} ENCRYPTION = 'Y'")


def encrypt_tablespace(tablespace: str) -> str:
    """Encrypts a general tablespace or `mysql` in place, page by page, while rows are read and written.

    First takes an exclusive metadata lock on every table in it. While it waits for that neither
    lock_wait_timeout nor KILL ends it (seen on 9.7.4), so it may only be sent when nobody is there.
    """
    return f"ALTER TABLESPACE {quote(tablespace)} ENCRYPTION = 'Y'"
