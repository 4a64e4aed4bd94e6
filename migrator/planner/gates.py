"""Safety gates: may anything be done on this server at all? Asked before any DDL, the dry-run's included.

Pure. All gates are asked and all findings given; a blocking one refuses the run before anything is
touched. Warnings come last.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Final

from migrator.model import Finding, Flavour, Method, Schema, Server
from migrator.planner.background import encrypts_in_background, may_not
from migrator.planner.plan import Attestations, Step
from migrator.planner.privileges import JOURNAL_SCHEMA, SYSTEM_SCHEMAS, Need, grant, holds, missing, needs_super
from migrator.planner.units import about
from migrator.sql.settings import BINLOG, DEFAULT, PRIVILEGE_CHECK, VARIABLES

OLDEST: Final = (8, 0, 16)
"""The first MySQL with the encrypted `mysql` tablespace, schema defaults and keyring_keys."""

RUNBOOKS: Final[dict[Flavour, str]] = {
    Flavour.RDS: (
        "encryption is a property of the instance there: `aws rds describe-db-instances --query"
        " 'DBInstances[].[DBInstanceIdentifier,StorageEncrypted,KmsKeyId]'` shows it; to add it: snapshot, copy the"
        " snapshot with a KMS key, restore, catch up by replication, switch over; step by step: migrator runbook rds"
    ),
    Flavour.AURORA: (
        "encryption is a property of the cluster there: `aws rds describe-db-clusters --query"
        " 'DBClusters[].[DBClusterIdentifier,StorageEncrypted,KmsKeyId]'` shows it; to add it: restore a snapshot into"
        " an encrypted cluster, catch up by replication, switch over; step by step: migrator runbook aurora"
    ),
    Flavour.NDB: (
        "NDB encrypts per data node: EncryptedFileSystem=1, a password for each data node, then a rolling initial"
        " restart of each; RequireEncryptedBackup for backups; step by step: migrator runbook ndb"
    ),
}
"""What does the job where ENCRYPTION='Y' does not exist."""


@dataclass(frozen=True, slots=True)
class _Asked:
    server: Server
    attestations: Attestations
    steps: Collection[Step]
    schemas: Collection[Schema]
    confirmed: frozenset[str]
    refuted: frozenset[str]
    journal_schema: str


def gates(
    server: Server,
    attestations: Attestations,
    *,
    steps: Collection[Step] | None = None,
    schemas: Collection[Schema] = (),
    confirmed: Collection[str] = (),
    refuted: Collection[str] = (),
    journal_schema: str = JOURNAL_SCHEMA,
) -> tuple[Finding, ...]:
    """Everything about the server that speaks against a run, blocking findings first.

    `steps` are those of the plan: they say which schemas and rights are needed (None: rights on schemas
    are not asked). `confirmed` are the names of members whose keyring was confirmed by a query, `refuted` those of
    members that have said that they have none.
    """
    asked = _Asked(server, attestations, steps or (), schemas, frozenset(confirmed), frozenset(refuted), journal_schema)
    asked_for = IN_BACKGROUND if encrypts_in_background(server) else GATES
    found = [finding for gate in asked_for for finding in gate(asked)]
    return tuple(sorted(found, key=lambda f: not f.blocks))


def _blocks(code: str, message: str, remedy: str, subject: str = "") -> Finding:
    return Finding(code=code, message=message, remedy=remedy, blocks=True, subject=subject)


# -- the server itself ----------------------------------------------------------------------------


def _flavour(asked: _Asked) -> Iterator[Finding]:
    runbook = RUNBOOKS.get(asked.server.flavour)
    if runbook is not None:
        managed = asked.server.flavour in {Flavour.RDS, Flavour.AURORA}
        unseen = "; whether its storage is encrypted no query can say" if managed else ""
        yield _blocks("flavour", f"{asked.server.flavour.upper()} has no ENCRYPTION='Y' for tables{unseen}", runbook)


def _version(asked: _Asked) -> Iterator[Finding]:
    if asked.server.flavour not in RUNBOOKS and asked.server.version < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        message = f"version {asked.server.version_text} is older than {oldest}"
        yield _blocks("version", message, f"upgrade to {oldest} or newer first")


def _keyring(asked: _Asked) -> Iterator[Finding]:
    keyring = asked.server.keyring
    if asked.server.flavour in RUNBOOKS:
        return
    if keyring.several:
        message = "several keyrings are active at once, which the manual says may lose data"
        yield _blocks("keyring-several", message, "keep exactly one: a component (mysqld.my) or a plugin, not both")
    if keyring.kind == "none":
        remedy = "configure a keyring component in mysqld.my (beside mysqld or in the datadir) and restart the server"
        yield _blocks("keyring-missing", "there is no keyring, so no table can be encrypted", remedy)
    elif keyring.kind not in {"component", "plugin"}:
        message = f"nobody can tell whether there is a usable keyring ({keyring.name})"
        yield _blocks("keyring-unknown", message, grant(asked.server, ("SELECT",), schema="performance_schema"))
    elif not keyring.active:
        message = f"the keyring {keyring.name} is loaded, but not active, or keyring_operations is OFF"
        remedy = "see performance_schema.keyring_component_status and the error log; ALTER INSTANCE RELOAD KEYRING"
        yield _blocks("keyring-inactive", message, remedy)
    elif keyring.read_only and not keyring.has_master_key:
        message = f"the keyring {keyring.name} is read-only and has no master key yet"
        yield _blocks("keyring-read-only", message, "make it writable for the first encrypted table")


def _keyring_backup(asked: _Asked) -> Iterator[Finding]:
    if asked.attestations.keyring_backup is None:
        remedy = (
            "back the keyring up (again after the first encrypted table and after each rotation), apart from the data,"
            " and say so in the plan: attestations.keyring_backup with `by` and `at`"
        )
        yield _blocks("keyring-backup", "nobody has attested a backup of the keyring: without it all is lost", remedy)


def _writable(asked: _Asked) -> Iterator[Finding]:
    for name in ("super_read_only", "read_only", "innodb_read_only", "offline_mode"):
        if asked.server.variable_is_on(name):
            yield _blocks("read-only", f"{name} is ON", "use the server that takes the writes, or set it OFF")
            return


def _force_recovery(asked: _Asked) -> Iterator[Finding]:
    level = asked.server.variables.get("innodb_force_recovery", "0")
    if level not in {"", "0"}:
        message = f"innodb_force_recovery is {level}: the server runs to be rescued, not to be written"
        yield _blocks("force-recovery", message, "finish the rescue and restart with 0")


# -- replication ----------------------------------------------------------------------------------


def _replica(asked: _Asked) -> Iterator[Finding]:
    if asked.server.is_replica:
        detail = f" ({asked.server.replica_detail})" if asked.server.replica_detail else ""
        remedy = "run this on the source: all that is done replicates from there"
        yield _blocks("replica", f"this server is a replica{detail}", remedy)


def _group(asked: _Asked) -> Iterator[Finding]:
    server = asked.server
    if server.group_mode == "multi-primary":
        message = (
            "Group Replication in multi-primary mode: writes on other members would not pass our triggers in order"
        )
        remedy = "SELECT group_replication_switch_to_single_primary_mode() for the time of the migration"
        yield _blocks("multi-primary", message, remedy)
    elif server.group_mode and server.group_role != "PRIMARY":
        role = server.group_role or "not ONLINE"
        remedy = "run this on the member that SELECT * FROM performance_schema.replication_group_members calls PRIMARY"
        yield _blocks("group-not-primary", f"this member of the group is {role}, not PRIMARY", remedy)
    limit = server.variables.get("group_replication_transaction_size_limit", "0")
    if server.group_mode and limit.isdigit() and int(limit):
        message = (
            f"the group refuses transactions of more than {about(int(limit))}; while a table is mirrored, each change"
            " of the application counts twice"
        )
        remedy = (
            "raise group_replication_transaction_size_limit on all members, if the application comes near half of it"
        )
        yield Finding(code="transaction-size", message=message, remedy=remedy)


def _wsrep(asked: _Asked) -> Iterator[Finding]:
    if asked.server.wsrep_on:
        message = "Galera (wsrep) is on: this version has no method for a cluster whose nodes all take writes"
        yield _blocks("wsrep", message, "by hand, node by node: migrator runbook pxc")


def _binlog_format(asked: _Asked) -> Iterator[Finding]:
    if not asked.server.variable_is_on("log_bin"):
        return
    if asked.server.variables.get("binlog_format", "ROW").upper() == "STATEMENT":
        message = "binlog_format is STATEMENT: replicas would run the copy again by themselves, on other rows"
        remedy = "SET PERSIST binlog_format = 'ROW', and reconnect the applications: sessions keep the old format"
        yield _blocks("binlog-statement", message, remedy)


def _filters(asked: _Asked) -> Iterator[Finding]:
    """Any filter blocks, unless it only leaves system schemas out.

    A filter splits source and shadow in more ways than its name says: with ROW events it goes by the
    table, with DDL such as our RENAME by the session's default schema, of which we have none.
    """
    for text in asked.server.replication_filters:
        kind, _, value = text.partition("=")
        value, _, _ = value.partition(" (channel ")
        kind = kind.strip().lower().replace("_", "-")
        names = {name.strip(" `'\"()") for name in value.split(",")}
        if kind in {"binlog-ignore-db", "replicate-ignore-db"} and names <= SYSTEM_SCHEMAS:
            continue
        if text.startswith("not readable"):
            remedy = "grant the right that it names: a filter that nobody can see may be there"
            yield _blocks("replication-filter", f"replication filters are {text}", remedy)
            continue
        message = f"replication filter {text}: a table and its shadow, or rows and RENAME, could go different ways"
        yield _blocks("replication-filter", message, "remove the filter for the time of the migration")


def _members(asked: _Asked) -> Iterator[Finding]:
    members = {m.name: m for m in asked.server.members if m.kind != "unknown"}
    for member in asked.server.members:
        if member.kind == "unknown":
            message = f"there may be replicas or members that nobody can name: {member.detail or 'no reason given'}"
            yield _blocks(
                "members-unknown", message, "give the account the right to see them, or have them say who they are"
            )
    for name, member in sorted(members.items()):
        if name in asked.refuted:
            attested = ", whatever is attested" if name in asked.attestations.members else ""
            message = f"{member.kind} {name} has no usable keyring{attested}: without one it stops at the first table"
            yield _blocks("member-not-confirmed", message, "give it one, or take it out of replication", subject=name)
            continue
        if name in asked.confirmed or name in asked.attestations.members:
            continue
        remedy = (
            "make sure that its keyring is active, and say so in the plan: attestations.members with this name, `by`"
            " and `at`"
        )
        detail = f" ({member.detail})" if member.detail else ""
        message = (
            f"{member.kind} {name}{detail}: nobody has confirmed its keyring; without one it stops at the first table"
        )
        yield _blocks("member-not-confirmed", message, remedy, subject=name)
    for name in sorted(set(asked.attestations.members) - set(members)):
        message = f"attestations.members names {name}, which this server does not know as a replica or member"
        yield Finding(code="member-unknown", message=message, remedy="check its spelling", subject=name)


# -- what we are allowed to do and to see ---------------------------------------------------------


def _performance_schema(asked: _Asked) -> Iterator[Finding]:
    if asked.server.variables.get("performance_schema", "ON").upper() in {"OFF", "0"}:
        message = "performance_schema is OFF: nobody can see who holds a metadata lock"
        yield _blocks("performance-schema", message, "performance_schema=ON in my.cnf, and restart")


_FOR_SETTINGS: Final = (
    (frozenset(VARIABLES), Need.SETTING),
    (frozenset({BINLOG}), Need.BINLOG_SETTING),
    # Once the check is on, whatever is done afterwards needs the right, too.
    (frozenset({DEFAULT, PRIVILEGE_CHECK}), Need.ENCRYPTION_ADMIN),
    (frozenset({PRIVILEGE_CHECK}), Need.PRIVILEGE_CHECK),
)
"""Which variables need what; seen on 9.7.4."""


def needs(server: Server, steps: Collection[Step]) -> frozenset[Need]:
    """Which rights these steps need here."""
    wanted = {Need.READ, Need.COPY}
    if any(s.method is Method.SHADOW_COPY for s in steps) and needs_super(server):
        wanted.add(Need.TRIGGERS)
    settings = {s.setting_name for s in steps if s.method is Method.SETTING and not s.schema_name}
    wanted |= {need for names, need in _FOR_SETTINGS if names & settings}
    relayed = any(s.method is Method.TABLESPACE_RELAY for s in steps)
    if relayed or any(s.kind == "tablespace" and s.changes_something for s in steps):
        wanted.add(Need.TABLESPACE)
    if server.variable_is_on("table_encryption_privilege_check"):
        # Whatever the defaults are: the journal's schema is born in clear and holds encrypted tables, and
        # a relay's tablespace is born in clear.
        wanted.add(Need.ENCRYPTION_ADMIN)
    return frozenset(wanted)


def _privileges(asked: _Asked) -> Iterator[Finding]:
    schemas = {s.schema_name for s in asked.steps if s.kind == "table" and s.changes_something}
    wanted = needs(asked.server, asked.steps)
    lacking = missing(asked.server, schemas, wanted, journal_schema=asked.journal_schema)
    altered = {s.schema_name for s in asked.steps if s.kind == "setting" and s.changes_something} - {"", *schemas}
    lacking += missing(asked.server, altered, {Need.SCHEMA_DEFAULT}, journal_schema=asked.journal_schema)
    yield from lacking
    if asked.server.non_default_roles and not lacking:
        roles = ", ".join(asked.server.non_default_roles)
        message = f"roles that are granted but not default ({roles}) are not used: triggers run without them"
        yield Finding(code="non-default-roles", message=message)


def _ddl_blockers(asked: _Asked) -> Iterator[Finding]:
    for blocker in asked.server.blockers:
        detail = f": {blocker.detail}" if blocker.detail else ""
        if blocker.reason == "unknown":
            yield Finding(
                code="blocker-unknown",
                message=f"what stands in the way of DDL is not fully known{detail}",
                remedy="give the account the right, or switch the instrument on",
                # Prepared XA shows as a metadata lock too; without those nobody knows when to strike.
                blocks="XA" not in blocker.detail,
            )
            continue
        who = f"session {blocker.session_id}" + (f" of {blocker.user}" if blocker.user else "")
        yield Finding(
            code=f"blocker-{blocker.reason}",
            message=f"{who} stands in the way of DDL ({blocker.reason}, {blocker.seconds} s){detail}",
            remedy="wait until it has ended",
            blocks=blocker.reason in {"backup-lock", "clone"},
        )


# -- where rows lie or travel in clear meanwhile --------------------------------------------------


def _to_be_set(asked: _Asked) -> frozenset[str]:
    """Variables, and schemas, that the plan itself sets."""
    steps = [s for s in asked.steps if s.method is Method.SETTING]
    return frozenset(s.schema_name or s.setting_name for s in steps)


def _plain_logs(asked: _Asked) -> Iterator[Finding]:
    server = asked.server
    logs = (
        ("plain-binlog", "binlog_encryption", "the binlog", server.variable_is_on("log_bin")),
        ("plain-redo", "innodb_redo_log_encrypt", "the redo log", True),
        ("plain-undo", "innodb_undo_log_encrypt", "the undo log", True),
    )
    to_come = _to_be_set(asked)
    for code, variable, what, used in logs:
        if used and variable not in to_come and variable in server.variables and not server.variable_is_on(variable):
            message = f"{what} is in clear ({variable}=OFF), and the copy writes every row there"
            yield Finding(code=code, message=message, remedy=f"before the first table: SET PERSIST {variable} = ON")


def _keyring_beside_data(asked: _Asked) -> Iterator[Finding]:
    path, datadir = asked.server.keyring.data_file, asked.server.datadir
    if not path or not datadir:
        return
    home = posixpath.normpath(datadir).rstrip("/") + "/"
    if not posixpath.isabs(path) or (posixpath.normpath(path) + "/").startswith(home):
        message = f"the keyring's file {path} lies in the data directory: who copies the data has the key too"
        yield Finding(
            code="keyring-in-datadir", message=message, remedy="move it to another place, or use a key server"
        )


def _born_in_clear(asked: _Asked) -> Iterator[Finding]:
    server = asked.server
    to_come = _to_be_set(asked)
    known = "default_table_encryption" in server.variables and "default_table_encryption" not in to_come
    if known and not server.variable_is_on("default_table_encryption"):
        message = "default_table_encryption is OFF: tables in new schemas are born in clear"
        yield Finding("default-plain", message, "SET PERSIST default_table_encryption = ON")
    passed_over = SYSTEM_SCHEMAS | to_come
    plain = sorted(s.name for s in asked.schemas if not s.default_encryption and s.name not in passed_over)
    if plain:
        names = ", ".join(plain)
        message = f"schemas in which new tables are born in clear: {names}"
        yield Finding("schema-default-plain", message, "ALTER SCHEMA ... DEFAULT ENCRYPTION = 'Y' for each")


def _transport(asked: _Asked) -> Iterator[Finding]:
    variables = asked.server.variables
    if "require_secure_transport" in variables and not asked.server.variable_is_on("require_secure_transport"):
        message = "require_secure_transport is OFF: rows may travel in clear to applications and replicas"
        on = "SET PERSIST require_secure_transport = ON"
        if encrypts_in_background(asked.server):
            on = "require_secure_transport = ON in the option file and by SET GLOBAL"
        yield Finding("plain-transport", message, f"{on}, when all clients can TLS")


GATES: Final[tuple[Callable[[_Asked], Iterator[Finding]], ...]] = (
    _flavour,
    _version,
    _keyring,
    _keyring_backup,
    _writable,
    _force_recovery,
    _replica,
    _group,
    _wsrep,
    _binlog_format,
    _filters,
    _members,
    _performance_schema,
    _privileges,
    _ddl_blockers,
    _plain_logs,
    _keyring_beside_data,
    _born_in_clear,
    _transport,
)


# -- where the server's own threads do it -----------------------------------------------------------

IN_BACKGROUND_NEEDS: Final = (
    ("PROCESS", "see how far the server is"),
    ("SUPER", "SET GLOBAL innodb_encrypt_tables and the like"),
    ("BINLOG ADMIN", "keep the journal out of the binary log: settings do not replicate, so each server has its own"),
)
"""Global privileges, and what for; seen on 10.11.18 and 11.8.6, by leaving out one at a time."""

_OF_THE_JOURNAL: Final = ("SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP")


def _in_background(asked: _Asked) -> Iterator[Finding]:
    yield from may_not(asked.server, asked.steps)


def _background_privileges(asked: _Asked) -> Iterator[Finding]:
    server, schema = asked.server, asked.journal_schema
    lacking = [(name, what) for name, what in IN_BACKGROUND_NEEDS if not holds(server, name)]
    if lacking:
        message = f"missing: {'; '.join(f'{name}: {what}' for name, what in lacking)}"
        yield _blocks("missing-privilege", message, grant(server, [name for name, _ in lacking]))
    if not holds(server, "SELECT", schema="performance_schema"):
        message = "missing on performance_schema: SELECT: see what others do, and sessions of an earlier run"
        remedy = grant(server, ["SELECT"], schema="performance_schema")
        yield _blocks("missing-privilege", message, remedy, subject="performance_schema")
    rights = [name for name in _OF_THE_JOURNAL if not holds(server, name, schema=schema)]
    if rights:
        message = f"missing on the journal's schema {schema}: {', '.join(rights)}"
        yield _blocks("missing-privilege", message, grant(server, rights, schema=schema), subject=schema)


IN_BACKGROUND: Final[tuple[Callable[[_Asked], Iterator[Finding]], ...]] = (
    _in_background,
    _keyring_backup,
    _writable,
    _force_recovery,
    _wsrep,
    _background_privileges,
    _keyring_beside_data,
    _transport,
)
"""Nothing is copied and nothing replicates, so replicas, triggers and metadata locks do not matter."""
