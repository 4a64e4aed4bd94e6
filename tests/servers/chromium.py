"""A browser without a screen: chromium-headless-shell of Debian's `sid` suite, unpacked into the cache.

    python -m tests.servers.chromium --pins    # write the pinned packages anew from what Debian sid has today

Nothing is installed into the system. It is made to see no network: pages are files of this machine.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.servers import cache, packages
from tests.servers.build import patchelf
from tests.servers.model import NotAvailable
from tests.servers.packages import LIBRARIES, LOADER

log = logging.getLogger("migrator.servers")

PINS: Final = Path(__file__).with_name("chromium-156-sid-amd64.pins")
WANTED: Final = ("chromium-headless-shell",)
RECIPE: Final = 1
SECONDS: Final = 120.0

_RENEW: Final = ".venv/bin/python -m tests.servers.chromium --pins"
# Drawing by a graphics card, and tools for a desktop.
_NOT_NEEDED: Final = (
    "mesa-", "libgl1-mesa", "libllvm", "x11-", "xdg-", "debconf", "gcc-", "lsb-base", "sysvinit", "pci.ids",
    "libxaw", "libglx-mesa", "libsensors", "libc-gconv", "xkb-data", "fonts-dejavu-mono",
)  # fmt: skip
_PROGRAM: Final = "usr/lib/chromium/chromium-headless-shell"
_KEPT: Final = ("usr/lib/chromium", LIBRARIES, "usr/share/fonts/truetype")
_OPTIONS: Final = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--hide-scrollbars",
    # Whatever a page asks for is asked of nobody.
    "--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=127.0.0.1:9",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Browser:
    """A browser that can be run, each time with a profile of its own."""

    program: Path
    fonts: Path
    libraries: Path

    def screenshot(self, page: Path, png: Path, *, width: int, height: int) -> None:
        """Draw a page as wide and as high as a window."""
        self._run(page, f"--screenshot={png}", f"--window-size={width},{height}")

    def pdf(self, page: Path, file: Path) -> None:
        """Print a page, on paper of the browser's usual size."""
        self._run(page, f"--print-to-pdf={file}", "--no-pdf-header-footer")

    def dom(self, page: Path, *, width: int) -> str:
        """The page as it stands when it is loaded, and its scripts have run."""
        return self._run(page, "--dump-dom", f"--window-size={width},900")

    def _run(self, page: Path, *options: str) -> str:
        with tempfile.TemporaryDirectory(prefix="migrator-browser-") as profile:
            own = {
                "FONTCONFIG_FILE": str(self.fonts),
                # For libraries that say themselves where theirs are, in places of a system that has them installed.
                "LD_LIBRARY_PATH": f"{self.libraries}:{self.libraries / 'pulseaudio'}",
                "HOME": profile,
                "XDG_CACHE_HOME": profile,
            }
            done = subprocess.run(
                [self.program, *_OPTIONS, f"--user-data-dir={profile}", *options, page.resolve().as_uri()],
                env=os.environ | own,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        if done.returncode:
            raise RuntimeError(f"the browser ended with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout


def browser() -> Browser:
    """The pinned one from the cache; on first use it is downloaded (about 110 MB).

    Raises `NotAvailable` if it is not there and cannot be downloaded.
    """
    version = next(pin.version for pin in packages.read_pins(PINS) if pin.package == WANTED[0])
    name = f"chromium-{version}-r{RECIPE}"
    if not (cache.folder() / name).is_dir():
        packages.require_apt("the browser")
    try:
        root = cache.made_once(name, lambda target: _install(target, cache.folder() / name))
    except packages.NoNetwork as error:
        raise NotAvailable(f"chromium {version} cannot be downloaded: {error}") from None
    except packages.PinsGone as error:
        raise NotAvailable(f"{error}: renew the pins with {_RENEW}") from None
    return Browser(root / _PROGRAM, root / "fonts.conf", root / LIBRARIES)


def _install(target: Path, final: Path) -> None:
    log.info("first use: downloading chromium-headless-shell (110 MB) from Debian sid into %s", cache.folder())
    staging = target / ".staging"
    packages.unpack_pinned(PINS, staging)
    for part in _KEPT:
        (target / part).parent.mkdir(parents=True, exist_ok=True)
        (staging / part).rename(target / part)
    shutil.rmtree(staging)
    libraries = final / LIBRARIES
    words: list[str | Path] = ["--set-interpreter", libraries / LOADER, "--force-rpath", "--set-rpath"]
    subprocess.run([patchelf(), *words, libraries, target / _PROGRAM], check=True)
    (target / "fonts.conf").write_text(
        '<?xml version="1.0"?>\n<!DOCTYPE fontconfig SYSTEM "fonts.dtd">\n'
        f"<fontconfig><dir>{final / 'usr/share/fonts/truetype'}</dir></fontconfig>\n"
    )


if __name__ == "__main__":
    if sys.argv[1:] != ["--pins"]:
        sys.exit(f"say --pins: {_RENEW}")
    packages.write_pins(PINS, WANTED, without=_NOT_NEEDED, written_by=_RENEW)
