"""Rotation where other servers get the statement: replicas and members rotate keys of their own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

import pytest

from migrator.engine.rotate import RotationOptions, rotate_keys
from migrator.errors import Refused
from migrator.planner.plan import Attestation, Attestations
from migrator.report.rotated import Rotation, rotation_exit_code, rotation_text
from tests.server.engine.kit import VOUCHED, Lab
from tests.server.topology.kit import SMALL_SERVER, Pair, laboratory, pair
from tests.servers import RunningServer, caught_up
from tests.servers.group import group
from tests.servers.replication import status

INNODB = RotationOptions(attestations=VOUCHED)
NO_KEYRING = 3185


def newest(server: RunningServer, like: str = "INNODBKey-") -> int:
    """The number of the newest master key; 0 if there is none."""
    keys = server.rows("SELECT KEY_ID FROM performance_schema.keyring_keys")
    numbers = [str(key).replace("_", "-").rpartition("-")[2] for (key,) in keys if str(key).startswith(like)]
    return max((int(number) for number in numbers if number.isdecimal() and len(number) < 9), default=0)


def entitled(lab: Lab) -> None:
    """Give the account the rights for rotation; they replicate."""
    for right in ("ENCRYPTION_KEY_ADMIN", "BINLOG_ENCRYPTION_ADMIN"):
        lab.run(f"GRANT {right} ON *.* TO '{lab.dba.user}'@'%'")


def rotated(lab: Lab, options: RotationOptions = INNODB) -> Rotation:
    """Rotate by the least-privileged account."""
    with closing(lab.session()) as session:
        return rotate_keys(session, options)


def attesting(two: Pair) -> Attestations:
    """Somebody says that the replica has a keyring."""
    to = two.replica.server
    said = Attestation(by="somebody", at=VOUCHED.keyring_backup.at if VOUCHED.keyring_backup else "")  # type: ignore[arg-type]
    return VOUCHED.model_copy(update={"members": {f"{to.host}:{to.port}": said}})


def test_a_replica_rotates_a_key_of_its_own() -> None:
    """InnoDB's by the binlog, the binlog's not; the replica's own by --only-binlog there, where nothing is noted."""
    with pair() as two:
        entitled(two.lab)
        two.lab.run(f"CREATE TABLE {two.lab.schema}.t (id INT PRIMARY KEY) ENCRYPTION = 'Y'")
        for server in (two.source, two.replica):
            server.rows("SET GLOBAL binlog_encryption = ON")
        caught_up(two.replica, two.source)
        before = [newest(s) for s in (two.source, two.replica)]
        logs = [newest(s, "MySQLReplicationKey_") for s in (two.source, two.replica)]
        value = rotated(two.lab, replace(INNODB, which=("innodb", "binlog"), wait_seconds=60.0))
        assert rotation_exit_code(value) == 0
        (member,) = value.members
        assert (member.why, member.key_from == member.key_to) == ("", False)
        caught_up(two.replica, two.source)
        assert [newest(s) for s in (two.source, two.replica)] == [n + 1 for n in before]
        assert [newest(s, "MySQLReplicationKey_") for s in (two.source, two.replica)] == [logs[0] + 1, logs[1]]
        to = two.replica.server
        assert f"migrator rotate-key --only-binlog -h {to.host} -P {to.port}" in rotation_text(value)

        with pytest.raises(Refused, match="is a replica") as refused:
            rotated(two.there)
        assert "--only-binlog" in refused.value.remedy
        there = rotated(two.there, replace(INNODB, which=("binlog",)))
        assert (there.noted, newest(two.replica, "MySQLReplicationKey_")) == (False, logs[1] + 1)
        assert [row[0] for row in two.source.rows("SELECT which FROM migrator.rotations ORDER BY id")] == [
            "innodb",
            "binlog",
        ]


def test_a_replica_that_does_not_follow_in_time() -> None:
    """Exit code 1, and it is named: its applier stands still."""
    with pair() as two:
        entitled(two.lab)
        caught_up(two.replica, two.source)
        two.replica.rows("STOP REPLICA SQL_THREAD")
        value = rotated(two.lab, replace(INNODB, wait_seconds=0.5))
        assert rotation_exit_code(value) == 1
        assert "have not rotated yet" in " ".join(rotation_text(value).split())
        two.replica.rows("START REPLICA SQL_THREAD")
        caught_up(two.replica, two.source)
        assert newest(two.replica) > 0


def test_a_replica_without_a_keyring() -> None:
    """Refused, whatever is attested; by hand the statement would have stopped it."""
    with pair(keyring=False) as two:
        entitled(two.lab)
        caught_up(two.replica, two.source)
        before = two.source.value("SELECT @@gtid_executed")
        with pytest.raises(Refused, match="has no usable keyring, whatever is attested"):
            rotated(two.lab, replace(INNODB, attestations=attesting(two)))
        assert two.source.value("SELECT @@gtid_executed") == before
        two.source.rows("ALTER INSTANCE ROTATE INNODB MASTER KEY")
        with pytest.raises(AssertionError, match="has stopped"):
            caught_up(two.replica, two.source)
        assert status(two.replica)["Last_SQL_Errno"] == NO_KEYRING


def refused_on(member: RunningServer, lab: Lab, options: RotationOptions) -> Refused:
    """What is said there."""
    with pytest.raises(Refused) as refused:
        rotated(replace_server(lab, member), options)
    return refused.value


def replace_server(lab: Lab, server: RunningServer) -> Lab:
    """The same account on another server."""
    return Lab(server, replace(lab.dba, server=server), lab.schema, lab.ledger)


def members_like(servers: Sequence[RunningServer]) -> list[int]:
    """The newest key of each."""
    return [newest(server) for server in servers]


def test_a_group_follows_its_primary() -> None:
    """InnoDB's key is rotated on all members by one statement on the primary; the binlog's by one on each."""
    with group(options=SMALL_SERVER) as trio, laboratory(trio.primary) as lab:
        entitled(lab)
        lab.run(f"CREATE TABLE {lab.schema}.t (id INT PRIMARY KEY) ENCRYPTION = 'Y'")
        trio.caught_up(trio.primary)
        before = members_like(trio.servers)
        value = rotated(lab, replace(INNODB, wait_seconds=60.0))
        assert rotation_exit_code(value) == 0
        assert len(value.members) == 2
        assert members_like(trio.servers) == [n + 1 for n in before]
        second = trio.others(trio.primary)[0]
        assert "PRIMARY" in refused_on(second, lab, INNODB).message
        second.rows("SET GLOBAL binlog_encryption = ON")
        there = rotated(replace_server(lab, second), replace(INNODB, which=("binlog",)))
        assert (there.noted, newest(second, "MySQLReplicationKey_")) == (False, 2)
        assert newest(trio.primary, "MySQLReplicationKey_") == 0
