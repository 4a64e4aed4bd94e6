"""Two runs at once, and a run that slept too long. Each test runs the installed command."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

from tests.server.cli.held import Held, ddl, each
from tests.server.cli.kit import ALL_SHADOW, Desk
from tests.server.cli.snapshot import JOURNAL, snapshot
from tests.servers import until


def sleep(desk: Desk, held: Held) -> None:
    """Stop a process as Ctrl-Z or a frozen machine does; return when it stands still."""
    held.signal(signal.SIGSTOP)
    state = Path(f"/proc/{held.pid}/stat")
    until(lambda: state.read_text().rpartition(")")[2].split()[0] == "T", "the process stands still")


def work_of(desk: Desk) -> dict[str, object]:
    """All that a run has made so far, but for rows of the shadow: its last chunk may still come."""
    there = {key: value for key, value in snapshot(desk.server).items() if desk.schema in key}
    return {key: "" if "_t_shadow" in key else value for key, value in there.items()}


def test_a_second_apply_at_the_same_time(desk: Desk) -> None:
    """The second is 75, names host, process and run of the first, and changes nothing; the first ends well."""
    desk.table("t")
    plan = desk.plan(*ALL_SHADOW)
    first = desk.held(plan)
    run_id = first.hold(each("RunStarted"))["run_id"]
    first.hold(each("ChunkCopied"), 2)
    before = work_of(desk)
    for command in (("apply", plan), ("cleanup", f"--abandon={desk.schema}.t")):
        second = desk.migrator(*command)
        assert (second.code, second.out) == (75, ""), second
        second.says(f"run {run_id}", f"host {socket.gethostname()}", f"pid {first.pid}", "remedy: ")
    assert work_of(desk) == before
    # To look and to plan is allowed meanwhile.
    assert desk.migrator("status", "--format=json").json["run"]["pid"] == first.pid
    assert desk.migrator("verify", f"--databases={desk.schema}").code == 1
    assert first.finish().code == 0
    desk.assert_done()
    runs = desk.server.rows(f"SELECT id FROM {JOURNAL}.runs")
    assert runs == [(run_id,)]


def test_a_run_that_slept_too_long(desk: Desk) -> None:
    """SIGSTOP past the lease's end, takeover, SIGCONT: the first changes nothing more, 75; the other finishes."""
    desk.table("t")
    plan = desk.plan(*ALL_SHADOW)
    first = desk.held(plan)
    first.hold(each("ChunkCopied"), 3)
    sleep(desk, first)
    assert desk.migrator("apply", plan).code == 75
    desk.age_lease()
    silent = desk.migrator("status", "--format=json").json["run"]
    assert (silent["state"], silent["pid"]) == ("silent", first.pid)
    second = desk.held(plan)
    second.hold(each("ChunkCopied"), 2)
    # The first wakes up while the second is at work in the very same table.
    desk.change_all_sorts(mark="1")
    first.signal(signal.SIGCONT)
    awake = first.finish()
    assert awake.code == 75, awake
    awake.says("another run has taken over", "remedy: ")
    desk.change_all_sorts(mark="2")
    assert second.finish().code == 0
    desk.assert_done()


def test_a_run_that_slept_before_its_swap(desk: Desk) -> None:
    """Put to sleep at the swap and overtaken, the first sends no RENAME and drops nothing."""
    desk.table("t", rows=300)
    plan = desk.plan(*ALL_SHADOW)
    first = desk.held(plan)
    first.hold(lambda event: event["event"] == "PhaseStarted" and event["phase"] == "swap")
    sleep(desk, first)
    desk.age_lease()
    assert desk.migrator("apply", plan).code == 0
    desk.assert_done()
    desk.write("UPDATE {t} SET extra = 'later' WHERE n < 9")
    with desk.untouched():
        first.signal(signal.SIGCONT)
        awake = first.finish()
    assert awake.code == 75, awake
    assert not [
        event for event in awake.events if ddl("RENAME TABLE", done=True)(event) and "_retained" in event["statement"]
    ]
    desk.assert_done()


def test_another_account_cannot_take_over(desk: Desk) -> None:
    """A silent run of another account is not taken over, for its sessions could not be ended: 75, and who it is."""
    desk.table("t", rows=300)
    plan = desk.plan(*ALL_SHADOW)
    first = desk.held(plan)
    first.hold(each("ChunkCopied"))
    first.kill()
    desk.age_lease()
    desk.run(f"UPDATE {JOURNAL}.lease SET account = 'somebody@else'")
    ran = desk.migrator("apply", plan)
    assert ran.code == 75, ran
    ran.says("somebody@else", "remedy: ")
    desk.run(f"UPDATE {JOURNAL}.lease SET account = '{desk.account.user}@%'")
    assert desk.migrator("apply", plan).code == 0
    desk.assert_done()
