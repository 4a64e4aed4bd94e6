"""What every phase of one step needs, as one frozen value, and how jobs run side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from migrator.clock import Clock
from migrator.db import Session
from migrator.engine.journal import Journal, StepRow
from migrator.engine.lease import Lease
from migrator.errors import Stopped
from migrator.events import DdlDone, DdlStarting, Event, Listener, PhaseEnded, PhaseStarted, Waiting
from migrator.model import Key, Table, TableName
from migrator.sql.keys import KeyColumn
from migrator.sql.statement import Sql


@dataclass(frozen=True, slots=True)
class Limits:
    """How a step is done: the plan's defaults, with what the step says for itself."""

    workers: int
    chunk_time_seconds: float
    chunk_max_bytes: int
    log_max_bytes: int
    log_max_entries: int
    moment_wait_seconds: float
    swap_wait_seconds: float
    index_build_memory_bytes: int
    retain_days: float


@dataclass(frozen=True, slots=True)
class Work:
    """One table being encrypted: its facts and names, the journal's step, and the ways out to server and listener."""

    session: Session
    """For the journal and for DDL; used by the thread that runs the step, and by no other."""
    lease: Lease
    journal: Journal
    step_id: int
    table: Table
    key: Key
    key_columns: tuple[KeyColumn, ...]
    shadow: TableName
    retained: TableName
    log: TableName
    limits: Limits
    listen: Listener
    stop: threading.Event
    clock: Clock

    @property
    def subject(self) -> str:
        """The table's name, for events."""
        return str(self.table.name)

    def step(self) -> StepRow:
        """The journal's row, as it is now."""
        return self.journal.step(self.session, self.step_id)

    def open(self, session: Session | None = None) -> Session:
        """Another session of this run, for a thread of its own."""
        return (session or self.session).another(self.lease.purpose)

    def checkpoint(self) -> None:
        """Where it is safe to stop: raises `Stopped` if that is wanted; waits while the run is paused."""
        waited_from: float | None = None
        while True:
            if self.stop.is_set():
                raise Stopped("stopped at a safe point; the triggers stay and go on logging", remedy="apply again to go on")
            self.lease.check()
            if not self.lease.paused:
                return
            now = self.clock.monotonic()
            if waited_from is None:
                waited_from = now
                self.listen(Waiting(self.subject, "paused by a person", 0.0))
            self.clock.wait(self.stop, 0.2)

    def ddl(self, statement: Sql, session: Session | None = None) -> None:
        """Send a statement that changes a definition, and tell before and after. Never retried: look instead."""
        shown = statement.shown
        self.listen(DdlStarting(self.subject, shown))
        began = self.clock.monotonic()
        (session or self.session).run(statement)
        self.listen(DdlDone(self.subject, shown, self.clock.monotonic() - began))

    def phase(self, name: str, work: Callable[[Work], None]) -> None:
        """Run one phase; then the journal says that it is done."""
        self.listen(PhaseStarted(self.subject, name))
        began = self.clock.monotonic()
        work(self)
        self.journal.set_step(self.session, self.step_id, phase=name, waiting="")
        self.listen(PhaseEnded(self.subject, name, self.clock.monotonic() - began))


def side_by_side(jobs: Sequence[Callable[[threading.Event], None]]) -> None:
    """Run jobs in threads until all are done; the first error asks the others to end, and is raised.

    Each job gets the event that says "end now". The caller's own thread only waits.
    """
    ending = threading.Event()
    errors: list[BaseException] = []

    def run(job: Callable[[threading.Event], None]) -> None:
        try:
            job(ending)
        except BaseException as error:  # noqa: BLE001 - carried to the caller's thread and raised there
            errors.append(error)
            ending.set()

    threads = [threading.Thread(target=run, args=(job,), name=f"job-{n}") for n, job in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        # A stop that was asked for is less telling than what went wrong.
        raise next((e for e in errors if not isinstance(e, Stopped)), errors[0])


def tell_event(listen: Listener) -> Listener:
    """A listener that may be called from several threads: one event at a time."""
    lock = threading.Lock()

    def told(event: Event) -> None:
        with lock:
            listen(event)

    return told
