"""Places on other servers, and on the way to them: groups, clones, Galera, NDB, and what has to be asked of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from migrator.model import Flavour, Inventory, Member, Server
from migrator.planner.posture.galera import galera
from migrator.planner.posture.words import set_variable
from migrator.posture import Area, Place, Posture, State

_MUST_BE_ASKED: Final = (
    "binlog_encryption innodb_redo_log_encrypt innodb_undo_log_encrypt default_table_encryption"
    " table_encryption_privilege_check require_secure_transport tls_version"
)
"""Settings of a server that no statement replicates."""

ASK_A_SERVER: Final = (
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN (" + ", ".join(f"'{name}'" for name in _MUST_BE_ASKED.split()) + ")",
    "SELECT STATUS_KEY, STATUS_VALUE FROM performance_schema.keyring_component_status",
    "SELECT PLUGIN_NAME, PLUGIN_STATUS FROM information_schema.PLUGINS WHERE PLUGIN_TYPE = 'KEYRING'",
    "SELECT KEY_ID FROM performance_schema.keyring_keys",
    "SHOW BINARY LOGS",
    "SELECT NAME, SPACE_TYPE FROM information_schema.INNODB_TABLESPACES WHERE ENCRYPTION = 'N'",
    "SHOW GLOBAL STATUS LIKE 'Ssl_server_not_after'",
)
"""What `migrator audit` would read there of what does not come by replication."""

_SAME_ROWS: Final = "the same rows lie there, under its own keyring and settings"
_GROUP: Final = "whoever is on the network reads what members say to each other: every changed row"


def cluster(inventory: Inventory, posture: Posture) -> Iterator[Place]:
    """Places on other servers."""
    yield from _group(inventory, posture)
    yield _clone(inventory, posture)
    yield from galera(inventory, posture)
    yield from _ndb(inventory, posture)
    yield from _sources(posture)
    for member in inventory.server.members:
        yield _member(member)


# -- Group Replication --------------------------------------------------------------------------------


def _group(inventory: Inventory, posture: Posture) -> Iterator[Place]:
    variables, server = posture.variables, inventory.server
    mode = variables.get("group_replication_ssl_mode", "")
    if not mode:
        return
    if not server.group_mode:
        yield Place("group-tls", Area.CLUSTER, "Group Replication", State.UNUSED, "the plugin is there; in no group")
        return
    stack = variables.get("group_replication_communication_stack", "") or "XCOM"
    evidence = f"group_replication_ssl_mode={mode}, group_replication_communication_stack={stack}"
    what = "what members of the group say to each other"
    if mode.upper() == "DISABLED":
        closes = (
            "on every member: " + set_variable(server, "group_replication_ssl_mode", "'REQUIRED'"),
            "on every member: " + set_variable(server, "group_replication_recovery_use_ssl", "ON"),
            "all members must have the same value, so the group stops for a moment: STOP GROUP_REPLICATION on every"
            " secondary, then on the primary, which takes no writes until it has begun the group again",
            "on the primary: SET GLOBAL group_replication_bootstrap_group = ON",
            "on the primary: START GROUP_REPLICATION",
            "on the primary: SET GLOBAL group_replication_bootstrap_group = OFF",
            "on every other member: START GROUP_REPLICATION",
        )
        yield Place("group-tls", Area.CLUSTER, what, State.CLEAR, evidence, _GROUP, closes)
    else:
        yield Place("group-tls", Area.CLUSTER, what, State.ENCRYPTED, evidence)
    yield _recovery(server, posture)


def _recovery(server: Server, posture: Posture) -> Place:
    code, what = "group-recovery-tls", "what a joining member of the group is sent"
    names = ("recovery_use_ssl", "recovery_ssl_verify_server_cert", "recovery_get_public_key")
    values = {name: posture.variables.get(f"group_replication_{name}", "") for name in names}
    evidence = ", ".join(f"group_replication_{name}={value}" for name, value in values.items())
    if values["recovery_use_ssl"].upper() == "ON":
        return Place(code, Area.CLUSTER, what, State.ENCRYPTED, evidence)
    risk = "a joining member gets binary logs, or a clone of everything, over a connection that may be in clear"
    closes = ["on every member: " + set_variable(server, "group_replication_recovery_use_ssl", "ON")]
    if values["recovery_get_public_key"].upper() == "ON":
        risk += "; its password goes to whoever answers in the donor's place"
        closes.append("on every member: " + set_variable(server, "group_replication_recovery_get_public_key", "OFF"))
    return Place(code, Area.CLUSTER, what, State.CLEAR, evidence, risk, tuple(closes))


def _clone(inventory: Inventory, posture: Posture) -> Place:
    code, what = "clone", "clones over the network"
    if "clone" not in posture.transport.plugins:
        return Place(code, Area.CLUSTER, what, State.UNUSED, "the plugin clone is not active")
    donors = posture.variables.get("clone_valid_donor_list", "")
    ca = posture.variables.get("clone_ssl_ca", "")
    evidence = f"clone_valid_donor_list={donors}, clone_ssl_ca={ca}"
    if not donors:
        return Place(code, Area.CLUSTER, what, State.OK, f"{evidence}: this server clones from nobody")
    if ca:
        return Place(code, Area.CLUSTER, what, State.OK, evidence)
    risk = "a clone sends all data; without REQUIRE SSL it goes on in clear where the donor offers no TLS"
    closes = (
        "CLONE INSTANCE FROM ... IDENTIFIED BY ... REQUIRE SSL",
        set_variable(inventory.server, "clone_ssl_ca", "'/etc/mysql/certs/ca.pem'"),
        set_variable(inventory.server, "clone_valid_donor_list", "DEFAULT") + "  -- when no more is to be cloned",
    )
    return Place(code, Area.CLUSTER, what, State.BAD, evidence, risk, closes)


# -- NDB ----------------------------------------------------------------------------------------------


def _ndb(inventory: Inventory, posture: Posture) -> Iterator[Place]:
    if inventory.server.flavour is not Flavour.NDB:
        return
    code, what = "ndb-links", "links between NDB's nodes"
    links = posture.transport.ndb_links
    risk = "rows travel between SQL nodes and data nodes in clear"
    restart = (
        "ndb_sign_keys --create-key on a safe host, certificates for every node (--ndb-tls-search-path)",
        "RequireTls=true in [ndbd default] and [ndb_mgmd default] of config.ini, then a rolling restart"
        " (NDB 8.3 or newer)",
    )
    if links is None:
        closes = (
            "SELECT node_id, remote_node_id, encrypted FROM ndbinfo.transporter_details  -- NDB 8.4 or newer",
            "SELECT * FROM ndbinfo.certificates  -- NDB 8.3 or newer",
            "older versions have no TLS between nodes: a network of their own",
        )
        why = "ndbinfo.transporter_details is not readable, or this version has none"
        yield Place(code, Area.CLUSTER, what, State.ASK, why, risk, closes)
        return
    clear = sum(number for encrypted, number in links if not encrypted)
    total = sum(number for _, number in links)
    evidence = f"ndbinfo.transporter_details: {clear} of {total} links not encrypted"
    if clear:
        yield Place(code, Area.CLUSTER, what, State.CLEAR, evidence, risk, restart, restart=True)
    else:
        yield Place(code, Area.CLUSTER, what, State.ENCRYPTED, evidence)


# -- every other server -------------------------------------------------------------------------------


def _sources(posture: Posture) -> Iterator[Place]:
    for channel in posture.transport.channels or ():
        where = f"{channel.host}:{channel.port}"
        evidence = f"channel '{channel.name}' reads from it; encryption there does not follow from encryption here"
        yield Place("source", Area.CLUSTER, f"source {where}", State.ASK, evidence, _SAME_ROWS, _asks(where))


def _member(member: Member) -> Place:
    what = f"{member.kind} {member.name}"
    if member.kind == "unknown":
        return Place("member", Area.CLUSTER, "other servers", State.UNKNOWN, member.detail, _SAME_ROWS)
    own = "binlog and its key, redo, undo, defaults and TLS are its own"
    evidence = f"{member.detail or member.kind}; {own}"
    return Place("member", Area.CLUSTER, what, State.ASK, evidence, _SAME_ROWS, _asks(member.name))


def _asks(where: str) -> tuple[str, ...]:
    host, colon, port = where.rpartition(":")
    call = f"migrator audit -h {host} -P {port}" if colon and port.isdigit() else "migrator audit"
    return (f"there: {call}", "or, with another client:", *ASK_A_SERVER)
