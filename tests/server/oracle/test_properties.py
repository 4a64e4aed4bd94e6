"""Random tables, one at a time: definitions and values that hypothesis makes simpler when one fails. Always the same ones."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from tests.oracle.features import random_schema
from tests.oracle.laboratory import laboratory
from tests.oracle.scene import Impossible
from tests.oracle.trial import run_quietly
from tests.servers import Account, RunningServer


@given(chance=st.randoms(use_true_random=False), values=st.integers(0, 2**16))
@settings(
    max_examples=6,
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
            reject()
    assert told.failures == [], schema.create()
