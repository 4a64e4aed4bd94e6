"""Everything that can go wrong, in one tree, with the exit code that a scheduler sees.

    MigratorError                70 if nothing below fits: a bug of ours
    ├── UsageError                2 the command, the plan or an option is wrong; nothing was touched
    │   ├── PlanInvalid           2 file, line, what is wrong, remedy
    │   └── PlanDrifted           2 the server is not the one that was reviewed
    ├── Refused                   3 a safety gate said no; nothing was touched
    ├── Failed                    3 the source is intact, running again is safe
    │   ├── ServerUnreachable     3
    │   ├── MissingPrivilege      3 names the privilege and the GRANT
    │   ├── SourceChanged         3 TRUNCATE or DDL on the source, triggers gone: the copy is void
    │   ├── Mismatch              3 verification found a difference; no swap
    │   ├── UniqueValuesMove      3 a unique value stood in the copy twice at each try
    │   └── LogOverflow           3 the backlog passed its bound; the step was given up
    ├── OwnerUnknown              4 a person must look: a name is not provably ours
    ├── Altered                   4 a person must look: a conversion changed more than the engine
    ├── Stopped                  75 stopped before the end: run again later
    │   ├── OutsideWindow        75 the maintenance window or the budget has ended
    │   ├── LeaseHeld            75 another run is at work
    │   ├── LeaseLost            75 another run took over while this one slept
    │   └── PutAside             75 one step lets others go first; the run takes it up again, and it ends no run
    └── Interrupted  129 / 130 / 143 SIGHUP, SIGINT or SIGTERM; safe to run again

Exit code 0 is done; 1 is done, but something was refused, left or is in clear: not an error, so not here.
Each message says what happened, in what state the table is, and `remedy` says what to do next.
"""

from __future__ import annotations

from typing import ClassVar


class MigratorError(Exception):
    """Base of all; by itself a bug of ours."""

    exit_code: ClassVar[int] = 70

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class UsageError(MigratorError):
    """The command line, the plan or an option is wrong; nothing was touched."""

    exit_code = 2


class PlanInvalid(UsageError):
    """The plan file cannot be used: says file, line, what is wrong and the remedy."""


class PlanDrifted(UsageError):
    """The server's facts are no longer those that were reviewed."""


class Refused(MigratorError):
    """A safety gate said no before anything was touched."""

    exit_code = 3


class Failed(MigratorError):
    """Something failed; the source is intact and running again is safe."""

    exit_code = 3


class ServerUnreachable(Failed):
    """No usable connection to the server; `answered` if there is one, which did not let us in."""

    def __init__(self, message: str, *, remedy: str = "", answered: bool = False) -> None:
        super().__init__(message, remedy=remedy)
        self.answered = answered


class MissingPrivilege(Failed):
    """A right is missing; the message names it, the remedy is the GRANT."""


class SourceChanged(Failed):
    """The source was truncated or altered, or our triggers are not as we made them: the copy is void."""


class Mismatch(Failed):
    """Source and shadow differ where they must be equal; nothing was swapped."""


class UniqueValuesMove(Failed):
    """A unique index could not be built: whenever it was tried, the copy held one of its values twice."""


class LogOverflow(Failed):
    """The backlog of changes passed its bound; the step was given up and its triggers removed."""


class OwnerUnknown(MigratorError):
    """A name is held by something that the journal does not prove to be ours: a person must look."""

    exit_code = 4


class Altered(MigratorError):
    """A table is not what it was before its conversion, and there is no way back: a person must look."""

    exit_code = 4


class Stopped(MigratorError):
    """Stopped at a safe point; run again later."""

    exit_code = 75


class OutsideWindow(Stopped):
    """The maintenance window, or the budget of this call, has ended or leaves too little time."""


class LeaseHeld(Stopped):
    """Another run is at work on this server."""


class LeaseLost(Stopped):
    """Another run took this one's lease over; this one must change nothing more."""


class PutAside(Stopped):
    """A step waits for too long, or for a person's word, and lets others go first. Nothing of it is lost."""

    def __init__(self, message: str, *, what: str = "", seconds: float = 0.0, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.what = what
        """What was waited for; '' for a person's word."""
        self.seconds = seconds
        """For how long, in all turns of the step."""


class Interrupted(MigratorError):
    """SIGHUP, SIGINT or SIGTERM; stopped at a safe point, run again to go on."""

    exit_code = 130

    def __init__(self, message: str, *, signal_number: int) -> None:
        super().__init__(message, remedy="run the same command again; it goes on where it stopped")
        self.signal_number = signal_number

    @property
    def signal_exit_code(self) -> int:
        """128 + the signal, as shells count."""
        return 128 + self.signal_number
