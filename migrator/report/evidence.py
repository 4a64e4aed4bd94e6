"""Evidence for an auditor, as values: what was run on a server, what is encrypted there now, and what is not. Pure.

`engine/evidence.py` reads them; `report/evidence_blocks.py` and `report/evidence_page.py` show them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from migrator.report.claims import CLAIMS, Claim
from migrator.report.documents import as_json
from migrator.report.files import FilesReport, files_exit_code
from migrator.report.values import ServerId


@dataclass(frozen=True, slots=True)
class Extent:
    """What there was at one time, in numbers; bytes of data and indexes as the catalog estimates them."""

    tables: int = 0
    tables_encrypted: int = 0
    bytes: int = 0
    bytes_encrypted: int = 0
    tablespaces: int = 0
    """General ones, and `mysql`."""
    tablespaces_encrypted: int = 0


@dataclass(frozen=True, slots=True)
class RunEvidence:
    """One run, as the journal has it."""

    run_id: str
    plan_hash: str
    tool_version: str
    account: str
    """By which it was connected, as the server has it."""
    host: str
    """Of the machine it ran on."""
    pid: int
    started_at: str
    ended_at: str
    """'' if it never said that it has ended: it runs, or it was killed."""
    exit_code: int | None
    found: Extent | None
    """What of the plan's scope it found when it began."""


@dataclass(frozen=True, slots=True)
class AttestedEvidence:
    """What a person vouched for, in the plan or on the command line."""

    what: str
    by: str
    at: str
    note: str
    run_id: str
    """The first run that was given it."""


@dataclass(frozen=True, slots=True)
class FailoverEvidence:
    """The work of one server went on on another."""

    at: str
    from_uuid: str
    to_uuid: str
    run_id: str


@dataclass(frozen=True, slots=True)
class StepEvidence:
    """What was done to one table or tablespace. A table that was begun anew is here more than once."""

    subject: str
    kind: str
    """'table' | 'tablespace'"""
    method: str
    state: str
    """'open' | 'swapped' (its retained table is kept) | 'done' | 'rolled-back' | 'given-up' | 'void' | 'failed'"""
    run_id: str
    """The run that worked on it last."""
    account: str
    started_at: str
    ended_at: str
    worked_seconds: float
    rows: int
    """Copied by chunks; changes that came through the log are not counted."""
    rows_verified: int
    bytes: int
    """As the catalog estimated it when the step began."""
    moments: int
    longest_hold_seconds: float | None
    """The longest time for which it was held exclusively; None where nothing was measured."""
    retained_until: str
    message: str

    @property
    def encrypted_it(self) -> bool:
        """True if it came to its end, and was not taken back."""
        return self.state in {"done", "swapped"}


@dataclass(frozen=True, slots=True)
class NotDone:
    """What the latest run did not do, and why."""

    subject: str
    method: str
    outcome: str
    why: str
    run_id: str
    at: str


@dataclass(frozen=True, slots=True)
class ObjectNow:
    """One table or shared tablespace as it is now."""

    name: str
    kind: Literal["table", "tablespace"]
    engine: str
    size_bytes: int
    encrypted: bool
    """By the catalog's word."""
    evidence: str
    """Where that was read."""
    by_us: bool
    """The journal says that a run encrypted it."""
    by_files: str = ""
    """What its files say (`report.files.Verdict`); '' where they were not read."""
    why: str = ""
    """Why it is in clear."""


class Residue(StrEnum):
    """What is known of a place outside of tables."""

    IN_CLEAR = "in clear"
    PARTLY = "in part"
    UNKNOWN = "not looked at"
    ENCRYPTED = "encrypted"
    NOTHING = "nothing there"


@dataclass(frozen=True, slots=True)
class Residual:
    """One place where rows may lie in clear besides tables and tablespaces."""

    place: str
    state: Residue
    evidence: str
    to_do: str


@dataclass(frozen=True, slots=True)
class MasterKey:
    """One master key of InnoDB, by its name; never a byte of it."""

    name: str
    is_newest: bool
    files: int | None
    """So many files that were read name it; None where none were read."""


@dataclass(frozen=True, slots=True)
class KeyRotation:
    """One rotation of a master key."""

    at: str
    what: str
    """'innodb' | 'binlog'"""
    before: str
    after: str
    by: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class KeyringEvidence:
    """The keyring, and the names of the keys in it."""

    kind: str
    name: str
    is_active: bool
    data_file: str
    in_datadir: bool
    keys: tuple[MasterKey, ...]
    keys_readable: bool


@dataclass(frozen=True, slots=True)
class ProgressSample:
    """What was done in a span of time that ended at `at`, and what kept the run from it, in seconds."""

    at: str
    seconds: float
    rows_copied: int
    rows_compared: int
    paused: float
    held: float
    slowed: float
    closed: float
    reason: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """All of it."""

    server: ServerId
    read_at: str
    account: str
    """That read it."""
    host: str
    """The machine on which it was read."""
    narrowed_to: str
    """Which tables were asked for; '' for all."""
    journal: Literal["none", "read", "unreadable"]
    journal_says: str
    """Why there is nothing of runs here; '' if there is."""
    runs: tuple[RunEvidence, ...]
    attestations: tuple[AttestedEvidence, ...]
    failovers: tuple[FailoverEvidence, ...]
    now: Extent
    steps: tuple[StepEvidence, ...]
    not_done: tuple[NotDone, ...]
    objects: tuple[ObjectNow, ...]
    files: FilesReport | None
    """None if nobody asked for them."""
    progress: tuple[ProgressSample, ...]
    residuals: tuple[Residual, ...]
    keyring: KeyringEvidence
    rotations: tuple[KeyRotation, ...]
    claims: tuple[Claim, ...] = CLAIMS

    @property
    def before(self) -> Extent | None:
        """What the first run found; None where nothing was ever run."""
        return next((run.found for run in self.runs if run.found), None)

    @property
    def in_clear(self) -> tuple[ObjectNow, ...]:
        """What is in clear by the catalog's word."""
        return tuple(o for o in self.objects if not o.encrypted)


def evidence_exit_code(evidence: Evidence) -> int:
    """As `verify`: 4 if a file contradicts the catalog, else 1 if anything is in clear or not proved as asked, else 0.

    Tables and tablespaces decide it; what lies in clear elsewhere (`residuals`) does not.
    """
    by_catalog = 1 if evidence.in_clear else 0
    return max(by_catalog, files_exit_code(evidence.files)) if evidence.files else by_catalog


def evidence_json(evidence: Evidence) -> str:
    """All of it, for programs."""
    return as_json("evidence", evidence)
