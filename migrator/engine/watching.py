"""A run at work as it is now, looked at twice a second: as few questions as possible, whatever the size of the plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from migrator.clock import Clock
from migrator.db import Session
from migrator.engine.half import read_measured
from migrator.engine.journal import Journal
from migrator.engine.noted import Noted, read_noted
from migrator.engine.status import read_run, step_status
from migrator.inventory import read_server
from migrator.report.eta import Measured, Samples, rate_now, with_sample
from migrator.report.values import StatusReport, StepStatus, server_id

MEASURED_EVERY_SECONDS: Final = 30.0

MOST_STEPS: Final = 200
"""So many steps that are not at their end are read; a terminal has not so many lines."""


class Watching:
    """Looks at the latest run again and again, and knows from look to look how fast it is."""

    def __init__(self, session: Session, clock: Clock, journal: Journal | None = None) -> None:
        self._session = session
        self._clock = clock
        self._journal = journal or Journal()
        self._server = server_id(read_server(session))
        self._there = False
        self._run_id = ""
        self._first_id = 0
        self._measured = Measured()
        self._measured_at = float("-inf")
        self._samples: dict[tuple[int, str], Samples] = {}

    def look(self) -> StatusReport:
        """The run, and of its steps those that are begun and not at their end. Three statements, no locks."""
        session, journal, at = self._session, self._journal, self._clock.monotonic()
        self._there = self._there or journal.exists(session)
        run = read_run(session, journal) if self._there else None
        now = str(session.value("SELECT DATE_FORMAT(UTC_TIMESTAMP(), '%%Y-%%m-%%dT%%H:%%i:%%sZ')"))
        if run is None:
            return StatusReport(self._server, now, None)
        if run.run_id != self._run_id:
            self._begin(run.run_id)
        if at - self._measured_at > MEASURED_EVERY_SECONDS:
            self._measured_at, self._measured = at, read_measured(session, journal)
        working = run.state in {"running", "paused"}
        at_work = "id >= %s AND run_id = %s AND state = 'open'"
        noted = read_noted(session, journal, at_work, (self._first_id, run.run_id), most=MOST_STEPS)
        steps = tuple(self._status(one, at, working=working) for one in noted)
        self._forget({one.step.id for one in noted})
        return StatusReport(self._server, now, replace(run, steps=steps))

    def _begin(self, run_id: str) -> None:
        """Whatever this run has at work or will take up was open before, or comes later: no older step is looked at."""
        self._run_id, self._samples = run_id, {}
        at = f"`{self._journal.schema}`.steps"
        self._first_id = int(self._session.value(f"SELECT COALESCE(MIN(id), 0) FROM {at} WHERE state = 'open'") or 0)

    def _status(self, noted: Noted, at: float, *, working: bool) -> StepStatus:
        step = noted.step
        done = noted.compared if step.phase == "mirror" else noted.copied
        key = step.id, step.phase
        samples = self._samples[key] = with_sample(self._samples.get(key, Samples()), at, done)
        rate = rate_now(samples) if step.phase == "log" else None
        status = step_status(self._session, self._journal, noted, self._measured, working=working, rate=rate)
        # The first seconds of a copy say nothing of those to come.
        return replace(status, rows_per_second=None, eta=None) if step.phase == "log" and not rate else status

    def _forget(self, at_work: set[int]) -> None:
        self._samples = {key: samples for key, samples in self._samples.items() if key[0] in at_work}
