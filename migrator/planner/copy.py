"""Reasons against a copy by triggers. A relay serves some of them (relay.py). Pure."""

from __future__ import annotations

from typing import Final

from migrator.model import Finding, Table
from migrator.planner.around import Around, by_hand, finding, our_triggers, shown
from migrator.planner.keys import key_obstacle, usable_key
from migrator.planner.relay import immovable
from migrator.planner.time_zones import computed_in_a_time_zone, timestamp_columns
from migrator.sql.names import MAX_NAME, log_of, retained_of, shadow_of


def foreign_keys(table: Table, _around: Around) -> Finding | None:
    """A copy has foreign keys of its own, with other names."""
    if not table.foreign_keys:
        return None
    names = ", ".join(f"{k.name} -> {k.parent}" for k in table.foreign_keys)
    return finding(
        table, "foreign-key", f"foreign keys of its own: {names}", by_hand(table), blocks=immovable(table) != ""
    )


def referenced(table: Table, _around: Around) -> Finding | None:
    """Foreign keys of other tables would follow the old table when it is renamed."""
    if not table.referenced_by:
        return None
    names = ", ".join(f"{k.table} ({k.name})" for k in table.referenced_by)
    return finding(
        table,
        "referenced",
        f"foreign keys of other tables refer to it: {names}",
        by_hand(table),
        blocks=immovable(table) != "",
    )


def own_triggers(table: Table, _around: Around) -> Finding | None:
    """Triggers of the application would stay on the old table."""
    mine = our_triggers(table.name)
    names = ", ".join(f"{t.name} ({t.timing} {t.event})" for t in table.triggers if t.name not in mine)
    if not names:
        return None
    return finding(
        table, "own-trigger", f"triggers of the application: {names}", by_hand(table), blocks=immovable(table) != ""
    )


def check_names(table: Table, _around: Around) -> Finding | None:
    """LIKE gives CHECK constraints new names; only t_chk_1 to t_chk_9 without gaps come out as they were.

    Observed on MySQL 9.7.4: a gap is closed, ten and more are shuffled (LIKE takes them by name, and
    t_chk_10 sorts before t_chk_2), and a name over 64 characters fails with 3507 or 1059.
    """
    given = [c.name for c in table.checks if not c.generated_name]
    if given:
        message = f"CHECK constraints with names of their own: {', '.join(given)}; a copy cannot bear the same names"
        return finding(table, "named-check", message, by_hand(table), blocks=immovable(table) != "")
    expected = {f"{table.name.name}_chk_{n}" for n in range(1, len(table.checks) + 1)}
    if len(table.checks) > 9 or {c.name for c in table.checks} - expected:
        message = "CHECK constraints that a copy would number anew: more than nine, or with gaps"
        return finding(table, "check-numbers", message, by_hand(table), blocks=immovable(table) != "")
    longest = max(len(shadow_of(table.name).name), len(retained_of(table.name).name)) + len("_chk_1")
    if table.checks and longest > MAX_NAME:
        message = "with its CHECK constraints the name is too long for a copy: the server derives theirs from it"
        return finding(table, "check-name-length", message, by_hand(table), blocks=immovable(table) != "")
    return None


def generated_timestamp(table: Table, _around: Around) -> Finding | None:
    """What is computed from a TIMESTAMP would be computed in UTC by us, and in another time zone by the application."""
    found = computed_in_a_time_zone(table)
    if not found:
        return None
    message = f"depends on the time zone of whoever computes it, and migrator's sessions are in UTC: {', '.join(found)}"
    remedy = (
        f"in a maintenance window, in a session with the application's time_zone: ALTER TABLE {shown(table.name)}"
        " ENCRYPTION='Y' (writes wait while it copies)"
    )
    return finding(table, "generated-timestamp", message, remedy, blocks=True)


def old_timestamp(table: Table, around: Around) -> Finding | None:
    """Before 8.0.19 no instant can be said with its offset, as mirror triggers must."""
    names = timestamp_columns(table)
    if not names or around.server.at_least(8, 0, 19):
        return None
    message = f"TIMESTAMP ({', '.join(names)}) cannot be mirrored exactly before MySQL 8.0.19"
    return finding(table, "old-timestamp", message, f"upgrade the server, or: {by_hand(table)}", blocks=True)


def no_usable_key(table: Table, _around: Around) -> Finding | None:
    """Rows that no key names cannot be copied in chunks or followed."""
    if not table.columns or usable_key(table) is not None:
        return None
    reasons = [f"{key.name} {key_obstacle(table, key)}" for key in table.keys if key.unique]
    message = "no usable key" + (f": {'; '.join(reasons)}" if reasons else ": neither PRIMARY nor UNIQUE")
    remedy = "add a PRIMARY KEY (an invisible AUTO_INCREMENT column does no harm to most applications), or " + by_hand(
        table
    )
    return finding(table, "no-usable-key", message, remedy, blocks=immovable(table) != "")


def document_ids(table: Table, _around: Around) -> Finding | None:
    """InnoDB takes a FTS_DOC_ID only if it is larger than all before (error 182), and a drain brings rows again."""
    if not any(k.type == "FULLTEXT" for k in table.keys) or all(c.name.upper() != "FTS_DOC_ID" for c in table.columns):
        return None
    message = "FULLTEXT with a FTS_DOC_ID of its own, whose rows can only be inserted in the order of that column"
    return finding(table, "document-ids", message, by_hand(table), blocks=True)


def spatial_key(table: Table, _around: Around) -> Finding | None:
    """Text in the clustered key of a table with a SPATIAL index: a ROLLBACK could end the server.

    InnoDB aborts (row0undo.cc, "Error (Failed, retry may succeed) in rollback"), and again at each start, when a
    transaction is rolled back that replaced a key by an equal one of another length in bytes ('a' by 'a ' or 'ä').
    Three statements of an application do it, without a migration (seen on 9.7.4, tests/server/test_innodb_abort.py);
    where the application commits, it is our DELETE and INSERT of the row in the shadow that could be rolled back.
    A table that is converted to InnoDB would bring its application into that for the first time.
    """
    indexes = [k.name for k in table.keys if k.type == "SPATIAL"]
    texts = _text_in_the_clustered_key(table)
    if not indexes or not texts:
        return None
    ours = ", and the copy's could be" if table.engine == "InnoDB" else ""
    message = (
        f"a SPATIAL index ({', '.join(indexes)}), and text in the key ({', '.join(texts)}): InnoDB ends the server when"
        f" a key that was replaced by an equal one of another length is rolled back{ours}"
    )
    other_key = "a primary key without text, or with COLLATE utf8mb4_0900_bin, then plan again"
    remedy = f"{other_key}; or {by_hand(table)}" if table.engine == "InnoDB" else other_key
    return finding(table, "spatial-key", message, remedy, blocks=True)


def _text_in_the_clustered_key(table: Table) -> list[str]:
    keys = [k for k in table.keys if k.name == "PRIMARY"] or [k for k in table.keys if k.unique]
    names = {part.column for key in keys for part in key.parts}
    texts = [c for c in table.columns if c.name in names and c.data_type in _TEXT]
    return [c.name for c in texts if c.collation != _EQUAL_BYTES]


_TEXT: Final = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
_EQUAL_BYTES: Final = "utf8mb4_0900_bin"
"""The collation in which only the same bytes are equal. (In utf8mb4_bin 'a' and 'a ' are.)"""


def data_directory(table: Table, _around: Around) -> Finding | None:
    """LIKE does not keep DATA DIRECTORY (manual: CREATE TABLE ... LIKE)."""
    if not table.data_directory:
        return None
    return finding(table, "data-directory", "DATA DIRECTORY: a copy would lie elsewhere", by_hand(table), blocks=True)


def name_taken(table: Table, around: Around) -> Finding | None:
    """What bears a name of ours and is not provably ours is never touched, so the name is not free."""
    derived = (shadow_of(table.name), log_of(table.name), retained_of(table.name))
    strangers = [str(n) for n in derived if n in around.names and n not in around.owned]
    work = {shadow_of(table.name), log_of(table.name)}
    if not work & around.owned:
        seen = around.triggers | {(table.name.schema, t.name) for t in table.triggers}
        strangers += [f"trigger {n}" for n in sorted(our_triggers(table.name)) if (table.name.schema, n) in seen]
    if not strangers:
        return None
    message = f"names that migrator needs are taken, and the journal does not know by whom: {', '.join(strangers)}"
    return finding(table, "name-taken", message, "find out whose they are; rename or drop them by hand", blocks=True)


def retained_in_the_way(table: Table, around: Around) -> Finding | None:
    """The old table of an earlier run is still kept, under the name that a new run needs.

    `cleanup` does not drop it: the table was encrypted by that run and is in clear again, nobody knows why.
    """
    old = retained_of(table.name)
    if old not in around.retained:
        return None
    message = f"was encrypted by an earlier run and is in clear again; {old} of that run is still there"
    remedy = "look which of the two has your rows; drop or rename the retained one by hand, then plan again"
    return finding(table, "retained-in-the-way", message, remedy, blocks=True)
