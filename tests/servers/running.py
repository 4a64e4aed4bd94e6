"""A server that runs: what a test may do with it, whichever source it came from."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pymysql

from tests.servers.model import NoServer, Server

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

    Connection = pymysql.connections.Connection[Cursor]

_START_SECONDS = 120.0


class Process(Protocol):
    """What runs the server: our keeper, or a container."""

    def start(self) -> int | None:
        """Start the server and return its pid, if it is one of this machine."""

    def end(self, number: signal.Signals) -> None:
        """Send the signal; return when the server is gone."""

    def complaint(self) -> str | None:
        """None while the server runs; else the last lines of its log."""


class RunningServer:
    """A throwaway server, or (`owned` is False) one that was already there."""

    def __init__(self, server: Server, process: Process | None, folder: Path | None) -> None:
        self.server = server
        self.folder = folder
        """A private folder of this server, removed with it; None for a server that was already there."""
        self._process = process

    def __repr__(self) -> str:
        return f"<{self.server.version} on {self.server.host}:{self.server.port}>"

    @property
    def owned(self) -> bool:
        """True if it was started here, so that it can be stopped, killed and restarted."""
        return self._process is not None

    def connect(self, *, user: str | None = None, password: str | None = None, **options: Any) -> Connection:
        """A connection over TCP, as root unless told otherwise; autocommit unless told otherwise."""
        to = self.server
        known: dict[str, Any] = {"host": to.host, "port": to.port, "user": to.user, "charset": "utf8mb4"}
        known["password"] = to.password if user is None else password or ""
        if user is not None:
            known["user"] = user
        return pymysql.connect(**(known | {"autocommit": True, "connect_timeout": 10} | options))

    def rows(self, statement: str, *args: object) -> list[tuple[Any, ...]]:
        """Run one statement as root on a connection of its own; its rows."""
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(statement, args)
            return list(cursor.fetchall())

    def value(self, statement: str, *args: object) -> Any:
        """The first column of the first row of `rows`."""
        return self.rows(statement, *args)[0][0]

    def option_file(self, path: Path, *, user: str | None = None, password: str | None = None) -> Path:
        """Write `path`, readable by its owner only: a [client] group for --defaults-file."""
        to = self.server
        who, secret = (to.user, to.password) if user is None else (user, password or "")
        path.touch(mode=0o600)
        path.write_text(f"[client]\nhost={to.host}\nport={to.port}\nuser={who}\npassword={secret}\n")
        return path

    def start(self) -> None:
        """Start the server again; return when it answers. Same folder, port, users and server_uuid."""
        pid = self._ours().start()
        self.server = replace(self.server, pid=pid)
        self.wait()

    def stop(self) -> None:
        """Shut the server down cleanly; return when it is gone."""
        self._ours().end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL the server, as a power cut would; return when it is gone."""
        self._ours().end(signal.SIGKILL)

    def restart(self) -> None:
        """`stop` (nothing, if it is gone already), then `start`."""
        self.stop()
        self.start()

    def wait(self) -> None:
        """Return when the server answers; `NoServer` with its log if it ends instead."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self.connect(connect_timeout=5).close()
                break
            except pymysql.err.OperationalError as error:
                complaint = self._process.complaint() if self._process else None
                if complaint is not None:
                    raise NoServer(f"the server ended while it started:\n{complaint}") from None
                if self._process is None or time.monotonic() > deadline:
                    raise NoServer(f"the server does not answer: {error}") from None
            time.sleep(0.05)
        self.server = replace(self.server, version=self.value("SELECT VERSION()"))

    def _ours(self) -> Process:
        if self._process is None:
            raise NoServer(f"{self!r} was not started here, so it is not stopped or started here")
        return self._process


def until(condition: Callable[[], object], what: str, *, seconds: float = 30.0) -> None:
    """Return as soon as `condition()` is true; AssertionError naming `what` if it is not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)
