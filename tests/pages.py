"""Pages that are made, wholly or in part: python -m tests.pages [--write].

Without --write it says what is out of date, with exit code 1.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests import audited, limits, listened, reference
from tests.server.faults import answers

MADE: Final[dict[Path, Callable[[], str]]] = {
    reference.FILE: reference.reference_text,
    limits.FILE: limits.limits_text,
    answers.FILE: answers.faults_text,
    audited.FILE: audited.audit_text,
    audited.TRANSIT_FILE: audited.transit_text,
    listened.EVENTS: listened.events_text,
    listened.METRICS_PAGE: listened.metrics_text,
}
"""Each page with what gives its whole text."""


def main() -> int:
    """Compare or write; 1 if a page is out of date."""
    parser = argparse.ArgumentParser(prog="python -m tests.pages", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the pages")
    write, stale = parser.parse_args().write, False
    for file, made in MADE.items():
        there, text = file.read_text(encoding="utf-8") if file.exists() else "", made()
        if write:
            file.write_text(text, encoding="utf-8")
            continue
        sys.stdout.writelines(
            difflib.unified_diff(
                there.splitlines(keepends=True), text.splitlines(keepends=True), str(file), "what it must be"
            )
        )
        stale |= there != text
    return int(stale)


if __name__ == "__main__":
    sys.exit(main())
