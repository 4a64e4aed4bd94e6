"""The application as its parent sees it: start the process, mark periods, count, stop.

with traffic(option_file, folder, rate=80) as load:
    load.mark("before")
    ...
    load.mark("during")
    ...
    result = load.stop()
print(result.errors, result.periods["during"].p95_ms)
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.demo import ledger
from tests.demo.latency import Summary

ROOT: Final = Path(__file__).parents[2]
STOP_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Result:
    """What the application saw."""

    periods: Mapping[str, Summary]
    errors: Mapping[int, int]
    """How often, by number."""
    troubles: Sequence[Mapping[str, Any]]
    """Each error: when, in which period, at what table, doing what."""
    wrong: Sequence[str]
    """Answers of the server that were not what they must be."""
    reports: int
    tables: Mapping[str, int]
    """Transactions, by table."""
    habits: Mapping[str, int]
    """What was done, how often."""
    ledger: ledger.Ledger

    @property
    def clean(self) -> bool:
        """No error, no wrong answer."""
        return not self.errors and not self.wrong


class ApplicationDied(Exception):
    """The application ended by itself: a mistake of its own, never an error of the server."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """A running application."""

    process: subprocess.Popen[str]
    folder: Path

    def mark(self, period: str) -> None:
        """A new period begins; the first one starts the load."""
        self.ask(f"mark {period}")

    def count(self) -> Mapping[str, Any]:
        """Transactions, errors by number, wrong answers, and which tables and habits had their turn so far."""
        return self.ask("count")

    def stop(self) -> Result:
        """End the load after its open transactions; what was seen."""
        self.ask("stop")
        self.process.wait(STOP_SECONDS)
        return result_in(self.folder)

    def ask(self, line: str) -> Mapping[str, Any]:
        """Send a line and read the answer."""
        assert self.process.stdin
        assert self.process.stdout
        # If it has ended, the answer is missing too, and that is told below.
        with suppress(BrokenPipeError):
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            self.process.wait(STOP_SECONDS)
            raise ApplicationDied((self.folder / "application.err").read_text(encoding="utf-8")[-2000:])
        read: Mapping[str, Any] = json.loads(answer)
        return read


@contextmanager
def traffic(
    option_file: Path, folder: Path, *, rate: float = 80.0, threads: int = 6, more: Sequence[str] = ()
) -> Iterator[Traffic]:
    """The application, not writing yet: its process ends with the block.

    It chooses its rows now (3 s, reading only), and the first `mark` returns when it has.

    `more` are further arguments, such as `--report-every 0`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.demo.application", "--defaults-file", str(option_file.resolve())]
    command += ["--output", str(folder.resolve()), "--rate", str(rate), "--threads", str(threads), *more]
    with (folder / "application.err").open("w", encoding="utf-8") as complaints:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, text=True
        )
    running = Traffic(process, folder)
    try:
        yield running
    finally:
        if process.stdin:
            process.stdin.close()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def result_in(folder: Path) -> Result:
    """What an application left in its folder."""
    found = json.loads((folder / "application.json").read_text(encoding="utf-8"))
    return Result(
        periods={name: Summary(**numbers) for name, numbers in found["periods"].items()},
        errors={int(number): count for number, count in found["errors"].items()},
        troubles=found["troubles"],
        wrong=found["wrong"],
        reports=found["reports"],
        tables=found["tables"],
        habits=found["habits"],
        ledger=ledger.read(folder / "ledger.jsonl"),
    )
