"""`-pSECRET`, `--password=SECRET` and MYSQL_PWD, taken away before anything can print them or pass them on.

typer has no options with an optional value, and would show the value in its messages; MySQL's clients
have both, and so do we: `-p` alone asks, `-pSECRET` does not.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

_STAT_ARG_START, _STAT_ARG_END = 48 - 3, 49 - 3
"""Fields of /proc/self/stat (proc_pid_stat(5)), counted after the name, which is in parentheses."""


def without_password(arguments: Sequence[str]) -> tuple[list[str], str | None]:
    """The arguments without a password, and the password, if one is given; the last one counts."""
    kept: list[str] = []
    password: str | None = None
    for number, argument in enumerate(arguments):
        if argument == "--":
            return [*kept, *arguments[number:]], password
        if argument.startswith("--password="):
            password = argument.removeprefix("--password=")
        elif argument.startswith("-p") and argument != "-p":
            password = argument.removeprefix("-p")
        else:
            kept.append(argument)
    return kept, password


def out_of_the_environment() -> str | None:
    """The password in MYSQL_PWD, if there is one; from now on no process that we start inherits it."""
    return os.environ.pop("MYSQL_PWD", None)


def hide_from_ps(arguments: Sequence[str]) -> None:
    """Overwrite the password in this process's command line, as MySQL's clients do; on Linux only.

    Until then it could be seen, so the warning stays. Does nothing where /proc does not allow it.
    """
    secrets = [a.encode("utf-8", "surrogateescape") for a in arguments if without_password([a])[1]]
    if not secrets:
        return
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start, end = int(fields[_STAT_ARG_START]), int(fields[_STAT_ARG_END])
        with Path("/proc/self/mem").open("r+b", buffering=0) as memory:
            memory.seek(start)
            line = memory.read(end - start)
            for secret in secrets:
                option = b"--password=" if secret.startswith(b"--") else b"-p"
                hidden = (option + b"x").ljust(len(secret), b"\0")
                line = line.replace(b"\0" + secret + b"\0", b"\0" + hidden + b"\0")
            memory.seek(start)
            memory.write(line)
    except (OSError, IndexError, ValueError):
        return
