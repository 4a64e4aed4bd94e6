"""The steps of a run: one after the other, and copies of small tables side by side.

What a small table takes is DDL, waiting for the disk, and waiting for older transactions: several at a time take
little more than one. A large table has the workers to itself. What is next is what fits in the time that is left.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from migrator.engine.aside import take_up
from migrator.engine.course import Course
from migrator.engine.outcomes import outcome_of
from migrator.engine.steps import Run, do_step
from migrator.engine.work import side_by_side
from migrator.errors import MigratorError
from migrator.planner.harden import comes_last
from migrator.planner.order import groups, run_order
from migrator.planner.plan import Step
from migrator.planner.schedule import Took, next_of
from migrator.report.values import StepOutcome
from migrator.sql_errors import SqlError

_UNDONE: Final = frozenset({"failed", "person", "given-up", "stopped", "left"})


def all_steps(run: Run, course: Course) -> list[StepOutcome]:
    """Do every step; gives their outcomes in the order of the run. After a stop, or without a server, the rest is left.

    What the end of a window has stopped is gone on with in the next one, where the run may wait for it. Raises what
    ends the run, as `do_step` does.
    """
    steps = run_order(run.plan.steps, run.plan.defaults.order)
    outcomes: dict[str, StepOutcome] = {}
    last = tuple(step for step in steps if comes_last(step))
    todo = tuple(step for step in steps if step not in last)
    while True:
        outcomes |= _round(run, todo, course)
        left = [step for step in todo if outcomes[step.name].outcome in {"stopped", "left"}]
        todo = tuple(step for step in left if course.may_begin(step))
        if not todo or not course.goes_on(run):
            break
    outcomes |= {step.name: _last(run, step, course, outcomes.values()) for step in last}
    return [outcomes[step.name] for step in steps]


def _last(run: Run, step: Step, course: Course, others: Iterable[StepOutcome]) -> StepOutcome:
    """Done when everything else of the plan is, and not before."""
    if step.changes_something and any(one.outcome in _UNDONE for one in others):
        return outcome_of(step, "left", message="not begun: it comes when all other steps are done")
    return _one(run, step, course)


def _round(run: Run, todo: Sequence[Step], course: Course) -> dict[str, StepOutcome]:
    """Every step that waits, once: begun, or left."""
    outcomes: dict[str, StepOutcome] = {}
    at_once = run.plan.defaults.small_tables_at_once
    run.aside.clear()
    if sum(step.changes_something for step in todo) > 1:
        run.aside.others_follow()
    waiting = list(groups(todo, at_once))
    while waiting:
        fits = next_of([_shortest(group, course.took) for group in waiting], run.bounds.time())
        group = waiting.pop(fits or 0)
        if len(group) == 1:
            outcomes[group[0].name] = _one(run, group[0], course)
        else:
            outcomes |= _side_by_side(run, group, course, lanes=min(at_once, len(group)))
    outcomes = take_up(run, outcomes, lambda step: _done(run, step, course))
    for put in run.aside.waiting():
        course.ended(outcomes[put.step.name], is_connected=True)
    return outcomes


def _shortest(group: Sequence[Step], took: Mapping[str, Took]) -> Took | None:
    known = [took.get(step.name) for step in group]
    return min((one for one in known if one is not None), key=lambda one: one.seconds) if all(known) else None


def _side_by_side(run: Run, group: Sequence[Step], course: Course, *, lanes: int) -> dict[str, StepOutcome]:
    """Each lane takes the next step that none has taken, with a session of its own for what the run's own does.

    Where the smallest are first, every other lane begins at the far end: small tables are DDL and wait for the disk,
    large ones are rows and want the processor. Any other order is somebody's wish.
    """
    waiting = deque(group)
    takes = [waiting.popleft, waiting.pop if run.plan.defaults.order == "smallest-first" else waiting.popleft]
    outcomes: dict[str, StepOutcome] = {}

    def lane(take: Callable[[], Step], ending: threading.Event) -> None:
        with run.sessions.borrow() as session:
            own = replace(run, session=session)
            while waiting and not ending.is_set():
                try:
                    step = take()
                except IndexError:
                    return  # another lane was faster
                outcomes[step.name] = _one(own, step if step.workers else _with_one_worker(step), course)

    if not run.bounds.over():
        run.facts.read_ahead(run.session, [step.table for step in group if step.table is not None])
    # Before each group, so also where an earlier one could not set it back; a run that dies leaves it to the next.
    tables = [step.table for step in group if step.table is not None]
    # Where nothing is left to do, nothing is defined either: `apply` once more leaves the server as it is.
    to_do = not all(map(run.facts.is_encrypted, tables))
    if to_do:
        _encrypt_new_tables(run, encrypt=not run.bounds.over() and all(map(run.facts.has_its_own_file, tables)))
    try:
        side_by_side([partial(lane, takes[n % 2]) for n in range(lanes)])
    finally:
        if to_do:
            _encrypt_new_tables(run, encrypt=False)
    return outcomes


def _encrypt_new_tables(run: Run, *, encrypt: bool) -> None:
    """See `Journal.encrypt_new_tables`. What goes wrong is met by whoever works next; nobody relies on this."""
    try:
        with run.sessions.borrow() as session:
            run.journal.encrypt_new_tables(session, encrypt=encrypt)
    except (SqlError, MigratorError):
        return


def _with_one_worker(step: Step) -> Step:
    return step.model_copy(update={"workers": 1})


def _one(run: Run, step: Step, course: Course) -> StepOutcome:
    if step.changes_something and (why_not := course.begins(step)):
        return outcome_of(step, "left", message=why_not, in_clear=True)
    return _done(run, step, course)


def _done(run: Run, step: Step, course: Course) -> StepOutcome:
    """Begun or gone on with, whether or not others may be begun."""
    outcome = do_step(run, step)
    if not run.aside.has(step):
        course.ended(outcome, is_connected=connected(run))
    return outcome


def connected(run: Run) -> bool:
    """False if the run has no connection any more, and its last step could not get one."""
    try:
        run.session.run("DO 1")
    except SqlError as error:
        return not error.link_lost
    return True
