"""The command that takes a swap back. Made a command in `cli`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from migrator.cli_call import Call, output, stoppable
from migrator.cli_options import PlainFormat
from migrator.clock import SystemClock


def rollback(
    call: Call,
    table: Annotated[str, typer.Argument(metavar="TABLE", help="The table, as schema.table.")],
    forget: Annotated[
        bool,
        typer.Option("--forget", help="Only end the keeping current: the swap stays, for good."),
    ] = False,
    only_show: Annotated[bool, typer.Option("--dry-run", help="Only say whether it can be done.")] = False,
    format: PlainFormat = "table",
) -> int:
    """Take a swap back: the old table, in clear, with all that was written since.

    For tables of a plan with rollback_hours, while they are kept current. Every row is compared first.
    """
    from migrator.engine.rollback import RollbackOptions
    from migrator.engine.rollback import rollback as take_back
    from migrator.report.progress import progress
    from migrator.report.rolled import rollback_json, rollback_text

    shown = progress(sys.stderr, SystemClock())
    options = RollbackOptions(table, forget=forget, dry_run=only_show)
    try:
        with call.session("rollback") as session, stoppable(call.stop):
            taken = take_back(session, options, shown, call.stop)
    finally:
        shown.close()
    output(None).write(rollback_json(taken) if format == "json" else rollback_text(taken))
    return 0
