"""What the engine's tests share: a table, an application, a run of `apply`, and a ledger to compare with.

Runs are driven in-process, as the least-privileged account, with a listener that can do anything exactly
at the n-th event that fits. Events come from the engine's own threads while the engine waits, so a test
needs no sleep to be at the right moment. A listener that raises ends the run there, as a crash inside the
process would.

What is right is never decided by the tool: the application does each of its transactions to the table and
to a ledger (a table of the same shape in another schema that the tool does not look at), and the test
reads both, byte for byte.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from migrator.cli_plan import read_and_plan
from migrator.db import Session
from migrator.driver import Connect
from migrator.engine.apply import ApplyOptions, apply
from migrator.errors import LeaseHeld, PlanDrifted, Refused
from migrator.events import DdlDone, DdlStarting, Event, PhaseEnded, PhaseStarted
from migrator.planner.file import write_plan
from migrator.planner.plan import Attestation, Attestations, Defaults, Plan, Policy, Scope
from migrator.report.values import Outcome, StepOutcome
from tests.servers import Account, RunningServer, until

if TYPE_CHECKING:
    from tests.servers.running import Connection

E = TypeVar("E", bound=Event)
Run = subprocess.Popen[str]
Row = tuple[Any, ...]
When = Callable[[Event], bool]
Do = Callable[[], object]

VOUCHED: Final = Attestations(keyring_backup=Attestation(by="the tests", at=date(2026, 5, 1)))

WEIRD: Final = 'we`ird %s "näme"'
"""A table's name with everything that quoting can get wrong."""

SMALL: Final = Defaults(
    workers=2,
    small_tables_at_once=1,
    one_moment_bytes=0,
    chunk_time_seconds=0.05,
    chunk_max_bytes=64 * 1024,
    moment_wait_seconds=30,
    swap_wait_seconds=30,
)
"""Chunks as small as a plan can ask for, no long waits, one table after the other, each with its triggers."""


class Crash(Exception):
    """Raised by a listener: the process's own threads end here."""


def name(identifier: str) -> str:
    """An identifier in backticks. Not `migrator.sql.names.quote`: that is what is tested."""
    return "`" + identifier.replace("`", "``") + "`"


# -- moments ----------------------------------------------------------------------------------------


def ddl(words: str, *, done: bool = False) -> When:
    """The moment before a statement with these words is sent, or after the server has done it."""
    kind = DdlDone if done else DdlStarting
    return lambda event: isinstance(event, kind) and words in event.statement


def phase(which: str, *, ended: bool = False) -> When:
    """The moment a phase begins, or has ended."""
    kind = PhaseEnded if ended else PhaseStarted
    return lambda event: isinstance(event, kind) and event.phase == which


def each(kind: type[Event]) -> When:
    """Every event of a type."""
    return lambda event: isinstance(event, kind)


def crash() -> None:
    """An action that ends the run."""
    raise Crash


class Meets(Protocol):
    """Something that is told each event of a run."""

    def meet(self, event: Event) -> None:
        """Look at an event."""


@dataclass(slots=True)
class At:
    """Do something at the n-th event that fits; with `nth=0` at each of them."""

    when: When
    do: Do
    nth: int = 1
    seen: int = 0

    def meet(self, event: Event) -> None:
        """Look at an event, and act if it is the one."""
        if self.when(event):
            self.seen += 1
            if self.nth in {0, self.seen}:
                self.do()


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run of `apply` ended, and what it told."""

    outcome: Outcome
    events: list[Event]

    @property
    def step(self) -> StepOutcome:
        """The one step of the plan."""
        (step,) = self.outcome.steps
        return step

    def of(self, kind: type[E]) -> list[E]:
        """The events of one type."""
        return [event for event in self.events if isinstance(event, kind)]

    def assert_outcome(self, outcome: str) -> None:
        """The step ended so; else its message is the assertion's."""
        assert self.step.outcome == outcome, f"{self.step.outcome}: {self.step.message}"

    def statements(self) -> list[str]:
        """The DDL that was done, in order."""
        return [event.statement for event in self.of(DdlDone)]


class Beside:
    """Something that runs in a thread beside the body of a `with`; what it raises is raised at the end."""

    def __init__(self, work: Do) -> None:
        self._work = work
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="beside")

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - raised by join
            self._error = error

    def __enter__(self) -> Beside:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.join()

    def join(self) -> None:
        """Wait for its end; raise what it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error


# -- the laboratory ---------------------------------------------------------------------------------


@dataclass(slots=True)
class Lab:
    """A schema on the server to be migrated, one for the ledgers, and the account that migrates."""

    server: RunningServer
    dba: Account
    schema: str
    ledger: str
    events: list[Event] = field(default_factory=list)
    """Of the last run, also if it raised."""

    @property
    def alone(self) -> Defaults:
        """Defaults with one worker."""
        return SMALL.model_copy(update={"workers": 1})

    # -- tables and rows

    def _root(self, **options: Any) -> Connection:
        # Without TLS: the driver reads all certificates of the machine for each connection with it.
        return self.server.connect(database=self.schema, ssl_disabled=True, **options)

    def run(self, *statements: str) -> None:
        """Run statements as root in the schema, one transaction each."""
        with closing(self._root()) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def run_one(self, statement: str) -> int:
        """Run one statement as root; how many rows it changed."""
        with closing(self._root()) as connection, connection.cursor() as cursor:
            return int(cursor.execute(statement))

    def force(self, statement: str) -> None:
        """Run one statement as root that changes values if they do not fit."""
        with closing(self._root()) as connection, connection.cursor() as cursor:
            cursor.execute("SET sql_mode = ''")
            cursor.execute(statement)

    def flush(self, table: str) -> None:
        """Have all pages of a table written to its file."""
        with closing(self._root()) as connection, connection.cursor() as cursor:
            cursor.execute(f"FLUSH TABLES {table} FOR EXPORT")
            cursor.execute("UNLOCK TABLES")

    def rows(self, statement: str, *args: object) -> list[Row]:
        """Run one statement as root in the schema; its rows."""
        with closing(self._root()) as connection, connection.cursor() as cursor:
            cursor.execute(statement, args or None)
            return list(cursor.fetchall())

    def value(self, statement: str, *args: object) -> Any:
        """The first column of the first row."""
        return self.rows(statement, *args)[0][0]

    def table(self, table: str, definition: str, rows: str | Sequence[Sequence[object]] = ()) -> None:
        """Make a table (`definition`: all after its name) with rows (values, or a SELECT) and its ledger."""
        self.run(f"CREATE TABLE {name(table)} {definition}")
        if not rows or isinstance(rows, str):
            self.fill(table, f"INSERT INTO {name(table)} {rows}" if rows else "DO 0")
        else:
            places = ", ".join(["%s"] * len(rows[0]))
            self.fill(table, f"INSERT INTO {name(table).replace('%', '%%')} VALUES ({places})", rows)

    def fill(self, table: str, insert: str, rows: Sequence[Sequence[object]] = ()) -> None:
        """Run the INSERT in a session that takes any value as it is; then make the ledger a copy of the table."""
        with closing(self.connect(autocommit=True)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', cte_max_recursion_depth = 1000000"
            )
            if rows:
                cursor.executemany(insert, rows)
            else:
                cursor.execute(insert)
            cursor.execute(f"ANALYZE TABLE {name(table)}")
            cursor.execute(f"CREATE TABLE {self.in_ledger(table)} LIKE {name(table)}")
            generated = ("STORED GENERATED", "VIRTUAL GENERATED")
            stored = ", ".join(name(c) for c, _, extra in self.columns(table) if not extra.startswith(generated))
            cursor.execute(f"INSERT INTO {self.in_ledger(table)} ({stored}) SELECT {stored} FROM {name(table)}")

    def in_ledger(self, table: str) -> str:
        """The ledger of a table, quoted."""
        return f"{name(self.ledger)}.{name(table)}"

    def columns(self, table: str, schema: str | None = None) -> list[tuple[str, str, str]]:
        """Name, type and extra of each column."""
        rows = self.rows(
            "SELECT COLUMN_NAME, DATA_TYPE, EXTRA FROM information_schema.COLUMNS"
            " WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION",
            schema or self.schema,
            table,
        )
        return [(str(c), str(kind), str(extra)) for c, kind, extra in rows]

    def contents(self, table: str, schema: str | None = None) -> list[Row]:
        """Every row, every column, exactly: strings and geometry as bytes, FLOAT in full, ENUM with its number."""
        picked = []
        for column, kind, _ in self.columns(table, schema):
            c = name(column)
            if kind in {"float", "double"}:
                picked.append(f"CAST({c} AS DOUBLE)")
            elif kind in {"enum", "set"}:
                picked.append(f"CONCAT({c} + 0, ':', HEX({c}))")
            elif kind in {"json", "date", "datetime", "timestamp", "time", "decimal", "year"} or "int" in kind:
                picked.append(f"CAST({c} AS CHAR)")
            else:
                picked.append(f"HEX({c})")
        with closing(self._root()) as connection, connection.cursor() as cursor:
            cursor.execute("SET time_zone = '+00:00', sql_mode = ''")
            cursor.execute(f"SELECT {', '.join(picked)} FROM {name(schema or self.schema)}.{name(table)}")
            return sorted(cursor.fetchall(), key=repr)

    def assert_equal(self, table: str) -> None:
        """The table holds exactly what its ledger holds."""
        ours, theirs = self.contents(table), self.contents(table, self.ledger)
        assert ours == theirs, _difference(ours, theirs)

    # -- applications

    def connect(self, **options: Any) -> Connection:
        """A connection of an application to the schema: REPEATABLE READ, no autocommit."""
        connection = self._root(**({"autocommit": False} | options))
        with connection.cursor() as cursor:
            cursor.execute("SET time_zone = '+00:00'")
        return connection

    @contextmanager
    def application(self, table: str) -> Iterator[Application]:
        """An application of one table."""
        with closing(self.connect()) as connection:
            yield Application(connection, name(table), self.in_ledger(table))

    # -- runs

    def plan(self, *tables: str, defaults: Defaults = SMALL, direct: bool = False) -> Plan:
        """A plan for these tables (all of the schema if none is named)."""
        scope = Scope(databases=(_literal(self.schema),), tables=tuple(_literal(f"{self.schema}.{t}") for t in tables))
        with closing(self.session()) as session:
            policy = Policy(direct_below_bytes=8 * 2**20 if direct else 0)
            return read_and_plan(session, policy, scope=scope, defaults=defaults, attestations=VOUCHED)[1]

    def session(self, **changes: Any) -> Session:
        """A session of the account that migrates."""
        to = self.server.server
        known: dict[str, Any] = {"host": to.host, "port": to.port, "user": self.dba.user, "password": self.dba.password}
        # Some of them are without TLS, and a server that was started again asks for the password in full.
        known["get_server_public_key"] = True
        return Session(Connect(**(known | changes)))

    def apply(
        self,
        *tables: str,
        at: Sequence[Meets] = (),
        plan: Plan | None = None,
        defaults: Defaults = SMALL,
        stop: threading.Event | None = None,
        session: Session | None = None,
        lease_seconds: float = 30.0,
        **options: Any,
    ) -> Ran:
        """Plan (unless a plan is given) and apply. Raises what `apply` raises; `events` has what was told until then."""
        plan = plan or self.plan(*tables, defaults=defaults)
        self.events = events = []

        def listen(event: Event) -> None:
            events.append(event)
            for one in at:
                one.meet(event)

        given = ApplyOptions(attestations=VOUCHED, lease_seconds=lease_seconds, **options)
        with closing(session or self.session()) as used:
            return Ran(apply(used, plan, given, listen, stop or threading.Event()), events)

    def apply_or_error(self, plan: Plan) -> Ran | None:
        """Apply; None if the plan was refused as a whole."""
        try:
            return self.apply(plan=plan)
        except (PlanDrifted, Refused):
            return None

    def process(
        self,
        plan: Plan,
        folder: Path,
        *,
        at: str = "",
        nth: int = 1,
        send: str = "SIGKILL",
        lease: float = 30.0,
        rollback: str = "",
    ) -> Run:
        """Apply, or roll a table back, in a process of its own, which sends itself a signal at the n-th event with these words."""
        file = folder / "plan.yaml"
        write_plan(plan, file)
        to = self.server.server
        environment = os.environ | {"RUN_HOST": to.host, "RUN_PORT": str(to.port), "RUN_USER": self.dba.user}
        words = [
            sys.executable,
            "-m",
            "tests.server.engine.run",
            str(file),
            f"--at={at}",
            f"--nth={nth}",
            f"--signal={send}",
        ]
        return subprocess.Popen(
            [*words, f"--lease={lease}", f"--rollback={rollback}"],
            env=environment | {"RUN_PASSWORD": self.dba.password},
            cwd=Path(__file__).parents[3],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def apply_quietly(self, session: Session, plan: Plan) -> Outcome:
        """Apply beside another run, without a listener."""
        return apply(session, plan, ApplyOptions(attestations=VOUCHED), lambda event: None, threading.Event())

    def apply_when_free(
        self,
        *tables: str,
        plan: Plan | None = None,
        at: Sequence[At] = (),
        seconds: float = 30.0,
        socket: Path | None = None,
    ) -> Ran:
        """Apply as soon as the lease of a run that was killed has run out; over the socket if one is given."""
        done: list[Ran] = []

        def try_it() -> bool:
            try:
                session = self.session(socket=str(socket)) if socket else self.session()
                done.append(self.apply(*tables, plan=plan, at=at, session=session))
            except LeaseHeld:
                return False
            return True

        until(try_it, "the lease of the killed run has run out", seconds=seconds)
        return done[0]

    # -- what is there

    def waits_for_row(self, table: str) -> bool:
        """True while somebody waits for a lock on a row of the table."""
        return bool(
            self.value(
                "SELECT COUNT(*) FROM performance_schema.data_locks WHERE OBJECT_SCHEMA = %s AND OBJECT_NAME = %s"
                " AND LOCK_STATUS = 'WAITING'",
                self.schema,
                table,
            )
        )

    def pause_is_noticed(self) -> bool:
        """True once the run's heartbeat has read that a person wants it to pause."""
        return bool(
            self.rows(
                "SELECT 1 FROM migrator.control c JOIN migrator.lease l ON l.heartbeat_at > c.at + INTERVAL 200000 MICROSECOND WHERE c.paused"
            )
        )

    def digest_count(self, like: str) -> int:
        """How often statements of this form were executed; our schema's name makes the form unique."""
        return int(
            self.value(
                "SELECT COALESCE(SUM(COUNT_STAR), 0) FROM performance_schema.events_statements_summary_by_digest"
                " WHERE DIGEST_TEXT LIKE %s",
                like,
            )
        )

    def show_create(self, table: str) -> str:
        """SHOW CREATE TABLE."""
        return str(self.rows(f"SHOW CREATE TABLE {name(table)}")[0][1])

    def encrypted(self, table: str) -> bool:
        """True if every file of the table (of each partition) is encrypted, by the catalog joined by SPACE."""
        rows = self.rows(
            "SELECT t.NAME, s.ENCRYPTION FROM information_schema.INNODB_TABLES t"
            " JOIN information_schema.INNODB_TABLESPACES s ON s.SPACE = t.SPACE WHERE t.NAME LIKE %s",
            f"{self.schema}/%",
        )
        # As InnoDB's dictionary spells names; letters beyond ASCII have codes of two or four characters.
        encoded = "".join(
            c if c.isascii() and (c.isalnum() or c == "_") else f"@{ord(c):04x}" if c.isascii() else "@..(..)?"
            for c in table
        )
        files = [
            str(state) for file, state in rows if re.fullmatch(f"{self.schema}/{encoded}(#p#.*)?", file, re.IGNORECASE)
        ]
        assert files, f"{table} is not in the catalog"
        return set(files) == {"Y"}

    def row_deadlocks(self) -> int:
        """How many deadlocks of rows InnoDB has seen; those of metadata locks are not among them."""
        return int(self.value("SELECT COUNT FROM information_schema.INNODB_METRICS WHERE NAME = 'lock_deadlocks'"))

    def index_reads(self) -> int:
        """Index entries and rows that sessions of our account have read so far."""
        return int(
            self.value(
                "SELECT SUM(VARIABLE_VALUE) FROM performance_schema.status_by_account"
                " WHERE USER = %s AND VARIABLE_NAME LIKE 'Handler\\_read%%'",
                self.dba.user,
            )
        )

    @contextmanager
    def zone_that_goes_back(self, at: int) -> Iterator[str]:
        """A time zone whose clocks go back by an hour at this second of 1970's count."""
        tables = {
            "time_zone": ["77, 'N'"],
            "time_zone_name": ["'Test/Back', 77"],
            "time_zone_transition_type": ["77, 0, 7200, 1, 'S'", "77, 1, 3600, 0, 'W'"],
            "time_zone_transition": [f"77, {at - 10_000_000}, 0", f"77, {at}, 1"],
        }
        self.run(*(f"INSERT INTO mysql.{t} VALUES ({row})" for t, rows in tables.items() for row in rows))
        try:
            yield "Test/Back"
        finally:
            self.run(*(f"DELETE FROM mysql.{t} WHERE Time_zone_id = 77" for t in tables))

    def names(self) -> set[str]:
        """Tables and triggers of the schema."""
        tables = self.rows("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s", self.schema)
        triggers = self.rows(
            "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s", self.schema
        )
        return {str(n) for (n,) in [*tables, *triggers]}

    def spaces(self) -> list[str]:
        """Tablespaces that relays have left on the server."""
        rows = self.rows("SELECT NAME FROM information_schema.INNODB_TABLESPACES WHERE NAME LIKE 'migrator\\_relay%%'")
        return [str(space) for (space,) in rows]

    def assert_done(self, table: str) -> None:
        """Encrypted, equal to its ledger, and nothing of ours is left but the retained table."""
        assert self.encrypted(table)
        assert not [n for n in self.names() if n.endswith(("_shadow", "_log", "_ins", "_upd", "_del"))]
        self.assert_equal(table)


def _literal(text: str) -> str:
    """A pattern that fits only this text."""
    return "".join("\\" + c if c in "*?\\" else c for c in text)


def _difference(ours: list[Row], theirs: list[Row]) -> str:
    extra = [row for row in ours if row not in set(theirs)]
    missing = [row for row in theirs if row not in set(ours)]
    return f"{len(ours)} rows, {len(theirs)} expected; not expected: {extra[:5]}; missing: {missing[:5]}"


# -- an application ---------------------------------------------------------------------------------


class Application:
    """One connection, on which each transaction is done to the table and to its ledger."""

    def __init__(self, connection: Connection, table: str, ledger: str) -> None:
        self.connection = connection
        self._table = table
        self._ledger = ledger

    def write(self, *statements: str, commit: bool = True) -> None:
        """Do a transaction; `{t}` in a statement stands for the table."""
        for place in (self._table, self._ledger):
            for statement in statements:
                self.query(statement.replace("{t}", place))
        if commit:
            self.connection.commit()

    def query(self, statement: str) -> list[Row]:
        """One statement on the table alone."""
        with self.connection.cursor() as cursor:
            cursor.execute(statement.replace("{t}", self._table))
            return list(cursor.fetchall())
