"""Settings that a place depends on: which servers have them since when, and what it means where one is absent. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from migrator.model import Flavour, Server
from migrator.posture import Posture

Version = tuple[int, int, int]

PERCONA: Final = frozenset({Flavour.PERCONA, Flavour.PXC})
MANAGED: Final = frozenset({Flavour.RDS, Flavour.AURORA})
"""Servers as a service: their disks are not ours to see, and encryption is a property of the instance."""

_MYSQL: Final = "https://dev.mysql.com/doc/refman/8.4/en/"
_PS: Final = "https://docs.percona.com/percona-server/8.0/"


@dataclass(frozen=True, slots=True)
class Setting:
    """A global variable. `percona`: only Percona Server and Percona XtraDB Cluster have it."""

    name: str
    since: Version
    page: str
    absent: str
    """What holds where the server does not know it."""
    percona: bool = False


SETTINGS: Final = (
    Setting("binlog_encryption", (8, 0, 14), _MYSQL + "replication-binlog-encryption.html", "nothing encrypts it"),
    Setting("innodb_redo_log_encrypt", (8, 0, 1), _MYSQL + "innodb-data-encryption.html", "nothing encrypts it"),
    Setting("innodb_undo_log_encrypt", (8, 0, 1), _MYSQL + "innodb-data-encryption.html", "nothing encrypts it"),
    Setting("default_table_encryption", (8, 0, 16), _MYSQL + "innodb-data-encryption.html", "new schemas are in clear"),
    Setting(
        "table_encryption_privilege_check",
        (8, 0, 16),
        _MYSQL + "innodb-data-encryption.html",
        "nothing keeps anybody from tables in clear",
    ),
    Setting("core_file", (8, 0, 14), _MYSQL + "server-system-variables.html", "only the option file tells"),
    Setting(
        "innodb_buffer_pool_in_core_file",
        (8, 0, 14),
        _MYSQL + "innodb-buffer-pool-in-core-file.html",
        "a core dump has the buffer pool",
    ),
    Setting("log_raw", (8, 0, 19), _MYSQL + "password-logging.html", "only the option file tells"),
    Setting(
        "innodb_sys_tablespace_encrypt",
        (8, 0, 16),
        _PS + "encrypting-system-tablespace.html",
        "no setting of this server encrypts it",
        percona=True,
    ),
    Setting(
        "innodb_temp_tablespace_encrypt",
        (8, 0, 16),
        _PS + "encrypting-temporary-files.html",
        "no setting of this server encrypts it",
        percona=True,
    ),
    Setting(
        "encrypt_tmp_files",
        (8, 0, 16),
        _PS + "encrypting-temporary-files.html",
        "no setting of this server encrypts them",
        percona=True,
    ),
    Setting(
        "innodb_encrypt_online_alter_logs",
        (8, 0, 16),
        _PS + "encrypting-temporary-files.html",
        "no setting of this server encrypts them",
        percona=True,
    ),
    Setting(
        "innodb_parallel_dblwr_encrypt",
        (8, 0, 16),
        _PS + "encrypting-doublewrite-buffers.html",
        "no setting of this server encrypts it before 8.0.23",
        percona=True,
    ),
)
"""Each with the page of its manual."""

_BY_NAME: Final = {setting.name: setting for setting in SETTINGS}


def is_on(posture: Posture, name: str) -> bool:
    """True if the variable exists and is ON, 1 or TRUE."""
    return posture.variables.get(name, "").upper() in {"ON", "1", "TRUE"}


def said(posture: Posture, *names: str) -> str:
    """What was read, as evidence: `a=ON, b=OFF`; of what is absent, what that means."""
    return ", ".join(_one(posture, name) for name in names)


def is_percona(server: Server) -> bool:
    """True for Percona Server and Percona XtraDB Cluster."""
    return server.flavour in PERCONA


def _one(posture: Posture, name: str) -> str:
    if name in posture.variables:
        return f"{name}={posture.variables[name] or chr(39) * 2}"
    setting = _BY_NAME.get(name)
    return f"there is no {name}" + (f": {setting.absent}" if setting else "")
