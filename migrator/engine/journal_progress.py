"""The journal's progress: how much was done when, and what kept the run from it; and what a run did not do.

For `report` alone. Bounded: what a campaign of weeks leaves is no larger than what one of days does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from migrator.db import Session
from migrator.report.values import StepOutcome

SAMPLE_SECONDS: Final = 60
"""One sample a minute, until there are too many."""

MOST_SAMPLES: Final = 2000
"""Then two neighbours become one, again and again, until half of so many are left: of a run of a month one sample
every hour or half hour. The sums stay what they were."""

MOST_REASONS: Final = 200
_AT_ONCE: Final = 200
_MOST_SUBJECT: Final = 333


@dataclass(frozen=True, slots=True)
class Sample:
    """What was done in a span of time, and what it was spent on instead, in seconds."""

    seconds: float
    rows_copied: int = 0
    rows_compared: int = 0
    paused: float = 0.0
    """A person had asked for it."""
    held: float = 0.0
    """Nothing was begun: a limit was exceeded."""
    slowed: float = 0.0
    """Less was done at a time."""
    closed: float = 0.0
    """Outside of the plan's windows."""
    reason: str = ""
    """The signal by which it was held or slowed for the longest."""

    @property
    def is_empty(self) -> bool:
        """True if nothing was done, and nothing kept the run from it."""
        return not (self.rows_copied or self.rows_compared or self.paused or self.held or self.slowed or self.closed)


class JournalProgress:
    """The part of `Journal` about progress, and about what was not done."""

    _at: str
    """The schema, quoted."""

    def sample_every(self, session: Session) -> tuple[int, int]:
        """How many samples there are, and how many seconds apart they are now."""
        row = session.row(f"SELECT COUNT(*), COALESCE(MAX(every), 0) FROM {self._at}.progress")
        many, every = row or (0, 0)
        return int(many), max(int(every), SAMPLE_SECONDS)

    def note_progress(self, session: Session, run_id: str, every: int, sample: Sample) -> None:
        """One row. Row locks only; waits 3 s at most (innodb_lock_wait_timeout of our sessions)."""
        session.run(
            f"INSERT INTO {self._at}.progress (run_id, at, every, seconds, rows_copied, rows_compared, paused, held,"
            " slowed, closed, reason) VALUES (%s, UTC_TIMESTAMP(6), %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                run_id,
                every,
                sample.seconds,
                sample.rows_copied,
                sample.rows_compared,
                sample.paused,
                sample.held,
                sample.slowed,
                sample.closed,
                sample.reason[:MOST_REASONS],
            ),
        )

    def thin_progress(self, session: Session, *, most: int = MOST_SAMPLES) -> int:
        """Put neighbours together until half of `most` are left; gives how many seconds they are apart now.

        One transaction, of our own rows alone. Safe to repeat; nothing is lost but the resolution.
        """

        def thin(at: Session) -> int:
            many, every = self.sample_every(at)
            while many > most // 2:
                every *= 2
                last = int(at.value(f"SELECT MAX(id) FROM {self._at}.progress"))
                at.run(
                    f"INSERT INTO {self._at}.progress (run_id, at, every, seconds, rows_copied, rows_compared, paused,"
                    " held, slowed, closed, reason)"
                    " SELECT MAX(run_id), MAX(at), %s, SUM(seconds), SUM(rows_copied), SUM(rows_compared), SUM(paused),"
                    f" SUM(held), SUM(slowed), SUM(closed), MAX(reason) FROM {self._at}.progress WHERE id <= %s"
                    " GROUP BY FLOOR(UNIX_TIMESTAMP(at) / %s)",
                    (every, last, every),
                )
                at.run(f"DELETE FROM {self._at}.progress WHERE id <= %s", (last,))
                many, _ = self.sample_every(at)
            return every

        return session.transaction(thin, attempts=2)

    def note_outcomes(self, session: Session, run_id: str, outcomes: Iterable[StepOutcome]) -> None:
        """What a run did not do, and why, in place of what the run before it did not do. One transaction."""
        rows = [(one.subject[:_MOST_SUBJECT], str(one.method), one.outcome, one.message) for one in outcomes]

        def note(at: Session) -> None:
            at.run(f"DELETE FROM {self._at}.outcomes")
            for first in range(0, len(rows), _AT_ONCE):
                some = rows[first : first + _AT_ONCE]
                at.run(
                    f"INSERT INTO {self._at}.outcomes (run_id, subject, method, outcome, message, at) VALUES "
                    + ", ".join(["(%s, %s, %s, %s, %s, UTC_TIMESTAMP(6))"] * len(some)),
                    [value for row in some for value in (run_id, *row)],
                )

        session.transaction(note, attempts=2)
