"""`set`: what a person asks of a run from elsewhere. Each test runs the installed command."""

from __future__ import annotations

import pytest

from tests.server.cli.held import each
from tests.server.cli.kit import ALL_SHADOW, Desk
from tests.server.cli.test_pause_and_wait import paused_by_person

NOTHING = "nothing is set: what the plan says is done\n"


def empty_run(desk: Desk) -> None:
    """A run of nothing: from then on there is a journal."""
    plan = desk.plan(*ALL_SHADOW, f"--ignore-tables={desk.schema}.*", file="none.yaml")
    assert desk.migrator("apply", plan).code == 0


def test_what_is_set_is_shown_and_taken_back(desk: Desk) -> None:
    """Each word changes its own; without words nothing is changed; an empty one takes it back; `status` shows them."""
    empty_run(desk)
    assert desk.migrator("set").out == NOTHING
    ran = desk.migrator("set", "workers=2", "chunk-time=200 ms", "max-lag=10", "max-load=Threads_running=30")
    assert (ran.code, "the next one does so" in ran.err) == (0, True), ran
    said = "workers=2, chunk-time=0.2, max-lag=10, max-load=Threads_running=30"
    assert ran.out == f"{said}\n"
    assert desk.migrator("set", "postpone-swap=off").out == f"{said}, postpone-swap=off\n"
    assert desk.migrator("set").out == f"{said}, postpone-swap=off\n"
    wishes = desk.migrator("status", "--format=json").json["run"]["wishes"]
    assert (wishes["workers"], wishes["max_lag_seconds"], wishes["postpone_swap"]) == (2, 10, False)
    assert desk.migrator("set", "workers=", "max-load=", "chunk-time=", "postpone-swap=").out == "max-lag=10\n"
    assert desk.migrator("set", "max-lag=").out == NOTHING


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("threads=2", "'threads' is nothing that can be set"),
        ("workers", "workers has no value"),
        ("workers=0", "workers: a number from 1 to 64"),
        ("chunk-time=1 h", "chunk-time: from 0.05 s to 30 s"),
        ("max-lag=-1", "max-lag: a time such as"),
        ("max-load=Threads_running", "max-load: 'Threads_running' is not NAME=NUMBER"),
        ("postpone-swap=maybe", "postpone-swap: on or off"),
    ],
)
def test_a_mistake_changes_nothing(desk: Desk, word: str, why: str) -> None:
    """Exit 2, what is wrong and what can be set; also what stands before it is not set."""
    empty_run(desk)
    with desk.untouched():
        ran = desk.migrator("set", "max-lag=7", word)
    assert ran.code == 2, ran
    ran.says(why, "workers, chunk-time, max-lag, max-load, postpone-swap")
    assert desk.migrator("set").out == NOTHING


def test_before_the_first_run(desk: Desk) -> None:
    """There is nothing to note it in: exit 2, and nothing is made."""
    with desk.untouched():
        ran = desk.migrator("set", "workers=2")
    assert ran.code == 2, ran
    ran.says("no run was ever recorded on this server")
    assert not desk.has_journal()


def test_a_run_hears_it(desk: Desk) -> None:
    """While it is at work, and tells so; `status` shows it to people, and the next run begins with what is left."""
    desk.table("t", rows=1500)
    held = desk.held(desk.plan(*ALL_SHADOW))
    held.hold(each("ChunkCopied"), 2)
    paused_by_person(desk, held)  # it cannot be done before it has heard
    ran = desk.migrator("set", "workers=1", "max-load=Threads_running=100")
    assert (ran.code, "within two seconds" in ran.err) == (0, True), ran
    assert held.hold(each("Told"))["wishes"] == "workers=1, max-load=Threads_running=100"
    assert "workers=1" in desk.migrator("status").out
    assert desk.migrator("set", "max-load=").code == 0
    assert held.hold(each("Told"))["wishes"] == "workers=1"
    assert desk.migrator("unpause").code == 0
    ran = held.finish()
    assert ran.code == 0, ran
    assert {event["workers"] for event in ran.of("ChunkCopied")[-3:]} == {1}
    ran.says("set by a person: workers=1")
    desk.assert_done()
    again = desk.migrator("apply", desk.folder / "plan.yaml", "--events")
    assert [event["wishes"] for event in again.of("Told")] == ["workers=1"]
