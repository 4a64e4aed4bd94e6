"""Random tables under a hostile application. The seeds are always the same ones.

`make test-soak` runs many more, with more at work beside.
"""

from __future__ import annotations

import pytest

from tests.oracle.trial import run_trial
from tests.server.engine.kit import Lab


@pytest.mark.parametrize("seed", [5, 19, 38])
def test_a_random_table_beside_the_application(lab: Lab, seed: int) -> None:
    """No error, no other answer, every row as the ledger says, and the definition is the same."""
    told = run_trial(lab, seed)
    print(told)
    assert told.failures == []
