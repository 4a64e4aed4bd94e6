"""How many workers: few where others are at work, more after calm, and seldom too many."""

from __future__ import annotations

import itertools

from migrator.engine.load import LONGEST_CALM_SECONDS, Follower, Others

QUIET, AT_WORK, SUFFERING = Others(0, 0), Others(0, 6), Others(4, 6)


def follow(others: list[Others], *, most: int = 4, busy: float = 1) -> list[int]:
    """The number after each look; the first of them is that of the beginning."""
    follower = Follower(busy=busy, most=most)
    numbers = [follower.first(0.0, others[0])]
    for n, one in enumerate(others[1:], start=1):
        numbers.append(follower.next(n / 2, one, numbers[-1]))
        if numbers[-1] != numbers[-2]:
            follower.changed()
    return numbers


def test_a_quiet_server_gets_all_of_them_at_once() -> None:
    """Also one with a heartbeat."""
    assert follow([QUIET] * 3) == [4, 4, 4]
    assert follow([Others(1, 1)] * 3) == [4, 4, 4]


def test_where_others_work_a_run_begins_with_one() -> None:
    """And tries one more after a time of calm, and sooner when that held."""
    numbers = follow([AT_WORK] * 60, most=5)
    assert [numbers.index(n) / 2 for n in (1, 2, 3, 4, 5)] == [0, 8, 16, 20, 22]


def test_others_who_suffer_halve_it_at_once() -> None:
    """Four, two, one, and never none."""
    assert follow([QUIET, SUFFERING, SUFFERING, SUFFERING, SUFFERING]) == [4, 2, 1, 1, 1]


def test_a_burst_of_an_instant_is_borne() -> None:
    """The mean of three looks counts."""
    assert follow([QUIET, AT_WORK, AT_WORK, Others(3, 6), AT_WORK]) == [4] * 5


def test_what_was_too_many_is_tried_again_later_and_later() -> None:
    """A server that bears one worker and not two, for a quarter of an hour: two are at work for a hundredth of it."""
    follower = Follower(busy=1, most=4)
    numbers, tries = [follower.first(0.0, AT_WORK)], list[float]()
    for n in range(1, 1800):
        numbers.append(follower.next(n / 2, SUFFERING if numbers[-1] > 1 else AT_WORK, numbers[-1]))
        if numbers[-1] != numbers[-2]:
            follower.changed()
        if numbers[-1] > numbers[-2]:
            tries.append(n / 2)
    assert set(numbers) == {1, 2}
    pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert [round(pause) for pause in pauses[:3]] == [16, 32, 64]
    assert max(pauses) < LONGEST_CALM_SECONDS + 1
    assert numbers.count(2) < 18


def test_they_return_when_the_others_have_gone() -> None:
    """One with each look, once the mean is low."""
    assert follow([SUFFERING, SUFFERING, QUIET, QUIET, QUIET, QUIET, QUIET]) == [1, 1, 1, 1, 2, 3, 4]


def test_who_comes_in_bursts_is_there_between_them() -> None:
    """One quiet look alone gives nothing back."""
    assert set(follow([AT_WORK, QUIET] * 10)[:16]) == {1}


def test_one_look_after_a_change_decides_only_if_it_is_clear() -> None:
    """Two statements at one instant are no reason; two looks are, or many statements."""
    two = Others(2, 6)
    assert follow([QUIET, two, AT_WORK]) == [4, 4, 4]
    assert follow([QUIET, two, two]) == [4, 4, 2]
    assert follow([QUIET, Others(3, 6)]) == [4, 2]
