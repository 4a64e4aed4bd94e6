"""InnoDB's own catalog: which tables and partitions there really are, and in which tablespaces they lie.

It shows every table, also those that our account has no privilege for, so it needs PROCESS. Tables meet
tablespaces by the number SPACE, never by name: the two spell names differently.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from migrator.db import Row, Session
from migrator.errors import Failed, MissingPrivilege
from migrator.inventory.ask import DENIED, ask
from migrator.inventory.catalog import OF
from migrator.inventory.filenames import innodb_name
from migrator.model import Segment, TableName, Tablespace, TablespaceKind
from migrator.sql_errors import TRY_AGAIN, SqlError

SYSTEM_SPACE: Final = 0
SYSTEM_NAME: Final = "innodb_system"

_WAITING_DDL: Final = """
    SELECT DISTINCT OBJECT_SCHEMA, OBJECT_NAME FROM performance_schema.metadata_locks
    WHERE OBJECT_TYPE = 'TABLE' AND LOCK_TYPE = 'EXCLUSIVE' AND LOCK_STATUS = 'PENDING'
    ORDER BY OBJECT_SCHEMA, OBJECT_NAME
"""
_ATTEMPTS: Final = 6
_HAS_DATA_DIRECTORY: Final = 64
"""The bit of INNODB_TABLES.FLAG (DICT_TF: one bit format, four page size, one atomic blobs, then this)."""


@dataclass(frozen=True, slots=True)
class Innodb:
    """What InnoDB says."""

    segments: Mapping[TableName, tuple[Segment, ...]]
    """Of every table; partitions by the name that InnoDB has for them, in lower case."""
    data_directories: frozenset[TableName]
    tablespaces: tuple[Tablespace, ...]


def read_innodb(session: Session, account: str) -> Innodb:
    """Read it with three statements; `account` is ours, for the message.

    The server takes a shared metadata lock on one table after the other, for an instant each, and so waits
    behind DDL that waits itself: tried again for about ten seconds. Not for use inside a transaction.
    Raises `MissingPrivilege` without PROCESS, `Failed` if DDL stands in the way for longer.
    """
    catalog = OF[session.family]
    try:
        tables = session.transaction(lambda again: again.rows(catalog.innodb_tables), attempts=_ATTEMPTS)
        tablespaces = session.rows(catalog.innodb_tablespaces)
        system_bytes = int(session.value(catalog.system_bytes) or 0)
    except SqlError as error:
        if error.number in TRY_AGAIN:
            raise _stuck(session) from None
        if error.number not in DENIED:
            raise
        raise MissingPrivilege(
            f"{account} may not read InnoDB's catalog, so nobody can tell what is encrypted: PROCESS is missing",
            remedy=f"GRANT PROCESS ON *.* TO {account_sql(account)}",
        ) from None
    return innodb_from(tables, tablespaces, system_bytes)


def _stuck(session: Session) -> Failed:
    waiting = [f"{schema}.{name}" for schema, name in ask(session, _WAITING_DDL) or ()]
    where = f" on {', '.join(waiting)}" if waiting else ""
    return Failed(
        f"InnoDB's catalog cannot be read while DDL waits for a metadata lock{where}; nothing was changed",
        remedy="wait until that DDL is through, or end the transaction that it waits for",
    )


def innodb_from(table_rows: Iterable[Row], tablespace_rows: Iterable[Row], system_bytes: int) -> Innodb:
    """Put together what was read. Pure."""
    spaces = {row[0]: _tablespace(row) for row in tablespace_rows}
    spaces.setdefault(
        SYSTEM_SPACE,
        Tablespace(SYSTEM_SPACE, SYSTEM_NAME, TablespaceKind.SYSTEM, encrypted=False, file_bytes=system_bytes),
    )
    owners: dict[int, TableName] = {}
    segments: dict[TableName, list[Segment]] = defaultdict(list)
    fulltext: list[tuple[int, Segment]] = []
    outside = set()
    for table_id, name, flag, space in table_rows:
        what = innodb_name(str(name))
        if what is None:
            continue
        segment = _segment(int(table_id), spaces.get(space), int(space), what.partition)
        if what.fulltext_of is not None:
            fulltext.append((what.fulltext_of, segment))
            continue
        owners[int(table_id)] = what.table
        segments[what.table].append(segment)
        if int(flag) & _HAS_DATA_DIRECTORY:
            outside.add(what.table)
    for owner_id, segment in fulltext:
        owner = owners.get(owner_id)
        # Words of the rows: MySQL 5.7 left them in clear beside an encrypted table, and so can an upgrade of it.
        if owner is not None and not segment.encrypted and segments[owner][0].encrypted:
            segments[owner].append(segment)
    return Innodb(
        segments={table: tuple(found) for table, found in segments.items()},
        data_directories=frozenset(outside),
        tablespaces=tuple(sorted(spaces.values(), key=lambda tablespace: tablespace.space)),
    )


def account_sql(account: str) -> str:
    """`user@host` as a GRANT wants it: 'user'@'host'."""
    user, _, host = account.rpartition("@")
    return "@".join("'" + part.replace("'", "''") + "'" for part in (user, host))


def _tablespace(row: Row) -> Tablespace:
    space, name, space_type, encryption, state, file_bytes = row
    return Tablespace(
        space=int(space),
        name=str(name),
        kind=_kind(int(space), str(name), str(space_type)),
        encrypted=str(encryption or "N").upper() == "Y",
        file_bytes=int(file_bytes or 0),
        state=str(state or "normal"),
    )


def _kind(space: int, name: str, space_type: str) -> TablespaceKind:
    match space_type:
        case "General":
            return TablespaceKind.MYSQL if name == "mysql" else TablespaceKind.GENERAL
        case "Undo":
            return TablespaceKind.UNDO
        case "System":
            return TablespaceKind.SYSTEM if space == SYSTEM_SPACE else TablespaceKind.TEMPORARY
        case _:
            return TablespaceKind.FILE_PER_TABLE


def _segment(table_id: int, tablespace: Tablespace | None, space: int, partition: str) -> Segment:
    """A table whose tablespace is not in the catalog (file missing) counts as in clear: nothing proves otherwise."""
    return Segment(
        table_id=table_id,
        space=space,
        tablespace=tablespace.name if tablespace else "",
        kind=tablespace.kind if tablespace else TablespaceKind.FILE_PER_TABLE,
        encrypted=tablespace.encrypted if tablespace else False,
        partition=partition,
        file_bytes=tablespace.file_bytes if tablespace else 0,
    )
