"""The throttle: what the server and its replicas may suffer, and how much slower a run goes before that. Pure.

Each signal has a limit. Beyond it nothing of ours is begun; shortly before it less is done at a time, the less the
nearer it is, so that a copy settles at what the slowest replica can apply. What cannot be read counts as exceeded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

LEAST_SHARE: Final = 0.05
"""Of the usual work is done right at a limit."""

FIRST_PACE: Final = 0.2
PACE_GROWTH: Final = 1.25
PACE_FALL: Final = 0.5
"""With replicas a run begins with this share of the usual work, has so many times more with each look at which none of
them is behind, and this part of it with each look at which one is. A lag shows only when there is a queue already:
begun at full speed, a replica at a tenth of the speed fell 16 s behind with a limit of 4 s; begun so, 3 s."""

GOES_ON_BELOW: Final = 0.9
"""Of its limit: what was exceeded is so until it is below this, so that a run does not stop and go each second."""

FREE_LAG: Final = 0.2
FREE_LOAD: Final = 0.8
FREE_HISTORY: Final = 0.5
FREE_CHECKPOINT_AGE: Final = 0.8
"""Of their limits: up to this each signal slows nothing down."""

FILE, QUERY, HISTORY, CHECKPOINT_AGE, FREE_DISK, SERVER = (
    "throttle file",
    "throttle query",
    "history list",
    "checkpoint age",
    "free disk",
    "server",
)
"""The names of signals; a counter's is its own, a replica's is in `lag_of`."""

MOST_TOLD: Final = 5
"""A text names no more signals than this."""

_LOAD: Final = re.compile(r"([A-Za-z][A-Za-z0-9_]{0,63})\s*=\s*([0-9]{1,15})", flags=re.ASCII)
_ADDRESS: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]+):([0-9]{1,5})", flags=re.ASCII)


def parse_loads(text: str) -> tuple[tuple[str, int], ...]:
    """`Threads_running=25,Innodb_row_lock_current_waits=10` as pairs; '' is none. Raises ValueError."""
    pairs = []
    for part in text.split(",") if text.strip() else ():
        found = _LOAD.fullmatch(part.strip())
        if found is None:
            raise ValueError(f"{part.strip()!r} is not NAME=NUMBER, such as Threads_running=25")
        if int(found[2]) < 1:
            raise ValueError(f"{found[1]}=0 would stop everything for good")
        pairs.append((found[1], int(found[2])))
    names = [name.lower() for name, _ in pairs]
    if len(names) != len(set(names)):
        raise ValueError("a counter is there twice")
    return tuple(pairs)


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of `db2.example.com:3306` or `[::1]:3306`. Raises ValueError."""
    found = _ADDRESS.fullmatch(text)
    if found is None or not 0 < int(found[1]) < 65536:
        raise ValueError(f"{text!r} is not HOST:PORT, such as db2.example.com:3306")
    return text[: found.start(1) - 1].strip("[]"), int(found[1])


def lag_of(replica: str) -> str:
    """The name of the signal."""
    return f"lag of {replica}"


@dataclass(frozen=True, slots=True)
class Limits:
    """What may not be exceeded; what is 0 or empty is not looked at."""

    max_load: tuple[tuple[str, int], ...] = ()
    critical_load: tuple[tuple[str, int], ...] = ()
    max_lag_seconds: float = 0.0
    max_history_list: int = 0
    max_checkpoint_age: float = 0.0
    min_free_disk_bytes: int = 0
    file: str = ""
    query: str = ""

    @property
    def counters(self) -> frozenset[str]:
        """The status counters that are looked at."""
        return frozenset(name for name, _ in (*self.max_load, *self.critical_load))


@dataclass(frozen=True, slots=True)
class Seen:
    """What was read at one time; None where it could not be read, and `why` says by signal why not."""

    counters: Mapping[str, float | None] = field(default_factory=dict)
    history_list: float | None = None
    checkpoint_age: float | None = None
    """Of the redo log's capacity."""
    free_disk_bytes: float | None = None
    file: bool | None = False
    query: bool | None = False
    lags: Mapping[str, float | None] = field(default_factory=dict)
    """Seconds, by replica."""
    why: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pressure:
    """One signal near its limit or beyond."""

    signal: str
    value: float | None
    """None: not readable, or it is no number."""
    limit: float
    share: float
    """How much of the usual work is done; 0 beyond the limit."""
    text: str

    @property
    def exceeded(self) -> bool:
        """True if nothing is begun because of it."""
        return self.share == 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What all signals say together."""

    pressures: tuple[Pressure, ...] = ()
    """The strongest first."""
    critical: str = ""
    """Why the run has to end, or ''."""

    @property
    def share(self) -> float:
        """How much of the usual work is done: 1 without any pressure, 0 if a limit is exceeded."""
        return self.pressures[0].share if self.pressures else 1.0

    @property
    def exceeded(self) -> frozenset[str]:
        """The signals beyond their limits."""
        return frozenset(one.signal for one in self.pressures if one.exceeded)

    @property
    def text(self) -> str:
        """For people: `nothing is begun: ...`, `slower: ...`, or ''."""
        if not self.pressures:
            return ""
        held = [one.text for one in self.pressures if one.exceeded]
        said = held or [one.text for one in self.pressures]
        more = f", and {len(said) - MOST_TOLD} more" if len(said) > MOST_TOLD else ""
        return f"{'nothing is begun' if held else 'slower'}: {'; '.join(said[:MOST_TOLD])}{more}"


NOTHING: Final = Verdict()


def decide(limits: Limits, seen: Seen, before: frozenset[str] = frozenset()) -> Verdict:
    """What to do, by what was seen; `before` are the signals that were exceeded at the last look."""
    found: list[Pressure] = []

    def number(signal: str, value: float | None, limit: float, free: float, text: str, unknown: str) -> None:
        if value is None:
            why = seen.why.get(signal, "")
            found.append(Pressure(signal, None, limit, 0.0, f"{unknown}{f' ({why})' if why else ''}"))
            return
        share = share_of(value, limit, free_below=free, was_exceeded=signal in before)
        if share < 1.0:
            found.append(Pressure(signal, value, limit, share, text))

    for name, most in limits.max_load:
        value = seen.counters.get(name)
        text = f"{name} is {value or 0:g}, the limit is {most} (max_load)"
        number(name, value, most, FREE_LOAD, text, f"{name} cannot be read (max_load)")
    if limits.max_lag_seconds:
        for replica, lag in seen.lags.items():
            text = f"replica {replica} is {lag or 0:.1f} s behind, the limit is {limits.max_lag_seconds:g} s (max_lag)"
            unknown = f"how far replica {replica} is behind cannot be read (max_lag, ignore_replicas)"
            number(lag_of(replica), lag, limits.max_lag_seconds, FREE_LAG, text, unknown)
    if limits.max_history_list:
        text = f"the history list has {seen.history_list or 0:g} entries, the limit is {limits.max_history_list}"
        unknown = "the length of the history list cannot be read (max_history_list)"
        number(HISTORY, seen.history_list, limits.max_history_list, FREE_HISTORY, text, unknown)
    if limits.max_checkpoint_age:
        age = seen.checkpoint_age
        text = f"{age or 0:.0%} of the redo log wait for a checkpoint, the limit is {limits.max_checkpoint_age:.0%}"
        unknown = "the checkpoint age cannot be read (max_checkpoint_age)"
        number(CHECKPOINT_AGE, age, limits.max_checkpoint_age, FREE_CHECKPOINT_AGE, text, unknown)
    found += _plain(limits, seen)
    found.sort(key=lambda one: (one.share, one.signal))
    return Verdict(tuple(found), _critical(limits, seen))


def _plain(limits: Limits, seen: Seen) -> list[Pressure]:
    """Signals that say only yes or no."""
    found = []
    if limits.min_free_disk_bytes:
        free, least = seen.free_disk_bytes, limits.min_free_disk_bytes
        if free is None:
            found.append(Pressure(FREE_DISK, None, least, 0.0, _unread(FREE_DISK, "min_free_disk_bytes", seen)))
        elif free < least:
            text = f"{free / 2**30:.1f} GiB of disk are free, the limit is {least / 2**30:.1f} GiB"
            found.append(Pressure(FREE_DISK, free, least, 0.0, text))
    for signal, wanted, answer, setting in (
        (FILE, limits.file, seen.file, "throttle_file"),
        (QUERY, limits.query, seen.query, "throttle_query"),
    ):
        if wanted and answer is None:
            found.append(Pressure(signal, None, 0, 0.0, _unread(signal, setting, seen)))
        elif wanted and answer:
            text = "the throttle file is there" if signal == FILE else "the throttle query says so"
            found.append(Pressure(signal, 1, 0, 0.0, text))
    return found


def _unread(signal: str, setting: str, seen: Seen) -> str:
    why = seen.why.get(signal, "")
    return f"{signal} cannot be read ({setting}{f': {why}' if why else ''})"


def _critical(limits: Limits, seen: Seen) -> str:
    for name, most in limits.critical_load:
        value = seen.counters.get(name)
        if value is not None and value > most:
            return f"{name} is {value:g}, the critical limit is {most} (critical_load)"
    return ""


def unread(signal: str, why: str) -> Verdict:
    """What to do while nothing at all could be looked at."""
    text = f"the limits cannot be looked at{f' ({why})' if why else ''}"
    return Verdict((Pressure(signal, None, 0, 0.0, text),))


def share_of(value: float, limit: float, *, free_below: float, was_exceeded: bool = False) -> float:
    """How much of the usual work is done: all up to `free_below` of the limit, falling to `LEAST_SHARE` at the limit.

    Nothing beyond it, and nothing before the value has come well below it again.
    """
    if value > limit or (was_exceeded and value > GOES_ON_BELOW * limit):
        return 0.0
    free = free_below * limit
    if value <= free:
        return 1.0
    return max(LEAST_SHARE, (limit - value) / (limit - free))


def lag_seconds(source_now: float, source_beat: float, replica_beat: float, *, every_seconds: float) -> float:
    """How far a replica is behind, by the heartbeat that the source writes `every_seconds`: to within that, never more.

    All by the source's clock: its time when the replica was asked, its newest heartbeat, the newest one that the
    replica has.
    """
    if replica_beat >= source_beat:
        return 0.0
    return max(0.0, source_now - replica_beat - every_seconds)


def next_pace(pace: float, verdict: Verdict, lags: Mapping[str, float | None]) -> float:
    """How much of the usual work may be done at most until the next look, by how replicas bear what is done now."""
    if not lags:
        return 1.0
    if {lag_of(replica) for replica in lags} & {one.signal for one in verdict.pressures}:
        return max(LEAST_SHARE, pace * PACE_FALL)
    return min(1.0, pace * PACE_GROWTH)


def places_of(share: float, most: int) -> tuple[int, float]:
    """How many of the workers are at work for this share of their work, and how much of the time each of them is."""
    if share <= 0.0:
        return 1, LEAST_SHARE
    places = max(1, min(most, math.ceil(share * most)))
    return places, min(1.0, share * most / places)
