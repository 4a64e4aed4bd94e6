"""A hostile application and its ledger, on tables of several shapes: alone first, then beside a migration."""

from __future__ import annotations

import pytest

from tests.oracle.shapes import SHAPES
from tests.oracle.trial import run_trial
from tests.server.engine.kit import Lab


@pytest.mark.parametrize("shape", SHAPES)
def test_the_application_alone_is_as_the_ledger_says(lab: Lab, shape: str) -> None:
    """Without a migration no answer, error or row is unexpected: what is unexpected beside one is ours."""
    told = run_trial(lab, 1, SHAPES[shape](), migrate=False, seconds=1.0)
    assert told.failures == []
    assert len(told.seen.habits) > 10


@pytest.mark.parametrize("shape", SHAPES)
def test_a_migration_beside_the_application(lab: Lab, shape: str) -> None:
    """No error, no other answer, every row as the ledger says, and the definition is the same."""
    told = run_trial(lab, 2, SHAPES[shape]())
    print(told, dict(told.seen.phases))
    assert told.failures == []
    assert told.chunks > 5
    assert told.ranges > 2
    assert told.reads > 2
    assert sum(told.seen.phases.values()) > 50


def test_outcomes_that_nobody_was_told_are_looked_up(lab: Lab) -> None:
    """The application's connections break at any moment: what became of a COMMIT is seen in the rows, and no row is lost."""
    told = run_trial(lab, 3, SHAPES["counted"](), cut=True)
    assert told.failures == []
    assert told.seen.cuts > 3
    assert sum(told.seen.looked_up.values()) > 3


def test_a_swap_that_is_taken_back_beside_the_application(lab: Lab) -> None:
    """It goes on after the swap, and during the rollback: no error, no other answer, no row is lost, the definition is the same."""
    told = run_trial(lab, 4, SHAPES["words"](), back=True)
    print(told, dict(told.seen.phases))
    assert told.failures == []
    assert told.taken_back > 100
    assert sum(told.seen.phases.values()) > 50
