"""Commands that are called for events: what they get, what they may do, and how they end."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from migrator.clock import SystemClock
from migrator.events import Event, HookFailed, RunStarted, StepEnded
from migrator.report.hooks import LINES_AT_MOST, WAITING_AT_MOST, Hook
from tests.servers import until

STARTED = RunStarted("", "r1", "abc", 2, 4096)
ENDED = StepEnded("shop.orders", "done", 1.5)


class Heard:
    """What a hook's owner hears of it."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.failures: list[HookFailed] = []

    def hook(self, *words: str, seconds: float = 60.0) -> Hook:
        """A hook of these words."""
        return Hook(words, seconds=seconds, clock=SystemClock(), say=self.said.append, failed=self.failures.append)


@pytest.fixture
def heard() -> Heard:
    """Somebody who listens."""
    return Heard()


def called(hook: Hook, *events: Event) -> None:
    """Call the hook for events, and wait until it is done."""
    for event in events:
        hook.call(event)
    hook.close()


def running(pid: int) -> bool:
    """True while a process is there and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def held_until(file: Path) -> str:
    """Shell that goes on when the file is there."""
    return f"while [ ! -e '{file}' ]; do sleep 0.05; done"


def test_it_gets_the_event_as_json_and_its_name(heard: Heard, tmp_path: Path) -> None:
    """One line on stdin, as `--events` has it, and MIGRATOR_EVENT."""
    out = tmp_path / "out"
    called(heard.hook("sh", "-c", f"cat >> '{out}'; echo \"$MIGRATOR_EVENT\" >> '{out}'"), STARTED, ENDED)
    first, name, second, other = out.read_text().splitlines()
    assert (name, other) == ("RunStarted", "StepEnded")
    assert json.loads(first)["run_id"] == "r1"
    assert json.loads(second) | {"at": ""} == {
        "event": "StepEnded",
        "format": 1,
        "at": "",
        "subject": "shop.orders",
        "outcome": "done",
        "seconds": 1.5,
        "message": "",
        "remedy": "",
    }
    assert heard.failures == []


def test_it_does_not_inherit_passwords(heard: Heard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that begins with MYSQL_ or is called a password; all else it has."""
    for name in ("MYSQL_PWD", "MYSQL_TEST_LOGIN_FILE", "DB_PASSWORD", "REPL_PWD", "MY_SECRET"):
        monkeypatch.setenv(name, "cAnArY7391")
    monkeypatch.setenv("TEAM", "dba")
    out = tmp_path / "out"
    called(heard.hook("sh", "-c", f"cat > /dev/null; env > '{out}'"), STARTED)
    assert "cAnArY7391" not in out.read_text()
    assert "TEAM=dba\n" in out.read_text()


def test_no_shell_is_used(heard: Heard, tmp_path: Path) -> None:
    """What a shell would take for its own is an argument like any other."""
    out = tmp_path / "out"
    called(heard.hook("sh", "-c", f"printf %s \"$1\" > '{out}'", "sh", "$(touch /x); a > b"), STARTED)
    assert out.read_text() == "$(touch /x); a > b"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("sh", "-c", "exit 3"), "it ended with exit code 3"),
        (("sh", "-c", "kill -9 $$"), "it was ended by signal 9"),
        (("/no/such/program", "--token=cAnArY7391"), "it cannot be run: No such file or directory"),
        ((os.devnull,), "it cannot be run: Permission denied"),
    ],
)
def test_a_failure_is_told(heard: Heard, words: tuple[str, ...], reason: str) -> None:
    """Which program, what for, and why; never its arguments."""
    called(heard.hook(*words), ENDED)
    assert heard.failures == [HookFailed("shop.orders", Path(words[0]).name, "StepEnded", reason)]


def test_a_hook_that_takes_too_long_is_ended_with_its_children(heard: Heard, tmp_path: Path) -> None:
    """Its process and what it started are gone, and the next event has its turn."""
    pids = tmp_path / "pids"
    text = f"[ $MIGRATOR_EVENT = StepEnded ] && exit 0; sleep 600 & echo $! $$ > '{pids}'; wait"
    called(heard.hook("sh", "-c", text, seconds=2.0), STARTED, ENDED)
    assert [failure.reason for failure in heard.failures] == ["it was ended after 2 s"]
    for pid in map(int, pids.read_text().split()):
        until(lambda pid=pid: not running(pid), f"process {pid} is gone", seconds=30)  # type: ignore[misc]


def test_what_a_hook_leaves_behind_is_ended(heard: Heard, tmp_path: Path) -> None:
    """A child in its group does not live on, nor keep us waiting by the pipe that it holds."""
    pid_file = tmp_path / "pid"
    called(heard.hook("sh", "-c", f"sleep 600 & echo $! > '{pid_file}'", seconds=300.0), STARTED)
    assert heard.failures == []
    until(lambda: not running(int(pid_file.read_text())), "the child is gone", seconds=30)


def test_a_slow_hook_holds_nobody_up_and_passes_over_the_oldest(heard: Heard, tmp_path: Path) -> None:
    """All calls return at once while it hangs; what is too much for the queue is passed over, and that is said."""
    go_on, out = tmp_path / "go-on", tmp_path / "out"
    hook = heard.hook("sh", "-c", f"{held_until(go_on)}; cat >> '{out}'")
    first = hook.call(STARTED)
    until(lambda: hook._process is not None, "the first call is under way", seconds=30)
    for number in range(WAITING_AT_MOST + 3):
        hook.call(StepEnded(f"shop.t{number}", "done", 0.0))
    assert not first.over.is_set()
    go_on.touch()
    hook.close()
    subjects = [json.loads(line)["subject"] for line in out.read_text().splitlines()]
    assert subjects == ["", *(f"shop.t{number}" for number in range(3, WAITING_AT_MOST + 3))]
    assert [failure.reason for failure in heard.failures] == ["it is too slow: it was not called for 3 events"]


def test_at_the_end_a_hook_that_hangs_is_still_told_the_last_event(heard: Heard, tmp_path: Path) -> None:
    """What waits has the time of one call; after that only the last event counts."""
    out = tmp_path / "out"
    hook = heard.hook(
        "sh", "-c", f"[ $MIGRATOR_EVENT = StepEnded ] && exec cat >> '{out}'; exec sleep 600", seconds=2.0
    )
    called(hook, *[STARTED] * 20, ENDED)
    assert json.loads(out.read_text())["subject"] == "shop.orders"
    assert sum(failure.reason == "it was ended after 2 s" for failure in heard.failures) < 5


def test_what_it_says_is_marked_and_bounded(heard: Heard) -> None:
    """stdout and stderr, line by line; a flood is cut."""
    called(
        heard.hook("sh", "-c", "echo out; echo err >&2; i=0; while [ $i -lt 200 ]; do echo $i; i=$((i+1)); done"), ENDED
    )
    assert heard.said[:3] == ["hook sh: out", "hook sh: err", "hook sh: 0"]
    assert len(heard.said) == LINES_AT_MOST + 1
    assert heard.said[-1] == "hook sh: (it says more, which is not shown)"


def test_a_hook_that_does_not_read_is_no_failure(heard: Heard) -> None:
    """Also where the event is larger than a pipe holds."""
    called(heard.hook("true"), StepEnded("shop.orders", "failed", 1.0, "x" * 300_000))
    assert heard.failures == []


def test_each_call_is_in_a_session_of_its_own(heard: Heard, tmp_path: Path) -> None:
    """So Ctrl-C on our terminal does not reach it."""
    out = tmp_path / "out"
    called(heard.hook("sh", "-c", f"ps -o sid= -p $$ > '{out}'; echo $$ >> '{out}'"), STARTED)
    session, pid = out.read_text().split()
    assert session == pid != str(os.getsid(0))


def test_a_hook_that_is_never_called_starts_no_thread(heard: Heard) -> None:
    """To close it costs nothing."""
    before = threading.active_count()
    heard.hook("true").close()
    assert threading.active_count() == before


def test_calls_from_many_threads_all_come(heard: Heard, tmp_path: Path) -> None:
    """Lanes tell their events at the same time."""
    out = tmp_path / "out"
    hook = heard.hook("sh", "-c", f"cat >> '{out}'")
    jobs: list[Callable[[], None]] = [
        lambda n=n: [hook.call(StepEnded(f"t{n}.{i}", "done", 0.0)) for i in range(5)] and None  # type: ignore[misc]
        for n in range(4)
    ]
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    hook.close()
    assert len(out.read_text().splitlines()) == 20
