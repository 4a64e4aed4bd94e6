"""What was written in clear before the logs were encrypted, and is still there: binary logs, undo tablespaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from migrator.db import Session
from migrator.inventory.ask import DENIED, ask

_NO_BINLOG: Final = 1381

_UNDO: Final = (
    "SELECT NAME, SPACE FROM information_schema.INNODB_TABLESPACES WHERE SPACE_TYPE = 'Undo' AND STATE = 'active'"
    " ORDER BY SPACE DESC"
)


@dataclass(frozen=True, slots=True)
class OldBinlogs:
    """Binary logs in clear, oldest first, and the first one after them; '' if the newest is in clear, too."""

    plain: tuple[str, ...] = ()
    first_kept: str = ""


def read_old_binlogs(session: Session) -> OldBinlogs:
    """By the column Encrypted of SHOW BINARY LOGS (8.0.14); none where our account may not see them. Reads only."""
    return old_binlogs(ask(session, "SHOW BINARY LOGS", denied=DENIED | {_NO_BINLOG}) or ())


def old_binlogs(rows: Sequence[Sequence[Any]]) -> OldBinlogs:
    """The same, of the rows of SHOW BINARY LOGS. Pure."""
    plain = [number for number, row in enumerate(rows) if len(row) > 2 and str(row[2]).upper() == "NO"]
    if not plain:
        return OldBinlogs()
    after = rows[plain[-1] + 1 :]
    return OldBinlogs(tuple(str(rows[number][0]) for number in plain), str(after[0][0]) if after else "")


def read_undo_spaces(session: Session) -> dict[str, int]:
    """The undo tablespaces that are in use, and their numbers: whichever was emptied since has another (9.7.4)."""
    return {str(name): int(space) for name, space in ask(session, _UNDO) or ()}


def not_emptied(before: Mapping[str, int], now: Mapping[str, int]) -> tuple[str, ...]:
    """Undo tablespaces that are the same ones as then. Pure."""
    return tuple(name for name, space in now.items() if before.get(name) == space)
