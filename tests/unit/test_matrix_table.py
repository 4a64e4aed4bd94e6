"""The matrix that is committed has every feature, every method, and no empty cell."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from migrator.model import Method
from tests.oracle import features as oracle
from tests.server.faults.table import read_report
from tests.server.matrix.table import in_a_cell, tables_of, written_tables
from tests.server.matrix.ways import FEATURES, IN_ONE_MOMENT, WAYS, row_of, table_of

CODES = r"\((`[a-z-]+`(, `[a-z-]+`)*|no step)\)"
OUTCOME = re.compile(
    r"(by [a-z-]+: |with triggers: )?encrypted, all equal( but [a-z-]+(, [a-z-]+)* \(told\))?"
    r"|fails on its twin \(\d{4}\), untouched"
    rf"|refused {CODES}|left alone {CODES}|– \(\d{{4}}\)"
)


def rows() -> list[list[str]]:
    """The cells of the committed tables, heads included, without the lines below them."""
    lines = [line for line in written_tables().splitlines() if line.startswith("|") and not line.startswith("| ---")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_every_feature_has_its_row_and_every_method_its_column() -> None:
    """In the order of the suite; a feature or a method that is added is not forgotten in the page."""
    heads = [row for row in rows() if row[0] == "feature"]
    assert {tuple(head[1:]) for head in heads} == {tuple(f"`{method}`" for method in WAYS)}
    assert [row[0] for row in rows() if row[0] != "feature"] == [in_a_cell(feature.name) for feature in FEATURES]
    assert set(WAYS) == set(Method) - {Method.SETTING, Method.BACKGROUND, Method.SKIP, Method.REFUSE} | {IN_ONE_MOMENT}


def test_no_cell_is_empty() -> None:
    """Each says what became of the table."""
    for row in rows():
        for cell in row[1:] if row[0] != "feature" else ():
            assert OUTCOME.fullmatch(cell), f"{row[0]}: {cell!r}"


def test_a_feature_that_is_never_encrypted_has_its_reason() -> None:
    """A code of ours, or the server's own refusal of such a table."""
    for row in rows():
        if row[0] != "feature" and not any("encrypted, all equal" in cell for cell in row[1:]):
            assert all("(" in cell for cell in row[1:]), row


def test_rows_have_names_of_their_own() -> None:
    """No feature hides another one's outcome; only columns of different types share a table."""
    assert len({row_of(feature) for feature in FEATURES}) == len(FEATURES)
    made = {(table_of(feature), feature.definition) for feature in FEATURES}
    assert len({table for table, _ in made}) == len(made)
    assert len(made) == len([f for f in FEATURES if f.group != "Types"]) + 7


TOLD = {
    "key in sequence": "INT, negative ones",
    "auto_increment": "AUTO_INCREMENT, exhausted",
    "unique index": "secondary, unique",
    "second unique index": "many kinds in one table, in their order",
    "key is not primary": "UNIQUE NOT NULL instead of PRIMARY",
    "partitions": "subpartitioned",
    "indexes": "secondary, unique",
    "functional index": "functional",
    "multi-valued index": "multi-valued",
    "fulltext index": "FULLTEXT",
    "spatial index": "SPATIAL",
    "generated columns": "generated, VIRTUAL",
    "check": "CHECK, names by the server",
    "defaults and instant columns": "INSTANT-added",
    "row format": "ROW_FORMAT=COMPACT",
    "options": "options: COMMENT, STATS_*, MAX_ROWS, AVG_ROW_LENGTH, CHECKSUM ...",
}


def test_what_random_tables_have_is_in_the_matrix() -> None:
    """Each feature of the oracle's random tables has a row."""
    assert set(TOLD) == {feature.name for feature in oracle.FEATURES}
    assert set(TOLD.values()) <= {feature.name for feature in FEATURES}


def a_report(folder: Path, *, without: str = "") -> Path:
    """A report of a run in which everything came out equal, but for one feature that was not lived through."""
    suite = ElementTree.Element("testsuite")
    for method in WAYS:
        case = ElementTree.SubElement(suite, "testcase", name=method)
        properties = ElementTree.SubElement(case, "properties")
        for feature in FEATURES:
            if feature.name != without:
                one = f"{row_of(feature)} | {method}"
                ElementTree.SubElement(properties, "property", name=one, value="encrypted, all equal")
    path = folder / "report.xml"
    ElementTree.ElementTree(suite).write(path)
    return path


def test_a_run_that_lacks_a_feature_writes_nothing(tmp_path: Path) -> None:
    """The page is only written from a whole run."""
    assert tables_of(read_report(a_report(tmp_path))).count("all equal") == len(FEATURES) * len(WAYS)
    with pytest.raises(ValueError, match="subpartitioned"):
        tables_of(read_report(a_report(tmp_path, without="subpartitioned")))
