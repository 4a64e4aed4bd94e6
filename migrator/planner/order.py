"""In which order the steps are run, and which of them side by side. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final

from migrator.model import Method, Table, TablespaceKind
from migrator.planner.plan import IN_BACKGROUND, SCHEMA_DEFAULT, Step
from migrator.sql.settings import BINLOG, DEFAULT, PRIVILEGE_CHECK, REDO, UNDO

_ACTS: Final = frozenset(Method) - {Method.SKIP, Method.REFUSE}

_SETTINGS: Final = {
    name: n for n, name in enumerate((BINLOG, REDO, UNDO, IN_BACKGROUND, SCHEMA_DEFAULT, DEFAULT, PRIVILEGE_CHECK))
}

SMALL_BYTES: Final = 64 * 2**20
"""Copies of tables up to this are done side by side: what they take is as much DDL and waiting as copying."""


LARGEST_GROUP: Final = 100
"""What is known of tables is read for a group at once, and should not be old when a table's turn comes."""


def run_order(steps: Sequence[Step], order: str) -> tuple[Step, ...]:
    """The steps as they are run: to do, each tablespace followed by its tables; then refused; then skipped.

    Settings go before all that writes rows, in whatever order the rest is, and the check of privileges after it; with
    settings, tablespaces go before tables. `order` is that of `Defaults`; `as-listed` keeps the order in which the
    steps are given.
    """
    spaces = {s.tablespace_name: s for s in steps if s.kind == "tablespace"}
    listed = {id(s): number for number, s in enumerate(steps)}
    hardens = any(s.kind == "setting" for s in steps)

    def rank(step: Step, leader: Step) -> int:
        if step.kind == "setting":
            return 3 if step.setting_name == PRIVILEGE_CHECK else 0
        return 1 if hardens and order != "as-listed" and leader.kind == "tablespace" else 2

    def place(step: Step) -> tuple[int, int, int, str, bool, str, int]:
        leader = spaces.get(step.tablespace_name, step) if step.kind == "table" else step
        group = 0 if step.method in _ACTS else 1 if step.method is Method.REFUSE else 2
        size = leader.facts.data_bytes + leader.facts.index_bytes
        first = {"smallest-first": size, "largest-first": -size}.get(order, listed[id(leader)])
        if step.kind == "setting":
            first = _SETTINGS[step.setting_name]
        by_name = (leader.name, step is not leader, step.name)
        return group, rank(step, leader), first if group == 0 or order == "as-listed" else 0, *by_name, listed[id(step)]

    return tuple(sorted(steps, key=place))


def groups(steps: Iterable[Step], at_once: int) -> Iterator[tuple[Step, ...]]:
    """Neighbours that may be done side by side: copies of small tables, a hundred at most. Any other step is a group of
    its own."""
    for small, neighbours in groupby(steps, key=lambda step: at_once > 1 and _is_small_copy(step)):
        some = tuple(neighbours)
        size = LARGEST_GROUP if small else 1
        yield from (some[begin : begin + size] for begin in range(0, len(some), size))


def _is_small_copy(step: Step) -> bool:
    return step.method is Method.SHADOW_COPY and step.facts.data_bytes + step.facts.index_bytes <= SMALL_BYTES


MOST_ROWS_IN_ONE_MOMENT: Final = 20_000
"""So many rows can be compared while everybody waits: some 20 ms."""


def fits_one_moment(table: Table, most_bytes: int, *, rollback_hours: int) -> bool:
    """True if a copy of the table may be compared and swapped in within one moment, by what is known of it.

    Not where the old table is to be kept current: that takes triggers and a log. Nor with partitions: the server
    promises no time of the last change for them (manual, The INFORMATION_SCHEMA TABLES Table).
    """
    return (
        0 < most_bytes >= table.data_bytes
        and table.rows <= MOST_ROWS_IN_ONE_MOMENT
        and not rollback_hours
        and [(one.kind, one.partition) for one in table.segments] == [(TablespaceKind.FILE_PER_TABLE, "")]
    )
