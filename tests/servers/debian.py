"""MySQL as Debian's `sid` suite ships it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.servers.build import Build
from tests.servers.model import Programs
from tests.servers.packages import LIBRARIES, Pin

SERIES = "9.7."


def _finish(root: Path) -> None:
    (root / "usr/sbin/mysqld.my").write_text(json.dumps({"read_local_manifest": True}))
    plugins = root / "usr/lib/mysql/plugin"
    (plugins / "component_keyring_file.cnf").write_text(json.dumps({"read_local_config": True}))


_BINARIES = ("usr/sbin/mysqld", "usr/bin/mysql", "usr/bin/mysqladmin", "usr/bin/mysql_config_editor")

MYSQL = Build(
    product="MySQL",
    name="mysql",
    series=SERIES,
    suite="sid",
    wanted=("mysql-server-core", "mysql-client-core"),
    megabytes=56,
    recipe=2,
    binaries=_BINARIES,
    kept=(*_BINARIES, "usr/lib/mysql", LIBRARIES, "usr/share/mysql"),
    not_kept=(f"{LIBRARIES}/gconv", "usr/share/mysql/mysql-test"),
    finish=_finish,
    otherwise=", or set MIGRATOR_TEST_DSN or MIGRATOR_MYSQLD",
)


def pins() -> tuple[Pin, ...]:
    """The pinned closure, from the file beside this one."""
    return MYSQL.pins()


def programs() -> Programs:
    """The pinned MySQL from the cache; on first use it is downloaded (about 56 MB).

    Raises `NotAvailable` if it is not in the cache and cannot be downloaded either.
    """
    root = MYSQL.root()
    return Programs(
        mysqld=root / "usr/sbin/mysqld",
        basedir=root / "usr",
        plugin_dir=root / "usr/lib/mysql/plugin",
        messages_dir=root / "usr/share/mysql",
        charsets_dir=root / "usr/share/mysql/charsets",
        about=f"{root.name} in {root.parent}",
        key=root.name,
    )


def client() -> Path | None:
    """A mysql client from the cache, if one is there."""
    cached = MYSQL.cached()
    return cached[-1] / "usr/bin/mysql" if cached else None


def config_editor() -> Path:
    """mysql_config_editor, the only program that writes login paths; fetched where it is not in the cache."""
    return programs().basedir / "bin/mysql_config_editor"


def write_pins() -> None:
    """Write the pin file anew: the closure as Debian sid has it now."""
    MYSQL.write_pins()
