"""Reasons: one small function each, all of them asked, none stops the others.

Pure. A check looks at one table (and around it) and says what it found, or None. A finding that blocks
means: this version does not encrypt this table as it is. `CHECKS` is in the order in which a reader
sees the findings; `SKIPS` are reasons why there is nothing to do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from migrator.model import Finding, Inventory, Segment, Server, Table, TableName, Tablespace, TablespaceKind
from migrator.planner.keys import key_obstacle, usable_key
from migrator.planner.privileges import grant
from migrator.planner.time_zones import computed_in_a_time_zone, timestamp_columns
from migrator.planner.units import about
from migrator.sql.names import MAX_NAME, log_of, qualified, retained_of, shadow_of, trigger_name
from migrator.sql.triggers import EVENTS, PURPOSES

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


# -- nothing to do --------------------------------------------------------------------------------


def ours(table: Table, around: Around) -> Finding | None:
    """A table that the journal proves to be ours needs no step."""
    if table.name in around.retained:
        message = f"retained by migrator until {around.retained[table.name]}, in clear"
        return _about(table, "ours-retained", message, "`migrator cleanup` removes it when its time has come")
    if table.name in around.owned:
        return _about(table, "ours", "made by migrator for a table that is being done", "`migrator status` shows which")
    return None


def no_data_on_disk(table: Table, _around: Around) -> Finding | None:
    """Engines without rows in files have nothing that could be encrypted."""
    reason = NO_DATA_ENGINES.get(table.engine)
    return _about(table, "no-data-on-disk", f"engine {table.engine}: {reason}") if reason else None


def already_encrypted(table: Table, _around: Around) -> Finding | None:
    """Every tablespace that holds rows of it is encrypted."""
    return _about(table, "already-encrypted", "already encrypted") if table.encrypted else None


SKIPS: Final[tuple[Check, ...]] = (ours, no_data_on_disk, already_encrypted)


# -- what stands in the way, whatever the method --------------------------------------------------


def not_innodb(table: Table, _around: Around) -> Finding | None:
    """Only InnoDB encrypts tables."""
    if table.engine == "InnoDB":
        return None
    if table.engine in CLUSTER_ENGINES:
        remedy = "NDB encrypts per data node: set EncryptedFileSystem=1 and restart the nodes one by one (--initial)"
        return _about(table, "not-innodb", f"engine {table.engine} has no encryption per table", remedy, blocks=True)
    if not table.engine:
        message = "the server names no engine for it: it is damaged or its engine is not loaded"
        return _about(
            table, "engine-unknown", message, f"see what SHOW CREATE TABLE {shown(table.name)} says", blocks=True
        )
    by_hand = f"in a maintenance window: ALTER TABLE {shown(table.name)} ENGINE=InnoDB ENCRYPTION='Y'"
    if table.engine in CONVERTIBLE:
        by_hand = f"plan again with --convert; or {by_hand} (writes wait while it copies)"
    remedy = f"{by_hand}; or leave it out with ignore_tables"
    return _about(table, "not-innodb", f"engine {table.engine} cannot encrypt", remedy, blocks=True)


def unreadable(table: Table, around: Around) -> Finding | None:
    """Without a privilege on a table the server shows no columns of it."""
    if table.columns:
        return None
    remedy = grant(around.server, ("SELECT",), schema=table.name.schema)
    return _about(table, "unreadable", "its columns cannot be read: no privilege on it", remedy, blocks=True)


def tablespace_unknown(table: Table, around: Around) -> Finding | None:
    """Whether it is encrypted is known only by its tablespace."""
    if table.engine != "InnoDB" or (table.segments and all(s.tablespace for s in table.segments)):
        return None
    remedy = f"{grant(around.server, ('PROCESS',))}; if that is held, the error log says more"
    return _about(table, "tablespace-unknown", "its tablespace is not in the catalog", remedy, blocks=True)


def tablespace_not_normal(table: Table, around: Around) -> Finding | None:
    """A discarded or missing tablespace has no rows to encrypt."""
    states = {around.tablespaces[s.space].state for s in table.segments if s.space in around.tablespaces}
    odd = sorted(states - {"", "normal", "active"})
    if not odd:
        return None
    remedy = f"ALTER TABLE {shown(table.name)} IMPORT TABLESPACE, or drop the table"
    return _about(table, "tablespace-not-normal", f"its tablespace is {', '.join(odd)}", remedy, blocks=True)


def secondary_engine(table: Table, _around: Around) -> Finding | None:
    """A table that is loaded into a secondary engine allows no ALTER."""
    if "SECONDARY_ENGINE" not in table.create_options.upper():
        return None
    remedy = f"ALTER TABLE {shown(table.name)} SECONDARY_ENGINE=NULL, encrypt, then set it again"
    return _about(table, "secondary-engine", "it has a secondary engine, which forbids ALTER", remedy, blocks=True)


# -- what a copy by triggers does not serve, and a relay does ---------------------------------------


def foreign_keys(table: Table, _around: Around) -> Finding | None:
    """A copy has foreign keys of its own, with other names."""
    if not table.foreign_keys:
        return None
    names = ", ".join(f"{k.name} -> {k.parent}" for k in table.foreign_keys)
    return _about(
        table, "foreign-key", f"foreign keys of its own: {names}", _by_hand(table), blocks=immovable(table) != ""
    )


def referenced(table: Table, _around: Around) -> Finding | None:
    """Foreign keys of other tables would follow the old table when it is renamed."""
    if not table.referenced_by:
        return None
    names = ", ".join(f"{k.table} ({k.name})" for k in table.referenced_by)
    return _about(
        table,
        "referenced",
        f"foreign keys of other tables refer to it: {names}",
        _by_hand(table),
        blocks=immovable(table) != "",
    )


def own_triggers(table: Table, _around: Around) -> Finding | None:
    """Triggers of the application would stay on the old table."""
    mine = our_triggers(table.name)
    names = ", ".join(f"{t.name} ({t.timing} {t.event})" for t in table.triggers if t.name not in mine)
    if not names:
        return None
    return _about(
        table, "own-trigger", f"triggers of the application: {names}", _by_hand(table), blocks=immovable(table) != ""
    )


def check_names(table: Table, _around: Around) -> Finding | None:
    """LIKE gives CHECK constraints new names; only t_chk_1 to t_chk_9 without gaps come out as they were.

    Observed on MySQL 9.7.4: a gap is closed, ten and more are shuffled (LIKE takes them by name, and
    t_chk_10 sorts before t_chk_2), and a name over 64 characters fails with 3507 or 1059.
    """
    given = [c.name for c in table.checks if not c.generated_name]
    if given:
        message = f"CHECK constraints with names of their own: {', '.join(given)}; a copy cannot bear the same names"
        return _about(table, "named-check", message, _by_hand(table), blocks=immovable(table) != "")
    expected = {f"{table.name.name}_chk_{n}" for n in range(1, len(table.checks) + 1)}
    if len(table.checks) > 9 or {c.name for c in table.checks} - expected:
        message = "CHECK constraints that a copy would number anew: more than nine, or with gaps"
        return _about(table, "check-numbers", message, _by_hand(table), blocks=immovable(table) != "")
    longest = max(len(shadow_of(table.name).name), len(retained_of(table.name).name)) + len("_chk_1")
    if table.checks and longest > MAX_NAME:
        message = "with its CHECK constraints the name is too long for a copy: the server derives theirs from it"
        return _about(table, "check-name-length", message, _by_hand(table), blocks=immovable(table) != "")
    return None


def generated_timestamp(table: Table, _around: Around) -> Finding | None:
    """What is computed from a TIMESTAMP would be computed in UTC by us, and in another time zone by the application."""
    found = computed_in_a_time_zone(table)
    if not found:
        return None
    message = f"depends on the time zone of whoever computes it, and migrator's sessions are in UTC: {', '.join(found)}"
    remedy = (
        f"in a maintenance window, in a session with the application's time_zone: ALTER TABLE {shown(table.name)}"
        " ENCRYPTION='Y' (writes wait while it copies)"
    )
    return _about(table, "generated-timestamp", message, remedy, blocks=True)


def old_timestamp(table: Table, around: Around) -> Finding | None:
    """Before 8.0.19 no instant can be said with its offset, as mirror triggers must."""
    names = timestamp_columns(table)
    if not names or around.server.at_least(8, 0, 19):
        return None
    message = f"TIMESTAMP ({', '.join(names)}) cannot be mirrored exactly before MySQL 8.0.19"
    return _about(table, "old-timestamp", message, f"upgrade the server, or: {_by_hand(table)}", blocks=True)


def no_usable_key(table: Table, _around: Around) -> Finding | None:
    """Rows that no key names cannot be copied in chunks or followed."""
    if not table.columns or usable_key(table) is not None:
        return None
    reasons = [f"{key.name} {key_obstacle(table, key)}" for key in table.keys if key.unique]
    message = "no usable key" + (f": {'; '.join(reasons)}" if reasons else ": neither PRIMARY nor UNIQUE")
    remedy = "add a PRIMARY KEY (an invisible AUTO_INCREMENT column does no harm to most applications), or " + _by_hand(
        table
    )
    return _about(table, "no-usable-key", message, remedy, blocks=immovable(table) != "")


def document_ids(table: Table, _around: Around) -> Finding | None:
    """InnoDB takes a FTS_DOC_ID only if it is larger than all before (error 182), and a drain brings rows again."""
    if not any(k.type == "FULLTEXT" for k in table.keys) or all(c.name.upper() != "FTS_DOC_ID" for c in table.columns):
        return None
    message = "FULLTEXT with a FTS_DOC_ID of its own, whose rows can only be inserted in the order of that column"
    return _about(table, "document-ids", message, _by_hand(table), blocks=True)


def data_directory(table: Table, _around: Around) -> Finding | None:
    """LIKE does not keep DATA DIRECTORY (manual: CREATE TABLE ... LIKE)."""
    if not table.data_directory:
        return None
    return _about(table, "data-directory", "DATA DIRECTORY: a copy would lie elsewhere", _by_hand(table), blocks=True)


def name_taken(table: Table, around: Around) -> Finding | None:
    """What bears a name of ours and is not provably ours is never touched, so the name is not free."""
    derived = (shadow_of(table.name), log_of(table.name), retained_of(table.name))
    strangers = [str(n) for n in derived if n in around.names and n not in around.owned]
    work = {shadow_of(table.name), log_of(table.name)}
    if not work & around.owned:
        seen = around.triggers | {(table.name.schema, t.name) for t in table.triggers}
        strangers += [f"trigger {n}" for n in sorted(our_triggers(table.name)) if (table.name.schema, n) in seen]
    if not strangers:
        return None
    message = f"names that migrator needs are taken, and the journal does not know by whom: {', '.join(strangers)}"
    return _about(table, "name-taken", message, "find out whose they are; rename or drop them by hand", blocks=True)


def retained_in_the_way(table: Table, around: Around) -> Finding | None:
    """The old table of an earlier run is still kept, under the name that a new run needs.

    `cleanup` does not drop it: the table was encrypted by that run and is in clear again, nobody knows why.
    """
    old = retained_of(table.name)
    if old not in around.retained:
        return None
    message = f"was encrypted by an earlier run and is in clear again; {old} of that run is still there"
    remedy = "look which of the two has your rows; drop or rename the retained one by hand, then plan again"
    return _about(table, "retained-in-the-way", message, remedy, blocks=True)


# -- good to know ---------------------------------------------------------------------------------


def partly_encrypted(table: Table, _around: Around) -> Finding | None:
    """Some of its files are encrypted, some are not: partitions, or tables of a FULLTEXT index."""
    done = sum(s.encrypted for s in table.segments)
    if not 0 < done < len(table.segments):
        return None
    return _about(table, "partly-encrypted", f"{done} of its {len(table.segments)} files are encrypted; all get done")


def in_system_tablespace(table: Table, _around: Around) -> Finding | None:
    """ibdata1 cannot be encrypted, so the rows move into a file of their own."""
    if table.tablespace_kind is not TablespaceKind.SYSTEM:
        return None
    message = (
        "lies in ibdata1, which cannot be encrypted: it moves into a file of its own, SHOW CREATE TABLE then says"
        " TABLESPACE `innodb_file_per_table`, and ibdata1 keeps the old pages, in clear, until they are used again"
    )
    return _about(table, "in-system-tablespace", message, "only a new data directory frees ibdata1 of them")


def fulltext(table: Table, _around: Around) -> Finding | None:
    """FULLTEXT indexes have tables of their own, which are encrypted with the table."""
    names = [k.name for k in table.keys if k.type == "FULLTEXT"]
    message = f"FULLTEXT indexes ({', '.join(names)}): their tables are encrypted too; the copy takes longer"
    return _about(table, "fulltext", message) if names else None


def spatial(table: Table, _around: Around) -> Finding | None:
    """SPATIAL indexes are encrypted with the table, and slow to build.

    InnoDB can end the server when a transaction that changed one is rolled back (row0undo.cc, "Error (Failed, retry
    may succeed) in rollback"), and again when it is started after that. Seen on 9.7.4 with one of 300 random
    tables, while the copy was mirrored; once also without a migration.
    """
    names = [k.name for k in table.keys if k.type == "SPATIAL"]
    if not names:
        return None
    message = (
        f"SPATIAL indexes ({', '.join(names)}): the copy takes longer; and InnoDB can end the server, and"
        " again at its next start, when a transaction that changed such an index is rolled back, which a second copy"
        " of the index makes likelier"
    )
    remedy = "leave it out (skip), or a time at which nobody writes to it; a backup"
    return _about(table, "spatial", message, remedy)


def histograms(table: Table, _around: Around) -> Finding | None:
    """The server keeps no histograms of encrypted tables, whoever encrypts them."""
    if not table.histograms:
        return None
    message = f"histograms are lost, the server keeps none for an encrypted table: {', '.join(table.histograms)}"
    return _about(table, "histograms", message, "look at the plans of queries on these columns; an index may be needed")


def autoinc_lock(table: Table, around: Around) -> Finding | None:
    """Below innodb_autoinc_lock_mode=2, statements that insert many rows take turns."""
    mode = around.server.variables.get("innodb_autoinc_lock_mode", "2")
    if mode == "2" or not any(c.auto_increment for c in table.columns):
        return None
    message = f"AUTO_INCREMENT with innodb_autoinc_lock_mode={mode}: copying connections take turns"
    return _about(table, "autoinc-lock", message, "workers: 1 is as fast here; 2 is the server's default since 8.0")


RELAY_SERVES: Final = frozenset(
    {
        "foreign-key",
        "referenced",
        "own-trigger",
        "named-check",
        "check-numbers",
        "check-name-length",
        "no-usable-key",
    }
)
"""Codes of what keeps a table from being copied by triggers, and goes with it through a tablespace."""

RELAY_NEEDS_NO_NAME: Final = frozenset({"name-taken", "retained-in-the-way"})
"""Codes that stand in the way of a copy only, since it makes tables and triggers beside the source."""


_MULTI_VALUED: Final = re.compile(r"\sarray\)\s*$", re.IGNORECASE)
"""How the expression of a multi-valued index ends: `cast(... as unsigned array)`."""


def immovable(table: Table) -> str:
    """What the server does not move online between tablespaces, or what does not come out as it was; '' if nothing.

    Seen on MySQL 9.7.4: FULLTEXT 1846 (COPY only), SPATIAL 1846 (LOCK=SHARED only), partitions, COMPRESSED and page
    compression 1478. DATA DIRECTORY is lost, and ignored when it is said again (1618). With a multi-valued index a move
    fails with 1034 (Incorrect key file) when the table is written to meanwhile.
    """
    kinds = {key.type for key in table.keys}
    reasons = (
        "FULLTEXT indexes" if "FULLTEXT" in kinds else "",
        "SPATIAL indexes" if "SPATIAL" in kinds else "",
        "multi-valued indexes" if any(_MULTI_VALUED.search(p.expression) for k in table.keys for p in k.parts) else "",
        "partitions" if table.partition_method else "",
        "ROW_FORMAT=COMPRESSED" if table.row_format.upper() == "COMPRESSED" else "",
        "page compression" if re.search(r"(?<!\w)COMPRESSION=", table.create_options, re.IGNORECASE) else "",
        "DATA DIRECTORY" if table.data_directory else "",
    )
    return ", ".join(filter(None, reasons))


def relay_impossible(table: Table, _around: Around) -> Finding | None:
    """A table that neither a copy nor a relay serves."""
    if not immovable(table):
        return None
    message = f"nor can the server move it online through a tablespace: {immovable(table)}"
    return _about(table, "relay-impossible", message, _by_hand(table), blocks=True)


def relay_off(table: Table) -> Finding:
    """A table that only a relay serves, where the policy wants none."""
    message = "a copy by triggers cannot serve it, and the policy does without tablespace-relay"
    return _about(table, "relay-off", message, f"plan again with --relay; or {_by_hand(table)}", blocks=True)


def relay_findings(table: Table, around: Around) -> tuple[Finding, ...]:
    """What a reviewer has to know about a table that is relayed."""
    found = [
        _about(
            table,
            "relay-moments",
            "the server moves it, online, twice; that cannot be paused or throttled. A transaction that is older than"
            " the end of a move and comes to the table afterwards gets error 1412; one that has read the table and"
            " wants to write at that very moment 1213. A long transaction on the table at the end of a move throws"
            " its work away; at the end of the encryption everybody waits for it",
            "a quiet time; no long transactions on it meanwhile",
        )
    ]
    if sum(key.unique for key in table.keys) > sum(key.name == "PRIMARY" for key in table.keys):
        message = (
            "a statement that meets a duplicate in a secondary unique index during a move (INSERT IGNORE, REPLACE,"
            " ON DUPLICATE KEY UPDATE) throws the move's work away (1062); the statement itself is not hurt"
        )
        found.append(_about(table, "relay-duplicates", message, "a time at which few of these meet a duplicate"))
    if around.server.variable_is_on("log_bin"):
        message = (
            "each of its three legs is one DDL on every replica, which lags by about the time of the leg; a replica"
            " encrypts without looking, so a transaction that has used the table there and stays open holds up its"
            " applier and everybody who wants the table there. To KILL the applier's statement does not end that, and"
            " has ended a replica"
        )
        remedy = (
            "a time at which replicas may lag, and have no long transactions; end the session that holds one up, never"
            " the applier's statement"
        )
        found.append(_about(table, "relay-lag", message, remedy))
    limit = int(around.server.variables.get("innodb_online_alter_log_max_size") or 0)
    bound = about(limit) if limit else "innodb_online_alter_log_max_size"
    message = f"writes to it during a move are held in a log of at most {bound}; beyond that the move is lost (1799)"
    remedy = "SET PERSIST innodb_online_alter_log_max_size, if more than that is written while its size is copied"
    return (*found, _about(table, "relay-log", message, remedy))


def at_home(table: Table, around: Around) -> Table:
    """The table as it lay before a relay that is under way put it into a tablespace of ours; any other as it is."""
    if not any(around.relays.get(s.tablespace) == table.name for s in table.segments):
        return table
    home = replace(table.segments[0], tablespace=str(table.name), kind=TablespaceKind.FILE_PER_TABLE, encrypted=False)
    return replace(table, segments=(home,))


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


def _about(table: Table, code: str, message: str, remedy: str = "", *, blocks: bool = False) -> Finding:
    return Finding(code=code, message=message, remedy=remedy, blocks=blocks, subject=str(table.name))


def _by_hand(table: Table) -> str:
    return f"in a maintenance window: ALTER TABLE {shown(table.name)} ENCRYPTION='Y' (writes wait while it copies)"
