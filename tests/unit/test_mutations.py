"""The list of mutations: each is still a change of the code that is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.mutations import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.invariant)
def test_a_mutation_stands_in_the_code_once(mutation: Mutation) -> None:
    """Else nobody would know what was broken; and the tests that it names are there."""
    assert (ROOT / mutation.file).read_text(encoding="utf-8").count(mutation.old) == 1
    assert mutation.old != mutation.new
    for test in mutation.tests:
        assert (ROOT / test.split("::")[0]).exists(), test
