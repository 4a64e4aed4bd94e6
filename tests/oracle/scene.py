"""A table with rows from a seed, divided among threads."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pymysql

from tests.oracle.features import random_schema
from tests.oracle.ledger import Estate, columns_of, shared_out
from tests.oracle.pools import SQL_MODE, Pools, exact, make_pools
from tests.oracle.relayed import random_relayed
from tests.oracle.schemas import Schema, quote

if TYPE_CHECKING:
    from tests.server.engine.kit import Lab
    from tests.servers.running import Connection

WRITERS: Final = 3
FEWEST_PLACES: Final = 150
FENCES, FENCES_OF_PARTITIONS = 3, 14
REFUSED: Final = frozenset(
    {
        1071,
        1074,
        1117,
        1118,
        1170,
        1178,
        1214,
        1253,
        1302,
        1478,
        1486,
        1491,
        1493,
        1503,
        1659,
        1670,
        1709,
        3753,
        3754,
        3755,
    }
)
"""Numbers of errors that say: such a table there cannot be (a key or row too long, an unfit partition)."""


@dataclass(slots=True)
class Scene:
    """A table with rows, and who owns which."""

    schema: Schema
    pools: Pools
    estates: list[Estate]
    fence: Estate

    def expected(self) -> list[tuple[str, ...]]:
        """All rows, sorted."""
        return sorted(row for estate in (*self.estates, self.fence) for row in estate.expected())


class Impossible(Exception):
    """There cannot be such a table, or it has too few different values."""


def make_scene(lab: Lab, seed: int, schema: Schema | None = None, *, relayed: bool = False) -> Scene:
    """The table of a seed, or this one, filled by chance. A definition that cannot be is drawn again, or `Impossible`.

    With `relayed` the seed's table is one that cannot be copied.
    """
    draw = random_relayed if relayed else random_schema
    chance = random.Random(seed)
    while True:
        try:
            return _scene(lab, schema or draw(chance), chance)
        except Impossible:
            if schema is not None:
                raise


def _scene(lab: Lab, schema: Schema, chance: random.Random) -> Scene:
    try:
        with closing(lab.server.connect(database=lab.ledger, ssl_disabled=True)) as connection:
            pools = make_pools(connection, schema, random.Random(chance.randrange(2**32)))
        if min(map(len, (pools.key, *pools.uniques))) < FEWEST_PLACES:
            raise Impossible
        lab.run(*schema.before, schema.create())
    except pymysql.err.MySQLError as error:
        if error.args[0] in REFUSED:
            raise Impossible from None
        raise
    return _fill(lab, schema, pools, random.Random(chance.randrange(2**32)))


def _fill(lab: Lab, schema: Schema, pools: Pools, chance: random.Random) -> Scene:
    threads = WRITERS + int(schema.auto and not schema.partitions)
    estates, fence = shared_out(schema, pools, threads, FENCES_OF_PARTITIONS if schema.partitions else FENCES)
    if schema.auto and not schema.partitions:
        estates[-1].keys = range(0)
    for estate in estates:
        for k in chance.sample(estate.keys, len(estate.keys) * 6 // 10):
            row = estate.new_row(chance)
            if row is not None:
                estate.rows[k] = row
    literals = [f"({', '.join(e.literals(k, row))})" for e in (*estates, fence) for k, row in e.rows.items()]
    chance.shuffle(literals)
    with closing(lab.connect(autocommit=True)) as connection, connection.cursor() as cursor:
        cursor.execute(f"SET sql_mode = '{SQL_MODE}'")
        for start in range(0, len(literals), 100):
            part = ", ".join(literals[start : start + 100])
            cursor.execute(f"INSERT INTO {schema.sql} ({columns_of(schema)}) VALUES {part}")
        for alter in schema.after_load():
            cursor.execute(alter)
        cursor.execute(f"ANALYZE TABLE {schema.sql}")
        cursor.fetchall()
        # Where fences do not stand between stretches in every partition, only one thread may write.
        if schema.partitions and not _well_fenced(connection, lab.schema, schema, estates, fence):
            fence.rows.update({k: row for estate in estates[1:] for k, row in estate.rows.items()})
            del estates[1:]
    return Scene(schema, pools, estates, fence)


def _well_fenced(
    connection: Connection, database: str, schema: Schema, estates: Sequence[Estate], fence: Estate
) -> bool:
    """True if two fences at least stand between the rows of two threads in each partition, also where rows may come.

    Rows may come at any place, so each partition needs its fences wherever it can hold rows of both sides.
    """
    owner = {spelling.exact: n for n, e in enumerate(estates) for k in e.keys for spelling in e.pools.key[k]}
    walls = {fence.key(k).exact for k in fence.rows}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT COALESCE(SUBPARTITION_NAME, PARTITION_NAME) FROM information_schema.PARTITIONS"
            " WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s",
            (database, schema.table),
        )
        order = ", ".join(part.format("") for part in schema.key.order)
        reads = ", ".join(column.read for column in schema.key.columns)
        for (name,) in cursor.fetchall():
            cursor.execute(f"SELECT {reads} FROM {schema.sql} PARTITION ({quote(name)}) ORDER BY {order}")
            last, since = None, 0
            for row in map(exact, cursor.fetchall()):
                if row in walls:
                    since += 1
                    continue
                if last is not None and owner[row] != last and since < 2:
                    return False
                last, since = owner[row], 0
    return True
