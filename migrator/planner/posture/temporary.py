"""What queries and DDL keep aside on disk. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from migrator.model import Inventory, TablespaceKind
from migrator.planner.posture.below import disk_below, encrypted_below
from migrator.planner.posture.code import Code
from migrator.planner.posture.settings import is_on, said
from migrator.planner.units import about
from migrator.posture import Area, Place, Posture, State

_PERCONA: Final = "Percona Server and Percona XtraDB Cluster; on MySQL only an encrypted file system below closes it"

TEMPORARY: Final = Code(
    "temporary-tablespace",
    Area.AT_REST,
    "temporary tablespace",
    "`ibtmp1`: the old values of rows in temporary tables.",
    "rows that queries keep aside can be read in it, also those of encrypted tables",
    "Percona Server: `innodb_temp_tablespace_encrypt`. MySQL has no setting; a restart makes the file anew",
    _PERCONA,
)
SESSION_TEMPORARY: Final = Code(
    "session-temporary-tablespaces",
    Area.AT_REST,
    "temporary tablespaces of sessions",
    "`#innodb_temp/*.ibt`: temporary tables that people make, and those of queries that do not fit into memory.",
    "rows that queries keep aside can be read in them, also those of encrypted tables",
    "Percona Server: `innodb_temp_tablespace_encrypt`. MySQL has no setting: an encrypted file system below",
    _PERCONA,
)
TMP_FILES: Final = Code(
    "temporary-files",
    Area.AT_REST,
    "temporary files",
    "`tmpdir`: large sorts, the cache of the binary log (encrypted with `binlog_encryption`), temporary tables in"
    " memory that are mapped to files.",
    "rows that are sorted lie there in clear, deleted files that are still open among them",
    "Percona Server: `encrypt_tmp_files`. MySQL has no setting: `tmpdir` in an encrypted file system, or in memory with"
    " encrypted swap",
    _PERCONA,
)
ALTER_LOGS: Final = Code(
    "online-alter-files",
    Area.AT_REST,
    "files of online DDL",
    "`innodb_tmpdir` (else `tmpdir`): rows that are sorted for a new index, and the log of changes meanwhile.",
    "while an index is made, rows of the table lie there in clear, also those of encrypted tables",
    "Percona Server: `innodb_encrypt_online_alter_logs`. MySQL has no setting: as for temporary files",
    _PERCONA,
)
CODES: Final = (
    TEMPORARY,
    SESSION_TEMPORARY,
    TMP_FILES,
    ALTER_LOGS,
)


def temporary(inventory: Inventory, posture: Posture) -> Iterator[Place]:
    """Temporary tablespaces, temporary files, files of online DDL."""
    setting = "innodb_temp_tablespace_encrypt"
    size = sum(s.file_bytes for s in inventory.tablespaces if s.kind is TablespaceKind.TEMPORARY)
    spaces = (
        (TEMPORARY, setting, f"; ibtmp1 has {about(size)}", ("datadir", "innodb_data_home_dir"), False),
        (SESSION_TEMPORARY, setting, "", ("datadir", "innodb_temp_tablespaces_dir"), False),
        (TMP_FILES, "encrypt_tmp_files", _paths(posture, "tmpdir"), ("tmpdir",), True),
        (ALTER_LOGS, "innodb_encrypt_online_alter_logs", _paths(posture, "innodb_tmpdir", "tmpdir"), (), False),
    )
    for code, name, more, paths, restart in spaces:
        alter = ("innodb_tmpdir",) if posture.variables.get("innodb_tmpdir") else ("tmpdir",)
        below = encrypted_below(posture.host, *(paths or alter))
        evidence = said(posture, name) + more
        if is_on(posture, name):
            yield code.place(State.ENCRYPTED, evidence)
        elif below:
            yield code.place(State.ENCRYPTED, f"not by the server; {below}")
        elif name in posture.variables and restart:
            yield code.place(State.CLEAR, evidence, f"-- {name} = ON in the option file, then restart", restart=True)
        elif name in posture.variables:
            yield code.place(State.CLEAR, evidence, f"SET PERSIST {name} = ON;")
        else:
            yield code.place(State.CLEAR, evidence, disk_below(posture, *(paths or alter)[:1]), restart=True)


def _paths(posture: Posture, *names: str) -> str:
    return "".join(f"; {name}={posture.variables[name]}" for name in names if posture.variables.get(name))
