"""An application beside a relay: transactions of several statements are told 1412 or 1213 at most; single statements nothing."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pymysql

from migrator.events import LegProgress
from tests.server.engine.kit import At, Beside, Lab, ddl, each, name
from tests.servers import until

if TYPE_CHECKING:
    from tests.servers.running import Connection

CHANGED: Final = 1412
DEADLOCK: Final = 1213
MAY_BE: Final = frozenset({CHANGED, DEADLOCK})
ROWS: Final = 12_000
OWN: Final = 400
"""Parents that one thread has to itself."""


def family(lab: Lab) -> None:
    """Parents with children that go and move with them, a trigger that counts, a named CHECK."""
    numbers = f"WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < {ROWS}) SELECT n"
    with closing(lab.connect(autocommit=True)) as connection, connection.cursor() as cursor:
        cursor.execute("SET cte_max_recursion_depth = 1000000")
        for statement in (
            "CREATE TABLE parent (id INT PRIMARY KEY, v INT NOT NULL, changes INT NOT NULL DEFAULT 0,"
            " pad VARCHAR(900) NOT NULL DEFAULT '', CONSTRAINT `not below %s` CHECK (v >= 0))",
            "CREATE TABLE child (id INT AUTO_INCREMENT PRIMARY KEY, p INT NOT NULL, w INT NOT NULL,"
            " pad VARCHAR(900) NOT NULL DEFAULT '',"
            " CONSTRAINT of_parent FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE ON UPDATE CASCADE)",
            "CREATE TRIGGER counted BEFORE UPDATE ON parent FOR EACH ROW SET NEW.changes = OLD.changes + 1",
            f"INSERT INTO parent {numbers}, 0, 0, REPEAT('x', 900) FROM r",
            f"INSERT INTO child (p, w, pad) {numbers}, 0, REPEAT('y', 900) FROM r",
        ):
            cursor.execute(statement)


class Client(threading.Thread):
    """Uses parents of its own and their children, and knows what must be there."""

    def __init__(self, lab: Lab, number: int, *, single: bool, level: str = "REPEATABLE READ") -> None:
        super().__init__(name=f"client {number}")
        self.chance = random.Random(number)
        self.single = single
        self.connection: Connection = lab.connect(autocommit=True)
        with self.connection.cursor() as cursor:
            cursor.execute(f"SET SESSION TRANSACTION ISOLATION LEVEL {level}")
        self.first = 1 + number * OWN
        self.parents: dict[int, tuple[int, int]] = {self.first + n: (0, 0) for n in range(OWN)}
        """v and changes."""
        self.children: dict[int, list[int]] = {key: [0] for key in self.parents}
        """w of each child, sorted."""
        self.errors: Counter[int] = Counter()
        self.tried_again = 0
        self.done = 0
        self.over = threading.Event()
        self.crash: BaseException | None = None

    def run(self) -> None:
        """Work until told to end."""
        try:
            while not self.over.wait(0.004):
                self.one() if self.single else self.several()
                self.done += 1
        except BaseException as error:  # noqa: BLE001 - raised by finish
            self.crash = error

    def finish(self) -> None:
        """End; raise what went wrong in here."""
        self.over.set()
        self.join()
        self.connection.close()
        if self.crash is not None:
            raise self.crash

    def ask(self, statement: str, *args: object) -> tuple[tuple[int, ...], ...]:
        """One statement."""
        with self.connection.cursor() as cursor:
            cursor.execute(statement, args)
            return tuple(cursor.fetchall())

    def check(self, key: int) -> None:
        """Read a parent and its children in one statement: they are what this client wrote."""
        found = self.ask(
            "SELECT p.v, p.changes, c.w FROM parent AS p LEFT JOIN child AS c ON c.p = p.id WHERE p.id = %s"
            " ORDER BY c.w",
            key,
        )
        must = tuple((*self.parents[key], w) for w in self.children[key]) or ((*self.parents[key], None),)
        assert found == (must if key in self.parents else ()), f"parent {key} is not as it was written"

    def some(self) -> int:
        """A parent of its own."""
        return self.chance.choice(list(self.parents))

    def one(self) -> None:
        """A single statement, of which none may fail."""
        key = self.some()
        draw = self.chance.random()
        try:
            if draw < 0.3:
                self.check(key)
            elif draw < 0.6:
                self.ask("UPDATE parent SET v = v + 1 WHERE id = %s", key)
                self.parents[key] = (self.parents[key][0] + 1, self.parents[key][1] + 1)
            elif draw < 0.8:
                self.ask("INSERT INTO child (p, w) VALUES (%s, %s)", key, self.done)
                self.children[key] = sorted([*self.children[key], self.done])
            elif draw < 0.9:
                self.ask("DELETE FROM child WHERE p = %s", key)
                self.children[key] = []
            elif len(self.parents) > OWN // 2:
                self.ask("DELETE FROM parent WHERE id = %s", key)  # and its children with it
                del self.parents[key], self.children[key]
        except pymysql.err.MySQLError as error:
            self.errors[int(error.args[0])] += 1

    def several(self) -> None:
        """A transaction that reads, thinks and writes both tables; tried again after the two errors that may be."""
        key, new = self.some(), self.done
        while True:
            try:
                self.ask("START TRANSACTION")
                self.ask("SELECT COUNT(*) FROM child WHERE p = %s", key)
                self.check(key)
                time.sleep(self.chance.uniform(0.0, 0.006))  # it thinks
                self.ask("UPDATE parent SET v = v + 1 WHERE id = %s", key)
                self.ask("INSERT INTO child (p, w) VALUES (%s, %s)", key, new)
                self.ask("COMMIT")
            except pymysql.err.MySQLError as error:
                self.errors[int(error.args[0])] += 1
                if error.args[0] not in MAY_BE:
                    raise
                self.ask("ROLLBACK")
                self.tried_again += 1
                assert self.tried_again < 200, "trying again does not help"
            else:
                break
        self.parents[key] = (self.parents[key][0] + 1, self.parents[key][1] + 1)
        self.children[key] = sorted([*self.children[key], new])


def test_a_family_in_use(lab: Lab) -> None:
    """Transactions of several statements see 1412 and 1213 and nothing else, and get through when they are tried again;
    single statements see no error; each row is as the clients were told."""
    family(lab)
    clients = [Client(lab, n, single=n >= 3, level=("READ COMMITTED", *["REPEATABLE READ"] * 4)[n]) for n in range(5)]
    for client in clients:
        client.start()
    try:
        until(lambda: min(client.done for client in clients) > 20, "everybody is at work", seconds=30)
        ran = lab.apply()
        before = [client.done for client in clients]
        until(lambda: all(c.done > b + 20 for c, b in zip(clients, before, strict=True)), "and goes on", seconds=30)
    finally:
        for client in clients:
            client.finish()
    assert ran.outcome.exit_code == 0, ran.outcome
    assert lab.encrypted("parent")
    assert lab.encrypted("child")
    assert lab.spaces() == []
    print({client.name: (client.done, dict(client.errors)) for client in clients})
    for client in clients:
        assert set(client.errors) <= (frozenset() if client.single else MAY_BE), client.errors
    parents = {key: value for client in clients for key, value in client.parents.items()}
    children = sorted((key, w) for client in clients for key, of_it in client.children.items() for w in of_it)
    last = len(clients) * OWN
    found = lab.rows("SELECT id, v, changes FROM parent WHERE id <= %s", last)
    assert {key: (v, changes) for key, v, changes in found} == parents
    assert lab.rows("SELECT p, w FROM child WHERE p <= %s ORDER BY 1, 2", last) == children
    untouched = "SELECT COUNT(*), SUM(v + changes), SUM(pad = REPEAT('x', 900)) FROM parent WHERE id > %s"
    assert lab.rows(untouched, last) == [(ROWS - last, 0, ROWS - last)]
    untouched = "SELECT COUNT(*), SUM(w), SUM(pad = REPEAT('y', 900)) FROM child WHERE p > %s"
    assert lab.rows(untouched, last) == [(ROWS - last, 0, ROWS - last)]


def test_a_snapshot_from_within_a_move_gets_1412_and_can_be_tried_again(lab: Lab) -> None:
    """It began while the server moved the table and comes to it afterwards: 1412, and the same transaction anew works."""
    family(lab)
    got: list[int] = []
    with closing(lab.connect()) as reader, reader.cursor() as cursor:

        def read() -> None:
            try:
                cursor.execute("SELECT COUNT(*) FROM child")
            except pymysql.err.MySQLError as error:
                got.append(int(error.args[0]))
            reader.rollback()
            cursor.execute("SELECT COUNT(*) FROM child")
            assert cursor.fetchone() == (ROWS,)
            reader.rollback()

        begin = At(each(LegProgress), lambda: cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT"))
        lab.apply("child", at=[begin, At(ddl("TABLESPACE = `migrator", done=True), read)]).assert_outcome("done")
    assert begin.seen
    assert got == [CHANGED]


def test_a_read_then_write_at_the_end_of_a_move_gets_1213_and_can_be_tried_again(lab: Lab) -> None:
    """It has read the table, the server waits for its last lock, and it writes: 1213, at once; tried again it works."""
    family(lab)
    got: list[int] = []
    ready, done = threading.Event(), threading.Event()
    waiting = (
        "SELECT COUNT(*) FROM performance_schema.metadata_locks WHERE OBJECT_SCHEMA = %s AND LOCK_STATUS = 'PENDING'"
        " AND LOCK_TYPE = 'EXCLUSIVE'"
    )
    with closing(lab.connect()) as writer, writer.cursor() as cursor:

        def write() -> None:
            assert ready.wait(60)
            try:
                until(lambda: lab.value(waiting, lab.schema) > 0, "the server wants the table for itself", seconds=30)
                cursor.execute("UPDATE child SET w = 1 WHERE id = 5")
            except pymysql.err.MySQLError as error:
                got.append(int(error.args[0]))
            writer.rollback()
            cursor.execute("SELECT w FROM child WHERE id = 5")
            cursor.execute("UPDATE child SET w = w + 1 WHERE id = 5")
            writer.commit()
            done.set()

        def read() -> None:
            if not ready.is_set():
                cursor.execute("SELECT w FROM child WHERE id = 5")
                ready.set()

        with Beside(write):
            ran = lab.apply("child", at=[At(each(LegProgress), read, nth=0)])
            ready.set()
    ran.assert_outcome("done")
    assert done.is_set()
    assert got == [DEADLOCK]
    assert lab.rows(f"SELECT w FROM {name('child')} WHERE id = 5") == [(1,)]
