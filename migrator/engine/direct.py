"""The one-statement paths: direct-alter of a small table, and a tablespace that the server encrypts in place."""

from __future__ import annotations

from collections.abc import Callable

from migrator.db import Session
from migrator.engine.moment import Held, locked, to_the_end
from migrator.engine.online import run_online
from migrator.engine.work import Work
from migrator.errors import Failed, SourceChanged
from migrator.inventory import read_tables
from migrator.inventory.filenames import innodb_name
from migrator.model import TableName
from migrator.sql.statement import Sql
from migrator.sql.swap import direct_alter, encrypt_tablespace, lock_write
from migrator.sql_errors import SqlError


def alter(work: Work) -> None:
    """Rewrite a small table encrypted, under LOCK TABLES: nobody reads or writes it for that long.

    Without the lock a transaction that has read the table and wants to write would be a deadlock's victim.
    What remains: a transaction with an older snapshot that comes to the table afterwards gets error 1412
    (seen on 9.7.4), which is why this method is only for tables that the policy names. Safe to repeat.
    """
    alone_on(work, "alter", lambda held: held.ddl(direct_alter(work.table.name)))
    if not is_encrypted(work):
        raise Failed(
            f"{work.table.name} is not encrypted after ALTER TABLE", remedy="look at the table and the keyring"
        )


def alone_on(work: Work, purpose: str, act: Callable[[Held], None]) -> None:
    """Do what rewrites the table in an exclusive moment on it, unless it is encrypted already."""

    def attempt() -> None:
        with locked(work, purpose, [work.table.name], lock_write(work.table.name)) as held:
            act(held)

    if not is_encrypted(work):
        to_the_end(work, [work.table.name], attempt)


def is_encrypted(work: Work) -> bool:
    """True if all of the table is encrypted; raises `SourceChanged` if it is gone."""
    found = read_tables(work.session, [work.table.name])
    if not found:
        raise SourceChanged(f"{work.table.name} is gone", remedy="plan again if it was dropped on purpose")
    return found[0].encrypted


def encrypt_space(work: Work, tablespace: str) -> None:
    """Encrypt a tablespace in place, while its tables are used; the server goes on with it after a crash.

    When it begins and when it ends the statement takes an exclusive metadata lock on every table in it, for
    milliseconds, and nothing can end these waits: it is sent in an instant in which nobody is there; a
    transaction that uses one of the tables meanwhile and stays open holds everybody up at the end (seen on
    9.7.4), and is named. Safe to repeat: after a restart the server goes on by itself, and is waited for.
    """
    _await_server(work, tablespace)
    if space_encrypted(work, tablespace):
        return
    tables = tables_inside(work.session, tablespace)
    try:
        run_online(work, "tablespace", tables, Sql(encrypt_tablespace(tablespace)), end_patience_seconds=None)
    except SqlError as error:
        if not error.link_lost or not space_encrypted(work, tablespace):
            raise
        return
    if not space_encrypted(work, tablespace):
        raise Failed(f"tablespace {tablespace} is not encrypted after ALTER TABLESPACE", remedy="look at the error log")


def _await_server(work: Work, tablespace: str) -> None:
    """Wait while the server goes on with an ALTER TABLESPACE that was under way when it was restarted."""
    began = work.clock.monotonic()
    while work.session.rows(
        "SELECT 1 FROM performance_schema.threads WHERE NAME = 'thread/innodb/srv_ts_alter_encrypt_thread'"
    ):
        work.checkpoint()
        work.waits(f"the server goes on encrypting tablespace {tablespace}", work.clock.monotonic() - began)
        work.clock.wait(work.stop, 0.5)


def tables_inside(session: Session, tablespace: str) -> list[TableName]:
    """Every table in it, whatever the plan's scope is: the statement locks them all."""
    rows = session.rows(
        "SELECT t.NAME FROM information_schema.INNODB_TABLES AS t JOIN information_schema.INNODB_TABLESPACES AS s"
        " ON s.SPACE = t.SPACE WHERE s.NAME = %s",
        (tablespace,),
    )
    names = (innodb_name(str(name)) for (name,) in rows)
    return sorted({name.table for name in names if name is not None})


def space_encrypted(work: Work, tablespace: str) -> bool:
    """True if the catalog says so and no encryption of it is under way."""
    row = work.session.row(
        "SELECT ENCRYPTION, STATE FROM information_schema.INNODB_TABLESPACES WHERE NAME = %s", (tablespace,)
    )
    if row is None:
        raise SourceChanged(f"tablespace {tablespace} is gone", remedy="plan again if it was dropped on purpose")
    return str(row[0]) == "Y"
