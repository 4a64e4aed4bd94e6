"""The table of faults that is committed has every fault of the suite, every phase, and no empty cell."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.server.faults.scene import DOES_NOT_APPLY
from tests.server.faults.table import COPIED, RELAYED, Table, read_report, table_of, written_table

OUTCOME = re.compile(
    r"finishes|killed; (goes on|anew)|\d+(, \d+)*; (mend, )?(goes on|anew|is done)|\d+(, \d+)*; nothing left"
)

TABLES = [pytest.param(COPIED, id="copied"), pytest.param(RELAYED, id="relayed")]


def rows(table: Table) -> list[list[str]]:
    """The cells of the committed table."""
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in written_table(table).splitlines()]


@pytest.mark.parametrize("table", TABLES)
def test_every_fault_has_its_row(table: Table) -> None:
    """In the order of the suite; a fault that is added is not forgotten in the page."""
    head, _, *body = rows(table)
    assert head[1:] == list(table.phases)
    assert [row[0] for row in body] == [what for what, _ in table.rows.values()]


@pytest.mark.parametrize("table", TABLES)
def test_no_cell_is_empty(table: Table) -> None:
    """Each says how it ended; a dash stands exactly where there is nothing to hit."""
    for row, (what, where) in zip(rows(table)[2:], table.rows.values(), strict=True):
        for phase, cell in zip(table.phases, row[1:], strict=True):
            if phase in where:
                assert OUTCOME.match(cell), f"{what}, {phase}: {cell!r}"
            else:
                assert cell == DOES_NOT_APPLY, f"{what}, {phase}: {cell!r}"


def a_report(folder: Path, *, without: str = "", failed: bool = False) -> Path:
    """A report of a run in which everything finished, but for one fault, or with one failure."""
    suite = ElementTree.Element("testsuite")
    for fault, (_, where) in (*COPIED.rows.items(), *RELAYED.rows.items()):
        case = ElementTree.SubElement(suite, "testcase", name=fault)
        if fault != without:
            properties = ElementTree.SubElement(case, "properties")
            for phase in where:
                ElementTree.SubElement(properties, "property", name=f"{fault} | {phase}", value="finishes")
    if failed:
        ElementTree.SubElement(suite[-1], "failure")
    path = folder / "report.xml"
    ElementTree.ElementTree(suite).write(path)
    return path


def test_a_run_that_lacks_a_fault_writes_nothing(tmp_path: Path) -> None:
    """The table is only written from a whole run, all of which passed."""
    assert table_of(read_report(a_report(tmp_path))).count("finishes") > 100
    assert table_of(read_report(a_report(tmp_path)), RELAYED).count("finishes") > 50
    with pytest.raises(ValueError, match="tool killed"):
        table_of(read_report(a_report(tmp_path, without="tool killed")))
    with pytest.raises(ValueError, match="did not pass"):
        read_report(a_report(tmp_path, failed=True))
