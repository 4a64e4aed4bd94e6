"""pt-online-schema-change 3.7.1 with a Perl of its own, as Debian's `sid` suite ships them, unpacked into the cache.

    python -m tests.bench.toolkit --pins    # write the pinned packages anew from what Debian sid has today

Fetched when it is wanted; nothing of it is in the repository, and nothing is installed into the system.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.servers import NoServer, cache, packages
from tests.servers.model import NotAvailable
from tests.servers.packages import LIBRARIES, LOADER

log = logging.getLogger("migrator.servers")

PINS: Final = Path(__file__).with_name("percona-toolkit-3.7-sid-amd64.pins")
WANTED: Final = ("percona-toolkit",)
RECIPE: Final = 1

_SCRIPT: Final = "usr/bin/pt-online-schema-change"
_KEPT: Final = (_SCRIPT, "usr/bin/perl", LIBRARIES, "usr/share/perl", "usr/share/perl5")

# For the toolkit's other programs, for curl, Kerberos and a terminal, or documentation only.
_NOT_NEEDED: Final = (
    *("debconf", "fdisk", "gcc-", "gdb", "libblkid", "libbrotli", "libbz2", "libc-gconv", "libcom-err", "libcurl"),
    *("libdb5", "libdebuginfod", "libdw1", "libelf", "libexpat", "libfdisk", "libgdbm", "libgssapi", "libipt"),
    *("libjson", "libk5", "libkeyutils", "libkrb5", "libldap", "liblzma", "libmount", "libmpfr", "libncurses"),
    *("libnghttp", "libngtcp", "libpcre2", "libproc2", "libpsl", "libpython", "libreadline", "libsasl2", "libselinux"),
    *("libsmartcols", "libsource-highlight", "libsqlite", "libssh2", "libsystemd", "libtext-", "libtinfo", "libuuid"),
    *("libxxhash", "mariadb-common", "media-types", "mysql-common", "netbase", "openssl-provider", "procps"),
    *("readline-common", "sensible-utils", "tzdata", "ucf"),
)


@dataclass(frozen=True, slots=True)
class Toolkit:
    """A pt-online-schema-change that can be run."""

    root: Path
    version: str

    @property
    def command(self) -> list[str]:
        """What stands before its options: the loader of its libc, Perl, the script."""
        libraries = str(self.root / LIBRARIES)
        loader = str(self.root / LIBRARIES / LOADER)
        return [loader, "--library-path", libraries, str(self.root / "usr/bin/perl"), str(self.root / _SCRIPT)]

    @property
    def environment(self) -> dict[str, str]:
        """Where its Perl finds its modules, and its client library the plugin to log in with."""
        libraries, shared = self.root / LIBRARIES, self.root / "usr/share"
        (version,) = (folder.name for folder in (shared / "perl").iterdir() if folder.is_symlink())
        modules = (
            shared / "perl5",
            libraries / "perl5" / version,
            libraries / "perl" / version,
            shared / "perl" / version,
            libraries / "perl-base",
        )
        kept = {name: value for name, value in os.environ.items() if name not in {"MYSQL_PWD", "PERL5OPT"}}
        return kept | {
            "PERL5LIB": os.pathsep.join(map(str, modules)),
            "MARIADB_PLUGIN_DIR": str(libraries / "libmariadb3/plugin"),
        }


def toolkit() -> Toolkit:
    """The pinned one from the cache; on first use it is downloaded (about 39 MB).

    Raises `NotAvailable` if it is not in the cache and cannot be downloaded either.
    """
    version = next(pin.version for pin in packages.read_pins(PINS) if pin.package == WANTED[0])
    name = f"percona-toolkit-{version}-r{RECIPE}"
    if not (cache.folder() / name).is_dir():
        packages.require_apt("the percona-toolkit")
    try:
        return Toolkit(cache.made_once(name, _install), version)
    except packages.NoNetwork as error:
        raise NotAvailable(f"percona-toolkit {version} cannot be downloaded: {error}") from None
    except packages.PinsGone as error:
        raise NotAvailable(f"{error}: renew the pins with {_RENEW}, or set MIGRATOR_DEBIAN_MIRROR") from None


_RENEW: Final = ".venv/bin/python -m tests.bench.toolkit --pins"


def _install(target: Path) -> None:
    log.info("first use: downloading percona-toolkit (39 MB) from Debian sid into %s", cache.folder())
    staging = target / ".staging"
    packages.unpack_pinned(PINS, staging)
    for part in _KEPT:
        (target / part).parent.mkdir(parents=True, exist_ok=True)
        (staging / part).rename(target / part)
    shutil.rmtree(staging)


def main() -> int:
    """Renew the pins, or say where the program is."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        if sys.argv[1:] == ["--pins"]:
            log.info("%s packages", packages.write_pins(PINS, WANTED, without=_NOT_NEEDED, written_by=_RENEW))
        else:
            print(toolkit().root)
    except (NoServer, NotAvailable, packages.NoNetwork) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
