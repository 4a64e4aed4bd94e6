"""The method tablespace-relay: what it serves, what it cannot, what can be noticed of it, what is in its tablespaces.

Pure.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from migrator.model import Finding, Table, TablespaceKind
from migrator.planner.around import Around, by_hand, finding, shown
from migrator.planner.units import about

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
    return finding(table, "relay-impossible", message, by_hand(table), blocks=True)


def relay_off(table: Table) -> Finding:
    """A table that only a relay serves, where the policy wants none."""
    message = "a copy by triggers cannot serve it, and the policy does without tablespace-relay"
    return finding(table, "relay-off", message, f"plan again with --relay; or {by_hand(table)}", blocks=True)


def relay_findings(table: Table, around: Around) -> tuple[Finding, ...]:
    """What a reviewer has to know about a table that is relayed."""
    found = [
        finding(
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
        found.append(finding(table, "relay-duplicates", message, "a time at which few of these meet a duplicate"))
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
        found.append(finding(table, "relay-lag", message, remedy))
    limit = int(around.server.variables.get("innodb_online_alter_log_max_size") or 0)
    bound = about(limit) if limit else "innodb_online_alter_log_max_size"
    message = f"writes to it during a move are held in a log of at most {bound}; beyond that the move is lost (1799)"
    remedy = "SET PERSIST innodb_online_alter_log_max_size, if more than that is written while its size is copied"
    return (*found, finding(table, "relay-log", message, remedy))


def at_home(table: Table, around: Around) -> Table:
    """The table as it lay before a relay that is under way put it into a tablespace of ours; any other as it is."""
    if not any(around.relays.get(s.tablespace) == table.name for s in table.segments):
        return table
    home = replace(table.segments[0], tablespace=str(table.name), kind=TablespaceKind.FILE_PER_TABLE, encrypted=False)
    return replace(table, segments=(home,))


def half_relayed(table: Table, around: Around) -> Finding:
    """A table that a relay has not brought home yet, and that this plan refuses."""
    lies = around.away[table.name]
    state = "encrypted" if lies.encrypted else "in clear"
    message = (
        f"lies in tablespace {lies.tablespace}, {state}, where a relay that is not finished has put it; this plan"
        " does not go on with that"
    )
    remedy = (
        f"migrator cleanup --abandon {table.name} gives it a file of its own again, {state};"
        " or, where only the policy is against a relay, plan again with --relay, and apply goes on with it"
    )
    return finding(table, "half-relayed", message, remedy, blocks=True)


def guest(table: Table, around: Around) -> Finding | None:
    """A table that somebody has put into a tablespace of a relay, which is dropped when the relay is done."""
    space = next((s.tablespace for s in table.segments if s.tablespace in around.relays), "")
    if not space or around.relays[space] == table.name:
        return None
    message = f"lies in tablespace {space}, which migrator has made for {around.relays[space]} and drops afterwards"
    encryption = " ENCRYPTION='Y'" if table.encrypted else ""
    remedy = f"ALTER TABLE {shown(table.name)} TABLESPACE = innodb_file_per_table{encryption}, then plan again"
    return finding(table, "in-relay-tablespace", message, remedy, blocks=not table.encrypted)
