"""`migrator rotate-key` on a server of its own: keys before and after, what refuses it, and what survives.

The server is started with its keyring's file beside its datadir; what is read of files is read from there.
"""

from __future__ import annotations

import secrets
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.server.cli.held import Ran, each
from tests.server.cli.kit import ALL_SHADOW, Desk, desk_on, session_of
from tests.server.cli.snapshot import JOURNAL
from tests.servers import NoServer, RunningServer, least_privileged, start, until

BACKED_UP = "--attest-keyring-backup=the tests, 2030-05-01"
"""Later than any rotation here."""


@pytest.fixture(scope="module")
def rotating() -> Iterator[RunningServer]:
    """A server whose keys belong to nobody else."""
    try:
        with start(name="rotate") as running:
            yield running
    except NoServer as error:
        pytest.skip(str(error))


@pytest.fixture
def desk(rotating: RunningServer, tmp_path: Path) -> Iterator[Desk]:
    """The least-privileged account with the two rights for rotation, at a fresh schema."""
    schema = f"t_{secrets.token_hex(6)}"
    with least_privileged(rotating) as account:
        rotating.rows(f"CREATE DATABASE {schema}")
        for right in ("ENCRYPTION_KEY_ADMIN", "BINLOG_ENCRYPTION_ADMIN"):
            rotating.rows(f"GRANT {right} ON *.* TO '{account.user}'@'%%'")
        try:
            with desk_on(rotating, account, schema, tmp_path / "desk") as made:
                yield made
        finally:
            rotating.rows(f"DROP DATABASE {schema}")
            rotating.rows("SET GLOBAL binlog_encryption = OFF")


def keys(server: RunningServer, which: str = "INNODBKey") -> list[int]:
    """The numbers of the master keys in the keyring."""
    rows = server.rows("SELECT KEY_ID FROM performance_schema.keyring_keys")
    numbers = [str(key).replace("_", "-").rpartition("-")[2] for (key,) in rows if str(key).startswith(which)]
    return sorted(int(number) for number in numbers if number.isdecimal() and len(number) < 9)


def noted(desk: Desk) -> list[tuple[Any, ...]]:
    """The journal's rotations: which, numbers of the keys, state."""
    rows = desk.server.rows(f"SELECT which, key_from, key_to, state FROM {JOURNAL}.rotations ORDER BY id")
    return [
        (which, *(str(k).replace("_", "-").rpartition("-")[2] for k in (a, b)), state) for which, a, b, state in rows
    ]


def rotate(desk: Desk, *arguments: object) -> Ran:
    """With an attested backup."""
    return desk.migrator("rotate-key", BACKED_UP, *arguments)


def audited(desk: Desk) -> list[dict[str, Any]]:
    """The places of an audit."""
    return list(desk.migrator("audit", "--format=json").json["places"])


def encrypted_tables(desk: Desk) -> None:
    """A table, one in a general tablespace, and encrypted undo logs."""
    desk.table("t", rows=300)
    desk.run("ALTER TABLE t ENCRYPTION = 'Y'")
    desk.run("CREATE TABLESPACE rot ADD DATAFILE 'rot.ibd' ENCRYPTION = 'Y'")
    desk.run("CREATE TABLE g (id INT PRIMARY KEY) TABLESPACE rot ENCRYPTION = 'Y'", "INSERT INTO g VALUES (1), (2)")


def drop_tablespace(desk: Desk) -> None:
    """A general tablespace outlives its schema."""
    desk.run("DROP TABLE g", "DROP TABLESPACE rot")


def test_before_and_after(desk: Desk) -> None:
    """One more key in the keyring and in the first page of every file; a note in the journal; every row still there,
    also after a crash right behind it and a restart with the same keyring."""
    encrypted_tables(desk)
    try:
        (*_, newest) = keys(desk.server)
        (at,) = {place["evidence"] for place in audited(desk) if place["code"] == "key-rotation"}
        assert at == f"the newest key has the number {newest}; no query tells since when"
        ran = rotate(desk, "--files", "--wait=60s", "--format=json")
        assert ran.code == 0, ran
        document = ran.json
        assert document["report"] == "rotate-key"
        (change,) = document["changes"]
        assert keys(desk.server)[-1] == newest + 1
        uuid = desk.server.value("SELECT @@server_uuid")
        assert (change["key_from"], change["key_to"]) == (
            f"INNODBKey-{uuid}-{newest}",
            f"INNODBKey-{uuid}-{newest + 1}",
        )
        before = {one["tablespace"]: one["key"] for one in document["files"]["before"]}
        after = {one["tablespace"]: one["key"] for one in document["files"]["after"]}
        assert {f"{desk.schema}/t", "rot"} <= set(after)
        assert set(after.values()) == {change["key_to"]}
        assert before["rot"] in {"", change["key_from"]}
        assert noted(desk) == [("innodb", str(newest), str(newest + 1), "done")]
        (at,) = {place["evidence"] for place in audited(desk) if place["code"] == "key-rotation"}
        assert at.startswith(f"the newest key has the number {newest + 1}; made at 20")

        text = rotate(desk)
        assert (text.code, keys(desk.server)[-1]) == (0, newest + 2), text
        assert "Back up the keyring NOW" in text.out
        desk.server.kill()
        desk.server.start()
        desk.assert_equal()
        assert desk.value("SELECT COUNT(*) FROM g") == 2
        desk.server.restart()
        desk.assert_equal()
        assert keys(desk.server)[-1] == newest + 2
        assert rotate(desk, "--files", "--wait=60s").code == 0
    finally:
        drop_tablespace(desk)


def test_a_dry_run_changes_nothing(desk: Desk) -> None:
    """Statement, locks and the newest key are shown, and not one transaction is made."""
    desk.table("t", rows=50)
    desk.run("ALTER TABLE t ENCRYPTION = 'Y'")
    before = keys(desk.server)
    with desk.untouched():
        ran = rotate(desk, "--dry-run", "--files")
    assert ran.code == 0, ran
    assert "ALTER INSTANCE ROTATE INNODB MASTER KEY" in ran.out
    assert "nothing was changed" in ran.out
    assert keys(desk.server) == before
    assert not desk.has_journal()


def test_the_binary_logs_key(desk: Desk) -> None:
    """Refused while binlog_encryption is OFF; then both keys, and the head of each encrypted log has the new one."""
    before = keys(desk.server)
    with desk.untouched():
        off = rotate(desk, "--binlog")
    assert off.code == 3, off
    off.says("binlog_encryption is OFF", "3805", "SET PERSIST binlog_encryption = ON")
    desk.server.rows("SET GLOBAL binlog_encryption = ON")
    desk.server.rows("FLUSH BINARY LOGS")
    (*_, newest) = keys(desk.server, "MySQLReplicationKey")
    ran = rotate(desk, "--binlog", "--files", "--wait=60s", "--format=json")
    assert ran.code == 0, ran
    assert [one["which"] for one in ran.json["changes"]] == ["innodb", "binlog"]
    logs = [one for one in ran.json["files"]["after"] if one["which"] == "binlog"]
    assert len(logs) > 1
    assert {one["key"] for one in logs} == {ran.json["changes"][1]["key_to"]}
    assert keys(desk.server, "MySQLReplicationKey") == [newest + 1]
    assert keys(desk.server)[-1] == (before or [0])[-1] + 1
    again = rotate(desk, "--only-binlog", "--format=json")
    assert (again.code, keys(desk.server, "MySQLReplicationKey")) == (0, [newest + 2]), again
    assert [row[0] for row in noted(desk)] == ["innodb", "binlog", "binlog"]


# -- refused ----------------------------------------------------------------------------------


def assert_refused(desk: Desk, *words: str, code: int = 3, arguments: tuple[str, ...] = (BACKED_UP,)) -> Ran:
    """Nothing is changed, and these words are said."""
    before = keys(desk.server)
    ran = desk.migrator("rotate-key", *arguments)
    assert ran.code == code, ran
    ran.says(*words)
    assert keys(desk.server) == before
    return ran


def test_without_an_attested_backup(desk: Desk) -> None:
    """Nobody says that the keyring is backed up."""
    with desk.untouched():
        assert_refused(desk, "nobody has attested", "--attest-keyring-backup", arguments=())


def test_a_backup_from_before_the_last_rotation(desk: Desk) -> None:
    """What is attested must be newer than the newest key that the journal knows."""
    assert rotate(desk).code == 0
    assert_refused(
        desk,
        "is of 2020-01-01: the key was rotated at",
        "back the keyring up again",
        arguments=("--attest-keyring-backup=the tests, 2020-01-01",),
    )


def test_a_plan_whose_backup_is_from_before_a_rotation(desk: Desk) -> None:
    """dry-run and apply refuse it until a newer backup is attested: tonight's key is not in the old one."""
    desk.table("t", rows=50)
    plan = desk.plan(*ALL_SHADOW)
    assert desk.migrator("dry-run", plan).code == 0
    assert rotate(desk).code == 0
    for command in ("dry-run", "apply"):
        ran = desk.migrator(command, plan)
        assert ran.code == 3, ran
        assert "keyring-backup-old" in ran.out or "the key was rotated at" in ran.err
    assert not desk.encrypted()
    assert desk.migrator("apply", plan, BACKED_UP).code == 0
    desk.assert_done()


@pytest.mark.parametrize("right", ["ENCRYPTION_KEY_ADMIN", "BINLOG_ENCRYPTION_ADMIN"])
def test_without_the_right(desk: Desk, right: str) -> None:
    """The GRANT is told, and mends it."""
    desk.server.rows("SET GLOBAL binlog_encryption = ON")
    desk.server.rows(f"REVOKE {right} ON *.* FROM '{desk.account.user}'@'%%'")
    with desk.untouched():
        ran = assert_refused(desk, f"missing on *.*: {right}", arguments=(BACKED_UP, "--binlog"))
    (statement,) = ran.grants()
    desk.server.rows(statement.replace("%", "%%"))
    assert rotate(desk, "--binlog").code == 0


def test_while_ddl_is_at_work(desk: Desk) -> None:
    """ALTER TABLE ... ENCRYPTION of a larger table: its session and its statement are named, and it goes on."""
    desk.table("t", rows=40_000)
    with closing(desk.connect()) as connection:
        began = threading.Event()

        def alter() -> None:
            with connection.cursor() as cursor:
                began.set()
                cursor.execute("ALTER TABLE t ENCRYPTION = 'Y'")

        # A writer in the middle of a transaction keeps it from its end, so it is at work for as long as we like.
        with closing(desk.connect(autocommit=False)) as reader, reader.cursor() as reading:
            reading.execute("SELECT * FROM t LIMIT 1")
            thread = threading.Thread(target=alter)
            thread.start()
            began.wait()
            holds = (
                "SELECT COUNT(*) FROM performance_schema.metadata_locks WHERE OBJECT_TYPE = 'BACKUP LOCK'"
                " AND LOCK_TYPE = 'INTENTION_EXCLUSIVE'"
            )
            until(lambda: desk.value(holds), "the ALTER is at work")
            try:
                assert_refused(
                    desk, f"session {session_of_thread(desk)}", "ALTER TABLE `t` ENCRYPTION = ?", "at work on DDL"
                )
            finally:
                reader.rollback()
                thread.join()
    assert desk.encrypted()
    assert rotate(desk).code == 0


def session_of_thread(desk: Desk) -> int:
    """Who executes an ALTER TABLE."""
    return int(desk.value("SELECT ID FROM performance_schema.processlist WHERE INFO LIKE 'ALTER TABLE%%'"))


@pytest.mark.parametrize(
    ("statement", "word"), [("LOCK INSTANCE FOR BACKUP", "BACKUP LOCK"), ("FLUSH TABLES WITH READ LOCK", "READ LOCK")]
)
def test_while_a_backup_holds_its_lock(desk: Desk, statement: str, word: str) -> None:
    """Its session is named."""
    assert rotate(desk).code == 0
    with closing(desk.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        assert_refused(desk, f"session {session_of(connection)}", word)
    assert rotate(desk).code == 0


def test_a_backup_that_comes_in_between(desk: Desk) -> None:
    """After the look and before the statement: it waits for a second at most, does nothing, and says so."""
    assert rotate(desk).code == 0
    before = keys(desk.server)
    held = "CREATE TRIGGER {}.hold AFTER INSERT ON {}.rotations FOR EACH ROW DO GET_LOCK('rotate', 60)"
    desk.server.rows(held.format(JOURNAL, JOURNAL))
    with closing(desk.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK('rotate', 0)")
        with started(desk) as process:
            cursor.execute("LOCK INSTANCE FOR BACKUP")
            cursor.execute("SELECT RELEASE_LOCK('rotate')")
            assert process.wait(60) == 3
    assert "came in between" in (desk.folder / "err").read_text()
    assert keys(desk.server) == before
    assert [row[3] for row in noted(desk)] == ["done", "not-done"]
    desk.server.rows(f"DROP TRIGGER {JOURNAL}.hold")
    assert rotate(desk).code == 0


def test_while_a_run_is_at_work_and_the_other_way_round(desk: Desk) -> None:
    """The lease is one: 75 for whoever comes second, and the first ends well."""
    desk.table("t")
    run = desk.held(desk.plan(*ALL_SHADOW))
    run_id = run.hold(each("RunStarted"))["run_id"]
    run.hold(each("ChunkCopied"), 2)
    assert_refused(desk, f"run {run_id}", code=75)
    assert run.finish().code == 0
    desk.assert_done()

    plan = desk.plan(*ALL_SHADOW, file="second.yaml")
    desk.server.rows(
        f"CREATE TRIGGER {JOURNAL}.hold AFTER INSERT ON {JOURNAL}.rotations FOR EACH ROW DO GET_LOCK('rotate', 60)"
    )
    with closing(desk.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK('rotate', 0)")
        with started(desk) as process:
            assert desk.migrator("apply", plan, BACKED_UP).code == 75
            cursor.execute("SELECT RELEASE_LOCK('rotate')")
            assert process.wait(60) == 0
    assert desk.migrator("apply", plan, BACKED_UP).code in {0, 1}


def test_the_second_of_two_fails(desk: Desk) -> None:
    """InnoDB's key is rotated, then somebody sets binlog_encryption OFF: both are said, and what to do."""
    desk.server.rows("SET GLOBAL binlog_encryption = ON")
    assert rotate(desk).code == 0
    (*_, newest), (log_key,) = keys(desk.server), keys(desk.server, "MySQLReplicationKey")
    desk.server.rows(
        f"CREATE TRIGGER {JOURNAL}.hold AFTER INSERT ON {JOURNAL}.rotations FOR EACH ROW"
        " IF NEW.which = 'binlog' THEN DO GET_LOCK('rotate', 60); END IF"
    )
    with closing(desk.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK('rotate', 0)")
        with started(desk, "--binlog") as process:
            desk.server.rows("SET GLOBAL binlog_encryption = OFF")
            cursor.execute("SELECT RELEASE_LOCK('rotate')")
            assert process.wait(60) == 3
    said = (desk.folder / "err").read_text()
    assert f"-{newest + 1}; but then: " in said
    assert "remedy: back the keyring up now" in said
    assert noted(desk)[1:] == [
        ("innodb", str(newest), str(newest + 1), "done"),
        ("binlog", str(log_key), str(log_key), "not-done"),
    ]


# -- ended half-way ---------------------------------------------------------------------------


@contextmanager
def started(desk: Desk, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """`rotate-key` in a process of its own, when it waits in the trigger that the test has put there."""
    words = desk.words("rotate-key", BACKED_UP, *arguments)
    with (desk.folder / "err").open("wb") as err:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err)
    try:
        until(lambda: waits(desk) or process.poll() is not None, "it waits")
        assert process.poll() is None, (desk.folder / "err").read_text()
        yield process
    finally:
        process.kill()
        process.wait()


def waits(desk: Desk) -> bool:
    """A statement of the journal waits in the trigger that the test has put there."""
    return bool(desk.value("SELECT COUNT(*) FROM performance_schema.processlist WHERE STATE = 'User lock'"))


def test_killed_between_the_statement_and_its_note(desk: Desk) -> None:
    """The key was made and nobody noted it: the next call says so, notes it, and makes its own."""
    assert rotate(desk).code == 0
    (*_, newest) = keys(desk.server)
    desk.server.rows(
        f"CREATE TRIGGER {JOURNAL}.hold BEFORE UPDATE ON {JOURNAL}.rotations FOR EACH ROW DO GET_LOCK('rotate', 60)"
    )
    with closing(desk.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK('rotate', 0)")
        with started(desk) as process:
            process.send_signal(signal.SIGKILL)
            process.wait()
        id = desk.value("SELECT ID FROM performance_schema.processlist WHERE STATE = 'User lock'")
        cursor.execute(f"KILL {id}")
        until(lambda: not waits(desk), "its session has ended")
    desk.server.rows(f"DROP TRIGGER {JOURNAL}.hold")
    assert keys(desk.server)[-1] == newest + 1
    assert noted(desk)[-1][3] == "begun"
    ran = rotate(desk, "--format=json")
    assert ran.code == 0, ran
    (said,) = ran.json["settled"]
    assert "its key was made" in said
    assert noted(desk)[-2:] == [
        ("innodb", str(newest), str(newest + 1), "done"),
        ("innodb", str(newest + 1), str(newest + 2), "done"),
    ]


def test_killed_before_the_statement(desk: Desk) -> None:
    """The note of a process that ended before its statement: the key is still the same, so it was not done."""
    assert rotate(desk).code == 0
    desk.server.rows(
        f"INSERT INTO {JOURNAL}.rotations SELECT NULL, which, account, 'dead', tool_version, key_to, '', 'begun',"
        f" attested, UTC_TIMESTAMP(6), NULL FROM {JOURNAL}.rotations"
    )
    ran = rotate(desk)
    assert ran.code == 0, ran
    assert "ended before the server had done it" in " ".join(ran.out.split())
    assert [row[3] for row in noted(desk)] == ["done", "not-done", "done"]


def test_options_that_contradict_each_other(desk: Desk) -> None:
    """Usage, and nothing is asked of the server."""
    for wrong in (("--binlog", "--only-binlog"), ("--datadir=/tmp",), ("--wait=soon",)):
        assert desk.migrator("rotate-key", *wrong).code == 2


def test_the_server_dies_in_the_statement(desk: Desk) -> None:
    """SIGKILL as soon as the new key is in the keyring's file: it comes up, every row is there, and the next call says
    what became of the rotation."""
    for number in range(40):
        desk.run(
            f"CREATE TABLE many{number} (id INT PRIMARY KEY) ENCRYPTION = 'Y'", f"INSERT INTO many{number} VALUES (1)"
        )
    desk.table("t", rows=300)
    desk.run("ALTER TABLE t ENCRYPTION = 'Y'")
    assert rotate(desk).code == 0
    (*_, newest) = keys(desk.server)
    status = "SELECT STATUS_VALUE FROM performance_schema.keyring_component_status WHERE STATUS_KEY = 'Data_file'"
    file = Path(str(desk.value(status)))
    if not file.exists():
        pytest.skip("the keyring's file cannot be seen from here")
    before = file.read_bytes()
    process = subprocess.Popen(
        desk.words("rotate-key", BACKED_UP),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(lambda: file.read_bytes() != before, "the new key is in the keyring")
    desk.server.kill()
    # It may have been done, and noted, in the very moment before.
    assert process.wait(90) in {0, 3}
    desk.server.start()
    desk.assert_equal()
    for number in range(40):
        assert desk.value(f"SELECT COUNT(*) FROM many{number}") == 1
    assert keys(desk.server)[-1] == newest + 1
    ran = rotate(desk, "--files", "--wait=60s", "--format=json")
    assert ran.code == 0, ran
    assert {row[3] for row in noted(desk)} <= {"done", "not-done"}
    assert keys(desk.server)[-1] == newest + 2


def test_a_key_that_was_made_and_never_used(desk: Desk, tmp_path: Path) -> None:
    """As after a crash between the key and the first file that gets it: one call gives all files a key of its own."""
    assert desk.server.server.datadir is not None
    datadir, before = desk.server.server.datadir, tmp_path / "before"
    desk.table("t", rows=300)
    desk.run("ALTER TABLE t ENCRYPTION = 'Y'")
    assert rotate(desk).code == 0
    (*_, newest) = keys(desk.server)
    desk.server.stop()
    shutil.copytree(datadir, before)
    desk.server.start()
    desk.run("ALTER INSTANCE ROTATE INNODB MASTER KEY")
    assert keys(desk.server)[-1] == newest + 1
    desk.server.stop()
    shutil.rmtree(datadir)
    shutil.move(before, datadir)
    desk.server.start()
    ran = rotate(desk, "--files", "--wait=60s", "--format=json")
    assert ran.code == 0, ran
    (change,) = ran.json["changes"]
    assert [change[name].rpartition("-")[2] for name in ("key_from", "key_to")] == [str(newest + 1), str(newest + 2)]
    desk.assert_equal()
