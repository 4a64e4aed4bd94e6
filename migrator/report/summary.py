"""The end of `apply`: what was done, what is left, what is still in clear, and what to do next. Pure."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable
from typing import Final

from migrator.model import TableName
from migrator.report.blocks import Block, Code, Grid, Heading, Items, Paragraph, as_text, left, right, wrapping
from migrator.report.documents import as_json
from migrator.report.findings import blocker_line
from migrator.report.values import ExclusiveMoment, Leftover, Outcome, RetainedTable, StepOutcome, ThrottledFor
from migrator.report.words import about, count, duration, milliseconds
from migrator.sql.names import qualified

_ORDER: Final = ("done", "skipped", "refused", "failed", "given-up", "person", "stopped", "left")
_NOT_DONE: Final = frozenset({"failed", "given-up", "stopped", "left"})

_BY_HAND: Final = (
    "Logs from before they were encrypted are still there, in clear. When no replica and no backup needs the old binary"
    " logs, and each undo tablespace when no transaction needs it any more:"
)

_REMOVAL: Final = ("trigger", "shadow", "log", "tablespace", "retained")
"""The order of removal: triggers first, since without shadow or log they break every write to the table."""


def summary_text(outcome: Outcome, plan: str) -> str:
    """The summary for a terminal; `plan` is the plan's name as it was given."""
    return as_text(_blocks(outcome, plan))


def summary_json(outcome: Outcome) -> str:
    """The summary for programs."""
    return as_json("summary", outcome)


def _blocks(outcome: Outcome, plan: str) -> list[Block]:
    by_outcome = Counter(s.outcome for s in outcome.steps)
    counts = ", ".join(f"{count(by_outcome[o])} {o}" for o in _ORDER if by_outcome[o] or o in {"done", "failed"})
    run = f"Run {outcome.run_id}" if outcome.run_id else "The run"
    stopped = f" Ended early: {outcome.stopped_by}." if outcome.stopped_by else ""
    blocks: list[Block] = [
        Heading("Summary", 1),
        Paragraph(f"{run}: {counts}, in {duration(outcome.seconds)}.{stopped}"),
    ]
    worked = [s for s in outcome.steps if s.outcome not in {"skipped", "refused", "left"}]
    if worked:
        columns = [wrapping("subject"), left("method"), left("outcome"), right("rows"), right("size"), right("took")]
        expected = [s for s in worked if s.expected_seconds is not None]
        if expected:
            columns.append(right("expected"))
        rows = tuple(_worked(s, say_expected=bool(expected)) for s in worked)
        blocks += [Heading("What was worked on"), Grid(tuple(columns), rows), *_of_expected(expected)]
    blocks += _throttled(outcome.throttled)
    blocks += _reasons(outcome.steps)
    blocks += _moments(outcome.steps)
    ended = tuple(f"for {s.subject}: {blocker_line(one)}" for s in outcome.steps for one in s.evicted)
    if ended:
        blocks += [Heading("Sessions that were ended"), Items(ended)]
    retained = [s.retained for s in outcome.steps if s.retained is not None]
    if retained:
        blocks += [Heading("Retained"), retained_grid(retained), *rollback_notes(retained)]
    in_clear = [s for s in outcome.steps if s.in_clear]
    if in_clear:
        lines = tuple(f"{s.subject} ({s.outcome})" for s in in_clear)
        blocks += [Heading("Still in clear"), Items(lines)]
    leftovers = tuple(leftover for s in outcome.steps for leftover in s.leftovers)
    if outcome.exit_code == 4 or (outcome.exit_code == 3 and leftovers):
        blocks += _way_out(outcome.exit_code, leftovers)
    elif outcome.exit_code == 3:
        blocks.append(Paragraph("Nothing that was made for the failed steps is left on the server."))
    if outcome.by_hand:
        blocks += [Heading("By hand"), Paragraph(_BY_HAND), Code("\n".join(_ended(line) for line in outcome.by_hand))]
    blocks += [Heading("Next"), Items(_next(outcome, plan))]
    return blocks


def _ended(line: str) -> str:
    statement, dashes, remark = line.partition("  -- ")
    return f"{statement};{dashes}{remark}"


def retained_grid(retained: Iterable[RetainedTable]) -> Grid:
    """The old tables that are kept, in clear, and until when; and whether the swap can be taken back."""
    tables = tuple(retained)
    columns = (wrapping("retained table, in clear"), left("until"), right("size"))
    rows = tuple((str(r.name), r.until, about(r.size_bytes) if r.size_bytes else "") for r in tables)
    if not any(r.current_until for r in tables):
        return Grid(columns, rows)
    can = (_until_when(r) for r in tables)
    return Grid(
        (*columns, wrapping("rollback until")), tuple((*row, word) for row, word in zip(rows, can, strict=True))
    )


def _until_when(retained: RetainedTable) -> str:
    if retained.no_rollback:
        return f"NO: {retained.no_rollback}"
    return retained.current_until + (" (over)" if retained.rollback_is_over else "") or "no"


def rollback_notes(retained: Iterable[RetainedTable]) -> list[Block]:
    """What it means that retained tables are kept current, and how to end it."""
    kept = [r for r in retained if r.current_until]
    if not kept:
        return []
    blocks: list[Block] = [
        Paragraph(
            "Tables that can be rolled back have triggers that write each change to the old table, too. Before you"
            " alter such a table, end that: migrator rollback TABLE --forget (its triggers go, the old table stays)."
        )
    ]
    if any(r.no_rollback for r in kept):
        blocks.append(
            Paragraph("NO: the triggers only cost time now. migrator rollback TABLE --forget takes them off.", "bad")
        )
    if over := [str(r.name) for r in kept if r.rollback_is_over]:
        blocks.append(
            Paragraph(
                f"Over: the time for a rollback has passed, and each change is still written twice, also to"
                f" {', '.join(over)}. migrator cleanup takes the triggers off; so does the next apply.",
                "bad",
            )
        )
    return blocks


def _worked(step: StepOutcome, *, say_expected: bool) -> tuple[str, ...]:
    size = about(step.size_bytes) if step.size_bytes else ""
    rows = count(step.rows) if step.rows else ""
    took = (step.subject, str(step.method), step.outcome, rows, size, duration(step.seconds))
    expected = "" if step.expected_seconds is None else duration(step.expected_seconds)
    return (*took, expected) if say_expected else took


def _of_expected(expected: Iterable[StepOutcome]) -> list[Block]:
    """How good the estimates were, of what was done."""
    done = [s for s in expected if s.outcome == "done" and s.expected_seconds]
    if not done:
        return []
    took, said = sum(s.seconds for s in done), sum(s.expected_seconds or 0.0 for s in done)
    return [
        Paragraph(f"What was done took {duration(took)} where {duration(said)} were expected: {took / said:.2f} of it.")
    ]


def _throttled(throttled: Iterable[ThrottledFor]) -> list[Block]:
    """By what the run was held or slowed, and for how long."""
    rows = tuple((one.signal, duration(one.held_seconds), duration(one.slowed_seconds)) for one in throttled)
    if not rows:
        return []
    return [Heading("Throttled"), Grid((wrapping("by"), right("nothing begun for"), right("slowed for")), rows)]


def _reasons(steps: Iterable[StepOutcome]) -> list[Block]:
    lines = []
    for step in steps:
        if step.message and step.outcome not in {"done", "skipped"}:
            remedy = f" Remedy: {step.remedy.rstrip('.')}." if step.remedy else ""
            lines.append(f"{step.subject} ({step.outcome}): {step.message.rstrip('.')}.{remedy}")
    return [Heading("Why not"), Items(tuple(lines))] if lines else []


def _moments(steps: Iterable[StepOutcome]) -> list[Block]:
    rows = tuple(
        (s.subject, m.purpose, count(m.tries), duration(m.waited_seconds), _held(m)) for s in steps for m in s.moments
    )
    if not rows:
        return []
    columns = (wrapping("exclusive moment"), wrapping("purpose"), right("tries"), right("waited"), right("held"))
    measured = [m.held_seconds for s in steps for m in s.moments if m.held_seconds is not None]
    blocks: list[Block] = [Heading("Exclusive moments"), Grid(columns, rows)]
    if measured:
        blocks.append(Paragraph(f"No table was held for longer than {milliseconds(max(measured))} at a time."))
    if len(measured) < len(rows):
        online = "Online DDL has its tables for itself when it begins and when it ends; how long is not measured."
        blocks.append(Paragraph(online))
    return blocks


def _held(moment: ExclusiveMoment) -> str:
    return "online" if moment.held_seconds is None else milliseconds(moment.held_seconds)


def _next(outcome: Outcome, plan: str) -> tuple[str, ...]:
    lines = []
    if any(s.outcome == "person" for s in outcome.steps) or outcome.exit_code == 4:
        lines.append("look at the steps marked `person` before anything is run again")
    if any(s.outcome in _NOT_DONE for s in outcome.steps):
        lines.append(f"migrator apply {shlex.quote(plan)}   goes on where this run ended")
    lines.append("migrator verify   proves what is encrypted now")
    deadlines = sorted(s.retained.until for s in outcome.steps if s.retained is not None)
    if deadlines:
        lines.append(f"migrator cleanup   removes the retained tables when their time has come, from {deadlines[0]} on")
    return tuple(lines)


# -- the manual way out -----------------------------------------------------------------------


def way_out(exit_code: int, leftovers: tuple[Leftover, ...] = ()) -> str:
    """How a person takes off by hand what a run left: for exit codes 3 and 4, also where no summary is possible."""
    return as_text(_way_out(exit_code, leftovers))


def _way_out(exit_code: int, leftovers: tuple[Leftover, ...]) -> list[Block]:
    there = sorted(leftovers, key=lambda o: (_REMOVAL.index(o.kind), o.name))
    blocks: list[Block] = [Heading("The manual way out"), Paragraph(_WHAT_FIRST[exit_code == 4])]
    if there:
        blocks.append(Code("\n".join(_drop(o) for o in there)))
    else:
        blocks.append(Items(_KINDS, numbered=True))
    if any(o.kind == "retained" for o in there):
        blocks.append(Paragraph("A retained table is the old one, in clear: drop it if the new one is right.", "bad"))
    return blocks


_WHAT_FIRST: Final = (
    "The source tables are intact, and `migrator apply` goes on from here, so nothing below is needed for that;"
    " `migrator cleanup --abandon TABLE` takes a step back. By hand, in this order, since a trigger without its log"
    " or shadow breaks every write to its table:",
    "Find out first who made the object that is named above, and what it holds: nothing proves it to be ours, so"
    " nothing was dropped. By hand, in this order, since a trigger without its log or shadow breaks every write to"
    " its table:",
)

_KINDS: Final = (
    "the triggers on TABLE: _TABLE_log_ins, _TABLE_log_upd, _TABLE_log_del and the same with mirror",
    "then the shadow, _TABLE_shadow",
    "then the log, _TABLE_log",
    "last, and only if the table in use has all its rows, the old one in clear, _TABLE_retained",
)


def _drop(leftover: Leftover) -> str:
    name = _shown(leftover.name)
    if leftover.kind == "tablespace":
        out = "when its table was moved out: ALTER TABLE ... TABLESPACE = innodb_file_per_table"
        return f"DROP TABLESPACE {leftover.name.name};  -- {out}"
    return f"DROP TRIGGER IF EXISTS {name};" if leftover.kind == "trigger" else f"DROP TABLE IF EXISTS {name};"


def _shown(name: TableName) -> str:
    """Quoted for a person; `qualified` doubles the per cent sign for the driver."""
    return qualified(name).replace("%%", "%")
