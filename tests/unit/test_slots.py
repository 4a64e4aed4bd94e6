"""Places for work on rows: never more are taken than are allowed, whoever waits gets one, and a stop is heard."""

from __future__ import annotations

import threading

import pytest

from migrator.engine.slots import Slots
from tests.servers import until


def nothing() -> None:
    """A check that finds nothing wrong."""


class Worker:
    """A thread that takes a place, and holds it until it is told to give it back."""

    def __init__(self, slots: Slots) -> None:
        self.has_it, self.give_back = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, args=(slots,))
        self._thread.start()

    def _work(self, slots: Slots) -> None:
        with slots.one(nothing):
            self.has_it.set()
            self.give_back.wait(10)

    def end(self) -> None:
        """Give the place back."""
        self.give_back.set()
        self._thread.join()


def has_it(workers: list[Worker]) -> list[Worker]:
    """Those that have a place and have not been told to give it back."""
    return [worker for worker in workers if worker.has_it.is_set() and not worker.give_back.is_set()]


def test_no_more_than_there_are() -> None:
    """Five want two places: two have one at any time, and all five get one in the end."""
    slots = Slots(2)
    workers = [Worker(slots) for _ in range(5)]
    for left in (5, 4, 3):
        until(lambda: len(has_it(workers)) == 2, f"two of {left} have a place")
        has_it(workers)[0].end()
    until(lambda: all(worker.has_it.is_set() for worker in workers), "all have had one")
    for worker in workers:
        worker.end()


def test_fewer_from_now_on() -> None:
    """Who has a place keeps it; the next gets one when few enough are taken; then all may again."""
    slots = Slots(3)
    workers = [Worker(slots) for _ in range(4)]
    until(lambda: len(has_it(workers)) == 3, "three have a place")
    slots.allow(1)
    first, second, third = has_it(workers)
    first.end()
    second.end()
    last = next(worker for worker in workers if worker not in {first, second, third})
    assert not last.has_it.wait(0.3), "one place is all there is, and it is taken"
    slots.allow(3)
    assert last.has_it.wait(5)
    for worker in (third, last):
        worker.end()


def test_between_one_and_all() -> None:
    """Somebody always may work, and never more than the plan says."""
    slots = Slots(4)
    slots.allow(-3)
    assert slots.now == 1
    slots.allow(99)
    assert slots.now == 4


def test_who_waits_hears_of_a_stop() -> None:
    """A stop that is wanted ends the wait for a place."""
    slots = Slots(1)
    worker = Worker(slots)
    assert worker.has_it.wait(5)

    def stopped() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), slots.one(stopped):
        pass
    worker.end()
    with slots.one(stopped):
        pass


def test_a_place_is_given_back_after_an_error() -> None:
    """What goes wrong with the work leaves the place to others."""
    slots = Slots(1)
    with pytest.raises(KeyError), slots.one(nothing):
        raise KeyError
    with slots.one(nothing):
        pass
