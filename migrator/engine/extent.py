"""What a run found when it began, in a few numbers: for `report`, which compares them with what is there now."""

from __future__ import annotations

import json

from migrator.model import Inventory, TablespaceKind
from migrator.report.evidence import Extent


def extent_of(inventory: Inventory) -> Extent:
    """How many tables and shared tablespaces of an inventory are encrypted, and how large they are by the catalog."""
    encrypted = [t for t in inventory.tables if t.encrypted]
    shared = [s for s in inventory.tablespaces if s.kind in {TablespaceKind.GENERAL, TablespaceKind.MYSQL}]
    return Extent(
        tables=len(inventory.tables),
        tables_encrypted=len(encrypted),
        bytes=sum(t.size_bytes for t in inventory.tables),
        bytes_encrypted=sum(t.size_bytes for t in encrypted),
        tablespaces=len(shared),
        tablespaces_encrypted=sum(s.encrypted for s in shared),
    )


def extent_text(inventory: Inventory) -> str:
    """As the journal keeps it."""
    extent = extent_of(inventory)
    return json.dumps({name: getattr(extent, name) for name in Extent.__slots__})


def extent_noted(text: str) -> Extent | None:
    """What the text says; None if there is none, or it is not whole."""
    try:
        said = json.loads(text)
        return Extent(**{name: int(said[name]) for name in Extent.__slots__})
    except (ValueError, KeyError, TypeError):
        return None
