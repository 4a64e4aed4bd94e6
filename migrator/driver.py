"""The driver's connections: opened with TLS, one statement executed, closed. Only this module imports the driver.

What fails is told by number and without values (`SqlError`), or in words that say what to do (`ServerUnreachable`).
A password leaves this machine only through TLS, or encrypted with a key of the server that its user trusts.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pymysql
from pymysql.constants import CLIENT, CR, ER

from migrator.errors import MigratorError, ServerUnreachable
from migrator.sql_errors import SqlError, without_values

log = logging.getLogger(__name__)

SEES_THE_PASSWORD: Final = ("mysql_clear_password", "dialog")
"""Ways to log in by which the server gets the password itself: often that of a directory, which opens more doors."""


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
    ssl_crl: str | None = None
    server_public_key_path: str | None = None
    """The server's RSA key, by which a password may be sent without TLS."""
    get_server_public_key: bool = False
    """Trust the RSA key that the server sends, whoever it is."""
    timeout_seconds: int = 10
    answer_seconds: int | None = None
    """How long any answer is waited for; None: a statement of ours may take as long as it takes."""

    @property
    def where(self) -> str:
        """host:port or the socket, for messages."""
        return self.socket or f"{self.host}:{self.port}"


def connect(to: Connect, *, purpose: str) -> Any:
    """Open a connection of the driver; what a session needs is not set yet. Raises `ServerUnreachable`.

    Nothing but the wish for TLS is sent before TLS is up; without TLS only where `ssl_mode` allows it.
    """
    options: dict[str, Any] = {
        "user": to.user,
        "password": to.password.encode(),  # a str would be sent as latin1
        "charset": "utf8mb4",
        "autocommit": True,
        "connect_timeout": to.timeout_seconds,
        "read_timeout": to.answer_seconds,
        "client_flag": CLIENT.MULTI_STATEMENTS,
        "program_name": purpose,
        "auth_plugin_map": _ways_to_log_in(to),
    }
    if to.socket:
        options["unix_socket"] = to.socket
    else:
        options |= {"host": to.host, "port": to.port}
    try:
        options["server_public_key"] = _public_key(to)
        return _connect_with_tls(to, options)
    except pymysql.err.Error as error:
        raise unreachable(to, _sql_error(error, "")) from None
    except ValueError:
        # The key that is none (see _public_key), or a file that holds none.
        raise _in_clear(to, to.server_public_key_path or "") from None
    except (OSError, ssl.SSLError) as error:
        raise ServerUnreachable(
            f"cannot connect to {to.where} as {to.user}: {error}",
            remedy="check the certificate files and --ssl-mode",
        ) from None


def encrypted(connection: Any) -> bool:
    """True if the connection goes through TLS."""
    return isinstance(connection._sock, ssl.SSLSocket)


@dataclass(frozen=True, slots=True)
class Tls:
    """What TLS of a connection is like, and the certificate that the server has shown."""

    cipher: str
    protocol: str
    certificate: bytes = field(repr=False)
    """DER; not verified by being here."""


def tls_of(connection: Any) -> Tls | None:
    """What the connection's TLS is like; None if it has none."""
    if not encrypted(connection):
        return None
    cipher, _, _ = connection._sock.cipher()
    return Tls(cipher, connection._sock.version(), connection._sock.getpeercert(binary_form=True))


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
    # Not ssl.create_default_context: that writes the keys of the connection where SSLKEYLOGFILE says, and
    # from Python 3.13 on it refuses the certificates that the server makes for itself, which are not strict.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    verify = to.ssl_mode.startswith("VERIFY")
    context.check_hostname = to.ssl_mode == "VERIFY_IDENTITY"
    context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
    # Without verification no authority is asked: to load those of the system takes 30 ms of CPU time.
    if verify and to.ssl_ca:
        context.load_verify_locations(cafile=to.ssl_ca)
    elif verify:
        context.load_default_certs()
    if verify and to.ssl_crl:
        context.load_verify_locations(cafile=to.ssl_crl)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    if to.ssl_cert:
        context.load_cert_chain(to.ssl_cert, to.ssl_key, password=lambda: _no_passphrase(to))
    return {"ssl": context}


def _no_passphrase(to: Connect) -> str:
    """OpenSSL would ask on the terminal, at every connection, and in a batch run for ever."""
    raise ServerUnreachable(
        f"cannot connect to {to.where} as {to.user}: the key {to.ssl_key or to.ssl_cert} has a passphrase",
        remedy="name a key without one with --ssl-key, which only you can read: openssl pkey -in KEY -out NEW",
    )


# -- ways to log in ---------------------------------------------------------------------------


class _Refused:
    """What stands in the driver for a way to log in that is not to be used on this connection."""

    def __init__(self, error: MigratorError) -> None:
        self._error = error

    def authenticate(self, _packet: object) -> None:
        raise self._error


def _ways_to_log_in(to: Connect) -> dict[str, Callable[[Any], _Refused | None]]:
    """For the driver: None where a way is as safe as it has to be, so that the driver does it itself."""

    def must_be_verified(_connection: Any) -> _Refused | None:
        return None if to.socket or to.ssl_mode.startswith("VERIFY") else _Refused(_to_whoever(to))

    def must_not_be_in_clear(connection: Any) -> _Refused | None:
        # With this way the driver would take the key that the server sends, in spite of the one it was given.
        return None if connection._secure or to.get_server_public_key else _Refused(_in_clear(to))

    def never(_connection: Any) -> _Refused:
        return _Refused(
            ServerUnreachable(
                f"cannot connect to {to.where} as {to.user}: the server asks for a way to log in that is not safe",
                remedy="ALTER USER ... IDENTIFIED WITH caching_sha2_password BY '...'",
            )
        )

    return {
        **dict.fromkeys(SEES_THE_PASSWORD, must_be_verified),
        "sha256_password": must_not_be_in_clear,
        "mysql_old_password": never,
    }


def _public_key(to: Connect) -> bytes | None:
    """The key by which the driver encrypts a password without TLS; None lets it take the server's own.

    Without a key that is trusted it gets one that is none: it fails on that before it sends anything.
    """
    if to.server_public_key_path:
        return Path(to.server_public_key_path).read_bytes()
    return None if to.get_server_public_key else b"no key is trusted"


def _in_clear(to: Connect, key_file: str = "") -> ServerUnreachable:
    why = f"{key_file} is not its public key" if key_file else "nothing proves that its public key is its own"
    return ServerUnreachable(
        f"cannot connect to {to.where} as {to.user}: the connection is not encrypted, the server asks for the"
        f" password, and {why}",
        remedy="connect with TLS (--ssl-mode=REQUIRED, better VERIFY_CA) or by the socket; where there is no TLS,"
        " name a copy of the server's public_key.pem with --server-public-key-path",
    )


def _to_whoever(to: Connect) -> ServerUnreachable:
    return ServerUnreachable(
        f"cannot connect to {to.where} as {to.user}: the server asks for the password itself, and nothing proves that"
        " it is the right server",
        remedy="let its certificate be checked (--ssl-mode=VERIFY_IDENTITY and --ssl-ca), or use the socket",
    )


# -- statements -------------------------------------------------------------------------------


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
    elif error.number == CR.CR_SSL_CONNECTION_ERROR:
        remedy = (
            f"the server offers no TLS, or somebody between takes it away, and --ssl-mode={to.ssl_mode} asks for it:"
            " see that the server has certificates (SHOW STATUS LIKE 'Current_tls%')"
        )
    elif "certificate has expired" in error.text:
        remedy = "renew the server's certificate, then ALTER INSTANCE RELOAD TLS"
    elif "Hostname mismatch" in error.text or "IP address mismatch" in error.text:
        remedy = f"connect to a name that the server's certificate has ({to.host} is none), or --ssl-mode=VERIFY_CA"
    elif "CERTIFICATE" in error.text:
        remedy = "check --ssl-ca, and that --ssl-mode asks for no more than the server's certificate says"
    elif "[SSL" in error.text:
        remedy = "see that the server speaks TLS 1.2 or newer, and check --ssl-cert and --ssl-key if it asks for them"
    elif error.number == ER.BAD_DB_ERROR:
        remedy = "check the schema's name"
    else:
        remedy = "check host, port or socket, and that the server is up"
    return ServerUnreachable(
        f"cannot connect to {to.where} as {to.user or '(no user)'}: {error.text}",
        remedy=remedy,
        answered=error.number >= 1000 and not 2000 <= error.number < 3000,  # those are the client's own
    )


def _sql_error(error: Exception, statement: str) -> SqlError:
    args = error.args
    number = args[0] if args and isinstance(args[0], int) else 0
    text = str(args[1]) if len(args) > 1 else str(error)
    head = " ".join(statement.split())[:120]
    return SqlError(number, without_values(number, text), head)
