"""A case, round by round: each contestant begins with the same data, and is proved to have done its work."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pymysql

from tests.bench.cases import Case
from tests.bench.contestants import Contestant
from tests.bench.proof import NotDone, contents, encrypted_bytes, same_contents
from tests.bench.results import Turn
from tests.bench.stand import Stand

T = TypeVar("T")


def rotated(names: Sequence[T], round_no: int) -> list[T]:
    """The order in a round (from 1 on): who was first goes to the end of the next one."""
    first = (round_no - 1) % len(names) if names else 0
    return [*names[first:], *names[:first]]


def turns(
    stand: Stand, case: Case, contestants: Mapping[str, Contestant], folder: Path, *, scale: float, rounds: int
) -> Iterator[Turn]:
    """Prepare the case and let the contestants have their turns, each given as soon as it is over."""
    tables = case.tables(scale)
    stand.prepare(case.letter, tables)
    taking_part = [name for name in case.contestants if name in contestants]
    names, rows = [table.name for table in tables], sum(table.rows for table in tables)
    for round_no in range(1, rounds + 1):
        for name in rotated(taking_part, round_no):
            left = folder / f"{case.letter}-{round_no}-{name.replace(', ', '-').replace(' ', '-')}"
            turn = Turn(case.letter, name, round_no, rows, len(names))
            yield _turn(stand, turn, names, contestants[name], left)
    stand.drop(case.letter)


def _turn(stand: Stand, turn: Turn, tables: Sequence[str], contestant: Contestant, folder: Path) -> Turn:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    stand.begin(turn.case)
    before = contents(stand.server, tables)
    used = stand.cpu_seconds()
    try:
        effort = contestant(stand, tables, folder)
        used = stand.cpu_seconds() - used
        file_bytes = encrypted_bytes(stand.server, tables)
        same_contents(before, contents(stand.server, tables))
    except (NotDone, pymysql.err.MySQLError) as error:
        return replace(turn, failed=str(error) or type(error).__name__)
    return replace(turn, effort=effort, server_cpu_seconds=used, file_bytes=file_bytes)
