"""What we make beside a table: made with proof, recognised by proof, dropped only with proof.

The journal knows what identifies a table before it gets its place, and what a trigger will be before it is
made. Everything else that bears such a name is somebody else's: `OwnerUnknown`, a person must look.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from migrator.db import Session
from migrator.engine.journal import Journal
from migrator.engine.journal_names import Owned
from migrator.engine.work import Work
from migrator.errors import OwnerUnknown
from migrator.inventory import read_tables
from migrator.model import TableName
from migrator.sql.names import qualified, trigger_name
from migrator.sql.statement import Sql
from migrator.sql.table import move
from migrator.sql.triggers import EVENTS, back_trigger, log_trigger, mirror_trigger, trigger
from migrator.sql_errors import SqlError

_TABLE_EXISTS: Final = 1050
_ENCRYPTED: Final = 1 << 13
"""The bit of a tablespace's FLAG: Y and N of INNODB_TABLESPACES differ in it, and in nothing else (seen on 9.7.4)."""

_NO_SUCH_TRIGGER: Final = 1360


@dataclass(frozen=True, slots=True)
class Made:
    """A table of ours as the dictionary has it."""

    proof: str
    encrypted: bool
    """All of its tablespaces, which are its own, are encrypted."""


def table_proof(session: Session, table: TableName) -> str | None:
    """What the dictionary calls the table itself, so that no other of that name is taken for it; None if there is none.

    The ids of its tablespaces (one for each partition), which TRUNCATE, EXCHANGE PARTITION and every rebuild
    change and RENAME keeps; for a table in a shared tablespace the ids of the table. Locks nothing.
    """
    (proof,) = table_proofs(session, table)
    return proof


def table_proofs(session: Session, *tables: TableName) -> list[str | None]:
    """The proof of each of these tables, in one statement if all have files of their own."""
    return [made.proof if made else None for made in _look(session, tables)]


def is_encrypted(session: Session, table: TableName) -> bool:
    """True if the dictionary says that all tablespaces of a table with a file of its own are encrypted. No locks."""
    (made,) = _look(session, [table])
    return made is not None and made.encrypted


def name_is_free(session: Session, name: TableName) -> bool:
    """True if there is neither a table nor a view of that name. No locks."""
    return session.row(_HAS_THE_NAME, (name.schema, name.name)) is None


def _look(session: Session, tables: Sequence[TableName]) -> list[Made | None]:
    """The tables as the dictionary has them."""
    # '$' follows '#': all names that begin with path#p#, by the index on the name.
    paths = [f"{table.schema}/{table.name}" for table in tables]
    rows = session.rows(
        "SELECT SPACE, FLAG, NAME, PATH FROM information_schema.INNODB_TABLESPACES_BRIEF WHERE "
        + " OR ".join(["NAME = %s OR (NAME >= %s AND NAME < %s)"] * len(paths)),
        [text for path in paths for text in (path, f"{path}#p#", f"{path}#p$")],
    )
    found: list[Made | None] = []
    for table, path in zip(tables, paths, strict=True):
        own = sorted(
            (int(space), int(flag))
            for space, flag, name, file in rows
            if name == path or (str(name).startswith(f"{path}#p#") and _is_partition(table, str(file)))
        )
        if own:
            proof = "spaces " + ",".join(str(space) for space, _ in own)
            found.append(Made(proof, encrypted=all(flag & _ENCRYPTED for _, flag in own)))
        else:
            found.append(_in_shared_space(session, table))
    return found


def _in_shared_space(session: Session, table: TableName) -> Made | None:
    if session.row(f"{_HAS_THE_NAME} AND TABLE_TYPE = 'BASE TABLE'", (table.schema, table.name)) is None:
        return None
    facts = read_tables(session, [table])
    if not facts:
        return None
    return Made("tables " + ",".join(str(i) for i in sorted(s.table_id for s in facts[0].segments)), encrypted=False)


_HAS_THE_NAME: Final = "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"
"""Asked first, since to read a table's facts takes as long as there are tables on the server."""


def _is_partition(table: TableName, file: str) -> bool:
    """True if the file holds a partition of the table, and not a table that is called `t#p#x`: there, # is @0023."""
    before, separator, _ = file.rpartition("/")[2].partition("#p#")
    return bool(separator) and before.count("@0023") == table.name.count("#")


def trigger_proofs(session: Session, table: TableName) -> dict[str, str]:
    """The triggers on a table: name -> what identifies each (time of creation, definer, hash of its body). No locks.

    The body is read by SHOW CREATE TRIGGER: information_schema has one that is spoiled where a name holds a
    backtick (seen on 9.7.4).
    """
    found = {}
    for name, created, definer, mode in session.rows(
        "SELECT TRIGGER_NAME, CREATED, DEFINER, SQL_MODE FROM information_schema.TRIGGERS"
        " WHERE EVENT_OBJECT_SCHEMA = %s AND EVENT_OBJECT_TABLE = %s",
        (table.schema, table.name),
    ):
        try:
            shown = session.row(f"SHOW CREATE TRIGGER {trigger(table.schema, str(name))}")
        except SqlError as error:
            if error.number != _NO_SUCH_TRIGGER:
                raise
            continue  # dropped since
        body = str(shown[2]).partition(" FOR EACH ROW ")[2] if shown else ""
        found[str(name)] = f"{created}|{definer}|{body_hash(body)}|{mode}"
    return found


def make_table(work: Work, kind: str, name: TableName, statements: Callable[[TableName], Iterable[Sql]]) -> Made:
    """Make a table of ours; the journal has its proof then, a shadow's in the step, too. Safe to repeat after a
    crash: begins anew.

    It is built in the journal's schema, where every name is ours, noted with its proof, and only then moved
    to its place by RENAME, which keeps the proof and fails if the name is taken: then `OwnerUnknown`. Each statement
    is asked for when those before it are done.
    """
    session, journal = work.session, work.journal
    drop_if_ours(session, journal, work.step_id, kind, name, work)
    if not name_is_free(session, name):
        raise name_taken(name)
    if name.schema == journal.schema:
        return _make_in_place(work, kind, name, statements(name))
    staging = TableName(journal.schema, f"step_{work.step_id}_{kind}")
    drop_if_ours(session, journal, work.step_id, "staging", staging, work)
    made = _make_in_place(work, "staging", staging, statements(staging))
    session.transaction(lambda at: _note_made(work, at, kind, name, made))
    try:
        work.ddl(move(staging, name), on=staging)
    except SqlError as error:
        if error.number == _TABLE_EXISTS:
            journal.gone(session, kind, name)
            raise name_taken(name) from None
        raise
    journal.gone(session, "staging", staging)
    return made


def _make_in_place(work: Work, kind: str, name: TableName, statements: Iterable[Sql]) -> Made:
    """Make a table in the journal's schema."""
    work.journal.intend(work.session, work.step_id, kind, name)
    for statement in statements:
        work.ddl(statement, on=name)
    (made,) = _look(work.session, [name])
    if made is None:
        raise name_taken(name)
    work.session.transaction(lambda at: _note_made(work, at, kind, name, made))
    return made


def _note_made(work: Work, at: Session, kind: str, name: TableName, made: Made) -> None:
    work.journal.exists_already(at, work.step_id, kind, name, made.proof)
    if kind == "shadow":
        work.journal.set_step(at, work.step_id, shadow_ids=made.proof)


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
    owned = journal.owned_one(session, kind, name)
    if owned is None:
        return False
    there = table_proof(session, name)
    if there is not None:
        # What is only intended was made, if at all, where every name is ours.
        if there != owned.proof and not (owned.state == "intended" and name.schema == journal.schema):
            raise name_taken(name)
        statement = Sql(f"DROP TABLE {qualified(name)}")
        if work is not None:
            work.ddl(statement, on=name)
        else:
            session.run(statement)
    journal.gone(session, kind, name)
    return there is not None


# -- triggers ---------------------------------------------------------------------------------------


def trigger_names(table: TableName, purpose: str) -> dict[str, str]:
    """event -> name of the trigger for it."""
    return {event: trigger_name(table, purpose, event) for event in EVENTS}


def intend_triggers(work: Work, purpose: str) -> set[str]:
    """Say in the journal that these triggers will be made; gives the names of those that are there already.

    One that is there is ours only if it is on this table and has our account and our very text (or, once it
    is noted as made, the time of its creation, too); else `OwnerUnknown`.
    """
    schema = work.table.name.schema
    account = str(work.session.value("SELECT CURRENT_USER()"))
    there = trigger_proofs(work.session, work.table.name)
    missing: dict[TableName, str] = {}
    for event, name in trigger_names(work.table.name, purpose).items():
        full, expected = TableName(schema, name), f"{account}|{body_hash(trigger_body(work, purpose, event))}"
        mine = work.journal.owned_one(work.session, "trigger", full) if name in there else None
        if name in there and (mine is None or not is_our_trigger(mine, there[name])):
            raise name_taken(full)
        if name not in there and _trigger_elsewhere(work.session, full):
            raise name_taken(full)
        if name not in there:
            missing[full] = expected

    def note(at: Session) -> None:
        for full, expected in missing.items():
            work.journal.intend(at, work.step_id, "trigger", full, expected)

    if missing:
        work.session.transaction(note)
    return {name for name in trigger_names(work.table.name, purpose).values() if name in there}


def trigger_body(work: Work, purpose: str, event: str) -> str:
    """What the server will show as ACTION_STATEMENT."""
    if purpose == "log":
        statement = log_trigger(work.table.name, work.log, work.key_columns, event)
    elif purpose == "mirror":
        statement = mirror_trigger(work.table, work.shadow, work.log, work.key_columns, event)
    else:
        statement = back_trigger(work.table, work.retained, work.log, work.key_columns, event)
    return statement.shown.partition(" FOR EACH ROW ")[2]


def body_hash(body: str) -> str:
    """Identifies a trigger's text."""
    return hashlib.sha256(body.encode()).hexdigest()[:32]


def is_our_trigger(owned: Owned, there: str) -> bool:
    """True if a trigger's proof is the one in the journal: all of it once made, account and text while intended."""
    return there == owned.proof if owned.state == "made" else "|".join(there.split("|")[1:3]) == owned.proof


def _trigger_elsewhere(session: Session, name: TableName) -> bool:
    row = session.row(
        "SELECT 1 FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s AND TRIGGER_NAME = %s",
        (name.schema, name.name),
    )
    return row is not None


def note_triggers(work: Work, purpose: str) -> None:
    """Say in the journal that they exist, with their proofs."""
    proofs = trigger_proofs(work.session, work.table.name)

    def note(at: Session) -> None:
        for name in trigger_names(work.table.name, purpose).values():
            work.journal.made(at, "trigger", TableName(work.table.name.schema, name), proofs[name])

    work.session.transaction(note)


def forget_triggers(work: Work, purpose: str) -> None:
    """Say in the journal that they are gone."""

    def note(at: Session) -> None:
        for name in trigger_names(work.table.name, purpose).values():
            work.journal.gone(at, "trigger", TableName(work.table.name.schema, name))

    work.session.transaction(note)
