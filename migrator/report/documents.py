"""Values as JSON documents, for programs. Pure; only ASCII goes out, so any channel can carry it."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel

from migrator import __version__
from migrator.events import Event

FORMAT: Final = 1
"""Raised when a field changes its meaning or goes away; new fields do not count."""


def as_json(report: str, value: object) -> str:
    """`value` (a dataclass) as one document that names its kind (`report`) and format; ends with a newline."""
    head = {"report": report, "format": FORMAT, "tool_version": __version__}
    return json.dumps(head | _plain(value), default=_plain, indent=2, allow_nan=False) + "\n"


def as_json_line(report: str, value: object) -> str:
    """As `as_json`, on one line."""
    head = {"report": report, "format": FORMAT, "tool_version": __version__}
    return json.dumps(head | _plain(value), default=_plain, allow_nan=False) + "\n"


def event_line(event: Event, at: datetime) -> str:
    """One event as one line of JSON: its name, the format, when it was heard (UTC), and its fields."""
    fields = event.as_dict()
    head = {"event": fields.pop("event"), "format": FORMAT, "at": at.isoformat(timespec="milliseconds")}
    return json.dumps(head | fields, default=_plain, allow_nan=False) + "\n"


def _plain(value: object) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
