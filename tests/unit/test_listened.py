"""docs/events.md and docs/metrics.md have all that can be heard."""

from __future__ import annotations

import json
import re

import pytest

from migrator.events import Event
from migrator.report.hooks import CALLED_FOR
from migrator.report.metrics import METRICS
from tests.listened import EVENTS, METRICS_PAGE, event_classes, events_text, metrics_text


def test_the_pages_are_up_to_date() -> None:
    """They are what `make docs` would write now."""
    assert EVENTS.read_text(encoding="utf-8") == events_text(), "run `make docs`"
    assert METRICS_PAGE.read_text(encoding="utf-8") == metrics_text(), "run `make docs`"


@pytest.mark.parametrize("kind", event_classes(), ids=lambda kind: kind.__name__)
def test_every_event_is_there_with_an_example(kind: type[Event]) -> None:
    """Its heading, every field, and a line as `--events` writes it."""
    part = EVENTS.read_text(encoding="utf-8").partition(f"\n### {kind.__name__}\n")[2].partition("\n### ")[0]
    example = json.loads(re.findall(r"^```json\n(.*)\n```$", part, flags=re.MULTILINE)[0])
    assert list(example)[:4] == ["event", "format", "at", "subject"]
    assert (example["event"], example["format"]) == (kind.__name__, 1)
    for name in list(example)[4:]:
        assert f"`{name}` " in part


def test_every_event_of_the_module_is_known() -> None:
    """None is forgotten, and none is on the page that does not exist."""
    assert {kind.__name__ for kind in event_classes()} == {kind.__name__ for kind in Event.__subclasses__()}
    headings = re.findall(r"^### (\w+)$", EVENTS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert headings == [kind.__name__ for kind in event_classes()]


def test_hooks_are_called_for_what_exists() -> None:
    """A name that no event has would never be called for."""
    assert set(CALLED_FOR) - {"Throttled"} <= {kind.__name__ for kind in event_classes()}


def test_every_metric_is_there() -> None:
    """With its type and its labels."""
    text = METRICS_PAGE.read_text(encoding="utf-8")
    for metric in METRICS:
        assert f"| `{metric.name}` | {metric.type} |" in text
