"""systemd-analyze: the machine's own, or as Debian's `sid` suite ships it, unpacked into the cache.

    python -m tests.servers.systemd --pins    # write the pinned packages anew from what Debian sid has today

Fetched when it is wanted; nothing is installed into the system, and nothing of systemd runs.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.servers import cache, packages
from tests.servers.model import NotAvailable
from tests.servers.packages import LIBRARIES, LOADER

log = logging.getLogger("migrator.servers")

PINS: Final = Path(__file__).with_name("systemd-262-sid-amd64.pins")
WANTED: Final = ("systemd",)
RECIPE: Final = 1

_RENEW: Final = ".venv/bin/python -m tests.servers.systemd --pins"
_NOT_NEEDED: Final = ("perl", "libperl", "gcc-", "debconf", "adduser", "passwd", "mount", "login", "dbus", "libc-gconv")
_KEPT: Final = ("usr/bin/systemd-analyze", LIBRARIES, "usr/lib/systemd/system")


@dataclass(frozen=True, slots=True)
class Analyze:
    """A systemd-analyze that can be run: what stands before its options, and its environment."""

    command: tuple[str, ...]
    environment: dict[str, str]


def analyze() -> Analyze:
    """The machine's own, or else the pinned one; on first use that is downloaded (about 8 MB).

    Raises `NotAvailable` if there is neither.
    """
    own = shutil.which("systemd-analyze")
    return Analyze((own,), dict(os.environ)) if own else fetched()


def fetched() -> Analyze:
    """The pinned one from the cache. Raises `NotAvailable` if it is not there and cannot be downloaded."""
    version = next(pin.version for pin in packages.read_pins(PINS) if pin.package == WANTED[0])
    name = f"systemd-{version}-r{RECIPE}"
    if not (cache.folder() / name).is_dir():
        packages.require_apt("systemd-analyze")
    try:
        root = cache.made_once(name, _install)
    except packages.NoNetwork as error:
        raise NotAvailable(f"systemd {version} cannot be downloaded: {error}; or: apt-get install systemd") from None
    except packages.PinsGone as error:
        raise NotAvailable(f"{error}: renew the pins with {_RENEW}, or apt-get install systemd") from None
    libraries = root / LIBRARIES
    command = (
        str(libraries / LOADER),
        "--library-path",
        f"{libraries}:{libraries / 'systemd'}",
        str(root / "usr/bin/systemd-analyze"),
    )
    return Analyze(command, os.environ | {"SYSTEMD_UNIT_PATH": str(root / "usr/lib/systemd/system")})


def _install(target: Path) -> None:
    log.info("first use: downloading systemd (8 MB) from Debian sid into %s", cache.folder())
    staging = target / ".staging"
    packages.unpack_pinned(PINS, staging)
    for part in _KEPT:
        (target / part).parent.mkdir(parents=True, exist_ok=True)
        (staging / part).rename(target / part)
    shutil.rmtree(staging)


if __name__ == "__main__":
    if sys.argv[1:] != ["--pins"]:
        sys.exit(f"say --pins: {_RENEW}")
    packages.write_pins(PINS, WANTED, without=_NOT_NEEDED, written_by=_RENEW)
