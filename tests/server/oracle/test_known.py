"""What an application can notice all the same: told in the limits, and shown here to be no more than that."""

from __future__ import annotations

import threading
from contextlib import closing

import pymysql

from migrator.events import ChunkCopied, RunEnded
from tests.server.engine.kit import At, Lab, each, phase


def test_replace_by_the_same_row_counts_two(lab: Lab) -> None:
    """REPLACE of a row by itself affects 1 row; where a table has DELETE triggers the server counts 2."""
    lab.run("CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1, 1), (2, 2)")
    counted: list[int] = []

    def replace() -> None:
        counted.append(lab.run_one("REPLACE INTO t VALUES (1, 1)"))

    replace()
    moments = [each(ChunkCopied), phase("verify"), each(RunEnded)]
    lab.apply("t", at=[At(when, replace) for when in moments]).assert_outcome("done")
    assert counted == [1, 2, 2, 1]


def test_a_number_that_no_row_had_may_come_again(lab: Lab) -> None:
    """INSERT IGNORE of a duplicate uses a number up. If that is while the table is mirrored, the swap forgets it."""
    lab.run(
        "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, u INT, UNIQUE KEY (u))",
        "INSERT INTO t (u) VALUES (1), (2), (3)",
    )

    def burn() -> None:
        assert lab.run_one("INSERT IGNORE INTO t (u) VALUES (1)") == 0

    lab.apply("t", at=[At(phase("log"), burn), At(phase("verify"), burn)]).assert_outcome("done")
    lab.run("INSERT INTO t (u) VALUES (4)")
    assert lab.value("SELECT id FROM t WHERE u = 4") == 5  # 4 was used up before the switch, 5 after it


def test_two_transactions_can_deadlock_in_a_fulltext_index_without_us(lab: Lab) -> None:
    """Its hidden numbers go up, so all transactions insert at the end; who goes back to a savepoint keeps a gap there."""
    lab.run("CREATE TABLE t (id INT PRIMARY KEY, v TEXT, FULLTEXT KEY (v))")
    errors: list[int] = []
    with (
        closing(lab.connect()) as one,
        closing(lab.connect()) as other,
        one.cursor() as first,
        other.cursor() as second,
    ):
        for cursor in (first, second):
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("START TRANSACTION")

        def insert(cursor: pymysql.cursors.Cursor, key: int) -> None:
            try:
                cursor.execute(f"INSERT INTO t VALUES ({key}, 'x')")
            except pymysql.err.OperationalError as error:
                errors.append(int(error.args[0]))

        insert(first, 10)
        first.execute("SAVEPOINT s")
        insert(second, 1010)
        second.execute("SAVEPOINT s")
        insert(second, 1011)
        insert(first, 11)
        for cursor in (first, second):
            cursor.execute("ROLLBACK TO SAVEPOINT s")
        both = [threading.Thread(target=insert, args=(c, key)) for c, key in ((first, 15), (second, 1015))]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
    assert errors == [1213]
