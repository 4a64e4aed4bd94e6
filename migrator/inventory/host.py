"""The server's host, where it is the one that we run on: its disks, its memory, the server's files there.

Reads only: /proc, /sys, and files of the server where our user may. What may not be read is None, never an error.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from migrator.db import Session
from migrator.inventory.disks import (
    Mount,
    core_limit,
    crypt_of,
    device_of,
    disk_of,
    has_aes,
    hibernates_to,
    mounts_of,
    swap_kind,
    swaps_of,
)
from migrator.inventory.files import DataFile, read_files, read_places
from migrator.inventory.log_files import facts_of, log_file, old_redo, old_undo, tablespace_file
from migrator.model import Server
from migrator.posture import Disk, FileFacts, Host, Swap

_DISKS: Final = (
    "datadir",
    "tmpdir",
    "innodb_tmpdir",
    "innodb_temp_tablespaces_dir",
    "innodb_data_home_dir",
    "general_log_file",
    "slow_query_log_file",
)
_LOGS: Final = ("general_log_file", "slow_query_log_file")
_LOOKS: Final = 3
"""So often a file must be there, and not in the catalog, before it is said to be unknown: DDL is at work meanwhile."""

Resolve = Callable[[str], Path]


def read_host(session: Session, server: Server, *, datadir: Path, resolve: Resolve, why: str) -> Host:
    """Look at the host; `datadir` is proved to be the server's, `resolve` says where one of its files is here.

    Asks the catalog some times, reads no more than 1 GiB of the redo log and as much of undo tablespaces. Locks
    nothing. `why` says how the host is known.
    """
    places = read_places(session)
    mounts = mounts_of(_text(Path("/proc/self/mountinfo")))
    files = read_files(session)
    undo = (resolve(file.path) for file in files if file.kind == "Undo")
    process = _process(places | {"pid_file": str(session.value("SELECT @@pid_file") or "")}, datadir, resolve)
    return Host(
        local=True,
        why=why,
        aes=has_aes(_text(Path("/proc/cpuinfo"))),
        disks=_disks(places, mounts, resolve),
        swaps=_swaps(mounts),
        core_limit=core_limit(_text(process / "limits")) if process else None,
        core_pattern=_text(Path("/proc/sys/kernel/core_pattern")).strip(),
        hibernation=_hibernation(),
        datadir=facts_of(datadir),
        keyring_file=facts_of(resolve(server.keyring.data_file)) if server.keyring.data_file else None,
        relay_logs=_relay_logs(places, resolve),
        logs=_logs(places, resolve),
        unknown_files=_unknown_files(session, datadir, resolve, files),
        redo=old_redo(resolve(places.get("innodb_log_group_home_dir", "."))),
        undo=old_undo(undo, int(session.value("SELECT @@innodb_page_size"))),
    )


def _disks(places: Mapping[str, str], mounts: Iterable[Mount], resolve: Resolve) -> dict[str, Disk]:
    # tmpdir may be a list of folders; the first stands for all that lie together with it.
    found = {n: places[n].split(os.pathsep) if n == "tmpdir" else [places[n]] for n in _DISKS if places.get(n)}
    disks: dict[str, Disk] = {}
    for name, folders in found.items():
        each = [disk_of(resolve(folder), mounts) for folder in folders if folder]
        clear = [disk for disk in each if not disk.crypt and not disk.in_memory]
        if each:
            disks[name] = (clear or each)[0]
    return disks


def _swaps(mounts: tuple[Mount, ...]) -> tuple[Swap, ...] | None:
    text = _text(Path("/proc/swaps"))
    if not text:
        return None

    def crypt(name: str, kind: str) -> str:
        return disk_of(Path(name), mounts).crypt if kind == "file" else crypt_of(device_of(name) or "none")

    return tuple(Swap(name, swap_kind(name, kind, crypt)) for name, kind in swaps_of(text))


def _hibernation() -> str:
    power = Path("/sys/power")
    device = hibernates_to(_text(power / "state"), _text(power / "resume"))
    return "" if device and crypt_of(device) else device


def _process(places: Mapping[str, str], datadir: Path, resolve: Resolve) -> Path | None:
    """The server's folder in /proc: the process of its pid file, if it works in its datadir."""
    pid = _text(resolve(places["pid_file"])).strip() if places.get("pid_file") else ""
    process = Path("/proc") / pid
    try:
        return process if pid.isdecimal() and (process / "cwd").resolve(strict=True) == datadir.resolve() else None
    except OSError:
        return None


def _relay_logs(places: Mapping[str, str], resolve: Resolve) -> tuple[FileFacts, ...]:
    if not places.get("relay_log_basename"):
        return ()
    base = resolve(places["relay_log_basename"])
    # Channels of replication have files of their own: base-channel.000001.
    found = [path for path in _inside(base.parent) if path.name.startswith(base.name) and path.suffix[1:].isdecimal()]
    return tuple(facts for facts in map(log_file, found) if facts is not None)


def _logs(places: Mapping[str, str], resolve: Resolve) -> dict[str, FileFacts]:
    found = {name: facts_of(resolve(places[name])) for name in _LOGS if places.get(name)}
    return {name: facts for name, facts in found.items() if facts is not None and facts.bytes}


def _unknown_files(
    session: Session, datadir: Path, resolve: Resolve, files: tuple[DataFile, ...]
) -> tuple[FileFacts, ...] | None:
    if not os.access(datadir, os.R_OK | os.X_OK):
        return None
    found = set(_tables_in(datadir)) - _known(files, resolve)
    for _ in range(_LOOKS - 1):
        if found:
            found = {path for path in found - _known(read_files(session), resolve) if path.exists()}
    seen = (tablespace_file(path) if path.suffix == ".ibd" else facts_of(path) for path in sorted(found))
    return tuple(facts for facts in seen if facts is not None)


def _known(files: Iterable[DataFile], resolve: Resolve) -> set[Path]:
    return {resolve(file.path) for file in files}


def _tables_in(datadir: Path) -> Iterable[Path]:
    folders = [datadir, *(path for path in _inside(datadir) if path.is_dir() and not path.name.startswith("#"))]
    for folder in folders:
        for path in _inside(folder):
            if path.suffix in {".ibd", ".frm", ".cfp"} or (path.name.startswith("#sql") and path.is_file()):
                yield path


def _inside(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
