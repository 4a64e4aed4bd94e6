"""Logs of what was changed and of what was said: binary log, relay log, logs of statements, audit log. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from migrator.model import Inventory
from migrator.planner.posture.below import disk_below, encrypted_below
from migrator.planner.posture.code import Code
from migrator.planner.posture.settings import is_on, said
from migrator.planner.units import about
from migrator.posture import Area, LogFile, Place, Posture, State

_STATEMENTS: Final = "statements with their values can be read in it, also those on encrypted tables"

BINARY: Final = Code(
    "binary-log",
    Area.AT_REST,
    "binary log",
    "Every changed row, in files that stay until they are purged. A copy of a table writes each of its rows there.",
    "every changed row can be read in it, also those of encrypted tables",
    "`SET PERSIST binlog_encryption = ON` (needs `BINLOG_ENCRYPTION_ADMIN`): a new, encrypted file is begun at once;"
    " then `PURGE BINARY LOGS`, once replicas and backups have read the files of before",
)
RELAY: Final = Code(
    "relay-log",
    Area.AT_REST,
    "relay log",
    "On a replica: what it got from its source, until it is applied.",
    "every changed row can be read in it, also those of encrypted tables",
    "`SET PERSIST binlog_encryption = ON` on the replica; the files of before go when they are applied"
    " (`relay_log_purge`)",
)
LOAD_DATA: Final = Code(
    "load-data-files",
    Area.AT_REST,
    "files of LOAD DATA",
    "On a replica of a source with `binlog_format = STATEMENT`: the rows of `LOAD DATA`, in `replica_load_tmpdir`.",
    "rows that are loaded lie there in clear; no setting encrypts them",
    "`binlog_format = ROW` on the source",
)
GENERAL: Final = Code(
    "general-log",
    Area.AT_REST,
    "general log",
    "Every statement with its values: a file, or the table mysql.general_log, which is CSV.",
    _STATEMENTS,
    "`SET PERSIST general_log = OFF`, `TRUNCATE TABLE mysql.general_log`, and away with the file",
    "no server encrypts it; an encrypted file system below closes it",
)
SLOW: Final = Code(
    "slow-log",
    Area.AT_REST,
    "slow query log",
    "Slow statements with their values: a file, or the table mysql.slow_log, which is CSV.",
    _STATEMENTS,
    "`SET PERSIST slow_query_log = OFF`, `TRUNCATE TABLE mysql.slow_log`, and away with the file;"
    " performance_schema has digests without values",
    "no server encrypts it; an encrypted file system below closes it",
)
ERROR: Final = Code(
    "error-log",
    Area.AT_REST,
    "error log",
    "With `innodb_print_all_deadlocks` or `innodb_status_output` the rows and statements that take part. Else values"
    " only in messages, such as duplicate keys of replication.",
    "rows that take part in deadlocks can be read in it",
    "`SET PERSIST innodb_print_all_deadlocks = OFF`; nothing encrypts the error log",
)
RAW: Final = Code(
    "log-raw",
    Area.AT_REST,
    "passwords in logs",
    "`log_raw`: passwords in statements are written as they are.",
    "passwords of accounts can be read in the logs",
    "`SET GLOBAL log_raw = OFF`, and out of the option file",
)
AUDIT: Final = Code(
    "audit-log",
    Area.AT_REST,
    "audit log",
    "What an audit plugin or component writes: MySQL Enterprise Audit, Percona's audit_log_filter and audit_log,"
    " MariaDB's server_audit.",
    _STATEMENTS,
    "`audit_log_encryption`, `audit_log_filter_encryption` or `audit_log_filter.encryption` = AES in the option file,"
    " then a restart; the older plugins cannot encrypt",
    "MySQL Enterprise Edition 8.0.17 and newer, Percona Server 8.0.34 and newer",
)
CODES: Final = (BINARY, RELAY, LOAD_DATA, GENERAL, SLOW, ERROR, RAW, AUDIT)

_AUDIT_PLUGINS: Final = ("audit_log", "audit_log_filter", "server_audit")
_OTHER_AUDIT: Final = "-- another audit log, that encrypts; or an encrypted disk below its file"
_AUDIT_ENCRYPTION: Final = (
    "audit_log_filter.encryption",
    "audit_log_filter_encryption",
    "audit_log.encryption",
    "audit_log_encryption",
)


def logs(inventory: Inventory, posture: Posture) -> Iterator[Place]:
    """Logs, those first that a copy of a table writes to."""
    yield _binary(posture)
    yield _relay(inventory, posture)
    yield _load_data(inventory, posture)
    yield from of_statements(posture)


def of_statements(posture: Posture) -> Iterator[Place]:
    """Logs of what was said, and who wrote down what."""
    yield _statements(GENERAL, posture, "general_log", "general_log")
    yield _statements(SLOW, posture, "slow_query_log", "slow_log")
    yield _error(posture)
    if "log_raw" in posture.variables:
        state = State.BAD if is_on(posture, "log_raw") else State.OK
        yield RAW.place(state, said(posture, "log_raw"), "SET GLOBAL log_raw = OFF;  -- and out of the option file")
    yield _audit(posture)


def _binary(posture: Posture) -> Place:
    if not is_on(posture, "log_bin"):
        return BINARY.place(State.UNUSED, said(posture, "log_bin"))
    files, on, setting = posture.at_rest.binary_logs, is_on(posture, "binlog_encryption"), "binlog_encryption"
    if files is None:
        return BINARY.place(
            State.UNKNOWN,
            f"{said(posture, setting)}; which files are encrypted is not readable: REPLICATION CLIENT is missing",
            "GRANT REPLICATION CLIENT ON *.* TO ...;  -- the account of the audit",
        )
    clear = [file for file in files if not file.encrypted]
    size = about(sum(file.bytes for file in clear))
    evidence = f"{said(posture, setting)}; SHOW BINARY LOGS: {len(clear)} of {len(files)} files not encrypted, {size}"
    if on and not clear:
        return BINARY.place(State.ENCRYPTED, evidence)
    first = "-- then, once every replica and every backup has read what is before:"
    if on:
        return BINARY.place(State.PARTLY, evidence, first.replace("then, ", ""), *_purge(files))
    turn_on = f"SET PERSIST {setting} = ON;  -- needs BINLOG_ENCRYPTION_ADMIN; begins an encrypted file at once"
    return BINARY.place(State.CLEAR, evidence, turn_on, first, PURGE_ALL)


PURGE_ALL: Final = "PURGE BINARY LOGS BEFORE NOW() + INTERVAL 1 SECOND;"
"""Away with all files but the one that is written to."""


def _purge(files: tuple[LogFile, ...]) -> tuple[str, ...]:
    last = max(i for i, file in enumerate(files) if not file.encrypted)
    if last + 1 == len(files):
        return ("FLUSH BINARY LOGS;", PURGE_ALL)
    return (f"PURGE BINARY LOGS TO '{files[last + 1].name}';",)


def _relay(inventory: Inventory, posture: Posture) -> Place:
    server, files = inventory.server, posture.host.relay_logs
    evidence = said(posture, "binlog_encryption", "relay_log_purge")
    clear = [file for file in files if file.encrypted is False]
    if files:
        evidence += f"; {len(clear)} of {len(files)} files begin as one in clear, {about(sum(f.bytes for f in clear))}"
    elif not posture.host.local:
        evidence += "; the files were not looked at"
    if not server.is_replica and not server.group_mode and not clear:
        return RELAY.place(State.UNUSED, "no channel of replication is configured")
    if not is_on(posture, "binlog_encryption"):
        return RELAY.place(State.CLEAR, evidence, "SET PERSIST binlog_encryption = ON;")
    if clear:
        closes = "-- the files go when they are applied; without a channel: RESET REPLICA ALL"
        return RELAY.place(State.PARTLY, evidence, closes)
    return RELAY.place(State.ENCRYPTED, evidence)


def _load_data(inventory: Inventory, posture: Posture) -> Place:
    folder = posture.variables.get("replica_load_tmpdir") or posture.variables.get("slave_load_tmpdir", "")
    if not inventory.server.is_replica:
        return LOAD_DATA.place(State.UNUSED, "this is no replica")
    evidence = f"this is a replica, replica_load_tmpdir={folder}; the format of the binary log is that of its source"
    return LOAD_DATA.place(
        State.ASK, evidence, "-- on the source; ROW writes no such files:", "SELECT @@binlog_format;"
    )


def _statements(code: Code, posture: Posture, switch: str, table: str) -> Place:
    rest = posture.at_rest
    rows = rest.general_log_rows if code is GENERAL else rest.slow_log_rows
    outputs = {word.strip().upper() for word in posture.variables.get("log_output", "FILE").split(",")}
    on = is_on(posture, switch) and "NONE" not in outputs
    file = posture.host.logs.get(f"{switch}_file")
    evidence = said(posture, switch, "log_output")
    evidence += f"; mysql.{table} " + ("is not readable" if rows is None else "has rows" if rows else "is empty")
    evidence += f"; {file.path} has {about(file.bytes)}" if file else ""
    off = [f"SET PERSIST {switch} = OFF;"] if on else []
    empty = [f"TRUNCATE TABLE mysql.{table};"] if rows else []
    remove = [f"$ rm '{file.path}'"] if file else []
    if on or rows or file:
        below = encrypted_below(posture.host, f"{switch}_file") if "TABLE" not in outputs and not rows else ""
        if below:
            return code.place(State.ENCRYPTED, f"not by the server; {below}")
        closes = [*off, *empty, *remove]
        keep = [disk_below(posture, f"{switch}_file", lead="or keep it, with")] if on else []
        return code.place(State.CLEAR, evidence, *closes, *keep)
    if rows is None:
        grant = f"GRANT SELECT ON mysql.{table} TO ...;  -- the account of the audit, or look yourself:"
        return code.place(State.UNKNOWN, evidence, grant, f"SELECT COUNT(*) FROM mysql.{table};")
    return code.place(State.UNUSED, evidence + ("" if posture.host.local else "; its file was not looked at"))


def _error(posture: Posture) -> Place:
    names = ("innodb_print_all_deadlocks", "innodb_status_output", "innodb_status_output_locks")
    on = [name for name in names if is_on(posture, name)]
    evidence = f"{said(posture, *(on or names[:2]))}; log_error={posture.variables.get('log_error', '')}"
    if on:
        return ERROR.place(State.CLEAR, evidence, *(f"SET PERSIST {name} = OFF;" for name in on))
    return ERROR.place(State.OK, evidence)


def _audit(posture: Posture) -> Place:
    plugins = [name for name in posture.at_rest.plugins if name.lower() in _AUDIT_PLUGINS]
    components = sorted(name for name in posture.at_rest.components or () if "audit" in name)
    setting = next((name for name in _AUDIT_ENCRYPTION if name in posture.variables), "")
    found = ", ".join([*plugins, *components])
    if not found and not setting:
        unread = "; mysql.component is not readable" if posture.at_rest.components is None else ""
        return AUDIT.place(State.UNUSED, f"no audit plugin is active{unread}")
    evidence = f"{found or 'an audit component'}; {said(posture, setting) if setting else 'it has no encryption'}"
    if posture.variables.get(setting, "NONE").upper() not in {"NONE", "OFF", ""}:
        return AUDIT.place(State.ENCRYPTED, evidence)
    if not setting:
        return AUDIT.place(State.CLEAR, evidence, _OTHER_AUDIT, restart=True)
    closes = f"-- {setting} = AES in the option file, then restart; the files of before stay as they are"
    return AUDIT.place(State.CLEAR, evidence, closes, restart=True)
