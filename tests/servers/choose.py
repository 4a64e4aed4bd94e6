"""Which source a server comes from: the first of four that can give one, with the reasons for people.

`MIGRATOR_TEST_SERVER` = dsn, docker, path or embedded forces one of them.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from tests.servers import container, debian, installed
from tests.servers.model import NoServer, NotAvailable, Programs

SOURCES = ("dsn", "docker", "path", "embedded")


@dataclass(frozen=True, slots=True)
class Existing:
    """A server that is already there, as MIGRATOR_TEST_DSN names it."""

    host: str
    port: int
    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A source that can give a server; `why` is the line for people."""

    what: Existing | container.Image | Programs
    why: str


def choose(*, own: bool, dsn: str | None = None) -> Choice:
    """The first source that can give a server; the answer is kept, so asking again is free.

    `own`: it must be ours to stop and kill, so a server that is already there will not do. This may
    pull an image, or download and unpack MySQL. Raises `NoServer` with the reason of each source.
    """
    given = dsn or os.environ.get("MIGRATOR_TEST_DSN")
    return _choose(os.environ.get("MIGRATOR_TEST_SERVER", ""), given, own=own)


@functools.cache
def _choose(forced: str, dsn: str | None, *, own: bool) -> Choice:
    if forced and forced not in SOURCES:
        raise NoServer(f"MIGRATOR_TEST_SERVER={forced} is none of {', '.join(SOURCES)}")
    passed: list[str] = []
    for name in [forced] if forced else SOURCES:
        try:
            what, line = _look(name, own=own, dsn=dsn)
        except NotAvailable as reason:
            passed.append(f"{name}: {reason}")
        else:
            chosen = f"{name}: {line}" + (" (forced by MIGRATOR_TEST_SERVER)" if forced else "")
            return Choice(what, "; ".join([chosen, *(f"not {reason}" for reason in passed)]))
    raise NoServer("no server can be had: " + "; ".join(passed))


def _look(name: str, *, own: bool, dsn: str | None) -> tuple[Existing | container.Image | Programs, str]:
    match name:
        case "dsn":
            if not dsn:
                raise NotAvailable("MIGRATOR_TEST_DSN is not set")
            if own:
                raise NotAvailable("this needs a server of its own")
            existing = parse(dsn)
            return existing, f"{existing.user}@{existing.host}:{existing.port}"
        case "docker":
            image = container.image()
            return image, f"image {image.name}"
        case "path":
            programs = installed.programs()
            return programs, programs.about
        case _:
            programs = debian.programs()
            return programs, programs.about


def parse(dsn: str) -> Existing:
    """mysql://user:password@host:port as a value; NoServer, without the password, if it is not one."""
    parts = urlsplit(dsn)
    if parts.scheme != "mysql" or not parts.hostname or not parts.username:
        raise NoServer("a DSN looks like mysql://user:password@host:3306")
    return Existing(parts.hostname, parts.port or 3306, unquote(parts.username), unquote(parts.password or ""))
