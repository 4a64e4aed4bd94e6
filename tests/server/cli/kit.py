"""What the command line's tests share: the installed command, a process held at an event, and what is on the server.

Nothing of the package is imported here: a test sees what a DBA sees, so options, files, streams, exit codes
and the server itself.

A process is held at an event without any timing. Its stdout is a pipe of one packet: it can write an event
only after we have taken the one before. We look at an event without taking it, and so know that the process
is behind that event and before the next one, for as long as we like. What has to happen before a statement
is done at an event that has another one between itself and the statement.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.servers import Account, RunningServer, until

if TYPE_CHECKING:
    from tests.servers.running import Connection

Event = dict[str, Any]
When = Callable[[Event], bool]

MIGRATOR: Final = Path(sysconfig.get_path("scripts")) / "migrator"

CANARY: Final = "cAnArY7391"
"""Stands in the rows and in the keys of every table here, and must never be seen outside of the server."""

JOURNAL: Final = "migrator"

ROWS: Final = 3000

WAIT_SECONDS: Final = 90.0
"""How long a process may take to come to an event, or to end."""

ALL_SHADOW: Final = ("--direct-below=0",)
"""For `plan`: also small tables are copied."""

_SYSTEM: Final = "('mysql', 'information_schema', 'performance_schema', 'sys')"
_MOVING: Final = re.compile(r"gtid|timestamp|^pseudo_|^insert_id$|^last_insert_id$|^rand_seed|^tls_|^ssl_session")

_libc: Final = ctypes.CDLL(None, use_errno=True)


def name(identifier: str) -> str:
    """An identifier in backticks."""
    return "`" + identifier.replace("`", "``") + "`"


def session_of(connection: Connection) -> int:
    """The server's number of a connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT CONNECTION_ID()")
        row = cursor.fetchone()
    assert row
    return int(row[0])


def literal(identifier: str) -> str:
    """A schema's name for GRANT, where `_` and `%` are wildcards."""
    return re.sub(r"([\\_%])", r"\\\1", identifier)


# -- how a command ended ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended, and all that it said."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[Event]:
        """What `apply --events` streamed."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def json(self) -> Any:
        """The one document of `--format json`."""
        return json.loads(self.out)

    def of(self, kind: str) -> list[Event]:
        """The events of one type."""
        return [event for event in self.events if event["event"] == kind]

    def says(self, *words: str) -> None:
        """Everything of `words` is on stderr, wherever its lines are broken."""
        said = f"{self.err}\n{' '.join(self.err.split())}"
        missing = [word for word in words if word not in said]
        assert not missing, f"not said: {missing}\n{self}"

    def grants(self) -> list[str]:
        """The GRANT statements that stderr names, each once."""
        found = re.findall(r"GRANT .*? ON .*? TO '[^']*'@'[^']*'", self.err)
        return list(dict.fromkeys(found))


# -- a process held at an event ---------------------------------------------------------------------


def ddl(words: str, *, done: bool = False) -> When:
    """The moment before a statement with these words is sent, or after the server has done it."""
    kind = "DdlDone" if done else "DdlStarting"
    return lambda event: event["event"] == kind and words in event["statement"]


def phase(which: str, *, ended: bool = False) -> When:
    """A phase begins, or has ended."""
    kind = "PhaseEnded" if ended else "PhaseStarted"
    return lambda event: event["event"] == kind and event["phase"] == which


def each(kind: str) -> When:
    """Every event of a type."""
    return lambda event: event["event"] == kind


def _narrow_pipe() -> tuple[int, int]:
    """A pipe with room for one packet; what is written in one piece is one, up to 4096 bytes."""
    ends = os.pipe2(os.O_DIRECT | os.O_CLOEXEC)
    fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, 4096)
    return ends


class Held:
    """A running `apply --events` that goes no further than the test lets it."""

    def __init__(
        self, arguments: Sequence[str], environment: dict[str, str], folder: Path, check: Callable[[str], None]
    ):
        self._read_end, write_end = _narrow_pipe()
        self._copy_read, self._copy_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._err = folder / f"stderr-{time.monotonic_ns()}"
        self._check = check
        self._taken = b""
        self._held = False
        with self._err.open("wb") as err:
            self.process = subprocess.Popen(
                arguments,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=write_end,
                stderr=err,
                start_new_session=True,
            )
        os.close(write_end)

    @property
    def pid(self) -> int:
        """The process's number."""
        return self.process.pid

    @property
    def err(self) -> str:
        """What it has said on stderr so far."""
        return self._err.read_text()

    def hold(self, when: When, nth: int = 1) -> Event:
        """Let it go on until the n-th event from here that fits; it stays behind that event and before the next."""
        self._let_go()
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            packet = self._look(max(0.0, deadline - time.monotonic()))
            assert packet is not None, f"it took longer than {WAIT_SECONDS:g} s\n{self._told()}"
            assert packet, f"it ended before the event came\n{self._told()}"
            if packet.endswith(b"\n") and not self._taken.rpartition(b"\n")[2]:
                event: Event = json.loads(packet)
                nth -= when(event)
                if nth == 0:
                    self._held = True
                    return event
            self._take()

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Let it go on until a condition holds that is looked at again and again."""
        self._let_go()

        def met() -> object:
            while self._look(0.0):
                self._take()
            return condition()

        until(met, what, seconds=WAIT_SECONDS)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; it has arrived before the next event is written."""
        os.kill(self.pid, number)

    def finish(self) -> Ran:
        """Let it go on to its end."""
        self._let_go()
        deadline = time.monotonic() + WAIT_SECONDS
        while packet := self._look(max(0.0, deadline - time.monotonic())):
            self._take()
        assert packet is not None, f"it did not end within {WAIT_SECONDS:g} s\n{self._told()}"
        ran = Ran(self.process.wait(WAIT_SECONDS), self._taken.decode(), self.err)
        self.close()
        self._check(ran.out + ran.err)
        return ran

    def go_deaf(self) -> Ran:
        """Close our end of the pipe, as `| head` does, and let it end."""
        os.close(self._read_end)
        self._read_end = -1
        ran = Ran(self.process.wait(WAIT_SECONDS), self._taken.decode(), self.err)
        self.close()
        self._check(ran.out + ran.err)
        return ran

    def kill(self) -> None:
        """End it without a chance to do anything more (kill -9)."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End it if it still runs; safe to repeat."""
        if self.process.poll() is None:
            self.kill()
        for end in (self._read_end, self._copy_read, self._copy_write):
            if end >= 0:
                os.close(end)
        self._read_end = self._copy_read = self._copy_write = -1

    def _look(self, seconds: float) -> bytes | None:
        """The packet in the pipe, which stays there; b'' at the end, None if there is none within `seconds`."""
        if not select.select([self._read_end], [], [], seconds)[0]:
            return None
        count = _libc.tee(self._read_end, self._copy_write, 65536, 0)
        if count < 0:
            raise OSError(ctypes.get_errno(), "tee")
        return os.read(self._copy_read, 65536) if count else b""

    def _take(self) -> None:
        self._taken += os.read(self._read_end, 65536)

    def _let_go(self) -> None:
        if self._held:
            self._held = False
            self._take()

    def _told(self) -> str:
        return "\n".join([*self._taken.decode().splitlines()[-8:], self.err[-3000:]])


# -- the desk of a DBA ------------------------------------------------------------------------------


@dataclass(slots=True)
class Desk:
    """The command line, on a server, as an account that may do only what is documented."""

    server: RunningServer
    account: Account
    schema: str
    folder: Path
    secrets: list[str] = field(default_factory=list)
    started: list[Held] = field(default_factory=list)

    # -- the command

    @property
    def options(self) -> Path:
        """The option file of the account."""
        path = self.folder / "dba.cnf"
        return path if path.exists() else self.account.option_file(path)

    def migrator(
        self, command: str, *arguments: object, connection: Sequence[object] | None = None, **environment: str
    ) -> Ran:
        """Run a command to its end. `connection` are other options than those of the account."""
        words = self._words(command, arguments, connection)
        ended = subprocess.run(
            words, env=_environment(self.folder, environment), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=WAIT_SECONDS, check=False,
        )  # fmt: skip
        ran = Ran(ended.returncode, ended.stdout, ended.stderr)
        self.check(ran.out + ran.err)
        return ran

    def stopped_at_line(self, command: str, *arguments: object, line: str, number: signal.Signals) -> Ran:
        """Run a command and send it a signal when it has said a line on stderr, and at most one more."""
        words = self._words(command, arguments, None)
        read_end, write_end = _narrow_pipe()
        out, said = self.folder / "stdout", b""
        with out.open("wb") as stdout, os.fdopen(read_end, "rb", buffering=0) as err:
            process = subprocess.Popen(
                words,
                env=_environment(self.folder, {}),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=write_end,
                start_new_session=True,
            )
            os.close(write_end)
            sent = False
            while more := err.read(65536):
                said += more
                if not sent and line.encode() in said:
                    process.send_signal(number)
                    sent = True
            ran = Ran(process.wait(WAIT_SECONDS), out.read_text(), said.decode())
        assert sent, f"it ended without saying {line!r}\n{ran}"
        self.check(ran.out + ran.err)
        return ran

    def held(self, plan: Path, *arguments: object) -> Held:
        """Start `apply --events`, to be held."""
        words = self._words("apply", (plan, "--events", *arguments), None)
        held = Held(words, _environment(self.folder, {}), self.folder, self.check)
        self.started.append(held)
        return held

    def _words(self, command: str, arguments: Sequence[object], connection: Sequence[object] | None) -> list[str]:
        how = [f"--defaults-file={self.options}"] if connection is None else [str(word) for word in connection]
        return [str(MIGRATOR), command, *how, *map(str, arguments)]

    def check(self, text: str) -> None:
        """No output shows a traceback, a secret or what stands in a row."""
        assert "Traceback" not in text, text
        assert CANARY not in text, text
        for secret in (self.account.password, self.server.server.password, *self.secrets):
            assert not secret or secret not in text, text

    # -- plans

    def plan(self, *arguments: object, attest: bool = True, small_chunks: bool = True, file: str = "plan.yaml") -> Path:
        """Make a plan for the schema, and let chunks be as small as a plan can ask for."""
        path = self.folder / file
        attested = ["--attest-keyring-backup=the tests, 2026-05-01"] if attest else []
        ran = self.migrator("plan", "-o", path, f"--databases={self.schema}", *attested, *arguments)
        assert ran.code in {0, 1}, ran
        self.check(path.read_text())
        if small_chunks:
            edit(path, r"chunk_max_bytes: .*", "chunk_max_bytes: 64 KiB")
            edit(path, r"chunk_time_seconds: .*", "chunk_time_seconds: 0.05 s")
        return path

    # -- tables

    @property
    def ledger(self) -> str:
        """The schema that holds what must be: the application writes it beside the tables."""
        return f"{self.schema}_ledger"

    def run(self, *statements: str) -> None:
        """Run statements as root in the schema, one transaction each."""
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def value(self, statement: str, *args: object) -> Any:
        """The first column of the first row, as root in the schema."""
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(statement, args or None)
            row = cursor.fetchone()
            return row[0] if row else None

    def connect(self, **options: Any) -> Connection:
        """A connection of an application (root) to the schema."""
        return self.server.connect(**({"database": self.schema} | options))

    def table(self, table: str = "t", rows: int = ROWS, definition: str = "") -> str:
        """A table of 400 bytes a row, with its ledger; its key and a column hold the canary."""
        columns = definition or (
            "(id VARCHAR(40) NOT NULL, n INT NOT NULL, note VARCHAR(500), extra VARCHAR(40),"
            " PRIMARY KEY (id), UNIQUE KEY n (n), KEY note (note(20)))"
        )
        self.run(
            f"CREATE TABLE {name(table)} {columns}",
            f"INSERT INTO {name(table)} (id, n, note) WITH RECURSIVE r (i) AS"
            f" (SELECT /*+ SET_VAR(cte_max_recursion_depth = 100000) */ 1"
            f" UNION ALL SELECT i + 1 FROM r WHERE i < {rows})"
            f" SELECT CONCAT('{CANARY}-', LPAD(i, 8, '0')), i, CONCAT('{CANARY} ', i, REPEAT('x', 380)) FROM r",
            f"ANALYZE TABLE {name(table)}",
            f"CREATE DATABASE IF NOT EXISTS {name(self.ledger)}",
            f"CREATE TABLE {name(self.ledger)}.{name(table)} AS SELECT * FROM {name(table)}",
        )
        return table

    def write(self, *statements: str, table: str = "t") -> None:
        """Change the table and its ledger alike; `{t}` stands for either."""
        for place in (name(table), f"{name(self.ledger)}.{name(table)}"):
            self.run(*(statement.replace("{t}", place) for statement in statements))

    def change_all_sorts(self, table: str = "t", mark: str = "1") -> None:
        """Update, delete, insert and move rows, all over the table."""
        self.write(
            f"UPDATE {{t}} SET extra = 'changed {mark}' WHERE n % 97 = 3",
            "DELETE FROM {t} WHERE n % 101 = 5",
            f"INSERT INTO {{t}} (id, n, note) VALUES ('{CANARY}-a{mark}', 900000 + {mark}, 'new'),"
            f" ('{CANARY}-z{mark}', 800000 + {mark}, 'new')",
            f"UPDATE {{t}} SET id = CONCAT('{CANARY}-moved-', id) WHERE n % 211 = 7 AND id NOT LIKE '%moved%'",
            table=table,
        )

    def assert_equal(self, table: str = "t") -> None:
        """The table holds exactly what its ledger holds."""
        contents = [self._contents(self.schema, table), self._contents(self.ledger, table)]
        assert contents[0] == contents[1]

    def _contents(self, schema: str, table: str) -> list[tuple[Any, ...]]:
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {name(schema)}.{name(table)}")
            return sorted(cursor.fetchall(), key=repr)

    def encrypted(self, table: str = "t") -> bool:
        """By the catalog, joined by SPACE."""
        states = self.server.rows(
            "SELECT s.ENCRYPTION FROM information_schema.INNODB_TABLES t"
            " JOIN information_schema.INNODB_TABLESPACES s ON s.SPACE = t.SPACE WHERE t.NAME = %s",
            f"{self.schema}/{table}",
        )
        assert states, f"{table} is not in the catalog"
        return {state for (state,) in states} == {"Y"}

    def names(self) -> set[str]:
        """Tables and triggers of the schema."""
        tables = self.server.rows(
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s", self.schema
        )
        triggers = self.server.rows(
            "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s", self.schema
        )
        return {str(found) for (found,) in [*tables, *triggers]}

    def assert_done(self, table: str = "t") -> None:
        """Encrypted, equal to its ledger, and nothing of ours is left but the retained table."""
        assert self.encrypted(table)
        assert self.names() == {table, f"_{table}_retained"}
        self.assert_equal(table)

    # -- what is on the server

    def has_journal(self) -> bool:
        """True if the journal's schema is there."""
        return bool(self.server.rows("SHOW DATABASES LIKE %s", JOURNAL))

    @contextmanager
    def untouched(self) -> Iterator[None]:
        """Nothing at all is changed on the server meanwhile: not one transaction comes into the binlog."""
        before = snapshot(self.server)
        yield
        assert_same(before, snapshot(self.server))

    @contextmanager
    def nothing_left(self, *, but: Sequence[str] = ()) -> Iterator[None]:
        """Whatever is done meanwhile, afterwards all is as it was; `but` are beginnings of what may differ."""
        passed_over = ("transactions", f"table `{JOURNAL}`.`lease`", *but)
        before = snapshot(self.server)
        yield
        assert_same(before, snapshot(self.server), passed_over)

    def age_lease(self) -> None:
        """Let the lease of a run that gives no sign of life run out at once, as half a minute would."""
        self.server.rows(f"UPDATE {JOURNAL}.lease SET expires_at = UTC_TIMESTAMP(6) - INTERVAL 1 SECOND")

    def close(self) -> None:
        """End what was started and take away what was made."""
        for held in self.started:
            held.close()
        for schema in (self.ledger, JOURNAL):
            self.server.rows(f"DROP DATABASE IF EXISTS {name(schema)}")


def edit(file: Path, pattern: str, replacement: str, *, count: int = 1) -> None:
    """Change a file as a person would: the pattern must be there exactly so often."""
    text, changed = re.subn(pattern, lambda _: replacement, file.read_text())
    assert changed == count, f"{pattern!r} is {changed} times in {file}"
    file.write_text(text)


def _environment(home: Path, more: dict[str, str]) -> dict[str, str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MYSQL_")}
    return clean | {"HOME": str(home), "COLUMNS": "200"} | more


def snapshot(server: RunningServer) -> dict[str, object]:
    """Schemas, tables with their definition and rows, triggers, settings, and which transactions there were."""
    with closing(server.connect()) as connection, connection.cursor() as cursor:

        def rows(statement: str) -> list[tuple[Any, ...]]:
            cursor.execute(statement)
            return list(cursor.fetchall())

        found: dict[str, object] = {}
        for (schema,) in rows(
            f"SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN {_SYSTEM}"
        ):
            found[f"schema {name(schema)}"] = rows(f"SHOW CREATE DATABASE {name(schema)}")
        for schema, table in rows(
            "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES"
            f" WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA NOT IN {_SYSTEM}"
        ):
            where = f"{name(schema)}.{name(table)}"
            definition = str(rows(f"SHOW CREATE TABLE {where}")[0][1])
            if schema == JOURNAL:
                definition = re.sub(r" AUTO_INCREMENT=\d+", "", definition)
            found[f"table {where}"] = definition, rows(f"CHECKSUM TABLE {where}")[0][1]
        for row in rows(
            "SELECT TRIGGER_SCHEMA, TRIGGER_NAME, EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION,"
            " ACTION_STATEMENT, DEFINER, CREATED FROM information_schema.TRIGGERS"
            f" WHERE TRIGGER_SCHEMA NOT IN {_SYSTEM}"
        ):
            found[f"trigger {name(row[0])}.{name(row[1])}"] = row
        for space, state in rows(
            "SELECT NAME, ENCRYPTION FROM information_schema.INNODB_TABLESPACES WHERE SPACE_TYPE <> 'Single'"
        ):
            found[f"tablespace {space}"] = state
        for variable, value in rows("SHOW GLOBAL VARIABLES"):
            if not _MOVING.search(str(variable)):
                found[f"variable {variable}"] = value
        found["transactions"] = rows("SELECT @@GLOBAL.gtid_executed")[0][0]
        return found


def assert_same(before: dict[str, object], after: dict[str, object], passed_over: Sequence[str] = ()) -> None:
    """Two snapshots are equal; else what differs is said."""
    names = [one for one in {**before, **after} if not one.startswith(tuple(passed_over))]
    different = [f"{one}: {before.get(one)} -> {after.get(one)}" for one in names if before.get(one) != after.get(one)]
    assert not different, "\n".join(different)


@contextmanager
def desk_on(server: RunningServer, account: Account, schema: str, folder: Path) -> Iterator[Desk]:
    """A desk; afterwards its processes, its ledger and the journal are gone."""
    assert not server.rows("SHOW DATABASES LIKE %s", JOURNAL), "this server has a journal that is not ours"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    desk = Desk(server, account, schema, folder)
    try:
        yield desk
    finally:
        desk.close()
