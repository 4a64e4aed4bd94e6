"""All that could be changed on a server, as a value to compare."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from typing import Any, Final

from tests.servers import RunningServer

JOURNAL: Final = "migrator"

_SYSTEM: Final = "('mysql', 'information_schema', 'performance_schema', 'sys')"
_MOVING: Final = re.compile(r"gtid|timestamp|^pseudo_|^insert_id$|^last_insert_id$|^rand_seed|^tls_|^ssl_session")


def name(identifier: str) -> str:
    """An identifier in backticks."""
    return "`" + identifier.replace("`", "``") + "`"


def snapshot(server: RunningServer) -> dict[str, object]:
    """Schemas, tables with their definition and rows, triggers, settings, and which transactions there were."""
    with closing(server.connect()) as connection, connection.cursor() as cursor:

        def rows(statement: str) -> list[tuple[Any, ...]]:
            cursor.execute(statement)
            return list(cursor.fetchall())

        found: dict[str, object] = {}
        for (schema,) in rows(
            f"SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN {_SYSTEM}"
        ):
            found[f"schema {name(schema)}"] = rows(f"SHOW CREATE DATABASE {name(schema)}")
        for schema, table in rows(
            "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES"
            f" WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA NOT IN {_SYSTEM}"
        ):
            where = f"{name(schema)}.{name(table)}"
            definition = str(rows(f"SHOW CREATE TABLE {where}")[0][1])
            if schema == JOURNAL:
                definition = re.sub(r" AUTO_INCREMENT=\d+", "", definition)
            found[f"table {where}"] = definition, rows(f"CHECKSUM TABLE {where}")[0][1]
        for row in rows(
            "SELECT TRIGGER_SCHEMA, TRIGGER_NAME, EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION,"
            " ACTION_STATEMENT, DEFINER, CREATED FROM information_schema.TRIGGERS"
            f" WHERE TRIGGER_SCHEMA NOT IN {_SYSTEM}"
        ):
            found[f"trigger {name(row[0])}.{name(row[1])}"] = row
        for space, state in rows(
            "SELECT NAME, ENCRYPTION FROM information_schema.INNODB_TABLESPACES WHERE SPACE_TYPE <> 'Single'"
        ):
            found[f"tablespace {space}"] = state
        for variable, value in rows("SHOW GLOBAL VARIABLES"):
            if not _MOVING.search(str(variable)):
                found[f"variable {variable}"] = value
        found["transactions"] = rows("SELECT @@GLOBAL.gtid_executed")[0][0]
        return found


def assert_same(before: dict[str, object], after: dict[str, object], passed_over: Sequence[str] = ()) -> None:
    """Two snapshots are equal; else what differs is said."""
    names = [one for one in {**before, **after} if not one.startswith(tuple(passed_over))]
    different = [f"{one}: {before.get(one)} -> {after.get(one)}" for one in names if before.get(one) != after.get(one)]
    assert not different, "\n".join(different)
