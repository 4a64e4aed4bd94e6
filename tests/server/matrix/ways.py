"""The columns of the matrix: what a policy asks for, and where the tables are put for it.

A method gets a column by a `Way` here; the page and its test follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from migrator.model import Method
from migrator.planner.plan import Policy
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


_COPY: Final = Policy(mysql_tablespace=False)

WAYS: Final = {
    way.method: way
    for way in (
        Way(Method.SHADOW_COPY, _COPY),
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
