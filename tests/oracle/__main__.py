"""The soak: many seeds, one after the other, on a server of its own. `make test-soak SEEDS=500`.

Each seed that fails is told at once, with the way to repeat it; the result stands at the end. Exit code 1 if one failed.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import pymysql

from tests.oracle.laboratory import laboratory
from tests.oracle.trial import Told, run_trial
from tests.servers import Account, RunningServer, least_privileged, start

LINES_OF_TRACE: Final = -3
TRIES_WITHOUT: Final = 3


@dataclass(slots=True)
class Result:
    """What all seeds together did."""

    first: int
    done: int = 0
    failed: list[int] = field(default_factory=list)
    dead: list[int] = field(default_factory=list)
    """Seeds of which the server dies, also when nobody migrates."""
    features: Counter[str] = field(default_factory=Counter)
    totals: Counter[str] = field(default_factory=Counter)
    began: float = field(default_factory=time.monotonic)

    def add(self, seed: int, told: Told | None) -> None:
        """One seed more; tells it."""
        self.done += 1
        if told is None or told.failures:
            self.failed.append(seed)
            print(f"FAILED seed {seed}; to repeat it: make test-soak SEED={seed} SEEDS=1", flush=True)
        if told is None:
            return
        for failure in told.failures[:5]:
            print(f"    {failure[:2000]}", flush=True)
        print(told, flush=True)
        self.features.update(told.schema.features)
        self.totals.update(
            rows=told.rows, chunks=told.chunks, transactions=len(told.seen.seconds), cuts=told.seen.cuts,
            looked_up=sum(told.seen.looked_up.values()), reads=told.reads, set_back=told.numbers_set_back,
            collisions=len(told.seen.collisions), taken_back=int(told.taken_back > 0),
            by_themselves=len(told.seen.by_themselves), relayed=told.schema.relayed, met_relay=len(told.seen.met_relay),
        )  # fmt: skip

    def dies(self, seed: int) -> None:
        """A seed whose application ends the server, whoever migrates; tells it."""
        self.done += 1
        self.dead.append(seed)
        print(f"seed {seed}: the server died, and dies of it as well when nobody migrates", flush=True)

    def __str__(self) -> str:
        of, seconds = self.totals, time.monotonic() - self.began
        return (
            f"{self.done} seeds from {self.first} in {seconds:.0f} s: {len(self.failed)} failed {self.failed};"
            f" {len(self.dead)} ended the server, also when nobody migrates {self.dead}\n"
            f"{of['rows']:,} rows in {of['chunks']:,} chunks; {of['transactions']:,} transactions, {of['reads']:,}"
            f" snapshots read, {of['cuts']:,} links cut, {of['looked_up']:,} outcomes looked up, {of['set_back']} times"
            f" a number came again that no row had had, {of['collisions']} transactions met an exclusive moment (1213),"
            f" {of['taken_back']} swaps taken back\n"
            f"{of['by_themselves']} deadlocks in the hidden index of FULLTEXT, which need no migration\n"
            f"{of['relayed']} of the tables were relayed: {of['met_relay']} transactions got 1412 or 1213 of that\n"
            "features: " + ", ".join(f"{name} {number}" for name, number in self.features.most_common())
        )


@contextmanager
def a_server() -> Iterator[tuple[RunningServer, Account]]:
    """A server of its own, and the account that migrates."""
    with start(name="soak", options=["--innodb-buffer-pool-size=128M"]) as server, least_privileged(server) as dba:
        yield server, dba


def lives(server: RunningServer) -> bool:
    """True if it answers."""
    try:
        server.connect().close()
    except pymysql.err.OperationalError:
        return False
    return True


def dies_without_us(seed: int) -> bool:
    """True if the server does not survive this seed's application either when nobody migrates."""
    with a_server() as (server, dba):
        for _ in range(TRIES_WITHOUT):
            one(server, dba, seed, migrate=False)
            if not lives(server):
                return True
    return False


def soak(first: int, count: int, *, migrate: bool) -> int:
    """Run so many seeds, or until Ctrl-C; how many failed. A server that died is replaced."""
    result, waiting = Result(first), deque(range(first, first + count))
    try:
        while waiting:
            with a_server() as (server, dba):
                print(f"{server!r}: seeds from {waiting[0]}", flush=True)
                while waiting and lives(server):
                    seed = waiting.popleft()
                    told = one(server, dba, seed, migrate=migrate)
                    if told is None and not lives(server) and dies_without_us(seed):
                        result.dies(seed)
                    else:
                        result.add(seed, told)
    except KeyboardInterrupt:
        print("stopped")
    finally:
        print(f"\n{result}", flush=True)
    return len(result.failed)


def one(server: RunningServer, dba: Account, seed: int, *, migrate: bool) -> Told | None:
    """One seed; None if it ended with an error. Every fifth has its links cut; of ten one is taken back, one relayed."""
    try:
        with laboratory(server, dba) as lab:
            back, relayed, cut = migrate and seed % 10 == 3, seed % 10 == 7, seed % 5 == 0
            seconds = 0.3 if migrate else 1.5
            return run_trial(lab, seed, relayed=relayed, migrate=migrate, back=back, cut=cut, seconds=seconds)
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
