"""Every place where data lies or travels in clear: its state, the evidence, the risk, and what closes it. Pure."""

from __future__ import annotations

from migrator.model import Inventory
from migrator.planner.posture.at_rest import at_rest
from migrator.planner.posture.cluster import cluster
from migrator.planner.posture.transport import transport
from migrator.posture import Area, Place, Posture

__all__ = ["places"]


def places(inventory: Inventory, posture: Posture) -> tuple[Place, ...]:
    """All places, by area in the report's order; within an area as its module gives them."""
    found = [*at_rest(inventory, posture), *transport(inventory, posture), *cluster(inventory, posture)]
    order = list(Area)
    return tuple(sorted(found, key=lambda place: order.index(place.area)))
