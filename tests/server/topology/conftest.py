"""Small ranges and chunks, so that tables of some thousand rows have many of both."""

from __future__ import annotations

import pytest

from migrator.engine import pace, ranges


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the engine's own laboratory."""
    monkeypatch.setattr(ranges, "FEWEST_ROWS", 400)
    monkeypatch.setattr(pace, "FIRST_ROWS", 90)
