"""A server in a container, if a Docker engine answers: for the matrix of versions.

`MIGRATOR_TEST_IMAGE` names the image. The container shares the network of the host, so that servers
reach one another on loopback ports like all others. Its datadir is not readable from here.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.local import DEFAULTS, free_port
from tests.servers.model import NotAvailable, Server
from tests.servers.running import RunningServer

DEFAULT_IMAGE = "mysql:9.7"
_PLUGINS = "/usr/lib64/mysql/plugin"


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is on this machine."""

    name: str


def image() -> Image:
    """The image, pulled if need be. `NotAvailable` if no engine answers or the image cannot be had."""
    if not _socket_answers():
        raise NotAvailable("no Docker engine answers")
    import docker  # slow to import, and only wanted here
    from docker.errors import DockerException, ImageNotFound

    name = os.environ.get("MIGRATOR_TEST_IMAGE", DEFAULT_IMAGE)
    try:
        engine = docker.from_env(timeout=600)
    except DockerException:
        raise NotAvailable("no Docker engine answers") from None
    try:
        engine.ping()
        try:
            engine.images.get(name)
        except ImageNotFound:
            engine.images.pull(name)
    except DockerException as error:
        raise NotAvailable(f"the engine answers, but has not image {name}: {error}") from None
    finally:
        engine.close()
    return Image(name)


def _socket_answers() -> bool:
    """False if nobody listens on the engine's socket. docker-py would leave its own socket open then."""
    url = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    if not url.startswith("unix://"):
        return True
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(5)
        return probe.connect_ex(url.removeprefix("unix://")) == 0


@contextmanager
def start(
    image: Image, *, source: str, options: Sequence[str], keyring: bool, name: str | None
) -> Iterator[RunningServer]:
    """A fresh server in a container; at the end of the block the container is removed.

    Should this process be killed, testcontainers' reaper removes it.
    """
    from testcontainers.core.container import DockerContainer

    port, password = free_port(), secrets.token_urlsafe(18)
    folder = Path(tempfile.mkdtemp(prefix=f"migrator-{name or 'server'}-"))
    # The user of the container writes the keyring here, and is not the user of the host.
    folder.chmod(0o755)
    (folder / "keyring").mkdir()
    (folder / "keyring").chmod(0o777)
    wanted = (
        DockerContainer(image.name)
        .with_env("MYSQL_ROOT_PASSWORD", password)
        .with_env("MYSQL_ROOT_HOST", "127.0.0.1")
        .with_command([*DEFAULTS, f"--port={port}", f"--report-port={port}", f"--server-id={port}", *options])
        .with_kwargs(network_mode="host")
    )
    if keyring:
        (folder / "mysqld.my").write_text(json.dumps({"components": "file://component_keyring_file"}))
        (folder / "keyring.cnf").write_text(json.dumps({"path": "/keyring/keyring", "read_only": False}))
        wanted = (
            wanted.with_volume_mapping(str(folder / "mysqld.my"), "/usr/sbin/mysqld.my", "ro")
            .with_volume_mapping(str(folder / "keyring.cnf"), f"{_PLUGINS}/component_keyring_file.cnf", "ro")
            .with_volume_mapping(str(folder / "keyring"), "/keyring", "rw")
        )
    server = Server(
        host="127.0.0.1",
        port=port,
        socket=None,
        user="root",
        password=password,
        datadir=None,
        keyring_path=folder / "keyring" / "keyring" if keyring else None,
        version=image.name,
        source=source,
        pid=None,
    )
    try:
        with wanted as made:
            running = RunningServer(server, _Container(made.get_wrapped_container()), folder)
            running.wait()
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Container:
    """A container as the `Process` of a server."""

    def __init__(self, container: Any) -> None:
        self._container = container

    def start(self) -> int | None:
        self._container.start()
        return None

    def end(self, number: signal.Signals) -> None:
        self._container.reload()
        if self._container.status == "running":
            self._container.kill(signal=number.name)
        self._container.wait()

    def complaint(self) -> str | None:
        self._container.reload()
        if self._container.status in ("created", "running"):
            return None
        said: bytes = self._container.logs(tail=20)
        return said.decode(errors="replace")
