"""One call of a command: its connection, its signals, its output, and the exit code of whatever happens.

Nothing that goes wrong leaves without a line on stderr and a documented exit code.
"""

from __future__ import annotations

import getpass
import logging
import os
import signal
import stat
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final, TextIO

from migrator.db import Session
from migrator.errors import Failed, Interrupted, MigratorError, Stopped, UsageError
from migrator.report.words import printable
from migrator.settings import Given, settle, surroundings
from migrator.sql_errors import SqlError

BUG: Final = 70
"""EX_SOFTWARE of sysexits.h; never 1, which is what Python itself would give."""


_TLS: Final = "--ssl-mode=REQUIRED makes that an error, --ssl-mode=DISABLED says that it is meant"


class StopSignal(threading.Event):
    """Set by the first SIGINT, SIGTERM or SIGHUP; `number` is which. 0 if something else has set it."""

    def __init__(self) -> None:
        super().__init__()
        self.number = 0


class Signalled(KeyboardInterrupt):
    """A signal during work that may end at any point; no `except Exception` catches it."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@dataclass(frozen=True, slots=True)
class Call:
    """What every command is given besides its own options."""

    given: Given
    debug: bool = False
    stop: StopSignal = field(default_factory=StopSignal)

    def session(self, command: str) -> Session:
        """A session to the server that the options ask for; warnings about them go to stderr."""
        settled = settle(self.given, surroundings(_ask if sys.stdin.isatty() else None))
        for warning in settled.warnings:
            say(f"warning: {warning}")
        session = Session(settled.connect, purpose=f"migrator {command}", stop=self.stop)
        if session.in_clear and settled.connect.ssl_mode == "PREFERRED":
            say(f"warning: {settled.connect.where} offers no TLS: what is sent and read can be read on the way. {_TLS}")
        return session


def _ask() -> str:
    try:
        return getpass.getpass("Enter password: ")
    except EOFError:
        raise UsageError("no password was entered", remedy="type it, or put it into an option file") from None


def say(text: str) -> None:
    """A line for people, on stderr. Where that cannot be written, nobody is there to be told: the exit code is left."""
    try:
        print("\n".join(printable(line) for line in text.split("\n")), file=sys.stderr, flush=True)
    except OSError:
        to_nowhere(sys.stderr)


def tell_result(text: str, out: TextIO) -> None:
    """Write what a run came to. Where that cannot be written, the run is over all the same, and its exit code stays."""
    try:
        out.write(text)
        out.flush()
    except OSError as error:
        to_nowhere(out)
        say(f"warning: the summary cannot be written: {error.strerror}")


# -- exit codes -------------------------------------------------------------------------------


def exit_code_of(work: Callable[[], int], *, debug: bool = False) -> int:
    """The exit code of `work`; whatever it raises is said on stderr and has one, too."""
    try:
        with interruptible():
            code = work()
            sys.stdout.flush()
            return code
    except Interrupted as error:
        _explain(error)
        return error.signal_exit_code
    except MigratorError as error:
        _explain(error)
        return error.exit_code
    except SqlError as error:
        say(f"error: the server said no: {error}")
        say("remedy: mend what it says, then run the same command again: it looks at what exists, and goes on")
        return Failed.exit_code
    except KeyboardInterrupt as error:
        say("interrupted; nothing is left half-written")
        return 128 + (error.number if isinstance(error, Signalled) else signal.SIGINT)
    except BrokenPipeError:
        # Whoever read our output has gone.
        for stream in (sys.stdout, sys.stderr):
            to_nowhere(stream)
        return Failed.exit_code
    except OSError as error:
        about = f" ({error.filename})" if error.filename else ""
        say(f"error: the operating system said no: {error.strerror or type(error).__name__}{about}")
        to_nowhere(sys.stdout)
        return Failed.exit_code
    except Exception as error:  # noqa: BLE001 - the last resort names every error
        _confess(error, debug=debug)
        return BUG


def to_nowhere(stream: TextIO) -> None:
    """Let what is still in the stream's buffer vanish: it could not be written, and would fail again at exit."""
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


def _explain(error: MigratorError) -> None:
    say(f"error: {error.message}")
    if error.remedy:
        say(f"remedy: {error.remedy}")


def _confess(error: BaseException, *, debug: bool) -> None:
    """A bug: its type and place, never its text, which could hold a value."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "nowhere"
    say(f"error: {type(error).__name__} at {place}: a bug in migrator")
    if debug:
        say("".join(traceback.format_list(frames)).rstrip())
    else:
        say("remedy: report it with the output of the same command with --debug, which shows no values either")


# -- signals ----------------------------------------------------------------------------------

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def _handling(handle: Callable[[int], None]) -> Iterator[None]:
    def called(number: int, _frame: FrameType | None) -> None:
        handle(number)

    # Whoever started us by nohup does not want to hear of a terminal that is closed.
    deaf = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    heard = [number for number in _SIGNALS if not (deaf and number == signal.SIGHUP)]
    before = {number: signal.signal(number, called) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP end the block where it is: for work that may end anywhere."""

    def raise_it(number: int) -> None:
        raise Signalled(number)

    with _handling(raise_it):
        yield


@contextmanager
def stoppable(stop: StopSignal) -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP only set `stop`: the work goes on to its next safe point. Said on stderr, every time.

    `Stopped` because of that becomes `Interrupted`.
    """

    def note(number: int) -> None:
        first = not stop.number
        if first:
            stop.number = number
        stop.set()
        name = signal.Signals(number).name
        # os.write: print could be interrupted in itself by this very handler.
        if first:
            text = f"{name}: stopping at the next safe point; the state is kept\n"
        else:
            text = f"{name} again: still waiting for the safe point, so that nothing is left half-done\n"
        # With its terminal closed nobody is there to be told, and an error here would end the work anywhere.
        with suppress(OSError):
            os.write(2, text.encode())

    with _handling(note):
        try:
            yield
        except Stopped as error:
            if stop.number:
                raise Interrupted(error.message, signal_number=stop.number) from None
            raise


def signal_code(stop: StopSignal, exit_code: int) -> int:
    """The exit code of work that ended because of a signal: 128 + its number where it says stopped."""
    stopped = {Stopped.exit_code, Interrupted.exit_code}
    return 128 + stop.number if stop.number and exit_code in stopped else exit_code


# -- output -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Output:
    """Where a result goes: a file, or stdout. Made before the work begins, so that a bad path costs nothing."""

    file: Path | None

    def write(self, text: str) -> None:
        """Write all of it or nothing: a file is replaced in one step. Raises `Failed`."""
        if self.file is None:
            sys.stdout.write(text)
            sys.stdout.flush()
            return
        try:
            if _is_special(self.file):
                self.file.write_text(text, encoding="utf-8")
            else:
                _replace(self.file, text)
        except OSError as error:
            raise Failed(
                f"cannot write {self.file}: {error.strerror}", remedy="make room or name another file, and run it again"
            ) from None


def output(file: Path | None) -> Output:
    """The place for a result; raises `UsageError` naming file and reason if nothing can be written there.

    None and `-` are stdout. A file that is there stays as it is until `write`.
    """
    if file is None or str(file) == "-":
        return Output(None)
    try:
        if file.is_dir():
            raise UsageError(f"cannot write {file}: it is a folder", remedy="name a file with -o")
        if _is_special(file):
            return Output(file)
        file = file.resolve()
        if file.exists():
            with file.open("ab"):
                pass
        with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name[:64]}."):
            pass
    except OSError as error:
        raise UsageError(
            f"cannot write {file}: {error.strerror}", remedy="name a file with -o in a folder that you may write to"
        ) from None
    return Output(file)


def _is_special(file: Path) -> bool:
    """A pipe, a device: nothing that could be replaced."""
    return file.exists() and not file.is_file() and not file.is_dir()


def _replace(file: Path, text: str) -> None:
    mode = stat.S_IMODE(file.stat().st_mode) if file.exists() else 0o666 & ~_umask()
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name[:64]}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        Path(name).chmod(mode)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def log_statements() -> None:
    """--debug: every statement (without its values) and its time, on stderr."""
    logging.basicConfig(stream=sys.stderr, level=logging.DEBUG, format="%(asctime)s %(threadName)s %(message)s")
