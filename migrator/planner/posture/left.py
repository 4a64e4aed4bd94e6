"""What is left of tables: by migrator itself, by a crash, by people. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from migrator.planner.posture.at_rest import few
from migrator.planner.posture.code import Code
from migrator.planner.units import about
from migrator.posture import Area, Place, Posture, State

_ROWS: Final = "rows can be read in the file, on the host, in its snapshots and in copies of it"

RETAINED: Final = Code(
    "retained-tables",
    Area.AT_REST,
    "old tables of migrator",
    "Tables as they were before their swap, kept for a way back.",
    _ROWS,
    "`migrator cleanup` drops them in their time, `cleanup --now` at once",
)
UNFINISHED: Final = Code(
    "unfinished-tables",
    Area.AT_REST,
    "unfinished copies of migrator",
    "Shadows and logs of steps that are not finished. Shadows are encrypted; a log has keys of changed rows.",
    "nobody drains the log of changes while no run is at work: it grows",
    "`migrator apply PLAN` goes on; `migrator cleanup --abandon` gives up",
)
UNKNOWN_FILES: Final = Code(
    "unknown-files",
    Area.AT_REST,
    "files that no table has",
    "Files of tables (`.ibd`, `#sql-...`, `.frm`) that the catalog does not name: what a crash left, copies that people"
    " made, and `.cfp`, in which the key of a tablespace lies. Seen on the server's host only.",
    "nobody looks after them, no statement encrypts or drops them",
    "a person finds out what each is, and removes it",
)
CODES: Final = (
    RETAINED,
    UNFINISHED,
    UNKNOWN_FILES,
)


def left(posture: Posture) -> Iterator[Place]:
    """Tables that migrator made, and files that the catalog does not name."""
    yield from _ours(posture)
    yield _unknown_files(posture)


def _ours(posture: Posture) -> Iterator[Place]:
    retained = posture.ours.retained
    if retained:
        until = max(retained.values())
        evidence = f"{len(retained)} in clear: {few([str(name) for name in retained])}; kept until {until}"
        closes = ("$ migrator cleanup", "$ migrator cleanup --now  # at once: then there is no way back")
        yield RETAINED.place(State.CLEAR, evidence, *closes)
    else:
        yield RETAINED.place(State.UNUSED, "the journal has none")
    unfinished = posture.ours.unfinished
    if unfinished:
        names = few([str(name) for name in unfinished])
        closes = ("$ migrator apply plan.yaml", "$ migrator cleanup --abandon  # gives up what was copied")
        yield UNFINISHED.place(State.BAD, f"{len(unfinished)}: {names}", *closes)
    else:
        yield UNFINISHED.place(State.UNUSED, "the journal has none")


def _unknown_files(posture: Posture) -> Place:
    files = posture.host.unknown_files
    if files is None:
        why = "the datadir was not looked at" if not posture.host.local else "the datadir cannot be listed by our user"
        look = "-- run the audit on the server's host, as a user who may list the datadir"
        return UNKNOWN_FILES.place(State.ASK, why, look)
    if not files:
        return UNKNOWN_FILES.place(State.OK, "every .ibd in the datadir is named by information_schema.FILES")
    sealed = sum(file.encrypted is True for file in files)
    evidence = f"{len(files)} files, {about(sum(f.bytes for f in files))}, {sealed} of them encrypted: "
    evidence += few([file.path for file in files])
    looks = [f"$ ls -l '{file.path}'" for file in files]
    state = State.BAD if sealed == len(files) else State.CLEAR
    return UNKNOWN_FILES.place(state, evidence, *looks, "-- what is it, and does anybody need it? If not, remove it")
