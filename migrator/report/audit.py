"""The audit: where rows lie in clear, and how each table would be encrypted. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

from migrator.model import Finding, Inventory, Keyring, Method, Server, Table, TablespaceKind
from migrator.planner.checks import NO_DATA_ENGINES
from migrator.planner.methods import Choice
from migrator.posture import OPEN, Place
from migrator.report.blocks import Block, Grid, Heading, Items, Paragraph, as_html, as_text, left, right, wrapping
from migrator.report.documents import as_json
from migrator.report.findings import finding_items
from migrator.report.planned import harden_lines
from migrator.report.values import Audit, AuditTable
from migrator.report.words import about, count, plural

_ENCRYPTED_IF_ON = (
    ("binlog_encryption", "binary log"),
    ("innodb_redo_log_encrypt", "redo log"),
    ("innodb_undo_log_encrypt", "undo tablespaces"),
    ("default_table_encryption", "tables of new schemas"),
)


def audit_of(
    inventory: Inventory,
    findings: Iterable[Finding],
    places: Iterable[Place] = (),
    *,
    choose: Callable[[Table], Choice],
    size_of: Callable[[Table], int],
) -> Audit:
    """The audit's value, by the planner's choice and size on disk for each table."""
    tables = (_audited(table, choose(table), size_of(table)) for table in inventory.tables)
    return Audit(
        server=inventory.server,
        read_at=inventory.read_at,
        findings=tuple(findings),
        tables=tuple(sorted(tables, key=lambda t: (not t.in_clear, -t.size_bytes, t.name))),
        tablespaces=inventory.tablespaces,
        places=tuple(places),
    )


def _audited(table: Table, choice: Choice, size_bytes: int) -> AuditTable:
    kind = table.tablespace_kind
    place = "" if kind is None else str(kind)
    if kind is TablespaceKind.GENERAL:
        place = f"general {table.segments[0].tablespace}"
    return AuditTable(
        name=table.name,
        engine=table.engine,
        rows=table.rows,
        size_bytes=size_bytes,
        place=place,
        encrypted=table.encrypted,
        in_clear=not table.encrypted and table.engine not in NO_DATA_ENGINES,
        method=choice.method,
        why=choice.why,
    )


def audit_exit_code(audit: Audit) -> int:
    """1 if anything that was looked at lies in clear, or a place is not closed, else 0."""
    return 1 if any(t.in_clear for t in audit.tables) or any(p.state in OPEN for p in audit.places) else 0


def audit_text(audit: Audit) -> str:
    """The audit for a terminal."""
    return as_text(_blocks(audit))


def audit_html(audit: Audit) -> str:
    """The audit as one HTML file."""
    return as_html(f"Audit of {audit.server.host}:{audit.server.port}", _blocks(audit))


def audit_json(audit: Audit) -> str:
    """The audit for programs."""
    return as_json("audit", audit)


def _blocks(audit: Audit) -> list[Block]:
    in_clear = [t for t in audit.tables if t.in_clear]
    clear_bytes = sum(t.size_bytes for t in in_clear)
    total = len(audit.tables)
    verdict = (
        Paragraph(f"{plural(len(in_clear), 'table')} of {count(total)} in clear, {about(clear_bytes)}.", "bad")
        if in_clear
        else Paragraph(f"No rows in clear in the {plural(total, 'table')} looked at.", "good")
    )
    server = audit.server
    blocks: list[Block] = [
        Heading("Audit", 1),
        Paragraph(
            f"{server.host}:{server.port}, {server.flavour} {server.version_text}, "
            f"server_uuid {server.server_uuid}, read at {audit.read_at}"
        ),
        verdict,
        Heading("The server"),
        Grid((left("what"), wrapping("state")), tuple(_posture(server))),
    ]
    blocks += _places(audit.places)
    if audit.findings:
        blocks += [Heading("Findings"), finding_items(audit.findings)]
        blocks += [Paragraph(f"{line}.", "note") for line in harden_lines(None, audit.findings)]
    blocks += [Heading("Tables"), _table_grid(audit.tables)] if audit.tables else []
    refused = tuple(f"{t.name}: {t.why}" for t in audit.tables if t.method is Method.REFUSE)
    blocks += [Heading("Refused, so far"), Items(refused)] if refused else []
    shared = [s for s in audit.tablespaces if s.kind is not TablespaceKind.FILE_PER_TABLE]
    if shared:
        rows = tuple((s.name, str(s.kind), about(s.file_bytes), "yes" if s.encrypted else "NO") for s in shared)
        columns = (wrapping("tablespace"), left("kind"), right("file"), left("encrypted"))
        blocks += [Heading("Shared tablespaces"), Grid(columns, rows)]
    return blocks


def _places(places: Iterable[Place]) -> list[Block]:
    blocks: list[Block] = []
    for area, found in itertools.groupby(places, key=lambda place: place.area):
        rows = tuple((p.what, str(p.state), p.evidence) for p in found)
        blocks += [Heading(str(area).capitalize()), Grid((wrapping("what"), left("state"), wrapping("evidence")), rows)]
    return blocks


def _posture(server: Server) -> list[tuple[str, str]]:
    rows = [("keyring", _keyring(server.keyring))]
    for variable, what in _ENCRYPTED_IF_ON:
        unused = variable == "binlog_encryption" and not server.variable_is_on("log_bin")
        if variable in server.variables and not unused:
            rows.append((what, "encrypted" if server.variable_is_on(variable) else f"in clear ({variable}=OFF)"))
    return rows


def _keyring(keyring: Keyring) -> str:
    if keyring.kind == "none":
        return "none"
    state = "active" if keyring.active else "NOT ACTIVE"
    key = "has a master key" if keyring.has_master_key else "no master key yet"
    notes = [n for n, so in (("read-only", keyring.read_only), ("and others: keep one", keyring.several)) if so]
    return ", ".join([f"{keyring.kind} {keyring.name}", state, key, *notes])


def _table_grid(tables: Iterable[AuditTable]) -> Grid:
    columns = (
        wrapping("table"),
        left("engine"),
        right("rows"),
        right("size"),
        left("encrypted"),
        left("method"),
    )
    return Grid(columns, tuple(_table_row(t) for t in tables))


def _table_row(table: AuditTable) -> tuple[str, ...]:
    encrypted = "yes" if table.encrypted else "NO" if table.in_clear else "-"
    engine = table.engine if table.place in {"", "file-per-table"} else f"{table.engine} ({table.place})"
    size = about(table.size_bytes)
    return (str(table.name), engine, count(table.rows), size, encrypted, str(table.method))
