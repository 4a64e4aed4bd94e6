"""A server, and data that it can begin with again and again: prepared once, copied while it is down."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.cases import SCHEMA, TableOf, load
from tests.bench.measure import cpu_seconds
from tests.servers import Account, NoServer, RunningServer, accounts, start

OPTIONS: Final = (
    "--innodb-buffer-pool-size=1G",
    "--innodb-redo-log-capacity=1G",
    # Each contestant begins with a pool that holds what one reading of the tables puts there.
    "--innodb-buffer-pool-dump-at-shutdown=OFF",
    "--innodb-buffer-pool-load-at-startup=OFF",
    # Durable, whatever the defaults of the tests' servers become.
    "--sync-binlog=1",
    "--innodb-flush-log-at-trx-commit=1",
    # Else pt-online-schema-change takes a table for empty, and copies it in one locked statement.
    "--explain-format=TRADITIONAL",
)
"""What the server of a benchmark has beside `tests.servers.local.DEFAULTS`."""

_STATE: Final = ("data", "keyring")
"""Folders that make a server what it is."""


@dataclass(frozen=True, slots=True)
class Stand:
    """A server of ours with a DBA and an application, and folders with prepared data."""

    server: RunningServer
    folder: Path
    """The server's own."""
    dba: Account
    """Has the privileges that the documentation asks for."""
    application: Account

    def prepare(self, name: str, tables: Sequence[TableOf]) -> None:
        """Load the tables into an empty server, and keep that as `name`."""
        self.begin("empty")
        load(self.server, tables)
        self.keep(name)

    def keep(self, name: str) -> None:
        """Shut down cleanly, nothing left to purge or to merge; keep the data as `name`; the server stays down."""
        with closing(self.server.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("SET GLOBAL innodb_fast_shutdown = 0")
        self.server.stop()
        for part in _STATE:
            shutil.copytree(self.folder / part, self.folder / name / part)

    def begin(self, name: str) -> None:
        """Start the server with the data that was kept as `name`, and nothing else."""
        self.server.stop()
        for part in _STATE:
            shutil.rmtree(self.folder / part)
            shutil.copytree(self.folder / name / part, self.folder / part)
        # Else the disk would be busy with this copy while a contestant is at work.
        os.sync()
        self.server.start()

    def drop(self, name: str) -> None:
        """Forget what was kept as `name`."""
        shutil.rmtree(self.folder / name)

    def cpu_seconds(self) -> float:
        """CPU time of the server since it was started."""
        pid = self.server.server.pid
        if pid is None:
            raise NoServer("the server is no process of this machine")
        return cpu_seconds(pid)

    def root_file(self, path: Path) -> Path:
        """Write an option file for root by the socket, where no encryption of the connection costs anything."""
        at = self.server.server
        path.touch(mode=0o600)
        path.write_text(f"[client]\nsocket={at.socket}\nuser={at.user}\npassword={at.password}\n")
        return path


@contextmanager
def standing(*, base: Path | None) -> Iterator[Stand]:
    """A stand whose server lies below `base` (else the temporary folder), ended with the block.

    `NoServer` if its folder is not of this machine (a container's): set MIGRATOR_TEST_SERVER=embedded.
    """
    with start(options=OPTIONS, name="bench", datadir_base=base) as server:
        if server.folder is None or server.server.datadir is None or server.server.pid is None:
            raise NoServer("the benchmark copies the server's files: set MIGRATOR_TEST_SERVER to path or embedded")
        dba = Account(server, "migrator_bench", secrets.token_urlsafe(18))
        accounts.make(dba, schemas=(SCHEMA,))
        application = Account(server, "application", secrets.token_urlsafe(18))
        with closing(server.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE USER application@'%%' IDENTIFIED BY %s", (application.password,))
            cursor.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {SCHEMA}.* TO application")
            # The first key of a server is made by whoever encrypts first: not in anybody's time.
            cursor.execute("ALTER INSTANCE ROTATE INNODB MASTER KEY")
        stand = Stand(server, server.folder, dba, application)
        stand.keep("empty")
        server.start()
        yield stand
