"""The server's host: disk, memory that gets to a disk, and who else may read there. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from migrator.planner.posture.code import Code
from migrator.planner.posture.settings import is_on, said
from migrator.posture import Area, Disk, Host, Place, Posture, State

_MEMORY: Final = "pages of encrypted tables and keys lie in the server's memory in clear, and get to a disk that way"

HOST: Final = Code(
    "host",
    Area.HOST,
    "the server's host",
    "Disks, swap, core dumps and modes of files can be seen only there: where the host's name is the server's, and the"
    " datadir holds its `auto.cnf`.",
    "what lies in clear on the host is not known",
    "run `migrator audit` there",
)
AES: Final = Code(
    "aes-instructions",
    Area.HOST,
    "AES in the processor",
    "`aes` in /proc/cpuinfo. Without it encryption costs some times as much: 178 against 923 MB/s a core for"
    " aes-128-gcm, in a published measurement.",
    "encryption is slow",
    "other hardware, or a virtual machine to which the host shows the instructions",
)
DISK: Final = Code(
    "datadir-disk",
    Area.HOST,
    "disk below the datadir",
    "Is the file system of the datadir encrypted by the kernel (dm-crypt, LUKS), also through LVM and RAID? It is the"
    " only thing that covers what the server cannot encrypt, and blocks of files that were removed. Who works on the"
    " running host is not kept out by it.",
    "",
    "LUKS: `cryptsetup luksFormat`, then move the datadir",
)
MODE: Final = Code(
    "datadir-permissions",
    Area.HOST,
    "who may read the datadir",
    "The mode of the datadir itself.",
    "other users of the host can read what lies in clear, and copy the rest",
    "`chmod 750` of the datadir",
)
SWAP: Final = Code(
    "swap",
    Area.HOST,
    "swap",
    "Areas in /proc/swaps: on dm-crypt, in memory (zram), or in clear.",
    _MEMORY,
    "swap with a random key (`/etc/crypttab`: `swap DEVICE /dev/urandom swap`), none at all, or `--memlock`",
)
CORE: Final = Code(
    "core-dumps",
    Area.HOST,
    "core dumps",
    "`core_file`, and on the host the limit of the process. `innodb_buffer_pool_in_core_file = OFF` keeps only the"
    " buffer pool out, not keys and sessions.",
    _MEMORY,
    "`core-file` out of the option file, restart; `SET PERSIST innodb_buffer_pool_in_core_file = OFF` meanwhile",
)
HIBERNATION: Final = Code(
    "hibernation",
    Area.HOST,
    "hibernation",
    "A device to which the kernel would write all memory (/sys/power/resume).",
    _MEMORY,
    "`systemctl mask hibernate.target hybrid-sleep.target suspend-then-hibernate.target`; no `resume=` for the kernel",
)
POOL_DUMP: Final = Code(
    "buffer-pool-dump",
    Area.HOST,
    "dump of the buffer pool",
    "`ib_buffer_pool` has numbers of tablespaces and pages, and no rows.",
    "",
    "nothing to close",
)
CODES: Final = (HOST, AES, DISK, MODE, SWAP, CORE, HIBERNATION, POOL_DUMP)

_OTHERS: Final = 0o007


def host(posture: Posture) -> Iterator[Place]:
    """The host's places; one line that says why, where it is not the host that we run on."""
    there = posture.host
    if there.local:
        yield HOST.place(State.OK, there.why)
        yield from _seen(there)
    else:
        yield HOST.place(State.ASK, f"not looked at: {there.why}", "$ migrator audit  # on the server's host")
    yield _core(posture)
    yield POOL_DUMP.place(State.OK, f"{said(posture, 'innodb_buffer_pool_dump_at_shutdown')}: numbers of pages only")


def _seen(there: Host) -> Iterator[Place]:
    if there.aes is None:
        yield AES.place(State.ASK, "/proc/cpuinfo does not say", "$ grep -o -w aes /proc/cpuinfo | uniq")
    else:
        named = "has" if there.aes else "does not have"
        yield AES.place(State.OK if there.aes else State.BAD, f"/proc/cpuinfo {named} aes", "-- other hardware")
    yield _disk(there.disks.get("datadir"))
    if there.datadir is None:
        yield MODE.place(State.UNKNOWN, "the datadir cannot be seen", "-- run as a user who may see the datadir")
    else:
        wide = there.datadir.mode & _OTHERS
        evidence = f"{there.datadir.path} has mode {there.datadir.mode:03o}"
        yield MODE.place(State.BAD if wide else State.OK, evidence, f"$ chmod o= '{there.datadir.path}'")
    yield _swap(there)
    if there.hibernation:
        evidence = f"/sys/power/resume is {there.hibernation}, which is not encrypted"
        yield HIBERNATION.place(State.BAD, evidence, "$ systemctl mask hibernate.target hybrid-sleep.target")
    else:
        yield HIBERNATION.place(State.UNUSED, "no device in clear to hibernate to, by /sys/power")


def _disk(disk: Disk | None) -> Place:
    if disk is None or not disk.mount:
        return DISK.place(State.ASK, "/proc/self/mountinfo does not say", "$ lsblk -o NAME,TYPE,FSTYPE,MOUNTPOINTS")
    where = f"{disk.mount} ({disk.file_system}) on {disk.source}"
    if disk.crypt:
        return DISK.place(State.ENCRYPTED, f"{where}: {disk.crypt}")
    if disk.file_system in {"zfs", "overlay", "ecryptfs", "fuse", "nfs", "nfs4"}:
        return DISK.place(State.ASK, f"{where}: what is below is not to be seen", "-- is it encrypted below?")
    return DISK.place(State.UNUSED, f"{where}: no dm-crypt below it")


def _swap(there: Host) -> Place:
    if there.swaps is None:
        return SWAP.place(State.UNKNOWN, "/proc/swaps is not readable", "$ swapon --show")
    if not there.swaps:
        return SWAP.place(State.UNUSED, "/proc/swaps has none")
    evidence = ", ".join(f"{swap.name}: {swap.kind}" for swap in there.swaps)
    clear = [swap for swap in there.swaps if swap.kind == "clear"]
    if not clear:
        return SWAP.place(State.ENCRYPTED, evidence)
    random_key = "-- swap with a random key is a line in /etc/crypttab: cryptswap DEVICE /dev/urandom swap"
    return SWAP.place(State.CLEAR, evidence, *(f"$ swapoff '{swap.name}'" for swap in clear), random_key)


def _core(posture: Posture) -> Place:
    evidence = said(posture, "core_file", "innodb_buffer_pool_in_core_file")
    if posture.host.core_limit is not None:
        evidence += f"; the process may write {posture.host.core_limit} bytes, to {posture.host.core_pattern}"
    if not is_on(posture, "core_file"):
        return CORE.place(State.OK, evidence)
    pool = is_on(posture, "innodb_buffer_pool_in_core_file")
    closes = ["SET PERSIST innodb_buffer_pool_in_core_file = OFF;"] if pool else []
    return CORE.place(State.BAD, evidence, *closes, "-- core-file out of the option file, then restart", restart=True)
