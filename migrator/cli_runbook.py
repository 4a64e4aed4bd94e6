"""The command that writes runbooks, and what `plan` does where no plan of ours can be carried out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from migrator.cli_call import Call, output, say
from migrator.cli_options import OutputFile
from migrator.clock import SystemClock

# typer reads the annotations of commands when it is called.
from migrator.report.runbook import Kind

if TYPE_CHECKING:
    from migrator.db import Session
    from migrator.model import Server


def runbook(
    call: Call,
    kind: Annotated[Kind, typer.Argument(metavar="luks|rds|aurora|ndb|pxc", help="What it is for.")],
    blank: Annotated[
        bool, typer.Option("--blank", help="Ask no server: everything is left to be filled in by hand.")
    ] = False,
    file: OutputFile = None,
) -> int:
    """Write a runbook for what migrator does not do itself.

    Commands and statements in order, with their manual pages, filled with what the server says: names, version,
    sizes, tables. Markdown. Reads only.
    """
    from migrator.inventory.facts import read_facts
    from migrator.report.runbook import runbook_text

    out = output(file)
    facts = None
    if not blank:
        with call.session("runbook") as session:
            facts = read_facts(session)
    out.write(runbook_text(kind, facts, made_at=_now()))
    return 0


def beside_plan(session: Session, server: Server, plan_file: Path | None) -> str:
    """Where a plan cannot be carried out on this server: write the runbook beside it, and give the file's name.

    '' where none is needed. With the plan on stdout it is only said how to get one.
    """
    from migrator.inventory.facts import read_facts
    from migrator.report.runbook import runbook_kind, runbook_text

    kind = runbook_kind(server.flavour, galera=server.wsrep_on)
    if kind is None:
        return ""
    if plan_file is None:
        say(f"no plan can be carried out on this server; what does it there: migrator runbook {kind}")
        return ""
    place = plan_file.with_suffix(".runbook.md")
    output(place).write(runbook_text(kind, read_facts(session), made_at=_now()))
    say(f"no plan can be carried out on this server; what does it there: {place}")
    return str(place)


def _now() -> str:
    return SystemClock().now().strftime("%Y-%m-%d %H:%M UTC")
