"""What the demonstration says on the terminal: short headings, commands as a DBA types them, quoted output."""

from __future__ import annotations

import shlex
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Final

WIDTH: Final = 100
LONGEST: Final = 130


def heading(text: str) -> None:
    """A new chapter."""
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    print(f"\n{bold}{text}{plain}\n{'─' * min(WIDTH, len(text))}", flush=True)


def say(text: str) -> None:
    """A paragraph."""
    print(textwrap.fill(text, WIDTH), flush=True)


def typed(command: Sequence[str]) -> None:
    """A command as it is typed."""
    print(f"\n$ {shlex.join(command)}", flush=True)


def quote(lines: Iterable[str], *, most: int | None = None, whole: str = "") -> None:
    """Lines of somebody else's output; the first ones, if there are many, and where the rest is."""
    found = [line.rstrip() for line in lines]
    for line in found[:most]:
        print(f"  │ {cut(line)}".rstrip())
    if most and len(found) > most:
        print(f"  │ … {len(found) - most:,} more lines{f' in {whole}' if whole else ''}")
    sys.stdout.flush()


def cut(line: str) -> str:
    """The line, or its beginning if it is longer than a terminal bears."""
    return line if len(line) <= LONGEST else line[: LONGEST - 2] + " …"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, right: frozenset[int] = frozenset()) -> list[str]:
    """Lines of a table, columns as wide as they need; those in `right` are numbers."""
    cells = [list(head), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
    return [lines[0], "  ".join("─" * width for width in widths), *lines[1:]]
