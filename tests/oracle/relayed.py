"""Tables that a copy by triggers cannot serve: a random table gets what makes the plan choose a relay.

What is added changes no answer: a CHECK that always holds, a trigger that does nothing to the row, a parent whose one
row is never touched, a child without rows.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from tests.oracle.features import FEATURES, random_schema
from tests.oracle.schemas import Constant, Schema

IMPOSSIBLE: Final = frozenset({"partitions", "fulltext index", "spatial index", "multi-valued index"})
"""Features of tables that the server does not move online."""

PARENT: Final = "`parent %s`"
CHILD: Final = "`child %s`"


def _own_trigger(schema: Schema, chance: random.Random) -> Schema:
    if any("TRIGGER" in one for one in schema.after):
        return schema
    when = chance.choice(("BEFORE", "AFTER"))
    event = chance.choice(("INSERT", "UPDATE"))
    trigger = f"CREATE TRIGGER `own %s` {when} {event} ON {schema.sql} FOR EACH ROW SET @seen = 1"
    return replace(schema, after=(*schema.after, trigger))


def _named_check(schema: Schema, chance: random.Random) -> Schema:
    if schema.auto:  # no CHECK may name such a column (3818)
        return _own_trigger(schema, chance)
    (column, *_more) = schema.key.columns
    check = f"CONSTRAINT `there %s` CHECK (LENGTH({column.read}) IS NOT NULL)"
    return replace(schema, extras=(*schema.extras, check))


def _foreign_key(schema: Schema, _: random.Random) -> Schema:
    parent = (f"CREATE TABLE {PARENT} (id INT PRIMARY KEY)", f"INSERT INTO {PARENT} VALUES (7)")
    link = f"CONSTRAINT `link %s` FOREIGN KEY (`of parent`) REFERENCES {PARENT} (id) ON UPDATE CASCADE"
    return replace(
        schema,
        constants=(*schema.constants, Constant("of parent", "INT", "7")),
        extras=(*schema.extras, link),
        before=(*schema.before, *parent),
    )


def _referenced(schema: Schema, _: random.Random) -> Schema:
    columns = schema.key.names
    child = (
        f"CREATE TABLE {CHILD} AS SELECT {columns} FROM {schema.sql} LIMIT 0",
        f"ALTER TABLE {CHILD} ADD CONSTRAINT `of %s` FOREIGN KEY ({columns}) REFERENCES {schema.sql} ({columns})"
        " ON DELETE CASCADE ON UPDATE CASCADE",
    )
    return replace(schema, after=(*schema.after, *child))


WAYS: Final[dict[str, Callable[[Schema, random.Random], Schema]]] = {
    "named check": _named_check,
    "own trigger": _own_trigger,
    "foreign key": _foreign_key,
    "referenced": _referenced,
}
"""What keeps a table from being copied, and goes with it through a tablespace."""


def relayed(schema: Schema, chance: random.Random) -> Schema:
    """The same table, with one or more reasons for a relay."""
    chosen = chance.sample(list(WAYS), chance.choice((1, 1, 2, 4)))
    for way in chosen:
        schema = WAYS[way](schema, chance)
    return replace(schema, features=(*schema.features, *chosen), relayed=True)


def random_relayed(chance: random.Random) -> Schema:
    """A random definition of what a relay serves. The server may refuse it: then ask for another."""
    schema = random_schema(chance, [feature for feature in FEATURES if feature.name not in IMPOSSIBLE])
    # A compressed table cannot be moved into a tablespace.
    options = tuple(option for option in schema.options if "COMPRESSED" not in option)
    return relayed(replace(schema, options=options), chance)
