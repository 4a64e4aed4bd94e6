"""One file, read from its beginning to its end while the server uses it: without locks, in bounded memory.

The server writes pages meanwhile. A page is read whole or torn; what looks in clear is looked at again by
`again`, since a page that is being written is encrypted a moment later.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from migrator.proof.header import LARGEST_PAGE, Header, NoHeader, header_of
from migrator.proof.pages import Suspect, Tally, classify

BUFFER_BYTES: Final = 4 * 2**20
"""Holds whole pages of every size."""

Tell = Callable[[int], None]
"""Is told how many bytes more were read."""


class Vanished(Exception):
    """The file is not there, or another one has its name now."""


class Unreadable(Exception):
    """The file may not or cannot be read; says why."""


@dataclass(slots=True)
class FileRead:
    """What one file holds."""

    path: Path
    inode: int
    file_bytes: int
    header: Header | None
    no_header: str = ""
    """Why there is none."""
    page_bytes: int = 0
    tally: Tally = field(default_factory=Tally)
    sampled: bool = False
    """Not all pages were read."""
    written_meanwhile: int = 0
    """Pages in clear that have changed between two looks, and still were in clear."""
    looks: int = 1


@contextmanager
def opened(path: Path) -> Iterator[tuple[int, os.stat_result]]:
    """A regular file, to be read. Raises `Vanished`, `Unreadable`."""
    try:
        # Non-blocking, for what calls itself a file of the server and is a pipe.
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise Vanished(str(path)) from None
    except OSError as error:
        raise Unreadable(error.strerror or type(error).__name__) from None
    try:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise Unreadable("it is no regular file")
        yield handle, about
    except OSError as error:
        raise Unreadable(error.strerror or type(error).__name__) from None
    finally:
        os.close(handle)


def read_file(
    path: Path, *, page_bytes: int, percent: float = 100.0, keep: int = 1000, tell: Tell = lambda done: None
) -> FileRead:
    """Classify the pages of a file: all of them, or `percent` of its extents, the first and the last among them.

    `page_bytes` is what the catalog says, and counts only where the first page says nothing. Holds 4 MiB, and
    the places of the first `keep` pages in clear.
    Raises `Vanished` also if the name belongs to another file at the end, and `Unreadable`.
    """
    with opened(path) as (handle, about):
        first = os.pread(handle, LARGEST_PAGE, 0)
        read = FileRead(path, about.st_ino, about.st_size, None, page_bytes=page_bytes, tally=Tally(keep=keep))
        try:
            read.header = header_of(first)
            read.page_bytes = read.header.page_bytes
        except NoHeader as error:
            read.no_header = str(error)
        extent = max(read.header.extent_bytes if read.header else 0, 2**20)
        spans = sampled_spans(about.st_size, extent, percent)
        read.sampled = sum(length for _, length in spans) < about.st_size
        buffer = memoryview(bytearray(BUFFER_BYTES))
        for start, length in spans:
            # A file that grows is read to where it ends by then; what is not sampled is.
            last = not read.sampled and (start, length) == spans[-1]
            _span(handle, start, None if last else length, buffer, read, tell)
        if not _is_still(path, read.inode):
            raise Vanished(str(path))
    return read


def sampled_spans(file_bytes: int, extent_bytes: int, percent: float) -> list[tuple[int, int]]:
    """Which parts of a file are read, as offset and length: every n-th extent, always the first and the last. Pure."""
    extents = -(-file_bytes // extent_bytes)
    every = max(1, int(100 / percent))
    if every == 1 or extents <= 2:
        return [(0, file_bytes)]
    chosen = sorted({*range(0, extents, every), extents - 1})
    return [(n * extent_bytes, min(extent_bytes, file_bytes - n * extent_bytes)) for n in chosen]


def _span(handle: int, start: int, length: int | None, buffer: memoryview, read: FileRead, tell: Tell) -> None:
    """Read on from `start`, to the end of the file if there is no length; a torn page at the end does not count."""
    at, end = start, None if length is None else start + length
    while end is None or at < end:
        wanted = len(buffer) if end is None else min(len(buffer), end - at)
        got = _fill(handle, buffer[:wanted], at)
        whole = got - got % read.page_bytes
        if whole:
            read.tally.add(
                classify(
                    buffer[:whole],
                    page_bytes=read.page_bytes,
                    first_page=at // read.page_bytes,
                    keep=max(0, read.tally.keep - len(read.tally.suspects)),
                )
            )
            tell(whole)
        at += whole
        if got < wanted or not whole:
            return


def _fill(handle: int, buffer: memoryview, at: int) -> int:
    """Read until the buffer is full or the file ends."""
    got = 0
    while got < len(buffer):
        more = os.preadv(handle, [buffer[got:]], at + got)
        if not more:
            break
        got += more
    return got


def _is_still(path: Path, inode: int) -> bool:
    try:
        return path.stat().st_ino == inode
    except OSError:
        return False


def again(read: FileRead) -> None:
    """Look once more at the first page and at those in clear that are named; count what they are now.

    Raises `Vanished`, `Unreadable`.
    """
    with opened(read.path) as (handle, about):
        if about.st_ino != read.inode:
            raise Vanished(str(read.path))
        first = os.pread(handle, LARGEST_PAGE, 0)
        try:
            read.header, read.no_header = header_of(first), ""
        except NoHeader as error:
            read.header, read.no_header = None, str(error)
        still: list[Suspect] = []
        for suspect, now in _pages_now(handle, read.tally.suspects, read.page_bytes):
            _move(read.tally, suspect, now)
            if now.suspects:
                read.written_meanwhile += now.suspects[0].lsn != suspect.lsn
                still.append(now.suspects[0])
        read.tally.suspects = still
        read.looks += 1


def _pages_now(handle: int, suspects: Iterable[Suspect], page_bytes: int) -> Iterator[tuple[Suspect, Tally]]:
    for suspect in suspects:
        page = os.pread(handle, page_bytes, suspect.page * page_bytes)
        if len(page) == page_bytes:
            yield suspect, classify(page, page_bytes=page_bytes, first_page=suspect.page)
        else:  # the file was cut there: the page is no more
            yield suspect, Tally()


def _move(tally: Tally, before: Suspect, now: Tally) -> None:
    tally.kinds[before.kind] -= 1
    tally.classes[before.what] -= 1
    tally.kinds.update(now.kinds)
    tally.classes.update(now.classes)
    tally.kinds, tally.classes = +tally.kinds, +tally.classes
    tally.pages += now.pages - 1


def needs_another_look(read: FileRead) -> bool:
    """True if a page is in clear, or the first one is no header."""
    return bool(read.tally.suspects) or read.header is None
