"""A mysqld that is installed on this machine, or named by MIGRATOR_MYSQLD."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.servers import cache
from tests.servers.model import NotAvailable, Programs

OLDEST = (8, 0, 24)
"""The first version with keyring components."""

_VERSION = re.compile(r"Ver (\d+)\.(\d+)\.(\d+)")
_SHARES = ("share/mysql", "share/mysql-8.0", "share/mysql-8.4", "share")
_PLUGINS = ("lib/mysql/plugin", "lib64/mysql/plugin", "lib/plugin", "lib/x86_64-linux-gnu/mysql/plugin")


def programs() -> Programs:
    """The installed mysqld, through a folder of the cache where the keyring's manifests can lie.

    MySQL reads `mysqld.my` beside its binary and the component's settings in the plugin folder, which
    belong to the system; so the binary is copied and the plugins are linked. `NotAvailable` if there
    is none, or only MariaDB or a MySQL before 8.0.24.
    """
    named = os.environ.get("MIGRATOR_MYSQLD")
    found = named or shutil.which("mysqld", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if not found:
        maria = shutil.which("mariadbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        raise NotAvailable(f"{maria} is MariaDB, which is not covered yet" if maria else "no mysqld on PATH")
    mysqld = Path(found).resolve()
    if not os.access(mysqld, os.X_OK):
        raise NotAvailable(f"{found} cannot be run")
    said = subprocess.run(
        [mysqld, "--no-defaults", "--version"], capture_output=True, text=True, check=False
    ).stdout.strip()
    version = _VERSION.search(said)
    if "MariaDB" in said:
        raise NotAvailable(f"{found} is MariaDB, which is not covered yet")
    if not version or tuple(map(int, version.groups())) < OLDEST:
        raise NotAvailable(f"{found} is not MySQL >= {'.'.join(map(str, OLDEST))} but: {said or 'nothing it says'}")
    base = mysqld.parent.parent
    share = _first(base, _SHARES, "english/errmsg.sys")
    plugins = _first(base, _PLUGINS, "component_keyring_file.so")
    about = mysqld.stat()
    identity = f"{mysqld} {about.st_size} {about.st_mtime_ns}"
    number = ".".join(version.groups())
    name = f"path-{number}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"

    def make(target: Path) -> None:
        binaries = target / mysqld.parent.name
        binaries.mkdir()
        shutil.copy2(mysqld, binaries / "mysqld")
        (binaries / "mysqld.my").write_text(json.dumps({"read_local_manifest": True}))
        # Oracle's own builds look for their libraries at ../lib/private.
        for beside in ("lib", "lib64", "share"):
            if (base / beside).is_dir():
                (target / beside).symlink_to(base / beside)
        (target / "plugin").mkdir()
        for plugin in plugins.glob("*.so"):
            (target / "plugin" / plugin.name).symlink_to(plugin)
        (target / "plugin" / "component_keyring_file.cnf").write_text(json.dumps({"read_local_config": True}))

    root = cache.made_once(name, make)
    return Programs(
        mysqld=root / mysqld.parent.name / "mysqld",
        basedir=base,
        plugin_dir=root / "plugin",
        messages_dir=share,
        charsets_dir=share / "charsets",
        about=f"{found} (MySQL {number})",
        key=name,
    )


def _first(base: Path, places: tuple[str, ...], proof: str) -> Path:
    for place in places:
        if (base / place / proof).exists():
            return base / place
    raise NotAvailable(f"no {proof} in {', '.join(str(base / place) for place in places)}")
