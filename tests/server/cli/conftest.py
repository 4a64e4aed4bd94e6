"""A desk for each test, on the session's server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.cli.kit import Desk, desk_on
from tests.servers import Account, RunningServer


@pytest.fixture
def desk(server: RunningServer, dba: Account, schema: str, tmp_path: Path) -> Iterator[Desk]:
    """The least-privileged account at a fresh schema, with no journal."""
    with desk_on(server, dba, schema, tmp_path / "desk") as made:
        yield made
