"""The end of the demonstration: what is shown on the terminal, and what is left as summary.md and summary.json."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.demo import company
from tests.demo.commands import Ran
from tests.demo.facts import Facts
from tests.demo.ledger import Difference
from tests.demo.screen import quote, table
from tests.demo.traffic import Result
from tests.demo.verdict import Check, Step


@dataclass(frozen=True, slots=True)
class Seen:
    """All that there is to tell."""

    before: Mapping[str, Facts]
    after: Mapping[str, Facts]
    differences: Sequence[Difference]
    steps: Mapping[str, Step]
    refused: Mapping[str, str]
    """The reason that the plan gives, by table."""
    result: Result
    checks: Sequence[Check]
    commands: Sequence[Ran]


def encrypted(facts: Facts | None) -> str:
    """yes, NO, or memory for what has no file."""
    if facts is None:
        return "gone"
    return "memory" if facts.encrypted is None else "yes" if facts.encrypted else "NO"


def tables_lines(seen: Seen) -> list[str]:
    """Before and after, a line each table."""
    rows = {difference.table: difference.rows for difference in seen.differences}
    lines = []
    for name, facts in sorted(seen.before.items()):
        of_space = seen.steps.get(company.TABLESPACE) if name in company.IN_TABLESPACE else None
        step = of_space or seen.steps.get(name)
        method = "refuse" if name in seen.refused else step.method if step else "skip"
        seconds = f"{step.seconds:.1f}" if step and step.outcome == "done" else ""
        lines.append(
            (name, method, encrypted(facts), encrypted(seen.after.get(name)), f"{rows.get(name, 0):,}", seconds)
        )
    return table(("table", "method", "before", "after", "rows", "seconds"), lines, right=frozenset({4, 5}))


def refused_lines(seen: Seen) -> list[str]:
    """Which tables were refused, and why, in the plan's own words."""
    return table(("refused", "why"), sorted(seen.refused.items()))


def latency_lines(result: Result) -> list[str]:
    """What the application felt before, during and after."""
    rows = [
        (
            name,
            f"{p.seconds:.0f}",
            f"{p.transactions:,}",
            f"{p.per_second:g}",
            f"{p.p50_ms:g}",
            f"{p.p95_ms:g}",
            f"{p.p99_ms:g}",
            f"{p.max_ms:g}",
            f"{p.failed}",
        )
        for name, p in result.periods.items()
    ]
    head = ("period", "seconds", "transactions", "a second", "p50 ms", "p95 ms", "p99 ms", "max ms", "failed")
    return table(head, rows, right=frozenset(range(1, len(head))))


def errors_line(result: Result) -> str:
    """The application's errors, raw, by number."""
    if not result.errors:
        return "errors of the application: none"
    return "errors of the application: " + ", ".join(f"{count} x {number}" for number, count in result.errors.items())


def check_lines(checks: Iterable[Check]) -> list[str]:
    """A line each check; for one that failed, what failed."""
    lines = []
    for check in checks:
        lines.append(f"{'✓' if check.passed else '✗'} {check.what}" + (f" ({check.seen})" if check.passed else ""))
        lines += [f"    {failure}" for failure in check.failures[:20]]
        if len(check.failures) > 20:
            lines.append(f"    … and {len(check.failures) - 20} more")
    return lines


def tell(seen: Seen) -> None:
    """All of it, on the terminal."""
    for lines in (tables_lines(seen), refused_lines(seen), [*latency_lines(seen.result), "", errors_line(seen.result)]):
        print()
        quote(lines)
    print(
        "\n  Latency counts from the moment a transaction was due until COMMIT returned, without its own pause"
        " between reading and writing.\n"
    )
    for line in check_lines(seen.checks):
        print(line)


def write_summary(folder: Path, seen: Seen, *, seconds: float) -> None:
    """summary.md for people, summary.json for programs."""
    passed = all(check.passed for check in seen.checks)
    text = [f"# Demonstration: {'passed' if passed else 'FAILED'} in {seconds:.0f} s", "", "## Checks", ""]
    text += [f"- {line.strip()}" if line[0] in "✓✗" else f"  {line}" for line in check_lines(seen.checks)]
    for title, lines in (
        ("Tables", tables_lines(seen)),
        ("Refused", refused_lines(seen)),
        ("The application", [*latency_lines(seen.result), "", errors_line(seen.result)]),
        (
            "Commands",
            [f"{c.seconds:6.1f} s  exit {c.exit_code}  migrator {' '.join(c.command)}" for c in seen.commands],
        ),
    ):
        text += ["", f"## {title}", "", "```", *lines, "```"]
    (folder / "summary.md").write_text("\n".join(text) + "\n", encoding="utf-8")
    document = {
        "passed": passed,
        "seconds": round(seconds, 1),
        "checks": [asdict(check) for check in seen.checks],
        "steps": [asdict(step) for step in seen.steps.values()],
        "refused": dict(seen.refused),
        "errors": dict(seen.result.errors),
        "periods": {name: asdict(summary) for name, summary in seen.result.periods.items()},
        "differences": [asdict(difference) for difference in seen.differences],
    }
    (folder / "summary.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
