"""Control: what people ask of a run while it is at work, from any host, through the journal.

Pure. A wish that is None leaves the word of the plan and of the command line.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Wishes:
    """What `set` asked for. Stays until it is set otherwise, also for later runs."""

    workers: int | None = None
    chunk_time_seconds: float | None = None
    max_lag_seconds: float | None = None
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
