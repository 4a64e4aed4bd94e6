"""The application's threads: those that write by the clock, and one that reports from old snapshots."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import pymysql

from tests.demo import company
from tests.demo.estate import Estate, names
from tests.demo.habits import something
from tests.demo.latency import Sample
from tests.demo.shapes import Account, Row
from tests.demo.statements import Work, read_back

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

    Connection = pymysql.connections.Connection[Cursor]

WEIGHTS: Final[Mapping[str, int]] = {"shop.events": 8, "shop.orders": 8, "shop.order_lines": 6, "shop.customers": 5}
"""How often a table is chosen; the others by their size."""
LARGE_WEIGHT: Final = 4
SMALL_WEIGHT: Final = 2
ROLLED_BACK: Final = 0.05
LINK_LOST: Final = frozenset({0, 2006, 2013, 2055, 1053, 1080, 1158, 1160, 1161, 4031})
"""After these nobody knows whether the statement happened."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """An error of the server, as it came. No text: it could hold values."""

    at: str
    """UTC."""
    at_seconds: float
    """Since the application started."""
    period: str
    number: int
    table: str
    doing: str


@dataclass(slots=True)
class Shared:
    """What the threads have in common."""

    account: Account
    started: float = 0.0
    stop: threading.Event = field(default_factory=threading.Event)
    period: str = ""

    def seconds(self) -> float:
        """Since the application started."""
        return time.monotonic() - self.started


class Thread(threading.Thread):
    """A thread with a connection of its own; what it saw is read when it has ended."""

    def __init__(self, shared: Shared, number: int, estates: Mapping[str, Estate], seed: int) -> None:
        super().__init__(name=f"application {number}")
        self.shared = shared
        self.number = number
        self.estates = estates
        self.chance = random.Random(f"{seed}.{number}")
        self.samples: list[Sample] = []
        self.troubles: list[Trouble] = []
        self.wrong: list[str] = []
        self.tables: Counter[str] = Counter()
        self.habits: Counter[str] = Counter()
        self.crash: BaseException | None = None
        self.connection: Connection = shared.account.connect()

    def run(self) -> None:
        """Work until stopped; a mistake of our own stops the whole application."""
        try:
            self.work()
        except BaseException as error:  # noqa: BLE001 - the main thread raises it
            self.crash = error
            self.shared.stop.set()
        finally:
            with contextlib.suppress(pymysql.err.MySQLError):
                self.connection.close()

    def work(self) -> None:
        """What the thread is for."""
        raise NotImplementedError

    def trouble(self, error: pymysql.err.MySQLError, table: str, doing: str) -> int:
        """Count an error; its number."""
        number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        seconds = round(self.shared.seconds(), 3)
        self.troubles.append(Trouble(at, seconds, self.shared.period, number, table, doing))
        return number

    def connect_again(self) -> bool:
        """A new connection for the one that was lost; False if the application is stopped before one is there."""
        while True:
            try:
                self.connection = self.shared.account.connect()
            except pymysql.err.MySQLError as error:
                self.trouble(error, "", "connect")
                if self.shared.stop.wait(0.25):
                    return False
            else:
                return True


class Writer(Thread):
    """Reads, thinks, writes; `rate` transactions a second, at random moments, as those of people are.

    By the clock: evenly spaced ones of several threads would keep a table in use without an instant between them, or
    leave it alone at regular ones, depending on the rate.
    """

    def __init__(
        self, shared: Shared, number: int, estates: Mapping[str, Estate], seed: int, *, rate: float, threads: int
    ) -> None:
        super().__init__(shared, number, estates, seed)
        self.rate = rate / threads
        self.names = names(seed, number)
        self.choices = list(estates)
        self.weights = [
            WEIGHTS.get(table, LARGE_WEIGHT if table in company.LARGE else SMALL_WEIGHT) for table in estates
        ]

    def work(self) -> None:
        """One transaction after the other, each when it is due or as soon as the one before allows it."""
        due = self.shared.started
        while True:
            due += self.chance.expovariate(self.rate)
            early = due - time.monotonic()
            if self.shared.stop.wait(early) if early > 0 else self.shared.stop.is_set():
                return
            period = self.shared.period
            outcome, pause = self.transact()
            latency = time.monotonic() - due - pause
            self.samples.append(Sample(period, self.shared.seconds(), latency, outcome))

    def transact(self) -> tuple[str, float]:
        """One transaction; its outcome, and the seconds that it paused by itself."""
        (table,) = self.chance.choices(self.choices, self.weights)
        self.tables[table] += 1
        doing, pause = "connect", 0.0
        work: Work | None = None
        try:
            work = Work(self.connection.cursor(), self.chance, self.estates, self.names)
            estate = work.estate(table)
            doing = "read"
            for key in self.some_keys(estate):
                read_back(work, estate, key)
            began = time.monotonic()
            time.sleep(self.chance.uniform(0.005, 0.010))
            pause = time.monotonic() - began
            for _ in range(self.chance.choice((1, 1, 1, 2, 3))):
                doing = "write"
                self.habits[something(work, estate)] += 1
            if self.chance.random() < 0.3:
                (other,) = self.chance.choices(self.choices, self.weights)
                self.tables[other] += 1
                table, doing = other, "write a second table"
                self.habits[something(work, work.estate(other))] += 1
            if self.chance.random() < 0.2:
                doing = "read again"
                for key in self.some_keys(estate):
                    read_back(work, estate, key)
            if self.chance.random() < ROLLED_BACK:
                doing = "rollback"
                self.connection.rollback()
                self.undo(work)
                return "rolled back", pause
            doing = "commit"
            self.connection.commit()
        except pymysql.err.MySQLError as error:
            number = self.trouble(error, table, doing)
            if work is not None:
                self.after_error(work, number, doing)
            return "failed", pause
        finally:
            if work is not None:
                self.wrong += work.wrong
        return "committed", pause

    def some_keys(self, estate: Estate) -> list[Row]:
        """Keys to read: of rows that are there, that are not, and that are new."""
        keys = estate.known()
        return self.chance.sample(keys, min(len(keys), self.chance.randint(1, 4)))

    def undo(self, work: Work) -> None:
        """The estates as they were before this transaction."""
        for table, before in work.touched.items():
            self.restore(self.estates[table], before)

    @staticmethod
    def restore(estate: Estate, before: Estate) -> None:
        """Put the contents of one estate into another."""
        for of in dataclasses.fields(Estate):
            setattr(estate, of.name, getattr(before, of.name))

    def after_error(self, work: Work, number: int, doing: str) -> None:
        """The transaction's effects are not in the ledger, unless its COMMIT turns out to have happened."""
        if number not in LINK_LOST:
            try:
                self.connection.rollback()
            except pymysql.err.MySQLError as error:
                number = self.trouble(error, "", "rollback")
            else:
                self.undo(work)
                return
        lost = self.connection.thread_id()
        with contextlib.suppress(pymysql.err.MySQLError):
            self.connection.close()
        while self.connect_again():
            try:
                self.await_end(lost)
                if doing == "commit" and self.happened(work):
                    return
                break
            except pymysql.err.MySQLError as error:
                self.trouble(error, "", "look after a lost commit")
        self.undo(work)

    def await_end(self, lost: int) -> None:
        """Until the server has ended the session that was lost: its COMMIT can go on, and happen, long after that.

        10 s at most: after a restart of the server another session can have its number.
        """
        until_seconds = time.monotonic() + 10
        with self.connection.cursor() as cursor:
            while time.monotonic() < until_seconds:
                if not cursor.execute("SELECT 1 FROM information_schema.PROCESSLIST WHERE ID = %s", (lost,)):
                    break
                time.sleep(0.01)
        self.connection.rollback()

    def happened(self, work: Work) -> bool:
        """After a lost COMMIT: look. The rows are this thread's alone, so they tell."""
        looked = Work(self.connection.cursor(), self.chance, self.estates, self.names)
        for table, before in work.touched.items():
            estate, then = self.estates[table], before.owned()
            for key in {*estate.known(), *(then.keys() - estate.respelled)}:
                if estate.at(key) != then.get(key):
                    read_back(looked, estate, key)
        self.connection.rollback()
        return not looked.wrong


class Reporter(Thread):
    """Takes a snapshot, waits, and only then reads: every table must show rows as they were all along."""

    def __init__(
        self, shared: Shared, number: int, estates: Mapping[str, Estate], seed: int, *, every: float, held: float
    ) -> None:
        super().__init__(shared, number, estates, seed)
        self.every = every
        self.held = held
        self.reports = 0

    def work(self) -> None:
        """A report every few seconds."""
        while not self.shared.stop.wait(self.every):
            table = ""
            try:
                cursor = self.connection.cursor()
                cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
                self.shared.stop.wait(self.held)
                work = Work(cursor, self.chance, self.estates, names(0, 0))
                for table in self.chance.sample(list(self.estates), len(self.estates)):
                    for key in self.estates[table].rows:
                        read_back(work, self.estates[table], key)
                self.connection.commit()
                self.wrong += work.wrong
                self.reports += 1
            except pymysql.err.MySQLError as error:
                number = self.trouble(error, table, "report")
                if number in LINK_LOST and not self.connect_again():
                    return
