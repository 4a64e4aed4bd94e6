"""The story of one table. Read this first.

Each phase is one function in a module of its own, safe to repeat, and the journal says which are done: so
going on after a crash is the same as beginning, from a later line. What a phase relies on it looks at
itself (`watch.check_source`). A small table that nobody writes to has a shorter story (`one_moment`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from migrator.engine.bounds import UNBOUNDED
from migrator.engine.copy import copy_rows
from migrator.engine.index import build_indexes
from migrator.engine.mirror import switch_to_mirror
from migrator.engine.one_moment import in_one_moment
from migrator.engine.shadow import build, start_logging
from migrator.engine.swap import finish, hold_while_postponed, swap
from migrator.engine.verify import compare
from migrator.engine.work import Work

STORY: Final[tuple[tuple[str, Callable[[Work], None]], ...]] = (
    ("build", build),  # the shadow, empty and encrypted, and the log
    ("log", start_logging),  # triggers: from here on every change has its entry
    ("copy", copy_rows),  # all rows, in parallel, without a lock; the drain runs beside
    ("index", build_indexes),  # what was deferred; the definition is the source's now
    ("mirror", switch_to_mirror),  # the log is empty, triggers write both tables: they are equal
    ("verify", compare),  # every row, byte by byte
    ("swap", swap),  # one RENAME
    ("clean", finish),  # triggers and log go; the old table is retained
)


def migrate(work: Work) -> None:
    """Encrypt one table by shadow-copy, from wherever an earlier run left it."""
    step = work.step()
    if step.phase == "begun" and in_one_moment(work, step):
        return
    done = 0 if step.phase == "begun" else [name for name, _ in STORY].index(step.phase) + 1
    for name, phase_of in STORY[done:]:
        if name == "clean":
            work = replace(work, bounds=UNBOUNDED)  # nobody uses what is taken away now
        work.checkpoint()
        if name == "swap":
            hold_while_postponed(work)
        work.phase(name, phase_of)
