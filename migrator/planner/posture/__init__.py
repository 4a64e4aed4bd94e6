"""Every place where data lies or travels in clear: its state, the evidence, the risk, and what closes it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from migrator.model import Flavour, Inventory
from migrator.planner.posture import at_rest as _at_rest
from migrator.planner.posture import copies as _copies
from migrator.planner.posture import defaults as _defaults
from migrator.planner.posture import host as _host
from migrator.planner.posture import keys as _keys
from migrator.planner.posture import left as _left
from migrator.planner.posture import logs as _logs
from migrator.planner.posture import mariadb as _mariadb
from migrator.planner.posture import page_logs as _page_logs
from migrator.planner.posture import temporary as _temporary
from migrator.planner.posture.cluster import cluster
from migrator.planner.posture.code import Code
from migrator.planner.posture.codes import CLUSTER, TRANSIT
from migrator.planner.posture.settings import MANAGED
from migrator.planner.posture.transport import transport
from migrator.posture import Area, Place, Posture

__all__ = ["ACCEPTABLE", "CODES", "places"]

CODES: Final[dict[str, Code]] = {
    code.name: code
    for module in (_keys, _at_rest, _page_logs, _logs, _temporary, _left, _defaults, _host, _copies, _mariadb)
    for code in module.CODES
}
"""Every code of a place at rest, of keys, defaults, the host and copies."""

ACCEPTABLE: Final = frozenset(code.name for code in CODES.values() if code.acceptable) | TRANSIT.keys() | CLUSTER.keys()
"""What `audit --accept` may name."""


def places(inventory: Inventory, posture: Posture) -> tuple[Place, ...]:
    """All places, by area in the report's order; within an area as its module gives them."""
    if inventory.server.flavour is Flavour.MARIADB:
        found = [*_mariadb.mariadb(inventory, posture), *_left.left(posture), *_host.host(posture)]
    else:
        found = [*_disks(inventory, posture)] if inventory.server.flavour not in MANAGED else []
    found += [*transport(inventory, posture), *cluster(inventory, posture), *_copies.copies(inventory, posture)]
    if inventory.server.flavour is Flavour.MARIADB:
        found = [_mariadb.in_its_words(place) for place in found]
    order = list(Area)
    return tuple(sorted(found, key=lambda place: order.index(place.area)))


def _disks(inventory: Inventory, posture: Posture) -> Iterator[Place]:
    """What a server as a service does not show, and does not let anybody change."""
    yield from _keys.keys(inventory, posture)
    yield from _at_rest.at_rest(inventory, posture)
    yield from _page_logs.page_logs(inventory, posture)
    yield from _logs.logs(inventory, posture)
    yield from _temporary.temporary(inventory, posture)
    yield from _left.left(posture)
    yield from _defaults.defaults(inventory, posture)
    yield from _host.host(posture)
