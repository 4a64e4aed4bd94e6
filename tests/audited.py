"""The tables of docs/audit.md and docs/audit-transit.md, made from the codes of places; the rest is written by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from migrator.planner.posture import CODES
from migrator.planner.posture.codes import CLUSTER, TRANSIT
from migrator.planner.posture.settings import SETTINGS
from migrator.posture import Area

_DOCS: Final = Path(__file__).parent.parent / "docs"
FILE: Final = _DOCS / "audit.md"
TRANSIT_FILE: Final = _DOCS / "audit-transit.md"

BEGIN: Final = "<!-- places: {} -->\n"
END: Final = "<!-- end of places -->\n"
SETTINGS_MARK: Final = "settings"


def audit_text() -> str:
    """The whole page as it must be: as it is, with each table between its marks anew."""
    areas = dict.fromkeys(code.area for code in CODES.values())
    return _filled(FILE, [*((str(area), _places(area)) for area in areas), (SETTINGS_MARK, _settings())])


def transit_text() -> str:
    """The same of what travels, and of other servers."""
    return _filled(TRANSIT_FILE, [("in transit", _abouts(TRANSIT)), ("other servers", _abouts(CLUSTER))])


def _filled(file: Path, tables: Iterable[tuple[str, str]]) -> str:
    text = file.read_text(encoding="utf-8")
    for name, table in tables:
        before, found, rest = text.partition(BEGIN.format(name))
        _, ended, after = rest.partition(END)
        if not found or not ended:
            raise ValueError(f"{file.name} has no place for: {name}")
        text = f"{before}{found}\n{table}\n{ended}{after}"
    return text


def _abouts(codes: Mapping[str, str]) -> str:
    return "\n".join(
        ["| code | about |", "| --- | --- |", *(f"| `{code}` | {about} |" for code, about in codes.items()), ""]
    )


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
