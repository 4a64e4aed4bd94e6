"""Workers follow the load: they fall while others are busy on the server, and return when it is quiet."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from migrator.clock import SystemClock
from migrator.engine.load import QUIET_SESSIONS, Others, adapting, look_at_others
from migrator.engine.sessions import Sessions
from migrator.events import ChunkCopied, Event, Workers
from tests.server.engine.kit import SMALL, At, Beside, Lab, each
from tests.server.engine.test_rows import BY_NUMBER, everything_of
from tests.servers import until

PURPOSE = "migrator load"


@contextmanager
def busy(lab: Lab, sessions: int) -> Iterator[None]:
    """So many sessions run a statement while the body does, and are gone afterwards."""
    with ExitStack() as stack:
        others = [stack.enter_context(closing(lab.connect())) for _ in range(sessions)]
        threads = [threading.Thread(target=_sleep, args=(other,)) for other in others]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            with closing(lab.connect()) as killer, killer.cursor() as cursor:
                for other in others:
                    cursor.execute(f"KILL {other.thread_id()}")
            for thread in threads:
                thread.join()


def _sleep(other: object) -> None:
    try:
        other.query("SELECT SLEEP(60)")  # type: ignore[attr-defined]
    except Exception as error:  # noqa: BLE001 - the server says that it was killed
        assert "Lost connection" in str(error) or "killed" in str(error) or "interrupted" in str(error), error


def test_others_are_counted_and_we_are_not(lab: Lab) -> None:
    """Statements that run now, but those of sessions with our program name."""
    with closing(lab.session()) as asks, closing(asks.another(PURPOSE)) as session:
        before = look_at_others(session, PURPOSE).running
        with busy(lab, 5):
            until(lambda: look_at_others(session, PURPOSE).running >= before + 5, "they are counted")
        until(lambda: look_at_others(session, PURPOSE).running <= before, "they are gone")
        with busy(lab, 5):
            nothing = Others(0, 0)
            assert look_at_others(session, "a name that the server does not know") == nothing, "then nobody can tell"


def test_who_is_between_two_statements_is_at_work(lab: Lab) -> None:
    """For half a second after the last one: an application that waits for its users is there all the same."""
    with closing(lab.session()) as asks, closing(asks.another(PURPOSE)) as session, ExitStack() as stack:
        others = [stack.enter_context(closing(lab.connect())) for _ in range(4)]
        until(lambda: look_at_others(session, PURPOSE).at_work == 0, "what connecting took is over")

        def four_are_at_work() -> bool:
            for other in others:
                with other.cursor() as cursor:
                    cursor.execute("SELECT 1")
            return look_at_others(session, PURPOSE).at_work >= 4

        until(four_are_at_work, "all four are seen")
        until(lambda: look_at_others(session, PURPOSE).at_work == 0, "they rest")


def test_where_the_server_keeps_no_times_somebody_counts_as_at_work(lab: Lab) -> None:
    """Else a server whose application nobody can see would seem quiet."""
    keep = "UPDATE performance_schema.setup_consumers SET ENABLED = '{}' WHERE NAME = 'events_statements_current'"
    with closing(lab.session()) as asks, closing(asks.another(PURPOSE)) as session:
        until(lambda: look_at_others(session, PURPOSE).at_work == 0, "nobody is at work")
        try:
            lab.run(keep.format("NO"))
            assert look_at_others(session, PURPOSE).at_work > QUIET_SESSIONS
        finally:
            lab.run(keep.format("YES"))


def test_workers_fall_within_five_seconds_and_return(lab: Lab) -> None:
    """Load rises: four workers become one; it falls: there are four again. Each change is told."""
    told: list[Event] = []
    with closing(lab.session()) as first, Sessions(first, PURPOSE, workers=4) as sessions:
        slots = sessions.slots
        with sessions.borrow() as session:
            until(lambda: look_at_others(session, PURPOSE).at_work == 0, "those who made the laboratory rest")
        with adapting(sessions, PURPOSE, busy=4, listen=told.append, clock=SystemClock()):
            with busy(lab, 12):
                until(lambda: slots.now == 1, "one worker is left", seconds=5)
            until(lambda: slots.now == 4, "all have returned", seconds=10)
    steps = [event.now for event in told if isinstance(event, Workers)]
    assert steps == [2, 1, 2, 3, 4]


def test_a_run_on_a_busy_server(lab: Lab) -> None:
    """It goes on with one worker, tells it, and loses nothing."""
    lab.table("t", *BY_NUMBER)
    everything = everything_of(BY_NUMBER[0])

    def few() -> bool:
        return any(isinstance(event, Workers) and event.now == 1 for event in lab.events)

    with busy(lab, 6), lab.application("t") as app, closing(lab.connect()) as old, old.cursor() as cursor:
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")  # until then the run waits for its end

        def end_when_few() -> None:
            until(few, "one worker is left")
            old.rollback()

        with Beside(end_when_few):
            ran = lab.apply(
                "t",
                defaults=SMALL.model_copy(update={"workers": 3, "busy_running_statements": 1}),
                at=[At(each(ChunkCopied), lambda: everything(app))],
            )
    ran.assert_outcome("done")
    lab.assert_done("t")
