"""`migrator runbook` on a real server: filled with what it says, and nothing is changed."""

from __future__ import annotations

import pytest

from tests.server.cli.kit import Desk, run_to_end
from tests.server.cli.snapshot import name

KINDS = ("luks", "rds", "aurora", "ndb", "pxc")


@pytest.mark.parametrize("kind", KINDS)
def test_filled_by_a_server(desk: Desk, kind: str) -> None:
    """Version, folders and tables of a plain MySQL server: read by the least-privileged account, and only read."""
    desk.table("t", rows=20)
    file = desk.folder / "runbook.md"
    with desk.untouched():
        ran = desk.migrator("runbook", kind, "-o", file)
    assert ran.code == 0, ran
    text = file.read_text()
    desk.check(text)
    assert "{{" not in text
    assert desk.server.server.version in text
    if kind == "luks":
        assert f"DATADIR={desk.value('SELECT @@datadir').rstrip('/')}\n" in text
    else:
        assert f"| {desk.schema}.t | InnoDB |" in text
    if kind == "pxc":
        assert f"ALTER TABLE {name(desk.schema)}.`t` ENCRYPTION='Y'" in text


def test_without_a_server(desk: Desk) -> None:
    """--blank asks nobody, so no connection is needed; an unknown kind is a mistake of usage."""
    ran = run_to_end("runbook", "aurora", "--blank", "-h", "127.0.0.1", "-P", "1", home=desk.folder)
    assert ran.code == 0, ran
    assert "CLUSTER=CLUSTER" in ran.out
    assert run_to_end("runbook", "clay", "--blank", home=desk.folder).code == 2
    unreachable = run_to_end("runbook", "aurora", "-h", "127.0.0.1", "-P", "1", home=desk.folder)
    assert (unreachable.code, unreachable.out) == (3, "")


def test_a_plan_of_an_ordinary_server_has_none(desk: Desk) -> None:
    """Where a plan can be carried out nothing is written beside it."""
    desk.table("t", rows=20)
    plan = desk.plan()
    assert not plan.with_suffix(".runbook.md").exists()
