"""Is everything still as the copy needs it? The source the same table, our triggers in place, the shadow ours.

Asked on resume, before the indexes, before verification and right before the swap. TRUNCATE and every DDL
that rebuilds give the table (or a partition) a new id; the rest shows in SHOW CREATE TABLE.
"""

from __future__ import annotations

from migrator.db import Session
from migrator.engine.objects import table_proof, trigger_names, trigger_proofs
from migrator.engine.work import Work
from migrator.errors import SourceChanged
from migrator.inventory import show_create
from migrator.model import TableName
from migrator.sql.names import qualified
from migrator.sql.table import MARK, comparable, parse_definition

_REMEDY = "apply again: the copy of this table begins anew"


def check_source(work: Work, *, triggers: str, session: Session | None = None) -> None:
    """Raise `SourceChanged` unless source, shadow, log and triggers of this purpose are as they were made. No locks."""
    asked = session or work.session
    step = work.journal.step(asked, work.step_id)
    proof = table_proof(asked, work.table.name)
    if proof is None:
        raise SourceChanged(f"{work.table.name} is gone", remedy="plan again if it was dropped on purpose")
    if proof != step.source_ids:
        raise SourceChanged(f"{work.table.name} was truncated or rebuilt since its copy began", remedy=_REMEDY)
    now = comparable(show_create(asked, work.table.name), work.table.name.name)
    if now != comparable(step.definition, work.table.name.name):
        raise SourceChanged(f"the definition of {work.table.name} was changed since its copy began", remedy=_REMEDY)
    owned = {(o.kind, o.name): o for o in work.journal.owned(asked, work.step_id)}
    for kind, name in (("shadow", work.shadow), ("log", work.log)):
        mine = owned.get((kind, name))
        if mine is None or table_proof(asked, name) != mine.proof:
            raise SourceChanged(f"{name} is not as this run made it", remedy=_REMEDY)
    _check_shadow(work, asked, whole=triggers == "mirror")
    proofs = trigger_proofs(asked, work.table.name)
    ours = {*trigger_names(work.table.name, "log").values(), *trigger_names(work.table.name, "mirror").values()}
    if added := sorted(set(proofs) - ours):
        raise SourceChanged(
            f"a trigger was added to {work.table.name} since its copy began: {', '.join(added)}", remedy=_REMEDY
        )
    if child := child_of(asked, work.table.name):
        raise SourceChanged(
            f"a foreign key of {child} refers to {work.table.name} since its copy began", remedy=_REMEDY
        )
    for trigger in trigger_names(work.table.name, triggers).values():
        mine = owned.get(("trigger", TableName(work.table.name.schema, trigger)))
        if mine is None or mine.state != "made" or proofs.get(trigger) != mine.proof:
            raise SourceChanged(f"trigger {trigger} on {work.table.name} is not as this run made it", remedy=_REMEDY)


def child_of(session: Session, table: TableName) -> str:
    """A table whose foreign key refers to this one, or ''. No locks.

    From InnoDB's own list: REFERENTIAL_CONSTRAINTS hides tables that our account has no privilege for.
    """
    child = session.value(
        "SELECT FOR_NAME FROM information_schema.INNODB_FOREIGN WHERE REF_NAME = %s LIMIT 1",
        (f"{table.schema}/{table.name}",),
    )
    return "" if child is None else str(child).replace("/", ".", 1)


def check_marks(work: Work, asked: Session) -> None:
    """Raise `SourceChanged` if a change could not be mirrored: see `sql.triggers.mirror_trigger`. No locks.

    The mark is committed with the change. So within the exclusive moment of the swap, in which no transaction
    that has written to the source is open, none is missed; there only who holds the locks can read the log.
    """
    if asked.row(f"SELECT 1 FROM {qualified(work.log)} WHERE {MARK} LIMIT 1") is not None:
        raise SourceChanged(
            f"a change of {work.table.name} could not be made in {work.shadow}: the source was truncated, or one"
            " of our tables or triggers was changed",
            remedy=_REMEDY,
        )


def _check_shadow(work: Work, asked: Session, *, whole: bool) -> None:
    """Raise `SourceChanged` if somebody altered the shadow: an INSTANT ALTER leaves its id alone.

    Until its indexes are built (`whole`), only what is no index is compared.
    """
    source, shadow = (show_create(asked, name) for name in (work.table.name, work.shadow))
    wanted, _ = comparable(source, work.table.name.name)
    found, _ = comparable(shadow, work.shadow.name)
    if not whole:
        indexes = {*parse_definition(source).indexes.values(), *parse_definition(shadow).indexes.values()}
        wanted, found = (tuple(item for item in items if item not in indexes) for items in (wanted, found))
    if wanted != found:
        raise SourceChanged(f"the definition of {work.shadow} is not that of {work.table.name}", remedy=_REMEDY)
