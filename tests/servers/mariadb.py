"""MariaDB as Debian's stable suites ship it: 10.11 (bookworm) and 11.8 (trixie), with an encryption plugin.

    with mariadb.start("10.11") as server: ...

The keys of file_key_management lie outside of the datadir: number 1, which everything of the server's own needs, and
number 2. What a server gets beside that is in `DEFAULTS`.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.servers import cache
from tests.servers.build import NOT_NEEDED, Build
from tests.servers.local import Keeping, first_start, free_port
from tests.servers.model import NoServer, Programs, Server
from tests.servers.packages import LIBRARIES
from tests.servers.running import RunningServer

log = logging.getLogger("migrator.servers")

DEFAULTS: Final = (
    "--bind-address=127.0.0.1",
    "--skip-name-resolve=ON",
    "--performance-schema=ON",
    "--log-bin=binlog",
    "--binlog-format=ROW",
    "--sync-binlog=1",
    "--innodb-flush-log-at-trx-commit=1",
    "--innodb-buffer-pool-size=256M",
    "--innodb-log-file-size=256M",
    "--secure-file-priv=",
    "--report-host=127.0.0.1",
    "--log-bin-trust-function-creators=ON",
    "--character-set-server=utf8mb4",
)
"""What every server gets; options of the caller come after these and win."""

_TOOLS: Final = ("mariadb", "mariadb-admin", "mariadb-backup", "mbstream", "my_print_defaults", "resolveip", "rsync")
_SCRIPTS: Final = ("mariadb-install-db", "wsrep_sst_common", "wsrep_sst_rsync", "wsrep_sst_mariabackup")
_WANTED: Final = (
    "mariadb-server-core",
    "mariadb-server",
    "mariadb-client-core",
    "mariadb-client",
    "mariadb-backup",
    "galera-4",
    "rsync",
    "socat",
)


def _finish(root: Path) -> None:
    """Scripts of state transfers call it socat, whatever the suite calls it."""
    if not (root / "usr/bin/socat").exists():
        (root / "usr/bin/socat").symlink_to("socat1")


def _build(series: str, suite: str, share: str, socat: str) -> Build:
    binaries = ("usr/sbin/mariadbd", f"usr/bin/{socat}", *(f"usr/bin/{tool}" for tool in _TOOLS))
    return Build(
        product="MariaDB",
        name="mariadb",
        series=series,
        suite=suite,
        wanted=_WANTED,
        megabytes=50,
        recipe=1,
        binaries=binaries,
        kept=(
            *binaries,
            *(f"usr/bin/{script}" for script in _SCRIPTS),
            "usr/lib/mysql",
            "usr/lib/libgalera_smm.so",
            LIBRARIES,
            f"usr/share/{share}",
        ),
        not_kept=(f"{LIBRARIES}/gconv", f"{LIBRARIES}/perl5", f"{LIBRARIES}/perl-base"),
        finish=_finish,
        not_needed=(*NOT_NEEDED, "adduser", "passwd", "gawk", "iproute2", "lsof"),
    )


_SHARES: Final = {"10.11": "mysql", "11.8": "mariadb"}
BUILDS: Final = {
    "10.11": _build("10.11.", "bookworm", _SHARES["10.11"], "socat"),
    "11.8": _build("11.8.", "trixie", _SHARES["11.8"], "socat1"),
}


def programs(version: str) -> Programs:
    """The pinned build of `10.11` or `11.8`. Raises `NotAvailable` if it is not in the cache and cannot be had."""
    root = BUILDS[version].root()
    share = root / "usr/share" / _SHARES[version]
    return Programs(
        mysqld=root / "usr/sbin/mariadbd",
        basedir=root / "usr",
        plugin_dir=root / "usr/lib/mysql/plugin",
        messages_dir=share,
        charsets_dir=share / "charsets",
        about=f"{root.name} in {root.parent}",
        key=root.name,
    )


@contextmanager
def start(
    version: str = "10.11", *, options: Sequence[str] = (), keyring: bool = True, name: str | None = None
) -> Iterator[RunningServer]:
    """A running MariaDB; it is killed and its folder removed after the block.

    Raises `NotAvailable` if there is none to be had, `NoServer` with its log if it does not start.
    """
    found = programs(version)
    keeping = Keeping(Path(tempfile.gettempdir()), f"migrator-{name or 'mariadb'}-")
    try:
        datadir = keeping.folder / "data"
        shutil.copytree(template(found), datadir)
        (keeping.folder / "tmp").mkdir()
        keys = put_keys(keeping.folder) if keyring else None
        server = Server(
            host="127.0.0.1",
            port=free_port(),
            socket=keeping.socket,
            user="root",
            password=secrets.token_urlsafe(18),
            datadir=datadir,
            keyring_path=keys,
            version="",
            source=f"embedded: {found.about}",
            pid=None,
        )
        running = RunningServer(server, keeping, keeping.folder)
        first_start(running, keeping, argv(found, server, keeping.folder, keys, options))
        yield running
    finally:
        keeping.close()


def argv(found: Programs, server: Server, folder: Path, keys: Path | None, options: Sequence[str]) -> list[str]:
    """The command line of a server whose files are in `folder`.

    Its options are in a file, where mariadb-backup finds them too.
    """
    encryption = [
        "--plugin-load-add=file_key_management",
        f"--file-key-management-filename={keys}",
        "--file-key-management-encryption-algorithm=AES_CBC",
    ]
    all_options = [
        *_base(found, folder / "data"),
        *DEFAULTS,
        f"--port={server.port}",
        f"--report-port={server.port}",
        f"--server-id={server.port}",
        f"--socket={server.socket}",
        f"--pid-file={folder / 'mysqld.pid'}",
        f"--tmpdir={folder / 'tmp'}",
        f"--log-error={folder / 'error.log'}",
        *(encryption if keys else ()),
        *options,
    ]
    file = folder / "mysqld.cnf"
    file.touch(mode=0o600)
    lines = (
        "{} = {}".format(*option.removeprefix("--").split("=", 1)) if "=" in option else option.removeprefix("--")
        for option in all_options
    )
    file.write_text("[mysqld]\n" + "".join(f"{line}\n" for line in lines))
    return [str(found.mysqld), f"--defaults-file={file}"]


def _base(found: Programs, datadir: Path) -> list[str]:
    return [
        *(["--user=root"] if os.geteuid() == 0 else []),
        f"--basedir={found.basedir}",
        f"--plugin-dir={found.plugin_dir}",
        f"--lc-messages-dir={found.messages_dir}",
        f"--character-sets-dir={found.charsets_dir}",
        f"--datadir={datadir}",
    ]


def put_keys(folder: Path) -> Path:
    """Make keys 1 and 2 in a folder of their own, for file_key_management; the file."""
    path = folder / "keyring" / "keys"
    path.parent.mkdir(mode=0o700)
    path.touch(mode=0o600)
    path.write_text("".join(f"{number};{secrets.token_hex(32)}\n" for number in (1, 2)))
    return path


def template(found: Programs) -> Path:
    """A data folder in the cache as mariadb-install-db makes it; copying it is seconds faster than making one."""

    def install(datadir: Path) -> None:
        log.info("first use: making an empty data folder for %s", found.key)
        scripts = found.messages_dir.glob("*.sql")
        by_name = {path.name.removeprefix("mariadb_").removeprefix("mysql_"): path for path in scripts}
        statements = "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n" + "".join(
            by_name[name].read_text(encoding="utf-8")
            for name in ("system_tables.sql", "performance_tables.sql", "system_tables_data.sql", "sys_schema.sql")
        )
        done = subprocess.run(
            [
                found.mysqld,
                "--no-defaults",
                *_base(found, datadir),
                "--bootstrap",
                "--max-allowed-packet=8M",
                "--net-buffer-length=16K",
            ],
            input=statements,
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise NoServer(f"{found.mysqld} cannot make a data folder:\n{done.stderr[-3000:]}")

    return cache.made_once(f"data-{found.key}", install)
