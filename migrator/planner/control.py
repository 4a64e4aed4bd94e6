"""Control: what people ask of a run while it is at work, from any host, through the journal.

Pure. A wish that is None leaves the word of the plan and of the command line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final

from migrator.planner.throttle import parse_loads
from migrator.planner.units import seconds_of


@dataclass(frozen=True, slots=True)
class Wishes:
    """What `set` asked for. Stays until it is set otherwise, also for later runs."""

    workers: int | None = None
    chunk_time_seconds: float | None = None
    max_lag_seconds: float | None = None
    max_load: str | None = None
    postpone_swap: bool | None = None

    def to_json(self) -> str:
        """As the journal keeps them: only what was asked for."""
        return json.dumps({name: value for name, value in asdict(self).items() if value is not None})

    @classmethod
    def from_json(cls, text: str) -> Wishes:
        """As the journal has them; what another version wrote and this one does not know is left out."""
        known = {one.name for one in fields(cls)}
        noted: dict[str, Any] = json.loads(text) if text else {}
        return cls(**{name: value for name, value in noted.items() if name in known})


@dataclass(frozen=True, slots=True)
class Control:
    """The journal's control row: as fresh as the run's last heartbeat."""

    paused: bool = False
    by: str = ""
    """Who paused it."""
    wishes: Wishes = Wishes()


# -- as people write them -------------------------------------------------------------------------


def _workers(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,2}", text, flags=re.ASCII) or not 1 <= int(text) <= 64:
        raise ValueError("a number from 1 to 64")
    return int(text)


def _seconds(low: float, high: float) -> Callable[[str], float]:
    def parsed(text: str) -> float:
        plain = re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text, flags=re.ASCII)
        try:
            seconds = float(text) if plain else float(str(seconds_of(text)))
        except ValueError:
            raise ValueError("a time such as 0.5, 500 ms or 10 s") from None
        if not low <= seconds <= high:
            raise ValueError(f"from {low:g} s to {high:g} s")
        return seconds

    return parsed


def _load(text: str) -> str:
    return text if parse_loads(text) else ""


def _on_or_off(text: str) -> bool:
    if text.lower() not in {"on", "off", "yes", "no", "true", "false", "1", "0"}:
        raise ValueError("on or off")
    return text.lower() in {"on", "yes", "true", "1"}


_KNOWN: Final[dict[str, tuple[str, Callable[[str], Any]]]] = {
    "workers": ("workers", _workers),
    "chunk-time": ("chunk_time_seconds", _seconds(0.05, 30)),
    "max-lag": ("max_lag_seconds", _seconds(0, 86400)),
    "max-load": ("max_load", _load),
    "postpone-swap": ("postpone_swap", _on_or_off),
}
KNOWN_WISHES: Final = tuple(_KNOWN)
"""What `set` knows."""


def changed(wishes: Wishes, words: Sequence[str]) -> Wishes:
    """The wishes with those of `NAME=VALUE` words; `NAME=` takes one back. Raises ValueError with what is wrong."""
    for word in words:
        name, equals, value = word.partition("=")
        if name not in _KNOWN:
            raise ValueError(f"{name!r} is nothing that can be set")
        if not equals:
            raise ValueError(f"{name} has no value: write {name}=VALUE, or {name}= to take it back")
        attribute, parse = _KNOWN[name]
        try:
            wanted = parse(value.strip()) if value.strip() else None
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        wishes = replace(wishes, **{attribute: wanted})
    return wishes


def wishes_text(wishes: Wishes) -> str:
    """`workers=2, max-lag=5`, as they could be set again; '' if nobody wishes for anything."""
    said = []
    for name, (attribute, _) in _KNOWN.items():
        value = getattr(wishes, attribute)
        if value is not None:
            said.append(f"{name}={_said(value)}")
    return ", ".join(said)


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return value if isinstance(value, str) else f"{value:g}"
