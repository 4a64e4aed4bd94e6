"""Converting a table of another engine to InnoDB: the statement, what its rows add up to, definitions compared."""

from __future__ import annotations

import re
from typing import Final

from migrator.model import Table, TableName
from migrator.sql.copy import as_bytes
from migrator.sql.names import qualified, quote
from migrator.sql.statement import Sql
from migrator.sql.table import comparable, outside_quotes, parse_definition, stored_columns

_FOREIGN_OPTIONS: Final = {
    # FIXED is refused (1031). COMPRESSED is a read-only packed MyISAM table there, and compressed pages here.
    r"row_format=(?:FIXED|COMPRESSED)": "ROW_FORMAT = DEFAULT",
    # There the size of index blocks in bytes (1024 is refused with 1031), here the size of compressed pages in KiB.
    r"KEY_BLOCK_SIZE=\d+": "KEY_BLOCK_SIZE = 0",
}


def dropped_options(table: Table) -> tuple[str, ...]:
    """Options of the table that InnoDB refuses or takes for something else, as the catalog spells them."""
    found = (re.search(pattern, table.create_options, re.IGNORECASE) for pattern in _FOREIGN_OPTIONS)
    return tuple(match[0] for match in found if match)


def convert_table(table: Table) -> Sql:
    """Rewrites the table as an encrypted InnoDB one; sent while LOCK TABLES is held, so everybody waits for all of it.

    Not atomic as a change of an InnoDB table is: killed while it copies, the server has the old table
    (seen on 9.7.4); in the instant of the two renames at its end the name may be missing (manual: Atomic DDL
    is for InnoDB alone).
    """
    instead = [words for pattern, words in _FOREIGN_OPTIONS.items() if re.search(pattern, table.create_options, re.I)]
    options = ", ".join(["ENGINE = InnoDB", *instead, "ENCRYPTION = 'Y'"])
    return Sql(f"ALTER TABLE {qualified(table.name)} {options}")


def digest(table: Table) -> Sql:
    """How many rows there are, how many could be read in full, and a sum over all bytes of all of them.

    The sum of a 60-bit slice of SHA2 over each row: in any order, and two equal rows count twice. Each value
    is digested by itself, so that no packet is too small for a row. No locks but the table's own.
    """
    values = []
    for column in stored_columns(table):
        name = f"{qualified(table.name)}.{quote(column.name)}"
        # As text a FLOAT has six digits; as DOUBLE it has all of them.
        value = f"CAST({name} AS DOUBLE)" if column.data_type == "float" else as_bytes(column, qualified(table.name))
        values.append(f"IF({name} IS NULL, '-', SHA2({value}, 256))")
    row = f"CAST(CONV(LEFT(SHA2(CONCAT({', '.join(values)}), 256), 15), 16, 10) AS UNSIGNED)"
    return Sql(f"SELECT COUNT(*), COUNT({row}), SUM({row}) FROM {qualified(table.name)}")


def same_but_the_engine(before: str, after: str, table: str) -> bool:
    """True if two SHOW CREATE TABLE texts differ only in what a conversion changes.

    That is engine, ENCRYPTION, and block sizes and row formats of the other engine; AUTO_INCREMENT, too.
    """
    return _without_engine(before, table, before=True) == _without_engine(after, table)


def _without_engine(create: str, table: str, *, before: bool = False) -> tuple[tuple[str, ...], str]:
    items, options = comparable(create, table)
    options = outside_quotes(options, r"^ENGINE=\w+ ?", "")
    if before:
        options = outside_quotes(options, r" ?(?:ROW_FORMAT=(?:FIXED|COMPRESSED)|KEY_BLOCK_SIZE=\d+)", "")
        items = tuple(outside_quotes(item, r" KEY_BLOCK_SIZE=\d+", "") for item in items)
    return items, options


def merged_tables(create: str, schema: str) -> tuple[TableName, ...]:
    """The tables that a MERGE table reads, by its SHOW CREATE TABLE; `schema` is that of the MERGE table."""
    part = r"`((?:[^`]|``)+)`"
    found = re.search(rf"UNION=\(((?:(?:{part}\.)?{part},?)*)\)", parse_definition(create).options)
    if found is None:
        return ()
    names = re.findall(rf"(?:{part}\.)?{part}", found[1])
    return tuple(TableName((of or schema).replace("``", "`"), name.replace("``", "`")) for of, name in names)
