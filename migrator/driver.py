"""The driver's connections: opened with TLS, one statement executed, closed. Only this module imports the driver.

What fails is told by number and without values (`SqlError`), or in words that say what to do (`ServerUnreachable`).
"""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass, field
from typing import Any

import pymysql
from pymysql.constants import CLIENT, CR, ER

from migrator.errors import MigratorError, ServerUnreachable
from migrator.sql_errors import SqlError, without_values

log = logging.getLogger(__name__)


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


def connect(to: Connect, *, purpose: str) -> Any:
    """Open a connection of the driver; what a session needs is not set yet. Raises `ServerUnreachable`."""
    options: dict[str, Any] = {
        "user": to.user,
        "password": to.password.encode(),  # a str would be sent as latin1
        "charset": "utf8mb4",
        "autocommit": True,
        "connect_timeout": to.timeout_seconds,
        "read_timeout": None,
        "client_flag": CLIENT.MULTI_STATEMENTS,
        "program_name": purpose,
    }
    if to.socket:
        options["unix_socket"] = to.socket
    else:
        options |= {"host": to.host, "port": to.port}
    try:
        return _connect_with_tls(to, options)
    except pymysql.err.Error as error:
        raise unreachable(to, _sql_error(error, "")) from None
    except (OSError, ssl.SSLError) as error:
        raise ServerUnreachable(
            f"cannot connect to {to.where} as {to.user}: {error}",
            remedy="check the certificate files and --ssl-mode",
        ) from None


def _connect_with_tls(to: Connect, options: dict[str, Any]) -> Any:
    """Connect; with PREFERRED fall back to no TLS only where the server does not offer it."""
    try:
        return pymysql.connect(**options, **_tls(to))
    except pymysql.err.OperationalError as error:
        # The driver's word before any handshake; one that fails is no reason to go on in clear.
        not_offered = error.args[:1] == (CR.CR_SSL_CONNECTION_ERROR,)
        if to.ssl_mode != "PREFERRED" or not not_offered:
            raise
        return pymysql.connect(**options, ssl_disabled=True)


def _tls(to: Connect) -> dict[str, Any]:
    if to.ssl_mode == "DISABLED" or (to.socket and to.ssl_mode == "PREFERRED"):
        return {"ssl_disabled": True}
    verify = to.ssl_mode.startswith("VERIFY")
    # Without verification no authority is asked: to load those of the system takes 30 ms of CPU time.
    context = ssl.create_default_context(cafile=to.ssl_ca) if verify else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # The certificates that the server makes for itself are not strict, and Python 3.13 would refuse them.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.check_hostname = to.ssl_mode == "VERIFY_IDENTITY"
    context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
    if to.ssl_cert:
        context.load_cert_chain(to.ssl_cert, to.ssl_key)
    return {"ssl": context}


def execute(connection: Any, text: str, values: tuple[object, ...]) -> tuple[int, list[tuple[Any, ...]], int]:
    """Send one statement; affected rows, the rows of the last result and the number of warnings. Raises `SqlError`."""
    try:
        with connection.cursor() as cursor:
            affected = cursor.execute(text, values)
            found = list(cursor.fetchall()) if cursor.description else []
            warnings = int(cursor.warning_count)
            while cursor.nextset():
                if cursor.description:
                    found = list(cursor.fetchall())
                warnings += int(cursor.warning_count)
    except (pymysql.err.Error, OSError) as error:
        raise _sql_error(error, text) from None
    return int(affected), found, warnings


def close(connection: Any) -> None:
    """End the connection; safe to repeat."""
    try:
        connection.close()
    except pymysql.err.Error:
        log.debug("the connection was closed already")


def unreachable(to: Connect, error: SqlError) -> MigratorError:
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


def _sql_error(error: Exception, statement: str) -> SqlError:
    args = error.args
    number = args[0] if args and isinstance(args[0], int) else 0
    text = str(args[1]) if len(args) > 1 else str(error)
    head = " ".join(statement.split())[:120]
    return SqlError(number, without_values(number, text), head)
