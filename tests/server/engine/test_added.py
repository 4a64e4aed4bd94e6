"""What a person adds to a table that is worked on must not stay behind with the old table."""

from __future__ import annotations

import pytest

from migrator.events import ChunkCopied, ChunkVerified
from tests.server.engine.kit import At, Lab, When, each
from tests.server.engine.test_rows import BY_NUMBER

MOMENTS: dict[str, When] = {"copy": each(ChunkCopied), "verify": each(ChunkVerified)}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_trigger_that_is_added_ends_the_step(lab: Lab, moment: str) -> None:
    """It stays with the table that bears the name; our own triggers are gone."""
    lab.table("t", *BY_NUMBER)
    added = "CREATE TRIGGER added BEFORE UPDATE ON t FOR EACH ROW SET @seen = 1"
    ran = lab.apply("t", at=[At(MOMENTS[moment], lambda: lab.run(added))])
    ran.assert_outcome("failed")
    assert "added" in ran.step.message
    assert lab.rows(
        "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s", lab.schema
    ) == [("added", "t")]
    assert not lab.encrypted("t")
    lab.assert_equal("t")


def test_a_foreign_key_that_is_added_ends_the_step(lab: Lab) -> None:
    """The child still refers to the table that bears the name."""
    lab.table("t", *BY_NUMBER)
    child = "CREATE TABLE child (id INT PRIMARY KEY, t INT, FOREIGN KEY (t) REFERENCES t (id))"
    ran = lab.apply("t", at=[At(MOMENTS["verify"], lambda: lab.run(child))])
    ran.assert_outcome("failed")
    assert "foreign key" in ran.step.message
    assert (
        lab.value(
            "SELECT REFERENCED_TABLE_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = %s",
            lab.schema,
        )
        == "t"
    )
    assert not lab.encrypted("t")
    lab.run("DROP TABLE child")
    lab.assert_equal("t")
