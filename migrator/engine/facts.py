"""What is known of tables when their steps begin: read together for many, and believed only while it is true.

To read one table's facts takes as long as there are tables on the server; two looks at the table itself tell
whether they still hold.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass

from migrator.db import Session
from migrator.engine.objects import table_proof
from migrator.errors import MigratorError
from migrator.inventory import read_tables, show_create
from migrator.model import Table, TableName, TablespaceKind
from migrator.sql_errors import SqlError

_NO_SUCH_TABLE = 1146


@dataclass(frozen=True, slots=True)
class Known:
    """A table: its facts, what identifies it, and its definition, all of one time."""

    table: Table
    proof: str
    definition: str


class Facts:
    """The facts of tables that were read in advance. Used by several threads."""

    def __init__(self) -> None:
        self._read: dict[TableName, Known] = {}
        self._lock = threading.Lock()

    def read_ahead(self, session: Session, names: Collection[TableName]) -> None:
        """Read the facts of many tables at once; what cannot be read each table's own step will say. Locks nothing."""
        try:
            looks = {name: _look(session, name) for name in names}
            found = {table.name: Known(table, *looks[table.name]) for table in read_tables(session, names)}
        except SqlError as error:
            if error.link_lost:
                session.reconnect()
            return
        except MigratorError:
            return
        with self._lock:
            self._read |= found

    def has_its_own_file(self, name: TableName) -> bool:
        """True if the table was read in advance, and lies in no tablespace that others could share."""
        with self._lock:
            known = self._read.get(name)
        return known is not None and known.table.tablespace_kind is TablespaceKind.FILE_PER_TABLE

    def is_encrypted(self, name: TableName) -> bool:
        """True if the table was read in advance, and is encrypted already."""
        with self._lock:
            known = self._read.get(name)
        return known is not None and known.table.encrypted

    def of(self, session: Session, name: TableName) -> Known | None:
        """The facts of a table that are true now: what was read in advance, if it is still the same table with the
        same definition, else read anew; None if there is no such table.

        Triggers, and foreign keys that refer to it, can be newer: the copy itself looks after them. Locks nothing.
        """
        look = _look(session, name)
        with self._lock:
            known = self._read.pop(name, None)
        if known is not None and (known.proof, known.definition) == look and known.proof.startswith("spaces "):
            return known
        found = read_tables(session, [name])
        return Known(found[0], *look) if found else None


def _look(session: Session, name: TableName) -> tuple[str, str]:
    """What identifies the table and its definition, or nothing. No locks."""
    proof = table_proof(session, name)
    if proof is None:
        return "", ""
    try:
        return proof, show_create(session, name)
    except SqlError as error:
        if error.number != _NO_SUCH_TABLE:
            raise
        return "", ""  # dropped in between
