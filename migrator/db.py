"""Sessions on the server: all that the rest knows of a connection.

A `Session` is one connection, used by one thread. It pins the server's identity, sets every session
variable that could change what our statements mean, raises `SqlError` with the server's number and
without values, and is the one place where work is retried: a whole transaction, by error number.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

import tenacity

from migrator import driver
from migrator.clock import Clock, SystemClock
from migrator.driver import Connect
from migrator.errors import Failed, OwnerUnknown, ServerUnreachable, Stopped
from migrator.model import Family
from migrator.sql.statement import Sql
from migrator.sql_errors import DEPRECATED, TRY_AGAIN, SqlError

T = TypeVar("T")
Row = tuple[Any, ...]

log = logging.getLogger(__name__)

_NEEDS_A_RIGHT: Final = 1227

SESSION_VARIABLES: Final[tuple[tuple[str, str], ...]] = (
    # What is stored must be copied, legal by today's mode or not; 0 in an AUTO_INCREMENT column must stay 0.
    # Without ALLOW_INVALID_DATES a stored 31 February cannot be named as a place in a key (1525, seen on 9.7.4).
    ("sql_mode", "'NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION,ALLOW_INVALID_DATES'"),
    ("time_zone", "'+00:00'"),
    # Consistent reads without gap locks, each statement on its own snapshot.
    ("transaction_isolation", "'READ-COMMITTED'"),
    ("tx_isolation", "'READ-COMMITTED'"),  # MariaDB before 11.1
    ("autocommit", "1"),
    ("completion_type", "0"),
    ("lock_wait_timeout", "1"),
    ("innodb_lock_wait_timeout", "3"),
    ("wait_timeout", "28800"),
    ("net_read_timeout", "600"),
    ("net_write_timeout", "600"),
    ("max_execution_time", "0"),
    ("max_statement_time", "0"),
    ("sql_safe_updates", "0"),
    ("sql_select_limit", "DEFAULT"),
    ("sql_big_selects", "1"),
    ("sql_auto_is_null", "0"),
    ("sql_quote_show_create", "1"),
    ("unique_checks", "1"),
    ("foreign_key_checks", "1"),
    ("information_schema_stats_expiry", "0"),
    ("group_concat_max_len", "1048576"),
    # A primary key that the server made would be hidden, and not copied (8.0.30 and newer).
    ("show_gipk_in_create_table_and_information_schema", "1"),
)


class Session:
    """One connection to one server, for one thread.

    Every (re)connection must reach the server with `server_uuid` (once known), or the run stops, and
    passes `guard`, by which the engine keeps out a run that has lost its lease. Once it was encrypted,
    every later one has to be, and every session made from this one.
    """

    def __init__(
        self,
        to: Connect,
        *,
        purpose: str = "migrator",
        server_uuid: str = "",
        guard: Callable[[Session], None] | None = None,
        stop: threading.Event | None = None,
        clock: Clock | None = None,
        patience_seconds: float = 60.0,
        like: Session | None = None,
    ) -> None:
        self._to = to
        self._purpose = purpose
        self._guard = guard
        self._clock: Clock = clock or SystemClock()
        self._stop = stop or threading.Event()
        self._patience_seconds = patience_seconds
        self._settings: dict[str, str] = {}
        self._variables: tuple[str, ...] = like._variables if like else ()
        self.server_uuid = server_uuid
        self.family: Family = like.family if like else Family.MYSQL
        """Whose catalogs and words the server has; known when it was reached."""
        self.in_clear = False
        """True if what is said can be read on the network."""
        self._connection = self._open()

    # -- life ---------------------------------------------------------------------------------

    @property
    def id(self) -> int:
        """The server's number for this connection."""
        return int(self._connection.thread_id())

    @property
    def address(self) -> tuple[str, int]:
        """Host and port as they were asked for, which say more than the server knows of itself."""
        return self._to.host, self._to.port

    def close(self) -> None:
        """End the connection; safe to repeat."""
        driver.close(self._connection)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def keep_out(self, guard: Callable[[Session], None]) -> None:
        """From now on every new connection of this session, and of its others, has to pass the guard."""
        self._guard = guard

    def another(self, purpose: str, *, guard: Callable[[Session], None] | None = None) -> Session:
        """A second session to the same server, with the same guard unless one is given."""
        return Session(
            self._to,
            purpose=purpose,
            server_uuid=self.server_uuid,
            guard=guard or self._guard,
            stop=self._stop,
            clock=self._clock,
            patience_seconds=self._patience_seconds,
            like=self,
        )

    @property
    def tls(self) -> driver.Tls | None:
        """What the TLS of this connection is like; None if it has none."""
        return driver.tls_of(self._connection)

    @property
    def by_socket(self) -> bool:
        """True if it goes through a socket file of this machine."""
        return self._to.socket is not None

    def with_tls(self) -> Session:
        """A second session to the same server, through TLS whatever ours is like. `ServerUnreachable` if it has none.

        The certificate is not verified unless ours is: it is for looking at it.
        """
        mode = self._to.ssl_mode if self._to.ssl_mode.startswith("VERIFY") else "REQUIRED"
        to = replace(self._to, ssl_mode=mode)
        return Session(to, purpose=self._purpose, server_uuid=self.server_uuid, clock=self._clock, like=self)

    def elsewhere(
        self, host: str, port: int, *, server_uuid: str, timeout_seconds: int = 3, answer_seconds: int | None = None
    ) -> Session:
        """A session to another server, with the same account and TLS settings; its server_uuid must be that, if any.

        With ssl-mode PREFERRED it must offer TLS, unless this server does not.
        """
        # Where nobody was told that something goes in clear, nothing does.
        mode = "REQUIRED" if self._to.ssl_mode == "PREFERRED" and not self.in_clear else self._to.ssl_mode
        # A server that is stopped still takes the connection, and never says a word.
        to = replace(
            self._to,
            host=host,
            port=port,
            socket=None,
            timeout_seconds=timeout_seconds,
            answer_seconds=answer_seconds or 2 * timeout_seconds,
            ssl_mode=mode,
        )
        return Session(to, purpose="migrator", server_uuid=server_uuid, clock=self._clock, patience_seconds=0.0)

    def reconnect(self) -> None:
        """Open a new connection to the same server, trying for as long as `patience_seconds`.

        Raises `ServerUnreachable` after that, `OwnerUnknown` if another server answers, and whatever
        the guard raises. Session settings made through `set_session` are made again.
        """
        self.close()
        deadline = self._clock.monotonic() + self._patience_seconds
        pause = 0.1
        while True:
            try:
                self._connection = self._open()
                return
            except ServerUnreachable:
                if self._clock.monotonic() > deadline:
                    raise
                if self._clock.wait(self._stop, pause):
                    raise Stopped(f"stopped while {self._to.where} could not be reached") from None
                pause = min(pause * 1.5, 2.0)

    def _open(self) -> Any:
        connection = driver.connect(self._to, purpose=self._purpose)
        self._connection = connection
        encrypted = driver.encrypted(connection)
        self.in_clear = not encrypted and not self._to.socket
        if encrypted and self._to.ssl_mode == "PREFERRED":
            # A server that had TLS once and has none now is another one, or somebody stands between.
            self._to = replace(self._to, ssl_mode="REQUIRED")
        try:
            self._prepare()
        except SqlError as error:
            connection.close()
            raise driver.unreachable(self._to, error) from None
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self) -> None:
        if not self._variables:
            self.family = Family.MARIADB if "mariadb" in str(self.value("SELECT VERSION()")).lower() else Family.MYSQL
        if self.family is Family.MYSQL:
            # Exactly the roles that triggers of ours will run with: a definer has its default roles only.
            self.run("SET ROLE DEFAULT")  # MariaDB does it at each connection, and knows no such statement
        else:
            self._keep_out_of_the_binlog()
        if not self._variables:
            known = {str(name) for (name, _) in self.rows("SHOW SESSION VARIABLES")}
            self._variables = tuple(f"SESSION {name} = {value}" for name, value in SESSION_VARIABLES if name in known)
        self.run("SET " + ", ".join(self._variables))
        for name, value in self._settings.items():
            self.run(f"SET SESSION {name} = {value}")
        found = self._identity()
        if self.server_uuid and found != self.server_uuid:
            raise OwnerUnknown(
                f"{self._to.where} is another server now: its server_uuid is {found}, this began on {self.server_uuid}",
                remedy="find out which server is meant (failover? proxy?) before anything is run again; if this one has"
                f" taken its place for good: apply with --failover-from {self.server_uuid} (docs/replication.md)",
            )
        self.server_uuid = found
        if self._guard is not None:
            self._guard(self)

    def _keep_out_of_the_binlog(self) -> None:
        """On MariaDB, where nothing of ours replicates: the journal is of this server alone, as its settings are.

        Without the right to (BINLOG ADMIN) nothing is written: a gate says so before.
        """
        try:
            self.run("SET SESSION sql_log_bin = 0")
        except SqlError as error:
            if error.number != _NEEDS_A_RIGHT:
                raise

    def _identity(self) -> str:
        """The server's own id; MariaDB has none that is kept with its data, so one is made of where it lies.

        Its @@server_uid is made of the host's network address and the port: another datadir has the same.
        """
        if self.family is Family.MYSQL:
            return str(self.value("SELECT @@server_uuid"))
        place = self.row("SELECT @@hostname, @@port, @@datadir, @@server_id") or ()
        return str(uuid.uuid5(uuid.NAMESPACE_URL, "mariadb:" + ":".join(map(str, place))))

    def set_session(self, name: str, value: str) -> None:
        """SET SESSION name = value (an SQL literal), now and after every reconnection."""
        self.run(f"SET SESSION {name} = {value}")
        self._settings[name] = value

    # -- statements ---------------------------------------------------------------------------

    def run(self, statement: str | Sql, args: Sequence[object] = ()) -> int:
        """Execute; give the number of affected rows. Raises `SqlError`. Never retried here."""
        return self._execute(statement, args)[0]

    def rows(self, statement: str | Sql, args: Sequence[object] = ()) -> list[Row]:
        """Execute and fetch all rows. Raises `SqlError`."""
        return self._execute(statement, args)[1]

    def row(self, statement: str | Sql, args: Sequence[object] = ()) -> Row | None:
        """The first row, or None."""
        found = self.rows(statement, args)
        return found[0] if found else None

    def value(self, statement: str | Sql, args: Sequence[object] = ()) -> Any:
        """The first column of the first row, or None."""
        found = self.row(statement, args)
        return found[0] if found else None

    def run_exact(self, statement: str | Sql, args: Sequence[object] = ()) -> int:
        """Execute a statement that must not warn: any warning is an error, since it could hide a lost value."""
        affected, _, warnings = self._execute(statement, args)
        if warnings:
            numbers = sorted({int(row[1]) for row in self.rows("SHOW WARNINGS")} - DEPRECATED)
        if warnings and numbers:
            raise Failed(
                f"the server warned ({', '.join(map(str, numbers))}) where a row was copied; nothing was committed",
                remedy="look up the numbers with perror; no row is copied with a warning",
            )
        return affected

    def _execute(self, statement: str | Sql, args: Sequence[object] = ()) -> tuple[int, list[Row], int]:
        text, values = (statement.text, statement.args) if isinstance(statement, Sql) else (statement, tuple(args))
        began = self._clock.monotonic()
        affected, found, warnings = driver.execute(self._connection, text, values)
        log.debug("%.1f ms, %d rows: %s", (self._clock.monotonic() - began) * 1000, affected, text)
        return affected, found, warnings

    # -- transactions -------------------------------------------------------------------------

    def transaction(self, work: Callable[[Session], T], *, attempts: int = 8) -> T:
        """Run `work` in a transaction; again from the top if the server says so, or after a lost link.

        `work` must be safe to repeat, also after a COMMIT of its own that nobody knows of: it reads the
        journal first and writes it in the same transaction. Waits between tries grow to 2 s at most.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(
                lambda e: isinstance(e, SqlError) and (e.link_lost or e.number in TRY_AGAIN)
            ),
            stop=tenacity.stop_after_attempt(attempts),
            wait=tenacity.wait_random_exponential(multiplier=0.02, max=2.0),
            sleep=self._pause,
            reraise=True,
        )
        result: T = retrying(self._once, work)
        return result

    def _pause(self, seconds: float) -> None:
        self._clock.wait(self._stop, seconds)

    def _once(self, work: Callable[[Session], T]) -> T:
        try:
            self.run("START TRANSACTION")
            result = work(self)
            self.run("COMMIT")
            return result
        except SqlError as error:
            if error.link_lost:
                self.reconnect()
            else:
                self._rollback()  # 1205 rolls back the statement only
            raise
        except BaseException:
            self._rollback()
            raise

    def _rollback(self) -> None:
        try:
            self.run("ROLLBACK")
        except SqlError as error:
            if not error.link_lost:
                raise
            self.reconnect()
