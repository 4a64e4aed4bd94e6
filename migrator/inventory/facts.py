"""What a runbook is filled with, from whichever server: only questions that all of them answer.

Managed services, NDB, Galera, old versions and MariaDB are asked here, whose catalogs nothing else reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from migrator.db import Row, Session
from migrator.inventory.ask import ask
from migrator.inventory.flavour import flavour_of
from migrator.model import Facts, TableName, TableSize
from migrator.sql_errors import SqlError

_OWN: Final = ("mysql", "sys", "information_schema", "performance_schema", "ndbinfo", "migrator")
_TABLES: Final = (
    "SELECT TABLE_SCHEMA, TABLE_NAME, ENGINE, COALESCE(DATA_LENGTH, 0) + COALESCE(INDEX_LENGTH, 0), CREATE_OPTIONS"
    " FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE'"
    f" AND TABLE_SCHEMA NOT IN ({', '.join(['%s'] * len(_OWN))})"
)
_NDB: Final = "SELECT 1 FROM information_schema.ENGINES WHERE ENGINE = 'ndbcluster' AND SUPPORT IN ('YES', 'DEFAULT')"
_NDB_NODES: Final = (
    "SELECT v.node_id, v.config_value FROM ndbinfo.config_values v JOIN ndbinfo.config_params p"
    " ON v.config_param = p.param_number WHERE p.param_name = 'EncryptedFileSystem' ORDER BY v.node_id"
)
_NO_NDBINFO: Final = frozenset({1049, 1109, 1146, 1286})
_ENCRYPTED: Final = re.compile(r"ENCRYPTION\s*=\s*['\"]?Y|`?encrypted`?\s*=\s*['\"]?yes", re.IGNORECASE)
_WANTED: Final = """
    version_comment hostname port basedir datadir plugin_dir aurora_version aurora_server_id
    log_bin binlog_format gtid_mode tmpdir innodb_tmpdir log_bin_basename relay_log_basename
    slow_query_log_file general_log_file innodb_undo_directory innodb_log_group_home_dir innodb_data_home_dir
    wsrep_on wsrep_cluster_name wsrep_sst_method wsrep_node_name pxc_strict_mode pxc_encrypt_cluster_traffic
    binlog_encryption innodb_redo_log_encrypt innodb_undo_log_encrypt default_table_encryption
    require_secure_transport ndb_version ndb_connectstring
"""
WANTED: Final = frozenset(_WANTED.split())
"""The global variables that a runbook shows or needs; none of them can hold a password."""


def read_facts(session: Session) -> Facts:
    """Variables, tables and other nodes, by the address that was asked for. Five statements, locks nothing.

    What our account may not see is left out: a runbook says what has to be filled in.
    """
    variables = {str(name).lower(): str(value) for name, value in session.rows("SHOW GLOBAL VARIABLES")}
    status = session.rows("SHOW GLOBAL STATUS LIKE 'wsrep_incoming_addresses'")
    return facts_from(
        *session.address,
        str(session.value("SELECT VERSION()")),
        variables,
        ask(session, _TABLES, _OWN) or (),
        ndb=bool(session.rows(_NDB)),
        ndb_nodes=_ndb_nodes(session),
        addresses=str(status[0][1]) if status else "",
        read_at=str(session.value("SELECT DATE_FORMAT(UTC_TIMESTAMP(), '%%Y-%%m-%%dT%%H:%%i:%%sZ')")),
    )


def facts_from(
    host: str,
    port: int,
    version_text: str,
    variables: Mapping[str, str],
    tables: Iterable[Row],
    *,
    ndb: bool = False,
    ndb_nodes: Iterable[Row] = (),
    addresses: str = "",
    read_at: str = "",
) -> Facts:
    """Put together what was read. Pure."""
    flavour = flavour_of(version_text, variables, ndb_engine=ndb)
    nodes = {str(node): str(value) for node, value in ndb_nodes}
    if not nodes:
        nodes = {address.strip(): "" for address in addresses.split(",") if address.strip()}
    return Facts(
        host=host,
        port=port or int(variables.get("port") or 0),
        flavour=flavour,
        version_text=version_text,
        variables={name: variables[name] for name in sorted(WANTED & set(variables))},
        tables=tuple(sorted((_size(row) for row in tables), key=lambda table: (-table.size_bytes, table.name))),
        nodes=nodes,
        read_at=read_at,
    )


def _size(row: Row) -> TableSize:
    schema, table, engine, size, options = row
    return TableSize(
        TableName(str(schema), str(table)),
        str(engine or ""),
        int(size or 0),
        bool(_ENCRYPTED.search(str(options or ""))),
    )


def _ndb_nodes(session: Session) -> list[Row]:
    try:
        return ask(session, _NDB_NODES) or []
    except SqlError as error:
        if error.number in _NO_NDBINFO:
            return []
        raise
