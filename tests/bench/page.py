"""The results as Markdown, and where they stand in the page. Pure, but for `put`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.bench.cases import CASES
from tests.bench.figures import Spread, ratio, spread
from tests.bench.results import Effort, ExclusiveMoment, Impact, Report, Turn

PAGE: Final = Path(__file__).parents[2] / "docs" / "benchmarks.md"
BEGIN: Final = "<!-- from here to the end of the results: written by make bench -->\n"
END: Final = "<!-- the end of the results -->\n"

OURS: Final = "migrator"
NAMES: Final[Mapping[str, str]] = {
    "native": "native `ALTER TABLE`",
    "pt-osc": "pt-online-schema-change",
    "migrator --direct-below 8MiB": "migrator, `--direct-below 8MiB`",
}

PERIODS: Final = ("before", "during", "after")


def put(report: Report, page: Path) -> None:
    """Write the results between the marks of a page that has them; any other file is the results alone."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    before, mark, rest = text.partition(BEGIN)
    made = results(report)
    after = rest.partition(END)[2]
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(f"{before}{BEGIN}\n{made}\n{END}{after}" if mark else made, encoding="utf-8")


def results(report: Report) -> str:
    """All that was measured."""
    parts = [_about(report)]
    for case in CASES:
        turns = [turn for turn in report.turns if turn.case == case.letter]
        if turns:
            parts.append(f"### ({case.letter}) {case.title}\n\n{_case(turns)}")
    if report.impacts:
        parts.append(f"### An application beside it\n\n{_impacts(report)}")
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _about(report: Report) -> str:
    lines = [
        f"    {report.command}",
        "",
        f"{report.date}, {report.machine}. {report.server}, its files {'in memory' if report.in_memory else 'on disk'};"
        f" `{' '.join(report.options)}`, the binary log on. "
        f"{_count(report.rounds, 'round')}" + ("." if report.scale == 1 else f", at {report.scale:g} of the size."),
    ]
    lines += [f"\n**{NAMES.get(absent.partition(':')[0], '')} took no part**: {absent}" for absent in report.absent]
    return "\n".join(lines)


# -- a case -------------------------------------------------------------------------------------


def _case(turns: Sequence[Turn]) -> str:
    by = _by_contestant(turns)
    first = turns[0]
    what = f"{first.rows:,} rows" + (f" in {first.tables} tables" if first.tables > 1 else "")
    ours = _by_round(by.get(OURS, []))
    size_of_native = spread(turn.file_bytes for turn in by.get("native", []))
    head = (
        "",
        "seconds",
        "rows/s",
        "times migrator's",
        "file, of native's",
        "CPU server",
        "CPU client",
        "memory client",
    )
    rows = []
    for name, found in by.items():
        took, size = spread(_by_round(found).values()), spread(turn.file_bytes for turn in found)
        rows.append(
            (
                NAMES.get(name, name),
                _spread(took) + _failed(turn.failed for turn in found),
                f"{first.rows / took.median:,.0f}" if took else "",
                "" if name == OURS else _times(ratio(_by_round(found), ours)),
                f"{size.median / size_of_native.median:.3f}" if size and size_of_native else "",
                _seconds(spread(turn.server_cpu_seconds for turn in found)),
                _seconds(spread(effort.client_cpu_seconds for effort in _efforts(found))),
                _mebibytes(spread(effort.client_peak_bytes for effort in _efforts(found))),
            )
        )
    parts = [f"{what}.", table(head, rows)]
    failures = [f"* {NAMES.get(t.contestant, t.contestant)}, round {t.round}: {t.failed}" for t in turns if t.failed]
    parts += ["Failed:\n\n" + "\n".join(failures)] if failures else []
    for name in by:
        parts += [_phases(name, by[name])] if any(t.effort and t.effort.phases for t in by[name]) else []
    return "\n\n".join(parts)


def _phases(name: str, turns: Sequence[Turn]) -> str:
    efforts = _efforts(turns)
    names = list(dict.fromkeys(phase for effort in efforts for phase in effort.phases))
    found = ((phase, spread(effort.phases.get(phase, 0.0) for effort in efforts)) for phase in names)
    told = ", ".join(f"{phase} {time.median:.2f}" for phase, time in found if time)
    cleanup = spread(effort.cleanup_seconds for effort in efforts)
    after = f" Afterwards `cleanup` took {cleanup.median:.2f}." if cleanup else ""
    return f"Where {name}'s seconds went: {told}.{after}"


# -- the application ----------------------------------------------------------------------------


def _impacts(report: Report) -> str:
    by: dict[str, list[Impact]] = {}
    for impact in report.impacts:
        by.setdefault(impact.contestant, []).append(impact)
    busy = spread(impact.busy_before for impact in report.impacts)
    rate = f"{report.rate:g} transactions a second over {_count(report.threads, 'connection')}"
    what = f"{report.impacts[0].rows:,} rows of (a), {rate}."
    if busy:
        what += f" Before the work server and application used {busy.median:.0%} of the machine together."
    head = ("", "", "transactions/s", "p50 ms", "p95 ms", "p99 ms", "max ms")
    rows = []
    for name, impacts in by.items():
        for period in PERIODS:
            of = [impact.periods[period] for impact in impacts if period in impact.periods]
            cells = [
                f"{found.median:.1f}"
                for values in (
                    [one.per_second for one in of],
                    [one.p50_ms for one in of],
                    [one.p95_ms for one in of],
                    [one.p99_ms for one in of],
                    [one.max_ms for one in of],
                )
                if (found := spread(values))
            ]
            if cells:
                rows.append((NAMES.get(name, name), period, *cells))
    parts = [what, table(head, rows), table(_ERRORS_HEAD, [_errors(name, impacts) for name, impacts in by.items()])]
    failures = [
        f"* {NAMES.get(i.contestant, i.contestant)}, round {i.round}: {i.failed}" for i in report.impacts if i.failed
    ]
    parts += ["Failed:\n\n" + "\n".join(failures)] if failures else []
    moments = [(one.round, moment) for one in report.impacts if one.effort for moment in one.effort.moments]
    if moments:
        parts.append("Every exclusive moment of migrator's:\n\n" + _moments(moments))
    return "\n\n".join(parts)


_ERRORS_HEAD: Final = (
    "",
    "seconds",
    "rounds without an error",
    "errors in all",
    "longest block of a statement ms",
)


def _errors(name: str, impacts: Sequence[Impact]) -> tuple[str, ...]:
    seen = [impact for impact in impacts if impact.periods]
    numbers: Counter[int] = Counter()
    for impact in seen:
        numbers.update(impact.errors)
    clean = sum(not impact.errors for impact in seen)
    blocked = spread(impact.longest_block_ms for impact in seen)
    where: Counter[str] = Counter()
    for impact in seen:
        where.update(impact.errors_in)
    told = ", ".join(f"{count} × {number}" for number, count in sorted(numbers.items())) or ("none" if seen else "")
    told += f" ({', '.join(f'{count} {when}' for when, count in where.items())})" if where else ""
    return (
        NAMES.get(name, name),
        _spread(spread(effort.seconds for effort in _efforts(impacts))) + _failed(impact.failed for impact in impacts),
        f"{clean} of {len(seen)}",
        told,
        f"{blocked.median:.0f} (most {blocked.most:.0f})" if blocked else "",
    )


def _moments(moments: Sequence[tuple[int, ExclusiveMoment]]) -> str:
    rows = [
        (
            str(round_no),
            moment.purpose,
            str(moment.tries),
            f"{moment.waited_seconds * 1000:,.0f}",
            "not measured" if moment.held_seconds is None else f"{moment.held_seconds * 1000:,.0f}",
        )
        for round_no, moment in moments
    ]
    return table(("round", "for", "tries", "waited for ms", "held ms"), rows)


# -- words --------------------------------------------------------------------------------------


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _by_contestant(turns: Sequence[Turn]) -> dict[str, list[Turn]]:
    """Turns in the order of their rounds, our own first."""
    by: dict[str, list[Turn]] = {}
    for turn in sorted(turns, key=lambda turn: (turn.contestant != OURS, turn.round)):
        by.setdefault(turn.contestant, []).append(turn)
    return by


def _by_round(turns: Iterable[Turn]) -> dict[int, float]:
    return {turn.round: turn.effort.seconds for turn in turns if turn.effort}


def _efforts(found: Iterable[Turn | Impact]) -> list[Effort]:
    return [one.effort for one in found if one.effort]


def _spread(found: Spread | None) -> str:
    if found is None:
        return ""
    if found.count == 1:
        return f"{found.median:.1f}"
    return f"{found.median:.1f} ({found.least:.1f} to {found.most:.1f})"


def _failed(reasons: Iterable[str]) -> str:
    count = sum(bool(reason) for reason in reasons)
    return f" **{count} failed**" if count else ""


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _seconds(found: Spread | None) -> str:
    return "" if found is None else f"{found.median:.1f}"


def _mebibytes(found: Spread | None) -> str:
    return "" if found is None else f"{found.median / 2**20:.0f} MiB"


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")
