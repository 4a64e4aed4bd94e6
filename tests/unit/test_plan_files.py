"""plans/: the schema and the examples are those of the code as it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from migrator.model import Method
from migrator.planner.drift import drift
from migrator.planner.file import parse_plan, plan_hash, read_plan
from migrator.planner.gates import gates
from tests.plan_files import FOLDER, INVENTORY, SERVER, example_plan, files, reviewed


@pytest.mark.parametrize("name", files())
def test_the_files_are_up_to_date(name: str) -> None:
    """What lies in plans/ is what the code makes: `python -m tests.plan_files --write` after a change."""
    assert (FOLDER / name).read_text(encoding="utf-8") == files()[name]


def test_the_examples_show_every_method_that_a_plan_can_have() -> None:
    """A reader finds each of them once at least."""
    assert {s.method for s in read_plan(FOLDER / "example.yaml").steps} == set(Method) - {Method.BACKGROUND}
    in_place = {Method.BACKGROUND, Method.REFUSE}
    assert {s.method for s in read_plan(FOLDER / "example-mariadb.yaml").steps} == in_place


def test_the_fresh_example_waits_for_its_attestations() -> None:
    """A plan that nobody has reviewed is refused by the gates."""
    plan = read_plan(FOLDER / "example.yaml")
    codes = {f.code for f in gates(SERVER, plan.attestations, steps=plan.steps) if f.blocks}
    assert codes == {"keyring-backup", "member-not-confirmed"}


def test_the_reviewed_example_could_be_run() -> None:
    """After review no gate is closed, nothing has drifted, and the edits are in force."""
    plan = read_plan(FOLDER / "example-reviewed.yaml")
    assert not [f for f in gates(SERVER, plan.attestations, steps=plan.steps) if f.blocks]
    assert [(f.code, f.subject, f.blocks) for f in drift(plan, INVENTORY)] == [
        ("skipped-in-clear", "shop.countries", False)
    ]
    assert plan.defaults.workers == 8
    assert plan.defaults.retain_days == 35
    by_name = {s.name: s for s in plan.steps}
    assert (by_name["shop.events"].workers, by_name["shop.events"].chunk_time_seconds) == (1, 0.2)
    assert by_name["shop.countries"].method is Method.SKIP
    assert plan_hash(plan) != plan_hash(example_plan())


def test_a_review_that_misses_its_place_is_noticed() -> None:
    """The second example cannot silently stay like the first."""
    with pytest.raises(ValueError, match="there 0 times"):
        reviewed("format: 1\n")


def _objects(schema: Any) -> list[dict[str, Any]]:
    found = [schema] if isinstance(schema, dict) and "properties" in schema else []
    inner = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    return found + [o for value in inner for o in _objects(value)]


def test_the_schema_describes_every_key_and_allows_no_other() -> None:
    """An editor can explain each key, and marks the ones that are not known."""
    objects = _objects(json.loads(files()["plan.schema.json"]))
    assert len(objects) >= 12
    for entry in objects:
        assert entry["additionalProperties"] is False, entry["title"]
        if entry["title"] != "Finding":
            assert all("description" in p for p in entry["properties"].values()), entry["title"]


def test_the_examples_are_plans() -> None:
    """The first example is what the code planned, key by key."""
    assert parse_plan(files()["example.yaml"]) == example_plan()
