"""Steps that let others go first: what waits for too long, and copies whose swap a person has postponed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from migrator.engine import aside
from migrator.engine.journal import Journal
from migrator.engine.status import read_status
from migrator.events import ChunkCopied, Event, Moment, SetAside, StepEnded, StepStarted, Waiting
from migrator.planner.control import Wishes
from tests.server.engine.kit import SMALL, At, Beside, Lab, each, phase
from tests.server.engine.test_rows import BY_NUMBER, NUMBERS
from tests.servers import until

if TYPE_CHECKING:
    from tests.servers.running import Connection

pytestmark = pytest.mark.timeout(120)

FEW = (BY_NUMBER[0], f"SELECT 10 * n, n, 'few', n FROM ({NUMBERS.format(300)}) AS some")
POSTPONED = SMALL.model_copy(update={"postpone_swap": True, "one_moment_bytes": 2 * 2**20})


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others go first after three seconds; the first news of a wait comes after two."""
    monkeypatch.setattr(aside, "ASIDE_AFTER_SECONDS", 3.0)


@contextmanager
def a_reader(lab: Lab, table: str) -> Iterator[Connection]:
    """Somebody has read the table in a transaction that stays open."""
    with closing(lab.connect()) as connection:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT COUNT(*) FROM {table}")
        yield connection


def order_of(events: list[Event], kind: type[Event]) -> list[str]:
    return [event.subject.partition(".")[2] for event in events if isinstance(event, kind)]


def test_a_table_in_use_lets_the_others_go_first(lab: Lab) -> None:
    """The first table never has a free instant: it is put aside, the second is done, and then the first, once it has."""
    lab.table("a", *FEW)
    lab.table("b", *FEW)
    with closing(lab.connect(autocommit=True)) as user, user.cursor() as cursor:
        cursor.execute("LOCK TABLES a READ")  # no transaction: the other table's swap has not to wait for it

        def unlock() -> None:
            cursor.execute("UNLOCK TABLES")

        done = At(lambda event: isinstance(event, StepEnded) and event.subject.endswith(".b"), unlock)
        ran = lab.apply(defaults=SMALL, at=[done])
    assert [step.outcome for step in ran.outcome.steps] == ["done", "done"]
    assert order_of(ran.events, StepEnded) == ["b", "a"]
    assert order_of(ran.events, StepStarted) == ["a", "b", "a"]
    (put,) = ran.of(SetAside)
    assert (put.ready, put.subject) == (False, f"{lab.schema}.a")
    for table in ("a", "b"):
        lab.assert_done(table)


def test_the_log_of_a_table_aside_is_drained(lab: Lab) -> None:
    """Put aside before its switch, so with log triggers: what is changed meanwhile comes to its shadow; then it is done."""
    lab.table("a", *FEW)
    lab.table("b", *FEW)
    with ExitStack() as stack:
        reader = stack.enter_context(closing(lab.connect()))

        def read() -> None:
            with reader.cursor() as cursor:
                cursor.execute("SELECT COUNT(*) FROM a")

        def change() -> None:
            with lab.application("a") as app:
                app.write("UPDATE {t} SET v = 'aside' WHERE id <= 100", "DELETE FROM {t} WHERE id = 110")
            changed = "SELECT COUNT(*) FROM _a_shadow WHERE v = 'aside'"
            until(lambda: lab.value(changed) == 10, "the shadow of `a` is as its source")
            reader.rollback()

        meanwhile = At(lambda event: isinstance(event, StepStarted) and event.subject.endswith(".b"), change)
        ran = lab.apply(defaults=SMALL, at=[At(phase("mirror"), read), meanwhile])
    assert order_of(ran.events, SetAside) == ["a"]
    assert [step.outcome for step in ran.outcome.steps] == ["done", "done"]
    for table in ("a", "b"):
        lab.assert_done(table)


def test_an_older_transaction_lets_the_others_go_first(lab: Lab) -> None:
    """One that is older than the copy keeps the first table from its swap, and the second, too; both wait for it in turns."""
    lab.table("a", *FEW)
    lab.table("b", *FEW)
    lab.run("CREATE TABLE other (id INT PRIMARY KEY)")
    with a_reader(lab, "other") as reader:
        both = At(each(SetAside), reader.rollback, 3)
        ran = lab.apply("a", "b", defaults=SMALL, at=[both])
    assert [step.outcome for step in ran.outcome.steps] == ["done", "done"]
    assert order_of(ran.events, SetAside) == ["a", "b", "a"]
    assert len([m for m in ran.outcome.steps[0].moments if m.purpose == "swap"]) == 1
    assert {m.purpose for m in ran.outcome.steps[0].moments} == {"log triggers", "switch", "swap"}


def test_waiting_in_turns_has_its_bound(lab: Lab) -> None:
    """What is waited for in all turns counts together: beyond the plan's limit each step fails, and names who it was."""
    lab.table("a", *FEW)
    lab.table("b", *FEW)
    defaults = SMALL.model_copy(update={"moment_wait_seconds": 5})
    with a_reader(lab, "a"), a_reader(lab, "b") as reader:
        ran = lab.apply("a", "b", defaults=defaults)
        assert [step.outcome for step in ran.outcome.steps] == ["failed", "failed"]
        assert f"session {reader.thread_id()} (root, metadata-lock" in ran.outcome.steps[1].message
        assert "SELECT COUNT ( * ) FROM `b`" in ran.outcome.steps[1].message
    assert order_of(ran.events, SetAside) == ["a", "b"]
    assert ran.outcome.exit_code == 3


def test_a_single_table_is_not_put_aside(lab: Lab) -> None:
    """Where there is nothing else to do it waits as long as the plan says."""
    lab.table("a", *FEW)
    with a_reader(lab, "a") as reader:
        after = At(lambda event: isinstance(event, Waiting) and event.seconds > 4, reader.rollback)
        ran = lab.apply("a", defaults=SMALL, at=[after])
    ran.assert_outcome("done")
    assert not ran.of(SetAside)


# -- swaps that are postponed -----------------------------------------------------------------------


def ready(lab: Lab) -> list[str]:
    """What `status` shows as ready."""
    with closing(lab.session()) as session:
        run = read_status(session).run
    assert run is not None
    return [step.subject.partition(".")[2] for step in run.steps if step.state == "ready"]


def test_postponed_swaps_wait_for_the_word(lab: Lab) -> None:
    """All tables are copied and compared, also tiny ones; the run waits, they are kept equal; told so, it swaps them."""
    lab.table("a", *FEW)
    lab.table("b", *FEW)

    def tell() -> None:
        until(lambda: ready(lab) == ["a", "b"], "both are ready")
        assert not lab.encrypted("a") and not lab.encrypted("b")
        with lab.application("a") as app:
            app.write("UPDATE {t} SET v = 'late' WHERE id <= 100", "DELETE FROM {t} WHERE id = 110")
        assert lab.value("SELECT COUNT(*) FROM _a_shadow WHERE v = 'late'") == 10
        with closing(lab.session()) as session:
            Journal().wish(session, Wishes(postpone_swap=False))

    with ExitStack() as stack:
        waits = lambda event: isinstance(event, Waiting) and "ready to be swapped" in event.reason  # noqa: E731
        word = At(waits, lambda: stack.enter_context(Beside(tell)))
        ran = lab.apply(defaults=POSTPONED, at=[word])
    assert [step.outcome for step in ran.outcome.steps] == ["done", "done"]
    assert ran.outcome.exit_code == 0
    assert [event.ready for event in ran.of(SetAside)] == [True, True]
    for table in ("a", "b"):
        lab.assert_done(table)


def test_a_wish_to_postpone_holds_the_next_swap(lab: Lab) -> None:
    """A run that was not told to postpone hears of the wish while it copies; taken back, it swaps."""
    lab.table("a", *FEW)
    journal = Journal()

    def heard() -> bool:
        return bool(
            lab.value(
                "SELECT l.heartbeat_at > c.at + INTERVAL 1500000 MICROSECOND FROM migrator.lease l JOIN migrator.control c"
            )
        )

    def wish(session: object = None) -> None:
        with closing(lab.session()) as asking:
            journal.wish(asking, Wishes(postpone_swap=True))
            asking.run("UPDATE migrator.control SET at = UTC_TIMESTAMP(6) WHERE id = 1")
        until(heard, "the run has heard of it")

    def take_back() -> None:
        until(lambda: ready(lab) == ["a"], "it is ready")
        with closing(lab.session()) as asking:
            journal.wish(asking, Wishes())

    with ExitStack() as stack:
        back = At(each(SetAside), lambda: stack.enter_context(Beside(take_back)))
        ran = lab.apply("a", defaults=SMALL, at=[At(each(ChunkCopied), wish), back])
    ran.assert_outcome("done")
    assert len(ran.of(SetAside)) == 1
    lab.assert_done("a")


def test_a_stop_leaves_what_is_ready_for_the_next_run(lab: Lab) -> None:
    """Stopped while it waits for the word: exit 75, the copy stays and is kept equal; applied again it is only swapped."""
    lab.table("a", *FEW)
    stop = threading.Event()
    waits = lambda event: isinstance(event, Waiting) and "ready to be swapped" in event.reason  # noqa: E731
    ran = lab.apply("a", defaults=POSTPONED, at=[At(waits, stop.set)], stop=stop)
    assert (ran.step.outcome, ran.outcome.exit_code) == ("stopped", 75)
    assert "postponed" in ran.step.message
    with lab.application("a") as app:
        app.write("UPDATE {t} SET v = 'between' WHERE id <= 100", "DELETE FROM {t} WHERE id = 110")
    again = lab.apply("a")
    again.assert_outcome("done")
    assert not again.of(ChunkCopied)
    assert [moment.purpose for moment in again.of(Moment)] == ["swap"]
    lab.assert_done("a")


def test_with_nothing_left_but_swaps_a_run_can_end(lab: Lab) -> None:
    """Asked to end when ready: exit 75 without anybody's word; what is ready is kept, and the next run only swaps it."""
    lab.table("a", *FEW)
    lab.table("b", *FEW)
    ran = lab.apply(defaults=POSTPONED, end_when_ready=True)
    assert [step.outcome for step in ran.outcome.steps] == ["stopped", "stopped"]
    assert ran.outcome.exit_code == 75
    assert "postponed" in ran.outcome.stopped_by
    assert not [event for event in ran.of(Waiting) if "ready to be swapped" in event.reason]
    assert lab.names() >= {"_a_shadow", "_b_shadow"}
    again = lab.apply(defaults=SMALL)
    assert [step.subject.partition(".")[2] for step in again.outcome.steps if step.outcome == "done"] == ["a", "b"]
    assert not again.of(ChunkCopied)
    for table in ("a", "b"):
        lab.assert_done(table)


def test_what_was_changed_while_a_swap_was_postponed_ends_the_copy(lab: Lab) -> None:
    """Truncated while it waits for the word: told to swap, the run looks again, and gives the copy up."""
    lab.table("a", *FEW)

    def tell() -> None:
        lab.run("TRUNCATE TABLE a")
        with closing(lab.session()) as session:
            Journal().wish(session, Wishes(postpone_swap=False))

    waits = lambda event: isinstance(event, Waiting) and "ready to be swapped" in event.reason  # noqa: E731
    ran = lab.apply("a", defaults=POSTPONED, at=[At(waits, tell)])
    assert ran.step.outcome == "failed"
    assert "truncated" in ran.step.message
    assert lab.names() == {"a"}
