"""What a contestant made, looked at outside of the time: the rows, the encryption, the size."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from tests.bench.cases import SCHEMA
from tests.servers import RunningServer


class NotDone(Exception):
    """A contestant did not do its work; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Contents:
    """The rows of a table: how many, and what they add up to."""

    rows: int
    digest: int


def contents(server: RunningServer, tables: Sequence[str]) -> dict[str, Contents]:
    """Count and digest every table; reads each row, so its pages are in the buffer pool afterwards."""
    found = {}
    with closing(server.connect()) as connection, connection.cursor() as cursor:
        for table in tables:
            cursor.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s "
                "ORDER BY ordinal_position",
                (SCHEMA, table),
            )
            # No column of the cases is NULL, and none holds a '#'.
            row = "CONCAT_WS('#', " + ", ".join(f"`{name}`" for (name,) in cursor.fetchall()) + ")"
            cursor.execute(
                f"SELECT COUNT(*), CAST(SUM(CAST(CONV(LEFT(SHA2({row}, 256), 15), 16, 10) AS UNSIGNED)) AS CHAR) "
                f"FROM {SCHEMA}.{table}"
            )
            answer = cursor.fetchone()
            assert answer
            found[table] = Contents(int(answer[0]), int(answer[1] or 0))
    return found


def same_contents(before: dict[str, Contents], after: dict[str, Contents]) -> None:
    """`NotDone` if a table does not hold the rows that it held."""
    for table, now in after.items():
        if now != before[table]:
            raise NotDone(f"{table} holds {now.rows} rows that are not the {before[table].rows} of before")


def encrypted_bytes(server: RunningServer, tables: Sequence[str]) -> int:
    """The size of the tables' files; `NotDone` if one is not encrypted."""
    found = {
        name.partition("/")[2]: (encryption, int(size))
        for name, encryption, size in server.rows(
            "SELECT t.name, s.encryption, s.file_size FROM information_schema.innodb_tables t "
            "JOIN information_schema.innodb_tablespaces s USING (space) WHERE t.name LIKE %s",
            f"{SCHEMA}/%",
        )
    }
    clear = [table for table in tables if found.get(table, ("absent", 0))[0] != "Y"]
    if clear:
        raise NotDone(f"not encrypted: {', '.join(clear)}")
    return sum(found[table][1] for table in tables)
