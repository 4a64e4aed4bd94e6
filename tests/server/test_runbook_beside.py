"""The runbook beside a plan.

No server of these flavours can be started here: the flavour is written by hand, and all that is read for the
runbook comes from a real MySQL server.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator.cli_runbook import beside_plan
from migrator.model import Flavour
from tests.server.test_planner_facts import session
from tests.servers import RunningServer
from tests.unit.builders import a_server


@pytest.mark.parametrize(
    ("flavour", "galera", "title"),
    [
        (Flavour.RDS, False, "# Runbook: storage encryption of the RDS instance INSTANCE"),
        (Flavour.AURORA, False, "# Runbook: storage encryption of the Aurora cluster CLUSTER"),
        (Flavour.NDB, False, "# Runbook: encryption of the NDB cluster behind "),
        (Flavour.PXC, True, "# Runbook: encryption of the Percona XtraDB Cluster of "),
    ],
)
def test_where_no_plan_can_be_carried_out(
    server: RunningServer,
    schema: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flavour: Flavour,
    galera: bool,  # noqa: FBT001 - a parameter of the test
    title: str,
) -> None:
    """Beside the plan's file, with this server's tables; with the plan on stdout only the command is said."""
    server.rows(f"CREATE TABLE {schema}.t (id INT PRIMARY KEY)")
    plan = tmp_path / "shop.yaml"
    with session(server) as asked:
        found = beside_plan(asked, a_server(flavour=flavour, wsrep_on=galera), plan)
        text = (tmp_path / "shop.runbook.md").read_text()
        assert found == str(tmp_path / "shop.runbook.md")
        assert text.startswith(title)
        assert f"| {schema}.t | InnoDB |" in text
        assert beside_plan(asked, a_server(flavour=flavour, wsrep_on=galera), None) == ""
    kind = "pxc" if galera else str(flavour)
    assert f"what does it there: migrator runbook {kind}\n" in capsys.readouterr().err


def test_where_a_plan_can_be_carried_out(server: RunningServer, tmp_path: Path) -> None:
    """Nothing is written."""
    with session(server) as asked:
        assert beside_plan(asked, a_server(), tmp_path / "shop.yaml") == ""
    assert list(tmp_path.iterdir()) == []
