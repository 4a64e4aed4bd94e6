"""MySQL option files (`my.cnf`), read as MySQL's own clients read them. Nothing here knows what an option means.

The rules are those of the manual's "Using Option Files", and where that is silent, those that
`my_print_defaults` shows. No message holds a value: it could be the password.
"""

from __future__ import annotations

import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from migrator.errors import UsageError

SYSTEM_FILES: Final = (Path("/etc/my.cnf"), Path("/etc/mysql/my.cnf"))
"""Read first, in this order; then the extra file, then `~/.my.cnf`."""

_SPACE: Final = " \t\n\v\f\r"
_ESCAPES: Final = {"b": "\b", "t": "\t", "n": "\n", "r": "\r", "s": " ", "\\": "\\", '"': '"', "'": "'"}
_DEEPEST_INCLUDE: Final = 10


@dataclass(frozen=True, slots=True)
class Entry:
    """One option of one group; `name` has dashes only and no `loose-`; `value` is None if there is no `=`."""

    group: str
    name: str
    value: str | None = field(repr=False)
    loose: bool
    file: Path
    line: int

    @property
    def where(self) -> str:
        """file:line, for messages."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class OptionFiles:
    """What the files say, in the order in which it counts: later entries win."""

    entries: tuple[Entry, ...]
    warnings: tuple[str, ...]


def read_option_files(
    groups: Collection[str],
    *,
    only: Path | None = None,
    extra: Path | None = None,
    home: Path,
    system: tuple[Path, ...] = SYSTEM_FILES,
) -> OptionFiles:
    """The entries of `groups` in the files that a MySQL client would read, with their includes.

    `only` is --defaults-file: nothing else is read; `extra` is --defaults-extra-file. Those two must
    exist, the others need not. A world-writable file is passed over with a warning, as by MySQL.
    Raises `UsageError` with file and line where a file is malformed.
    """
    warnings: list[str] = []
    entries: list[Entry] = []
    if only is not None:
        files = [(only.expanduser(), True)]
    else:
        files = [(file, False) for file in system]
        files += [(extra.expanduser(), True)] if extra is not None else []
        files += [(home / ".my.cnf", False)]
    for file, required in files:
        entries += [e for e in _read(file, warnings, required=required, depth=0) if e.group in groups]
    return OptionFiles(tuple(entries), tuple(warnings))


def _read(file: Path, warnings: list[str], *, required: bool, depth: int) -> Iterator[Entry]:
    try:
        mode = file.stat().st_mode
        if stat.S_ISREG(mode) and mode & stat.S_IWOTH:
            warnings.append(f"{file} is ignored because everybody may write it (chmod o-w {file})")
            return
        text = file.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        if required:
            raise UsageError(f"cannot read option file {file}: {error.strerror}", remedy="check the path") from None
        return
    except OSError as error:
        if required:
            raise UsageError(f"cannot read option file {file}: {error.strerror}", remedy="check the path") from None
        warnings.append(f"option file {file} is ignored: {error.strerror}")
        return
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UsageError(f"{file}:{line}: not UTF-8", remedy="save the option file as UTF-8") from None
    yield from parse(text, file, warnings, depth=depth)


def parse(text: str, file: Path, warnings: list[str], *, depth: int = 0) -> Iterator[Entry]:
    """The entries of a text that stands in `file`, and of the files that it includes. Raises `UsageError`."""
    group: str | None = None
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.strip(_SPACE)
        if not line or line[0] in "#;":
            continue
        if line[0] == "!":
            yield from _included(line[1:].strip(_SPACE), file, number, warnings, depth=depth)
        elif line[0] == "[":
            name, bracket, _ = line[1:].partition("]")
            if not bracket:
                raise UsageError(f"{file}:{number}: a group begins with [ and has no ]", remedy="write [client]")
            group = name.rstrip(_SPACE)
        elif group is None:
            raise UsageError(
                f"{file}:{number}: an option stands before the first group", remedy="write a line [client] above it"
            )
        else:
            yield _entry(line, group, file, number)


def _entry(line: str, group: str, file: Path, number: int) -> Entry:
    name, equals, value = _without_comment(line).partition("=")
    name = name.strip(_SPACE).replace("_", "-")
    loose = name.startswith("loose-")
    return Entry(
        group=group,
        name=name.removeprefix("loose-"),
        value=unescaped(value) if equals else None,
        loose=loose,
        file=file,
        line=number,
    )


def _included(directive: str, file: Path, number: int, warnings: list[str], *, depth: int) -> Iterator[Entry]:
    keyword, *rest = directive.split(maxsplit=1) or [""]
    argument = rest[0] if rest else ""
    if keyword not in {"include", "includedir"}:
        warnings.append(f"{file}:{number}: !{keyword} is not a directive that migrator knows; ignored")
        return
    if not argument:
        raise UsageError(f"{file}:{number}: !{keyword} names nothing", remedy=f"write !{keyword} and a path")
    if depth >= _DEEPEST_INCLUDE:
        warnings.append(f"{file}:{number}: not followed, {_DEEPEST_INCLUDE} files include each other already")
        return
    path = Path(argument).expanduser()
    if keyword == "include":
        if not path.exists():
            warnings.append(f"{file}:{number}: {path} does not exist")
        yield from _read(path, warnings, required=False, depth=depth + 1)
        return
    try:
        inside = sorted(p for p in path.iterdir() if p.suffix == ".cnf" and p.is_file())
    except OSError as error:
        raise UsageError(
            f"{file}:{number}: cannot read folder {path}: {error.strerror}", remedy="check the path"
        ) from None
    for each in inside:
        yield from _read(each, warnings, required=False, depth=depth + 1)


def _without_comment(line: str) -> str:
    """The line up to the first `#` outside quotes; a backslash in quotes guards what follows it."""
    quote = ""
    guarded = False
    for at, char in enumerate(line):
        if char in "'\"" and not guarded:
            quote = char if not quote else "" if quote == char else quote
        if char == "#" and not quote:
            return line[:at]
        guarded = bool(quote) and char == "\\" and not guarded
    return line


def unescaped(value: str) -> str:
    r"""The value without surrounding space and quotes, with \b \t \n \r \s \\ \" \' replaced.

    Any other character keeps its backslash, and so does the last one.
    """
    value = value.strip(_SPACE)
    if len(value) >= 2 and value[0] in "'\"" and value[0] == value[-1]:
        value = value[1:-1]
    text: list[str] = []
    at = 0
    while at < len(value):
        char = value[at]
        if char == "\\" and at + 1 < len(value):
            at += 1
            char = _ESCAPES.get(value[at], "\\" + value[at])
        text.append(char)
        at += 1
    return "".join(text)
