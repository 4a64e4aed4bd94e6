"""What there is to tell, as frozen values: the engine fills them, the modules beside this one render them.

No value holds a key, a row or a secret. Sizes are bytes, durations are seconds, moments are UTC in
ISO 8601 by the server's clock. `subject` is `schema.table`, a tablespace, or '' for the server.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from migrator.model import Blocker, Finding, Method, Server, TableName, Tablespace
from migrator.planner.control import Wishes
from migrator.planner.plan import Estimate
from migrator.posture import Place
from migrator.sql.story import Said

Outcomes = Literal["done", "skipped", "refused", "failed", "stopped", "given-up", "person", "left"]
"""How a step ended, as in `events.StepEnded`; 'left' is a step that this run did not come to."""


@dataclass(frozen=True, slots=True)
class Span:
    """A duration of which only bounds are known."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ServerId:
    """Which server a report is about."""

    server_uuid: str
    version_text: str
    flavour: str
    where: str
    """host:port or the socket."""


def server_id(server: Server, where: str = "") -> ServerId:
    """The server's identity; `where` if another address was used than the server's own."""
    return ServerId(
        server_uuid=server.server_uuid,
        version_text=server.version_text,
        flavour=str(server.flavour),
        where=where or f"{server.host}:{server.port}",
    )


# -- audit ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AuditTable:
    """A base table, whether its rows lie in clear, and how it would be encrypted."""

    name: TableName
    engine: str
    rows: int
    size_bytes: int
    place: str
    """The tablespace's kind (`file-per-table`, `general ts1`), or '' for engines that have none."""
    encrypted: bool
    in_clear: bool
    """True if rows lie in clear on disk; not so if the engine keeps none there."""
    method: Method
    why: str


@dataclass(frozen=True, slots=True)
class Audit:
    """The server's posture as far as it is looked at, and every table that was asked for."""

    server: Server
    read_at: str
    findings: tuple[Finding, ...]
    tables: tuple[AuditTable, ...]
    tablespaces: tuple[Tablespace, ...]
    places: tuple[Place, ...] = ()


# -- dry-run ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What became of a step on its empty twin.

    'nothing' is for steps where there is nothing to rehearse (skip, refuse), or where a gate said no before.
    """

    result: Literal["ok", "failed", "nothing"]
    message: str = ""
    """What was shown, or what failed."""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class ReviewStep:
    """One step of the plan as `apply` would do it."""

    subject: str
    method: Method
    why: str
    findings: tuple[Finding, ...]
    statements: tuple[Said, ...]
    rehearsal: Rehearsal
    estimate: Estimate
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Review:
    """All that a reviewer of a change ticket has to know; made by `engine.rehearse`."""

    server: ServerId
    made_at: str
    plan: str
    """The plan file's name, as given."""
    plan_hash: str
    drift: tuple[Finding, ...]
    """Where the server differs from what was planned; those that block stop `apply` (exit 2)."""
    gates: tuple[Finding, ...]
    """The safety gates and what else matters for the whole run; those that block refuse it (exit 3)."""
    steps: tuple[ReviewStep, ...]
    total: Estimate
    """Of the whole plan; its extra disk is the peak, not the sum."""


# -- apply ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExclusiveMoment:
    """One short exclusive hold on a table: what for, how many tries, how long it lasted (None: not measured)."""

    purpose: str
    tries: int
    waited_seconds: float
    held_seconds: float | None


@dataclass(frozen=True, slots=True)
class RetainedTable:
    """The old table, kept in clear until its deadline."""

    name: TableName
    until: str
    size_bytes: int = 0
    current_until: str = ""
    """It is kept current so long, for a rollback; '' if it is not."""
    no_rollback: str = ""
    """Why it cannot be rolled back any more though it is kept current."""
    rollback_is_over: bool = False
    """The time for a rollback has passed, and nobody has come yet to take the triggers off."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something of ours that exists on the server after a step did not end well."""

    kind: Literal["trigger", "shadow", "log", "retained", "tablespace"]
    name: TableName
    """For a trigger: its schema and its own name."""


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What became of one step."""

    subject: str
    method: Method
    outcome: Outcomes
    seconds: float = 0.0
    rows: int = 0
    size_bytes: int = 0
    message: str = ""
    remedy: str = ""
    moments: tuple[ExclusiveMoment, ...] = ()
    retained: RetainedTable | None = None
    evicted: tuple[Blocker, ...] = ()
    """Sessions that were in its way and were ended, since the plan asks for that."""
    leftovers: tuple[Leftover, ...] = ()
    in_clear: bool = False
    """True if, as far as this run knows, rows of the subject still lie in clear."""
    expected_seconds: float | None = None
    """What it was said to take, by what steps took on this server before; None where nothing said."""


@dataclass(frozen=True, slots=True)
class ThrottledFor:
    """For how long a run was throttled by one signal, where that was the strongest."""

    signal: str
    held_seconds: float
    """Nothing was begun."""
    slowed_seconds: float
    """Less was done at a time."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run; `exit_code` is the process's."""

    exit_code: int
    steps: tuple[StepOutcome, ...]
    run_id: str = ""
    seconds: float = 0.0
    stopped_by: str = ""
    """Why the run ended before its plan: a signal, say; else ''."""
    throttled: tuple[ThrottledFor, ...] = ()
    by_hand: tuple[str, ...] = ()
    """Statements for a person, when all is done: what was written in clear before the logs were encrypted."""


# -- status -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BacklogStatus:
    """The log of changes that the shadow has not got yet."""

    entries: int
    bytes: int
    age_seconds: float


@dataclass(frozen=True, slots=True)
class StepStatus:
    """One step as the journal has it."""

    subject: str
    method: Method
    state: Literal[
        "waiting",
        "running",
        "aside",
        "ready",
        "parked",
        "done",
        "skipped",
        "refused",
        "failed",
        "person",
        "rolled-back",
    ]
    """'waiting' for its turn; 'aside' while others go first; 'ready', its swap is postponed; 'parked' between
    runs, its triggers in place."""
    phase: str = ""
    rows_done: int = 0
    rows_expected: int = 0
    rows_per_second: float | None = None
    """None as long as nothing was measured."""
    eta: Span | None = None
    backlog: BacklogStatus | None = None
    waiting_for: str = ""
    """Why nothing moves; '' while work goes on."""
    blockers: tuple[Blocker, ...] = ()
    doing: str = ""
    """How far a statement of the server's own is, which counts no rows: the legs of a relay."""
    retained: RetainedTable | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class AheadStatus:
    """The plan of a run at work, as the run tells it: how far it is, and what comes next."""

    steps: int
    """That change something."""
    ended: dict[str, int]
    """By how they ended: done, failed, given-up, stopped, skipped or person."""
    bytes: int
    bytes_done: int
    left: Span | None
    """None before there is a rate."""
    next: tuple[str, ...]
    """The first of those that are not begun."""
    not_begun: int


@dataclass(frozen=True, slots=True)
class RunStatus:
    """The latest run as the journal has it."""

    run_id: str
    plan_hash: str
    state: Literal["running", "paused", "ended", "silent"]
    """'silent': not ended, but its lease has run out; `apply` takes it over."""
    started_at: str
    host: str
    pid: int
    heartbeat_age_seconds: float
    steps: tuple[StepStatus, ...]
    """Of this run alone; those it has not come to are not among them."""
    exit_code: int | None = None
    paused_by: str = ""
    wishes: Wishes = field(default_factory=Wishes)
    """What people asked for."""
    told: dict[str, str] = field(default_factory=dict)
    """What the run says of itself: why it is slow, or what it waits for."""
    ahead: AheadStatus | None = None
    """Of the whole plan; None where no run is at work."""


@dataclass(frozen=True, slots=True)
class StatusReport:
    """What the journal says; `run` is None where nothing was ever applied."""

    server: ServerId
    read_at: str
    run: RunStatus | None
    earlier: tuple[StepStatus, ...] = ()
    """Steps of runs before this one that are unfinished, or whose old table is still kept; not in `run.steps`."""
    journal_of: str = ""
    """The server_uuid of the server that the journal is of, where that is another one: it was replicated here."""


# -- verify and cleanup -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether one table, tablespace or setting is encrypted (on), and what shows it."""

    name: str
    encrypted: bool
    evidence: str
    """Where it was read (`INNODB_TABLESPACES space 23: ENCRYPTION Y`)."""
    expected: bool
    """True if the journal says that it was encrypted by a run of ours."""
    why: str = ""
    """Why it is in clear, where that is known."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What cleanup did, or would do, with one object that the journal proves to be ours."""

    name: TableName
    kind: Literal["trigger", "shadow", "log", "retained", "tablespace"]
    action: Literal["dropped", "would-drop", "kept", "forgotten", "would-forget"]
    """'forgotten': it was not there any more, and the journal does not name it any longer."""
    why: str = ""
    """Why it is kept (`until 2026-03-01`) or forgotten."""
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What `rollback` did, or would do, with the swap of one table."""

    table: TableName
    action: Literal["rolled-back", "would-roll-back", "stopped", "would-stop"]
    """'stopped': the swap stays, and the retained table is not kept current any more."""
    rows: int = 0
    """So many were compared, and are equal."""
    seconds: float = 0.0
