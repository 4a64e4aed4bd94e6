"""The audit: where rows lie in clear, and how each table would be encrypted. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from typing import Final

from migrator.model import Finding, Inventory, Method, Table, TablespaceKind
from migrator.planner.checks import NO_DATA_ENGINES
from migrator.planner.methods import Choice
from migrator.posture import OPEN, Place, State
from migrator.report.blocks import (
    Block,
    Card,
    Grid,
    Heading,
    Items,
    Paragraph,
    Tone,
    as_html,
    as_text,
    left,
    right,
    wrapping,
)
from migrator.report.documents import as_json
from migrator.report.findings import finding_items
from migrator.report.planned import harden_lines
from migrator.report.values import Audit, AuditTable
from migrator.report.words import about, count, plural

_LINES: Final = 12
"""Of what closes a place, for people; JSON has all."""
_PLACES_TOO: Final = frozenset({"plain-binlog", "plain-redo", "plain-undo", "default-plain", "schema-default-plain"})
"""Findings that a place says, too; JSON has both."""
_TONES: Final[dict[State, Tone]] = {
    State.ENCRYPTED: "good",
    State.OK: "good",
    State.UNUSED: "",
    State.ASK: "note",
    State.PARTLY: "bad",
    State.CLEAR: "bad",
    State.BAD: "bad",
    State.UNKNOWN: "bad",
}


def audit_of(
    inventory: Inventory,
    findings: Iterable[Finding],
    places: Iterable[Place] = (),
    *,
    accepted: Collection[str] = (),
    choose: Callable[[Table], Choice],
    size_of: Callable[[Table], int],
) -> Audit:
    """The audit's value, by the planner's choice and size on disk for each table.

    `accepted` are the codes of places that may stay as they are: they are shown all the same.
    """
    tables = (_audited(table, choose(table), size_of(table)) for table in inventory.tables)
    return Audit(
        server=inventory.server,
        read_at=inventory.read_at,
        findings=tuple(findings),
        tables=tuple(sorted(tables, key=lambda t: (not t.in_clear, -t.size_bytes, t.name))),
        tablespaces=inventory.tablespaces,
        places=tuple(replace(place, accepted=place.code in accepted) for place in places),
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
    """1 if a table that was looked at lies in clear, or a place is open and not accepted, else 0."""
    return 1 if any(t.in_clear for t in audit.tables) or any(p.open for p in audit.places) else 0


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
        *_verdict(audit.places),
        verdict,
        *_places(audit.places),
    ]
    findings = [finding for finding in audit.findings if finding.code not in _PLACES_TOO or not audit.places]
    if findings:
        blocks += [Heading("Before a run"), finding_items(findings)]
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


def _verdict(places: Collection[Place]) -> list[Block]:
    if not places:
        return []
    still = [place for place in places if place.open]
    states = ", ".join(f"{n} {state}" for state in State if (n := sum(p.state is state for p in still)))
    accepted = sum(place.accepted and place.state in OPEN for place in places)
    asks = sum(place.state is State.ASK for place in places)
    said = [f"{plural(len(still), 'place')} of {len(places)} open: {states}" if still else "No place open"]
    said += [f"{accepted} accepted"] if accepted else []
    said += [f"{asks} to ask people about"] if asks else []
    return [Paragraph("; ".join(said) + ".", "bad" if still else "good")]


def _places(places: Collection[Place]) -> list[Block]:
    if not places:
        return []
    accepted = [place for place in places if place.accepted and place.state in OPEN]
    in_vain = sorted(place.code for place in places if place.accepted and place.state not in OPEN)
    asked = [place for place in places if place.state is State.ASK]
    closed = [place for place in places if place.state not in OPEN | {State.ASK}]
    blocks: list[Block] = [Heading("Places"), _overview(places)]
    for heading, found in (("Open", [p for p in places if p.open]), ("Accepted", accepted), ("To ask people", asked)):
        blocks += [Heading(heading), *map(_card, found)] if found else []
    if in_vain:
        blocks.append(Paragraph(f"Accepted, though there is nothing to accept: {', '.join(in_vain)}.", "note"))
    if closed:
        rows = tuple((place.what, str(place.state), place.evidence) for place in closed)
        blocks += [Heading("Closed"), Grid((left("place"), left("state"), wrapping("read")), rows)]
    return blocks


def _overview(places: Collection[Place]) -> Grid:
    columns = (left("area"), left("place"), left("state"), left("code"))
    rows, area = [], None
    for place in places:
        state = str(place.state).upper() if place.open else str(place.state)
        note = ", accepted" if place.accepted and place.state in OPEN else ""
        rows.append(("" if place.area is area else str(place.area), place.what, state + note, place.code))
        area = place.area
    tones: tuple[Tone, ...] = tuple("note" if place.accepted else _TONES[place.state] for place in places)
    return Grid(columns, tuple(rows), tones)


def _card(place: Place) -> Card:
    facts: tuple[tuple[str, str], ...] = (("read", place.evidence), ("risk", place.risk))
    more = len(place.closes) - _LINES
    lines = place.closes[:_LINES] if more > 1 else place.closes
    lines += (f"-- and {more} lines more: --format=json has them all",) if more > 1 else ()
    facts += (("restart", "closing it needs one"),) if place.restart else ()
    return Card(
        title=f"{place.what}: {place.state}{', accepted' if place.accepted else ''} [{place.code}]",
        facts=tuple(fact for fact in facts if fact[1]),
        lines=lines,
        label="look" if place.state is State.ASK else "close",
        tone="note" if place.accepted else _TONES[place.state],
    )


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
