"""Signals as schedulers, containers and terminals send them, and streams that nobody reads. Each runs the command."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tests.server.cli.held import WAIT_SECONDS, Held, Ran, each
from tests.server.cli.kit import ALL_SHADOW, MIGRATOR, Desk
from tests.servers import until

GRACE_SECONDS = 30.0
"""What Kubernetes gives a container unless it is told otherwise; systemd gives 90."""

AS_PROCESS_1 = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


def environment(desk: Desk) -> dict[str, str]:
    """As `Desk` has it, for what is started here."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MYSQL_")}
    return clean | {"HOME": str(desk.folder), "COLUMNS": "200"}


def words(desk: Desk, plan: Path, *options: object) -> list[str]:
    """The words of an `apply`."""
    return [str(MIGRATOR), "apply", f"--defaults-file={desk.options}", str(plan), *map(str, options)]


def held_under(desk: Desk, prefix: Sequence[str], plan: Path, *options: object) -> Held:
    """`apply --events` started by another program, and held."""
    held = Held([*prefix, *words(desk, plan, "--events", *options)], environment(desk), desk.folder, desk.check)
    desk.started.append(held)
    return held


def stat_of(pid: int) -> list[str]:
    """State, parent and so on of a process; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def children_of(pid: int) -> list[int]:
    """Its children, those that wait to be buried, too."""
    found = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [child for child in found if stat_of(child)[1:2] == [str(pid)]]


# -- process 1 of a container ---------------------------------------------------------------------


def test_sigterm_as_process_1(desk: Desk) -> None:
    """A process 1 gets only signals that it handles: SIGTERM ends it with 143 within the grace period; it goes on."""
    desk.table("t")
    plan = desk.plan(*ALL_SHADOW)
    held = held_under(desk, AS_PROCESS_1, plan)
    held.hold(each("ChunkCopied"), 3)
    (inside,) = children_of(held.pid)
    assert Path(f"/proc/{inside}/status").read_text().partition("NSpid:")[2].split("\n")[0].split()[-1] == "1"
    os.kill(inside, signal.SIGTERM)
    began = time.monotonic()
    ran = held.finish()
    assert time.monotonic() - began < GRACE_SECONDS
    assert ran.code == 143, ran
    ran.says("SIGTERM: stopping at the next safe point")
    assert desk.migrator("apply", plan).code == 0
    desk.assert_done()


def test_process_1_buries_what_hooks_leave_behind(desk: Desk) -> None:
    """Children of a hook's that outlive it fall to process 1: they are ended and none stays as a zombie."""
    desk.table("t")
    plan = desk.plan(*ALL_SHADOW)
    program, called = desk.folder / "hook", desk.folder / "called"
    program.write_text(f"#!/bin/sh\nfor i in 1 2 3; do (sleep 600 &); done\necho $MIGRATOR_EVENT >> '{called}'\n")
    program.chmod(0o755)
    held = held_under(desk, AS_PROCESS_1, plan, f"--hook={program}")
    held.hold(each("ChunkCopied"), 2)
    (inside,) = children_of(held.pid)
    until(called.exists, "the hook was called", seconds=60)
    until(lambda: children_of(inside) == [], "its children are gone", seconds=60)
    assert held.finish().code == 0
    desk.assert_done()


# -- terminals ------------------------------------------------------------------------------------


def test_sighup_stops_as_sigterm_does(desk: Desk) -> None:
    """129 at a safe point; the next `apply` goes on."""
    desk.table("t")
    plan = desk.plan(*ALL_SHADOW)
    held = desk.held(plan)
    held.hold(each("ChunkCopied"), 3)
    held.signal(signal.SIGHUP)
    ran = held.finish()
    assert ran.code == 129, ran
    ran.says("SIGHUP: stopping at the next safe point; the state is kept")
    assert ran.events[-1]["exit_code"] == 129
    assert desk.migrator("apply", plan).code == 0
    desk.assert_done()


def test_nohup_is_respected(desk: Desk) -> None:
    """Who started us by nohup wants the run to go on: SIGHUP does nothing."""
    desk.table("t")
    held = held_under(desk, ("nohup",), desk.plan(*ALL_SHADOW))
    held.hold(each("ChunkCopied"), 3)
    held.signal(signal.SIGHUP)
    ran = held.finish()
    assert ran.code == 0, ran
    desk.assert_done()


def test_a_terminal_that_is_closed(desk: Desk) -> None:
    """The run stops at a safe point with 129, though nothing can be written any more; the next `apply` goes on."""
    desk.table("t", rows=300)
    plan = desk.plan(*ALL_SHADOW)
    arguments, around = words(desk, plan), environment(desk)
    with closing(desk.connect(autocommit=False)) as somebody, somebody.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM t")  # so that the run cannot end before its terminal is closed
        pid, terminal = pty.fork()
        if pid == 0:
            try:
                os.execve(arguments[0], arguments, around)  # noqa: S606 - no shell is the point
            finally:
                os._exit(99)
        said, deadline = b"", time.monotonic() + WAIT_SECONDS
        while b"swap" not in said and time.monotonic() < deadline:
            if select.select([terminal], [], [], 1.0)[0]:
                said += os.read(terminal, 65536)
        os.close(terminal)
        ended: list[int] = []
        until(lambda: ended or _waited(pid, ended), "the run has ended", seconds=WAIT_SECONDS)
        assert os.waitstatus_to_exitcode(ended[0]) == 129, said.decode(errors="replace")[-2000:]
        cursor.execute("UPDATE t SET extra = 'still here' WHERE n = 1")
        somebody.rollback()
    assert not desk.encrypted("t")
    assert desk.migrator("apply", plan).code == 0
    desk.assert_done()


def _waited(pid: int, ended: list[int]) -> bool:
    found, status = os.waitpid(pid, os.WNOHANG)
    if found:
        ended.append(status)
    return bool(found)


# -- streams --------------------------------------------------------------------------------------


def with_streams(desk: Desk, shell: str, plan: Path, *options: object) -> Ran:
    """Run `apply` with what a shell makes of its streams; `"$@"` is the command, and the code is its own."""
    ended = subprocess.run(
        ["bash", "-c", shell, "bash", *words(desk, plan, *options)],
        env=environment(desk),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )
    ran = Ran(ended.returncode, ended.stdout, ended.stderr)
    desk.check(ran.out + ran.err)
    return ran


def test_events_into_head(desk: Desk) -> None:
    """`apply --events | head -1`: it ends with 3 and no traceback when nobody reads; the next `apply` goes on."""
    desk.table("t")
    plan = desk.plan(*ALL_SHADOW)
    ran = with_streams(desk, '"$@" | head -1; exit ${PIPESTATUS[0]}', plan, "--events")
    assert ran.code == 3, ran
    assert len(ran.out.splitlines()) == 1
    assert desk.migrator("apply", plan).code == 0
    desk.assert_done()


def test_events_to_a_full_disk(desk: Desk) -> None:
    """It ends with 3 and says why; nothing was changed that the next `apply` could not go on with."""
    desk.table("t")
    plan = desk.plan(*ALL_SHADOW)
    ran = with_streams(desk, '"$@" > /dev/full', plan, "--events")
    assert ran.code == 3, ran
    ran.says("error: the operating system said no: No space left on device")
    assert desk.migrator("apply", plan).code == 0
    desk.assert_done()


@pytest.mark.parametrize(
    ("shell", "says"),
    [('"$@" > /dev/full', "the summary cannot be written: No space left on device"), ('"$@" 2> /dev/full', "")],
    ids=["stdout", "stderr"],
)
def test_a_summary_or_progress_that_cannot_be_written(desk: Desk, shell: str, says: str) -> None:
    """They are for people: the run is done, and its exit code says so."""
    desk.table("t", rows=300)
    ran = with_streams(desk, shell, desk.plan(*ALL_SHADOW))
    assert ran.code == 0, ran
    ran.says(says)
    desk.assert_done()
