"""Reasons: one small function each, all of them asked, none stops the others.

Pure. A check looks at one table (and around it) and says what it found, or None. A finding that blocks
means: this version does not encrypt this table as it is. `CHECKS` is in the order in which a reader
sees the findings; `SKIPS` are reasons why there is nothing to do.
"""

from __future__ import annotations

from typing import Final

from migrator.model import Finding, Flavour, Table
from migrator.planner.around import Around, Check, finding, shown
from migrator.planner.background import out_of_reach
from migrator.planner.copy import (
    check_names,
    data_directory,
    document_ids,
    foreign_keys,
    generated_timestamp,
    name_taken,
    no_usable_key,
    old_timestamp,
    own_triggers,
    referenced,
    retained_in_the_way,
    spatial_key,
)
from migrator.planner.notes import autoinc_lock, fulltext, histograms, in_system_tablespace, partly_encrypted, spatial
from migrator.planner.privileges import grant

NO_DATA_ENGINES: Final = {
    "MEMORY": "its rows live in memory",
    "BLACKHOLE": "it keeps no rows",
    "FEDERATED": "its rows lie on another server",
    "MRG_MYISAM": "its rows lie in the tables that it merges, which are listed themselves",
    "PERFORMANCE_SCHEMA": "its rows live in memory",
    "TempTable": "its rows live in memory",
}
"""Engines whose tables have no rows in files of their own."""

CONVERTIBLE: Final = frozenset({"MyISAM", "CSV", "ARCHIVE"})
"""Engines that `convert` makes InnoDB tables of."""

CLUSTER_ENGINES: Final = frozenset({"NDB", "NDBCLUSTER", "ndbcluster"})


ENCRYPTED_BELOW: Final = {
    Flavour.RDS: "the storage of an instance",
    Flavour.AURORA: "the storage of a cluster",
    Flavour.NDB: "the file systems of its data nodes",
}
"""Flavours on which no plan of ours encrypts anything, and what is encrypted there instead."""


# -- nothing to do --------------------------------------------------------------------------------


def ours(table: Table, around: Around) -> Finding | None:
    """A table that the journal proves to be ours needs no step."""
    if table.name in around.retained:
        message = f"retained by migrator until {around.retained[table.name]}, in clear"
        return finding(table, "ours-retained", message, "`migrator cleanup` removes it when its time has come")
    if table.name in around.owned:
        return finding(
            table, "ours", "made by migrator for a table that is being done", "`migrator status` shows which"
        )
    return None


def no_data_on_disk(table: Table, _around: Around) -> Finding | None:
    """Engines without rows in files have nothing that could be encrypted."""
    reason = NO_DATA_ENGINES.get(table.engine)
    return finding(table, "no-data-on-disk", f"engine {table.engine}: {reason}") if reason else None


def already_encrypted(table: Table, _around: Around) -> Finding | None:
    """Every tablespace that holds rows of it is encrypted."""
    return finding(table, "already-encrypted", "already encrypted") if table.encrypted else None


SKIPS: Final[tuple[Check, ...]] = (ours, no_data_on_disk, already_encrypted)


# -- what stands in the way, whatever the method --------------------------------------------------


def not_innodb(table: Table, _around: Around) -> Finding | None:
    """Only InnoDB encrypts tables."""
    if table.engine == "InnoDB":
        return None
    if table.engine in CLUSTER_ENGINES:
        remedy = "NDB encrypts per data node: set EncryptedFileSystem=1 and restart the nodes one by one (--initial)"
        return finding(table, "not-innodb", f"engine {table.engine} has no encryption per table", remedy, blocks=True)
    if not table.engine:
        message = "the server names no engine for it: it is damaged or its engine is not loaded"
        return finding(
            table, "engine-unknown", message, f"see what SHOW CREATE TABLE {shown(table.name)} says", blocks=True
        )
    by_hand = f"in a maintenance window: ALTER TABLE {shown(table.name)} ENGINE=InnoDB ENCRYPTION='Y'"
    if table.engine in CONVERTIBLE:
        by_hand = f"plan again with --convert; or {by_hand} (writes wait while it copies)"
    remedy = f"{by_hand}; or leave it out with ignore_tables"
    return finding(table, "not-innodb", f"engine {table.engine} cannot encrypt", remedy, blocks=True)


def not_per_table(table: Table, around: Around) -> Finding | None:
    """Managed services and NDB encrypt below the tables, or not at all."""
    flavour = around.server.flavour
    if flavour is Flavour.MARIADB:
        return out_of_reach(table)
    if flavour not in ENCRYPTED_BELOW:
        return None
    remedy = f"migrator runbook {flavour}"
    message = f"{flavour.upper()} encrypts {ENCRYPTED_BELOW[flavour]}, not table by table"
    return finding(table, "not-per-table", message, remedy, blocks=True)


def unreadable(table: Table, around: Around) -> Finding | None:
    """Without a privilege on a table the server shows no columns of it."""
    if table.columns:
        return None
    remedy = grant(around.server, ("SELECT",), schema=table.name.schema)
    return finding(table, "unreadable", "its columns cannot be read: no privilege on it", remedy, blocks=True)


def tablespace_unknown(table: Table, around: Around) -> Finding | None:
    """Whether it is encrypted is known only by its tablespace."""
    if table.engine != "InnoDB" or (table.segments and all(s.tablespace for s in table.segments)):
        return None
    remedy = f"{grant(around.server, ('PROCESS',))}; if that is held, the error log says more"
    return finding(table, "tablespace-unknown", "its tablespace is not in the catalog", remedy, blocks=True)


def tablespace_not_normal(table: Table, around: Around) -> Finding | None:
    """A discarded or missing tablespace has no rows to encrypt."""
    states = {around.tablespaces[s.space].state for s in table.segments if s.space in around.tablespaces}
    odd = sorted(states - {"", "normal", "active"})
    if not odd:
        return None
    remedy = f"ALTER TABLE {shown(table.name)} IMPORT TABLESPACE, or drop the table"
    return finding(table, "tablespace-not-normal", f"its tablespace is {', '.join(odd)}", remedy, blocks=True)


def secondary_engine(table: Table, _around: Around) -> Finding | None:
    """A table that is loaded into a secondary engine allows no ALTER."""
    if "SECONDARY_ENGINE" not in table.create_options.upper():
        return None
    remedy = f"ALTER TABLE {shown(table.name)} SECONDARY_ENGINE=NULL, encrypt, then set it again"
    return finding(table, "secondary-engine", "it has a secondary engine, which forbids ALTER", remedy, blocks=True)


# -- all of them, in order ------------------------------------------------------------------------

TABLESPACE_CHECKS: Final[tuple[Check, ...]] = (not_innodb, tablespace_unknown, tablespace_not_normal, secondary_engine)
"""What matters for a table that is encrypted with its tablespace: it is neither copied nor renamed."""

CHECKS: Final[tuple[Check, ...]] = (
    not_innodb,
    unreadable,
    tablespace_unknown,
    tablespace_not_normal,
    secondary_engine,
    foreign_keys,
    referenced,
    own_triggers,
    check_names,
    generated_timestamp,
    old_timestamp,
    no_usable_key,
    document_ids,
    spatial_key,
    data_directory,
    name_taken,
    retained_in_the_way,
    partly_encrypted,
    in_system_tablespace,
    fulltext,
    spatial,
    histograms,
    autoinc_lock,
)


def examine(table: Table, around: Around, checks: tuple[Check, ...] = CHECKS) -> tuple[Finding, ...]:
    """All findings about a table, in the order of `checks`."""
    return tuple(found for check in checks if (found := check(table, around)) is not None)
