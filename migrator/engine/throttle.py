"""The throttle: looks at what the server and its replicas suffer, and sets the brake; and what people asked for with
`set`, as soon as the heartbeat has read it.

A look a second in one session, three or four statements of a millisecond each; each replica is asked by a thread of
its own. What cannot be read counts as exceeded, and says so.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from migrator.clock import Clock
from migrator.db import Session
from migrator.engine.journal import Journal
from migrator.engine.lag import Watched, to_ask
from migrator.engine.lease import BEAT_SECONDS, Lease
from migrator.engine.sessions import Sessions
from migrator.engine.work import beside
from migrator.errors import MigratorError, Refused
from migrator.events import Listener, Throttled, Told
from migrator.inventory import read_server
from migrator.inventory.signals import (
    ask_query,
    read_checkpoint_age,
    read_counters,
    read_free_disk,
    read_heartbeat,
    read_history_list,
    unknown_counters,
)
from migrator.model import Family, Member
from migrator.planner.control import Wishes, wishes_text
from migrator.planner.plan import Defaults
from migrator.planner.throttle import (
    FILE,
    FIRST_PACE,
    FREE_DISK,
    NOTHING,
    QUERY,
    SERVER,
    Limits,
    Seen,
    Verdict,
    decide,
    lag_of,
    next_pace,
    parse_loads,
    unread,
)
from migrator.report.values import ThrottledFor
from migrator.sql_errors import SqlError

TICK_SECONDS: Final = 0.5
LOOK_EVERY_SECONDS: Final = 1.0
LIST_EVERY_SECONDS: Final = 60.0
"""How often the server is asked anew which replicas it has."""
FIRST_ANSWER_SECONDS: Final = 8.0
"""How long the first look waits for the first answer of each replica."""
FREE_LOOKS: Final = 3
"""So many looks without pressure end it, for whoever is told."""


def check_readable(session: Session, limits: Limits) -> None:
    """Raise `Refused` for what is a mistake and would stop the run for good: a counter that the server does not have,
    a query that it does not take. Reads only."""
    if unknown := unknown_counters(read_counters(session, limits.counters), limits.counters):
        raise Refused(
            f"the server has no status counter {', '.join(unknown)} that is a number",
            remedy="look at SHOW GLOBAL STATUS, and mend max_load and critical_load (--max-load, --critical-load)",
        )
    if not limits.query:
        return
    try:
        ask_query(session, limits.query)
    except SqlError as error:
        if error.link_lost:
            raise
        raise Refused(
            f"the throttle query cannot be asked: {error.number}",
            remedy="run it by hand with this account, look the number up, and mend it (--throttle-query)",
        ) from None


@dataclass(slots=True)
class _Spent:
    held: float = 0.0
    slowed: float = 0.0


class Throttle:
    """Looks, decides, and sets the brake. One thread at a time."""

    def __init__(
        self,
        defaults: Defaults,
        members: Sequence[Member],
        *,
        sessions: Sessions,
        lease: Lease,
        journal: Journal,
        listen: Listener,
        clock: Clock,
    ) -> None:
        self._defaults, self._members = defaults, tuple(members)
        self._sessions, self._lease, self._journal = sessions, lease, journal
        self._listen, self._clock = listen, clock
        self._planned = sessions.slots.most
        self._wishes = Wishes()
        self._verdict = NOTHING
        self._told = NOTHING
        self._pace = FIRST_PACE
        self._free_looks = 0
        self._looked_at: float | None = None
        self._listed_at = clock.monotonic()
        self._watched: dict[str, tuple[Watched, threading.Thread]] = {}
        self._over = threading.Event()
        self._spent: dict[str, _Spent] = {}

    @property
    def throttled(self) -> tuple[ThrottledFor, ...]:
        """For how long the run was throttled, by the strongest reason of each instant."""
        return tuple(ThrottledFor(signal, one.held, one.slowed) for signal, one in sorted(self._spent.items()))

    def begin(self) -> None:
        """The first look, before anything is begun; what was asked for before the run counts from here on."""
        try:
            with self._sessions.borrow() as session:
                self._follow_wishes(self._journal.control(session).wishes)
        except (SqlError, MigratorError):
            pass  # the run itself meets what is wrong, and says so
        self._ask_replicas()
        deadline = self._clock.monotonic() + FIRST_ANSWER_SECONDS
        for watched, _ in self._watched.values():
            self._clock.wait(watched.answered, max(0.0, deadline - self._clock.monotonic()))
        self.look()
        if self._wishes != Wishes():
            self._listen(Told("", wishes_text(self._wishes)))

    def follow(self, over: threading.Event) -> None:
        """Look once a second until `over`; a wish is followed as soon as the heartbeat has read it."""
        while not self._clock.wait(over, TICK_SECONDS):
            changed = self._follow_wishes(self._lease.control.wishes)
            at = self._clock.monotonic()
            if changed or self._looked_at is None or at - self._looked_at >= LOOK_EVERY_SECONDS - TICK_SECONDS / 2:
                self._ask_replicas()
                self.look()
            if changed:  # after what it changes: whoever listens may take his time
                self._listen(Told("", wishes_text(self._wishes)))

    def end(self) -> None:
        """Nobody is asked any more, and nothing is held."""
        self._over.set()
        for _, thread in self._watched.values():
            thread.join()
        self._sessions.brake.off()
        self._sessions.slots.cap(self._sessions.slots.most)
        self._lease.tell("throttle", "")

    # -- one look ---------------------------------------------------------------------------------

    def look(self) -> None:
        """Read all signals, decide, and set the brake."""
        limits = self._limits()
        try:
            with self._sessions.borrow() as session:
                seen = self._seen(session, limits)
            verdict = decide(limits, seen, self._verdict.exceeded)
            self._pace = next_pace(self._pace, verdict, seen.lags)
        except SqlError as error:
            verdict = unread(SERVER, str(error))
        except MigratorError as error:
            verdict = unread(SERVER, error.message)
        at = self._clock.monotonic()
        self._count(at)
        self._verdict, self._looked_at = verdict, at
        slots = self._sessions.slots
        slots.cap(self._sessions.brake.set(verdict, most=slots.most, pace=self._pace))
        self._lease.tell("throttle", verdict.critical or verdict.text)
        self._say(verdict)

    def _limits(self) -> Limits:
        limits, wishes = self._defaults.throttle, self._wishes
        if wishes.max_lag_seconds is not None:
            limits = replace(limits, max_lag_seconds=wishes.max_lag_seconds)
        if wishes.max_load is not None:
            limits = replace(limits, max_load=parse_loads(wishes.max_load))
        return limits

    def _seen(self, session: Session, limits: Limits) -> Seen:
        why: dict[str, str] = {}
        free = None
        if limits.min_free_disk_bytes:
            free, why[FREE_DISK] = read_free_disk(session)
        lags: dict[str, float | None] = {}
        if limits.max_lag_seconds and self._watched:
            at, beat = self._clock.monotonic(), read_heartbeat(session, self._journal.schema)
            for name, (watched, _) in self._watched.items():
                lags[name], why[lag_of(name)] = (
                    (None, "the journal has no heartbeat")
                    if beat is None
                    else watched.lag(at, beat, every_seconds=BEAT_SECONDS)
                )
        seen = Seen(
            counters=read_counters(session, limits.counters),
            history_list=read_history_list(session) if limits.max_history_list else None,
            checkpoint_age=read_checkpoint_age(session) if limits.max_checkpoint_age else None,
            free_disk_bytes=free,
            file=_is_there(limits.file, why) if limits.file else False,
            lags=lags,
            why=why,
        )
        return replace(seen, query=self._ask(limits.query, why)) if limits.query else seen

    def _ask(self, query: str, why: dict[str, str]) -> bool | None:
        try:
            with self._sessions.borrow() as session:
                return ask_query(session, query)
        except SqlError as error:
            why[QUERY] = f"error {error.number}"
        return None

    def _count(self, at: float) -> None:
        if self._looked_at is None or not self._verdict.pressures:
            return
        strongest = self._verdict.pressures[0]
        spent = self._spent.setdefault(strongest.signal, _Spent())
        if strongest.exceeded:
            spent.held += at - self._looked_at
            if not self._lease.paused:
                self._lease.count_held(at - self._looked_at)
        else:
            spent.slowed += at - self._looked_at

    def _say(self, verdict: Verdict) -> None:
        """Tell whoever listens when it begins, when other limits are exceeded, and when it is over for some looks."""
        self._free_looks = 0 if verdict.pressures else self._free_looks + 1
        if not verdict.pressures:
            if self._told.pressures and self._free_looks >= FREE_LOOKS:
                self._told = verdict
                self._listen(Throttled("", "ends", ""))
            return
        if self._told.pressures and self._told.exceeded == verdict.exceeded:
            return
        state = "changes" if self._told.pressures else "begins"
        self._told = verdict
        one = verdict.pressures[0]
        self._listen(Throttled("", state, verdict.text, one.signal, one.value, one.limit, one.share))

    # -- replicas ---------------------------------------------------------------------------------

    def _ask_replicas(self) -> None:
        """Have each replica asked that is to be, from now on until the end, also if its source shows it no more.

        None of MariaDB's: nothing of what is done there replicates, nor does the heartbeat by which they are measured.
        """
        if not self._limits().max_lag_seconds or self._sessions.first.family is Family.MARIADB:
            return
        self._list_again()
        for one in to_ask(self._members, self._defaults.replicas, self._defaults.ignore_replicas):
            if one.name not in self._watched:
                watched = Watched(one, self._sessions.first, self._journal.schema, self._clock)
                thread = threading.Thread(target=watched.follow, args=(self._over,), name=f"lag of {one.name}")
                self._watched[one.name] = watched, thread
                thread.start()

    def _list_again(self) -> None:
        if self._clock.monotonic() - self._listed_at < LIST_EVERY_SECONDS:
            return
        self._listed_at = self._clock.monotonic()
        try:
            with self._sessions.borrow() as session:
                self._members = read_server(session).members
        except (SqlError, MigratorError):
            return  # the next look says what is wrong, if it still is

    # -- wishes -----------------------------------------------------------------------------------

    def _follow_wishes(self, wishes: Wishes) -> bool:
        if wishes == self._wishes:
            return False
        self._wishes = wishes
        self._sessions.slots.wish(wishes.workers or self._planned)
        return True


def _is_there(file: str, why: dict[str, str]) -> bool | None:
    try:
        return Path(file).lstat() is not None
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        why[FILE] = getattr(error, "strerror", None) or "not a path"
        return None


@contextmanager
def throttling(throttle: Throttle) -> Iterator[None]:
    """While the body runs, keep what the server and its replicas suffer within the plan's limits.

    The first look is before the body. Locks nothing.
    """
    try:
        throttle.begin()
        with beside("throttle", throttle.follow):
            yield
    finally:
        throttle.end()
