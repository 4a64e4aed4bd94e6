"""Ctrl-C, SIGTERM and kill -9 at any moment, then `apply` again. Each test runs the installed command."""

from __future__ import annotations

import secrets
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.server.cli.held import Event, Held, When, ddl, each, phase
from tests.server.cli.kit import ALL_SHADOW, Desk, desk_on, session_of
from tests.servers import Account, RunningServer

ROWS_HERE = 1500


@pytest.fixture(scope="module")
def planned(
    server: RunningServer, dba: Account, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Desk, Path]]:
    """One schema and one plan for all moments: it says nothing of rows, so it fits the table that each test makes."""
    schema = f"t_{secrets.token_hex(6)}"
    server.rows(f"CREATE DATABASE {schema}")
    with desk_on(server, dba, schema, tmp_path_factory.mktemp("cli") / "desk") as desk:
        desk.table("t", rows=ROWS_HERE)
        yield desk, desk.plan(*ALL_SHADOW)
    server.rows(f"DROP DATABASE {schema}")


@pytest.fixture
def at_work(planned: tuple[Desk, Path]) -> Iterator[tuple[Desk, Held, Path]]:
    """A fresh table, and `apply --events` that has just begun."""
    desk, plan = planned
    desk.close()
    desk.run(*(f"DROP TABLE IF EXISTS {table}" for table in ("t", "_t_shadow", "_t_log", "_t_retained")))
    desk.table("t", rows=ROWS_HERE)
    yield desk, desk.held(plan), plan
    desk.close()


def chunk(event: Event) -> bool:
    """A chunk is copied."""
    return bool(event["event"] == "ChunkCopied")


def both(first: When, second: When) -> When:
    """Both say so."""
    return lambda event: first(event) and second(event)


MOMENTS: dict[str, tuple[When, int]] = {
    "run": (each("RunStarted"), 1),
    "shadow": (ddl("LIKE"), 1),
    "log-table": (ddl("seq BIGINT UNSIGNED"), 1),
    "log-trigger": (both(ddl("TRIGGER"), ddl("_t_log_")), 2),
    "first-chunk": (chunk, 1),
    "later-chunk": (chunk, 6),
    "index": (ddl("ADD UNIQUE"), 1),
    "mirror-trigger": (both(ddl("CREATE DEFINER"), ddl("_t_mirror_")), 2),
    "drop-log-trigger": (both(ddl("DROP TRIGGER"), ddl("_t_log_")), 1),
    "verify": (each("ChunkVerified"), 1),
    "swap": (phase("swap"), 1),
    "rename": (both(ddl("RENAME TABLE"), ddl("_t_retained")), 1),
    "drop-mirror-trigger": (both(ddl("DROP TRIGGER"), ddl("_t_mirror_")), 2),
    "drop-log": (both(ddl("DROP TABLE"), ddl("log")), 1),
}
"""Moments of the story, in its order: which event, and the how manyeth of these."""

LATE = {"drop-mirror-trigger", "drop-log"}
"""The table is swapped: there is no safe point left before the end, so the run may end as if nothing had been."""


def stop_code(number: signal.Signals) -> int:
    """As shells count."""
    return 128 + number


@pytest.mark.parametrize("moment", MOMENTS)
def test_ctrl_c_and_sigterm(at_work: tuple[Desk, Held, Path], moment: str) -> None:
    """The run stops at a safe point with 130 or 143 and says so; the application goes on; `apply` finishes it."""
    desk, held, plan = at_work
    number = signal.SIGINT if list(MOMENTS).index(moment) % 2 else signal.SIGTERM
    held.hold(*MOMENTS[moment])
    held.signal(number)
    stopped = held.finish()
    assert stopped.code in ({stop_code(number), 0} if moment in LATE else {stop_code(number)}), stopped
    stopped.says(f"{number.name}: stopping at the next safe point; the state is kept")
    if stopped.code:
        assert stopped.events[-1]["event"] == "RunEnded"
        stopped.says("goes on where this run ended")
    desk.change_all_sorts()
    again = desk.migrator("apply", plan)
    assert again.code == 0, again
    desk.assert_done()


@pytest.mark.parametrize(
    "moment", ["shadow", "log-trigger", "later-chunk", "mirror-trigger", "rename", "drop-mirror-trigger"]
)
def test_kill_9(at_work: tuple[Desk, Held, Path], moment: str) -> None:
    """Whatever was under way: the application goes on, `apply` finishes at once, no row is lost, nothing left."""
    desk, held, plan = at_work
    held.hold(*MOMENTS[moment])
    held.kill()
    desk.change_all_sorts(mark="1")
    again = desk.held(plan)
    again.hold(each("RunStarted"))
    desk.change_all_sorts(mark="2")
    assert again.finish().code == 0
    desk.assert_done()


def test_the_second_signal_is_patient(at_work: tuple[Desk, Held, Path]) -> None:
    """Ctrl-C twice is no harsher than once: the run still ends at a safe point, with the code of the first signal."""
    desk, held, plan = at_work
    held.hold(chunk, 2)
    held.signal(signal.SIGINT)
    held.hold(lambda _: True)
    held.signal(signal.SIGTERM)
    stopped = held.finish()
    assert stopped.code == 130
    stopped.says("SIGTERM again: still waiting for the safe point")
    assert desk.migrator("apply", plan).code == 0
    desk.assert_done()


@pytest.mark.parametrize("options", [ALL_SHADOW, ("--direct-below=1MiB",)], ids=["shadow-copy", "direct-alter"])
def test_steps_that_were_not_begun(desk: Desk, options: tuple[str, ...]) -> None:
    """What the run did not come to is said to be left and in clear; it is untouched, and the next `apply` does it."""
    tables = ("a", "b", "c", "d", "e")  # four are at work at the same time, from both ends
    for table in tables:
        desk.table(table, rows=30 if table != "e" else 90)
    plan = desk.plan(*options)
    held = desk.held(plan)
    held.hold(each("StepStarted"))
    held.signal(signal.SIGTERM)
    stopped = held.finish()
    assert stopped.code == 143
    stopped.says(f"- {desk.schema}.a (stopped)", f"- {desk.schema}.c (left)")
    assert not [event for event in stopped.events if event["subject"].endswith(".c")]
    assert desk.migrator("apply", plan).code == 0
    for table in tables:
        assert desk.encrypted(table)
        desk.assert_equal(table)


def test_ctrl_c_while_it_waits(desk: Desk) -> None:
    """A run that waits for somebody's transaction stops at once, and leaves nothing in the way of that transaction."""
    desk.table("t", rows=300)
    plan = desk.plan(*ALL_SHADOW)
    with closing(desk.connect(autocommit=False)) as somebody, somebody.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM t")
        held = desk.held(plan)
        waiting = held.hold(each("Waiting"))
        assert {blocker["session_id"] for blocker in waiting["blockers"]} == {session_of(somebody)}
        held.signal(signal.SIGINT)
        assert held.finish().code == 130
        cursor.execute("UPDATE t SET extra = 'still here' WHERE n = 1")
        somebody.rollback()
    assert desk.migrator("apply", plan).code == 0
    desk.assert_done()


def test_ctrl_c_during_dry_run(desk: Desk) -> None:
    """A rehearsal that is stopped takes its twins away and ends with 130."""
    desk.table("t", rows=20)
    desk.table("u", rows=20)
    plan = desk.plan(*ALL_SHADOW)
    with desk.nothing_left():
        ran = desk.stopped_at_line("dry-run", plan, line=f"{desk.schema}.t: shadow-copy begins", number=signal.SIGINT)
    assert ran.code == 130, ran
    assert not desk.has_journal()


def test_stdout_that_goes_away(at_work: tuple[Desk, Held, Path]) -> None:
    """`apply --events | head`: the run ends at that point without a traceback, and `apply` goes on."""
    desk, held, plan = at_work
    held.hold(chunk, 2)
    ran = held.go_deaf()
    assert ran.code == 3, ran
    desk.change_all_sorts()
    assert desk.migrator("apply", plan).code == 0
    desk.assert_done()
