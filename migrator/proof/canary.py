"""Bytes that must not be found: searched for in files, and only places are told.

The value comes from a file, never from the command line, and is in no message, no value and no error.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from migrator.errors import UsageError
from migrator.proof.places import REDO
from migrator.proof.reading import BUFFER_BYTES, Unreadable, Vanished, opened
from migrator.report.files import Canary, CanaryHit

FEWEST_BYTES: Final = 8
MOST_BYTES: Final = 4096
FIRST_PLACES: Final = 5

_REDO_BLOCK: Final = 512
_REDO_HEADER: Final = 12
_REDO_TRAILER: Final = 4


@dataclass(frozen=True, slots=True)
class Needle:
    """What is searched for."""

    value: bytes = field(repr=False)


def needle_from(data: bytes) -> Needle:
    """The content of a file without its last line end. Raises `UsageError` if it is too short to mean anything."""
    value = data.removesuffix(b"\n").removesuffix(b"\r")
    if not FEWEST_BYTES <= len(value) <= MOST_BYTES:
        raise UsageError(
            f"--canary: {len(value)} bytes; {FEWEST_BYTES} to {MOST_BYTES} are searched for",
            remedy="take a value of a row that is long enough to stand nowhere by chance",
        )
    return Needle(value)


def places_in(chunks: Iterable[bytes], needle: Needle) -> Iterator[int]:
    """The offsets at which it stands in what the chunks are together, also across their borders. Pure."""
    value, rest, at = needle.value, b"", 0
    over = len(value) - 1
    for chunk in chunks:
        # Across the border first: what lies in both chunks, and nothing that lies in one of them.
        yield from (at - len(rest) + place for place in _all(rest + chunk[:over], value))
        yield from (at + place for place in _all(chunk, value))
        at += len(chunk)
        rest = (rest + chunk)[-over:] if len(chunk) < over else chunk[-over:]


def _all(data: bytes, value: bytes) -> Iterator[int]:
    found = data.find(value)
    while found >= 0:
        yield found
        found = data.find(value, found + 1)


def search_file(
    path: Path, needle: Needle, *, redo: bool = False, tell: Callable[[int], None] = lambda done: None
) -> tuple[int, ...]:
    """All places in one file, which is read to where it ends by then. Holds 4 MiB twice.

    In a redo log also where the head and the check sum of a block lie between. Raises `Vanished`, `Unreadable`.
    """
    with opened(path) as (handle, about):
        found = set(places_in(_chunks(handle, tell), needle))
        if redo and about.st_size:
            room = _REDO_BLOCK - _REDO_HEADER - _REDO_TRAILER
            bare = places_in((_bare(chunk) for chunk in _chunks(handle, lambda done: None)), needle)
            found |= {at // room * _REDO_BLOCK + _REDO_HEADER + at % room for at in bare}
    return tuple(sorted(found))


def _chunks(handle: int, tell: Callable[[int], None]) -> Iterator[bytes]:
    at = 0
    while chunk := os.pread(handle, BUFFER_BYTES, at):
        yield chunk
        at += len(chunk)
        tell(len(chunk))


def _bare(chunk: bytes) -> bytes:
    """Blocks of a redo log without head and check sum."""
    import numpy as np

    whole = len(chunk) - len(chunk) % _REDO_BLOCK
    blocks = np.frombuffer(chunk[:whole], dtype=np.uint8).reshape(-1, _REDO_BLOCK)
    return blocks[:, _REDO_HEADER : _REDO_BLOCK - _REDO_TRAILER].tobytes()


def search(
    files: Iterable[tuple[Path, str]],
    needle: Needle,
    *,
    shown: Callable[[Path], str],
    encrypted: frozenset[Path],
    tell: Callable[[int], None],
) -> Canary:
    """Search all files; those in `encrypted` are tablespaces that must not have it. What is gone is passed over."""
    hits, unread, looked, total = [], [], 0, 0

    def told(done: int) -> None:
        nonlocal total
        total += done
        tell(done)

    for path, what in files:
        try:
            places = search_file(path, needle, redo=what == REDO, tell=told)
        except Vanished:
            continue
        except Unreadable as error:
            unread.append(f"{shown(path)} ({error})")
            continue
        looked += 1
        if places:
            hits.append(CanaryHit(shown(path), len(places), places[:FIRST_PLACES], what, path in encrypted))
    return Canary(len(needle.value), looked, total, tuple(hits), tuple(unread))
