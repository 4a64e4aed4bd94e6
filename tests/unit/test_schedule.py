"""What fits in the time that is left, what steps take by those before, and three weeks of nights."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from migrator.planner.schedule import Pace, Sample, Time, Took, calibration_of, next_of, paces, took_of
from migrator.planner.windows import Open, longest_seconds, look, parse_window

MIB = 2**20


def took(seconds: float) -> Took:
    """Exactly so long."""
    return Took(seconds, seconds, seconds)


def test_the_first_that_fits_is_next() -> None:
    """In the order given; what nobody knows the time of counts as fitting."""
    assert next_of([took(50), took(9), took(5)], Time(10, 100)) == 1
    assert next_of([took(50), None, took(5)], Time(10, 100)) == 1
    assert next_of([took(50), took(9)], None) == 0


def test_what_fits_in_no_window_is_begun_when_nothing_else_fits() -> None:
    """A copy goes on where it stopped; what would fit in a whole window waits for one."""
    assert next_of([took(50), took(500)], Time(10, 100)) == 1
    assert next_of([took(50), took(60)], Time(10, 100)) is None
    assert next_of([], Time(10, 100)) is None


def test_the_pace_is_that_of_earlier_steps() -> None:
    """Small tables tell what a step takes by itself, larger ones the rest; each method its own."""
    done = [*(Sample("shadow-copy", 16384, 2.0) for _ in range(9)), Sample("shadow-copy", 1000 * MIB, 102.0)]
    pace = paces([*done, Sample("tablespace-relay", 100 * MIB, 50.0)])
    assert pace["shadow-copy"].fixed_seconds == 2.0
    said = took_of(pace, "shadow-copy", 500 * MIB)
    assert said is not None
    assert said.seconds == pytest.approx(52.0)
    relayed = took_of(pace, "tablespace-relay", 200 * MIB)
    assert relayed is not None
    assert relayed.seconds == pytest.approx(100.0)
    assert relayed.low == pytest.approx(50.0)
    assert relayed.high == pytest.approx(200.0)
    assert took_of(pace, "direct-alter", MIB) is None


def test_where_only_small_tables_were_done_large_ones_are_unknown() -> None:
    """Nothing says how fast rows are copied here."""
    assert Pace(1.0, None, (1.0, 1.0)).of(500 * MIB) is None
    assert Pace(1.0, None, (1.0, 1.0)).of(1 * MIB) == took(1.0)


def test_how_far_off_it_may_be_is_measured() -> None:
    """Nine of ten steps took what was said, one three times as long: that is the bound."""
    done = [Sample("shadow-copy", 100 * MIB, 10.0)] * 18 + [Sample("shadow-copy", 100 * MIB, 30.0)] * 2
    pace = paces(done)["shadow-copy"]
    assert pace.spread[0] < 1 <= pace.spread[1] < 3
    said = pace.of(100 * MIB)
    assert said is not None
    assert said.low == pytest.approx(10.0)


def test_the_calibration_of_a_plan() -> None:
    """Only tables that are not small say how fast rows are copied."""
    assert calibration_of([Sample("shadow-copy", MIB, 2.0)], "2026-05-01") is None
    found = calibration_of([Sample("shadow-copy", 100 * MIB, 10.0), Sample("shadow-copy", MIB, 9.0)], "2026-05-01")
    assert found is not None
    assert found.slowest_bytes_per_second == found.fastest_bytes_per_second == 10 * MIB
    assert found.basis == "1 tables, 100.0 MiB, until 2026-05-01"


# -- a campaign -----------------------------------------------------------------------------------


@dataclass
class Campaign:
    """A server that copies by the second, one table after the other, only in windows."""

    windows: list[str]
    left: dict[str, float]
    """Seconds of work by table; a copy goes on where it stopped."""
    now: datetime
    worked: list[tuple[datetime, str]] = field(default_factory=list)
    done: dict[str, datetime] = field(default_factory=dict)

    def run(self, until: datetime) -> None:
        """Night after night, as `apply --outside-window=wait` does."""
        windows = [parse_window(text) for text in self.windows]
        longest = longest_seconds(windows)
        while self.left and self.now < until:
            said = look(windows, self.now)
            if not isinstance(said, Open):
                self.now = said.until
                continue
            seconds = (said.until - self.now).total_seconds()
            names = list(self.left)
            fits = next_of([took(self.left[name]) for name in names], Time(seconds, longest))
            if fits is None:
                self.now = said.until
                continue
            self._work(names[fits], seconds)

    def _work(self, name: str, seconds: float) -> None:
        self.worked.append((self.now, name))
        spent = min(self.left[name], seconds)
        self.now += timedelta(seconds=spent)
        self.left[name] -= spent
        if not self.left[name]:
            del self.left[name]
            self.done[name] = self.now


def test_three_weeks_of_nights() -> None:
    """Nightly windows over the end of summer time: all is done, nothing outside, and one large table starves nobody."""
    hours = 3600.0
    tables = {f"small {n}": 0.25 * hours for n in range(40)} | {f"middle {n}": 2.5 * hours for n in range(6)}
    campaign = Campaign(
        ["Mon-Fri 01:00-05:00 Europe/Berlin", "Sat 22:00-Sun 06:00 Europe/Berlin"],
        {"huge": 30 * hours, **tables},
        datetime(2026, 10, 12, 12, tzinfo=UTC),
    )
    campaign.run(until=datetime(2026, 11, 2, 12, tzinfo=UTC))
    assert campaign.left == {}
    windows = [parse_window(text) for text in campaign.windows]
    for at, _ in campaign.worked:
        assert isinstance(look(windows, at), Open)
    for name, at in campaign.done.items():
        assert isinstance(look(windows, at - timedelta(seconds=1)), Open), name
    # What fits in a window is never cut by its end; what is longer than any is.
    counts = {name: [other for _, other in campaign.worked].count(name) for name in campaign.done}
    assert {name for name, times in counts.items() if times > 1} == {"huge"}
    assert max(campaign.done, key=lambda name: campaign.done[name]) == "huge"


def test_the_night_on_which_clocks_go_back_has_an_hour_more() -> None:
    """Four hours by the clock are five: a table of four and a half is begun only because it fits there."""
    campaign = Campaign(
        ["daily 01:00-05:00 Europe/Berlin"], {"t": 3.5 * 3600, "u": 1.4 * 3600}, datetime(2026, 10, 24, 22, tzinfo=UTC)
    )
    campaign.run(until=datetime(2026, 10, 26, tzinfo=UTC))
    assert {name: at.isoformat() for name, at in campaign.done.items()} == {
        "t": "2026-10-25T02:30:00+00:00",
        "u": "2026-10-25T03:54:00+00:00",
    }
