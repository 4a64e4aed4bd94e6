"""A code of the audit: a place where data can lie or travel in clear, and what holds of it on every server. Pure.

The page docs/audit.md is made of the codes (`make docs`), so texts are Markdown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from migrator.posture import OPEN, Area, Place, State

_TOLD: Final = OPEN | {State.ASK}


@dataclass(frozen=True, slots=True)
class Code:
    """One place: what lies there, who could read it, what closes it, and which servers can close it."""

    name: str
    area: Area
    what: str
    """As the report calls it."""
    holds: str
    risk: str
    closes: str
    servers: str = "all"
    """Where it can be closed, and where not."""
    acceptable: bool = True
    """False if `audit --accept` may not name it."""

    def place(self, state: State, evidence: str, *closes: str, restart: bool = False, risk: str | None = None) -> Place:
        """The place as it is found on one server. Nothing is said of risk and remedy where nothing is to be done."""
        told = state in _TOLD
        return Place(
            code=self.name,
            area=self.area,
            what=self.what,
            state=state,
            evidence=evidence,
            risk=(self.risk if risk is None else risk) if told else "",
            closes=closes if told else (),
            restart=restart and told,
        )
