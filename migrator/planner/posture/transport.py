"""Places between the server and others: connections, replication, clusters."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.model import Inventory
from migrator.posture import Place, Posture


def transport(inventory: Inventory, posture: Posture) -> Iterator[Place]:
    """Places in transit."""
    yield from ()
