"""What is not a table and lets rows lie in clear: logs, and how new tables are born. Steps of their own, if asked for.

Pure. A plan has such steps only with `harden` in its policy (`plan --harden`). The logs come first of all, since every
row that is copied is written to them; the check of privileges comes last, since it can refuse what applications do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from migrator.model import Finding, Inventory, Member, Method, Schema, Server
from migrator.planner.background import all_in_background, background_definition, encrypts_in_background
from migrator.planner.plan import IN_BACKGROUND, SCHEMA_DEFAULT, Estimate, Policy, Scope, Step, fingerprint_of
from migrator.sql.settings import BINLOG, DEFAULT, PRIVILEGE_CHECK, REDO, UNDO, encrypt_new_tables, switch_on
from migrator.sql.story import Said, in_background, schema_default, setting

_OFF: Final = frozenset({"", "OFF", "0", "FALSE"})
"""Percona Server knows other words than ON for some of them (MASTER_KEY)."""

_PERSISTS: Final = "set by: SET PERSIST"

MEASURED: Final = "MySQL 9.7.4 on two cores"

SCHEMA_SECONDS: Final = (0.001, 0.2)
"""What ALTER SCHEMA took on a quiet machine, and on one whose disk was busy, whatever the number of tables."""

TABLE_SECONDS: Final = (0.00015, 0.0008)
"""And for each table in it (up to 3,000 on the quiet one, 1,000 on the busy one)."""


@dataclass(frozen=True, slots=True)
class _Variable:
    word: str
    why: str


_VARIABLES: Final = {
    BINLOG: _Variable("binlog", "the copy writes every row to the binary log; relay logs are encrypted with it."),
    REDO: _Variable("redo", "the copy writes every row to the redo log."),
    UNDO: _Variable("undo", "old values of rows lie in the undo tablespaces."),
    DEFAULT: _Variable("default", "new schemas and general tablespaces are born encrypted."),
    PRIVILEGE_CHECK: _Variable("privilege-check", "nobody but TABLE_ENCRYPTION_ADMIN goes against these defaults."),
}
"""In the order in which they are switched on; schemas come before `default_table_encryption`."""

LOGS: Final = frozenset({BINLOG, REDO, UNDO})
"""While one of these is off, what is copied is written in clear: so a plan that takes it for on is void then."""


def is_on(server: Server, variable: str) -> bool:
    """True if the variable is on; also by a word of Percona Server's."""
    return value_is_on(server.variables.get(variable, ""))


def value_is_on(value: str) -> bool:
    """True if the value of a variable says so."""
    return value.upper() not in _OFF


def persists(server: Server) -> bool:
    """True if SET PERSIST lasts: the server reads what was persisted when it starts."""
    return server.variables.get("persisted_globals_load", "ON").upper() not in _OFF


def comes_last(step: Step) -> bool:
    """True for what waits until everything else of the plan is done."""
    return step.setting_name == PRIVILEGE_CHECK


def setting_steps(inventory: Inventory, policy: Policy, scope: Scope) -> Iterator[Step]:
    """A step for each thing that the policy names and this server has, in the order in which they are done."""
    for variable, of in _VARIABLES.items():
        if variable == DEFAULT and "schemas" in policy.harden and not scope.tables:
            yield from (
                _of_schema(schema, inventory) for schema in inventory.schemas if scope.wants_schema(schema.name)
            )
        if of.word in policy.harden and variable in inventory.server.variables and _used(inventory.server, variable):
            yield _of_variable(variable, of, inventory.server)


def plan_findings(policy: Policy, scope: Scope, server: Server) -> tuple[Finding, ...]:
    """What of `harden` this scope, or this server, leaves out."""
    if policy.harden and encrypts_in_background(server):
        message = "the settings of MariaDB's logs and temporary files want a restart, so no step sets them"
        return (Finding("harden-by-hand", message, "migrator audit has the lines for the option file"),)
    if "schemas" not in policy.harden or not scope.tables:
        return ()
    message = "the plan is for certain tables, so it changes no schema's default"
    return (Finding("schemas-left", message, "plan by --databases, or for everything"),)


def _used(server: Server, variable: str) -> bool:
    return variable != BINLOG or server.variable_is_on("log_bin")


def _of_variable(variable: str, of: _Variable, server: Server) -> Step:
    lines = variable_definition(variable, server)
    name = f"@@{variable}"
    if is_on(server, variable):
        on = [Finding("already-on", "is on", subject=name)]
        if variable in server.fleeting:
            on.append(not_persisted(variable, "it was set while the server runs, and nothing says so to the next one"))
        return _step(variable, Method.SKIP, "already on.", tuple(on), (), lines)
    statement = switch_on(variable, persist=persists(server))
    estimate = Estimate(seconds_low=0.0, seconds_high=0.1, calibration=MEASURED)
    found = tuple(_about_variable(variable, server))
    return _step(variable, Method.SETTING, of.why, found, (statement.shown,), lines, estimate)


def setting_said(step: Step, workers: int) -> tuple[Said, ...]:
    """What `apply` runs for the step, with its locks; and what is left to a person afterwards."""
    if step.schema_name:
        return schema_default(step.schema_name)
    if step.setting_name == IN_BACKGROUND:
        return in_background(step.workers or workers)
    return setting(step.setting_name, persist=is_persisted_by(step))


def is_persisted_by(step: Step) -> bool:
    """True if the step was reviewed as one that lasts."""
    return _PERSISTS in step.definition


def _about_variable(variable: str, server: Server) -> Iterator[Finding]:
    name = f"@@{variable}"
    if not persists(server):
        yield not_persisted(variable, "persisted_globals_load is OFF: what SET PERSIST says is not read at the start")
    if variable in LOGS:  # each by itself, seen on 9.7.4
        message = "from then on the server needs the keyring to start at all, and not only to open encrypted tables"
        yield Finding(
            "needs-keyring", message, "have the keyring there at each start, and after a restore", subject=name
        )
    if variable == BINLOG:
        message = "binary logs that are there stay in clear"
        remedy = (
            "afterwards, when no replica and no backup needs them: PURGE BINARY LOGS; the summary has the statement"
        )
        yield Finding("old-binlogs", message, remedy, subject=name)
    if variable == UNDO:
        message = "undo pages that are there stay in clear until their tablespace is emptied"
        remedy = "afterwards: ALTER UNDO TABLESPACE ... SET INACTIVE; the summary has the statements"
        yield Finding("old-undo", message, remedy, subject=name)
    if variable == PRIVILEGE_CHECK:
        message = (
            "applications that make tables, schemas or tablespaces in clear where the default is to encrypt, or the"
            " other way round, get errors 3826 to 3830 from then on"
        )
        remedy = "let them leave ENCRYPTION out, or grant them TABLE_ENCRYPTION_ADMIN; else edit this step to skip"
        yield Finding("may-refuse-create", message, remedy, subject=name)
    if server.members:
        message = f"does not replicate: {_names(server.members)} stay as they are"
        remedy = f"on each of them: {switch_on(variable, persist=True).shown}"
        yield Finding("on-each-server", message, remedy, subject=name)


def not_persisted(variable: str, why: str) -> Finding:
    """The setting lasts until the next start only; with the lines that make it last."""
    remedy = f"in my.cnf, under [mysqld]: {variable} = ON"
    return Finding("not-persisted", f"it lasts until the next start only: {why}", remedy, subject=f"@@{variable}")


def _names(members: Collection[Member]) -> str:
    return ", ".join(sorted(member.name or "replicas that nobody can name" for member in members))


def _of_schema(schema: Schema, inventory: Inventory) -> Step:
    lines = schema_definition(schema)
    name = f"schema {schema.name}"
    if schema.default_encryption:
        on = Finding("already-on", "new tables are born encrypted", subject=name)
        return _step(SCHEMA_DEFAULT, Method.SKIP, "already on.", (on,), (), lines, schema=schema.name)
    inside = len({n for n in inventory.names if n.schema == schema.name})
    low, high = (once + each * inside for once, each in zip(SCHEMA_SECONDS, TABLE_SECONDS, strict=True))
    message = f"nobody uses its {inside} tables and views meanwhile: {low * 1000:.0f} to {high * 1000:.0f} ms, about"
    found = [Finding("schema-moment", message, "a quiet time; else edit this step to skip", subject=name)]
    if inventory.server.members:
        message = f"replicates, and is done in the same way on {_names(inventory.server.members)}, by their appliers"
        remedy = "a time at which nobody has long transactions there"
        found.append(Finding("schema-on-replicas", message, remedy, subject=name))
    statement = encrypt_new_tables(schema.name)
    why = "new tables are born encrypted; those that are there have steps of their own."
    estimate = Estimate(seconds_low=round(low, 3), seconds_high=round(high, 3), calibration=MEASURED)
    return _step(
        SCHEMA_DEFAULT, Method.SETTING, why, tuple(found), (statement.shown,), lines, estimate, schema=schema.name
    )


def _step(
    name: str,
    method: Method,
    why: str,
    findings: tuple[Finding, ...],
    sql: tuple[str, ...],
    lines: tuple[str, ...],
    estimate: Estimate | None = None,
    *,
    schema: str = "",
) -> Step:
    return Step(
        kind="setting",
        setting_name=name,
        schema_name=schema,
        method=method,
        why=why,
        findings=findings,
        estimate=estimate or Estimate(),
        sql=sql,
        definition=lines,
        fingerprint=fingerprint_of(lines),
    )


# -- drift ------------------------------------------------------------------------------------------


def variable_definition(variable: str, server: Server) -> tuple[str, ...]:
    """What must still be so when the plan is run."""
    value = f"value: {'ON' if is_on(server, variable) else 'OFF'}"
    return (value, _PERSISTS if persists(server) else "set by: SET GLOBAL")


def schema_definition(schema: Schema) -> tuple[str, ...]:
    """The same for the default of a schema."""
    return (f"default encryption: {'YES' if schema.default_encryption else 'NO'}",)


def setting_drift(step: Step, inventory: Inventory, changes: tuple[str, ...] | None) -> list[Finding]:
    """What is no longer as it was reviewed; `changes` of its definition, None where the thing is gone."""
    acts = step.changes_something
    if changes is None:
        return [Finding("setting-gone", "is not there any more", "nothing is done with it", subject=step.name)]
    if setting_is_on(step, inventory):
        return [Finding("encrypted-meanwhile", "is on by now", subject=step.name)] if acts else []
    if step.method is Method.SKIP and any(f.code == "already-on" for f in step.findings):
        if step.setting_name in LOGS:
            message = "was on when the plan was made, and is off now: what is copied would be written in clear"
            remedy = "find out why; then plan again"
            return [Finding("log-in-clear-now", message, remedy, blocks=True, subject=step.name)]
        return [
            Finding("in-clear-now", "was on when the plan was made, and is off now", "plan again", subject=step.name)
        ]
    if step.method is Method.SKIP and step.setting_name == IN_BACKGROUND:
        message = "tables lie in clear, and the plan says to skip it"
        return [Finding("skipped-in-clear", message, "plan again to encrypt them", subject=step.name)]
    if not changes:
        return []
    return [
        Finding("setting-changed", "; ".join(changes), "plan again, and review that", blocks=acts, subject=step.name)
    ]


def definition_now(step: Step, inventory: Inventory) -> tuple[str, ...] | None:
    """As it would be written into a plan now; None where the thing is gone."""
    if step.setting_name == IN_BACKGROUND:
        return background_definition(inventory.server)
    if not step.schema_name:
        server = inventory.server
        there = step.setting_name in server.variables and _used(server, step.setting_name)
        return variable_definition(step.setting_name, server) if there else None
    schema = next((one for one in inventory.schemas if one.name == step.schema_name), None)
    return schema_definition(schema) if schema else None


def setting_is_on(step: Step, inventory: Inventory) -> bool:
    """True if it is as the step wants it."""
    if step.setting_name == IN_BACKGROUND:
        return all_in_background(inventory)
    if not step.schema_name:
        return is_on(inventory.server, step.setting_name)
    return any(one.name == step.schema_name and one.default_encryption for one in inventory.schemas)


def new_schemas(known: Collection[str], inventory: Inventory, policy: Policy, scope: Scope) -> list[Finding]:
    """Schemas that the plan does not know, in which new tables are born in clear."""
    if "schemas" not in policy.harden or scope.tables or encrypts_in_background(inventory.server):
        return []
    remedy = "plan again to have it done; this plan leaves it as it is"
    return [
        Finding("schema-new", "is not in the plan, and its new tables are born in clear", remedy, subject=schema.name)
        for schema in inventory.schemas
        if schema.name not in known and not schema.default_encryption and scope.wants_schema(schema.name)
    ]
