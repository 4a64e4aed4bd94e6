"""A small table that nobody writes to: copied, and then compared and swapped in within one exclusive moment.

No triggers and no log. What proves that the copy is the table is the comparison of every row while nobody else can
use either. Whoever has written to it meanwhile has lost nothing: nothing has happened, and the table is copied like a
large one, with triggers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from migrator.db import Session
from migrator.engine.index import check_same_definition, make_statistics
from migrator.engine.journal_steps import StepRow
from migrator.engine.moment import Held, locked
from migrator.engine.objects import drop_if_ours, is_encrypted, make_table, table_proofs
from migrator.engine.ranges import parts_of
from migrator.engine.shadow import check_encrypted
from migrator.engine.swap import finish, rename_surely, retained_until, swapped_already, wait_until_it_may
from migrator.engine.verify import rows_if_equal
from migrator.engine.work import Work
from migrator.events import ChunkCopied, ChunkVerified, PhaseEnded, PhaseStarted, Retained
from migrator.inventory import show_create
from migrator.model import TableName
from migrator.planner.order import MOST_ROWS_IN_ONE_MOMENT, fits_one_moment
from migrator.sql.copy import copy_part
from migrator.sql.statement import Sql
from migrator.sql.swap import lock_to_compare, rename
from migrator.sql.table import (
    auto_increment,
    comparable,
    create_shadow,
    encrypt_shadow,
    set_auto_increment,
)
from migrator.sql_errors import TOO_LARGE, SqlError

LONGEST_COMPARISON_SECONDS: Final = 0.1
"""A comparison that takes longer is ended by the server, and the moment is over: 20,000 rows take some 20 ms."""

_FILE_PER_BYTE: Final = 8
"""A file that is so many times larger than the table may be: then the table's statistics are not to be believed."""

_TOO_LONG: Final = 3024


def in_one_moment(work: Work, step: StepRow) -> bool:
    """Encrypt a small table that nobody writes to. False, and nothing done, if it is not small or was written to.

    A shared metadata lock on the source for milliseconds; then one exclusive moment, for the comparison (0.1 s at
    most) and the RENAME. Safe to repeat: what an earlier run has made is made anew, unless that run had swapped.
    """
    work.checkpoint()
    small = replace(work, shadow=TableName(work.journal.schema, f"step_{work.step_id}_moment"))
    owned = work.journal.owned(work.session, work.step_id)
    if any(one.name != small.shadow and one.kind != "retained" for one in owned):
        return False  # an earlier run had begun to copy it like a large one
    if step.shadow_ids and swapped_already(small):
        finish(small)
        return True
    if owned or step.shadow_ids:
        _forget_copy(small)
    if not _is_small(small):
        return False
    if _tried(small, step):
        return True
    _forget_copy(small)
    return False


def _forget_copy(work: Work) -> None:
    """Drop the copy of an attempt that came to nothing, so that nobody looks for it after a change of the source."""
    # In this order: whoever dies in between, or cannot drop it, leaves what tells whether it was swapped.
    drop_if_ours(work.session, work.journal, work.step_id, "shadow", work.shadow, work)
    work.journal.set_step(work.session, work.step_id, shadow_ids="")


def _tried(work: Work, step: StepRow) -> bool:
    work.listen(PhaseStarted(work.subject, "one moment"))
    began = work.clock.monotonic()
    done = _copied_and_swapped(work, step)
    work.listen(PhaseEnded(work.subject, "one moment", work.clock.monotonic() - began))
    return done


def _is_small(work: Work) -> bool:
    """True if the plan wants it so, and the size of the file says no other than the table's statistics."""
    if work.swap_is_postponed:
        return False
    bound, table = work.limits.one_moment_bytes, work.table
    size = sum(segment.file_bytes for segment in table.segments)
    return fits_one_moment(table, bound, rollback_hours=work.limits.rollback_hours) and size <= _FILE_PER_BYTE * bound


@dataclass(frozen=True, slots=True)
class _Copy:
    """What was there when the copy was made."""

    began: str
    """Nothing was written to the source in that second or later, by the server's clock."""
    source: str
    shadow: str
    """What identifies the two tables."""
    counter: int | None
    """The copy's next AUTO_INCREMENT value."""


def _copied_and_swapped(work: Work, step: StepRow) -> bool:
    copy, compared = _copied(work, step), list[ChunkVerified]()
    if copy is None:
        return False
    wait_until_it_may(work)

    def attempt() -> bool:
        tables = [work.table.name, work.shadow]
        with locked(work, "compare and swap", tables, lock_to_compare(*tables)) as held:
            definition = show_create(work.session, work.table.name)
            if not _is_as_it_was(work, copy, definition) or not (equal := _equal(work, held)):
                return False
            counter = auto_increment(definition)
            if counter is not None and counter != copy.counter:
                held.ddl(set_auto_increment(work.shadow, counter))
            held.ddl(rename(work.table.name, work.shadow, work.retained))
            compared.append(equal)
        return True

    if not rename_surely(work, [work.table.name, work.shadow], attempt):
        return False
    _finish(work, step, *compared)
    return True


def _finish(work: Work, step: StepRow, *compared: ChunkVerified) -> None:
    """After the RENAME: the old table is the journal's, and the step is over, at once. `compared` is one, or none
    where the connection was lost right after the RENAME."""
    until = retained_until(work, step)
    rows = sum(one.rows for one in compared)

    def note(at: Session) -> None:
        work.journal.becomes(at, work.step_id, retained=work.retained, proof=step.source_ids)
        work.journal.close_step(at, work.step_id, "swapped", retained_until=until, rows_copied=rows, rows_verified=rows)

    work.session.transaction(note)
    for one in compared:
        work.listen(one)
    work.listen(Retained(work.subject, str(work.retained), until, ""))


def _changed_since(work: Work, began: str) -> bool:
    """True if a change of the source was committed in that second or later, or it has triggers or children by now.

    The comparison alone would not see a value that was changed and changed back, and a transaction that began in
    between would read the wrong one of the two.
    """
    name = work.table.name
    return bool(
        work.session.value(
            "SELECT (SELECT COUNT(*) FROM information_schema.TABLES"
            " WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s AND UPDATE_TIME >= %s)"
            " + (SELECT COUNT(*) FROM information_schema.TRIGGERS"
            " WHERE EVENT_OBJECT_SCHEMA = %s AND EVENT_OBJECT_TABLE = %s)"
            " + (SELECT COUNT(*) FROM information_schema.INNODB_FOREIGN WHERE REF_NAME = %s)",
            (name.schema, name.name, began, name.schema, name.name, f"{name.schema}/{name.name}"),
        )
    )


def _copied(work: Work, step: StepRow) -> _Copy | None:
    """Make the copy, whole and with its indexes; None if the table is larger than it seemed, or in use."""
    session, table = work.session, work.table
    began = str(session.value("SELECT NOW()"))
    if _changed_since(work, began):
        return None

    def statements(name: TableName) -> Iterator[Sql]:
        yield create_shadow(table.name, name)
        if not is_encrypted(session, name):
            yield encrypt_shadow(name, kind=table.tablespace_kind, drop_indexes=())

    made = make_table(work, "shadow", work.shadow, statements)
    check_encrypted(work, made)
    rows = _rows_copied(work)
    source = show_create(session, table.name)
    if rows > MOST_ROWS_IN_ONE_MOMENT or comparable(source, table.name.name) != comparable(
        step.definition, table.name.name
    ):
        return None
    shadow, counter = show_create(session, work.shadow), auto_increment(source)
    check_same_definition(work, source, shadow)
    if counter is not None and counter != auto_increment(shadow):
        work.ddl(set_auto_increment(work.shadow, counter), on=work.shadow)
    make_statistics(work)
    return _Copy(began, step.source_ids, made.proof, counter)


def _rows_copied(work: Work) -> int:
    """Copy all rows in one statement, or one more than is allowed; gives how many."""
    began = work.clock.monotonic()
    (everything,) = parts_of(work.session, work, None, None)
    bound = MOST_ROWS_IN_ONE_MOMENT + 1
    copy = copy_part(work.table, work.shadow, work.key.name, work.key_columns, everything, bound)
    try:
        with work.place():
            rows = work.session.transaction(lambda inner: inner.run_exact(copy))
    except SqlError as error:
        if error.number not in TOO_LARGE:
            raise
        return bound  # more than the server takes in one transaction is no small table
    work.listen(ChunkCopied(work.subject, rows, work.clock.monotonic() - began, rows, work.table.rows, 1))
    return rows


def _is_as_it_was(work: Work, copy: _Copy, definition: str) -> bool:
    """False if anybody has changed the source since (rows, definition, triggers, who refers to it), or the copy, whose
    definition was the source's."""
    session, name = work.session, work.table.name
    return (
        table_proofs(session, name, work.shadow) == [copy.source, copy.shadow]
        and comparable(show_create(session, work.shadow), work.shadow.name) == comparable(definition, name.name)
        and not _changed_since(work, copy.began)
    )


def _equal(work: Work, held: Held) -> ChunkVerified | None:
    """What there is to tell if every row is the same in both, and that was seen in good time."""
    began = work.clock.monotonic()
    try:
        rows = rows_if_equal(work, held.session, longest_seconds=LONGEST_COMPARISON_SECONDS)
    except SqlError as error:
        if error.number != _TOO_LONG:
            raise
        return None
    if rows is None:
        return None
    return ChunkVerified(work.subject, rows, work.clock.monotonic() - began, rows, work.table.rows)
