"""Other servers that get our statements, and whose keyring a query can confirm."""

from __future__ import annotations

from dataclasses import dataclass

from migrator.db import Session
from migrator.errors import MigratorError
from migrator.inventory import read_server
from migrator.model import Member, Server
from migrator.sql_errors import SqlError


@dataclass(frozen=True, slots=True)
class Asked:
    """What members said of their keyrings; who could not be asked is in neither."""

    confirmed: frozenset[str]
    refuted: frozenset[str]
    """Asked, and found without a usable keyring: no attestation makes up for that."""


def ask_members(session: Session, server: Server) -> Asked:
    """Ask each member for its keyring, with this run's own account and TLS settings, at the address that it reports.

    One that does not answer there, or is another server than the topology says, has to be attested by a person.
    Reads only.
    """
    usable = {member.name: _keyring_is_usable(session, member) for member in server.members}
    return Asked(
        frozenset(name for name, answer in usable.items() if answer),
        frozenset(name for name, answer in usable.items() if answer is False),
    )


def address_of(member: Member) -> tuple[str, int] | None:
    """Where it can be asked; None if it does not say, or not who it is."""
    host, _, port = member.name.rpartition(":")
    if not host or not port.isdigit() or not member.server_uuid:
        return None
    return host, int(port)


def _keyring_is_usable(session: Session, member: Member) -> bool | None:
    at = address_of(member)
    if at is None:
        return None
    try:
        with session.elsewhere(*at, server_uuid=member.server_uuid) as other:
            keyring = read_server(other).keyring
    except (MigratorError, SqlError):
        return None  # not asked is the answer, whatever the reason; the gate says what to do
    if keyring.kind not in {"none", "component", "plugin"}:
        return None  # our account may not see there what there is
    return keyring.usable
