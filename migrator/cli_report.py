"""`report`: evidence for an auditor, in a file that is never written over, with its checksum beside it."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import typer

from migrator.cli_call import Call, output, say
from migrator.cli_files import DatadirHere, Files, LookAgain, Sample, prove_in_files, wish_of
from migrator.cli_options import (
    Databases,
    IgnoreDatabases,
    IgnoreTables,
    Tables,
    check_scope,
    scope_of,
)
from migrator.errors import Failed, UsageError

EvidenceFile = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help="Write it there, and its checksum to FILE.sha256; readable by you alone, and never over another file.",
    ),
]


def report(
    call: Call,
    databases: Databases = None,
    tables: Tables = None,
    ignore_databases: IgnoreDatabases = None,
    ignore_tables: IgnoreTables = None,
    files: Files = False,
    datadir: DatadirHere = None,
    sample: Sample = None,
    look_again: LookAgain = None,
    format: Annotated[
        Literal["table", "json", "html"] | None,
        typer.Option("--format", help="How it looks. Default: html with -o, else table, which is a summary."),
    ] = None,
    file: EvidenceFile = None,
) -> int:
    """Write evidence for an auditor: what was run, what is encrypted now, and what is not.

    Reads only. Exit code 1 if a table or tablespace is in clear, or with --files could not be proved; 4 if a file is
    not what the catalog says.
    """
    from migrator.engine.evidence import read_evidence
    from migrator.inventory import read_inventory
    from migrator.report.evidence import evidence_exit_code, evidence_json
    from migrator.report.evidence_blocks import evidence_html, evidence_text

    out = output(file)
    if out.file is not None:
        _must_be_new(out.file)
    scope = scope_of(databases, tables, ignore_databases, ignore_tables)
    wish = wish_of(scope, files=files, datadir=datadir, sample=sample, look_again=look_again, canary=None)
    with call.session("report") as session:
        inventory = read_inventory(session, wanted=scope.wants)
        check_scope(scope, inventory)
        found = prove_in_files(session, inventory, wish, call.stop) if wish else None
        evidence = read_evidence(session, scope, inventory, found, narrowed_to=_said(scope.model_dump()))
    how = format or ("html" if out.file else "table")
    text = {"table": evidence_text, "json": evidence_json, "html": evidence_html}[how](evidence)
    if out.file is None:
        out.write(text)
    else:
        write_evidence(out.file, text)
        say(f"evidence in {file}; check it with: sha256sum -c {file}.sha256")
    return evidence_exit_code(evidence)


def _said(scope: dict[str, tuple[str, ...]]) -> str:
    given = {name.replace("_", "-"): ", ".join(patterns) for name, patterns in scope.items() if patterns}
    return "; ".join(f"--{name}={patterns}" for name, patterns in given.items())


def checksum_of(file: Path) -> Path:
    """Where the checksum of a file goes."""
    return file.with_name(f"{file.name}.sha256")


def _must_be_new(file: Path) -> None:
    for one in (file, checksum_of(file)):
        if os.path.lexists(one):
            raise UsageError(f"{one} is there already, and evidence is not written over", remedy="name another file")


def checksum_line(data: bytes, name: str) -> str:
    """As sha256sum writes it, a name with a backslash or a line break, too."""
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f"{'' if escaped == name else chr(92)}{hashlib.sha256(data).hexdigest()}  {escaped}\n"


def write_evidence(file: Path, text: str) -> None:
    """Write a file and its checksum, each whole or not at all, mode 0600. Never replaces one; raises `Failed`."""
    data = text.encode()
    try:
        _create(file, data)
        try:
            _create(checksum_of(file), checksum_line(data, file.name).encode())
        except BaseException:
            file.unlink()
            raise
    except OSError as error:
        raise Failed(
            f"cannot write {file}: {error.strerror}", remedy="make room or name another file, and run it again"
        ) from None


def _create(file: Path, data: bytes) -> None:
    """A new file under its name in one step: a link, which fails where there is one."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=".migrator-evidence.")
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        os.link(name, file)
    finally:
        Path(name).unlink()
