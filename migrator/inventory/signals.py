"""What the server and its replicas suffer, as numbers: read, and not judged. Locks nothing.

Some statements of a millisecond each. Needs PROCESS, and SELECT on the journal's schema, also on replicas.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from migrator.db import Session
from migrator.model import Family
from migrator.sql.names import quote
from migrator.sql_errors import SqlError

QUERY_SECONDS: Final = 2.0
"""The throttle query may take so long."""

_REDO: Final = ("Innodb_redo_log_current_lsn", "Innodb_redo_log_checkpoint_lsn", "Innodb_redo_log_capacity_resized")
"""From 8.0.30 on."""
_MARIADB_REDO: Final = ("Innodb_checkpoint_age", "Innodb_checkpoint_max_age")
_HISTORY: Final = "Innodb_history_list_length"
"""Of MariaDB, from 10.5 on (manual: InnoDB Status Variables)."""
_SEQUENCE: Final = re.compile(r"^Log sequence number\s+(\d+)$", flags=re.MULTILINE)
_CHECKPOINT: Final = re.compile(r"^Last checkpoint at\s+(\d+)$", flags=re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The newest sign of life of a run that a server has, in seconds since 1970 by its source's clock."""

    beat: float
    now: float
    """When it was read, by the clock of the server that was asked."""
    source: str
    """The server_uuid of the server whose journal it is."""
    asked: str
    """That of the server that was asked."""


def read_counters(session: Session, names: Collection[str]) -> dict[str, float]:
    """Status counters that are numbers, by the names as they were asked for, as far as the server has them."""
    if not names:
        return {}
    places = ", ".join(["%s"] * len(names))
    rows = session.rows(f"SHOW GLOBAL STATUS WHERE Variable_name IN ({places})", tuple(names))
    wanted = {name.lower(): name for name in names}
    return {wanted[str(name).lower()]: float(value) for name, value in rows if _is_number(str(value))}


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) is not None


def read_history_list(session: Session) -> float | None:
    """Transactions whose old row versions are not purged yet; None where the server does not count them."""
    if session.family is Family.MARIADB:
        return read_counters(session, [_HISTORY]).get(_HISTORY)
    row = session.row("SELECT COUNT, STATUS FROM information_schema.INNODB_METRICS WHERE NAME = 'trx_rseg_history_len'")
    return float(row[0]) if row is not None and str(row[1]).lower() == "enabled" else None


def read_checkpoint_age(session: Session) -> float | None:
    """How much of the redo log's capacity waits for a checkpoint, from 0 to 1."""
    if session.family is Family.MARIADB:
        found = read_counters(session, _MARIADB_REDO)
        age, most = (found.get(name) for name in _MARIADB_REDO)
        return age / most if age is not None and most else None
    found = read_counters(session, _REDO)
    if len(found) == len(_REDO):
        current, checkpoint, capacity = (found[name] for name in _REDO)
        return max(0.0, current - checkpoint) / capacity if capacity else None
    try:
        row = session.row("SELECT @@innodb_log_file_size * @@innodb_log_files_in_group")
        text = session.row("SHOW ENGINE INNODB STATUS")
    except SqlError:
        return None
    age = checkpoint_age_from(str(text[2])) if text else None
    return age / float(row[0]) if age is not None and row and row[0] else None


def checkpoint_age_from(text: str) -> float | None:
    """Bytes between the end of the log and the last checkpoint, from SHOW ENGINE INNODB STATUS. Pure."""
    sequence, checkpoint = _SEQUENCE.search(text), _CHECKPOINT.search(text)
    return float(sequence[1]) - float(checkpoint[1]) if sequence and checkpoint else None


def read_free_disk(session: Session) -> tuple[float | None, str]:
    """Free bytes where the server's data lie, or None and why that is not known.

    Only a server on this machine can be asked: its name is this machine's, and its folder is here.
    """
    hostname, datadir = session.row("SELECT @@hostname, @@datadir") or ("", "")
    if str(hostname) != socket.gethostname() or not Path(str(datadir)).is_dir():
        return None, "the server is not on this machine"
    try:
        free = os.statvfs(str(datadir))
    except OSError as error:
        return None, error.strerror or "the folder cannot be read"
    return float(free.f_bavail * free.f_frsize), ""


def ask_query(session: Session, query: str) -> bool:
    """True if the query's first value is, as the server sees it. In a READ ONLY transaction, and not for long.

    Raises `SqlError`.
    """
    session.run(f"SET SESSION max_execution_time = {QUERY_SECONDS * 1000:.0f}")
    session.run("START TRANSACTION READ ONLY")
    try:
        row = session.row(query.replace("%", "%%"))
    finally:
        with suppress(SqlError):
            session.run("ROLLBACK")
            session.run("SET SESSION max_execution_time = 0")
    return row is not None and is_true(row[0])


def is_true(value: object) -> bool:
    """As a WHERE clause takes it: neither NULL nor zero, nor a text that does not begin with a number."""
    if value is None:
        return False
    if isinstance(value, bytes | str):
        text = value.decode("ascii", "replace") if isinstance(value, bytes) else value
        found = re.match(r"\s*[-+]?[0-9]*\.?[0-9]+", text)
        return found is not None and float(found[0]) != 0
    return bool(value)


def read_heartbeat(session: Session, journal_schema: str) -> Heartbeat | None:
    """The newest heartbeat that this server has of the journal's lease; None where there is none."""
    at = quote(journal_schema)
    row = session.row(
        "SELECT l.heartbeat_at, UTC_TIMESTAMP(6), m.server_uuid, @@server_uuid"
        f" FROM {at}.lease AS l JOIN {at}.meta AS m ON m.id = 1 WHERE l.id = 1"
    )
    if row is None:
        return None
    return Heartbeat(_seconds(row[0]), _seconds(row[1]), str(row[2]), str(row[3]))


def _seconds(at: datetime) -> float:
    return at.replace(tzinfo=UTC).timestamp()


def unknown_counters(found: Mapping[str, float], wanted: Collection[str]) -> list[str]:
    """Those that were asked for and are no numbers of this server's."""
    return sorted(set(wanted) - set(found))
