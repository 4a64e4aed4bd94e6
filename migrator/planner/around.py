"""What a check may look at, and how it says what it found. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from migrator.model import Finding, Inventory, Segment, Server, Table, TableName, Tablespace, TablespaceKind
from migrator.sql.names import qualified, trigger_name
from migrator.sql.triggers import EVENTS, PURPOSES


@dataclass(frozen=True, slots=True)
class Around:
    """What a check may look at besides its table; `owned` are the tables that the journal proves to be ours."""

    server: Server
    names: frozenset[TableName] = frozenset()
    """Names that tables and views bear."""
    triggers: frozenset[tuple[str, str]] = frozenset()
    """Schema and name of every trigger that was seen."""
    tablespaces: Mapping[int, Tablespace] = field(default_factory=dict)
    owned: frozenset[TableName] = frozenset()
    retained: Mapping[TableName, str] = field(default_factory=dict)
    """Of the owned ones the retained tables, and until when (UTC) each is kept."""
    relays: Mapping[str, TableName] = field(default_factory=dict)
    """Tablespaces that relays have made, and the one table that each is for."""
    away: Mapping[TableName, Segment] = field(default_factory=dict)
    """Tables that a relay has not brought home yet, and where they lie."""


Check = Callable[[Table, Around], Finding | None]


def look_around(
    inventory: Inventory,
    *,
    owned: Iterable[TableName] = (),
    retained: Mapping[TableName, str] | None = None,
    relays: Mapping[str, TableName] | None = None,
) -> Around:
    """The surroundings of all tables of an inventory, made once for all of them."""
    kept, relays = dict(retained or {}), dict(relays or {})
    return Around(
        server=inventory.server,
        names=inventory.names | {t.name for t in inventory.tables},
        triggers=frozenset((g.schema, g.name) for t in inventory.tables for g in t.triggers),
        tablespaces={t.space: t for t in inventory.tablespaces},
        owned=frozenset(owned) | frozenset(kept) | {TableName("", space) for space in relays},
        retained=kept,
        relays=relays,
        away={t.name: s for t in inventory.tables for s in t.segments if relays.get(s.tablespace) == t.name},
    )


def real_bytes(table: Table, around: Around) -> int:
    """Bytes of the table on disk: the larger of the statistics, which can be stale, and of its own files."""
    spaces = {s.space for s in table.segments if s.kind is TablespaceKind.FILE_PER_TABLE}
    files = sum(around.tablespaces[space].file_bytes for space in spaces if space in around.tablespaces)
    return max(table.size_bytes, files)


def shown(table: TableName) -> str:
    """`schema`.`table` as a person types it."""
    return qualified(table).replace("%%", "%")


def our_triggers(table: TableName) -> frozenset[str]:
    """The names of all triggers that we ever put on this table."""
    return frozenset(trigger_name(table, p, e) for p in PURPOSES for e in EVENTS)


def finding(table: Table, code: str, message: str, remedy: str = "", *, blocks: bool = False) -> Finding:
    """A finding about this table."""
    return Finding(code=code, message=message, remedy=remedy, blocks=blocks, subject=str(table.name))


def by_hand(table: Table) -> str:
    """The remedy where no method serves a table."""
    return f"in a maintenance window: ALTER TABLE {shown(table.name)} ENCRYPTION='Y' (writes wait while it copies)"
