"""What is said of accounts that may connect without TLS, and of those who do now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from migrator.model import Inventory
from migrator.planner.posture.words import READ_STATUS, few, grant, number
from migrator.planner.privileges import account_text
from migrator.posture import Area, Place, Posture, State
from migrator.transport import Account

ACCOUNT_COLUMNS: Final = "SELECT (User, Host, ssl_type, plugin, account_locked) ON mysql.user"
"""The right to read accounts, and nothing that a password is checked against."""

MOST: Final = 100
"""So many accounts get a statement of their own; one more writes those of the others."""

_WRITES_THE_OTHERS: Final = (
    "SELECT CONCAT('ALTER USER ', QUOTE(User), '@', QUOTE(Host), ' REQUIRE SSL;') FROM mysql.user"
    " WHERE ssl_type = '' AND account_locked = 'N'  -- writes the statements of all the others"
)
_LOOPBACK: Final = ("localhost", "127.", "::1")
_SOCKET_ONLY: Final = frozenset({"auth_socket", "unix_socket"})
_OLD: Final = frozenset({"mysql_native_password", "mysql_old_password", "sha256_password"})
_SENDS_THE_PASSWORD: Final = frozenset(
    {"authentication_ldap_simple", "authentication_pam", "auth_pam", "auth_pam_compat", "mysql_clear_password"}
)
_SENDS_BY_KEY: Final = frozenset({"caching_sha2_password", "sha256_password"})


def accounts(inventory: Inventory, posture: Posture) -> Iterator[Place]:
    """Sessions first: who they are has to be told before accounts are made to use TLS."""
    yield _sessions(inventory, posture)
    found = posture.transport.accounts
    if found is None:
        yield from _unknown(inventory)
    else:
        yield _without_tls(posture, found)
        yield _exchange(posture, found)
        yield _old(found)
        yield _anonymous(found)
    yield _empty(posture)


def _unknown(inventory: Inventory) -> Iterator[Place]:
    """What none of the accounts' places can say without their columns."""
    closes = (grant(inventory.server, ACCOUNT_COLUMNS),)
    for code, what, risk in (
        ("accounts-without-tls", "accounts without REQUIRE SSL", "they may connect in clear"),
        ("password-exchange", "passwords without TLS", "a password may travel so that others can read it"),
        ("old-authentication", "deprecated ways to log in", "a password may be guessed from what is on the network"),
        ("anonymous-accounts", "accounts without a name", "whoever reaches the server may log in"),
    ):
        yield Place(code, Area.TRANSIT, what, State.UNKNOWN, "mysql.user is not readable", risk, closes)


# -- who may ------------------------------------------------------------------------------------------


def _remote(account: Account) -> bool:
    return not account.host.lower().startswith(_LOOPBACK)


def may_be_in_clear(posture: Posture, found: Sequence[Account]) -> list[Account]:
    """Accounts that the server lets in over the network without TLS."""
    if posture.variables.get("skip_networking", "").upper() == "ON":
        return []
    if posture.variables.get("require_secure_transport", "").upper() == "ON":
        return []
    return _unrequired(found)


def _unrequired(found: Sequence[Account]) -> list[Account]:
    return [a for a in found if not a.requires and not a.locked and _remote(a) and a.plugin not in _SOCKET_ONLY]


def _without_tls(posture: Posture, found: Sequence[Account]) -> Place:
    code, what = "accounts-without-tls", "accounts without REQUIRE SSL"
    open_ones, clear = _unrequired(found), may_be_in_clear(posture, found)
    locked = sum(a.locked for a in found)
    local = sum(not a.locked and not a.requires and (not _remote(a) or a.plugin in _SOCKET_ONLY) for a in found)
    others = f"not counted: {locked} locked, {local} of this host only"
    if not open_ones:
        return Place(code, Area.TRANSIT, what, State.OK, f"none of {number(len(found), 'account')}; {others}")
    evidence = f"{len(open_ones)} of {number(len(found), 'account')} from other hosts: {few(open_ones)}; {others}"
    if not clear:
        why = "; require_secure_transport or skip_networking keeps them from it"
        return Place(code, Area.TRANSIT, what, State.OK, evidence + why)
    now: Counter[str] = Counter()
    for each in posture.transport.connected or ():
        now[each.user] += each.count if each.way == "TCP/IP" else 0
    closes = [_require(account, now[account.user]) for account in clear[:MOST]]
    closes += [_WRITES_THE_OTHERS] if len(clear) > MOST else []
    risk = "a client of theirs that does not ask for TLS sends and gets rows in clear"
    return Place(code, Area.TRANSIT, what, State.BAD, evidence, risk, tuple(closes))


def _require(account: Account, in_clear_now: int) -> str:
    note = f"  -- {number(in_clear_now, 'session')} of this name in clear now" if in_clear_now else ""
    return f"ALTER USER {_named(account)} REQUIRE SSL{note}"


def _named(account: Account) -> str:
    return account_text(f"{account.user}@{account.host}")


def _exchange(posture: Posture, found: Sequence[Account]) -> Place:
    code, what = "password-exchange", "passwords without TLS"
    clear = may_be_in_clear(posture, found)
    sends = [a for a in clear if a.plugin in _SENDS_THE_PASSWORD]
    if sends:
        evidence = f"{number(len(sends), 'account')} with {few(sorted({a.plugin for a in sends}))}: {few(sends)}"
        risk = "without TLS the password itself travels in clear, often that of a directory"
        closes = tuple(_require(account, 0) for account in sends[:MOST])
        return Place(code, Area.TRANSIT, what, State.CLEAR, evidence, risk, closes)
    by_key = [a for a in clear if a.plugin in _SENDS_BY_KEY]
    if by_key and posture.transport.rsa_key:
        evidence = (
            f"Caching_sha2_password_rsa_public_key is set; {number(len(by_key), 'account')} may use it without TLS"
        )
        risk = "a client that takes any public key gives its password to whoever answers in the server's place"
        closes = (
            "close accounts-without-tls or secure-transport",
            "in clients: allowPublicKeyRetrieval=false, no --get-server-public-key, GET_SOURCE_PUBLIC_KEY = 0",
        )
        return Place(code, Area.TRANSIT, what, State.BAD, evidence, risk, closes)
    return Place(code, Area.TRANSIT, what, State.OK, "no account may send its password without TLS")


def _old(found: Sequence[Account]) -> Place:
    code, what = "old-authentication", "deprecated ways to log in"
    old = [a for a in found if a.plugin in _OLD and not a.locked]
    if not old:
        return Place(code, Area.TRANSIT, what, State.OK, "none")
    evidence = f"{number(len(old), 'account')} with {few(sorted({a.plugin for a in old}))}: {few(old)}"
    risk = "mysql_native_password: what is on the network without TLS, and what is stored, are guessed fast (SHA-1)"
    closes = [f"ALTER USER {_named(a)} IDENTIFIED WITH caching_sha2_password BY '...'" for a in old[:MOST]]
    return Place(code, Area.TRANSIT, what, State.BAD, evidence, risk, tuple(closes))


def _anonymous(found: Sequence[Account]) -> Place:
    code, what = "anonymous-accounts", "accounts without a name"
    nameless = [a for a in found if not a.user and not a.locked]
    if not nameless:
        return Place(code, Area.TRANSIT, what, State.OK, "none")
    evidence = f"{len(nameless)}, from {few([a.host for a in nameless])}"
    risk = "whoever reaches the server may log in, by any name that has no account of its own"
    closes = tuple(f"DROP USER {_named(a)}" for a in nameless)
    return Place(code, Area.TRANSIT, what, State.BAD, evidence, risk, closes)


def _empty(posture: Posture) -> Place:
    code, what = "empty-passwords", "accounts without a password"
    risk = "whoever knows the name may log in"
    found = posture.transport.empty_passwords
    if found is None:
        why = "mysql.user.authentication_string is not readable, and better so: passwords are checked against it"
        closes = (
            "SELECT User, Host, plugin FROM mysql.user WHERE authentication_string = '' AND account_locked = 'N'"
            "  -- as root",
        )
        return Place(code, Area.TRANSIT, what, State.UNKNOWN, why, risk, closes)
    # Who has to show a certificate needs no password.
    open_ones = [a for a in found if a.requires not in {"X509", "SPECIFIED"}]
    if not open_ones:
        return Place(code, Area.TRANSIT, what, State.OK, "none")
    lock = tuple(f"ALTER USER {_named(a)} ACCOUNT LOCK  -- or IDENTIFIED BY '...'" for a in open_ones[:MOST])
    return Place(code, Area.TRANSIT, what, State.BAD, f"{len(open_ones)}: {few(open_ones)}", risk, lock)


# -- who does -----------------------------------------------------------------------------------------


def _sessions(inventory: Inventory, posture: Posture) -> Place:
    code, what = "sessions-in-clear", "sessions without TLS now"
    connected = posture.transport.connected
    risk = "their statements and rows can be read on the network"
    if connected is None:
        why = "performance_schema.threads is not readable, or performance_schema is OFF"
        return Place(code, Area.TRANSIT, what, State.UNKNOWN, why, risk, (grant(inventory.server, READ_STATUS),))
    ways = Counter({"TCP/IP": 0, "SSL/TLS": 0, "Socket": 0})
    for each in connected:
        ways[each.way] += each.count
    evidence = "CONNECTION_TYPE: " + ", ".join(f"{way} {count}" for way, count in ways.items())
    clear = [each for each in connected if each.way == "TCP/IP" and not each.sent_binlog]
    if not clear:
        return Place(code, Area.TRANSIT, what, State.ENCRYPTED, evidence)
    who = few([f"{each.user}@{each.host} {each.count}" for each in sorted(clear, key=lambda each: -each.count)])
    closes = (
        "let these clients ask for TLS (sslMode=VERIFY_IDENTITY, --ssl-mode=VERIFY_IDENTITY, with the authority's"
        " file) and connect anew; then close accounts-without-tls or secure-transport",
    )
    return Place(code, Area.TRANSIT, what, State.CLEAR, f"{evidence}; {who}", risk, closes)
