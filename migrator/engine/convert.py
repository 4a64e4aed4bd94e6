"""Convert: a table of another engine becomes an encrypted InnoDB one, and holds the same rows as before."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from migrator.engine.direct import alone_on, is_encrypted
from migrator.engine.moment import Held
from migrator.engine.objects import drop_if_ours, make_table, table_proof
from migrator.engine.work import Work
from migrator.errors import Altered, Failed, SourceChanged
from migrator.inventory import show_create
from migrator.model import TableName
from migrator.sql.convert import convert_table, digest, same_but_the_engine
from migrator.sql.names import qualified
from migrator.sql.statement import Sql
from migrator.sql.table import comparable, create_shadow
from migrator.sql_errors import SqlError

UNCOMPARED: Final = (
    "converted by an ALTER whose connection was lost; the server finished it, and its rows were not compared"
)


_NO_SUCH_TABLE: Final = 1146


def convert(work: Work) -> None:
    """Rewrite a table as an encrypted InnoDB one, under LOCK TABLES: nobody reads or writes it for that long.

    First an empty twin is converted, since the server cuts an index that is too long for a row format without
    an error (seen on 9.7.4). The lock is kept from before the rows are counted and digested until they have
    been so again: nobody can have changed them in between. Before anything is done: `Failed` if a row cannot be
    read in full or the definition would be another one, `SourceChanged` if it is another one than was tried.
    `Altered` if rows or definition are not what they were. Safe to repeat: looks first, also after a lost
    connection whose ALTER went on; its rows are then not compared.
    """
    tried = show_create(work.session, work.table.name)
    _try_on_a_twin(work)
    alone_on(work, "convert", lambda held: _convert_held(work, held, tried))
    if not is_encrypted(work):
        raise Failed(f"{work.table.name} is not encrypted after the conversion", remedy="look at the table")


def wait_out_conversion(work: Work) -> None:
    """Wait until an ALTER of ours whose connection was lost has ended, however it ends.

    Whoever looks before that can find the table missing: while such an ALTER renames, the catalog has none of
    that name (seen on 9.7.4). Asks for a shared metadata lock, a second at a time.
    """
    name = work.table.name
    look = Sql(f"SELECT 1 FROM {qualified(name)} LIMIT 0")
    try:
        work.patiently(lambda: work.session.run(look), on=name)
    except SqlError as error:
        if error.number != _NO_SUCH_TABLE:
            raise


def _try_on_a_twin(work: Work) -> None:
    """Convert an empty table that is LIKE it, and take it away again."""
    session, journal = work.session, work.journal
    twin = TableName(journal.schema, f"step_{work.step_id}_shadow")
    try:
        make_table(work, "staging", twin, lambda name: [create_shadow(work.table.name, name)])
        before = show_create(session, twin)
        journal.intend(session, work.step_id, "staging", twin)  # rebuilt, it is told by another proof
        work.ddl(convert_table(replace(work.table, name=twin)), on=twin)
        journal.made(session, "staging", twin, table_proof(session, twin) or "")
        if not same_but_the_engine(before, show_create(session, twin), twin.name):
            raise Failed(
                f"{work.table.name} would not have the same definition in InnoDB: an index is cut; nothing was done",
                remedy="convert it by hand with the ROW_FORMAT and the indexes that are right for it",
            )
    finally:
        drop_if_ours(session, journal, work.step_id, "staging", twin, work)


def _convert_held(work: Work, held: Held, tried: str) -> None:
    name, session = work.table.name, held.session
    definition = show_create(session, name)
    if comparable(definition, name.name) != comparable(tried, name.name):
        raise SourceChanged(
            f"the definition of {name} was changed since its conversion was tried on a twin; nothing was done",
            remedy="plan again, and review that",
        )
    rows = session.row(digest(work.table))
    if rows is None or rows[0] != rows[1]:
        raise Failed(
            f"{name} has rows that cannot be read in full, so they could not be compared; nothing was changed",
            remedy="raise max_allowed_packet above the largest value, and apply again",
        )
    held.ddl(convert_table(work.table))
    if session.row(digest(work.table)) != rows:
        raise Altered(
            f"{name} is an InnoDB table now, and its rows are not what they were in the other engine",
            remedy=f"compare {name} with a backup before anybody relies on it",
        )
    if not same_but_the_engine(definition, show_create(session, name), name.name):
        raise Altered(
            f"{name} is an InnoDB table now, with the rows that it had, but not with the same definition",
            remedy=f"compare SHOW CREATE TABLE {name} with that of a backup",
        )
