"""Pages, classified by what stands in them: encrypted, empty, or in clear, and then whether with rows. Pure.

Whole buffers at a time, by numpy: as fast as memory is read. A page counts as encrypted if its type says so
*and* its encrypted part has no eight zero bytes in a row at an even place: cipher text has them once in
2^53 pages, pages in clear nearly always.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HEADER_BYTES: Final = 38
"""Of each page; never encrypted."""
_TRAILER_BYTES: Final = 8
_COMPRESSED_AT: Final = 32
"""Two bytes: how many of the page are used, where it is compressed and encrypted."""

ENCRYPTED, COMPRESSED_AND_ENCRYPTED, ENCRYPTED_RTREE = 15, 16, 17
_TYPES_OF_ENCRYPTED: Final = (ENCRYPTED, COMPRESSED_AND_ENCRYPTED, ENCRYPTED_RTREE)

NAMES: Final = {
    0: "allocated",
    2: "undo log",
    3: "inode",
    4: "change buffer list",
    5: "change buffer bitmap",
    6: "system",
    7: "transaction system",
    8: "header",
    9: "extent descriptors",
    10: "BLOB",
    11: "compressed BLOB",
    12: "compressed BLOB",
    13: "unknown",
    14: "page compressed",
    15: "encrypted",
    16: "compressed and encrypted",
    17: "encrypted RTREE",
    18: "dictionary BLOB",
    19: "dictionary BLOB",
    20: "old doublewrite",
    21: "rollback segments",
    22: "LOB index",
    23: "LOB data",
    24: "LOB first",
    25: "compressed LOB first",
    26: "compressed LOB data",
    27: "compressed LOB index",
    28: "compressed LOB fragment",
    29: "compressed LOB fragments",
    17853: "dictionary",
    17854: "RTREE",
    17855: "INDEX",
}
"""What types of pages are called (FIL_PAGE_* in the server's fil0fil.h)."""

EMPTY: Final = "empty"
"""All zeros: never used, or given back."""
HOLLOW: Final = "encrypted in name only"

WITH_ROWS: Final = frozenset({2, 4, 10, 11, 12, 14, 17854, 17855, *range(22, 30)})
"""Types whose pages hold values of rows: indexes, long values, old versions, and those compressed as pages."""


class Class(StrEnum):
    """What a page is, for the proof."""

    HEADER = "header"
    """The first page, which is always in clear and has no row."""
    SEALED = "sealed"
    """Encrypted."""
    EMPTY = "empty"
    ROWS = "rows"
    """In clear, with values of rows."""
    OTHER = "other"
    """In clear, with bookkeeping, or of a type that is not known."""
    HOLLOW = "hollow"
    """It calls itself encrypted, and is not."""


IN_CLEAR: Final = frozenset({Class.ROWS, Class.OTHER, Class.HOLLOW})


@dataclass(frozen=True, slots=True)
class Suspect:
    """A page in clear."""

    page: int
    kind: str
    what: Class
    lsn: int
    """When it was last changed; another one later says that the page is being written."""


@dataclass(slots=True)
class Tally:
    """Pages counted; grows by `add`."""

    pages: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    classes: Counter[Class] = field(default_factory=Counter)
    suspects: list[Suspect] = field(default_factory=list)
    """The first of those in clear."""
    keep: int = 1000
    """So many of them at most."""

    def add(self, other: Tally) -> None:
        """Count the pages of `other`, too."""
        self.pages += other.pages
        self.kinds.update(other.kinds)
        self.classes.update(other.classes)
        self.suspects.extend(other.suspects[: max(0, self.keep - len(self.suspects))])

    @property
    def in_clear(self) -> int:
        """Pages in clear, the first one of a file not among them."""
        return sum(self.classes[what] for what in IN_CLEAR)


def classify(data: bytes | bytearray | memoryview, *, page_bytes: int, first_page: int, keep: int = 1000) -> Tally:
    """Count the pages in `data`, which begins with page `first_page` and holds whole pages only.

    Of the pages in clear the first `keep` are named, by their numbers.
    """
    import numpy as np

    pages: NDArray[np.uint8] = np.frombuffer(data, dtype=np.uint8).reshape(-1, page_bytes)
    words: NDArray[np.uint64] = np.frombuffer(data, dtype=np.uint64).reshape(-1, page_bytes // 8)
    types = pages[:, 24].astype(np.uint16) << np.uint16(8) | pages[:, 25]
    sealed = (types >= ENCRYPTED) & (types <= ENCRYPTED_RTREE)
    hollow = _hollow(pages, words, types, sealed)
    untyped = np.flatnonzero(types == 0)
    empty = np.zeros(len(types), dtype=np.bool_)
    if len(untyped):
        empty[untyped] = ~words[untyped].any(axis=1)
    clear = ~((sealed & ~hollow) | empty)
    if first_page == 0 and len(types) and types[0] == 8:
        clear[0] = False
    tally = Tally(pages=len(types), keep=keep)
    _count(tally, types[sealed & ~hollow], Class.SEALED)
    tally.kinds[EMPTY] += int(empty.sum())
    tally.classes[Class.EMPTY] += int(empty.sum())
    tally.kinds[HOLLOW] += int(hollow.sum())
    tally.classes[Class.HOLLOW] += int(hollow.sum())
    if first_page == 0 and len(types) and types[0] == 8:
        _count(tally, types[:1], Class.HEADER)
    rest = np.flatnonzero(clear & ~hollow)
    with_rows = np.isin(types[rest], np.array(sorted(WITH_ROWS), dtype=np.uint16))
    _count(tally, types[rest][with_rows], Class.ROWS)
    _count(tally, types[rest][~with_rows], Class.OTHER)
    for place in np.flatnonzero(clear)[:keep].tolist():
        kind = int(types[place])
        what = Class.HOLLOW if hollow[place] else Class.ROWS if kind in WITH_ROWS else Class.OTHER
        name = HOLLOW if hollow[place] else name_of(kind)
        lsn = int.from_bytes(pages[place, 16:24].tobytes(), "big")
        tally.suspects.append(Suspect(first_page + place, name, what, lsn))
    tally.kinds, tally.classes = +tally.kinds, +tally.classes
    return tally


def name_of(kind: int) -> str:
    """What people call a type of pages."""
    return NAMES.get(kind, f"type {kind}")


def _count(tally: Tally, types: NDArray[np.uint16], what: Class) -> None:
    import numpy as np

    for kind, pages in zip(*np.unique(types, return_counts=True), strict=True):
        tally.kinds[name_of(int(kind))] += int(pages)
        tally.classes[what] += int(pages)


def _hollow(
    pages: NDArray[np.uint8], words: NDArray[np.uint64], types: NDArray[np.uint16], sealed: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which pages call themselves encrypted and have eight zero bytes where cipher text should be."""
    import numpy as np

    found = np.zeros(len(types), dtype=np.bool_)
    first = -(-HEADER_BYTES // 8)
    last = (pages.shape[1] - _TRAILER_BYTES) // 8
    full = sealed & (types != COMPRESSED_AND_ENCRYPTED)
    if full.all():
        return np.asarray((words[:, first:last] == 0).any(axis=1))
    whole = np.flatnonzero(full)
    if len(whole):
        found[whole] = (words[whole, first:last] == 0).any(axis=1)
    # Behind what is used, a page that was compressed is filled up with zeros.
    for place in np.flatnonzero(types == COMPRESSED_AND_ENCRYPTED).tolist():
        used = int.from_bytes(pages[place, _COMPRESSED_AT : _COMPRESSED_AT + 2].tobytes(), "big")
        end = min(HEADER_BYTES + used, pages.shape[1]) // 8
        found[place] = bool((words[place, first:end] == 0).any())
    return found
