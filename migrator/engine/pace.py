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
        self._ever = self._most_rows
        self.rows = min(FIRST_ROWS, self._most_rows)

    def too_large(self, rows: int) -> bool:
        """The server refused a transaction of so many rows; False if it cannot be smaller.

        From then on chunks stay below that, and may grow slowly: rows differ, elsewhere in the table they are smaller.
        """
        self._most_rows = max(1, rows * 3 // 4)
        self.rows = max(1, rows // 2)
        return rows > 1

    def aim(self, target_seconds: float) -> None:
        """From now on a chunk should take so long."""
        if target_seconds < self._target_seconds:
            self.rows = max(1, int(self.rows * target_seconds / self._target_seconds))
        self._target_seconds = target_seconds

    def learn(self, rows: int, seconds: float) -> None:
        """A chunk of so many rows took so long. A short last chunk of a range says nothing about a full one."""
        self._most_rows = min(self._ever, self._most_rows + self._most_rows // 32 + 1)
        short = rows < self.rows / 2
        if short and seconds < self._target_seconds:
            return
        fits = max(rows * self._target_seconds / max(seconds, 0.001), self.rows / 4 if short else 1)
        self.rows = max(1, min(int(fits), int(self.rows * GROWTH) + 1, self._most_rows))
