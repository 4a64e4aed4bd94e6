"""The benchmark's pure parts: medians, ratios, turns, what events tell, and the page that is made of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import page, results
from tests.bench.cases import CASES
from tests.bench.contestants import moments, phase_at, phases, unfinished
from tests.bench.figures import Spread, ratio, spread
from tests.bench.page import BEGIN, END, put, table
from tests.bench.proof import Contents, NotDone, same_contents
from tests.bench.results import Effort, ExclusiveMoment, Impact, Report, Turn
from tests.bench.rounds import rotated
from tests.bench.toolkit import PINS, WANTED
from tests.demo.latency import Summary
from tests.servers.packages import read_pins


def a_turn(contestant: str, round_no: int, seconds: float | None, file_bytes: int = 1000) -> Turn:
    """A turn of case (a); without seconds it failed."""
    if seconds is None:
        return Turn("a", contestant, round_no, rows=2000, tables=1, failed="it fell over")
    effort = Effort(seconds, client_cpu_seconds=1.0, client_peak_bytes=64 * 2**20)
    return Turn("a", contestant, round_no, 2000, 1, effort, server_cpu_seconds=3.0, file_bytes=file_bytes)


def a_report(*turns: Turn, impacts: tuple[Impact, ...] = (), absent: tuple[str, ...] = ()) -> Report:
    """A report of some turns."""
    return Report(
        command="make bench",
        date="2026-05-01",
        machine="2 cores",
        server="MySQL 9.7.4",
        options=("--x=1",),
        scale=1.0,
        rounds=3,
        in_memory=False,
        rate=100.0,
        threads=6,
        turns=turns,
        impacts=impacts,
        absent=absent,
    )


def row_of(text: str, name: str) -> list[str]:
    """The cells of the first row of a table that begins with a name."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {name} |"))
    return [cell.strip() for cell in line.split("|")[1:-1]]


# -- figures --------------------------------------------------------------------------------------


def test_a_spread_is_the_median_and_the_extremes() -> None:
    """What was not measured does not count; of nothing there is no spread."""
    assert spread([3.0, None, 1.0, 10.0]) == Spread(3.0, 1.0, 10.0, 3)
    assert spread([2.0, 4.0]) == Spread(3.0, 2.0, 4.0, 2)
    assert spread([None]) is None


def test_a_ratio_is_of_medians_of_the_same_rounds() -> None:
    """A round in which one of both failed counts for neither, so a slow round cannot favour anybody."""
    assert ratio({1: 20.0, 2: 40.0, 3: 60.0}, {1: 10.0, 2: 10.0, 3: 20.0}) == 4.0
    assert ratio({1: 20.0, 2: 400.0}, {1: 10.0, 3: 1.0}) == 2.0
    assert ratio({2: 1.0}, {1: 1.0}) is None


@pytest.mark.parametrize(("round_no", "order"), [(1, "abc"), (2, "bca"), (3, "cab"), (4, "abc")])
def test_who_comes_first_rotates(round_no: int, order: str) -> None:
    """Each contestant is first, second and third equally often."""
    assert rotated(["a", "b", "c"], round_no) == list(order)


# -- what is measured -----------------------------------------------------------------------------


def test_every_second_of_a_run_is_in_one_phase() -> None:
    """Phases of all steps are added up; the rest of the steps and of the process is told, not dropped."""
    events = [
        {"event": "PhaseEnded", "phase": "copy", "seconds": 2.0},
        {"event": "PhaseEnded", "phase": "copy", "seconds": 3.0},
        {"event": "PhaseEnded", "phase": "swap", "seconds": 0.5},
        {"event": "StepEnded", "seconds": 6.0},
    ]
    assert phases(events, 7.5) == {"copy": 5.0, "swap": 0.5, "rest of the steps": 0.5, "around the steps": 1.5}


def test_every_exclusive_moment_is_listed() -> None:
    """Also one whose duration the server does not tell."""
    event = {"event": "Moment", "subject": "s.t", "purpose": "swap", "tries": 2, "waited_seconds": 0.1}
    assert moments([event | {"held_seconds": None}, {"event": "Backlog"}, event | {"held_seconds": 0.02}]) == (
        ExclusiveMoment("s.t", "swap", 2, 0.1, None),
        ExclusiveMoment("s.t", "swap", 2, 0.1, 0.02),
    )


def test_an_error_belongs_to_the_phase_of_its_moment() -> None:
    """Moments of different zones are compared as moments; before the first phase there is none."""
    events = [
        {"event": "RunStarted", "at": "2026-05-01T10:00:00.000+00:00"},
        {"event": "PhaseStarted", "phase": "copy", "at": "2026-05-01T10:00:01.000+00:00"},
        {"event": "PhaseStarted", "phase": "swap", "at": "2026-05-01T10:00:05.000+00:00"},
    ]
    assert phase_at(events, "2026-05-01T10:00:00.500+00:00") == ""
    assert phase_at(events, "2026-05-01T12:00:04.999+02:00") == "copy"
    assert phase_at(events, "2026-05-01T10:01:00.000+00:00") == "swap"


def test_a_run_says_itself_what_it_left() -> None:
    """The reason of a failure is the step's, not the last line of a summary."""
    done = {"event": "StepEnded", "subject": "s.a", "outcome": "done", "message": ""}
    failed = {"event": "StepEnded", "subject": "s.b", "outcome": "failed", "message": "no free instant"}
    assert unfinished([done, failed]) == "s.b failed: no free instant"
    assert unfinished([done]) == ""


@pytest.mark.parametrize("now", [Contents(2, 8), Contents(3, 7)])
def test_other_rows_are_no_success(now: Contents) -> None:
    """A lost row and a changed row fail the turn."""
    same_contents({"t": Contents(3, 8)}, {"t": Contents(3, 8)})
    with pytest.raises(NotDone, match="t holds"):
        same_contents({"t": Contents(3, 8)}, {"t": now})


def test_most_of_the_many_tables_are_small() -> None:
    """Case (d): 200 tables of three sizes, and at any scale some of each."""
    (many,) = (case for case in CASES if case.letter == "d")
    rows = [table.rows for table in many.tables(1.0)]
    assert (len(rows), rows.count(500), rows.count(10_000), rows.count(100_000)) == (200, 141, 47, 12)
    assert {table.rows for table in many.tables(0.01)} == {500, 10_000, 100_000}


def test_every_table_has_a_name_of_its_own_in_its_case() -> None:
    """At any scale; and no case is without rows."""
    for case in CASES:
        for scale in (0.001, 1.0):
            tables = case.tables(scale)
            assert len({table.name for table in tables}) == len(tables) > 0
            assert min(table.rows for table in tables) > 0


def test_the_toolkit_is_pinned() -> None:
    """Every line is a package, a version and a sha256; among them the toolkit itself, and a Perl."""
    versions = {pin.package: pin.version for pin in read_pins(PINS)}
    assert all(len(bytes.fromhex(pin.sha256)) == 32 for pin in read_pins(PINS))
    assert versions[WANTED[0]].startswith("3.7.1")
    assert {"perl", "perl-base", "libdbi-perl", "libdbd-mysql-perl", "libc6"} <= set(versions)


# -- the page -------------------------------------------------------------------------------------


def test_a_case_is_a_table() -> None:
    """Medians and extremes; how many times migrator's time; the file against native's."""
    ours = [a_turn("migrator", n, seconds, 1030) for n, seconds in ((1, 4.0), (2, 5.0), (3, 9.0))]
    native = [a_turn("native", n, seconds) for n, seconds in ((1, 8.0), (2, 10.0), (3, 11.0))]
    text = page.results(a_report(*native, *ours))
    assert row_of(text, "migrator") == ["migrator", "5.0 (4.0 to 9.0)", "400", "", "1.030", "3.0", "1.0", "64 MiB"]
    assert row_of(text, "native `ALTER TABLE`")[1:5] == ["10.0 (8.0 to 11.0)", "200", "2.00", "1.000"]


def test_a_failure_is_shown() -> None:
    """It is counted beside the figures of the rounds that did not fail, with its reason below."""
    text = page.results(a_report(a_turn("migrator", 1, 4.0), a_turn("migrator", 2, None), a_turn("native", 1, None)))
    assert row_of(text, "migrator")[1] == "4.0 **1 failed**"
    assert row_of(text, "native `ALTER TABLE`")[1:4] == ["**1 failed**", "", ""]
    assert "* native `ALTER TABLE`, round 1: it fell over" in text


def test_who_could_not_take_part_is_named() -> None:
    """The page says who is missing, and why."""
    assert "**pt-online-schema-change took no part**: pt-osc: no network" in page.results(
        a_report(a_turn("native", 1, 1.0), absent=("pt-osc: no network",))
    )


def test_what_an_application_noticed_is_a_table() -> None:
    """Errors of every round are counted, of those that failed too."""
    quiet = Summary(100, 95, 5, 0, 10.0, 10.0, 4.0, 8.0, 9.0, 20.0)
    seen = {"before": quiet, "during": quiet, "after": quiet}
    moment = ExclusiveMoment("bench.t", "swap", 1, 0.005, 0.019)
    effort = Effort(5.0, moments=(moment,))
    good = Impact("migrator", 1, 2000, effort, seen, {}, {}, longest_block_ms=20.0, busy_before=0.33)
    bad = Impact("migrator", 2, 2000, None, seen, {1213: 2}, {"during, swap": 2}, 40.0, 0.35, failed="it fell over")
    text = page.results(a_report(impacts=(good, bad)))
    assert "used 34% of the machine" in text
    assert "| migrator | during | 10.0 | 4.0 | 8.0 | 9.0 | 20.0 |" in text
    assert "| migrator | 5.0 **1 failed** | 1 of 2 | 2 × 1213 (2 during, swap) | 30 (most 40) |" in text
    assert "| 1 | swap | 1 | 5 | 19 |" in text
    assert "* migrator, round 2: it fell over" in text


def test_results_stand_between_their_marks(tmp_path: Path) -> None:
    """What is written by hand around them stays; writing again replaces them; a new file has nothing else."""
    by_hand, new = tmp_path / "page.md", tmp_path / "new" / "page.md"
    by_hand.write_text(f"# By hand\n\n{BEGIN}\nold\n\n{END}\n## What bounds it\n")
    report = a_report(a_turn("native", 1, 1.0))
    for _ in range(2):
        put(report, by_hand)
        assert by_hand.read_text() == f"# By hand\n\n{BEGIN}\n{page.results(report)}\n{END}\n## What bounds it\n"
    put(report, new)
    assert new.read_text() == page.results(report)


def test_the_page_has_the_marks() -> None:
    """So that a run finds where its results belong."""
    text = page.PAGE.read_text(encoding="utf-8")
    assert text.count(BEGIN) == text.count(END) == 1


def test_a_report_is_json(tmp_path: Path) -> None:
    """All of it can be written."""
    results.write(a_report(a_turn("native", 1, 1.0), impacts=(Impact("migrator", 1, 5),)), tmp_path / "a" / "b.json")
    assert '"contestant": "native"' in (tmp_path / "a" / "b.json").read_text()


def test_a_table_of_markdown() -> None:
    """Head, ruler, rows."""
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
