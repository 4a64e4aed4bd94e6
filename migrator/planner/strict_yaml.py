"""YAML without surprises: maps, lists, texts, numbers, booleans and null, each with its line and column.

Pure. Anchors, aliases, tags, directives, several documents, a key given twice and deep nesting are
errors, so nothing can be made that the text does not show. Only `true` and `false` are booleans;
dates stay texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

MAX_BYTES: Final = 64 * 2**20
MAX_DEPTH: Final = 24

Path = tuple[str | int, ...]

_NO_ALIAS: Final = "anchors and aliases (& and *) are not allowed"
_NO_ALIAS_REMEDY: Final = "write it out, or put it in quotes"

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""In C where it is there: 40 times faster, which a plan of some thousand tables needs."""

_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,30}", flags=re.ASCII)
_FLOAT: Final = re.compile(
    r"[-+]?(\.[0-9]{1,30}|[0-9]{1,30}\.[0-9]{0,30}|[0-9]{1,30}(?=[eE]))([eE][-+]?[0-9]{1,3})?", flags=re.ASCII
)
_WORDS: Final[dict[str, object]] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the text, counted from 1."""

    line: int
    column: int


class StrictYamlError(Exception):
    """The text is not what we accept as YAML: what is wrong, where, and what to do."""

    def __init__(self, message: str, mark: Mark | None, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.mark = mark
        self.remedy = remedy


@dataclass(slots=True)
class Document:
    """What the text says, and where it says it: `values` by path, `keys` by the path of their value."""

    data: object = None
    values: dict[Path, Mark] = field(default_factory=dict)
    keys: dict[Path, Mark] = field(default_factory=dict)

    def nearest(self, path: Path) -> Mark | None:
        """Where the value is, or the nearest one around it."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.values:
                return self.values[path[:length]]
        return None


def scalar(text: str) -> object:
    """What a text without quotes means: null, a boolean, a number or else the text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def parse(text: str) -> Document:
    """The document; raises `StrictYamlError`."""
    document = Document()
    if "\x85" in text:
        line = text[: text.index("\x85")].count("\n") + 1
        raise StrictYamlError(
            "a NEL character (U+0085), which YAML reads as the end of a line", Mark(line, 1), "remove it"
        )
    try:
        events = yaml.parse(text, Loader=_LOADER)
        document.data = _document(_Events(events), document)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Mark(mark.line + 1, mark.column + 1) if mark is not None else None
        if error.context in {"while scanning an alias", "while scanning an anchor"}:
            raise StrictYamlError(_NO_ALIAS, where, _NO_ALIAS_REMEDY) from None
        raise StrictYamlError(f"not YAML: {error.problem or error.context}", where) from None
    except yaml.YAMLError as error:
        raise StrictYamlError(f"not YAML: {' '.join(str(error).split())[:200]}", None) from None
    return document


class _Events:
    """The parser's events, one ahead."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events

    def next(self) -> tuple[str, Any]:
        event = next(self._events)
        return type(event).__name__, event


def _mark(event: Any) -> Mark:
    return Mark(event.start_mark.line + 1, event.start_mark.column + 1)


def _document(events: _Events, document: Document) -> object:
    kind, event = events.next()
    while kind == "StreamStartEvent":
        kind, event = events.next()
    if kind == "StreamEndEvent":
        raise StrictYamlError("the file is empty", Mark(1, 1))
    if event.version is not None or event.tags:
        raise StrictYamlError("directives (%YAML, %TAG) are not allowed", _mark(event), "remove the line")
    data = _node(events, document, (), 0)
    kind, event = events.next()
    while kind == "DocumentEndEvent":
        kind, event = events.next()
    if kind != "StreamEndEvent":
        raise StrictYamlError("a second document begins here", _mark(event), "one file, one plan: remove the ---")
    return data


def _node(events: _Events, document: Document, path: Path, depth: int) -> object:
    kind, event = events.next()
    return _value(kind, event, events, document, path, depth)


def _value(kind: str, event: Any, events: _Events, document: Document, path: Path, depth: int) -> object:
    mark = _mark(event)
    if kind == "AliasEvent" or event.anchor is not None:
        raise StrictYamlError(_NO_ALIAS, mark, _NO_ALIAS_REMEDY)
    if event.tag is not None:
        raise StrictYamlError("tags (!) are not allowed", mark, "remove the tag, or put the text in quotes")
    if depth > MAX_DEPTH:
        raise StrictYamlError(f"nested more than {MAX_DEPTH} deep", mark)
    document.values[path] = mark
    if kind == "ScalarEvent":
        plain = not event.style and event.implicit[0]
        return scalar(event.value) if plain else str(event.value)
    if kind == "SequenceStartEvent":
        return _sequence(events, document, path, depth)
    return _mapping(events, document, path, depth)


def _sequence(events: _Events, document: Document, path: Path, depth: int) -> list[object]:
    found: list[object] = []
    while True:
        kind, event = events.next()
        if kind == "SequenceEndEvent":
            return found
        found.append(_value(kind, event, events, document, (*path, len(found)), depth + 1))


def _mapping(events: _Events, document: Document, path: Path, depth: int) -> dict[str, object]:
    found: dict[str, object] = {}
    while True:
        kind, event = events.next()
        if kind == "MappingEndEvent":
            return found
        mark = _mark(event)
        if kind != "ScalarEvent":
            raise StrictYamlError(
                "a key must be a name", mark, "put it in quotes if it begins with a bracket or a star"
            )
        if event.anchor is not None or event.tag is not None:
            raise StrictYamlError(
                "anchors, aliases and tags are not allowed", mark, "remove it, or put the key in quotes"
            )
        key = str(event.value)
        here = (*path, key)
        if key in found:
            raise StrictYamlError(
                f"the key {key!r} is given twice", mark, f"the first is in line {document.keys[here].line}"
            )
        document.keys[here] = mark
        found[key] = _node(events, document, here, depth + 1)
