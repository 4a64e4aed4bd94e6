"""The command and a connection, at a MariaDB."""

from __future__ import annotations

import json
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from migrator.db import Session
from migrator.driver import Connect
from tests.server.cli.kit import MIGRATOR
from tests.servers import RunningServer

ENCRYPTION = ("innodb_encrypt_tables", "innodb_encryption_threads", "innodb_encryption_rotate_key_age")


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Maria:
    """A server, a schema on it, and what is said to both."""

    server: RunningServer
    schema: str
    folder: Path

    def run(self, *statements: str) -> None:
        """Run statements as root, in the schema where there is one."""
        with closing(self.server.connect()) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def rows(self, statement: str, *args: object) -> list[tuple[Any, ...]]:
        """Run a statement as root; its rows."""
        with closing(self.server.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(statement, args or None)
            return list(cursor.fetchall())

    def session(self) -> Session:
        """A session of ours, as root."""
        to = self.server.server
        return Session(Connect(host=to.host, port=to.port, user=to.user, password=to.password, ssl_mode="DISABLED"))

    def options(self, user: str = "", password: str = "") -> Path:
        """An option file, of root's unless it is of somebody else."""
        to = self.server.server
        path = self.folder / f"{user or to.user}.cnf"
        text = f"[client]\nhost={to.host}\nport={to.port}\nuser={user or to.user}\npassword={password or to.password}\n"
        path.write_text(text)
        path.chmod(0o600)
        return path

    def migrator(self, *arguments: object, options: Path | None = None) -> Ran:
        """Run a command to its end, as a process."""
        command, *more = map(str, arguments)
        words = [str(MIGRATOR), command, f"--defaults-file={options or self.options()}", *more]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, cwd=self.folder)
        return Ran(done.returncode, done.stdout, done.stderr)

    def places(self, *arguments: object, options: Path | None = None) -> dict[str, dict[str, Any]]:
        """The places of an audit, by code."""
        ran = self.migrator("audit", "--format=json", *arguments, options=options)
        assert ran.code in {0, 1}, ran
        return {place["code"]: place for place in json.loads(ran.out)["places"]}
