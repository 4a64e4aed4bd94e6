"""Where the server's files lie on this machine, and whether they are that server's at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_OF_TMPDIR: Final = ("#sql", "#innodb", "ML", "MY", "ib", "mysql_temptable", "SQL_LOAD", "tmp.")
"""How the names of what the server makes in its tmpdir begin; that folder may be everybody's."""
_LOG_FILES: Final = ("slow_query_log_file", "general_log_file")
_BASENAMES: Final = ("log_bin_basename", "relay_log_basename")
_TEMPORARY: Final = ("tmpdir", "innodb_tmpdir", "replica_load_tmpdir")
_FOLDERS: Final = (
    "innodb_data_home_dir",
    "innodb_undo_directory",
    "innodb_log_group_home_dir",
    "innodb_doublewrite_dir",
    "innodb_temp_tablespaces_dir",
)


class NotHere(Exception):
    """The server's files are not, or not readable, on this machine; says why."""


@dataclass(frozen=True, slots=True)
class Datadir:
    """A folder that is proved to be the server's datadir."""

    path: Path
    as_the_server_says: Path

    def resolve(self, name: str) -> Path:
        """Where a file of the server's is here: a name from its datadir, or one from the root."""
        path = Path(name)
        if not path.is_absolute():
            return self.path / path
        if path.is_relative_to(self.as_the_server_says):
            return self.path / path.relative_to(self.as_the_server_says)
        return path

    def shown(self, path: Path) -> str:
        """The path as it is told: from the datadir, where it is in there."""
        return str(path.relative_to(self.path)) if path.is_relative_to(self.path) else str(path)


def find_datadir(said: str, server_uuid: str, given: Path | None = None) -> Datadir:
    """The datadir, as the server says or as `given`, proved by the server_uuid in its auto.cnf. Raises `NotHere`."""
    path = (given or Path(said)).absolute()
    try:
        text = (path / "auto.cnf").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        where = "the folder" if path.is_dir() else "this machine"
        raise NotHere(f"{where} has no {path / 'auto.cnf'}, by which a datadir is known") from None
    except OSError as error:
        raise NotHere(f"{path / 'auto.cnf'} cannot be read here ({error.strerror})") from None
    uuids = [
        line.partition("=")[2].strip() for line in text.splitlines() if line.startswith(("server-uuid", "server_uuid"))
    ]
    if server_uuid not in uuids:
        raise NotHere(f"{path} is the datadir of another server: its auto.cnf does not say {server_uuid}")
    return Datadir(path, Path(said or path))


def all_files(
    datadir: Datadir, places: Mapping[str, str], tablespaces: Mapping[Path, str]
) -> Iterator[tuple[Path, str]]:
    """Every file that the server is known to write, each once, with what it is; `tablespaces` by their paths here.

    Folders that cannot be listed come as themselves. Links to folders are followed once, for a datadir
    may have its schemas elsewhere.
    """
    seen: set[Path] = set()

    def fresh(path: Path) -> bool:
        real = path.resolve()
        return not (real in seen or seen.add(real))  # type: ignore[func-returns-value]

    for path, what in tablespaces.items():
        if fresh(path):
            yield path, what
    roots = [datadir.path, *(datadir.resolve(places[name]) for name in _FOLDERS if name in places)]
    for root in roots:
        for path in _walk(root, set()):
            if fresh(path):
                yield path, _what(path)
    for name in _BASENAMES:
        if name in places:
            base = datadir.resolve(places[name])
            for path in sorted(base.parent.glob(f"{base.name}.[0-9]*")):
                if fresh(path):
                    yield path, "binary log" if name == "log_bin_basename" else "relay log"
    for name in _LOG_FILES:
        path = datadir.resolve(places[name]) if name in places else datadir.path
        if path.is_file() and fresh(path):
            yield path, "log of statements"
    for name in _TEMPORARY:
        for folder in places.get(name, "").split(":"):
            if folder:
                for path in sorted(datadir.resolve(folder).glob("*")):
                    if path.name.startswith(_OF_TMPDIR) and path.is_file() and fresh(path):
                        yield path, "temporary file"


def _walk(folder: Path, above: set[Path]) -> Iterator[Path]:
    real = folder.resolve()
    if real in above:
        return
    try:
        inside = sorted(folder.iterdir())
    except NotADirectoryError:
        yield folder
        return
    except FileNotFoundError:
        return
    except OSError:
        yield folder
        return
    for path in inside:
        try:
            is_dir, is_file = path.is_dir(), path.is_file()
        except OSError:
            is_dir, is_file = False, True  # whoever opens it is told why it cannot be read
        if is_dir:
            yield from _walk(path, above | {real})
        elif is_file:
            yield path


def _what(path: Path) -> str:
    name = path.name
    if path.parent.name == "#innodb_redo" or name.startswith("ib_logfile"):
        return REDO
    if name.endswith(".dblwr"):
        return "doublewrite"
    if name.endswith(".ibt") or name.startswith("ibtmp"):
        return "temporary tablespace"
    if name.endswith((".ibd", ".ibu")) or name.startswith(("undo_", "ibdata")):
        return "tablespace that the catalog does not name"
    if ".0" in name and name.rpartition(".")[2].isdecimal():
        return "binary or relay log"
    return "other file"


REDO: Final = "redo log"
