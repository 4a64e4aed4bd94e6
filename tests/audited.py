"""The tables of docs/audit-transit.md, made from the codes of places; what stands around them is written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from migrator.planner.posture.codes import CLUSTER, TRANSIT

FILE: Final = Path(__file__).parent.parent / "docs" / "audit-transit.md"

BEGIN: Final = "<!-- places: {} -->\n"
END: Final = "<!-- end of places -->\n"


def audit_text() -> str:
    """The whole page as it must be: as it is, with each table between its marks anew."""
    text = FILE.read_text(encoding="utf-8")
    for area, codes in (("in transit", TRANSIT), ("other servers", CLUSTER)):
        before, found, rest = text.partition(BEGIN.format(area))
        _, ended, after = rest.partition(END)
        if not found or not ended:
            raise ValueError(f"{FILE.name} has no place for the codes of: {area}")
        lines = [f"| `{code}` | {about} |" for code, about in codes.items()]
        table = "\n".join(["| code | about |", "| --- | --- |", *lines, ""])
        text = f"{before}{found}\n{table}\n{ended}{after}"
    return text
