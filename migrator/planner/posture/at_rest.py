"""Places on the server's disks: tablespaces, redo, undo, temporary files, what is left of tables. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from migrator.model import Inventory, TablespaceKind
from migrator.planner.checks import NO_DATA_ENGINES
from migrator.planner.posture.below import disk_below, encrypted_below
from migrator.planner.posture.code import Code
from migrator.planner.posture.defaults import shown
from migrator.planner.posture.settings import is_on, is_percona, said
from migrator.planner.units import about
from migrator.posture import Area, Place, Posture, State

_ROWS = "rows can be read in the file, on the host, in its snapshots and in copies of it"
_PERCONA = "Percona Server and Percona XtraDB Cluster; on MySQL only an encrypted file system below closes it"

TABLES: Final = Code(
    "tables",
    Area.AT_REST,
    "tables",
    "Base tables whose rows lie in clear, of every engine; the report has a line for each.",
    _ROWS,
    "`migrator plan`, then `dry-run` and `apply`; `--ignore-tables` leaves out what may stay in clear",
    acceptable=False,
)
GENERAL: Final = Code(
    "general-tablespaces",
    Area.AT_REST,
    "general tablespaces",
    "Tablespaces that several tables share.",
    _ROWS,
    "`ALTER TABLESPACE ts ENCRYPTION = 'Y'`: in place and online; or `migrator plan --tablespaces`",
)
MYSQL: Final = Code(
    "mysql-tablespace",
    Area.AT_REST,
    "tablespace mysql",
    "`mysql.ibd`: the data dictionary, accounts with their password hashes, what replicas log in with.",
    "names of everything, hashes of passwords, credentials of replication, values in histograms",
    "`ALTER TABLESPACE mysql ENCRYPTION = 'Y'`: in place and online; or `migrator plan --mysql-tablespace`",
)
HISTOGRAMS: Final = Code(
    "histograms",
    Area.AT_REST,
    "histograms of columns",
    "`ANALYZE TABLE ... UPDATE HISTOGRAM` keeps values of columns, in clear text, in the tablespace `mysql`.",
    "real values of columns can be read in mysql.ibd, also those of encrypted tables",
    "the tablespace `mysql` encrypted; or `ANALYZE TABLE t DROP HISTOGRAM ON c`",
)
SYSTEM: Final = Code(
    "system-tablespace",
    Area.AT_REST,
    "system tablespace",
    "`ibdata1`: the change buffer (values of secondary indexes), tables of old installations, pages of long ago.",
    "values of indexes, and of tables that lie or once lay there, can be read in it",
    "Percona Server: `innodb_sys_tablespace_encrypt`, only when a datadir is made. MySQL: nothing; tables can leave"
    " it, `innodb_change_buffering = none` keeps new values out, an encrypted file system below closes it",
    _PERCONA,
)
CODES: Final = (
    TABLES,
    GENERAL,
    MYSQL,
    HISTOGRAMS,
    SYSTEM,
)

_NAMED: Final = 5


def at_rest(inventory: Inventory, posture: Posture) -> Iterator[Place]:
    """Places at rest, tables first."""
    yield tables_place(inventory)
    yield from _tablespaces(inventory, posture)


def tables_place(inventory: Inventory) -> Place:
    """All tables as one place."""
    clear = [t for t in inventory.tables if not t.encrypted and t.engine not in NO_DATA_ENGINES]
    total = len(inventory.tables)
    if not total:
        return TABLES.place(State.UNUSED, "no table was looked at")
    if not clear:
        return TABLES.place(State.ENCRYPTED, f"none of {total} is in clear")
    engines = Counter(table.engine for table in clear).most_common()
    said_so = ", ".join(f"{number} {engine}" for engine, number in engines)
    state = State.CLEAR if len(clear) == total else State.PARTLY
    closes = ("$ migrator plan -o plan.yaml", "$ migrator dry-run plan.yaml", "$ migrator apply plan.yaml")
    return TABLES.place(state, f"{len(clear)} of {total} in clear: {said_so}", *closes)


def _tablespaces(inventory: Inventory, posture: Posture) -> Iterator[Place]:
    of_kind = {kind: [s for s in inventory.tablespaces if s.kind is kind] for kind in TablespaceKind}
    general = of_kind[TablespaceKind.GENERAL]
    clear = [space for space in general if not space.encrypted]
    if not general:
        yield GENERAL.place(State.UNUSED, "there is none")
    elif not clear:
        yield GENERAL.place(State.ENCRYPTED, f"ENCRYPTION is Y for all {len(general)}")
    else:
        state = State.PARTLY if len(clear) < len(general) else State.CLEAR
        evidence = f"ENCRYPTION is N for {len(clear)} of {len(general)}: {few([s.name for s in clear])}"
        yield GENERAL.place(state, evidence, *(_encrypt(space.name) for space in clear))
    sealed = all(space.encrypted for space in of_kind[TablespaceKind.MYSQL])
    for space in of_kind[TablespaceKind.MYSQL]:
        state = State.ENCRYPTED if space.encrypted else State.CLEAR
        evidence = f"ENCRYPTION is {'Y' if space.encrypted else 'N'}, {about(space.file_bytes)}"
        yield MYSQL.place(state, evidence, _encrypt(space.name))
    if posture.at_rest.histograms:
        state = State.ENCRYPTED if sealed else State.CLEAR
        evidence = f"{posture.at_rest.histograms} columns in information_schema.COLUMN_STATISTICS"
        yield HISTOGRAMS.place(state, evidence, _encrypt("mysql"))
    else:
        yield HISTOGRAMS.place(State.UNUSED, "our account sees none in information_schema.COLUMN_STATISTICS")
    yield _system(inventory, posture)


def _system(inventory: Inventory, posture: Posture) -> Place:
    setting, inside = "innodb_sys_tablespace_encrypt", 0
    for table in inventory.tables:
        inside += any(segment.kind is TablespaceKind.SYSTEM for segment in table.segments)
    size = sum(s.file_bytes for s in inventory.tablespaces if s.kind is TablespaceKind.SYSTEM)
    evidence = f"{said(posture, setting)}; {inside} of the tables looked at are in it, {about(size)}"
    if is_on(posture, setting):
        return SYSTEM.place(State.ENCRYPTED, evidence)
    below = encrypted_below(posture.host, "datadir", "innodb_data_home_dir")
    if below:
        return SYSTEM.place(State.ENCRYPTED, f"not by the server; {below}")
    buffering = posture.variables.get("innodb_change_buffering", "none")
    closes = [] if buffering == "none" else ["SET PERSIST innodb_change_buffering = none;  -- keeps new values out"]
    if is_percona(inventory.server):
        closes.append("-- innodb_sys_tablespace_encrypt = ON counts only when a datadir is made: dump, make, load")
    return SYSTEM.place(
        State.CLEAR, evidence, *closes, disk_below(posture, "datadir", lead="what is there already: only"), restart=True
    )


def _encrypt(name: str) -> str:
    return f"ALTER TABLESPACE {shown(name)} ENCRYPTION = 'Y';"


def few(names: list[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
