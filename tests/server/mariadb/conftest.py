"""A MariaDB of each version, and a desk at it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.mariadb.kit import Maria
from tests.servers import RunningServer, mariadb


@pytest.fixture(scope="package", params=sorted(mariadb.BUILDS))
def running(request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    """One server for all tests of a version. Leave its settings as you found them."""
    with mariadb.start(str(request.param), name="family") as server:
        yield server


@pytest.fixture
def maria(running: RunningServer, tmp_path: Path) -> Iterator[Maria]:
    """A fresh schema, and the command as root."""
    made = Maria(running, f"t_{secrets.token_hex(6)}", tmp_path)
    made.run(f"CREATE DATABASE {made.schema}")
    try:
        yield made
    finally:
        made.run(f"DROP DATABASE IF EXISTS {made.schema}")
