"""What rollback did, or would do. Pure."""

from __future__ import annotations

from typing import Final

from migrator.report.blocks import Block, Heading, Items, Paragraph, as_text
from migrator.report.documents import as_json
from migrator.report.values import TakenBack
from migrator.report.words import count, duration
from migrator.sql.names import retained_of

_DONE: Final = {
    "rolled-back": "{table} is the old table again, with everything that was written since the swap.",
    "would-roll-back": "The swap of {table} can be taken back. The table would lie in clear afterwards.",
    "stopped": "{retained} is not kept current any more. {table} stays encrypted and in use.",
    "would-stop": "{retained} would not be kept current any more. {table} would stay encrypted and in use.",
}
_NEXT: Final = {
    "rolled-back": ("migrator verify   shows what is in clear", "migrator apply PLAN   would encrypt it again"),
    "would-roll-back": ("migrator rollback {table}   compares every row, and does it",),
    "stopped": ("migrator cleanup   removes the old table when its time has come",),
    "would-stop": ("migrator rollback {table} --forget   does it",),
}


def rollback_json(taken: TakenBack) -> str:
    """For programs."""
    return as_json("rollback", taken)


def rollback_text(taken: TakenBack) -> str:
    """For a terminal."""
    names = {"table": str(taken.table), "retained": str(retained_of(taken.table))}
    blocks: list[Block] = [Heading("Rollback", 1), Paragraph(_DONE[taken.action].format(**names))]
    if taken.action == "rolled-back":
        blocks.append(Paragraph("It lies IN CLEAR.", "bad"))
        blocks.append(
            Paragraph(
                f"{count(taken.rows)} rows were compared and are equal, in {duration(taken.seconds)}. The encrypted"
                " copy is dropped."
            )
        )
    return as_text([*blocks, Heading("Next"), Items(tuple(line.format(**names) for line in _NEXT[taken.action]))])
