"""What is proved about each table and tablespace: by the catalog, and where they were read by the files. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from migrator.report.blocks import Block, Grid, Heading, Paragraph, as_html, as_text, left, wrapping
from migrator.report.documents import as_json
from migrator.report.files import FilesReport, contradictions, files_blocks, files_exit_code
from migrator.report.values import Proof, ServerId
from migrator.report.words import count, plural


@dataclass(frozen=True, slots=True)
class Verification:
    """All proofs that were asked for."""

    server: ServerId
    read_at: str
    proofs: tuple[Proof, ...]
    files: FilesReport | None = None
    """None if nobody asked for them."""


def verify_exit_code(verification: Verification) -> int:
    """4 if a file contradicts the catalog, else 1 if anything is in clear or not proved as asked, else 0."""
    by_catalog = 0 if all(p.encrypted for p in verification.proofs) else 1
    return max(by_catalog, files_exit_code(verification.files)) if verification.files else by_catalog


def verify_text(verification: Verification) -> str:
    """The proofs for a terminal: what is in clear first."""
    return as_text(_blocks(verification))


def verify_html(verification: Verification) -> str:
    """The proofs as one HTML file."""
    return as_html("Verification", _blocks(verification))


def verify_json(verification: Verification) -> str:
    """The proofs for programs."""
    return as_json("verification", verification)


def _blocks(verification: Verification) -> list[Block]:
    proofs = sorted(verification.proofs, key=lambda p: (p.encrypted, not p.expected, p.name))
    in_clear = [p for p in proofs if not p.encrypted]
    broken = [p for p in in_clear if p.expected]
    server = verification.server
    blocks: list[Block] = [
        Heading("Verification", 1),
        Paragraph(f"{server.where}, server_uuid {server.server_uuid}, read at {verification.read_at}"),
    ]
    odd = contradictions(verification.files) if verification.files else ()
    if odd:
        blocks.append(Paragraph(f"NOT as the catalog says, by the files: {', '.join(odd)}. A person must look.", "bad"))
    if broken:
        names = ", ".join(p.name for p in broken)
        blocks.append(
            Paragraph(f"In clear although a run encrypted it: {names}. Somebody has changed it since.", "bad")
        )
    if in_clear:
        blocks.append(Paragraph(f"In clear: {count(len(in_clear))} of {count(len(proofs))}.", "bad"))
    else:
        blocks.append(Paragraph(f"Encrypted: all of {plural(len(proofs), 'object')} looked at.", "good"))
    columns = (wrapping("name"), left("encrypted"), left("by us"), wrapping("evidence"), wrapping("why in clear"))
    rows = tuple(
        (p.name, "yes" if p.encrypted else "NO", "yes" if p.expected else "-", p.evidence, p.why) for p in proofs
    )
    if rows:
        blocks.append(Grid(columns, rows))
    return [*blocks, *files_blocks(verification.files)] if verification.files else blocks
