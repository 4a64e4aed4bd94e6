"""A server that is killed while it converts a table has the old table or the new one, and the run goes on."""

from __future__ import annotations

from contextlib import closing

from migrator.cli_plan import read_and_plan
from migrator.planner.plan import Policy, Scope
from tests.proxy import Proxy
from tests.server.engine.kit import SMALL, VOUCHED, Lab
from tests.server.engine.test_rows import NUMBERS


def test_the_server_is_killed_while_it_converts(lab: Lab) -> None:
    """Started again it has the MyISAM table with all its rows, or the InnoDB one; the same run goes on and finishes."""
    rows = f"SELECT n, REPEAT('x', 100) FROM ({NUMBERS.format(200_000)}) AS many"
    lab.table("t", "(id INT PRIMARY KEY, v VARCHAR(100)) ENGINE=MyISAM", rows)
    with closing(lab.session()) as session:
        scope = Scope(databases=(lab.schema,))
        plan = read_and_plan(session, Policy(convert=True), scope=scope, defaults=SMALL, attestations=VOUCHED)[1]

    def kill() -> None:
        lab.server.kill()
        lab.server.start()

    with Proxy(lab.server.server.host, lab.server.server.port) as proxy:
        proxy.meanwhile(f"ALTER TABLE `{lab.schema}`.`t` ENGINE", kill)
        ran = lab.apply(plan=plan, session=lab.session(host=proxy.host, port=proxy.port))
        assert proxy.cuts == 1
    assert ran.step.outcome in {"done", "skipped"}, ran.step.message
    assert lab.encrypted("t")
    lab.assert_equal("t")
    hidden = "SELECT NAME FROM information_schema.INNODB_TABLES WHERE NAME LIKE %s"
    assert not lab.rows(hidden, f"{lab.schema}/#sql%")
