"""What `plan` says on stderr when the plan is written. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Final

from migrator.model import Finding, Method
from migrator.planner.plan import Plan, Policy
from migrator.report.findings import finding_line
from migrator.report.words import about, count, plural

_HARDENED: Final = frozenset({"plain-binlog", "plain-redo", "plain-undo", "default-plain", "schema-default-plain"})


def relay_lines(relays: int) -> tuple[str, ...]:
    """What the application can notice of so many relays, in one sentence; nothing if there are none."""
    if not relays:
        return ()
    return (
        f"{plural(relays, 'table')} by tablespace-relay, which can be noticed: at the end of a move, transactions of"
        " several statements that are open can get error 1412 or 1213, to be tried again; single statements get none."
        " Without: plan --no-relay",
    )


def harden_lines(policy: Policy | None, findings: Iterable[Finding]) -> tuple[str, ...]:
    """That a plan can have steps for logs and defaults, in one sentence; nothing where none is asked for or needed."""
    if (policy and policy.harden) or not any(f.code in _HARDENED for f in findings):
        return ()
    return ("logs, or tables to come, are in clear: migrator plan --harden all has steps for that",)


def planned_exit_code(plan: Plan) -> int:
    """1 if something is refused, so stays in clear; else 0."""
    return 1 if any(s.method is Method.REFUSE for s in plan.steps) else 0


def planned_lines(plan: Plan, file: str, runbook: str = "") -> tuple[str, ...]:
    """Counts, what stops a run as things are, and the next command; `file` is '' for stdout.

    `runbook` is the file of what has to be done instead, where no plan can be carried out.
    """
    methods = ", ".join(f"{count(number)} {method}" for method, number in plan.totals.by_method.items())
    lines = [
        f"{plural(len(plan.steps), 'step')}: {methods or 'none'};"
        f" {about(plan.totals.bytes_to_do)} to do, {about(plan.totals.bytes_refused)} refused"
    ]
    lines += [finding_line(f) for f in plan.findings if f.blocks]
    lines += harden_lines(plan.policy, plan.findings)
    lines += relay_lines(sum(s.method is Method.TABLESPACE_RELAY for s in plan.steps))
    if runbook:
        return (
            *lines,
            f"next: {shlex.quote(runbook)}; the plan accounts for every table, and none of it can be applied",
        )
    lines.append(f"next: review it, then migrator dry-run {shlex.quote(file) if file else 'PLAN'}")
    return tuple(lines)
