"""What a DBA does, with the installed command line, while the application writes."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from tests.demo.commands import Ran, run, stream
from tests.demo.screen import heading, quote, say, typed
from tests.demo.traffic import Traffic
from tests.demo.verdict import Check, Step
from tests.servers import RunningServer

LOGIN: Final = ("--defaults-file", "dba.cnf")
"""The only option file that is read: somebody's own ~/.my.cnf would win over --defaults-extra-file."""

HARDEN: Final = "binlog,redo,undo,schemas,default"
"""All but the check of privileges, which wants SUPER: that is for root, and not for this account."""

NOT_ATTESTED: Final = "  keyring_backup: null\n"


@dataclass(slots=True)
class Migration:
    """What was seen of it."""

    folder: Path
    commands: list[Ran] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    steps: dict[str, Step] = field(default_factory=dict)
    """What the run did, by table or tablespace."""
    planned: list[dict[str, Any]] = field(default_factory=list)
    """The steps of the plan, as its file has them."""
    statements: list[tuple[str, str]] = field(default_factory=list)
    """What the run was doing from when on (UTC): statements that change definitions, and phases."""
    held_seconds: list[float] = field(default_factory=list)
    """Of each exclusive moment: how long a table was held."""

    @property
    def refused(self) -> dict[str, str]:
        """The tables that the plan refuses, and why."""
        return {
            f"{step['schema_name']}.{step['table_name']}": step["why"]
            for step in self.planned
            if step["kind"] == "table" and step["method"] == "refuse"
        }

    def command(self, *arguments: str, expect: Sequence[int], show: int = 0, file: str = "", since: str = "") -> None:
        """Run a command as it is typed, show the beginning of what it says, check its exit code.

        Of a `file` that it writes, `show` lines are shown from the first one on that contains `since`.
        """
        typed(("migrator", *arguments))
        ran = run(self.folder, *arguments)
        path = self.folder / file
        said = path.read_text(encoding="utf-8") if file and path.exists() else ran.stdout or ran.stderr
        lines = said.splitlines()
        first = next((number for number, line in enumerate(lines) if since in line), 0)
        quote(lines[first:], most=show, whole=file)
        self.ended(ran, expect)

    def ended(self, ran: Ran, expect: Sequence[int]) -> None:
        """Keep a command that has ended; an exit code that is not expected is told at once, and fails the whole."""
        as_expected = ran.exit_code in expect
        self.commands.append(ran)
        print(f"  └ exit code {ran.exit_code}, {ran.seconds:.1f} s", flush=True)
        if not as_expected:
            quote(ran.stderr.splitlines()[-25:])
        self.checks.append(
            Check(
                f"migrator {ran.command[0]} ended as it should",
                () if as_expected else (f"exit code {ran.exit_code}, not {' or '.join(map(str, expect))}",),
                f"exit code {ran.exit_code}",
            )
        )

    def doing(self, at: str) -> str:
        """What the run did at a moment."""
        earlier = [what for since, what in self.statements if since <= at]
        return earlier[-1] if earlier else "before the run"

    def heard(self, event: dict[str, Any]) -> None:
        """An event of the run: the end of each step is told."""
        subject = event["subject"]
        if what := event.get("statement") or event.get("phase"):
            ended = event["event"] in {"DdlDone", "PhaseEnded"}
            self.statements.append((event["at"], f"{'after' if ended else 'in'} {subject}: {what}"))
        if event["event"] == "Moment":
            if event["held_seconds"] is not None:  # online DDL: not measured
                self.held_seconds.append(event["held_seconds"])
        elif event["event"] == "StepStarted":
            self.steps[subject] = Step(subject, event["method"], "", event["rows"], 0.0)
        elif event["event"] == "StepEnded":
            begun = self.steps.get(subject, Step(subject, "", "", 0, 0.0))
            step = Step(subject, begun.method, event["outcome"], begun.rows, event["seconds"], event["message"])
            self.steps[subject] = step
            if step.outcome not in {"skipped", "refused"}:
                mark = "✓" if step.outcome == "done" else "✗"
                print(f"  │ {mark} {subject:<28}{step.method:<18}{step.outcome:<8}{step.seconds:6.1f} s", flush=True)


def migrate(folder: Path, server: RunningServer, load: Traffic, *, direct_below: str) -> Migration:
    """Audit, plan, review, dry-run, apply, verify, clean up: in a folder that keeps what they write."""
    seen = Migration(folder)

    heading("Look: what lies in clear?")
    seen.command("audit", *LOGIN, "-o", "audit.txt", expect=(1,), show=18, file="audit.txt")

    heading("Decide: a plan, made to be reviewed")
    if direct_below == "0":
        say(
            "Every table is in use, so none is to be altered directly, however small: a blocking ALTER TABLE "
            "would fail transactions that began before it (error 1412)."
        )
    say("A copy writes every row to the logs, too: they are encrypted first. And new tables are to be born encrypted.")
    planning = ("plan", *LOGIN, "--direct-below", direct_below, "--harden", HARDEN, "-o", "plan.yaml")
    seen.command(*planning, expect=(1,), show=3)
    seen.planned = steps_in(folder / "plan.yaml")
    review(folder, server)

    heading("Rehearse: every statement, every lock, and nothing changed")
    rehearsal = ("dry-run", "plan.yaml", *LOGIN, "--format", "markdown", "-o", "review.md")
    seen.command(*rehearsal, expect=(1,), show=28, file="review.md", since="shop.events: shadow-copy")

    heading("Do: table by table, while the application writes")
    arguments = ("apply", "plan.yaml", *LOGIN, "--events")
    print(f"\n$ migrator {' '.join(arguments)} > events.jsonl 2> apply.log", flush=True)
    seen.ended(stream(folder, seen.heard, *arguments, to="events.jsonl", log="apply.log"), (1,))
    held = [round(seconds * 1000) for seconds in seen.held_seconds]
    if held:
        print(
            f"  {len(held)} times a table was held for itself: {sorted(held)[len(held) // 2]} ms in the median, "
            f"{max(held)} ms at most, {sum(held) / 1000:.1f} s in all."
        )
    counted = load.count()
    print(f"  The application so far: {counted['transactions']:,} transactions, errors: {counted['errors'] or 'none'}.")

    heading("Verify, and clean up")
    say("What was refused is still in clear, and so are the old tables that are kept until a deadline: exit code 1.")
    seen.command("verify", *LOGIN, expect=(1,), show=8)
    print()
    say("Nobody wants to go back, so the old tables go at once.")
    seen.command("cleanup", "--now", *LOGIN, expect=(0,), show=6)
    seen.command("audit", *LOGIN, "-o", "audit-after.txt", expect=(1,), show=8, file="audit-after.txt")

    heading("What an auditor gets")
    say("One page that loads nothing, and its checksum: what was done, what is in clear and why, and what this shows.")
    seen.command("report", *LOGIN, "-o", "evidence.html", expect=(1,), show=3)
    return seen


def steps_in(plan: Path) -> list[dict[str, Any]]:
    """The steps of a plan's file; none if there is no file."""
    return list(YAML(typ="safe").load(plan.read_text(encoding="utf-8"))["steps"]) if plan.exists() else []


def review(folder: Path, server: RunningServer) -> None:
    """What the reviewer does: back the keyring up, and say so in the plan."""
    keyring, plan = server.server.keyring_path, folder / "plan.yaml"
    print()
    say("The reviewer backs the keyring up and vouches for it in the plan; apply will not begin without that.")
    if keyring and server.folder:
        shutil.copy2(keyring, server.folder / "keyring.backup")
        typed(("cp", str(keyring), str(server.folder / "keyring.backup")))
    attested = f'  keyring_backup: {{by: Ann Example, at: {datetime.now(UTC):%Y-%m-%d}, note: "CHG-1234"}}\n'
    quote([attested])
    if plan.exists():
        plan.write_text(plan.read_text(encoding="utf-8").replace(NOT_ATTESTED, attested), encoding="utf-8")
