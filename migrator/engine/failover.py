"""Failover: a run goes on where a replica has become the source, after a person has confirmed that it has.

What replicates is right: a chunk and its cursor, a change and its entry in the log came as one transaction each, DDL in
its order. An asynchronous replica may lack the last transactions; then it lacks a chunk together with its cursor, and
the table that is in use together with its log. What does not replicate are ids and times by which we tell what is ours.
They are noted anew, for what is where the journal says and as it was made; for anything else nothing is noted.

All of that is one transaction, so a failover is noted as a whole or not at all. Every row that was compared on the old
server is compared again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from migrator import __version__
from migrator.db import Session
from migrator.engine.allowed import check_plan
from migrator.engine.journal import Journal
from migrator.engine.journal_names import Owned
from migrator.engine.journal_steps import StepRow
from migrator.engine.lease import new_run_id
from migrator.engine.objects import is_encrypted, table_proof, trigger_proofs
from migrator.engine.rollback import ROLLBACK
from migrator.errors import OwnerUnknown, Refused, ServerUnreachable
from migrator.events import Listener, Noticed
from migrator.inventory import read_inventory, show_create
from migrator.inventory.ask import ask
from migrator.model import Finding, Method, TableName
from migrator.planner.failover import Former, at_its_place, has_gap, same_trigger, was_renamed
from migrator.planner.file import plan_hash
from migrator.planner.plan import Attestations, Plan
from migrator.sql.names import retained_of, shadow_of
from migrator.sql.table import comparable, parse_definition

_COMPARED: Final = frozenset({"mirror", "verify"})
"""Phases after which rows may have been compared on the old server."""

_LOG_COLUMN: Final = re.compile(r"seq|noted|k[0-9]+")


@dataclass(frozen=True, slots=True)
class Anew:
    """What is noted of one step on this server."""

    step: StepRow
    source: str
    shadow: str
    proofs: tuple[tuple[Owned, str], ...]
    unproved: tuple[str, ...]
    renamed: bool

    @property
    def compare_again(self) -> bool:
        """True for a copy that is not swapped in, some rows of which may have been compared."""
        return self.step.state == "open" and self.step.phase in _COMPARED and not self.renamed


def take_over(
    session: Session, journal: Journal, plan: Plan, former: Former, attestations: Attestations, listen: Listener
) -> None:
    """Note that the work of `former` goes on here, in one transaction of the journal; nothing to do if it is noted.

    Before it everything is looked at: `Refused` if this server still replicates, if the old one can still be written or
    a gate is closed, `OwnerUnknown` with names if something is not as the journal says. Then nothing was changed.
    """
    uuid = session.server_uuid
    check_failover(session, journal, plan, former, listen)
    if journal.made_on(session) == uuid:
        return
    inventory = read_inventory(session, wanted=plan.scope.wants, journal_schema=journal.schema)
    check_plan(session, journal, plan, inventory, attestations, lambda _: None)

    def note(at: Session) -> tuple[Anew, ...]:
        if journal.made_on(at, lock=True) == uuid:
            return ()  # another run was faster
        steps = steps_anew(at, journal)
        for one in steps:
            _note(at, journal, one)
        journal.move(at, former.uuid, run_id=new_run_id(), plan_hash=plan_hash(plan), version=__version__)
        return steps

    steps = session.transaction(note)
    again = sum(one.compare_again for one in steps)
    message = (
        f"the journal that was made on {former.uuid} goes on here: {len(steps)} steps are looked at anew,"
        f" {again} of them are compared once more"
    )
    listen(Noticed("", Finding("failover", message)))


def check_failover(
    session: Session, journal: Journal, plan: Plan, former: Former, listen: Listener
) -> tuple[Anew, ...]:
    """What would be noted; raises what `take_over` raises, but for closed gates. Reads only, here and over there."""
    if not journal.exists(session):
        raise Refused(
            "there is no journal on this server, so there is no run that could go on here",
            remedy="make a plan for this server",
        )
    if journal.made_on(session) == session.server_uuid:
        if former.uuid not in journal.predecessors(session):
            raise Refused(
                f"the journal was made on this server, not on {former.uuid}",
                remedy="apply without --failover-from; nothing was touched",
            )
        return ()
    _check_channels(session)
    _check_gtids(session, former)
    _check_former(session, at_its_place(former, plan.server.where), listen)
    return steps_anew(session, journal)


# -- is it over with the old source? ------------------------------------------------------------------

_CHANNELS: Final = """
    SELECT c.CHANNEL_NAME, c.HOST, c.PORT, s.SERVICE_STATE, a.SERVICE_STATE,
        GTID_SUBSET(s.RECEIVED_TRANSACTION_SET, @@gtid_executed)
    FROM performance_schema.replication_connection_configuration c
    JOIN performance_schema.replication_connection_status s USING (CHANNEL_NAME)
    JOIN performance_schema.replication_applier_status a USING (CHANNEL_NAME)
    WHERE c.CHANNEL_NAME NOT LIKE 'group_replication%%' AND c.HOST <> ''
"""


def _check_channels(session: Session) -> None:
    by_gtid = str(session.value("SELECT @@gtid_mode")) == "ON"
    for channel, host, port, receives, applies, applied in ask(session, _CHANNELS) or ():
        name = f"{host}:{port}" + (f" (channel {channel})" if channel else "")
        if "ON" in {receives, applies}:
            raise Refused(
                f"this server still replicates from {name}",
                remedy="let it apply all that it has received; then STOP REPLICA, RESET REPLICA ALL, and apply again",
            )
        if not applied:
            raise Refused(
                f"this server has received changes from {name} that it has not applied",
                remedy="START REPLICA SQL_THREAD, and wait until all is applied; then STOP REPLICA, RESET REPLICA ALL,"
                " and apply again",
            )
        all_applied = (
            "it has applied what it has received" if by_gtid else "without GTIDs nobody can see here what it lacks"
        )
        raise Refused(
            f"this server is still set up as a replica of {name}; {all_applied}",
            remedy="make sure by SHOW REPLICA STATUS that all is applied; then RESET REPLICA ALL, and apply again",
        )
    queued = ask(
        session,
        "SELECT COALESCE(SUM(COUNT_TRANSACTIONS_REMOTE_IN_APPLIER_QUEUE), 0)"
        " FROM performance_schema.replication_group_member_stats WHERE MEMBER_ID = @@server_uuid",
    )
    if queued and int(queued[0][0]):
        raise Refused(
            f"this member of the group has {queued[0][0]} transactions of the old primary to apply",
            remedy="wait until its queue is empty, and apply again",
        )


def _check_gtids(session: Session, former: Former) -> None:
    if has_gap(str(session.value("SELECT @@GLOBAL.gtid_executed") or ""), former.uuid):
        raise Refused(
            f"transactions of {former.uuid} are missing in the middle of @@gtid_executed: this replica has a gap",
            remedy="find out which (@@gtid_executed), and have them applied, or use a replica that has them",
        )


def _check_former(session: Session, former: Former, listen: Listener) -> None:
    """Raise `Refused` if the old source answers and could be written, or has what this server lacks."""
    if not former.host:
        _unasked(former, "nobody said where it could be asked", listen)
        return
    try:
        with session.elsewhere(former.host, former.port, server_uuid=former.uuid) as old:
            writable = not int(old.value("SELECT @@super_read_only OR @@innodb_read_only") or 0)
            executed = str(old.value("SELECT @@GLOBAL.gtid_executed") or "")
    except OwnerUnknown:
        _unasked(former, f"another server answers at {former.where}", listen)
        return
    except ServerUnreachable as error:
        if error.answered:
            raise Refused(
                f"a server answers at {former.where}, but lets nobody look whether it can still be written:"
                f" {error.message}",
                remedy="let this account in there, or shut that server down",
            ) from None
        _unasked(former, f"nothing answers at {former.where}", listen)
        return
    if writable:
        raise Refused(
            f"the old source {former.uuid} answers at {former.where}, and can be written",
            remedy="SET GLOBAL super_read_only = ON there, or shut it down: two servers that take writes part for good",
        )
    if not int(session.value("SELECT GTID_SUBSET(%s, @@GLOBAL.gtid_executed)", (executed,)) or 0):
        raise Refused(
            f"the old source {former.uuid} has committed what this server does not have",
            remedy="let this server replicate the rest first; if it is to be lost for good, shut the old source down",
        )


def _unasked(former: Former, why: str, listen: Listener) -> None:
    listen(
        Noticed(
            "",
            Finding(
                "old-source-silent",
                f"the old source {former.uuid} could not be asked: {why}",
                "make sure that it does not come back as a server that takes writes",
            ),
        )
    )


# -- what is ours here --------------------------------------------------------------------------------


def steps_anew(session: Session, journal: Journal) -> tuple[Anew, ...]:
    """What identifies, on this server, what the journal says is ours. Reads only.

    Raises `OwnerUnknown` with all names that cannot be proved: they are not as the journal says.
    """
    owned = journal.owned(session)
    having = {one.step_id for one in owned}
    steps = [s for s in journal.steps(session) if s.id in having or s.state in {"open", "swapped"}]
    account = str(session.value("SELECT CURRENT_USER()"))
    anew = tuple(_anew(session, s, [one for one in owned if one.step_id == s.id], account) for s in steps)
    if unproved := [what for one in anew for what in one.unproved]:
        raise OwnerUnknown(
            "\n  - ".join(["after the failover these are not as the journal says:", *unproved]),
            remedy="look at each; what nobody needs can be dropped or renamed, then the same command again. Nothing was"
            " changed",
        )
    return anew


def _anew(session: Session, step: StepRow, owned: list[Owned], account: str) -> Anew:
    proofs: list[tuple[Owned, str]] = []
    unproved: list[str] = []
    for one in (one for one in owned if one.state == "made"):
        if one.kind == "trigger":
            proof, why_not = _trigger(session, one, step, account)
        elif one.kind == "tablespace":
            proof, why_not = _tablespace(session, one), ""
        else:
            proof, why_not = _table(session, one, step)
        proofs.append((one, proof))
        if why_not:
            unproved.append(f"{one.name}: {why_not}")
    shadow = next((one.name for one in owned if one.kind == "shadow"), shadow_of(step.table))
    retained = retained_of(step.table)
    there, copy, old = (table_proof(session, name) for name in (step.table, shadow, retained))
    renamed = step.state == "open" and bool(step.shadow_ids) and was_renamed(shadow=bool(copy), retained=bool(old))
    gone_back = step.state == "swapped" and step.phase == ROLLBACK and bool(copy) and not old
    if step.kind != "table" or step.method != Method.SHADOW_COPY:
        renamed = False
        source, copied = there or "", ""
    elif renamed or (step.state == "swapped" and not gone_back):
        source, copied = old or "", there or ""
        unproved += _not_swapped(session, step, retained if old else None) if renamed else []
    else:
        source, copied = there or "", copy or ""
    return Anew(step, source, copied, tuple(proofs), tuple(unproved), renamed)


def _not_swapped(session: Session, step: StepRow, retained: TableName | None) -> list[str]:
    """Why these two are not what the RENAME of this step has left, although the names say so."""
    found = []
    if table_proof(session, step.table) is None or not is_encrypted(session, step.table):
        found.append(f"{step.table}: it should be the encrypted copy, and is in clear or gone")
    if retained is not None and _definition(session, retained) != comparable(step.definition, step.table.name):
        found.append(f"{retained}: it should be the old table, and has another definition")
    return found


def _definition(session: Session, table: TableName) -> tuple[tuple[str, ...], str]:
    return comparable(show_create(session, table), table.name)


def _table(session: Session, one: Owned, step: StepRow) -> tuple[str, str]:
    """What identifies a table of ours here ('' if there is none of that name), and why it cannot be ours."""
    proof = table_proof(session, one.name)
    if proof is None or one.kind in {"staging", "twin"} or one.name.schema != step.table.schema:
        return proof or "", ""  # in the journal's schema every name is ours
    if one.kind == "log":
        columns = session.rows(
            "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s",
            (one.name.schema, one.name.name),
        )
        strange = not all(_LOG_COLUMN.fullmatch(str(name)) for (name,) in columns)
        return proof, "it is not the log that was made" if strange else ""
    wanted, found = comparable(step.definition, step.table.name)[0], _definition(session, one.name)[0]
    if one.kind == "shadow":
        if not is_encrypted(session, one.name):
            return proof, "it is in clear here, and was encrypted where it was made"
        indexes = {
            *parse_definition(step.definition).indexes.values(),
            *parse_definition(show_create(session, one.name)).indexes.values(),
        }
        wanted, found = (tuple(item for item in items if item not in indexes) for items in (wanted, found))
    return proof, "" if wanted == found else f"it has not the definition that {step.table} had"


def _trigger(session: Session, one: Owned, step: StepRow, account: str) -> tuple[str, str]:
    row = session.row(
        "SELECT EVENT_OBJECT_SCHEMA, EVENT_OBJECT_TABLE, DEFINER FROM information_schema.TRIGGERS"
        " WHERE TRIGGER_SCHEMA = %s AND TRIGGER_NAME = %s",
        (one.name.schema, one.name.name),
    )
    if row is None:
        return one.proof, ""  # whoever relies on it finds that it is not there
    table, definer = TableName(str(row[0]), str(row[1])), str(row[2])
    if table not in {step.table, retained_of(step.table), shadow_of(step.table)}:
        return one.proof, f"this trigger is on {table}"
    there = trigger_proofs(session, table)[one.name.name]
    if definer != account:
        return one.proof, f"this trigger runs as {definer}, and we are {account}: apply as that account"
    return there, "" if same_trigger(one.proof, there) else "this trigger is not as it was made"


def _tablespace(session: Session, one: Owned) -> str:
    found = session.row("SELECT SPACE FROM information_schema.INNODB_TABLESPACES WHERE NAME = %s", (one.name.name,))
    return f"space {found[0]}" if found else ""  # its random name was in the journal first


def _note(session: Session, journal: Journal, one: Anew) -> None:
    """Write what was found of one step, within the transaction of the failover."""
    for owned, proof in one.proofs:
        journal.made(session, owned.kind, owned.name, proof)
    journal.set_step(session, one.step.id, source_ids=one.source, shadow_ids=one.shadow)
    if one.compare_again:
        journal.compare_again(session, one.step.id)
