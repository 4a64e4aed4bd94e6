"""A Galera cluster of MariaDB servers on loopback: each writes, and has the rows of all."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.servers import mariadb
from tests.servers.local import Keeping, first_start, free_port
from tests.servers.model import Programs, Server
from tests.servers.running import RunningServer, until

_JOINING_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """Its nodes; the first one began it."""

    nodes: tuple[RunningServer, ...]

    def others(self, node: RunningServer) -> tuple[RunningServer, ...]:
        """All nodes but this one."""
        return tuple(one for one in self.nodes if one is not node)


@contextmanager
def cluster(
    version: str = "10.11",
    *,
    nodes: int = 3,
    options: Sequence[str] = (),
    keyring: bool = True,
    sst: str = "mariabackup",
) -> Iterator[Cluster]:
    """Running nodes in one cluster, all Synced. They have the same keys, since a joining node gets the donor's files.

    They begin with the files of the first one, so that no state has to be sent, which takes ten seconds a node.
    `sst` is how: mariabackup, or rsync, whose daemon works as nobody where it is started by root, and may then read
    nothing here. Raises like `mariadb.start`.
    """
    found = mariadb.programs(version)
    with ExitStack() as stack:
        seed = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="migrator-seed-")))
        making = _Making(found, nodes, tuple(options), sst, seed)
        started: list[RunningServer] = []
        for n in range(nodes):
            started.append(stack.enter_context(_node(making, n, keyring=keyring)))
            for node in started:
                wait_until_synced(node, n + 1)
        yield Cluster(tuple(started))


def wait_until_synced(node: RunningServer, size: int) -> None:
    """Return when the node is Synced in a primary component of so many nodes."""
    wanted = {"wsrep_cluster_size": str(size), "wsrep_local_state_comment": "Synced", "wsrep_cluster_status": "Primary"}

    def synced() -> bool:
        rows = node.rows("SHOW GLOBAL STATUS LIKE 'wsrep%%'")
        return wanted.items() <= {str(name): str(value) for name, value in rows}.items()

    until(synced, f"{node!r} is one of {size} that are in step", seconds=_JOINING_SECONDS)


class _Making:
    """What the nodes of one cluster have in common."""

    def __init__(self, found: Programs, nodes: int, options: tuple[str, ...], sst: str, seed: Path) -> None:
        self.found = found
        self.options = options
        self.sst = sst
        self.data = seed / "data"
        self.keys = seed / "keys"
        self.name = f"migrator-{secrets.token_hex(4)}"
        self.ports = [free_port() for _ in range(nodes)]
        self.provider = found.basedir / "lib/libgalera_smm.so"
        self.password = secrets.token_hex(12)

    def options_of(self, n: int) -> list[str]:
        """Of node `n`, as it is started again and again."""
        listens = f"127.0.0.1:{self.ports[n]}"
        provider = {
            "gmcast.listen_addr": f"tcp://{listens}",
            "base_host": "127.0.0.1",
            "base_port": str(self.ports[n]),
            "ist.recv_addr": f"127.0.0.1:{free_port()}",
            "gcache.size": "64M",
        }
        return [
            "--wsrep-on=ON",
            f"--wsrep-provider={self.provider}",
            f"--wsrep-cluster-name={self.name}",
            "--wsrep-cluster-address=gcomm://" + ",".join(f"127.0.0.1:{port}" for port in self.ports),
            f"--wsrep-node-address={listens}",
            f"--wsrep-node-name=node{n}",
            '--wsrep-provider-options="' + ";".join(f"{name}={value}" for name, value in provider.items()) + '"',
            f"--wsrep-sst-method={self.sst}",
            f"--wsrep-sst-receive-address=127.0.0.1:{free_port()}",
            f"--wsrep-sst-auth=root:{self.password}",
            "--innodb-autoinc-lock-mode=2",
            "--log-slave-updates=ON",
            *self.options,
        ]


@contextmanager
def _node(making: _Making, n: int, *, keyring: bool) -> Iterator[RunningServer]:
    keeping = Keeping(Path(tempfile.gettempdir()), f"migrator-node{n}-", path=making.found.basedir / "bin")
    try:
        datadir = keeping.folder / "data"
        shutil.copytree(making.data if n else mariadb.template(making.found), datadir)
        (keeping.folder / "tmp").mkdir()
        keys = mariadb.put_keys(keeping.folder) if keyring else None
        if keys and n:
            shutil.copyfile(making.keys, keys)
        server = Server(
            host="127.0.0.1",
            port=free_port(),
            socket=keeping.socket,
            user="root",
            password=making.password,
            datadir=datadir,
            keyring_path=keys,
            version="",
            source=f"embedded: {making.found.about}",
            pid=None,
        )
        running = RunningServer(server, keeping, keeping.folder)
        argv = mariadb.argv(making.found, server, keeping.folder, keys, making.options_of(n))
        if n:
            keeping.argv = argv
            running.start()
        else:
            begins = [*argv, "--wsrep-new-cluster"]
            first_start(running, keeping, begins)
            running.stop()
            shutil.copytree(datadir, making.data)
            if keys:
                shutil.copyfile(keys, making.keys)
            running.start()
            keeping.argv = argv
        yield running
    finally:
        keeping.close()
