"""Names: quoting, and the names of everything we make beside a table.

Pure. `quote` is the only place where an identifier becomes SQL text, and the functions below are
the only places where a derived name is made, so a DBA who finds `_orders_shadow` can look here.
"""

from __future__ import annotations

import hashlib
from typing import Final

from migrator.model import TableName

MAX_NAME: Final = 64
"""Characters in an identifier (manual: 11.2.1 Identifier Length Limits)."""


def quote(identifier: str) -> str:
    """The identifier in backticks, safe in SQL text that PyMySQL formats with arguments.

    Doubles the backtick for the server and the per cent sign for PyMySQL, which applies `%`
    whenever arguments are given; `db.Session` always gives them.
    """
    return "`" + identifier.replace("`", "``").replace("%", "%%") + "`"


def qualified(table: TableName) -> str:
    """`schema`.`table`, quoted."""
    return f"{quote(table.schema)}.{quote(table.name)}"


def derived(name: str, suffix: str) -> str:
    """`_name_suffix`; when that is too long, the name is cut and eight hex digits of its hash stand in.

    Two different long names never share a derived name, unlike names that are only cut.
    """
    plain = f"_{name}_{suffix}"
    if len(plain) <= MAX_NAME:
        return plain
    digest = hashlib.sha256(name.encode("utf-8")).hexdigest()[:8]
    room = MAX_NAME - len(f"__{digest}_{suffix}")
    return f"_{name[:room]}_{digest}_{suffix}"


def shadow_of(table: TableName) -> TableName:
    """The encrypted copy while it is being built: `_t_shadow`."""
    return TableName(table.schema, derived(table.name, "shadow"))


def retained_of(table: TableName) -> TableName:
    """The old table after the swap, in clear until it is cleaned up: `_t_retained`."""
    return TableName(table.schema, derived(table.name, "retained"))


def log_of(table: TableName) -> TableName:
    """The keys changed while copying: `_t_log`."""
    return TableName(table.schema, derived(table.name, "log"))


def twin_of(table: TableName, schema: str, run_id: str, *, short: bool = False) -> TableName:
    """The empty table that dry-run rehearses on, in the journal's schema: `_t_<hash>_twin`, another for each run.

    `short` leaves out the table's name: the server makes names of CHECK constraints from that of the twin.
    """
    digest = hashlib.sha256(f"{run_id}\0{table.schema}\0{table.name}".encode()).hexdigest()[:8]
    return TableName(schema, f"_{digest}_twin" if short else derived(table.name, f"{digest}_twin"))


def trigger_name(table: TableName, purpose: str, event: str) -> str:
    """`_t_log_ins`, `_t_mirror_upd` ...: purpose is log, mirror or back, event is insert, update or delete."""
    return derived(table.name, f"{purpose}_{event[:3].lower()}")
