"""Exclusive moments on a table that is never free: who is waited for, and who could be made a victim."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

import pymysql
import pytest

from migrator.engine import moment
from migrator.events import Moment, Waiting
from tests.server.engine.kit import SMALL, At, Beside, Lab, name
from tests.server.engine.test_rows import BY_NUMBER
from tests.servers import until

if TYPE_CHECKING:
    from tests.servers.running import Connection

NEVER = 1e9


class Chain:
    """Transactions of several sessions on one table, each of which ends only when the next one has begun.

    So the table has no free instant. Where the next one is held up, it ends after 10 ms all the same.
    """

    def __init__(self, lab: Lab, table: str, statements: tuple[str, ...]) -> None:
        self.errors: list[str] = []
        self.count = 0
        self._lab, self._statements = lab, statements
        self._names = name(table), lab.in_ledger(table)
        self._open: list[int] = []
        self._changed = threading.Condition()
        self._over = threading.Event()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Three of them, beside the body."""
        with ExitStack() as stack:
            stack.callback(self._over.set)
            for number in range(1, 4):
                stack.enter_context(Beside(lambda number=number: self._work(number)))  # type: ignore[misc]
            stack.callback(self._over.set)
            yield

    def _work(self, number: int) -> None:
        with closing(self._lab.connect()) as connection, connection.cursor() as cursor:
            while not self._over.is_set():
                try:
                    for statement in self._statements:
                        for place in self._names:
                            cursor.execute(statement.format(place=place, number=number))
                except pymysql.err.MySQLError as error:
                    self.errors.append(str(error))
                    connection.rollback()
                    continue
                with self._changed:
                    self._open.append(number)
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: self._open[0] == number and len(self._open) > 1, 0.01)
                    connection.commit()
                    self._open.remove(number)
                    self.count += 1


PENDING = "SELECT 1 FROM performance_schema.metadata_locks WHERE OBJECT_SCHEMA = %s AND LOCK_STATUS = 'PENDING'"

READERS = ("SELECT v FROM {place} WHERE id = {number}",)


@pytest.mark.parametrize("more", [True, False])
def test_after_a_time_readers_are_waited_for_too(lab: Lab, monkeypatch: pytest.MonkeyPatch, *, more: bool) -> None:
    """Where somebody who has only read is there at each instant, the tables are asked for in the end; not before."""
    monkeypatch.setattr(moment, "A_READER_MORE_AFTER_SECONDS", 0.3 if more else NEVER)
    monkeypatch.setattr(moment, "BLIND_AFTER_SECONDS", NEVER)
    lab.table("t", *BY_NUMBER)
    chain = Chain(lab, "t", READERS)
    with chain.at_work():
        ran = lab.apply("t", defaults=SMALL.model_copy(update={"moment_wait_seconds": 20 if more else 3}))
    assert chain.errors == []
    if not more:
        ran.assert_outcome("failed")
        assert "no free instant" in ran.step.message
        return
    ran.assert_outcome("done")
    assert all(one.waited_seconds > 0.3 for one in ran.of(Moment))
    lab.assert_done("t")


def test_nobody_who_has_read_is_risked_before(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """While free instants are still hoped for nothing waits behind who has read: he can write, and gets no error."""
    monkeypatch.setattr(moment, "A_READER_MORE_AFTER_SECONDS", NEVER)
    monkeypatch.setattr(moment, "BLIND_AFTER_SECONDS", NEVER)
    lab.table("t", *BY_NUMBER)
    plan, waits, asked = lab.plan("t"), threading.Event(), []
    with closing(lab.connect()) as reader, reader.cursor() as cursor:
        cursor.execute("SELECT v FROM t WHERE id = 1")

        def write() -> None:
            assert waits.wait(60)
            for _ in range(1000):
                asked.extend(lab.rows(PENDING, lab.schema))
                if asked:
                    break
            cursor.execute("UPDATE t SET v = v WHERE id = 1")
            reader.commit()

        with Beside(write):
            lab.apply(plan=plan, at=[At(lambda event: isinstance(event, Waiting), waits.set)]).assert_outcome("done")
    assert asked == []
    lab.assert_done("t")


def test_locks_of_a_moment_come_by_name(lab: Lab) -> None:
    """The log of `t` is ours already while `t` is still waited for: so whoever writes to `t` then would wait for us."""
    lab.run("CREATE TABLE t (id INT PRIMARY KEY)")
    lab.run("CREATE TABLE _t_log (id INT)")
    lab.run("CREATE TRIGGER one AFTER INSERT ON t FOR EACH ROW INSERT INTO _t_log VALUES (NEW.id)")
    with closing(lab.connect()) as reader, closing(lab.connect()) as ours, reader.cursor() as cursor:
        cursor.execute("SELECT 1 FROM t WHERE FALSE")
        held = (
            "SELECT OBJECT_NAME, LOCK_STATUS FROM performance_schema.metadata_locks m JOIN performance_schema.threads t"
            " ON t.THREAD_ID = m.OWNER_THREAD_ID WHERE PROCESSLIST_ID = %s AND OBJECT_TYPE = 'TABLE' AND OBJECT_SCHEMA = %s"
        )
        with Beside(lambda: run_in(ours, "LOCK TABLES t WRITE, _t_log WRITE")):
            try:
                wanted = [("_t_log", "GRANTED"), ("t", "PENDING")]
                until(lambda: sorted(lab.rows(held, ours.thread_id(), lab.schema)) == wanted, "it waits for t alone")
            finally:
                reader.rollback()


def run_in(connection: Connection, statement: str) -> None:
    """Run it there."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
