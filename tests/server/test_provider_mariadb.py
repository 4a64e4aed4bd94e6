"""The provider's MariaDB: both versions run, with an encryption plugin whose keys lie outside of the datadir."""

from __future__ import annotations

from contextlib import closing

import pytest

from tests.servers import NoServer, mariadb, until
from tests.servers.galera import cluster, wait_until_synced

CANARY = "a row that nobody else may read"


@pytest.mark.parametrize("version", sorted(mariadb.BUILDS))
def test_it_encrypts_and_comes_back(version: str) -> None:
    """A table with a key of its own: its rows are not in its file, and are there after a restart and after a kill."""
    with mariadb.start(version) as server:
        assert server.server.version.startswith(f"{version}.")
        assert "MariaDB" in server.server.version
        with closing(server.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE d")
            for name, options in (("plain", ""), ("secret", "ENCRYPTED = YES ENCRYPTION_KEY_ID = 2")):
                cursor.execute(f"CREATE TABLE d.{name} (id INT PRIMARY KEY, v TEXT) ENGINE = InnoDB {options}")
                cursor.execute(f"INSERT INTO d.{name} VALUES (1, %s)", (CANARY,))
        server.restart()  # by then all pages are written
        assert server.server.datadir is not None
        found = {
            name: CANARY.encode() in (server.server.datadir / f"d/{name}.ibd").read_bytes()
            for name in ("plain", "secret")
        }
        assert found == {"plain": True, "secret": False}
        server.kill()
        server.start()
        assert server.value("SELECT v FROM d.secret") == CANARY


def test_without_keys_it_cannot_encrypt() -> None:
    """`keyring=False` is a server that has no encryption plugin."""
    with mariadb.start(keyring=False) as server:
        plugins = "SELECT COUNT(*) FROM information_schema.PLUGINS WHERE PLUGIN_TYPE = 'ENCRYPTION'"
        assert server.value(plugins) == 0


def test_an_option_that_it_does_not_know_is_said() -> None:
    """With the server's own words."""
    with pytest.raises(NoServer, match="no-such-option"), mariadb.start(options=["--no-such-option"]):
        raise AssertionError("it runs")


@pytest.mark.parametrize("version", sorted(mariadb.BUILDS))
def test_a_cluster(version: str) -> None:
    """Three nodes, each of which writes and reads the rows of all; one that is killed comes back."""
    with cluster(version) as of:
        first, second, third = of.nodes
        first.rows("CREATE DATABASE d")
        second.rows("CREATE TABLE d.t (id INT PRIMARY KEY)")
        third.rows("INSERT INTO d.t VALUES (1)")
        for node in of.nodes:
            node.rows("SET SESSION wsrep_sync_wait = 1")
            until(lambda node=node: node.rows("SELECT id FROM d.t") == [(1,)], "the row is there")  # type: ignore[misc]
        third.kill()
        wait_until_synced(first, 2)
        first.rows("INSERT INTO d.t VALUES (2)")
        third.start()
        wait_until_synced(third, 3)
        assert third.value("SELECT COUNT(*) FROM d.t") == 2


def test_a_node_that_has_nothing_is_sent_everything() -> None:
    """By mariadb-backup: a state transfer, as when a node is replaced."""
    with cluster(nodes=2) as of:
        first, second = of.nodes
        first.rows("CREATE DATABASE d")
        second.stop()
        assert second.server.datadir is not None
        (second.server.datadir / "grastate.dat").unlink()
        second.start()
        wait_until_synced(second, 2)
        assert second.rows("SHOW DATABASES LIKE 'd'") == [("d",)]
        assert second.folder is not None
        assert "mariabackup SST started on joiner" in (second.folder / "error.log").read_text()
