"""What we make beside a table: made with proof, recognised by proof, dropped only with proof.

Before a name is made the journal says that it will be, after it is made what identifies it. A CREATE fails
if somebody holds the name, so an intended name that exists and is empty of rows was made by us and not noted
in time. Everything else that bears such a name is somebody else's: `OwnerUnknown`, a person must look.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from migrator.db import Session, SqlError
from migrator.engine.journal import Journal, Owned
from migrator.engine.work import Work
from migrator.errors import OwnerUnknown
from migrator.inventory import read_tables
from migrator.model import TableName
from migrator.sql.names import qualified, trigger_name
from migrator.sql.statement import Sql
from migrator.sql.triggers import EVENTS

_TABLE_EXISTS = 1050
_TRIGGER_EXISTS = 1359


def table_proof(session: Session, table: TableName) -> str | None:
    """What the dictionary calls the table itself, so that no other of that name is taken for it; None if there is none.

    The ids of its tablespaces (one for each partition), which TRUNCATE, EXCHANGE PARTITION and every rebuild
    change and RENAME keeps; for a table in a shared tablespace the ids of the table. Locks nothing.
    """
    path = f"{table.schema}/{table.name}"
    # '$' follows '#': all names that begin with path#p#, by the index on the name.
    rows = session.rows(
        "SELECT SPACE, NAME, PATH FROM information_schema.INNODB_TABLESPACES_BRIEF"
        " WHERE NAME = %s OR (NAME >= %s AND NAME < %s)",
        (path, f"{path}#p#", f"{path}#p$"),
    )
    spaces = sorted(int(space) for space, name, file in rows if name == path or _is_partition(table, str(file)))
    if spaces:
        return "spaces " + ",".join(map(str, spaces))
    found = read_tables(session, [table])
    return "tables " + ",".join(str(i) for i in sorted(s.table_id for s in found[0].segments)) if found else None


def _is_partition(table: TableName, file: str) -> bool:
    """True if the file holds a partition of the table, and not a table that is called `t#p#x`: there, # is @0023."""
    before, separator, _ = file.rpartition("/")[2].partition("#p#")
    return bool(separator) and before.count("@0023") == table.name.count("#")


def trigger_proofs(session: Session, table: TableName) -> dict[str, str]:
    """The triggers on a table: name -> what identifies each (time of creation, definer, hash of its body). No locks."""
    rows = session.rows(
        "SELECT TRIGGER_NAME, CREATED, DEFINER, ACTION_STATEMENT, SQL_MODE FROM information_schema.TRIGGERS"
        " WHERE EVENT_OBJECT_SCHEMA = %s AND EVENT_OBJECT_TABLE = %s",
        (table.schema, table.name),
    )
    return {
        str(name): f"{created}|{definer}|{hashlib.sha256(str(body).encode()).hexdigest()[:32]}|{mode}"
        for name, created, definer, body, mode in rows
    }


def make_table(work: Work, kind: str, name: TableName, statements: Sequence[Sql]) -> str:
    """Make a table of ours by the given statements; gives its proof. Safe to repeat after a crash: begins anew.

    Raises `OwnerUnknown` if the name is taken.
    """
    drop_if_ours(work.session, work.journal, work.step_id, kind, name, work)
    if table_proof(work.session, name) is not None:
        raise name_taken(name)
    work.journal.intend(work.session, work.step_id, kind, name)
    try:
        for statement in statements:
            work.ddl(statement, on=name)
    except SqlError as error:
        if error.number == _TABLE_EXISTS:
            work.journal.gone(work.session, kind, name)
            raise name_taken(name) from None
        raise
    proof = table_proof(work.session, name)
    if proof is None:
        raise name_taken(name)
    work.journal.made(work.session, kind, name, proof)
    return proof


def name_taken(name: TableName) -> OwnerUnknown:
    """The error for a name of ours that is not provably ours."""
    return OwnerUnknown(
        f"{name} exists, and the journal does not prove that it is ours",
        remedy=f"look at {name}; if nobody needs it, drop or rename it and apply again",
    )


def drop_if_ours(
    session: Session, journal: Journal, step_id: int, kind: str, name: TableName, work: Work | None = None
) -> bool:
    """Drop a table that the journal proves to be ours; True if it was there. Raises `OwnerUnknown` for any other."""
    owned = next((o for o in journal.owned(session) if o.kind == kind and o.name == name), None)
    if owned is None:
        return False
    there = table_proof(session, name)
    if there is not None:
        if not _is_ours(session, owned, there):
            raise name_taken(name)
        statement = Sql(f"DROP TABLE {qualified(name)}")
        if work is not None:
            work.ddl(statement, on=name)
        else:
            session.run(statement)
    journal.gone(session, kind, name)
    return there is not None


def _is_ours(session: Session, owned: Owned, there: str) -> bool:
    if owned.state == "made":
        return owned.proof == there
    # Intended, and not noted as made: ours if it is still as empty as we make it.
    return session.row(f"SELECT 1 FROM {qualified(owned.name)} LIMIT 1") is None


# -- triggers ---------------------------------------------------------------------------------------


def trigger_names(table: TableName, purpose: str) -> dict[str, str]:
    """event -> name of the trigger for it."""
    return {event: trigger_name(table, purpose, event) for event in EVENTS}


def intend_triggers(work: Work, purpose: str) -> None:
    """Say in the journal that these triggers will be made; raises `OwnerUnknown` if a name is taken."""
    mine = {
        o.name.name
        for o in work.journal.owned(work.session)
        if o.kind == "trigger" and o.name.schema == work.table.name.schema
    }
    for name in trigger_names(work.table.name, purpose).values():
        full = TableName(work.table.name.schema, name)
        if name not in mine:
            taken = work.session.row(
                "SELECT 1 FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s AND TRIGGER_NAME = %s",
                (full.schema, name),
            )
            if taken is not None:
                raise name_taken(full)
            work.journal.intend(work.session, work.step_id, "trigger", full)


def note_triggers(work: Work, purpose: str) -> None:
    """Say in the journal that they exist, with their proofs."""
    proofs = trigger_proofs(work.session, work.table.name)
    for name in trigger_names(work.table.name, purpose).values():
        work.journal.made(work.session, "trigger", TableName(work.table.name.schema, name), proofs[name])


def forget_triggers(work: Work, purpose: str) -> None:
    """Say in the journal that they are gone."""
    for name in trigger_names(work.table.name, purpose).values():
        work.journal.gone(work.session, "trigger", TableName(work.table.name.schema, name))
