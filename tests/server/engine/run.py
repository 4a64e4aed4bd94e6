"""A run of `apply`, or a rollback, in a process of its own, which sends itself a signal at a chosen event.

Called by `Lab.process`: the connection comes by the environment, the plan as a file. Exits as the command
line would; the error, if any, is on stderr.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from migrator.db import Session
from migrator.driver import Connect
from migrator.engine import pace, ranges
from migrator.engine.apply import ApplyOptions, apply
from migrator.engine.rollback import RollbackOptions, rollback
from migrator.errors import MigratorError
from migrator.events import DdlDone, DdlStarting, Event, LegProgress, PhaseEnded, PhaseStarted
from migrator.planner.file import read_plan
from tests.server.engine.kit import VOUCHED


def main() -> int:
    """Apply the plan; at the n-th event that contains the words, send the signal to this very process."""
    words = argparse.ArgumentParser()
    words.add_argument("plan", type=Path)
    words.add_argument("--lease", type=float, default=30.0)
    words.add_argument("--rollback", default="", help="this table, and no apply")
    words.add_argument("--at", default="")
    words.add_argument("--nth", type=int, default=1)
    words.add_argument("--signal", default="SIGKILL")
    said = words.parse_args()
    pace.FIRST_ROWS, ranges.FEWEST_ROWS = 90, 400  # type: ignore[misc]
    seen = 0

    def listen(event: Event) -> None:
        nonlocal seen
        detail = ""
        if isinstance(event, DdlStarting | DdlDone):
            detail = event.statement
        elif isinstance(event, PhaseStarted | PhaseEnded):
            detail = event.phase
        elif isinstance(event, LegProgress):
            detail = event.leg
        if said.at and said.at in f"{type(event).__name__} {detail}":
            seen += 1
            if seen == said.nth:
                os.kill(os.getpid(), signal.Signals[said.signal])

    to = Connect(
        host=os.environ["RUN_HOST"],
        port=int(os.environ["RUN_PORT"]),
        user=os.environ["RUN_USER"],
        password=os.environ["RUN_PASSWORD"],
    )
    try:
        with Session(to) as session:
            if said.rollback:
                rollback(session, RollbackOptions(said.rollback), listen)
                return 0
            options = ApplyOptions(attestations=VOUCHED, lease_seconds=said.lease)
            return apply(session, read_plan(said.plan), options, listen, threading.Event()).exit_code
    except MigratorError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
