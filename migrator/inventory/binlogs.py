"""The binary logs that the server still has, and which of them are encrypted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from migrator.db import Row, Session
from migrator.inventory.ask import DENIED, ask

_NOT_ON: Final = frozenset({1381})
"""The server writes no binary log."""


@dataclass(frozen=True, slots=True)
class BinaryLogs:
    """How many files, and how large."""

    files: int = 0
    bytes: int = 0
    clear_files: int = 0
    clear_bytes: int = 0
    is_on: bool = True


def read_binary_logs(session: Session) -> BinaryLogs | None:
    """The list of binary logs; None if our account may not see it (REPLICATION CLIENT). Reads only.

    The server holds its lock on the list for as long as it takes to look at each file's size and header.
    """
    found = ask(session, "SHOW BINARY LOGS", denied=DENIED | _NOT_ON)
    if found is None:
        is_on = str(session.value("SELECT @@GLOBAL.log_bin")) not in {"0", "OFF"}
        return None if is_on else BinaryLogs(is_on=False)
    return binary_logs_of(found)


def binary_logs_of(rows: Iterable[Row]) -> BinaryLogs:
    """From rows of SHOW BINARY LOGS: name, size, and from 8.0.14 `Encrypted`. Pure."""
    logs = [(int(row[1]), len(row) > 2 and str(row[2]) == "Yes") for row in rows]
    clear = [size for size, encrypted in logs if not encrypted]
    return BinaryLogs(len(logs), sum(size for size, _ in logs), len(clear), sum(clear))
