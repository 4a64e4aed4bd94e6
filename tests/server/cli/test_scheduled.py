"""The command lines of docs/scheduling/ against a server, and `apply` again and again as schedulers call it."""

from __future__ import annotations

import os
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.scheduling import QUIET, command_lines
from tests.server.cli.held import WAIT_SECONDS, Ran, each
from tests.server.cli.kit import ALL_SHADOW, MIGRATOR, Desk
from tests.server.cli.snapshot import JOURNAL, snapshot
from tests.servers import until

PLACES = ("${CREDENTIALS_DIRECTORY}/my.cnf", "/run/secrets/migrator/my.cnf", "/etc/migrator/my.cnf")
"""Where the files of docs/scheduling/ have the option file."""


def as_scheduled(desk: Desk, plan: Path, scheduler: str) -> Ran:
    """Run a file's command line, with the paths of this machine."""
    words = command_lines()[scheduler]
    if words[0] == "migrator":
        words[0] = str(MIGRATOR)
    replaced = {
        **dict.fromkeys(PLACES, str(desk.options)),
        "/etc/migrator/plan.yaml": str(plan),
        "/opt/migrator/libexec/quiet.sh": str(QUIET),
        "/opt/migrator/bin/migrator": str(MIGRATOR),
        "/var/lib/migrator": str(desk.folder),
    }
    for there, here in replaced.items():
        words = [word.replace(there, here) for word in words]
    assert not [word for word in words if "/etc/migrator" in word or "/opt/migrator" in word or "${" in word]
    ended = subprocess.run(
        words,
        env={key: value for key, value in os.environ.items() if not key.startswith("MYSQL_")}
        | {"HOME": str(desk.folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )
    ran = Ran(ended.returncode, ended.stdout, ended.stderr)
    desk.check(ran.out + ran.err)
    return ran


@pytest.mark.parametrize("scheduler", command_lines())
def test_the_command_line_of_each_scheduler(desk: Desk, scheduler: str) -> None:
    """As it stands in the file: it encrypts the table, ends with 0, and with 0 again; with 75 beside another run."""
    desk.table("t")
    plan = desk.plan(*ALL_SHADOW)
    first = desk.held(plan)
    first.hold(each("ChunkCopied"), 1)
    second = as_scheduled(desk, plan, scheduler)
    assert second.code == 75, second
    if scheduler == "cron":
        assert second.out + second.err == "", "cron would mail it"
    first.kill()
    ran = as_scheduled(desk, plan, scheduler)
    assert ran.code == 0, ran
    desk.assert_done()
    assert as_scheduled(desk, plan, scheduler).code == 0
    desk.assert_done()
    if scheduler == "systemd":
        assert "migrator_run_exit_code 0\n" in (desk.folder / "migrator.prom").read_text()
    if scheduler == "kubernetes":
        assert ran.events[-1]["event"] == "RunEnded"


# -- again and again ------------------------------------------------------------------------------


def place_in_binlog(desk: Desk) -> tuple[str, int]:
    """The file and the place to which the server has written."""
    ((file, place, *_),) = desk.server.rows("SHOW BINARY LOG STATUS")
    return str(file), int(place)


def written_since(desk: Desk, start: tuple[str, int]) -> tuple[set[str], set[str]]:
    """What the binlog has since then: the tables whose rows were changed, and statements that are not BEGIN."""
    file, place = start
    assert place_in_binlog(desk)[0] == file
    events = desk.server.rows(f"SHOW BINLOG EVENTS IN '{file}' FROM {place}")
    kinds = [(str(event[2]), str(event[5])) for event in events]
    tables = {info.partition("(")[2].rstrip(")") for kind, info in kinds if kind == "Table_map"}
    return tables, {info for kind, info in kinds if kind == "Query" and info != "BEGIN"}


def test_apply_again_writes_nothing_but_its_journal(desk: Desk) -> None:
    """By the binlog: the second and the third call change rows of the journal only, define nothing, and end with 0."""
    desk.table("t", rows=300)
    desk.table("u", rows=30)
    plan = desk.plan(*ALL_SHADOW)
    start = place_in_binlog(desk)
    assert desk.migrator("apply", plan).code == 0
    tables, statements = written_since(desk, start)
    assert f"{desk.schema}._t_shadow" in tables, "the binlog shows what a run writes"
    assert statements
    for _ in range(2):
        before, start = snapshot(desk.server), place_in_binlog(desk)
        ran = desk.migrator("apply", plan)
        assert ran.code == 0, ran
        tables, statements = written_since(desk, start)
        assert tables
        assert {table.partition(".")[0] for table in tables} == {JOURNAL}, tables
        assert statements == set()
        now = snapshot(desk.server)
        mine = [name for name in {**before, **now} if JOURNAL not in name and name != "transactions"]
        assert [name for name in mine if before.get(name) != now.get(name)] == []


def test_a_plan_that_is_older_than_the_state(desk: Desk) -> None:
    """A plan whose tables another plan's run has encrypted meanwhile: nothing to do, 0; what is new in it is done."""
    desk.table("t", rows=300)
    small = desk.plan(*ALL_SHADOW, f"--tables={desk.schema}.t", file="small.yaml")
    desk.table("u", rows=300)
    old = desk.plan(*ALL_SHADOW, file="old.yaml")
    assert desk.migrator("apply", small).code == 0
    ran = desk.migrator("apply", old, "--format=json")
    assert ran.code == 0, ran
    outcomes = {step["subject"]: step["outcome"] for step in ran.json["steps"]}
    assert (outcomes[f"{desk.schema}.t"], outcomes[f"{desk.schema}.u"]) == ("skipped", "done")
    for plan in (small, old, small):
        assert desk.migrator("apply", plan).code == 0
    for table in ("t", "u"):
        assert desk.encrypted(table)
        desk.assert_equal(table)


def test_two_at_once_again_and_again(desk: Desk) -> None:
    """Of calls that begin together one does the work; the others end with 75 or find it done; no row is lost."""
    desk.table("t")
    plan = desk.plan(*ALL_SHADOW)
    with closing(desk.connect(autocommit=False)) as somebody, somebody.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM t")  # the table cannot be swapped before all have begun
        calls = [desk.start("apply", plan) for _ in range(3)]

        def two_have_ended() -> bool:
            codes = [call.poll() for call in calls]
            assert set(codes) <= {None, 75}, (codes, desk.errors.read_text())
            return codes.count(75) == 2

        until(two_have_ended, "two have ended with 75", seconds=WAIT_SECONDS)
    assert sorted(call.wait(WAIT_SECONDS) for call in calls) == [0, 75, 75]
    desk.assert_done()
    assert desk.server.rows(f"SELECT COUNT(*) FROM {JOURNAL}.runs") == [(1,)]
