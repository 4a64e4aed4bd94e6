"""The application's threads that write, each to a stretch of its own, and one that has numbers given."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Final

import pymysql

from tests.oracle.habits import HABITS, Habit, change, look, remove
from tests.oracle.hand import LINK_LOST, Hand, UnexpectedAnswer
from tests.oracle.ledger import COUNTED, Estate, Row, difference, read
from tests.oracle.meetings import insert_ignore, load, refused, replace_, update_ignore, upsert
from tests.oracle.stage import Stage
from tests.oracle.threads import Thread
from tests.oracle.work import Work

ISOLATION: Final = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")


DEADLOCK: Final = 1213
OF_RELAYS: Final = frozenset({1412, DEADLOCK})
"""Errors that a transaction of several statements can get from the end of a move."""
EXCLUSIVE: Final = frozenset({"log", "mirror", "swap", "rollback"})
"""Phases with an exclusive moment."""

MEETING: Final[frozenset[Habit]] = frozenset({replace_, upsert, insert_ignore, update_ignore, refused, load})
"""Habits whose statements meet duplicates."""

EVERY: Final = 12
"""One of so many transactions of the patient writer stays open for long."""


class Writer(Thread):
    """Does transactions on its own stretch. With `patient`, some stay open across what the run does meanwhile."""

    def __init__(
        self, number: int, hand: Hand, estate: Estate, chance: random.Random, stage: Stage, *, patient: bool
    ) -> None:
        super().__init__(f"writer {number}", stage, hand.seen)
        self.number = number
        self.hand = hand
        self.chance = chance
        self.estate = estate
        self.work = Work(hand, estate, chance)
        self.habits: Sequence[Habit] = HABITS
        self.patient = patient
        self.count = 0
        self.chosen_seconds = 0.0
        self.single = False
        """Each statement commits by itself now."""

    def once(self) -> None:
        """One transaction, and a short pause."""
        self.count += 1
        self.chosen_seconds, began, before = 0.0, time.monotonic(), dict(self.estate.rows)
        try:
            self.transact(before)
        except pymysql.err.MySQLError as error:
            self.recover(error, before)
        self.seen.seconds.append(time.monotonic() - began - self.chosen_seconds)
        self.seen.phases[self.stage.phase] += 1
        # The encryption of a tablespace is never sent but in an instant without anybody, so there have to be some.
        self.ending.wait(self.chance.uniform(0.0, 0.1 if self.estate.schema.relayed else 0.012))

    # -- kinds of transactions

    def transact(self, before: dict[int, Row]) -> None:
        """A transaction of any kind."""
        self.hand.quietly(f"SET SESSION TRANSACTION ISOLATION LEVEL {self.chance.choice(ISOLATION)}")
        draw = self.chance.random()
        self.single = False
        if self.patient and self.count % EVERY == 0:
            self.chance.choice((self.idle, self.busy, self.prepared))(before)
        elif draw < 0.15 and not self.hand.cut_on_purpose.is_set():
            self.single = True
            self.do_some(1)  # each statement is a transaction, so after a lost link there could be half of a habit
        elif draw < 0.25:
            self.prepared(before)
        else:
            self.hand.quietly(self.chance.choice(("START TRANSACTION", "BEGIN")))
            self.do_some(self.chance.randint(1, 5))
            self.end(before)

    def do_some(self, count: int) -> None:
        """Some habits, perhaps with a savepoint to go back to."""
        for _ in range(count):
            habit = self.chance.choice([h for h in self.habits if h not in MEETING] if self.stage.calm else self.habits)
            if count > 1 and self.chance.random() < 0.2:
                rows = dict(self.estate.rows)
                self.hand.quietly("SAVEPOINT here")
                habit(self.work)
                if self.chance.random() < 0.7:
                    self.hand.quietly("ROLLBACK TO SAVEPOINT here")
                    self.restore(rows)
            else:
                habit(self.work)
            self.seen.habits[habit.__name__] += 1

    def end(self, before: dict[int, Row]) -> None:
        """COMMIT or ROLLBACK."""
        if self.chance.random() < 0.15:
            self.hand.quietly("ROLLBACK")
            self.restore(before)
        else:
            self.hand.quietly("COMMIT")

    def hold(self, seconds: float, **what: int) -> None:
        """Stay as it is until the run has gone on."""
        self.chosen_seconds += self.stage.hold(seconds, **what)

    def idle(self, before: dict[int, Row]) -> None:
        """A snapshot that was taken before one of our transitions and is used for the first time after it."""
        self.hand.quietly("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        self.hand.quietly("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        self.hold(1.5, moments=1, waits=1)
        look(self.work)
        self.do_some(3)
        look(self.work)
        self.end(before)

    def busy(self, before: dict[int, Row]) -> None:
        """A transaction that has used the table and stays open while we want it."""
        self.hand.quietly("START TRANSACTION")
        self.do_some(2)
        self.hold(0.7, waits=1)
        self.do_some(2)
        self.end(before)

    def prepared(self, before: dict[int, Row]) -> None:
        """An XA transaction, which is decided some time after it was prepared."""
        xid = f"'oracle{self.number}.{self.count}'"
        self.hand.quietly(f"XA START {xid}")
        self.do_some(self.chance.randint(1, 3))
        self.hand.quietly(f"XA END {xid}")
        self.hand.quietly(f"XA PREPARE {xid}")
        if self.patient and self.count % EVERY == 0:
            self.hold(0.7, waits=1)
        if self.chance.random() < 0.2:
            self.hand.quietly(f"XA ROLLBACK {xid}")
            self.restore(before)
        else:
            self.hand.quietly(f"XA COMMIT {xid}")

    # -- errors

    def restore(self, rows: dict[int, Row]) -> None:
        """The ledger as it was."""
        self.estate.rows.clear()
        self.estate.rows.update(rows)

    def recover(self, error: pymysql.err.MySQLError, before: dict[int, Row]) -> None:
        """After an error: count it, unless it is a link that was cut on purpose, and look what has become of the rows."""
        number = int(error.args[0]) if error.args and isinstance(error.args[0], int) else 0
        if number in LINK_LOST and self.hand.cut_on_purpose.is_set():
            self.seen.cuts += 1
        elif number == DEADLOCK and self.of_the_hidden_index():
            self.seen.by_themselves.append(self.stage.phase)
        elif number == DEADLOCK and self.stage.phase in EXCLUSIVE and not (rows := self.of_a_deadlock()):
            self.seen.collisions.append(self.stage.phase)
        elif number in OF_RELAYS and self.of_a_relay() and not (number == DEADLOCK and self.of_a_deadlock()):
            self.seen.met_relay.append(f"{number} in {self.stage.phase}")
        else:
            rows = self.of_a_deadlock() if number == DEADLOCK else ""
            self.seen.errors.append(f"{self.name}, phase {self.stage.phase}: {error}{rows}")
        while True:
            try:
                self.look_up(before)
                return
            except pymysql.err.MySQLError:
                if not self.hand.cut_on_purpose.is_set():
                    raise
                self.seen.cuts += 1

    def of_a_relay(self) -> bool:
        """True for a transaction of several statements on a table that is relayed: no other may see such errors."""
        return self.estate.schema.relayed and not self.single

    def of_a_deadlock(self) -> str:
        """What InnoDB says of a deadlock of rows; '' if it was one of metadata locks, of which InnoDB knows nothing."""
        if self.deadlocks() == self.seen.deadlocks_before:
            return ""
        with closing(self.hand.beside()) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW ENGINE INNODB STATUS")
            text = str((cursor.fetchone() or ("", "", ""))[2])
        return "\n" + text.partition("LATEST DETECTED DEADLOCK")[2].partition("\nTRANSACTIONS")[0]

    def of_the_hidden_index(self) -> bool:
        """True if two transactions have met in the index that a table with FULLTEXT has for its hidden column: see
        tests/server/oracle/test_known.py. Every thread's rows are neighbours there."""
        indexes = set(re.findall(r" index (.+?) of table ", self.of_a_deadlock()))
        if indexes != {"FTS_DOC_ID_INDEX"}:
            return False
        self.seen.deadlocks_before = self.deadlocks()
        return True

    def deadlocks(self) -> int:
        """How many deadlocks of rows the server has seen."""
        # The transaction's own connection answers nothing before an XA ROLLBACK (1614).
        with closing(self.hand.beside()) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT COUNT FROM information_schema.INNODB_METRICS WHERE NAME = 'lock_deadlocks'")
            return int((cursor.fetchone() or (0,))[0])

    def look_up(self, before: dict[int, Row]) -> None:
        """Ask a new connection for the outcome; the rows are this thread's alone, so they tell. Never guessed."""
        self.hand.again()
        xid = f"oracle{self.number}.{self.count}"
        with self.hand.connection.cursor() as cursor:
            cursor.execute("XA RECOVER")
            prepared = xid in {row[3] for row in cursor.fetchall()}
            if prepared:
                cursor.execute(f"XA COMMIT '{xid}'")
            keys = sorted({*before, *self.estate.rows, *self.estate.keys})
            found = read(cursor, self.estate.schema, f"{self.work.by_key} WHERE {self.estate.where(*keys)}")
        if found == self.estate.expected():
            self.seen.looked_up["prepared, then committed" if prepared else "committed"] += 1
            return
        self.restore(before)
        self.seen.looked_up["not committed"] += 1
        if odd := difference(self.estate.expected(), found):
            raise UnexpectedAnswer(f"after a lost link the rows are neither as before nor as after: {odd}")


class Counter(Writer):
    """Inserts rows without a number: the next one is known, for nobody else inserts beyond the last place."""

    def __init__(
        self, number: int, hand: Hand, estate: Estate, chance: random.Random, stage: Stage, *, next_id: int
    ) -> None:
        super().__init__(number, hand, estate, chance, stage, patient=False)
        self.next_id = next_id
        self.fewest = next_id
        """No number below was never in a row: it must not come again."""
        self.set_back = 0
        """How often a number came again that no row ever had: the swap may forget those."""
        self.habits = (self.numbered, self.numbered, self.numbered, self.burned, change, remove, look)

    def numbered(self, work: Work) -> bool:
        """INSERT without numbers; the first of them is answered and is LAST_INSERT_ID()."""
        rows: list[Row] = []
        for _ in range(self.chance.randint(1, 3)):
            row = self.estate.new_row(self.chance, rows)
            rows += [row] if row is not None else []
        if not rows:
            return False
        made = self.hand.do(
            f"INSERT INTO {work.table} ({work.columns}) VALUES {', '.join(map(self.unnumbered, rows))}",
            affected=len(rows),
            inserted_id=range(self.fewest, self.next_id + 1),
        )
        with self.hand.connection.cursor() as cursor:
            cursor.execute("SELECT LAST_INSERT_ID()")
            if cursor.fetchone() != (made,):
                self.seen.wrong.append(f"LAST_INSERT_ID() is not {made}")
        self.set_back += made < self.next_id
        self.estate.rows.update({COUNTED + made + n: row for n, row in enumerate(rows)})
        self.next_id = self.fewest = made + len(rows)
        return True

    def unnumbered(self, row: Row) -> str:
        """The row in VALUES, with NULL for its number."""
        return f"({', '.join(['NULL', *self.estate.literals(COUNTED, row)[1:]])})"

    def burned(self, work: Work) -> bool:
        """INSERT IGNORE of a duplicate takes a number that no row gets."""
        row = None if self.stage.calm else self.estate.new_row(self.chance)
        held = self.estate.held(0) if self.estate.schema.uniques else {}
        if not held or row is None:
            return False
        taken = self.estate.any_unique(self.chance, 0, sorted(held))
        values = self.unnumbered(replace(row, uniques=(taken, *row.uniques[1:])))
        self.hand.do(f"INSERT IGNORE INTO {work.table} ({work.columns}) VALUES {values}", affected=0, warned=1)
        self.next_id += 1
        return True
