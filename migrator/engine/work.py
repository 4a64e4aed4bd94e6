"""What every phase of one step needs, as one frozen value, and how jobs run side by side."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Final, Protocol

from migrator.clock import Clock
from migrator.db import Session
from migrator.engine.aside import Patience, postponed
from migrator.engine.bounds import UNBOUNDED, Bounds
from migrator.engine.journal import Journal
from migrator.engine.journal_steps import StepRow
from migrator.engine.sessions import Sessions
from migrator.errors import PutAside, Stopped
from migrator.events import DdlDone, DdlStarting, Event, LegProgress, Listener, PhaseEnded, PhaseStarted, Waiting
from migrator.inventory import read_blockers, read_tables
from migrator.model import Blocker, Key, Table, TableName
from migrator.planner.control import Control
from migrator.planner.plan import Defaults, Step
from migrator.report.words import leg_words
from migrator.sql.keys import KeyColumn, key_columns
from migrator.sql.names import log_of, retained_of, shadow_of
from migrator.sql.statement import Sql
from migrator.sql_errors import LOCK_WAIT, SqlError


class Hold(Protocol):
    """What lets a run work: a `Lease`, or for a rehearsal nothing but a name."""

    @property
    def purpose(self) -> str:
        """The program name of every session of this run."""

    @property
    def paused(self) -> bool:
        """True while a person has paused the run."""

    @property
    def held_seconds(self) -> float:
        """For how long nothing was begun so far, since people had paused the run or a limit was exceeded."""

    @property
    def control(self) -> Control:
        """What people ask of the run."""

    def tell(self, name: str, text: str) -> None:
        """Have `status` show this of the whole run."""

    def check(self) -> None:
        """Raise if the run must change nothing more."""


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
    rollback_hours: int
    one_moment_bytes: int
    postpone_swap: bool
    kill_blockers_after_seconds: float | None
    unique_indexes_wait: bool = True
    """Until the rows are copied, as other indexes do."""


def limits_of(defaults: Defaults, step: Step | None = None) -> Limits:
    """The plan's defaults, with what the step says for itself."""
    return Limits(
        workers=(step.workers if step else None) or defaults.workers,
        chunk_time_seconds=(step.chunk_time_seconds if step else None) or defaults.chunk_time_seconds,
        chunk_max_bytes=defaults.chunk_max_bytes,
        log_max_bytes=defaults.log_max_bytes,
        log_max_entries=defaults.log_max_entries,
        moment_wait_seconds=defaults.moment_wait_seconds,
        swap_wait_seconds=defaults.swap_wait_seconds,
        index_build_memory_bytes=defaults.index_build_memory_bytes,
        rollback_hours=defaults.rollback_hours,
        one_moment_bytes=defaults.one_moment_bytes,
        postpone_swap=defaults.postpone_swap,
        kill_blockers_after_seconds=defaults.kill_blockers_after_seconds,
    )


@dataclass(frozen=True, slots=True)
class Work:
    """One table being encrypted: its facts and names, the journal's step, and the ways out to server and listener."""

    session: Session
    """For the journal and for DDL; used by the thread that runs the step, and by no other."""
    sessions: Sessions
    """For everything that needs a connection of its own."""
    lease: Hold
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
    bounds: Bounds = UNBOUNDED
    """Until when it may be done."""
    patience: Patience = field(default_factory=Patience)
    """How long this turn of the step may wait before others go first."""
    began: float = 0.0
    """When this turn of the step began, by the clock."""
    held_before: float = 0.0
    """For how long the run had been held by then."""

    @property
    def worked_seconds(self) -> float:
        """How long this turn of the step was worked on; a pause, or a limit that is exceeded, is no work."""
        return self.clock.monotonic() - self.began - (self.lease.held_seconds - self.held_before)

    @property
    def subject(self) -> str:
        """The table's (or tablespace's) name, for events."""
        return str(self.table.name) if self.table.name.schema else self.table.name.name

    def step(self) -> StepRow:
        """The journal's row, as it is now."""
        return self.journal.step(self.session, self.step_id)

    def open(self) -> AbstractContextManager[Session]:
        """Another session of this run, for one thread at a time."""
        return self.sessions.borrow()

    def place(self) -> AbstractContextManager[None]:
        """One of the run's places for work on rows, waited for; raises what `check` raises."""
        return self.sessions.slots.one(self.check)

    def check(self) -> None:
        """Raise `Stopped` if a stop is wanted, or what the heartbeat met."""
        if self.stop.is_set():
            raise Stopped(
                "stopped at a safe point; what was made so far stays, and any triggers go on writing",
                remedy="apply again to go on",
            )
        self.lease.check()
        self.bounds.check()
        self.sessions.brake.check()

    def checkpoint(self, ending: threading.Event | None = None, *, throttled: bool = True) -> None:
        """Where it is safe to stop, as `check`; and waits here while the run is paused, or a limit is exceeded.

        Returns at once when `ending` is set: then something else has gone wrong, and the caller looks at it. Whoever
        has a transaction open is not `throttled`: it could be what keeps the limit exceeded.
        """
        told = ""
        while True:
            self.check()
            why = "paused by a person" if self.lease.paused else (self.sessions.brake.held if throttled else "")
            if not why or (ending is not None and ending.is_set()):
                return
            if why != told:
                self.listen(Waiting(self.subject, why, 0.0))
                told = why
            self.clock.wait(self.stop, 0.2)

    @property
    def swap_is_postponed(self) -> bool:
        """True while a copy that is ready is not to be swapped."""
        return postponed(self.lease.control, by_plan=self.limits.postpone_swap)

    def let_others_go_first(self, what: str, reason: str, waited: float) -> None:
        """Raise `PutAside` if this turn has waited long enough while others are to be done."""
        if self.patience.is_over(what, waited):
            raise PutAside(f"{reason} for {waited:.0f} s: others go first", what=what, seconds=waited)

    @property
    def is_held(self) -> bool:
        """True while nothing is to be begun: a person has paused the run, or a limit is exceeded."""
        return self.lease.paused or bool(self.sessions.brake.held)

    @property
    def chunk_seconds(self) -> float:
        """How long a chunk should take now: what people asked for goes before the plan, and less near a limit."""
        asked = self.lease.control.wishes.chunk_time_seconds or self.limits.chunk_time_seconds
        return self.sessions.brake.chunk_seconds(asked)

    def breathe(self, seconds: float) -> None:
        """After a chunk that took so long: leave the server alone for a while, where a limit is near."""
        if pause := self.sessions.brake.pause_after(seconds):
            self.clock.wait(self.stop, pause)

    def waits(self, reason: str, seconds: float, blockers: tuple[Blocker, ...] = ()) -> None:
        """Tell what is waited for, and note it for `status`; from the thread that runs the step."""
        self.listen(Waiting(self.subject, reason, seconds, blockers))
        noted = json.dumps({"reason": reason, "blockers": [dataclasses.asdict(one) for one in blockers]})
        self.journal.set_step(self.session, self.step_id, waiting=noted)

    def doing(self, event: LegProgress) -> None:
        """Tell how far a statement of the server's is, and note it for `status`; from the thread that runs the step."""
        self.listen(event)
        noted = json.dumps({"doing": leg_words(event)})
        self.journal.set_step(self.session, self.step_id, waiting=noted)

    def ddl(self, statement: Sql, *, on: TableName | None = None, works_on_rows: bool = False) -> None:
        """Send a statement that changes a definition, and tell before and after.

        Only for what the application does not use. Repeated while somebody keeps a metadata lock on the
        table `on`: see `patiently`. What works on rows takes one of the run's places for each try.
        """

        def send() -> None:
            with self.place() if works_on_rows else nullcontext():
                self.session.run(statement)

        shown = statement.shown
        self.listen(DdlStarting(self.subject, shown))
        began = self.clock.monotonic()
        self.patiently(send, on=on)
        self.listen(DdlDone(self.subject, shown, self.clock.monotonic() - began))

    def patiently(self, send: Callable[[], object], *, on: TableName | None) -> None:
        """Repeat what is sent while somebody (a backup, a person) keeps a metadata lock on the table, who is named.

        Nothing has happened then. Never repeated for any other reason: look instead. Raises what `send`
        raised last if the lock stays for `moment_wait_seconds`.
        """
        began = self.clock.monotonic()
        while True:
            try:
                send()
                return
            except SqlError as error:
                waited = self.clock.monotonic() - began
                if error.number != LOCK_WAIT or on is None or waited > self.limits.moment_wait_seconds:
                    raise
                self.checkpoint()
                self.waits(f"waiting for a metadata lock on {on}", waited, read_blockers(self.session, [on]))

    def phase(self, name: str, work: Callable[[Work], None]) -> None:
        """Run one phase; then the journal says that it is done."""
        self.listen(PhaseStarted(self.subject, name))
        began = self.clock.monotonic()
        work(self)
        self.journal.set_step(self.session, self.step_id, phase=name, waiting="")
        self.listen(PhaseEnded(self.subject, name, self.clock.monotonic() - began))


NO_KEY: Final = Key("", (), unique=False)
"""For work that walks no key: a direct alter, a tablespace, taking down."""


def work_on(
    table: Table,
    step_id: int,
    copy_key: str,
    *,
    session: Session,
    sessions: Sessions,
    lease: Hold,
    journal: Journal,
    limits: Limits,
    listen: Listener,
    stop: threading.Event,
    clock: Clock,
    bounds: Bounds = UNBOUNDED,
) -> Work:
    """The work on a table whose step is in the journal, with the key that the step names."""
    key = next((k for k in table.keys if k.name == copy_key), NO_KEY)
    return Work(
        session=session,
        sessions=sessions,
        lease=lease,
        journal=journal,
        step_id=step_id,
        table=table,
        key=key,
        key_columns=key_columns(key, table.columns),
        shadow=shadow_of(table.name),
        retained=retained_of(table.name),
        log=log_of(table.name),
        limits=limits,
        listen=listen,
        stop=stop,
        clock=clock,
        bounds=bounds,
    )


def work_left(
    step: StepRow,
    table: Table | None = None,
    *,
    session: Session,
    sessions: Sessions,
    lease: Hold,
    journal: Journal,
    listen: Listener,
    stop: threading.Event,
    clock: Clock,
) -> Work:
    """The work on what an earlier run left, by the journal alone: no plan says how, so the defaults do.

    Reads the table's facts, where they are not given.
    """
    found = [table] if table else read_tables(session, [step.table])
    return work_on(
        found[0] if found else Table(step.table, "InnoDB", 0, 0, 0),
        step.id,
        step.copy_key,
        session=session,
        sessions=sessions,
        lease=lease,
        journal=journal,
        limits=limits_of(Defaults()),
        listen=listen,
        stop=stop,
        clock=clock,
    )


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


@contextmanager
def beside(name: str, job: Callable[[threading.Event], None]) -> Iterator[None]:
    """While the body runs, run a job in a thread of its own; its event says when the body is over.

    What the job raised is raised then, unless the body itself raised.
    """
    over, met = threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            job(over)
        except BaseException as error:  # noqa: BLE001 - carried to the caller's thread and raised there
            met.append(error)

    thread = threading.Thread(target=run, name=name)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    if met:
        raise met[0]


def tell_event(listen: Listener) -> Listener:
    """A listener that may be called from several threads: one event at a time."""
    lock = threading.Lock()

    def told(event: Event) -> None:
        with lock:
            listen(event)

    return told
