"""The files of all tablespaces as the catalog knows them: to whom they belong, and whether they are encrypted.

Joined by the number SPACE, not by name. Beside them the names of the master keys that the keyring has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from migrator.db import Row, Session
from migrator.inventory.ask import ask
from migrator.inventory.filenames import InnodbName, innodb_name
from migrator.model import Family, TableName
from migrator.sql.rotate import Which

_FILES: Final = (
    "SELECT FILE_ID, FILE_NAME, FILE_TYPE, TABLESPACE_NAME FROM information_schema.FILES WHERE ENGINE = 'InnoDB'"
)
_SPACES: Final = (
    "SELECT SPACE, NAME, SPACE_TYPE, ENCRYPTION, PAGE_SIZE, ZIP_PAGE_SIZE FROM information_schema.INNODB_TABLESPACES"
)
_TABLES: Final = "SELECT TABLE_ID, NAME, SPACE FROM information_schema.INNODB_TABLES ORDER BY TABLE_ID"
_KEYS: Final = "SELECT KEY_ID FROM performance_schema.keyring_keys WHERE KEY_ID LIKE 'INNODBKey-%%'"
_LOG_KEYS: Final = "SELECT KEY_ID FROM performance_schema.keyring_keys WHERE KEY_ID LIKE 'MySQLReplicationKey\\_%%'"
_PAGE_BYTES: Final = "SELECT @@innodb_page_size"
_PLACES: Final = (
    "datadir",
    "innodb_data_home_dir",
    "innodb_undo_directory",
    "innodb_log_group_home_dir",
    "innodb_doublewrite_dir",
    "innodb_temp_tablespaces_dir",
    "innodb_tmpdir",
    "tmpdir",
    "replica_load_tmpdir",
    "log_bin_basename",
    "relay_log_basename",
    "slow_query_log_file",
    "general_log_file",
)
_VARIABLES: Final = f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({', '.join(['%s'] * len(_PLACES))})"
_ATTEMPTS: Final = 6


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of a tablespace."""

    space: int
    path: str
    """As the server says it: from its datadir, or from the root."""
    tablespace: str
    kind: str
    """SPACE_TYPE, and for what has none the type of the file: 'Single', 'General', 'System', 'Undo', 'TEMPORARY'."""
    encrypted: bool
    page_bytes: int
    first: bool = True
    """The tablespace begins in it; ibdata may have several files."""
    tables: tuple[TableName, ...] = ()
    """Whose rows are in it, or words of whose FULLTEXT indexes."""
    partition: str = ""
    fulltext: bool = False


def read_files(session: Session) -> tuple[DataFile, ...]:
    """Every file of InnoDB, with four statements. Reads only; wants PROCESS. Not for use inside a transaction.

    The server takes a shared metadata lock on one table after the other, for an instant each: behind DDL
    that waits itself this is tried again for about ten seconds.
    """
    files = session.transaction(lambda again: again.rows(_FILES), attempts=_ATTEMPTS)
    spaces = session.transaction(lambda again: again.rows(_SPACES), attempts=_ATTEMPTS)
    tables = session.transaction(lambda again: again.rows(_TABLES), attempts=_ATTEMPTS)
    return files_from(files, spaces, tables, int(session.value(_PAGE_BYTES)))


def read_master_keys(session: Session) -> frozenset[str] | None:
    """The names of InnoDB's master keys in the keyring, of keys never the bytes; None if we may not see them."""
    keys = ask(session, _KEYS) if session.family is Family.MYSQL else None
    return None if keys is None else frozenset(str(name) for (name,) in keys)


def read_key_names(session: Session, which: Which) -> frozenset[str] | None:
    """As `read_master_keys`; of the binary log, where `which` says so."""
    if which == "innodb":
        return read_master_keys(session)
    keys = ask(session, _LOG_KEYS)
    return None if keys is None else frozenset(str(name) for (name,) in keys)


def read_places(session: Session) -> dict[str, str]:
    """Where the server keeps files, by the variables' names; those that are not set are left out."""
    return {str(name): str(value) for name, value in session.rows(_VARIABLES, _PLACES) if value}


def files_from(
    file_rows: Iterable[Row], space_rows: Iterable[Row], table_rows: Iterable[Row], server_page_bytes: int
) -> tuple[DataFile, ...]:
    """Put together what was read. Pure."""
    spaces = {int(row[0]): row for row in space_rows}
    # FILE_ID is NULL while an ALTER TABLESPACE is at work. Then the name has to do; the file's own number proves it.
    by_name = {_text(row[1]): space for space, row in spaces.items() if _text(row[2]) == "General"}
    names: dict[int, list[InnodbName]] = defaultdict(list)
    owners: dict[int, TableName] = {}
    for table_id, name, space in table_rows:
        what = innodb_name(_text(name))
        if what is not None:
            names[int(space)].append(what)
            owners[int(table_id)] = what.table
    found: list[DataFile] = []
    seen: set[int] = set()
    for file_id, path, file_type, name in file_rows:
        number = by_name.get(_text(name)) if file_id is None else int(file_id)
        if number is None:
            continue
        space = number
        row = spaces.get(space)
        inside = names.get(space, [])
        found.append(
            DataFile(
                space=space,
                path=_text(path),
                tablespace=_text(row[1]) if row else "innodb_system" if space == 0 else "",
                kind=_text(row[2]) if row else "System" if space == 0 else _text(file_type),
                encrypted=bool(row) and _text(row[3] or "N").upper() == "Y",  # type: ignore[index]
                page_bytes=int((row[5] or row[4]) if row else 0) or server_page_bytes,
                first=space not in seen,
                tables=tuple(dict.fromkeys(owners.get(what.fulltext_of or 0, what.table) for what in inside)),
                partition=inside[0].partition if len(inside) == 1 else "",
                fulltext=any(what.fulltext_of is not None for what in inside),
            )
        )
        seen.add(space)
    return tuple(found)


def _text(value: object) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
