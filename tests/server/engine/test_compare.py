"""The statement that compares: the server joins by hashes whatever the key, and no difference of bytes escapes it."""

from __future__ import annotations

import pytest

from migrator.db import Session
from migrator.inventory import read_tables
from migrator.model import TableName
from migrator.planner.keys import usable_key
from migrator.sql.copy import COPIED, ORIGIN, compare_part
from migrator.sql.keys import key_columns, parts
from migrator.sql.statement import Sql
from tests.server.engine.kit import Lab
from tests.server.engine.test_rows import NUMBERS

KEYS = {
    "INT": "n - 400",
    "BIGINT UNSIGNED": "18446744073709551615 - n",
    "DECIMAL(30,10)": "n / 7 - 50",
    "FLOAT": "n / 7 - 50",
    "DOUBLE": "n / 7e100",
    "YEAR": "1901 + n % 200",
    "DATE": "IF(n = 1, '0000-00-00', '2024-02-01' + INTERVAL n DAY)",
    "DATETIME(6)": "'2024-02-01' + INTERVAL n MICROSECOND",
    "TIME(6)": "SEC_TO_TIME(n / 1e6)",
    "BIT(20)": "n",
    "ENUM('z', 'a', 'é', '1')": "1 + n % 4",
    "SET('z', 'a', '1')": "n % 8",
    "BINARY(8)": "LEFT(SHA2(n, 256), 8)",
    "VARBINARY(8)": "UNHEX(LEFT(SHA2(n, 256), 2 + 2 * (n % 7)))",
    "CHAR(8) CHARACTER SET latin1": "CONCAT(CHAR(192 + n % 60), n)",
    "VARCHAR(8) CHARACTER SET ascii": "CONCAT(n, ' ')",
    "VARCHAR(8) CHARACTER SET utf8mb3": "CONCAT('ä', n)",
    "VARCHAR(8) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci": "CONCAT(IF(n % 2, 'ß', 'ü'), n)",
    "VARCHAR(8) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin": "CONCAT(IF(n % 2, 'ß', 'ü'), n)",
    "VARCHAR(8) CHARACTER SET gb18030": "CONCAT('ü', n)",
    "VARCHAR(8) CHARACTER SET utf16": "CONCAT('ü', n)",
}

CHARSETS = ("ascii", "latin1", "utf8mb3", "utf8mb4", "gb18030", "utf16", "ucs2", "cp932", "big5", "latin2", "binary")

OTHERS = {
    "another case": "'Text'",
    "a blank at the end": "'text '",
    "a tab at the end": "CONCAT('text', CHAR(9))",
    "a zero at the end": "CONCAT('text', CHAR(0))",
    "nothing": "''",
    "NULL": "NULL",
}


def compare(session: Session, schema: str, *, by_hash: bool) -> tuple[str, tuple[int, ...]]:
    """How the server does it, and what it counts in `t`, in `s` and in both."""
    session.set_session("optimizer_switch", "'hash_join=on,block_nested_loop=on'")
    (table,) = read_tables(session, [TableName(schema, "t")])
    key = usable_key(table)
    assert key is not None
    columns = key_columns(key, table.columns)
    (part,), (origin,), (copied,) = (
        parts(columns, None, None, common=0, alias=alias) for alias in ("", ORIGIN, COPIED)
    )
    statement = compare_part(table, TableName(schema, "s"), key.name, columns, part, origin, copied, by_hash=by_hash)
    explained = session.row(Sql("EXPLAIN FORMAT = TREE " + statement.text, statement.args)) or ("",)
    return str(explained[0]), tuple(int(count) for count in session.row(statement) or ())


@pytest.mark.parametrize("kind", KEYS)
def test_the_server_hashes_one_side(lab: Lab, kind: str) -> None:
    """For each type of a key it reads each side once, and finds every row; without hashes it finds the same."""
    rows = f"SELECT n, {KEYS[kind]} FROM ({NUMBERS.format(900)}) AS many"
    lab.run(f"CREATE TABLE t (j INT, k {kind}, PRIMARY KEY (k, j))", "CREATE TABLE s LIKE t")
    lab.run("SET sql_mode = ''", f"INSERT INTO t (j, k) {rows}", "INSERT INTO s SELECT * FROM t", "ANALYZE TABLE t, s")
    with lab.session() as session:
        hashed, counts = compare(session, lab.schema, by_hash=True)
        looked_up, same_counts = compare(session, lab.schema, by_hash=False)
    assert "hash join" in hashed
    assert "hash join" not in looked_up
    assert "lookup" in looked_up
    assert counts == same_counts == (900, 900, 900)


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("charset", CHARSETS)
def test_a_text_with_other_bytes_is_another_text(lab: Lab, charset: str, other: str) -> None:
    """In every column and in the key, in each kind of character set: what it calls equal is not taken for the same."""
    lab.run(
        f"CREATE TABLE t (k VARCHAR(9) CHARACTER SET {charset}, v VARCHAR(9) CHARACTER SET {charset},"
        f" x TEXT CHARACTER SET {charset}, PRIMARY KEY (k))",
        "CREATE TABLE s LIKE t",
        "INSERT INTO t VALUES ('text', 'text', 'text'), ('b', NULL, NULL)",
    )
    with lab.session() as session:
        for column in ("k", "v", "x") if other != "NULL" else ("v", "x"):
            lab.run("DELETE FROM s", "INSERT INTO s SELECT * FROM t")
            assert compare(session, lab.schema, by_hash=True)[1] == (2, 2, 2)
            assert lab.run_one(f"UPDATE s SET {column} = {OTHERS[other]} WHERE k = 'text'") == 1, "nothing was planted"
            for by_hash in (True, False):
                assert compare(session, lab.schema, by_hash=by_hash)[1] == (2, 2, 1)
            lab.run("DELETE FROM s", "INSERT INTO s SELECT * FROM t")
