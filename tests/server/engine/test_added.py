"""What a person adds to a table that is worked on must not stay behind with the old table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from migrator.events import ChunkCopied, ChunkVerified, StepEnded
from tests.server.engine.kit import At, Lab, When, each
from tests.server.engine.test_rows import BY_NUMBER, NUMBERS
from tests.servers import least_privileged

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


def test_a_foreign_key_that_our_account_may_not_see_ends_the_step(lab: Lab) -> None:
    """A child in a schema on which the account has no right: it still refers to the table that bears the name."""
    lab.table("t", *BY_NUMBER)
    kid = f"kid_of_{lab.schema}"
    child = f"CREATE TABLE {kid}.c (id INT PRIMARY KEY, t INT, FOREIGN KEY (t) REFERENCES {lab.schema}.t (id))"
    with least_privileged(lab.server) as account:
        # This right alone shows all foreign keys of the server.
        lab.run(f"REVOKE TABLE_ENCRYPTION_ADMIN ON *.* FROM '{account.user}'@'%'", f"CREATE DATABASE {kid}")
        try:
            ran = replace(lab, dba=account).apply("t", at=[At(MOMENTS["verify"], lambda: lab.run(child))])
            ran.assert_outcome("failed")
            assert f"a foreign key of {kid}.c refers to" in ran.step.message
            assert f"REFERENCES `{lab.schema}`.`t`" in str(lab.rows(f"SHOW CREATE TABLE {kid}.c")[0][1])
        finally:
            lab.run(f"DROP DATABASE {kid}")
    assert not lab.encrypted("t")
    lab.assert_equal("t")


def test_a_table_that_is_altered_before_its_turn_is_not_done(lab: Lab) -> None:
    """What was reviewed is another table: its step fails and says what differs, the others are done."""
    lab.table("a", "(id INT PRIMARY KEY, v INT)", f"SELECT n, n FROM ({NUMBERS.format(50)}) AS some")
    lab.table("z", *BY_NUMBER)
    alter = At(each(StepEnded), lambda: lab.run("ALTER TABLE z ADD COLUMN secret INT"))
    ran = lab.apply("a", "z", at=[alter])
    assert [step.outcome for step in ran.outcome.steps] == ["done", "failed"]
    assert "column `secret` is new" in ran.outcome.steps[1].message
    assert lab.names() == {"a", "_a_retained", "z"}
    lab.assert_done("a")
