"""The table fault x phase -> outcome: read from the report of a whole run, written into docs/faults.md.

    python -m tests.server.faults.table build/faults.xml

Refuses to write unless every test passed and every cell was lived through.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from tests.server.faults.catalog import ROWS
from tests.server.faults.scene import DOES_NOT_APPLY, PHASES

PAGE: Final = Path(__file__).parents[3] / "docs" / "faults.md"
BEGIN: Final = "<!-- from here to the end of the table: written by make test-faults -->\n"
END: Final = "<!-- the end of the table -->\n"

Cells = dict[str, dict[str, str]]


def read_report(report: Path) -> Cells:
    """What a run of the suite recorded: fault -> phase -> outcome. ValueError if a test did not pass."""
    cells: Cells = defaultdict(dict)
    # The report is our own.
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314
        if any(case.find(bad) is not None for bad in ("failure", "error", "skipped")):
            raise ValueError(f"{case.get('name')} did not pass")
        for one in case.iter("property"):
            fault, _, where = str(one.get("name")).partition(" | ")
            cells[fault][where] = str(one.get("value"))
    return cells


def table_of(cells: Cells) -> str:
    """The table as Markdown; ValueError if a cell is missing."""
    lines = ["| what is done | " + " | ".join(PHASES) + " |", "| --- |" + " --- |" * len(PHASES)]
    for fault, (what, where) in ROWS.items():
        missing = sorted(where - set(cells.get(fault, {})))
        if missing:
            raise ValueError(f"{fault} was not lived through in: {', '.join(missing)}")
        found = [cells[fault][phase] if phase in where else DOES_NOT_APPLY for phase in PHASES]
        lines.append(f"| {what} | " + " | ".join(found) + " |")
    return "\n".join(lines) + "\n"


def written_table() -> str:
    """The table that stands in the page."""
    return PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip() + "\n"


def write(report: Path) -> None:
    """Put the table of a report into the page."""
    table = table_of(read_report(report))
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
