"""What the threads of a run share: its sessions, each lent to one of them at a time; and rounds that serve them all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final

from migrator.db import Session
from migrator.engine.brake import Brake
from migrator.engine.slots import Slots
from migrator.sql_errors import SqlError

_NO_LIMIT: Final = 2**50
"""By default max_binlog_cache_size is larger than any disk."""


class Rounds:
    """Something that several threads ask for and that is done once for all who asked before it began.

    A wait for older transactions is: the server renews its list only after a tenth of a second without readers, so
    threads that look by turns would never see a new one; and the marker of each is an older transaction to the other.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._begun = 0
        self._ended = 0
        self._under_way = False
        self._answer = ""
        self.waiting = 0
        """How many threads wait for the round that is under way, or for the next."""

    def one(self, do: Callable[[], str]) -> str:
        """The answer of a round that began after this was called. Who finds none under way does it; if that raises,
        it is raised there, and the next who waits does it."""
        with self._changed:
            wanted = self._begun + 1
            while self._ended < wanted:
                if self._under_way:
                    self.waiting += 1
                    self._changed.wait()
                    self.waiting -= 1
                else:
                    self._do(do)
            return self._answer

    def _do(self, do: Callable[[], str]) -> None:
        self._under_way = True
        self._begun += 1
        self._changed.release()
        answer = None
        try:
            answer = do()
        finally:
            self._changed.acquire()
            self._under_way = False
            if answer is not None:
                self._ended, self._answer = self._begun, answer
            self._changed.notify_all()


def _largest_transaction(session: Session) -> int:
    names = ("group_replication_transaction_size_limit", "max_binlog_cache_size")
    known = session.rows("SHOW GLOBAL VARIABLES WHERE Variable_name IN (%s, %s)", names)
    limits = [int(value) for _, value in known if str(value).isdigit()]
    return min((limit for limit in limits if 0 < limit < _NO_LIMIT), default=0)


class Sessions:
    """Connections beside the main one. A connection costs a TLS handshake and a dozen statements, so it is kept.

    One that met an error is closed, not lent again: nobody knows what it holds.
    """

    def __init__(self, first: Session, purpose: str, *, workers: int = 64) -> None:
        self.first = first
        """Like which the others are made."""
        self._purpose = purpose
        self.slots = Slots(workers)
        """How many of them may work on rows at the same time."""
        self.brake = Brake()
        """Whether work may be begun, and how much of it at a time, by what the server suffers."""
        self.rounds = Rounds()
        """The waits for older transactions, of all threads of the run."""
        self.transaction_bytes = 0
        """How large a transaction may be on this server, as its settings say; 0: as large as one likes."""
        self._idle: list[Session] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Sessions:
        self.transaction_bytes = _largest_transaction(self.first)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_idle()

    def _close_idle(self) -> None:
        with self._lock:
            while self._idle:
                self._idle.pop().close()

    @contextmanager
    def borrow(self) -> Iterator[Session]:
        """A session for the body of a `with`; outside a transaction and without locks when it is given back."""
        with self._lock:
            session = self._idle.pop() if self._idle else None
        if session is None:
            session = self.first.another(self._purpose)
        try:
            yield session
        except BaseException as error:
            session.close()
            if isinstance(error, SqlError) and error.link_lost:
                self._close_idle()  # as old as this one, and most likely as dead
            raise
        with self._lock:
            self._idle.append(session)
