"""Index: the deferred indexes and the statistics of the shadow, while only we write to it."""

from __future__ import annotations

import threading
from functools import partial
from typing import Final

from migrator.engine.drain import DUPLICATE, catch_up
from migrator.engine.watch import check_source
from migrator.engine.work import Work, beside
from migrator.errors import Failed, Mismatch, UniqueValuesMove
from migrator.inventory import show_create
from migrator.sql.table import add_indexes, analyze, comparable, deferred_indexes, parse_definition, together
from migrator.sql_errors import INTERRUPTED, LOCK_WAIT, SqlError

TRIES: Final = 8
"""Chunks taken at different moments can hold one unique value twice until they are drained."""

_LOOK_EVERY_SECONDS: Final = 0.2
_LOCK_WAIT_TEXT: Final = "Lock wait timeout exceeded"


def build_indexes(work: Work) -> None:
    """Build what was deferred, in one statement; then the definition must be that of the source.

    The log triggers append meanwhile, the drain waits: the build locks the shadow alone. Safe to repeat; a stop ends
    the statement. Raises `UniqueValuesMove` where a unique index cannot be built.
    """
    check_source(work, triggers="log")
    source = show_create(work.session, work.table.name)
    wanted = parse_definition(source).indexes
    deferred = deferred_indexes(work.table, work.key.name, source)
    for attempt in range(1, TRIES + 1):
        catch_up(work)
        have = parse_definition(show_create(work.session, work.shadow)).indexes
        missing = [name for name in deferred if name not in have]
        if not missing:
            break
        _sort_settings(work)
        try:
            with beside("stop", partial(_end_at_a_stop, work, work.session.id)):
                for names in together(work.table, missing):
                    statement = add_indexes(work.shadow, [wanted[name] for name in names])
                    work.ddl(statement, on=work.shadow, works_on_rows=True)
        except SqlError as error:
            if error.number in INTERRUPTED:
                work.check()  # a stop of ours has done it
            if error.number != DUPLICATE:
                raise
            if attempt == TRIES:
                raise UniqueValuesMove(
                    f"unique values of {work.table.name} are handed from row to row: its copy held one of them twice"
                    f" (1062) in {TRIES} tries",
                    remedy="apply at a quieter time",
                ) from None
    check_same_definition(work, source, show_create(work.session, work.shadow))
    make_statistics(work)


def _end_at_a_stop(work: Work, session_id: int, over: threading.Event) -> None:
    """End the statement of that session when the run is to stop: it may take hours, and schedulers have no patience.

    The server takes back what it has built, and the next run builds it again: nobody but us uses the shadow.
    """
    while not work.clock.wait(over, _LOOK_EVERY_SECONDS):
        if work.stop.is_set():
            with work.open() as ender:
                ender.run(f"KILL QUERY {session_id}")


def _sort_settings(work: Work) -> None:
    """No more than an eighth of the buffer pool, whatever the plan says: a server is as large as its pool."""
    pool = int(work.session.value("SELECT @@innodb_buffer_pool_size"))
    for name, value in (
        ("innodb_ddl_buffer_size", min(work.limits.index_build_memory_bytes, pool // 8)),
        ("innodb_ddl_threads", 2),
        ("innodb_parallel_read_threads", 2),
    ):
        try:
            work.session.set_session(name, str(value))
        except SqlError as error:
            if error.number != 1193:  # unknown before 8.0.27
                raise


def check_same_definition(work: Work, source: str, shadow: str) -> None:
    """Raise `Mismatch` unless the shadow's definition is that of the source."""
    found, expected = comparable(shadow, work.shadow.name), comparable(source, work.table.name.name)
    if found != expected:
        items = sorted(set(found[0]) ^ set(expected[0])) or ["order of columns or indexes, or table options"]
        raise Mismatch(
            f"the shadow's definition is not that of {work.table.name}: {'; '.join(items)[:500]}",
            remedy="nothing was swapped; apply again copies this table anew; if it comes again, report it with the"
            " table's SHOW CREATE TABLE",
        )


def make_statistics(work: Work) -> None:
    """ANALYZE the shadow. No histograms: the server keeps none for an encrypted table (the plan says so)."""
    work.session.set_session("lc_messages", "'en_US'")
    work.patiently(lambda: _analyze(work), on=work.shadow)


def _analyze(work: Work) -> None:
    """ANALYZE reports errors as rows that have a text and no number."""
    errors = [str(row[3]) for row in work.session.rows(analyze(work.shadow)) if str(row[2]).lower() == "error"]
    if any(text.startswith(_LOCK_WAIT_TEXT) for text in errors):
        raise SqlError(LOCK_WAIT, _LOCK_WAIT_TEXT)
    if errors:
        raise Failed(f"statistics of {work.shadow} could not be made", remedy="apply again to go on")
