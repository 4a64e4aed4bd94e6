"""TELL: what just became true, as frozen values.

One stream feeds the progress bars, the JSON lines, the report and the tests: the engine calls the
listener that it was given, and knows nothing of who listens. Events carry names, counts, seconds and
error numbers; never a key, a row or a secret. A listener that raises ends the run at that point.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from migrator.model import Blocker, Finding


@dataclass(frozen=True, slots=True)
class Event:
    """Something that became true. `subject` is `schema.table`, a tablespace, a setting (`@@variable`, `schema NAME`),
    or '' for the run.
    """

    subject: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON lines: the event's name and its fields."""
        return {"event": type(self).__name__, **dataclasses.asdict(self)}


Listener = Callable[[Event], None]


def together(*listeners: Listener) -> Listener:
    """One listener that tells each event to all, in this order."""

    def told(event: Event) -> None:
        for listen in listeners:
            listen(event)

    return told


@dataclass(frozen=True, slots=True)
class RunStarted(Event):
    """A run holds the lease and begins."""

    run_id: str
    plan_hash: str
    steps: int
    bytes_to_do: int


@dataclass(frozen=True, slots=True)
class RunEnded(Event):
    """The run is over; `exit_code` is what the process will give."""

    run_id: str
    exit_code: int
    done: int
    skipped: int
    refused: int
    failed: int
    left: int
    seconds: float
    reason: str = ""
    """Why it ended before its plan: a stop, an error; '' if it came to its end."""


@dataclass(frozen=True, slots=True)
class NotBegun(Event):
    """The process ends before a run began: the plan, a gate, the lease or the server said no. Nothing was changed."""

    exit_code: int
    reason: str


@dataclass(frozen=True, slots=True)
class StepStarted(Event):
    """Work on one table or tablespace begins, or goes on (`resumed`)."""

    method: str
    rows: int
    bytes: int
    resumed: bool


@dataclass(frozen=True, slots=True)
class StepEnded(Event):
    """`outcome`: done, skipped, refused, failed, stopped, given-up or person (somebody must look)."""

    outcome: str
    seconds: float
    message: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class PhaseStarted(Event):
    """A phase of a step begins: build, log, copy, index, drain, mirror, verify, swap, clean, alter; of a relay:
    in-wait, move-in, encrypt, out-wait, move-out, settle."""

    phase: str


@dataclass(frozen=True, slots=True)
class PhaseEnded(Event):
    """A phase of a step is done, and the journal says so."""

    phase: str
    seconds: float


@dataclass(frozen=True, slots=True)
class DdlStarting(Event):
    """A statement that changes a definition is about to be sent; text without values."""

    statement: str


@dataclass(frozen=True, slots=True)
class DdlDone(Event):
    """The server has executed it."""

    statement: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ChunkCopied(Event):
    """A chunk and its journal entry are committed. `rows_done` counts the step so far, all workers."""

    rows: int
    seconds: float
    rows_done: int
    rows_expected: int
    workers: int


@dataclass(frozen=True, slots=True)
class RangeCopied(Event):
    """One range of the key is copied to its end."""

    range_no: int
    ranges_done: int
    ranges_known: int


@dataclass(frozen=True, slots=True)
class Backlog(Event):
    """The log of this step as just looked at; `drained` entries since the step began here."""

    entries: int
    bytes: int
    age_seconds: float
    drained: int


@dataclass(frozen=True, slots=True)
class ChunkVerified(Event):
    """A range of both tables was compared in one snapshot and is equal."""

    rows: int
    seconds: float
    rows_done: int
    rows_expected: int


@dataclass(frozen=True, slots=True)
class Waiting(Event):
    """Nothing is changed while we wait, and traffic flows; who is waited for, and why."""

    reason: str
    seconds: float
    blockers: tuple[Blocker, ...] = ()


@dataclass(frozen=True, slots=True)
class SetAside(Event):
    """A step lets others go first, and is taken up again later: it waits for something, or (`ready`) it is copied and
    compared, and swaps are postponed."""

    reason: str
    ready: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Evicted(Event):
    """A session that was in the way for so many seconds was ended (KILL), since the plan asks for that."""

    blocker: Blocker
    waited_seconds: float


@dataclass(frozen=True, slots=True)
class Moment(Event):
    """An exclusive moment is over: how many tries, how long it was held, what it was for.

    `held_seconds` is None for online DDL of the server's own, which holds its tables when it begins and when it ends:
    how long is not measured.
    """

    purpose: str
    probes: int
    tries: int
    waited_seconds: float
    held_seconds: float | None


@dataclass(frozen=True, slots=True)
class LegProgress(Event):
    """How far a statement of the server's own is. The numbers are None where the server does not count.

    It counts while the consumer `events_stages_current` is enabled; the unit is the server's own.
    """

    leg: str
    stage: str
    work_done: int | None
    work_expected: int | None


@dataclass(frozen=True, slots=True)
class Workers(Event):
    """So many of the plan's workers may work on rows from now on; `others` is how many statements of others run."""

    now: int
    most: int
    others: float


@dataclass(frozen=True, slots=True)
class Throttled(Event):
    """What the server or a replica suffers begins to slow the run down, does so in another way, or has ended.

    `signal` is the strongest reason, with its value (None where it could not be read, or is no number) and its limit;
    `share` is how much of the usual work is done: 0 where nothing is begun.
    """

    state: str
    """begins, changes or ends."""
    reason: str
    signal: str = ""
    value: float | None = None
    limit: float = 0.0
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Told(Event):
    """What people asked for with `set` is done from now on; '' if they ask for nothing any more."""

    wishes: str


@dataclass(frozen=True, slots=True)
class Retained(Event):
    """The old table is kept, in clear, under this name until the deadline (UTC); kept current so long, or ''."""

    table: str
    until: str
    current_until: str = ""


@dataclass(frozen=True, slots=True)
class Noticed(Event):
    """A finding made while working."""

    finding: Finding


@dataclass(frozen=True, slots=True)
class HookFailed(Event):
    """A hook did not do what it was called for; `hook` is its program, `called_for` the event's name."""

    hook: str
    called_for: str
    reason: str
