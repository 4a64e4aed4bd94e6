"""Other servers that get our statements, and whose keyring a query can confirm."""

from __future__ import annotations

from migrator.db import Session
from migrator.errors import MigratorError
from migrator.inventory import read_server
from migrator.model import Member, Server
from migrator.sql_errors import SqlError


def confirmed_members(session: Session, server: Server) -> frozenset[str]:
    """Members whose keyring was seen to be usable, asked with this run's own account and TLS settings.

    Each is tried at the address that it reports. One that does not answer there, is another server than
    the topology says, or has no usable keyring is not confirmed: then a person has to attest it. Reads only.
    """
    return frozenset(member.name for member in server.members if _confirmed(session, member))


def _confirmed(session: Session, member: Member) -> bool:
    host, _, port = member.name.rpartition(":")
    if not host or not port.isdigit() or not member.server_uuid:
        return False
    try:
        with session.elsewhere(host, int(port), server_uuid=member.server_uuid) as other:
            return read_server(other).keyring.usable
    except (MigratorError, SqlError):
        return False  # not confirmed is the answer, whatever the reason; the gate says what to do
