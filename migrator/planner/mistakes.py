"""What is wrong with a plan file, in words: file, line, column, what to do; all mistakes at once. Pure."""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Iterable
from typing import Any, Final, cast

from pydantic import BaseModel, ValidationError

from migrator.errors import PlanInvalid
from migrator.model import Finding
from migrator.planner import strict_yaml
from migrator.planner.plan import Attestation, Plan
from migrator.planner.strict_yaml import Document, Mark

SHOWN_ERRORS: Final = 10
"""So many mistakes are told; of the rest only the number."""

_UNKNOWN: Final = frozenset({"extra_forbidden", "unexpected_keyword_argument"})
_MISSING: Final = frozenset({"missing", "missing_argument"})
_CHOICES: Final = frozenset({"literal_error", "enum"})


def line(source: str, mark: Mark | None, message: str) -> str:
    """The message with its place in front."""
    return f"{source}:{mark.line}:{mark.column}: {message}" if mark else f"{source}: {message}"


def invalid(error: ValidationError, document: Document, source: str) -> PlanInvalid:
    """The error for a file whose values the types do not allow, sorted by line."""
    found: list[tuple[Mark | None, str, str]] = []
    meant: set[strict_yaml.Path] = set()
    details = error.errors(include_url=False)
    for detail in sorted(details, key=lambda d: d["type"] not in _UNKNOWN):
        path = tuple(detail["loc"])
        if detail["type"] in _MISSING and path in meant:
            continue
        message, remedy, instead = _explained(detail, path)
        if instead:
            meant.add((*path[:-1], instead))
        mark = document.keys.get(path) if detail["type"] in _UNKNOWN else None
        found.append((mark or document.nearest(path), message, remedy))
    found.sort(key=lambda item: (item[0].line, item[0].column) if item[0] else (0, 0))
    lines = [
        line(source, mark, message) + (f" ({remedy})" if remedy and number else "")
        for number, (mark, message, remedy) in enumerate(found[:SHOWN_ERRORS])
    ]
    if len(found) > SHOWN_ERRORS:
        lines.append(f"{source}: and {len(found) - SHOWN_ERRORS} more")
    remedy = found[0][2] or "mend the file; plans/plan.schema.json says what is allowed"
    return PlanInvalid("\n".join(lines), remedy=remedy)


def _explained(detail: Any, path: strict_yaml.Path) -> tuple[str, str, str]:
    """One error of pydantic's in our words, what to do, and what was probably meant."""
    kind, name, given = detail["type"], str(path[-1]) if path else "", detail["input"]
    if kind in _UNKNOWN:
        known = _keys_at(path[:-1])
        near = _nearest(name, known)
        return f"unknown key {name!r}", _did_you_mean(near) or f"known here: {', '.join(known)}", near
    if kind in _MISSING:
        return f"the key {name!r} is missing", f"add {name}", ""
    if kind in _CHOICES:
        expected = str(detail["ctx"]["expected"])
        near = _nearest(str(given), [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")])
        return f"{name}: {_shown(given)} is not allowed", _did_you_mean(near) or f"use {expected}", near
    if kind == "value_error":
        return (f"{name}: " if name else "") + str(detail["ctx"]["error"]), "", ""
    if kind == "bool_type":
        return f"{name}: {_shown(given)} is neither true nor false", "write true or false, without quotes", ""
    words = str(detail["msg"]).replace("Input should be", "should be", 1)
    return f"{name}: {words}, but is {_shown(given)}", "", ""


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "a map"
    if isinstance(value, list):
        return "a list"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _nearest(word: str, choices: Iterable[str]) -> str:
    return next(iter(difflib.get_close_matches(word, list(choices), n=1, cutoff=0.6)), "")


def _did_you_mean(word: str) -> str:
    return f"did you mean {word!r}?" if word else ""


def _keys_at(path: strict_yaml.Path) -> list[str]:
    """The keys that are known where the path leads."""
    model: Any = Plan
    for part in path:
        if isinstance(part, int):
            continue
        if model is dict:
            model = Attestation
            continue
        fields = cast("dict[str, Any]", getattr(model, "model_fields", {}))
        model = _model_of(fields[part].annotation) if part in fields else None
    if isinstance(model, type) and issubclass(model, BaseModel):
        return list(model.model_fields)
    return [f.name for f in dataclasses.fields(Finding)] if model is Finding else []


def _model_of(annotation: Any) -> Any:
    """The model, dataclass or dict inside `tuple[X, ...]`, `X | None` and the like."""
    if getattr(annotation, "__origin__", None) is dict:
        return dict
    for inner in (annotation, *getattr(annotation, "__args__", ())):
        if inner is Finding or (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return inner
    return None
