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


@pytest.mark.parametrize("seed", [3, 13, 23])
def test_a_relayed_table_beside_the_application(lab: Lab, seed: int) -> None:
    """Rows and definition as above; transactions of several statements may get 1412 and 1213, and nobody anything else."""
    told = run_trial(lab, seed, relayed=True)
    print(told, *told.failures, sep="\n")
    assert told.failures == []


@pytest.mark.parametrize("seed", [3, 13, 23])
def test_what_a_relayed_table_has_changes_no_answer(lab: Lab, seed: int) -> None:
    """Nobody migrates: no error and no other answer, whatever keeps the table from being copied."""
    told = run_trial(lab, seed, relayed=True, migrate=False)
    assert told.failures == []
