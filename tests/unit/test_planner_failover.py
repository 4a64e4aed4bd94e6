"""What of a journal still holds on a server that was a replica."""

from __future__ import annotations

import pytest

from migrator.errors import UsageError
from migrator.planner.failover import Former, at_its_place, former_of, has_gap, same_trigger, was_renamed

UUID = "0a1b2c3d-0000-11ef-8000-0123456789ab"
OTHER = "ffffffff-0000-11ef-8000-0123456789ab"


def test_a_server_is_named_by_its_uuid_and_where_it_can_be_asked() -> None:
    """In any case of letters; the address is optional, and may be one of IPv6."""
    assert former_of(UUID.upper()) == Former(UUID)
    assert former_of(f"{UUID}@db1.example.com:3307") == Former(UUID, "db1.example.com", 3307)
    assert former_of(f"{UUID}@::1:3307").where == "::1:3307"


@pytest.mark.parametrize("text", ["", "db1", f"{UUID}@", f"{UUID}@db1", f"{UUID}@:3306", f"{UUID}@db1:x", UUID[:-1]])
def test_nonsense_is_refused(text: str) -> None:
    """A name instead of a server_uuid, or an address without a port."""
    with pytest.raises(UsageError, match="--failover-from"):
        former_of(text)


def test_the_plan_says_where_the_old_source_was() -> None:
    """Unless a person says it, or the plan does not know."""
    assert at_its_place(Former(UUID), "db1:3306") == Former(UUID, "db1", 3306)
    assert at_its_place(Former(UUID, "db2", 1), "db1:3306") == Former(UUID, "db2", 1)
    assert at_its_place(Former(UUID), "") == Former(UUID)


@pytest.mark.parametrize(
    ("executed", "gap"),
    [
        ("", False),
        (f"{UUID}:1-9", False),
        (f"{OTHER}:1-3:5-9,\n{UUID}:1-9", False),
        (f"{OTHER}:1-3,\n{UUID}:1-3:5-9", True),
        (f"{UUID.upper()}:1-3:5", True),
        (f"{UUID}:1-9:tag:1-2:5", False),
        (f"{UUID}:1-3:7:tag:1-2", True),
    ],
)
def test_a_gap_is_a_second_interval_of_that_server(executed: str, *, gap: bool) -> None:
    """Gaps of other servers, and the numbers of tags, do not count."""
    assert has_gap(executed, UUID) == gap


def test_a_trigger_is_the_same_but_for_its_time() -> None:
    """Definer, text and sql_mode count; an unfinished proof proves nothing."""
    made = "2026-05-01 10:00:00.12|migrator@%|abc|NO_ENGINE_SUBSTITUTION"
    assert same_trigger(made, made.replace("00.12", "07.99"))
    assert not same_trigger(made, made.replace("abc", "abd"))
    assert not same_trigger(made, made.replace("migrator@", "other@"))
    assert not same_trigger(made, made.replace("NO_ENGINE_SUBSTITUTION", ""))
    assert not same_trigger("migrator@%|abc", made)


def test_a_rename_gives_both_names_away_at_once() -> None:
    """It was done where the old table is there and the shadow is not; in all other cases nobody takes it for done."""
    assert was_renamed(shadow=False, retained=True)
    assert not was_renamed(shadow=True, retained=False)
    assert not was_renamed(shadow=True, retained=True)
    assert not was_renamed(shadow=False, retained=False)
