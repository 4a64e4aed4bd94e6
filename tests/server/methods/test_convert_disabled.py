"""A server on which no table of the old engine may be made any more."""

from __future__ import annotations

from contextlib import closing

import pymysql
import pytest

from migrator.model import Method
from tests.server.engine.kit import Lab
from tests.server.methods.test_convert import engine, planned
from tests.servers import least_privileged, start

ENGINES = {"MyISAM": "myisam", "CSV": "CSV", "ARCHIVE": "archive"}
"""Each as a person might spell it in the option file."""


@pytest.mark.server
def test_a_disabled_engine_is_refused_before_anything_is_made() -> None:
    """No twin could be made of such tables (3161): the plan refuses them and names the variable; by hand it goes as said."""
    with start(name="disabled", options=["--innodb-buffer-pool-size=128M"]) as server, least_privileged(server) as dba:
        lab = Lab(server, dba, "t_disabled", "t_disabled_ledger")
        server.rows("CREATE DATABASE t_disabled")
        for one in ENGINES:
            lab.run(f"CREATE TABLE `{one}` (id INT NOT NULL) ENGINE={one}", f"INSERT INTO `{one}` VALUES (1)")
        lab.run(f"SET PERSIST_ONLY disabled_storage_engines = '{', '.join(ENGINES.values())}'")
        server.restart()
        with (
            closing(lab.connect()) as connection,
            connection.cursor() as cursor,
            pytest.raises(pymysql.MySQLError, match="3161"),
        ):
            cursor.execute("CREATE TABLE more LIKE `CSV`")
        plan = planned(lab, "*")
        assert {step.method for step in plan.steps} == {Method.REFUSE}
        assert {step.outcome for step in lab.apply(plan=plan).outcome.steps} == {"refused"}
        for step in plan.steps:
            (why,) = [finding for finding in step.findings if finding.blocks]
            assert why.code == "engine-disabled"
            assert "disabled_storage_engines" in why.remedy
            assert step.table is not None
            by_hand = why.remedy.partition("window: ")[2].partition(", and")[0]
            lab.run(by_hand)
            assert engine(lab, step.table.name) == "InnoDB"
            assert lab.encrypted(step.table.name)
