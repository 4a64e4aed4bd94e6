"""A server for the faults alone, which may be killed, filled and misled; and a laboratory on it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from migrator.db import Session
from migrator.engine import pace, ranges
from tests.server.engine.kit import Lab
from tests.servers import Account, RunningServer, least_privileged, start

if TYPE_CHECKING:
    from tests.servers.running import Connection

OPTIONS = (
    "--innodb-buffer-pool-size=128M",
    # mysqld is killed here, never the machine: what it has written is kept by the system.
    "--sync-binlog=0",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-doublewrite=OFF",
)


class PlainLab(Lab):
    """A laboratory whose sessions are without TLS: it costs more than a short run does."""

    def session(self, **changes: Any) -> Session:
        """A session of the account that migrates."""
        return super().session(**({"ssl_mode": "DISABLED"} | changes))

    def _root(self, **options: Any) -> Connection:
        # Whatever is done to the server, the test can look at it.
        return super()._root(**({"init_command": "SET SESSION max_execution_time = 0"} | options))


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    """A server that nobody else uses, for each worker its own."""
    with start(name="faults", options=OPTIONS) as running:
        yield running


@pytest.fixture
def schema() -> str:
    """The name of a schema of the test; the laboratory or the desk makes it."""
    return f"t_{secrets.token_hex(6)}"


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranges and chunks are small."""
    monkeypatch.setattr(ranges, "FEWEST_ROWS", 400)
    monkeypatch.setattr(pace, "FIRST_ROWS", 90)


@pytest.fixture
def lab(server: RunningServer, dba: Account, schema: str, small_chunks: None) -> Iterator[Lab]:
    """A fresh schema with a ledger beside it; the journal is taken away afterwards."""
    with _laboratory(server, dba, schema) as lab:
        yield lab


@pytest.fixture
def new_lab(schema: str, small_chunks: None) -> Iterator[Lab]:
    """The same, on a new server, for limits of files: its undo log is small, and there is no binlog to end it."""
    with (
        start(name="faults-new", options=(*OPTIONS, "--skip-log-bin")) as server,
        least_privileged(server) as dba,
        _laboratory(server, dba, schema) as lab,
    ):
        yield lab


@contextmanager
def _laboratory(server: RunningServer, dba: Account, schema: str) -> Iterator[Lab]:
    lab = PlainLab(server, dba, "mysql", f"{schema}_ledger")
    lab.run(f"CREATE DATABASE {schema}", f"CREATE DATABASE {lab.ledger}")
    lab.schema = schema
    yield lab
    lab.schema = "mysql"
    left = lab.spaces()
    lab.run(*(f"DROP DATABASE IF EXISTS {name}" for name in (schema, lab.ledger, "migrator")))
    lab.run(*(f"DROP TABLESPACE {space}" for space in left))
