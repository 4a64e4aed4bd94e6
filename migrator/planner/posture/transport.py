"""Places between the server and others: TLS as the server offers it, and all that goes through it or not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from migrator.model import Inventory
from migrator.planner.posture.accounts import accounts
from migrator.planner.posture.certificates import FOLDER, certificates, new_certificate, reload, set_files
from migrator.planner.posture.replication import replication
from migrator.planner.posture.words import READ_STATUS, end_of, grant, now_of, set_variable
from migrator.posture import Area, Place, Posture, State
from migrator.transport import Interface

_GOOD_VERSIONS: Final = frozenset({"TLSV1.2", "TLSV1.3"})
_EVERYTHING: Final = "whoever is on the network reads every statement and every row"
STRONG: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
)
"""For TLS 1.2: forward secrecy and authenticated encryption."""


def transport(inventory: Inventory, posture: Posture) -> Iterator[Place]:
    """Places in transit: the server's TLS, its certificate, who connects, replication."""
    yield from _tls(inventory, posture)
    yield _own(posture)
    yield _secure_transport(inventory, posture)
    yield _admin(inventory, posture)
    yield _x_plugin(inventory, posture)
    yield from certificates(inventory, posture)
    yield _key_file(inventory, posture)
    yield from accounts(inventory, posture)
    yield from replication(inventory, posture)


def main_interface(posture: Posture) -> Interface | None:
    """The one that applications use; None if it is not known."""
    return next((each for each in posture.transport.interfaces or () if each.name == "mysql_main"), None)


# -- what is offered ----------------------------------------------------------------------------------


def _tls(inventory: Inventory, posture: Posture) -> Iterator[Place]:
    area, server = Area.TRANSIT, inventory.server
    main = main_interface(posture)
    if main is None:
        why, right = "tls_channel_status is not readable", (grant(server, READ_STATUS),)
        yield Place("tls", area, "TLS", State.UNKNOWN, why, _EVERYTHING, right)
        return
    if not main.enabled:
        evidence = (
            f"tls_channel_status: mysql_main Enabled=No; tls_version='{posture.variables.get('tls_version', '')}'"
        )
        closes = (
            "see that ssl_ca, ssl_cert and ssl_key name files that are there, in the data folder if without a path",
            set_variable(server, "tls_version", "'TLSv1.2,TLSv1.3'"),
            *reload(server),
        )
        yield Place("tls", area, "TLS", State.CLEAR, evidence, _EVERYTHING, closes)
        return
    yield Place("tls", area, "TLS", State.ENCRYPTED, f"offered on the main interface: {main.versions}")
    yield _versions(inventory, main)
    yield _ciphers(inventory, main)


def _versions(inventory: Inventory, main: Interface) -> Place:
    evidence = f"tls_version={main.versions}"
    old = [each for each in main.versions.split(",") if each.strip().upper() not in _GOOD_VERSIONS]
    if not old:
        return Place("tls-versions", Area.TRANSIT, "versions of TLS", State.OK, evidence)
    risk = f"{', '.join(old)} can be broken by who stands between"
    closes = (set_variable(inventory.server, "tls_version", "'TLSv1.2,TLSv1.3'"), *reload(inventory.server))
    return Place("tls-versions", Area.TRANSIT, "versions of TLS", State.BAD, evidence, risk, closes)


def _ciphers(inventory: Inventory, main: Interface) -> Place:
    code, what = "tls-ciphers", "ciphers of TLS"
    shown = [f"{name}={value or '(its own list)'}" for name, value in _lists(main)]
    evidence = "; ".join(shown)
    bad = weak_ciphers(main.cipher) if "TLSV1.2" in main.versions.upper() else []
    suites = weak_ciphers(main.ciphersuites)
    if not bad and not suites:
        return Place(code, Area.TRANSIT, what, State.OK, evidence)
    risk = "who records the traffic can read it later, with the server's key or without: " + ", ".join([*bad, *suites])
    closes = [set_variable(inventory.server, "ssl_cipher", f"'{STRONG}'")] if bad else []
    closes += [set_variable(inventory.server, "tls_ciphersuites", "DEFAULT")] if suites else []
    return Place(code, Area.TRANSIT, what, State.BAD, evidence, risk, (*closes, *reload(inventory.server)))


def _lists(main: Interface) -> list[tuple[str, str]]:
    return [("ssl_cipher", main.cipher), ("tls_ciphersuites", main.ciphersuites)]


def weak_ciphers(names: str) -> list[str]:
    """Those of a list in OpenSSL's words that have no forward secrecy, no authenticated encryption, or are broken."""
    return [name for name in re.split(r"[:, ]+", names) if name and name[0] not in "!-+@" and not _is_strong(name)]


def _is_strong(name: str) -> bool:
    upper = name.upper().replace("_", "-")
    if upper.startswith("TLS-"):
        return "CCM-8" not in upper
    forward = upper.startswith(("ECDHE-", "DHE-"))
    return forward and any(mode in upper for mode in ("GCM", "CHACHA20", "CCM")) and "CCM8" not in upper


# -- who has to use it --------------------------------------------------------------------------------


def _own(posture: Posture) -> Place:
    code, what = "own-connection", "connection of this audit"
    there = posture.transport
    if weak_ciphers(there.cipher):
        risk = "who records this connection can read it later, with the server's key or without"
        closes: tuple[str, ...] = ("close tls-ciphers and tls-versions, and renew the TLS library of this host",)
        return Place(code, Area.TRANSIT, what, State.BAD, f"{there.protocol} {there.cipher}", risk, closes)
    if there.cipher:
        return Place(code, Area.TRANSIT, what, State.ENCRYPTED, f"{there.protocol} {there.cipher}")
    if there.by_socket:
        return Place(code, Area.TRANSIT, what, State.UNUSED, "a socket file of this host: not on a network")
    risk = "what migrator reads and writes on this connection can be read on the network"
    closes = ("connect with --ssl-mode=VERIFY_IDENTITY and --ssl-ca, at least with --ssl-mode=REQUIRED",)
    return Place(code, Area.TRANSIT, what, State.CLEAR, "the connection has no cipher", risk, closes)


def _secure_transport(inventory: Inventory, posture: Posture) -> Place:
    code, what = "secure-transport", "TLS is required"
    variables = posture.variables
    if variables.get("skip_networking", "").upper() == "ON":
        return Place(code, Area.TRANSIT, what, State.UNUSED, "skip_networking=ON: only by the socket file")
    on = variables.get("require_secure_transport", "").upper() == "ON"
    evidence = f"require_secure_transport={'ON' if on else 'OFF'}, bind_address={variables.get('bind_address', '')}"
    if on:
        return Place(code, Area.TRANSIT, what, State.OK, evidence)
    risk = "a client that is not told to use TLS, or from which somebody takes the offer away, goes on in clear"
    closes = (
        set_variable(inventory.server, "require_secure_transport", "ON")
        + "  -- once sessions-in-clear and replicas-tls show nobody: who connects without TLS then gets error 3159",
    )
    return Place(code, Area.TRANSIT, what, State.BAD, evidence, risk, closes)


def _admin(inventory: Inventory, posture: Posture) -> Place:
    code, what = "admin-tls", "administrative interface"
    address = posture.variables.get("admin_address", "")
    if not address:
        return Place(code, Area.TRANSIT, what, State.UNUSED, "admin_address=''")
    found = {each.name: each for each in posture.transport.interfaces or ()}
    where = f"admin_address={address}, admin_port={posture.variables.get('admin_port', '')}"
    if "mysql_admin" not in found:
        why, right = f"{where}; tls_channel_status has no row of it, or is not readable", READ_STATUS
        return Place(code, Area.TRANSIT, what, State.UNKNOWN, why, _EVERYTHING, (grant(inventory.server, right),))
    admin, main = found["mysql_admin"], found.get("mysql_main")
    # Without settings of its own it uses those of the main interface.
    used = admin if admin.enabled else main
    if used is None or not used.enabled:
        closes: tuple[str, ...] = ("close the place tls: this interface uses the main one's settings",)
        evidence = f"{where}; no TLS, neither its own nor the main interface's"
        return Place(code, Area.TRANSIT, what, State.CLEAR, evidence, _EVERYTHING, closes)
    whose = "settings of its own" if admin.enabled else "the main interface's settings"
    evidence = f"{where}; TLS with {whose}: {used.versions}, until {used.not_after}"
    ended = _over(used.not_after, inventory.read_at)
    if admin.enabled and ended:
        closes = new_certificate(inventory.server, prefix="admin_ssl", channel="mysql_admin")
        return Place(code, Area.TRANSIT, what, State.BAD, evidence, "its certificate has ended", closes)
    return Place(code, Area.TRANSIT, what, State.ENCRYPTED, evidence)


def _x_plugin(inventory: Inventory, posture: Posture) -> Place:
    code, what = "x-plugin-tls", "X protocol"
    there = posture.transport
    if "mysqlx" not in there.plugins:
        return Place(code, Area.TRANSIT, what, State.UNUSED, "the plugin mysqlx is not active")
    variables = posture.variables
    where = ", ".join(f"{name}={variables.get(name, '')}" for name in ("mysqlx_port", "mysqlx_bind_address"))
    end = there.x_not_after
    if not end:
        closes: tuple[str, ...] = (
            "close the place tls, then restart: without mysqlx_ssl_cert the X protocol uses the same certificate",
            "or, if nobody uses it: mysqlx = OFF in my.cnf",
        )
        evidence = f"{where}; Mysqlx_ssl_server_not_after is empty: no TLS"
        return Place(code, Area.TRANSIT, what, State.CLEAR, evidence, _EVERYTHING, closes, restart=True)
    evidence = f"{where}; Mysqlx_ssl_server_not_after={end}"
    if _over(end, inventory.read_at):
        closes = ("renew the certificate (certificate-dates), then restart: this plugin reads it when it starts",)
        return Place(code, Area.TRANSIT, what, State.BAD, evidence, "its certificate has ended", closes, restart=True)
    return Place(code, Area.TRANSIT, what, State.ENCRYPTED, evidence)


def _key_file(inventory: Inventory, posture: Posture) -> Place:
    code, what = "tls-key-file", "private key of the certificate"
    server, path = inventory.server, posture.variables.get("ssl_key", "")
    evidence = f"ssl_key={path}, datadir={server.datadir}"
    if not path:
        return Place(code, Area.TRANSIT, what, State.UNUSED, "ssl_key=''")
    if PurePosixPath(path).is_absolute() and not PurePosixPath(path).is_relative_to(server.datadir or "/"):
        return Place(code, Area.TRANSIT, what, State.OK, evidence)
    risk = "who has a copy of the data folder can pretend to be this server"
    closes = (
        f"copy the three files to {FOLDER}, which only the server's user may enter",
        *set_files(server),
        *reload(server),
        "then delete them, ca-key.pem and client-key.pem from the data folder",
    )
    return Place(code, Area.TRANSIT, what, State.BAD, evidence, risk, closes)


def _over(end: str, read_at: str) -> bool:
    when = end_of(end)
    return when is not None and when <= now_of(read_at)
