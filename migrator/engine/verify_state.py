"""Prove the state from the catalog: what is encrypted, what is not, and whether it should be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from migrator.db import Session
from migrator.engine.journal import Journal
from migrator.engine.journal_steps import StepRow
from migrator.engine.setting import is_of
from migrator.errors import MissingPrivilege
from migrator.model import Flavour, Inventory, Table, TablespaceKind
from migrator.planner.background import out_of_reach
from migrator.planner.harden import is_on
from migrator.planner.plan import Scope
from migrator.report.values import Proof
from migrator.sql.names import retained_of

ENDED: Final = ("done", "swapped", "rolled-back")
"""States of steps by which it is known what a run of ours made of a table."""


def verify(session: Session, scope: Scope, inventory: Inventory, journal: Journal | None = None) -> tuple[Proof, ...]:
    """Every base table in scope and every shared tablespace, by the catalog's word. Reads only.

    The catalog is joined by SPACE, never by name. What the pages of the files hold is not read here.
    """
    return proofs_of(inventory, scope, _steps_of_ours(session, journal or Journal()))


def proofs_of(inventory: Inventory, scope: Scope, steps: Iterable[StepRow]) -> tuple[Proof, ...]:
    """Of each table of an inventory in its order, then of the shared tablespaces; `steps` are ended ones. Pure."""
    steps = tuple(steps)
    latest = {step.table: step.state for step in steps if step.kind == "table"}
    ours = {table for table, state in latest.items() if state != "rolled-back"}
    spaces = {step.table.name for step in steps if step.kind == "tablespace"}
    kept = {retained_of(step.table) for step in steps if step.state == "swapped" and step.kind == "table"}
    why = dict.fromkeys(kept, "retained by migrator until its deadline: migrator cleanup")
    why |= {table: "rolled back by a person" for table, state in latest.items() if state == "rolled-back"}
    flavour = inventory.server.flavour
    found = [
        _of_table(table, flavour, expected=table.name in ours, why=why.get(table.name, ""))
        for table in inventory.tables
    ]
    shared = {TablespaceKind.GENERAL, TablespaceKind.MYSQL}
    found += [
        Proof(
            name=space.name,
            encrypted=space.encrypted,
            evidence=f"INNODB_TABLESPACES space {space.space}: ENCRYPTION {'Y' if space.encrypted else 'N'}",
            expected=space.name in spaces,
        )
        for space in inventory.tablespaces
        if space.kind in shared and not _narrowed(scope)
    ]
    return (*found, *_settings(steps, scope, inventory))


def _settings(steps: Sequence[StepRow], scope: Scope, inventory: Inventory) -> Iterator[Proof]:
    """What runs have switched on here, if all is asked for, and the defaults of schemas in scope: are they still on?"""
    server = inventory.server
    for name in dict.fromkeys(step.table.name for step in steps if is_of(step, server.server_uuid)):
        variable = name.removeprefix("@@")
        schema = next((one for one in inventory.schemas if name == f"schema {one.name}"), None)
        if schema and scope.wants_schema(schema.name) and not scope.tables:
            evidence = f"SCHEMATA: DEFAULT_ENCRYPTION {'YES' if schema.default_encryption else 'NO'}"
            yield Proof(name, schema.default_encryption, evidence, expected=True)
        elif variable in server.variables and not _narrowed(scope):
            evidence = f"@@GLOBAL.{variable} = {server.variables[variable]}"
            yield Proof(name, is_on(server, variable), evidence, expected=True)


def _steps_of_ours(session: Session, journal: Journal) -> list[StepRow]:
    try:
        return journal.steps(session, states=ENDED) if journal.exists(session) else []
    except MissingPrivilege:
        return []  # then nothing is said to be by us; whether it is encrypted needs no journal


def _narrowed(scope: Scope) -> bool:
    return bool(scope.databases or scope.tables or scope.ignore_databases or scope.ignore_tables)


def _of_table(table: Table, flavour: Flavour, *, expected: bool, why: str) -> Proof:
    if not table.segments:
        why = f"{table.engine} has no encryption of its own"
        if flavour is Flavour.MARIADB and table.engine == "Aria":
            why = "no query tells which tables of Aria are encrypted: counted as in clear"
    if flavour is Flavour.MARIADB and (found := out_of_reach(table)) and table.segments:
        why = why or found.message
    return Proof(
        name=str(table.name),
        encrypted=table.encrypted,
        evidence=_evidence(table, flavour),
        expected=expected,
        why="" if table.encrypted else why,
    )


def _evidence(table: Table, flavour: Flavour) -> str:
    if not table.segments:
        return f"TABLES: engine {table.engine}, in no tablespace"
    clear = [s.space for s in table.segments if not s.encrypted]
    shown = _few(clear or [s.space for s in table.segments])
    if flavour is Flavour.MARIADB:
        return f"INNODB_TABLESPACES_ENCRYPTION space {shown}: {'not every page' if clear else 'every page'}"
    return f"INNODB_TABLESPACES space {shown}: ENCRYPTION {'N' if clear else 'Y'}"


def _few(spaces: Iterable[int]) -> str:
    known = sorted(set(spaces))
    return ", ".join(map(str, known[:4])) + (f" and {len(known) - 4} more" if len(known) > 4 else "")
