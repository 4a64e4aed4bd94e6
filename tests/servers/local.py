"""A mysqld of this machine in a folder of its own, on a free loopback port."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.servers import cache, keeper
from tests.servers.model import NoServer, Programs, Server
from tests.servers.running import RunningServer

log = logging.getLogger("migrator.servers")

DEFAULTS = (
    "--bind-address=127.0.0.1",
    "--skip-name-resolve=ON",
    "--mysqlx=OFF",
    "--performance-schema=ON",
    "--log-bin=binlog",
    "--binlog-format=ROW",
    "--gtid-mode=ON",
    "--enforce-gtid-consistency=ON",
    "--sync-binlog=1",
    "--innodb-flush-log-at-trx-commit=1",
    "--innodb-buffer-pool-size=256M",
    "--innodb-redo-log-capacity=256M",
    "--secure-file-priv=",
    "--report-host=127.0.0.1",
    # Else CREATE TRIGGER wants SUPER while the binlog is on, and the tests run with less.
    "--log-bin-trust-function-creators=ON",
)
"""What every server gets; options of the caller come after these and win."""

# These are fixed when a datadir is made, so each value needs a template of its own.
_AT_BIRTH = ("--lower-case-table-names", "--innodb-page-size", "--innodb-data-file-path", "--innodb-undo-directory")
_SOCKET_PATH_BYTES = 100
_PORT_TAKEN = ("Address already in use", "Do you already have another mysqld server running on port")


@contextmanager
def start(
    programs: Programs,
    *,
    source: str,
    options: Sequence[str],
    keyring: bool,
    name: str | None,
    datadir_base: Path | None,
) -> Iterator[RunningServer]:
    """A fresh server; at the end of the block it is killed and its folder removed."""
    keeping = Keeping(datadir_base or Path(tempfile.gettempdir()), f"migrator-{name or 'server'}-")
    try:
        datadir = keeping.folder / "data"
        shutil.copytree(_template(programs, options), datadir)
        (keeping.folder / "tmp").mkdir()
        keyring_path = _put_keyring(keeping.folder, datadir) if keyring else None
        password = secrets.token_urlsafe(18)
        for attempt in range(5):
            server = Server(
                host="127.0.0.1",
                port=free_port(),
                socket=keeping.socket,
                user="root",
                password=password,
                datadir=datadir,
                keyring_path=keyring_path,
                version="",
                source=source,
                pid=None,
            )
            running = RunningServer(server, keeping, keeping.folder)
            try:
                first_start(running, keeping, _argv(programs, server, keeping, options))
                break
            except NoServer as error:
                # Between our look and the server's bind somebody else may have taken the port.
                if attempt == 4 or not any(words in str(error) for words in _PORT_TAKEN):
                    raise
        yield running
    finally:
        keeping.close()


class Keeping:
    """Our end of the keeper: a `Process` whose server dies with us."""

    def __init__(self, base: Path, prefix: str, *, path: Path | None = None) -> None:
        """`path` is a folder of programs that the server calls."""
        self._lock = threading.Lock()
        environment = dict(os.environ)
        if path:
            environment["PATH"] = f"{path}{os.pathsep}{environment.get('PATH', os.defpath)}"
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", keeper.__file__, base, prefix],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Ctrl-C is for us; the keeper learns of our end by itself.
            start_new_session=True,
        )
        self.argv: list[str] = []
        self.folder = Path(self._read()["folder"])

    @property
    def socket(self) -> Path:
        here = self.folder / "mysql.sock"
        if len(os.fsencode(here)) <= _SOCKET_PATH_BYTES:
            return here
        raise NoServer(f"{self.folder} is too long a path for a socket: choose a shorter datadir_base or TMPDIR")

    def start(self) -> int | None:
        pid: int = self._ask(do="start", argv=self.argv)["pid"]
        return pid

    def end(self, number: signal.Signals) -> None:
        self._ask(do="end", signal=int(number))

    def complaint(self) -> str | None:
        status = self._ask(do="poll")["status"]
        if status is None:
            return None
        lines = []
        for path in (self.folder / "mysqld.out", self.folder / "error.log"):
            with suppress(FileNotFoundError):
                lines += path.read_text(errors="replace").splitlines()
        return "\n".join([f"exit status {status}", *lines[-20:]])

    def close(self) -> None:
        """Kill the server and remove the folder; safe to repeat."""
        with self._lock:
            assert self._keeper.stdin and self._keeper.stdout
            with suppress(BrokenPipeError):
                # The end of the pipe would not do: a fork of ours may hold it open.
                self._keeper.stdin.write(json.dumps({"do": "quit"}) + "\n")
                self._keeper.stdin.close()
            self._keeper.wait()
            self._keeper.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _ask(self, **order: object) -> dict[str, Any]:
        with self._lock:
            assert self._keeper.stdin
            self._keeper.stdin.write(json.dumps(order) + "\n")
            self._keeper.stdin.flush()
            return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._keeper.stdout
        line = self._keeper.stdout.readline()
        if not line:
            raise NoServer(f"the keeper of the server ended with exit status {self._keeper.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def _argv(programs: Programs, server: Server, keeping: Keeping, options: Sequence[str]) -> list[str]:
    folder = keeping.folder
    # Nobody's options, and yet not --no-defaults: with that the server forgets what SET PERSIST has said.
    nothing = folder / "mysqld.cnf"
    nothing.touch(mode=0o600)
    return [
        *_base(programs, folder / "data", f"--defaults-file={nothing}"),
        *DEFAULTS,
        f"--port={server.port}",
        f"--report-port={server.port}",
        f"--server-id={server.port}",
        f"--socket={server.socket}",
        f"--pid-file={folder / 'mysqld.pid'}",
        f"--tmpdir={folder / 'tmp'}",
        f"--log-error={folder / 'error.log'}",
        *options,
    ]


def _base(programs: Programs, datadir: Path, defaults: str = "--no-defaults") -> list[str]:
    user = ["--user=root"] if os.geteuid() == 0 else []
    return [
        str(programs.mysqld),
        defaults,
        *user,
        f"--basedir={programs.basedir}",
        f"--plugin-dir={programs.plugin_dir}",
        f"--lc-messages-dir={programs.messages_dir}",
        f"--character-sets-dir={programs.charsets_dir}",
        f"--datadir={datadir}",
    ]


def first_start(running: RunningServer, keeping: Keeping, argv: list[str]) -> None:
    """Start with a file of statements that gives root a password before anybody can connect."""
    password = running.server.password
    first = keeping.folder / "first.sql"
    first.touch(mode=0o600)
    first.write_text(
        # Not for the binlog: a replica has a root of its own.
        "SET SESSION sql_log_bin = 0;\n"
        f"ALTER USER root@localhost IDENTIFIED BY '{password}';\n"
        "CREATE USER IF NOT EXISTS root@'127.0.0.1';\n"
        f"ALTER USER root@'127.0.0.1' IDENTIFIED BY '{password}';\n"
        "GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n"
    )
    keeping.argv = [*argv, f"--init-file={first}"]
    running.start()
    keeping.argv = argv
    first.unlink()


def _put_keyring(folder: Path, datadir: Path) -> Path:
    """Let the server load the keyring component; its file lies outside of the datadir."""
    path = folder / "keyring" / "keyring"
    path.parent.mkdir(mode=0o700)
    for file, content in (
        ("mysqld.my", {"components": "file://component_keyring_file"}),
        ("component_keyring_file.cnf", {"path": str(path), "read_only": False}),
    ):
        (datadir / file).write_text(json.dumps(content))
        (datadir / file).chmod(0o640)
    return path


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _template(programs: Programs, options: Sequence[str]) -> Path:
    """An initialized data folder in the cache; copying it is seconds faster than making one."""
    at_birth = [option for option in options if option.replace("_", "-").startswith(_AT_BIRTH)]
    suffix = "-" + hashlib.sha256(json.dumps(at_birth).encode()).hexdigest()[:8] if at_birth else ""

    def initialize(datadir: Path) -> None:
        log.info("first use: making an empty data folder for %s", programs.key)
        log_file = datadir / "initialize.log"
        words = [*_base(programs, datadir), *at_birth, "--initialize-insecure", "--innodb-redo-log-capacity=8M"]
        done = subprocess.run([*words, f"--log-error={log_file.name}"], check=False, capture_output=True, text=True)
        if done.returncode:
            said = log_file.read_text(errors="replace") if log_file.exists() else done.stderr
            raise NoServer(f"{programs.mysqld} cannot make a data folder:\n{said[-3000:]}")
        log_file.unlink()
        # Holds the server_uuid, which each server makes for itself.
        (datadir / "auto.cnf").unlink(missing_ok=True)

    return cache.made_once(f"data-{programs.key}{suffix}", initialize)
