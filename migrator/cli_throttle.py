"""The options of the throttle, which `plan` and `apply` share; and `set`. Made a command in `cli`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

import typer

from migrator.cli_call import Call, output, say
from migrator.cli_options import in_seconds, made, option, unit
from migrator.errors import UsageError
from migrator.planner.plan import Defaults
from migrator.planner.units import bytes_of

Limits = Mapping[str, object]
"""What was given of these options, by the names of the plan's defaults; checked."""

THROTTLE: Final = (
    option(
        "max_load", str | None, None, "--max-load", metavar="NAME=N,...",
        help="Status counters beyond which nothing is begun. Default: Threads_running=25, or the plan's.",
    ),
    option(
        "critical_load", str | None, None, "--critical-load", metavar="NAME=N,...",
        help="Status counters beyond which the run ends with exit code 75. Default: none, or the plan's.",
    ),
    option(
        "max_lag", Any, None, "--max-lag", metavar="TIME", parser=unit(in_seconds),
        help="So far may replicas be behind; the copy goes as fast as they allow. 0: nobody asks them. Default: 5 s, or"
        " the plan's.",
    ),
    option(
        "replica", list[str] | None, None, "--replica", metavar="HOST:PORT",
        help="Ask this replica, besides those that the server shows. Repeatable.",
    ),
    option(
        "ignore_replica", list[str] | None, None, "--ignore-replica", metavar="NAME",
        help="Do not ask this replica, by the name or server_uuid by which the server shows it. Repeatable.",
    ),
    option(
        "max_history_list", int | None, None, "--max-history-list", metavar="N", min=0,
        help="So many entries may the history list have. 0: no limit. Default: 1000000, or the plan's.",
    ),
    option(
        "max_checkpoint_age", float | None, None, "--max-checkpoint-age", metavar="SHARE", min=0, max=0.99,
        help="So much of the redo log may wait for a checkpoint. 0: no limit. Default: 0.75, or the plan's.",
    ),
    option(
        "min_free_disk", Any, None, "--min-free-disk", metavar="SIZE", parser=unit(bytes_of),
        help="So much must be free where the server's data lie, for a server on this machine. Default: no limit, or the"
        " plan's.",
    ),
    option(
        "throttle_query", str | None, None, "--throttle-query", metavar="SELECT",
        help="A SELECT that only reads: while its first value is true, nothing is begun. Default: none, or the plan's.",
    ),
    option(
        "throttle_file", str | None, None, "--throttle-file", metavar="FILE",
        help="While this file is there, on this machine, nothing is begun. Default: none, or the plan's.",
    ),
)  # fmt: skip

_FIELDS: Final = {
    "max_lag": "max_lag_seconds",
    "min_free_disk": "min_free_disk_bytes",
    "replica": "replicas",
    "ignore_replica": "ignore_replicas",
}


def with_limits(work: Callable[..., int]) -> Callable[..., int]:
    """`work(call, limits=..., **options)` with the options of the throttle instead of `limits`; for `connected`."""

    @functools.wraps(work)
    def command(call: Call, **options: Any) -> int:
        return work(call, limits=_given({one.name: options.pop(one.name) for one in THROTTLE}), **options)

    first, *own = inspect.signature(work, eval_str=True).parameters.values()
    shown = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own if p.name != "limits"]
    command.__signature__ = inspect.Signature([first, *shown, *THROTTLE])  # type: ignore[attr-defined]
    return command


def _given(options: Mapping[str, Any]) -> Limits:
    fields = {_FIELDS.get(name, name): value for name, value in options.items() if value is not None}
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
    checked = made(Defaults, **fields)
    return {name: getattr(checked, name) for name in fields}


def set_wishes(
    call: Call,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME=VALUE]...",
            help="workers, chunk-time, max-lag, max-load, postpone-swap. NAME= takes it back. None: show what is set.",
        ),
    ] = None,
) -> int:
    """Ask the run for other workers, chunks or limits.

    From any host, while it is at work or before; writes the journal only. It stays so until it is taken back.
    """
    from migrator.engine.journal import Journal
    from migrator.engine.status import read_status
    from migrator.planner.control import KNOWN_WISHES, Wishes, changed, wishes_text
    from migrator.report.status import at_work

    try:
        changed(Wishes(), words or ())
    except ValueError as error:
        raise UsageError(str(error), remedy=f"what can be set: {', '.join(KNOWN_WISHES)}") from None
    journal = Journal()
    with call.session("set") as session:
        if not journal.exists(session):
            raise UsageError("no run was ever recorded on this server", remedy="check which server this is")
        if words:
            wishes = journal.change_wishes(session, lambda before: changed(before, words))
        else:
            wishes = journal.control(session).wishes
        working = at_work(read_status(session, journal))
    output(None).write(f"{wishes_text(wishes) or 'nothing is set: what the plan says is done'}\n")
    if words:
        say("the run does so within two seconds" if working else "no run is at work; the next one does so")
    return 0
