"""What encrypts below a file: for places that the server itself cannot encrypt. Pure."""

from __future__ import annotations

from migrator.posture import Disk, Host, Posture


def disk_below(posture: Posture, *names: str, lead: str = "no statement: only") -> str:
    """What closes a place that no setting closes, in words; `names` are the variables that name its paths.

    `lead` says how that stands to the lines before it.
    """
    paths = [f"{name} ({posture.variables[name]})" for name in names if posture.variables.get(name)]
    return f"-- {lead} an encrypted disk below {' and '.join(paths)}: docs/audit.md, An encrypted disk below"


def encrypted_below(host: Host, *names: str) -> str:
    """How all of these paths are encrypted below the server, or '' if one is not, or that is not known.

    `names` are the variables that name the paths; those that are not set do not count. What is only in memory
    counts unless it may be swapped out in clear.
    """
    disks = [host.disks[name] for name in names if name in host.disks]
    found = [_one(host, disk) for disk in disks]
    return "; ".join(dict.fromkeys(found)) if found and all(found) else ""


def _one(host: Host, disk: Disk) -> str:
    if disk.crypt:
        return f"{disk.mount} is on {disk.source} ({disk.crypt})"
    if disk.in_memory and host.swaps is not None and all(swap.kind != "clear" for swap in host.swaps):
        return f"{disk.mount} is in memory ({disk.file_system})"
    return ""
