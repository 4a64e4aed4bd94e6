"""The statements of a relay, and what it may change in a definition."""

from __future__ import annotations

import pytest

from migrator.events import LegProgress
from migrator.model import TableName
from migrator.report.words import leg_words
from migrator.sql import relay
from migrator.sql.names import qualified
from migrator.sql.story import relayed
from tests.unit.builders import NAMES, a_foreign_key, a_table

CREATE = (
    "CREATE TABLE `t` (\n  `a` int DEFAULT NULL COMMENT ') /*!50100 TABLESPACE `x` */ ENGINE',\n"
    "  CONSTRAINT `t_chk_1` CHECK ((`a` > 0))\n"
    ") {}ENGINE=InnoDB {}DEFAULT CHARSET=utf8mb4{} COMMENT='x ENCRYPTION=''Y'''"
)


@pytest.mark.parametrize("name", NAMES)
def test_the_three_legs(name: TableName) -> None:
    """In, encrypt, out; both moves online or not at all, and the tablespace is made plain and dropped at the end."""
    said = relayed(a_table(name), CREATE.format("", "", ""))
    assert [s.phase for s in said] == ["move-in", "move-in", "encrypt", "move-out", "settle"]
    table, space = qualified(name).replace("%%", "%"), "`migrator_relay_<random>`"
    assert [s.text for s in said] == [
        f"CREATE TABLESPACE {space} ENCRYPTION = 'N'",
        f"ALTER TABLE {table} TABLESPACE = {space}, ALGORITHM = INPLACE, LOCK = NONE",
        f"ALTER TABLESPACE {space} ENCRYPTION = 'Y'",
        f"ALTER TABLE {table} TABLESPACE = innodb_file_per_table ENCRYPTION = 'Y', ALGORITHM = INPLACE, LOCK = NONE",
        f"DROP TABLESPACE {space}",
    ]


def test_tables_that_refer_to_it_are_told_to_be_locked() -> None:
    """The server takes children for itself with their parent, so the review says so."""
    parent = a_table()
    child = a_foreign_key(TableName("crm", "c"), parent.name)
    assert "refer to it" in relayed(a_table(referenced_by=(child,)), "")[1].locks
    assert "refer to it" not in relayed(parent, "")[1].locks


def test_what_a_relay_may_change() -> None:
    """TABLESPACE, ENCRYPTION and AUTO_INCREMENT among the options, and nothing else: not in comments, not in names."""
    before = CREATE.format("", "AUTO_INCREMENT=5 ", "")
    after = CREATE.format("/*!50100 TABLESPACE `innodb_file_per_table` */ ", "AUTO_INCREMENT=9 ", " ENCRYPTION='Y'")
    assert relay.unchanged(before, after)
    for old, new in (
        ("ENCRYPTION=''Y''", "ENCRYPTION=''N''"),
        ("t_chk_1", "t_chk_2"),
        ("TABLESPACE `x`", "TABLESPACE `y`"),
        ("utf8mb4", "latin1"),
    ):
        assert not relay.unchanged(before, after.replace(old, new, 1)), old


def test_autoextend_size_is_said_again() -> None:
    """A move would drop it."""
    create = CREATE.format("/*!50100 TABLESPACE `x` */ /*!80023 AUTOEXTEND_SIZE=4194304 */ ", "", "")
    assert relay.autoextend_bytes(create) == 4194304
    assert relay.autoextend_bytes(CREATE.format("", "", "")) == 0
    assert relay.without_autoextend(create) == CREATE.format("/*!50100 TABLESPACE `x` */ ", "", "")
    for make in (relay.move_out, relay.move_back):
        assert " AUTOEXTEND_SIZE = 4194304," in make(NAMES[0], 4194304).text
        assert "AUTOEXTEND_SIZE" not in make(NAMES[0]).text


def test_how_far_a_leg_is_in_words() -> None:
    """The stage without the server's brackets; a percentage only where the server counts."""
    stage = "alter table (log apply table)"
    assert leg_words(LegProgress("a.b", "move in", stage, 42, 100)) == "move in: log apply table, 42 %"
    assert leg_words(LegProgress("a.b", "move in", stage, None, None)) == "move in: log apply table"
    assert leg_words(LegProgress("a.b", "move in", "", 0, 0)) == "move in"
    assert leg_words(LegProgress("a.b", "move in", stage, 300, 100)) == "move in: log apply table, 100 %"
