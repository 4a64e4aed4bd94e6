"""What lies on the server's disks besides its tables, as the server itself says it."""

from __future__ import annotations

from typing import Final

from migrator.db import Session
from migrator.inventory.ask import DENIED, ask
from migrator.inventory.catalog import OF
from migrator.model import Flavour, Server
from migrator.posture import AtRest, LogFile

_WANTED: Final = """
    log_bin binlog_encryption binlog_format relay_log_purge replica_load_tmpdir slave_load_tmpdir
    innodb_redo_log_encrypt innodb_redo_log_capacity innodb_undo_log_encrypt innodb_doublewrite
    innodb_parallel_dblwr_encrypt innodb_sys_tablespace_encrypt innodb_temp_tablespace_encrypt
    encrypt_binlog innodb_encrypt_log innodb_encrypt_tables innodb_encrypt_temporary_tables aria_encrypt_tables
    encrypt_tmp_disk_tables innodb_encryption_threads innodb_encryption_rotate_key_age
    file_key_management_filename file_key_management_encryption_algorithm
    innodb_encrypt_online_alter_logs encrypt_tmp_files innodb_change_buffering innodb_page_size
    default_table_encryption table_encryption_privilege_check

    log_output general_log general_log_file slow_query_log slow_query_log_file log_error log_raw
    innodb_print_all_deadlocks innodb_status_output innodb_status_output_locks
    audit_log_encryption audit_log.encryption audit_log_filter_encryption audit_log_filter.encryption
    audit_log_file audit_log.file audit_log_filter_file audit_log_filter.file server_audit_logging

    keyring_operations core_file innodb_buffer_pool_in_core_file innodb_buffer_pool_dump_at_shutdown
    locked_in_memory secure_file_priv

    datadir tmpdir innodb_tmpdir innodb_data_home_dir innodb_undo_directory innodb_log_group_home_dir
    innodb_temp_tablespaces_dir relay_log_basename log_bin_basename pid_file
"""
VARIABLES: Final = frozenset(_WANTED.split())
"""The global variables that a place at rest depends on; none of them holds a secret."""

_PLUGINS: Final = (
    "SELECT PLUGIN_NAME FROM information_schema.PLUGINS"
    " WHERE PLUGIN_TYPE IN ('AUDIT', 'KEYRING', 'ENCRYPTION') AND PLUGIN_STATUS = 'ACTIVE' ORDER BY PLUGIN_NAME"
)
_INSTALLED: Final = "SELECT name FROM mysql.plugin"
_COMPONENTS: Final = "SELECT component_urn FROM mysql.component"
_GENERAL_LOG: Final = "SELECT 1 FROM mysql.general_log LIMIT 1"
_SLOW_LOG: Final = "SELECT 1 FROM mysql.slow_log LIMIT 1"
_FILE_ACCOUNTS: Final = (
    "SELECT GRANTEE FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE = 'FILE' ORDER BY GRANTEE"
)
_KEYS: Final = "SELECT KEY_ID FROM performance_schema.keyring_keys"
_NDB: Final = (
    "SELECT v.node_id, v.config_value FROM ndbinfo.config_values v"
    " JOIN ndbinfo.config_params p ON v.config_param = p.param_number"
    " WHERE p.param_name = 'EncryptedFileSystem' ORDER BY v.node_id"
)
_NO_SUCH: Final = frozenset({1049, 1146})
"""No such schema, no such table: a build without it."""
_BINLOG_KEY: Final = "MySQLReplicationKey_"
_INNODB_KEY: Final = "INNODBKey-"


def read_at_rest(session: Session, server: Server) -> AtRest:
    """Read it with about ten statements. Changes nothing, locks nothing, waits for nobody.

    What our account may not read is None. Of the log tables it reads whether they have a row, of the keyring the
    names of keys; no value of a row and no key.
    """
    keys = _names(session, _KEYS)
    accounts = _names(session, _FILE_ACCOUNTS) or frozenset()
    return AtRest(
        binary_logs=_binary_logs(session, server),
        general_log_rows=_has_rows(session, _GENERAL_LOG),
        slow_log_rows=_has_rows(session, _SLOW_LOG),
        plugins=tuple(sorted(_names(session, _PLUGINS) or ())),
        installed_plugins=_names(session, _INSTALLED),
        components=_names(session, _COMPONENTS),
        histograms=_histograms(session),
        # Who may not read the schema mysql is shown no account but his own.
        file_accounts=tuple(sorted(accounts)) if server.privileges & {"ALL", "SELECT"} else None,
        master_keys=None if keys is None else frozenset(k for k in keys if k.startswith(_INNODB_KEY)),
        binlog_keys=sum(key.startswith(_BINLOG_KEY) for key in keys or ()),
        ndb_encrypted=_ndb(session, server),
    )


def _binary_logs(session: Session, server: Server) -> tuple[LogFile, ...] | None:
    if not server.variable_is_on("log_bin"):
        return ()
    rows = ask(session, "SHOW BINARY LOGS")
    # MariaDB does not say which files are encrypted.
    return None if rows is None else tuple(LogFile(str(n), int(b), str(*e).upper() == "YES") for n, b, *e in rows)


def _histograms(session: Session) -> int:
    rows = ask(session, OF[session.family].count_histograms, denied=DENIED | _NO_SUCH)
    return int(rows[0][0]) if rows else 0


def _names(session: Session, statement: str) -> frozenset[str] | None:
    rows = ask(session, statement, denied=DENIED | _NO_SUCH)
    return None if rows is None else frozenset(str(name) for (name,) in rows)


def _has_rows(session: Session, statement: str) -> bool | None:
    rows = ask(session, statement, denied=DENIED | _NO_SUCH)
    return None if rows is None else bool(rows)


def _ndb(session: Session, server: Server) -> tuple[tuple[int, str], ...] | None:
    if server.flavour is not Flavour.NDB:
        return None
    rows = ask(session, _NDB, denied=DENIED | _NO_SUCH)
    return None if rows is None else tuple((int(node), str(value)) for node, value in rows)
