"""What is found in the tablespaces that relays have made: tables on their way, and tables of others.

Pure.
"""

from __future__ import annotations

from migrator.model import Finding, Table
from migrator.planner.checks import Around, shown


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
    return Finding("half-relayed", message, remedy, blocks=True, subject=str(table.name))


def guest(table: Table, around: Around) -> Finding | None:
    """A table that somebody has put into a tablespace of a relay, which is dropped when the relay is done."""
    space = next((s.tablespace for s in table.segments if s.tablespace in around.relays), "")
    if not space or around.relays[space] == table.name:
        return None
    message = f"lies in tablespace {space}, which migrator has made for {around.relays[space]} and drops afterwards"
    encryption = " ENCRYPTION='Y'" if table.encrypted else ""
    remedy = f"ALTER TABLE {shown(table.name)} TABLESPACE = innodb_file_per_table{encryption}, then plan again"
    return Finding("in-relay-tablespace", message, remedy, blocks=not table.encrypted, subject=str(table.name))
