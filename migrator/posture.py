"""Where data lies or travels in clear, besides the tables: what was read, and what is said of each place. Values.

`inventory/posture.py` reads the facts, `planner/posture/` makes the places of them, `report/audit.py` shows them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from migrator.transport import Transport


class State(StrEnum):
    """How it is with one place."""

    ENCRYPTED = "encrypted"
    PARTLY = "partly"
    """What is written now is encrypted, what was written before is not."""
    CLEAR = "in clear"
    OK = "ok"
    """Nothing is encrypted here, and nothing has to be: a setting that is as it should be."""
    BAD = "bad"
    """A setting that is not as it should be, where no data lies or travels in clear by that alone."""
    UNUSED = "unused"
    """The server has it, and does not use it."""
    UNKNOWN = "unknown"
    """It could not be read: `evidence` says why."""
    ASK = "ask"
    """No query can tell: a person has to look, `closes` says where."""


OPEN = frozenset({State.CLEAR, State.PARTLY, State.BAD, State.UNKNOWN})
"""What is not closed: it decides the exit code of `audit`."""


class Area(StrEnum):
    """What kind of place it is; the order is that of the report."""

    KEYS = "keys"
    AT_REST = "at rest"
    DEFAULTS = "new tables"
    TRANSIT = "in transit"
    CLUSTER = "other servers"
    HOST = "host"
    COPIES = "copies"


@dataclass(frozen=True, slots=True)
class Place:
    """One line of the audit."""

    code: str
    """Its name for programs, and in docs/audit.md: `binary-log`."""
    area: Area
    what: str
    state: State
    evidence: str
    """What was read, with its name and value; never a secret, never a row's value."""
    risk: str = ""
    """Who could read what, or what could be lost; empty where the place is closed."""
    closes: tuple[str, ...] = ()
    """The exact statements, or the procedure; empty where there is nothing to do, or nothing that could be done."""
    restart: bool = False
    """True if closing it needs a restart of the server."""


@dataclass(frozen=True, slots=True)
class LogFile:
    """A file of the binary log, as SHOW BINARY LOGS tells it."""

    name: str
    bytes: int
    encrypted: bool


@dataclass(frozen=True, slots=True)
class AtRest:
    """What lies on the server's disks besides tables."""

    binary_logs: tuple[LogFile, ...] | None = None
    """None: our account may not ask."""


@dataclass(frozen=True, slots=True)
class Host:
    """What the server's host is like; only where it is the host that we run on."""

    local: bool = False


@dataclass(frozen=True, slots=True)
class Posture:
    """All that was read besides the inventory."""

    variables: dict[str, str] = field(default_factory=dict)
    """Global variables that a place depends on, by name; absent if the server does not know them. Never a secret:
    of those that hold one, `inventory/posture.py` says only whether they are set."""
    at_rest: AtRest = AtRest()
    transport: Transport = field(default_factory=Transport)
    host: Host = Host()
