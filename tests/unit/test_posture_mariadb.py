"""Places of MariaDB, by variables that are written by hand; what servers really say is in tests/server/mariadb."""

from __future__ import annotations

import pytest

from migrator.model import Flavour, Table, TableName
from migrator.planner.posture import places
from migrator.posture import Place, Posture, State
from tests.unit.builders import a_keyring, a_server, an_inventory

OFF = {
    "innodb_encrypt_tables": "OFF", "innodb_encryption_threads": "0", "innodb_encryption_rotate_key_age": "1",
    "innodb_encrypt_log": "OFF", "encrypt_binlog": "OFF", "encrypt_tmp_files": "OFF", "encrypt_tmp_disk_tables": "ON",
    "innodb_encrypt_temporary_tables": "OFF", "aria_encrypt_tables": "OFF", "log_bin": "ON",
}  # fmt: skip


def found(**variables: str) -> dict[str, Place]:
    """The places of a server with these variables, by code."""
    server = a_server(flavour=Flavour.MARIADB, version=(11, 8, 6), keyring=a_keyring(name="file_key_management"))
    tables = (
        Table(TableName("d", "no"), "InnoDB", 1, 1, 1, create_options="`ENCRYPTED`=NO"),
        Table(TableName("d", "a`b"), "Aria", 1, 1, 1),
        Table(TableName("d", "m"), "MyISAM", 1, 1, 1),
    )
    given = places(an_inventory(server=server, tables=tables), Posture(variables=OFF | variables))
    return {place.code: place for place in given}


@pytest.mark.parametrize(
    ("tables", "threads", "age", "state", "closes"),
    [
        ("OFF", "0", "1", State.UNUSED, ""),
        ("ON", "4", "1", State.OK, ""),
        ("FORCE", "0", "1", State.BAD, "SET GLOBAL innodb_encryption_threads = 4;"),
        ("ON", "4", "0", State.BAD, "SET GLOBAL innodb_encryption_rotate_key_age = 1;"),
        ("OFF", "4", "1", State.BAD, "SET GLOBAL innodb_encryption_threads = 0;"),
        ("OFF", "4", "0", State.UNUSED, ""),
    ],
)
def test_threads_with_and_without_work(tables: str, threads: str, age: str, state: State, closes: str) -> None:
    """Threads that have nothing to encrypt would decrypt; tables to encrypt need threads, and an age above 0."""
    place = found(
        innodb_encrypt_tables=tables, innodb_encryption_threads=threads, innodb_encryption_rotate_key_age=age
    )["background-encryption"]
    assert place.state is state
    assert place.closes[:1] == ((closes,) if closes else ())


def test_each_table_gets_the_statement_of_its_engine() -> None:
    """ENCRYPTED=NO is taken back, Aria is rebuilt, and what cannot be encrypted is said."""
    closes = found()["tables"].closes
    assert closes[0].startswith("ALTER TABLE `d`.`no` ENCRYPTED = DEFAULT;")
    assert "ALTER TABLE `d`.`a``b` ENGINE = Aria ROW_FORMAT = PAGE;" in closes
    assert closes[-1].startswith("-- MyISAM cannot be encrypted")


def test_what_is_set_in_part() -> None:
    """One of two settings is half of it; the statement names the other."""
    place = found()["temporary-files"]
    assert place.state is State.PARTLY
    assert place.closes == ("-- encrypt_tmp_files = ON in the option file, then restart",)


def test_nobody_is_told_to_persist() -> None:
    """MariaDB has no SET PERSIST, whichever place it is."""
    given = found(general_log="ON", log_output="TABLE", innodb_print_all_deadlocks="ON", require_secure_transport="OFF")
    assert not [line for place in given.values() for line in place.closes if "PERSIST" in line]
