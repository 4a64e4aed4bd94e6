"""The tables of docs/limits.md, made from the codes of findings; what stands around them is written by hand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from migrator.planner.findings import CODES, Code

FILE: Final = Path(__file__).parent.parent / "docs" / "limits.md"

BEGIN: Final = "<!-- codes: {} -->\n"
END: Final = "<!-- end of codes -->\n"


def limits_text() -> str:
    """The whole page as it must be: as it is, with each table between its marks anew."""
    text = FILE.read_text(encoding="utf-8")
    for group, codes in CODES.items():
        before, found, rest = text.partition(BEGIN.format(group))
        _, ended, after = rest.partition(END)
        if not found or not ended:
            raise ValueError(f"{FILE.name} has no place for the codes of: {group}")
        text = f"{before}{found}\n{_table(codes)}\n{ended}{after}"
    return text


def groups_in(page: str) -> list[str]:
    """The groups that a page has places for."""
    return re.findall(BEGIN.format("(.+)").strip(), page)


def _table(codes: tuple[Code, ...]) -> str:
    lines = [f"| `{code.name}` | {code.stops} | {code.meaning} | {code.remedy}".rstrip() + " |" for code in codes]
    return "\n".join(["| code | stops | meaning | remedy |", "| --- | --- | --- | --- |", *lines, ""])
