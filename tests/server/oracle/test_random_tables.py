"""Random tables: definitions and values by chance, migrated and compared. The seeds are always the same ones.

`make test-soak` runs many more, with more at work beside.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.oracle.laboratory import laboratory
from tests.oracle.schemas import random_schema
from tests.oracle.trial import Impossible, run_quietly, run_trial
from tests.server.engine.kit import Lab
from tests.servers import Account, RunningServer


@pytest.mark.parametrize("seed", [4, 5, 19, 38])
def test_a_random_table_beside_the_application(lab: Lab, seed: int) -> None:
    """No error, no other answer, every row as the ledger says, and the definition is the same."""
    told = run_trial(lab, seed)
    print(told)
    assert told.failures == []


@given(chance=st.randoms(use_true_random=False), values=st.integers(0, 2**16))
@settings(
    max_examples=8,
    derandomize=True,
    deadline=None,
    database=None,
    # The fixtures are the server and an account: all examples may share them. A server takes its time.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)
def test_any_table_comes_out_as_it_was(server: RunningServer, dba: Account, chance: random.Random, values: int) -> None:
    """Rows, generated columns, indexes and SHOW CREATE TABLE of any definition; a failing one is made simpler."""
    schema = random_schema(chance)
    with laboratory(server, dba) as lab:
        try:
            told = run_quietly(lab, values, schema)
        except Impossible:
            return
    assert told.failures == [], schema.create()
