"""Who hears of a call of `apply`: that nobody who cannot be told ends it, and that its end is always told."""

from __future__ import annotations

import io
import json
import sys

import pytest

from migrator.cli_call import Signalled, StopSignal, exit_code_of
from migrator.cli_listen import Listeners, Wanted
from migrator.errors import Interrupted, LeaseHeld, MigratorError, ServerUnreachable
from migrator.events import RunEnded, RunStarted, StepEnded
from migrator.sql_errors import SqlError

STARTED = RunStarted("", "r1", "hash", 3, 1000)


def heard(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """What went to stdout."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LeaseHeld("another run is at work"), 75),
        (ServerUnreachable("gone"), 3),
        (SqlError(1205, "Lock wait timeout exceeded"), 3),
        (Interrupted("stopped", signal_number=15), 143),
        (Signalled(1), 129),
        (MigratorError("odd"), 70),
        (ValueError("cAnArY7391"), 70),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_an_error_is_heard_of_with_the_exit_code_of_the_process(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int
) -> None:
    """`NotBegun` before a run, `RunEnded` after it began; the code is the process's; no value is told."""
    for began in (False, True):
        listeners = Listeners(Wanted(events=True), StopSignal())

        def work(listeners: Listeners = listeners, *, began: bool = began) -> int:
            with listeners.hearing() as listen:
                if began:
                    listen(STARTED)
                    listen(StepEnded("s.a", "done", 1.0))
                    listen(StepEnded("s.b", "failed", 1.0))
                raise error

        assert exit_code_of(work) == code
        listeners.close()
        last = heard(capsys)[-1]
        assert (last["event"], last["exit_code"]) == ("RunEnded" if began else "NotBegun", code)
        assert "cAnArY7391" not in str(last)
        if began:
            assert (last["run_id"], last["done"], last["failed"], last["left"]) == ("r1", 1, 1, 1)


def test_an_end_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    """What goes wrong after `RunEnded` is no second end."""
    listeners = Listeners(Wanted(events=True), StopSignal())
    with pytest.raises(ServerUnreachable), listeners.hearing() as listen:
        listen(STARTED)
        listen(RunEnded("", "r1", 0, 3, 0, 0, 0, 0, 1.0))
        raise ServerUnreachable("gone")
    listeners.close()
    assert [event["event"] for event in heard(capsys)] == ["RunStarted", "RunEnded"]


def test_progress_that_cannot_be_written_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A terminal that was closed: the other listeners hear on."""

    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

        def fileno(self) -> int:
            return 2

    monkeypatch.setattr(sys, "stderr", Closed())
    listeners = Listeners(Wanted(events=True), StopSignal())
    listeners(STARTED)
    listeners.close()
    assert '"RunStarted"' in capfd.readouterr().out


def test_stdout_that_cannot_be_written_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events were asked for: whoever asked must not believe that he has heard all."""

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    listeners = Listeners(Wanted(events=True), StopSignal())
    with pytest.raises(OSError, match="No space left"), listeners.hearing() as listen:
        listen(STARTED)
    listeners.close()
