"""How far replicas are behind: each is asked for the heartbeat that it has, by a thread of its own.

The lease's heartbeat is written on the source each second and replicated like everything else. So what a replica has
of it says how far it is behind, whether its threads run, are stopped, broken, or wait on purpose. A replica that
cannot be asked has no such number, and neither has one that filters the journal out.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from migrator.clock import Clock
from migrator.db import Session
from migrator.errors import MigratorError
from migrator.inventory.signals import Heartbeat, read_heartbeat
from migrator.model import Member
from migrator.planner.throttle import lag_seconds, parse_address
from migrator.sql_errors import SqlError

ASK_EVERY_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 3
"""How long a replica may take to answer."""
GOOD_FOR_SECONDS: Final = 6.0
"""How old an answer may be."""

_NOT_THERE: Final = frozenset({1049, 1146})


@dataclass(frozen=True, slots=True)
class Replica:
    """A server to ask."""

    name: str
    server_uuid: str = ""
    """Empty where somebody has named it, and nobody knows."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a replica said last."""

    at: float
    """By this process's clock."""
    beat: float | None
    why: str = ""
    """Why there is no heartbeat."""


def to_ask(found: Sequence[Member], named: Sequence[str], ignored: Sequence[str]) -> tuple[Replica, ...]:
    """The replicas that the server shows and those that were named, without those to be left out. Pure."""
    shown = {one.name: Replica(one.name, one.server_uuid) for one in found if one.kind == "replica"}
    known = {**{name: Replica(name) for name in named}, **shown}
    return tuple(one for one in known.values() if not {one.name, one.server_uuid} & (set(ignored) - {""}))


class Watched:
    """One replica, asked by a thread of its own until `over`."""

    def __init__(self, replica: Replica, source: Session, journal_schema: str, clock: Clock) -> None:
        self.replica = replica
        self._source = source
        self._schema = journal_schema
        self._clock = clock
        self._session: Session | None = None
        self.answer: Answer | None = None
        self.answered = threading.Event()
        """Set with the first answer, whatever it is."""

    def follow(self, over: threading.Event) -> None:
        """Ask again and again."""
        try:
            while not over.is_set():
                self.answer = self._ask()
                self.answered.set()
                self._clock.wait(over, ASK_EVERY_SECONDS)
        finally:
            self._close()

    def lag(self, at: float, source: Heartbeat, *, every_seconds: float) -> tuple[float | None, str]:
        """Seconds behind, or None and why that is not known; `source` is its own heartbeat, read at `at`."""
        answer = self.answer
        if answer is None or at - answer.at > GOOD_FOR_SECONDS:
            return None, "it does not answer"
        if answer.beat is None:
            return None, answer.why
        now = source.now - max(0.0, at - answer.at)
        return lag_seconds(now, source.beat, answer.beat, every_seconds=every_seconds), ""

    def _ask(self) -> Answer:
        try:
            if self._session is None:
                self._session = self._connect()
            at = self._clock.monotonic()
            beat = read_heartbeat(self._session, self._schema)
        except MigratorError as error:
            self._close()
            return Answer(self._clock.monotonic(), None, error.message)
        except SqlError as error:
            self._close()
            why = "it has no journal: it is far behind, or filters it out" if error.number in _NOT_THERE else str(error)
            return Answer(self._clock.monotonic(), None, why)
        except ValueError:
            return Answer(self._clock.monotonic(), None, "the server does not show its address")
        if beat is None:
            return Answer(at, None, "its journal is empty")
        if beat.asked == self._source.server_uuid:
            return Answer(at, None, "it is the server itself, and no replica of it")
        if beat.source != self._source.server_uuid:
            return Answer(at, None, "its journal is another server's")
        return Answer(at, beat.beat)

    def _connect(self) -> Session:
        host, port = parse_address(self.replica.name)
        return self._source.elsewhere(
            host,
            port,
            server_uuid=self.replica.server_uuid,
            timeout_seconds=ANSWER_SECONDS,
            answer_seconds=ANSWER_SECONDS,
        )

    def _close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None
