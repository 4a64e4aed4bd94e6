"""LOOK: what there is, read from a live server as frozen facts (`migrator.model`). Changes nothing.

Read `server` for the server's own facts, `tables` for the tables, `blockers` for who stands in the way.
What our account may not see is never taken for good: it is said to be unknown, or an error that names
the privilege; `unreadable` lists what is missing for a sound plan.
"""

from __future__ import annotations

from collections.abc import Callable

from migrator.db import Session
from migrator.inventory.blockers import read_blockers
from migrator.inventory.catalog import OF
from migrator.inventory.server import read_server
from migrator.inventory.tables import JOURNAL_SCHEMA, SYSTEM_SCHEMAS, read_all, read_tables, show_create
from migrator.inventory.unreadable import unreadable
from migrator.model import Inventory, Schema, TableName

__all__ = [
    "JOURNAL_SCHEMA",
    "SYSTEM_SCHEMAS",
    "read_blockers",
    "read_inventory",
    "read_server",
    "read_tables",
    "show_create",
    "unreadable",
]

_NOW = "SELECT DATE_FORMAT(UTC_TIMESTAMP(6), '%%Y-%%m-%%dT%%H:%%i:%%s.%%fZ')"


def read_inventory(
    session: Session,
    *,
    wanted: Callable[[TableName], bool] | None = None,
    journal_schema: str = JOURNAL_SCHEMA,
) -> Inventory:
    """Read the server and every base table that is `wanted` (all if None), with about 50 statements in all.

    Locks nothing and changes nothing. The server's own schemas and the journal's are left out; schemas
    are all others that our account sees. Needs PROCESS and SELECT on the tables, see `read_server` and
    `read_tables` for what is better to have and for the errors.
    """
    read_at = str(session.value(_NOW))
    server = read_server(session)
    found = read_all(session, wanted=wanted, journal_schema=journal_schema)
    own = SYSTEM_SCHEMAS | {journal_schema}
    schemas = tuple(
        Schema(str(name), default_encryption=str(encrypted).upper() == "YES")
        for name, encrypted in session.rows(OF[session.family].schemas)
        if str(name) not in own
    )
    return Inventory(
        server=server,
        schemas=schemas,
        tables=found.tables,
        tablespaces=found.tablespaces,
        read_at=read_at,
        names=found.names,
    )
