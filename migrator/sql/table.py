"""The shadow, the log and their indexes: statements that build, compare and take away."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from migrator.model import Column, Key, Table, TableName, TablespaceKind
from migrator.sql.keys import KeyColumn
from migrator.sql.names import qualified, quote
from migrator.sql.statement import Sql


def stored_columns(table: Table) -> tuple[Column, ...]:
    """The columns that are copied: all but generated ones, invisible ones included."""
    return tuple(column for column in table.columns if not column.generated)


def column_list(columns: Sequence[Column], alias: str = "") -> str:
    """Quoted names with commas."""
    dot = f"{alias}." if alias else ""
    return ", ".join(dot + quote(column.name) for column in columns)


def create_shadow(source: TableName, shadow: TableName) -> Sql:
    """The empty shadow. Takes a shared metadata lock on the source for milliseconds; fails if the name is taken."""
    return Sql(f"CREATE TABLE {qualified(shadow)} LIKE {qualified(source)}")


def encrypt_shadow(shadow: TableName, *, kind: TablespaceKind | None, drop_indexes: Sequence[str]) -> Sql:
    """Makes the empty shadow encrypted, out of a shared tablespace, and without the deferred indexes.

    Touches the shadow only. LIKE keeps the tablespace of the source, which cannot hold an encrypted table
    beside plain ones (3825), hence TABLESPACE. `innodb_file_per_table` stays in the definition then.
    """
    actions = [f"DROP INDEX {quote(name)}" for name in drop_indexes]
    if kind not in {None, TablespaceKind.FILE_PER_TABLE}:
        actions.append("TABLESPACE = innodb_file_per_table")
    actions.append("ENCRYPTION = 'Y'")
    return Sql(f"ALTER TABLE {qualified(shadow)} {', '.join(actions)}")


def add_indexes(shadow: TableName, definitions: Sequence[str]) -> Sql:
    """Builds the deferred indexes in one sorted pass; nothing but us writes to the shadow meanwhile.

    `definitions` are verbatim from SHOW CREATE TABLE of the source. No LOCK clause: nobody else uses the
    shadow, and a functional index (a hidden virtual column and its index in one go) refuses LOCK=NONE.
    """
    actions = ", ".join("ADD " + definition.replace("%", "%%") for definition in definitions)
    return Sql(f"ALTER TABLE {qualified(shadow)} {actions}, ALGORITHM = INPLACE")


def together(table: Table, names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Which indexes one ALTER can build: plain ones that stand together; a functional one needs its own (1846).

    Its hidden column cannot be added beside other actions. In the order of the definition: the server lists
    functional indexes and those on virtual columns last, and among them in the order of their creation.
    """
    functional = {key.name for key in table.keys if _functional(key)}
    found: list[tuple[str, ...]] = []
    for name in names:
        if found and name not in functional and not functional & set(found[-1]):
            found[-1] = (*found[-1], name)
        else:
            found.append((name,))
    return tuple(found)


LOG_BUCKETS: Final = 512
"""Stretches of the log; a session appends to the one of its number."""

_BUCKET_BITS: Final = 55


def create_log(log: TableName, key: Sequence[KeyColumn]) -> Sql:
    """The log of changed keys of one source: `seq`, the key columns as `k1`... with their exact types, `noted`.

    `seq` is the session's bucket and a number that is never given twice on this server. It is no
    AUTO_INCREMENT: all sessions would append to one end, and a transaction that has gone back to a savepoint
    (or has had a statement refused after some of its rows) keeps the gap locked in which its entry stood: all
    others would wait for its end, and two such ones are a deadlock (seen on 9.7.4, REPEATABLE READ).
    Encrypted, since keys are data. A file of its own whatever innodb_file_per_table says.
    """
    columns = []
    for number, part in enumerate(key, start=1):
        kind = part.column.type.replace("%", "%%")
        if part.column.charset and part.column.collation:
            kind += f" CHARACTER SET {part.column.charset} COLLATE {part.column.collation}"
        columns.append(f"k{number} {kind} NULL")
    default = f"((CONNECTION_ID() & {LOG_BUCKETS - 1}) << {_BUCKET_BITS}) | (UUID_SHORT() & {2**_BUCKET_BITS - 1})"
    return Sql(
        f"CREATE TABLE {qualified(log)} (seq BIGINT UNSIGNED NOT NULL DEFAULT ({default}) PRIMARY KEY, "
        + ", ".join(columns)
        + ", noted TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)"
        + " ENGINE = InnoDB TABLESPACE = innodb_file_per_table ENCRYPTION = 'Y'"
    )


NO_FENCE: Final = f"seq & {2**_BUCKET_BITS - 1} > 0"
"""What tells entries, and marks of what could not be mirrored or written back, from fences."""

MARK: Final = f"k1 IS NULL AND {NO_FENCE}"
"""What tells marks from entries and fences: a mark has no key."""


def fence_log(log: TableName) -> Sql:
    """A row without a key at the beginning of each bucket, so that no gap reaches from one into another."""
    return Sql(
        f"INSERT INTO {qualified(log)} (seq) WITH RECURSIVE fence (n) AS"
        f" (SELECT 0 UNION ALL SELECT n + 1 FROM fence WHERE n < {LOG_BUCKETS - 1})"
        f" SELECT n << {_BUCKET_BITS} FROM fence"
    )


def set_auto_increment(shadow: TableName, value: int) -> Sql:
    """The next AUTO_INCREMENT value of the shadow; metadata only."""
    return Sql(f"ALTER TABLE {qualified(shadow)} AUTO_INCREMENT = {value}")


def move(staging: TableName, name: TableName) -> Sql:
    """Gives a finished table its place; fails if the name is taken (1050). Nobody uses either name."""
    return Sql(f"RENAME TABLE {qualified(staging)} TO {qualified(name)}")


def drop_table(table: TableName) -> Sql:
    """DROP TABLE, and an error if it is not there: what we drop we have looked at."""
    return Sql(f"DROP TABLE {qualified(table)}")


def analyze(table: TableName) -> Sql:
    """Fresh statistics, so that the first query after the swap gets a plan from the whole table."""
    return Sql(f"ANALYZE TABLE {qualified(table)}")


# -- reading a definition ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Definition:
    """SHOW CREATE TABLE, cut where its grammar cuts: the parts between the outer parentheses, and the options."""

    items: tuple[str, ...]
    options: str

    @property
    def indexes(self) -> dict[str, str]:
        """Index definitions by name, verbatim, in order; the primary key is `PRIMARY`."""
        found = {}
        for item in self.items:
            match = re.match(r"(?:(?:UNIQUE |FULLTEXT |SPATIAL )?KEY `((?:[^`]|``)+)`|PRIMARY KEY)", item)
            if match:
                found[(match[1] or "PRIMARY").replace("``", "`")] = item
        return found


def _spans(text: str) -> list[tuple[int, str]]:
    """Each character outside quotes with its position."""
    found, quote_mark, i = [], "", 0
    while i < len(text):
        char = text[i]
        if quote_mark:
            if char == "\\" and quote_mark != "`":
                i += 1
            elif char == quote_mark:
                if text[i + 1 : i + 2] == quote_mark:
                    i += 1
                else:
                    quote_mark = ""
        elif char in "`'\"":
            quote_mark = char
        else:
            found.append((i, char))
        i += 1
    return found


def parse_definition(create: str) -> Definition:
    """Cut a SHOW CREATE TABLE text; quotes, escapes, backticks and nested parentheses are respected."""
    depth, start, items, end = 0, 0, [], 0
    for position, char in _spans(create):
        if char == "(":
            depth += 1
            if depth == 1:
                start = position + 1
        elif char == ")":
            depth -= 1
            if depth == 0:
                items.append(create[start:position].strip())
                end = position + 1
                break
        elif char == "," and depth == 1:
            items.append(create[start:position].strip())
            start = position + 1
    return Definition(tuple(items), create[end:].strip())


def auto_increment(create: str) -> int | None:
    """The next AUTO_INCREMENT value that a SHOW CREATE TABLE text names among the table's options, if it does.

    What the table's comment says does not count.
    """
    options = parse_definition(create).options
    free = {position for position, _ in _spans(options)}
    found = (m for m in re.finditer(r"AUTO_INCREMENT=(\d+)", options) if m.start() in free)
    return next((int(m[1]) for m in found), None)


def outside_quotes(text: str, pattern: str, replacement: str) -> str:
    """The text with each match replaced that starts outside quotes."""
    free = {position for position, _ in _spans(text)}
    return re.sub(pattern, lambda m: replacement if m.start() in free else m[0], text)


def without_options(create: str) -> tuple[tuple[str, ...], str]:
    """A definition without the options AUTO_INCREMENT, ENCRYPTION and TABLESPACE, and without the table's name."""
    definition = parse_definition(create)
    options = outside_quotes(definition.options, r" ?AUTO_INCREMENT=\d+", "")
    options = outside_quotes(options, r" ?(?:/\*!80016 )?ENCRYPTION='[YyNn]'(?: \*/)?", "")
    options = outside_quotes(options, r"/\*!50100 TABLESPACE `?[^*]*?`? \*/ ?", "")
    return definition.items, options.strip()


def comparable(create: str, table: str, others: Sequence[str] = ()) -> tuple[tuple[str, ...], str]:
    """A definition without what may differ: the table's name, AUTO_INCREMENT, ENCRYPTION, TABLESPACE."""
    unnamed, options = without_options(create)
    items = []
    for item in unnamed:
        for name in (table, *others):
            mark = re.escape("CONSTRAINT " + quote(name)[:-1].replace("%%", "%"))
            item = re.sub(rf"^{mark}_chk_(\d+)`", r"CONSTRAINT `_chk_\1`", item)
        items.append(item)
    return tuple(items), options


# -- which indexes wait -----------------------------------------------------------------------------


def deferred_indexes(table: Table, copy_key: str, create_table: str) -> tuple[str, ...]:
    """Secondary indexes that are built after the copy, in the order of the definition.

    Kept from the start: the key that we copy by, one that AUTO_INCREMENT needs (1075), FULLTEXT and SPATIAL
    (their online builds have limits of their own), and functional ones that no INPLACE ALTER can add. The
    server lists unique indexes, then others, then FULLTEXT; among these those with a virtual column last,
    and else in the order of their creation. So an index that stands before a kept one of its group is kept
    too: the definition must come out as it was.
    """
    keys = {key.name: key for key in table.keys}
    listed = [keys[name] for name in parse_definition(create_table).indexes if name in keys]
    kept = {"PRIMARY", copy_key} | {key.name for key in listed if key.type not in {"BTREE", "HASH"}}
    kept |= _never_in_place(table, [key for key in listed if _functional(key)])
    virtual = {column.name for column in table.columns if column.generated == "VIRTUAL"} | {None}
    auto = next((c.name for c in table.columns if c.auto_increment), None)
    leading = [key.name for key in listed if key.parts and key.parts[0].column == auto]
    if auto is not None and not kept & set(leading):
        kept |= set(leading)
    waiting: list[str] = []
    groups_with_kept: set[tuple[bool, bool, bool]] = set()
    for key in reversed(listed):
        group = (key.unique, key.type == "FULLTEXT", any(part.column in virtual for part in key.parts))
        if key.name == "PRIMARY":
            continue
        if key.name in kept:
            groups_with_kept.add(group)
        elif group not in groups_with_kept:
            waiting.append(key.name)
    return tuple(reversed(waiting))


TINY_BYTES: Final = 64 * 1024
"""Of a table up to this no index waits: to build one takes longer than to fill it (0.1 s for 500 rows, on 9.7.4)."""


def left_out_at_first(table: Table, copy_key: str, create_table: str, *, unique_too: bool = True) -> tuple[str, ...]:
    """The indexes that a new shadow is made without: the deferred ones, and none where the table is tiny.

    By the size of now: what a shadow still lacks later is told by `deferred_indexes`.
    """
    if table.data_bytes <= TINY_BYTES:
        return ()
    unique = {key.name for key in table.keys if key.unique}
    deferred = deferred_indexes(table, copy_key, create_table)
    return deferred if unique_too else tuple(name for name in deferred if name not in unique)


def _functional(key: Key) -> bool:
    return any(part.column is None for part in key.parts)


def _never_in_place(table: Table, functional: Sequence[Key]) -> set[str]:
    """Of these functional indexes those that an INPLACE ALTER may refuse to add (1846, looked at on 9.7.4).

    Unique ones, all of a partitioned table, and one whose name sorts before that of one that is there: so
    only one that is alone can always be added.
    """
    alone = len(functional) == 1 and not functional[0].unique and not table.partition_method
    return set() if alone else {key.name for key in functional}
