"""Values of the provider: what was found, what runs, what went wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


class NoServer(Exception):
    """No source can give a server; the message says why for each of them."""


class NotAvailable(Exception):
    """One source cannot give a server; the message is the reason, for one line."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server as its clients see it, and where its files are if they can be read."""

    host: str
    port: int
    socket: Path | None
    user: str
    password: str = field(repr=False)
    datadir: Path | None
    keyring_path: Path | None
    version: str
    source: str
    """What was chosen and why, and why the sources before it were not."""
    pid: int | None


@dataclass(frozen=True, slots=True)
class Programs:
    """A mysqld that can be run, with the keyring component reachable through a local manifest."""

    mysqld: Path
    basedir: Path
    plugin_dir: Path
    messages_dir: Path
    charsets_dir: Path
    about: str
    """What it is and where it lies, for people."""
    key: str
    """Names this build in the cache, so that a datadir is never started by another build."""
    has_keyring: bool = True
