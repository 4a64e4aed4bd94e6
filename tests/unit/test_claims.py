"""What the pages claim is shown by tests that exist, and every fault that is tried has its answer."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

from tests.server.faults import answers
from tests.server.faults.catalog import ROWS
from tests.server.faults.journals import JOURNALS
from tests.server.faults.machines import MACHINES
from tests.server.faults.persons import PERSONS
from tests.server.faults.settings import SETTINGS

ROOT: Final = Path(__file__).parents[2]
WHAT_IF: Final = ROOT / "docs" / "what-if.md"
FAILURE_MODES: Final = ROOT / "docs" / "failure-modes.md"
SEEN: Final = re.compile(r"\*\*seen\b", re.IGNORECASE)
TRIED_IN: Final = {"tool killed": "test_process", "tool stopped": "test_process"} | {
    fault: module
    for module, faults in (
        ("test_machines", MACHINES),
        ("test_settings", SETTINGS),
        ("test_persons", PERSONS),
        ("test_journals", JOURNALS),
    )
    for fault in faults
}
"""Fault -> the module of tests/server/faults that tries it."""

SHOWN_BY: Final = re.compile(r"<!-- shown by: (.+?) -->")


@cache
def names_in(file: Path) -> frozenset[str]:
    """The names of the tests of a file; none if there is no such file."""
    if not file.exists():
        return frozenset()
    functions = (n for n in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(n, ast.FunctionDef))
    return frozenset(f.name for f in functions if f.name.startswith("test_"))


def missing(named: list[str], under: Path) -> list[str]:
    """Which of these `file::test` do not exist under a folder."""
    return [one for one in named if one.partition("::")[2] not in names_in(under / one.partition("::")[0])]


def sections_of(page: Path) -> dict[str, str]:
    """What stands under each heading of the second rank."""
    _, *parts = re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {part.partition("\n")[0]: part for part in parts}


def test_what_is_called_seen_names_its_tests() -> None:
    """In what-if each paragraph or item that calls something seen names its tests, and they exist."""
    claims = 0
    for heading, section in sections_of(WHAT_IF).items():
        for piece in re.split(r"\n\n|\n(?=\* )", section):
            named = [one for names in SHOWN_BY.findall(piece) for one in names.split(", ")]
            assert bool(SEEN.search(piece)) == bool(named), f"{heading}: {piece}"
            assert missing(named, ROOT / "tests" / "server") == [], heading
            claims += bool(named)
    assert claims > 30


def test_every_fault_has_its_answer() -> None:
    """Each row of the table of faults is answered by one section of what-if, and those sections are there."""
    answered = [fault for faults in answers.ANSWERS.values() for fault in faults]
    assert sorted(answered) == sorted(ROWS)
    sections = sections_of(WHAT_IF)
    assert set(answers.ANSWERS) <= set(sections)
    assert list(answers.ANSWERS) == [heading for heading in sections if heading in answers.ANSWERS]


def test_an_answer_names_the_tests_of_its_faults() -> None:
    """What a section says of a fault is shown by the module in which this fault is tried."""
    sections = sections_of(WHAT_IF)
    for heading, faults in answers.ANSWERS.items():
        for fault in faults:
            assert f"faults/{TRIED_IN[fault]}.py" in sections[heading], f"{heading}: {fault}"


def test_the_page_of_faults_leads_to_the_answers() -> None:
    """It is what `make docs` would write now."""
    assert answers.FILE.read_text(encoding="utf-8") == answers.faults_text(), "run `make docs`"


def test_every_failure_mode_is_shown_to_be_ruled_out() -> None:
    """All 36 in their order, each with what rules it out and with tests that exist."""
    rows = [row.split(" | ") for row in FAILURE_MODES.read_text(encoding="utf-8").splitlines() if row[2:3].isdigit()]
    assert [row[0] for row in rows] == [f"| {number}" for number in range(1, 37)]
    for number, _, here, shown in rows:
        named = re.findall(r"`([^`]+)`", shown)
        assert here, number
        assert named, number
        assert missing(named, ROOT / "tests") == [], number
