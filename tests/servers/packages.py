"""Packages of Debian: found, pinned, downloaded and unpacked without root, installing nothing.

apt-get works on a private state (own sources list, lists and cache), so the system's lists may be
old or absent and nothing of the system is written. A pin is a package, its version and its checksum. A pin file
belongs to one suite; it is `sid` if not told otherwise.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.servers.model import NotAvailable

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
LIBRARIES = "usr/lib/x86_64-linux-gnu"
LOADER = "ld-linux-x86-64.so.2"
"""In `LIBRARIES`: the suite's libc is not the system's, so its programs need their own loader."""
SID = "sid"


class PinsGone(Exception):
    """The suite no longer has a pinned version."""


class NoNetwork(Exception):
    """The archive did not answer."""


@dataclass(frozen=True, slots=True, order=True)
class Pin:
    """One package of a closure, exactly."""

    package: str
    version: str
    sha256: str


def read_pins(path: Path) -> tuple[Pin, ...]:
    """The pins in a file, `#` before a comment."""
    lines = (line.split() for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return tuple(Pin(*words) for words in lines)


def write_pins(
    path: Path, wanted: Sequence[str], *, without: tuple[str, ...], written_by: str, suite: str = SID
) -> int:
    """Pin `wanted` and what they need, as the suite has them now; the number of packages."""
    with private_apt(suite) as apt:
        apt.update()
        closure = apt.closure(wanted, without=without)
        names = {package.name.split("_")[0]: package for package in apt.download(closure)}
        found = [Pin(package, version, _sha256(names[package])) for package, version in closure]
    head = (
        f"# {' and '.join(wanted)} of Debian {suite} with what they need, on {datetime.now(UTC):%Y-%m-%d}, amd64:\n"
        f"# package version sha256. Written by: {written_by}\n"
    )
    path.write_text(head + "".join(f"{pin.package} {pin.version} {pin.sha256}\n" for pin in found))
    return len(found)


def require_apt(what: str) -> None:
    """`NotAvailable` if packages cannot be fetched and unpacked on this machine; `what` is for the message."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise NotAvailable(f"{what} is for Linux on x86_64, this is {sys.platform} on {platform.machine()}")
    for tool in ("apt-get", "dpkg-deb"):
        if not shutil.which(tool):
            raise NotAvailable(f"{what} is unpacked with {tool}, which is not here")
    if not KEYRING.is_file():
        raise NotAvailable(
            f"{KEYRING} is not here, so packages cannot be trusted: apt-get install debian-archive-keyring"
        )


def unpack_pinned(path: Path, target: Path, *, suite: str = SID) -> None:
    """Download the packages of a pin file and unpack them into `target`, each with the checksum of its pin.

    Raises `PinsGone`, `NoNetwork`, or `NotAvailable` if a checksum differs; nothing is unpacked then.
    """
    pins = read_pins(path)
    with private_apt(suite) as apt:
        apt.update()
        gone = [pin for pin in pins if pin.version not in apt.versions(pin.package)]
        if gone:
            raise PinsGone(f"Debian {suite} no longer has " + ", ".join(f"{pin.package} {pin.version}" for pin in gone))
        packages = apt.download([(pin.package, pin.version) for pin in pins])
        if sorted(map(_sha256, packages)) != sorted(pin.sha256 for pin in pins):
            raise NotAvailable(f"a downloaded package has not the checksum of {path.name}: nothing was unpacked")
        unpack(packages, target)


def unpack(packages: Sequence[Path], target: Path) -> None:
    """Put the files of the packages below `target`."""
    for package in packages:
        subprocess.run(["dpkg-deb", "-x", package, target], check=True)


@contextmanager
def private_apt(suite: str = SID) -> Iterator[Apt]:
    """apt-get with a state of its own, gone after the block."""
    with tempfile.TemporaryDirectory(prefix="migrator-apt-") as folder:
        yield Apt(Path(folder), suite)


class Apt:
    """apt-get on a private state: reads and writes `folder` and nothing else."""

    def __init__(self, folder: Path, suite: str = SID) -> None:
        mirror = os.environ.get("MIGRATOR_DEBIAN_MIRROR", "http://deb.debian.org/debian")
        for part in ("lists/partial", "cache/archives/partial", "parts", "debs"):
            (folder / part).mkdir(parents=True)
        (folder / "sources.list").write_text(f"deb [arch=amd64 signed-by={KEYRING}] {mirror} {suite} main\n")
        self._debs = folder / "debs"
        settings = {
            "Dir::Etc::sourcelist": folder / "sources.list",
            "Dir::Etc::sourceparts": folder / "parts",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": folder / "parts",
            "Dir::State": folder,
            "Dir::State::lists": folder / "lists",
            "Dir::State::status": "/dev/null",
            "Dir::Cache": folder / "cache",
            "Acquire::Languages": "none",
            # A frozen mirror (snapshot.debian.org) is as good: signed, and the pins have checksums.
            "Acquire::Check-Valid-Until": "false",
            "Acquire::Retries": "3",
            "Acquire::http::Timeout": "30",
            # root's downloads would be made by _apt, who may not enter a private folder
            "APT::Sandbox::User": "root",
            "APT::Architecture": "amd64",
            "APT::Get::List-Cleanup": "false",
        }
        self._options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]

    def update(self) -> None:
        """Fetch the suite's lists; `NoNetwork` if the archive does not answer."""
        self._run("apt-get", "-qq", "--error-on=any", "update", failure=NoNetwork)

    def versions(self, package: str) -> set[str]:
        """The versions that the suite has."""
        lines = self._run("apt-cache", "madison", package, failure=NotAvailable).splitlines()
        return {line.split("|")[1].strip() for line in lines if line.count("|") == 2}

    def closure(self, wanted: Sequence[str], *, without: tuple[str, ...]) -> list[tuple[str, str]]:
        """`wanted` and what they need, (package, version), but for names that begin with one of `without`."""
        plan = self._run("apt-get", "-s", "--no-install-recommends", "install", *wanted, failure=NotAvailable)
        chosen = (line.split() for line in plan.splitlines() if line.startswith("Inst "))
        return sorted((words[1], words[2].lstrip("(")) for words in chosen if not words[1].startswith(without))

    def download(self, packages: Sequence[tuple[str, str]]) -> list[Path]:
        """Download (package, version) each; the files."""
        words = [f"{package}={version}" for package, version in packages]
        self._run("apt-get", "-qq", "download", *words, failure=NoNetwork, folder=self._debs)
        return sorted(self._debs.glob("*.deb"))

    def _run(self, tool: str, *words: str, failure: type[Exception], folder: Path | None = None) -> str:
        done = subprocess.run(
            [tool, *self._options, *words],
            cwd=folder,
            env=os.environ | {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            complaint = (done.stderr or done.stdout).strip().splitlines()
            raise failure(complaint[-1] if complaint else f"{tool} {words[0]} failed")
        return done.stdout


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
