"""Which steps are done side by side, and what threads wait for together; without a server."""

from __future__ import annotations

import threading

import pytest

from migrator.engine.sessions import Rounds
from migrator.model import Method
from migrator.planner.make import make_plan
from migrator.planner.order import SMALL_BYTES, groups
from migrator.planner.plan import Policy, Step
from tests.unit.builders import NASTY, PLAIN, a_table, an_inventory


def a_step(size: int, method: Method = Method.SHADOW_COPY) -> Step:
    plan = make_plan(an_inventory(a_table(PLAIN), a_table(NASTY)), Policy(), {})
    step = plan.steps[0]
    facts = step.facts.model_copy(update={"data_bytes": size, "index_bytes": 0})
    return step.model_copy(update={"facts": facts, "method": method})


def test_neighbours_that_are_small_copies_are_one_group() -> None:
    """Only copies, only small ones, only neighbours: the order of the run stays."""
    small, large, other = a_step(1), a_step(SMALL_BYTES + 1), a_step(1, Method.TABLESPACE_RELAY)
    steps = [small, small, large, small, other, small, small, small]
    assert [len(group) for group in groups(steps, 4)] == [2, 1, 1, 1, 3]
    assert [step for group in groups(steps, 4) for step in group] == steps
    assert [len(group) for group in groups(steps, 1)] == [1] * 8
    assert [len(group) for group in groups([steps[0]] * 250, 4)] == [100, 100, 50]


def test_who_asks_during_a_round_gets_the_next_one() -> None:
    """A round answers those who asked before it began: not those who came while it was under way."""
    rounds, begun, go_on = Rounds(), threading.Event(), threading.Event()
    made: list[int] = []

    def one() -> str:
        made.append(len(made))
        number = len(made)
        if number == 1:
            begun.set()
            assert go_on.wait(10)
        return f"round {number}"

    answers: dict[str, str] = {}
    first = threading.Thread(target=lambda: answers.update(first=rounds.one(one)))
    first.start()
    assert begun.wait(10)
    late = [threading.Thread(target=lambda n=n: answers.update({f"late {n}": rounds.one(one)})) for n in range(3)]
    for thread in late:
        thread.start()
    while rounds.waiting < 3:
        pass
    go_on.set()
    for thread in [first, *late]:
        thread.join()
    assert answers == {"first": "round 1", "late 0": "round 2", "late 1": "round 2", "late 2": "round 2"}
    assert len(made) == 2


def test_a_round_that_fails_fails_for_one_alone() -> None:
    """Its error is raised where it was done; who waited for it does it again."""
    rounds = Rounds()

    def fails() -> str:
        raise ValueError

    with pytest.raises(ValueError):
        rounds.one(fails)
    assert rounds.one(lambda: "fine") == "fine"
