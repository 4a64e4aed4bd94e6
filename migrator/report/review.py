"""The review of a plan, to be attached to a change ticket: text, Markdown, one HTML file, or JSON. Pure."""

from __future__ import annotations

from collections import Counter

from migrator.model import Method
from migrator.planner.plan import UNCALIBRATED, Estimate
from migrator.report.blocks import (
    Block,
    Code,
    Grid,
    Heading,
    Items,
    Paragraph,
    as_html,
    as_markdown,
    as_text,
    left,
    right,
    wrapping,
)
from migrator.report.documents import as_json
from migrator.report.findings import finding_items
from migrator.report.planned import relay_lines
from migrator.report.values import Review, ReviewStep, Span
from migrator.report.words import about, count, duration_range, plural
from migrator.sql.story import Said


def review_exit_code(review: Review) -> int:
    """What `apply` would end with if all went well: 2 drifted, 3 a gate or a rehearsal says no, 1 refusals, 0."""
    if any(f.blocks for f in review.drift):
        return 2
    if any(f.blocks for f in review.gates) or any(s.rehearsal.result == "failed" for s in review.steps):
        return 3
    return 1 if any(s.method is Method.REFUSE for s in review.steps) else 0


def review_text(review: Review) -> str:
    """The review for a terminal."""
    return as_text(_blocks(review))


def review_markdown(review: Review) -> str:
    """The review for a ticket or a pull request."""
    return as_markdown(_blocks(review))


def review_html(review: Review) -> str:
    """The review as one HTML file."""
    return as_html(f"Review of {review.plan}", _blocks(review))


def review_json(review: Review) -> str:
    """The review for programs; statements with their four fields."""
    return as_json("review", review)


def _blocks(review: Review) -> list[Block]:
    server = review.server
    head = (
        ("plan", review.plan),
        ("plan's hash", review.plan_hash),
        ("server", f"{server.where}, {server.flavour} {server.version_text}"),
        ("server_uuid", server.server_uuid),
        ("reviewed at", review.made_at),
    )
    blocks: list[Block] = [
        Heading("Review", 1),
        Grid((left("what"), wrapping("value")), head),
        _verdict(review),
        Heading("Since the plan was made"),
        finding_items(review.drift) if review.drift else Paragraph("The server is as it was planned for."),
        Heading("Gates and warnings"),
        finding_items(review.gates) if review.gates else Paragraph("None.", "good"),
        Heading("In all"),
        Grid((left("what"), wrapping("value")), _totals(review)),
        *(Paragraph(line, "note") for line in relay_lines(_relays(review))),
        Heading("Steps, in order"),
        _overview(review.steps),
    ]
    for number, step in enumerate(review.steps, 1):
        if step.statements or step.findings or step.rehearsal.result == "failed":
            blocks += _step(number, step)
    return blocks


def _verdict(review: Review) -> Paragraph:
    failed = [s.subject for s in review.steps if s.rehearsal.result == "failed"]
    match review_exit_code(review):
        case 2:
            return Paragraph("apply would stop before anything is touched: the server has drifted.", "bad")
        case 3 if failed:
            return Paragraph(f"The rehearsal failed for {', '.join(failed)}.", "bad")
        case 3:
            return Paragraph("apply would refuse before anything is touched: see the gates.", "bad")
        case 1:
            refused = sum(s.method is Method.REFUSE for s in review.steps)
            verb = "is refused and stays" if refused == 1 else "are refused and stay"
            return Paragraph(f"Ready to apply; {plural(refused, 'step')} {verb} in clear.", "note")
        case _:
            return Paragraph("Ready to apply.", "good")


def _totals(review: Review) -> tuple[tuple[str, str], ...]:
    by_method = Counter(step.method for step in review.steps)
    methods = ", ".join(f"{count(by_method[m])} {m}" for m in Method if by_method[m])
    return (("steps", methods or "none"), *_cost(review.total))


def _relays(review: Review) -> int:
    return sum(step.method is Method.TABLESPACE_RELAY for step in review.steps)


def _cost(estimate: Estimate) -> tuple[tuple[str, str], ...]:
    return (
        ("bytes written", about(estimate.bytes_written)),
        ("extra disk at its peak", about(estimate.extra_disk_peak_bytes)),
        ("binary log", about(estimate.binlog_bytes)),
        ("duration", _duration(estimate)),
    )


def _duration(estimate: Estimate) -> str:
    if estimate.seconds_low is None or estimate.seconds_high is None:
        return UNCALIBRATED
    return f"{duration_range(Span(estimate.seconds_low, estimate.seconds_high))} ({estimate.calibration})"


def _overview(steps: tuple[ReviewStep, ...]) -> Grid:
    columns = (
        right("#"),
        wrapping("subject"),
        left("method"),
        right("rows"),
        right("extra disk"),
        left("rehearsal"),
    )
    rows = (
        (
            str(number),
            step.subject,
            str(step.method),
            count(step.rows) if step.rows else "",
            about(step.estimate.extra_disk_peak_bytes) if step.statements else "",
            {"ok": "ok", "failed": "FAILED", "nothing": "-"}[step.rehearsal.result],
        )
        for number, step in enumerate(steps, 1)
    )
    return Grid(columns, tuple(rows))


def _step(number: int, step: ReviewStep) -> list[Block]:
    blocks: list[Block] = [Heading(f"{number}. {step.subject}: {step.method}", 3), Paragraph(step.why)]
    if step.findings:
        blocks.append(finding_items(step.findings))
    if step.rehearsal.result == "failed":
        remedy = f" Remedy: {step.rehearsal.remedy}" if step.rehearsal.remedy else ""
        blocks.append(Paragraph(f"Rehearsal failed: {step.rehearsal.message}{remedy}", "bad"))
    elif step.rehearsal.message:
        blocks.append(Paragraph(f"Rehearsal: {step.rehearsal.message}", "good"))
    if step.statements:
        estimate = step.estimate
        blocks.append(
            Paragraph(
                f"Writes {about(estimate.bytes_written)}, needs {about(estimate.extra_disk_peak_bytes)} of extra disk"
                f" at its peak; duration: {_duration(estimate)}."
            )
        )
        blocks += _locks(step.statements)
        blocks.append(Code("\n".join(_script(step.statements))))
    return blocks


def _locks(statements: tuple[Said, ...]) -> list[Block]:
    """What is locked, once for each kind of statement; those that lock nothing are counted."""
    locking = dict.fromkeys((s.phase, s.locks, s.longest) for s in statements if s.locks)
    if not locking:
        return [Items(("No statement takes a lock that anybody waits for.",))]
    return [Grid((left("phase"), wrapping("locks"), wrapping("for how long at most")), tuple(locking))]


def _script(statements: tuple[Said, ...]) -> list[str]:
    lines: list[str] = []
    phase = ""
    for said in statements:
        if said.phase != phase:
            phase = said.phase
            lines.append(f"-- {phase}")
        lines.append(said.text.rstrip().rstrip(";") + ";")
    return lines
