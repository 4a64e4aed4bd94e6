"""The command that rotates master keys. Made a command in `cli`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from migrator.cli_call import Call, output, stoppable
from migrator.cli_options import (
    AttestKeyring,
    AttestKeyringBackup,
    PlainFormat,
    as_unit,
    attestations_of,
    in_seconds,
)
from migrator.errors import UsageError

if TYPE_CHECKING:
    from migrator.sql.rotate import Which


def rotate_key(
    call: Call,
    binlog: Annotated[
        bool, typer.Option("--binlog", help="Also the binary log's master key, which no replica follows.")
    ] = False,
    only_binlog: Annotated[
        bool,
        typer.Option("--only-binlog", help="Only the binary log's: on every server by itself, also on replicas."),
    ] = False,
    files: Annotated[
        bool,
        typer.Option("--files", help="Show the key of each file before and after. On the server's host."),
    ] = False,
    datadir: Annotated[
        Path | None,
        typer.Option(
            "--datadir",
            metavar="FOLDER",
            help="With --files: where the server's datadir is on this machine. Default: where the server says.",
        ),
    ] = None,
    wait: Annotated[
        Any,
        typer.Option(
            "--wait",
            metavar="TIME",
            help="How long files and replicas are looked at until they have the new key. Default: 10 s.",
            parser=as_unit(in_seconds),
        ),
    ] = None,
    attest_keyring_backup: AttestKeyringBackup = None,
    attest_keyring: AttestKeyring = None,
    only_show: Annotated[bool, typer.Option("--dry-run", help="Only say whether it can be done, and what.")] = False,
    format: PlainFormat = "table",
) -> int:
    """Rotate the InnoDB master key, with evidence before and after.

    Refused while a run, DDL or a backup is at work, and where a replica has no keyring. No page of data is
    written anew. Every call makes one more key. Exit code 1 if files or replicas were not seen with it in time.
    """
    from migrator.engine.rotate import RotationOptions, rotate_keys
    from migrator.report.rotated import rotation_exit_code, rotation_json, rotation_text

    if datadir is not None and not files:
        raise UsageError("--datadir says where files are read", remedy="give --files, too")
    if binlog and only_binlog:
        raise UsageError("--binlog and --only-binlog contradict each other", remedy="give one of them")
    which: tuple[Which, ...] = ("binlog",) if only_binlog else ("innodb", "binlog") if binlog else ("innodb",)
    options = RotationOptions(
        which=which,
        attestations=attestations_of(attest_keyring_backup, attest_keyring),
        files=files,
        datadir=datadir,
        wait_seconds=10.0 if wait is None else wait,
        dry_run=only_show,
    )
    with call.session("rotate-key") as session, stoppable(call.stop):
        rotated = rotate_keys(session, options, call.stop)
    output(None).write(rotation_json(rotated) if format == "json" else rotation_text(rotated))
    return rotation_exit_code(rotated)
