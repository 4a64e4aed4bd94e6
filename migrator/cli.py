"""The command line: one function a command. Each parses, calls, renders and gives the exit code; no logic, no SQL.

What a command works with is imported inside it, so that --help and a wrong option answer at once.
Results go to stdout or to -o, everything else to stderr. `cli_call` has what goes wrong, `cli_options`
the options that commands share.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal

import typer

from migrator import __version__
from migrator.cli_apply_options import HookCommands, HookMustSucceed, HookTimeout, MetricsPath
from migrator.cli_call import BUG, Call, output, say, signal_code, stoppable, tell_result, to_nowhere
from migrator.cli_options import (
    Accept,
    AttestKeyring,
    AttestKeyringBackup,
    Budget,
    ChunkTime,
    Convert,
    Databases,
    DirectBelow,
    EndWhenReady,
    FailoverFrom,
    Harden,
    IgnoreDatabases,
    IgnoreTables,
    KillBlockersAfter,
    Line,
    MaxExtraDisk,
    MaxFailures,
    MaxTables,
    MysqlTablespace,
    OutputFile,
    OutsideWindow,
    PlainFormat,
    PlanFile,
    PostponeSwap,
    Relay,
    RetainDays,
    RollbackHours,
    TableFormat,
    Tables,
    Tablespaces,
    Windows,
    Workers,
    attestations_of,
    check_plan_scope,
    check_scope,
    connected,
    harden_of,
    made,
    scope_of,
)
from migrator.cli_password import hide_from_ps, out_of_the_environment, without_password
from migrator.cli_report import report
from migrator.cli_rollback import rollback
from migrator.cli_rotate import rotate_key
from migrator.cli_runbook import beside_plan, runbook
from migrator.cli_tell import pause, status, unpause, verify
from migrator.cli_throttle import Limits, set_wishes, with_limits
from migrator.clock import SystemClock
from migrator.errors import Failed, MigratorError, Stopped, UsageError

app = typer.Typer(
    name="migrator",
    help="Encrypts the tables of a live MySQL server online, and proves that it did."
    "\n\nThe usual way: audit, plan -o FILE, dry-run FILE, apply FILE, verify, and after some days cleanup.",
    epilog="Exit codes: 0 done; 1 done, but something was refused, left or is in clear; 2 usage or a bad plan;"
    " 3 failed, source intact, safe to run again; 4 a person must look; 70 a bug in migrator; 75 stopped"
    " by a window, a budget, or because another run is at work: run again later; 129, 130 or 143 interrupted,"
    " safe to run again.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"max_content_width": 100},
)


def _version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"migrator {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=lambda value: _version(wanted=value), is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    pass


# -- look -------------------------------------------------------------------------------------


@app.command()
@connected
def audit(
    call: Call,
    databases: Databases = None,
    tables: Tables = None,
    ignore_databases: IgnoreDatabases = None,
    ignore_tables: IgnoreTables = None,
    accept: Accept = None,
    format: TableFormat = "table",
    file: OutputFile = None,
) -> int:
    """Show what lies in clear, and how it would be encrypted.

    Every place where data lies: keyring, tables, logs, temporary files, defaults, host, copies. Each with what was
    read, and what closes it; every table with its method and why.

    Reads only. Exit code 1 if a table is in clear, or a place is open that is not accepted.
    """
    from migrator.cli_audit import accepted_of, read_all
    from migrator.cli_plan import read_ours
    from migrator.inventory import read_inventory, unreadable
    from migrator.planner.around import look_around, real_bytes
    from migrator.planner.gates import gates
    from migrator.planner.methods import choose
    from migrator.planner.plan import Attestations, Policy
    from migrator.planner.posture import places
    from migrator.report.audit import audit_exit_code, audit_html, audit_json, audit_of, audit_text

    out, accepted = output(file), accepted_of(accept)
    scope = scope_of(databases, tables, ignore_databases, ignore_tables)
    with call.session("audit") as session:
        inventory, ours = read_inventory(session, wanted=scope.wants), read_ours(session)
        posture = read_all(session, inventory.server, ours)
    check_scope(scope, inventory)
    around = look_around(inventory, owned=ours.owned, retained=ours.retained, relays=ours.relays)
    findings = gates(inventory.server, Attestations(), schemas=inventory.schemas)
    findings += unreadable(inventory.server, inventory.tables)
    value = audit_of(
        inventory,
        findings,
        places(inventory, posture),
        accepted=accepted,
        choose=lambda table: choose(table, inventory.server, Policy(), around),
        size_of=lambda table: real_bytes(table, around),
    )
    out.write({"table": audit_text, "json": audit_json, "html": audit_html}[format](value))
    return audit_exit_code(value)


# -- decide -----------------------------------------------------------------------------------


@app.command()
@connected
@with_limits
def plan(
    call: Call,
    limits: Limits,
    file: OutputFile = None,
    databases: Databases = None,
    tables: Tables = None,
    ignore_databases: IgnoreDatabases = None,
    ignore_tables: IgnoreTables = None,
    direct_below: DirectBelow = None,
    tablespaces: Tablespaces = None,
    mysql_tablespace: MysqlTablespace = None,
    convert: Convert = None,
    relay: Relay = None,
    harden: Harden = None,
    window: Windows = None,
    workers: Workers = None,
    chunk_time: ChunkTime = None,
    retain_days: RetainDays = None,
    rollback_hours: RollbackHours = None,
    max_extra_disk: MaxExtraDisk = None,
    max_failures: MaxFailures = None,
    attest_keyring_backup: AttestKeyringBackup = None,
    attest_keyring: AttestKeyring = None,
) -> int:
    """Write a plan of what will be done, to be reviewed.

    A YAML file with every table: what is done with it and why, what it costs. To be edited, too.

    Reads only. Exit code 1 if the plan refuses a table.
    """
    from migrator.cli_plan import read_and_plan
    from migrator.planner.file import plan_text
    from migrator.planner.plan import Defaults, Policy
    from migrator.report.planned import planned_exit_code, planned_lines

    out = output(file)
    scope = scope_of(databases, tables, ignore_databases, ignore_tables)
    policy = made(
        Policy,
        direct_below_bytes=direct_below,
        tablespaces=tablespaces,
        mysql_tablespace=mysql_tablespace,
        convert=convert,
        relay=relay,
        harden=harden_of(harden),
    )
    defaults = made(
        Defaults,
        windows=tuple(window) if window else None,
        max_failures=max_failures,
        workers=workers,
        chunk_time_seconds=chunk_time,
        retain_days=retain_days,
        rollback_hours=rollback_hours,
        max_extra_disk_bytes=max_extra_disk,
        **limits,
    )
    attestations = attestations_of(attest_keyring_backup, attest_keyring)
    with call.session("plan") as session:
        inventory, value = read_and_plan(session, policy, scope=scope, defaults=defaults, attestations=attestations)
        check_scope(scope, inventory)
        out.write(plan_text(value))
        instead = beside_plan(session, inventory.server, out.file and file)
    for line in planned_lines(value, "" if out.file is None else str(file), instead):
        say(line)
    return planned_exit_code(value)


@app.command(name="dry-run")
@connected
def dry_run(
    call: Call,
    plan_file: PlanFile,
    format: Annotated[
        Literal["text", "markdown", "html", "json"], typer.Option("--format", help="How it looks.")
    ] = "text",
    file: OutputFile = None,
    attest_keyring_backup: AttestKeyringBackup = None,
    attest_keyring: AttestKeyring = None,
    failover_from: FailoverFrom = None,
) -> int:
    """Review a plan: drift, gates, statements, locks, a rehearsal.

    Each step is rehearsed on an empty twin, which is removed again; the tables themselves are only read.
    The exit code is what apply would end with if all went well.
    """
    from migrator.engine.rehearse import rehearse
    from migrator.planner.failover import former_of
    from migrator.planner.file import read_plan
    from migrator.report.progress import progress
    from migrator.report.review import review_exit_code, review_html, review_json, review_markdown, review_text

    out = output(file)
    value = read_plan(plan_file)
    attestations = attestations_of(attest_keyring_backup, attest_keyring, before=value.attestations)
    shown = progress(sys.stderr, SystemClock())
    try:
        with call.session("dry-run") as session, stoppable(call.stop):
            review = rehearse(
                session,
                value,
                attestations=attestations,
                plan_name=str(plan_file),
                listen=shown,
                stop=call.stop,
                failover_from=former_of(failover_from) if failover_from else None,
            )
            if call.stop.number:
                raise Stopped("stopped; the twins are removed, and nothing was reviewed to the end")
    finally:
        shown.close()
    render = {"text": review_text, "markdown": review_markdown, "html": review_html, "json": review_json}
    out.write(render[format](review))
    return review_exit_code(review)


# -- do ---------------------------------------------------------------------------------------


@app.command()
@connected
@with_limits
def apply(
    call: Call,
    limits: Limits,
    plan_file: PlanFile,
    workers: Workers = None,
    chunk_time: ChunkTime = None,
    max_extra_disk: MaxExtraDisk = None,
    outside_window: OutsideWindow = "exit",
    budget: Budget = None,
    max_tables: MaxTables = None,
    max_failures: MaxFailures = None,
    databases: Databases = None,
    tables: Tables = None,
    ignore_databases: IgnoreDatabases = None,
    ignore_tables: IgnoreTables = None,
    postpone_swap: PostponeSwap = None,
    end_when_ready: EndWhenReady = False,
    kill_blockers_after: KillBlockersAfter = None,
    attest_keyring_backup: AttestKeyringBackup = None,
    attest_keyring: AttestKeyring = None,
    failover_from: FailoverFrom = None,
    events: Annotated[
        bool, typer.Option("--events", help="Stream what happens as JSON lines to stdout; the summary goes to stderr.")
    ] = False,
    hook: HookCommands = None,
    hook_timeout: HookTimeout = None,
    hook_must_succeed: HookMustSucceed = False,
    metrics_file: MetricsPath = None,
    format: Annotated[Literal["text", "json"], typer.Option("--format", help="How the summary looks.")] = "text",
) -> int:
    """Do what a plan says, or go on where a run stopped.

    Table by table, while the applications use them. SIGINT, SIGTERM and SIGHUP stop it at the next safe point;
    the same command again goes on.
    """
    from migrator.cli_listen import Listeners, listening
    from migrator.engine.apply import ApplyOptions
    from migrator.engine.apply import apply as apply_plan
    from migrator.planner.failover import former_of
    from migrator.planner.file import read_plan
    from migrator.planner.plan import Defaults
    from migrator.report.summary import summary_json, summary_text, way_out

    told = listening(events, hook, hook_timeout, hook_must_succeed, metrics_file)
    value = read_plan(plan_file)
    wanted = scope_of(databases, tables, ignore_databases, ignore_tables)
    check_plan_scope(wanted, value)
    options = ApplyOptions(
        workers=workers,
        chunk_time_seconds=chunk_time,
        max_extra_disk_bytes=max_extra_disk,
        max_failures=max_failures,
        limits=limits,
        outside_window=outside_window,
        budget_seconds=budget,
        max_tables=max_tables,
        wanted=wanted,
        postpone_swap=postpone_swap,
        end_when_ready=end_when_ready,
        kill_blockers_after_seconds=made(
            Defaults, kill_blockers_after_seconds=kill_blockers_after
        ).kill_blockers_after_seconds,
        attestations=attestations_of(attest_keyring_backup, attest_keyring, before=value.attestations),
        failover_from=former_of(failover_from) if failover_from else None,
    )
    listeners = Listeners(told, call.stop)
    try:
        with listeners.hearing() as listen, call.session("apply") as session, stoppable(call.stop):
            ends_with = partial(signal_code, call.stop)
            outcome = apply_plan(session, value, options, listen, call.stop, ends_with=ends_with)
    except MigratorError as error:
        if listeners.began and error.exit_code in {3, 4}:
            listeners.shown.close()
            say(way_out(error.exit_code))
        raise
    finally:
        listeners.close()
    text = summary_json(outcome) if format == "json" else summary_text(outcome, str(plan_file))
    tell_result(text, sys.stderr if events else sys.stdout)
    return listeners.exit_code(outcome.exit_code)


@app.command()
@connected
def cleanup(
    call: Call,
    tables: Annotated[
        list[str] | None, typer.Option("--table", metavar="A.T", help="Only what belongs to this table. Repeatable.")
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="Drop retained tables before their deadline, too.")] = False,
    only_show: Annotated[bool, typer.Option("--dry-run", help="Only show what would be dropped.")] = False,
    abandon: Annotated[
        list[str] | None,
        typer.Option(
            "--abandon", metavar="A.T", help="Give up this unfinished table: drop what was built. Repeatable."
        ),
    ] = None,
    format: PlainFormat = "table",
) -> int:
    """Drop what runs left and the journal proves to be ours.

    Retained tables past their deadline; triggers go first. Exit code 1 if a retained table, in clear, is kept.
    """
    from migrator.engine.cleanup import CleanupOptions
    from migrator.engine.cleanup import cleanup as clean_up
    from migrator.report.cleaned import Cleanup, cleanup_exit_code, cleanup_json, cleanup_text
    from migrator.report.progress import progress

    options = CleanupOptions(tables=tuple(tables or ()), now=now, dry_run=only_show, abandon=tuple(abandon or ()))
    with call.session("cleanup") as session, stoppable(call.stop):
        cleaned = Cleanup(clean_up(session, options, progress(sys.stderr, SystemClock()), call.stop))
    output(None).write(cleanup_json(cleaned) if format == "json" else cleanup_text(cleaned))
    return cleanup_exit_code(cleaned)


app.command()(connected(rollback))
app.command(name="rotate-key")(connected(rotate_key))


# -- tell -------------------------------------------------------------------------------------

for told in (status, pause, unpause, verify, report):
    app.command()(connected(told))
app.command(name="set")(connected(set_wishes))
app.command()(connected(runbook))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; gives the exit code. Without `arguments` those of the process."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    given = list(sys.argv[1:] if arguments is None else arguments)
    kept, password = without_password(given)
    inherited = None
    if arguments is None:
        hide_from_ps(given)
        inherited = out_of_the_environment()
    line = Line(password, inherited)
    try:
        app(args=kept, prog_name="migrator", obj=line)
    except SystemExit as ended:
        if line.exit_code is not None:
            return line.exit_code
        # typer ended before a command began. It says 1 where it cannot print, and we never mean that by 1.
        return UsageError.exit_code if ended.code not in {0, 130} else int(ended.code or 0)
    except OSError as error:
        say(f"error: cannot write to stdout: {error.strerror}")
        to_nowhere(sys.stdout)
        return Failed.exit_code
    return BUG
