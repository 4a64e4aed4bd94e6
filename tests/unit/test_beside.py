"""A job beside the work: it ends with it, and what it met is not lost."""

from __future__ import annotations

import threading

import pytest

from migrator.engine.work import beside


def test_a_job_ends_with_the_body() -> None:
    """It is told that the body is over, and waited for."""
    ended: list[bool] = []

    def job(over: threading.Event) -> None:
        ended.append(over.wait(10))

    with beside("job", job):
        assert ended == []
    assert ended == [True]


def test_what_the_job_met_is_raised_after_the_body() -> None:
    """The body comes to its end first."""
    done: list[bool] = []

    def job(_over: threading.Event) -> None:
        raise KeyError

    with pytest.raises(KeyError), beside("job", job):
        done.append(True)
    assert done == [True]


def test_what_the_body_met_is_told_first() -> None:
    """An error of the body is not hidden by one of the job."""

    def job(_over: threading.Event) -> None:
        raise KeyError

    with pytest.raises(ZeroDivisionError), beside("job", job):
        raise ZeroDivisionError
