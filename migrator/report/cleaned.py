"""What cleanup removed, would remove, or keeps. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from migrator.report.blocks import Block, Grid, Heading, Paragraph, as_text, left, right, wrapping
from migrator.report.documents import as_json
from migrator.report.values import Cleaned
from migrator.report.words import about, plural


@dataclass(frozen=True, slots=True)
class Cleanup:
    """One cleanup."""

    objects: tuple[Cleaned, ...]


def cleanup_exit_code(cleanup: Cleanup) -> int:
    """1 if a retained table, which is in clear, is still there afterwards; else 0."""
    return 1 if any(c.action in {"kept", "would-drop"} and c.kind == "retained" for c in cleanup.objects) else 0


def cleanup_json(cleanup: Cleanup) -> str:
    """For programs."""
    return as_json("cleanup", cleanup)


def cleanup_text(cleanup: Cleanup) -> str:
    """For a terminal."""
    blocks: list[Block] = [Heading("Cleanup", 1)]
    if not cleanup.objects:
        return as_text([*blocks, Paragraph("Nothing of ours is there.")])
    dropped = [c for c in cleanup.objects if c.action == "dropped"]
    freed = sum(c.size_bytes for c in dropped)
    blocks.append(Paragraph(f"Dropped {plural(len(dropped), 'object')}, {about(freed)}."))
    columns = (wrapping("name"), left("kind"), left("action"), right("size"), wrapping("why"))
    rows = tuple(
        (
            str(c.name) if c.name.schema else c.name.name,
            c.kind,
            c.action,
            about(c.size_bytes) if c.size_bytes else "",
            c.why,
        )
        for c in cleanup.objects
    )
    return as_text([*blocks, Grid(columns, rows)])
