"""A source with replicas: nothing is done until each keyring is confirmed or attested. Runs the installed command.

Each test has a source of its own, whose replica follows from the first change on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.cli.held import each
from tests.server.cli.kit import ALL_SHADOW, Desk, desk_on
from tests.server.cli.snapshot import name
from tests.servers import Account, RunningServer, caught_up, least_privileged, replica, start, until

SMALL = ["--innodb-buffer-pool-size=64M"]
SCHEMA = "t_shop"


@pytest.fixture
def source() -> Iterator[RunningServer]:
    """A server without a past: a replica replays all that its source ever did."""
    with start(options=SMALL, name="source") as running:
        yield running


@pytest.fixture
def account(source: RunningServer) -> Iterator[Account]:
    """With what is documented; a replica gets it from the binlog, too."""
    with least_privileged(source) as made:
        yield made


@pytest.fixture
def shop(source: RunningServer, account: Account, tmp_path: Path) -> Iterator[Desk]:
    """A desk at the source."""
    source.rows(f"CREATE DATABASE {SCHEMA}")
    with desk_on(source, account, SCHEMA, tmp_path / "desk") as desk:
        yield desk
    source.rows(f"DROP DATABASE {SCHEMA}")


def member(of: RunningServer) -> str:
    """As the source names it."""
    return f"{of.server.host}:{of.server.port}"


def test_a_replica_that_can_be_asked(shop: Desk, account: Account) -> None:
    """It is confirmed by itself, and no session stays there; afterwards it has the encrypted table with the same rows.

    On the replica itself `apply` is refused, and `audit` works.
    """
    shop.table("t", rows=300)
    with replica(shop.server, options=SMALL) as second:
        caught_up(second, shop.server)
        plan = shop.plan(*ALL_SHADOW)
        there = ["-h", second.server.host, "-P", str(second.server.port)]
        options = [f"--defaults-file={shop.options}", *there]
        ours, theirs = (str(one.value("SELECT @@server_uuid")) for one in (shop.server, second))
        elsewhere = shop.folder / "elsewhere.yaml"
        elsewhere.write_text(plan.read_text().replace(ours, theirs))
        on_replica = shop.migrator("apply", elsewhere, connection=options)
        assert on_replica.code == 3, on_replica
        on_replica.says("this server is a replica", "run this on the source", "nothing was touched")
        assert shop.migrator("audit", f"--databases={SCHEMA}", connection=options).code == 1
        held = shop.held(plan)
        held.hold(each("ChunkCopied"))
        sessions = "SELECT COUNT(*) FROM performance_schema.threads WHERE PROCESSLIST_USER = %s"
        assert shop.server.value(sessions, account.user) > 0
        until(
            lambda: second.value(sessions, account.user) == 1, "one session asks how far it is behind, no other stays"
        )
        assert held.finish().code == 0
        until(lambda: second.value(sessions, account.user) == 0, "no connection to the replica is left open")
        caught_up(second, shop.server)
        assert second.rows(
            "SELECT CREATE_OPTIONS FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = 't'", SCHEMA
        ) == [("ENCRYPTION='Y'",)]
        tables = f"SELECT * FROM {name(SCHEMA)}.t ORDER BY n"
        assert second.rows(tables) == shop.server.rows(tables)
    shop.assert_done()


def test_a_replica_that_cannot_be_asked(shop: Desk) -> None:
    """A replica that knows no such account is refused by name, until somebody attests it by that name.

    How far it is behind cannot be known either; somebody has to say that it does not matter.
    """
    shop.table("t", rows=300)
    with replica(shop.server, options=SMALL) as second:
        caught_up(second, shop.server)
        forget_account(shop, second)
        plan = shop.plan(*ALL_SHADOW)
        with shop.untouched():
            for command in ("dry-run", "apply"):
                ran = shop.migrator(command, plan)
                assert ran.code == 3, ran
                said = " ".join((ran.out + ran.err).split())
                assert f"replica {member(second)}" in said
                assert "nobody has confirmed its keyring" in said
            wrong = shop.migrator("apply", plan, "--attest-keyring=127.0.0.1:1")
            assert wrong.code == 3
            wrong.says("127.0.0.1:1", member(second))
        attested = f"--attest-keyring={member(second)}=Ann Example, 2026-05-01"
        ran = shop.migrator("apply", plan, attested, f"--ignore-replica={member(second)}")
        assert ran.code == 0, ran
        caught_up(second, shop.server)
        tables = f"SELECT * FROM {name(SCHEMA)}.t ORDER BY n"
        assert second.rows(tables) == shop.server.rows(tables)
    shop.assert_done()


def test_a_replica_without_a_keyring(shop: Desk) -> None:
    """It would stop at the first encrypted table: the run is refused, the replica named, and it runs on."""
    shop.table("t", rows=300)
    with replica(shop.server, keyring=False, options=SMALL) as second:
        caught_up(second, shop.server)
        plan = shop.plan(*ALL_SHADOW)
        with shop.untouched():
            ran = shop.migrator("apply", plan)
            assert ran.code == 3, ran
            ran.says(f"replica {member(second)}", "without one it stops at the first table", "remedy: ")
        shop.write("UPDATE {t} SET extra = 'after' WHERE n = 1")
        caught_up(second, shop.server)


def forget_account(desk: Desk, second: RunningServer) -> None:
    """Drop the account on the replica alone."""
    second.rows("SET GLOBAL super_read_only = OFF")
    try:
        connection = second.connect()
        with connection.cursor() as cursor:
            cursor.execute("SET sql_log_bin = 0")
            cursor.execute(f"DROP USER '{desk.account.user}'@'%'")
        connection.close()
    finally:
        second.rows("SET GLOBAL super_read_only = ON")
