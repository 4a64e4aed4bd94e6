"""What `audit` looks at besides tables: the server's settings, its host where that is ours; and what may stay open."""

from __future__ import annotations

import socket
from collections.abc import Collection

from migrator.db import Session
from migrator.engine.ours import Ours as OurTables
from migrator.errors import UsageError
from migrator.inventory.host import read_host
from migrator.inventory.posture import read_posture
from migrator.model import Server
from migrator.planner.posture import ACCEPTABLE, CODES
from migrator.posture import Host, Ours, Posture
from migrator.proof.places import NotHere, find_datadir


def accepted_of(given: Collection[str] | None) -> frozenset[str]:
    """The codes of `--accept`. Raises `UsageError` for one that is unknown, or that nobody may accept."""
    codes = frozenset(code.strip() for text in given or () for code in text.split(","))
    if refused := sorted((codes - ACCEPTABLE) & CODES.keys()):
        raise UsageError(
            f"--accept: {', '.join(refused)} cannot be accepted as one",
            remedy="leave out those that may stay in clear: --ignore-tables, --ignore-databases",
        )
    if unknown := sorted(codes - ACCEPTABLE):
        raise UsageError(
            f"--accept: no place of the audit is called {', '.join(unknown)}",
            remedy="the codes are in the last column of the report's places, and in docs/audit.md",
        )
    return codes


def read_all(session: Session, server: Server, ours: OurTables) -> Posture:
    """The posture of the server, and of its host where that is proved to be this one. Reads only."""
    retained = dict(ours.retained)
    tables = (name for name in ours.owned - retained.keys() if name.name not in ours.relays)
    unfinished = tuple(sorted(tables))
    return read_posture(
        session, server, host=host_of(session, server), ours=Ours(retained, unfinished, dict(ours.keys))
    )


def host_of(session: Session, server: Server) -> Host:
    """The host, if its name is the server's and the datadir has its auto.cnf; else why it was not looked at."""
    here = socket.gethostname()
    if here != server.host:
        return Host(why=f"this is {here}, the server is on {server.host}")
    try:
        datadir = find_datadir(server.datadir, server.server_uuid)
    except NotHere as error:
        return Host(why=str(error))
    why = f"this is {here}, and {datadir.path / 'auto.cnf'} has the server's server_uuid"
    return read_host(session, server, datadir=datadir.path, resolve=datadir.resolve, why=why)
