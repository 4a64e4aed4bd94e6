"""The sessions of a run: opened when needed, lent to one thread at a time, kept for the next."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from migrator.db import Session
from migrator.sql_errors import SqlError


class Sessions:
    """Connections beside the main one. A connection costs a TLS handshake and a dozen statements, so it is kept.

    One that met an error is closed, not lent again: nobody knows what it holds.
    """

    def __init__(self, first: Session, purpose: str) -> None:
        self._first = first
        self._purpose = purpose
        self._idle: list[Session] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Sessions:
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
            session = self._first.another(self._purpose)
        try:
            yield session
        except BaseException as error:
            session.close()
            if isinstance(error, SqlError) and error.link_lost:
                self._close_idle()  # as old as this one, and most likely as dead
            raise
        with self._lock:
            self._idle.append(session)
