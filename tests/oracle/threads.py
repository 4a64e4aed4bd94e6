"""The application's threads that own no rows: readers, and one who cuts links; and what all threads have in common."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pymysql

from tests.oracle.hand import Hand, Seen
from tests.oracle.ledger import Estate, difference, read
from tests.oracle.stage import Stage

if TYPE_CHECKING:
    from tests.servers.running import Connection


CHANGED: Final = 1412
"""A snapshot that is older than the end of a relay's move."""


class Thread(threading.Thread):
    """A thread that works until it is told to end; what it raises is raised by `finish`."""

    def __init__(self, label: str, stage: Stage, seen: Seen) -> None:
        super().__init__(name=label)
        self.stage = stage
        self.seen = seen
        self.ending = threading.Event()
        self._error: BaseException | None = None

    def run(self) -> None:
        """Work; keep the error."""
        try:
            while not self.ending.is_set():
                self.once()
        except BaseException as error:  # noqa: BLE001 - raised by finish
            self._error = error

    def once(self) -> None:
        """One piece of work."""
        raise NotImplementedError

    def finish(self) -> None:
        """Have it end after its present transaction; raise what it raised."""
        self.ending.set()
        self.join()
        if self._error is not None:
            raise self._error


class Reader(Thread):
    """Reads the whole table twice in one snapshot, which must be the same; perhaps first after the run has gone on."""

    def __init__(
        self, connect: Callable[[], Connection], estate: Estate, chance: random.Random, stage: Stage, seen: Seen
    ) -> None:
        super().__init__(type(self).__name__.lower(), stage, seen)
        self.connection = connect()
        self.estate = estate
        self.chance = chance
        self.reads = 0

    def once(self) -> None:
        """One transaction."""
        with self.connection.cursor() as cursor:
            try:
                cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
                if self.chance.random() < 0.2:
                    self.stage.hold(0.4, moments=1)
                first = read(cursor, self.estate.schema)
                self.ending.wait(self.chance.uniform(0, 0.05))
                second = read(cursor, self.estate.schema)
                cursor.execute("COMMIT")
            except pymysql.err.MySQLError as error:
                if self.estate.schema.relayed and error.args[0] == CHANGED:
                    self.seen.met_relay.append(f"{CHANGED} in {self.stage.phase}")
                else:
                    self.seen.errors.append(f"reader, phase {self.stage.phase}: {error}")
                self.connection.rollback()
                return
        self.reads += 1
        if odd := difference(first, second):
            self.seen.wrong.append(f"a snapshot that was read twice: {odd}")
        if lost := set(self.estate.expected()) - set(first):
            self.seen.wrong.append(f"a snapshot without rows that nobody touches: {sorted(lost)[:2]}")
        self.ending.wait(self.chance.uniform(0.05, 0.2))


class Witness(Reader):
    """Takes a snapshot while rows are copied, and reads for the first time when the swap is due."""

    def once(self) -> None:
        """One such transaction, and no other."""
        self.stage.reach("copy", "index", "move-in")
        with self.connection.cursor() as cursor:
            try:
                cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
                self.stage.reach("swap", "clean", "out-wait")
                self.stage.hold(0.4, moments=1)
                found = read(cursor, self.estate.schema)
                cursor.execute("COMMIT")
            except pymysql.err.MySQLError as error:
                if self.estate.schema.relayed and error.args[0] == CHANGED:
                    self.seen.met_relay.append(f"{CHANGED} in {self.stage.phase}")
                else:
                    self.seen.errors.append(f"witness, phase {self.stage.phase}: {error}")
                self.connection.rollback()
            else:
                self.reads += 1
                if lost := set(self.estate.expected()) - set(found):
                    self.seen.wrong.append(f"an old snapshot without rows that nobody touches: {sorted(lost)[:2]}")
        self.ending.wait()


class Cutter(Thread):
    """Ends connections of the writers at any moment, COMMIT included."""

    def __init__(
        self, connect: Callable[[], Connection], hands: Sequence[Hand], chance: random.Random, stage: Stage, seen: Seen
    ) -> None:
        super().__init__("cutter", stage, seen)
        self.connect = connect
        self.hands = hands
        self.chance = chance

    def once(self) -> None:
        """One connection."""
        if self.ending.wait(self.chance.uniform(0.02, 0.2)):
            return
        hand = self.chance.choice(self.hands)
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            try:
                cursor.execute(f"KILL {hand.connection.thread_id()}")
            except pymysql.err.MySQLError as error:
                if error.args[0] != 1094:  # no such thread any more
                    raise
