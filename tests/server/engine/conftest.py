"""A laboratory for each test, on the session's server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

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
    with closing(server.connect(ssl_disabled=True)) as root, root.cursor() as cursor:
        ledger = f"{schema}_ledger"
        cursor.execute("SHOW DATABASES LIKE 'migrator'")
        assert not cursor.fetchall(), "this server has a journal that is not ours"
        cursor.execute(f"CREATE DATABASE {ledger}")
        try:
            lab = Lab(server, dba, schema, ledger)
            yield lab
        finally:
            spaces = lab.spaces()
            for name in (ledger, schema, "migrator"):
                cursor.execute(f"DROP DATABASE IF EXISTS {name}")
            for space in spaces:  # what a test that failed has left
                cursor.execute(f"DROP TABLESPACE {space}")
            cursor.execute(f"CREATE DATABASE {schema}")
