"""A laboratory for each test, on the session's server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from migrator.engine import pace, ranges
from tests.server.engine.kit import Lab
from tests.servers import Account, RunningServer


@pytest.fixture
def lab(server: RunningServer, dba: Account, schema: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A fresh schema with a ledger beside it; the journal is taken away afterwards.

    Ranges and first chunks are made small, so that tables of some thousand rows have many of both.
    """
    monkeypatch.setattr(ranges, "FEWEST_ROWS", 400)
    monkeypatch.setattr(pace, "FIRST_ROWS", 90)
    ledger = f"{schema}_ledger"
    assert not server.rows("SHOW DATABASES LIKE 'migrator'"), "this server has a journal that is not ours"
    server.rows(f"CREATE DATABASE {ledger}")
    try:
        yield Lab(server, dba, schema, ledger)
    finally:
        server.rows(f"DROP DATABASE {ledger}")
        server.rows("DROP DATABASE IF EXISTS migrator")
