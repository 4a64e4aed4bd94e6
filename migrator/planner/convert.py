"""What speaks against converting a table of another engine to InnoDB, or is another thing afterwards.

Pure. What the server itself refuses in a definition (a row or a key too long, too many columns) shows in the
dry run, which converts an empty twin.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from migrator.model import Finding, Table
from migrator.planner.around import Around, Check, finding, shown
from migrator.planner.checks import unreadable
from migrator.planner.copy import generated_timestamp, spatial_key
from migrator.planner.keys import usable_key
from migrator.planner.notes import histograms
from migrator.sql.convert import dropped_options

_NO_MINIMUM: Final = "?"


def merged(table: Table, _around: Around) -> Finding | None:
    """A MERGE table can be opened no more when one of its tables is not MyISAM (1168, seen on 9.7.4)."""
    if not table.merged_by:
        return None
    names = ", ".join(map(str, table.merged_by))
    remedy = "replace the MERGE table (by a view with UNION ALL, or by partitions), then plan again"
    return finding(table, "merged", f"MERGE tables read it, and could not any more: {names}", remedy, blocks=True)


def auto_increment_inside(table: Table, _around: Around) -> Finding | None:
    """MyISAM counts for each value of the columns before; InnoDB needs an index that begins with the column (1075)."""
    auto = next((c.name for c in table.columns if c.auto_increment), None)
    if auto is None or any(k.parts and k.parts[0].column == auto for k in table.keys):
        return None
    message = f"no index begins with its AUTO_INCREMENT column {auto}, which InnoDB needs (error 1075)"
    remedy = (
        f"ALTER TABLE {shown(table.name)} with an index on that column, if the application can do without numbers"
        " that begin anew for each value of the columns before it; then plan again"
    )
    return finding(table, "auto-increment-inside", message, remedy, blocks=True)


def early_foreign_key(table: Table, _around: Around) -> Finding | None:
    """Made with foreign_key_checks=0, it names the table and is not kept; with an InnoDB table of that name it is.

    Under LOCK TABLES of the table alone the ALTER is refused (1100, seen on 9.7.4).
    """
    if not table.referenced_by:
        return None
    names = ", ".join(f"{k.table} ({k.name})" for k in table.referenced_by)
    message = f"foreign keys name it that nobody has kept so far, and that count once it is an InnoDB table: {names}"
    remedy = f"drop them, or convert it by hand: ALTER TABLE {shown(table.name)} ENGINE=InnoDB, ENCRYPTION='Y'"
    return finding(table, "early-foreign-key", message, remedy, blocks=True)


def engine_disabled(table: Table, around: Around) -> Finding | None:
    """What is named there can be altered and used, but no table of that engine can be made (3161, seen on 9.7.4)."""
    named = around.server.variables.get("disabled_storage_engines", "")
    if table.engine.upper() not in {word.strip().upper() for word in named.split(",")}:
        return None
    message = (
        f"disabled_storage_engines names {table.engine}: no empty twin of it can be made (error 3161), on which a"
        " conversion is tried first"
    )
    remedy = (
        f"take {table.engine} out of disabled_storage_engines (a restart), then plan again; or by hand, in a"
        f" maintenance window: ALTER TABLE {shown(table.name)} ENGINE=InnoDB, ENCRYPTION='Y', and look whether an"
        " index was cut"
    )
    return finding(table, "engine-disabled", message, remedy, blocks=True)


def words_of_fulltext(table: Table, around: Around) -> Finding | None:
    """The two engines take other words into a FULLTEXT index, and rank by other sums."""
    names = [k.name for k in table.keys if k.type == "FULLTEXT"]
    if not names:
        return None
    settings = around.server.variables
    old = settings.get("ft_min_word_len", _NO_MINIMUM)
    new = settings.get("innodb_ft_min_token_size", _NO_MINIMUM)
    message = (
        f"FULLTEXT indexes ({', '.join(names)}) find other rows in another order: words of {new} letters count instead"
        f" of {old}, and the lists of words that do not count are other ones"
    )
    remedy = (
        "compare ft_min_word_len with innodb_ft_min_token_size, ft_stopword_file with innodb_ft_server_stopword_table"
    )
    return finding(table, "fulltext-words", message, remedy)


def options_dropped(table: Table, _around: Around) -> Finding | None:
    """Row formats and block sizes that mean something else to InnoDB, or are refused by it, are left out."""
    dropped = dropped_options(table)
    if not dropped:
        return None
    message = f"options that InnoDB refuses or takes for something else are dropped: {', '.join(dropped)}"
    return finding(table, "options-dropped", message, "ALTER TABLE ... ROW_FORMAT=... afterwards, if one is wanted")


def without_a_key(table: Table, _around: Around) -> Finding | None:
    """CSV tables have no key at all."""
    as_innodb = tuple(replace(key, type="BTREE") for key in table.keys if key.type == "SE_SPECIFIC")  # ARCHIVE's
    if not table.columns or usable_key(replace(table, keys=(*table.keys, *as_innodb))) is not None:
        return None
    message = "has no usable key: replicas search the whole table for each row that is changed"
    return finding(table, "converted-without-key", message, "add a PRIMARY KEY afterwards")


def grows(table: Table, _around: Around) -> Finding | None:
    """ARCHIVE keeps its rows compressed."""
    if table.engine != "ARCHIVE":
        return None
    message = "ARCHIVE keeps rows compressed: the InnoDB table is several times as large, the estimates do not know"
    return finding(table, "grows", message, "have disk free, or ROW_FORMAT=COMPRESSED by hand")


CONVERT_CHECKS: Final[tuple[Check, ...]] = (
    unreadable,
    merged,
    early_foreign_key,
    auto_increment_inside,
    engine_disabled,
    generated_timestamp,
    spatial_key,
    words_of_fulltext,
    histograms,
    options_dropped,
    without_a_key,
    grows,
)
"""What matters for a table that is converted: its triggers and CHECK constraints stay."""
