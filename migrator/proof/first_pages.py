"""Which master key locks each file: what stands in the first page of a tablespace, and at the head of a binlog.

Both are never encrypted. A first page has the new key once the server has written it: within a second or so where
it is idle, later where it is busy. Nobody can make it write one page at once without harm: `FLUSH TABLES ... FOR
EXPORT` stops the writes to a table, a lower `innodb_max_dirty_pages_pct` has all dirty pages written. So this only
looks, again and again.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from migrator.clock import Clock
from migrator.db import Session
from migrator.inventory.files import DataFile, read_files, read_places
from migrator.model import Server
from migrator.proof.header import LARGEST_PAGE, NoHeader, header_of
from migrator.proof.places import Datadir, find_datadir
from migrator.proof.reading import Unreadable, Vanished, opened
from migrator.report.rotated import LockedFile
from migrator.sql.rotate import Which

LOOK_EVERY_SECONDS: Final = 0.5
"""At first; then ever less often, for each look reads the catalog."""
LONGEST_PAUSE_SECONDS: Final = 5.0

UNWRITTEN: Final = "its first page is not written yet"
"""Of a file that was just made."""

_ENCRYPTED_LOG: Final = b"\xfdbin\x01"
"""Magic and version."""
_KEY_ID: Final = 1
_HEAD_BYTES: Final = 512


def read_locked_files(session: Session, server: Server, which: Sequence[Which], given: Path | None) -> list[LockedFile]:
    """Every encrypted file of the server that can be named, with the master key by which it is locked now.

    Reads the catalog, the first page of each encrypted tablespace and the head of each binlog. Raises `NotHere`.
    """
    datadir = find_datadir(server.datadir, server.server_uuid, given)
    found: list[LockedFile] = []
    if "innodb" in which:
        # Undo tablespaces say that they are encrypted only page by page.
        files = [file for file in read_files(session) if file.first and (file.encrypted or file.kind == "Undo")]
        pages = [_tablespace(datadir, file) for file in files]
        found += [one for one in pages if one.key or one.why]
    if "binlog" in which:
        found += _logs(datadir, read_places(session))
    return found


def await_key(
    look: Callable[[], list[LockedFile]],
    done: Callable[[LockedFile], bool],
    *,
    seconds: float,
    clock: Clock,
    stop: threading.Event,
) -> list[LockedFile]:
    """Look until all files are `done`, the time is over or somebody says stop; what was seen last."""
    until, pause = clock.monotonic() + seconds, LOOK_EVERY_SECONDS
    while True:
        files = look()
        left = until - clock.monotonic()
        if all(map(done, files)) or left <= 0 or clock.wait(stop, min(pause, left)):
            return files
        pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)


def _tablespace(datadir: Datadir, file: DataFile) -> LockedFile:
    path = datadir.resolve(file.path)
    shown, name = datadir.shown(path), file.tablespace
    try:
        header = header_of(_head(path, LARGEST_PAGE))
    except Vanished:
        return LockedFile("innodb", shown, name, why="there is no such file")
    except NoHeader:
        return LockedFile("innodb", shown, name, why=UNWRITTEN)
    except Unreadable as error:
        # An undo tablespace that cannot be read may never have been encrypted, but nobody knows.
        return LockedFile("innodb", shown, name, why=str(error))
    if header.space != file.space:
        return LockedFile("innodb", shown, name, why=f"it is of tablespace {header.space} by now")
    return LockedFile("innodb", shown, name, key=header.info.key_name if header.info else "")


def _logs(datadir: Datadir, places: dict[str, str]) -> list[LockedFile]:
    found = []
    for variable in ("log_bin_basename", "relay_log_basename"):
        if variable not in places:
            continue
        base = datadir.resolve(places[variable])
        for path in sorted(base.parent.glob(f"{base.name}*.[0-9]*")):
            try:
                key = log_key(_head(path, _HEAD_BYTES))
            except Vanished:
                continue  # purged
            except Unreadable as error:
                found.append(LockedFile("binlog", datadir.shown(path), "", why=str(error)))
                continue
            if key:
                found.append(LockedFile("binlog", datadir.shown(path), "", key=key))
    return found


def log_key(head: bytes) -> str:
    """The name of the master key at the head of a binary or relay log; '' if it is in clear. Pure.

    Magic `fd 62 69 6e`, version 1, then fields: type, length, value; the first is the key's name (sources:
    rpl_log_encryption.h; seen on 9.7.4).
    """
    if not head.startswith(_ENCRYPTED_LOG) or len(head) < 7 or head[5] != _KEY_ID:
        return ""
    return head[7 : 7 + head[6]].decode("ascii", "replace")


def _head(path: Path, length: int) -> bytes:
    with opened(path) as (handle, _):
        return os.pread(handle, length, 0)
