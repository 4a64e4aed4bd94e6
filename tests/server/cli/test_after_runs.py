"""What is told of runs that have ended, and what a killed dry run leaves. Each test runs the installed command."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pymysql.err import ProgrammingError

from tests.server.cli.held import each
from tests.server.cli.kit import ALL_SHADOW, Desk
from tests.server.cli.snapshot import JOURNAL, name
from tests.servers import until


@contextmanager
def dry_run_that_is_held(desk: Desk, plan: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A dry run whose twin a transaction of ours uses, so that it cannot come to its end."""
    held = desk.connect(autocommit=False)
    process = desk.start("dry-run", plan)

    def uses_the_twin() -> bool:
        found = desk.server.rows(
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME LIKE %s",
            JOURNAL,
            r"%\_twin",
        )
        if not found:
            return False
        with held.cursor() as cursor:
            try:
                cursor.execute(f"SELECT COUNT(*) FROM {JOURNAL}.{name(str(found[0][0]))}")
            except ProgrammingError:
                return False  # it was dropped meanwhile
        return True

    try:
        with closing(held):
            until(uses_the_twin, "the twin is in use")
            yield process
    finally:
        process.kill()
        process.wait()


def sessions_of_dry_runs(desk: Desk) -> int:
    """Sessions that rehearse."""
    return int(
        desk.value(
            "SELECT COUNT(*) FROM performance_schema.session_connect_attrs"
            " WHERE ATTR_NAME = 'program_name' AND ATTR_VALUE LIKE 'migrator:%%'"
        )
    )


def test_cleanup_after_a_killed_dry_run(desk: Desk) -> None:
    """While it is at work `cleanup` keeps what is its; after kill -9 it takes all away, the journal with it."""
    desk.table("t", rows=20)
    plan = desk.plan(*ALL_SHADOW)
    with desk.nothing_left(but=("master key",)):
        with dry_run_that_is_held(desk, plan) as dry_run:
            kept = desk.migrator("cleanup", "--format=json")
            assert kept.code == 0, kept
            objects = kept.json["objects"]
            assert {(one["action"], one["why"]) for one in objects} == {("kept", "a dry run is at work with it")}
            dry_run.kill()
        until(lambda: not sessions_of_dry_runs(desk), "the server has ended its sessions")
        assert desk.has_journal()
        shown = desk.migrator("cleanup", "--dry-run", "--format=json").json["objects"]
        ran = desk.migrator("cleanup", "--format=json")
        assert ran.code == 0, ran
        assert {one["action"] for one in shown} == {"would-drop"}
        assert {one["action"] for one in ran.json["objects"]} == {"dropped"}
        assert not desk.has_journal()
    assert desk.migrator("dry-run", plan).code == 0


def test_cleanup_after_a_killed_dry_run_keeps_a_journal_in_use(desk: Desk) -> None:
    """Where runs are noted the journal stays, without a trace of the dry run."""
    desk.table("t", rows=20)
    desk.table("u", rows=20)
    assert desk.migrator("apply", desk.plan(*ALL_SHADOW, f"--tables={desk.schema}.u", file="u.yaml")).code == 0
    with dry_run_that_is_held(desk, desk.plan(*ALL_SHADOW)) as dry_run:
        dry_run.kill()
    until(lambda: not sessions_of_dry_runs(desk), "the server has ended its sessions")
    assert desk.migrator("cleanup").code == 1  # the old u, in its time
    assert desk.value(f"SELECT COUNT(*) FROM {JOURNAL}.steps WHERE kind = 'rehearsal'") == 0
    assert not desk.server.rows(
        "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME LIKE %s",
        JOURNAL,
        r"%twin%",
    )


def test_status_counts_the_run_alone(desk: Desk) -> None:
    """Steps of earlier runs whose old table is kept stand apart: the run's own count is that of its plan."""
    desk.table("a", rows=20)
    desk.table("b", rows=20)
    for table in ("a", "b"):
        plan = desk.plan(*ALL_SHADOW, f"--tables={desk.schema}.{table}", file=f"{table}.yaml")
        assert desk.migrator("apply", plan).code == 0
    told = desk.migrator("status", "--format=json").json
    assert [step["subject"] for step in told["run"]["steps"]] == [f"{desk.schema}.b"]
    assert [step["subject"] for step in told["earlier"]] == [f"{desk.schema}.a"]
    text = desk.migrator("status").out
    run, _, earlier = text.partition("Of earlier runs")
    assert "1 step: 1 done." in run
    assert "_b_retained" in run
    assert "_a_retained" not in run
    assert "_a_retained" in earlier


def test_a_pause_without_a_run_says_so(desk: Desk) -> None:
    """`pause` and `unpause` say that no run is at work, and what the next one will do; it does that."""
    desk.table("t", rows=20)
    plan = desk.plan(*ALL_SHADOW)
    assert (
        desk.migrator("apply", desk.plan(*ALL_SHADOW, f"--ignore-tables={desk.schema}.*", file="none.yaml")).code == 0
    )
    paused = desk.migrator("pause")
    assert paused.code == 0
    paused.says("no run is at work; the next one will wait before it begins, until: migrator unpause")
    held = desk.held(plan)
    assert held.hold(each("Waiting"))["reason"] == "paused by a person"
    desk.migrator("pause").says("the run pauses at its next safe point")
    held.signal(signal.SIGTERM)
    stopped = held.finish()
    assert stopped.code == 143
    assert "triggers stay" not in stopped.err
    stopped.says("what was made so far stays, and any triggers go on writing")
    unpaused = desk.migrator("unpause")
    assert unpaused.code == 0
    unpaused.says("no run is at work; the next one will not wait")
    assert desk.migrator("apply", plan).code == 0


def test_the_exit_code_of_a_signal_is_noted(desk: Desk) -> None:
    """Journal, `status` and the last event have the exit code that the process had: 143."""
    desk.table("t", rows=300)
    held = desk.held(desk.plan(*ALL_SHADOW))
    held.hold(each("ChunkCopied"))
    held.signal(signal.SIGTERM)
    stopped = held.finish()
    assert stopped.code == 143
    assert stopped.events[-1]["exit_code"] == 143
    assert desk.migrator("status", "--format=json").json["run"]["exit_code"] == 143
    assert "has ended with exit code 143" in " ".join(desk.migrator("status").out.split())
