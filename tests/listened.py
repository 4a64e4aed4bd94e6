"""docs/events.md and docs/metrics.md, made from the events and the metrics that there are."""

from __future__ import annotations

import dataclasses
import inspect
import json
import types
import typing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from migrator import events
from migrator.events import Event
from migrator.model import Blocker, Finding
from migrator.report.documents import event_line
from migrator.report.hooks import CALLED_FOR, LINE_LENGTH_AT_MOST, LINES_AT_MOST, WAITING_AT_MOST
from migrator.report.metrics import METRICS, STATES
from migrator.report.metrics_file import EVERY_SECONDS

DOCS: Final = Path(__file__).parent.parent / "docs"
EVENTS: Final = DOCS / "events.md"
METRICS_PAGE: Final = DOCS / "metrics.md"

AT: Final = datetime(2026, 5, 1, 22, 0, 0, 250000, tzinfo=UTC)

BY_NAME: Final[dict[str, Any]] = {
    "subject": "shop.orders",
    "run_id": "4f1c9a2b7d03",
    "plan_hash": "9c1e4f0a5b2d",
    "method": "shadow-copy",
    "phase": "copy",
    "outcome": "done",
    "message": "",
    "remedy": "",
    "statement": "DROP TABLE `shop`.`_orders_log`",
    "purpose": "swap",
    "table": "shop._orders_retained",
    "until": "2026-05-08T22:00:00Z",
    "current_until": "",
    "hook": "notify",
    "called_for": "StepEnded",
    "leg": "encrypt",
    "stage": "stage/innodb/alter tablespace (encryption)",
    "exit_code": 0,
    "done": 12,
    "steps": 14,
    "skipped": 1,
    "refused": 1,
    "failed": 0,
    "left": 0,
    "rows": 2000,
    "rows_done": 154000,
    "rows_expected": 297070,
    "bytes": 58720256,
    "bytes_to_do": 76123456,
    "workers": 4,
    "seconds": 0.41,
}
"""Values that read well, by the field's name."""

BY_EVENT: Final[dict[str, dict[str, Any]]] = {
    "RunEnded": {"reason": ""},
    "NotBegun": {
        "exit_code": 75,
        "reason": "run 4f1c9a2b7d03 is at work on this server (host db1, pid 4711, seen 0 s ago)",
    },
    "Waiting": {"reason": "waiting for older transactions"},
    "HookFailed": {"reason": "it ended with exit code 1"},
}
"""Where the name is not enough."""

OF_THE_RUN: Final = {"RunStarted", "RunEnded", "NotBegun", "Workers"}

WORDS: Final[dict[Any, str]] = {str: "text", int: "number", float: "number", bool: "true or false"}

EVENTS_HEAD: Final = """\
# Events

Made from `migrator/events.py` by `make docs`; a test keeps it so.

`migrator apply --events PLAN` writes one line of JSON for each event to stdout, flushed at once. A hook gets the same
line on its stdin. Every line has `event` (the name), `format` (1), `at` (when it was heard, UTC, by this host's
clock) and `subject`: `schema.table`, a tablespace, or `""` for the whole run. Sizes are bytes, durations are seconds.
No line holds a key, a row or a secret.

`format` is raised when a field or an event changes its meaning or goes away. New events and new fields may come at
any time: pass over what you do not know. Lines may come from several tables in turn. Each call of `apply` ends with
`RunEnded` or `NotBegun`, unless its options or its plan file are wrong (2), it is killed, or nobody reads its stdout
any more. Only `HookFailed` can come after that.
"""

HOOKS: Final = """\
## Hooks

    migrator apply --hook '/usr/local/bin/notify --team dba' --hook-timeout 20s plan.yaml

calls a command for these events: {called_for}. `--hook` may be given several times. The event is on stdin, as above;
its name is in the environment variable `MIGRATOR_EVENT`.

* No shell is used: the text is split into words as a shell would do it, and nothing else. For pipes write a script.
* Hooks come from the command line only, never from a plan: a plan travels between hosts and people, and who may edit
  one must not get a shell by it.
* A run never waits for a hook. Each command has a thread and a queue of its own, and is called for one event after
  the other. At {waiting} waiting events the oldest is passed over, and that is said. When the run is over, hooks get
  the time of one call for what still waits; then only the last event is told. So the process ends three times
  `--hook-timeout` after its run at most, for each command.
* A hook that takes longer than `--hook-timeout` (30 s) is killed. It has a process group of its own, and what it
  started is killed with it, also when it ends in time: to leave something running, start it with `setsid` or
  `systemd-run`.
* What it says on stdout and stderr comes on our stderr, marked, up to {lines} lines of {length} bytes in each call.
* It inherits the environment without variables whose names begin with `MYSQL_` or hold `PASSW`, `PASSPHRASE`, `_PWD`
  or `SECRET`. No password is on its stdin or in its arguments.
* A hook fails if it cannot be run, is killed, or ends with another code than 0. That is told (`HookFailed`), counted
  in the metrics and said at the end. The run goes on.
* With `--hook-must-succeed` it does not: a hook that fails for `RunStarted` ends the run with exit code 3 before any
  table is touched, and the run waits for it. One that fails later stops the run at its next safe point with 75; if
  there is none left, 75 takes the place of 0 and 1, so that a scheduler calls again. Then the hooks are called again,
  too.
"""

METRICS_HEAD: Final = """\
# Metrics

Made from `migrator/report/metrics.py` by `make docs`; a test keeps it so.

`migrator apply --metrics-file /var/lib/prometheus/node-exporter/migrator.prom PLAN` keeps a file current for the
textfile collector of Prometheus's node exporter. It is written every {every} s and at the end, by a thread of its
own; each time a new file takes the place of the old one, with mode 0644. If it cannot be written, that is said once
and the run goes on.

Names, types and labels below are kept. No metric has a label for the table, since a plan may have a hundred thousand:
`status --format json` names tables. Counters begin at 0 with each call. A call that finds another run at work (exit
code 75) leaves the file to that run.
"""

METRICS_TAIL: Final = """\
`state` is one of {states}.

Alerts that are worth having:

```
# A person must look, or something failed. 75 and signals are not failures: the next call goes on.
migrator_run_exit_code == 3 or migrator_run_exit_code == 4 or migrator_run_exit_code == 70
# Killed: says that it is at work, and writes no more.
migrator_run_active == 1 and time() - migrator_heartbeat_timestamp_seconds > 60
# Not done for a week.
time() - migrator_last_success_timestamp_seconds > 7 * 86400
```
"""


def event_classes() -> list[type[Event]]:
    """All there are, in the order of the module."""
    found = [one for _, one in inspect.getmembers(events, inspect.isclass) if issubclass(one, Event)]
    return sorted((one for one in found if one is not Event), key=lambda one: inspect.getsourcelines(one)[1])


def example(kind: type[Event]) -> Event:
    """One event of a type, as it may be."""
    name = kind.__name__
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        if field.name in BY_EVENT.get(name, {}):
            values[field.name] = BY_EVENT[name][field.name]
        elif field.name == "subject" and name in OF_THE_RUN:
            values["subject"] = ""
        elif field.name in BY_NAME:
            values[field.name] = BY_NAME[field.name]
        else:
            values[field.name] = _value(hints[field.name])
    return kind(**values)


def _value(hint: Any) -> Any:
    if typing.get_origin(hint) in {types.UnionType, typing.Union}:
        return _value(typing.get_args(hint)[0])
    if typing.get_origin(hint) is typing.Literal:
        return typing.get_args(hint)[0]
    if typing.get_origin(hint) is tuple:
        return (_value(typing.get_args(hint)[0]),)
    if hint is Blocker:
        return Blocker(session_id=4711, user="app@10.0.0.7", seconds=12, reason="older transaction")
    if hint is Finding:
        return Finding("unique-from-the-start", "a unique value moves between rows", subject="shop.orders")
    return {str: "...", int: 3, float: 0.05, bool: False}[hint]


def _words(hint: Any) -> str:
    if typing.get_origin(hint) in {types.UnionType, typing.Union}:
        first, second = typing.get_args(hint)
        return f"{_words(first)} or null" if second is type(None) else f"{_words(first)} or {_words(second)}"
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(f"`{word}`" for word in typing.get_args(hint))
    if typing.get_origin(hint) is tuple:
        return f"list of {_words(typing.get_args(hint)[0])}"
    if dataclasses.is_dataclass(hint):
        return f"object ({', '.join(f'`{field.name}`' for field in dataclasses.fields(hint))})"
    return WORDS[hint]


def events_text() -> str:
    """The whole page of events."""
    parts = [EVENTS_HEAD, "## All events\n"]
    for kind in event_classes():
        hints = typing.get_type_hints(kind)
        line = json.loads(event_line(example(kind), AT))
        meaning = " ".join(inspect.cleandoc(kind.__doc__ or "").split())
        own = [field.name for field in dataclasses.fields(kind) if field.name != "subject"]
        fields = "; ".join(f"`{name}` {_words(hints[name])}" for name in own)
        called = " Hooks are called for it." if kind.__name__ in CALLED_FOR else ""
        parts.append(
            f"### {kind.__name__}\n\n{meaning}{called}\n\nFields: {fields}.\n\n```json\n{json.dumps(line)}\n```\n"
        )
    known = [kind.__name__ for kind in event_classes()]
    called_for = ", ".join(f"`{name}`" for name in CALLED_FOR if name in known)
    hooks = HOOKS.format(
        called_for=called_for, waiting=WAITING_AT_MOST, lines=LINES_AT_MOST, length=LINE_LENGTH_AT_MOST
    )
    return "\n".join([parts[0], hooks, *parts[1:]])


def metrics_text() -> str:
    """The whole page of metrics."""
    lines = [
        f"| `{metric.name}` | {metric.type} | {', '.join(f'`{label}`' for label in metric.labels)} | {metric.meaning} |"
        for metric in METRICS
    ]
    table = "\n".join(["| name | type | labels | meaning |", "| --- | --- | --- | --- |", *lines, ""])
    states = ", ".join(f"`{state}`" for state in STATES)
    return "\n".join([METRICS_HEAD.format(every=f"{EVERY_SECONDS:g}"), table, METRICS_TAIL.format(states=states)])
