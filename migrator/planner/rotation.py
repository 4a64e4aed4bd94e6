"""May a master key be rotated here and now, and what does it say to other servers? Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from migrator.model import Blocker, Finding, Flavour, Server
from migrator.planner.background import encrypts_in_background
from migrator.planner.gates import gates
from migrator.planner.plan import Attestations
from migrator.planner.privileges import JOURNAL_SCHEMA, Need, holds, missing
from migrator.sql.rotate import Which

OF_ALL: Final = frozenset(
    {
        "flavour",
        "version",
        "keyring-several",
        "keyring-missing",
        "keyring-unknown",
        "keyring-inactive",
        "keyring-backup",
        "keyring-in-datadir",
        "performance-schema",
        "force-recovery",
        "wsrep",
    }
)
"""Gates of a run that hold for every rotation."""

OF_INNODB: Final = OF_ALL | {
    "read-only",
    "replica",
    "multi-primary",
    "group-not-primary",
    "replication-filter",
    "members-unknown",
    "member-not-confirmed",
    "member-unknown",
    "blocker-backup-lock",
    "blocker-clone",
    "blocker-unknown",
}
"""Also for what replicates, and waits for backups."""

ELSEWHERE: Final[dict[Flavour, str]] = {
    Flavour.RDS: "the key is one of KMS: `aws kms enable-key-rotation --key-id ID` rotates it in place; another key"
    " means another instance: migrator runbook rds",
    Flavour.AURORA: "the key is one of KMS: `aws kms enable-key-rotation --key-id ID` rotates it in place; another key"
    " means another cluster: migrator runbook aurora",
    Flavour.NDB: "data nodes get new keys and another password by a rolling initial restart: migrator runbook ndb; this"
    " SQL node's own InnoDB keys are rotated by hand",
    Flavour.MARIADB: "rotate at the key server (a plugin such as hashicorp_key_management): with threads, and"
    " innodb_encryption_rotate_key_age above 0, pages follow; keys of file_key_management have one version",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a rotation is decided by."""

    server: Server
    which: tuple[Which, ...]
    attestations: Attestations
    rotated_at: datetime | None = None
    """The newest rotation in the journal: a backup of the keyring from before it has not the newest key."""
    ddl: tuple[Blocker, ...] = ()
    confirmed: frozenset[str] = frozenset()
    refuted: frozenset[str] = frozenset()
    journal_schema: str = JOURNAL_SCHEMA

    @property
    def noted(self) -> bool:
        """True if it is noted in the journal, under the lease: everywhere but on servers that take no writes of ours.

        Their journal is that of their source.
        """
        return "innodb" in self.which or not takes_no_writes(self.server)


def takes_no_writes(server: Server) -> bool:
    """True for a replica, a secondary of a group, and a server that is read-only."""
    read_only = any(server.variable_is_on(name) for name in ("read_only", "super_read_only", "innodb_read_only"))
    return server.is_replica or read_only or (bool(server.group_mode) and server.group_role != "PRIMARY")


def rotation_gates(asked: Asked) -> tuple[Finding, ...]:
    """Everything that speaks against it, blocking findings first."""
    if encrypts_in_background(asked.server):
        message = (
            "MariaDB has no master key: its encryption plugin gives each key a version, and pages follow a new one"
        )
        return (Finding("flavour", message, ELSEWHERE[Flavour.MARIADB], blocks=True),)
    relevant = OF_INNODB if "innodb" in asked.which else OF_ALL
    found = [
        *(
            _for_rotation(finding, asked)
            for finding in gates(
                asked.server,
                asked.attestations,
                confirmed=asked.confirmed,
                refuted=asked.refuted,
                journal_schema=asked.journal_schema,
            )
            if finding.code in relevant
        ),
        *_keyring_read_only(asked),
        *old_backup(asked.attestations, asked.rotated_at),
        *_binlog(asked),
        *ddl_at_work(asked.ddl),
        *missing(asked.server, (), _needs(asked), journal_schema=asked.journal_schema),
    ]
    return tuple(sorted(found, key=lambda finding: not finding.blocks))


def ddl_at_work(blockers: Collection[Blocker]) -> tuple[Finding, ...]:
    """DDL that the rotation of InnoDB's key would wait for, and make all later DDL wait with it."""
    return tuple(
        Finding(
            code="ddl-at-work",
            message=f"session {one.session_id}" + (f" of {one.user}" if one.user else "") + " is at work on DDL since"
            f" {one.seconds} s: {one.statement or one.detail or 'its statement is not shown'}",
            remedy="wait until it has ended: the rotation would wait for it, and all other DDL behind the rotation",
            blocks=True,
        )
        for one in blockers
    )


def _for_rotation(finding: Finding, asked: Asked) -> Finding:
    remedy = {
        "keyring-backup": "back the keyring up, apart from the data, and say who did and when: --attest-keyring-backup"
        " 'WHO, WHEN'",
        "member-not-confirmed": "give it a keyring first, or, if it cannot be asked from here: --attest-keyring"
        " NAME='WHO, WHEN'",
        "flavour": ELSEWHERE.get(asked.server.flavour, finding.remedy),
        "wsrep": "rotate by hand on each node, one after the other: it is not replicated (migrator runbook pxc)",
        "replica": "run this on the source: it replicates from there; the binary log's key is rotated here by"
        " --only-binlog",
        "group-not-primary": "run this on the primary: all members follow; the binary log's key is rotated here by"
        " --only-binlog",
        "read-only": "use the server that takes the writes; the binary log's key is rotated here by --only-binlog",
    }.get(finding.code)
    return finding if remedy is None else replace(finding, remedy=remedy)


def _needs(asked: Asked) -> frozenset[Need]:
    """Rights besides those on the journal, which its own statements ask for."""
    by_super = holds(asked.server, "SUPER")
    wanted = {Need.READ}
    if asked.noted:
        wanted.add(Need.COPY)
    if "innodb" in asked.which and not by_super:
        wanted.add(Need.ROTATE)
    if "binlog" in asked.which and not by_super:
        wanted.add(Need.ROTATE_BINLOG)
    return frozenset(wanted)


def _keyring_read_only(asked: Asked) -> Iterator[Finding]:
    keyring = asked.server.keyring
    if keyring.active and keyring.read_only:
        message = f"the keyring {keyring.name} is read-only: no key can be put into it"
        yield Finding("keyring-read-only", message, "make it writable for the rotation", blocks=True)


def old_backup(attestations: Attestations, rotated: datetime | None) -> Iterator[Finding]:
    """A backup of the keyring from before the newest rotation lacks the key that everything is locked with now."""
    backup = attestations.keyring_backup
    if backup is None or rotated is None:
        return
    if isinstance(backup.at, datetime):
        older = backup.at < rotated.replace(tzinfo=UTC)
    else:
        older = backup.at < rotated.date()
    if older:
        message = (
            f"the backup of the keyring that {backup.by} attests is of {backup.at}: the key was rotated at"
            f" {rotated:%Y-%m-%d %H:%M:%S} UTC, and is not in it"
        )
        remedy = "back the keyring up again, and say so: --attest-keyring-backup 'WHO, WHEN'"
        yield Finding("keyring-backup-old", message, remedy, blocks=True)


def _binlog(asked: Asked) -> Iterator[Finding]:
    if "binlog" in asked.which and not asked.server.variable_is_on("binlog_encryption"):
        message = "binlog_encryption is OFF: the binary log has no master key to rotate (error 3805)"
        remedy = "SET PERSIST binlog_encryption = ON makes the first one; or rotate without --binlog"
        yield Finding("binlog-not-encrypted", message, remedy, blocks=True)
