"""Which other servers get our statements: replicas, members of a group, nodes of a cluster.

What cannot be read is reported as if it were there, as a member of kind 'unknown' or as a replica, so
that a gate which looks for danger closes. A replica that is not connected shows nowhere on its source:
no query can find it, people have to name it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from migrator.db import Row, Session
from migrator.inventory.ask import ask
from migrator.inventory.grants import ALL, Grants
from migrator.inventory.versions import Statements
from migrator.model import Family, Member

UNKNOWN: Final = "unknown"
"""Kind of a member that stands for members which our account may not look for."""

NOT_READABLE: Final = "not readable"
"""Beginning of a text that stands for what our account may not read."""


@dataclass(frozen=True, slots=True)
class Topology:
    """What `Server` says about other servers."""

    is_replica: bool
    replica_detail: str
    group_mode: str
    group_role: str
    wsrep_on: bool
    members: tuple[Member, ...]
    replication_filters: tuple[str, ...]


def read_topology(session: Session, words: Statements, variables: Mapping[str, str], grants: Grants) -> Topology:
    """Read all of it with at most ten statements; none of them waits for anybody.

    Wants REPLICATION CLIENT, REPLICATION SLAVE, PROCESS and SELECT on performance_schema.
    """
    follows, detail = _read_source(session, words)
    mode, role, group = _read_group(session, variables)
    nodes_on, nodes = _read_wsrep(session, variables)
    # A member that is joining is sent the binlog like a replica.
    joined = {member.server_uuid for member in group}
    replicas = (member for member in _read_replicas(session, words, grants) if member.server_uuid not in joined - {""})
    return Topology(
        is_replica=follows,
        replica_detail=detail,
        group_mode=mode,
        group_role=role,
        wsrep_on=nodes_on,
        members=(*replicas, *group, *nodes),
        replication_filters=_read_filters(session, words, variables),
    )


# -- are we a replica? --------------------------------------------------------------------------------

_GROUP_CHANNELS: Final = frozenset({"group_replication_applier", "group_replication_recovery"})
_CONNECTIONS: Final = "SELECT CHANNEL_NAME, HOST, PORT FROM performance_schema.replication_connection_configuration"


def _read_source(session: Session, words: Statements) -> tuple[bool, str]:
    """Whether we follow somebody, running or stopped, and whom. A group's own channels do not count."""
    if session.family is Family.MARIADB:
        return _read_source_of_mariadb(session, words)
    configured = ask(session, _CONNECTIONS)
    if configured is not None:
        sources = [
            f"{host}:{port}" + (f" (channel {channel})" if channel else "")
            for channel, host, port in configured
            if channel not in _GROUP_CHANNELS and host
        ]
        if sources:
            return True, "follows " + ", ".join(sources)
    status = ask(session, words.replica_status)
    if status is not None:
        sources = sources_from(status)
        return bool(sources), "follows " + ", ".join(sources) if sources else ""
    if configured is not None:
        return False, ""
    return True, f"{NOT_READABLE} whether it is one: REPLICATION CLIENT is missing"


def _read_source_of_mariadb(session: Session, words: Statements) -> tuple[bool, str]:
    status = ask(session, words.replica_status)
    if status is None:
        return True, f"{NOT_READABLE} whether it is one: REPLICA MONITOR is missing"
    # Name of the connection, two states, then host, user and port (manual: SHOW REPLICA STATUS).
    sources = [f"{row[3]}:{row[5]}" + (f" (channel {row[0]})" if row[0] else "") for row in status]
    return bool(sources), "follows " + ", ".join(sources) if sources else ""


def sources_from(status: Iterable[Row]) -> list[str]:
    """Whom the rows of SHOW REPLICA STATUS name as sources. Pure.

    The number and order of its columns depend on the version, but for the first four.
    """
    return [f"{row[1]}:{row[3]}" for row in status if not _GROUP_CHANNELS & set(map(str, row))]


# -- who follows us? ----------------------------------------------------------------------------------

_DUMP_UUIDS: Final = """
    SELECT t.PROCESSLIST_ID, CONVERT(u.VARIABLE_VALUE USING utf8mb4)
    FROM performance_schema.user_variables_by_thread u
    JOIN performance_schema.threads t USING (THREAD_ID)
    WHERE u.VARIABLE_NAME IN ('replica_uuid', 'slave_uuid')
"""


@dataclass(frozen=True, slots=True)
class DumpSession:
    """A session that is being sent the binlog."""

    id: int
    host: str
    server_uuid: str = ""
    """Empty if it did not say or we may not read it."""


def _read_replicas(session: Session, words: Statements, grants: Grants) -> tuple[Member, ...]:
    registered = ask(session, words.replicas)
    # Without PROCESS these are our own sessions only, and there is no error.
    processes = session.rows(words.processes)
    if registered is None and not {"PROCESS", ALL} & grants.everywhere:
        detail = f"{NOT_READABLE} which replicas there are: REPLICATION SLAVE and PROCESS are missing"
        return (Member(name=UNKNOWN, kind=UNKNOWN, detail=detail),)
    if session.family is Family.MARIADB:  # its replicas have no uuid
        registered, asked = [(*row[:4], "") for row in registered or ()], []
    else:
        asked = ask(session, _DUMP_UUIDS) or []
    uuids = {int(row[0]): str(row[1]) for row in asked if row[0] is not None}
    dumps = [
        DumpSession(int(id), _host_of(str(host or "")), uuids.get(int(id), ""))
        for id, _, host, command, _ in processes
        if str(command).startswith("Binlog Dump")
    ]
    return replicas_from(registered or (), dumps)


def replicas_from(registered: Sequence[Row], dumps: Sequence[DumpSession]) -> tuple[Member, ...]:
    """Replicas that have registered themselves, and sessions that get the binlog without that. Pure.

    `registered` are rows of SHOW REPLICAS: server id, host (often empty), port, source id, server_uuid.
    """
    by_uuid = {dump.server_uuid: dump for dump in dumps if dump.server_uuid}
    members, unmatched = [], 0
    for server_id, host, port, _, uuid in registered:
        dump = by_uuid.get(str(uuid))
        unmatched += dump is None
        where = str(host or "") or (dump.host if dump else "")
        name = f"{where}:{port}" if where else f"server_id {server_id}"
        members.append(Member(name, "replica", server_uuid=str(uuid), detail=f"server_id {server_id}"))
    known = {member.server_uuid for member in members}
    others = [dump for dump in dumps if dump.server_uuid and dump.server_uuid not in known]
    # A registered replica has one such session; where nobody says whose is whose, only their number can tell.
    nameless = [dump for dump in dumps if not dump.server_uuid]
    others += nameless if len(nameless) > unmatched else []
    for dump in others:
        detail = f"gets the binlog in session {dump.id}, not in SHOW REPLICAS: replica, mysqlbinlog or change feed"
        members.append(Member(dump.host, "replica", server_uuid=dump.server_uuid, detail=detail))
    return tuple(members)


def _host_of(host: str) -> str:
    """`10.0.0.7:51234` without the port, which is the client's and changes."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


# -- a group ------------------------------------------------------------------------------------------

_GROUP_PLUGIN: Final = (
    "SELECT 1 FROM information_schema.PLUGINS WHERE PLUGIN_TYPE = 'GROUP REPLICATION' AND PLUGIN_STATUS = 'ACTIVE'"
)
_GROUP_MEMBERS: Final = (
    "SELECT MEMBER_ID, MEMBER_HOST, MEMBER_PORT, MEMBER_STATE, MEMBER_ROLE"
    " FROM performance_schema.replication_group_members"
)


def _read_group(session: Session, variables: Mapping[str, str]) -> tuple[str, str, tuple[Member, ...]]:
    if not session.rows(_GROUP_PLUGIN):
        return "", "", ()
    rows = ask(session, _GROUP_MEMBERS)
    if rows is None:
        detail = f"{NOT_READABLE} who is in the group: SELECT on performance_schema.* is missing"
        return "", "", (Member(name=UNKNOWN, kind=UNKNOWN, detail=detail),)
    return group_from(rows, variables)


def group_from(rows: Iterable[Row], variables: Mapping[str, str]) -> tuple[str, str, tuple[Member, ...]]:
    """Mode, our role and the others, from the rows of replication_group_members. Pure.

    A server with the plugin that has not joined is in no group: its only row is itself, OFFLINE.
    """
    own = variables.get("server_uuid", "")
    role, members, joined = "", [], False
    for member_id, host, port, state, member_role in rows:
        if str(member_id) in {own, ""}:
            joined = str(state) != "OFFLINE"
            role = str(member_role or "") if joined else ""
        else:
            detail = f"{state} {member_role}".strip()
            members.append(Member(f"{host}:{port}", "group-member", server_uuid=str(member_id), detail=detail))
    if not joined and not members:
        return "", "", ()
    single = variables.get("group_replication_single_primary_mode", "").upper() == "ON"
    return "single-primary" if single else "multi-primary", role, tuple(members)


# -- a Galera cluster ---------------------------------------------------------------------------------


def _read_wsrep(session: Session, variables: Mapping[str, str]) -> tuple[bool, tuple[Member, ...]]:
    if variables.get("wsrep_on", "").upper() not in {"ON", "1"}:
        return False, ()
    status = {str(name): str(value) for name, value in session.rows("SHOW GLOBAL STATUS LIKE 'wsrep%%'")}
    return wsrep_from(status, variables)


def wsrep_from(status: Mapping[str, str], variables: Mapping[str, str]) -> tuple[bool, tuple[Member, ...]]:
    """Whether Galera is at work and which other nodes there are, from the wsrep_ status. Pure.

    Our own entry is left out only if its address is surely ours: one node too many is asked about,
    none is forgotten. Nodes that do not give their address stand as one member of kind 'unknown'.
    """
    size = int(status.get("wsrep_cluster_size") or 0)
    if size == 0:
        return False, ()
    addresses = [a.strip() for a in status.get("wsrep_incoming_addresses", "").split(",")]
    named = [a for a in addresses if a and a.upper() != "AUTO"]
    port = variables.get("port", "3306")
    ours = {variables.get(name, "") for name in ("wsrep_node_incoming_address", "wsrep_node_address")}
    ours |= {f"{_host_of(address)}:{port}" for address in ours if address}
    others = [a for a in named if a not in ours]
    members = [Member(address, "wsrep-node") for address in others]
    unnamed = size - 1 - len(others)
    if unnamed > 0:
        detail = f"{unnamed} of {size} nodes do not say their address in wsrep_incoming_addresses"
        members.append(Member(name=UNKNOWN, kind=UNKNOWN, detail=detail))
    return True, tuple(members)


# -- filters ------------------------------------------------------------------------------------------

_APPLIER_FILTERS: Final = """
    SELECT '' AS CHANNEL, FILTER_NAME, FILTER_RULE FROM performance_schema.replication_applier_global_filters
    UNION
    SELECT CHANNEL_NAME, FILTER_NAME, FILTER_RULE FROM performance_schema.replication_applier_filters
"""


def _filters_of_mariadb(session: Session) -> list[str]:
    """Of all connections; those of a named one are system variables of that name (manual: Replication Filters)."""
    rules = session.rows("SHOW GLOBAL VARIABLES WHERE Variable_name LIKE 'replicate\\_%%' AND Value <> ''")
    return [f"{str(name).replace('_', '-')}={rule}" for name, rule in rules if name not in _NO_FILTERS]


_NO_FILTERS: Final = frozenset({"replicate_events_marked_for_skip", "replicate_annotate_row_events"})


def _read_filters(session: Session, words: Statements, variables: Mapping[str, str]) -> tuple[str, ...]:
    """What keeps changes out of the binlog here, or out of this server when it is a replica."""
    found = []
    status = ask(session, words.binlog_status)
    if status is None:
        found.append(f"{NOT_READABLE}: REPLICATION CLIENT is missing, so binlog-do-db and binlog-ignore-db are unknown")
    for row in status or ():
        for name, value in (("binlog-do-db", row[2]), ("binlog-ignore-db", row[3])):
            found += [f"{name}={schema}" for schema in str(value or "").split(",") if schema]
    if session.family is Family.MARIADB:
        return (*found, *_filters_of_mariadb(session))
    applier = ask(session, _APPLIER_FILTERS)
    if applier is None:
        missing = "SELECT on performance_schema.replication_applier_filters and _global_filters"
        found.append(f"{NOT_READABLE}: {missing} is missing")
    elif variables.get("performance_schema", "").upper() != "ON":
        # These two tables are empty then; the others that are read here are not.
        found.append(f"{NOT_READABLE}: performance_schema is off, so filters of this server as a replica are unknown")
    for channel, name, rule in applier or ():
        if rule:
            where = f" (channel {channel})" if channel else ""
            found.append(f"{str(name).lower().replace('_', '-')}={rule}{where}")
    return tuple(found)
