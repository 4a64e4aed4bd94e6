"""What a path lies on: file systems, the layers of block devices below them, swap. Linux only.

The texts of /proc are parsed by pure functions; block devices are a tree of small files in /sys, which is walked
from a root that tests may choose.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from migrator.posture import Disk

SYSFS: Final = Path("/sys")

_ENCRYPTED: Final = "CRYPT-"
"""How dm/uuid begins where dm-crypt is at work: CRYPT-LUKS1, CRYPT-LUKS2, CRYPT-PLAIN."""
_DEEPEST: Final = 16


@dataclass(frozen=True, slots=True)
class Mount:
    """A line of /proc/self/mountinfo."""

    device: str
    """major:minor"""
    point: str
    file_system: str
    source: str


def mounts_of(mountinfo: str) -> tuple[Mount, ...]:
    """The lines of /proc/self/mountinfo, in order; what is no such line is left out. Pure (manual page proc(5))."""
    found = []
    for line in mountinfo.splitlines():
        before, separator, after = line.partition(" - ")
        left, right = before.split(), after.split()
        if separator and len(left) >= 6 and len(right) >= 2:
            found.append(Mount(left[2], _unescaped(left[4]), right[0], _unescaped(right[1])))
    return tuple(found)


def mount_of(path: str, mounts: Iterable[Mount]) -> Mount | None:
    """The file system that a path lies in: the deepest mount point above it, the last of several. Pure."""
    best: Mount | None = None
    for mount in mounts:
        deeper = best is None or len(mount.point) >= len(best.point)
        if deeper and PurePosixPath(path).is_relative_to(mount.point):
            best = mount
    return best


def crypt_of(device: str, sysfs: Path = SYSFS) -> str:
    """How the kernel encrypts a block device (`CRYPT-LUKS2`), '' if it does not, or not in all of its parts.

    Looks below partitions, LVM and RAID; reads small files of /sys only.
    """
    return _crypt((sysfs / "dev" / "block" / device).resolve(), _DEEPEST)


def disk_of(path: Path, mounts: Iterable[Mount], sysfs: Path = SYSFS) -> Disk:
    """What a path lies on. Reads /sys only."""
    mount = mount_of(str(path.resolve()), mounts)
    if mount is None:
        return Disk(str(path))
    # btrfs and other file systems of several devices have a number that is no device's.
    device = device_of(mount.source) if mount.device.startswith("0:") else mount.device
    return Disk(str(path), mount.point, mount.file_system, mount.source, crypt_of(device, sysfs) if device else "")


def device_of(name: str) -> str:
    """major:minor of a device by its name in /dev, or ''."""
    if not name.startswith("/dev/"):
        return ""
    try:
        number = Path(name).stat().st_rdev
    except OSError:
        return ""
    return f"{os.major(number)}:{os.minor(number)}"


def swaps_of(swaps: str) -> tuple[tuple[str, str], ...]:
    """Name and type (`partition` or `file`) of each line of /proc/swaps. Pure."""
    lines = [line.split() for line in swaps.splitlines()[1:]]
    return tuple((_unescaped(words[0]), words[1]) for words in lines if len(words) >= 5)


def swap_kind(name: str, kind: str, crypt: Callable[[str, str], str]) -> str:
    """'zram', 'encrypted' or 'clear'; `crypt` tells of a name and a type how it is encrypted."""
    if re.fullmatch(r"/dev/zram\d+", name):
        return "zram"
    return "encrypted" if crypt(name, kind) else "clear"


def has_aes(cpuinfo: str) -> bool | None:
    """True if /proc/cpuinfo names instructions for AES, None if it names no instructions at all. Pure."""
    lines = re.findall(r"^(?:flags|Features)\s*:(.*)$", cpuinfo, flags=re.MULTILINE)
    return None if not lines else all("aes" in line.split() for line in lines)


def core_limit(limits: str) -> str | None:
    """The soft limit for core dumps in /proc/PID/limits: '0', a number of bytes or 'unlimited'. Pure."""
    found = re.search(r"^Max core file size\s+(\S+)", limits, flags=re.MULTILINE)
    return found[1] if found else None


def hibernates_to(state: str, resume: str) -> str:
    """The device that memory is written to when the machine hibernates, by /sys/power/state and resume, or ''. Pure."""
    device = resume.strip()
    return device if "disk" in state.split() and device not in {"", "0:0"} else ""


def _crypt(block: Path, depth: int) -> str:
    if depth == 0 or not block.is_dir():
        return ""
    uuid = _text(block / "dm" / "uuid")
    if uuid.startswith(_ENCRYPTED):
        return "-".join(uuid.split("-")[:2])
    if (block / "partition").exists():
        return _crypt(block.parent, depth - 1)
    try:
        below = sorted((block / "slaves").iterdir())
    except OSError:
        return ""
    kinds = [_crypt(device.resolve(), depth - 1) for device in below]
    return ", ".join(dict.fromkeys(kinds)) if kinds and all(kinds) else ""


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
