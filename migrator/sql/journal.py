"""The journal's tables: what outlives the process, on the server that is migrated.

One schema, InnoDB, encrypted (boundaries of ranges are key values). Every name that we make is in `objects`
before it is made, so that nothing is ever dropped without proof; every chunk's cursor commits with its rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from migrator.model import Family
from migrator.sql.names import quote
from migrator.sql.statement import Sql

FORMAT: Final = 5
"""Version of these tables; a journal of another version is refused."""

_CHARSET: Final = "DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin"
_END: Final = {
    Family.MYSQL: f"ENGINE = InnoDB TABLESPACE = innodb_file_per_table ENCRYPTION = 'Y' {_CHARSET}",
    Family.MARIADB: f"ENGINE = InnoDB ENCRYPTED = YES {_CHARSET}",
}
_TIME: Final = "DATETIME(6)"

TABLES: Final[dict[str, str]] = {
    "meta": "id TINYINT NOT NULL PRIMARY KEY, format INT NOT NULL, tool_version VARCHAR(40) NOT NULL,"
    " server_uuid CHAR(36) NOT NULL",
    "runs": f"id CHAR(12) NOT NULL PRIMARY KEY, plan_hash CHAR(64) NOT NULL, tool_version VARCHAR(40) NOT NULL,"
    f" host VARCHAR(255) NOT NULL, pid INT NOT NULL, started_at {_TIME} NOT NULL, ended_at {_TIME},"
    " exit_code INT, attested TEXT NOT NULL, account VARCHAR(300) NOT NULL, found VARCHAR(1000) NOT NULL",
    "lease": f"id TINYINT NOT NULL PRIMARY KEY, token BIGINT UNSIGNED NOT NULL, run_id CHAR(12) NOT NULL,"
    f" host VARCHAR(255) NOT NULL, pid INT NOT NULL, account VARCHAR(300) NOT NULL, heartbeat_at {_TIME} NOT NULL,"
    f" expires_at {_TIME} NOT NULL, findable TINYINT NOT NULL, told VARCHAR(8000) NOT NULL",
    "control": f"id TINYINT NOT NULL PRIMARY KEY, paused TINYINT NOT NULL, by_whom VARCHAR(300) NOT NULL, at {_TIME},"
    " wishes VARCHAR(4000) NOT NULL",
    "steps": "id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, kind VARCHAR(10) NOT NULL,"
    " schema_name VARCHAR(64) NOT NULL, name VARCHAR(268) NOT NULL, method VARCHAR(20) NOT NULL,"
    " run_id CHAR(12) NOT NULL, phase VARCHAR(20) NOT NULL, state VARCHAR(20) NOT NULL,"
    " copy_key VARCHAR(64) NOT NULL, key_max TEXT, ranges_complete TINYINT NOT NULL,"
    " source_ids TEXT NOT NULL, shadow_ids TEXT NOT NULL, definition MEDIUMTEXT NOT NULL,"
    " definer VARCHAR(300) NOT NULL,"
    " rows_expected BIGINT NOT NULL, bytes BIGINT NOT NULL, rows_copied BIGINT NOT NULL, rows_verified BIGINT NOT NULL,"
    f" started_at {_TIME} NOT NULL, ended_at {_TIME}, copy_seconds DOUBLE NOT NULL,"
    f" retain_days DOUBLE NOT NULL, retained_until {_TIME}, rollback_hours BIGINT NOT NULL DEFAULT 0,"
    f" current_until {_TIME}, waiting TEXT NOT NULL, message TEXT NOT NULL,"
    " backlog_entries BIGINT NOT NULL, backlog_bytes BIGINT NOT NULL, backlog_age DOUBLE NOT NULL,"
    " expected_seconds DOUBLE, worked_seconds DOUBLE NOT NULL DEFAULT 0,"
    " half_after_seconds DOUBLE, half_left_seconds DOUBLE,"
    " KEY (schema_name, name)",
    "ranges": "step_id BIGINT UNSIGNED NOT NULL, no INT NOT NULL, low TEXT, high TEXT NOT NULL, at TEXT,"
    " copied TINYINT NOT NULL, rows_copied BIGINT NOT NULL, verified_at TEXT, verified TINYINT NOT NULL,"
    " PRIMARY KEY (step_id, no)",
    "objects": "step_id BIGINT UNSIGNED NOT NULL, kind VARCHAR(10) NOT NULL, schema_name VARCHAR(64) NOT NULL,"
    f" name VARCHAR(64) NOT NULL, state VARCHAR(10) NOT NULL, proof TEXT NOT NULL, noted_at {_TIME} NOT NULL,"
    " PRIMARY KEY (schema_name, name, kind)",
    "moments": "id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, step_id BIGINT UNSIGNED NOT NULL,"
    f" purpose VARCHAR(40) NOT NULL, probes INT NOT NULL, tries INT NOT NULL,"
    " waited DOUBLE NOT NULL, held DOUBLE NULL,"
    f" at {_TIME} NOT NULL, KEY (step_id)",
    "rotations": "id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, which VARCHAR(10) NOT NULL,"
    " account VARCHAR(300) NOT NULL, run_id CHAR(12) NOT NULL, tool_version VARCHAR(40) NOT NULL,"
    " key_from VARCHAR(80) NOT NULL, key_to VARCHAR(80) NOT NULL, state VARCHAR(10) NOT NULL,"
    f" attested TEXT NOT NULL, began_at {_TIME} NOT NULL, ended_at {_TIME}",
    "progress": "id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, run_id CHAR(12) NOT NULL,"
    f" at {_TIME} NOT NULL, every INT NOT NULL, seconds DOUBLE NOT NULL, rows_copied BIGINT NOT NULL,"
    " rows_compared BIGINT NOT NULL, paused DOUBLE NOT NULL, held DOUBLE NOT NULL, slowed DOUBLE NOT NULL,"
    " closed DOUBLE NOT NULL, reason VARCHAR(200) NOT NULL",
    "outcomes": "id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, run_id CHAR(12) NOT NULL,"
    " subject VARCHAR(333) NOT NULL, method VARCHAR(20) NOT NULL, outcome VARCHAR(20) NOT NULL, message TEXT NOT NULL,"
    f" at {_TIME} NOT NULL",
}


def create_schema(schema: str, family: Family = Family.MYSQL) -> Sql:
    """The journal's schema. Its tables are encrypted each by itself: shadows begin here, and CREATE TABLE ... LIKE
    of a table in a plain shared tablespace is refused (3825) where the schema's default is Y. MariaDB has no such
    default."""
    in_clear = "" if family is Family.MARIADB else " DEFAULT ENCRYPTION = 'N'"
    return Sql(f"CREATE SCHEMA {quote(schema)} DEFAULT CHARACTER SET utf8mb4{in_clear}")


def default_encryption(schema: str, *, encrypt: bool) -> Sql:
    """Whether tables that are made in the journal's schema are encrypted from the start."""
    return Sql(f"ALTER SCHEMA {quote(schema)} DEFAULT ENCRYPTION = '{'Y' if encrypt else 'N'}'")


def create_tables(schema: str, family: Family = Family.MYSQL) -> tuple[Sql, ...]:
    """All tables of the journal, and the rows that are always there. Safe to repeat."""
    made = [
        Sql(f"CREATE TABLE IF NOT EXISTS {quote(schema)}.{name} ({columns}) {_END[family]}")
        for name, columns in TABLES.items()
    ]
    made.append(
        Sql(
            f"INSERT INTO {quote(schema)}.lease VALUES (1, 0, '', '', 0, '', UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), 1, '')"
            " ON DUPLICATE KEY UPDATE id = id"
        )
    )
    made.append(Sql(f"INSERT INTO {quote(schema)}.control VALUES (1, 0, '', NULL, '') ON DUPLICATE KEY UPDATE id = id"))
    return tuple(made)


def drop_schema(schema: str) -> tuple[Sql, ...]:
    """Takes the journal away: its tables by name, then the schema, which must be empty by then to be ours alone."""
    return (*(Sql(f"DROP TABLE {quote(schema)}.{name}") for name in TABLES), Sql(f"DROP SCHEMA {quote(schema)}"))


def update_step(schema: str, fields: Sequence[str]) -> str:
    """UPDATE of named fields of one step."""
    return f"UPDATE {quote(schema)}.steps SET {', '.join(f'{f} = %s' for f in fields)} WHERE id = %s"
