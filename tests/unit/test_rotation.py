"""Rotation: what refuses it, names of keys, heads of logs, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from migrator.model import Blocker, Finding, Flavour, Member, Server
from migrator.planner.plan import Attestation, Attestations
from migrator.planner.rotation import Asked, rotation_gates
from migrator.proof.first_pages import log_key
from migrator.report.rotated import FileKeys, KeyChange, LockedFile, MemberKey, Rotation, rotation_exit_code
from migrator.report.rotated import rotation_text as text_of
from migrator.report.values import server_id
from migrator.sql.rotate import Which, newest_key
from tests.unit.builders import ALL_GLOBAL, a_keyring, a_server

UUID = "6baa0001-0000-0000-0000-000000000001"
BACKED_UP = Attestations(keyring_backup=Attestation(by="Ann Example", at=date(2026, 5, 1)))
REPLICA = Member("db2:3306", "replica")
ON = a_server(variables={"binlog_encryption": "ON"})


def asked(server: Server, *which: Which, attestations: Attestations = BACKED_UP, **more: Any) -> dict[str, Finding]:
    found = rotation_gates(Asked(server, which or ("innodb",), attestations, **more))
    assert all(finding.remedy for finding in found if finding.blocks)
    return {finding.code: finding for finding in found if finding.blocks}


def test_an_ordinary_server_passes() -> None:
    """Neither kind is refused where nothing is wrong."""
    for which in (("innodb",), ("binlog",), ("innodb", "binlog")):
        assert asked(ON, *which) == {}


@pytest.mark.parametrize(
    ("code", "server"),
    [
        ("keyring-missing", a_server(keyring=a_keyring(kind="none", active=False))),
        ("keyring-inactive", a_server(keyring=a_keyring(active=False))),
        ("keyring-read-only", a_server(keyring=a_keyring(read_only=True, has_master_key=True))),
        ("keyring-several", a_server(keyring=a_keyring(several=True))),
        ("wsrep", a_server(wsrep_on=True)),
        ("missing-privilege", a_server(privileges=ALL_GLOBAL - {"SUPER"})),
    ],
)
def test_what_refuses_every_rotation(code: str, server: Server) -> None:
    """A keyring that takes no new key, a cluster, a right that is missing."""
    variables = {**server.variables, "binlog_encryption": "ON"}
    for which in (("innodb",), ("binlog",)):
        assert set(asked(replace(server, variables=variables), *which)) == {code}


@pytest.mark.parametrize(
    ("code", "server"),
    [
        ("replica", a_server(is_replica=True)),
        ("read-only", a_server(variables={"super_read_only": "ON"})),
        ("group-not-primary", a_server(group_mode="single-primary", group_role="SECONDARY")),
        ("member-not-confirmed", a_server(members=(REPLICA,))),
        ("blocker-backup-lock", a_server(blockers=(Blocker(7, "backup", 60, "backup-lock"),))),
        ("blocker-clone", a_server(blockers=(Blocker(7, "clone", 60, "clone"),))),
    ],
)
def test_what_refuses_only_innodbs(code: str, server: Server) -> None:
    """The binary log's key is each server's own, and no lock of a backup stops it."""
    server = replace(server, variables={**server.variables, "binlog_encryption": "ON"})
    assert set(asked(server)) == {code}
    assert asked(server, "binlog") == {}


def test_what_a_run_needs_and_a_rotation_does_not() -> None:
    """STATEMENT binlog and plain logs are no reason against it."""
    assert asked(a_server(variables={"binlog_format": "STATEMENT", "binlog_encryption": "ON"})) == {}


def test_ddl_at_work_is_named() -> None:
    """Session, account and statement."""
    busy = Blocker(12, "app", 7, "ddl", statement="ALTER TABLE `t` ENCRYPTION = ?")
    finding = asked(ON, ddl=(busy,))["ddl-at-work"]
    assert finding.message == "session 12 of app is at work on DDL since 7 s: ALTER TABLE `t` ENCRYPTION = ?"


@pytest.mark.parametrize(
    ("at", "codes"),
    [
        (date(2026, 5, 1), set[str]()),
        (date(2026, 4, 30), {"keyring-backup-old"}),
        (datetime(2026, 5, 1, 9, 59, tzinfo=UTC), {"keyring-backup-old"}),
        (datetime(2026, 5, 1, 10, 1, tzinfo=UTC), set[str]()),
    ],
)
def test_a_backup_from_before_the_newest_rotation(at: date, codes: set[str]) -> None:
    """It has not the key that everything is locked with; a day is taken to be late enough."""
    attested = Attestations(keyring_backup=Attestation(by="Ann", at=at))
    found = asked(ON, attestations=attested, rotated_at=datetime(2026, 5, 1, 10, 0))  # noqa: DTZ001 - the server's
    assert set(found) == codes


def test_without_an_attestation() -> None:
    """The option is named, not the plan."""
    assert "--attest-keyring-backup" in asked(ON, attestations=Attestations())["keyring-backup"].remedy


def test_the_binlog_must_be_encrypted() -> None:
    """Error 3805 is not waited for."""
    assert set(asked(a_server(variables={"binlog_encryption": "OFF"}), "innodb", "binlog")) == {"binlog-not-encrypted"}


@pytest.mark.parametrize("flavour", [Flavour.RDS, Flavour.AURORA, Flavour.NDB])
def test_where_somebody_else_has_the_keys(flavour: Flavour) -> None:
    """What does it there is told."""
    finding = asked(a_server(flavour=flavour))["flavour"]
    assert f"migrator runbook {flavour}" in finding.remedy


def test_where_nothing_is_noted() -> None:
    """Replicas, secondaries and read-only servers have the journal of their source."""
    replica, primary = a_server(is_replica=True), a_server(group_mode="single-primary", group_role="PRIMARY")
    assert [Asked(s, ("binlog",), BACKED_UP).noted for s in (ON, replica, primary)] == [True, False, True]


# -- names ------------------------------------------------------------------------------------


def test_the_newest_key() -> None:
    """By number, not by text; of this server; the binary log's sequence and its last purged key are none."""
    innodb = [f"INNODBKey-{UUID}-{n}" for n in (2, 10, 9)] + ["INNODBKey-other-99"]
    logs = [f"MySQLReplicationKey_{UUID}", f"MySQLReplicationKey_{UUID}_last_pu", f"MySQLReplicationKey_{UUID}_4"]
    assert newest_key([*innodb, *logs], "innodb", UUID) == f"INNODBKey-{UUID}-10"
    assert newest_key([*innodb, *logs], "binlog", UUID) == f"MySQLReplicationKey_{UUID}_4"
    assert newest_key([], "innodb", UUID) == ""


def test_the_head_of_a_log() -> None:
    """Bytes as a 9.7.4 wrote them, the key's name in them; a plain log and a short one have none."""
    key = f"MySQLReplicationKey_{UUID}_4".encode()
    head = b"\xfdbin\x01\x01" + bytes([len(key)]) + key + b"\x02n?Y[\xcc\x0c"
    assert log_key(head) == key.decode()
    assert log_key(b"\xfebin\x01\x01" + head[6:]) == ""
    assert log_key(head[:6]) == ""


# -- what is said -----------------------------------------------------------------------------

OLD, NEW = f"INNODBKey-{UUID}-1", f"INNODBKey-{UUID}-2"
CHANGE = KeyChange("innodb", "ALTER INSTANCE ROTATE INNODB MASTER KEY", "waits", OLD, NEW, 0.04)
DONE = Rotation("rotated", server_id(a_server()), "2026-05-01 10:00:00", "migrator@%", (CHANGE,))


def test_the_exit_codes() -> None:
    """1 if a file that was asked for, or a replica, has not been seen with its new key."""
    good = LockedFile("innodb", "shop/t.ibd", "shop/t", key=NEW)
    late = replace(good, key=OLD)
    assert rotation_exit_code(DONE) == 0
    for files, code in (
        (FileKeys("/data", after=(good,)), 0),
        (FileKeys("/data", after=(good, late)), 1),
        (FileKeys("/data", after=(good, replace(good, key="", why="Permission denied"))), 1),
        (FileKeys("/data", why="this machine has no /data/auto.cnf"), 1),
    ):
        assert rotation_exit_code(replace(DONE, files=files)) == code
        assert rotation_exit_code(replace(DONE, action="would-rotate", files=files)) == 0
    members = (MemberKey("db2:3306", "replica", OLD, NEW), MemberKey("db3:3306", "replica", why="it does not answer"))
    assert rotation_exit_code(replace(DONE, members=members)) == 0
    assert rotation_exit_code(replace(DONE, members=(*members, MemberKey("db4:3306", "replica", OLD, OLD)))) == 1


def test_the_last_words_are_of_the_backup() -> None:
    """Nobody leaves without it; in a dry run there is nothing to back up."""
    assert "Back up the keyring NOW" in text_of(DONE).rpartition("Next")[2]
    assert "NOW" not in text_of(replace(DONE, action="would-rotate"))
