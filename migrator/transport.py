"""What travels between the server and others, as it was read: TLS, accounts, sessions, channels, clusters. Values.

`inventory/transport.py` reads them, `planner/posture/` judges them. No secret is in any of them, and no statement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Interface:
    """One way to the server, as performance_schema.tls_channel_status tells it."""

    name: str
    """`mysql_main` or `mysql_admin`."""
    enabled: bool
    versions: str = ""
    cipher: str = ""
    """The list for TLS 1.2 and older; empty: the server's own."""
    ciphersuites: str = ""
    """The list for TLS 1.3; empty: the server's own."""
    not_after: str = ""
    """As OpenSSL writes it: `Nov 20 07:12:03 2036 GMT`."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What the server shows of itself to whoever connects."""

    subject: str
    issuer: str
    common_name: str
    issuer_common_name: str
    not_before: datetime
    not_after: datetime
    key: str
    """`RSA`, `EC`, `Ed25519` ..."""
    key_bits: int
    signature: str
    """The digest that is signed: `sha256`; empty where the algorithm has none of its own."""
    names: tuple[str, ...]
    """Host names and addresses of the subjectAltName."""
    signed_by_itself: bool
    """True if its own key proves its signature, whatever its names say."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account, without anything that could help to log in as it."""

    user: str
    host: str
    requires: str
    """'' | ANY (REQUIRE SSL) | X509 | SPECIFIED"""
    plugin: str
    locked: bool

    def __str__(self) -> str:
        return f"{self.user}@{self.host}"


@dataclass(frozen=True, slots=True)
class Connected:
    """How many sessions of one account and host are connected in one way, at one moment."""

    user: str
    host: str
    way: str
    """`TCP/IP` is in clear; `SSL/TLS`, `Socket`, `Named Pipe`, `Shared Memory`."""
    count: int
    sent_binlog: bool = False
    """True if they are being sent the binary log."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A replication channel by which this server reads from another one."""

    name: str
    host: str
    port: int
    user: str
    tls: bool
    verifies: bool
    """True if the source's certificate has to name the host that we connect to (SOURCE_SSL_VERIFY_SERVER_CERT)."""
    ca: bool
    """True if an authority is named: a certificate of another one is refused."""
    takes_public_key: bool
    """True if it takes whatever public key the source sends (GET_SOURCE_PUBLIC_KEY)."""


@dataclass(frozen=True, slots=True)
class SstOptions:
    """The group [sst] of option files of this host, and which files were read."""

    files: tuple[str, ...] = ()
    encrypt: str = ""
    tmpdir: str = ""


@dataclass(frozen=True, slots=True)
class Transport:
    """What travels, and who may do so in clear. None: our account may not ask."""

    cipher: str = ""
    """Of our own connection; empty: it is in clear."""
    protocol: str = ""
    """Of our own connection: `TLSv1.3`."""
    by_socket: bool = False
    """True if we connect by a socket file, so that nothing of ours is on a network."""
    interfaces: tuple[Interface, ...] | None = None
    certificate: Certificate | None = None
    certificate_why: str = ""
    """Why there is none."""
    accounts: tuple[Account, ...] | None = None
    empty_passwords: tuple[Account, ...] | None = None
    connected: tuple[Connected, ...] | None = None
    channels: tuple[Channel, ...] | None = None
    plugins: frozenset[str] = frozenset()
    """Of those that make the server talk to others, the active ones: mysqlx, clone, group_replication."""
    x_not_after: str = ""
    """The end of the certificate of the X protocol; empty: it offers no TLS."""
    rsa_key: bool = False
    """True if the server has a key by which passwords are sent without TLS."""
    provider_options: Mapping[str, str] = field(default_factory=dict)
    """Options of the Galera provider that a place depends on."""
    sst_auth_set: bool | None = None
    """True if wsrep_sst_auth holds a user and a password; None: the server does not know the variable."""
    sst: SstOptions | None = None
    """None: the server's option files are not on this host, or cannot be read."""
    ndb_links: tuple[tuple[bool, int], ...] | None = None
    """Of the links between NDB's nodes, how many are encrypted and how many are not; None: not told."""
