"""The matrix features x methods: read from the report of a run, written into docs/matrix.md.

    python -m tests.server.matrix.table build/matrix.xml

Refuses to write unless every test passed and every cell was lived through.
"""

from __future__ import annotations

import re
import sys
from itertools import groupby
from pathlib import Path
from typing import Final

from tests.server.faults.table import Cells, read_report
from tests.server.matrix.ways import FEATURES, WAYS, row_of

PAGE: Final = Path(__file__).parents[3] / "docs" / "matrix.md"
BEGIN: Final = "<!-- from here to the end of the tables: written by make test-matrix -->\n"
END: Final = "<!-- the end of the tables -->\n"


def tables_of(cells: Cells) -> str:
    """The tables as Markdown, one for each group; ValueError if a cell is missing."""
    head = ["| feature | " + " | ".join(f"`{method}`" for method in WAYS) + " |", "| --- |" + " --- |" * len(WAYS)]
    lines: list[str] = []
    for group, features in groupby(FEATURES, key=lambda feature: feature.group):
        lines += [f"## {group}", "", *head]
        for feature in features:
            found = cells.get(row_of(feature), {})
            missing = [method for method in WAYS if not found.get(method)]
            if missing:
                raise ValueError(f"{row_of(feature)} was not lived through by: {', '.join(missing)}")
            lines.append(f"| {in_a_cell(feature.name)} | " + " | ".join(found[method] for method in WAYS) + " |")
        lines.append("")
    return "\n".join(lines)


def in_a_cell(text: str) -> str:
    """A name that a table of Markdown can hold."""
    return text.replace("|", "\\|")


def written_tables() -> str:
    """The tables that stand in the page."""
    return PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip() + "\n"


def written_cells() -> Cells:
    """What the page says: row -> method -> outcome."""
    found: Cells = {}
    group, methods = "", [str(method) for method in WAYS]
    for line in written_tables().splitlines():
        if line.startswith("## "):
            group = line.removeprefix("## ")
        elif line.startswith("| feature"):
            methods = [cell.strip(" `") for cell in line.split("|")[2:-1]]
        elif line.startswith("| ") and not line.startswith("| ---"):
            name, *cells = (cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1])
            found[f"{group}: {name}".replace("\\|", "|")] = dict(zip(methods, cells, strict=True))
    return found


def write(report: Path) -> None:
    """Put the tables of a report into the page."""
    tables = tables_of(read_report(report))
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{tables}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
