"""The audit on servers that are as bad as a test can make them, and what is left when its own statements were run."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from tests.server.cli.held import Ran
from tests.server.cli.kit import ALL_SHADOW, MIGRATOR, Desk, desk_on
from tests.servers import RunningServer, least_privileged, start, until

OPEN: Final = {"in clear", "partly", "bad", "unknown"}
LEAVE: Final = {"system-tablespace", "temporary-tablespace", "session-temporary-tablespaces", "temporary-files"}
LEAVE_TOO: Final = {"online-alter-files", "keyring-kind", "exports", "redo-log-before"}
"""What MySQL has no statement for, or what needs a restart."""
TRAVELS: Final = {"secure-transport", "certificate-authority", "certificate-names", "tls-key-file"}
"""What a server is installed with that is about connections: test_posture_transport.py closes it."""
WAITS: Final = re.compile(r"(.*;)\s+-- again, until it says: (\w+)$")
REDO_BYTES: Final = 16 * 2**20


class Auditor:
    """Somebody who audits a server as root, and does what the report says."""

    def __init__(self, server: RunningServer, folder: Path) -> None:
        self.server = server
        self._options = server.option_file(folder / "root.cnf")

    def audit(self, *options: str, format: str = "json") -> Ran:
        """Run the command."""
        words = [str(MIGRATOR), "audit", f"--defaults-file={self._options}", f"--format={format}", *options]
        ended = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
        return Ran(ended.returncode, ended.stdout, ended.stderr)

    def places(self, *options: str) -> dict[str, dict[str, Any]]:
        """Every place by its code."""
        ran = self.audit(*options)
        assert ran.code in {0, 1}, ran
        return {place["code"]: place for place in json.loads(ran.out)["places"]}

    def state(self, code: str) -> str:
        """How it is with one place."""
        return str(self.places()[code]["state"])

    def close(self, place: dict[str, Any]) -> None:
        """Run what closes a place, line by line, as a person would."""
        for line in place["closes"]:
            waits = WAITS.match(line)
            if waits:
                until(lambda w=waits: self.server.value(w[1]) == w[2], line)  # type: ignore[misc]
            elif line.startswith("$ rm "):
                subprocess.run(shlex.split(line[2:]), check=True)
            elif not line.startswith(("-- ", "$ ")):
                self.server.rows(line)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Ends what a test starts."""
    with ExitStack() as ending:
        yield ending


def own(stack: ExitStack, tmp_path: Path, *options: str) -> Auditor:
    """A server of the test's own, on this machine."""
    server = stack.enter_context(start(options=["--innodb-buffer-pool-size=64M", *options], name="audit"))
    if server.server.datadir is None:
        pytest.skip("the server's files cannot be read from here")
    return Auditor(server, tmp_path)


def test_a_bad_server_is_closed_by_what_the_audit_says(stack: ExitStack, tmp_path: Path) -> None:
    """Everything that has a statement is in clear before, and closed by that statement; the rest can be accepted."""
    auditor = own(stack, tmp_path, "--general-log=ON", "--slow-query-log=ON", "--log-output=FILE,TABLE")
    server = auditor.server
    assert server.server.datadir
    for statement in (
        "CREATE DATABASE shop",
        "CREATE TABLESPACE many ADD DATAFILE 'many.ibd'",
        "CREATE TABLE shop.t (id INT PRIMARY KEY, v VARCHAR(100))",
        "INSERT INTO shop.t VALUES (1, 'a'), (2, 'b')",
        "ANALYZE TABLE shop.t UPDATE HISTOGRAM ON v",
        "UPDATE shop.t SET v = CONCAT(v, 'x')",
        "SET GLOBAL innodb_print_all_deadlocks = ON",
        "SET GLOBAL log_raw = ON",
        "FLUSH BINARY LOGS",
    ):
        server.rows(statement)
    before = auditor.places()
    closable = {
        "tables",
        "general-tablespaces",
        "mysql-tablespace",
        "histograms",
        "undo-log",
        "redo-log",
        "binary-log",
        "general-log",
        "slow-log",
        "error-log",
        "log-raw",
        "schemas",
        "server-default",
        "privilege-check",
    }
    assert {code for code, place in before.items() if place["state"] in OPEN} == TRAVELS | closable | (
        (LEAVE | LEAVE_TOO) - {"redo-log-before"}
    )
    assert all(place["evidence"] and place["risk"] and place["closes"] for place in before.values() if place["closes"])
    for code in sorted(closable - {"tables"}):
        assert not before[code]["restart"], code
        auditor.close(before[code])
    server.rows("ALTER TABLE shop.t ENCRYPTION = 'Y'")  # what `migrator apply` is for

    after = auditor.places()
    still = {code for code, place in after.items() if place["state"] in OPEN}
    assert still - LEAVE - LEAVE_TOO - TRAVELS <= {"undo-log-before"}
    assert after["binary-log"]["state"] == after["mysql-tablespace"]["state"] == "encrypted"
    auditor.close(after["undo-log-before"])
    assert auditor.state("undo-log-before") == "encrypted"
    accepted = [f"--accept={code}" for code in sorted(LEAVE | LEAVE_TOO | TRAVELS)]
    green = auditor.audit(*accepted, format="table")
    assert (green.code, green.err) == (0, ""), green
    assert "system tablespace: in clear, accepted [system-tablespace]" in green.out
    server.rows("CREATE TABLE shop.late (id INT PRIMARY KEY) ENCRYPTION = 'N'")
    assert auditor.audit(*accepted).code == 1


def test_the_old_part_of_the_undo_log_is_seen(stack: ExitStack, tmp_path: Path) -> None:
    """The catalog calls undo tablespaces encrypted at once; their files say otherwise until they are truncated."""
    auditor = own(stack, tmp_path)
    server = auditor.server
    server.rows("CREATE DATABASE d")
    server.rows("CREATE TABLE d.t (id INT PRIMARY KEY, v VARCHAR(100))")
    for n in range(20):
        server.rows("INSERT INTO d.t VALUES (%s, 'first')", n)
        server.rows("UPDATE d.t SET v = 'second' WHERE id = %s", n)
    server.restart()  # so that old pages are in the files
    assert auditor.state("undo-log") == "in clear"
    server.rows("SET PERSIST innodb_undo_log_encrypt = ON")
    places = auditor.places()
    assert (places["undo-log"]["state"], places["undo-log-before"]["state"]) == ("encrypted", "partly")
    auditor.close(places["undo-log-before"])
    assert auditor.state("undo-log-before") == "encrypted"


def test_the_old_part_of_the_redo_log_is_seen(stack: ExitStack, tmp_path: Path) -> None:
    """Blocks of before stay in the files, until so much is written that they are overwritten."""
    auditor = own(stack, tmp_path, "--innodb-redo-log-capacity=8M")
    server = auditor.server
    server.rows("CREATE DATABASE d")
    server.rows("CREATE TABLE d.t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGBLOB)")
    server.rows("INSERT INTO d.t (v) VALUES (REPEAT('in clear', 10000))")
    assert auditor.state("redo-log") == "in clear"
    server.rows("SET PERSIST innodb_redo_log_encrypt = ON")
    places = auditor.places()
    assert (places["redo-log"]["state"], places["redo-log-before"]["state"]) == ("encrypted", "partly")
    clear = int(places["redo-log-before"]["evidence"].split()[0])
    for _ in range(3 * REDO_BYTES // 2**20):
        server.rows("INSERT INTO d.t (v) VALUES (REPEAT('x', 1048576))")
    place = auditor.places()["redo-log-before"]
    assert int(place["evidence"].split()[0]) < clear
    assert place["state"] == "encrypted", place


def test_binary_logs_of_before(stack: ExitStack, tmp_path: Path) -> None:
    """In clear, then in part, then, after the PURGE that the audit names, not at all."""
    auditor = own(stack, tmp_path)
    server = auditor.server
    server.rows("FLUSH BINARY LOGS")
    assert auditor.state("binary-log") == "in clear"
    server.rows("SET PERSIST binlog_encryption = ON")
    place = auditor.places()["binary-log"]
    assert (place["state"], place["restart"]) == ("partly", False)
    assert "2 of 3 files not encrypted" in place["evidence"]
    auditor.close(place)
    assert auditor.state("binary-log") == "encrypted"


def test_a_keyring_inside_the_datadir(stack: ExitStack, tmp_path: Path) -> None:
    """Seen by its path, and its mode by the file."""
    auditor = own(stack, tmp_path)
    server, datadir = auditor.server, auditor.server.server.datadir
    assert datadir
    server.rows("CREATE DATABASE d")
    server.rows("CREATE TABLE d.t (id INT PRIMARY KEY) ENCRYPTION = 'Y'")
    assert auditor.state("keyring-file") == "ok"
    server.stop()
    config = datadir / "component_keyring_file.cnf"
    where = json.loads(config.read_text())
    inside = datadir / "keyring"
    shutil.move(where["path"], inside)
    inside.chmod(0o644)
    config.write_text(json.dumps(where | {"path": str(inside)}))
    server.start()
    place = auditor.places()["keyring-file"]
    assert (place["state"], place["restart"]) == ("bad", True)
    assert "mode 644" in place["evidence"]
    assert place["closes"][1] == f"$ chmod 600 {inside}"
    places = auditor.places()
    assert (places["master-keys"]["state"], places["keyring-kind"]["state"]) == ("ok", "bad")


def test_files_that_no_table_has(stack: ExitStack, tmp_path: Path) -> None:
    """A copy of a table's file in the datadir is found, and said to be in clear; a table's own file is not."""
    auditor = own(stack, tmp_path)
    server, datadir = auditor.server, auditor.server.server.datadir
    assert datadir
    server.rows("CREATE DATABASE d")
    server.rows("CREATE TABLE d.`wei rd` (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 2")
    server.rows("CREATE TABLE d.t (id INT PRIMARY KEY, FULLTEXT KEY f (v), v TEXT)")
    server.rows("CREATE TABLE d.e (id INT PRIMARY KEY) ENCRYPTION = 'Y'")
    assert auditor.state("unknown-files") == "ok"
    shutil.copy(datadir / "d" / "e.ibd", datadir / "d" / "left-e.ibd")
    assert auditor.state("unknown-files") == "bad"
    shutil.copy(datadir / "d" / "t.ibd", datadir / "d" / "#sql-ib1234.ibd")
    place = auditor.places()["unknown-files"]
    assert place["state"] == "in clear"
    assert "2 files" in place["evidence"]
    assert "#sql-ib1234.ibd" in place["evidence"]


def test_an_account_that_may_only_look(stack: ExitStack, tmp_path: Path) -> None:
    """What it may not read is unknown and says what is missing; with the GRANTs of the page nothing is."""
    auditor = own(stack, tmp_path)
    server = auditor.server
    account = stack.enter_context(least_privileged(server))
    server.rows("CREATE DATABASE t_own")
    desk = stack.enter_context(desk_on(server, account, "t_own", tmp_path / "desk"))
    server.rows("REVOKE SELECT ON performance_schema.* FROM 'migrator'@'%%'".replace("migrator", account.user))
    ran = desk.migrator("audit", "--format=json")
    assert (ran.code, ran.err) == (1, ""), ran
    unknown = {place["code"]: place for place in ran.json["places"] if place["state"] == "unknown"}
    assert {"keyring", "general-log", "slow-log", "master-keys"} <= set(unknown)
    assert all(place["closes"] for code, place in unknown.items() if code != "keyring-members")
    page = (Path(__file__).parents[3] / "docs" / "audit.md").read_text()
    granted = re.findall(r"^GRANT SELECT ON (mysql\.\w+) TO", page, flags=re.MULTILINE)
    for where in ["performance_schema.*", *granted]:
        server.rows(f"GRANT SELECT ON {where} TO '{account.user}'@'%%'")
    places = {place["code"]: place for place in desk.migrator("audit", "--format=json").json["places"]}
    unknown = {code: place for code, place in places.items() if place["state"] == "unknown"}
    assert {code for code, place in unknown.items() if place["area"] != "in transit"} == set()
    # Who may read accounts reads digests of passwords, too: docs/privileges.md has the columns.
    assert all("GRANT SELECT" in str(place["closes"]) for code, place in unknown.items() if code != "empty-passwords")
    assert places["keyring-loading"]["state"] == "ok"


def test_old_tables_of_ours(desk: Desk) -> None:
    """The retained table is a place in clear, until cleanup has dropped it."""
    desk.table("t", rows=20)
    plan = desk.plan(*ALL_SHADOW)
    assert desk.migrator("apply", plan).code == 0

    def retained() -> Any:
        ran = desk.migrator("audit", f"--databases={desk.schema}", "--format=json")
        (place,) = (place for place in ran.json["places"] if place["code"] == "retained-tables")
        return place

    assert (retained()["state"], f"{desk.schema}._t_retained" in retained()["evidence"]) == ("in clear", True)
    assert desk.migrator("cleanup", "--now").code == 0
    assert retained()["state"] == "unused"


def test_what_cannot_be_accepted(desk: Desk) -> None:
    """A misspelt code and the tables as one are usage errors, before the server is asked."""
    ran = desk.migrator("audit", "--accept=binary-lgo")
    assert ran.code == 2
    ran.says("no place of the audit is called binary-lgo")
    ran = desk.migrator("audit", "--accept=tables")
    assert ran.code == 2
    ran.says("--ignore-tables")


def test_audit_changes_nothing(desk: Desk) -> None:
    """Not one transaction, on a server with a table and a histogram."""
    desk.table("t", rows=20)
    with desk.untouched():
        assert desk.migrator("audit", "--format=html").code == 1
