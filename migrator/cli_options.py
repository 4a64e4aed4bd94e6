"""Options that several commands share, and how their texts become values.

`connected` gives a command the connection options, so that they are written down once.
"""

from __future__ import annotations

import functools
import getpass
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import typer
from pydantic import BaseModel, ValidationError

from migrator.cli_call import Call, exit_code_of, log_statements
from migrator.clock import SystemClock
from migrator.errors import UsageError
from migrator.model import Inventory
from migrator.planner.plan import HARDEN, Attestation, Attestations, Plan, Scope, matches
from migrator.planner.units import bytes_of, days_of, hours_of, seconds_of, whole_seconds_of
from migrator.report.words import printable
from migrator.settings import SSL_MODES, Given

M = TypeVar("M", bound=BaseModel)


def as_unit(parse: Callable[[object], object]) -> Callable[[str], object]:
    """A parser of an option's text, from one of plans' values."""

    def parsed(text: str) -> object:
        try:
            return parse(int(text) if re.fullmatch(r"[0-9]{1,18}", text) else text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    return parsed


def _seconds(value: object) -> object:
    text = f"{value}"
    return float(text) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) else seconds_of(text)


# -- one option each --------------------------------------------------------------------------

Databases = Annotated[
    list[str] | None,
    typer.Option(
        "--databases",
        metavar="A,B",
        help="Only these schemas; * and ? are wildcards. Repeatable.",
    ),
]
Tables = Annotated[
    list[str] | None,
    typer.Option("--tables", metavar="A.T,B.*", help="Only these tables, as schema.table. Repeatable."),
]
IgnoreDatabases = Annotated[
    list[str] | None,
    typer.Option("--ignore-databases", metavar="A,B", help="Not these schemas. Repeatable."),
]
IgnoreTables = Annotated[
    list[str] | None,
    typer.Option("--ignore-tables", metavar="A.T,B.*", help="Not these tables. Repeatable."),
]
Accept = Annotated[
    list[str] | None,
    typer.Option(
        "--accept",
        metavar="CODE",
        help="A place that may stay open (docs/audit.md): shown, and not counted for the exit code. Repeatable.",
    ),
]
OutputFile = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="FILE", help="Write the result there, in one step, instead of to stdout."),
]
TableFormat = Annotated[Literal["table", "json", "html"], typer.Option("--format", help="How the result looks.")]
PlainFormat = Annotated[Literal["table", "json"], typer.Option("--format", help="How the result looks.")]
PlanFile = Annotated[Path, typer.Argument(metavar="PLAN", help="The plan file, made by `migrator plan`.")]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        help="Connections that copy or compare rows, at most. Default: 4, or the plan's.",
        min=1,
        max=64,
    ),
]
ChunkTime = Annotated[
    Any,
    typer.Option(
        "--chunk-time",
        metavar="TIME",
        help="How long one chunk should take. Default: 0.5 s, or the plan's.",
        parser=as_unit(_seconds),
    ),
]
MaxExtraDisk = Annotated[
    Any,
    typer.Option(
        "--max-extra-disk",
        metavar="SIZE",
        help="Refuse if more disk than this is needed at one time (200 GiB). Default: no limit, or the plan's.",
        parser=as_unit(bytes_of),
    ),
]
PostponeSwap = Annotated[
    bool | None,
    typer.Option(
        "--postpone-swap/--no-postpone-swap",
        help="Copy and compare all, and swap nothing until `set postpone-swap=off`; the copies are kept equal."
        " Default: the plan's, which is no.",
    ),
]
EndWhenReady = Annotated[
    bool,
    typer.Option(
        "--end-when-ready",
        help="With nothing left but swaps that are postponed, end with exit code 75 instead of waiting for the word.",
    ),
]
KillBlockersAfter = Annotated[
    Any,
    typer.Option(
        "--kill-blockers-after",
        metavar="TIME",
        help="End sessions (KILL) whose transaction has kept an exclusive moment or a swap waiting for so long (60s)."
        " Default: never, or the plan's.",
        parser=as_unit(whole_seconds_of),
    ),
]
Tablespaces = Annotated[
    bool | None,
    typer.Option(
        "--tablespaces/--no-tablespaces", help="Encrypt general tablespaces, all their tables with them. Default: yes."
    ),
]
MysqlTablespace = Annotated[
    bool | None,
    typer.Option(
        "--mysql-tablespace/--no-mysql-tablespace",
        help="Encrypt the tablespace mysql: the data dictionary and the grants. Default: yes.",
    ),
]
Convert = Annotated[
    bool | None,
    typer.Option(
        "--convert/--no-convert",
        help="Convert MyISAM, CSV and ARCHIVE tables to InnoDB: nobody uses them meanwhile. Default: no.",
    ),
]
Relay = Annotated[
    bool | None,
    typer.Option(
        "--relay/--no-relay",
        help="Tables that cannot be copied are moved by the server, through a tablespace. Default: yes.",
    ),
]
Harden = Annotated[
    list[str] | None,
    typer.Option(
        "--harden",
        metavar="A,B",
        help="Steps for what is not a table: binlog, redo, undo (encrypted from before the first table on), schemas"
        " (new tables are born encrypted), default (new schemas and tablespaces, too), privilege-check (at the end);"
        " or all. Repeatable. Default: none.",
    ),
]
DirectBelow = Annotated[
    Any,
    typer.Option(
        "--direct-below",
        metavar="SIZE",
        help="Alter tables smaller than this directly: nobody uses them meanwhile. Default: 0, all are copied.",
        parser=as_unit(bytes_of),
    ),
]
RetainDays = Annotated[
    Any,
    typer.Option(
        "--retain-days",
        metavar="DAYS",
        help="Keep the old tables, in clear, so long after the swap. Default: 7.",
        parser=as_unit(days_of),
    ),
]
RollbackHours = Annotated[
    Any,
    typer.Option(
        "--rollback-hours",
        metavar="HOURS",
        help="Keep the old tables current so long after the swap, for `rollback`: each change is written twice until"
        " then. Default: 0, not at all.",
        parser=as_unit(hours_of),
    ),
]
Windows = Annotated[
    list[str] | None,
    typer.Option(
        "--window",
        metavar="'DAYS TIME-TIME ZONE'",
        help="Work only then: 'Sat 22:00-Sun 04:00 Europe/Berlin', 'Mon-Fri 01:00-05:00 UTC', 'daily ...'. Repeatable."
        " Default: at any time.",
    ),
]
OutsideWindow = Annotated[
    Literal["exit", "wait"],
    typer.Option(
        "--outside-window", help="Outside of the plan's windows: end with exit code 75, or wait for the next one."
    ),
]
Budget = Annotated[
    Any,
    typer.Option(
        "--budget",
        metavar="TIME",
        help="Stop after so long (3 h), as at a window's end. Default: no limit.",
        parser=as_unit(_seconds),
    ),
]
MaxTables = Annotated[
    int | None,
    typer.Option("--max-tables", metavar="N", help="Begin no more than so many in this call. Default: all.", min=1),
]
MaxFailures = Annotated[
    int | None,
    typer.Option(
        "--max-failures",
        metavar="N",
        help="Begin no other table after so many have failed. Default: no limit, or the plan's.",
        min=1,
    ),
]
AttestKeyringBackup = Annotated[
    str | None,
    typer.Option(
        "--attest-keyring-backup",
        metavar="'WHO, WHEN'",
        help="Who says since when (2026-05-01) the keyring is backed up, apart from the data.",
    ),
]
AttestKeyring = Annotated[
    list[str] | None,
    typer.Option(
        "--attest-keyring",
        metavar="NAME[='WHO, WHEN']",
        help="Who says since when this replica or group member has an active keyring. Repeatable.",
    ),
]

FailoverFrom = Annotated[
    Any,
    typer.Option(
        "--failover-from",
        metavar="UUID[@HOST:PORT]",
        help="Go on here with what was begun on that server (its server_uuid), whose place this one has taken. The"
        " address is where it is asked whether it can still be written; default: the plan's.",
    ),
]

# -- the connection ---------------------------------------------------------------------------


def _option(name: str, annotation: Any, default: Any, *declarations: str, **settings: Any) -> inspect.Parameter:
    option = typer.Option(*declarations, **settings)
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[annotation, option]
    )


option, unit, in_seconds = _option, as_unit, _seconds
"""For options of other modules."""

_MODES: Final = ", ".join(SSL_MODES)

CONNECTION: Final = (
    _option("host", str | None, None, "-h", "--host", metavar="NAME", help="The server's host. Default: localhost."),
    _option(
        "port", int | None, None, "-P", "--port", metavar="N", min=0, max=65535,
        help="TCP port. Default: 3306. With localhost it means TCP instead of the socket.",
    ),
    _option("socket", str | None, None, "-S", "--socket", metavar="FILE", help="The server's socket, for localhost."),
    _option("user", str | None, None, "-u", "--user", metavar="NAME", help="Default: your login name."),
    _option(
        "ask_password", bool, False, "-p", "--password",
        help="Ask for the password (on a terminal only). -pSECRET and --password=SECRET give it, and others on"
        " this machine may see it: an option file is better.",
    ),
    _option("defaults_file", Path | None, None, "--defaults-file", metavar="FILE", help="Read this option file only."),
    _option(
        "defaults_extra_file", Path | None, None, "--defaults-extra-file", metavar="FILE",
        help="Read this option file after those of the system and before ~/.my.cnf.",
    ),
    _option(
        "defaults_group_suffix", str | None, None, "--defaults-group-suffix", metavar="TEXT",
        help="Read groups with this suffix too: [client] and [clientTEXT], [migrator] and [migratorTEXT].",
    ),
    _option("no_defaults", bool, False, "--no-defaults", help="Read no option file but that of login paths."),
    _option(
        "login_path", str | None, None, "--login-path", metavar="NAME",
        help="Read this login path from ~/.mylogin.cnf, which mysql_config_editor writes.",
    ),
    _option(
        "ssl_mode", str | None, None, "--ssl-mode", metavar="MODE",
        help=f"{_MODES}. Default: PREFERRED; VERIFY_CA if there is --ssl-ca.",
    ),
    _option("ssl_ca", str | None, None, "--ssl-ca", metavar="FILE", help="Certificates of the authorities to trust."),
    _option("ssl_cert", str | None, None, "--ssl-cert", metavar="FILE", help="Our certificate."),
    _option("ssl_key", str | None, None, "--ssl-key", metavar="FILE", help="The key of our certificate."),
    _option("ssl_crl", str | None, None, "--ssl-crl", metavar="FILE", help="Revoked certificates (VERIFY_...)."),
    _option(
        "server_public_key_path", str | None, None, "--server-public-key-path", metavar="FILE",
        help="The server's public key, to send the password by where there is no TLS.",
    ),
    _option(
        "get_server_public_key", bool, False, "--get-server-public-key",
        help="Trust the public key that whoever answers sends, where there is no TLS: not over a network.",
    ),
    _option("debug", bool, False, "--debug", help="Say each statement and its time on stderr, never a value."),
)  # fmt: skip


@dataclass(slots=True)
class Line:
    """What goes beside typer: the password on the way in, the exit code on the way out."""

    password: str | None = field(repr=False)
    inherited_password: str | None = field(default=None, repr=False)
    exit_code: int | None = None


def connected(work: Callable[..., int]) -> Callable[..., None]:
    """`work(call, **options)` as a command of typer's: with the connection options, its result as the exit code."""

    @functools.wraps(work)
    def command(**options: Any) -> None:
        context: typer.Context = options.pop("context")
        connection = {p.name: options.pop(p.name) for p in CONNECTION}
        debug = connection.pop("debug")
        line: Line = context.obj
        given = Given(password=line.password, inherited_password=line.inherited_password, **connection)
        call = Call(given, debug=debug)
        if debug:
            log_statements()
        line.exit_code = exit_code_of(lambda: work(call, **options), debug=debug)
        raise typer.Exit(line.exit_code)

    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    own = list(inspect.signature(work, eval_str=True).parameters.values())[1:]
    shown = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
    signature = inspect.Signature([context, *shown, *CONNECTION])
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    return command


# -- from texts to values ---------------------------------------------------------------------


_OPTIONS: Final = {"windows": "window", "replicas": "replica", "ignore_replicas": "ignore-replica"}
"""Options that are not called as what they set."""


def made(model: type[M], **fields: object) -> M:
    """A planner's value from options; None means not given. Raises `UsageError` naming the option."""
    try:
        return model(**{name: value for name, value in fields.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field_name = str(first["loc"][0])
        option = _OPTIONS.get(field_name) or re.sub("_(bytes|seconds)$", "", field_name).replace("_", "-")
        message = str(first["msg"]).removeprefix("Value error, ")
        raise UsageError(f"--{option}: {message}", remedy="see `migrator COMMAND --help`") from None


def _split(texts: Iterable[str] | None) -> tuple[str, ...]:
    return tuple(part.strip() for text in texts or () for part in text.split(","))


def harden_of(texts: list[str] | None) -> tuple[str, ...] | None:
    """What `--harden` names; `all` is every word. Raises `UsageError`."""
    words = _split(texts)
    for word in words:
        if word not in {*HARDEN, "all"}:
            raise UsageError(f"--harden: {printable(word)!r} is none of {', '.join(HARDEN)}, all")
    return (HARDEN if "all" in words else words) or None


def scope_of(
    databases: list[str] | None,
    tables: list[str] | None,
    ignore_databases: list[str] | None,
    ignore_tables: list[str] | None,
) -> Scope:
    """What the four options say. Raises `UsageError`."""
    return made(
        Scope,
        databases=_split(databases),
        tables=_split(tables),
        ignore_databases=_split(ignore_databases),
        ignore_tables=_split(ignore_tables),
    )


def check_scope(scope: Scope, inventory: Inventory) -> None:
    """Raise `UsageError` if a schema or table that was asked for is not there: a typo must not pass for success."""
    schemas = {s.name for s in inventory.schemas} | {t.name.schema for t in inventory.tables} | {"mysql"}
    names = {str(t.name) for t in inventory.tables}
    for option, patterns, there in (("databases", scope.databases, schemas), ("tables", scope.tables, names)):
        for pattern in patterns:
            if not any(matches(pattern, name) for name in there):
                raise UsageError(
                    f"--{option}: nothing on the server fits {pattern!r}",
                    remedy="check the spelling (upper and lower case differ), and that this account may see it",
                )


def check_plan_scope(scope: Scope, plan: Plan) -> None:
    """Raise `UsageError` if a schema or table that was asked for is not in the plan."""
    tables = [step.table for step in plan.steps if step.table is not None]
    for option, patterns, there in (
        ("databases", scope.databases, {table.schema for table in tables}),
        ("tables", scope.tables, set(map(str, tables))),
    ):
        for pattern in patterns:
            if not any(matches(pattern, name) for name in there):
                raise UsageError(
                    f"--{option}: nothing in the plan fits {pattern!r}",
                    remedy="check the spelling (upper and lower case differ), or plan again with it in scope",
                )


def attestations_of(
    backup: str | None, members: list[str] | None, *, before: Attestations | None = None
) -> Attestations:
    """What the two options attest, added to what the plan says. Raises `UsageError`."""
    before = before or Attestations()
    added: Mapping[str, Attestation] = dict(_member(text) for text in members or ())
    return Attestations(
        keyring_backup=_attestation("--attest-keyring-backup", backup) if backup is not None else before.keyring_backup,
        members={**before.members, **added},
    )


def _member(text: str) -> tuple[str, Attestation]:
    name, equals, rest = text.partition("=")
    if equals:
        return name.strip(), _attestation("--attest-keyring", rest)
    return name.strip(), Attestation(by=getpass.getuser(), at=SystemClock().now().date())


def _attestation(option: str, text: str) -> Attestation:
    by, _, at = text.rpartition(",")
    moment: date | datetime
    try:
        at = at.strip()
        moment = date.fromisoformat(at) if len(at) == 10 else datetime.fromisoformat(at)
        return Attestation(by=by.strip(), at=moment)
    except ValueError:
        raise UsageError(
            f"{option}: {printable(text)!r} is not who and when",
            remedy="write 'Ann Example, 2026-05-01', or a time with its zone: 'Ann Example, 2026-05-01T09:30+02:00'",
        ) from None
