"""The per-user cache: unpacked servers and initialized data folders, each complete or absent."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def folder() -> Path:
    """`$XDG_CACHE_HOME/migrator/servers`, or the same below ~/.cache; made if it is not there."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    found = Path(base).expanduser() / "migrator" / "servers"
    found.mkdir(parents=True, exist_ok=True)
    return found


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache, made by `make(temporary folder)` if it is not there yet.

    The temporary folder gets its name when it is complete, so nobody ever sees half of it. Two
    processes at once: the second waits and takes what the first has made.
    """
    final = folder() / name
    if final.is_dir():
        return final
    with _locked(folder() / f".{name}.lock"):
        if not final.is_dir():
            temporary = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=folder()))
            try:
                make(temporary)
                temporary.rename(final)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
    return final


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
