"""The charts for an auditor: progress and what kept it back, and bytes encrypted over the campaign. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from migrator.report.charts import Chart, Lane, Line, Span, cumulated, seconds_of
from migrator.report.evidence import Evidence, ProgressSample
from migrator.report.words import about, count, plural

MOST_COLUMNS: Final = 400
"""So many samples are drawn; of more, neighbours are put together."""

_LANES: Final = (("paused", "paused"), ("held", "held"), ("slowed", "slowed"), ("closed", "no window"))


def progress_chart(evidence: Evidence) -> Chart | None:
    """Rows copied and compared since the first sample, and when runs were kept from it; None without samples."""
    if not evidence.progress:
        return None
    samples = put_together(evidence.progress, MOST_COLUMNS)
    copied, compared = (sum(getattr(s, name) for s in samples) for name in ("rows_copied", "rows_compared"))
    kept = sum(s.paused + s.held + s.closed for s in samples)
    lanes = (Lane(words, _spans(samples, name)) for name, words in _LANES)
    return Chart(
        title="Rows copied and compared over time",
        tells=f"{count(copied)} rows copied and {count(compared)} compared between {evidence.progress[0].at} and"
        f" {evidence.progress[-1].at}; for {count(round(kept))} seconds of that nothing was begun."
        " The same figures are in the table beneath.",
        lines=(
            Line("rows copied", _rising(samples, [s.rows_copied for s in samples])),
            Line("rows compared", _rising(samples, [s.rows_compared for s in samples])),
        ),
        lanes=tuple(lane for lane in lanes if lane.spans),
    )


def bytes_chart(evidence: Evidence) -> Chart | None:
    """Bytes that runs encrypted, each table when its step ended, without what was taken back; None where none did."""
    ended = [(seconds_of(s.ended_at), s.bytes) for s in evidence.steps if s.encrypted_it and s.ended_at]
    if not ended:
        return None
    began = min(seconds_of(run.started_at) for run in evidence.runs) if evidence.runs else min(at for at, _ in ended)
    before = evidence.before.bytes_encrypted if evidence.before else 0
    total = sum(size for _, size in ended)
    points = (
        (began, float(before)),
        *cumulated(ended, begins_at=before),
        (seconds_of(_whole(evidence.read_at)), before + total),
    )
    return Chart(
        title="Bytes encrypted over the campaign",
        tells=f"{plural(len(ended), 'table or tablespace', 'tables and tablespaces')} of {about(total)} encrypted by"
        f" runs; {about(before)} were encrypted before. Sizes are the catalog's estimates when each step began.",
        lines=(Line("data and indexes encrypted", tuple(points)),),
        level=(f"all that was looked at now: {about(evidence.now.bytes)}", float(evidence.now.bytes)),
        in_bytes=True,
    )


def put_together(samples: Sequence[ProgressSample], most: int) -> list[ProgressSample]:
    """So many, and one more for each gap between them, at most: neighbours become one, whose sums are theirs."""
    many = -(-len(samples) // most)
    return [_as_one(piece[at : at + many]) for piece in _without_gaps(samples) for at in range(0, len(piece), many)]


def _without_gaps(samples: Iterable[ProgressSample]) -> list[list[ProgressSample]]:
    """What follows each other: between two nights there is nothing."""
    pieces: list[list[ProgressSample]] = []
    for sample in samples:
        before = pieces[-1][-1] if pieces else None
        if before and seconds_of(sample.at) - sample.seconds - seconds_of(before.at) <= sample.seconds:
            pieces[-1].append(sample)
        else:
            pieces.append([sample])
    return pieces


def _as_one(part: Sequence[ProgressSample]) -> ProgressSample:
    span = seconds_of(part[-1].at) - seconds_of(part[0].at) + part[0].seconds
    total = {name: sum(getattr(s, name) for s in part) for name in ("rows_copied", "rows_compared", *dict(_LANES))}
    return replace(part[-1], seconds=span, **total)


def _spans(samples: Iterable[ProgressSample], name: str) -> tuple[Span, ...]:
    return tuple(
        Span(seconds_of(s.at) - s.seconds, seconds_of(s.at), getattr(s, name) / s.seconds if s.seconds else 1.0)
        for s in samples
        if getattr(s, name) > 0
    )


def _rising(samples: Iterable[ProgressSample], amounts: Iterable[int]) -> tuple[tuple[float, float], ...]:
    """Rises from the beginning of each sample to its end, and is flat from there to the next."""
    total, points = 0.0, list[tuple[float, float]]()
    for sample, amount in zip(samples, amounts, strict=True):
        end = seconds_of(sample.at)
        begin = max(end - sample.seconds, points[-1][0] if points else end - sample.seconds)
        points += [(begin, total), (end, total + amount)]
        total += amount
    return tuple(points)


def _whole(at: str) -> str:
    """Without fractions of a second."""
    head, dot, _ = at.partition(".")
    return f"{head}Z" if dot else at
