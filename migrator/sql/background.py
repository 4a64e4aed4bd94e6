"""What MariaDB's encryption in the background is told, and what it says of itself.

Its threads go through each tablespace page by page: a page is read, changed in memory as by any statement, and written
encrypted. No table is locked and nobody waits but for the disk (manual: Data-at-Rest Encryption, InnoDB Background
Encryption Threads). Settings are read at once; a restart forgets what was not in the option file as well.
"""

from __future__ import annotations

from typing import Final

from migrator.sql.statement import Sql

TABLES: Final = "innodb_encrypt_tables"
THREADS: Final = "innodb_encryption_threads"
AGE: Final = "innodb_encryption_rotate_key_age"
IOPS: Final = "innodb_encryption_rotation_iops"

SETTINGS: Final = (TABLES, THREADS, AGE, IOPS)

MOST_THREADS: Final = 255
"""As many as the variable takes."""

TEMPORARY_SPACE: Final = 4294967294
"""innodb_temporary: made anew at each start, and encrypted by a setting of its own."""


def set_global(variable: str, value: str | int) -> Sql:
    """The setting from now on. No lock; threads that are to end do so after the page that they are at.

    Only for names of `SETTINGS`. Needs SUPER.
    """
    if variable not in SETTINGS:
        raise ValueError(variable)
    return Sql(f"SET GLOBAL {variable} = {value if value in {'ON', 'OFF', 'FORCE'} else int(value)}")


def settings_now() -> Sql:
    """The global values, in the order of `SETTINGS`."""
    return Sql("SELECT " + ", ".join(f"@@GLOBAL.{name}" for name in SETTINGS))


def spaces_now() -> Sql:
    """Each tablespace: number, name, bytes, 1 if every page of it is encrypted, and how much of it the thread that is
    at it has done, of how much (pages; NULL where none is at it).

    Every page: `MIN_KEY_VERSION` leaves 0 with the last one. A tablespace that nobody has begun with is not in the
    second table (MDEV-20802; both seen on 10.11.18 and 11.8.6). Needs PROCESS.
    """
    return Sql(
        "SELECT s.SPACE, s.NAME, s.FILE_SIZE,"
        " COALESCE(e.ENCRYPTION_SCHEME = 1 AND e.MIN_KEY_VERSION > 0 AND e.CURRENT_KEY_VERSION > 0"
        " AND e.ROTATING_OR_FLUSHING = 0, 0),"
        " e.KEY_ROTATION_PAGE_NUMBER, e.KEY_ROTATION_MAX_PAGE_NUMBER"
        " FROM information_schema.INNODB_SYS_TABLESPACES s"
        " LEFT JOIN information_schema.INNODB_TABLESPACES_ENCRYPTION e ON e.SPACE = s.SPACE"
        f" WHERE s.SPACE <> {TEMPORARY_SPACE}"
    )


def option_file_lines(threads: int) -> tuple[str, ...]:
    """What a person writes into the option file, so that it lasts: MariaDB has no SET PERSIST.

    Without them a restart begins with `innodb_encrypt_tables = OFF` and no threads: what is encrypted stays so, and
    new tables are born in clear. Threads without the other line would bring all back into clear (seen on 11.8.6).
    """
    return ("[mariadb]", f"{TABLES} = ON", f"{THREADS} = {threads}", f"{AGE} = 1")
