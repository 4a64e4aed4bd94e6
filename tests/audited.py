"""The tables of docs/audit.md, made from the codes of places; what stands around them is written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from migrator.planner.posture import CODES
from migrator.planner.posture.settings import SETTINGS
from migrator.posture import Area

FILE: Final = Path(__file__).parent.parent / "docs" / "audit.md"

BEGIN: Final = "<!-- places: {} -->\n"
END: Final = "<!-- end of places -->\n"
SETTINGS_MARK: Final = "settings"


def audit_text() -> str:
    """The whole page as it must be: as it is, with each table between its marks anew."""
    text = FILE.read_text(encoding="utf-8")
    areas = dict.fromkeys(code.area for code in CODES.values())
    for name, table in [*((str(area), _places(area)) for area in areas), (SETTINGS_MARK, _settings())]:
        before, found, rest = text.partition(BEGIN.format(name))
        _, ended, after = rest.partition(END)
        if not found or not ended:
            raise ValueError(f"{FILE.name} has no place for: {name}")
        text = f"{before}{found}\n{table}\n{ended}{after}"
    return text


def _places(area: Area) -> str:
    codes = [code for code in CODES.values() if code.area is area]
    lines = [f"| `{c.name}` | {c.holds} | {c.risk or '-'} | {c.closes} | {c.servers} |" for c in codes]
    head = ["| code | what lies there | risk | what closes it | where |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([*head, *lines, ""])


def _settings() -> str:
    lines = [
        f"| [`{s.name}`]({s.page}) | {'Percona Server, PXC' if s.percona else 'all'} "
        f"| {'.'.join(map(str, s.since))} | {s.absent} |"
        for s in SETTINGS
    ]
    return "\n".join(["| setting | servers | since | where there is none |", "| --- | --- | --- | --- |", *lines, ""])
