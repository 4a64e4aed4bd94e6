"""What `plan` says on stderr when the plan is written. Pure."""

from __future__ import annotations

import shlex

from migrator.model import Method
from migrator.planner.plan import Plan
from migrator.report.findings import finding_line
from migrator.report.words import about, count, plural


def planned_exit_code(plan: Plan) -> int:
    """1 if something is refused, so stays in clear; else 0."""
    return 1 if any(s.method is Method.REFUSE for s in plan.steps) else 0


def planned_lines(plan: Plan, file: str) -> tuple[str, ...]:
    """Counts, what stops a run as things are, and the next command; `file` is '' for stdout."""
    methods = ", ".join(f"{count(number)} {method}" for method, number in plan.totals.by_method.items())
    lines = [
        f"{plural(len(plan.steps), 'step')}: {methods or 'none'};"
        f" {about(plan.totals.bytes_to_do)} to do, {about(plan.totals.bytes_refused)} refused"
    ]
    lines += [finding_line(f) for f in plan.findings if f.blocks]
    lines.append(f"next: review it, then migrator dry-run {shlex.quote(file) if file else 'PLAN'}")
    return tuple(lines)
