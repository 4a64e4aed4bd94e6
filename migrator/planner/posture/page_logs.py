"""Redo, undo and doublewrite: where pages and rows go before they come to their tables. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from migrator.model import Inventory, TablespaceKind
from migrator.planner.posture.code import Code
from migrator.planner.posture.defaults import shown
from migrator.planner.posture.settings import is_on, said
from migrator.planner.units import about
from migrator.posture import Area, OldPart, Place, Posture, State

_SMALLEST_REDO: Final = 8 * 2**20

UNDO: Final = Code(
    "undo-log",
    Area.AT_REST,
    "undo log",
    "Undo tablespaces: the old values of each row that is changed.",
    "old values of changed rows can be read in it, also those of encrypted tables",
    "`SET PERSIST innodb_undo_log_encrypt = ON`: for what is written from then on",
)
UNDO_BEFORE: Final = Code(
    "undo-log-before",
    Area.AT_REST,
    "undo log of before",
    "Pages that were written before the undo log was encrypted: they stay until the tablespace is truncated. The"
    " catalog calls the tablespace encrypted all the same, so only the files tell; they are read on the server's host.",
    "old values of rows that were changed before can still be read",
    "each undo tablespace in turn: `SET INACTIVE`, wait until it is empty, `SET ACTIVE`",
)
REDO: Final = Code(
    "redo-log",
    Area.AT_REST,
    "redo log",
    "The redo log: every change of a page.",
    "rows that are written can be read in it, also those of encrypted tables",
    "`SET PERSIST innodb_redo_log_encrypt = ON`: for what is written from then on",
)
REDO_BEFORE: Final = Code(
    "redo-log-before",
    Area.AT_REST,
    "redo log of before",
    "Blocks that were written before the redo log was encrypted: they stay until they are overwritten, in spare files"
    " (`#ib_redo..._tmp`) too. Only the files tell; they are read on the server's host. Each start of the server"
    " writes some blocks in clear before it comes to encrypting (about 100 on 9.7.4, with names"
    " of the dictionary and no rows).",
    "rows that were written before can still be read",
    "time: it is overwritten when `innodb_redo_log_capacity` bytes more are written",
)
DOUBLEWRITE: Final = Code(
    "doublewrite",
    Area.AT_REST,
    "doublewrite buffer",
    "A second copy of each page that is written; encrypted as the page's own tablespace is, since 8.0.23.",
    "pages of encrypted tables lie there in clear",
    "an upgrade to 8.0.23 or newer; Percona Server 8.0.20 to 8.0.22: `innodb_parallel_dblwr_encrypt`",
)
CODES: Final = (
    UNDO,
    UNDO_BEFORE,
    REDO,
    REDO_BEFORE,
    DOUBLEWRITE,
)


def page_logs(inventory: Inventory, posture: Posture) -> Iterator[Place]:
    """Undo, redo, doublewrite."""
    yield from _undo(inventory, posture)
    yield from _redo(inventory, posture)
    yield _doublewrite(inventory, posture)


def _undo(inventory: Inventory, posture: Posture) -> Iterator[Place]:
    setting = "innodb_undo_log_encrypt"
    spaces = [s for s in inventory.tablespaces if s.kind is TablespaceKind.UNDO]
    on, clear = is_on(posture, setting), [s for s in spaces if not s.encrypted]
    evidence = f"{said(posture, setting)}; ENCRYPTION is N for {len(clear)} of {len(spaces)} undo tablespaces"
    if not on:
        yield UNDO.place(State.CLEAR, evidence, f"SET PERSIST {setting} = ON;")
        return
    yield UNDO.place(State.PARTLY if clear else State.ENCRYPTED, evidence, *_truncate([s.name for s in clear]))
    truncate = _truncate([space.name for space in spaces])
    yield _before(UNDO_BEFORE, posture.host.undo, "pages of old values", *truncate)


def _truncate(names: list[str]) -> tuple[str, ...]:
    """Truncate undo tablespaces; two must be active at any time, so a third one is made first."""
    if not names:
        return ()
    lines = ["CREATE UNDO TABLESPACE migrator_undo ADD DATAFILE 'migrator_undo.ibu';"]
    for name in names:
        lines += [f"ALTER UNDO TABLESPACE {shown(name)} SET INACTIVE;", _empty(name)]
        lines += [f"ALTER UNDO TABLESPACE {shown(name)} SET ACTIVE;"]
    lines += ["ALTER UNDO TABLESPACE migrator_undo SET INACTIVE;", _empty("migrator_undo")]
    return (*lines, "DROP UNDO TABLESPACE migrator_undo;")


def _empty(name: str) -> str:
    text = name.replace("'", "''")
    asked = f"SELECT STATE FROM information_schema.INNODB_TABLESPACES WHERE NAME = '{text}';"
    return f"{asked}  -- again, until it says: empty"


def _redo(inventory: Inventory, posture: Posture) -> Iterator[Place]:
    setting = "innodb_redo_log_encrypt"
    if not is_on(posture, setting):
        yield REDO.place(State.CLEAR, said(posture, setting), f"SET PERSIST {setting} = ON;")
        return
    yield REDO.place(State.ENCRYPTED, said(posture, setting))
    variables = inventory.server.variables
    # Before 8.0.30 the redo log had files of a fixed size, and changed that only by a restart.
    fixed = int(variables.get("innodb_log_file_size", 0)) * int(variables.get("innodb_log_files_in_group", 0))
    capacity = int(posture.variables.get("innodb_redo_log_capacity", 0))
    closes = [f"-- nothing has to be done: it is gone when {about(capacity or fixed)} more are written"]
    if capacity > _SMALLEST_REDO:
        closes += [
            "-- sooner, where nobody works (writes wait while the log is small): make it small, write 16 MiB, and back",
            f"SET GLOBAL innodb_redo_log_capacity = {_SMALLEST_REDO};",
            f"SET GLOBAL innodb_redo_log_capacity = {capacity};",
        ]
    yield _before(REDO_BEFORE, posture.host.redo, "blocks", *closes)


def _before(code: Code, old: OldPart | None, unit: str, *closes: str) -> Place:
    if old is None:
        why = "only the files tell, and they were not read"
        return code.place(State.ASK, why, "-- run the audit on the server's host, as a user who may read them", *closes)
    evidence = f"{old.in_clear} of {old.blocks} {unit} in {old.files} files are in clear"
    return code.place(State.PARTLY if old.in_clear else State.ENCRYPTED, evidence, *closes)


def _doublewrite(inventory: Inventory, posture: Posture) -> Place:
    server, off = inventory.server, posture.variables.get("innodb_doublewrite", "ON").upper()
    version = f"version {'.'.join(map(str, server.version))}"
    if off in {"OFF", "DETECT_ONLY", "0", "FALSE"}:
        return DOUBLEWRITE.place(State.UNUSED, f"innodb_doublewrite={off}: no page is written there")
    if server.at_least(8, 0, 23):
        return DOUBLEWRITE.place(State.ENCRYPTED, f"{version}: pages are written there as in their own tablespace")
    setting = "innodb_parallel_dblwr_encrypt"
    if server.at_least(8, 0, 20) and is_on(posture, setting):
        return DOUBLEWRITE.place(State.ENCRYPTED, f"{version}, {said(posture, setting)}")
    if is_on(posture, "innodb_sys_tablespace_encrypt") and not server.at_least(8, 0, 20):
        return DOUBLEWRITE.place(
            State.ENCRYPTED, f"{version}: in ibdata1, {said(posture, 'innodb_sys_tablespace_encrypt')}"
        )
    closes = [f"SET PERSIST {setting} = ON;"] if server.at_least(8, 0, 20) and setting in posture.variables else []
    evidence = f"{version}, {said(posture, setting)}"
    return DOUBLEWRITE.place(State.CLEAR, evidence, *closes, "-- upgrade to 8.0.23 or newer", restart=not closes)
