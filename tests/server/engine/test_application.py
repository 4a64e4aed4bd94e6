"""The application notices nothing: no error, no other answer, no long wait."""

from __future__ import annotations

import random
import threading
from contextlib import closing
from time import monotonic

import pymysql

from migrator.events import ChunkCopied, RunEnded
from migrator.planner.plan import Defaults
from tests.server.engine.kit import WEIRD, At, Beside, Lab, Row, ddl, each, name, phase
from tests.server.engine.test_rows import BY_NUMBER, NUMBERS

MOST_VICTIMS = 1
"""Of exclusive moments, in a migration: docs/how-it-works.md says how often one comes, and of what."""


class Shop:
    """Read-then-write transactions at REPEATABLE READ, about so many a second; each error and each duration is kept.

    `rows` is how many the table has, from 1 on. Beyond them all share one gap, in which two of these would deadlock
    each other.
    """

    def __init__(self, lab: Lab, table: str, seed: int, per_second: float, *, rows: int) -> None:
        self.errors: list[str] = []
        self.seconds: list[float] = []
        self._lab, self._table, self._ledger = lab, name(table), lab.in_ledger(table)
        self._random, self._pairs = random.Random(seed), rows // 2
        self._seed, self._pause = seed, 1 / per_second
        self.over = threading.Event()
        self._row_deadlocks = lab.row_deadlocks()

    @property
    def faults(self) -> list[str]:
        """The errors that must not be. Of deadlocks of metadata locks `MOST_VICTIMS` may be; InnoDB knows nothing of these."""
        met = [] if self._lab.row_deadlocks() > self._row_deadlocks else [e for e in self.errors if "(1213," in e]
        return [e for e in self.errors if e not in met[:MOST_VICTIMS]]

    def work(self) -> None:
        """Trade until it is over. Two of these never touch each other's rows: what they meet is us."""
        with closing(self._lab.connect()) as connection, connection.cursor() as cursor:
            number = 0
            while not self.over.wait(self._pause):
                number += 1
                mine = self._random.randrange(self._pairs) * 2 + self._seed % 2
                other = (mine * 7 + self._seed) % self._pairs * 2 + self._seed % 2
                began = monotonic()
                try:
                    cursor.execute(f"SELECT v, u FROM {self._table} WHERE id IN ({mine}, {other})")
                    cursor.fetchall()
                    for place in (self._table, self._ledger):
                        cursor.execute(f"UPDATE {place} SET v = 'sold {number}', w = w + 1 WHERE id = {mine}")
                        cursor.execute(f"DELETE FROM {place} WHERE id = {other}")
                        new = 1_000_000 + number * 2 + self._seed % 2
                        cursor.execute(f"INSERT INTO {place} (id, u, v, w) VALUES ({new}, {new}, 'new', 0)")
                    connection.commit()
                except pymysql.err.MySQLError as error:
                    self.errors.append(f"transaction {number}: {error}")
                    connection.rollback()
                self.seconds.append(monotonic() - began)


def test_a_busy_shop_sees_no_error(lab: Lab) -> None:
    """100 transactions a second beside a whole migration: no error but what an exclusive moment may, no long wait, no lost row."""
    definition = BY_NUMBER[0].replace("VARCHAR(80)", "VARCHAR(120)")
    lab.table("t", definition, f"SELECT n, n, REPEAT('x', 100), n % 7 FROM ({NUMBERS.format(250_000)}) AS many")
    shops = [Shop(lab, "t", seed, 50, rows=250_000) for seed in (1, 2)]
    plan = lab.plan("t", defaults=Defaults(workers=2, chunk_time_seconds=0.2))
    with Beside(shops[0].work), Beside(shops[1].work):
        try:
            ran = lab.apply(plan=plan)
        finally:
            for shop in shops:
                shop.over.set()
    ran.assert_outcome("done")
    assert [e for shop in shops for e in shop.faults] == []
    assert sum(len(shop.errors) for shop in shops) <= MOST_VICTIMS
    seconds = sorted(s for shop in shops for s in shop.seconds)
    assert len(seconds) > 100
    assert seconds[-1] < 2.0
    assert seconds[len(seconds) * 95 // 100] < 0.5
    lab.assert_done("t")


STATEMENTS = (
    "INSERT INTO {t} (u, v) VALUES (70001, 'a')",
    "INSERT INTO {t} (u, v) VALUES (70002, 'b'), (70003, 'c'), (70004, 'd')",
    "UPDATE {t} SET v = 'e' WHERE u BETWEEN 70001 AND 70003",
    "UPDATE {t} SET v = 'e' WHERE u BETWEEN 70001 AND 70004",
    "INSERT INTO {t} (u, v) VALUES (70004, 'x') AS n ON DUPLICATE KEY UPDATE v = n.v",
    "INSERT INTO {t} (u, v) VALUES (70004, 'x') AS n ON DUPLICATE KEY UPDATE v = n.v",
    "REPLACE INTO {t} (u, v) VALUES (70004, 'y'), (70005, 'z')",
    "INSERT IGNORE INTO {t} (u, v) VALUES (70005, 'again'), (70006, 'new')",
    "UPDATE IGNORE {t} SET u = 70001 WHERE u IN (70002, 70003)",
    "INSERT INTO {t} (u, v) VALUES (70001, 'duplicate')",
    "UPDATE {t} SET v = REPEAT('long', 100) WHERE u = 70001",
    "INSERT IGNORE INTO {t} (u, v) VALUES (70007, REPEAT('long', 100))",
    "UPDATE {t} SET id = id + 5000000 WHERE u = 70007",
    "DELETE FROM {t} WHERE u = 70006",
    "DELETE FROM {t} WHERE u > 70000",
    "DELETE FROM {t} WHERE u > 70000",
)


def answers(lab: Lab, table: str) -> list[Row]:
    """What the server says to a session about each statement: rows, LAST_INSERT_ID, ROW_COUNT, warnings, errors."""
    found: list[Row] = []
    with closing(lab.connect(autocommit=True)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT LAST_INSERT_ID(424242)")
        first: int | None = None
        for statement in STATEMENTS:
            try:
                affected: object = cursor.execute(statement.replace("{t}", name(table)))
            except pymysql.err.MySQLError as error:
                affected = error.args[0]
            packet_id = cursor.lastrowid
            cursor.execute("SHOW WARNINGS")
            warnings = [(row[0], row[1]) for row in cursor.fetchall()]
            cursor.execute(statement.replace("{t}", name(table)) if statement.startswith("DELETE") else "DO 0")
            cursor.execute("SELECT LAST_INSERT_ID(), ROW_COUNT()")
            last, count = cursor.fetchone() or (0, 0)
            if first is None:
                first = int(last) - 1
            relative = [int(i) - first if int(i) > first and i != 424242 else i for i in (packet_id or 0, last)]
            found.append((statement, affected, *relative, count, warnings))
    return found


def test_answers_stay_the_same(lab: Lab) -> None:
    """Affected rows, LAST_INSERT_ID(), ROW_COUNT() and warnings are the same without triggers, with either set, and after."""
    lab.table(WEIRD, *BY_NUMBER)
    expected = answers(lab, WEIRD)
    seen: dict[str, list[Row]] = {}
    moments = {"logged": each(ChunkCopied), "mirrored": phase("verify"), "swapped": each(RunEnded)}
    at = [At(when, lambda word=word: seen.update({word: answers(lab, WEIRD)})) for word, when in moments.items()]  # type: ignore[misc]
    lab.apply(WEIRD, at=at).assert_outcome("done")
    assert set(seen) == set(moments)
    for word, got in seen.items():
        assert got == expected, word


def test_a_table_without_auto_increment_keeps_last_insert_id(lab: Lab) -> None:
    """The log has an AUTO_INCREMENT of its own, which the application never gets to see."""
    lab.table(
        "t", "(k VARCHAR(20) PRIMARY KEY, v INT)", f"SELECT CONCAT('k', n), n FROM ({NUMBERS.format(1500)}) AS many"
    )
    seen: list[Row] = []

    def insert() -> None:
        with closing(lab.connect(autocommit=True)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT LAST_INSERT_ID(77)")
            cursor.execute(f"INSERT INTO t VALUES ('new{len(seen)}', 1)")
            packet = cursor.lastrowid
            cursor.execute("SELECT LAST_INSERT_ID(), @@identity")
            seen.append((packet, *(cursor.fetchone() or ())))

    insert()
    at = [At(each(ChunkCopied), insert), At(phase("verify"), insert), At(phase("clean"), insert)]
    lab.apply("t", at=at).assert_outcome("done")
    assert len(seen) == 4
    assert len(set(seen)) == 1


def test_an_application_needs_no_right_on_what_we_make(lab: Lab) -> None:
    """An account that may use this one table only, writes through every phase."""
    lab.table("t", *BY_NUMBER)
    user = f"{lab.schema}_app"
    lab.run(
        f"CREATE USER {user} IDENTIFIED BY 'pw'", f"GRANT SELECT, INSERT, UPDATE, DELETE ON {lab.schema}.t TO {user}"
    )
    try:
        with closing(lab.server.connect(user=user, password="pw", database=lab.schema)) as connection:

            def write() -> None:
                with connection.cursor() as cursor:
                    cursor.execute("INSERT INTO t (id, v) VALUES (99999, 'x')")
                    cursor.execute("UPDATE t SET id = 99998 WHERE id = 99999")
                    cursor.execute("DELETE FROM t WHERE id = 99998")

            moments = [each(ChunkCopied), ddl("ADD UNIQUE"), phase("verify"), phase("clean"), each(RunEnded)]
            lab.apply("t", at=[At(when, write) for when in moments]).assert_outcome("done")
        lab.assert_done("t")
    finally:
        lab.run(f"DROP USER {user}")


def test_lock_tables_and_safe_updates_of_the_application(lab: Lab) -> None:
    """LOCK TABLES t WRITE, savepoints and sql_safe_updates of the application work while its changes are followed."""
    lab.table("t", *BY_NUMBER)

    def use() -> None:
        with lab.application("t") as app:
            app.query("SET sql_safe_updates = 1")
            app.write(
                "SAVEPOINT a",
                "UPDATE {t} SET w = w + 1 WHERE id = 60",
                "SAVEPOINT b",
                "DELETE FROM {t} WHERE id = 70",
                "ROLLBACK TO b",
            )
            app.query("LOCK TABLES {t} WRITE")
            app.query("UPDATE {t} SET v = 'locked' WHERE id = 80")
            app.query("UNLOCK TABLES")
            app.query(f"UPDATE {lab.in_ledger('t')} SET v = 'locked' WHERE id = 80")
            app.connection.commit()

    ran = lab.apply("t", at=[At(each(ChunkCopied), use, 2), At(phase("verify"), use)])
    ran.assert_outcome("done")
    lab.assert_done("t")


def test_one_who_goes_back_to_a_savepoint_holds_up_nobody(lab: Lab) -> None:
    """What a transaction has logged and taken back leaves a locked gap in the log; nobody else appends in that gap."""
    lab.table("t", *BY_NUMBER)
    counts: list[int] = []

    def go_back_while_another_writes() -> None:
        with lab.application("t") as one, lab.application("t") as other:
            one.query("UPDATE {t} SET w = w + 1 WHERE id = 300")
            one.query("SAVEPOINT here")
            one.query("UPDATE {t} SET w = w + 1 WHERE id = 100")
            one.query("ROLLBACK TO SAVEPOINT here")
            other.query("SET innodb_lock_wait_timeout = 1")
            other.write("UPDATE {t} SET w = w + 1 WHERE id = 200")
            counts.append(len(other.query("SELECT 1 FROM {t} WHERE id = 200")))
            one.connection.rollback()

    moments = [each(ChunkCopied), phase("index"), phase("verify")]
    ran = lab.apply("t", at=[At(when, go_back_while_another_writes) for when in moments])
    ran.assert_outcome("done")
    assert len(counts) == 3
    lab.assert_done("t")
