"""Run every mutation in a copy of the checkout, with the tests that have to notice it. Exit code 1 if one survives.

`python -m tests.mutants` runs all, `python -m tests.mutants 7 9:` those whose invariant begins so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.mutants.mutations import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[2]
_COPIED = ("migrator", "tests", "plans", "docs", "pyproject.toml", "README.md", "Makefile")
_KILLED = 1
"""pytest's exit code for tests that failed; others mean that the tests did not run as they should."""


def run(mutation: Mutation) -> str:
    """`killed`, `SURVIVED`, or what is wrong with the mutation itself."""
    with tempfile.TemporaryDirectory(prefix="migrator-mutant-") as folder:
        copy = Path(folder)
        for name in _COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                shutil.copy(source, copy / name)
        broken = copy / mutation.file
        text = broken.read_text(encoding="utf-8")
        if text.count(mutation.old) != 1:
            return f"NOT APPLIED: its text stands {text.count(mutation.old)} times in {mutation.file}"
        broken.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *mutation.tests]
        done = subprocess.run(
            command, cwd=copy, env={**os.environ, "PYTHONPATH": folder}, capture_output=True, text=True, check=False
        )
    if done.returncode == _KILLED:
        return "killed"
    return "SURVIVED" if done.returncode == 0 else f"NOT RUN: pytest gave {done.returncode}: {done.stdout[-400:]}"


def main(wanted: list[str]) -> int:
    """Run the wanted mutations (all if none is named) and tell each."""
    chosen = [m for m in MUTATIONS if not wanted or any(m.invariant.startswith(word) for word in wanted)]
    bad = 0
    for number, mutation in enumerate(chosen, start=1):
        result = run(mutation)
        bad += result != "killed"
        print(f"{number:2}/{len(chosen)} {result:9} {mutation.invariant}", flush=True)
    print(f"{len(chosen) - bad} killed, {bad} not")
    return 1 if bad or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
