"""Fixtures over the provider of real servers, and the line that says which server was chosen."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.servers import Account, NoServer, RunningServer, choose, least_privileged, start


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--dsn", help="an existing server: mysql://user:password@host:port (or MIGRATOR_TEST_DSN)")


def pytest_configure(config: pytest.Config) -> None:
    # By the environment, so that processes which tests start choose the same.
    dsn = config.getoption("--dsn")
    if dsn:
        os.environ["MIGRATOR_TEST_DSN"] = dsn


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.server)


class _ToTerminal(logging.Handler):
    """The provider's own lines (a first download takes a minute) in spite of pytest's capturing."""

    def __init__(self, write: pytest.TerminalReporter) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        self._write.write_line(f"servers: {record.getMessage()}")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Say which server the tests will get; choosing may download MySQL, so say that too."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    wanted = any(item.get_closest_marker("server") for item in session.items)
    if not wanted or reporter is None or session.config.option.collectonly:
        return
    provider = logging.getLogger("migrator.servers")
    handler = _ToTerminal(reporter)
    level = provider.level
    provider.setLevel(logging.INFO)
    provider.addHandler(handler)
    try:
        reporter.write_line(f"server: {choose(own=False).why}")
    except NoServer as error:
        reporter.write_line(f"server: {error}")
    finally:
        provider.removeHandler(handler)
        provider.setLevel(level)


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    """One server for the whole session (for each xdist worker its own). Leave it as you found it.

    No server at all: in CI a failure, at a desk a skip, with the reason of every source.
    """
    try:
        choose(own=False)
    except NoServer as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    with start(name="tests", shared=True) as running:
        yield running


@pytest.fixture
def schema(server: RunningServer) -> Iterator[str]:
    """A fresh, empty schema on `server`, dropped afterwards."""
    name = f"t_{secrets.token_hex(6)}"
    with closing(server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    try:
        yield name
    finally:
        with closing(server.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {name}")


@pytest.fixture(scope="session")
def dba(server: RunningServer) -> Iterator[Account]:
    """An account with the privileges of tests/servers/grants.sql and no other."""
    with least_privileged(server) as account:
        yield account


@pytest.fixture
def dba_options(dba: Account, tmp_path: Path) -> Path:
    """An option file for `migrator --defaults-file`, for `dba`."""
    return dba.option_file(tmp_path / "dba.cnf")
