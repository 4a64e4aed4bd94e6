"""What the demonstration reads about the company's tables before and after, by its own queries.

Nothing of the tool is used: what it says about itself is compared with this.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.demo import company

if TYPE_CHECKING:
    from tests.demo.company import Connect


@dataclass(frozen=True, slots=True)
class Facts:
    """A table as the catalog has it."""

    table: str
    engine: str
    encrypted: bool | None
    """Every file of it; None if it has none (MEMORY)."""
    definition: str
    """SHOW CREATE TABLE, without what a migration may change: see `comparable`."""
    triggers: tuple[str, ...]
    histograms: tuple[str, ...]
    """Columns that have one."""


_TABLES: Final = """
SELECT CONCAT(table_schema, '.', table_name), engine FROM information_schema.tables
WHERE table_type = 'BASE TABLE' AND table_schema IN %s ORDER BY 1
"""

# Joined by the number of the tablespace: the names are spelled differently in the two (`we@0020ird`, `we ird`).
_FILES: Final = """
SELECT t.table_id, t.name, s.name, s.space_type, s.encryption = 'Y'
FROM information_schema.innodb_tables t JOIN information_schema.innodb_tablespaces s ON s.space = t.space
WHERE SUBSTRING_INDEX(t.name, '/', 1) IN %s
"""

_TRIGGERS: Final = """
SELECT CONCAT(event_object_schema, '.', event_object_table),
  CONCAT_WS(' ', trigger_name, action_order, action_timing, event_manipulation, definer, sql_mode, action_statement)
FROM information_schema.triggers WHERE event_object_schema IN %s ORDER BY 1, trigger_name
"""

_HISTOGRAMS: Final = """
SELECT CONCAT(schema_name, '.', table_name), column_name FROM information_schema.column_statistics
WHERE schema_name IN %s ORDER BY 1, 2
"""


def read_facts(connect: Connect) -> dict[str, Facts]:
    """Every base table in the company's schemas, by `schema.table`, whoever made it."""
    with closing(connect()) as connection, connection.cursor() as cursor:
        cursor.execute(_TABLES, (company.SCHEMAS,))
        engines: dict[str, str] = {str(table): str(engine) for table, engine in cursor.fetchall()}
        cursor.execute(_FILES, (company.SCHEMAS,))
        files = files_of(list(cursor.fetchall()))
        found: dict[str, dict[str, list[str]]] = {_TRIGGERS: {}, _HISTOGRAMS: {}}
        for query, by_table in found.items():
            cursor.execute(query, (company.SCHEMAS,))
            for table, what in cursor.fetchall():
                by_table.setdefault(table, []).append(what)
        facts = {}
        for table, engine in engines.items():
            cursor.execute(f"SHOW CREATE TABLE {company.quoted(table)}")
            definition = str((cursor.fetchone() or ("", ""))[1])
            facts[table] = Facts(
                table,
                engine,
                None if engine == "MEMORY" else bool(files.get(table)) and all(files[table]),
                comparable(definition),
                tuple(found[_TRIGGERS].get(table, ())),
                tuple(found[_HISTOGRAMS].get(table, ())),
            )
    return facts


def files_of(rows: list[tuple[int, str, str, str, int]]) -> dict[str, list[bool]]:
    """Whether each file behind a table is encrypted, partitions and full-text indexes included, by `schema.table`."""
    files: dict[str, list[bool]] = {}
    names: dict[int, str] = {}
    auxiliary: list[tuple[int, bool]] = []
    for table_id, encoded, tablespace, kind, encrypted in rows:
        # The name of a file-per-table tablespace is the table's, readable; a general one has a name of its own.
        schema, _, name = (tablespace if kind == "Single" else encoded).partition("/")
        if match := re.match(r"fts_([0-9a-f]{16})_", name):
            auxiliary.append((int(match[1], 16), bool(encrypted)))
            continue
        table = f"{schema}.{name.partition('#p#')[0]}"
        names[table_id] = table
        files.setdefault(table, []).append(bool(encrypted))
    for table_id, is_encrypted in auxiliary:
        files[names[table_id]].append(is_encrypted)
    return files


_MAY_CHANGE = "|".join(
    (
        r" /\*!50100 TABLESPACE `innodb_file_per_table` \*/",
        r" AUTO_INCREMENT=\d+",
        r" /\*!80016 ENCRYPTION='[YN]' \*/",
        r" ENCRYPTION='[YN]'",
    )
)


def comparable(definition: str) -> str:
    """A table's definition without ENCRYPTION=, AUTO_INCREMENT= and TABLESPACE `innodb_file_per_table`.

    All else must stay as it was. A relay leaves the last, which says what is true of every table in a file of its own.
    They are looked for among the table's options only, in front of its comment: a comment may say anything.
    """
    return re.sub(
        r"(?m)^\) .*?(?= COMMENT='|$)",
        lambda options: re.sub(_MAY_CHANGE, "", options[0]),
        definition,
        count=1,
    )


_INNODB: Final = """
SELECT t.name, COALESCE(s.encryption = 'Y', 0)
FROM information_schema.innodb_tables t LEFT JOIN information_schema.innodb_tablespaces s ON s.space = t.space
WHERE SUBSTRING_INDEX(t.name, '/', 1) NOT IN ('mysql', 'sys') ORDER BY 1
"""


def innodb_tables(connect: Connect) -> dict[str, bool]:
    """Whether each InnoDB table of every schema that is not the server's own is encrypted, by InnoDB's name of it.

    All of them, whoever made them: partitions and full-text indexes by themselves, the journal too. What lies in no
    tablespace that the catalog knows (ibdata1) is in clear. Temporary tables are not in this catalog.
    """
    with closing(connect()) as connection, connection.cursor() as cursor:
        cursor.execute(_INNODB)
        return {str(name): bool(encrypted) for name, encrypted in cursor.fetchall()}


def readable_in(datadir: Path, canaries: Mapping[str, bytes]) -> dict[str, bool]:
    """Whether a table's file holds a known value in clear, by `schema.table`."""
    return {
        table: value in (datadir / table.replace(".", "/")).with_suffix(".ibd").read_bytes()
        for table, value in canaries.items()
    }


_SETTINGS: Final = """
SELECT 'binlog_encryption', @@GLOBAL.binlog_encryption UNION ALL
SELECT 'innodb_redo_log_encrypt', @@GLOBAL.innodb_redo_log_encrypt UNION ALL
SELECT 'innodb_undo_log_encrypt', @@GLOBAL.innodb_undo_log_encrypt UNION ALL
SELECT 'default_table_encryption', @@GLOBAL.default_table_encryption UNION ALL
SELECT CONCAT('new tables of ', schema_name), default_encryption = 'YES' FROM information_schema.schemata
WHERE schema_name IN %s
"""


def switched_on(connect: Connect) -> dict[str, bool]:
    """Which settings are on, and in which of the company's schemas new tables are born encrypted; and whether the
    newest binary log is encrypted."""
    with closing(connect()) as connection, connection.cursor() as cursor:
        cursor.execute(_SETTINGS, (company.SCHEMAS,))
        found = {str(name): bool(on) for name, on in cursor.fetchall()}
        cursor.execute("SHOW BINARY LOGS")
        *_, newest = cursor.fetchall()
        return found | {"the newest binary log": newest[2] == "Yes"}
