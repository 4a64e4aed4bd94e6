"""Places of MariaDB: what its settings encrypt, and what they leave. Pure.

Manual: Data-at-Rest Encryption (Overview, Encrypting Binary Logs, Aria Encryption, InnoDB Enabling Encryption). States
and closing statements were tried on 10.11.18 and 11.8.6.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from migrator.model import Inventory, Table, TablespaceKind
from migrator.planner.background import says_no
from migrator.planner.checks import NO_DATA_ENGINES
from migrator.planner.posture import at_rest, keys, logs, page_logs, temporary
from migrator.planner.posture.at_rest import few
from migrator.planner.posture.code import Code
from migrator.planner.posture.defaults import CHECK, SERVER, shown
from migrator.planner.posture.settings import is_on, said
from migrator.planner.units import about
from migrator.posture import Area, Place, Posture, State

ARIA_SYSTEM: Final = Code(
    "aria-system-tables",
    Area.AT_REST,
    "Aria tables of the server",
    "Tables of the schema `mysql` that are Aria: accounts with their password hashes, routines, events, statistics of"
    " columns. `aria_encrypt_tables` counts for a table when it is made or rebuilt, and nothing tells which were.",
    "hashes of passwords, code of routines and values of columns can be read in their files",
    "`aria_encrypt_tables = ON` in the option file, a restart, then `ALTER TABLE ... FORCE` for each",
    "MariaDB",
)
BACKGROUND: Final = Code(
    "background-encryption",
    Area.AT_REST,
    "encryption in the background",
    "`innodb_encryption_threads` and `innodb_encryption_rotate_key_age`: with 0 of either tables that are there stay as"
    " they are; with threads and `innodb_encrypt_tables = OFF` they are brought back into clear.",
    "tables stay in clear, or come back into clear",
    "threads above 0, and `innodb_encryption_rotate_key_age` above 0",
    "MariaDB",
)
CODES: Final = (ARIA_SYSTEM, BACKGROUND)

_OPTION_FILE: Final = "-- the same in the option file: a restart forgets SET GLOBAL"


def mariadb(inventory: Inventory, posture: Posture) -> Iterator[Place]:
    """Keys, tables, logs, temporary files, and what is born in clear."""
    yield from _keys(inventory)
    yield _tables(inventory)
    yield _background(posture)
    yield _spaces(inventory, TablespaceKind.SYSTEM)
    yield _spaces(inventory, TablespaceKind.UNDO)
    yield _aria(posture)
    yield _redo(posture)
    yield from _temporary(inventory, posture)
    yield _binary(posture)
    yield _relay(inventory, posture)
    yield from logs.of_statements(posture)
    yield _by_default(posture)
    yield _by_force(posture)


def _keys(inventory: Inventory) -> Iterator[Place]:
    ring = inventory.server.keyring
    if not ring.active:
        closes = ("-- plugin_load_add = file_key_management, or better a plugin with a key server, in the option file",)
        why = "no encryption plugin is active"
        yield keys.KEYRING.place(State.BAD, why, *closes, restart=True, risk="nothing can be encrypted")
        return
    yield keys.KEYRING.place(State.OK, f"plugin {ring.name}; active")
    if ring.name == "file_key_management":
        where = ring.data_file
        closes = ("-- hashicorp_key_management or another plugin whose keys lie on another host",)
        evidence = f"{ring.name} keeps keys in a file on the server's host, in clear or with the password beside it"
        yield keys.KIND.place(State.BAD, evidence, *closes, restart=True)
        datadir = posixpath.normpath(inventory.server.datadir)
        inside = posixpath.normpath(posixpath.join(datadir, where)).startswith(datadir + "/")
        moves = "-- move it to a folder that only the server's user may read; file_key_management_filename; restart"
        state = State.BAD if inside else State.OK
        yield keys.FILE.place(state, f"{where} is {'in' if inside else 'not in'} the datadir", moves, restart=inside)
        note = "its keys have one version: they cannot be rotated, only replaced key by key (ENCRYPTION_KEY_ID)"
        yield keys.ROTATION.place(State.ASK, note, "-- how old are the keys, and who has seen them?")
    else:
        yield keys.KIND.place(State.ASK, f"plugin {ring.name}", "-- where does it keep the keys?")
        yield keys.ROTATION.place(
            State.ASK, "no query tells", "-- rotate at the key server; pages follow by themselves"
        )
    look = "-- copy the keys to a place apart from the data; restore data and keys on another host and start it"
    yield keys.BACKUP.place(State.ASK, "no query tells", look)


def _tables(inventory: Inventory) -> Place:
    clear = [t for t in inventory.tables if not t.encrypted and t.engine not in NO_DATA_ENGINES]
    if not inventory.tables or not clear:
        return at_rest.tables_place(inventory)
    closes: list[str] = []
    innodb = [table for table in clear if table.engine == "InnoDB"]
    by_option = [table for table in innodb if says_no(table)]
    closes += [f"ALTER TABLE {_name(table)} ENCRYPTED = DEFAULT;  -- made with ENCRYPTED=NO" for table in by_option]
    if innodb:
        closes += [
            "SET GLOBAL innodb_encryption_rotate_key_age = 1;",
            "SET GLOBAL innodb_encrypt_tables = ON;",
            "SET GLOBAL innodb_encryption_threads = 4;  -- in the background, page by page, no table is locked",
            _OPTION_FILE,
        ]
    if aria := [table for table in clear if table.engine == "Aria"]:
        closes.append("SET GLOBAL aria_encrypt_tables = ON;")
        closes += [f"ALTER TABLE {_name(table)} ENGINE = Aria ROW_FORMAT = PAGE;" for table in aria]
    place = at_rest.tables_place(inventory)
    return replace(place, closes=(*closes, *_others(clear)))


def _others(clear: list[Table]) -> list[str]:
    others = sorted({table.engine for table in clear} - {"InnoDB", "Aria"})
    return [f"-- {', '.join(others)} cannot be encrypted: convert to InnoDB, or drop"] if others else []


def _name(table: Table) -> str:
    return f"{shown(table.name.schema)}.{shown(table.name.name)}"


def _background(posture: Posture) -> Place:
    names = ("innodb_encrypt_tables", "innodb_encryption_threads", "innodb_encryption_rotate_key_age")
    tables, threads, age = (posture.variables.get(name, "") for name in names)
    evidence = said(posture, *names)
    on = tables.upper() in {"ON", "FORCE", "1", "2"}
    if not on and threads != "0" and age != "0":
        return BACKGROUND.place(State.BAD, evidence, "SET GLOBAL innodb_encryption_threads = 0;", _OPTION_FILE)
    if on and "0" in {threads, age}:
        zeros = zip(names[1:], (4, 1), (threads, age), strict=True)
        off = [f"SET GLOBAL {name} = {number};" for name, number, now in zeros if now == "0"]
        return BACKGROUND.place(State.BAD, evidence, *off, _OPTION_FILE)
    return BACKGROUND.place(State.OK if on else State.UNUSED, evidence)


def _spaces(inventory: Inventory, kind: TablespaceKind) -> Place:
    code = at_rest.SYSTEM if kind is TablespaceKind.SYSTEM else page_logs.UNDO
    spaces = [space for space in inventory.tablespaces if space.kind is kind]
    clear = [space for space in spaces if not space.encrypted]
    if not spaces:
        return code.place(State.UNUSED, "it has no tablespaces of its own, and lies in the system tablespace")
    evidence = f"{len(clear)} of {len(spaces)} in clear"
    evidence += f": {few([space.name for space in clear])}, {about(sum(s.file_bytes for s in clear))}" if clear else ""
    state = State.ENCRYPTED if not clear else State.CLEAR if len(clear) == len(spaces) else State.PARTLY
    return code.place(state, evidence, "-- with the tables: innodb_encrypt_tables = ON, and threads to do it")


def _aria(posture: Posture) -> Place:
    evidence = said(posture, "aria_encrypt_tables")
    if not is_on(posture, "aria_encrypt_tables"):
        closes = ("SET GLOBAL aria_encrypt_tables = ON;", _OPTION_FILE, "-- then, in the schema mysql, for each:")
        return ARIA_SYSTEM.place(State.CLEAR, evidence, *closes, "-- ALTER TABLE mysql.NAME FORCE;")
    return ARIA_SYSTEM.place(State.ASK, evidence, "-- were the tables of the schema mysql rebuilt since it is on?")


def _redo(posture: Posture) -> Place:
    on = is_on(posture, "innodb_encrypt_log")
    closes = "-- innodb_encrypt_log = ON in the option file, then restart: the log is made anew"
    state = State.ENCRYPTED if on else State.CLEAR
    return page_logs.REDO.place(state, said(posture, "innodb_encrypt_log"), closes, restart=True)


def _temporary(inventory: Inventory, posture: Posture) -> Iterator[Place]:
    size = sum(s.file_bytes for s in inventory.tablespaces if s.kind is TablespaceKind.TEMPORARY)
    places = (
        (temporary.TEMPORARY, ("innodb_encrypt_temporary_tables",), f"; ibtmp1 has {about(size)}"),
        (temporary.TMP_FILES, ("encrypt_tmp_files", "encrypt_tmp_disk_tables"), ""),
        # The row log of online DDL is encrypted where the redo log is.
        (temporary.ALTER_LOGS, ("innodb_encrypt_log",), ""),
    )
    for code, names, more in places:
        off = [name for name in names if not is_on(posture, name)]
        state = State.ENCRYPTED if not off else State.PARTLY if len(off) < len(names) else State.CLEAR
        closes = (f"-- {name} = ON in the option file, then restart" for name in off)
        yield code.place(state, said(posture, *names) + more, *closes, restart=True)


def _binary(posture: Posture) -> Place:
    if not is_on(posture, "log_bin"):
        return logs.BINARY.place(State.UNUSED, said(posture, "log_bin"))
    files, evidence = posture.at_rest.binary_logs, said(posture, "encrypt_binlog")
    if files is not None:
        evidence += f"; SHOW BINARY LOGS: {len(files)} files, {about(sum(file.bytes for file in files))}"
    purge = ("-- once every replica and every backup has read what is before:", logs.PURGE_ALL)
    if not is_on(posture, "encrypt_binlog"):
        turn_on = "-- encrypt_binlog = ON in the option file, then restart: new files are encrypted"
        return logs.BINARY.place(State.CLEAR, evidence, turn_on, *purge, restart=True)
    return logs.BINARY.place(State.ASK, evidence + "; which of them are from before, no query tells", *purge)


def _relay(inventory: Inventory, posture: Posture) -> Place:
    if not inventory.server.is_replica:
        return logs.RELAY.place(State.UNUSED, "no connection of replication is configured")
    state = State.ENCRYPTED if is_on(posture, "encrypt_binlog") else State.CLEAR
    closes = "-- encrypt_binlog = ON in the option file, then restart"
    return logs.RELAY.place(state, said(posture, "encrypt_binlog"), closes, restart=True)


def _by_default(posture: Posture) -> Place:
    on = posture.variables.get("innodb_encrypt_tables", "OFF").upper() in {"ON", "FORCE", "1", "2"}
    closes = ("SET GLOBAL innodb_encrypt_tables = ON;", _OPTION_FILE)
    return SERVER.place(State.ENCRYPTED if on else State.CLEAR, said(posture, "innodb_encrypt_tables"), *closes)


def _by_force(posture: Posture) -> Place:
    force = posture.variables.get("innodb_encrypt_tables", "").upper() in {"FORCE", "2"}
    closes = ("SET GLOBAL innodb_encrypt_tables = FORCE;  -- ENCRYPTED=NO is refused then", _OPTION_FILE)
    return CHECK.place(State.OK if force else State.BAD, said(posture, "innodb_encrypt_tables"), *closes)


def in_its_words(place: Place) -> Place:
    """The place as MariaDB closes it: there is no SET PERSIST."""
    if not any("SET PERSIST" in line for line in place.closes):
        return place
    closes = (line.replace("SET PERSIST", "SET GLOBAL") for line in place.closes)
    return replace(place, closes=(*closes, _OPTION_FILE))
