"""Files of the server's logs on this machine: which were written in clear, by their own marks.

The server writes them meanwhile. What is read is what lies there at that instant; nothing is locked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from migrator.posture import FileFacts, OldPart

LARGEST_READ_BYTES: Final = 2**30
"""More than this is not read for an audit; `migrator verify --files` reads anything."""

_BINLOG_ENCRYPTED: Final = b"\xfdbin"
_BINLOG_CLEAR: Final = b"\xfebin"

_PIECE: Final = 2**20
_REDO_BLOCK: Final = 512
_REDO_HEADER: Final = 2048
_REDO_LENGTH: Final = 4
"""Two bytes: the block's length, whose highest bit says that the block is encrypted (log0constants.h; 9.7.4)."""
_REDO_ENCRYPTED: Final = 0x80

_FLAGS: Final = 54
_FLAGS_ENCRYPTED: Final = 1 << 13
_PAGE_TYPE: Final = 24
_UNDO_LOG: Final = 2
_ENCRYPTED_TYPES: Final = frozenset({15, 16, 17})


def facts_of(path: Path) -> FileFacts | None:
    """A file as the host shows it, without its content; None if there is none, or it may not be seen."""
    try:
        status = path.stat()
    except OSError:
        return None
    return FileFacts(str(path), status.st_size, status.st_mode & 0o7777)


def log_file(path: Path) -> FileFacts | None:
    """A file of the binary log or the relay log, and whether it is encrypted, by its first four bytes."""
    return _with(path, lambda head: {_BINLOG_ENCRYPTED: True, _BINLOG_CLEAR: False}.get(head[:4]), 4)


def tablespace_file(path: Path) -> FileFacts | None:
    """A file of a tablespace, and whether it says of itself that it is encrypted."""
    last = _FLAGS + 4
    return _with(
        path,
        lambda head: bool(int.from_bytes(head[_FLAGS:last], "big") & _FLAGS_ENCRYPTED) if len(head) >= last else None,
        last,
    )


def old_redo(folder: Path) -> OldPart | None:
    """The blocks of all files of the redo log, spare ones included; None if they are not readable, or too large."""
    inside = folder / "#innodb_redo"
    files = sorted(inside.glob("#ib_redo*")) if inside.is_dir() else sorted(folder.glob("ib_logfile*"))
    written = clear = 0
    for piece in _pieces(files, skip=_REDO_HEADER):
        if piece is None:
            return None
        for high, low in zip(piece[_REDO_LENGTH::_REDO_BLOCK], piece[_REDO_LENGTH + 1 :: _REDO_BLOCK], strict=False):
            written += bool(high or low)
            clear += bool((high or low) and not high & _REDO_ENCRYPTED)
    return OldPart(len(files), written, clear) if files else None


def old_undo(files: Iterable[Path], page_bytes: int) -> OldPart | None:
    """The pages of all undo tablespaces that hold old values of rows; None if one is not readable, or too large."""
    paths = sorted(files)
    written = clear = 0
    for piece in _pieces(paths):
        if piece is None:
            return None
        for high, low in zip(piece[_PAGE_TYPE::page_bytes], piece[_PAGE_TYPE + 1 :: page_bytes], strict=False):
            kind = high << 8 | low
            written += kind in _ENCRYPTED_TYPES or kind == _UNDO_LOG
            clear += kind == _UNDO_LOG
    return OldPart(len(paths), written, clear) if paths else None


def _with(path: Path, judge: Callable[[bytes], bool | None], size: int) -> FileFacts | None:
    facts = facts_of(path)
    if facts is None:
        return None
    try:
        with path.open("rb") as stream:
            head = stream.read(size)
    except OSError:
        return facts
    return replace(facts, encrypted=judge(head))


def _pieces(files: Iterable[Path], *, skip: int = 0) -> Iterator[bytes | None]:
    """What stands in the files, a MiB at a time; None, and no more, for what may not be read or is too much."""
    left = LARGEST_READ_BYTES
    for path in files:
        try:
            with path.open("rb") as stream:
                stream.seek(skip)
                while piece := stream.read(min(_PIECE, left + 1)):
                    left -= len(piece)
                    if left < 0:
                        yield None
                        return
                    yield piece
        except FileNotFoundError:
            continue  # the redo log goes from file to file
        except OSError:
            yield None
            return
