"""No row is lost, duplicated or changed, whatever an application does, and whenever it does it."""

from __future__ import annotations

import itertools
import threading
from contextlib import ExitStack, closing

import pytest

from migrator.engine import index
from migrator.events import Backlog, ChunkCopied, ChunkVerified, DdlStarting, Noticed, RunEnded
from tests.server.engine.kit import WEIRD, Application, At, Beside, Lab, When, ddl, each, phase
from tests.servers import until

NUMBERS = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < {}) SELECT n FROM r"

BY_NUMBER = (
    "(id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, u INT, v VARCHAR(80) NOT NULL, w INT, UNIQUE KEY u (u), KEY w (w))",
    f"SELECT 10 * n, n, REPEAT('x', n % 70), n % 7 FROM ({NUMBERS.format(2500)}) AS many",
)
BY_TEXT = (
    "(a VARCHAR(30) COLLATE utf8mb4_0900_ai_ci, b INT, u INT, v VARCHAR(80), w INT, PRIMARY KEY (a, b DESC), UNIQUE KEY u (u))",
    f"SELECT CONCAT('k', n DIV 50), n, n, REPEAT('y', n % 70), n % 5 FROM ({NUMBERS.format(2500)}) AS many",
)


class Everything:
    """All that an application can do to rows; each call takes other rows, some rows every time."""

    def __init__(self, key: str, place: str) -> None:
        self._calls = itertools.count(1)
        self._key = key  # columns of the key
        self._place = place  # its value as SQL, with {n} for a number from 1 to 2500

    def at(self, n: int) -> str:
        """The key of the n-th row, as SQL."""
        return self._place.format(n=n, a=n // 50)

    def __call__(self, app: Application) -> None:
        """Do it all, in several transactions."""
        c = next(self._calls)
        a, b, d, e, f, g, h = (10 + (c * 20 + i * 340) % 2400 for i in range(7))
        key, at = self._key, self.at
        free = 100_000 * c

        def hand_over(value: int) -> str:
            return f"UPDATE {{t}} SET u = NULL WHERE u = {value}"

        def remove(*places: int) -> str:
            return f"DELETE FROM {{t}} WHERE ({key}) IN ({', '.join(f'({at(n)})' for n in places)})"

        def where(*places: int) -> str:
            return f"WHERE ({key}) IN ({', '.join(f'({at(n)})' for n in places)})"

        def insert(n: int, u: int, v: str) -> str:
            return f"INSERT INTO {{t}} ({key}, u, v) VALUES ({at(n)}, {u}, '{v}')"

        app.write(remove(a))
        app.write(remove(b), hand_over(b), insert(b, b, "again"))
        app.write(f"UPDATE {{t}} SET v = CONCAT('new ', {c}), w = w + 1 {where(d, 7, 2490)}")
        # Keys that move to the other end and back, and two rows that swap theirs.
        app.write(remove(3000 + c), self.move(e, 3000 + c), remove(-c), self.move(2400 - c, -c))
        app.write(self.move(f, 90_000), self.move(f + 1, f), self.move(90_000, f + 1))
        # A unique value handed on: within a transaction, and from one to the next; two rows swap theirs.
        app.write(hand_over(g), f"UPDATE {{t}} SET u = {g} {where(g + 1)}")
        app.write(f"UPDATE {{t}} SET u = {free} WHERE u = {h}")
        app.write(remove(4000 + c), insert(4000 + c, h, "has the value now"))
        app.write(
            f"UPDATE {{t}} SET u = {free + 3} {where(g + 5)}",
            hand_over(g + 5),
            f"UPDATE {{t}} SET u = {g + 5} {where(g + 6)}",
        )
        app.write(
            f"REPLACE INTO {{t}} ({key}, u, v) VALUES ({at(a + 3)}, {a + 3}, 'replaced'),"
            f" ({at(5000 + c)}, {a + 4}, 'took the value of another row')"
        )
        app.write(
            f"INSERT INTO {{t}} ({key}, u, v) VALUES ({at(b + 3)}, {free + 1}, 'x'), ({at(6000 + c)}, {free + 2}, 'y')"
            " AS new ON DUPLICATE KEY UPDATE v = new.v, u = new.u"
        )
        app.write(f"DELETE FROM {{t}} WHERE w = {c % 5} AND u % 40 = {c % 40}")
        app.write(f"INSERT IGNORE INTO {{t}} ({key}, u, v) VALUES ({at(7)}, 7, 'perhaps')")
        # What is rolled back never was.
        app.write(remove(d + 5), remove(8000), self.move(d + 6, 8000), commit=False)
        app.connection.rollback()
        app.write(
            "SAVEPOINT s",
            "UPDATE {t} SET v = 'undone'",
            "ROLLBACK TO SAVEPOINT s",
            f"UPDATE {{t}} SET w = 99 {where(d + 8)}",
        )

    def move(self, of: int, to: int) -> str:
        """UPDATE of a key."""
        columns = [c.strip() for c in self._key.split(",")]
        values = [v.strip() for v in self.at(to).split(",")]
        sets = ", ".join(f"{c} = {v}" for c, v in zip(columns, values, strict=True))
        return f"UPDATE {{t}} SET {sets} WHERE ({self._key}) = ({self.at(of)})"


def everything_of(definition: str) -> Everything:
    """For one of the two tables above."""
    return Everything("id", "{n}0") if "id INT" in definition else Everything("a, b", "'K{a}', {n}")


MOMENTS: dict[str, list[tuple[When, range]]] = {
    "between chunks and before their changes are drained": [
        (each(ChunkCopied), range(1, 7)),
        (each(Backlog), range(1, 2)),
    ],
    "around the index build": [
        (w, range(1, 2)) for w in (phase("index"), ddl("ADD UNIQUE"), ddl("ADD UNIQUE", done=True))
    ],
    "right before and after the switch": [(phase("mirror"), range(1, 2)), (phase("mirror", ended=True), range(1, 3))],
    "while it is verified": [(each(ChunkVerified), range(1, 8, 2))],
    "around the swap": [(w, range(1, 2)) for w in (phase("swap"), phase("swap", ended=True), phase("clean"))],
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(
    ("table", "definition", "rows"), [("t", *BY_NUMBER), (WEIRD, *BY_TEXT)], ids=["number", "text"]
)
def test_everything_at_a_chosen_moment(lab: Lab, table: str, definition: str, rows: str, moment: str) -> None:
    """Whatever is done to rows at one moment of a migration, the table holds the same as its ledger at the end."""
    lab.table(table, definition, rows)
    everything = everything_of(definition)
    with lab.application(table) as app:
        at = [At(when, lambda: everything(app), nth) for when, places in MOMENTS[moment] for nth in places]
        ran = lab.apply(table, at=at)
    ran.assert_outcome("done")
    assert at[0].seen, "the moment never came"
    lab.assert_done(table)


@pytest.mark.parametrize(("definition", "rows"), [BY_NUMBER, BY_TEXT], ids=["number", "text"])
def test_everything_all_the_time(lab: Lab, definition: str, rows: str) -> None:
    """An application that never stops, beside every phase, loses nothing and sees no error."""
    lab.table("t", definition, rows)
    everything, over = everything_of(definition), threading.Event()

    def work() -> None:
        with lab.application("t") as app:
            while not over.is_set():
                everything(app)

    with Beside(work) as beside:
        ran = lab.apply("t", at=[At(each(RunEnded), over.set)])
        over.set()
        beside.join()
    ran.assert_outcome("done")
    lab.assert_done("t")


def test_a_change_inside_of_an_open_transaction_of_the_copy(lab: Lab) -> None:
    """A chunk that was read from an old snapshot is made current before anything relies on it.

    The chunk is held between its read and its commit (a lock on a row that it wants to write), until an
    application has deleted, changed, moved and inserted rows before and behind that place and the drain
    has looked at the log.
    """
    lab.table("t", *BY_NUMBER)
    lab.run("TRUNCATE TABLE performance_schema.events_statements_summary_by_digest")  # it may be full
    seen = f"SELECT `seq`%{lab.schema}%_t_log%"
    with closing(lab.connect()) as holder, lab.application("t") as app, ExitStack() as stack:

        def hold() -> None:
            with holder.cursor() as cursor:
                cursor.execute("INSERT INTO _t_shadow (id, v) VALUES (500, 'in the way')")
            stack.enter_context(Beside(change))

        def change() -> None:
            until(lambda: lab.waits_for_row("_t_shadow"), "the chunk waits for row 500", seconds=20)
            app.write("DELETE FROM {t} WHERE id IN (100, 800)", "UPDATE {t} SET v = 'changed' WHERE id IN (200, 700)")
            app.write("UPDATE {t} SET id = 24005 WHERE id = 300", "UPDATE {t} SET id = 24015 WHERE id = 710")
            app.write("UPDATE {t} SET id = 105 WHERE id = 24000", "UPDATE {t} SET id = 725 WHERE id = 24100")
            app.write("INSERT INTO {t} (id, u, v) VALUES (205, 90001, 'new'), (735, 90002, 'new')")
            app.write("UPDATE {t} SET u = NULL WHERE id = 400", "UPDATE {t} SET u = 40 WHERE id = 750")
            before = lab.digest_count(seen)
            until(lambda: lab.digest_count(seen) > before, "the drain has looked at the log", seconds=2.5)
            holder.rollback()

        ran = lab.apply("t", at=[At(phase("copy"), hold)], defaults=lab.alone)
    ran.assert_outcome("done")
    lab.assert_done("t")


def test_a_unique_key_that_is_there_from_the_start(lab: Lab) -> None:
    """Rows move and unique values are handed on between chunks, where a unique key cannot be built later."""
    definition = "(a INT, b INT, id INT NOT NULL AUTO_INCREMENT, v VARCHAR(80), PRIMARY KEY (a, b), UNIQUE KEY (id))"
    lab.table("t", definition, f"SELECT n DIV 100, n, n, REPEAT('x', 70) FROM ({NUMBERS.format(2500)}) AS many")

    def change() -> None:
        with lab.application("t") as app:
            app.write("UPDATE {t} SET a = 900 WHERE id IN (3, 5, 7)", "UPDATE {t} SET id = 800000 WHERE id = 11")
            app.write("UPDATE {t} SET id = 11 WHERE id = 2400")

    ran = lab.apply("t", at=[At(each(ChunkCopied), change, 2)])
    ran.assert_outcome("done")
    lab.assert_done("t")


PLANT = "INSERT INTO _t_shadow (id, u, v) VALUES (7, 1, 'planted')"


def test_a_unique_index_that_meets_a_value_twice_is_tried_again(lab: Lab) -> None:
    """A value that was handed on between chunks stands in the copy twice for a moment."""
    lab.table("t", *BY_NUMBER)
    tries = [
        At(ddl("ADD UNIQUE"), lambda: lab.run(PLANT)),
        At(ddl("ADD UNIQUE"), lambda: lab.run("DELETE FROM _t_shadow WHERE id = 7"), 2),
    ]
    ran = lab.apply("t", at=tries)
    ran.assert_outcome("done")
    lab.assert_done("t")
    assert sum("ADD UNIQUE" in event.statement for event in ran.of(DdlStarting)) == 2
    assert "unique-from-the-start" not in [event.finding.code for event in ran.of(Noticed)]


def test_a_unique_index_that_always_meets_a_value_twice_is_there_from_the_start(lab: Lab) -> None:
    """After so many tries the table is copied anew, with its unique index in place, and the run says so."""
    lab.table("t", *BY_NUMBER)
    ran = lab.apply("t", at=[At(ddl("ADD UNIQUE"), lambda: lab.run(PLANT))])
    ran.assert_outcome("done")
    lab.assert_done("t")
    assert sum("ADD UNIQUE" in event.statement for event in ran.of(DdlStarting)) == index.TRIES
    assert [event.finding.code for event in ran.of(Noticed)].count("unique-from-the-start") == 1
    first, anew = (s for s in ran.statements() if s.startswith("ALTER TABLE `migrator`.`step_"))
    assert "DROP INDEX `u`" in first
    assert "DROP INDEX `u`" not in anew
    assert "DROP INDEX `w`" in anew
