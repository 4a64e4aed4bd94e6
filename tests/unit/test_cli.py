"""The installed command line: exit codes, messages, signals and output, as far as no server is needed."""

from __future__ import annotations

import io
import os
import pty
import signal
import socket
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path

import pytest

from migrator import __version__
from migrator.cli import main
from migrator.cli_call import Output, StopSignal, exit_code_of, output, signal_code, stoppable
from migrator.cli_options import attestations_of, check_scope, made, scope_of
from migrator.cli_password import without_password
from migrator.errors import (
    Failed,
    Interrupted,
    LeaseHeld,
    MigratorError,
    Mismatch,
    OwnerUnknown,
    PlanInvalid,
    Refused,
    Stopped,
    UsageError,
)
from migrator.model import Flavour, Inventory, Keyring, Schema, Server, Table, TableName
from migrator.planner.plan import Attestation, Attestations, Defaults
from migrator.sql_errors import SqlError

MIGRATOR = Path(sysconfig.get_path("scripts")) / "migrator"
SECRET = "open%sesame"
NOBODY = ["--no-defaults", "--host=127.0.0.1", "--port=1", "--user=joe"]
"""Port 1 of loopback: nothing listens there."""


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The installed command, without a terminal, in an environment of its own."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MYSQL_")}
    return subprocess.run(
        [MIGRATOR, *arguments],
        env=clean | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# -- what a person types ----------------------------------------------------------------------


def test_version_and_help() -> None:
    """Both go to stdout, exit code 0, with no output on stderr."""
    version = run("--version")
    assert (version.returncode, version.stdout, version.stderr) == (0, f"migrator {__version__}\n", "")
    shown = run("--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "Exit codes: 0 done; 1 done, but" in shown.stdout
    assert "\x1b" not in shown.stdout


def test_python_m_migrator_is_the_same() -> None:
    """The package runs as a module, too."""
    ran = subprocess.run(
        [Path(sysconfig.get_path("scripts")) / "python", "-m", "migrator", "--version"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (0, f"migrator {__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Usage: migrator"),
        (["encrypt"], "No such command 'encrypt'"),
        (["audit", "--formt=json"], "No such option: --formt"),
        (["audit", "--format=xml"], "--format"),
        (["plan", "--workers=0"], "--workers"),
        (["plan", "--workers=many"], "--workers"),
        (["plan", "--direct-below=8 MiX"], "'8 MiX' is not a size"),
        (["plan", "--chunk-time=soon"], "'soon' is not a time"),
        (["plan", "--chunk-time=600"], "--chunk-time: Input should be less than or equal to 30"),
        (["plan", "--window=Sat 22:00-04:00"], "--window: 'Sat 22:00-04:00' is not a window"),
        (["apply", "plans/example.yaml", "--tables=x.y"], "--tables: nothing in the plan fits 'x.y'"),
        (["apply", "plans/example.yaml", "--budget=soon"], "'soon' is not a time"),
        (["plan", "--tables=orders"], "--tables: 'orders' names no schema"),
        (["plan", "--databases=a,,b"], "--databases: an empty pattern"),
        (["plan", "--attest-keyring-backup=Ann"], "--attest-keyring-backup: 'Ann' is not who and when"),
        (["plan", "--attest-keyring=db2=Ann, soon"], "--attest-keyring: 'Ann, soon' is not who and when"),
        (["apply"], "Missing argument 'PLAN'"),
        (["apply", "/nowhere/plan.yaml"], "cannot read the plan /nowhere/plan.yaml"),
        (["dry-run", "/nowhere/plan.yaml"], "cannot read the plan /nowhere/plan.yaml"),
        (["audit", "--port=70000"], "--port"),
        (["audit", "--no-defaults", "--ssl-mode=maybe"], "--ssl-mode: unknown ssl-mode"),
        (["audit", "--no-defaults", "--ssl-ca=/nowhere/ca.pem"], "cannot read /nowhere/ca.pem"),
        (["audit", "--defaults-file=/nowhere/my.cnf"], "cannot read option file /nowhere/my.cnf"),
        (["audit", "--no-defaults", "-p"], "no terminal to ask on"),
    ],
)
def test_wrong_usage_is_exit_code_2(
    arguments: list[str], message: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each says what is wrong, on stderr, before any server is asked."""
    monkeypatch.setattr("sys.stdin", io.StringIO())
    monkeypatch.setenv("COLUMNS", "200")
    assert main(arguments) == 2
    out, err = capfd.readouterr()
    assert message in " ".join((out + err).split())
    assert out == "" or not arguments


def test_the_installed_command_gives_the_same_code() -> None:
    """What `main` returns is what the shell sees."""
    ran = run("plan", "--tables=orders")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == (
        "error: --tables: 'orders' names no schema: write schema.table, or *.orders for every schema\n"
        "remedy: see `migrator COMMAND --help`\n"
    )


def test_an_unreachable_server_is_exit_code_3() -> None:
    """The message says where and as whom, the remedy what to check."""
    ran = run("audit", *NOBODY)
    assert ran.returncode == 3
    assert ran.stdout == ""
    assert ran.stderr.startswith("error: cannot connect to 127.0.0.1:1 as joe: ")
    assert "remedy: check host, port or socket, and that the server is up" in ran.stderr


def test_settings_come_from_an_option_file(tmp_path: Path) -> None:
    """The command line really reads them: the port of the file is the one that is tried."""
    file = tmp_path / "my.cnf"
    file.write_text(f"[client]\nhost=127.0.0.1\nport=2\nuser=joe\npassword={SECRET}\n")
    file.chmod(0o600)
    ran = run("plan", f"--defaults-file={file}", "--debug")
    assert ran.returncode == 3
    assert "cannot connect to 127.0.0.1:2 as joe" in ran.stderr
    assert SECRET not in ran.stderr + ran.stdout


# -- output -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "reason"),
    [("missing/plan.yaml", "No such file or directory"), ("", "it is a folder"), ("file/plan.yaml", "Not a directory")],
)
def test_unwritable_output_is_found_before_any_work(tmp_path: Path, target: str, reason: str) -> None:
    """Exit code 2 with file and reason, and no server is asked (there is none)."""
    (tmp_path / "file").write_text("")
    ran = run("plan", *NOBODY, "-o", str(tmp_path / target))
    assert ran.returncode == 2
    assert ran.stderr.startswith(f"error: cannot write {tmp_path / target}: {reason}\n")


def test_output_is_replaced_in_one_step(tmp_path: Path) -> None:
    """The old file stays until the new one is whole, keeps its mode, and a link stays a link."""
    file, link = tmp_path / "report.html", tmp_path / "link"
    file.write_text("old")
    file.chmod(0o640)
    link.symlink_to(file)
    place = output(link)
    assert file.read_text() == "old"
    place.write("näu")
    assert file.read_text(encoding="utf-8") == "näu"
    assert (file.stat().st_mode & 0o777, link.is_symlink()) == (0o640, True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "report.html"]


def test_a_folder_that_went_away_is_a_failure_that_names_the_file(tmp_path: Path) -> None:
    """What was writable before the work may not be afterwards: exit code 3, not a bug."""
    folder = tmp_path / "out"
    folder.mkdir()
    place = output(folder / "x")
    folder.rmdir()
    with pytest.raises(Failed, match=r"cannot write .*/out/x: No such file"):
        place.write("x")


def test_output_to_a_device_and_to_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pipe or device is written, never replaced; `-` and nothing are stdout."""
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    output(fifo).write("through")
    assert os.read(reading, 100) == b"through"
    os.close(reading)
    assert fifo.is_fifo()
    assert [output(None), output(Path("-"))] == [Output(None), Output(None)]
    output(None).write("shown\n")
    assert capsys.readouterr().out == "shown\n"


def test_a_full_disk_under_stdout_is_no_traceback() -> None:
    """--help to a full device: exit code 3, one line, nothing more at exit."""
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run([MIGRATOR, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (3, "error: cannot write to stdout: No space left on device\n")


def test_a_full_disk_under_stderr_leaves_the_exit_code() -> None:
    """Nobody can be told, but the code is right, and not Python's 1."""
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run([MIGRATOR, "audit", *NOBODY], stdout=subprocess.PIPE, stderr=full, check=False)
    assert (ran.returncode, ran.stdout) == (3, b"")


def test_a_reader_that_has_gone_is_no_traceback() -> None:
    """A closed pipe ends the command quietly, and not with 1."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as gone:
        ran = subprocess.run([MIGRATOR, "--help"], stdout=gone, stderr=subprocess.PIPE, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr == ""


# -- errors -----------------------------------------------------------------------------------


def raiser(error: BaseException) -> Callable[[], int]:
    def work() -> int:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UsageError("no", remedy="yes"), 2, "error: no\nremedy: yes\n"),
        (PlanInvalid("p.yaml:3: unknown key"), 2, "error: p.yaml:3: unknown key\n"),
        (Refused("a gate:\n  - one\n  - two"), 3, "error: a gate:\n  - one\n  - two\n"),
        (Mismatch("differs"), 3, "error: differs\n"),
        (OwnerUnknown("whose?"), 4, "error: whose?\n"),
        (LeaseHeld("another run"), 75, "error: another run\n"),
        (MigratorError("odd"), 70, "error: odd\n"),
        (
            SqlError(1142, "SELECT denied", "SELECT 1"),
            3,
            "error: the server said no: [1142] SELECT denied in: SELECT 1\n"
            "remedy: mend what it says, then run the same command again: it looks at what exists, and goes on\n",
        ),
        (KeyboardInterrupt(), 130, "interrupted; nothing is left half-written\n"),
        (
            OSError(28, "No space left on device", "/x"),
            3,
            "error: the operating system said no: No space left on device (/x)\n",
        ),
    ],
)
def test_every_error_has_its_exit_code(
    error: BaseException, code: int, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Message and remedy on stderr, nothing on stdout."""
    saved = os.dup(1)
    try:
        assert exit_code_of(raiser(error)) == code
    finally:
        os.dup2(saved, 1)
        os.close(saved)
    assert capfd.readouterr() == ("", said)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_gives_the_signals_code(number: int, code: int, capfd: pytest.CaptureFixture[str]) -> None:
    """128 and the signal, with the remedy of going on."""
    assert exit_code_of(raiser(Interrupted("stopped", signal_number=number))) == code
    assert "remedy: run the same command again" in capfd.readouterr().err


@pytest.mark.parametrize("debug", [False, True])
def test_a_bug_is_70_and_its_text_stays_inside(*, debug: bool, capfd: pytest.CaptureFixture[str]) -> None:
    """The type and the place, with --debug the whole way there, but never the text, which may hold a value."""
    assert exit_code_of(raiser(KeyError(SECRET)), debug=debug) == 70
    err = capfd.readouterr().err
    assert err.startswith("error: KeyError at test_cli.py:")
    assert SECRET not in err
    assert ("in exit_code_of" in err) == debug


def test_names_cannot_write_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    """A control character in a message is shown, not obeyed."""
    exit_code_of(raiser(UsageError("no table \x1b[2J")))
    assert capfd.readouterr().err == "error: no table \\x1b[2J\n"


# -- the password -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "kept", "password"),
    [
        (["audit"], ["audit"], None),
        (["audit", "-p"], ["audit", "-p"], None),
        (["audit", "--password"], ["audit", "--password"], None),
        (["audit", "-psecret", "-u", "x"], ["audit", "-u", "x"], "secret"),
        (["audit", "--password=a=b"], ["audit"], "a=b"),
        (["audit", "--password="], ["audit"], ""),
        (["audit", "-pone", "--password=two"], ["audit"], "two"),
        (["apply", "--", "-plan.yaml"], ["apply", "--", "-plan.yaml"], None),
        (["audit", "-P3306"], ["audit", "-P3306"], None),
    ],
)
def test_the_password_is_taken_out_of_the_arguments(
    arguments: list[str], kept: list[str], password: str | None
) -> None:
    """As `mysql` reads it: -p alone asks, -pX and --password=X give it; nothing else is touched."""
    assert without_password(arguments) == (kept, password)


@pytest.mark.parametrize("option", ["-p", "--password="])
@pytest.mark.parametrize("rest", [["audit", *NOBODY], ["audit", "--wrong"], ["audit", *NOBODY, "--debug"], ["wrong"]])
def test_no_output_holds_the_password(option: str, rest: list[str]) -> None:
    """Unreachable server, wrong option, debug, wrong command: the password is in none of the output."""
    ran = run(*rest, option + SECRET)
    assert ran.returncode in {2, 3}
    assert "sesame" not in ran.stdout + ran.stderr
    if ran.returncode == 3:
        assert "warning: a password on the command line" in ran.stderr


def test_no_output_holds_the_password_of_the_environment() -> None:
    """MYSQL_PWD is read, and not shown either."""
    ran = run("audit", *NOBODY, "--debug", MYSQL_PWD=SECRET)
    assert ran.returncode == 3
    assert "sesame" not in ran.stdout + ran.stderr


@pytest.fixture
def silent_server() -> Iterator[int]:
    """The port of something that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def until(condition: Callable[[], bool], *, seconds: float = 20.0) -> None:
    """Wait for a condition, at most so long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_reading_command_and_ps_shows_no_password(silent_server: int, number: int, code: int) -> None:
    """While it waits for the server its command line shows -px; a signal ends it with 128 and its number."""
    where = ["--no-defaults", "-h", "127.0.0.1", "-u", "joe", f"-P{silent_server}"]
    command = [str(MIGRATOR), "audit", *where, f"-p{SECRET}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        line = Path(f"/proc/{process.pid}/cmdline")
        try:
            until(lambda: b"-px\0" in line.read_bytes())
            shown = line.read_bytes()
            until(lambda: established(process.pid, silent_server))
            process.send_signal(number)
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert b"sesame" not in shown
    assert b"joe" in shown
    assert process.returncode == code
    assert "interrupted" in err
    assert "sesame" not in out + err
    assert "Traceback" not in err


def established(pid: int, port: int) -> bool:
    """True if the process has a TCP connection to the port of loopback."""
    rows = [row.split() for row in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return any(row[2] == f"0100007F:{port:04X}" and row[3] == "01" for row in rows)


def test_p_asks_on_a_terminal_and_shows_nothing() -> None:
    """On a terminal -p asks; what is typed is not echoed, and is used (the connection is tried)."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(MIGRATOR, ["migrator", "audit", *NOBODY, "-p"])  # noqa: S606
    seen = b""
    typed = False
    try:
        while True:
            try:
                part = os.read(terminal, 4096)
            except OSError:
                break
            if not part:
                break
            seen += part
            if b"Enter password:" in seen and not typed:
                os.write(terminal, SECRET.encode() + b"\n")
                typed = True
    finally:
        os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
    assert typed
    assert b"cannot connect to 127.0.0.1:1 as joe" in seen
    assert b"sesame" not in seen


# -- signals during work ----------------------------------------------------------------------


def test_the_first_signal_stops_and_the_second_is_patient(capfd: pytest.CaptureFixture[str]) -> None:
    """Neither breaks the work off; the first counts for the exit code, each is said at once."""
    stop = StopSignal()
    before = signal.getsignal(signal.SIGTERM)
    with stoppable(stop):
        assert not stop.is_set()
        os.kill(os.getpid(), signal.SIGTERM)
        until(stop.is_set)
        os.kill(os.getpid(), signal.SIGINT)
    assert stop.number == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before
    assert capfd.readouterr().err == (
        "SIGTERM: stopping at the next safe point; the state is kept\n"
        "SIGINT again: still waiting for the safe point, so that nothing is left half-done\n"
    )


def test_what_stops_because_of_a_signal_is_interrupted() -> None:
    """Stopped becomes Interrupted with the signal's code; stopped by a window or another run it stays as it is."""
    stop = StopSignal()
    with pytest.raises(LeaseHeld), stoppable(stop):
        raise LeaseHeld("another run")
    with pytest.raises(Interrupted) as caught, stoppable(stop):
        os.kill(os.getpid(), signal.SIGTERM)
        raise Stopped("at a safe point")
    assert (caught.value.message, caught.value.signal_exit_code) == ("at a safe point", 143)


def test_the_signals_code_is_only_for_work_that_it_stopped() -> None:
    """A run that was done before it could stop keeps its own code, and one that failed its 3."""
    stop = StopSignal()
    assert [signal_code(stop, code) for code in (0, 75)] == [0, 75]
    stop.number = signal.SIGTERM
    assert [signal_code(stop, code) for code in (0, 1, 3, 4, 75, 130)] == [0, 1, 3, 4, 143, 143]


# -- options ----------------------------------------------------------------------------------


def test_lists_are_split_and_repeated() -> None:
    """--databases a,b --databases c are three patterns."""
    scope = scope_of(["a,b", "c"], ["*.t, x.y"], None, None)
    assert (scope.databases, scope.tables, scope.ignore_databases) == (("a", "b", "c"), ("*.t", "x.y"), ())


def test_what_was_asked_for_must_be_there() -> None:
    """A schema or table that nothing fits is an error: a typo must not pass for an empty plan."""
    server = Server("u", Flavour.MYSQL, (9, 7, 4), "", "", "h", 1, "", Keyring("", "none", active=False))
    table = Table(TableName("shop", "orders"), "InnoDB", 0, 0, 0)
    inventory = Inventory(server, (Schema("shop", False), Schema("empty", False)), (table,), (), "")  # noqa: FBT003
    check_scope(scope_of(["shop", "emp*"], ["shop.ord*"], ["nowhere"], ["no.where"]), inventory)
    with pytest.raises(UsageError, match=r"--tables: nothing on the server fits 'shop\.oders'"):
        check_scope(scope_of(None, ["shop.oders"], None, None), inventory)
    with pytest.raises(UsageError, match="--databases: nothing on the server fits 'Shop'"):
        check_scope(scope_of(["Shop"], None, None, None), inventory)


def test_attestations() -> None:
    """Who, when; a name may hold commas; members by name; what the plan attests already stays."""
    before = Attestations(members={"db9:3306": Attestation(by="Bob", at=date(2026, 1, 1))})
    given = attestations_of("Example, Ann, 2026-05-01", ["db2:3306=Ann, 2026-05-01T09:30:00+02:00"], before=before)
    assert given.keyring_backup == Attestation(by="Example, Ann", at=date(2026, 5, 1))
    assert given.members["db2:3306"].at == datetime.fromisoformat("2026-05-01T09:30:00+02:00")
    assert given.members["db9:3306"].by == "Bob"
    assert attestations_of(None, ["db3:3306"]).members["db3:3306"].by
    assert attestations_of(None, None, before=before) == before


def test_a_time_without_a_zone_attests_nothing() -> None:
    """Nobody could say when that was."""
    with pytest.raises(UsageError, match="not who and when"):
        attestations_of("Ann, 2026-05-01T09:30:00", None)


def test_what_is_not_given_leaves_the_default() -> None:
    """None is not a value: the planner's own default holds."""
    assert made(Defaults, workers=None, retain_days=3) == Defaults(retain_days=3)
