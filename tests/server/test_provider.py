"""The provider of real servers, with its embedded MySQL: what every other server test rests on."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pymysql
import pytest

from tests.servers import NoServer, RunningServer, caught_up, choose, debian, least_privileged, replica, start

ROOT = Path(__file__).parents[2]
SMALL = ("--innodb-buffer-pool-size=64M",)
NOWHERE = dict.fromkeys(("http_proxy", "https_proxy", "MIGRATOR_DEBIAN_MIRROR"), "http://127.0.0.1:9")
"""Nothing listens there, so whatever wants the network fails at once."""

pytestmark = pytest.mark.server


@pytest.fixture(autouse=True)
def embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests are about the embedded server, whatever else this machine has."""
    monkeypatch.setenv("MIGRATOR_TEST_SERVER", "embedded")


def run(server: RunningServer, *statements: str, **options: str) -> None:
    with closing(server.connect(**options)) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def test_the_keyring_encrypts() -> None:
    """The keyring is Active, and the text of a row is in the file of the plain table only."""
    secret = "4000-1234-5678-9010"
    with start(options=SMALL) as server:
        rows = dict(server.rows("SELECT * FROM performance_schema.keyring_component_status"))
        assert rows["Component_status"] == "Active"
        assert rows["Data_file"] == str(server.server.keyring_path)
        run(server, "CREATE DATABASE d")
        for table, encryption in (("plain", "N"), ("secret", "Y")):
            run(server, f"CREATE TABLE d.{table} (a VARCHAR(40)) ENCRYPTION='{encryption}'")
            run(server, f"INSERT INTO d.{table} VALUES ('{secret}')")
        server.stop()
        datadir = server.server.datadir
        assert datadir
        found = {name: secret.encode() in (datadir / f"d/{name}.ibd").read_bytes() for name in ("plain", "secret")}
        assert found == {"plain": True, "secret": False}


def test_a_server_without_a_keyring_cannot_encrypt() -> None:
    """keyring=False gives a server that refuses ENCRYPTION='Y' with error 3185."""
    with start(options=SMALL, keyring=False) as server:
        run(server, "CREATE DATABASE d")
        with pytest.raises(pymysql.err.MySQLError) as error:
            run(server, "CREATE TABLE d.t (a INT) ENCRYPTION='Y'")
        assert error.value.args[0] == 3185


def test_two_servers_share_nothing() -> None:
    """Side by side, made from one template: port, socket, uuid, server id, folder and keyring differ."""
    with start(options=SMALL) as first, start(options=SMALL) as second:
        one, two = first.server, second.server
        assert one.port != two.port
        assert one.socket != two.socket
        assert one.datadir != two.datadir
        assert one.keyring_path != two.keyring_path
        assert one.password != two.password
        for variable in ("server_uuid", "server_id"):
            assert first.value(f"SELECT @@{variable}") != second.value(f"SELECT @@{variable}")


def test_root_needs_the_password() -> None:
    """Anybody on this machine can reach the port, so root has no empty password on it."""
    with start(options=SMALL) as server, pytest.raises(pymysql.err.OperationalError) as error:
        server.connect(user="root", password="").close()
    assert error.value.args[0] == 1045


def test_root_comes_in_by_socket_and_by_tls() -> None:
    """The same password holds on the socket; TCP is encrypted without asking for it."""
    with start(options=SMALL) as server:
        by_socket = server.connect(unix_socket=str(server.server.socket))
        by_socket.close()
        assert server.rows("SHOW SESSION STATUS LIKE 'Ssl_cipher'")[0][1]


def test_the_defaults_are_those_of_a_careful_dba() -> None:
    """Durable, row-based, with GTIDs and the performance schema; the caller's options win."""
    wanted = {
        "log_bin": 1,
        "binlog_format": "ROW",
        "gtid_mode": "ON",
        "sync_binlog": 1,
        "innodb_flush_log_at_trx_commit": 1,
        "performance_schema": 1,
        "secure_file_priv": "",
        "innodb_buffer_pool_size": 64 << 20,
    }
    with start(options=SMALL) as server:
        assert {name: server.value(f"SELECT @@{name}") for name in wanted} == wanted


def test_options_that_are_fixed_at_birth_work() -> None:
    """lower_case_table_names can only be set when a datadir is made: such a server has a template of its own."""
    with start(options=[*SMALL, "--lower-case-table-names=1"]) as server:
        assert server.value("SELECT @@lower_case_table_names") == 1


def test_a_server_that_cannot_start_says_why() -> None:
    """A wrong option gives the server's own words, not a timeout, and leaves no folder."""
    with pytest.raises(NoServer, match="no-such-option"), start(options=["--no-such-option=1"]):
        raise AssertionError("it started")


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_a_restart_keeps_what_was_committed(how: str) -> None:
    """After a clean restart and after SIGKILL: rows, encrypted ones too, port and server_uuid are the same."""
    with start(options=SMALL) as server:
        run(server, "CREATE DATABASE d", "CREATE TABLE d.t (a INT) ENCRYPTION='Y'", "INSERT INTO d.t VALUES (42)")
        before = server.server, server.value("SELECT @@server_uuid")
        if how == "kill":
            server.kill()
            with pytest.raises(pymysql.err.OperationalError):
                server.connect().close()
            server.start()
        else:
            server.restart()
        assert server.rows("SELECT a FROM d.t") == [(42,)]
        assert (server.server.port, server.value("SELECT @@server_uuid")) == (before[0].port, before[1])
        assert server.server.pid != before[0].pid


@pytest.mark.parametrize(
    "options", [(), ("--gtid-mode=OFF", "--enforce-gtid-consistency=OFF")], ids=["gtid", "position"]
)
def test_a_replica_replicates(options: tuple[str, ...]) -> None:
    """What was there before the replica and what came after it arrive, encrypted with the replica's own keyring."""
    with start(options=[*SMALL, *options]) as source:
        run(source, "CREATE DATABASE d", "CREATE TABLE d.t (a INT) ENCRYPTION='Y'", "INSERT INTO d.t VALUES (1)")
        with replica(source, options=[*SMALL, *options]) as second:
            run(source, "INSERT INTO d.t VALUES (2)")
            caught_up(second, source)
            assert second.rows("SELECT a FROM d.t ORDER BY a") == [(1,), (2,)]
            assert second.value("SELECT @@super_read_only") == 1
            statements = second.rows("SHOW CREATE TABLE d.t")[0][1]
            assert "ENCRYPTION='Y'" in statements
            # As a DBA finds the replicas of a source: host and port, so that they can be reached.
            assert [row[1:3] for row in source.rows("SHOW REPLICAS")] == [("127.0.0.1", second.server.port)]


def test_a_replica_without_a_keyring_stops() -> None:
    """An encrypted table breaks a replica that has no keyring: `caught_up` reports its complaint."""
    with start(options=SMALL) as source, replica(source, keyring=False, options=SMALL) as second:
        run(source, "CREATE DATABASE d", "CREATE TABLE d.t (a INT) ENCRYPTION='Y'")
        with pytest.raises(AssertionError, match=r"(?i)keyring|master key"):
            caught_up(second, source)


def test_a_replica_that_would_miss_changes_is_refused() -> None:
    """A source that has purged its first binlog cannot be followed from its first change on."""
    with start(options=SMALL) as source:
        run(source, "CREATE DATABASE d", "FLUSH BINARY LOGS")
        run(source, f"PURGE BINARY LOGS TO '{source.rows('SHOW BINARY LOGS')[-1][0]}'")
        with pytest.raises(NoServer, match="purged"), replica(source, options=SMALL):
            raise AssertionError("it follows")


def test_a_second_start_needs_no_network() -> None:
    """With MySQL in the cache and every way to the network shut, a server starts."""
    debian.programs()
    code = "from tests.servers import start\nwith start() as s: print(s.value('SELECT 6 * 7'))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | NOWHERE, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("42\n", 0), done.stderr


def test_no_cache_and_no_network_is_said_clearly(tmp_path: Path) -> None:
    """Neither possible: one message with what was tried and what to do, and nothing left in the cache."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.servers"],
        cwd=ROOT,
        env=os.environ | NOWHERE | {"XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "cannot be downloaded" in done.stderr
    assert "MIGRATOR_TEST_DSN" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in (tmp_path / "migrator/servers").iterdir() if path.is_dir()] == []


def test_a_mysqld_of_this_machine_gets_a_keyring_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MIGRATOR_MYSQLD is run through a folder of ours, so nothing is written beside it."""
    mysqld = debian.programs().mysqld
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("MIGRATOR_TEST_SERVER", "path")
    monkeypatch.setenv("MIGRATOR_MYSQLD", str(mysqld))
    with start(options=SMALL) as server:
        assert server.server.source.startswith(f"path: {mysqld}")
        rows = dict(server.rows("SELECT * FROM performance_schema.keyring_component_status"))
        assert rows["Component_status"] == "Active"


def test_a_server_that_is_already_there_is_used_and_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """MIGRATOR_TEST_DSN serves who shares; it is never stopped, and who needs an own server gets another."""
    with start(options=SMALL) as there:
        at = there.server
        monkeypatch.delenv("MIGRATOR_TEST_SERVER")
        monkeypatch.setenv("MIGRATOR_TEST_DSN", f"mysql://{at.user}:{at.password}@{at.host}:{at.port}")
        with start(shared=True) as shared:
            assert (shared.owned, shared.server.port) == (False, at.port)
            assert at.password not in shared.server.source
            with pytest.raises(NoServer, match="was not started here"):
                shared.kill()
        assert there.value("SELECT 1") == 1
        assert not choose(own=True).why.startswith("dsn")


def test_the_account_of_the_tests_is_no_root() -> None:
    """It can make and encrypt tables and triggers, but neither users nor the settings of the server."""
    with start(options=SMALL) as server, least_privileged(server, schemas=["d"]) as account:
        run(server, "CREATE DATABASE d")
        with closing(account.connect(database="d")) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE t (a INT) ENCRYPTION='Y'")
            cursor.execute("CREATE TRIGGER r AFTER INSERT ON t FOR EACH ROW SET @x = 1")
            for forbidden in (
                "CREATE USER nobody",
                "SET GLOBAL read_only = ON",
                "SET GLOBAL sync_binlog = 0",
                "DELETE FROM mysql.user",
            ):
                with pytest.raises(pymysql.err.MySQLError) as error:
                    cursor.execute(forbidden)
                assert error.value.args[0] in (1044, 1142, 1227)
