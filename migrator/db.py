"""Sessions on the server: the only module that imports the driver.

A `Session` is one connection, used by one thread. It pins the server's identity, sets every session
variable that could change what our statements mean, raises `SqlError` with the server's number and
without values, and is the one place where work is retried: a whole transaction, by error number.
"""

from __future__ import annotations

import logging
import random
import re
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

import pymysql
import tenacity
from pymysql.constants import CLIENT, CR, ER

from migrator.clock import Clock, SystemClock
from migrator.errors import Failed, MigratorError, OwnerUnknown, ServerUnreachable, Stopped
from migrator.sql.statement import Sql

T = TypeVar("T")
Row = tuple[Any, ...]

log = logging.getLogger(__name__)

LINK_LOST: Final = frozenset(
    {
        0,
        CR.CR_SERVER_GONE_ERROR,
        CR.CR_SERVER_LOST,
        CR.CR_SERVER_LOST_EXTENDED,
        1053,
        1080,
        1152,
        1158,
        1160,
        1161,
        4031,
    }
)
"""The connection is gone: what was sent last may or may not have happened. Look first."""

LOCK_WAIT: Final = int(ER.LOCK_WAIT_TIMEOUT)
"""A lock was not got in time; the statement did nothing."""

TRY_AGAIN: Final = frozenset({ER.LOCK_WAIT_TIMEOUT, ER.LOCK_DEADLOCK, 3572, 3101, 1180})
"""Nothing happened; the same transaction may be tried again (3572 NOWAIT, 3101 and 1180: certification)."""

INTERRUPTED: Final = frozenset({ER.QUERY_INTERRUPTED, 3024})
"""Somebody ended the statement (KILL QUERY, max_execution_time)."""

DEPRECATED: Final = frozenset({1287, 1681, 3719, 3720, 3778})
"""Warnings about what a statement says (a deprecated character set, say), not about what it did."""

# fmt: off
_NAMES_IN_QUOTES: Final = frozenset({
    1007, 1008, 1044, 1045, 1046, 1049, 1050, 1051, 1054, 1072, 1075, 1091, 1099, 1100, 1103, 1105, 1130,
    1142, 1143, 1146, 1178, 1193, 1227, 1231, 1235, 1273, 1290, 1305, 1347, 1356, 1359, 1360, 1370, 1410,
    1419, 1449, 1478, 1553, 1813, 1814, 1836, 1846, 1881, 3098, 3119, 3120, 3183, 3185, 3221, 3235, 3675,
    3823, 3825, 3826, 3827, 3828, 3829, 3830, 3832, 3980, 4035
})
# fmt: on
"""Errors whose quoted words are names of objects or options. In all others they may be values of rows."""

SESSION_VARIABLES: Final[tuple[tuple[str, str], ...]] = (
    # What is stored must be copied, legal by today's mode or not; 0 in an AUTO_INCREMENT column must stay 0.
    # Without ALLOW_INVALID_DATES a stored 31 February cannot be named as a place in a key (1525, seen on 9.7.4).
    ("sql_mode", "'NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION,ALLOW_INVALID_DATES'"),
    ("time_zone", "'+00:00'"),
    # Consistent reads without gap locks, each statement on its own snapshot.
    ("transaction_isolation", "'READ-COMMITTED'"),
    ("autocommit", "1"),
    ("completion_type", "0"),
    ("lock_wait_timeout", "1"),
    ("innodb_lock_wait_timeout", "3"),
    ("wait_timeout", "28800"),
    ("net_read_timeout", "600"),
    ("net_write_timeout", "600"),
    ("max_execution_time", "0"),
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


class SqlError(Exception):
    """The server (or the link to it) said no. Decide by `number`; the text holds no values of rows."""

    def __init__(self, number: int, text: str, statement: str = "") -> None:
        super().__init__(f"[{number}] {text}" + (f" in: {statement}" if statement else ""))
        self.number = number
        self.text = text

    @property
    def link_lost(self) -> bool:
        """True if nobody knows whether the statement happened."""
        return self.number in LINK_LOST


@dataclass(frozen=True, slots=True)
class Connect:
    """How to reach the server. The password is never shown."""

    host: str = "localhost"
    port: int = 3306
    socket: str | None = None
    user: str = ""
    password: str = field(default="", repr=False)
    ssl_mode: str = "PREFERRED"
    """DISABLED | PREFERRED | REQUIRED | VERIFY_CA | VERIFY_IDENTITY, as in MySQL's own clients."""
    ssl_ca: str | None = None
    ssl_cert: str | None = None
    ssl_key: str | None = None
    timeout_seconds: int = 10

    @property
    def where(self) -> str:
        """host:port or the socket, for messages."""
        return self.socket or f"{self.host}:{self.port}"


def _tls(to: Connect) -> dict[str, Any]:
    if to.ssl_mode == "DISABLED" or (to.socket and to.ssl_mode == "PREFERRED"):
        return {"ssl_disabled": True}
    context = ssl.create_default_context(cafile=to.ssl_ca)
    # The certificates that the server makes for itself are not strict, and Python 3.13 would refuse them.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.check_hostname = to.ssl_mode == "VERIFY_IDENTITY"
    context.verify_mode = ssl.CERT_REQUIRED if to.ssl_mode.startswith("VERIFY") else ssl.CERT_NONE
    if to.ssl_cert:
        context.load_cert_chain(to.ssl_cert, to.ssl_key)
    return {"ssl": context}


def without_values(number: int, text: str) -> str:
    """The server's message, with whatever may be a value of a row taken out."""
    if number == ER.DUP_ENTRY:
        return "Duplicate entry for key " + text.rsplit("for key ", 1)[-1]
    if number in _NAMES_IN_QUOTES or 2000 <= number < 3000:
        return text
    return re.sub(r"'.*'|\".*\"", "'...'", text, flags=re.DOTALL)


def _sql_error(error: Exception, statement: str) -> SqlError:
    args = error.args
    number = args[0] if args and isinstance(args[0], int) else 0
    text = str(args[1]) if len(args) > 1 else str(error)
    head = " ".join(statement.split())[:120]
    return SqlError(number, without_values(number, text), head)


class Session:
    """One connection to one server, for one thread.

    Every (re)connection must reach the server with `server_uuid` (once known), or the run stops, and
    passes `guard`, by which the engine keeps out a run that has lost its lease.
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
        self._connection = self._open()

    # -- life ---------------------------------------------------------------------------------

    @property
    def id(self) -> int:
        """The server's number for this connection."""
        return int(self._connection.thread_id())

    def close(self) -> None:
        """End the connection; safe to repeat."""
        try:
            self._connection.close()
        except pymysql.err.Error:
            log.debug("the connection was closed already")

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

    def elsewhere(self, host: str, port: int, *, server_uuid: str, timeout_seconds: int = 3) -> Session:
        """A session to another server, with the same account and TLS settings; it must have that server_uuid."""
        to = replace(self._to, host=host, port=port, socket=None, timeout_seconds=timeout_seconds)
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
        to = self._to
        options: dict[str, Any] = {
            "user": to.user,
            "password": to.password.encode(),  # a str would be sent as latin1
            "charset": "utf8mb4",
            "autocommit": True,
            "connect_timeout": to.timeout_seconds,
            "read_timeout": None,
            "client_flag": CLIENT.MULTI_STATEMENTS,
            "program_name": self._purpose,
        }
        if to.socket:
            options["unix_socket"] = to.socket
        else:
            options |= {"host": to.host, "port": to.port}
        try:
            connection = self._connect_with_tls(options)
        except pymysql.err.Error as error:
            raise _unreachable(to, _sql_error(error, "")) from None
        except (OSError, ssl.SSLError) as error:
            raise ServerUnreachable(
                f"cannot connect to {to.where} as {to.user}: {error}",
                remedy="check the certificate files and --ssl-mode",
            ) from None
        self._connection = connection
        try:
            self._prepare()
        except SqlError as error:
            connection.close()
            raise _unreachable(to, error) from None
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect_with_tls(self, options: dict[str, Any]) -> Any:
        """Connect; with PREFERRED fall back to no TLS only where the server does not offer it."""
        try:
            return pymysql.connect(**options, **_tls(self._to))
        except pymysql.err.OperationalError as error:
            # The driver's word before any handshake; one that fails is no reason to go on in clear.
            not_offered = error.args[:1] == (CR.CR_SSL_CONNECTION_ERROR,)
            if self._to.ssl_mode != "PREFERRED" or not not_offered:
                raise
            return pymysql.connect(**options, ssl_disabled=True)

    def _prepare(self) -> None:
        # Exactly the roles that triggers of ours will run with: a definer has its default roles only.
        self.run("SET ROLE DEFAULT")
        if not self._variables:
            known = {str(name) for (name, _) in self.rows("SHOW SESSION VARIABLES")}
            self._variables = tuple(f"SESSION {name} = {value}" for name, value in SESSION_VARIABLES if name in known)
        self.run("SET " + ", ".join(self._variables))
        for name, value in self._settings.items():
            self.run(f"SET SESSION {name} = {value}")
        uuid = str(self.value("SELECT @@server_uuid"))
        if self.server_uuid and uuid != self.server_uuid:
            raise OwnerUnknown(
                f"{self._to.where} is another server now: its server_uuid is {uuid}, this began on {self.server_uuid}",
                remedy="find out which server is meant (failover? proxy?) before anything is run again",
            )
        self.server_uuid = uuid
        if self._guard is not None:
            self._guard(self)

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
        try:
            with self._connection.cursor() as cursor:
                affected = cursor.execute(text, values)
                found = list(cursor.fetchall()) if cursor.description else []
                warnings = int(cursor.warning_count)
                while cursor.nextset():
                    if cursor.description:
                        found = list(cursor.fetchall())
                    warnings += int(cursor.warning_count)
        except (pymysql.err.Error, OSError) as error:
            raise _sql_error(error, text) from None
        log.debug("%.1f ms, %d rows: %s", (self._clock.monotonic() - began) * 1000, affected, text)
        return int(affected), found, warnings

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


def _unreachable(to: Connect, error: SqlError) -> MigratorError:
    """The error of a connection attempt, in words that tell what to do."""
    if error.number in {ER.ACCESS_DENIED_ERROR, 1698, 1251, 2059}:
        remedy = "check the user, the password and from which host this account may connect"
    elif "CERTIFICATE" in error.text:
        remedy = "check --ssl-ca, and that --ssl-mode asks for no more than the server's certificate says"
    elif error.number == ER.BAD_DB_ERROR:
        remedy = "check the schema's name"
    else:
        remedy = "check host, port or socket, and that the server is up"
    return ServerUnreachable(f"cannot connect to {to.where} as {to.user or '(no user)'}: {error.text}", remedy=remedy)


def jitter(seconds: float) -> float:
    """Between half and one and a half of `seconds`, so that two who wait do not meet again."""
    return seconds * random.uniform(0.5, 1.5)
