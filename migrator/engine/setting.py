"""A setting of the server's, or the default of a schema: switched on, and looked at afterwards."""

from __future__ import annotations

import json
from typing import Final

from migrator.db import Session
from migrator.engine.journal import Journal
from migrator.engine.journal_steps import StepRow
from migrator.engine.moment import FIRST_PATIENCE_SECONDS, strike, tell
from migrator.engine.work import Work
from migrator.errors import Failed, SourceChanged
from migrator.events import DdlDone, DdlStarting, Noticed
from migrator.inventory.old_logs import not_emptied, read_old_binlogs, read_undo_spaces
from migrator.model import TableName
from migrator.planner.harden import is_persisted_by, not_persisted, value_is_on
from migrator.planner.plan import Plan, Step
from migrator.sql.settings import (
    UNDO,
    empty_undo,
    encrypt_new_tables,
    is_on,
    new_tables_encrypted,
    purge_binlogs,
    switch_on,
)
from migrator.sql.statement import Sql
from migrator.sql_errors import SqlError

_DENIED: Final = frozenset({1044, 1045, 1142, 1227})
_UNKNOWN: Final = 1193


def is_set(session: Session, step: Step) -> bool:
    """True if it is as the step wants it. Raises `SourceChanged` where there is no such thing any more."""
    gone = SourceChanged(f"{step.name} is gone", remedy="plan again if that is so on purpose")
    if step.schema_name:
        found = session.value(new_tables_encrypted(step.schema_name))
        if found is None:
            raise gone
        return str(found).upper() == "YES"
    try:
        return value_is_on(str(session.value(is_on(step.setting_name))))
    except SqlError as error:
        if error.number != _UNKNOWN:
            raise
        raise gone from None


def was_before(session: Session, step: Step) -> str:
    """What the journal notes before it is switched on: which undo tablespaces hold pages in clear; else nothing."""
    return json.dumps(read_undo_spaces(session)) if step.setting_name == UNDO else ""


def where_it_is(session: Session, step: Step) -> str:
    """The server that has it now; the journal replicates, and a variable does not. Nothing for a schema, which does."""
    return "" if step.schema_name else session.server_uuid


def is_of(row: StepRow, server_uuid: str) -> bool:
    """True for a setting that a run has switched on for this server."""
    return row.kind == "setting" and row.definition in {"", server_uuid}


def by_hand(session: Session, journal: Journal, plan: Plan) -> tuple[str, ...]:
    """What a person can do about logs that were written in clear before, as statements; none where none is left.

    Reads only. Nothing of it is ever done by us: replicas and backups may need a binary log, and undo tablespaces are
    emptied when no transaction needs them.
    """
    found: list[str] = []
    if "binlog" in plan.policy.harden and (old := read_old_binlogs(session)).first_kept:
        found.append(purge_binlogs(old.first_kept))
    if "undo" in plan.policy.harden:
        done = journal.steps(session, states=["done"])
        noted = [row for row in done if row.table.name == f"@@{UNDO}" and is_of(row, session.server_uuid)]
        before = json.loads(noted[-1].source_ids or "{}") if noted else {}
        if left := not_emptied(before, read_undo_spaces(session)):
            found += empty_undo(left)
    return tuple(found)


def put(work: Work, step: Step) -> None:
    """Switch it on; at once, without a restart. Safe to repeat.

    A variable locks nothing (`sql.settings`). A schema's default takes the schema and all of its tables for itself for
    tenths of a second: it is sent in an instant in which nobody uses one of them, and given up within milliseconds if
    somebody comes all the same. Raises `Failed` if it is not on afterwards.
    """
    work.checkpoint()
    if step.schema_name:
        _alter_schema(work, step.schema_name)
    else:
        _switch_on(work, step.setting_name, persist=is_persisted_by(step))
    if not is_set(work.session, step):
        raise Failed(f"{step.name} is not on after it was set", remedy="look at the error log, and apply again")


def _switch_on(work: Work, variable: str, *, persist: bool) -> None:
    try:
        _send(work, switch_on(variable, persist=persist))
    except SqlError as error:
        if not persist or error.link_lost or error.number in _DENIED:
            raise
        # The server sets the value first and writes mysqld-auto.cnf then (error 7 where it cannot, seen on 9.7.4).
        _send(work, switch_on(variable, persist=False))
        found = not_persisted(variable, f"the server could not write mysqld-auto.cnf ({error})")
        work.listen(Noticed(found.subject, found))


def _send(work: Work, statement: Sql) -> None:
    work.listen(DdlStarting(work.subject, statement.shown))
    began = work.clock.monotonic()
    work.session.run(statement)
    work.listen(DdlDone(work.subject, statement.shown, work.clock.monotonic() - began))


def _alter_schema(work: Work, schema: str) -> None:
    """Never without having looked: who has one of its tables and wants another would be a deadlock's victim (1213)."""
    statement, everything = encrypt_new_tables(schema), [TableName(schema, "")]
    work.listen(DdlStarting(work.subject, statement.shown))
    with work.open() as session:
        struck = strike(
            work,
            session,
            everything,
            statement,
            wait_seconds=work.limits.moment_wait_seconds,
            patience_seconds=FIRST_PATIENCE_SECONDS,
        )
    work.listen(DdlDone(work.subject, statement.shown, struck.request_seconds))
    tell(work, "schema default", struck, struck.request_seconds)
