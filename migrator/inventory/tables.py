"""Every base table with all that decides how it can be encrypted.

A fixed number of catalog queries, whatever the number of tables. None of them locks a table, so one that
is altered meanwhile shows as it was before or after. Which InnoDB table belongs to which table is told by
its decoded name (`filenames`), and where its rows lie by the number SPACE (`segments`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Final

from migrator.db import Row, Session
from migrator.errors import MissingPrivilege
from migrator.inventory.ask import DENIED
from migrator.inventory.catalog import OF
from migrator.inventory.foreign_keys import read_foreign_keys
from migrator.inventory.grants import Grants, read_grants
from migrator.inventory.merge import read_merged
from migrator.inventory.parts import Parts, grouped, partitioned, read_parts, rows_about
from migrator.inventory.segments import Innodb, account_sql, read_innodb
from migrator.model import Table, TableName, Tablespace, TablespaceKind
from migrator.sql.names import qualified
from migrator.sql_errors import SqlError

SYSTEM_SCHEMAS: Final = frozenset({"mysql", "sys", "information_schema", "performance_schema", "ndbinfo"})
"""The server's own: their tables are encrypted with the tablespace `mysql`, or not at all."""

JOURNAL_SCHEMA: Final = "migrator"
"""Where the journal lies unless a setting says otherwise; its tables are nobody's data."""


def read_tables(session: Session, names: Collection[TableName]) -> tuple[Table, ...]:
    """The facts of these tables, in order of their names; a table that does not exist is left out.

    Takes no lock that anybody waits for; a fixed number of statements (17), whatever the number of tables
    (where one is MyISAM, one more, and one for each MERGE table), one of which gets slower with all the InnoDB
    tables of the server. Not for use inside a transaction. Needs PROCESS and SELECT. A table that exists but
    that our account may not read comes without columns and keys, with rows and sizes 0 if it does not even see
    it: refuse it (`unreadable`). Without TRIGGER a table shows no triggers. Raises `MissingPrivilege` without
    PROCESS, `Failed` while DDL on some table of the server waits for a metadata lock, for about ten seconds.
    """
    wanted = frozenset(names)
    return read_all(session, wanted=wanted.__contains__, journal_schema="").tables


@dataclass(frozen=True, slots=True)
class Found:
    """What the server holds: tables in scope, tablespaces, and all names that tables or views bear, in scope or not."""

    tables: tuple[Table, ...]
    tablespaces: tuple[Tablespace, ...]
    names: frozenset[TableName]


def read_all(
    session: Session, *, wanted: Callable[[TableName], bool] | None = None, journal_schema: str = JOURNAL_SCHEMA
) -> Found:
    """Every wanted base table outside of the server's own schemas and the journal's, and the tablespaces.

    Of tablespaces that hold one table only those of the tables that were read. See `read_tables`.
    """
    grants = read_grants(session)
    own = SYSTEM_SCHEMAS | {journal_schema}
    seen = {
        TableName(str(schema), str(name)): bool(base) for schema, name, base in session.rows(OF[session.family].names)
    }
    innodb = read_innodb(session, grants.account)

    def in_scope(table: TableName) -> bool:
        return table.schema not in own and (wanted is None or wanted(table))

    names = {table for table, base in seen.items() if base and in_scope(table)}
    # One that we hold SELECT on would be visible: it was made after the first look, or is being dropped.
    hidden = {t for t in innodb.segments if t not in names and in_scope(t) and not grants.hold("SELECT", t)}
    tables = [*_read_visible(session, names, innodb, grants), *(_hidden(t, innodb) for t in hidden)]
    spaces = {segment.space for table in tables for segment in table.segments}
    shared = tuple(t for t in innodb.tablespaces if t.kind is not TablespaceKind.FILE_PER_TABLE or t.space in spaces)
    taken = frozenset(name for name in seen if name.schema not in own)
    return Found(tuple(sorted(tables, key=lambda table: table.name)), shared, taken)


def show_create(session: Session, table: TableName) -> str:
    """SHOW CREATE TABLE. Waits for nobody unless the table is being dropped or swapped (a second at most).

    Raises `MissingPrivilege` without any privilege on the table, `SqlError` 1146 if there is none.
    """
    try:
        found = session.row(f"SHOW CREATE TABLE {qualified(table)}")
    except SqlError as error:
        if error.number not in DENIED:
            raise
        account = str(session.value("SELECT CURRENT_USER()"))
        raise MissingPrivilege(
            f"{account} may not see the definition of {table}",
            remedy=f"GRANT SELECT ON {qualified(table).replace('%%', '%')} TO {account_sql(account)}",
        ) from None
    return str(found[1]) if found else ""


def _hidden(name: TableName, innodb: Innodb) -> Table:
    return Table(name, "InnoDB", 0, 0, 0, segments=innodb.segments[name])


# -- visible tables -----------------------------------------------------------------------------------


def _read_visible(session: Session, names: set[TableName], innodb: Innodb, grants: Grants) -> list[Table]:
    if not names:
        return []
    keys = read_foreign_keys(session, sorted({name.schema for name in names}), innodb.segments)
    children = grouped((key.table, key) for key in keys)
    parents = grouped((key.parent, key) for key in keys)
    parts = read_parts(session, names)
    rows = rows_about(session, names, OF[session.family].tables)
    merged = read_merged(session) if any(row[2] == "MyISAM" for row in rows) else {}
    found = []
    for row in rows:
        table = _table(row, parts, innodb)
        # With a grant on single columns, columns and keys are there in part: worse than not at all.
        if not grants.hold("SELECT", table.name):
            table = replace(table, columns=(), keys=())
        if table.name in names:
            found.append(
                replace(
                    table,
                    foreign_keys=tuple(children.get(table.name, ())),
                    referenced_by=tuple(parents.get(table.name, ())),
                    merged_by=merged.get(table.name, ()),
                )
            )
    return found


def _table(row: Row, parts: Parts, innodb: Innodb) -> Table:
    schema, table, engine, row_format, rows, data, index, options, created = row
    name = TableName(str(schema), str(table))
    partitions = parts.partitions.get(name, ())
    return Table(
        name=name,
        engine=str(engine or ""),
        rows=int(rows or 0),
        data_bytes=int(data or 0),
        index_bytes=int(index or 0),
        row_format=str(row_format or ""),
        create_options=str(options or ""),
        create_time=str(created or ""),
        columns=tuple(parts.columns.get(name, ())),
        keys=tuple(parts.keys.get(name, ())),
        triggers=tuple(parts.triggers.get(name, ())),
        checks=tuple(parts.checks.get(name, ())),
        segments=partitioned(innodb.segments.get(name, ()), partitions),
        partition_method=partitions[0].method if partitions else "",
        partitions=tuple(dict.fromkeys(partition.name for partition in partitions)),
        data_directory=name in innodb.data_directories,
        histograms=tuple(parts.histograms.get(name, ())),
    )
