"""The server's own facts: who made it, its keyring, its variables, our privileges, who else gets our statements."""

from __future__ import annotations

from typing import Final

from migrator.db import Session
from migrator.inventory.ask import ask
from migrator.inventory.blockers import read_blockers
from migrator.inventory.flavour import flavour_of, version_of
from migrator.inventory.grants import read_grants
from migrator.inventory.keyring import read_keyring
from migrator.inventory.topology import read_topology
from migrator.inventory.versions import must_be_readable, statements
from migrator.model import Family, Server
from migrator.sql.settings import VARIABLES as ENCRYPTION

_WANTED: Final = """
    version version_comment version_compile_os server_id server_uuid hostname port basedir datadir tmpdir
    innodb_data_home_dir innodb_tmpdir aurora_version

    keyring_operations keyring_file_data keyring_encrypted_file_data default_table_encryption
    table_encryption_privilege_check binlog_encryption innodb_redo_log_encrypt innodb_undo_log_encrypt
    innodb_encrypt_tables innodb_sys_tablespace_encrypt innodb_temp_tablespace_encrypt
    innodb_encryption_threads innodb_encryption_rotate_key_age innodb_encryption_rotation_iops
    innodb_default_encryption_key_id innodb_encrypt_log innodb_encrypt_temporary_tables aria_encrypt_tables
    encrypt_binlog encrypt_tmp_disk_tables encrypt_tmp_files file_key_management_filename innodb_checksum_algorithm

    log_bin binlog_format binlog_row_image binlog_row_value_options binlog_expire_logs_seconds sync_binlog gtid_mode
    enforce_gtid_consistency log_bin_trust_function_creators log_replica_updates log_slave_updates
    group_replication_single_primary_mode group_replication_transaction_size_limit
    wsrep_on wsrep_provider wsrep_osu_method wsrep_max_ws_size wsrep_max_ws_rows wsrep_node_address
    wsrep_node_incoming_address pxc_strict_mode

    default_storage_engine disabled_storage_engines
    innodb_file_per_table innodb_page_size innodb_autoinc_lock_mode innodb_buffer_pool_size
    ft_min_word_len innodb_ft_min_token_size
    innodb_online_alter_log_max_size
    innodb_flush_log_at_trx_commit innodb_redo_log_capacity innodb_log_file_size innodb_log_files_in_group
    innodb_io_capacity innodb_directories lower_case_table_names sql_require_primary_key
    sql_generate_invisible_primary_key show_gipk_in_create_table_and_information_schema max_allowed_packet

    read_only super_read_only innodb_read_only offline_mode innodb_force_recovery require_secure_transport
    partial_revokes event_scheduler performance_schema persisted_globals_load
    explain_format sql_mode time_zone system_time_zone log_output general_log slow_query_log
"""
VARIABLES: Final = frozenset(_WANTED.split())
"""The global variables that a decision, an estimate or a report needs."""

_NDB: Final = "SELECT 1 FROM information_schema.ENGINES WHERE ENGINE = 'ndbcluster' AND SUPPORT IN ('YES', 'DEFAULT')"


_DYNAMIC: Final = (
    "SELECT i.VARIABLE_NAME, p.VARIABLE_VALUE FROM performance_schema.variables_info AS i"
    " LEFT JOIN performance_schema.persisted_variables AS p ON p.VARIABLE_NAME = i.VARIABLE_NAME"
    f" WHERE i.VARIABLE_SOURCE = 'DYNAMIC' AND i.VARIABLE_NAME IN ({', '.join(['%s'] * len(ENCRYPTION))})"
)


# There is no SET PERSIST in MariaDB; what a file says is 'CONFIG' (manual: Information Schema SYSTEM_VARIABLES Table).
_SET_BY_SQL: Final = (
    "SELECT VARIABLE_NAME FROM information_schema.SYSTEM_VARIABLES WHERE GLOBAL_VALUE_ORIGIN = 'SQL'"
    f" AND VARIABLE_NAME IN ({', '.join(['%s'] * len(ENCRYPTION))})"
)


def _fleeting(session: Session, known: dict[str, str]) -> frozenset[str]:
    """What was set while the server runs, and not for its next start; nothing where our account may not see it."""
    if session.family is Family.MARIADB:
        return frozenset(str(name).lower() for (name,) in session.rows(_SET_BY_SQL, ENCRYPTION))
    kept = known.get("persisted_globals_load", "ON").upper() == "ON"
    rows = ask(session, _DYNAMIC, ENCRYPTION) or ()
    return frozenset(str(name) for name, value in rows if not kept or str(value or "OFF").upper() == "OFF")


def read_server(session: Session) -> Server:
    """Read the server's facts with about 25 statements. Changes nothing, locks nothing, waits for nobody.

    What our account may not read is said as such and is never taken for good: a keyring of kind
    'unknown', a member or a blocker of kind 'unknown', a filter that is 'not readable'. Raises `Refused`
    for MariaDB and for MySQL before 8.0.16, whose catalogs are others.
    """
    known = {str(name).lower(): str(value) for name, value in session.rows("SHOW GLOBAL VARIABLES")}
    version_text = str(session.value("SELECT VERSION()"))
    version = version_of(version_text)
    flavour = flavour_of(version_text, known, ndb_engine=bool(session.rows(_NDB)))
    must_be_readable(flavour, version, version_text)
    on = known.get("performance_schema", "").upper() == "ON"
    words = statements(version, performance_schema=on, family=session.family)
    grants = read_grants(session)
    topology = read_topology(session, words, known, grants)
    return Server(
        server_uuid=session.server_uuid,
        flavour=flavour,
        version=version,
        version_text=version_text,
        version_comment=known.get("version_comment", ""),
        host=known.get("hostname", ""),
        port=int(known.get("port") or 0),
        datadir=known.get("datadir", ""),
        keyring=read_keyring(session, words, known),
        variables={name: value for name, value in sorted(known.items()) if name in VARIABLES},
        fleeting=_fleeting(session, known),
        privileges=grants.everywhere,
        schema_privileges=dict(grants.within),
        account=grants.account,
        roles=grants.active_roles,
        non_default_roles=tuple(role for role in grants.roles if role not in grants.active_roles),
        is_replica=topology.is_replica,
        replica_detail=topology.replica_detail,
        group_mode=topology.group_mode,
        group_role=topology.group_role,
        wsrep_on=topology.wsrep_on,
        members=topology.members,
        replication_filters=topology.replication_filters,
        blockers=read_blockers(session),
    )
