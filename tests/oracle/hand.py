"""The hand of an application: sends statements, and compares each answer with what it must be."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pymysql

from tests.oracle.pools import SQL_MODE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers.running import Connection

LINK_LOST: Final = frozenset({0, 2006, 2013, 2055, 1053, 1317, 4031})
"""After these nobody knows whether the statement happened. 1317 is how a killed session hears of it first."""


class UnexpectedAnswer(Exception):
    """The ledger cannot go on: an error was expected and did not come, or a row is not where it must be."""


@dataclass(slots=True)
class Seen:
    """What all threads of an application saw. Lists are only appended to."""

    wrong: list[str] = field(default_factory=list)
    """Answers that would have been others without us."""
    errors: list[str] = field(default_factory=list)
    """Errors: each is ours, since the threads cannot meet."""
    collisions: list[str] = field(default_factory=list)
    """Phases in which an exclusive moment met a transaction within its 3 ms (1213): told in the limits, and counted."""
    by_themselves: list[str] = field(default_factory=list)
    """Phases in which two threads met without us, where the server gives them no way to avoid it; counted."""
    met_relay: list[str] = field(default_factory=list)
    """Errors that a relay gives to transactions of several statements, and where: told in the limits, and counted."""
    deadlocks_before: int = 0
    """Deadlocks of rows that the server had counted when the trial began."""
    cuts: int = 0
    """Connections that the test itself has cut, as the threads noticed it."""
    looked_up: Counter[str] = field(default_factory=Counter)
    """Ambiguous outcomes of COMMIT, and what became of them."""
    seconds: list[float] = field(default_factory=list)
    """Of each transaction, without the waits that it chose itself."""
    habits: Counter[str] = field(default_factory=Counter)
    phases: Counter[str] = field(default_factory=Counter)
    """Transactions by the phase in which they ended."""


class Hand:
    """One connection."""

    def __init__(self, connect: Callable[[], Connection], seen: Seen, *, cut_on_purpose: threading.Event) -> None:
        self.seen = seen
        self._connect = connect
        self.cut_on_purpose = cut_on_purpose
        self.connection = self._open()

    def _open(self) -> Connection:
        connection = self._connect()
        with connection.cursor() as cursor:
            cursor.execute(f"SET sql_mode = '{SQL_MODE}', time_zone = '+00:00'")
        return connection

    def beside(self) -> Connection:
        """A second connection, for a question; the caller closes it."""
        return self._open()

    def do(
        self,
        sql: str,
        *,
        affected: int | None = None,
        warned: int = 0,
        error: int = 0,
        inserted_id: range | None = None,
    ) -> int:
        """Send a statement; what it answers must be what is said here. Gives the id that was made, if any."""
        try:
            with self.connection.cursor() as cursor:
                rows = cursor.execute(sql)
                warnings, made = int(cursor.warning_count), int(cursor.lastrowid or 0)
                said = []
                if warnings:
                    cursor.execute("SHOW WARNINGS")
                    said = [(row[1], row[2]) for row in cursor.fetchall()]
        except pymysql.err.MySQLError as came:
            if error and came.args and came.args[0] == error:
                return 0
            raise
        if error:
            raise UnexpectedAnswer(f"error {error} did not come: {sql[:300]}")
        if affected is not None and rows != affected:
            self.seen.wrong.append(f"{rows} rows affected, not {affected}: {sql[:600]}")
        if len(said) != warned or any(number != 1062 for number, _ in said):
            self.seen.wrong.append(f"{len(said)} warnings, not {warned} ({said[:3]}): {sql[:600]}")
        if inserted_id is not None and made not in inserted_id:
            self.seen.wrong.append(f"id {made}, not in {inserted_id}: {sql[:300]}")
        return made

    def quietly(self, sql: str) -> None:
        """Send a statement whose answer says nothing."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql)

    def again(self) -> None:
        """A new connection for a lost one, once the server has ended the old session."""
        old = self.connection.thread_id()
        self.connection.close()
        deadline = time.monotonic() + 30
        while True:
            connection = self._open()
            with connection.cursor() as cursor:
                cursor.execute("SELECT COUNT(*) FROM performance_schema.threads WHERE PROCESSLIST_ID = %s", (old,))
                if cursor.fetchone() == (0,):
                    self.connection = connection
                    return
            connection.close()
            if time.monotonic() > deadline:
                raise UnexpectedAnswer(f"session {old} does not end")
            time.sleep(0.01)

    def close(self) -> None:
        """End the connection, if it is there."""
        if self.connection.open:
            self.connection.close()
