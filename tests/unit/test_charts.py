"""Charts: what is drawn is what was there, whatever the numbers; and it can be read without colours."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.model import Method
from migrator.report.blocks import as_html, as_markdown, as_text
from migrator.report.charts import Chart, Lane, Line, Span, amount_ticks, chart_svg, cumulated, seconds_of, time_ticks
from migrator.report.evidence import Evidence, Extent, KeyringEvidence, ProgressSample, RunEvidence, StepEvidence
from migrator.report.evidence_charts import MOST_COLUMNS, bytes_chart, progress_chart, put_together
from migrator.report.values import ServerId

NIGHT = seconds_of("2026-05-01T22:00:00Z")


def at(seconds: float) -> str:
    """So long after the beginning of the night."""
    hours, rest = divmod(int(seconds), 3600)
    return f"2026-05-{1 + (22 + hours) // 24:02}T{(22 + hours) % 24:02}:{rest // 60:02}:{rest % 60:02}Z"


def a_sample(until: float, **changes: object) -> ProgressSample:
    """A minute in which 1000 rows were copied."""
    return replace(ProgressSample(at(until), 60.0, 1000, 0, 0.0, 0.0, 0.0, 0.0, ""), **changes)  # type: ignore[arg-type]


def a_step(ended: str, size: int, state: str = "done") -> StepEvidence:
    """A table that was encrypted."""
    words = ("d.t", "table", str(Method.SHADOW_COPY), state, "r", "dba@%", at(0), ended)
    return StepEvidence(*words, 1.0, 1, 1, size, 3, 0.01, "", "")


def evidence(progress: tuple[ProgressSample, ...] = (), steps: tuple[StepEvidence, ...] = ()) -> Evidence:
    """Of a campaign."""
    run = RunEvidence("r", "h", "1", "dba@%", "host", 1, at(0), at(9), 0, Extent(3, 1, 4096, 1024))
    return Evidence(
        server=ServerId("u", "9.7.4", "mysql", "db1:3306"),
        read_at="2026-05-02T06:00:00.123456Z",
        account="dba@%",
        host="h",
        narrowed_to="",
        journal="read",
        journal_says="",
        runs=(run,),
        attestations=(),
        failovers=(),
        now=Extent(3, 3, 8192, 8192),
        steps=steps,
        not_done=(),
        objects=(),
        files=None,
        progress=progress,
        residuals=(),
        keyring=KeyringEvidence(
            "none", "", is_active=False, data_file="", in_datadir=False, keys=(), keys_readable=True
        ),
        rotations=(),
    )


def drawn(chart: Chart | None) -> ET.Element:
    """The chart as it is read by a program; all of it lies within its own frame."""
    assert chart is not None
    root = ET.fromstring(chart_svg(chart))  # noqa: S314 - ours
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for element in root.iter():
        for name in ("x", "x1", "x2"):
            assert -1 <= float(element.get(name, 0)) <= width + 1
        for name in ("y", "y1", "y2"):
            assert -1 <= float(element.get(name, 0)) <= height + 1
        if element.tag == "rect":
            assert float(element.attrib["width"]) > 0
            assert float(element.attrib["height"]) > 0
    return root


def test_progress_rises_by_what_was_done_and_lanes_say_what_kept_it() -> None:
    """Rows add up, a gap between two nights is flat, and each kind of waiting has a lane of its own with its name."""
    night = (
        a_sample(60),
        a_sample(120, rows_copied=0, paused=60.0),
        a_sample(180, held=15.0, slowed=45.0, reason="lag"),
    )
    chart = progress_chart(evidence((*night, a_sample(24 * 3600, rows_compared=500))))
    assert chart is not None
    copied, compared = chart.lines
    assert copied.points[-1] == (NIGHT + 24 * 3600, 3000.0)
    assert compared.points[-1][1] == 500
    flat = [amount for moment, amount in copied.points if NIGHT + 180 <= moment <= NIGHT + 24 * 3600 - 60]
    assert set(flat) == {2000.0}
    assert [lane.name for lane in chart.lanes] == ["paused", "held", "slowed"]
    assert [span.share for span in chart.lanes[1].spans] == [0.25]
    root = drawn(chart)
    assert root.find("title") is not None and root.find("desc") is not None
    texts = [element.text for element in root.iter("text")]
    assert {"rows copied", "rows compared", "paused", "held", "slowed"} <= set(texts)
    assert any("2026-05-0" in str(text) for text in texts)
    dashes = [path.get("stroke-dasharray", "") for path in root.iter("path")]
    assert len(set(dashes)) == 2, "lines differ without colours"


def test_nothing_to_draw() -> None:
    """Without samples there is no chart, without steps that encrypted something there is none either."""
    assert progress_chart(evidence()) is None
    assert bytes_chart(evidence(steps=(a_step("", 10, "open"), a_step(at(9), 10, "rolled-back")))) is None
    assert chart_svg(Chart("t", "d", ())) == ""


def test_bytes_begin_at_what_was_encrypted_before() -> None:
    """And rise when a step ends; what was taken back does not count; the level is what there is now."""
    steps = (a_step(at(600), 2048), a_step(at(60), 1024), a_step(at(70), 9999, "rolled-back"))
    chart = bytes_chart(evidence(steps=steps))
    assert chart is not None
    (line,) = chart.lines
    assert [amount for _, amount in line.points] == [1024, 1024, 2048, 2048, 4096, 4096]
    assert line.points[0][0] == NIGHT
    assert chart.level == ("all that was looked at now: 8.0 KiB", 8192.0)
    assert "8.0 KiB" in "".join(str(text.text) for text in drawn(chart).iter("text"))


def test_many_samples_are_put_together() -> None:
    """A month of them is drawn by few columns, whose sums are the same."""
    many = tuple(a_sample(60.0 * n, paused=1.0) for n in range(1, 2001))
    few = put_together(many, MOST_COLUMNS)
    assert len(few) <= MOST_COLUMNS
    night = put_together((*many, a_sample(60.0 * 2000 + 8 * 3600, held=60.0)), MOST_COLUMNS)
    assert (night[-1].seconds, night[-1].held, night[-2].held) == (60.0, 60.0, 0.0), "nothing is drawn over a gap"
    assert sum(s.rows_copied for s in few) == 2_000_000
    assert sum(s.paused for s in few) == 2000
    assert sum(s.seconds for s in few) == pytest.approx(2000 * 60)
    assert len(chart_svg(progress_chart(evidence(many)) or Chart("", "", ()))) < 120_000


@given(
    points=st.lists(st.tuples(st.floats(0, 4e9), st.floats(0, 1e18)), min_size=1, max_size=30),
    level=st.floats(0, 1e18),
    in_bytes=st.booleans(),
)
def test_whatever_the_numbers(points: list[tuple[float, float]], level: float, *, in_bytes: bool) -> None:
    """One point or many, an instant or a century, nothing or exabytes: it is well formed, and inside its frame."""
    chart = Chart("a <b> & c", 'say "so"', (Line("l", cumulated(points)),), (), ("all", level), in_bytes)
    drawn(chart)


@pytest.mark.parametrize(
    ("first", "last", "labels"),
    [
        (0, 5, ["2026-05-01 22:00:00", "22:00:01", "22:00:02", "22:00:03", "22:00:04", "22:00:05"]),
        (0, 3 * 3600, ["2026-05-01 22:00", "22:30", "23:00", "23:30", "2026-05-02 00:00", "00:30", "01:00"]),
        (0, 20 * 86400, ["2026-05-07", "2026-05-14", "2026-05-21"]),
    ],
)
def test_ticks_of_time(first: float, last: float, labels: list[str]) -> None:
    """Times that a clock has, days where they change."""
    assert [label for _, label in time_ticks(NIGHT + first, NIGHT + last)] == labels


def test_ticks_of_amounts() -> None:
    """Even steps that can be said: round numbers of rows, round numbers of a unit of bytes; and never half a row."""
    assert amount_ticks(0, in_bytes=False) == [0, 1]
    assert amount_ticks(3, in_bytes=False) == [0, 1, 2, 3]
    assert amount_ticks(250_000, in_bytes=False) == [0, 50_000, 100_000, 150_000, 200_000, 250_000]
    assert amount_ticks(9 * 2**30, in_bytes=True) == [n * 2 * 2**30 for n in range(6)]


def test_a_chart_as_a_block() -> None:
    """HTML draws it and says what is to be seen; text and Markdown say it. Nothing is loaded from anywhere."""
    line, lane = Line("l", ((NIGHT, 0.0), (NIGHT + 60, 5.0))), Lane("p", (Span(NIGHT, NIGHT + 9),))
    chart = Chart("Rows <b>", "many", (line,), (lane,))
    page = as_html("t", [chart])
    assert '<svg class="chart"' in page
    assert "Rows &lt;b&gt;" in page
    assert not re.search(r"(src|href)=|<script|url\(|@import", page)
    assert as_text([chart]) == "Rows <b>: many\n"
    assert "Rows" in as_markdown([chart])
