"""Hooks and metrics of `apply`: what they hear of a run, and that they do not hold it up. Each runs the command."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.server.cli.held import each
from tests.server.cli.kit import ALL_SHADOW, Desk, edit
from tests.server.cli.snapshot import JOURNAL
from tests.server.cli.test_pause_and_wait import paused_by_person
from tests.servers import until


def hook(desk: Desk, name: str, text: str) -> Path:
    """A program of this name that a hook may be; `$1` is a file beside it."""
    file = desk.folder / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


def listener(desk: Desk) -> tuple[str, Callable[[], list[dict[str, Any]]]]:
    """A hook that keeps what it hears and its environment; gives the option's text, and what was heard so far."""
    out = desk.folder / "heard"
    program = hook(desk, "listen", f"cat >> '{out}'\nenv >> '{out}.env'")

    def heard() -> list[dict[str, Any]]:
        return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []

    return shlex.quote(str(program)), heard


def metrics_of(file: Path) -> dict[str, float]:
    """What the file says, by the name of the sample and its first label's value."""
    families = text_string_to_metric_families(file.read_text())
    return {
        " ".join([sample.name, *sample.labels.values()]): float(sample.value)
        for family in families
        for sample in family.samples
    }


def test_what_a_hook_hears_of_a_run(desk: Desk) -> None:
    """The beginning, each step's end, and the end, in order, as `--events` has them; no password in stdin or around."""
    desk.table("t", rows=300)
    command, heard = listener(desk)
    account = desk.account
    ran = desk.migrator(
        "apply",
        desk.plan(*ALL_SHADOW),
        "--events",
        f"--hook={command} 'two words'",
        connection=["--no-defaults", "-h127.0.0.1", f"-P{desk.server.server.port}", f"-u{account.user}"],
        MYSQL_PWD=account.password,
    )
    assert ran.code == 0, ran
    wanted = {"RunStarted", "StepEnded", "RunEnded"}
    told = [{**event, "at": ""} for event in ran.events if event["event"] in wanted]
    assert [{**event, "at": ""} for event in heard()] == told
    assert [event["event"] for event in told] == ["RunStarted", "StepEnded", "RunEnded"]
    environment = (desk.folder / "heard.env").read_text()
    desk.check(environment)
    assert "MIGRATOR_EVENT=RunEnded\n" in environment
    desk.assert_done()


def test_a_hook_that_fails_is_told_and_no_more(desk: Desk) -> None:
    """The run ends with 0; what the hook said and why it failed is on stderr, in the events and in the metrics."""
    desk.table("t", rows=300)
    metrics = desk.folder / "migrator.prom"
    options = (f"--hook={hook(desk, 'page', 'echo no network >&2; exit 7')}", f"--metrics-file={metrics}")
    ran = desk.migrator("apply", desk.plan(*ALL_SHADOW), "--events", *options)
    assert ran.code == 0, ran
    ran.says(
        "hook page: no network", "hook page, called for RunEnded: it ended with exit code 7", "hooks failed 3 time(s)"
    )
    assert {event["called_for"] for event in ran.of("HookFailed")} == {"RunStarted", "StepEnded", "RunEnded"}
    assert metrics_of(metrics)["migrator_hook_failures_total"] == 3
    desk.assert_done()


def test_a_hook_that_must_succeed_and_fails_at_the_start(desk: Desk) -> None:
    """Exit code 3, no table touched, the run is over in the journal; the others hear of its end. `apply` goes on."""
    desk.table("t", rows=300)
    plan = desk.plan(*ALL_SHADOW)
    command, heard = listener(desk)
    options = ("--hook=/no/such/program", f"--hook={command}", "--hook-must-succeed")
    with desk.nothing_left(but=[f"schema `{JOURNAL}`", f"table `{JOURNAL}`"]):
        ran = desk.migrator("apply", plan, "--events", *options)
    assert ran.code == 3, ran
    ran.says("hook program, called for RunStarted: it cannot be run: No such file", "error: a hook failed at the start")
    assert [event["event"] for event in heard()] == ["RunStarted", "RunEnded"]
    assert heard()[-1]["exit_code"] == 3
    run = desk.migrator("status", "--format=json").json["run"]
    assert (run["state"], run["exit_code"]) == ("ended", 3)
    assert desk.migrator("apply", plan).code == 0
    desk.assert_done()


def test_a_hook_that_must_succeed_and_fails_later(desk: Desk) -> None:
    """The run stops at its next safe point with 75, though nobody sent a signal; `apply` goes on."""
    desk.table("a", rows=30)
    desk.table("t", rows=300)
    plan = desk.plan(*ALL_SHADOW)
    edit(plan, r"small_tables_at_once: .*", "small_tables_at_once: 1")
    called = desk.folder / "called"
    program = hook(desk, "page", f"[ $MIGRATOR_EVENT != StepEnded ] || {{ touch '{called}'; exit 1; }}")
    held = desk.held(plan, f"--hook={program}", "--hook-must-succeed")
    held.hold(lambda event: event["event"] == "StepStarted" and event["subject"].endswith(".t"))
    until(called.exists, "the hook was called for the first step", seconds=60)
    with closing(desk.connect(autocommit=False)) as somebody, somebody.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM t")  # so that t cannot be swapped before the failure has been noticed
        ran = held.finish()
    assert ran.code == 75, ran
    assert ran.of("RunEnded")[0]["exit_code"] == 75
    assert {e["subject"]: e["outcome"] for e in ran.of("StepEnded")} == {
        f"{desk.schema}.a": "done",
        f"{desk.schema}.t": "stopped",
    }
    assert desk.migrator("apply", plan).code == 0
    assert desk.encrypted("t")


def test_a_hook_that_must_succeed_and_fails_at_the_end(desk: Desk) -> None:
    """All is done, but the scheduler is told to come again: 75 takes the place of 0."""
    desk.table("t", rows=300)
    program = hook(desk, "page", "[ $MIGRATOR_EVENT != RunEnded ]")
    ran = desk.migrator("apply", desk.plan(*ALL_SHADOW), f"--hook={program}", "--hook-must-succeed")
    assert ran.code == 75, ran
    desk.assert_done()


def test_a_hook_that_hangs_does_not_hold_up_the_run(desk: Desk) -> None:
    """The run comes to its end while the hook of its beginning still runs; then it is heard to the end."""
    desk.table("t", rows=300)
    go_on, out = desk.folder / "go-on", desk.folder / "heard"
    program = hook(desk, "page", f"while [ ! -e '{go_on}' ]; do sleep 0.05; done; echo $MIGRATOR_EVENT >> '{out}'")
    held = desk.held(desk.plan(*ALL_SHADOW), f"--hook={program}", "--hook-timeout=300s")
    held.hold(each("RunEnded"))
    assert desk.encrypted("t")
    assert not out.exists()
    go_on.touch()
    assert held.finish().code == 0
    assert out.read_text().split() == ["RunStarted", "StepEnded", "RunEnded"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--hook='unclosed",), "--hook: No closing quotation"),
        (("--hook=",), "--hook names no command"),
        (("--hook=true", "--hook-timeout=0s"), "--hook-timeout is 0"),
    ],
)
def test_bad_hooks_are_found_before_anything_is_done(desk: Desk, options: tuple[str, ...], words: str) -> None:
    """Exit code 2, and nothing at all is changed on the server."""
    desk.table("t", rows=30)
    plan = desk.plan(*ALL_SHADOW)
    with desk.untouched():
        ran = desk.migrator("apply", plan, *options)
    assert ran.code == 2, ran
    ran.says(words)


def test_a_plan_cannot_bring_hooks(desk: Desk) -> None:
    """A plan that travels gives nobody a shell: what looks like a hook in it is a mistake, exit code 2."""
    desk.table("t", rows=30)
    plan = desk.plan(*ALL_SHADOW)
    text, touched = plan.read_text(), desk.folder / "touched"
    for place in ("defaults:\n", ""):
        plan.write_text(
            text.replace(place, f"{place}  hook: touch {touched}\n", 1) if place else f"{text}hook: touch\n"
        )
        assert desk.migrator("apply", plan).code == 2
    assert not touched.exists()


def test_metrics_while_a_run_is_at_work_and_after(desk: Desk) -> None:
    """Active with its steps while it works; a second `apply` leaves the file alone; at the end the exit code."""
    desk.table("t")
    plan, metrics = desk.plan(*ALL_SHADOW), desk.folder / "migrator.prom"
    held = desk.held(plan, f"--metrics-file={metrics}")
    held.hold(each("ChunkCopied"), 2)
    until(
        lambda: metrics.exists() and metrics_of(metrics).get("migrator_rows_copied_total"), "it is written", seconds=60
    )
    at_work = metrics_of(metrics)
    assert (at_work["migrator_run_active"], at_work["migrator_steps running"]) == (1, 1)
    assert "migrator_run_exit_code" not in at_work
    second = desk.migrator("apply", plan, f"--metrics-file={metrics}")
    assert second.code == 75
    assert metrics_of(metrics)["migrator_run_active"] == 1
    assert held.finish().code == 0
    over = metrics_of(metrics)
    assert (over["migrator_run_active"], over["migrator_run_exit_code"], over["migrator_steps done"]) == (0, 0, 1)
    assert over["migrator_rows_copied_total"] == over["migrator_rows_verified_total"] == 3000
    assert over["migrator_exclusive_moments_total"] >= 3
    assert over["migrator_last_success_timestamp_seconds"] >= over["migrator_run_start_timestamp_seconds"]


def test_a_call_that_cannot_begin_is_heard_of(desk: Desk) -> None:
    """A gate that says no: the hook hears `NotBegun` with the exit code, and so do metrics and events."""
    desk.table("t", rows=30)
    plan = desk.plan(*ALL_SHADOW, attest=False)
    command, heard = listener(desk)
    metrics = desk.folder / "migrator.prom"
    ran = desk.migrator("apply", plan, "--events", f"--hook={command}", f"--metrics-file={metrics}")
    assert ran.code == 3, ran
    assert [(event["event"], event["exit_code"]) for event in heard()] == [("NotBegun", 3)]
    assert ran.events[-1]["event"] == "NotBegun"
    assert metrics_of(metrics)["migrator_run_exit_code"] == 3


def test_a_run_that_loses_its_lease_is_heard_to_end(desk: Desk) -> None:
    """Whatever ends a run, its listeners hear `RunEnded` with the process's exit code and the reason."""
    desk.table("t")
    command, heard = listener(desk)
    held = desk.held(desk.plan(*ALL_SHADOW), f"--hook={command}")
    held.hold(each("ChunkCopied"), 2)
    paused_by_person(desk, held)  # it cannot be done before it has heard
    desk.server.rows(f"UPDATE {JOURNAL}.lease SET token = token + 1")
    ran = held.finish()
    assert desk.migrator("unpause").code == 0
    assert ran.code == 75, ran
    assert ran.events[-1]["event"] == "RunEnded"
    assert (heard()[-1]["event"], heard()[-1]["exit_code"]) == ("RunEnded", 75)
    assert heard()[-1]["reason"].startswith("another run has taken over")


def test_metrics_that_cannot_be_written_are_no_reason_to_stop(desk: Desk) -> None:
    """It is said once, and the run ends with 0."""
    desk.table("t", rows=300)
    ran = desk.migrator("apply", desk.plan(*ALL_SHADOW), "--metrics-file=/no/such/folder/migrator.prom")
    assert ran.code == 0, ran
    assert ran.err.count("warning: cannot write /no/such/folder/migrator.prom: No such file or directory") == 1
    desk.assert_done()
