"""What a path lies on, by texts of /proc and trees of /sys written by hand for these tests; and by this very host."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator.inventory.disks import (
    core_limit,
    crypt_of,
    disk_of,
    has_aes,
    hibernates_to,
    mount_of,
    mounts_of,
    swap_kind,
    swaps_of,
)
from migrator.posture import Disk

MOUNTINFO = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 253:3 / /var/lib/mysql rw,noatime shared:20 master:3 - xfs /dev/mapper/vg-mysql rw,attr2
41 40 0:52 / /var/lib/mysql/tmp rw - tmpfs tmpfs rw
42 22 253:9 / /mnt/with\\040space rw - ext4 /dev/mapper/one rw
43 22 253:10 / /mnt/with\\040space rw - ext4 /dev/mapper/two rw
not a line
"""


def test_mounts() -> None:
    """The deepest mount point counts, of several at one place the last; escapes are read."""
    mounts = mounts_of(MOUNTINFO)
    assert len(mounts) == 5
    for path, device in (
        ("/etc/passwd", "8:1"),
        ("/var/lib/mysql", "253:3"),
        ("/var/lib/mysql/shop/t.ibd", "253:3"),
        ("/var/lib/mysql-files", "8:1"),
        ("/var/lib/mysql/tmp/x", "0:52"),
        ("/mnt/with space/x", "253:10"),
    ):
        found = mount_of(path, mounts)
        assert found and found.device == device, path
    assert mount_of("/x", ()) is None


def block(sysfs: Path, device: str, name: str, *, uuid: str = "", below: tuple[str, ...] = ()) -> None:
    """A block device as /sys shows it: by its number, with what lies below it."""
    place = sysfs / "devices" / name
    (place / "slaves").mkdir(parents=True, exist_ok=True)
    if uuid:
        (place / "dm").mkdir()
        (place / "dm" / "uuid").write_text(f"{uuid}\n")
    for one in below:
        (place / "slaves" / Path(one).name).symlink_to(sysfs / "devices" / one)
    numbers = sysfs / "dev" / "block"
    numbers.mkdir(parents=True, exist_ok=True)
    (numbers / device).symlink_to(place)


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    """A disk, its partition, LUKS on it, LVM on that; LVM over a LUKS and a plain one; RAID of two LUKS."""
    block(tmp_path, "8:0", "sda")
    block(tmp_path, "8:1", "sda/sda1")
    (tmp_path / "devices" / "sda" / "sda1" / "partition").write_text("1\n")
    block(tmp_path, "253:0", "dm-0", uuid="CRYPT-LUKS2-0123-mysql", below=("sda/sda1",))
    block(tmp_path, "253:1", "dm-1", uuid="LVM-abc", below=("dm-0",))
    block(tmp_path, "253:2", "dm-2", uuid="LVM-mixed", below=("dm-0", "sda"))
    block(tmp_path, "253:4", "dm-4", uuid="CRYPT-PLAIN-swap", below=("sda",))
    block(tmp_path, "9:0", "md0", below=("dm-0", "dm-4"))
    block(tmp_path, "259:1", "dm-0/part")
    (tmp_path / "devices" / "dm-0" / "part" / "partition").write_text("1\n")
    return tmp_path


@pytest.mark.parametrize(
    ("device", "crypt"),
    [
        ("8:0", ""),
        ("8:1", ""),
        ("253:0", "CRYPT-LUKS2"),
        ("253:1", "CRYPT-LUKS2"),
        ("253:2", ""),
        ("253:4", "CRYPT-PLAIN"),
        ("9:0", "CRYPT-LUKS2, CRYPT-PLAIN"),
        ("259:1", "CRYPT-LUKS2"),
        ("1:1", ""),
    ],
)
def test_dm_crypt_is_found_below_lvm_raid_and_partitions(sysfs: Path, device: str, crypt: str) -> None:
    """Only if every part is encrypted; a device that is not there is not."""
    assert crypt_of(device, sysfs) == crypt


def test_a_device_that_lies_on_itself_ends(tmp_path: Path) -> None:
    """No tree of devices keeps the audit for ever."""
    block(tmp_path, "253:0", "dm-0", below=("dm-1",))
    block(tmp_path, "253:1", "dm-1", below=("dm-0",))
    assert crypt_of("253:0", tmp_path) == ""


def test_a_disk(sysfs: Path, tmp_path: Path) -> None:
    """What a path lies on, with its device; in memory is no disk."""
    (tmp_path / "data").mkdir()
    line = f"40 22 253:1 / {tmp_path} rw - xfs /dev/mapper/vg-mysql rw\n"
    found = disk_of(tmp_path / "data", mounts_of(MOUNTINFO + line), sysfs)
    assert found == Disk(str(tmp_path / "data"), str(tmp_path), "xfs", "/dev/mapper/vg-mysql", "CRYPT-LUKS2")
    assert Disk("/x", "/x", "tmpfs", "tmpfs").in_memory
    assert disk_of(tmp_path, (), sysfs) == Disk(str(tmp_path))


SWAPS = """\
Filename				Type		Size		Used		Priority
/dev/dm-4                               partition	8388604		0		-2
/dev/zram0                              partition	4194300		0		100
/swap\\040file                          file		1048572		0		-3
"""


def test_swaps() -> None:
    """Each area with its kind; a device in memory is none of clear."""
    assert swaps_of(SWAPS) == (("/dev/dm-4", "partition"), ("/dev/zram0", "partition"), ("/swap file", "file"))
    assert swaps_of("Filename Type Size Used Priority\n") == ()
    crypt = {"/dev/dm-4": "CRYPT-PLAIN"}
    kinds = [swap_kind(name, kind, lambda name, kind: crypt.get(name, "")) for name, kind in swaps_of(SWAPS)]
    assert kinds == ["encrypted", "zram", "clear"]


def test_processor() -> None:
    """x86 has flags, ARM features; what says nothing is not judged."""
    assert has_aes("processor : 0\nflags\t\t: fpu aes sse\nprocessor : 1\nflags\t\t: fpu aes\n") is True
    assert has_aes("flags\t\t: fpu vaes_not sse\n") is False
    assert has_aes("Features\t: fp asimd aes pmull\n") is True
    assert has_aes("cpu : POWER9\n") is None


def test_core_limit_and_hibernation() -> None:
    """The soft limit counts; a kernel that cannot hibernate, or has no device for it, does not."""
    limits = "Limit                     Soft Limit           Hard Limit           Units\n"
    assert core_limit(limits + "Max core file size        0                    unlimited            bytes\n") == "0"
    assert (
        core_limit(limits + "Max core file size        unlimited            unlimited            bytes\n")
        == "unlimited"
    )
    assert core_limit("") is None
    assert hibernates_to("freeze mem disk\n", "253:4\n") == "253:4"
    assert hibernates_to("freeze mem disk\n", "0:0\n") == ""
    assert hibernates_to("freeze mem\n", "253:4\n") == ""


def test_this_host() -> None:
    """The real files are read without an error, and say something."""
    mounts = mounts_of(Path("/proc/self/mountinfo").read_text())
    assert mounts
    here = disk_of(Path(__file__), mounts)
    assert here.mount and here.file_system
    assert isinstance(swaps_of(Path("/proc/swaps").read_text()), tuple)
    assert core_limit(Path("/proc/self/limits").read_text()) is not None
    assert has_aes(Path("/proc/cpuinfo").read_text()) in {True, False, None}
