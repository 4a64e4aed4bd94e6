"""Whole runs with a replica, which ends with the same definitions, rows and triggers as its source at every stage."""

from __future__ import annotations

from contextlib import closing

import pytest

from migrator.engine.cleanup import CleanupOptions, cleanup
from migrator.engine.rollback import RollbackOptions, rollback
from migrator.events import ChunkCopied, ChunkVerified
from tests.server.engine.kit import SMALL, WEIRD, At, each, name, phase
from tests.server.topology.kit import ROWS, TABLE, Pair, assert_same_everywhere, pair
from tests.servers import caught_up

NO_GTIDS = ("--gtid-mode=OFF", "--enforce-gtid-consistency=OFF")
MINIMAL = ("--binlog-row-image=MINIMAL", "--binlog-row-value-options=PARTIAL_JSON")
THREADS = ("--replica-parallel-workers=8",)
ONE_THREAD = ("--replica-parallel-workers=1",)

HOW = {
    "GTID, whole rows, eight appliers": ((), THREADS),
    "GTID, what changed, one applier": (MINIMAL, ONE_THREAD),
    "no GTID, whole rows, one applier": (NO_GTIDS, (*NO_GTIDS, *ONE_THREAD)),
    "no GTID, what changed, eight appliers": ((*NO_GTIDS, *MINIMAL), (*NO_GTIDS, *THREADS)),
}


def same(two: Pair) -> None:
    """The replica has all, and it is the same."""
    caught_up(two.replica, two.source)
    assert_same_everywhere(two.source, two.replica)


@pytest.mark.parametrize("how", HOW)
def test_a_replica_ends_equal(how: str) -> None:
    """Copy, relay, one moment, conversion, rollback and cleanup, with changes meanwhile."""
    source, second = HOW[how]
    with pair(source=source, second=second) as two:
        lab = two.lab
        lab.table("t", TABLE, ROWS.format(rows=2000))
        lab.table(
            WEIRD,
            "(k VARCHAR(30) COLLATE utf8mb4_0900_ai_ci, n INT, j JSON, u INT, PRIMARY KEY (k, n), UNIQUE KEY (u))",
            "WITH RECURSIVE r (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 900)"
            " SELECT CONCAT('key ', i % 30), i, JSON_OBJECT('a', i, 'b', REPEAT('x', 100)), i FROM r",
        )
        lab.run(
            "CREATE TABLE parent (id INT PRIMARY KEY, b VARCHAR(40))",
            "CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id))",
            "INSERT INTO parent VALUES (1, 'one'), (2, 'two')",
            "INSERT INTO child VALUES (1, 1), (2, 2)",
        )
        lab.table("small", "(id INT PRIMARY KEY, b VARCHAR(40))", "VALUES (1, 'one'), (2, 'two')")

        def change(mark: int) -> None:
            with lab.application("t") as app:
                app.write(f"UPDATE {{t}} SET b = 'changed {mark}' WHERE a % 97 = {mark}")
                app.write(
                    f"DELETE FROM {{t}} WHERE a % 101 = {mark}", f"INSERT INTO {{t}} (a, b) VALUES ({mark}, 'new')"
                )
                app.write(f"UPDATE {{t}} SET id = id + 1 WHERE a % 211 = {mark}")
            with lab.application(WEIRD) as app:
                app.write(f"UPDATE {{t}} SET j = JSON_SET(j, '$.a', {mark}) WHERE n % 50 = {mark}")
                app.write(f"UPDATE {{t}} SET k = CONCAT('KEY ', {mark}) WHERE n % 60 = {mark}")

        at = [
            At(each(ChunkCopied), lambda: change(3), 4),
            At(phase("mirror", ended=True), lambda: change(5), 1),
            At(each(ChunkVerified), lambda: change(7), 3),
            At(phase("mirror", ended=True), lambda: change(9), 2),
        ]
        defaults = SMALL.model_copy(update={"rollback_hours": 24, "one_moment_bytes": 2 * 2**20})
        ran = lab.apply(defaults=defaults, at=at)
        assert {one.outcome for one in ran.outcome.steps} == {"done"}, ran.outcome.steps
        same(two)
        assert all(two.there.encrypted(table) for table in ("t", "parent", "child", "small"))
        lab.assert_equal("t")
        lab.assert_equal(WEIRD)
        change(11)
        same(two)
        with closing(lab.session()) as session:
            done = rollback(session, RollbackOptions(f"{lab.schema}.t"), lambda _: None)
        assert done.action == "rolled-back"
        same(two)
        assert not two.there.encrypted("t")
        with closing(lab.session()) as session:
            cleanup(session, CleanupOptions(now=True), lambda _: None)
        same(two)
        assert two.there.names() == {"t", WEIRD, "parent", "child", "small"}
        assert two.there.contents("t") == lab.contents("t", lab.ledger)
        assert two.there.rows(f"SHOW CREATE TABLE {name('t')}")
