"""Judging what a server says about itself. The catalogs here are written by hand after documentation, not observed,
unless a test says otherwise: no such server was at hand."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from migrator.errors import Refused
from migrator.inventory.blockers import Process, transaction_blockers
from migrator.inventory.flavour import flavour_of, version_of
from migrator.inventory.keyring import keyring_from
from migrator.inventory.topology import DumpSession, group_from, replicas_from, sources_from, wsrep_from
from migrator.inventory.transactions import Transaction
from migrator.inventory.versions import must_be_readable, statements
from migrator.model import Flavour

# -- flavour and version ------------------------------------------------------------------------------

HAND_WRITTEN: dict[str, tuple[str, dict[str, str], Flavour]] = {
    "Oracle": ("8.4.3", {"version_comment": "MySQL Community Server - GPL"}, Flavour.MYSQL),
    "observed: Debian's build of Oracle's": ("9.7.4-2", {"version_comment": "(Debian)"}, Flavour.MYSQL),
    "Percona": (
        "8.0.36-28",
        {"version_comment": "Percona Server (GPL), Release 28, Revision 47601f19"},
        Flavour.PERCONA,
    ),
    "PXC by its comment": (
        "8.0.35-27.1",
        {"version_comment": "Percona XtraDB Cluster (GPL), Release rel27, WSREP version 26.1.4.3"},
        Flavour.PXC,
    ),
    "PXC by its variable": (
        "8.0.35-27.1",
        {"version_comment": "Source distribution", "pxc_strict_mode": "ENFORCING"},
        Flavour.PXC,
    ),
    "MariaDB": ("10.11.6-MariaDB-1:10.11.6+maria~ubu2204", {"version_comment": "mariadb.org"}, Flavour.MARIADB),
    "RDS": ("8.0.35", {"basedir": "/rdsdbbin/mysql-8.0.35.R2/", "version_comment": "Source distribution"}, Flavour.RDS),
    "RDS MariaDB": ("10.6.16-MariaDB-log", {"basedir": "/rdsdbbin/mariadb-10.6.16.R1/"}, Flavour.RDS),
    "Aurora": (
        "8.0.32",
        {"basedir": "/rdsdbbin/oscar-8.0.mysql_aurora.3.05.2", "aurora_version": "3.05.2"},
        Flavour.AURORA,
    ),
    "NDB": ("8.0.35-cluster", {"version_comment": "MySQL Cluster Community Server - GPL"}, Flavour.NDB),
}


@pytest.mark.parametrize(("text", "variables", "flavour"), HAND_WRITTEN.values(), ids=list(HAND_WRITTEN))
def test_flavour_by_evidence(text: str, variables: dict[str, str], flavour: Flavour) -> None:
    """Variables, folders and the comment tell who made a server; the version's suffix does not."""
    assert flavour_of(text, variables, ndb_engine=False) is flavour


def test_an_active_ndb_engine_is_evidence() -> None:
    """A server of Oracle's with the engine switched on is an SQL node."""
    assert flavour_of("8.0.35", {"version_comment": ""}, ndb_engine=True) is Flavour.NDB


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("9.7.4-2", (9, 7, 4)),
        ("8.0.36-28.1", (8, 0, 36)),
        ("5.5.5-10.6.12-MariaDB", (10, 6, 12)),
        ("8.4", (8, 4, 0)),
        ("", (0, 0, 0)),
    ],
)
def test_version_numbers(text: str, version: tuple[int, int, int]) -> None:
    """The first three numbers count, without the prefix that old MariaDB servers put before them."""
    assert version_of(text) == version


@pytest.mark.parametrize(
    ("flavour", "text"),
    [(Flavour.MARIADB, "10.5.29-MariaDB"), (Flavour.RDS, "10.4.16-MariaDB-log"), (Flavour.MYSQL, "8.0.15")],
)
def test_a_server_with_another_catalog_is_refused(flavour: Flavour, text: str) -> None:
    """What is older than 8.0.16, and MariaDB, managed or not, older than 10.6, is refused and not misread."""
    with pytest.raises(Refused) as error:
        must_be_readable(flavour, version_of(text), text)
    assert text in error.value.message


def test_the_oldest_version_is_readable() -> None:
    """8.0.16 itself is read, and MariaDB 10.6."""
    must_be_readable(Flavour.PERCONA, (8, 0, 16), "8.0.16-7")
    must_be_readable(Flavour.MARIADB, (10, 6, 0), "10.6.0-MariaDB")


@pytest.mark.parametrize(
    ("version", "replicas", "status", "binlog", "processes", "component"),
    [
        (
            (8, 0, 16),
            "SHOW SLAVE HOSTS",
            "SHOW SLAVE STATUS",
            "SHOW MASTER STATUS",
            "information_schema.PROCESSLIST",
            False,
        ),
        (
            (8, 0, 22),
            "SHOW REPLICAS",
            "SHOW REPLICA STATUS",
            "SHOW MASTER STATUS",
            "performance_schema.processlist",
            False,
        ),
        (
            (8, 0, 24),
            "SHOW REPLICAS",
            "SHOW REPLICA STATUS",
            "SHOW MASTER STATUS",
            "performance_schema.processlist",
            True,
        ),
        (
            (8, 4, 0),
            "SHOW REPLICAS",
            "SHOW REPLICA STATUS",
            "SHOW BINARY LOG STATUS",
            "performance_schema.processlist",
            True,
        ),
        (
            (9, 7, 4),
            "SHOW REPLICAS",
            "SHOW REPLICA STATUS",
            "SHOW BINARY LOG STATUS",
            "performance_schema.processlist",
            True,
        ),
    ],
)
def test_each_version_gets_its_words(
    version: tuple[int, int, int], replicas: str, status: str, binlog: str, processes: str, *, component: bool
) -> None:
    """Old servers are asked in the old words, new ones in the new, and tables are named where they exist."""
    words = statements(version, performance_schema=True)
    assert (words.replicas, words.replica_status, words.binlog_status) == (replicas, status, binlog)
    assert processes in words.processes
    assert bool(words.keyring_component) is component


def test_without_performance_schema_the_other_process_list_is_asked() -> None:
    """performance_schema.processlist is empty when performance_schema is off."""
    assert "information_schema.PROCESSLIST" in statements((9, 7, 4), performance_schema=False).processes


# -- keyring ------------------------------------------------------------------------------------------

ON = {"keyring_operations": "ON", "server_uuid": "1f"}
ACTIVE = [("Component_name", "component_keyring_file"), ("Component_status", "Active"), ("Read_only", "No")]
KEYS = [("INNODBKey-1f-1",)]


def test_an_active_component_is_usable() -> None:
    """Component_status Active and keyring_operations ON."""
    keyring = keyring_from([], ACTIVE, KEYS, ON)
    assert (keyring.kind, keyring.usable, keyring.has_master_key, keyring.several) == ("component", True, True, False)


@pytest.mark.parametrize(
    ("component", "variables"),
    [
        ([("Component_name", "component_keyring_file"), ("Component_status", "Disabled")], ON),
        (ACTIVE, ON | {"keyring_operations": "OFF"}),
        ([], ON),
    ],
    ids=["loaded but misconfigured", "operations switched off", "none"],
)
def test_a_keyring_that_does_not_work_is_not_usable(
    component: list[tuple[str, str]], variables: dict[str, str]
) -> None:
    """Loaded is not active, and active is not allowed to work."""
    assert not keyring_from([], component, KEYS, variables).usable


def test_a_read_only_keyring_needs_its_master_key_already() -> None:
    """Without one the first encrypted table would have to write it; another server's key does not help."""
    read_only = [*ACTIVE[:2], ("Read_only", "Yes")]
    assert keyring_from([], read_only, KEYS, ON).usable
    assert not keyring_from([], read_only, [("INNODBKey-another-1",)], ON).usable
    assert not keyring_from([], read_only, None, ON).usable


def test_several_keyrings_are_seen() -> None:
    """Two plugins, or a plugin beside a component."""
    assert keyring_from(["keyring_file", "keyring_vault"], [], KEYS, ON).several
    assert keyring_from(["keyring_file"], ACTIVE, KEYS, ON).several


def test_a_plugin_says_where_its_file_is() -> None:
    """The path comes from the plugin's own variable."""
    keyring = keyring_from(["keyring_file"], [], KEYS, ON | {"keyring_file_data": "/k/keyring"})
    assert (keyring.kind, keyring.data_file, keyring.usable) == ("plugin", "/k/keyring", True)


def test_a_keyring_that_we_may_not_ask_about_is_not_usable() -> None:
    """Not knowing is not the same as having, nor as having none."""
    keyring = keyring_from([], None, None, ON)
    assert (keyring.kind, keyring.usable) == ("unknown", False)
    assert "keyring_component_status" in keyring.name


# -- other servers ------------------------------------------------------------------------------------


def test_a_groups_own_channels_do_not_make_a_replica() -> None:
    """Wherever a version has the column for the channel's name."""
    ours = ("Waiting for source to send event", "db0", "repl", 3307, 60, "binlog.1", "", "")
    groups = ("", "", "joiner", 0, 60, "", "group_replication_recovery", "")
    assert sources_from([ours, groups]) == ["db0:3307"]


def test_a_registered_replica_gets_its_host_from_its_session() -> None:
    """Observed: without report_host SHOW REPLICAS has no host, but the session that feeds it has one."""
    (member,) = replicas_from([(2, "", 33982, 1, "d0ab")], [DumpSession(28, "10.0.0.5", "d0ab")])
    assert (member.name, member.kind, member.server_uuid) == ("10.0.0.5:33982", "replica", "d0ab")


def test_a_reader_of_the_binlog_that_did_not_register_is_a_member() -> None:
    """Who gets the binlog without being in SHOW REPLICAS is found by its session."""
    dumps = [DumpSession(28, "10.0.0.5", "d0ab"), DumpSession(29, "10.0.0.9", "beef"), DumpSession(30, "10.0.0.7")]
    members = replicas_from([(2, "db2", 3306, 1, "d0ab")], dumps)
    assert [m.name for m in members] == ["db2:3306", "10.0.0.9", "10.0.0.7"]


def test_where_sessions_do_not_say_whose_they_are_their_number_tells() -> None:
    """One session for one registered replica is that one; a second one is somebody else."""
    replica = (2, "db2", 3306, 1, "d0ab")
    assert [m.name for m in replicas_from([replica], [DumpSession(28, "10.0.0.5")])] == ["db2:3306"]
    two = replicas_from([replica], [DumpSession(28, "10.0.0.5"), DumpSession(29, "10.0.0.9")])
    assert [m.name for m in two] == ["db2:3306", "10.0.0.5", "10.0.0.9"]


GROUP = [("u1", "db1", 3306, "ONLINE", "PRIMARY"), ("u2", "db2", 3306, "RECOVERING", "SECONDARY")]


@pytest.mark.parametrize(("single", "mode"), [("ON", "single-primary"), ("OFF", "multi-primary")])
def test_the_others_of_a_group_are_members(single: str, mode: str) -> None:
    """All but ourselves, in any state, with our own role."""
    variables = {"server_uuid": "u1", "group_replication_single_primary_mode": single}
    found_mode, role, members = group_from(GROUP, variables)
    assert (found_mode, role, [(m.name, m.kind) for m in members]) == (mode, "PRIMARY", [("db2:3306", "group-member")])


def test_a_server_that_has_not_joined_is_in_no_group() -> None:
    """Observed: with the plugin loaded and not started the only row is ourselves, OFFLINE."""
    rows = [("u1", "db1", 3306, "OFFLINE", "")]
    assert group_from(rows, {"server_uuid": "u1", "group_replication_single_primary_mode": "ON"}) == ("", "", ())


def test_the_nodes_of_a_cluster_are_members() -> None:
    """All addresses but our own; a node that does not give its address stands as unknown."""
    variables = {"wsrep_node_address": "10.0.0.1", "port": "3306"}
    status = {"wsrep_cluster_size": "3", "wsrep_incoming_addresses": "10.0.0.1:3306,10.0.0.2:3306,10.0.0.3:3306"}
    on, members = wsrep_from(status, variables)
    assert on and [(m.name, m.kind) for m in members] == [
        ("10.0.0.2:3306", "wsrep-node"),
        ("10.0.0.3:3306", "wsrep-node"),
    ]
    _, members = wsrep_from(status | {"wsrep_incoming_addresses": "10.0.0.1:3306,AUTO,10.0.0.3:3306"}, variables)
    assert [(m.name, m.kind) for m in members] == [("10.0.0.3:3306", "wsrep-node"), ("unknown", "unknown")]


def test_a_node_that_cannot_tell_itself_from_the_others_names_all() -> None:
    """One too many is asked about, none is forgotten."""
    status = {"wsrep_cluster_size": "2", "wsrep_incoming_addresses": "10.0.0.1:3306,10.0.0.2:3306"}
    _, members = wsrep_from(status, {"port": "3306"})
    assert [m.name for m in members] == ["10.0.0.1:3306", "10.0.0.2:3306"]


def test_wsrep_variables_without_a_cluster_are_no_cluster() -> None:
    """MariaDB has the variables everywhere; a size of 0 says that there is no cluster."""
    assert wsrep_from({"wsrep_cluster_size": "0"}, {}) == (False, ())


# -- transactions in the way --------------------------------------------------------------------------


def a_transaction(session_id: int, seconds: int) -> Transaction:
    started = datetime(2026, 1, 1, tzinfo=UTC)
    return Transaction(f"t{session_id}", session_id, "RUNNING", started, seconds, has_written=False)


def test_idle_and_long_transactions_are_in_the_way() -> None:
    """Sleeping for long enough is idle, however young; busy is in the way when it is old; the rest is traffic."""
    processes = {
        1: Process("app", "Sleep", 9),
        2: Process("app", "Sleep", 0),
        3: Process("report", "Query", 90),
        4: Process("app", "Query", 1),
        5: Process("app", "Sleep", 400),
    }
    transactions = [a_transaction(1, 9), a_transaction(2, 3), a_transaction(3, 90), a_transaction(4, 1)]
    found = transaction_blockers(transactions, processes, idle_seconds=5, long_seconds=60)
    assert [(b.session_id, b.user, b.seconds, b.reason) for b in found] == [
        (1, "app", 9, "idle-transaction"),
        (3, "report", 90, "long-transaction"),
    ]
