"""docs/reference.md says what --help says."""

from __future__ import annotations

import re

import pytest

from migrator import __version__
from migrator.cli import app
from tests.reference import FILE, reference_text


def test_the_reference_is_up_to_date() -> None:
    """The page is what `make docs` would write now."""
    assert FILE.read_text(encoding="utf-8") == reference_text(), "run `make docs`"


@pytest.mark.parametrize("columns", ["40", "200"])
def test_the_reference_is_the_same_on_every_terminal(monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    """Neither the terminal's width nor colours change it."""
    plain = reference_text()
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert reference_text() == plain


def test_every_command_is_in_the_reference() -> None:
    """Each command has its heading, and each of its own options a row."""
    text = reference_text()
    commands = {c.name or getattr(c.callback, "__name__", "") for c in app.registered_commands}
    assert commands == {
        "audit",
        "plan",
        "dry-run",
        "apply",
        "cleanup",
        "rollback",
        "rotate-key",
        "runbook",
        "status",
        "pause",
        "unpause",
        "set",
        "verify",
        "report",
    }
    assert commands == set(re.findall(r"^## migrator (\S+)$", text, flags=re.MULTILINE))
    assert __version__ not in text


def test_every_exit_code_is_in_the_reference() -> None:
    """The codes of errors.py, and no others."""
    codes = re.findall(r"^\| ([0-9, ]+) \|", reference_text().split("## Exit codes")[1], flags=re.MULTILINE)
    assert codes == ["0", "1", "2", "3", "4", "70", "75", "129, 130, 143"]
