"""The server's own threads encrypt everything, and a run has them in hand: held, stopped, killed, gone on with."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.server.cli.held import Held, each
from tests.server.cli.kit import MIGRATOR
from tests.server.mariadb.kit import Maria, Ran
from tests.servers import mariadb, until

ATTESTED = "--attest-keyring-backup=the tests, 2026-05-01"
PAGES = "--innodb-encryption-rotation-iops={}"
ROWS = 6000
"""Of 7 kB each: some 3,000 pages, which nobody has read since the server began."""


def plan_of(maria: Maria, *arguments: object) -> Path:
    """A plan for the whole server."""
    path = maria.folder / "plan.yaml"
    ran = maria.migrator("plan", "-o", path, ATTESTED, *arguments)
    assert ran.code in {0, 1}, ran
    return path


def threads(maria: Maria) -> int:
    """How many are at it, as the server is told."""
    return int(maria.rows("SELECT @@GLOBAL.innodb_encryption_threads")[0][0])


def held(maria: Maria, plan: Path, *arguments: object) -> Held:
    """A run that is held at its first look at the server's progress."""
    words = [str(MIGRATOR), "apply", f"--defaults-file={maria.options()}", str(plan), "--events", *map(str, arguments)]
    run = Held(words, dict(os.environ), maria.folder, lambda _: None)
    run.hold(each("LegProgress"))
    return run


def quickly(maria: Maria) -> None:
    """From now on the server reads as many pages a second as it can."""
    maria.run("SET GLOBAL innodb_encryption_rotation_iops = 1000000")


@pytest.fixture(params=sorted(mariadb.BUILDS))
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Maria]:
    """A server on which nothing was encrypted yet."""
    with mariadb.start(str(request.param), name="background") as server:
        maria = Maria(server, "d", tmp_path)
        maria.run("CREATE DATABASE d")
        yield maria


@pytest.fixture(params=sorted(mariadb.BUILDS))
def slow(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Maria]:
    """A server with one table that it takes an hour to encrypt: a page a second, and none of it is in memory."""
    options = [PAGES.format(1), "--innodb-buffer-pool-load-at-startup=OFF", "--innodb-buffer-pool-dump-at-shutdown=OFF"]
    with mariadb.start(str(request.param), options=options, name="slow") as server:
        maria = Maria(server, "d", tmp_path)
        maria.run(
            "CREATE DATABASE d",
            "CREATE TABLE d.t (id INT PRIMARY KEY, v VARCHAR(7000)) ROW_FORMAT = DYNAMIC",
            f"INSERT INTO d.t SELECT seq, REPEAT('x', 7000) FROM d.seq_1_to_{ROWS}",
        )
        server.restart()
        yield maria


def finished(maria: Maria, ran: Ran) -> None:
    """All is encrypted, by the server's own word, and what stays set is what should."""
    assert ran.code == 0, ran
    assert maria.migrator("verify").code == 0
    assert threads(maria) > 0
    assert maria.rows("SELECT @@GLOBAL.innodb_encrypt_tables") == [("ON",)]


# -- all of it ----------------------------------------------------------------------------------------


def test_everything_while_it_is_used(fresh: Maria) -> None:
    """Tables of all sorts, and the system's; nobody who writes meanwhile sees an error or misses a row."""
    fresh.run(
        "CREATE TABLE d.words (id INT PRIMARY KEY AUTO_INCREMENT, v TEXT, FULLTEXT (v))",
        "CREATE TABLE d.parts (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 3",
        "CREATE TABLE d.small (id INT PRIMARY KEY, v VARCHAR(2000)) ROW_FORMAT = COMPRESSED",
        "CREATE TABLE d.again (id INT PRIMARY KEY, v TEXT) PAGE_COMPRESSED = 1",
        'CREATE TABLE d.`no key, "odd" ``name` (v TEXT)',
        "CREATE TABLE d.versions (id INT PRIMARY KEY) WITH SYSTEM VERSIONING",
        "CREATE SEQUENCE d.numbers",
        "INSERT INTO d.small SELECT seq, REPEAT('x', 1500) FROM d.seq_1_to_3000",
        "INSERT INTO d.again SELECT seq, REPEAT('x', 3000) FROM d.seq_1_to_3000",
    )
    over, written = threading.Event(), [0]

    def write() -> None:
        with closing(fresh.server.connect()) as one, one.cursor() as cursor:
            while not over.is_set():
                cursor.execute("INSERT INTO d.words (v) VALUES ('some words and more')")
                cursor.execute("UPDATE d.small SET v = REVERSE(v) WHERE id = 1 + 17 * %s %% 3000", (written[0],))
                written[0] += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        until(lambda: written[0] > 10, "somebody writes")
        plan = plan_of(fresh)
        tried = fresh.migrator("dry-run", plan)
        assert tried.code == 0, tried
        assert threads(fresh) == 0
        ran = fresh.migrator("apply", plan)
        before = written[0]
        until(lambda: written[0] > before, "somebody still writes")
    finally:
        over.set()
        writer.join()
    finished(fresh, ran)
    assert fresh.rows("SELECT COUNT(*) FROM d.words") == [(written[0],)]
    assert fresh.places()["system-tablespace"]["state"] == "encrypted"
    fresh.run("CREATE TABLE d.later (id INT PRIMARY KEY)")
    again = fresh.migrator("apply", plan)
    assert again.code == 0, again
    finished(fresh, again)


def test_what_is_out_of_reach(fresh: Maria) -> None:
    """Refused with the statement that does it; sent, nothing is left to do."""
    fresh.run(
        "CREATE TABLE d.t (id INT PRIMARY KEY)",
        "CREATE TABLE d.`no``t` (id INT PRIMARY KEY, v TEXT, FULLTEXT (v)) ENCRYPTED = NO",
        "CREATE TABLE d.old (id INT PRIMARY KEY) ENGINE = MyISAM",
    )
    plan = plan_of(fresh)
    ran = fresh.migrator("apply", plan)
    assert ran.code == 1, ran
    for statement in ("ALTER TABLE `d`.`no``t` ENCRYPTED = DEFAULT", "ALTER TABLE `d`.`old` ENGINE = InnoDB"):
        assert statement in " ".join(ran.out.split())
        fresh.run(statement)
    finished(fresh, fresh.migrator("apply", plan_of(fresh)))


def test_nothing_of_it_is_in_the_binary_log(fresh: Maria) -> None:
    """Neither the settings nor the journal replicate: each server has its own."""
    fresh.run("CREATE TABLE d.t (id INT PRIMARY KEY)")
    finished(fresh, fresh.migrator("apply", plan_of(fresh)))
    assert ("migrator",) in fresh.rows("SHOW DATABASES")
    for log, *_ in fresh.rows("SHOW BINARY LOGS"):
        events = fresh.rows(f"SHOW BINLOG EVENTS IN '{log}'")
        assert events
        assert not [event for event in events if "migrator" in str(event[-1])]


def test_a_server_without_a_plugin(tmp_path: Path) -> None:
    """Nothing is set: with the word to encrypt and no key the server would make no table any more."""
    with mariadb.start(keyring=False, name="no-plugin") as server:
        maria = Maria(server, "d", tmp_path)
        maria.run("CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)")
        ran = maria.migrator("apply", plan_of(maria))
        assert ran.code == 3, ran
        assert "no encryption plugin is active" in " ".join(ran.err.split())
        assert maria.rows("SELECT @@GLOBAL.innodb_encrypt_tables") == [("OFF",)]


# -- in hand ------------------------------------------------------------------------------------------


def test_paused_and_told(slow: Maria) -> None:
    """Paused, no thread is at it; then as many as are asked for."""
    run = held(slow, plan_of(slow))
    assert slow.migrator("pause").code == 0
    run.until(lambda: threads(slow) == 0, "no thread is at it")
    assert slow.migrator("unpause").code == 0
    run.until(lambda: threads(slow) > 0, "threads are at it again")
    assert slow.migrator("set", "workers=2").code == 0
    run.until(lambda: threads(slow) == 2, "two threads")
    quickly(slow)
    ran = run.finish()
    finished(slow, Ran(ran.code, ran.out, ran.err))


@pytest.mark.parametrize("how", ["signal", "budget"])
def test_stopped_and_gone_on_with(slow: Maria, how: str) -> None:
    """75, and no thread is at it; what is encrypted stays so, and the next call goes on."""
    plan = plan_of(slow)
    run = held(slow, plan, *(["--budget=1s"] if how == "budget" else []))
    if how == "signal":
        run.signal(signal.SIGTERM)
    ran = run.finish()
    assert ran.code in {75, 143}, ran
    assert threads(slow) == 0
    assert slow.migrator("verify").code == 1
    quickly(slow)
    finished(slow, slow.migrator("apply", plan))


def test_the_server_is_killed(slow: Maria) -> None:
    """A restart forgets the settings; the run sets them again and goes on."""
    run = held(slow, plan_of(slow))
    slow.server.kill()
    slow.server.start()
    run.until(lambda: threads(slow) > 0, "threads are at it again")
    quickly(slow)
    ran = run.finish()
    finished(slow, Ran(ran.code, ran.out, ran.err))


def test_the_process_is_killed(slow: Maria) -> None:
    """The server's threads go on; the next call takes over when the time of the dead one is up."""
    plan = plan_of(slow)
    run = held(slow, plan)
    run.until(lambda: threads(slow) > 0, "threads are at it")
    run.kill()
    run.close()
    assert threads(slow) > 0
    quickly(slow)
    codes: list[Ran] = []

    def taken_over() -> bool:
        codes.append(slow.migrator("apply", plan))
        return codes[-1].code != 75

    until(taken_over, "the next call may go on", seconds=60)
    finished(slow, codes[-1])


# -- rights -------------------------------------------------------------------------------------------

RIGHTS = ("PROCESS", "SUPER", "BINLOG ADMIN")


@pytest.mark.parametrize("left_out", ["", *RIGHTS, "performance_schema", "the journal"])
def test_rights(fresh: Maria, left_out: str) -> None:
    """Those that the gate names are enough, and without any one of them nothing is touched."""
    fresh.run("CREATE TABLE d.t (id INT PRIMARY KEY)", "CREATE USER dba IDENTIFIED BY 'dba'")
    held_rights = ", ".join(
        right for right in (*RIGHTS, "REPLICATION MASTER ADMIN", "BINLOG MONITOR") if right != left_out
    )
    fresh.run(f"GRANT {held_rights} ON *.* TO dba", "GRANT SELECT ON d.* TO dba")
    if left_out != "performance_schema":
        fresh.run("GRANT SELECT ON performance_schema.* TO dba")
    if left_out != "the journal":
        fresh.run("GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP ON migrator.* TO dba")
    plan = plan_of(fresh)
    ran = fresh.migrator("apply", plan, options=fresh.options("dba", "dba"))
    if not left_out:
        finished(fresh, ran)
        return
    assert ran.code == 3, ran
    named = left_out if left_out != "the journal" else "GRANT SELECT, INSERT, UPDATE, DELETE"
    assert named in " ".join(ran.err.split())
    assert fresh.rows("SELECT @@GLOBAL.innodb_encrypt_tables") == [("OFF",)]
    assert ("migrator",) not in fresh.rows("SHOW DATABASES")


# -- replication --------------------------------------------------------------------------------------


def test_a_source_and_its_replica(tmp_path: Path) -> None:
    """Each does its own, whatever the other does; nothing is held for a lag, and replication goes on."""
    options = ["--log-slave-updates=ON", "--gtid-strict-mode=ON"]
    with (
        mariadb.start("11.8", options=[*options, "--server-id=11"], name="source") as source,
        mariadb.start("11.8", options=[*options, "--server-id=12"], name="replica") as replica,
    ):
        desks = []
        for server, folder in ((source, tmp_path / "source"), (replica, tmp_path / "replica")):
            folder.mkdir()
            desks.append(Maria(server, "d", folder))
        desks[0].run("CREATE USER rep@'%' IDENTIFIED BY 'r'", "GRANT REPLICATION SLAVE ON *.* TO rep@'%'")
        desks[1].run(
            f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={source.server.port}, MASTER_USER='rep',"
            " MASTER_PASSWORD='r', MASTER_SSL_VERIFY_SERVER_CERT=0, MASTER_USE_GTID=slave_pos",
            "START SLAVE",
        )
        desks[0].run("CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)", "INSERT INTO d.t VALUES (1)")
        rows = "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'd'"
        until(lambda: desks[1].rows(rows) == [(1,)], "the replica follows")
        for desk in desks:
            plan = plan_of(desk)
            assert "on-each-server" in plan.read_text() or desk is desks[1]
            finished(desk, desk.migrator("apply", plan))
        desks[0].run("INSERT INTO d.t VALUES (2)")
        until(lambda: desks[1].rows("SELECT COUNT(*) FROM d.t") == [(2,)], "the replica still follows")
