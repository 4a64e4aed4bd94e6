"""Every row of the table of faults, in its order: what is done, and in which phases."""

from __future__ import annotations

from typing import Final

from tests.server.faults.journals import JOURNALS
from tests.server.faults.machines import MACHINES
from tests.server.faults.persons import PERSONS
from tests.server.faults.scene import PHASES
from tests.server.faults.settings import SETTINGS

ROWS: Final[dict[str, tuple[str, frozenset[str]]]] = {
    "tool killed": ("SIGKILL of `migrator`", frozenset(PHASES)),
    "tool stopped": ("SIGTERM of `migrator`", frozenset(PHASES)),
} | {
    name: (fault.what, frozenset(fault.where))
    for faults in (MACHINES, SETTINGS, PERSONS, JOURNALS)
    for name, fault in faults.items()
}
