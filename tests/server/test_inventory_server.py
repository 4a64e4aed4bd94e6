"""The facts of real servers: keyring, privileges, replicas, a group, filters, and what may not be seen."""

from __future__ import annotations

import secrets
import struct
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from migrator.db import Session
from migrator.driver import Connect
from migrator.inventory import read_server
from migrator.inventory.grants import grants_of
from migrator.model import Flavour, Server, TableName
from migrator.sql.names import quote
from tests.servers import RunningServer, least_privileged, replica, start, until
from tests.servers.local import free_port

if TYPE_CHECKING:
    from tests.servers.running import Connection

SMALL = "--innodb-buffer-pool-size=64M"
FILTERS = (
    "--binlog-ignore-db=foo",
    "--binlog-ignore-db=bar",
    "--replicate-wild-ignore-table=a.b%",
    "--replicate-do-db=shop",
)
COM_BINLOG_DUMP = 0x12


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with start(options=[SMALL, *FILTERS], name="facts") as running:
        yield running


def run(server: RunningServer, *statements: str) -> None:
    with closing(server.connect()) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def look(server: RunningServer, user: str | None = None, password: str = "") -> Server:
    to = server.server
    given = (user, password) if user else (to.user, to.password)
    with Session(Connect(host=to.host, port=to.port, user=given[0], password=given[1])) as session:
        return read_server(session)


@contextmanager
def account(server: RunningServer, *grants: str) -> Iterator[tuple[str, str]]:
    """A user with these grants and no other; `{}` in them stands for its name."""
    user, password = f"u_{secrets.token_hex(4)}", secrets.token_urlsafe(12)
    run(server, f"CREATE USER {user} IDENTIFIED BY '{password}'", *(grant.format(user) for grant in grants))
    try:
        yield user, password
    finally:
        run(server, f"DROP USER {user}")


# -- the server ---------------------------------------------------------------------------------------


def test_who_the_server_is(server: RunningServer) -> None:
    """Version, identity, folders and variables are the server's own words."""
    found = look(server)
    assert found.version_text == server.server.version
    assert found.version >= (8, 0, 16)
    assert found.flavour in {Flavour.MYSQL, Flavour.PERCONA}
    assert found.server_uuid == server.value("SELECT @@server_uuid")
    assert (found.port, found.host) == (server.value("SELECT @@port"), server.value("SELECT @@hostname"))
    assert found.datadir == server.value("SELECT @@datadir")
    assert found.variables["binlog_format"] == "ROW"
    assert found.variable_is_on("log_bin") and not found.variable_is_on("read_only")
    assert "aurora_version" not in found.variables


def test_a_variable_that_changes_is_read_as_it_is_now(server: RunningServer) -> None:
    """Gates look at global values, whatever our own session has."""
    run(server, "SET GLOBAL innodb_redo_log_encrypt = ON")
    try:
        assert look(server).variable_is_on("innodb_redo_log_encrypt")
    finally:
        run(server, "SET GLOBAL innodb_redo_log_encrypt = OFF")
    assert not look(server).variable_is_on("innodb_redo_log_encrypt")


# -- keyring ------------------------------------------------------------------------------------------


def test_the_keyring_and_its_first_master_key() -> None:
    """Usable from the start; the master key is there from the first encrypted table on."""
    with start(options=[SMALL], name="keyring") as server:
        keyring = look(server).keyring
        assert (keyring.name, keyring.kind, keyring.active) == ("component_keyring_file", "component", True)
        assert keyring.data_file == str(server.server.keyring_path)
        assert (keyring.has_master_key, keyring.usable, keyring.several) == (False, True, False)
        run(server, "CREATE DATABASE shop", "CREATE TABLE shop.coded (id INT) ENCRYPTION='Y'")
        assert look(server).keyring.has_master_key
        run(server, "SET GLOBAL keyring_operations = OFF")
        assert not look(server).keyring.usable


def test_a_server_without_a_keyring() -> None:
    """The plugin that is called daemon_keyring_proxy_plugin, which every server has, is no keyring."""
    with start(options=[SMALL], keyring=False, name="no-keyring") as server:
        assert server.value("SELECT COUNT(*) FROM information_schema.PLUGINS WHERE PLUGIN_NAME LIKE '%%keyring%%'")
        keyring = look(server).keyring
    assert (keyring.kind, keyring.active, keyring.usable) == ("none", False, False)


# -- privileges ---------------------------------------------------------------------------------------


def test_the_documented_account_sees_everything(server: RunningServer) -> None:
    """With the GRANTs that we ask for nothing is unknown, and the facts are those that root reads."""
    with least_privileged(server) as dba:
        found = look(server, dba.user, dba.password)
    root = look(server)
    assert not [m for m in found.members if m.kind == "unknown"]
    assert not [b for b in found.blockers if b.reason == "unknown"]
    assert "not readable" not in " ".join([*found.replication_filters, found.replica_detail, found.keyring.name])
    assert (found.keyring, found.is_replica, found.members) == (root.keyring, False, root.members)
    assert found.replication_filters == root.replication_filters
    assert found.variables == root.variables


def test_privileges_and_roles(server: RunningServer) -> None:
    """Global, schema and table grants; roles that are active count, granted ones that are not are named."""
    active, idle = f"role_{secrets.token_hex(4)}", f"role`{secrets.token_hex(4)}"
    weird = TableName('we`ird %s "näme"', 'we`ird %s "näme"')
    run(
        server,
        "CREATE DATABASE IF NOT EXISTS " + quote(weird.schema).replace("%%", "%"),
        f"CREATE TABLE {quote(weird.schema)}.{quote(weird.name)} (id INT)".replace("%%", "%"),
        f"CREATE ROLE {active}",
        f"CREATE ROLE {quote(idle)}",
        f"GRANT TRIGGER ON *.* TO {active}",
        f"GRANT ALL ON *.* TO {quote(idle)}",
    )
    grants = (
        "GRANT PROCESS, XA_RECOVER_ADMIN ON *.* TO {}",
        "GRANT SELECT ON `app\\_%`.* TO {} WITH GRANT OPTION",
        f"GRANT INSERT ON {quote(weird.schema)}.{quote(weird.name)} TO {{}}".replace("%%", "%"),
        f"GRANT {active}, {quote(idle)} TO {{}}",
        f"SET DEFAULT ROLE {active} TO {{}}",
    )
    try:
        with account(server, *grants) as (user, password):
            found = look(server, user, password)
    finally:
        run(server, f"DROP ROLE {active}, {quote(idle)}", "DROP DATABASE " + quote(weird.schema).replace("%%", "%"))
    assert found.privileges == {"PROCESS", "XA_RECOVER_ADMIN", "TRIGGER"}
    assert found.schema_privileges["app\\_%"] == {"SELECT", "GRANT OPTION"}
    assert grants_of(found).hold("INSERT", weird)
    assert not grants_of(found).hold("SELECT", weird)
    assert (found.account, found.roles, found.non_default_roles) == (f"{user}@%", (f"{active}@%",), (f"{idle}@%",))


def test_a_partial_revoke(server: RunningServer) -> None:
    """What was revoked for one schema does not hold there, and does elsewhere."""
    run(server, "SET GLOBAL partial_revokes = ON", "CREATE DATABASE IF NOT EXISTS secret")
    try:
        grants = ("GRANT SELECT, INSERT ON *.* TO {}", "REVOKE SELECT ON secret.* FROM {}")
        with account(server, *grants) as (user, password):
            found = grants_of(look(server, user, password))
    finally:
        run(server, "DROP DATABASE secret", "SET GLOBAL partial_revokes = OFF")
    assert not found.hold("SELECT", TableName("secret", "t"))
    assert found.hold("INSERT", TableName("secret", "t"))
    assert found.hold("SELECT", TableName("shop", "t"))


def test_what_may_not_be_seen_is_never_taken_for_good(server: RunningServer) -> None:
    """With no privilege at all: an unknown keyring, perhaps a replica, unknown members, filters and blockers."""
    with account(server) as (user, password):
        found = look(server, user, password)
    assert (found.keyring.kind, found.keyring.usable) == ("unknown", False)
    assert found.is_replica and "REPLICATION CLIENT" in found.replica_detail
    assert [m.kind for m in found.members] == ["unknown"]
    assert len(found.replication_filters) == 2
    assert all(text.startswith("not readable") for text in found.replication_filters)
    assert {b.reason for b in found.blockers} == {"unknown"}


def test_filters_are_read_as_they_were_set(server: RunningServer) -> None:
    """Those of the binlog, and those that this server has as a replica."""
    assert set(look(server).replication_filters) == {
        "binlog-ignore-db=foo",
        "binlog-ignore-db=bar",
        "replicate-wild-ignore-table=a.b%",
        "replicate-do-db=shop",
    }


def test_without_performance_schema_nothing_is_taken_for_good() -> None:
    """The keyring is still known; metadata locks and filters are not, and that is said."""
    with start(options=[SMALL, "--performance-schema=OFF", "--replicate-do-db=shop"], name="no-ps") as server:
        found = look(server)
    assert found.keyring.usable
    assert (found.is_replica, found.members) == (False, ())
    assert [text.split(":")[0] for text in found.replication_filters] == ["not readable"]
    assert [b.reason for b in found.blockers] == ["unknown"]


# -- other servers ------------------------------------------------------------------------------------


@contextmanager
def change_feed(server: RunningServer) -> Iterator[None]:
    """Somebody who reads the binlog without registering as a replica, as change feeds do."""
    with closing(server.connect()) as connection:
        log = str(server.rows("SHOW BINARY LOGS")[0][0]).encode()
        with connection.cursor() as cursor:
            cursor.execute("SET @source_binlog_checksum = 'NONE', @master_binlog_checksum = 'NONE'")
        order = struct.pack("<IHI", 4, 0, 4_000_000_001) + log
        connection._execute_command(COM_BINLOG_DUMP, order)  # type: ignore[attr-defined]
        reading = threading.Thread(target=drain, args=(connection,))
        reading.start()
        try:
            yield
        finally:
            for (number,) in server.rows(
                "SELECT ID FROM performance_schema.processlist WHERE COMMAND = 'Binlog Dump' AND USER = 'root'"
            ):
                server.rows(f"KILL {number}")
            reading.join()


def drain(connection: Connection) -> None:
    """Read events until the server ends the session."""
    stream = connection._rfile  # type: ignore[attr-defined]
    while stream.read(4096):
        pass


def test_replicas_are_found_on_both_sides() -> None:
    """The replica says whom it follows, running or stopped; the source names it, with the server's uuid."""
    with start(options=[SMALL], name="source") as source, replica(source, options=[SMALL]) as second:
        until(lambda: look(source).members, "the replica is registered")
        (member,) = look(source).members
        assert (member.name, member.kind) == (f"127.0.0.1:{second.server.port}", "replica")
        assert member.server_uuid == second.value("SELECT @@server_uuid")
        assert not look(source).is_replica
        with change_feed(source):
            until(lambda: len(look(source).members) == 2, "the change feed is seen")
            feed = look(source).members[1]
            assert feed.kind == "replica" and "not in SHOW REPLICAS" in feed.detail
        found = look(second)
        assert found.is_replica
        assert found.replica_detail == f"follows 127.0.0.1:{source.server.port}"
        assert found.variable_is_on("super_read_only")
        run(second, "STOP REPLICA")
        assert look(second).is_replica
        until(lambda: not look(source).members, "a stopped replica is not connected")
        with account(source, "GRANT REPLICATION CLIENT ON *.* TO {}") as (user, password):
            assert not look(source, user, password).is_replica
        run(second, "SET GLOBAL super_read_only = OFF", "SET GLOBAL read_only = OFF", "RESET REPLICA ALL")
        assert not look(second).is_replica


def test_a_replica_is_found_with_either_privilege() -> None:
    """REPLICATION CLIENT alone, or SELECT on performance_schema alone, is enough to see whom we follow."""
    with start(options=[SMALL], name="lonely") as server:
        run(server, "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = 1")
        for grant in ("GRANT REPLICATION CLIENT ON *.* TO {}", "GRANT SELECT ON performance_schema.* TO {}"):
            with account(server, grant) as (user, password):
                found = look(server, user, password)
            assert (found.is_replica, found.replica_detail) == (True, "follows 127.0.0.1:1")


def group_options(port: int, seeds: list[int]) -> list[str]:
    addresses = ",".join(f"127.0.0.1:{seed}" for seed in seeds)
    return [
        SMALL,
        "--plugin-load=group_replication.so",
        "--group-replication-group-name=aaaaaaaa-1111-2222-3333-444444444444",
        "--group-replication-start-on-boot=OFF",
        f"--group-replication-local-address=127.0.0.1:{port}",
        f"--group-replication-group-seeds={addresses}",
        "--group-replication-recovery-get-public-key=ON",
    ]


def test_the_members_of_a_group() -> None:
    """Mode and role on each member, the others as members; before it starts there is no group."""
    ports = [free_port(), free_port()]
    with (
        start(options=group_options(ports[0], ports), name="group") as first,
        start(options=group_options(ports[1], ports), name="group") as second,
    ):
        assert (look(first).group_mode, look(first).members) == ("", ())
        join = (
            "SET sql_log_bin = 0",
            "CREATE USER joiner@'%' IDENTIFIED BY 'throwaway'",
            "GRANT REPLICATION SLAVE, CONNECTION_ADMIN, BACKUP_ADMIN, GROUP_REPLICATION_STREAM ON *.* TO joiner@'%'",
            "CHANGE REPLICATION SOURCE TO SOURCE_USER = 'joiner', SOURCE_PASSWORD = 'throwaway'"
            " FOR CHANNEL 'group_replication_recovery'",
        )
        run(first, *join, "SET GLOBAL group_replication_bootstrap_group = ON", "START GROUP_REPLICATION")
        run(first, "SET GLOBAL group_replication_bootstrap_group = OFF")
        run(second, "RESET BINARY LOGS AND GTIDS", *join, "START GROUP_REPLICATION")
        until(lambda: [m.detail for m in look(first).members] == ["ONLINE SECONDARY"], "the second is online")
        one, two = look(first), look(second)
        assert (one.group_mode, one.group_role, two.group_role) == ("single-primary", "PRIMARY", "SECONDARY")
        assert [(m.name, m.kind) for m in one.members] == [(f"127.0.0.1:{second.server.port}", "group-member")]
        assert [m.name for m in two.members] == [f"127.0.0.1:{first.server.port}"]
        assert not one.is_replica and not two.is_replica
        with account(first, "GRANT PROCESS, REPLICATION CLIENT ON *.* TO {}") as (user, password):
            assert "unknown" in [m.kind for m in look(first, user, password).members]
        run(first, "SELECT group_replication_switch_to_multi_primary_mode()")
        assert (look(second).group_mode, look(second).group_role) == ("multi-primary", "PRIMARY")
