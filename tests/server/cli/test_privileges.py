"""A missing right is named with the GRANT that mends it, before anything is touched; granted, it works.

Each test takes one right from an account that has exactly the documented ones, runs the installed command,
executes what it said and nothing else, and runs it again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.cli.kit import ALL_SHADOW, Desk, desk_on, literal
from tests.server.cli.snapshot import JOURNAL
from tests.servers import RunningServer, least_privileged

TAKEN = {
    "trigger": ("TRIGGER", "{schema}"),
    "lock-tables": ("LOCK TABLES", "{schema}"),
    "create": ("CREATE", "{schema}"),
    "select": ("SELECT", "{schema}"),
    "several": ("ALTER, DROP, UPDATE", "{schema}"),
    "process": ("PROCESS", "*.*"),
    "replication-client": ("REPLICATION CLIENT", "*.*"),
    "replication-slave": ("REPLICATION SLAVE", "*.*"),
    "performance-schema": ("SELECT", "performance_schema.*"),
    "journal": ("SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, TRIGGER, LOCK TABLES", f"`{JOURNAL}`.*"),
}


@pytest.fixture
def own_desk(server: RunningServer, schema: str, tmp_path: Path) -> Iterator[Desk]:
    """An account whose rights are on this one schema, by its name."""
    with (
        least_privileged(server, schemas=[literal(schema)]) as account,
        desk_on(server, account, schema, tmp_path / "desk") as desk,
    ):
        yield desk


def take(desk: Desk, rights: str, on: str) -> None:
    """Revoke rights from the desk's account."""
    where = on.format(schema=f"`{literal(desk.schema)}`.*")
    desk.run(f"REVOKE {rights} ON {where} FROM '{desk.account.user}'@'%'")


def grant(desk: Desk, statements: list[str]) -> None:
    """Do what the command said, word by word."""
    assert statements
    for statement in statements:
        assert statement.endswith(f"TO '{desk.account.user}'@'%'"), statement
        assert "GRANT ALL" not in statement
        desk.run(statement)


@pytest.mark.parametrize("which", TAKEN)
def test_a_missing_right(own_desk: Desk, which: str) -> None:
    """`apply` is exit 3, names the right and the GRANT, and has touched nothing; after that GRANT it is done."""
    rights, on = TAKEN[which]
    own_desk.table("t", rows=20)
    plan = own_desk.plan(*ALL_SHADOW)
    take(own_desk, rights, on)
    with own_desk.untouched():
        ran = own_desk.migrator("apply", plan)
    assert (ran.code, ran.out) == (3, ""), ran
    refusal = ran.err.split("error: ", 1)[1]
    for right in rights.split(", "):
        # INDEX is documented for people's comfort, but no statement of ours needs it.
        assert right == "INDEX" or right in refusal, ran
    grant(own_desk, [one for one in ran.grants() if one in refusal])
    again = own_desk.migrator("apply", plan)
    assert again.code == 0, again
    own_desk.assert_done()


def test_a_right_that_is_held_by_a_pattern(server: RunningServer, schema: str, tmp_path: Path) -> None:
    """Where rights are granted on `t\\_%`, the GRANT that is said does not take the others away.

    Of all grants whose pattern fits a schema the server heeds the most exact one, and that one alone.
    """
    with (
        least_privileged(server, schemas=["t\\_%"]) as account,
        desk_on(server, account, schema, tmp_path / "desk") as desk,
    ):
        desk.table("t", rows=20)
        plan = desk.plan(*ALL_SHADOW)
        desk.run(f"REVOKE TRIGGER ON `t\\_%`.* FROM '{account.user}'@'%'")
        refused = desk.migrator("apply", plan)
        assert refused.code == 3
        grant(desk, [one for one in refused.grants() if "TRIGGER" in one])
        ran = desk.migrator("apply", plan)
        assert ran.code == 0, ran
        desk.assert_done()


def test_triggers_while_the_binlog_is_on(own_desk: Desk) -> None:
    """log_bin_trust_function_creators=OFF without SUPER: said before anything is touched, with both ways out."""
    own_desk.table("t", rows=20)
    plan = own_desk.plan(*ALL_SHADOW)
    own_desk.run("SET GLOBAL log_bin_trust_function_creators = OFF")
    try:
        with own_desk.untouched():
            for command in ("dry-run", "apply"):
                ran = own_desk.migrator(command, plan)
                assert ran.code == 3, ran
                said = " ".join((ran.out + ran.err).split())
                assert "SUPER" in said
                assert "SET PERSIST log_bin_trust_function_creators = ON" in said
    finally:
        own_desk.run("SET GLOBAL log_bin_trust_function_creators = ON")
    assert own_desk.migrator("apply", plan).code == 0
    own_desk.assert_done()


def test_reading_needs_fewer_rights(own_desk: Desk) -> None:
    """The reading rights are enough for audit, plan and verify; `dry-run` and `apply` name all that is missing."""
    own_desk.table("t", rows=20)
    plan = own_desk.plan(*ALL_SHADOW)
    writing = "INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, LOCK TABLES"
    take(own_desk, writing, "{schema}")
    take(own_desk, TAKEN["journal"][0], TAKEN["journal"][1])
    here = f"--databases={own_desk.schema}"
    with own_desk.untouched():
        assert own_desk.migrator("audit", here).code == 1
        assert own_desk.migrator("verify", here).code == 1
        assert own_desk.migrator("plan", here).code == 0
        for command in ("dry-run", "apply"):
            ran = own_desk.migrator(command, plan)
            assert ran.code == 3, ran
            for right in writing.split(", "):
                assert right in ran.out + ran.err


def test_an_account_without_any_right(server: RunningServer, schema: str, tmp_path: Path) -> None:
    """An account that may nothing gets exit 3 and a GRANT from every command that reads the server."""
    with (
        least_privileged(server, schemas=[literal(schema)]) as account,
        desk_on(server, account, schema, tmp_path / "d") as desk,
    ):
        desk.table("t", rows=20)
        plan = desk.plan(*ALL_SHADOW)
        desk.run(f"REVOKE ALL, GRANT OPTION FROM '{account.user}'@'%'")
        with desk.untouched():
            for command in (
                ("audit",),
                ("plan",),
                ("dry-run", plan),
                ("apply", plan),
                ("verify",),
                ("status",),
                ("cleanup",),
            ):
                ran = desk.migrator(*command)
                assert ran.code == 3, ran
                ran.says("GRANT ", f"TO '{account.user}'@'%'")
