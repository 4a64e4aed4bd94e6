"""Servers leave nothing behind: no process, no folder, however the process that wanted them ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers import choose, start, until

ROOT = Path(__file__).parents[2]
SMALL = ("--innodb-buffer-pool-size=64M",)

OWNER = """
import json, os, select, signal, sys
from tests.servers import start
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin with it ignored
with start(options=["--innodb-buffer-pool-size=64M"]) as server:
    {then}
    print(json.dumps([server.server.pid, str(server.folder)]), flush=True)
    while True:
        select.select([], [], [], 0.1)
"""
FORK = "if os.fork() == 0: sys.stdin.read(); os._exit(0)"
"""A child that holds copies of all our pipes, and lives on."""

pytestmark = pytest.mark.server


@pytest.fixture(autouse=True)
def embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests are about the embedded server, whatever else this machine has."""
    monkeypatch.setenv("MIGRATOR_TEST_SERVER", "embedded")


def gone(pid: int, folder: Path) -> bool:
    """True if no process `pid` serves `folder`, and the folder is not there."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        command = b""
    return os.fsencode(folder) not in command and not folder.exists()


def test_nothing_is_left_after_the_block() -> None:
    """Normal end and exception: the server is gone, and so is its folder with datadir and keyring."""
    with start(options=SMALL) as server:
        pid, folder = server.server.pid, server.folder
        assert pid and folder and not gone(pid, folder)
    assert gone(pid, folder)
    with pytest.raises(ZeroDivisionError), start(options=SMALL) as server:
        pid, folder = server.server.pid, server.folder
        raise ZeroDivisionError
    assert pid and folder and gone(pid, folder)


def test_nothing_is_left_when_the_server_was_stopped_before() -> None:
    """A server that is down already at the end of the block is no trouble."""
    with start(options=SMALL) as server:
        server.kill()
        folder = server.folder
    assert folder and not folder.exists()


@contextmanager
def owner(then: str = "pass") -> Iterator[tuple[subprocess.Popen[str], int, Path]]:
    """Another process that has started a server, the server's pid, and its folder."""
    code = OWNER.format(then=then)
    choose(own=True)  # a first download is not part of the story
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        pid, folder = json.loads(process.stdout.readline())
        try:
            assert not gone(pid, Path(folder))
            yield process, pid, Path(folder)
        finally:
            process.kill()


@pytest.mark.parametrize("then", ["pass", FORK], ids=["alone", "with a child that lives on"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_server_does_not_outlive_its_owner(number: signal.Signals, then: str) -> None:
    """SIGKILL, SIGTERM or Ctrl-C of the owner: within seconds mysqld and the folder are gone."""
    with owner(then) as (process, pid, folder):
        process.send_signal(number)
        until(lambda: gone(pid, folder), f"{pid} and {folder} are gone")


def test_a_server_does_not_outlive_its_owner_while_it_is_down() -> None:
    """The owner dies while the server is stopped: there is no server, and the folder goes."""
    with owner("server.stop()") as (process, pid, folder):
        process.kill()
        until(lambda: gone(pid, folder), f"{folder} is gone")


def test_a_server_does_not_outlive_its_keeper() -> None:
    """If the keeper itself is killed, the kernel kills the server, and the owner removes the folder."""
    with start(options=SMALL) as server:
        pid, folder = server.server.pid, server.folder
        assert pid and folder
        status = Path(f"/proc/{pid}/status").read_text()
        keeper = int(status.split("PPid:")[1].split()[0])
        assert keeper != os.getpid()
        os.kill(keeper, signal.SIGKILL)
        try:
            until(lambda: not Path(f"/proc/{pid}").exists(), f"{pid} is gone")
        except AssertionError:
            os.kill(pid, signal.SIGKILL)
            raise
    assert gone(pid, folder)


def test_a_server_by_hand_ends_with_control_c() -> None:
    """`make server` prints how to connect; Ctrl-C ends it with status 0 and leaves nothing."""
    choose(own=False)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.servers", *SMALL], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        lines: list[str] = []
        while not lines or "Ctrl-C" not in lines[-1]:
            lines.append(process.stdout.readline())
            assert lines[-1], lines
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(60) == 0
        finally:
            process.terminate()
    datadir = next(line.split()[1] for line in lines if "datadir" in line)
    option_file = next(line.split("=")[1].strip() for line in lines if "client" in line)
    assert not Path(datadir).parent.exists()
    assert not Path(option_file).exists()


@pytest.mark.parametrize(("ci", "status", "word"), [("true", 1, "1 error"), (None, 0, "1 skipped")])
def test_no_server_is_a_failure_in_ci_and_a_skip_at_a_desk(ci: str | None, status: int, word: str) -> None:
    """A broken environment cannot pass for a green run in CI."""
    environment = {key: value for key, value in os.environ.items() if key not in ("CI", "MIGRATOR_TEST_DSN")}
    environment |= {"MIGRATOR_TEST_SERVER": "dsn"} | ({"CI": ci} if ci else {})
    asked = f"{Path(__file__).with_name('test_shared_server.py')}"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", asked],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, word in done.stdout) == (status, True), done.stdout
    assert "MIGRATOR_TEST_DSN is not set" in done.stdout
