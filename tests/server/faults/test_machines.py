"""The matrix of faults: machines and networks. The table in docs/faults.md is made of what happens here."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.server.engine.kit import Lab
from tests.server.faults.machines import MACHINES
from tests.server.faults.scene import live_through, matrix


@pytest.mark.parametrize(("fault", "where"), matrix(MACHINES))
def test_fault(
    request: pytest.FixtureRequest, fault: str, where: str, record_property: Callable[[str, object], None]
) -> None:
    """The run ends by itself and says how, nothing wrong is swapped, and the next runs finish."""
    lab: Lab = request.getfixturevalue("new_lab" if MACHINES[fault].new_server else "lab")
    record_property(f"{fault} | {where}", live_through(lab, MACHINES[fault], where))
