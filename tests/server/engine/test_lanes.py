"""Small tables that are done side by side: each as if it were alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from migrator.events import Event, PhaseStarted, StepEnded, StepStarted, Waiting
from tests.server.engine.kit import SMALL, At, Beside, Crash, Lab, Ran, crash, ddl, name, phase

pytestmark = pytest.mark.timeout(120)

AT_ONCE = SMALL.model_copy(update={"small_tables_at_once": 4, "swap_wait_seconds": 60})
TABLES = tuple(f"small {n}" for n in range(6))
DEFINITION = "(id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(40), n INT, UNIQUE KEY (n), KEY (v))"
ROWS = "SELECT n, CONCAT('row ', n), n FROM (WITH RECURSIVE c AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM c WHERE n < 60) SELECT n FROM c) AS counted"


@pytest.fixture
def small(lab: Lab) -> Lab:
    """The laboratory with six small tables."""
    for table in TABLES:
        lab.table(table, DEFINITION, ROWS)
    return lab


def assert_all_done(lab: Lab) -> None:
    for table in TABLES:
        lab.assert_done(table)


def writing(lab: Lab, table: str, over: threading.Event) -> Callable[[], None]:
    """An application that changes rows of a table, and its ledger, until it is over; what it meets is raised."""

    def write() -> None:
        with lab.application(table) as app:
            number = 0
            while not over.is_set():
                number += 1
                row = number % 60 + 1
                app.write(f"UPDATE {{t}} SET v = 'changed {number}' WHERE id = {row}")
                app.write(f"DELETE FROM {{t}} WHERE id = {row}", f"INSERT INTO {{t}} VALUES ({row}, 'again', {row})")
                app.write(f"INSERT INTO {{t}} (v, n) VALUES ('more', {1000 + number})")

    return write


class Count:
    """How many steps were at work at one time."""

    def __init__(self) -> None:
        self.now: set[str] = set()
        self.most = 0

    def meet(self, event: Event) -> None:
        """Listeners are called by one thread at a time."""
        if isinstance(event, StepStarted):
            self.now.add(event.subject)
            self.most = max(self.most, len(self.now))
        elif isinstance(event, StepEnded):
            self.now.discard(event.subject)


def outcomes(ran: Ran) -> list[str]:
    """Of the small tables, in the order of the run; a later plan sees our own tables, too."""
    steps = [(step.subject.partition(".")[2], step.outcome) for step in ran.outcome.steps]
    return [outcome for table, outcome in steps if table in TABLES]


def test_four_are_at_work_while_applications_write(small: Lab) -> None:
    """Four tables at a time, never five; no error in the application of any, and every row as its ledger says."""
    over, at_work = threading.Event(), Count()
    with ExitStack() as stack:
        stack.callback(over.set)
        for table in TABLES:
            stack.enter_context(Beside(writing(small, table, over)))
        ran = small.apply(at=[at_work], defaults=AT_ONCE)
        over.set()
    assert outcomes(ran) == ["done"] * len(TABLES)
    assert at_work.most == 4
    assert [step.subject.partition(".")[2] for step in ran.outcome.steps] == list(TABLES)
    assert_all_done(small)


def test_one_at_a_time_where_the_plan_says_so(small: Lab) -> None:
    """`small_tables_at_once: 1`."""
    at_work = Count()
    assert outcomes(small.apply(at=[at_work], defaults=SMALL)) == ["done"] * len(TABLES)
    assert at_work.most == 1


def test_all_of_them_wait_for_one_older_transaction(small: Lab) -> None:
    """None is swapped while a transaction with an older snapshot is open, which then reads what it should; no wait of
    one table is taken for an older transaction by another."""
    with closing(small.connect()) as old, old.cursor() as cursor:
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        waits = threading.Event()

        def let_it_end() -> None:
            assert waits.wait(60)
            for table in TABLES:
                assert not small.encrypted(table)
                cursor.execute(f"SELECT COUNT(*) FROM {name(table)}")
                assert cursor.fetchone() == (60,)
            old.rollback()

        with Beside(let_it_end):
            ran = small.apply(at=[At(is_wait_for_older, waits.set)], defaults=AT_ONCE)
    assert outcomes(ran) == ["done"] * len(TABLES)
    assert_all_done(small)


def is_wait_for_older(event: Event) -> bool:
    return isinstance(event, Waiting) and "older than the copy" in event.reason


def test_they_give_up_waiting_together(small: Lab) -> None:
    """A transaction that stays open for longer than the plan allows: each step names it, and a rerun swaps all."""
    hurried = AT_ONCE.model_copy(update={"swap_wait_seconds": 1})
    with closing(small.connect()) as old, old.cursor() as cursor:
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        ran = small.apply(defaults=hurried)
        assert outcomes(ran) == ["failed"] * len(TABLES)
        assert all(f"session {old.thread_id()}" in step.message for step in ran.outcome.steps)
    assert outcomes(small.apply(defaults=AT_ONCE)) == ["done"] * len(TABLES)
    assert_all_done(small)


def test_one_that_fails_leaves_the_others_alone(small: Lab) -> None:
    """A table that somebody alters meanwhile is given up by itself; the others are done, and the next run does it."""

    def alter() -> None:
        small.run(f"ALTER TABLE {name(TABLES[2])} ADD COLUMN more INT")
        small.run(f"ALTER TABLE {small.in_ledger(TABLES[2])} ADD COLUMN more INT")

    begins = At(lambda e: isinstance(e, PhaseStarted) and e.phase == "index" and e.subject.endswith(TABLES[2]), alter)
    ran = small.apply(at=[begins], defaults=AT_ONCE)
    assert outcomes(ran) == ["failed" if table == TABLES[2] else "done" for table in TABLES]
    assert outcomes(small.apply(defaults=AT_ONCE)).count("done") == 1
    assert_all_done(small)


def test_a_stop_ends_all_that_are_at_work(small: Lab) -> None:
    """Whatever is at work stops at a safe point, the rest is not begun, and the next run finishes."""
    stop = threading.Event()
    ran = small.apply(at=[At(phase("mirror"), stop.set, 2)], stop=stop, defaults=AT_ONCE)
    said = outcomes(ran)
    assert ran.outcome.exit_code == 75
    assert 1 <= said.count("stopped") <= 4
    assert said.count("left") >= 2
    assert set(said) <= {"done", "stopped", "left"}
    assert set(outcomes(small.apply(defaults=AT_ONCE))) <= {"done", "skipped"}
    assert_all_done(small)


@pytest.mark.parametrize("words", ["_mirror_ins", "RENAME TABLE"])
def test_a_crash_of_one_of_them(small: Lab, words: str) -> None:
    """The run ends at the third such statement, whichever table's it is; the next one finishes all."""
    with pytest.raises(Crash):
        small.apply(at=[At(ddl(words), crash, 3)], defaults=AT_ONCE)
    assert set(outcomes(small.apply(defaults=AT_ONCE))) <= {"done", "skipped"}
    assert_all_done(small)


def test_the_process_is_killed(small: Lab, tmp_path: Path) -> None:
    """SIGKILL while four are at work; the next run takes the lease over and finishes all."""
    with small.process(small.plan(defaults=AT_ONCE), tmp_path, at="PhaseEnded swap", nth=2, lease=3.0) as run:
        assert run.wait(60) == -9, run.communicate()
    ran = small.apply_when_free(plan=small.plan(defaults=AT_ONCE))
    assert set(outcomes(ran)) <= {"done", "skipped"}
    assert_all_done(small)


def test_a_table_that_is_altered_before_its_turn(small: Lab) -> None:
    """What was read of it in advance is not believed: it is not the table of the plan any more, and is left as it is."""
    alter = At(
        lambda event: isinstance(event, StepEnded),
        lambda: small.run(f"ALTER TABLE {name(TABLES[2])} ADD COLUMN more INT, ALGORITHM = INSTANT"),
    )
    ran = small.apply(at=[alter], defaults=AT_ONCE.model_copy(update={"small_tables_at_once": 2}))
    assert outcomes(ran) == ["failed" if table == TABLES[2] else "done" for table in TABLES]
    assert "not as it was when the plan was made" in ran.outcome.steps[2].message
    assert not small.encrypted(TABLES[2])


@pytest.mark.parametrize("order", ["smallest-first", "as-listed"])
def test_some_begin_at_the_far_end(small: Lab, order: str) -> None:
    """The smallest and the largest are done at the same time, DDL beside rows; but not where somebody chose an order."""
    ran = small.apply(defaults=AT_ONCE.model_copy(update={"small_tables_at_once": 2, "order": order}))
    began = [event.subject.rpartition(".")[2] for event in ran.events if isinstance(event, StepStarted)]
    assert (began.index(TABLES[-1]) < len(TABLES) // 2) is (order == "smallest-first")
