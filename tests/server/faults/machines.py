"""Faults of machines and networks: the server dies, the link breaks, the disk is full, the keyring is gone."""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from tests.server.engine.test_rows import BY_NUMBER
from tests.server.faults.scene import Fault, Scene
from tests.servers import NoServer, Server, until

SERVER_GONE: Final = frozenset({2003, 2006, 2013, 1053})
"""Lost connections, which everybody sees whose server dies."""


# -- the server -------------------------------------------------------------------------------------


def kill_and_start(scene: Scene) -> None:
    """As after a power cut with a watchdog."""
    scene.lab.server.kill()
    scene.lab.server.start()


def start_again(scene: Scene) -> None:
    """A person starts the server."""
    scene.lab.server.start()


def kill_meanwhile(scene: Scene) -> None:
    """Kill the server right after it got the statement."""
    words, nth = scene.statement()
    scene.proxy.meanwhile(words, lambda: kill_and_start(scene), nth=nth)


# -- the link ---------------------------------------------------------------------------------------


def cut_before(scene: Scene) -> None:
    """The server never sees the statement."""
    words, nth = scene.statement()
    scene.proxy.cut(words, executed=False, nth=nth)


def cut_after(scene: Scene) -> None:
    """The server has done it, and nobody hears of it."""
    words, nth = scene.statement()
    scene.proxy.cut(words, executed=True, nth=nth)


def kill_our_sessions(scene: Scene) -> None:
    """A person ends every session of the run."""
    for (session,) in scene.lab.rows(
        "SELECT PROCESSLIST_ID FROM performance_schema.threads WHERE PROCESSLIST_USER = %s", scene.lab.dba.user
    ):
        scene.lab.run(f"KILL {session}")


# -- the keyring ------------------------------------------------------------------------------------


def hide_keyring(scene: Scene) -> None:
    """The file with the keys is moved away."""
    keys = scene.lab.server.server.keyring_path
    assert keys is not None
    scene.after.callback(bring_keyring, scene)
    keys.rename(keys.with_suffix(".away"))


def bring_keyring(scene: Scene) -> bool:
    """And back, over an empty one that the server may have made; False if it is there."""
    keys = scene.lab.server.server.keyring_path
    assert keys is not None
    away = keys.with_suffix(".away")
    if not away.exists():
        return False
    away.replace(keys)
    return True


def hide_keyring_and_restart(scene: Scene) -> None:
    """The keys are gone when the server starts again: the journal is encrypted, so it refuses."""
    hide_keyring(scene)
    scene.lab.server.kill()
    with pytest.raises(NoServer, match="ended while it started"):
        scene.lab.server.start()


def bring_keyring_and_restart(scene: Scene) -> None:
    """A person brings the file back, and restarts the server."""
    bring_keyring(scene)
    scene.lab.server.start()


# -- the disk ---------------------------------------------------------------------------------------


def limit_files(scene: Scene) -> None:
    """No file of the server may grow beyond twice the largest one that is there, and the log of changes wants to.

    The application changes rows until the log cannot take one more: its entries are larger than the rows'
    changes, and the undo log, which would grow as the log does, is purged before the application goes on.
    """
    scene.lab.run("SET GLOBAL innodb_purge_rseg_truncate_frequency = 1")
    limit_file_size(scene.lab.server.server, 2 * max(file_sizes(scene.lab.server.server).values()))
    scene.after.callback(free_files, scene)
    while not scene.app.errors:
        scene.app.write("UPDATE {t} SET w = w + 1 ORDER BY id LIMIT 500")
        until(lambda: _old_versions(scene) < 10, "the undo log is purged")


def _old_versions(scene: Scene) -> int:
    """How many transactions the undo log still holds, as purge counts them."""
    ((count,),) = scene.lab.rows(
        "SELECT COUNT FROM information_schema.INNODB_METRICS WHERE NAME = 'trx_rseg_history_len'"
    )
    return int(count)


def free_files(scene: Scene) -> None:
    """There is room again."""
    limit_file_size(scene.lab.server.server, None)


def limit_file_size(server: Server, limit: int | None) -> None:
    """No file of a running server grows beyond so many bytes (RLIMIT_FSIZE); None: as it was."""
    assert server.pid is not None
    _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (hard if limit is None else limit, hard))


def file_sizes(server: Server) -> dict[Path, int]:
    """The files in the datadir of a running server, which makes and drops some meanwhile, and their bytes."""
    assert server.datadir is not None
    sizes = {}
    for file in server.datadir.rglob("*"):
        with suppress(FileNotFoundError):
            if not file.is_dir():
                sizes[file] = file.stat().st_size
    return sizes


LONG_KEYS: Final = (
    "(id INT NOT NULL AUTO_INCREMENT, pad VARCHAR(700) NOT NULL DEFAULT (REPEAT(_utf8mb4 x'E8AA9E', 700)), u INT,"
    " v VARCHAR(80) NOT NULL, w INT, PRIMARY KEY (id, pad), UNIQUE KEY u (u))",
    "(id, u, v, w) " + BY_NUMBER[1],
)

MACHINES: Final[dict[str, Fault]] = {
    "server killed": Fault(
        "SIGKILL of `mysqld`, started again at once", kill_and_start, at="deep", of_its_own=SERVER_GONE
    ),
    "server killed in a statement": Fault(
        "SIGKILL of `mysqld` while it works on the phase's statement, started again at once",
        kill_meanwhile,
        at="statement",
        of_its_own=SERVER_GONE,
    ),
    "server away": Fault(
        "SIGKILL of `mysqld`, started again after the run has ended",
        lambda scene: scene.lab.server.kill(),
        start_again,
        at="deep",
        of_its_own=SERVER_GONE,
        down=True,
        patience_seconds=0.5,
    ),
    "server restarted": Fault(
        "clean restart of `mysqld`", lambda scene: scene.lab.server.restart(), at="deep", of_its_own=SERVER_GONE
    ),
    "link cut before": Fault("connection cut, the statement is not executed", cut_before, at="statement"),
    "link cut after": Fault("connection cut, the statement is executed", cut_after, at="statement"),
    "all links cut": Fault("every connection cut at once", lambda scene: scene.proxy.cut_all(), at="deep"),
    "sessions killed": Fault("`KILL` of all our sessions", kill_our_sessions, at="deep"),
    "no room for the log": Fault(
        "no room for the log of changes (RLIMIT_FSIZE of `mysqld`)",
        limit_files,
        free_files,
        where=("copy",),
        ours=frozenset({1114}),
        of_its_own=frozenset({1062}),  # it inserts again what it could not delete before
        table=LONG_KEYS,
        new_server=True,
    ),
    "keyring file gone": Fault("the keyring's file is moved away", hide_keyring, bring_keyring),
    "keyring gone at a restart": Fault(
        "the keyring's file is moved away, and `mysqld` is to start without it",
        hide_keyring_and_restart,
        bring_keyring_and_restart,
        at="deep",
        of_its_own=SERVER_GONE,
        down=True,
        patience_seconds=0.5,
    ),
}
