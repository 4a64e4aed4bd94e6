"""What the server says no with: an error number to decide by, and a text without values of rows.

The numbers are those of the manual (MySQL Error Message Reference): 2000 to 2999 are the client's own.
"""

from __future__ import annotations

import re
from typing import Final

LINK_LOST: Final = frozenset({0, 1053, 1080, 1152, 1158, 1160, 1161, 2006, 2013, 2055, 4031})
"""The connection is gone: what was sent last may or may not have happened. Look first."""

LOCK_WAIT: Final = 1205
"""A lock was not got in time; the statement did nothing."""

TRY_AGAIN: Final = frozenset({LOCK_WAIT, 1213, 3572, 3101, 1180})
"""Nothing happened; the same transaction may be tried again (1213 deadlock, 3572 NOWAIT, 3101, 1180 certification)."""

TOO_LARGE: Final = frozenset({1197, 3100})
"""The transaction is rolled back: it is too large for the binlog's cache (1197), or a hook at its commit refused it,
that of a group for example, which has its own limit or is lost (3100)."""

READ_ONLY: Final = 1290
"""An option of the server prevents the statement: read_only or super_read_only, when it was not so before."""

INTERRUPTED: Final = frozenset({1317, 3024})
"""Somebody ended the statement (KILL QUERY, max_execution_time)."""

DEPRECATED: Final = frozenset({1287, 1681, 3719, 3720, 3778})
"""Warnings about what a statement says (a deprecated character set, say), not about what it did."""

_DUPLICATE: Final = 1062

# fmt: off
_NAMES_IN_QUOTES: Final = frozenset({
    1007, 1008, 1044, 1045, 1046, 1049, 1050, 1051, 1054, 1072, 1075, 1091, 1099, 1100, 1103, 1105, 1130,
    1142, 1143, 1146, 1178, 1193, 1227, 1231, 1235, 1273, 1290, 1305, 1347, 1356, 1359, 1360, 1370, 1410,
    1419, 1449, 1478, 1553, 1813, 1814, 1836, 1846, 1881, 3098, 3119, 3120, 3183, 3185, 3221, 3235, 3675,
    3823, 3825, 3826, 3827, 3828, 3829, 3830, 3832, 3980, 4035
})
# fmt: on
"""Errors whose quoted words are names of objects or options. In all others they may be values of rows."""


class SqlError(Exception):
    """The server (or the link to it) said no. Decide by `number`; the text holds no values of rows."""

    def __init__(self, number: int, text: str, statement: str = "") -> None:
        super().__init__(f"[{number}] {text}" + (f" in: {statement}" if statement else ""))
        self.number = number
        self.text = text

    @property
    def link_lost(self) -> bool:
        """True if nobody knows whether the statement happened."""
        return self.number in LINK_LOST


def without_values(number: int, text: str) -> str:
    """The server's message, with whatever may be a value of a row taken out."""
    if number == _DUPLICATE:
        return "Duplicate entry for key " + text.rsplit("for key ", 1)[-1]
    if number in _NAMES_IN_QUOTES or 2000 <= number < 3000:
        return text
    return re.sub(r"'.*'|\".*\"", "'...'", text, flags=re.DOTALL)
