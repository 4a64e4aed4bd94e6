"""The desk of a DBA: the installed command, an account, a schema with a ledger, and what must be so afterwards.

Nothing of the package is imported here: a test sees what a DBA sees, so options, files, streams, exit codes
and the server itself.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from tests.server.cli.held import WAIT_SECONDS, Held, Ran, narrow_pipe
from tests.server.cli.snapshot import JOURNAL, assert_same, name, snapshot
from tests.server.cli.terminal import Terminal
from tests.servers import Account, RunningServer

if TYPE_CHECKING:
    from tests.servers.running import Connection

MIGRATOR: Final = Path(sysconfig.get_path("scripts")) / "migrator"

CANARY: Final = "cAnArY7391"
"""Stands in the rows and in the keys of every table here, and must never be seen outside of the server."""

ROWS: Final = 3000

ALL_SHADOW: Final = ("--direct-below=0",)
"""For `plan`: also small tables are copied."""


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
    terminals: list[Terminal] = field(default_factory=list)

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
        _, *words = self._words(command, arguments, connection)
        ran = run_to_end(*words, home=self.folder, **environment)
        self.check(ran.out + ran.err)
        return ran

    def stopped_at_line(self, command: str, *arguments: object, line: str, number: signal.Signals) -> Ran:
        """Run a command and send it a signal when it has said a line on stderr, and at most one more."""
        words = self._words(command, arguments, None)
        read_end, write_end = narrow_pipe()
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

    def held(
        self, plan: Path, *arguments: object, connection: Sequence[object] | None = None, **environment: str
    ) -> Held:
        """Start `apply --events`, to be held."""
        words = self._words("apply", (plan, "--events", *arguments), connection)
        held = Held(words, _environment(self.folder, environment), self.folder, self.check)
        self.started.append(held)
        return held

    def start(self, command: str, *arguments: object, stdout: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
        """Start a command, its output in a file or nowhere, its errors in `errors`; whoever calls this ends it."""
        with self.errors.open("ab") as errors:
            return subprocess.Popen(
                self._words(command, arguments, None),
                env=_environment(self.folder, {}),
                stdin=subprocess.DEVNULL,
                stdout=stdout or subprocess.DEVNULL,
                stderr=errors,
            )

    @property
    def errors(self) -> Path:
        """What commands that were started have said on stderr, all in one file."""
        return self.folder / "errors"

    def on_terminal(self, command: str, *arguments: object, columns: int, lines: int) -> Terminal:
        """Start a command on a terminal of this size."""
        words = self._words(command, arguments, None)
        terminal = Terminal(words, _environment(self.folder, {}), columns=columns, lines=lines)
        self.terminals.append(terminal)
        return terminal

    def words(self, command: str, *arguments: object) -> list[str]:
        """A command as a test starts it by itself."""
        return self._words(command, arguments, None)

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
        """Make a plan for the schema, with chunks as small as a plan can ask for, and triggers for small tables too."""
        path = self.folder / file
        attested = ["--attest-keyring-backup=the tests, 2026-05-01"] if attest else []
        ran = self.migrator("plan", "-o", path, f"--databases={self.schema}", *attested, *arguments)
        assert ran.code in {0, 1}, ran
        self.check(path.read_text())
        if small_chunks:
            edit(path, r"chunk_max_bytes: .*", "chunk_max_bytes: 64 KiB")
            edit(path, r"chunk_time_seconds: .*", "chunk_time_seconds: 0.05 s")
            edit(path, r"one_moment_bytes: .*", "one_moment_bytes: 0 B")
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
        while self.terminals:
            self.terminals.pop().close()
        while self.started:
            self.started.pop().close()
        for schema in (self.ledger, JOURNAL):
            self.server.rows(f"DROP DATABASE IF EXISTS {name(schema)}")


def run_to_end(*arguments: object, home: Path, **environment: str) -> Ran:
    """Run the installed command, without a terminal and with nobody's settings."""
    ended = subprocess.run(
        [MIGRATOR, *map(str, arguments)],
        env=_environment(home, environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )
    return Ran(ended.returncode, ended.stdout, ended.stderr)


def edit(file: Path, pattern: str, replacement: str, *, count: int = 1) -> None:
    """Change a file as a person would: the pattern must be there exactly so often."""
    text, changed = re.subn(pattern, lambda _: replacement, file.read_text())
    assert changed == count, f"{pattern!r} is {changed} times in {file}"
    file.write_text(text)


def _environment(home: Path, more: dict[str, str]) -> dict[str, str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MYSQL_")}
    return clean | {"HOME": str(home), "COLUMNS": "200"} | more


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
