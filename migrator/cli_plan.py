"""What `plan` and `audit` look at before anything is decided: the server, and the journal where there is one."""

from __future__ import annotations

from collections.abc import Mapping

from migrator.cli_call import say
from migrator.db import Session
from migrator.engine.journal import Journal
from migrator.engine.ours import Ours
from migrator.engine.ours import read_ours as read_journal
from migrator.errors import MissingPrivilege, OwnerUnknown
from migrator.inventory import read_inventory, show_create
from migrator.model import Inventory, Method, TableName
from migrator.planner.make import make_plan
from migrator.planner.plan import Attestations, Calibration, Defaults, Plan, Policy, Scope
from migrator.planner.schedule import calibration_of


def read_ours(session: Session) -> Ours:
    """What the journal says is ours; nothing where there is none, or where it is not ours to read (said so)."""
    try:
        return read_journal(session, Journal())
    except (MissingPrivilege, OwnerUnknown) as error:
        # To look must be possible everywhere, also on a replica, which has the journal of its source.
        say(f"warning: {error.message}; tables that migrator itself made are not told from others")
        return Ours()


def _calibration(session: Session) -> Calibration | None:
    """What steps took on this server; None where nothing was done yet, or where it is not ours to read."""
    journal = Journal()
    try:
        return calibration_of(*journal.samples(session)) if journal.exists(session) else None
    except (MissingPrivilege, OwnerUnknown):
        return None


def read_and_plan(
    session: Session, policy: Policy, *, scope: Scope, defaults: Defaults, attestations: Attestations
) -> tuple[Inventory, Plan]:
    """Look, then decide: the inventory and the plan made of it."""
    inventory = read_inventory(session, wanted=scope.wants)
    ours = read_ours(session)
    calibration = _calibration(session)

    def planned(definitions: Mapping[TableName, str]) -> Plan:
        return make_plan(
            inventory,
            policy,
            definitions,
            calibration,
            scope=scope,
            defaults=defaults,
            attestations=attestations,
            owned=ours.owned,
            retained=ours.retained,
            relays=ours.relays,
        )

    # Definitions are one query a table, so they are read only where statements are made of them.
    told = {Method.SHADOW_COPY, Method.TABLESPACE_RELAY}
    copied = [s.table for s in planned({}).steps if s.method in told and s.table is not None]
    return inventory, planned({name: show_create(session, name) for name in copied})
