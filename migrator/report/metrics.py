"""Metrics of a run for Prometheus: a fold over the stream of events, and the text of an exposition. Pure.

Names, types and labels are a contract: dashboards and alerts are written by them. No metric has a label for the table,
since a plan may have a hundred thousand: `status --format json` names tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from migrator import __version__
from migrator.events import (
    Backlog,
    ChunkCopied,
    ChunkVerified,
    Event,
    HookFailed,
    Moment,
    NotBegun,
    RunEnded,
    RunStarted,
    StepEnded,
    StepStarted,
    Throttled,
    Waiting,
    Workers,
)
from migrator.report.seen import Seen, after


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its name, type, labels and meaning."""

    name: str
    type: Literal["gauge", "counter"]
    meaning: str
    labels: tuple[str, ...] = ()


STATES: Final = ("waiting", "running", "done", "skipped", "refused", "failed", "left")
"""What the label `state` may say; failed counts what was given up and what a person must look at, too."""

METRICS: Final = (
    Metric("migrator_build_info", "gauge", "1, with the version of the program.", ("version",)),
    Metric("migrator_run_info", "gauge", "1, with the latest run and the hash of its plan.", ("run_id", "plan_hash")),
    Metric("migrator_run_active", "gauge", "1 while a run is at work."),
    Metric(
        "migrator_heartbeat_timestamp_seconds",
        "gauge",
        "When this file was written. While a run is at work that is every 5 s: one that is older was killed.",
    ),
    Metric("migrator_run_start_timestamp_seconds", "gauge", "When the latest run began."),
    Metric("migrator_run_exit_code", "gauge", "What the latest call ended with. Not there while a run is at work."),
    Metric(
        "migrator_last_success_timestamp_seconds",
        "gauge",
        "When a run last ended with exit code 0; kept from the file of before.",
    ),
    Metric("migrator_steps", "gauge", "Steps of the run by what became of them.", ("state",)),
    Metric("migrator_steps_waiting_for_others", "gauge", "Steps that wait for sessions of others now."),
    Metric("migrator_bytes_planned", "gauge", "Bytes that the run has to do, as the plan estimates."),
    Metric("migrator_bytes_done", "gauge", "Of these, what counts as done."),
    Metric("migrator_rows_copied_total", "counter", "Rows copied in chunks by this process."),
    Metric("migrator_rows_verified_total", "counter", "Rows compared in chunks by this process."),
    Metric("migrator_log_backlog_entries", "gauge", "Changes in the logs of all tables that the copies have not got."),
    Metric("migrator_log_backlog_bytes", "gauge", "The size of these logs."),
    Metric("migrator_exclusive_moments_total", "counter", "Exclusive moments held by this process."),
    Metric("migrator_exclusive_moments_held_seconds_total", "counter", "How long they were held, together."),
    Metric("migrator_exclusive_moment_held_seconds_max", "gauge", "The longest of them."),
    Metric("migrator_workers", "gauge", "Workers that may work on rows now."),
    Metric("migrator_workers_limit", "gauge", "Workers that the plan allows at most."),
    Metric("migrator_throttled_seconds_total", "counter", "How long the run was held back, by reason.", ("reason",)),
    Metric("migrator_hook_failures_total", "counter", "Calls of hooks that failed."),
)
"""All there are, in the order of the file."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What the metrics of one process are made from."""

    seen: Seen = field(default_factory=Seen)
    run_id: str = ""
    plan_hash: str = ""
    active: bool = False
    started_at: float | None = None
    exit_code: int | None = None
    succeeded_at: float | None = None
    ended: Mapping[str, int] = field(default_factory=dict)
    """Steps that have ended, by state."""
    waiting: frozenset[str] = frozenset()
    rows_copied: int = 0
    rows_verified: int = 0
    backlogs: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Entries and bytes, by subject: only of steps that are not over."""
    moments: int = 0
    held_seconds: float = 0.0
    held_most: float = 0.0
    workers: int | None = None
    workers_limit: int | None = None
    throttled: Mapping[str, float] = field(default_factory=dict)
    """Seconds by signal, of those that are over."""
    throttled_now: tuple[str, float] | None = None
    """By which signal, and since when."""
    hook_failures: int = 0


def counted(so_far: Counted, event: Event, *, at: float, now: float) -> Counted:
    """After an event; `at` is a clock that never goes back, `now` seconds since 1970."""
    seen = so_far.seen if isinstance(event, NotBegun) else after(so_far.seen, event, at)
    waiting = so_far.waiting
    if waiting and not isinstance(event, Waiting | Backlog | HookFailed | Workers):
        waiting -= {event.subject}  # it does something
    so_far = replace(so_far, seen=seen, waiting=waiting)
    match event:
        case RunStarted():
            return replace(
                so_far, run_id=event.run_id, plan_hash=event.plan_hash, active=True, started_at=now, exit_code=None
            )
        case Throttled():
            throttled = dict(so_far.throttled)
            if so_far.throttled_now is not None:
                signal, since = so_far.throttled_now
                throttled[signal] = throttled.get(signal, 0.0) + at - since
            throttled_now = None if event.state == "ends" else (event.signal, at)
            return replace(so_far, throttled=throttled, throttled_now=throttled_now)
        case NotBegun():
            return replace(so_far, exit_code=event.exit_code)
        case RunEnded():
            ended = {
                "done": event.done,
                "skipped": event.skipped,
                "refused": event.refused,
                "failed": event.failed,
                "left": event.left,
            }
            succeeded_at = now if event.exit_code == 0 else so_far.succeeded_at
            return replace(
                so_far,
                active=False,
                exit_code=event.exit_code,
                ended=ended,
                succeeded_at=succeeded_at,
                waiting=frozenset(),
            )
        case StepEnded():
            state = {"person": "failed", "given-up": "failed", "stopped": "left"}.get(event.outcome, event.outcome)
            logs = so_far.backlogs
            if event.outcome in {"done", "skipped", "given-up"}:
                logs = {name: log for name, log in logs.items() if name != event.subject}
            return replace(so_far, ended={**so_far.ended, state: so_far.ended.get(state, 0) + 1}, backlogs=logs)
        case ChunkCopied():
            return replace(so_far, rows_copied=so_far.rows_copied + event.rows)
        case ChunkVerified():
            return replace(so_far, rows_verified=so_far.rows_verified + event.rows)
        case Backlog():
            return replace(so_far, backlogs={**so_far.backlogs, event.subject: (event.entries, event.bytes)})
        case Waiting():
            return replace(so_far, waiting=so_far.waiting | {event.subject})
        case Moment():
            held = event.held_seconds or 0.0
            return replace(
                so_far,
                moments=so_far.moments + 1,
                held_seconds=so_far.held_seconds + held,
                held_most=max(so_far.held_most, held),
            )
        case Workers():
            return replace(so_far, workers=event.now, workers_limit=event.most)
        case HookFailed():
            return replace(so_far, hook_failures=so_far.hook_failures + 1)
        case StepStarted() | _:
            return so_far


def metrics_text(counted: Counted, now: float) -> str:
    """The whole file, in the text format 0.0.4."""
    lines: list[str] = []
    for metric in METRICS:
        samples = list(_samples(metric.name, counted, now))
        if samples:
            lines += [f"# HELP {metric.name} {metric.meaning}", f"# TYPE {metric.name} {metric.type}"]
            lines += [f"{metric.name}{_labels(metric.labels, values)} {_number(value)}" for values, value in samples]
    return "\n".join([*lines, ""])


def last_success(text: str) -> float | None:
    """What the file of an earlier run says of the last success; None if it says nothing that can be read."""
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name == "migrator_last_success_timestamp_seconds":
            try:
                return float(value)
            except ValueError:
                return None
    return None


def _samples(name: str, c: Counted, now: float) -> Iterable[tuple[tuple[str, ...], float]]:
    begun = c.started_at is not None
    plain: dict[str, float | None] = {
        "migrator_run_active": float(c.active),
        "migrator_heartbeat_timestamp_seconds": now,
        "migrator_run_start_timestamp_seconds": c.started_at,
        "migrator_run_exit_code": c.exit_code,
        "migrator_last_success_timestamp_seconds": c.succeeded_at,
        "migrator_steps_waiting_for_others": len(c.waiting) if begun else None,
        "migrator_bytes_planned": c.seen.bytes_total if begun else None,
        "migrator_bytes_done": c.seen.bytes_done if begun else None,
        "migrator_rows_copied_total": c.rows_copied,
        "migrator_rows_verified_total": c.rows_verified,
        "migrator_log_backlog_entries": sum(entries for entries, _ in c.backlogs.values()),
        "migrator_log_backlog_bytes": sum(size for _, size in c.backlogs.values()),
        "migrator_exclusive_moments_total": c.moments,
        "migrator_exclusive_moments_held_seconds_total": c.held_seconds,
        "migrator_exclusive_moment_held_seconds_max": c.held_most,
        "migrator_workers": c.workers,
        "migrator_workers_limit": c.workers_limit,
        "migrator_hook_failures_total": c.hook_failures,
    }
    match name:
        case "migrator_build_info":
            yield (__version__,), 1
        case "migrator_run_info":
            if begun:
                yield (c.run_id, c.plan_hash), 1
        case "migrator_steps":
            if begun:
                yield from (((state,), value) for state, value in _steps(c).items())
        case "migrator_throttled_seconds_total":
            yield from (((reason,), seconds) for reason, seconds in sorted(c.throttled.items()))
        case _:
            value = plain[name]
            if value is not None:
                yield (), value


def _steps(c: Counted) -> dict[str, int]:
    running = len(c.seen.steps) if c.active else 0
    ended = {state: c.ended.get(state, 0) for state in STATES}
    waiting = max(0, c.seen.steps_total - sum(ended.values()) - running) if c.active else 0
    return ended | {"waiting": waiting, "running": running}


def _labels(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    said = ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))
    return f"{{{said}}}" if said else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(round(float(value), 6))
