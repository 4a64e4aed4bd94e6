"""Foreign keys, both directions, across schemas.

information_schema.REFERENTIAL_CONSTRAINTS says all there is to say, but hides the keys of tables that our
account has no privilege for; InnoDB's own list has them, with names that are ambiguous where a name has
a slash in it. So the second completes the first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from migrator.db import Row, Session
from migrator.inventory.catalog import OF
from migrator.model import ForeignKey, TableName

_CONSTRAINTS: Final = """
    SELECT CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, UNIQUE_CONSTRAINT_SCHEMA, REFERENCED_TABLE_NAME,
           DELETE_RULE, UPDATE_RULE
    FROM information_schema.REFERENTIAL_CONSTRAINTS
    WHERE CONSTRAINT_SCHEMA IN ({0}) OR UNIQUE_CONSTRAINT_SCHEMA IN ({0})
"""

_DELETE: Final = {1: "CASCADE", 2: "SET NULL", 16: "NO ACTION"}
_UPDATE: Final = {4: "CASCADE", 8: "SET NULL", 32: "NO ACTION"}


def read_foreign_keys(
    session: Session, schemas: Collection[str], innodb_tables: Iterable[TableName]
) -> tuple[ForeignKey, ...]:
    """All foreign keys that touch one of `schemas`, with two statements. Needs PROCESS.

    `innodb_tables` are the tables that there are, for telling names apart.
    """
    places = ", ".join(["%s"] * len(schemas))
    visible = [_visible(row) for row in session.rows(_CONSTRAINTS.format(places), (*schemas, *schemas))]
    return foreign_keys_from(visible, session.rows(OF[session.family].innodb_foreign), innodb_tables)


def foreign_keys_from(
    visible: Sequence[ForeignKey], innodb_rows: Iterable[Row], innodb_tables: Iterable[TableName]
) -> tuple[ForeignKey, ...]:
    """`visible`, and those of InnoDB's rows (id, child, parent, type) that are not among them. Pure.

    A name that fits several tables stands for each of them: a foreign key too many refuses a table, one
    too few loses data.
    """
    by_text: dict[str, list[TableName]] = defaultdict(list)
    for table in innodb_tables:
        by_text[f"{table.schema}/{table.name}"].append(table)
    known = {(key.table.schema, key.name) for key in visible}
    found = list(visible)
    for id, child, parent, kind in innodb_rows:
        for table in _candidates(str(child), by_text):
            name = str(id)[len(table.schema) + 1 :]
            if (table.schema, name) in known:
                continue
            found += [_from_innodb(name, table, other, int(kind)) for other in _candidates(str(parent), by_text)]
    return tuple(sorted(found, key=lambda key: (key.table, key.name, key.parent)))


def _candidates(text: str, by_text: Mapping[str, list[TableName]]) -> list[TableName]:
    schema, _, name = text.partition("/")
    return by_text.get(text) or [TableName(schema, name)]


def _visible(row: Row) -> ForeignKey:
    schema, table, name, parent_schema, parent, on_delete, on_update = map(str, row)
    return ForeignKey(name, TableName(schema, table), TableName(parent_schema, parent), on_delete, on_update)


def _from_innodb(name: str, table: TableName, parent: TableName, kind: int) -> ForeignKey:
    on_delete = next((rule for bit, rule in _DELETE.items() if kind & bit), "RESTRICT")
    on_update = next((rule for bit, rule in _UPDATE.items() if kind & bit), "RESTRICT")
    return ForeignKey(name, table, parent, on_delete, on_update)
