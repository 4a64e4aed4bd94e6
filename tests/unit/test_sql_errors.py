"""What the server says no with: what is known by its number, and what of its text may be shown."""

from __future__ import annotations

import pytest

from migrator.sql_errors import INTERRUPTED, LINK_LOST, TRY_AGAIN, SqlError, without_values

VALUE = 'we`ird %s "näme" O\'Hara\nsecret'


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1062, f"Duplicate entry '{VALUE}' for key 'orders.PRIMARY'"),
        (1366, f"Incorrect integer value: '{VALUE}' for column 'n' at row 1"),
        (1292, f'Truncated incorrect DOUBLE value: "{VALUE}"'),
        (3140, f"Invalid JSON text: '{VALUE}'"),
    ],
)
def test_values_of_rows_are_taken_out(number: int, text: str) -> None:
    """Whatever they hold, quotes and line breaks too."""
    assert "secret" not in without_values(number, text)
    assert "ird" not in without_values(number, text)


def test_the_key_of_a_duplicate_is_told() -> None:
    """It is a name, and says where to look."""
    told = without_values(1062, f"Duplicate entry '{VALUE}' for key 'orders.PRIMARY'")
    assert told == "Duplicate entry for key 'orders.PRIMARY'"


@pytest.mark.parametrize(
    ("number", "text"),
    [(1146, "Table 'shop.we`ird %s \"näme\"' doesn't exist"), (2003, "Can't connect to MySQL server on '::1'")],
)
def test_names_are_told(number: int, text: str) -> None:
    """Where the quoted words are names of objects, or the client's own, the text stays as it is."""
    assert without_values(number, text) == text


def test_only_a_lost_link_leaves_the_outcome_open() -> None:
    """What may be tried again and what somebody ended is known not to have happened."""
    assert SqlError(2013, "Lost connection").link_lost
    assert not SqlError(1205, "Lock wait timeout exceeded").link_lost
    assert not LINK_LOST & (TRY_AGAIN | INTERRUPTED)
