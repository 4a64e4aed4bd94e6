"""The plan as types: what a DBA reviews, what `apply` is given. Frozen, strict, nothing unknown allowed.

Pure. Made by `planner.make`, read and written by `planner.file`; `plans/plan.schema.json` is made from
these types, docstrings included. Sizes and times (names with `bytes`, `seconds`, `hours` or `days`) may be written
with a unit in YAML (`8 MiB`, `0.5 s`, `7 d`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from migrator.model import Finding, Flavour, Method, TableName
from migrator.planner.throttle import Limits, parse_address, parse_loads
from migrator.planner.units import ByteCount, Days, Hours, Seconds, WholeSeconds
from migrator.planner.windows import parse_window
from migrator.sql import background
from migrator.sql.settings import VARIABLES

FORMAT: Final = 1
"""The version of the plan file's format; a file of another version is refused."""

UNCALIBRATED: Final = "uncalibrated"
"""What an estimate rests on before anything was measured on this server."""


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        validate_default=True,
    )


# -- what to look at ------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def _matcher(pattern: str) -> re.Pattern[str]:
    tokens = re.findall(r"\\[*?\\]|.", pattern, flags=re.DOTALL)
    wild = {"*": ".*", "?": "."}
    return re.compile("".join(wild.get(t) or re.escape(t[-1]) for t in tokens), flags=re.DOTALL)


def matches(pattern: str, text: str) -> bool:
    """True if the whole text fits: `*` any characters, `?` one; a backslash before `*`, `?` or `\\` takes it literally.

    Letters count as they are: upper and lower case differ.
    """
    return _matcher(pattern).fullmatch(text) is not None


def _not_empty(patterns: tuple[str, ...]) -> tuple[str, ...]:
    if "" in patterns:
        raise ValueError("an empty pattern matches nothing")
    return patterns


def _with_schema(patterns: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in patterns:
        if "." not in pattern:
            raise ValueError(f"{pattern!r} names no schema: write schema.table, or *.{pattern} for every schema")
    return patterns


_Databases = Annotated[tuple[str, ...], AfterValidator(_not_empty)]
_Tables = Annotated[tuple[str, ...], AfterValidator(_with_schema)]


class Scope(_Part):
    """Which tables are looked at. Patterns know `*` and `?` and nothing else; tables are `schema.table`.

    A table is wanted if its schema fits one of `databases` (or there are none), `schema.table` fits one
    of `tables` (or there are none), and nothing in `ignore_databases` or `ignore_tables` fits.
    """

    databases: _Databases = ()
    """Only these schemas, e.g. `shop` or `app_*`; all if empty."""
    tables: _Tables = ()
    """Only these tables, e.g. `shop.orders` or `*.audit_log`; all if empty."""
    ignore_databases: _Databases = ()
    """Never these schemas."""
    ignore_tables: _Tables = ()
    """Never these tables."""

    def wants_schema(self, schema: str) -> bool:
        """True if tables of the schema can be wanted."""
        chosen = not self.databases or any(matches(p, schema) for p in self.databases)
        return chosen and not any(matches(p, schema) for p in self.ignore_databases)

    def wants(self, table: TableName) -> bool:
        """True if the table is in scope."""
        name = str(table)
        chosen = not self.tables or any(matches(p, name) for p in self.tables)
        return self.wants_schema(table.schema) and chosen and not any(matches(p, name) for p in self.ignore_tables)


# -- what is wanted -------------------------------------------------------------------------------


HARDEN: Final = ("binlog", "redo", "undo", "schemas", "default", "privilege-check")
"""What a plan can have steps for besides tables and tablespaces, in the order in which they are done."""


def _in_order(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word for word in HARDEN if word in words)


class Policy(_Part):
    """Which methods may be chosen."""

    direct_below_bytes: Annotated[ByteCount, Field(ge=0, le=2**30)] = 0
    """Tables with less data and indexes than this are altered directly: quick, but nobody reads or writes them
    meanwhile, and transactions with an older snapshot get error 1412 from them afterwards. 0: none; all are copied."""
    tablespaces: bool = True
    """Encrypt general tablespaces in place, all their tables with them."""
    mysql_tablespace: bool = True
    """Encrypt the `mysql` tablespace (the data dictionary and the grants) in place."""
    relay: bool = True
    """Tables that a copy by triggers cannot serve (foreign keys, triggers, named CHECKs, no key) are moved by the
    server itself, through an encrypted tablespace. Transactions of several statements that are open at the end of a
    move can get error 1412 or 1213 from them; traffic of single statements gets none. false: they are refused."""
    convert: bool = False
    """Convert MyISAM, CSV and ARCHIVE tables to encrypted InnoDB ones: nobody reads or writes a table while it is
    rewritten. false: they are refused."""
    harden: Annotated[
        tuple[Literal["binlog", "redo", "undo", "schemas", "default", "privilege-check"], ...],
        AfterValidator(_in_order),
    ] = ()
    """What is switched on besides: encryption of the binary, redo and undo logs before the first table; new tables of
    schemas, and new schemas and tablespaces (`default`), born encrypted; table_encryption_privilege_check at the end.
    """


def _day_or_time(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return date.fromisoformat(value) if re.fullmatch(r"\d{4}-\d\d-\d\d", value) else datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"{value!r} is neither a date (2026-05-01) nor a time (2026-05-01T09:30:00Z)") from None


def _with_time_zone(at: date | datetime) -> date | datetime:
    if isinstance(at, datetime) and at.tzinfo is None:
        raise ValueError("a time needs its zone: 2026-05-01T09:30:00+02:00, or give the date alone")
    return at


class Attestation(_Part):
    """Somebody vouches for what no query can show."""

    by: Annotated[str, Field(min_length=1, max_length=200)]
    """Who says so."""
    at: Annotated[date | datetime, BeforeValidator(_day_or_time), AfterValidator(_with_time_zone)]
    """When it was so: a date, or a time with its zone."""
    note: Annotated[str, Field(max_length=2000)] = ""
    """Where the proof is, e.g. the ticket."""


class Attestations(_Part):
    """What people vouch for. `apply` and `dry-run` refuse while something needed is missing here."""

    keyring_backup: Attestation | None = None
    """The keyring is backed up, apart from the data: without it the encrypted tables are lost for good."""
    members: dict[str, Attestation] = {}
    """By member (replica, group member) as the plan names it: its keyring is active."""


def _windows(texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        parse_window(text)
    return texts


def _loads(text: str) -> str:
    parse_loads(text)
    return text


def _addresses(texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        parse_address(text)
    return texts


def _only_reads(text: str) -> str:
    if not text:
        return text
    from migrator.planner.throttle_query import check_query  # the parser of SQL is loaded where somebody needs it

    return check_query(text)


_Loads = Annotated[str, AfterValidator(_loads)]


class Defaults(_Part):
    """What a reviewer may change. A step may have its own `workers` and `chunk_time_seconds`."""

    windows: Annotated[tuple[str, ...], AfterValidator(_windows)] = ()
    """Maintenance windows, e.g. `Sat 22:00-Sun 04:00 Europe/Berlin`, `Mon-Fri 01:00-05:00 UTC` or
    `daily 23:00-02:00 America/New_York`. Outside of them tables are left alone. None: any time will do."""
    max_failures: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """After so many failed steps no other is begun. null: every step has its turn."""
    order: Literal["smallest-first", "largest-first", "as-listed"] = "smallest-first"
    """The order of the steps in a run."""
    workers: Annotated[int, Field(ge=1, le=64)] = 4
    """Connections that copy or compare rows, at most; of the whole run, whatever is done side by side."""
    busy_running_statements: Annotated[int, Field(ge=1, le=100_000)] = 1
    """While others run more statements than this at a time, workers are halved, down to one. More are tried when it is
    less than half; all return when nobody else is at work."""
    max_load: _Loads = "Threads_running=25"
    """Status counters and their limits, `NAME=NUMBER,...`: beyond one nothing is begun, shortly before it less is done.
    Empty: none."""
    critical_load: _Loads = ""
    """As `max_load`, but beyond one of these the run ends with exit code 75. Empty: none."""
    max_lag_seconds: Annotated[Seconds, Field(ge=0, le=86400)] = 5
    """So far may replicas be behind. The copy goes as fast as the slowest one allows. 0: nobody asks them."""
    replicas: Annotated[tuple[str, ...], AfterValidator(_addresses)] = ()
    """Replicas to ask, as `host:port`, besides those that the server shows."""
    ignore_replicas: tuple[str, ...] = ()
    """Replicas that are not asked, by the name or server_uuid by which the server shows them."""
    max_history_list: Annotated[int, Field(ge=0, le=10**12)] = 1_000_000
    """So many entries may the history list have. 0: no limit."""
    max_checkpoint_age: Annotated[float, Field(ge=0, le=0.99)] = 0.75
    """So much of the redo log's capacity may wait for a checkpoint. 0: no limit."""
    min_free_disk_bytes: Annotated[ByteCount, Field(ge=0, le=2**60)] = 0
    """So much must be free where the server's data lie; only for a server on the machine of this tool. 0: no limit."""
    throttle_query: Annotated[str, Field(max_length=4000), AfterValidator(_only_reads)] = ""
    """A SELECT that only reads: while its first value is true, nothing is begun."""
    throttle_file: Annotated[str, Field(max_length=4000)] = ""
    """A path on the machine of this tool: while it is there, nothing is begun."""
    small_tables_at_once: Annotated[int, Field(ge=1, le=64)] = 4
    """Copies of tables up to 64 MiB that are done side by side. 1: one table after the other."""
    one_moment_bytes: Annotated[ByteCount, Field(ge=0, le=16 * 2**20)] = 2 * 2**20
    """Tables up to this that nobody writes to are compared and swapped in within one moment, without triggers.
    0: none."""
    chunk_time_seconds: Annotated[Seconds, Field(ge=0.05, le=30)] = 0.5
    """How long one chunk should take to copy."""
    chunk_max_bytes: Annotated[ByteCount, Field(ge=64 * 2**10, le=2**30)] = 4 * 2**20
    """No chunk is made larger than this, by the average row."""
    retain_days: Annotated[Days, Field(ge=0, le=3650)] = 7
    """How long the old table is kept, in clear, after the swap; `cleanup` removes it afterwards."""
    rollback_hours: Annotated[Hours, Field(ge=0, le=3650 * 24)] = 0
    """How long the old table is kept current after the swap, so that `rollback` can take the swap back; never longer
    than it is kept. Until then each change is written twice. 0: not at all."""
    log_max_bytes: Annotated[ByteCount, Field(ge=2**20, le=2**50)] = 2**30
    """The log of a step may grow to this; then the step is given up and its triggers are removed."""
    log_max_entries: Annotated[int, Field(ge=1000, le=10**12)] = 10_000_000
    """The log of a step may hold so many entries; then the step is given up and its triggers are removed."""
    moment_wait_seconds: Annotated[WholeSeconds, Field(ge=1, le=7 * 86400)] = 600
    """How long a free instant for an exclusive moment (making triggers) may be waited for. Traffic flows meanwhile."""
    swap_wait_seconds: Annotated[WholeSeconds, Field(ge=1, le=7 * 86400)] = 600
    """How long the swap may wait for transactions that are older than the copy. Traffic flows meanwhile."""
    index_build_memory_bytes: Annotated[ByteCount, Field(ge=64 * 2**10, le=4 * 2**30)] = 64 * 2**20
    """Sort memory for building the secondary indexes (innodb_ddl_buffer_size); an eighth of the buffer pool at most."""
    max_extra_disk_bytes: Annotated[ByteCount, Field(ge=0)] | None = None
    """The peak of extra disk that the whole plan may need; a plan that needs more is blocked. null: no limit."""
    postpone_swap: bool = False
    """Copies are made, compared and kept equal, and not swapped until somebody says so (`set postpone-swap=off`)."""
    kill_blockers_after_seconds: Annotated[WholeSeconds, Field(ge=1, le=7 * 86400)] | None = None
    """Sessions that have kept an exclusive moment or a swap waiting for so long, in transactions of that age, are ended
    (KILL); never backups, replication, LOCK TABLES, user locks or prepared XA. null: nobody is."""

    @property
    def throttle(self) -> Limits:
        """What the server and its replicas may suffer."""
        return Limits(
            max_load=parse_loads(self.max_load),
            critical_load=parse_loads(self.critical_load),
            max_lag_seconds=self.max_lag_seconds,
            max_history_list=self.max_history_list,
            max_checkpoint_age=self.max_checkpoint_age,
            min_free_disk_bytes=self.min_free_disk_bytes,
            file=self.throttle_file,
            query=self.throttle_query,
        )


# -- what was found -------------------------------------------------------------------------------


class PlanServer(_Part):
    """The server that was reviewed; no other one is touched with this plan."""

    server_uuid: Annotated[str, Field(min_length=1)]
    """@@server_uuid."""
    version: str
    """VERSION()."""
    flavour: Flavour
    """Who made it."""
    where: str = ""
    """host:port as the server says; for people, not compared."""


class Estimate(_Part):
    """What a step, or the plan, costs."""

    bytes_written: Annotated[ByteCount, Field(ge=0)] = 0
    """Bytes that get written into tablespaces."""
    extra_disk_peak_bytes: Annotated[ByteCount, Field(ge=0)] = 0
    """The most disk that is needed on top of today's, at one time: shadow, retained table, binlog and log."""
    binlog_bytes: Annotated[ByteCount, Field(ge=0)] = 0
    """Bytes of binlog, until the server purges it."""
    seconds_low: Annotated[Seconds, Field(ge=0)] | None = None
    """At least so long; null while nothing was measured."""
    seconds_high: Annotated[Seconds, Field(ge=0)] | None = None
    """At most so long; null while nothing was measured."""
    calibration: str = UNCALIBRATED
    """What the seconds rest on."""


class Facts(_Part):
    """What matters about a table or tablespace, for people; sizes and rows are the server's estimates."""

    engine: str = ""
    """The storage engine."""
    rows: Annotated[int, Field(ge=0)] = 0
    """Estimated rows."""
    data_bytes: Annotated[ByteCount, Field(ge=0)] = 0
    """Bytes of data; for a tablespace the size of its file."""
    index_bytes: Annotated[ByteCount, Field(ge=0)] = 0
    """Bytes of secondary indexes."""
    row_format: str = ""
    """The row format."""
    chunk_key: str = ""
    """The key by which the table can be copied in chunks, with its columns; empty if there is none."""
    foreign_keys: tuple[str, ...] = ()
    """Foreign keys of this table and those that refer to it."""
    triggers: tuple[str, ...] = ()
    """Triggers of the application."""
    checks: tuple[str, ...] = ()
    """CHECK constraints."""
    partitions: Annotated[int, Field(ge=0)] = 0
    """Number of partitions."""
    tablespace: str = ""
    """Where the rows lie."""
    tables: tuple[str, ...] = ()
    """For a tablespace: the tables in it."""


def fingerprint_of(definition: Iterable[str]) -> str:
    """SHA-256 over the lines; two definitions with the same lines are the same definition."""
    digest = hashlib.sha256()
    for line in definition:
        raw = line.encode("utf-8", "surrogatepass")
        digest.update(f"{len(raw)}:".encode() + raw)
    return digest.hexdigest()


OF_TABLES: Final = frozenset({Method.SHADOW_COPY, Method.TABLESPACE_RELAY, Method.DIRECT_ALTER, Method.CONVERT})
"""Methods that change one table, and no tablespace."""

SCHEMA_DEFAULT: Final = "DEFAULT ENCRYPTION"
"""What `setting_name` says for a schema; it is no variable of the server's."""

IN_BACKGROUND: Final = background.TABLES
"""What `setting_name` says where the server's own threads encrypt everything."""

_OF_SETTINGS: Final = frozenset({Method.SETTING, Method.BACKGROUND, Method.SKIP})


class Step(_Part):
    """One table, tablespace or setting: what is done with it, why, and what that rests on."""

    kind: Literal["table", "tablespace", "setting"]
    """What the step is about."""
    schema_name: str = ""
    """The table's schema, as the server spells it; empty for a tablespace. For a setting: the schema that it is of."""
    table_name: str = ""
    """The table, as the server spells it; empty for a tablespace."""
    tablespace_name: str = ""
    """The tablespace; for a table: the one whose step encrypts it."""
    setting_name: str = ""
    """The server's variable; `DEFAULT ENCRYPTION` for a schema. Empty for tables and tablespaces."""
    method: Method
    """How it is done. A reviewer may change it to `skip`; anything else is decided by facts and policy."""
    why: str = ""
    """One sentence."""
    facts: Facts = Facts()
    """For people."""
    findings: tuple[Finding, ...] = ()
    """What was noticed; `blocks` means: not by this version, not as it is."""
    workers: Annotated[int, Field(ge=1, le=64)] | None = None
    """Instead of the default, for this step."""
    chunk_time_seconds: Annotated[Seconds, Field(ge=0.05, le=30)] | None = None
    """Instead of the default, for this step."""
    estimate: Estimate = Estimate()
    """What it costs."""
    sql: tuple[str, ...] = ()
    """The statements that change something, in order, with values as `?`."""
    definition: tuple[str, ...] = ()
    """The facts that must still be so when the plan is run, one a line."""
    fingerprint: str = ""
    """SHA-256 over `definition`."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.kind == "table" and not (self.schema_name and self.table_name):
            raise ValueError("a step of kind table needs schema_name and table_name")
        if self.kind == "tablespace" and (not self.tablespace_name or self.schema_name or self.table_name):
            raise ValueError("a step of kind tablespace needs tablespace_name and neither schema_name nor table_name")
        if (self.kind == "setting") != bool(self.setting_name):
            raise ValueError("a step of kind setting needs setting_name, and no other step has one")
        known = (SCHEMA_DEFAULT,) if self.schema_name else (*VARIABLES, IN_BACKGROUND)
        if self.kind == "setting" and self.setting_name not in known:
            raise ValueError(f"no setting of a {'schema' if self.schema_name else 'server'}: {self.setting_name!r}")
        if self.kind == "setting" and (self.table_name or self.tablespace_name):
            raise ValueError("a step of kind setting has neither table_name nor tablespace_name")
        if (self.kind == "setting" and self.method not in _OF_SETTINGS) or (
            self.kind != "setting" and self.method is Method.SETTING
        ):
            raise ValueError(f"a {self.kind} cannot be done by {self.method}")
        if self.kind == "setting" and (self.setting_name, self.method) not in {
            (self.setting_name, Method.SKIP),
            (self.setting_name, Method.BACKGROUND if self.setting_name == IN_BACKGROUND else Method.SETTING),
        }:
            raise ValueError(f"{self.name} cannot be done by {self.method}")
        if self.kind == "table" and self.method is Method.TABLESPACE and not self.tablespace_name:
            raise ValueError("a table with the method tablespace needs tablespace_name: the step that encrypts it")
        if self.kind == "tablespace" and self.method in OF_TABLES | {Method.BACKGROUND}:
            raise ValueError(f"a tablespace cannot be done by {self.method}")
        if self.fingerprint and self.fingerprint != fingerprint_of(self.definition):
            raise ValueError("definition and fingerprint do not belong together: one of them was edited")
        return self

    @property
    def table(self) -> TableName | None:
        """The table; None for a tablespace or a setting."""
        return TableName(self.schema_name, self.table_name) if self.kind == "table" else None

    @property
    def name(self) -> str:
        """`schema.table`, the tablespace's name, `@@variable` or `schema NAME`, for people and events."""
        if self.kind == "setting":
            return f"schema {self.schema_name}" if self.schema_name else f"@@{self.setting_name}"
        return str(self.table) if self.table else self.tablespace_name

    @property
    def noted_as(self) -> TableName:
        """Under this name the journal has it."""
        return self.table or TableName("", self.name)

    @property
    def changes_something(self) -> bool:
        """True if this step itself runs statements; a table that another step encrypts does not."""
        if self.kind == "table":
            return self.method in OF_TABLES
        return self.method in {Method.TABLESPACE, Method.SETTING, Method.BACKGROUND}


class Totals(_Part):
    """The plan in numbers."""

    tables: Annotated[int, Field(ge=0)] = 0
    """Base tables, all accounted for."""
    tablespaces: Annotated[int, Field(ge=0)] = 0
    """Tablespaces that are not one table's own."""
    by_method: dict[str, int] = {}
    """Steps by method."""
    bytes_to_do: Annotated[ByteCount, Field(ge=0)] = 0
    """Data and indexes that get encrypted."""
    bytes_refused: Annotated[ByteCount, Field(ge=0)] = 0
    """Data and indexes that stay in clear."""
    estimate: Estimate = Estimate()
    """What all steps cost together."""


class Plan(_Part):
    """Everything that was looked at and decided, in the order in which it is run."""

    format: Literal[1] = 1
    """The version of this format."""
    tool_version: str
    """The migrator that made the plan."""
    created_at: str
    """UTC, by the server's clock."""
    server: PlanServer
    """The server that was reviewed."""
    scope: Scope = Scope()
    """Which tables were looked at."""
    policy: Policy = Policy()
    """Which methods were allowed."""
    attestations: Attestations = Attestations()
    """What people vouch for: to be filled in by the reviewer."""
    defaults: Defaults = Defaults()
    """How it is run: to be edited by the reviewer."""
    totals: Totals = Totals()
    """Sums over all steps."""
    findings: tuple[Finding, ...] = ()
    """About the server and the plan as a whole."""
    steps: tuple[Step, ...] = ()
    """Every table and tablespace that was looked at, and the settings that `harden` names."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        seen: set[tuple[str, ...]] = set()
        for step in self.steps:
            space = step.tablespace_name if step.kind == "tablespace" else ""
            what = (step.schema_name, step.table_name, space, step.setting_name)
            if what in seen:
                raise ValueError(f"{step.name} is there twice")
            seen.add(what)
        return self

    def step_of(self, table: TableName) -> Step | None:
        """The step of a table, or None."""
        return next((s for s in self.steps if s.table == table), None)


@dataclass(frozen=True, slots=True)
class Calibration:
    """How fast this server was, measured: bytes of source a second, slowest and fastest step, and what it rests on."""

    slowest_bytes_per_second: float
    fastest_bytes_per_second: float
    basis: str
    """One phrase: `12 tables, 40.1 GiB, run of 2026-05-01`."""
