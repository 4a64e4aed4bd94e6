"""The table fault x phase -> outcome: read from the report of a whole run, written into docs/faults.md.

    python -m tests.server.faults.table build/faults.xml

Refuses to write unless every test passed and every cell was lived through.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from tests.server.faults.catalog import ROWS
from tests.server.faults.relays import RELAY_ROWS
from tests.server.faults.scene import DOES_NOT_APPLY, LEGS, PHASES

PAGE: Final = Path(__file__).parents[3] / "docs" / "faults.md"

Cells = dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the page: its rows and columns, and between which lines it stands."""

    rows: Mapping[str, tuple[str, frozenset[str]]]
    phases: Sequence[str]
    begin: str
    end: str


COPIED: Final = Table(
    ROWS,
    PHASES,
    "<!-- from here to the end of the table: written by make test-faults -->\n",
    "<!-- the end of the table -->\n",
)
RELAYED: Final = Table(
    RELAY_ROWS,
    LEGS,
    "<!-- from here to the end of the relay's table: written by make test-faults -->\n",
    "<!-- the end of the relay's table -->\n",
)


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


def table_of(cells: Cells, table: Table = COPIED) -> str:
    """The table as Markdown; ValueError if a cell is missing."""
    lines = ["| what is done | " + " | ".join(table.phases) + " |", "| --- |" + " --- |" * len(table.phases)]
    for fault, (what, where) in table.rows.items():
        missing = sorted(where - set(cells.get(fault, {})))
        if missing:
            raise ValueError(f"{fault} was not lived through in: {', '.join(missing)}")
        found = [cells[fault][phase] if phase in where else DOES_NOT_APPLY for phase in table.phases]
        lines.append(f"| {what} | " + " | ".join(found) + " |")
    return "\n".join(lines) + "\n"


def written_table(table: Table = COPIED) -> str:
    """The table that stands in the page."""
    return PAGE.read_text(encoding="utf-8").partition(table.begin)[2].partition(table.end)[0].strip() + "\n"


def write(report: Path, tables: Sequence[Table] = (COPIED, RELAYED)) -> None:
    """Put the tables of a report into the page; none of them if one has an empty cell."""
    cells = read_report(report)
    made = [(table, table_of(cells, table)) for table in tables]
    page = PAGE.read_text(encoding="utf-8")
    for table, text in made:
        before, _, rest = page.partition(table.begin)
        page = f"{before}{table.begin}\n{text}\n{table.end}{rest.partition(table.end)[2]}"
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
