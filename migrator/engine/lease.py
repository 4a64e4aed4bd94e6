"""The lease: one run at a time on one server, and a run that slept too long changes nothing more.

A row in the journal with a token that only grows. Taking it over from a run whose heartbeat has stopped
first raises the token, then ends every session of that run by its connection attribute, and waits until
they are gone; a session that it opens later meets the guard, which reads the token before anything else.
So a process that was stopped and goes on cannot send one statement that changes anything.

All that needs a server that shows the connection attributes. A run looks at its own when it begins and notes
in the lease whether it can be found by them; from one that cannot, nobody takes over. On MariaDB, which does not show
them as it comes, a run does nothing but set settings that the next one looks at: it takes over when the time is up.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
from types import TracebackType
from typing import Final

from migrator.clock import Clock
from migrator.db import Session
from migrator.engine.journal import Journal
from migrator.errors import Failed, LeaseHeld, LeaseLost, MigratorError
from migrator.model import Family
from migrator.planner.control import Control
from migrator.planner.failover import no_source_any_more
from migrator.sql.names import quote
from migrator.sql_errors import READ_ONLY, SqlError

LEASE_SECONDS: Final = 30.0
"""How long a lease is good without a heartbeat, by the server's clock."""

BEAT_SECONDS: Final = 1.0
"""Between heartbeats; also how soon `pause` is noticed."""

_ENDING_SECONDS: Final = 60.0
_GONE_WITHIN_SECONDS: Final = 3.0
_NO_SUCH_THREAD: Final = 1094


def new_run_id() -> str:
    """Twelve random hex digits."""
    return secrets.token_hex(6)


def purpose_of(run_id: str) -> str:
    """The program name (a connection attribute) of every session of a run, by which a takeover finds them."""
    return f"migrator:{run_id}"


def sessions_of(session: Session, run_id: str) -> list[int]:
    """The sessions of a run, of whatever account and from whatever host; a run or dry run at work has some. No locks.

    Not session_account_connect_attrs: that shows only sessions from our own client host (seen on 9.7.4).
    """
    rows = session.rows(
        "SELECT PROCESSLIST_ID FROM performance_schema.session_connect_attrs"
        " WHERE ATTR_NAME = 'program_name' AND ATTR_VALUE = %s",
        (purpose_of(run_id),),
    )
    return [int(session_id) for (session_id,) in rows]


class Lease:
    """Held by one run; a context manager around the whole run."""

    def __init__(
        self,
        journal: Journal,
        session: Session,
        *,
        run_id: str,
        clock: Clock,
        seconds: float = LEASE_SECONDS,
    ) -> None:
        self._journal = journal
        self._session = session
        self._at = quote(journal.schema)
        self._run_id = run_id
        self._clock = clock
        self._seconds = seconds
        self._token = 0
        self._holder = ""
        self._findable = False
        self._over = threading.Event()
        self._error: MigratorError | None = None
        self._thread: threading.Thread | None = None
        self.control = Control()
        """What people ask of the run; as fresh as the last heartbeat."""
        self.held_seconds = 0.0
        """For how long nothing was begun so far, since people had paused the run or a limit was exceeded."""
        self._counting = threading.Lock()
        self._told: dict[str, str] = {}

    @property
    def purpose(self) -> str:
        """The program name of every session of this run."""
        return purpose_of(self._run_id)

    @property
    def paused(self) -> bool:
        """True while a person has paused the run."""
        return self.control.paused

    def tell(self, name: str, text: str) -> None:
        """Have the next heartbeat note what `status` shows of the whole run, such as why it is slow; '' takes it back.

        From any thread.
        """
        self._told = {other: said for other, said in {**self._told, name: text}.items() if said}

    def count_held(self, seconds: float) -> None:
        """Count for `held_seconds`. From any thread."""
        with self._counting:
            self.held_seconds += seconds

    def __enter__(self) -> Lease:
        self._findable = self._session.id in self._sessions_of(self._run_id)
        before = self._take_when_free()
        if before:
            self._end_sessions_of(before)
        self._session.keep_out(self.guard)
        beating = self._session.another(self.purpose, guard=self.guard)
        self._thread = threading.Thread(target=self._beat, args=(beating,), name="heartbeat", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        try:
            self._session.run(
                f"UPDATE {self._at}.lease SET run_id = '', expires_at = UTC_TIMESTAMP(6) WHERE id = 1 AND token = %s",
                (self._token,),
            )
        except SqlError as lost:
            if not lost.link_lost and lost.number != READ_ONLY:  # then the lease runs out by itself
                raise

    def guard(self, session: Session) -> None:
        """Raise `LeaseLost` unless the token is still ours; for every new connection of the run."""
        token = session.value(f"SELECT token FROM {self._at}.lease WHERE id = 1")
        if token is None or int(token) != self._token:
            raise self._lost()

    def check(self) -> None:
        """Raise what the heartbeat met, if anything."""
        if self._error is not None:
            raise self._error

    def end(self, error: MigratorError) -> None:
        """Have the run end with this error at its next safe point, unless it ends already. From any thread."""
        self._error = self._error or error

    def _lost(self) -> LeaseLost:
        return LeaseLost(
            "another run has taken over; this one changed nothing since",
            remedy="nothing to do: the other run goes on with the work",
        )

    def _take_when_free(self) -> str:
        """Take the lease; also from a run that has no session left on the server, though its time is not up: killed.

        Its last statement may still run for a moment, so it is looked at for as long as a chunk may take.
        """
        deadline = self._clock.monotonic() + _GONE_WITHIN_SECONDS
        while True:
            try:
                return self._take()
            except LeaseHeld:
                if self._holder and not self._sessions_of(self._holder):
                    return self._take(gone=self._holder)
                if self._clock.monotonic() > deadline:
                    raise
                self._clock.wait(self._over, 0.1)

    def _take(self, *, gone: str = "") -> str:
        """Take the lease if it is free or has run out, or is that of `gone`; gives the run that had it, or ''."""

        def take(session: Session) -> str:
            row = session.row(
                f"SELECT token, run_id, host, pid, account, expires_at > UTC_TIMESTAMP(6),"
                " TIMESTAMPDIFF(SECOND, heartbeat_at, UTC_TIMESTAMP(6)), findable, CURRENT_USER()"
                f" FROM {self._at}.lease WHERE id = 1 FOR UPDATE"
            )
            if row is None:
                raise Failed(
                    "the journal has no lease row", remedy="the journal is damaged: look at it before anything is run"
                )
            token, run_id, host, pid, account, alive, silent_seconds, findable, me = row
            self._holder = str(run_id) if account == me and findable else ""
            if run_id and alive and run_id != gone:
                raise LeaseHeld(
                    f"run {run_id} is at work on this server (host {host}, pid {pid}, seen {silent_seconds} s ago)",
                    remedy="wait for it, or look at it with: migrator status",
                )
            if run_id and account != me:
                raise LeaseHeld(
                    f"run {run_id} of {account} is silent for {silent_seconds} s, but {me} cannot end its sessions",
                    remedy=f"apply as {account}, which can",
                )
            if run_id and not findable and session.family is Family.MYSQL:
                raise LeaseHeld(
                    f"run {run_id} is silent for {silent_seconds} s, but the server does not show its sessions",
                    remedy=f"make sure that process {pid} on host {host} has ended (KILL its sessions if that host is"
                    f" gone), then: UPDATE {self._at}.lease SET run_id = '' WHERE id = 1",
                )
            self._token = int(token) + 1
            session.run(
                f"UPDATE {self._at}.lease SET token = %s, run_id = %s, host = %s, pid = %s, account = CURRENT_USER(),"
                " told = '',"
                " findable = %s, heartbeat_at = UTC_TIMESTAMP(6),"
                " expires_at = UTC_TIMESTAMP(6) + INTERVAL %s MICROSECOND WHERE id = 1",
                (
                    self._token,
                    self._run_id,
                    socket.gethostname(),
                    os.getpid(),
                    self._findable,
                    int(self._seconds * 1e6),
                ),
            )
            return str(run_id)

        return self._session.transaction(take)

    def _end_sessions_of(self, run_id: str) -> None:
        """End every session of a run that lost its lease, and wait until the server has none left."""
        deadline = self._clock.monotonic() + _ENDING_SECONDS
        while ids := self._sessions_of(run_id):
            if self._clock.monotonic() > deadline:
                raise LeaseHeld(
                    f"{len(ids)} sessions of run {run_id} did not end within {_ENDING_SECONDS:.0f} s",
                    remedy="look at them in SHOW PROCESSLIST; apply again when they are gone",
                )
            for session_id in ids:
                try:
                    self._session.run(f"KILL CONNECTION {session_id}")
                except SqlError as error:
                    if error.number != _NO_SUCH_THREAD:
                        raise
            self._clock.wait(self._over, 0.1)

    def _sessions_of(self, run_id: str) -> list[int]:
        """As `sessions_of`; a run that lives and can be found has two at least."""
        return sessions_of(self._session, run_id)

    def _beat(self, session: Session) -> None:
        try:
            with session:
                while not self._over.is_set():
                    self._beat_once(session)
                    began, paused = self._clock.monotonic(), self.paused
                    self._clock.wait(self._over, BEAT_SECONDS)
                    if paused:
                        self.count_held(self._clock.monotonic() - began)
        except MigratorError as error:
            self._error = error
        except SqlError as error:
            if error.number == READ_ONLY:
                self._error = no_source_any_more(session.server_uuid)
                return
            self._error = Failed(f"the heartbeat failed: {error}", remedy="apply again to go on")

    def _beat_once(self, session: Session) -> None:
        def beat(inner: Session) -> int:
            self.control = self._journal.control(inner)
            return inner.run(
                f"UPDATE {self._at}.lease SET heartbeat_at = UTC_TIMESTAMP(6), told = %s,"
                " expires_at = UTC_TIMESTAMP(6) + INTERVAL %s MICROSECOND WHERE id = 1 AND token = %s",
                (json.dumps(self._told), int(self._seconds * 1e6), self._token),
            )

        if session.transaction(beat) != 1:
            raise self._lost()
