"""Transactions no larger than the server takes: a group refuses larger ones, and so does the binlog's cache.

A chunk that was refused is tried again with fewer rows (`pace`); what the drain brings is brought in parts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from migrator.db import Session
from migrator.engine.work import Work
from migrator.errors import Failed
from migrator.planner.units import about
from migrator.sql.copy import drain_delete, drain_forget, drain_insert, one_of_each_key
from migrator.sql_errors import TOO_LARGE, SqlError

SHARE: Final = 4
"""A transaction is planned for this part (a quarter) of what is allowed, by the average row: rows differ."""


def bytes_at_most(work: Work, wanted: int) -> int:
    """So many bytes, or what a transaction may have here, by the average row."""
    allowed = work.sessions.transaction_bytes
    return min(wanted, max(allowed // SHARE, 1)) if allowed else wanted


def is_too_many(work: Work, keys: int) -> bool:
    """True if the rows of so many keys, deleted and inserted, are surely more than a transaction may have here."""
    return work.sessions.transaction_bytes > 0 and keys > _keys_at_once(work)


def _keys_at_once(work: Work) -> int:
    row_bytes = max(work.table.data_bytes / max(work.table.rows, 1), 1.0)
    return max(1, int(work.sessions.transaction_bytes / SHARE / row_bytes))


def bring_in_parts(
    work: Work, session: Session, entries: Sequence[int], once: Callable[[Callable[[Session], object]], object]
) -> None:
    """As `drain.bring`, in as many transactions as it takes: all rows out, then all present rows in, then the entries.

    `once` does something in a transaction. Until the last part the entries are there: whatever ends this, they are
    brought again. A key is in one part only, whatever the number of its entries: a second one would meet the row that
    the first has brought (1062). That is why not simply fewer entries are taken at a time.
    """
    log, key, columns = work.log, work.key.name, work.key_columns
    keys = [int(row[0]) for row in session.rows(one_of_each_key(log, columns, entries))]
    _each_part(work, keys, once, lambda at, part: at.run(drain_delete(work.shadow, log, key, columns, part)))
    _each_part(
        work, keys, once, lambda at, part: at.run_exact(drain_insert(work.table, work.shadow, log, key, columns, part))
    )
    _each_part(work, entries, once, lambda at, part: at.run(drain_forget(log, part)))


def _each_part(
    work: Work,
    seqs: Sequence[int],
    once: Callable[[Callable[[Session], object]], object],
    do: Callable[[Session, Sequence[int]], object],
) -> None:
    """Do something with all of them, as many at a time as the server takes."""
    size, done = _keys_at_once(work) if work.sessions.transaction_bytes else len(seqs), 0
    while done < len(seqs):
        part = seqs[done : done + size]
        try:
            once(lambda at, part=part: do(at, part))  # type: ignore[misc]
        except SqlError as error:
            if error.number not in TOO_LARGE:
                raise
            if len(part) == 1:
                raise no_smaller(work, error) from None
            size = len(part) // 2
        else:
            done += len(part)


def no_smaller(work: Work, error: SqlError) -> Failed:
    """The error for a transaction that is refused though it holds one row."""
    allowed = work.sessions.transaction_bytes
    limit = f" (it takes {about(allowed)} in one transaction)" if allowed else ""
    return Failed(
        f"{work.subject}: the server refuses a transaction with a single row{limit}: {error.text}",
        remedy="raise group_replication_transaction_size_limit or max_binlog_cache_size; a member that has lost its"
        " group refuses them too: look at performance_schema.replication_group_members; then apply again",
    )
