"""What sessions execute, as the server normalises it: every value is a `?`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final

from migrator.db import Session
from migrator.inventory.ask import ask
from migrator.model import Blocker

LONGEST: Final = 200
"""So many characters of a statement are told."""

# What cannot be parsed (1064) is not normalised to its end. A session that was only pinged ran something before.
_STATEMENTS: Final = """
    SELECT t.PROCESSLIST_ID, t.PROCESSLIST_HOST, LEFT(s.DIGEST_TEXT, {longest}),
        IF(s.END_EVENT_ID IS NULL AND t.PROCESSLIST_COMMAND <> 'Sleep', FLOOR(s.TIMER_WAIT / 1e12), NULL),
        (SELECT LEFT(h.DIGEST_TEXT, {longest}) FROM performance_schema.events_statements_history AS h
            WHERE h.THREAD_ID = t.THREAD_ID AND h.DIGEST_TEXT IS NOT NULL AND h.MYSQL_ERRNO <> 1064
            AND h.NESTING_EVENT_LEVEL = 0 ORDER BY h.EVENT_ID DESC LIMIT 1)
    FROM performance_schema.threads AS t
    LEFT JOIN performance_schema.events_statements_current AS s
        ON s.THREAD_ID = t.THREAD_ID AND s.NESTING_EVENT_LEVEL = 0 AND s.MYSQL_ERRNO <> 1064
    WHERE t.PROCESSLIST_ID IN ({ids})
"""


def with_statements(session: Session, blockers: Collection[Blocker]) -> tuple[Blocker, ...]:
    """The same blockers with host and statement, as far as the server shows them to us. One statement, no locks."""
    ids = sorted({blocker.session_id for blocker in blockers if blocker.session_id})
    if not ids:
        return tuple(blockers)
    places = ", ".join(["%s"] * len(ids))
    found = ask(session, _STATEMENTS.format(longest=LONGEST, ids=places), ids) or []
    by_id = {int(id): (host, now, seconds, before) for id, host, now, seconds, before in found}

    def described(blocker: Blocker) -> Blocker:
        if blocker.session_id not in by_id:
            return blocker
        host, now, seconds, before = by_id[blocker.session_id]
        return replace(
            blocker,
            host=str(host or ""),
            statement=str(now or before or ""),
            statement_seconds=None if seconds is None or not now else max(0, int(seconds)),
        )

    return tuple(map(described, blockers))
