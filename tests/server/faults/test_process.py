"""The installed command, killed and stopped: in each phase, at each type of event, between statements of DDL."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.server.cli.held import Event, When, ddl, each, phase
from tests.server.cli.kit import ALL_SHADOW, Desk, desk_on
from tests.server.faults.scene import PHASES
from tests.servers import Account, RunningServer

ROWS: Final = 900

MOMENTS: Final[dict[str, tuple[When, int]]] = {
    "build": (ddl("RENAME TABLE `migrator`", done=True), 1),
    "log": (ddl("AFTER UPDATE", done=True), 1),
    "copy": (each("ChunkCopied"), 2),
    "index": (ddl("ADD UNIQUE"), 1),
    "mirror": (ddl("_t_mirror_upd` AFTER", done=True), 1),
    "verify": (each("ChunkVerified"), 1),
    "swap": (ddl("_t_retained`"), 1),
    "clean": (phase("clean"), 1),
}
"""In each phase a moment at which the process is held; inside its exclusive moment where it has one."""

Record = Callable[[str, object], None]


@pytest.fixture
def desk(server: RunningServer, dba: Account, schema: str, tmp_path: Path) -> Iterator[Desk]:
    """A desk with a table that has all kinds of events."""
    server.rows(f"CREATE DATABASE {schema}")
    with desk_on(server, dba, schema, tmp_path / "desk") as made:
        made.table("t", rows=ROWS)
        yield made
    server.rows(f"DROP DATABASE {schema}")


# -- each phase -------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", PHASES)
def test_kill_9(desk: Desk, where: str, record_property: Record) -> None:
    """SIGKILL: the application goes on without an error, and the next run finishes at once."""
    plan = desk.plan(*ALL_SHADOW)
    held = desk.held(plan)
    held.hold(*MOMENTS[where])
    held.kill()
    desk.change_all_sorts(mark="1")
    again = desk.held(plan)
    started = again.hold(each("StepStarted"))
    desk.change_all_sorts(mark="2")
    assert again.finish().code == 0
    desk.assert_done()
    record_property(f"tool killed | {where}", f"killed; {'goes on' if started['resumed'] else 'anew'}")


@pytest.mark.parametrize("where", PHASES)
def test_sigterm(desk: Desk, where: str, record_property: Record) -> None:
    """SIGTERM: it ends at a safe point, says so, and the next run finishes."""
    plan = desk.plan(*ALL_SHADOW)
    held = desk.held(plan)
    held.hold(*MOMENTS[where])
    held.signal(signal.SIGTERM)
    stopped = held.finish()
    desk.change_all_sorts()
    cell = "finishes"
    if stopped.code:
        assert stopped.code == 128 + signal.SIGTERM
        stopped.says("stopping at the next safe point", "goes on where this run ended")
        again = desk.migrator("apply", plan, "--events")
        assert again.code == 0, again
        (started,) = again.of("StepStarted")
        cell = f"143; {'goes on' if started['resumed'] else 'anew'}"
    desk.assert_done()
    record_property(f"tool stopped | {where}", cell)


# -- each type of event, each statement of DDL ------------------------------------------------------


def counted(kind: str, nth: int) -> When:
    """The n-th event of a type."""
    seen = 0

    def fits(event: Event) -> bool:
        nonlocal seen
        seen += event["event"] == kind
        return bool(event["event"] == kind and seen == nth)

    return fits


def with_rows(kind: str, rows: int) -> When:
    """The first event of a type with so many rows done."""
    return lambda event: bool(event["event"] == kind and event["rows_done"] >= rows)


def within(kind: str, which: str) -> When:
    """The first event of a type after a phase has begun."""
    begun = False

    def fits(event: Event) -> bool:
        nonlocal begun
        begun = begun or phase(which)(event)
        return begun and event["event"] == kind

    return fits


EVENTS: Final[dict[str, Callable[[], When]]] = {
    "RunStarted": lambda: counted("RunStarted", 1),
    "StepStarted": lambda: counted("StepStarted", 1),
    "PhaseStarted, first": lambda: phase("build"),
    "PhaseStarted, middle": lambda: phase("index"),
    "PhaseStarted, last": lambda: phase("clean"),
    "PhaseEnded, first": lambda: phase("build", ended=True),
    "PhaseEnded, middle": lambda: phase("index", ended=True),
    "PhaseEnded, last": lambda: phase("clean", ended=True),
    "DdlStarting, first": lambda: counted("DdlStarting", 1),
    "DdlStarting, middle": lambda: within("DdlStarting", "mirror"),
    "DdlStarting, last": lambda: ddl("DROP TABLE"),
    "DdlDone, first": lambda: counted("DdlDone", 1),
    "DdlDone, middle": lambda: within("DdlDone", "mirror"),
    "DdlDone, last": lambda: ddl("DROP TABLE", done=True),
    "ChunkCopied, first": lambda: counted("ChunkCopied", 1),
    "ChunkCopied, middle": lambda: with_rows("ChunkCopied", ROWS // 2),
    "ChunkCopied, last": lambda: with_rows("ChunkCopied", ROWS),
    "RangeCopied": lambda: counted("RangeCopied", 1),
    "Backlog, first": lambda: counted("Backlog", 1),
    "Backlog, middle": lambda: within("Backlog", "index"),
    "Backlog, last": lambda: within("Backlog", "mirror"),
    "ChunkVerified, first": lambda: counted("ChunkVerified", 1),
    "ChunkVerified, middle": lambda: with_rows("ChunkVerified", ROWS // 2),
    "ChunkVerified, last": lambda: with_rows("ChunkVerified", ROWS),
    "Moment, first": lambda: counted("Moment", 1),
    "Moment, middle": lambda: counted("Moment", 2),
    "Moment, last": lambda: counted("Moment", 3),
    "Retained": lambda: counted("Retained", 1),
    "StepEnded": lambda: counted("StepEnded", 1),
    "RunEnded": lambda: counted("RunEnded", 1),
}
"""The first, the middle and the last event of each type that a run of one table tells."""


def test_every_type_of_event_is_there(desk: Desk) -> None:
    """A run tells no type of event that is not among those at which it is ended, but for findings and waits."""
    ran = desk.migrator("apply", desk.plan(*ALL_SHADOW), "--events")
    assert ran.code == 0, ran
    told = {str(event["event"]) for event in ran.events} - {"Noticed", "Waiting"}
    assert told == {name.partition(",")[0] for name in EVENTS}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "stop"])
@pytest.mark.parametrize("event", EVENTS)
def test_ended_at_an_event(desk: Desk, event: str, number: signal.Signals) -> None:
    """Killed or stopped there: the application goes on without an error, and `apply` finishes, with nothing left."""
    plan = desk.plan(*ALL_SHADOW)
    held = desk.held(plan)
    held.hold(EVENTS[event]())
    held.signal(number)
    if number is signal.SIGKILL:
        held.kill()
    else:
        # Once the run is over the signal has its own effect again: a shell says 143 of that, too.
        assert held.finish().code in {0, 143} | ({-signal.SIGTERM} if event == "RunEnded" else set())
    desk.change_all_sorts()
    again = desk.migrator("apply", plan)
    assert again.code == 0, again
    desk.assert_done()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "stop"])
def test_ended_between_each_two_statements_of_ddl(desk: Desk, number: signal.Signals) -> None:
    """One run after the other, each ended before another statement: each goes on, and no row is lost."""
    plan, before = desk.plan(*ALL_SHADOW), list[str]()

    def new_statement(event: Event) -> bool:
        if event["event"] == "RunEnded":
            return True
        new = event["event"] == "DdlStarting" and event["statement"] not in before
        if new:
            before.append(event["statement"])
        return new

    while True:
        held = desk.held(plan)
        event = held.hold(new_statement)
        if event["event"] == "RunEnded" and event["exit_code"] == 0:
            assert held.finish().code == 0
            break
        held.signal(number)
        if number is signal.SIGKILL:
            held.kill()
        else:
            held.finish()
        desk.change_all_sorts(mark=str(len(before)))
    kinds = " ".join(before)
    # A run that is stopped does what has no safe point in between: a whole moment, all that comes after the swap.
    everywhere = ("RENAME TABLE", "_t_log_upd", "_t_mirror_upd", "DROP TRIGGER", "DROP TABLE")
    for wanted in ("LIKE", "_t_log_", "ADD UNIQUE", "_t_mirror_", *(everywhere if number is signal.SIGKILL else ())):
        assert wanted in kinds, f"no run was ended before {wanted}"
    desk.assert_done()
