"""Steps as the journal has them now, with what only `status` asks of them: all in one statement."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from migrator.db import Session
from migrator.engine.journal import Journal
from migrator.engine.journal_steps import StepRow
from migrator.report.values import BacklogStatus
from migrator.sql.names import quote


@dataclass(frozen=True, slots=True)
class Noted:
    """One step, and how far it is."""

    step: StepRow
    copied: int
    """Rows of ranges that are not forgotten yet."""
    compared: int
    """Rows of those ranges that were compared whole."""
    seconds: float
    """Since it was begun, at work or not."""
    waiting: dict[str, Any]
    """What it waits for, or what a statement of the server's is at."""
    backlog: BacklogStatus


_MORE = """
    , backlog_entries, backlog_bytes, backlog_age, waiting,
    TIMESTAMPDIFF(MICROSECOND, started_at, UTC_TIMESTAMP(6)) / 1e6,
    COALESCE((SELECT SUM(rows_copied) FROM {at}.ranges WHERE step_id = steps.id), 0),
    COALESCE((SELECT SUM(rows_copied) FROM {at}.ranges WHERE step_id = steps.id AND verified), 0)
"""


def read_noted(
    session: Session, journal: Journal, condition: str, args: Sequence[object] = (), *, most: int = 2**31
) -> list[Noted]:
    """Every step that fits but rehearsals, oldest first, so many at most. One statement, no locks."""
    at = quote(journal.schema)
    rows = session.rows(
        f"SELECT {journal.columns}{_MORE.format(at=at)} FROM {at}.steps"
        f" WHERE kind <> 'rehearsal' AND ({condition}) ORDER BY id LIMIT {most}",
        args,
    )
    found = []
    for row in rows:
        entries, bytes_, age, waiting, seconds, copied, compared = row[-7:]
        found.append(
            Noted(
                step=journal.step_of(row),
                copied=int(copied),
                compared=int(compared),
                seconds=float(seconds),
                waiting=json.loads(waiting) if waiting else {},
                backlog=BacklogStatus(int(entries), int(bytes_), float(age)),
            )
        )
    return found
