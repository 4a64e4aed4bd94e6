"""Ranges become smaller towards the end, so that nobody is left with the tail, and are few."""

from __future__ import annotations

import pytest

from migrator.engine.ranges import FEWEST_ROWS, MOST_ROWS, rows_of_next


def ranges_of(rows: int, workers: int, *, expected: int | None = None) -> list[int]:
    """The ranges of a table."""
    found: list[int] = []
    while sum(found) < rows:
        found.append(rows_of_next(rows if expected is None else expected, sum(found), workers))
    return found


@pytest.mark.parametrize("workers", [1, 2, 4, 16])
@pytest.mark.parametrize("rows", [1, 9_999, 500_000, 2_000_000, 3_000_000])
def test_ranges_are_few_and_the_last_ones_small(rows: int, workers: int) -> None:
    """About four for each worker; the last is an eighth of a worker's share at most, or as small as any may be."""
    found = ranges_of(rows, workers)
    assert len(found) <= 4 * workers + rows // MOST_ROWS
    assert found == sorted(found, reverse=True)
    assert found[-1] <= max(FEWEST_ROWS, rows // workers // 8)


def test_a_large_table_has_ranges_of_one_size_until_its_end() -> None:
    """Whatever the number of rows: a range is bounded, since it is walked before it can be copied."""
    found = ranges_of(200_000_000, 4)
    assert max(found) == found[300] == MOST_ROWS


def test_statistics_that_know_of_no_row_do_not_make_ranges_without_rows() -> None:
    """Where the table is larger than the server thinks."""
    assert set(ranges_of(100_000, 4, expected=0)) == {FEWEST_ROWS}
    assert min(ranges_of(100_000, 4, expected=50_000)) == FEWEST_ROWS
