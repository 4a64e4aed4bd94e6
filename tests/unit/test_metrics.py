"""Metrics: their names are kept, their text is Prometheus's, and their file is always whole."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from migrator import __version__
from migrator.clock import SystemClock
from migrator.events import (
    Backlog,
    ChunkCopied,
    ChunkVerified,
    Event,
    HookFailed,
    Moment,
    NotBegun,
    PhaseStarted,
    RunEnded,
    RunStarted,
    StepEnded,
    StepStarted,
    Throttled,
    Waiting,
    Workers,
)
from migrator.report.metrics import METRICS, Counted, counted, last_success, metrics_text
from migrator.report.metrics_file import MetricsFile
from tests.servers import until

A, B = "shop.a", "shop.b"
BEGUN: Sequence[Event] = (
    RunStarted("", "r1", "hash", 3, 1000),
    StepStarted(A, "shadow-copy", 100, 400, resumed=False),
    StepStarted(B, "shadow-copy", 100, 600, resumed=False),
    PhaseStarted(A, "copy"),
    ChunkCopied(A, 60, 0.1, 60, 100, 2),
    ChunkCopied(B, 40, 0.1, 40, 100, 2),
    Backlog(A, 7, 700, 0.5, 0),
    Backlog(B, 5, 500, 0.5, 0),
    ChunkVerified(A, 60, 0.1, 60, 100),
    Moment(A, "swap", 2, 1, 0.5, 0.031),
    Moment(B, "log triggers", 2, 1, 0.5, 0.01),
    Moment(B, "in the server's hands", 2, 1, 0.5, None),
    Workers("", 3, 4, 1.0),
    Waiting(B, "older transactions", 1.0),
    HookFailed("", "notify", "RunStarted", "it ended with exit code 1"),
)
END = RunEnded("", "r1", 0, 1, 1, 0, 0, 1, 12.0)


def after(*events: Event, before: Counted | None = None) -> Counted:
    """What is counted after events, a second apart."""
    so_far = before or Counted()
    for number, event in enumerate(events):
        so_far = counted(so_far, event, at=float(number), now=1_700_000_000.0 + number)
    return so_far


def samples(text: str) -> dict[str, float]:
    """By Prometheus's own parser: each sample with its labels."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = float(sample.value)
    return found


def test_names_types_and_labels_are_kept() -> None:
    """A dashboard that works today works tomorrow: what is here may be added to, and never changed."""
    known = {metric.name: (metric.type, *metric.labels) for metric in METRICS}
    assert known == {
        "migrator_build_info": ("gauge", "version"),
        "migrator_run_info": ("gauge", "run_id", "plan_hash"),
        "migrator_run_active": ("gauge",),
        "migrator_heartbeat_timestamp_seconds": ("gauge",),
        "migrator_run_start_timestamp_seconds": ("gauge",),
        "migrator_run_exit_code": ("gauge",),
        "migrator_last_success_timestamp_seconds": ("gauge",),
        "migrator_steps": ("gauge", "state"),
        "migrator_steps_waiting_for_others": ("gauge",),
        "migrator_bytes_planned": ("gauge",),
        "migrator_bytes_done": ("gauge",),
        "migrator_rows_copied_total": ("counter",),
        "migrator_rows_verified_total": ("counter",),
        "migrator_log_backlog_entries": ("gauge",),
        "migrator_log_backlog_bytes": ("gauge",),
        "migrator_exclusive_moments_total": ("counter",),
        "migrator_exclusive_moments_held_seconds_total": ("counter",),
        "migrator_exclusive_moment_held_seconds_max": ("gauge",),
        "migrator_workers": ("gauge",),
        "migrator_workers_limit": ("gauge",),
        "migrator_throttled_seconds_total": ("counter", "reason"),
        "migrator_hook_failures_total": ("counter",),
    }


def test_a_run_at_work() -> None:
    """Everything is counted, and the server's own parser of the format reads it."""
    found = samples(metrics_text(after(*BEGUN), 1_700_000_100.0))
    assert found.pop("migrator_bytes_done") > 0
    assert found == {
        f"migrator_build_info{{version={__version__}}}": 1,
        "migrator_run_info{plan_hash=hash,run_id=r1}": 1,
        "migrator_run_active": 1,
        "migrator_heartbeat_timestamp_seconds": 1_700_000_100,
        "migrator_run_start_timestamp_seconds": 1_700_000_000,
        "migrator_steps{state=waiting}": 1,
        "migrator_steps{state=running}": 2,
        "migrator_steps{state=done}": 0,
        "migrator_steps{state=skipped}": 0,
        "migrator_steps{state=refused}": 0,
        "migrator_steps{state=failed}": 0,
        "migrator_steps{state=left}": 0,
        "migrator_steps_waiting_for_others": 1,
        "migrator_bytes_planned": 1000,
        "migrator_rows_copied_total": 100,
        "migrator_rows_verified_total": 60,
        "migrator_log_backlog_entries": 12,
        "migrator_log_backlog_bytes": 1200,
        "migrator_exclusive_moments_total": 3,
        "migrator_exclusive_moments_held_seconds_total": 0.041,
        "migrator_exclusive_moment_held_seconds_max": 0.031,
        "migrator_workers": 3,
        "migrator_workers_limit": 4,
        "migrator_hook_failures_total": 1,
    }


def test_types_are_told() -> None:
    """The parser finds each metric's type and meaning."""
    text = metrics_text(after(*BEGUN, END), 0.0)
    types = {family.name: (family.type, family.documentation) for family in text_string_to_metric_families(text)}
    for metric in METRICS:
        if f"\n{metric.name}" in text:
            # The parser takes `_total` off a counter's name.
            name = metric.name.removesuffix("_total") if metric.type == "counter" else metric.name
            assert types[name] == (metric.type, metric.meaning)


def test_a_run_that_is_over() -> None:
    """It has an exit code, is not active, and was a success only with 0."""
    found = samples(metrics_text(after(*BEGUN, StepEnded(A, "done", 1.0), END), 0.0))
    assert (found["migrator_run_active"], found["migrator_run_exit_code"]) == (0, 0)
    assert found["migrator_last_success_timestamp_seconds"] == 1_700_000_000 + len(BEGUN) + 1
    assert [found[f"migrator_steps{{state={state}}}"] for state in ("waiting", "running", "done", "left")] == [
        0,
        0,
        1,
        1,
    ]
    assert found["migrator_log_backlog_entries"] == 5, "the log of a table that is done is gone"
    stopped = RunEnded("", "r1", 143, 0, 0, 0, 0, 3, 1.0, "stopped")
    found = samples(metrics_text(after(*BEGUN, stopped), 0.0))
    assert found["migrator_run_exit_code"] == 143
    assert "migrator_last_success_timestamp_seconds" not in found


def test_outcomes_have_their_states() -> None:
    """What was given up, and what a person must look at, has failed; what was stopped is left."""
    steps = [StepStarted(f"s.{n}", "shadow-copy", 1, 1, resumed=False) for n in range(5)]
    outcomes = ("failed", "given-up", "person", "stopped", "done")
    ended = [StepEnded(f"s.{n}", outcome, 1.0) for n, outcome in enumerate(outcomes)]
    found = samples(metrics_text(after(RunStarted("", "r", "h", 9, 1), *steps, *ended), 0.0))
    assert [found[f"migrator_steps{{state={s}}}"] for s in ("failed", "left", "done", "waiting", "running")] == [
        3,
        1,
        1,
        4,
        0,
    ]


def test_a_step_that_goes_on_does_not_wait_any_more() -> None:
    """The gauge falls with the first thing that the step does."""
    waits = after(*BEGUN)
    assert samples(metrics_text(waits, 0.0))["migrator_steps_waiting_for_others"] == 1
    goes_on = after(ChunkCopied(B, 1, 0.1, 41, 100, 2), before=waits)
    assert samples(metrics_text(goes_on, 0.0))["migrator_steps_waiting_for_others"] == 0


def test_a_call_that_began_nothing() -> None:
    """Its exit code is there, and nothing of a run."""
    found = samples(metrics_text(after(NotBegun("", 3, "a gate")), 5.0))
    assert found["migrator_run_exit_code"] == 3
    assert found["migrator_run_active"] == 0
    assert not [name for name in found if name.startswith(("migrator_steps", "migrator_run_info"))]


def test_how_long_it_was_held_back() -> None:
    """By signal; what is not over counts when it is, or changes."""
    lag, load = ("replica r lag", 6.0), ("Threads_running", 30.0)
    held = [
        Throttled("", state, "why", *one, 5.0, 0.0)
        for state, one in (("begins", lag), ("changes", lag), ("changes", load), ("ends", load), ("begins", lag))
    ]
    found = samples(metrics_text(after(*BEGUN, *held), 0.0))
    assert found["migrator_throttled_seconds_total{reason=replica r lag}"] == 2
    assert found["migrator_throttled_seconds_total{reason=Threads_running}"] == 1


def test_label_values_are_escaped() -> None:
    """Whatever a name holds, the file can be read."""
    odd = 'a"b\\c\nd'
    found = samples(metrics_text(after(RunStarted("", odd, "h", 1, 1)), 0.0))
    assert found[f"migrator_run_info{{plan_hash=h,run_id={odd}}}"] == 1


# -- the file -------------------------------------------------------------------------------------


def file_of(path: Path, said: list[str]) -> MetricsFile:
    """A file of metrics whose complaints are kept."""
    return MetricsFile(path, SystemClock(), said.append)


def test_the_file_can_be_read_by_the_collector_and_is_alone(tmp_path: Path) -> None:
    """Mode 0644 whatever the umask, and nothing else is left in the folder."""
    path, said = tmp_path / "migrator.prom", list[str]()
    listen = file_of(path, said)
    for event in (*BEGUN, END):
        listen(event)
    listen.close()
    assert samples(path.read_text())["migrator_run_exit_code"] == 0
    assert path.stat().st_mode & 0o777 == 0o644
    assert [found.name for found in tmp_path.iterdir()] == ["migrator.prom"]
    assert said == []


def test_a_reader_always_finds_a_whole_file(tmp_path: Path) -> None:
    """It is replaced in one step: whoever reads while it is written sees the old one or the new one."""
    path, over, torn = tmp_path / "migrator.prom", threading.Event(), list[str]()
    first = file_of(path, [])
    first(BEGUN[0])
    first.close()

    def read() -> None:
        while not over.is_set():
            text = path.read_text()
            if not text.endswith("migrator_hook_failures_total 0\n"):
                torn.append(text)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(100):
        listen = file_of(path, [])
        listen(BEGUN[0])
        listen.close()
    over.set()
    reader.join()
    assert torn == []


def test_a_file_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    """And nothing else happens."""
    said: list[str] = []
    listen = file_of(tmp_path / "missing" / "migrator.prom", said)
    listen(BEGUN[0])
    until(lambda: said, "it is said", seconds=30)
    listen.close()
    assert said == [
        f"warning: cannot write {tmp_path}/missing/migrator.prom: No such file or directory;"
        " the run goes on without metrics"
    ]


def test_the_last_success_outlives_failures(tmp_path: Path) -> None:
    """It is taken over from the file of before, until there is another."""
    path = tmp_path / "migrator.prom"
    for event in (END, RunEnded("", "r2", 3, 0, 0, 0, 1, 0, 1.0)):
        listen = file_of(path, [])
        listen(BEGUN[0])
        listen(event)
        listen.close()
    found = samples(path.read_text())
    assert found["migrator_run_exit_code"] == 3
    assert found["migrator_last_success_timestamp_seconds"] > 1_700_000_000
    assert last_success("migrator_last_success_timestamp_seconds x\n") is None


def test_a_call_that_finds_another_run_leaves_the_file_to_it(tmp_path: Path) -> None:
    """75 before a run began; any other end of that kind is written."""
    path = tmp_path / "migrator.prom"
    for code in (75, 2):
        listen = file_of(path, [])
        listen(NotBegun("", code, "no"))
        listen.close()
        assert path.exists() == (code == 2)
