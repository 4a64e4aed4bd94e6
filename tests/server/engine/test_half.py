"""What was said to be left when half of a table was copied, against what it took."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest

from migrator.engine.half import read_measured
from migrator.engine.journal import Journal
from migrator.events import ChunkCopied
from tests.server.engine.kit import At, Beside, Lab, each, phase
from tests.server.engine.test_rows import BY_NUMBER
from tests.servers import until

pytestmark = pytest.mark.timeout(90)

NOTED = "SELECT half_after_seconds, half_left_seconds, worked_seconds, copy_seconds FROM migrator.steps ORDER BY id"

AGE = "SELECT TIMESTAMPDIFF(MICROSECOND, MAX(started_at), UTC_TIMESTAMP(6)) > 4000000 FROM migrator.steps"


def slowly(lab: Lab) -> At:
    """Holds the copy after its first chunk until the step is some seconds old."""
    return At(each(ChunkCopied), lambda: until(lambda: lab.value(AGE), "it is some seconds old"))


def test_half_way_is_noted(lab: Lab) -> None:
    """How long was worked until then, and what was said to be left: with what it took in all, one measured step."""
    lab.table("t", *BY_NUMBER)
    lab.apply("t", at=[slowly(lab)], defaults=lab.alone).assert_outcome("done")
    ((after, left, worked, copied),) = lab.rows(NOTED)
    assert 3 < after < worked
    assert left >= 1
    with closing(lab.session()) as session:
        (pace,) = read_measured(session, Journal()).paces
    assert (pace.half_after_seconds, pace.half_left_seconds) == (after, left)
    assert (pace.worked_seconds, pace.copy_seconds) == (worked, copied)


def test_a_pause_before_it_is_not_work(lab: Lab) -> None:
    """As in what the step took in all: else what was said at half time would be measured against less than nothing."""
    lab.table("t", *BY_NUMBER)
    beside: list[Beside] = []

    def set_paused(*, paused: bool) -> None:
        with closing(lab.session()) as session:
            Journal().pause(session, paused=paused)

    def go_on() -> None:
        later = lab.value("SELECT heartbeat_at + INTERVAL 3 SECOND FROM migrator.lease")
        until(lambda: lab.value("SELECT heartbeat_at FROM migrator.lease") > later, "three seconds of heartbeats")
        set_paused(paused=False)

    def pause() -> None:
        until(lambda: lab.value(AGE), "it is some seconds old")
        set_paused(paused=True)
        until(lab.pause_is_noticed, "the pause is noticed")
        beside.append(Beside(go_on).__enter__())

    lab.apply("t", at=[At(each(ChunkCopied), pause)], defaults=lab.alone).assert_outcome("done")
    beside[0].join()
    ((after, left, worked, _),) = lab.rows(NOTED)
    assert 3 < after < worked
    assert left >= 1


def test_what_several_runs_worked_counts_together(lab: Lab) -> None:
    """A run that is stopped after the copy and the one that goes on: what was said stays, the seconds of both are added."""
    lab.table("t", *BY_NUMBER)
    stop = threading.Event()
    lab.apply("t", at=[slowly(lab), At(phase("index"), stop.set)], defaults=lab.alone, stop=stop)
    ((after, left, before, _),) = lab.rows(NOTED)
    assert 3 < after <= before
    now = lab.value("SELECT UTC_TIMESTAMP(6)")
    later = lambda: lab.value("SELECT UTC_TIMESTAMP(6) > %s + INTERVAL 2 SECOND", now)  # noqa: E731
    held = At(phase("verify"), lambda: until(later, "it is two seconds later"))
    lab.apply("t", at=[held], defaults=lab.alone).assert_outcome("done")
    ((after_again, left_again, worked, _),) = lab.rows(NOTED)
    assert (after_again, left_again) == (after, left)
    assert worked > before + 1


def test_a_quick_table_notes_nothing(lab: Lab) -> None:
    """Where less than a second is left there is nothing to be wrong about, and no statement more."""
    lab.table("t", "(id INT PRIMARY KEY)", [(number,) for number in range(20)])
    lab.apply("t").assert_outcome("done")
    ((after, left, _, _),) = lab.rows(NOTED)
    assert (after, left) == (None, None)
