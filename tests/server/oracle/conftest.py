"""A laboratory for each trial, on the session's server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.oracle.laboratory import laboratory
from tests.server.engine.kit import Lab
from tests.servers import Account, RunningServer


@pytest.fixture
def lab(server: RunningServer, dba: Account) -> Iterator[Lab]:
    """A fresh schema with one for the pools beside it; the journal is taken away afterwards."""
    with laboratory(server, dba) as fresh:
        yield fresh
