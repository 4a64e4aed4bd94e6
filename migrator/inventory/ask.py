"""Asking where the account may not be allowed to: the answer, or None, so that the caller fails closed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from migrator.db import Row, Session
from migrator.sql_errors import SqlError

DENIED: Final = frozenset({1044, 1142, 1143, 1227})
"""Access denied: to a schema, a table, a column, for want of a global privilege."""


def ask(
    session: Session, statement: str, args: Sequence[object] = (), *, denied: frozenset[int] = DENIED
) -> list[Row] | None:
    """The rows, or None if our account may not read them. Raises `SqlError` for every other reason."""
    try:
        return session.rows(statement, args)
    except SqlError as error:
        if error.number not in denied:
            raise
        return None
