"""How large the next chunk is: rows for a target time, within a byte limit."""

from __future__ import annotations

from typing import Final

FIRST_ROWS: Final = 2_000
GROWTH: Final = 1.5
"""A chunk is at most so many times larger than the one before."""


class Pacer:
    """The chunk size of one worker. Growth is damped, a chunk that overran is followed by one that should fit."""

    def __init__(self, *, target_seconds: float, max_bytes: int, row_bytes: float) -> None:
        self._target_seconds = target_seconds
        self._most_rows = max(1, int(max_bytes / max(row_bytes, 1.0)))
        self.rows = min(FIRST_ROWS, self._most_rows)

    def learn(self, rows: int, seconds: float) -> None:
        """A chunk of so many rows took so long. A short last chunk of a range says nothing about a full one."""
        short = rows < self.rows / 2
        if short and seconds < self._target_seconds:
            return
        fits = max(rows * self._target_seconds / max(seconds, 0.001), self.rows / 4 if short else 1)
        self.rows = max(1, min(int(fits), int(self.rows * GROWTH) + 1, self._most_rows))
