"""The three legs of a relay: into a tablespace of our own, which is encrypted, and out again.

Pure. `ALTER TABLE ... ENCRYPTION='Y'` can only copy and blocks writes (1846), and so does a move straight into
an encrypted tablespace. A move between tablespaces of one kind is online, and a tablespace can be encrypted
while it is used; hence the way round (seen on 9.7.4; docs/design-notes.md).
"""

from __future__ import annotations

import re

from migrator.model import TableName
from migrator.sql.names import qualified, quote
from migrator.sql.statement import Sql
from migrator.sql.table import without_options

PREFIX = "migrator_relay_"
"""How the tablespaces of relays begin; what follows is random, so that no other of that name can be meant."""

_ONLINE = "ALGORITHM = INPLACE, LOCK = NONE"


def space_name(random: str) -> str:
    """The name of a relay's tablespace, from random hex digits."""
    return f"{PREFIX}{random}"


def create_space(space: str) -> Sql:
    """An empty, plain tablespace; the server names its file. `ENCRYPTION = 'N'` whatever the default is."""
    return Sql(f"CREATE TABLESPACE {quote(space)} ENCRYPTION = 'N'")


def move_in(table: TableName, space: str) -> Sql:
    """Leg 1: the server rebuilds the table in the tablespace, while it is read and written.

    Exclusive metadata locks on the table, and on tables whose foreign keys refer to it, for milliseconds at the
    beginning and at the end. Ended before its end, it has done nothing.
    """
    return Sql(f"ALTER TABLE {qualified(table)} TABLESPACE = {quote(space)}, {_ONLINE}")


def move_out(table: TableName, autoextend_bytes: int = 0) -> Sql:
    """Leg 3: the same, from the encrypted tablespace into an encrypted file of the table's own."""
    extend = f" AUTOEXTEND_SIZE = {autoextend_bytes}" if autoextend_bytes else ""
    return Sql(f"ALTER TABLE {qualified(table)} TABLESPACE = innodb_file_per_table ENCRYPTION = 'Y'{extend}, {_ONLINE}")


def move_back(table: TableName, autoextend_bytes: int = 0) -> Sql:
    """Leg 1 taken back: from the tablespace, still plain, into a plain file of the table's own."""
    extend = f" AUTOEXTEND_SIZE = {autoextend_bytes}" if autoextend_bytes else ""
    return Sql(f"ALTER TABLE {qualified(table)} TABLESPACE = innodb_file_per_table ENCRYPTION = 'N'{extend}, {_ONLINE}")


def drop_space(space: str) -> Sql:
    """Drops the tablespace; the server refuses (3120) while any table is in it."""
    return Sql(f"DROP TABLESPACE {quote(space)}")


_AUTOEXTEND = re.compile(r"/\*!80023 AUTOEXTEND_SIZE=(\d+) \*/ ")


def autoextend_bytes(create: str) -> int:
    """AUTOEXTEND_SIZE of a SHOW CREATE TABLE; 0 if there is none. A move drops it unless it is said again."""
    found = _AUTOEXTEND.search(create.rpartition("\n)")[2])
    return int(found[1]) if found else 0


def without_autoextend(create: str) -> str:
    """The definition as it is while the table lies in a tablespace that it does not own."""
    items, end, options = create.rpartition("\n)")
    return items + end + _AUTOEXTEND.sub("", options, count=1)


def unchanged(before: str, after: str) -> bool:
    """True if two definitions are the same, byte for byte but for TABLESPACE, ENCRYPTION and AUTO_INCREMENT."""
    return without_options(before) == without_options(after)
