"""What travels between the server and others, and who may do so in clear."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from migrator.db import Row, Session
from migrator.errors import MigratorError, UsageError
from migrator.inventory.ask import DENIED, ask
from migrator.inventory.catalog import OF
from migrator.inventory.certificates import certificate_of
from migrator.model import Flavour, Server
from migrator.option_files import SYSTEM_FILES, read_option_files
from migrator.transport import Account, Certificate, Channel, Connected, Interface, SstOptions, Transport

_WANTED: Final = """
    require_secure_transport have_ssl tls_version ssl_cipher tls_ciphersuites ssl_ca ssl_cert ssl_key
    bind_address skip_networking admin_address admin_port admin_tls_version mysqlx_bind_address mysqlx_port
    group_replication_ssl_mode group_replication_communication_stack group_replication_recovery_use_ssl
    group_replication_recovery_ssl_verify_server_cert group_replication_recovery_get_public_key
    clone_valid_donor_list clone_ssl_ca
    pxc_encrypt_cluster_traffic wsrep_sst_method
"""
VARIABLES: Final = frozenset(_WANTED.split())
"""The global variables that a place in transit depends on; none of them holds a secret."""

_NO_SUCH: Final = frozenset({1049, 1054, 1146})
"""An older server does not know the schema, the column, the table."""

_INTERFACES: Final = "SELECT CHANNEL, PROPERTY, VALUE FROM performance_schema.tls_channel_status"
_CONNECTED: Final = """
    SELECT COALESCE(PROCESSLIST_USER, ''), COALESCE(PROCESSLIST_HOST, ''), CONNECTION_TYPE,
        COALESCE(PROCESSLIST_COMMAND, '') LIKE 'Binlog Dump%%' AS dump, COUNT(*)
    FROM performance_schema.threads
    WHERE TYPE = 'FOREGROUND' AND CONNECTION_TYPE IS NOT NULL GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""
_GROUPS_OWN: Final = frozenset({"group_replication_applier", "group_replication_recovery"})
_PLUGINS: Final = (
    "SELECT PLUGIN_NAME FROM information_schema.PLUGINS"
    " WHERE PLUGIN_STATUS = 'ACTIVE' AND PLUGIN_NAME IN ('mysqlx', 'clone', 'group_replication')"
)
_STATUS: Final = (
    "SHOW GLOBAL STATUS WHERE Variable_name IN"
    " ('Mysqlx_ssl_server_not_after', 'Caching_sha2_password_rsa_public_key', 'Ssl_server_not_after')"
)
_PROVIDER: Final = frozenset(
    {"socket.ssl", "socket.ssl_key", "socket.dynamic", "gcache.encryption", "allocator.disk_pages_encryption"}
)
_NDB_LINKS: Final = "SELECT encrypted, COUNT(*) FROM ndbinfo.transporter_details GROUP BY encrypted"


def read_transport(session: Session, server: Server, variables: Mapping[str, str]) -> Transport:
    """Read it with about ten statements; `variables` are all global ones.

    Where our own connection has no TLS and the server offers it, one more connection is opened with TLS to see the
    certificate, and closed. Changes nothing, locks nothing, waits for nobody.
    """
    tls, catalog = session.tls, OF[session.family]
    status = {str(name): str(value) for name, value in session.rows(_STATUS)}
    interfaces = _interfaces(session, variables, status)
    certificate, why = _certificate(session, interfaces)
    accounts = ask(session, catalog.accounts)
    empty = ask(session, catalog.empty_passwords)
    connected = ask(session, _CONNECTED) if variables.get("performance_schema", "").upper() == "ON" else None
    channels = ask(session, catalog.channels)
    return Transport(
        cipher=tls.cipher if tls else "",
        protocol=tls.protocol if tls else "",
        by_socket=session.by_socket,
        interfaces=interfaces,
        certificate=certificate,
        certificate_why=why,
        accounts=None if accounts is None else accounts_from(accounts),
        empty_passwords=None if empty is None else accounts_from(empty),
        connected=None
        if connected is None
        else tuple(Connected(str(u), str(h), str(way), int(n), bool(dump)) for u, h, way, dump, n in connected),
        channels=None if channels is None else channels_from(channels),
        plugins=frozenset(str(name) for (name,) in session.rows(_PLUGINS)),
        x_not_after=status.get("Mysqlx_ssl_server_not_after", ""),
        rsa_key=bool(status.get("Caching_sha2_password_rsa_public_key")),
        provider_options=provider_options(variables.get("wsrep_provider_options", "")),
        sst_auth_set=bool(variables["wsrep_sst_auth"]) if "wsrep_sst_auth" in variables else None,
        sst=_sst(session, server) if server.wsrep_on else None,
        ndb_links=_ndb_links(session) if server.flavour is Flavour.NDB else None,
    )


# -- TLS of the server --------------------------------------------------------------------------------


def _interfaces(session: Session, variables: Mapping[str, str], status: Mapping[str, str]) -> tuple[Interface, ...]:
    rows = ask(session, _INTERFACES, denied=DENIED | _NO_SUCH)
    if rows:
        return interfaces_from(rows)
    # Before 8.0.21, or without the right to read that table; have_ssl went away with 8.4, and a server without TLS
    # shows no end of its certificate.
    ending = status.get("Ssl_server_not_after", "")
    return (
        Interface(
            "mysql_main",
            enabled=variables.get("have_ssl", "YES" if ending else "NO").upper() == "YES",
            versions=variables.get("tls_version", ""),
            cipher=variables.get("ssl_cipher", ""),
            ciphersuites=variables.get("tls_ciphersuites", ""),
            not_after=ending,
        ),
    )


def interfaces_from(rows: Iterable[Row]) -> tuple[Interface, ...]:
    """The interfaces, from the rows of tls_channel_status: channel, property, value. Pure."""
    found: dict[str, dict[str, str]] = {}
    for channel, name, value in rows:
        found.setdefault(str(channel), {})[str(name).lower()] = str(value or "")
    return tuple(
        Interface(
            name,
            enabled=each.get("enabled", "").upper() == "YES",
            versions=each.get("current_tls_version", ""),
            cipher=each.get("current_tls_cipher", ""),
            ciphersuites=each.get("current_tls_ciphersuites", ""),
            not_after=each.get("ssl_server_not_after", ""),
        )
        for name, each in sorted(found.items(), reverse=True)
    )


def _certificate(session: Session, interfaces: tuple[Interface, ...]) -> tuple[Certificate | None, str]:
    tls = session.tls
    try:
        if tls is None:
            if not any(each.enabled for each in interfaces if each.name == "mysql_main"):
                return None, "the server offers no TLS"
            with session.with_tls() as other:
                tls = other.tls
        return (certificate_of(tls.certificate), "") if tls else (None, "the server has shown none")
    except MigratorError as error:
        return None, str(error)
    except ValueError as error:
        return None, f"the certificate cannot be read: {error}"


# -- who connects, and to whom we do ------------------------------------------------------------------


def accounts_from(rows: Iterable[Row]) -> tuple[Account, ...]:
    """Accounts, from rows of mysql.user: User, Host, ssl_type, plugin, account_locked. Pure."""
    return tuple(
        sorted(
            (
                Account(_text(user), _text(host), _text(kind), _text(plugin), _text(locked).upper() == "Y")
                for user, host, kind, plugin, locked in rows
            ),
            key=lambda account: (account.user, account.host),
        )
    )


def channels_from(rows: Iterable[Row]) -> tuple[Channel, ...]:
    """Channels that have a source; those of a group have settings of their own. Pure."""
    return tuple(
        Channel(
            _text(name),
            _text(host),
            int(port),
            _text(user),
            tls=_text(allowed).upper() == "YES",
            verifies=_text(verify).upper() == "YES",
            ca=bool(ca),
            takes_public_key=_text(takes).upper() == "YES",
        )
        for name, host, port, user, allowed, verify, ca, takes in rows
        if host and _text(name) not in _GROUPS_OWN
    )


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")


# -- clusters -----------------------------------------------------------------------------------------


def provider_options(text: str) -> dict[str, str]:
    """Those that a place depends on, of `a = b; c = d`, which may hold more than is to be shown. Pure."""
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs if name.strip().lower() in _PROVIDER}


def _sst(session: Session, server: Server) -> SstOptions | None:
    if not session.by_socket and platform.node() != server.host:
        return None
    named = ask(session, OF[session.family].option_files)
    return sst_options([Path(str(path)) for (path,) in named or ()] or SYSTEM_FILES)


def sst_options(files: Iterable[Path]) -> SstOptions | None:
    """The group [sst] as the scripts of a state transfer find it; None if a file cannot be read. Reads files only."""
    read, options = [], dict[str, str]()
    for file in files:
        try:
            found = read_option_files({"sst"}, only=file, home=file.parent)
        except UsageError:
            return None
        if found.warnings:
            return None
        read.append(str(file))
        options |= {entry.name: entry.value or "" for entry in found.entries}
    return SstOptions(tuple(read), options.get("encrypt", ""), options.get("tmpdir", "")) if read else None


def _ndb_links(session: Session) -> tuple[tuple[bool, int], ...] | None:
    rows = ask(session, _NDB_LINKS, denied=DENIED | _NO_SUCH)
    return None if rows is None else tuple((bool(encrypted), int(number)) for encrypted, number in rows)
