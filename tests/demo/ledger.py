"""The comparison: every row of every table, as it must be, against every row as it is.

What must be there is what was there before (read by the client, all of it, before the application
started) with the application's own ledger laid over it. Nothing here asks the tool that is demonstrated,
nor the server to compare or to add anything up: rows are read by plain SELECT and digested in the client.

A row is kept as 28 bytes, a digest of its key and one of all its values, so that a million rows fit in
memory; without a key, the row is its own key, numbered where equal rows occur.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pymysql.cursors import SSCursor

from tests.demo.shapes import Account, Row, Shape, Value

if TYPE_CHECKING:
    from collections.abc import Set

KEY_BYTES: Final = 12
"""Of a digest: two of a million keys share one with a probability of 10^-17."""

PROCESSES: Final = 2
"""Reading a million rows is the client's work, and Python does it on one core a process."""

Snapshot = Mapping[str, "Set[bytes]"]
"""The digests of all rows, by `schema.table`."""

Owned = Mapping[Row, Row | None]
"""Rows of a table that the application answers for, by key; None where it knows that there is none."""

Ledger = Mapping[str, Owned]


@dataclass(frozen=True, slots=True)
class Difference:
    """How a table differs from what it must be: numbers of rows."""

    table: str
    rows: int
    """As they are."""
    missing: int
    extra: int
    different: int
    """The key is there, but another value is not what it must be."""

    @property
    def equal(self) -> bool:
        """True if the table is row for row and value for value what it must be."""
        return not (self.missing or self.extra or self.different)


def digest(key: Row, row: Row) -> bytes:
    """A row as 28 bytes."""
    # The repr of a tuple of bytes and None is different for different tuples, which joined bytes are not.
    return (
        blake2b(repr(key).encode(), digest_size=KEY_BYTES).digest()
        + blake2b(repr(row).encode(), digest_size=16).digest()
    )


def digests(shape: Shape, rows: Iterable[Row]) -> Iterator[bytes]:
    """The rows of a table as 28 bytes each."""
    if shape.key:
        for row in rows:
            yield digest(shape.key_of(row), row)
        return
    seen: Counter[bytes] = Counter()
    for row in rows:
        whole = digest(row, row)
        seen[whole] += 1
        yield digest((whole, str(seen[whole]).encode()), row)


def keyless_key(row: Row) -> Row:
    """The key in the ledger of a row without one, which no other row is equal to."""
    return (digest(row, row), b"1")


def rows_of(account: Account, shape: Shape) -> Iterator[Row]:
    """Every row, streamed, all in one consistent snapshot of the table."""
    with closing(account.connect(cursorclass=SSCursor)) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT {shape.column_list} FROM {shape.sql}", ())
        while rows := cursor.fetchmany(2000):
            yield from rows


def snapshot(account: Account, shapes: Iterable[Shape], *, processes: int = PROCESSES) -> dict[str, frozenset[bytes]]:
    """Every row of every table, read by the client; about 7 s for a million rows on two cores.

    Nothing may write meanwhile: each table is a snapshot of its own.
    """
    wanted = list(shapes)
    if processes == 1:
        return {shape.table: _read(account, shape) for shape in wanted}
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        read = pool.map(_read, [account] * len(wanted), wanted)
        return {shape.table: rows for shape, rows in zip(wanted, read, strict=True)}


def expected(before: Set[bytes], owned: Owned) -> frozenset[bytes]:
    """What must be there: the rows from before that the ledger says nothing of, and those that it knows."""
    touched = {digest(key, ())[:KEY_BYTES] for key in owned}
    untouched = (item for item in before if item[:KEY_BYTES] not in touched)
    return frozenset(untouched) | {digest(key, row) for key, row in owned.items() if row is not None}


def compare(table: str, must: Set[bytes], now: Set[bytes]) -> Difference:
    """Row for row, value for value."""
    lost, found = must - now, now - must
    lost_keys, found_keys = ({item[:KEY_BYTES] for item in side} for side in (lost, found))
    different = len(lost_keys & found_keys)
    return Difference(table, len(now), len(lost) - different, len(found) - different, different)


def compare_all(before: Snapshot, ledger: Ledger, now: Snapshot) -> tuple[Difference, ...]:
    """Each table of either snapshot; one that is gone has all its rows missing."""
    nothing: frozenset[bytes] = frozenset()
    return tuple(
        compare(table, expected(before.get(table, nothing), ledger.get(table, {})), now.get(table, nothing))
        for table in sorted({*before, *now})
    )


def write(path: Path, ledger: Ledger) -> None:
    """The ledger as JSON lines, one row a line, values in hexadecimal; readable by its owner only."""
    path.touch(mode=0o600)
    with path.open("w", encoding="utf-8") as file:
        for table, owned in ledger.items():
            for key, row in owned.items():
                line = {"table": table, "key": _hex(key), "row": None if row is None else _hex(row)}
                file.write(json.dumps(line) + "\n")


def read(path: Path) -> Ledger:
    """The ledger that `write` wrote."""
    ledger: dict[str, dict[Row, Row | None]] = {}
    with path.open(encoding="utf-8") as file:
        for text in file:
            line = json.loads(text)
            row = line["row"]
            ledger.setdefault(line["table"], {})[_unhex(line["key"])] = None if row is None else _unhex(row)
    return ledger


def _read(account: Account, shape: Shape) -> frozenset[bytes]:
    return frozenset(digests(shape, rows_of(account, shape)))


def _hex(row: Row) -> list[str | None]:
    return [None if value is None else value.hex() for value in row]


def _unhex(values: Iterable[str | None]) -> Row:
    return tuple(_from_hex(value) for value in values)


def _from_hex(value: str | None) -> Value:
    return None if value is None else bytes.fromhex(value)
