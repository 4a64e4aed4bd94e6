"""Progress over time, told to the journal: one small row a minute, for `report`.

Whatever goes wrong with it is nobody's business: the run goes on, and the chart has a gap.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final, Literal

from migrator.clock import Clock
from migrator.db import Session
from migrator.engine.journal import Journal
from migrator.engine.journal_progress import MOST_SAMPLES, SAMPLE_SECONDS, Sample
from migrator.engine.sessions import Sessions
from migrator.engine.work import beside
from migrator.errors import MigratorError
from migrator.events import ChunkCopied, ChunkVerified, Event
from migrator.sql_errors import SqlError

LOOK_SECONDS: Final = 0.5
"""Between two looks at what the run is doing; they ask nobody but the run itself."""

GIVES_UP_AFTER: Final = 3
"""So many samples that could not be written, one after the other, and no other is tried."""

Doing = Literal["work", "paused", "closed"]


class Sampler:
    """A listener that counts rows, and a thread's job that writes them down now and then."""

    def __init__(
        self,
        sessions: Sessions,
        journal: Journal,
        run_id: str,
        doing: Callable[[], Doing],
        clock: Clock,
        *,
        most: int = MOST_SAMPLES,
    ) -> None:
        self._sessions, self._journal, self._run_id = sessions, journal, run_id
        self._doing, self._clock, self._most = doing, clock, most
        self._lock = threading.Lock()
        self._copied, self._compared = 0, 0
        self._spent: defaultdict[str, float] = defaultdict(float)
        self._reasons: defaultdict[str, float] = defaultdict(float)
        self._failed = 0
        self._many, self._every = 0, SAMPLE_SECONDS

    def __call__(self, event: Event) -> None:
        """Hear one event. From any thread."""
        match event:
            case ChunkCopied():
                with self._lock:
                    self._copied += event.rows
            case ChunkVerified():
                with self._lock:
                    self._compared += event.rows
            case _:
                pass

    def follow(self, over: threading.Event) -> None:
        """Write a sample whenever it is time, and what is left of one when it is over.

        Raises nothing of the server's. Ends as soon as it is told to, or after a statement that waits: 3 s at most.
        """
        self._try(self._learn)
        began = seen = self._clock.monotonic()
        ended = False
        while not ended:
            ended = self._clock.wait(over, LOOK_SECONDS)
            now = self._clock.monotonic()
            self._count(now - seen)
            seen = now
            if ended or now - began >= self._every:
                sample = self._taken(now - began)
                began = now
                if not sample.is_empty:
                    self._try(partial(self._write, sample))

    def _count(self, seconds: float) -> None:
        """What the run did since the last look: the state of now is taken for all of it."""
        brake, doing = self._sessions.brake, self._doing()
        if doing != "work":
            self._spent[doing] += seconds
        elif brake.held:
            self._spent["held"] += seconds
            self._reasons[brake.signal] += seconds
        elif brake.signal:
            self._spent["slowed"] += seconds
            self._reasons[brake.signal] += seconds

    def _try(self, job: Callable[[Session], None]) -> None:
        if self._failed >= GIVES_UP_AFTER:
            return
        try:
            with self._sessions.borrow() as session:
                job(session)
            self._failed = 0
        except (SqlError, MigratorError):
            self._failed += 1

    def _learn(self, session: Session) -> None:
        self._many, self._every = self._journal.sample_every(session)

    def _write(self, sample: Sample, session: Session) -> None:
        self._journal.note_progress(session, self._run_id, self._every, sample)
        self._many += 1
        if self._many >= self._most:
            self._journal.thin_progress(session, most=self._most)
            self._learn(session)

    def _taken(self, seconds: float) -> Sample:
        with self._lock:
            copied, compared = self._copied, self._compared
            self._copied, self._compared = 0, 0
        spent, reasons = self._spent, self._reasons
        self._spent, self._reasons = defaultdict(float), defaultdict(float)
        return Sample(
            seconds=seconds,
            rows_copied=copied,
            rows_compared=compared,
            paused=spent["paused"],
            held=spent["held"],
            slowed=spent["slowed"],
            closed=spent["closed"],
            reason=max(reasons, key=lambda signal: reasons[signal], default=""),
        )


@contextmanager
def sampling(sampler: Sampler) -> Iterator[None]:
    """While the body runs, tell the journal how it goes. A thread, and a session for an instant a minute."""
    with beside("progress", sampler.follow):
        yield
