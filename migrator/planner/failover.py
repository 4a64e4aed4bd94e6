"""A run goes on after a failover: what of the journal still holds on a server that was a replica. Pure.

The journal came here in the order in which it was written, each of its rows in the transaction of the rows that it
tells of. What did not come are the ids by which InnoDB tells a table and the time at which a trigger was made.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from migrator.errors import Stopped, UsageError

_UUID: Final = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", flags=re.IGNORECASE)
_INTERVAL: Final = re.compile(r"^[0-9]+(-[0-9]+)?$")


@dataclass(frozen=True, slots=True)
class Former:
    """The server that was the source, as the DBA names it: its server_uuid, and where it can be asked, if anywhere."""

    uuid: str
    host: str = ""
    port: int = 0

    @property
    def where(self) -> str:
        """host:port, or ''."""
        return f"{self.host}:{self.port}" if self.host else ""


def former_of(text: str) -> Former:
    """What `--failover-from` says: UUID, or UUID@HOST:PORT. Raises `UsageError`."""
    uuid, at, where = text.strip().partition("@")
    host, colon, port = where.rpartition(":")
    named = not at or (host and colon and port.isdigit() and len(port) <= 5)
    if not _UUID.match(uuid) or not named:
        raise UsageError(
            "--failover-from: this is no server_uuid, or no address stands behind its @",
            remedy="write the old source's @@server_uuid, and where it can be asked: UUID or UUID@HOST:PORT",
        )
    return Former(uuid.lower(), host, int(port) if at else 0)


def no_source_any_more(uuid: str) -> Stopped:
    """The error for a server that does not take writes any more, though it did when the run began."""
    return Stopped(
        f"the server {uuid} does not take writes any more: another one may have taken its place",
        remedy=f"find out; then apply on the one that takes writes, with --failover-from {uuid} (docs/replication.md),"
        " or here when this one takes them again",
    )


def at_its_place(former: Former, planned: str) -> Former:
    """With the address that the plan knows, where none was given; `planned` is host:port as that server said it."""
    host, _, port = planned.rpartition(":")
    if former.host or not host or not port.isdigit():
        return former
    return Former(former.uuid, host, int(port))


def has_gap(executed: str, uuid: str) -> bool:
    """True if transactions that began on this server are missing in the middle: the replica stopped with a gap."""
    runs = 0
    for one in executed.replace("\n", "").split(","):
        name, *rest = (part.strip() for part in one.split(":"))
        if name.lower() != uuid.lower():
            continue
        for part in rest:
            if not _INTERVAL.match(part):
                break  # a tag: numbers of their own begin
            runs += 1
    return runs > 1


def same_trigger(noted: str, there: str) -> bool:
    """True if a trigger has the definer, the text and the sql_mode that the journal knows, whenever it was made."""
    before, now = noted.split("|"), there.split("|")
    return len(before) == len(now) == 4 and before[1:] == now[1:]


def was_renamed(*, shadow: bool, retained: bool) -> bool:
    """True if the RENAME of the swap came here: it gave both names away at once, so exactly one of the two is there."""
    return retained and not shadow
