"""A small table that nobody writes to: copied, and then compared and swapped in within one exclusive moment.

No triggers and no log. What proves that the copy is the table is the comparison of every row while nobody else can
use either. Whoever has written to it meanwhile has lost nothing: nothing has happened, and the table is copied like a
large one, with triggers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from migrator.engine.index import make_statistics, same_definition
from migrator.engine.journal_steps import StepRow
from migrator.engine.mirror import counter_of
from migrator.engine.moment import Held, locked
from migrator.engine.objects import drop_if_ours, is_encrypted, make_table, table_proof
from migrator.engine.ranges import parts_of
from migrator.engine.shadow import check_encrypted
from migrator.engine.swap import finish, rename_surely, swapped_already, wait_until_it_may
from migrator.engine.verify import rows_if_equal
from migrator.engine.work import Work
from migrator.events import ChunkCopied, ChunkVerified, PhaseEnded, PhaseStarted
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
from migrator.sql_errors import SqlError

LONGEST_COMPARISON_SECONDS: Final = 0.1
"""A comparison that takes longer is ended by the server, and the moment is over: 20,000 rows take some 20 ms."""

_FILE_PER_BYTE: Final = 8
"""A file that is so many times larger than the table may be: then the table's statistics are not to be believed."""

_TOO_LONG: Final = 3024


def in_one_moment(work: Work) -> bool:
    """Encrypt a small table that nobody writes to. False, and nothing done, if it is not small or was written to.

    A shared metadata lock on the source for milliseconds; then one exclusive moment, for the comparison (0.1 s at
    most) and the RENAME. Safe to repeat: what an earlier run has made is made anew, unless that run had swapped.
    """
    work.checkpoint()
    small = replace(work, shadow=TableName(work.journal.schema, f"step_{work.step_id}_moment"))
    owned = work.journal.owned(work.session, work.step_id)
    if any(one.name != small.shadow and one.kind != "retained" for one in owned):
        return False  # an earlier run had begun to copy it like a large one
    if swapped_already(small):
        finish(small)
        return True
    _forget_copy(small)
    if _is_small(small) and _tried(small):
        finish(small)
        return True
    _forget_copy(small)
    return False


def _forget_copy(work: Work) -> None:
    """Drop the copy of an attempt that came to nothing, so that nobody looks for it after a change of the source."""
    if work.step().shadow_ids:
        work.journal.set_step(work.session, work.step_id, shadow_ids="")
    drop_if_ours(work.session, work.journal, work.step_id, "shadow", work.shadow, work)


def _tried(work: Work) -> bool:
    work.listen(PhaseStarted(work.subject, "one moment"))
    began = work.clock.monotonic()
    done = _copied_and_swapped(work)
    work.listen(PhaseEnded(work.subject, "one moment", work.clock.monotonic() - began))
    return done


def _is_small(work: Work) -> bool:
    """True if the plan wants it so, and the size of the file says no other than the table's statistics."""
    bound, table = work.limits.one_moment_bytes, work.table
    size = sum(segment.file_bytes for segment in table.segments)
    return fits_one_moment(table, bound, rollback_hours=work.limits.rollback_hours) and size <= _FILE_PER_BYTE * bound


def _copied_and_swapped(work: Work) -> bool:
    began = str(work.session.value("SELECT NOW()"))
    if _changed_since(work, began) or not _copied(work):
        return False
    step, counter, seen = work.step(), counter_of(work.session, work.shadow), list[ChunkVerified]()
    wait_until_it_may(work)

    def attempt() -> bool:
        if swapped_already(work):
            return True
        tables = [work.table.name, work.shadow]
        with locked(work, "compare and swap", tables, lock_to_compare(*tables)) as held:
            definition = show_create(work.session, work.table.name)
            if not _is_as_it_was(work, step, definition, began) or not (equal := _equal(work, held)):
                return False
            now = auto_increment(definition)
            if now is not None and now != counter:
                held.ddl(set_auto_increment(work.shadow, now))
            held.ddl(rename(work.table.name, work.shadow, work.retained))
            seen.append(equal)
        return True

    if not rename_surely(work, [work.table.name, work.shadow], attempt):
        return False
    for one in seen:  # none, where the connection was lost right after the RENAME
        work.listen(one)
        work.journal.add_to_step(work.session, work.step_id, rows_copied=one.rows, rows_verified=one.rows)
    return True


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


def _copied(work: Work) -> bool:
    """Make the copy, whole and with its indexes; False if the table is larger than it seemed."""
    session, table = work.session, work.table

    def statements(name: TableName) -> Iterator[Sql]:
        yield create_shadow(table.name, name)
        if not is_encrypted(session, name):
            yield encrypt_shadow(name, kind=table.tablespace_kind, drop_indexes=())

    proof = make_table(work, "shadow", work.shadow, statements)
    check_encrypted(work, proof)
    work.journal.set_step(session, work.step_id, shadow_ids=proof)
    began = work.clock.monotonic()
    (everything,) = parts_of(session, work, None, None)
    bound = MOST_ROWS_IN_ONE_MOMENT + 1
    copy = copy_part(table, work.shadow, work.key.name, work.key_columns, everything, bound)
    with work.place():
        rows = session.transaction(lambda inner: inner.run_exact(copy))
    seconds = work.clock.monotonic() - began
    if rows == bound:
        return False
    work.listen(ChunkCopied(work.subject, rows, seconds, rows, table.rows, 1))
    source = show_create(session, table.name)
    counter = auto_increment(source)
    if counter is not None and counter != counter_of(session, work.shadow):
        work.ddl(set_auto_increment(work.shadow, counter), on=work.shadow)
    if comparable(source, table.name.name) != comparable(work.step().definition, table.name.name):
        return False
    same_definition(work, source)
    make_statistics(work)
    return True


def _is_as_it_was(work: Work, step: StepRow, definition: str, began: str) -> bool:
    """False if anybody has changed the source since (rows, definition, triggers, who refers to it), or the copy, whose
    definition was the source's."""
    session, name = work.session, work.table.name
    return (
        table_proof(session, name) == step.source_ids
        and table_proof(session, work.shadow) == step.shadow_ids
        and comparable(show_create(session, work.shadow), work.shadow.name) == comparable(definition, name.name)
        and not _changed_since(work, began)
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
