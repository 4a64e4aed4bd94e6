"""Places where rows may lie in clear besides tables: what is known of each, and what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from migrator.model import Flavour, Inventory, Server, TablespaceKind
from migrator.report.evidence import Residual, Residue, StepEvidence
from migrator.report.files import FilesReport, Verdict
from migrator.report.residual_mariadb import residuals_of_mariadb
from migrator.report.words import about, count, plural

_LEAVES_OLD_FILES: Final = frozenset({"shadow-copy", "direct-alter", "tablespace-relay", "convert"})
_BELOW: Final = "put the data directory on an encrypted filesystem as well"


def residuals_of(
    inventory: Inventory,
    steps: Iterable[StepEvidence],
    *,
    binlogs: tuple[int, int, int, int] | None,
    files: FilesReport | None,
) -> tuple[Residual, ...]:
    """Every place, the ones that need something done first.

    `binlogs` are files, bytes, files in clear, bytes in clear of SHOW BINARY LOGS; None where that could not be read.
    """
    server, steps = inventory.server, tuple(steps)
    found = [
        *_of_the_server(inventory, binlogs, files),
        _retained(steps),
        _old_files(steps),
        _statement_logs(server),
        Residual(
            "backups, dumps, exports, snapshots",
            Residue.UNKNOWN,
            "those made before hold rows in clear; mysqldump and SELECT ... INTO OUTFILE always do",
            "make a new backup now, let the older ones expire, and encrypt dumps by themselves",
        ),
        _replicas(inventory),
        Residual(
            "swap, core dumps, memory",
            Residue.UNKNOWN,
            "rows are in clear in the server's memory",
            "encrypt swap, and keep core dumps off (core_file)",
        ),
    ]
    order = list(Residue)
    return tuple(sorted(found, key=lambda one: order.index(one.state)))


def _of_the_server(
    inventory: Inventory, binlogs: tuple[int, int, int, int] | None, files: FilesReport | None
) -> Iterator[Residual]:
    """Places that the server's own settings close."""
    server = inventory.server
    if server.flavour is Flavour.MARIADB:
        yield from residuals_of_mariadb(inventory, binlogs)
        return
    yield _binary_logs(server, binlogs)
    yield _redo(server)
    yield _undo(inventory, files)
    yield _system(inventory, files)
    yield _temporary(server)


def _binary_logs(server: Server, logs: tuple[int, int, int, int] | None) -> Residual:
    place, on = "binary logs", server.variable_is_on("binlog_encryption")
    setting = f"binlog_encryption={'ON' if on else 'OFF'}"
    turn_on = "SET PERSIST binlog_encryption = ON; then "
    purge = "PURGE BINARY LOGS, once neither a replica nor a backup needs them any more"
    if not server.variable_is_on("log_bin"):
        return Residual(place, Residue.NOTHING, "log_bin=OFF", "nothing")
    if logs is None:
        why = f"{setting}; SHOW BINARY LOGS needs REPLICATION CLIENT"
        return Residual(place, Residue.UNKNOWN if on else Residue.IN_CLEAR, why, ("" if on else turn_on) + purge)
    files, _, clear, clear_bytes = logs
    said = (
        f"{setting}; {count(clear)} of {plural(files, 'file')} in clear ({about(clear_bytes)}): they hold changed rows"
    )
    if not clear:
        return Residual(place, Residue.ENCRYPTED, f"{setting}; {plural(files, 'file')}, none in clear", "nothing")
    return Residual(place, Residue.PARTLY if on else Residue.IN_CLEAR, said, ("" if on else turn_on) + purge)


def _redo(server: Server) -> Residual:
    if server.variable_is_on("innodb_redo_log_encrypt"):
        said = "innodb_redo_log_encrypt=ON; what was written before stays until it is overwritten"
        return Residual("redo log", Residue.ENCRYPTED, said, "nothing: it is overwritten in turn")
    said = "innodb_redo_log_encrypt=OFF: changes of rows go through it in clear, those of encrypted tables too"
    to_do = "SET PERSIST innodb_redo_log_encrypt = ON (from then on the server needs its keyring to start)"
    return Residual("redo log", Residue.IN_CLEAR, said, to_do)


def _undo(inventory: Inventory, files: FilesReport | None) -> Residual:
    server = inventory.server
    spaces = [s for s in inventory.tablespaces if s.kind is TablespaceKind.UNDO]
    size = f"{plural(len(spaces), 'tablespace')}, {about(sum(s.file_bytes for s in spaces))}"
    truncate = "ALTER UNDO TABLESPACE ... SET INACTIVE, then ACTIVE, by turns (two others must be active meanwhile)"
    names = {s.name for s in spaces}
    read = [o.verdict for o in (files.objects if files and not files.not_here else ()) if o.name in names]
    if not server.variable_is_on("innodb_undo_log_encrypt"):
        said = f"innodb_undo_log_encrypt=OFF; {size}: they hold older versions of rows"
        return Residual(
            "undo logs", Residue.IN_CLEAR, said, f"SET PERSIST innodb_undo_log_encrypt = ON; then {truncate}"
        )
    if read and all(verdict is Verdict.ENCRYPTED for verdict in read):
        return Residual("undo logs", Residue.ENCRYPTED, f"innodb_undo_log_encrypt=ON; {size}, every page", "nothing")
    said = f"innodb_undo_log_encrypt=ON; {size}: what was written before is in clear until a tablespace is truncated"
    return Residual("undo logs", Residue.PARTLY, said, truncate)


def _retained(steps: tuple[StepEvidence, ...]) -> Residual:
    kept = [s for s in steps if s.state == "swapped" and s.kind == "table"]
    if not kept:
        return Residual("retained tables", Residue.NOTHING, "the journal names none", "nothing")
    said = f"{plural(len(kept), 'old table')}, about {about(sum(s.bytes for s in kept))}, kept after the swap"
    return Residual("retained tables", Residue.IN_CLEAR, said, "migrator cleanup, after the deadline of each or --now")


def _old_files(steps: tuple[StepEvidence, ...]) -> Residual:
    place = "blocks of files that were dropped"
    gone = [s for s in steps if s.state == "done" and s.method in _LEAVES_OLD_FILES and s.kind == "table"]
    if not gone:
        said = "no run has dropped a file in clear yet, as far as the journal knows"
        return Residual(place, Residue.UNKNOWN, said, f"{_BELOW}: no statement of SQL erases blocks")
    said = (
        f"{plural(len(gone), 'old file')} of tables, about {about(sum(s.bytes for s in gone))}: freed by the"
        " filesystem, and nobody has erased the blocks"
    )
    return Residual(place, Residue.UNKNOWN, said, f"fstrim or a wipe of free space, let snapshots expire, or {_BELOW}")


def _system(inventory: Inventory, files: FilesReport | None) -> Residual:
    spaces = [s for s in inventory.tablespaces if s.kind is TablespaceKind.SYSTEM]
    size = f" ({about(sum(s.file_bytes for s in spaces))})" if spaces else ""
    inside = [t for t in inventory.tables if any(s.kind is TablespaceKind.SYSTEM for s in t.segments)]
    said = f"the server cannot encrypt it{size}; {plural(len(inside), 'table')} in it; it holds the change buffer"
    odd = [o for o in (files.objects if files else ()) if o.kind == "beside" and o.name == "innodb_system"]
    said += f"; its files say: {odd[0].verdict}" if odd else ""
    to_do = "move tables out of it (migrator plan does), and " + _BELOW
    return Residual("system tablespace (ibdata1)", Residue.IN_CLEAR, said, to_do)


def _temporary(server: Server) -> Residual:
    if server.variable_is_on("innodb_temp_tablespace_encrypt"):
        said = "innodb_temp_tablespace_encrypt=ON; files of sorts in tmpdir are not covered by it"
        return Residual(
            "temporary tables and sort files", Residue.PARTLY, said, "put tmpdir on an encrypted filesystem"
        )
    said = "the server writes ibtmp1, #innodb_temp and files in tmpdir in clear"
    to_do = "put innodb_temp_tablespaces_dir, innodb_tmpdir and tmpdir on an encrypted filesystem"
    return Residual("temporary tables and sort files", Residue.IN_CLEAR, said, to_do)


def _statement_logs(server: Server) -> Residual:
    place = "general and slow log"
    on = [name for name in ("general_log", "slow_query_log") if server.variable_is_on(name)]
    if not on:
        said = "general_log=OFF, slow_query_log=OFF; what was written before was not looked at"
        return Residual(place, Residue.UNKNOWN, said, "delete old log files")
    said = f"{' and '.join(on)} ON, to {server.variables.get('log_output', 'FILE')}: statements with their values"
    return Residual(
        place, Residue.IN_CLEAR, said, "turn them off where you can, or keep them on an encrypted filesystem"
    )


def _replicas(inventory: Inventory) -> Residual:
    others = inventory.server.members
    said = f"{', '.join(m.name for m in others)}: each has files of its own" if others else "the server shows none"
    to_do = "run migrator report on each of them" if others else "nothing, if that is true"
    return Residual("replicas and members", Residue.UNKNOWN if others else Residue.NOTHING, said, to_do)
