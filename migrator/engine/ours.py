"""Which tables are ours, for whoever decides: by the journal, and by what is there now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from migrator.db import Session
from migrator.engine.journal import Journal
from migrator.engine.journal_names import Owned
from migrator.engine.objects import table_proof
from migrator.engine.swap import was_swapped
from migrator.model import TableName
from migrator.sql.names import retained_of

NOT_NOTED: Final = "some days after `migrator apply` has finished its step"


@dataclass(frozen=True, slots=True)
class Ours:
    """Tables and tablespaces that the journal proves to be ours."""

    owned: frozenset[TableName] = frozenset()
    retained: Mapping[TableName, str] = field(default_factory=dict)
    """The retained tables, and until when each is kept, as text."""
    relays: Mapping[str, TableName] = field(default_factory=dict)
    """Tablespaces of relays, and the one table that each is for."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Master keys that were made by `rotate-key`, by name, and when, in UTC."""


def read_ours(session: Session, journal: Journal) -> Ours:
    """What the journal says is ours, without retained tables that somebody has dropped or renamed. No locks."""
    if not journal.exists(session):
        return Ours()
    there = [
        one
        for one in journal.owned(session)
        if one.kind != "trigger" and not (one.kind == "retained" and retained_is_gone(session, one))
    ]
    kept = {one.name: journal.step(session, one.step_id).retained_until for one in there if one.kind == "retained"}
    for step in journal.steps(session, states=["open"]):  # a run was ended before it could note what it retains
        if was_swapped(session, step) and table_proof(session, retained_of(step.table)) == step.source_ids:
            kept[retained_of(step.table)] = ""
    return Ours(
        owned=frozenset(one.name for one in there),
        retained={name: until or NOT_NOTED for name, until in kept.items()},
        relays={o.name.name: journal.step(session, o.step_id).table for o in there if o.kind == "tablespace"},
        keys={
            row.key_to: f"{row.began_at.isoformat(sep=' ', timespec='seconds')} UTC"
            for row in journal.rotations(session)
            if row.state == "done"
        },
    )


def retained_is_gone(session: Session, one: Owned) -> bool:
    """True if no table bears the name of a retained one: a person dropped it, or renamed it to go back. No locks."""
    return table_proof(session, one.name) is None


def forget_retained(session: Session, journal: Journal, one: Owned) -> None:
    """Close the step of a retained table that is gone. Changes the journal only; safe to repeat."""
    journal.gone(session, "retained", one.name)
    journal.close_step(session, one.step_id, "done", "the retained table was dropped or renamed by a person")
