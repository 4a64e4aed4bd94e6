"""Transactions that are older than what is about to happen: wait them out, and name them."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from migrator.engine.aside import OLDER
from migrator.engine.evict import evict
from migrator.engine.work import Work
from migrator.inventory.statements import with_statements
from migrator.inventory.transactions import begin_witness, nobody_is_in_a_transaction, read_if_fresh
from migrator.model import Blocker

LOOK_EVERY_SECONDS: Final = 0.15
"""The server renews the list only after a tenth of a second without readers: asked more often it never changes."""

TELL_EVERY_SECONDS: Final = 2.0


def wait_out_older(work: Work, reason: str) -> str:
    """Return '' when no transaction is open that was open when this began; after `swap_wait_seconds` who still is.

    Raises `PutAside` before that where others are to be done. Where the plan asks for it, sessions are ended.

    A marker transaction of our own shows that the list was made after it began. Threads of a run that ask at the
    same time wait together (`Rounds`). Locks nothing.
    """
    work.checkpoint()
    if nobody_is_in_a_transaction(work.session, work.lease.purpose):
        return ""
    began = work.clock.monotonic()
    who = work.sessions.rounds.one(lambda: _wait(work, reason))
    if who:
        # Not within the round: all who wait in it let others go first.
        work.let_others_go_first(OLDER, reason, work.clock.monotonic() - began + work.patience.before(OLDER))
    return who


def _wait(work: Work, reason: str) -> str:
    before = work.patience.before(OLDER)
    began, told = work.clock.monotonic() - before, before
    with work.open() as marker:
        begin_witness(marker)
        older: set[tuple[int, datetime]] | None = None
        while True:
            work.checkpoint(throttled=False)
            now = read_if_fresh(work.session, marker.id)
            if now is not None:
                # Not by id: a transaction gets another one when it writes for the first time. Without a session
                # it is a prepared one: it can be committed or rolled back, but read nothing any more.
                others = {(one.session_id, one.started) for one in now if one.session_id}
                older = others if older is None else older & others
                if not older:
                    marker.run("COMMIT")
                    return ""
            waited = work.clock.monotonic() - began
            if waited > work.limits.swap_wait_seconds or work.patience.is_over(OLDER, waited):
                marker.run("COMMIT")
                return ", ".join(f"session {b.session_id} ({b.user})" for b in _name(work, older)) or "unknown sessions"
            if waited - told > TELL_EVERY_SECONDS:
                told = waited
                work.waits(reason, waited, evict(work, work.session, _name(work, older), waited))
            work.clock.wait(work.stop, LOOK_EVERY_SECONDS)


def _name(work: Work, older: set[tuple[int, datetime]] | None) -> tuple[Blocker, ...]:
    ids = sorted(session_id for session_id, _ in older or ())
    if not ids:
        return ()
    rows = work.session.rows(
        "SELECT PROCESSLIST_ID, PROCESSLIST_USER, PROCESSLIST_TIME FROM performance_schema.threads"
        f" WHERE PROCESSLIST_ID IN ({', '.join(['%s'] * len(ids))})",
        ids,
    )
    found = [Blocker(int(i), str(user or ""), int(seconds or 0), "long-transaction") for i, user, seconds in rows]
    return with_statements(work.session, found)
