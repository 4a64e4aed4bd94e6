"""The columns of the matrix: what a policy asks for, and where the tables are put for it.

A method gets a column by a `Way` here; the page and its test follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from migrator.model import Method
from migrator.planner.plan import Defaults, Policy
from tests.server.engine.kit import SMALL
from tests.server.matrix.feature import Feature
from tests.server.matrix.tables import TABLES
from tests.server.matrix.types import TYPES

FEATURES: Final[tuple[Feature, ...]] = (*TABLES, *TYPES)


@dataclass(frozen=True, slots=True)
class Way:
    """One column."""

    method: Method
    policy: Policy
    besides: tuple[str, ...] = ()
    """Statements for each InnoDB table that bring it where only this method serves it; `{t}` as in features.

    Where the server refuses them, the method does not apply."""
    defaults: Defaults = SMALL
    at_rest: bool = False
    """Nobody uses the tables while they are migrated; else everybody does."""


IN_ONE_MOMENT: Final = "in one moment"
"""The column of the shorter story that small tables have which nobody writes to."""

_COPY: Final = Policy(mysql_tablespace=False)

WAYS: Final[dict[str, Way]] = {
    str(way.method) if not way.at_rest else IN_ONE_MOMENT: way
    for way in (
        Way(Method.SHADOW_COPY, _COPY),
        Way(
            Method.SHADOW_COPY,
            _COPY,
            defaults=SMALL.model_copy(update={"one_moment_bytes": 2**20, "small_tables_at_once": 4}),
            at_rest=True,
        ),
        Way(Method.DIRECT_ALTER, _COPY.model_copy(update={"direct_below_bytes": 2**30})),
        Way(Method.TABLESPACE, _COPY, ("ALTER TABLE {t} TABLESPACE = `{s}_ts`",)),
        Way(Method.TABLESPACE_RELAY, _COPY, ("CREATE TRIGGER {own} BEFORE INSERT ON {t} FOR EACH ROW SET @own = 1",)),
        Way(Method.CONVERT, _COPY.model_copy(update={"convert": True}), ("ALTER TABLE {t} ENGINE = MyISAM",)),
    )
}


def table_of(feature: Feature) -> str:
    """What its table is called."""
    return feature.table or f"t{FEATURES.index(feature)}"


def row_of(feature: Feature) -> str:
    """What its row is called."""
    return f"{feature.group}: {feature.name}"
