"""Chunks fit the time and the size that they are given, and what says nothing about them changes nothing."""

from __future__ import annotations

from migrator.engine.pace import FIRST_ROWS, Pacer


def a_pacer(*, max_bytes: int = 10**9) -> Pacer:
    return Pacer(target_seconds=0.5, max_bytes=max_bytes, row_bytes=100.0)


def test_chunks_grow_step_by_step_to_what_fits() -> None:
    """By half at most, and never beyond the size."""
    pacer = a_pacer(max_bytes=400_000)
    seen = []
    for _ in range(6):
        pacer.learn(pacer.rows, 0.01)
        seen.append(pacer.rows)
    assert seen[:3] == [3001, 4000, 4000]
    assert a_pacer(max_bytes=1000).rows == 10


def test_a_chunk_that_overran_is_followed_by_one_that_fits() -> None:
    """However much it overran."""
    pacer = a_pacer()
    pacer.learn(FIRST_ROWS, 50.0)
    assert pacer.rows == FIRST_ROWS // 100


def test_the_short_end_of_a_range_says_little() -> None:
    """Nothing if it was quick; and one that met a stall, perhaps of no row, makes the next a quarter at least."""
    pacer = a_pacer()
    pacer.learn(3, 0.01)
    assert pacer.rows == FIRST_ROWS
    pacer.learn(0, 5.0)
    assert pacer.rows == FIRST_ROWS // 4


def test_a_chunk_that_was_too_large_is_halved_and_grows_slowly() -> None:
    """Down to one row, and no further; the place of the refusal is not met again at the next chunk."""
    pacer = Pacer(target_seconds=10.0, max_bytes=1_000_000, row_bytes=100)
    assert pacer.rows == 2_000
    assert pacer.too_large(2_000)
    assert pacer.rows == 1_000
    seen = []
    for _ in range(6):
        pacer.learn(pacer.rows, 0.01)
        seen.append(pacer.rows)
    assert max(seen) < 2_000
    assert pacer.too_large(2)
    assert pacer.rows == 1
    assert not pacer.too_large(1)
