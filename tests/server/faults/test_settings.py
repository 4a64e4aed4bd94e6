"""The matrix of faults: rights, settings, locks, other runs; docs/faults.md is made of what happens here."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.server.engine.kit import Lab
from tests.server.faults.scene import live_through, matrix
from tests.server.faults.settings import SETTINGS


@pytest.mark.parametrize(("fault", "where"), matrix(SETTINGS))
def test_fault(lab: Lab, fault: str, where: str, record_property: Callable[[str, object], None]) -> None:
    """The run ends by itself and says how, nothing wrong is swapped, and the next runs finish."""
    record_property(f"{fault} | {where}", live_through(lab, SETTINGS[fault], where))
