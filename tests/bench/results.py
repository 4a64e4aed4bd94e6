"""What was measured, as frozen values, and as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.demo.latency import Summary


@dataclass(frozen=True, slots=True)
class ExclusiveMoment:
    """A moment in which migrator had tables for itself, as its events tell it."""

    table: str
    purpose: str
    tries: int
    waited_seconds: float
    held_seconds: float | None
    """None: by the server's own online DDL, not measured."""


@dataclass(frozen=True, slots=True)
class Effort:
    """What a contestant needed for all tables of a case."""

    seconds: float
    client_cpu_seconds: float | None = None
    client_peak_bytes: int | None = None
    """Of the largest process."""
    phases: Mapping[str, float] = field(default_factory=dict)
    """Seconds, all tables together."""
    moments: tuple[ExclusiveMoment, ...] = ()
    cleanup_seconds: float | None = None
    """Afterwards, not within `seconds`: dropping the old tables, which are kept until somebody wants that."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One contestant in one round of one case."""

    case: str
    contestant: str
    round: int
    rows: int
    tables: int
    effort: Effort | None = None
    server_cpu_seconds: float | None = None
    file_bytes: int | None = None
    failed: str = ""
    """Why, or '': then everything else is there, and proved."""


@dataclass(frozen=True, slots=True)
class Impact:
    """What an application noticed of one contestant."""

    contestant: str
    round: int
    rows: int
    effort: Effort | None = None
    periods: Mapping[str, Summary] = field(default_factory=dict)
    errors: Mapping[int, int] = field(default_factory=dict)
    """How often, by number."""
    errors_in: Mapping[str, int] = field(default_factory=dict)
    """How often, by what was going on: the period, and migrator's phase."""
    longest_block_ms: float | None = None
    """The longest time that one of its statements waited for a table (metadata lock) during the work."""
    busy_before: float | None = None
    """Share of the machine that server and application used together before it began."""
    failed: str = ""
    """Why, or ''. What the application noticed of a failure is there nevertheless, if it came to its end."""


@dataclass(frozen=True, slots=True)
class Report:
    """A whole run."""

    command: str
    date: str
    machine: str
    server: str
    options: tuple[str, ...]
    scale: float
    rounds: int
    in_memory: bool
    rate: float
    threads: int
    turns: tuple[Turn, ...] = ()
    impacts: tuple[Impact, ...] = ()
    absent: tuple[str, ...] = ()
    """Contestants that could not take part, and why."""


def write(report: Report, path: Path) -> None:
    """The report as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dataclasses.asdict(report), indent=1) + "\n", encoding="utf-8")
