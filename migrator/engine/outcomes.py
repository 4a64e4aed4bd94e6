"""What became of a step: kept from its events while it is done, asked of the journal when it went wrong."""

from __future__ import annotations

from typing import Final, Literal

from migrator.db import Session
from migrator.engine.journal import Journal
from migrator.errors import Failed, MigratorError, MissingPrivilege
from migrator.events import ChunkVerified, Event, Evicted, Listener, Moment, Retained
from migrator.model import Blocker
from migrator.planner.harden import comes_last
from migrator.planner.plan import Step
from migrator.report.values import ExclusiveMoment, Leftover, Outcomes, RetainedTable, StepOutcome
from migrator.sql.names import retained_of
from migrator.sql_errors import SqlError

_TRIGGER_NOT_STORED: Final = 3507
"""Its copy of a trigger's text is cut by a byte for each doubled backtick, perhaps within a letter (seen on 9.7.4)."""

_DENIED: Final = frozenset({1044, 1045, 1142, 1143, 1227, 1370, 1419})


class Seen:
    """A listener that keeps what the events of one step said for its outcome, and passes them on."""

    def __init__(self, step: Step, listen: Listener) -> None:
        self._step = step
        self._listen = listen
        self.rows = 0
        self.moments: list[ExclusiveMoment] = []
        self.retained: RetainedTable | None = None
        self.evicted: list[Blocker] = []

    def __call__(self, event: Event) -> None:
        """Keep, and pass on."""
        match event:
            case ChunkVerified():
                self.rows = event.rows_done
            case Moment():
                self.moments.append(
                    ExclusiveMoment(event.purpose, event.tries, event.waited_seconds, event.held_seconds)
                )
            case Evicted():
                self.evicted.append(event.blocker)
            case Retained():
                assert self._step.table is not None  # noqa: S101 - only tables are retained
                size = self._step.facts.data_bytes + self._step.facts.index_bytes
                self.retained = RetainedTable(retained_of(self._step.table), event.until, size, event.current_until)
            case _:
                pass
        self._listen(event)


def outcome_of(
    step: Step, outcome: Outcomes, *, message: str = "", remedy: str = "", in_clear: bool = False
) -> StepOutcome:
    """What became of a step, in so many words. Where only a check of privileges is off, nothing lies in clear."""
    in_clear = in_clear and not comes_last(step)
    size = step.facts.data_bytes + step.facts.index_bytes
    return StepOutcome(
        step.name, step.method, outcome, size_bytes=size, message=message, remedy=remedy, in_clear=in_clear
    )


def told(error: SqlError, name: str) -> MigratorError:
    """An error of the server in words that help."""
    if error.number in _DENIED:
        return MissingPrivilege(
            f"{name}: {error.text}", remedy="grant what is missing (docs/privileges.md) and apply again"
        )
    if error.number == _TRIGGER_NOT_STORED:
        return Failed(
            f"{name}: the server cannot store our triggers: its name or a column's holds a backtick beside a letter"
            " outside of ASCII",
            remedy="cleanup --abandon it, and rename that column or table; nothing was changed on the source",
        )
    return Failed(f"{name}: {error}", remedy="apply again to go on; the work done so far is kept")


def leftovers(session: Session, journal: Journal, step: Step) -> tuple[Leftover, ...]:
    """What the journal says there is of a step that did not end well; nothing where it cannot be asked any more."""
    try:
        return _noted_leftovers(session, journal, step)
    except SqlError:
        return ()


def _noted_leftovers(session: Session, journal: Journal, step: Step) -> tuple[Leftover, ...]:
    if step.table is None:
        return ()
    open_step = journal.open_step(session, step.table)
    if open_step is None:
        return ()
    kinds: dict[str, Literal["trigger", "shadow", "log", "retained", "tablespace"]] = {
        "trigger": "trigger",
        "shadow": "shadow",
        "log": "log",
        "retained": "retained",
        "tablespace": "tablespace",
    }
    owned = journal.owned(session, open_step.id)
    return tuple(Leftover(kinds[one.kind], one.name) for one in owned if one.kind in kinds)
