"""Options that only `apply` has, for whoever calls it by a schedule."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from migrator.cli_options import as_unit
from migrator.planner.units import seconds_of

HookCommands = Annotated[
    list[str] | None,
    typer.Option(
        "--hook",
        metavar="COMMAND",
        help="Call this with each event that matters, as JSON on its stdin (docs/events.md). Repeatable.",
    ),
]
HookTimeout = Annotated[
    Any,
    typer.Option(
        "--hook-timeout",
        metavar="TIME",
        help="End a hook that takes longer, and all that it started. Default: 30 s.",
        parser=as_unit(seconds_of),
    ),
]
HookMustSucceed = Annotated[
    bool,
    typer.Option(
        "--hook-must-succeed",
        help="A hook that fails ends the run: with 3 before any change if it fails at the start, else at the next safe"
        " point with 75.",
    ),
]
MetricsPath = Annotated[
    Path | None,
    typer.Option(
        "--metrics-file",
        metavar="FILE",
        help="Keep this file current with metrics for Prometheus's textfile collector (docs/metrics.md).",
    ),
]
