"""Which section of docs/what-if.md says what one sees and does for each fault; made into a list in docs/faults.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from tests.server.faults.catalog import ROWS

FILE: Final = Path(__file__).parents[3] / "docs" / "faults.md"
BEGIN: Final = "<!-- what to do about each: made by make docs -->\n"
END: Final = "<!-- end of what to do -->\n"

ANSWERS: Final[dict[str, tuple[str, ...]]] = {
    "It is killed, or its host is lost": ("tool killed",),
    "Ctrl-C, SIGTERM": ("tool stopped", "stopped"),
    "A second apply": ("second run",),
    "The server is restarted, or dies": (
        "server killed",
        "server killed in a statement",
        "server away",
        "server restarted",
    ),
    "A connection is lost, or somebody kills its sessions": (
        "link cut before",
        "link cut after",
        "all links cut",
        "sessions killed",
    ),
    "Somebody keeps a transaction open": ("reader", "older snapshot", "prepared transaction", "backup lock"),
    "Somebody truncates or alters the table": (
        "source truncated",
        "partition truncated",
        "source rebuilt",
        "column added",
        "trigger added",
        "another table in its place",
        "source dropped",
    ),
    "Somebody drops one of our triggers": ("trigger dropped",),
    "Somebody touches the shadow or the log": (
        "shadow dropped",
        "log dropped",
        "shadow altered",
        "shadow truncated",
        "row of the shadow changed",
        "log truncated",
    ),
    "Somebody drops the account": ("account dropped",),
    "Rights are taken away": ("rights revoked", "rights on the journal revoked", "password changed"),
    "The server becomes read-only": ("read-only",),
    "Statements are limited in time": ("max_execution_time",),
    "The keyring is gone": ("keyring file gone", "keyring gone at a restart"),
    "Somebody damages the journal": (
        "journal dropped",
        "journal without a table",
        "steps deleted",
        "objects deleted",
        "ranges deleted",
        "ranges called copied",
        "ranges called compared",
        "phase altered",
        "lease deleted",
        "journal of another version",
        "journal of another server",
    ),
    "A run is abandoned for good": ("abandoned",),
    "The disk is full": ("no room for the log",),
}
"""Heading of the section -> the faults that it answers."""


def anchor(heading: str) -> str:
    """What a heading is called in a link."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def faults_text() -> str:
    """The whole page of faults, with its list of answers anew."""
    before, found, rest = FILE.read_text(encoding="utf-8").partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        raise ValueError(f"{FILE.name} has no place for the answers")
    lines = [
        f"| {' · '.join(ROWS[fault][0] for fault in faults)} | [{heading}](what-if.md#{anchor(heading)}) |"
        for heading, faults in ANSWERS.items()
    ]
    table = "\n".join(["| what is done | what one sees and does |", "| --- | --- |", *lines, ""])
    return f"{before}{found}\n{table}\n{ended}{after}"
