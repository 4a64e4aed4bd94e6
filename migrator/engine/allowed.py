"""May this plan be run here and now? Asked before any DDL, the dry-run's included. Reads only."""

from __future__ import annotations

from migrator.db import Session
from migrator.engine.journal import Journal
from migrator.engine.members import ask_members
from migrator.engine.ours import read_ours
from migrator.errors import PlanDrifted, Refused
from migrator.events import Listener, Noticed
from migrator.inventory import unreadable
from migrator.model import Finding, Inventory
from migrator.planner.drift import drift
from migrator.planner.gates import gates
from migrator.planner.make import extra_disk
from migrator.planner.plan import Attestations, Plan
from migrator.planner.privileges import Need, missing
from migrator.planner.rotation import old_backup


def check_plan(
    session: Session, journal: Journal, plan: Plan, inventory: Inventory, attestations: Attestations, listen: Listener
) -> tuple[Finding, ...]:
    """Raise `PlanDrifted` or `Refused` if anything blocks; tell what does not, and give it. Reads only."""
    drifted, gated = findings_of(session, journal, plan, inventory, attestations)
    for finding in (*drifted, *gated):
        if not finding.blocks:
            listen(Noticed(finding.subject, finding))
    if blocking := [f for f in drifted if f.blocks]:
        raise PlanDrifted(
            _listed("the server is not as it was when the plan was made", blocking), remedy=_remedies(blocking)
        )
    if blocking := [f for f in gated if f.blocks]:
        raise refused(blocking)
    return (*drifted, *gated)


def refused(blocking: list[Finding]) -> Refused:
    """The error for findings that block: each with its remedy."""
    return Refused(_listed("nothing was touched", blocking), remedy=_remedies(blocking))


def findings_of(
    session: Session, journal: Journal, plan: Plan, inventory: Inventory, attestations: Attestations
) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """What has drifted since the plan was made, and what the gates say now."""
    ours = read_ours(session, journal)
    before = journal.accepted(session)
    drifted = drift(plan, inventory, owned=ours.owned, retained=ours.retained, relays=ours.relays, predecessors=before)
    asked = ask_members(session, inventory.server)
    gated = gates(
        inventory.server,
        attestations,
        steps=plan.steps,
        schemas=[schema for schema in inventory.schemas if plan.scope.wants_schema(schema.name)],
        confirmed=asked.confirmed,
        refuted=asked.refuted,
        journal_schema=journal.schema,
    )
    if plan.defaults.kill_blockers_after_seconds is not None:
        gated = (*gated, *missing(inventory.server, (), {Need.KILL}, journal_schema=journal.schema))
    rotated = journal.rotated_at(session) if journal.exists(session) else None
    gated = (*gated, *old_backup(attestations, rotated))
    disk = extra_disk(plan)
    acting = {step.name for step in plan.steps if step.changes_something}
    unread = [f for f in unreadable(inventory.server, inventory.tables) if not f.blocks or f.subject in acting]
    return drifted, (*((disk,) if disk else ()), *unread, *gated)


def _listed(head: str, findings: list[Finding]) -> str:
    return "\n  - ".join([f"{head}:", *(f"{f.subject}: {f.message}" if f.subject else f.message for f in findings)])


def _remedies(findings: list[Finding]) -> str:
    return "\n  - ".join(["", *dict.fromkeys(f.remedy for f in findings if f.remedy)])
