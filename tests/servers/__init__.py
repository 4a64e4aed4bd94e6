"""Real servers for the tests, the demonstration and the benchmarks, on loopback and thrown away after use.

    with start(options=["--innodb-buffer-pool-size=128M"]) as server:
        with closing(server.connect()) as connection: ...
        server.kill(); server.start()
        with replica(server) as second: ...

A server comes from the first of four sources that can give one: MIGRATOR_TEST_DSN, a Docker engine, a
mysqld of this machine, or MySQL 9.7 unpacked into the user's cache. It has an active keyring, its own
folder, port, server_uuid and keyring file, and ends with the block, or with the process that started
it, however that ends.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.servers import container, local
from tests.servers.accounts import Account, least_privileged
from tests.servers.choose import Choice, Existing, choose
from tests.servers.model import NoServer, Programs, Server
from tests.servers.replication import caught_up, follow
from tests.servers.running import RunningServer, until

__all__ = [
    "Account",
    "Choice",
    "NoServer",
    "RunningServer",
    "Server",
    "caught_up",
    "choose",
    "least_privileged",
    "replica",
    "start",
    "until",
]

log = logging.getLogger("migrator.servers")


@contextmanager
def start(
    *,
    options: Sequence[str] = (),
    keyring: bool = True,
    name: str | None = None,
    datadir_base: Path | None = None,
    shared: bool = False,
    dsn: str | None = None,
) -> Iterator[RunningServer]:
    """A running server with an active keyring; it is killed and its folder removed after the block.

    `options` are mysqld's own and win over `local.DEFAULTS`; `name` shows in the folder's name;
    `datadir_base` is where that folder lies (else the temporary folder). `shared` says that a server
    that is already there (`dsn`, MIGRATOR_TEST_DSN) will do; it is then not ours to stop or kill.
    Raises `NoServer` with the reason of every source, or with the log of a server that does not start.
    """
    own = not shared or bool(options) or not keyring
    choice = choose(own=own, dsn=None if own else dsn)
    log.info("server from %s", choice.why)
    with ExitStack() as stack:
        match choice.what:
            case Existing() as there:
                running = _existing(there, choice.why)
            case container.Image() as image:
                running = stack.enter_context(
                    container.start(image, source=choice.why, options=options, keyring=keyring, name=name)
                )
            case Programs() as programs:
                running = stack.enter_context(
                    local.start(
                        programs,
                        source=choice.why,
                        options=options,
                        keyring=keyring,
                        name=name,
                        datadir_base=datadir_base,
                    )
                )
        yield running


@contextmanager
def replica(
    of: RunningServer, *, keyring: bool = True, options: Sequence[str] = (), name: str | None = None
) -> Iterator[RunningServer]:
    """A running, super_read_only, asynchronous replica of `of`, which it follows from its first change on.

    `caught_up(replica, of)` waits until it has all. Its keyring is its own. Raises like `start`.
    """
    with start(options=options, keyring=keyring, name=name or "replica") as running:
        follow(running, of)
        yield running


def _existing(there: Existing, why: str) -> RunningServer:
    server = Server(
        host=there.host,
        port=there.port,
        socket=None,
        user=there.user,
        password=there.password,
        datadir=None,
        keyring_path=None,
        version="",
        source=why,
        pid=None,
    )
    running = RunningServer(server, None, None)
    running.wait()
    return running
