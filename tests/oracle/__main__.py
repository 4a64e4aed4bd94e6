"""The soak: many seeds, one after the other, on a server of its own. `make test-soak SEEDS=500`.

Each seed that fails is told at once, with the way to repeat it; the result stands at the end. Exit code 1 if one failed.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter
from typing import Final

from tests.oracle.laboratory import laboratory
from tests.oracle.trial import Told, run_trial
from tests.servers import Account, RunningServer, least_privileged, start

LINES_OF_TRACE: Final = -3


def soak(first: int, count: int, *, migrate: bool) -> int:
    """Run so many seeds; how many failed."""
    failed: list[int] = []
    features: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    began = time.monotonic()
    with start(name="soak", options=["--innodb-buffer-pool-size=128M"]) as server, least_privileged(server) as dba:
        print(f"{server!r}: seeds {first} to {first + count - 1}", flush=True)
        for seed in range(first, first + count):
            told = one(server, dba, seed, migrate=migrate)
            if told is None or told.failures:
                failed.append(seed)
                print(f"FAILED seed {seed}; to repeat it: make test-soak SEED={seed} SEEDS=1", flush=True)
                for failure in told.failures[:5] if told else ():
                    print(f"    {failure[:2000]}", flush=True)
            if told is not None:
                print(told, flush=True)
                features.update(told.schema.features)
                totals.update(
                    rows=told.rows, chunks=told.chunks, transactions=len(told.seen.seconds), cuts=told.seen.cuts,
                    looked_up=sum(told.seen.looked_up.values()), reads=told.reads, set_back=told.numbers_set_back,
                    collisions=len(told.seen.collisions),
                )  # fmt: skip
    print(
        f"\n{count} seeds ({first} to {first + count - 1}) in {time.monotonic() - began:.0f} s: {len(failed)} failed {failed}"
    )
    print(
        f"{totals['rows']:,} rows in {totals['chunks']:,} chunks; {totals['transactions']:,} transactions, {totals['reads']:,} snapshots"
        f" read twice, {totals['cuts']:,} links cut, {totals['looked_up']:,} outcomes looked up,"
        f" {totals['set_back']} times a number came again that no row had had, {totals['collisions']} transactions met an"
        " exclusive moment (1213)"
    )
    print("features: " + ", ".join(f"{name} {number}" for name, number in features.most_common()))
    return len(failed)


def one(server: RunningServer, dba: Account, seed: int, *, migrate: bool) -> Told | None:
    """One seed; None if it ended with an error. Every fifth has its links cut."""
    try:
        with laboratory(server, dba) as lab:
            return run_trial(lab, seed, migrate=migrate, cut=seed % 5 == 0, seconds=0.3 if migrate else 1.5)
    except Exception:  # noqa: BLE001 - told, and counted as failed
        traceback.print_exc(limit=LINES_OF_TRACE, file=sys.stdout)
        return None


def main() -> int:
    """Read the arguments and run."""
    words = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__)
    words.add_argument("--seed", type=int, default=1, help="the first seed")
    words.add_argument("--seeds", type=int, default=500, help="how many")
    words.add_argument(
        "--without", action="store_true", help="nobody migrates: what fails then is the oracle's mistake"
    )
    said = words.parse_args()
    return 1 if soak(said.seed, said.seeds, migrate=not said.without) else 0


if __name__ == "__main__":
    sys.exit(main())
