"""Where rows may lie in clear besides tables: what each setting says of it, on either family, and what closes it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from migrator.inventory.binlogs import BinaryLogs, binary_logs_of
from migrator.model import Flavour, Inventory, Member, Tablespace, TablespaceKind
from migrator.report.evidence import Residual, Residue, StepEvidence
from migrator.report.residual import residuals_of
from tests.unit.builders import a_server, an_inventory

UNDO = tuple(Tablespace(n, f"undo_{n}", TablespaceKind.UNDO, encrypted=False, file_bytes=1 << 20) for n in (1, 2))
SYSTEM = Tablespace(0, "innodb_system", TablespaceKind.SYSTEM, encrypted=False, file_bytes=12 << 20)
IN_THE_FILE = (
    "innodb_encrypt_log", "encrypt_binlog", "innodb_encrypt_temporary_tables", "encrypt_tmp_files",
    "encrypt_tmp_disk_tables",
)  # fmt: skip
BINLOGS, TEMPORARY, IBDATA = "binary logs", "temporary tables and sort files", "system tablespace (ibdata1)"


def found(inventory: Inventory, *, binlogs: Any = None, steps: tuple[StepEvidence, ...] = ()) -> dict[str, Residual]:
    """The residuals by place."""
    return {one.place: one for one in residuals_of(inventory, steps, binlogs=binlogs, files=None)}


def of_mysql(**variables: str) -> Inventory:
    """A MySQL with these variables."""
    return replace(an_inventory(server=a_server(variables=variables)), tablespaces=(*UNDO, SYSTEM))


def of_mariadb(*spaces: Tablespace, **variables: str) -> Inventory:
    """A MariaDB with these variables."""
    server = a_server(flavour=Flavour.MARIADB, version=(11, 8, 6))
    server = replace(server, variables={"log_bin": "ON", **variables})
    return replace(an_inventory(server=server), tablespaces=spaces or (*UNDO, SYSTEM))


@pytest.mark.parametrize(
    ("variables", "logs", "state", "words"),
    [
        ({"log_bin": "OFF"}, None, Residue.NOTHING, "nothing"),
        ({"binlog_encryption": "OFF"}, (3, 900, 3, 900), Residue.IN_CLEAR, "SET PERSIST binlog_encryption = ON; then"),
        ({"binlog_encryption": "ON"}, (3, 900, 2, 600), Residue.PARTLY, "PURGE BINARY LOGS"),
        ({"binlog_encryption": "ON"}, (3, 900, 0, 0), Residue.ENCRYPTED, "nothing"),
        ({"binlog_encryption": "ON"}, None, Residue.UNKNOWN, "PURGE BINARY LOGS"),
        ({"binlog_encryption": "OFF"}, None, Residue.IN_CLEAR, "SET PERSIST binlog_encryption = ON; then"),
    ],
)
def test_binary_logs(variables: dict[str, str], logs: Any, state: Residue, words: str) -> None:
    """By the setting and by the files that are there; what nobody may look at is not called encrypted."""
    one = found(of_mysql(**variables), binlogs=logs)[BINLOGS]
    assert one.state is state
    assert one.to_do.startswith(words)


def test_files_of_the_binary_log() -> None:
    """A server before 8.0.14, and MariaDB, do not say which are encrypted: then none counts as such."""
    rows = [("binlog.1", 100, "No"), ("binlog.2", 200, "Yes"), ("binlog.3", 300, "Yes")]
    assert binary_logs_of(rows) == BinaryLogs(3, 600, 1, 100)
    assert binary_logs_of([row[:2] for row in rows]) == BinaryLogs(3, 600, 3, 600)


def test_redo_and_undo_of_mysql() -> None:
    """Redo is overwritten in turn; undo of before stays until it is truncated."""
    off = found(of_mysql(innodb_redo_log_encrypt="OFF", innodb_undo_log_encrypt="OFF"))
    assert (off["redo log"].state, off["undo logs"].state) == (Residue.IN_CLEAR, Residue.IN_CLEAR)
    on = found(of_mysql())
    assert (on["redo log"].state, on["undo logs"].state) == (Residue.ENCRYPTED, Residue.PARTLY)
    assert on[IBDATA].state is Residue.IN_CLEAR


def test_replicas_have_files_of_their_own() -> None:
    """Nothing that was seen here says anything of theirs."""
    alone = of_mysql()
    assert found(alone)["replicas and members"].state is Residue.NOTHING
    with_one = replace(alone, server=replace(alone.server, members=(Member("r1:3306", "replica"),)))
    one = found(with_one)["replicas and members"]
    assert one.state is Residue.UNKNOWN
    assert "r1:3306" in one.evidence


def test_what_needs_something_done_comes_first() -> None:
    """In the order of what is known."""
    states = [one.state for one in residuals_of(of_mysql(), (), binlogs=(1, 1, 1, 1), files=None)]
    assert states == sorted(states, key=list(Residue).index)
    assert states[0] is Residue.IN_CLEAR
    assert states[-1] is Residue.NOTHING


# -- MariaDB ----------------------------------------------------------------------------------


def test_mariadb_has_names_of_its_own() -> None:
    """No statement and no variable of MySQL is named; each place that its settings leave open is."""
    nothing_set = found(of_mariadb(**dict.fromkeys(IN_THE_FILE, "OFF")), binlogs=(2, 500, 2, 500))
    text = " ".join(f"{one.evidence} {one.to_do}" for one in nothing_set.values())
    for word in ("PERSIST", "binlog_encryption", "innodb_redo_log_encrypt", "innodb_undo_log_encrypt", "ALTER UNDO"):
        assert word not in text
    for place in (BINLOGS, "redo log", "undo logs", IBDATA, TEMPORARY):
        assert nothing_set[place].state is Residue.IN_CLEAR, place
    assert set(found(of_mysql())) == set(nothing_set)


def test_mariadb_with_all_of_it_on() -> None:
    """Of binary logs nobody knows which are from before; the rest is encrypted by settings and by the server's word."""
    spaces = [replace(space, encrypted=True) for space in (*UNDO, SYSTEM)]
    all_on = found(of_mariadb(*spaces, **dict.fromkeys(IN_THE_FILE, "ON")), binlogs=(2, 500, 2, 500))
    assert all_on[BINLOGS].state is Residue.UNKNOWN
    for place in ("redo log", "undo logs", IBDATA, TEMPORARY):
        assert all_on[place].state is Residue.ENCRYPTED, place


def test_mariadb_in_part() -> None:
    """One undo tablespace of two, and temporary tables without the files of sorts."""
    half = of_mariadb(replace(UNDO[0], encrypted=True), UNDO[1], SYSTEM, innodb_encrypt_temporary_tables="ON")
    assert found(half)["undo logs"].state is Residue.PARTLY
    assert "1 in clear of 2 tablespaces" in found(half)["undo logs"].evidence
    temporary = found(half)[TEMPORARY]
    assert temporary.state is Residue.PARTLY
    assert "innodb_encrypt_temporary_tables = ON" not in temporary.to_do
    assert found(of_mariadb(SYSTEM))["undo logs"].state is Residue.NOTHING
    assert found(of_mariadb(SYSTEM, log_bin="OFF"))[BINLOGS].state is Residue.NOTHING
