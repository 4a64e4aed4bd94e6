"""What the catalogs of the two families are called and how they differ, as data: the same rows, whoever is asked. Pure.

MySQL: manual of 8.4, chapters 28 (INFORMATION_SCHEMA) and 29 (Performance Schema). MariaDB: its Server Documentation,
Information Schema Tables; read off 10.11.18 and 11.8.6. Statements with names in braces are those of
`parts.rows_about`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from migrator.model import Family


@dataclass(frozen=True, slots=True)
class Catalog:
    """One statement a fact. The columns of each are those of MySQL's, in the order of its comment."""

    names: str
    """Schema, name and whether it is a table that has rows of its own, of everything that bears a name."""
    tables: str
    """Schema, name, engine, row format, rows, bytes of data, bytes of indexes, options, time of making."""
    columns: str
    """Schema, table, name, type, data type, nullable, character set, collation, extra, SRID, expression."""
    keys: str
    """Schema, table, index, not unique, column, prefix, order, type, visible, expression."""
    checks: str
    """Schema, table, name, condition."""
    histograms: str
    """Schema, table, column."""
    count_histograms: str
    schemas: str
    """Name, and YES where tables that are made in it are encrypted."""
    innodb_tables: str
    """Table id, name, flags, tablespace."""
    innodb_tablespaces: str
    """Tablespace, name, type, Y if encrypted and done, state, bytes."""
    innodb_foreign: str
    """Id, child, parent, type."""
    system_bytes: str
    """How large ibdata1 is."""
    accounts: str
    """User, host, what TLS it must use, plugin, Y if it is locked; roles are none."""
    empty_passwords: str
    """The same, of accounts that anybody can log in to."""
    channels: str
    """Name, host, port, user, TLS allowed, certificate verified, whether a CA is named, whether a key is taken."""
    option_files: str
    """Paths of the files that the server has read."""


_CHECKS: Final = """
    SELECT c.TABLE_SCHEMA, c.TABLE_NAME, c.CONSTRAINT_NAME, d.CHECK_CLAUSE
    FROM information_schema.TABLE_CONSTRAINTS c
    LEFT JOIN information_schema.CHECK_CONSTRAINTS d
      ON d.CONSTRAINT_SCHEMA = c.CONSTRAINT_SCHEMA AND d.CONSTRAINT_NAME = c.CONSTRAINT_NAME{and_table}
    WHERE c.CONSTRAINT_TYPE = 'CHECK' AND {{c.TABLE_SCHEMA}} AND {{c.TABLE_NAME}}
    ORDER BY c.TABLE_SCHEMA, c.TABLE_NAME, c.CONSTRAINT_NAME
"""
_TABLES: Final = """
    SELECT TABLE_SCHEMA, TABLE_NAME, ENGINE, ROW_FORMAT, TABLE_ROWS, DATA_LENGTH, INDEX_LENGTH, CREATE_OPTIONS,
           CREATE_TIME
    FROM information_schema.TABLES
    WHERE TABLE_TYPE IN {kinds} AND {{TABLE_SCHEMA}} AND {{TABLE_NAME}}
"""
_COLUMNS: Final = """
    SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, DATA_TYPE, IS_NULLABLE, CHARACTER_SET_NAME,
           COLLATION_NAME, EXTRA, {srid}, GENERATION_EXPRESSION
    FROM information_schema.COLUMNS
    WHERE {{TABLE_SCHEMA}} AND {{TABLE_NAME}}
    ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION
"""
_KEYS: Final = """
    SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, NON_UNIQUE, COLUMN_NAME, SUB_PART, COLLATION, INDEX_TYPE,
           {visible}, {expression}
    FROM information_schema.STATISTICS
    WHERE {{TABLE_SCHEMA}} AND {{TABLE_NAME}}
    ORDER BY TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX
"""
_NAMES: Final = "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE IN {kinds} FROM information_schema.TABLES"

_MYSQL_KINDS: Final = "('BASE TABLE')"
# Tables with system versioning and sequences have files as any other (manual: System-Versioned Tables, Sequences).
_MARIADB_KINDS: Final = "('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE')"

_CHANNELS: Final = """
    SELECT CHANNEL_NAME, HOST, PORT, USER, SSL_ALLOWED, SSL_VERIFY_SERVER_CERTIFICATE,
        SSL_CA_FILE <> '' OR SSL_CA_PATH <> '', {takes_key}
    FROM performance_schema.replication_connection_configuration ORDER BY CHANNEL_NAME
"""
# Columns, so that our account needs no right on those that hold what a password is checked against.
_ACCOUNTS: Final = "SELECT User, Host, ssl_type, plugin, account_locked FROM mysql.user"
# The view does not say which are locked: that is in mysql.global_priv, with the hashes.
_MARIADB_ACCOUNTS: Final = "SELECT User, Host, ssl_type, plugin, 'N' FROM mysql.user WHERE is_role = 'N'"

MYSQL: Final = Catalog(
    names=_NAMES.format(kinds=_MYSQL_KINDS),
    tables=_TABLES.format(kinds=_MYSQL_KINDS),
    columns=_COLUMNS.format(srid="SRS_ID"),
    keys=_KEYS.format(visible="IS_VISIBLE", expression="EXPRESSION"),
    checks=_CHECKS.format(and_table=""),
    histograms="""
        SELECT SCHEMA_NAME, TABLE_NAME, COLUMN_NAME
        FROM information_schema.COLUMN_STATISTICS
        WHERE {SCHEMA_NAME} AND {TABLE_NAME}
        ORDER BY SCHEMA_NAME, TABLE_NAME, COLUMN_NAME
    """,
    count_histograms="SELECT COUNT(*) FROM information_schema.COLUMN_STATISTICS",
    schemas="SELECT SCHEMA_NAME, DEFAULT_ENCRYPTION FROM information_schema.SCHEMATA ORDER BY SCHEMA_NAME",
    innodb_tables="SELECT TABLE_ID, NAME, FLAG, SPACE FROM information_schema.INNODB_TABLES ORDER BY TABLE_ID",
    innodb_tablespaces="SELECT SPACE, NAME, SPACE_TYPE, ENCRYPTION, STATE, FILE_SIZE"
    " FROM information_schema.INNODB_TABLESPACES",
    innodb_foreign="SELECT ID, FOR_NAME, REF_NAME, TYPE FROM information_schema.INNODB_FOREIGN",
    # INNODB_TABLESPACES leaves ibdata1 out.
    system_bytes="SELECT COALESCE(SUM(TOTAL_EXTENTS * EXTENT_SIZE), 0) FROM information_schema.FILES"
    " WHERE TABLESPACE_NAME = 'innodb_system'",
    accounts=_ACCOUNTS,
    empty_passwords=f"{_ACCOUNTS} WHERE authentication_string = '' AND account_locked = 'N'"
    " AND plugin IN ('caching_sha2_password', 'mysql_native_password', 'sha256_password')",
    channels=_CHANNELS.format(takes_key="GET_PUBLIC_KEY"),
    option_files="SELECT DISTINCT VARIABLE_PATH FROM performance_schema.variables_info WHERE VARIABLE_PATH <> ''",
)

MARIADB: Final = Catalog(
    names=_NAMES.format(kinds=_MARIADB_KINDS),
    tables=_TABLES.format(kinds=_MARIADB_KINDS),
    columns=_COLUMNS.format(srid="NULL"),
    # IGNORED came with 10.6; before that all indexes were used.
    keys=_KEYS.format(visible="IF(IGNORED = 'YES', 'NO', 'YES')", expression="NULL"),
    # Names of constraints are unique in a table only.
    checks=_CHECKS.format(and_table=" AND d.TABLE_NAME = c.TABLE_NAME"),
    histograms="""
        SELECT db_name, table_name, column_name
        FROM mysql.column_stats
        WHERE hist_size > 0 AND {db_name} AND {table_name}
        ORDER BY db_name, table_name, column_name
    """,
    count_histograms="SELECT COUNT(*) FROM mysql.column_stats WHERE hist_size > 0",
    schemas="SELECT SCHEMA_NAME, IF(@@GLOBAL.innodb_encrypt_tables = 'OFF', 'NO', 'YES')"
    " FROM information_schema.SCHEMATA ORDER BY SCHEMA_NAME",
    innodb_tables="SELECT TABLE_ID, NAME, FLAG, SPACE FROM information_schema.INNODB_SYS_TABLES ORDER BY TABLE_ID",
    # Encrypted, and every page of it: MIN_KEY_VERSION leaves 0 with the last page. A tablespace that nobody has begun
    # to encrypt is not in the second table at all (MDEV-20802; seen on 10.11.18 and 11.8.6).
    innodb_tablespaces="""
        SELECT s.SPACE, s.NAME,
               CASE WHEN s.SPACE IN (0, 4294967294) THEN 'System'
                    WHEN s.NAME LIKE 'innodb\\_undo%%' THEN 'Undo' ELSE 'Single' END,
               IF(e.ENCRYPTION_SCHEME = 1 AND e.MIN_KEY_VERSION > 0 AND e.CURRENT_KEY_VERSION > 0
                  AND e.ROTATING_OR_FLUSHING = 0, 'Y', 'N'),
               'normal', s.FILE_SIZE
        FROM information_schema.INNODB_SYS_TABLESPACES s
        LEFT JOIN information_schema.INNODB_TABLESPACES_ENCRYPTION e ON e.SPACE = s.SPACE
    """,
    innodb_foreign="SELECT ID, FOR_NAME, REF_NAME, TYPE FROM information_schema.INNODB_SYS_FOREIGN",
    system_bytes="SELECT COALESCE(SUM(FILE_SIZE), 0) FROM information_schema.INNODB_SYS_TABLESPACES WHERE SPACE = 0",
    accounts=_MARIADB_ACCOUNTS,
    # mariadb.sys owns the view, and nobody logs in as it: it is made locked (manual: The mysql.user Table).
    empty_passwords=f"{_MARIADB_ACCOUNTS} AND authentication_string = '' AND User <> 'mariadb.sys'"
    " AND plugin IN ('', 'mysql_native_password', 'mysql_old_password', 'parsec')",
    channels=_CHANNELS.format(takes_key="'NO'"),
    option_files="SELECT DISTINCT GLOBAL_VALUE_PATH FROM information_schema.SYSTEM_VARIABLES"
    " WHERE GLOBAL_VALUE_PATH <> ''",
)

OF: Final = {Family.MYSQL: MYSQL, Family.MARIADB: MARIADB}
"""By family."""
