"""Which tables a MERGE table reads: only SHOW CREATE TABLE says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from migrator.db import Session
from migrator.inventory.parts import grouped
from migrator.model import TableName
from migrator.sql.convert import merged_tables
from migrator.sql.names import qualified
from migrator.sql_errors import SqlError

_MERGES: Final = "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE ENGINE = 'MRG_MYISAM'"


def read_merged(session: Session) -> Mapping[TableName, tuple[TableName, ...]]:
    """Table -> the MERGE tables that read it, whatever their schema; one statement for each MERGE table.

    One that cannot be opened (1168: it is broken already) or that our account may not see reads nothing here.
    """
    pairs = []
    for schema, name in session.rows(_MERGES):
        merge = TableName(str(schema), str(name))
        try:
            shown = session.row(f"SHOW CREATE TABLE {qualified(merge)}")
        except SqlError as error:
            if error.link_lost:
                raise
            continue
        pairs += [(child, merge) for child in merged_tables(str(shown[1]) if shown else "", merge.schema)]
    return {child: tuple(merges) for child, merges in grouped(pairs).items()}
