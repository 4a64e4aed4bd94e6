"""The throttle query: what only reads is taken, whatever could do more is refused with what is wrong."""

from __future__ import annotations

import pytest

from migrator.planner.throttle_query import check_query

TAKEN = (
    "SELECT 1",
    "select count(*) > 10 from information_schema.PROCESSLIST where USER = 'app'",
    "WITH busy AS (SELECT 1 AS n) SELECT n FROM busy",
    "SELECT COUNT(*) FROM app.jobs WHERE state = 'FOR UPDATE' OR state = \"INTO\" OR state = 'it''s SLEEP(1) -- #'",
    "SELECT `for`, `sleep`, a.`into` FROM a",
    "SELECT SUBSTRING(a FROM 2 FOR 3) FROM t",
    "SELECT COUNT(*) FROM t FORCE INDEX FOR JOIN (a)",
    "SELECT into_stock, t2for, asleep(1), sleeping FROM t",
    "SELECT n % 2 FROM t WHERE a LIKE '%x'",
    "SELECT @@global.read_only",
)

REFUSED = {
    "SELECT 1; SELECT 2": "semicolon",
    "SELECT ';'": "semicolon",
    "SELECT 'a\\'": "backslash",
    "SELECT 'a": "ends what it quotes",
    "SELECT `a": "ends what it quotes",
    "DELETE FROM t": "is a SELECT",
    "UPDATE t SET a = (SELECT 1)": "is a SELECT",
    "WITH a AS (SELECT 1) DELETE FROM t": "is a SELECT",
    "CALL p()": "is a SELECT",
    "DO SLEEP(1)": "is a SELECT",
    "SET @a = 1": "is a SELECT",
    "EXPLAIN ANALYZE SELECT 1": "is a SELECT",
    "SELECT 1 INTO OUTFILE 'x'": "no INTO",
    "SELECT 1 INTO@a": "no INTO",
    "SELECT 1.INTO @a": "no INTO",
    "SELECT * FROM t FOR UPDATE": "no FOR UPDATE",
    "SELECT * FROM t FOR\n  SHARE": "no FOR SHARE",
    "SELECT * FROM t lock in share mode": "no LOCK IN",
    "SELECT (SELECT 1 FROM t FOR UPDATE)": "no FOR UPDATE",
    "SELECT * FROM `t`FOR UPDATE": "no FOR UPDATE",
    "SELECT * FROM t WHERE a = 1.FOR UPDATE": "no FOR UPDATE",
    "SELECT * FROM t WHERE a = 1.0FOR UPDATE": "no FOR UPDATE",
    "SELECT SLEEP(1)": "no SLEEP",
    "SELECT sleep \n (1)": "no SLEEP",
    "SELECT `sleep`(1)": "no SLEEP",
    "SELECT `sleep` (1)": "no SLEEP",
    "SELECT 'it''s', SLEEP(1)": "no SLEEP",
    "SELECT 1 AS $$, SLEEP(1), 2 AS $$": "no SLEEP",
    "SELECT 1 AS ´, SLEEP(1), 2 AS ´": "no SLEEP",
    "SELECT [SLEEP(1)]": "no SLEEP",
    "SELECT BENCHMARK(1000000000, MD5(1))": "no BENCHMARK",
    "SELECT GET_LOCK('a', 1)": "no GET_LOCK",
    "SELECT LOAD_FILE('/etc/hosts')": "no LOAD_FILE",
    "SELECT service_get_write_locks('a', 'b', 1)": "no SERVICE_GET_WRITE_LOCKS",
    "SELECT keyring_key_remove('a')": "no KEYRING_KEY_REMOVE",
    "SELECT group_replication_set_as_primary('a')": "no GROUP_REPLICATION_SET_AS_PRIMARY",
    "SELECT @a := 1": "no :=",
    "SELECT /*!80000 SLEEP(1), */ 1": "no comment",
    "SELECT 1 -- all": "no comment",
    "SELECT 1 # all": "no comment",
    "SELECT 1 AS $$, 2 /*!80000 , SLEEP(1) */, 3 AS $$": "no comment",
}


@pytest.mark.parametrize("query", TAKEN)
def test_what_only_reads_is_taken(query: str) -> None:
    """As it stands: names and texts may be what they like."""
    assert check_query(query) == query


@pytest.mark.parametrize(("query", "why"), REFUSED.items())
def test_what_could_do_more_is_refused(query: str, why: str) -> None:
    """Writing, locking, waiting, reading files, setting, or hiding one of them; it is said which."""
    with pytest.raises(ValueError, match="a throttle query") as error:
        check_query(query)
    assert why in str(error.value)


def test_none_and_its_end() -> None:
    """No query is none; the semicolon at its end is left out."""
    assert check_query(" \n") == ""
    assert check_query(" SELECT 1 ; ") == "SELECT 1"
