"""A server that dies within a leg of a relay: the table is whole, and the next run finishes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from migrator.events import LegProgress
from tests.server.engine.kit import At, Lab
from tests.server.methods.test_relay import bare
from tests.servers import RunningServer, least_privileged, start

ROWS = 60_000


@pytest.fixture(scope="module")
def mortal() -> Iterator[RunningServer]:
    """A server that may be killed."""
    with start(name="mortal", options=["--innodb-buffer-pool-size=128M"]) as running:
        yield running


def test_the_server_dies_in_each_leg(mortal: RunningServer) -> None:
    """SIGKILL of mysqld within the first move, the encryption and the second move: each time the next run goes on."""
    with closing(mortal.connect()) as root, root.cursor() as cursor:
        cursor.execute("CREATE DATABASE t_dying")
        cursor.execute("CREATE DATABASE t_dying_ledger")
    with least_privileged(mortal) as dba:
        lab = Lab(mortal, dba, "t_dying", "t_dying_ledger")
        with closing(lab.connect(autocommit=True)) as connection, connection.cursor() as cursor:
            cursor.execute("SET cte_max_recursion_depth = 1000000")
            cursor.execute("CREATE TABLE t (n INT, v VARCHAR(2000), CONSTRAINT positive CHECK (n > 0), KEY (n))")
            cursor.execute(
                "INSERT INTO t WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < %s)"
                " SELECT n, REPEAT(CHAR(65 + n %% 26), 2000) FROM c",
                (ROWS,),
            )
        before, plan = lab.show_create("t"), lab.plan("t")
        died: list[str] = []

        def in_a_new_leg(event: object) -> bool:
            return isinstance(event, LegProgress) and event.leg not in died

        def die() -> None:
            died.append(next(e.leg for e in reversed(lab.events) if isinstance(e, LegProgress)))
            mortal.kill()
            mortal.start()

        ran = lab.apply(plan=plan, at=[At(in_a_new_leg, die, nth=0)])
        ran.assert_outcome("done")
        assert died == ["move in", "tablespace", "move out"]
        assert lab.encrypted("t")
        assert bare(lab.show_create("t")) == before
        assert lab.rows("SELECT COUNT(*), COUNT(DISTINCT n), MAX(n) FROM t") == [(ROWS, ROWS, ROWS)]
        assert lab.spaces() == []
