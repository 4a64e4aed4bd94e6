"""The plan: every base table and tablespace accounted for, in the order in which it is run, with its price.

Pure. Nothing that was looked at is left out: what cannot or need not be done has a step that says why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from migrator import __version__
from migrator.model import (
    Finding,
    ForeignKey,
    Inventory,
    Key,
    Method,
    Server,
    Table,
    TableName,
    Tablespace,
    TablespaceKind,
)
from migrator.planner.around import Around, look_around, our_triggers, real_bytes
from migrator.planner.background import background_steps, encrypts_in_background
from migrator.planner.checks import ENCRYPTED_BELOW
from migrator.planner.drift import TABLESPACE_STEPS, definition, tablespace_definition, tablespace_in_scope
from migrator.planner.gates import gates
from migrator.planner.harden import plan_findings, setting_steps
from migrator.planner.keys import key_text
from migrator.planner.methods import Choice, choose
from migrator.planner.order import fits_one_moment, groups, run_order
from migrator.planner.plan import (
    UNCALIBRATED,
    Attestations,
    Calibration,
    Defaults,
    Estimate,
    Facts,
    Plan,
    PlanServer,
    Policy,
    Scope,
    Step,
    Totals,
    fingerprint_of,
)
from migrator.planner.privileges import JOURNAL_SCHEMA
from migrator.planner.relay import at_home
from migrator.planner.units import about
from migrator.sql.story import Said, statements, tablespace


def make_plan(
    inventory: Inventory,
    policy: Policy,
    definitions: Mapping[TableName, str],
    calibration: Calibration | None = None,
    *,
    scope: Scope | None = None,
    defaults: Defaults | None = None,
    attestations: Attestations | None = None,
    owned: Iterable[TableName] = (),
    retained: Mapping[TableName, str] | None = None,
    relays: Mapping[str, TableName] | None = None,
    confirmed: Collection[str] = (),
    journal_schema: str = JOURNAL_SCHEMA,
    tool_version: str = __version__,
) -> Plan:
    """A plan for everything in the inventory that is in scope.

    `definitions` is SHOW CREATE TABLE of the tables that are copied, for the statements that are shown.
    `owned`, `retained` and `relays` are the journal's: names that are provably ours, until when retained tables
    are kept, and which table each tablespace of a relay is for. The plan's findings are those of the gates as of
    now: they are asked again, on the living server, before anything is done.
    """
    scope, defaults, attestations = scope or Scope(), defaults or Defaults(), attestations or Attestations()
    around = look_around(inventory, owned=owned, retained=retained, relays=relays)
    tables = [at_home(t, around) for t in inventory.tables if scope.wants(t.name)]
    of_tables = [_table_step(t, policy, around, definitions, defaults, calibration) for t in tables]
    of_spaces = [
        _tablespace_step(space, inventory, policy, scope, calibration)
        for space in inventory.tablespaces
        if space.kind in TABLESPACE_STEPS
        and TableName("", space.name) not in around.owned  # of a relay that is under way
        and tablespace_in_scope(space, inventory, scope)
    ]
    settings = (
        background_steps(inventory, scope, defaults.workers)
        if encrypts_in_background(inventory.server)
        else setting_steps(inventory, policy, scope)
    )
    steps = run_order([*settings, *of_spaces, *of_tables], defaults.order)
    totals = _totals(steps, defaults, calibration)
    now = gates(
        inventory.server,
        attestations,
        steps=steps,
        schemas=[s for s in inventory.schemas if scope.wants_schema(s.name)],
        confirmed=confirmed,
        journal_schema=journal_schema,
    )
    # Who stands in the way of DDL at this moment says nothing about the moment of the run.
    found = (*(f for f in now if not f.code.startswith("blocker-")), *plan_findings(policy, scope, inventory.server))
    plan = Plan(
        tool_version=tool_version,
        created_at=inventory.read_at,
        server=_server(inventory.server),
        scope=scope,
        policy=policy,
        attestations=attestations,
        defaults=defaults,
        totals=totals,
        findings=found,
        steps=steps,
    )
    too_much = extra_disk(plan)
    return plan.model_copy(update={"findings": (too_much, *found)}) if too_much else plan


def extra_disk(plan: Plan) -> Finding | None:
    """A blocking finding if the plan needs more extra disk at one time than its `max_extra_disk_bytes` allows."""
    limit, peak = (
        plan.defaults.max_extra_disk_bytes,
        _totals(plan.steps, plan.defaults, None).estimate.extra_disk_peak_bytes,
    )
    if limit is None or peak <= limit:
        return None
    return Finding(
        code="extra-disk",
        message=f"the plan needs up to {about(peak)} of extra disk at one time, more than the {about(limit)} allowed",
        remedy="plan fewer tables at a time (databases, tables), cleanup between them, or raise max_extra_disk_bytes",
        blocks=True,
    )


def step_statements(
    table: Table, method: Method, key: Key | None, create_table: str, defaults: Defaults
) -> tuple[Said, ...]:
    """The statements that a step runs, with their locks, as a person would type them, values as `?`."""
    hours = defaults.rollback_hours
    one_moment = fits_one_moment(table, defaults.one_moment_bytes, rollback_hours=hours)
    return statements(table, method, key, create_table, rollback_hours=hours, one_moment=one_moment)


# -- steps ----------------------------------------------------------------------------------------


def _table_step(
    table: Table,
    policy: Policy,
    around: Around,
    definitions: Mapping[TableName, str],
    defaults: Defaults,
    calibration: Calibration | None,
) -> Step:
    choice = choose(table, around.server, policy, around)
    size = real_bytes(table, around)
    lines = definition(table)
    said = step_statements(table, choice.method, choice.key, definitions.get(table.name, ""), defaults)
    return Step(
        kind="table",
        schema_name=table.name.schema,
        table_name=table.name.name,
        tablespace_name=choice.tablespace,
        method=choice.method,
        why=choice.why,
        facts=_facts(table, choice),
        findings=choice.findings,
        estimate=_estimate(choice.method, table, size, defaults, calibration, around.server),
        sql=tuple(one.text for one in said),
        definition=lines,
        fingerprint=fingerprint_of(lines),
    )


def _tablespace_step(
    space: Tablespace, inventory: Inventory, policy: Policy, scope: Scope, calibration: Calibration | None
) -> Step:
    inside = [t for t in inventory.tables if any(s.space == space.space for s in t.segments)]
    is_mysql = space.kind is TablespaceKind.MYSQL
    findings: tuple[Finding, ...] = ()
    if space.encrypted:
        method, why = Method.SKIP, "already encrypted."
        findings = (Finding("already-encrypted", "already encrypted", subject=space.name),)
    elif inventory.server.flavour in ENCRYPTED_BELOW:
        flavour = inventory.server.flavour
        method, why = Method.REFUSE, f"{flavour.upper()} encrypts {ENCRYPTED_BELOW[flavour]}."
        findings = (Finding("not-per-table", why[:-1], f"migrator runbook {flavour}", blocks=True, subject=space.name),)
    elif not (policy.mysql_tablespace if is_mysql else policy.tablespaces):
        option = "mysql-tablespace" if is_mysql else "tablespaces"
        method, why = Method.REFUSE, "the policy leaves it as it is."
        remedy = f"plan again with --{option}"
        findings = (
            Finding("left-by-policy", "the policy leaves it as it is", remedy, blocks=True, subject=space.name),
        )
    else:
        what = f"{len(inside)} {'table' if len(inside) == 1 else 'tables'}"
        if is_mysql:
            what = "the data dictionary and the grants"
        elif scope != Scope():
            what += " in scope, and any others in it are encrypted with them"
        method, why = Method.TABLESPACE, f"holds {what}; encrypted in place, while it is used."
    acts = method is Method.TABLESPACE
    lines = tablespace_definition(space)
    return Step(
        kind="tablespace",
        tablespace_name=space.name,
        method=method,
        why=why,
        facts=Facts(
            engine="InnoDB",
            data_bytes=space.file_bytes,
            tablespace=space.kind,
            tables=tuple(sorted(str(t.name) for t in inside)),
        ),
        findings=findings,
        estimate=_timed(Estimate(bytes_written=space.file_bytes), space.file_bytes, calibration)
        if acts
        else Estimate(),
        sql=tuple(said.text for said in tablespace(space.name, len(inside))) if acts else (),
        definition=lines,
        fingerprint=fingerprint_of(lines),
    )


def _facts(table: Table, choice: Choice) -> Facts:
    mine = our_triggers(table.name)

    def reference(key: ForeignKey) -> str:
        return f"{key.name}: {key.table} -> {key.parent}"

    space = table.segments[0].tablespace if table.tablespace_kind in TABLESPACE_STEPS else ""
    return Facts(
        engine=table.engine,
        rows=table.rows,
        data_bytes=table.data_bytes,
        index_bytes=table.index_bytes,
        row_format=table.row_format,
        chunk_key=key_text(choice.key) if choice.key else "",
        foreign_keys=tuple(reference(k) for k in (*table.foreign_keys, *table.referenced_by)),
        triggers=tuple(f"{t.name} ({t.timing} {t.event})" for t in table.triggers if t.name not in mine),
        checks=tuple(c.name for c in table.checks),
        partitions=len(table.partitions),
        tablespace=" ".join(filter(None, (table.tablespace_kind, space))),
    )


def _server(server: Server) -> PlanServer:
    return PlanServer(
        server_uuid=server.server_uuid,
        version=server.version_text,
        flavour=server.flavour,
        where=f"{server.host}:{server.port}",
    )


# -- order and price ------------------------------------------------------------------------------


def _estimate(
    method: Method, table: Table, size: int, defaults: Defaults, calibration: Calibration | None, server: Server
) -> Estimate:
    if method is Method.SHADOW_COPY:
        # Rows are logged as rows: about the clustered index once more. The log is given up at its limit.
        logged = table.data_bytes if server.variable_is_on("log_bin") else 0
        peak = size + logged + defaults.log_max_bytes
        return _timed(Estimate(bytes_written=size, extra_disk_peak_bytes=peak, binlog_bytes=logged), size, calibration)
    if method is Method.TABLESPACE_RELAY:
        # The old file goes when a move ends. Beside it: the log of the move, and the sort files of its indexes.
        log_bytes = int(server.variables.get("innodb_online_alter_log_max_size") or 0)
        peak = size + table.index_bytes + log_bytes
        return _timed(Estimate(bytes_written=3 * size, extra_disk_peak_bytes=peak), 3 * size, calibration)
    if method in {Method.DIRECT_ALTER, Method.CONVERT}:
        return _timed(Estimate(bytes_written=size, extra_disk_peak_bytes=size), size, calibration)
    return Estimate()


def _timed(estimate: Estimate, size: int, calibration: Calibration | None) -> Estimate:
    if calibration is None:
        return estimate
    return estimate.model_copy(
        update={
            "seconds_low": round(size / calibration.fastest_bytes_per_second, 1),
            "seconds_high": round(size / calibration.slowest_bytes_per_second, 1),
            "calibration": calibration.basis,
        }
    )


def _totals(steps: Collection[Step], defaults: Defaults, calibration: Calibration | None) -> Totals:
    """Sums, and the peak of extra disk: what steps keep (retained tables, binlog) plus what is needed beyond that by
    those at work, at most."""
    acting = [s for s in steps if s.changes_something]
    kept = peak = 0
    for group in groups(run_order(acting, defaults.order), defaults.small_tables_at_once):
        kept_of = {s.name: _kept_bytes(s) for s in group}
        beyond = sorted((s.estimate.extra_disk_peak_bytes - kept_of[s.name] for s in group), reverse=True)
        kept += sum(kept_of.values())
        peak = max(peak, kept + sum(beyond[: defaults.small_tables_at_once]))
    low = [s.estimate.seconds_low for s in acting if s.estimate.seconds_low is not None]
    high = [s.estimate.seconds_high for s in acting if s.estimate.seconds_high is not None]
    return Totals(
        tables=sum(s.kind == "table" for s in steps),
        tablespaces=sum(s.kind == "tablespace" for s in steps),
        by_method=dict(sorted(Counter(str(s.method) for s in steps).items())),
        bytes_to_do=sum(_bytes(s) for s in acting),
        bytes_refused=sum(_bytes(s) for s in steps if s.method is Method.REFUSE),
        estimate=Estimate(
            bytes_written=sum(s.estimate.bytes_written for s in acting),
            extra_disk_peak_bytes=peak,
            binlog_bytes=sum(s.estimate.binlog_bytes for s in acting),
            seconds_low=round(sum(low), 1) if calibration else None,
            seconds_high=round(sum(high), 1) if calibration else None,
            calibration=calibration.basis if calibration else UNCALIBRATED,
        ),
    )


def _kept_bytes(step: Step) -> int:
    return step.estimate.bytes_written + step.estimate.binlog_bytes if step.method is Method.SHADOW_COPY else 0


def _bytes(step: Step) -> int:
    return step.facts.data_bytes + step.facts.index_bytes
