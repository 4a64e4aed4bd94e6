"""The commands that only tell: where a run is, what is proved; and pause, which only asks. Made commands in `cli`."""

from __future__ import annotations

from typing import Annotated

import typer

from migrator.cli_call import Call, output, say
from migrator.cli_files import CanaryFile, DatadirHere, Files, LookAgain, Sample, prove_in_files, wish_of
from migrator.cli_options import (
    Databases,
    IgnoreDatabases,
    IgnoreTables,
    OutputFile,
    PlainFormat,
    TableFormat,
    Tables,
    check_scope,
    scope_of,
)
from migrator.cli_watch import watched
from migrator.errors import UsageError


def status(
    call: Call,
    watch: Annotated[
        bool, typer.Option("--watch", help="Follow the run until it has ended; `q` ends the view, and not the run.")
    ] = False,
    format: PlainFormat = "table",
) -> int:
    """Show where the latest run is.

    Reads the journal on the server: from any host, while it runs or afterwards.
    """
    from migrator.engine.status import read_status
    from migrator.report.status import status_json, status_text

    with call.session("status") as session:
        if watch:
            return watched(session, call.stop, as_json=format == "json")
        report = read_status(session)
        output(None).write(status_json(report) if format == "json" else status_text(report))
        return 0


def pause(call: Call) -> int:
    """Ask the run to pause at its next safe point.

    From any host; writes the journal only. Where no run is at work the next one waits, until unpause.
    """
    return _set_paused(call, "pause", paused=True)


def unpause(call: Call) -> int:
    """Let a paused run go on.

    From any host; writes the journal only.
    """
    return _set_paused(call, "unpause", paused=False)


def _set_paused(call: Call, command: str, *, paused: bool) -> int:
    from migrator.engine.journal import Journal
    from migrator.engine.status import read_status
    from migrator.report.status import at_work

    journal = Journal()
    with call.session(command) as session:
        if not journal.exists(session):
            raise UsageError("no run was ever recorded on this server", remedy="check which server this is")
        journal.pause(session, paused=paused)
        working = at_work(read_status(session, journal))
    if working:
        say("the run pauses at its next safe point" if paused else "the run goes on")
    elif paused:
        say("no run is at work; the next one will wait before it begins, until: migrator unpause")
    else:
        say("no run is at work; the next one will not wait")
    return 0


def verify(
    call: Call,
    databases: Databases = None,
    tables: Tables = None,
    ignore_databases: IgnoreDatabases = None,
    ignore_tables: IgnoreTables = None,
    files: Files = False,
    datadir: DatadirHere = None,
    sample: Sample = None,
    look_again: LookAgain = None,
    canary: CanaryFile = None,
    format: TableFormat = "table",
    file: OutputFile = None,
) -> int:
    """Prove what is encrypted, table by table: by the catalog, and by the pages of the files.

    Reads only. Exit code 1 if anything is in clear, or with --files could not be proved; 4 if a file is not
    what the catalog says.
    """
    from migrator.engine.verify_state import verify as prove
    from migrator.inventory import read_inventory
    from migrator.report.values import server_id
    from migrator.report.verify import Verification, verify_exit_code, verify_html, verify_json, verify_text

    out = output(file)
    scope = scope_of(databases, tables, ignore_databases, ignore_tables)
    wish = wish_of(scope, files=files, datadir=datadir, sample=sample, look_again=look_again, canary=canary)
    with call.session("verify") as session:
        inventory = read_inventory(session, wanted=scope.wants)
        check_scope(scope, inventory)
        proofs = prove(session, scope, inventory)
        found = prove_in_files(session, inventory, wish, call.stop) if wish else None
    verification = Verification(server_id(inventory.server), inventory.read_at, proofs, found)
    out.write({"table": verify_text, "json": verify_json, "html": verify_html}[format](verification))
    return verify_exit_code(verification)
