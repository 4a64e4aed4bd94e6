"""Is the server still the one that was reviewed? What a table was is kept in the plan, line by line.

Pure. Growth is no drift, nor are partitions that come and go, nor what migrator itself does: its
triggers, and that tables become encrypted.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from migrator.model import Column, Finding, Inventory, Key, Method, Table, TableName, Tablespace, TablespaceKind
from migrator.planner.around import Around, look_around, our_triggers, real_bytes
from migrator.planner.harden import definition_now, new_schemas, setting_drift
from migrator.planner.keys import key_text, usable_key
from migrator.planner.methods import choose
from migrator.planner.plan import IN_BACKGROUND, Plan, Scope, Step, fingerprint_of
from migrator.planner.relay import at_home
from migrator.planner.units import about

_LIES: Final = "tablespace: "

SHOWN_CHANGES: Final = 12
"""So many changes of a table are spelled out; of the rest only the number."""

LEFT_IN_CLEAR: Final = frozenset({"in-clear-now", "skipped-in-clear"})
"""Codes that say: the plan leaves this as it is, and it lies in clear."""

TABLESPACE_STEPS: Final = frozenset({TablespaceKind.GENERAL, TablespaceKind.MYSQL})
"""Kinds of tablespaces that have a step of their own."""


# -- what a table is ------------------------------------------------------------------------------


def definition(table: Table) -> tuple[str, ...]:
    """What about a table must still be so when the plan is run, as `what: text` lines.

    Left out on purpose: sizes, encryption (looked at by itself), our own triggers, creation times,
    histograms, the names of partitions; and what a copy takes over as it is then: DEFAULTs, comments and the
    expressions of generated columns.
    """
    mine = our_triggers(table.name)
    space = table.segments[0].tablespace if table.tablespace_kind in TABLESPACE_STEPS else ""
    key = usable_key(table)
    lines = [
        f"engine: {table.engine}",
        f"row format: {table.row_format}",
        f"options: {_options(table.create_options)}",
        f"{_LIES}{' '.join(filter(None, (table.tablespace_kind, _name(space) if space else '')))}",
        f"data directory: {'yes' if table.data_directory else 'no'}",
        f"partitioned: {table.partition_method or 'no'}",
        f"walked by: {key_text(key) if key else 'no key'}",
    ]
    lines += [f"column {_name(c.name)}: {_column(c)}" for c in table.columns]
    lines += sorted(f"key {_name(k.name)}: {_key(k)}" for k in table.keys)
    lines += sorted(
        f"foreign key {_name(k.name)}: to {k.parent}, on delete {k.on_delete}, on update {k.on_update}"
        for k in table.foreign_keys
    )
    lines += sorted(f"referenced by {_name(f'{k.table}.{k.name}')}: yes" for k in table.referenced_by)
    lines += sorted(
        f"trigger {_name(t.name)}: {t.timing} {t.event} by {t.definer}, body {t.body_hash}"
        for t in table.triggers
        if t.name not in mine
    )
    lines += sorted(f"check {_name(c.name)}: yes" for c in table.checks)
    return tuple(lines)


def tablespace_definition(tablespace: Tablespace) -> tuple[str, ...]:
    """The same for a tablespace; the tables in it have steps of their own."""
    return (f"tablespace: {tablespace.kind}",)


def tablespace_in_scope(tablespace: Tablespace, inventory: Inventory, scope: Scope) -> bool:
    """True if a table in it is in scope; `mysql` counts as the schema of that name.

    A tablespace in which no table was seen is in scope only if nothing was left out: there may be some.
    """
    if scope == Scope():
        return True
    if tablespace.kind is TablespaceKind.MYSQL:
        return not scope.tables and scope.wants_schema("mysql")
    inside = [t.name for t in inventory.tables if any(s.space == tablespace.space for s in t.segments)]
    return any(scope.wants(name) for name in inside)


def fingerprint(table: Table) -> str:
    """SHA-256 over the definition of the table."""
    return fingerprint_of(definition(table))


def _name(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _options(text: str) -> str:
    without = re.sub(r"ENCRYPTION\s*=\s*('[^']*'|\"[^\"]*\")", "", text, flags=re.IGNORECASE)
    return " ".join(word for word in without.split() if word.lower() != "partitioned")


def _column(column: Column) -> str:
    words = [
        column.type,
        f"charset {column.charset}" if column.charset else "",
        f"collate {column.collation}" if column.collation else "",
        "NULL" if column.nullable else "NOT NULL",
        f"generated {column.generated}" if column.generated else "",
        "invisible" if column.invisible else "",
        "auto_increment" if column.auto_increment else "",
        f"srid {column.srid}" if column.srid is not None else "",
    ]
    return " ".join(filter(None, words))


def _key(key: Key) -> str:
    parts = [
        (_name(p.column) if p.column is not None else "(expression)")
        + (f"({p.prefix})" if p.prefix is not None else "")
        + (" DESC" if p.descending else "")
        for p in key.parts
    ]
    unique = "unique " if key.unique else ""
    return f"{unique}{key.type} ({', '.join(parts)}){'' if key.visible else ' invisible'}"


# -- what has changed -----------------------------------------------------------------------------

_LABEL: Final = re.compile(r"^([a-z ]+(?: `(?:[^`]|``)*`)?): (.*)$", flags=re.DOTALL)


def _labelled(lines: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        match = _LABEL.match(line)
        found[match[1] if match else line] = match[2] if match else ""
    return found


def changes(old: Iterable[str], new: Iterable[str]) -> tuple[str, ...]:
    """What differs between two definitions, each as half a sentence: old -> new."""
    old, new = tuple(old), tuple(new)
    before, after = _labelled(old), _labelled(new)
    found = [
        f"{what} was {before[what]}, is {after[what]}"
        for what in before
        if after.get(what, before[what]) != before[what]
    ]
    found += [f"{what} is gone (was {before[what]})" for what in before if what not in after]
    found += [f"{what} is new ({after[what]})" for what in after if what not in before]
    if not found and old != new:
        found.append("the columns have another order")
    return tuple(found)


def drift(
    plan: Plan,
    inventory: Inventory,
    *,
    owned: Iterable[TableName] = (),
    retained: Mapping[TableName, str] | None = None,
    relays: Mapping[str, TableName] | None = None,
    predecessors: Collection[str] = (),
) -> tuple[Finding, ...]:
    """What is no longer as it was reviewed; a finding that blocks makes the plan void until it is made anew.

    Blocking: another server, a table to be done that was altered, or that its method no longer fits
    (this also holds off a method that was edited into the file). Not blocking: tables that are gone, new
    or encrypted meanwhile, changes of tables that the plan leaves alone. `predecessors` are servers whose place
    this one has taken: a plan for one of them holds here.
    """
    if plan.server.server_uuid not in {inventory.server.server_uuid, *predecessors}:
        message = (
            f"this is another server: server_uuid is {inventory.server.server_uuid}, the plan was made for"
            f" {plan.server.server_uuid} ({plan.server.where})"
        )
        remedy = (
            "connect to the server that was reviewed, or make a plan for this one; if this one has taken its place and"
            f" has its journal: apply with --failover-from {plan.server.server_uuid}"
        )
        return (Finding("server-changed", message, remedy, blocks=True),)
    around = look_around(inventory, owned=owned, retained=retained, relays=relays)
    found: list[Finding] = []
    if plan.server.version != inventory.server.version_text:
        message = f"the server was {plan.server.version} and is {inventory.server.version_text}"
        found.append(Finding("server-upgraded", message, "a new plan shows whether other methods are possible now"))
    tables = {t.name: at_home(t, around) for t in inventory.tables}
    away = {t.name for t in inventory.tables if tables[t.name] is not t}
    skipped = frozenset(s.name for s in plan.steps if s.kind != "table" and s.method is Method.SKIP)
    for step in plan.steps:
        if step.kind == "setting":
            lines = definition_now(step, inventory)
            found += setting_drift(step, inventory, None if lines is None else changes(step.definition, lines))
        elif step.table is not None:
            now = tables.get(step.table)
            found += _of_table(step, now, plan, around, under_way=step.table in away, skipped=skipped)
        else:
            found += _of_tablespace(step, inventory)
    found += _new(plan, inventory, around)
    return tuple(sorted(found, key=lambda f: not f.blocks))


def _of_table(
    step: Step, now: Table | None, plan: Plan, around: Around, *, under_way: bool, skipped: frozenset[str]
) -> list[Finding]:
    acts = step.changes_something
    if now is None:
        message = "is not there any more, or not in scope"
        return [Finding("table-gone", message, "nothing is done with it", subject=step.name)]
    if now.encrypted:
        return [Finding("encrypted-meanwhile", "is encrypted by now", subject=step.name)] if acts else []
    if step.method is Method.SKIP and any(f.code == "already-encrypted" for f in step.findings):
        message = "was encrypted when the plan was made, and is in clear now"
        return [Finding("in-clear-now", message, "plan again to encrypt it", subject=step.name)]
    if not now.columns:
        return []  # cannot be read: the gates and `unreadable` say which right is missing
    found: list[Finding] = []
    new = definition(now)
    if under_way:  # where it lay before a relay began is not to be seen now
        lay = next((line for line in step.definition if line.startswith(_LIES)), "")
        new = tuple(lay if line.startswith(_LIES) else line for line in new)
    if step.fingerprint and step.fingerprint != fingerprint_of(new):
        differences = changes(step.definition, new)
        more = len(differences) - SHOWN_CHANGES
        message = "; ".join(differences[:SHOWN_CHANGES]) + (f"; and {more} more" if more > 0 else "")
        remedy = "plan again, and review that" if acts else "nothing is done with it; a new plan may decide otherwise"
        found.append(Finding("table-changed", message, remedy, blocks=acts, subject=step.name))
    if acts:
        found += _method_fits(step, now, plan, around)
    elif (leader := _led_by(step)) in skipped:
        message = f"lies in clear, and the plan says to skip {leader}"
        found.append(Finding("skipped-in-clear", message, "plan again to encrypt it", subject=step.name))
    elif step.method is Method.SKIP and choose(now, around.server, plan.policy, around).method is not Method.SKIP:
        message = "lies in clear, and the plan says to skip it"
        found.append(Finding("skipped-in-clear", message, "plan again to encrypt it", subject=step.name))
    return found


def _led_by(step: Step) -> str:
    """The step that encrypts this table, by its name; '' if it is done by itself."""
    return {Method.TABLESPACE: step.tablespace_name, Method.BACKGROUND: f"@@{IN_BACKGROUND}"}.get(step.method, "")


def _method_fits(step: Step, now: Table, plan: Plan, around: Around) -> list[Finding]:
    choice = choose(now, around.server, plan.policy, around)
    size = real_bytes(now, around)
    if step.method is choice.method or (step.method, choice.method) == (Method.SHADOW_COPY, Method.DIRECT_ALTER):
        return []
    if step.method is Method.DIRECT_ALTER and choice.method is Method.SHADOW_COPY:
        limit = plan.policy.direct_below_bytes
        if size < 2 * limit:
            return []
        reason = f"it has {about(size)} now, and direct-alter is for less than {about(limit)}"
    else:
        reason = choice.why.rstrip(".")
    message = f"{step.method} does not fit (any more): {reason}"
    return [Finding("method-does-not-fit", message, "plan again, and review that", blocks=True, subject=step.name)]


def _of_tablespace(step: Step, inventory: Inventory) -> list[Finding]:
    now = next((t for t in inventory.tablespaces if t.name == step.tablespace_name), None)
    acts = step.changes_something
    if now is None:
        return [Finding("tablespace-gone", "is not there any more", "nothing is done with it", subject=step.name)]
    if now.encrypted:
        return [Finding("encrypted-meanwhile", "is encrypted by now", subject=step.name)] if acts else []
    if step.method is Method.SKIP and any(f.code == "already-encrypted" for f in step.findings):
        message = "was encrypted when the plan was made, and is in clear now"
        return [Finding("in-clear-now", message, "plan again to encrypt it", subject=step.name)]
    if step.method is Method.SKIP:
        message = "lies in clear, and the plan says to skip it"
        return [Finding("skipped-in-clear", message, "plan again to encrypt it", subject=step.name)]
    differences = changes(step.definition, tablespace_definition(now)) if step.fingerprint else ()
    if not differences:
        return []
    message = "; ".join(differences)
    return [Finding("tablespace-changed", message, "plan again, and review that", blocks=acts, subject=step.name)]


def _new(plan: Plan, inventory: Inventory, around: Around) -> list[Finding]:
    known = {s.table for s in plan.steps if s.table is not None}
    spaces = {s.tablespace_name for s in plan.steps if s.kind == "tablespace"}
    remedy = "plan again to have it encrypted; this plan leaves it as it is"
    found = [
        Finding(
            "table-new", f"is not in the plan ({about(real_bytes(t, around))}, in clear)", remedy, subject=str(t.name)
        )
        for t in inventory.tables
        if t.name not in known
        and plan.scope.wants(t.name)
        and choose(t, around.server, plan.policy, around).method not in {Method.SKIP, Method.BACKGROUND}
    ]
    found += [
        Finding("tablespace-new", "is not in the plan, and in clear", remedy, subject=t.name)
        for t in inventory.tablespaces
        if t.kind in TABLESPACE_STEPS
        and t.name not in spaces
        and not t.encrypted
        and TableName("", t.name) not in around.owned
        and tablespace_in_scope(t, inventory, plan.scope)
    ]
    schemas = {s.schema_name for s in plan.steps if s.kind == "setting"}
    return [*found, *new_schemas(schemas, inventory, plan.policy, plan.scope)]
