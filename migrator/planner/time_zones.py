"""What is computed from an instant: other values in another session's time zone.

Pure. The server computes generated columns, functional indexes and CHECK constraints in the time zone of the
session that writes or reads. Ours are in UTC, and so would be what an index of the copy holds; the application
would look for other values, and find no entry to update or to delete (seen on 9.7.4).
"""

from __future__ import annotations

import re
from typing import Final

from migrator.model import Table
from migrator.sql.names import quote

_ASKS: Final = re.compile(r"\b(?:from_unixtime|unix_timestamp)\(")
"""Functions whose results depend on the session's time zone, whatever they are given."""


def timestamp_columns(table: Table) -> tuple[str, ...]:
    """The names of its TIMESTAMP columns that are copied."""
    return tuple(c.name for c in table.columns if c.data_type == "timestamp" and not c.generated)


def computed_in_a_time_zone(table: Table) -> tuple[str, ...]:
    """Generated columns, indexes and CHECK constraints that a TIMESTAMP or a time zone decides on, as words.

    By the names in their expressions, which the catalog spells in backticks as whoever made them did. A text
    in an expression that has such a name in backticks counts too: one table too many is refused, none too few.
    """
    instants = [quote(c.name).replace("%%", "%").casefold() for c in table.columns if c.data_type == "timestamp"]

    def depends(expression: str) -> bool:
        folded = expression.casefold()
        return _ASKS.search(folded) is not None or any(name in folded for name in instants)

    columns = [
        f"column {c.name}"
        for c in table.columns
        if c.generated and (c.data_type == "timestamp" or depends(c.expression))
    ]
    indexes = [f"index {key.name}" for key in table.keys if any(depends(part.expression) for part in key.parts)]
    checks = [f"check {check.name}" for check in table.checks if depends(check.expression)]
    return (*columns, *indexes, *checks)
