"""The story of one table by tablespace-relay: moved into a tablespace of ours, encrypted there, moved out.

For tables that a copy by triggers cannot serve: foreign keys, triggers, CHECK names and a missing key go with
the table itself. Where the table lies says how far the relay is, so each leg looks there first, and going on
after a crash is the same as beginning. No leg is throttled or paused; between legs a run may stop.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from migrator.db import Session
from migrator.engine.direct import encrypt_space, tables_inside
from migrator.engine.journal import Journal
from migrator.engine.journal_names import Owned
from migrator.engine.objects import name_taken, trigger_proofs
from migrator.engine.older import wait_out_older
from migrator.engine.online import alter_online
from migrator.engine.work import Work
from migrator.errors import Failed, OwnerUnknown, SourceChanged
from migrator.inventory import read_tables, show_create
from migrator.model import ForeignKey, Table, TableName, TablespaceKind
from migrator.planner.around import shown
from migrator.sql import relay as say
from migrator.sql.statement import Sql
from migrator.sql_errors import SqlError

_NOT_EMPTY: Final = 3120

KIND: Final = "tablespace"
"""What the journal calls a relay's tablespace; its name has no schema."""


class Place(Enum):
    """Where a table lies on its way."""

    HOME = "in clear, where it was"
    INSIDE = "in clear, in our tablespace"
    ENCRYPTED = "encrypted, in our tablespace"
    DONE = "encrypted, in a file of its own"


@dataclass(frozen=True, slots=True)
class Shape:
    """What a leg must leave as it is; TABLESPACE, ENCRYPTION and AUTO_INCREMENT do not count in the definition."""

    create: str
    triggers: dict[str, str]
    foreign_keys: tuple[ForeignKey, ...]
    referenced_by: tuple[ForeignKey, ...]

    def same_as(self, other: Shape) -> bool:
        """True if nothing has changed that counts."""
        keys = (self.foreign_keys, self.referenced_by) == (other.foreign_keys, other.referenced_by)
        return keys and self.triggers == other.triggers and say.unchanged(self.create, other.create)


def await_in(work: Work) -> None:
    """Before leg 1: wait out transactions that are open now. One that is older than the end of a leg and comes to the
    table afterwards gets error 1412; what begins during the leg is not waited for."""
    if place(work) is Place.HOME:
        _await_older(work)


def move_in(work: Work) -> None:
    """Leg 1: from the table's own file into a tablespace of ours. Online; exclusive moments at both ends."""
    if place(work) is not Place.HOME:
        return
    space = _make_space(work)
    _move(work, "move in", say.move_in(work.table.name, space), Place.INSIDE)


def encrypt(work: Work) -> None:
    """Leg 2: the tablespace is encrypted in place. Exclusive moments at both ends, which nothing can end: see
    `direct.encrypt_space`. After a restart of the server it goes on by itself."""
    if place(work) is Place.INSIDE:
        encrypt_space(work, _space(work).name.name)


def await_out(work: Work) -> None:
    """Before leg 3: as before leg 1."""
    if place(work) is Place.ENCRYPTED:
        _await_older(work)


def move_out(work: Work) -> None:
    """Leg 3: from the encrypted tablespace into an encrypted file of the table's own. Online, as leg 1."""
    if place(work) is Place.ENCRYPTED:
        extend = say.autoextend_bytes(work.step().definition)
        _move(work, "move out", say.move_out(work.table.name, extend), Place.DONE)


def settle(work: Work) -> None:
    """Drop the empty tablespace; the definition is what it was when the step began, or a person must look."""
    if place(work) is not Place.DONE:
        raise Failed(f"{work.table.name} is not encrypted after the relay", remedy="apply again to go on")
    drop_space(work.session, work.journal, work.step_id, work)
    same = say.unchanged(work.step().definition, show_create(work.session, work.table.name))
    work.journal.close_step(work.session, work.step_id, "done")
    if not same:
        raise OwnerUnknown(
            f"{work.table.name} is encrypted, but its definition is not what it was when the step began",
            remedy="if nobody changed it meanwhile: the journal's step has the definition from before (definition)",
        )


LEGS: Final[tuple[tuple[str, Callable[[Work], None]], ...]] = (
    ("in-wait", await_in),  # older transactions
    ("move-in", move_in),  # into a tablespace of ours
    ("encrypt", encrypt),  # that tablespace, in place
    ("out-wait", await_out),  # older transactions
    ("move-out", move_out),  # into an encrypted file of its own
    ("settle", settle),  # the tablespace goes; the definition is compared
)


def relay(work: Work) -> None:
    """Encrypt one table by way of a tablespace, from wherever an earlier run left it."""
    for name, leg in LEGS:
        work.checkpoint()
        work.phase(name, leg)


def bring_back(work: Work) -> str:
    """Give a relay up: the table gets a file of its own again, in clear, or encrypted if that was done by then.

    Gives the state in which the step is closed. Locks as the legs. Safe to repeat.
    """
    try:
        where = place(work)
    except SourceChanged:  # a person has dropped the table or moved it elsewhere: nothing to bring back
        drop_space(work.session, work.journal, work.step_id, work)
        return "abandoned"
    if where is Place.INSIDE and _encryption_goes_on(work):
        encrypt(work)
        where = place(work)
    if where is Place.ENCRYPTED:
        move_out(work)
    elif where is Place.INSIDE:
        extend = say.autoextend_bytes(work.step().definition)
        _move(work, "move back", say.move_back(work.table.name, extend), Place.HOME)
    drop_space(work.session, work.journal, work.step_id, work)
    return "done" if where in {Place.ENCRYPTED, Place.DONE} else "abandoned"


# -- where it is --------------------------------------------------------------------------------------


def place(work: Work) -> Place:
    """Where the table lies now, by the catalog. No locks."""
    table = _table(work)
    inside = [o.name.name for o in _owned(work)]
    (segment,) = table.segments
    if segment.kind is TablespaceKind.GENERAL:
        if segment.tablespace not in inside:
            raise SourceChanged(
                f"{work.table.name} lies in tablespace {segment.tablespace} now, which is not ours",
                remedy="plan again",
            )
        return Place.ENCRYPTED if segment.encrypted else Place.INSIDE
    return Place.DONE if segment.encrypted else Place.HOME


def _table(work: Work) -> Table:
    found = read_tables(work.session, [work.table.name])
    if not found or len(found[0].segments) != 1:
        raise SourceChanged(
            f"{work.table.name} is gone, or has partitions now", remedy="plan again if that was on purpose"
        )
    return found[0]


def _shape(work: Work) -> Shape:
    table = _table(work)
    create = say.without_autoextend(show_create(work.session, table.name))
    return Shape(create, trigger_proofs(work.session, table.name), table.foreign_keys, table.referenced_by)


def _move(work: Work, purpose: str, statement: Sql, to: Place) -> None:
    """Send the ALTER of a leg; afterwards the table lies there, and nothing else about it has changed."""
    before = _shape(work)
    # The server takes the tables that refer to this one for itself, too.
    tables = sorted({work.table.name, *(key.table for key in before.referenced_by)})
    alter_online(work, purpose, tables, statement)
    if place(work) is not to:
        raise Failed(f"{work.table.name} is not where it should be after {purpose}", remedy="apply again to go on")
    if not before.same_as(_shape(work)):
        raise Failed(
            f"{work.table.name}: something else than its tablespace changed during {purpose}",
            remedy="if somebody changed its definition or triggers, apply again to go on",
        )


def _await_older(work: Work) -> None:
    if who := wait_out_older(work, "waiting for transactions that would be older than the moved table"):
        raise Failed(
            f"{work.table.name}: transactions that began before the leg are still open: {who}; they would get error"
            " 1412 from the table afterwards",
            remedy="apply again when they have ended",
        )


def _encryption_goes_on(work: Work) -> bool:
    """True while the server goes on with ALTER TABLESPACE by itself, after a restart."""
    return bool(
        work.session.rows(
            "SELECT 1 FROM performance_schema.threads WHERE NAME = 'thread/innodb/srv_ts_alter_encrypt_thread'"
        )
    )


# -- the tablespace -----------------------------------------------------------------------------------


def _owned(work: Work) -> list[Owned]:
    return [o for o in work.journal.owned(work.session, work.step_id) if o.kind == KIND]


def _space(work: Work) -> Owned:
    (owned,) = _owned(work)
    return owned


def _make_space(work: Work) -> str:
    """The plain tablespace of this step, made if it is not there; gives its name. The journal knows the name before."""
    owned = _owned(work)
    if owned and _is_encrypted(work.session, owned[0].name.name):
        # A person took the table out of it by hand. It cannot take a plain table in.
        drop_space(work.session, work.journal, work.step_id, work)
        owned = []
    name = owned[0].name if owned else TableName("", say.space_name(secrets.token_hex(8)))
    if not owned:
        work.journal.intend(work.session, work.step_id, KIND, name)
    there = _proof(work.session, name.name)
    if there is None:
        work.ddl(say.create_space(name.name))
    elif owned and owned[0].state == "made" and there != owned[0].proof:
        raise name_taken(name)
    # The name is random and was noted first: what bears it is ours.
    work.journal.made(work.session, KIND, name, _proof(work.session, name.name) or "")
    return name.name


def _proof(session: Session, space: str) -> str | None:
    found = session.row("SELECT SPACE FROM information_schema.INNODB_TABLESPACES WHERE NAME = %s", (space,))
    return f"space {found[0]}" if found else None


def _is_encrypted(session: Session, space: str) -> bool:
    asked = "SELECT 1 FROM information_schema.INNODB_TABLESPACES WHERE NAME = %s AND ENCRYPTION = 'Y'"
    return bool(session.rows(asked, (space,)))


def drop_space(session: Session, journal: Journal, step_id: int, work: Work | None = None) -> None:
    """Drop the step's tablespace, if it is there and provably ours; `Failed` with names while tables are in it."""
    for owned in [o for o in journal.owned(session, step_id) if o.kind == KIND]:
        there = _proof(session, owned.name.name)
        if there is not None:
            if owned.state == "made" and there != owned.proof:
                raise name_taken(owned.name)
            statement = say.drop_space(owned.name.name)
            try:
                if work is not None:
                    work.ddl(statement)
                else:
                    session.run(statement)
            except SqlError as error:
                if error.number != _NOT_EMPTY:
                    raise
                raise _not_empty(session, owned.name.name) from None
        journal.gone(session, KIND, owned.name)


def _not_empty(session: Session, space: str) -> Failed:
    encryption = " ENCRYPTION='Y'" if _is_encrypted(session, space) else ""
    inside = tables_inside(session, space)
    moves = "; ".join(f"ALTER TABLE {shown(one)} TABLESPACE = innodb_file_per_table{encryption}" for one in inside)
    return Failed(
        f"tablespace {space}, which is ours, cannot be dropped: somebody has put tables into it:"
        f" {', '.join(map(str, inside))}",
        remedy=f"{moves}; then the same command again",
    )
