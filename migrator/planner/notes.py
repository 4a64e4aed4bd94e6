"""Notes: what is good to know about a table, and stops nothing. Pure."""

from __future__ import annotations

from migrator.model import Finding, Table, TablespaceKind
from migrator.planner.around import Around, finding


def partly_encrypted(table: Table, _around: Around) -> Finding | None:
    """Some of its files are encrypted, some are not: partitions, or tables of a FULLTEXT index."""
    done = sum(s.encrypted for s in table.segments)
    if not 0 < done < len(table.segments):
        return None
    return finding(table, "partly-encrypted", f"{done} of its {len(table.segments)} files are encrypted; all get done")


def in_system_tablespace(table: Table, _around: Around) -> Finding | None:
    """ibdata1 cannot be encrypted, so the rows move into a file of their own."""
    if table.tablespace_kind is not TablespaceKind.SYSTEM:
        return None
    message = (
        "lies in ibdata1, which cannot be encrypted: it moves into a file of its own, SHOW CREATE TABLE then says"
        " TABLESPACE `innodb_file_per_table`, and ibdata1 keeps the old pages, in clear, until they are used again"
    )
    return finding(table, "in-system-tablespace", message, "only a new data directory frees ibdata1 of them")


def fulltext(table: Table, _around: Around) -> Finding | None:
    """FULLTEXT indexes have tables of their own, which are encrypted with the table."""
    names = [k.name for k in table.keys if k.type == "FULLTEXT"]
    message = f"FULLTEXT indexes ({', '.join(names)}): their tables are encrypted too; the copy takes longer"
    return finding(table, "fulltext", message) if names else None


def spatial(table: Table, _around: Around) -> Finding | None:
    """SPATIAL indexes are encrypted with the table, and slow to build."""
    names = [k.name for k in table.keys if k.type == "SPATIAL"]
    message = f"SPATIAL indexes ({', '.join(names)}): the copy takes longer"
    return finding(table, "spatial", message) if names else None


def histograms(table: Table, _around: Around) -> Finding | None:
    """The server keeps no histograms of encrypted tables, whoever encrypts them."""
    if not table.histograms:
        return None
    message = f"histograms are lost, the server keeps none for an encrypted table: {', '.join(table.histograms)}"
    return finding(
        table, "histograms", message, "look at the plans of queries on these columns; an index may be needed"
    )


def autoinc_lock(table: Table, around: Around) -> Finding | None:
    """Below innodb_autoinc_lock_mode=2, statements that insert many rows take turns."""
    mode = around.server.variables.get("innodb_autoinc_lock_mode", "2")
    if mode == "2" or not any(c.auto_increment for c in table.columns):
        return None
    message = f"AUTO_INCREMENT with innodb_autoinc_lock_mode={mode}: copying connections take turns"
    return finding(table, "autoinc-lock", message, "workers: 1 is as fast here; 2 is the server's default since 8.0")
