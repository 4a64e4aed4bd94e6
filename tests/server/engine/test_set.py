"""Workers that people ask for: fewer hold the others back, and these are there when the wish is taken back."""

from __future__ import annotations

from contextlib import closing

from migrator.engine.journal import Journal
from migrator.events import ChunkCopied, Workers
from migrator.planner.control import Wishes
from tests.server.engine.kit import At, Lab, each
from tests.server.engine.test_rows import BY_NUMBER
from tests.server.engine.test_throttle import beats, running
from tests.servers import until


def test_a_table_begun_with_fewer_workers_gets_the_others_later(lab: Lab) -> None:
    """It is begun with one, as was asked; taken back within the copy, more of the plan's three are at work."""
    lab.table("t", *BY_NUMBER)
    journal = Journal()
    with closing(lab.session()) as control:
        journal.open(control, "test")
        journal.wish(control, Wishes(workers=1))

        def take_back() -> None:
            journal.pause(control, paused=True)
            journal.wish(control, Wishes())
            beats(lab, 2)  # the run has heard of both

        with running(lab, at=[At(each(ChunkCopied), take_back)], workers=3) as run:
            try:
                until(lambda: any(e.now > 1 for e in lab.events if isinstance(e, Workers)), "there are more places")
            finally:
                with closing(lab.session()) as other:
                    journal.pause(other, paused=False)
    run.ran[0].assert_outcome("done")
    workers = [event.workers for event in run.ran[0].of(ChunkCopied)]
    assert workers[0] == 1
    assert max(workers) > 1
    lab.assert_done("t")
