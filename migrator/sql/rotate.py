"""Rotation of master keys: the statements, and how the server names its keys."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal

from migrator.sql.statement import Sql

Which = Literal["innodb", "binlog"]
"""Whose master key: that of InnoDB's tablespaces and logs, or that of the binary and relay logs."""

WHAT: Final[dict[Which, str]] = {"innodb": "InnoDB master key", "binlog": "binary log master key"}


def rotate(which: Which) -> Sql:
    """Makes a new master key, and locks every key of a file with it. No page of data is written anew.

    `innodb`: waits until no DDL statement is at work, and new ones wait behind it (the backup lock: shared, and an
    intention to write under it), also for LOCK INSTANCE FOR BACKUP and FLUSH TABLES WITH READ LOCK. Rows are read and
    written meanwhile. It is in the binlog. `binlog`: waits for none of these (seen on 9.7.4), begins a new binlog,
    gives every older one that is encrypted the new key, and drops the old key from the keyring. It is in no binlog.
    Manual: ALTER INSTANCE Statement; Binary Log Master Key Rotation. Not idempotent: each makes one more key.
    """
    return Sql(
        {"innodb": "ALTER INSTANCE ROTATE INNODB MASTER KEY", "binlog": "ALTER INSTANCE ROTATE BINLOG MASTER KEY"}[
            which
        ]
    )


def key_prefix(which: Which, server_uuid: str) -> str:
    """How the names of a server's master keys begin; a number follows."""
    return {"innodb": f"INNODBKey-{server_uuid}-", "binlog": f"MySQLReplicationKey_{server_uuid}_"}[which]


def newest_key(names: Collection[str], which: Which, server_uuid: str) -> str:
    """The name of the master key of this server that was made last; '' if there is none."""
    prefix = key_prefix(which, server_uuid)
    numbers = [
        int(name[len(prefix) :]) for name in names if name.startswith(prefix) and name[len(prefix) :].isdecimal()
    ]
    return f"{prefix}{max(numbers)}" if numbers else ""
