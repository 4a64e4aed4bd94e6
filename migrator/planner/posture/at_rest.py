"""Places on the server's disks besides its tables: logs, shared tablespaces, defaults for what is born."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.model import Inventory
from migrator.planner.units import about
from migrator.posture import Area, Place, Posture, State

_ROWS = "every changed row can be read in it, also those of encrypted tables"


def at_rest(inventory: Inventory, posture: Posture) -> Iterator[Place]:
    """Places at rest, those first that a copy of a table writes to."""
    yield _binary_log(inventory, posture)


def _binary_log(inventory: Inventory, posture: Posture) -> Place:
    code, what = "binary-log", "binary log"
    if not inventory.server.variable_is_on("log_bin"):
        return Place(code, Area.AT_REST, what, State.UNUSED, "log_bin=OFF")
    files = posture.at_rest.binary_logs
    on = inventory.server.variable_is_on("binlog_encryption")
    setting = f"binlog_encryption={'ON' if on else 'OFF'}"
    if files is None:
        why = f"{setting}; which files are encrypted is not readable: REPLICATION CLIENT is missing"
        return Place(code, Area.AT_REST, what, State.UNKNOWN, why, _ROWS)
    clear = [file for file in files if not file.encrypted]
    size = about(sum(file.bytes for file in clear))
    evidence = f"{setting}; SHOW BINARY LOGS: {len(clear)} of {len(files)} files not encrypted, {size}"
    if on and not clear:
        return Place(code, Area.AT_REST, what, State.ENCRYPTED, evidence)
    newest = files[-1].name
    purge = f"PURGE BINARY LOGS TO '{newest}'  -- once every replica and backup has read what is before it"
    if on:
        return Place(code, Area.AT_REST, what, State.PARTLY, evidence, _ROWS, (purge,))
    closes = ("SET PERSIST binlog_encryption = ON", "then purge the files of before: PURGE BINARY LOGS TO ...")
    return Place(code, Area.AT_REST, what, State.CLEAR, evidence, _ROWS, closes)
