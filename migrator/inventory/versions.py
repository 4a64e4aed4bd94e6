"""What differs between server versions: decided here, and nowhere else. Pure.

The words of replication changed in 8.0.22 and the old ones went away in 8.4 (SHOW MASTER STATUS: 8.2
has both). Tables of performance_schema are named only for versions that have them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from migrator.errors import Refused
from migrator.model import Family, Flavour

Version = tuple[int, int, int]

OLDEST: Final[Version] = (8, 0, 16)
"""The first with encryption of schemas and of the `mysql` tablespace, and with CHECK constraints."""

OLDEST_MARIADB: Final[Version] = (10, 6, 0)
"""The first with ignored indexes (STATISTICS.IGNORED), and the oldest that its makers still mend."""


@dataclass(frozen=True, slots=True)
class Statements:
    """The statements of one version. `keyring_component` is empty where there are no components yet."""

    replica_status: str
    replicas: str
    binlog_status: str
    processes: str
    """Id, user, host, command and seconds of every session; never what it executes."""
    keyring_component: str


MARIADB: Final = Statements(
    # Of all connections; SHOW REPLICA STATUS is of one (manual: SHOW REPLICA STATUS).
    replica_status="SHOW ALL SLAVES STATUS",
    replicas="SHOW SLAVE HOSTS",
    binlog_status="SHOW MASTER STATUS",
    processes="SELECT ID, USER, HOST, COMMAND, TIME FROM information_schema.PROCESSLIST",
    keyring_component="",
)
"""MariaDB's, all versions that are read."""


def statements(version: Version, *, performance_schema: bool, family: Family = Family.MYSQL) -> Statements:
    """The statements that this version knows; `performance_schema` says if that is switched on."""
    if family is Family.MARIADB:
        return MARIADB
    new_words = version >= (8, 0, 22)
    # Reading information_schema.PROCESSLIST holds a mutex that every new connection needs.
    processes = "information_schema.PROCESSLIST"
    if new_words and performance_schema:
        processes = "performance_schema.processlist"
    return Statements(
        replica_status="SHOW REPLICA STATUS" if new_words else "SHOW SLAVE STATUS",
        replicas="SHOW REPLICAS" if new_words else "SHOW SLAVE HOSTS",
        binlog_status="SHOW BINARY LOG STATUS" if version >= (8, 2, 0) else "SHOW MASTER STATUS",
        processes=f"SELECT ID, USER, HOST, COMMAND, TIME FROM {processes}",
        keyring_component=(
            "SELECT STATUS_KEY, STATUS_VALUE FROM performance_schema.keyring_component_status"
            if version >= (8, 0, 24)
            else ""
        ),
    )


def must_be_readable(flavour: Flavour, version: Version, version_text: str) -> None:
    """Raise `Refused` for a server whose catalog differs too much to be read."""
    # A managed MariaDB counts as managed first.
    oldest = OLDEST_MARIADB if "mariadb" in version_text.lower() else OLDEST
    if version < oldest:
        raise Refused(
            f"this server is too old to be read: {version_text}",
            remedy=_managed(flavour) or f"upgrade to {'.'.join(map(str, oldest))} or newer",
        )


def _managed(flavour: Flavour) -> str:
    """Where tables are not what is encrypted, their catalog does not matter."""
    if flavour not in {Flavour.RDS, Flavour.AURORA, Flavour.NDB}:
        return ""
    return f"nothing is encrypted per table there: migrator runbook {flavour} --blank says what is done instead"
