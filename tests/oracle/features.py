"""Random definitions, each from a seed. What a table can have is a feature: `FEATURES` is the one list of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from migrator.model import Method
from tests.oracle import kinds
from tests.oracle.kinds import Kind
from tests.oracle.schemas import PLACES, Column, Constant, Group, Schema, quote, single

TABLES: Final = (
    "t", "t", "orders", "we`ird %s \"näme\"", "select", "MixedCase", "a.b", "with space", "%(i)s", "it's", "tab#p#x", "0starts",
    "$dollar", "ünï漢", "long_" + "x" * 59,
)  # fmt: skip
COLUMNS: Final = (
    "id",
    "v",
    "Order",
    "k1",
    "seq",
    "näme",
    "%s",
    "a b",
    "it's",
    "x`y",
    "origin",
    "entry",
    "w" * 64,
    "0",
    "漢",
    "-- x",
)
"""Names that quoting, or a name of our own in a statement, could get wrong."""


# -- drafts -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Draft:
    """A definition that grows."""

    chance: random.Random
    schema: Schema
    names: list[str] = field(default_factory=list)

    def name(self) -> str:
        """A name for a column; column names are compared without regard to case."""
        taken = {name.lower() for name in self.names}
        free = [name for name in COLUMNS if name.lower() not in taken]
        found = self.chance.choice(free) if free and self.chance.random() < 0.4 else f"c{len(self.names)}"
        self.names.append(found)
        return found

    def change(self, **changes: object) -> None:
        """Replace fields of the definition."""
        self.schema = replace(self.schema, **changes)  # type: ignore[arg-type]


def _part(chance: random.Random, column: Column, *, prefix: bool = False) -> tuple[str, str, str]:
    """Part of an index, of ORDER BY, and of a comparison."""
    down = " DESC" if chance.random() < 0.2 else ""
    if prefix and column.kind.family in {"text", "bytes"}:
        length = chance.randint(1, 4)
        same = f"LEFT({{0}}{column.sql}, {length})"
        return f"{column.sql}({length}){down}", same + down, same
    same = f"{{0}}{column.sql}"
    return f"{column.sql}{down}", same + down, same


def _group(draft: Draft, *, nullable: bool, prefix: bool = False, widest: int = 3) -> Group:
    """One to three columns with room for many different values."""
    chance = draft.chance
    made = [chance.choice(kinds.KEYS)(chance) for _ in range(chance.choice((1, 1, 1, 2, widest)))]
    if all(kind.few for kind in made) or (prefix and all(kind.family in {"text", "bytes"} for kind in made)):
        made.append(kinds.in_sequence(chance, PLACES))
        chance.shuffle(made)
    nulls = nullable and chance.random() < 0.6
    columns = tuple(Column(draft.name(), kind, nullable=nulls) for kind in made)
    parts = [_part(chance, column, prefix=prefix) for column in columns]
    return Group(columns, *(tuple(part[n] for part in parts) for n in range(3)))


def _payload(draft: Draft) -> Group:
    chance = draft.chance
    columns = []
    for _ in range(chance.choice((1, 2, 3, 5, 9))):
        kind = chance.choice(kinds.ALL)(chance)
        extra = chance.choice(("", "", "", "INVISIBLE", "COMMENT 'it''s, (a) `comment` %s'"))
        columns.append(Column(draft.name(), kind, chance.random() < 0.6, extra))
    return Group(tuple(columns))


# -- features ---------------------------------------------------------------------------------------


def _sequence(draft: Draft) -> None:
    draft.change(key=single(draft.name(), kinds.in_sequence(draft.chance, PLACES), down=draft.chance.random() < 0.3))


def _auto(draft: Draft) -> None:
    kind = draft.chance.choice(("INT", "INT UNSIGNED", "BIGINT", "BIGINT UNSIGNED", "MEDIUMINT"))
    first, steps = draft.chance.choice((0, 1)), draft.chance.choice((1, 3))
    numbers = iter(range(first, 10**9, steps))
    counted = Kind(kind, lambda _: str(next(numbers)), quoted=False, family="integer", steps=steps)
    draft.change(key=single(draft.name(), counted, extra="AUTO_INCREMENT"), auto=True)


def _unique(draft: Draft) -> None:
    prefix = draft.chance.random() < 0.2
    draft.change(uniques=(*draft.schema.uniques, _group(draft, nullable=True, prefix=prefix, widest=2)))


def _not_primary(draft: Draft) -> None:
    draft.change(key_index="the key")


def _of(draft: Draft, *families: str) -> list[Column]:
    return [column for column in draft.schema.payload.columns if not families or column.kind.family in families]


def _shown(columns: Sequence[Column]) -> list[Column]:
    """Columns that an expression of the definition may use; of a TIMESTAMP it would depend on the time zone, and the
    table be refused."""
    unfit = {"geometry", "vector", "timestamp"}
    return [c for c in columns if c.kind.family not in unfit and c.extra != "AUTO_INCREMENT"]


def _add(draft: Draft, index: str) -> None:
    # The server takes no index name twice; numbers are enough.
    draft.change(extras=(*draft.schema.extras, index.replace("@", quote(f"i{len(draft.schema.extras)} %s"))))


def _indexes(draft: Draft) -> None:
    chance = draft.chance
    unfit = {"json", "geometry", "vector"}
    for _ in range(chance.randint(1, 3)):
        columns = [c for c in draft.schema.columns if c.kind.family not in unfit]
        parts = []
        for column in chance.sample(columns, min(len(columns), chance.randint(1, 2))):
            length = f"({chance.randint(1, 8)})" if column.kind.family in {"long text", "blob"} else ""
            parts.append(f"{column.sql}{length}{chance.choice(('', '', ' DESC'))}")
        rest = chance.choice(("", "", "INVISIBLE", "COMMENT 'x, (`y`'"))
        if parts:
            _add(draft, f"KEY @ ({', '.join(parts)}) {rest}")


def _functional(draft: Draft) -> None:
    columns = _shown(draft.schema.columns)
    if not columns:
        return
    column = draft.chance.choice(columns)
    _add(draft, f"KEY @ ((LENGTH({column.kind.read.format(column.sql)}) + 1), {draft.schema.key.columns[0].sql})")


def _multi_valued(draft: Draft) -> None:
    for column in _of(draft, "json")[:1]:
        _add(draft, f"KEY @ ((CAST({column.sql}->'$.b[0]' AS UNSIGNED ARRAY)))")


def _fulltext(draft: Draft) -> None:
    for column in _of(draft, "text", "long text"):
        if "utf8mb4" in column.kind.type and not draft.schema.partitions:
            _add(draft, f"FULLTEXT KEY @ ({column.sql})")
            return


def _spatial(draft: Draft) -> None:
    # With text in the key an application's own ROLLBACK can end the server, and the plan refuses the table
    # (server/test_planner_facts.py).
    if any(column.kind.family == "text" for column in draft.schema.key.columns):
        return
    for column in _of(draft, "geometry"):
        if not column.nullable and "SRID" in column.kind.type and not draft.schema.partitions:
            _add(draft, f"SPATIAL KEY @ ({column.sql})")
            return


def _generated(draft: Draft) -> None:
    chance = draft.chance
    for _ in range(chance.randint(1, 2)):
        columns = _shown(draft.schema.columns)
        if not columns:
            return
        column = chance.choice(columns)
        expression = chance.choice(("LENGTH({})", "LEFT({}, 9)", "{} IS NULL", "CRC32({})")).format(column.read)
        stored = chance.choice(("VIRTUAL", "STORED"))
        name = draft.name()
        rest = f"VARCHAR(40) GENERATED ALWAYS AS ({expression}) {stored} {chance.choice(('', 'INVISIBLE'))}"
        draft.change(generated=(*draft.schema.generated, (name, expression, rest)))
        if chance.random() < 0.5:
            _add(draft, f"KEY @ ({quote(name)})")


def _check(draft: Draft) -> None:
    if len(draft.schema.table) > 40:
        return  # check-name-length
    for column in _shown(draft.schema.columns)[-1:]:
        word = draft.chance.choice(("", "NOT ENFORCED"))
        draft.change(
            extras=(*draft.schema.extras, f"CHECK ({column.sql} IS NULL OR LENGTH({column.read}) >= 0) {word}")
        )


def _constants(draft: Draft) -> None:
    chance = draft.chance
    choices = (
        ("INT", "7"),
        ("VARCHAR(9)", "'it''s %s'"),
        ("JSON", "(JSON_OBJECT('a', 1))"),
        ("BINARY(4)", "(UNHEX('00FF00FF'))"),
    )
    kind, value = chance.choice(choices)
    instant = not value.startswith("(") and chance.random() < 0.5
    draft.change(constants=(*draft.schema.constants, Constant(draft.name(), kind, value, instant)))


def _row_format(draft: Draft) -> None:
    chosen = (
        "ROW_FORMAT=COMPACT",
        "ROW_FORMAT=REDUNDANT",
        "ROW_FORMAT=DYNAMIC",
        "ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8",
    )
    draft.change(options=(*draft.schema.options, draft.chance.choice(chosen)))


def _options(draft: Draft) -> None:
    chosen = (
        "COMMENT='one ''quoted'' ENCRYPTION=''N'' AUTO_INCREMENT=5 %s'", "STATS_PERSISTENT=1 STATS_AUTO_RECALC=0", "AVG_ROW_LENGTH=77",
        "DEFAULT CHARSET=latin1", "COLLATE utf8mb4_general_ci", "MAX_ROWS=99999 MIN_ROWS=3", "STATS_SAMPLE_PAGES=33",
    )  # fmt: skip
    draft.change(options=(*draft.schema.options, *draft.chance.sample(chosen, draft.chance.randint(1, 2))))


def _partitions(draft: Draft) -> None:
    """Each unique index must hold the columns that divide the table, so there is none beside the key."""
    chance, key = draft.chance, draft.schema.key
    draft.change(uniques=())
    first = key.columns[0]
    parts = chance.choice((2, 3, 5))
    ways = [
        f"PARTITION BY KEY ({first.sql}) PARTITIONS {parts}",
        f"PARTITION BY LINEAR KEY ({key.names}) PARTITIONS {parts}",
    ]
    if first.kind.family == "integer":
        ways.append(f"PARTITION BY HASH ({first.sql}) PARTITIONS {parts}")
        low, high = ("100", "300") if not first.kind.type.startswith("TINYINT") else ("0", "50")
        bounds = f"(PARTITION `p``1` VALUES LESS THAN ({low}), PARTITION p2 VALUES LESS THAN ({high}), PARTITION `rest %s` VALUES LESS THAN (MAXVALUE))"
        ways.append(f"PARTITION BY RANGE COLUMNS ({first.sql}) {bounds}")
        ways.append(
            f"PARTITION BY RANGE COLUMNS ({first.sql}) SUBPARTITION BY KEY ({first.sql}) SUBPARTITIONS 2 {bounds}"
        )
    draft.change(partitions=chance.choice(ways))


@dataclass(frozen=True, slots=True)
class Feature:
    """Something a table can have: which method serves it, how often it is drawn, and how it gets in."""

    name: str
    method: Method
    likely: float
    add: Callable[[Draft], None]


FEATURES: Final = (
    Feature("key in sequence", Method.SHADOW_COPY, 0.25, _sequence),
    Feature("auto_increment", Method.SHADOW_COPY, 0.2, _auto),
    Feature("unique index", Method.SHADOW_COPY, 0.5, _unique),
    Feature("second unique index", Method.SHADOW_COPY, 0.3, _unique),
    Feature("key is not primary", Method.SHADOW_COPY, 0.15, _not_primary),
    Feature("partitions", Method.SHADOW_COPY, 0.15, _partitions),
    Feature("indexes", Method.SHADOW_COPY, 0.6, _indexes),
    Feature("functional index", Method.SHADOW_COPY, 0.15, _functional),
    Feature("multi-valued index", Method.SHADOW_COPY, 0.5, _multi_valued),
    Feature("fulltext index", Method.SHADOW_COPY, 0.15, _fulltext),
    Feature("spatial index", Method.SHADOW_COPY, 0.7, _spatial),
    Feature("generated columns", Method.SHADOW_COPY, 0.35, _generated),
    Feature("check", Method.SHADOW_COPY, 0.2, _check),
    Feature("defaults and instant columns", Method.SHADOW_COPY, 0.3, _constants),
    Feature("row format", Method.SHADOW_COPY, 0.4, _row_format),
    Feature("options", Method.SHADOW_COPY, 0.3, _options),
)
"""All that random tables are made of, in the order in which it is added."""


def random_schema(chance: random.Random, features: Sequence[Feature] = FEATURES) -> Schema:
    """A definition. The server may refuse it (a row or a key too long): then ask for another."""
    draft = Draft(chance, Schema(chance.choice(TABLES), Group(())))
    draft.change(key=_group(draft, nullable=False), payload=_payload(draft), shuffle=chance.randrange(2**32))
    taken = []
    for feature in features:
        # Zero, to which a failing example is made simpler, is a table without features.
        if chance.random() > 1 - feature.likely:
            feature.add(draft)
            taken.append(feature.name)
    draft.change(features=tuple(taken))
    return draft.schema
