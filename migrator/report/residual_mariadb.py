"""The same places as `residual` where the server is a MariaDB: other variables, other ways to close them. Pure.

Which setting covers what is told apart by the audit, too (`planner/posture/mariadb.py`), with its sources.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from migrator.model import Inventory, Server, TablespaceKind
from migrator.report.evidence import Residual, Residue
from migrator.report.words import about, plural

_BACKGROUND: Final = "innodb_encrypt_tables = ON, and innodb_encryption_threads above 0 to do it"
_TEMPORARY: Final = ("innodb_encrypt_temporary_tables", "encrypt_tmp_files", "encrypt_tmp_disk_tables")


def residuals_of_mariadb(inventory: Inventory, binlogs: tuple[int, int, int, int] | None) -> Iterator[Residual]:
    """Binary logs, redo, undo, the system tablespace, and what is temporary."""
    server = inventory.server
    yield _binary_logs(server, binlogs)
    yield _redo(server)
    yield _undo(inventory)
    yield _pages("system tablespace (ibdata1)", inventory, TablespaceKind.SYSTEM)
    yield _temporary(server)


def _by_option(name: str) -> str:
    return f"{name} = ON in the option file, then a restart"


def _shown(server: Server, *names: str) -> str:
    return ", ".join(f"{name}={'ON' if server.variable_is_on(name) else 'OFF'}" for name in names)


def _binary_logs(server: Server, logs: tuple[int, int, int, int] | None) -> Residual:
    place, said = "binary logs", _shown(server, "encrypt_binlog")
    if not server.variable_is_on("log_bin"):
        return Residual(place, Residue.NOTHING, "log_bin=OFF", "nothing")
    said += f"; {plural(logs[0], 'file')} ({about(logs[1])}): they hold changed rows" if logs else ""
    purge = "PURGE BINARY LOGS, once neither a replica nor a backup needs them any more"
    if server.variable_is_on("encrypt_binlog"):
        return Residual(place, Residue.UNKNOWN, f"{said}; which of them are from before, no query tells", purge)
    return Residual(place, Residue.IN_CLEAR, said, f"{_by_option('encrypt_binlog')}; then {purge}")


def _redo(server: Server) -> Residual:
    place, name = "redo log", "innodb_encrypt_log"
    if server.variable_is_on(name):
        return Residual(place, Residue.ENCRYPTED, _shown(server, name), "nothing: it was made anew when that came")
    said = f"{_shown(server, name)}: changes of rows go through it in clear, those of encrypted tables too"
    return Residual(place, Residue.IN_CLEAR, said, _by_option(name))


def _undo(inventory: Inventory) -> Residual:
    if any(space.kind is TablespaceKind.UNDO for space in inventory.tablespaces):
        return _pages("undo logs", inventory, TablespaceKind.UNDO)
    return Residual("undo logs", Residue.NOTHING, "they lie in the system tablespace", "nothing of their own")


def _pages(place: str, inventory: Inventory, kind: TablespaceKind) -> Residual:
    """Tablespaces that the server encrypts in the background, by its own word."""
    spaces = [space for space in inventory.tablespaces if space.kind is kind]
    clear = [space for space in spaces if not space.encrypted]
    size = f"{plural(len(spaces), 'tablespace')}, {about(sum(space.file_bytes for space in spaces))}"
    if spaces and not clear:
        return Residual(place, Residue.ENCRYPTED, f"{size}, every page, by the server's own word", "nothing")
    state = Residue.PARTLY if len(clear) < len(spaces) else Residue.IN_CLEAR
    return Residual(
        place, state, f"{len(clear)} in clear of {size}: rows, or older versions of them, lie there", _BACKGROUND
    )


def _temporary(server: Server) -> Residual:
    off = [name for name in _TEMPORARY if not server.variable_is_on(name)]
    state = Residue.PARTLY if len(off) < len(_TEMPORARY) else Residue.IN_CLEAR
    to_do = "; ".join(map(_by_option, off)) or "nothing"
    place = "temporary tables and sort files"
    return Residual(place, state if off else Residue.ENCRYPTED, _shown(server, *_TEMPORARY), to_do)
