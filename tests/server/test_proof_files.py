"""Proof in the files of servers of their own: sizes of pages, row formats, what changes meanwhile, rotation.

What stays in clear and what does not was not taken from a book: the server is asked, by its files.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from migrator.clock import SystemClock
from migrator.db import Session
from migrator.driver import Connect
from migrator.inventory import read_inventory
from migrator.model import TableName
from migrator.proof import files as proof_files
from migrator.proof.files import Beside, Wish, prove_files
from migrator.report.files import FilesReport, ObjectFiles, Verdict, files_exit_code
from tests.servers import RunningServer, start, until

SEALED = {"header", "encrypted", "encrypted RTREE", "compressed and encrypted", "empty"}
ROWS = "SELECT REPEAT('ab', 5), CONCAT(REPEAT('hello ', 2500), HEX(RANDOM_BYTES(900))) FROM information_schema.COLUMNS"


def run(server: RunningServer, *statements: str) -> None:
    """Run statements as root."""
    with closing(server.connect()) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def written(server: RunningServer, table: str) -> None:
    """Have the server write all pages of a table to its file."""
    run(server, f"FLUSH TABLES {table} FOR EXPORT", "UNLOCK TABLES")


def the_session(server: RunningServer) -> Session:
    """A session of ours as root."""
    to = server.server
    return Session(Connect(host=to.host, port=to.port, user=to.user, password=to.password))


def prove(
    server: RunningServer, tell: Callable[[int], None] = lambda done: None, wish: Wish | None = None
) -> FilesReport:
    """All that is proved of a server."""
    with closing(the_session(server)) as session:
        inventory = read_inventory(session)
        beside = Beside(SystemClock(), threading.Event(), tell)
        return prove_files(session, inventory, wish or Wish(look_again_seconds=5.0), beside)


def by_name(report: FilesReport) -> dict[str, ObjectFiles]:
    """The objects by their names."""
    return {o.name: o for o in report.objects}


def kinds(o: ObjectFiles) -> set[str]:
    """Kinds of pages in all files of an object."""
    return {kind for file in o.files for kind in file.kinds or {}}


@contextmanager
def a_server(*options: str) -> Iterator[RunningServer]:
    """A server whose files can be read here."""
    with start(options=options, name="proof") as server:
        if server.server.datadir is None:
            pytest.skip("the server's files cannot be read from here")
        run(server, "CREATE DATABASE d")
        yield server


def formats(page: int) -> dict[str, str]:
    """Tables by their options: whatever a server with such pages can have."""
    column = "(id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20), b LONGTEXT"
    found = {
        "dynamic": f"{column})",
        "compact": f"{column}) ROW_FORMAT=COMPACT",
        "redundant": f"{column}) ROW_FORMAT=REDUNDANT",
        "places": f"{column}, g POINT NOT NULL SRID 0 DEFAULT (POINT(1, 1)), SPATIAL INDEX (g))",
        "words": f"{column}, FULLTEXT (v))",
        "parts": f"{column}) PARTITION BY HASH (id) PARTITIONS 3",
    }
    if page >= 8192:
        found["packed"] = f"{column}) COMPRESSION='zlib'"
    if page == 4096:
        for name in ("compact", "redundant"):
            del found[name]
    if page <= 16384:
        found |= {
            f"zip{k}": f"{column}) ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE={k}"
            for k in (1, 2, 4, 8, 16)
            if k * 1024 <= page
        }
    return found


@pytest.mark.parametrize("page", [4096, 8192, 16384, 32768, 65536])
def test_every_format_in_clear_and_encrypted(page: int) -> None:
    """Each table with its files, of each size of pages: rows are seen in clear, and no page is once it is encrypted."""
    with a_server(f"--innodb-page-size={page}") as server:
        tables = formats(page)
        for name, definition in tables.items():
            run(server, f"CREATE TABLE d.{name} {definition}", f"INSERT INTO d.{name} (v, b) {ROWS} LIMIT 150")
            written(server, f"d.{name}")
        before = by_name(prove(server))
        for name in tables:
            o = before[f"d.{name}"]
            assert (name, o.verdict) == (name, Verdict.IN_CLEAR)
            assert sum(f.plain_with_rows for f in o.files) > 1, name
            assert not kinds(o) & {"encrypted", "compressed and encrypted", "encrypted RTREE"}, name
        for name in tables:
            run(server, f"ALTER TABLE d.{name} ENCRYPTION='Y'")
            written(server, f"d.{name}")
        run(server, "ALTER TABLESPACE mysql ENCRYPTION='Y'")
        report = prove(server)
        after = by_name(report)
        for name in (*(f"d.{t}" for t in tables), "mysql"):
            assert (name, after[name].verdict, [f.why for f in after[name].files if f.why]) == (
                name,
                Verdict.ENCRYPTED,
                [],
            )
            assert kinds(after[name]) <= SEALED, name
        assert len(after["d.parts"].files) == 3
        assert len(after["d.words"].files) == 12
        assert sum(f.fulltext for f in after["d.words"].files) == 11
        assert files_exit_code(report) == 0


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside of the datadir, in which the server may keep tables."""
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def server(elsewhere: Path) -> Iterator[RunningServer]:
    """One server for what needs no other option."""
    with a_server(f"--innodb-directories={elsewhere}") as running:
        yield running


def test_a_tablespace_of_several_tables_and_one_outside_of_the_datadir(server: RunningServer, elsewhere: Path) -> None:
    """General tablespace, DATA DIRECTORY, a name that has to be encoded: each is found where the server says."""
    run(
        server,
        "CREATE TABLESPACE gts ADD DATAFILE 'gts.ibd'",
        "CREATE TABLE d.one (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20), b LONGTEXT) TABLESPACE gts",
        "CREATE TABLE d.two LIKE d.one",
        f"INSERT INTO d.one (v, b) {ROWS} LIMIT 50",
        "CREATE TABLE d.`we``ird %s \"näme\"` (id INT PRIMARY KEY) ENCRYPTION='Y'",
        f"CREATE TABLE d.away (id INT PRIMARY KEY) DATA DIRECTORY='{elsewhere}' ENCRYPTION='Y'",
    )
    written(server, "d.one")
    assert by_name(prove(server))["gts"].verdict is Verdict.IN_CLEAR
    run(server, "ALTER TABLESPACE gts ENCRYPTION='Y'")
    found = by_name(prove(server))
    assert (found["gts"].verdict, found["gts"].kind) == (Verdict.ENCRYPTED, "tablespace")
    assert kinds(found["gts"]) <= SEALED
    assert found['d.we`ird %s "näme"'].verdict is Verdict.ENCRYPTED
    away = found["d.away"].files[0]
    assert (away.verdict, away.path) == (Verdict.ENCRYPTED, str(elsewhere / "d" / "away.ibd"))
    alone = prove(server, wish=Wish(wants=lambda t: t == TableName("d", "two"), everything=False))
    assert by_name(alone)["d.two"].files[0].path == "gts.ibd"


def test_the_servers_own_files_are_told_and_count_for_nothing(server: RunningServer) -> None:
    """ibdata1 and undo tablespaces have pages in clear on every server: told, and no reason for an exit code."""
    found = by_name(prove(server))
    for name in ("innodb_system", "innodb_undo_001", "innodb_undo_002"):
        assert (found[name].kind, found[name].verdict) == ("beside", Verdict.IN_CLEAR)
    run(server, "SET GLOBAL innodb_undo_log_encrypt = ON")
    try:
        undo = by_name(prove(server))["innodb_undo_001"]
        assert undo.verdict is Verdict.PARTLY
        assert undo.files[0].why == "older pages stay in clear until it is truncated"
    finally:
        run(server, "SET GLOBAL innodb_undo_log_encrypt = OFF")


def test_a_table_that_is_rebuilt_while_it_is_read(server: RunningServer) -> None:
    """Its new tablespace is read instead, and the old one counts no more: by the catalog as it is at the end."""
    run(
        server,
        "CREATE TABLE d.moving (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20), b LONGTEXT)",
        f"INSERT INTO d.moving (v, b) {ROWS} LIMIT 50",
        "CREATE TABLE d.going LIKE d.moving",
    )
    done: list[bool] = []

    def change(_bytes: int) -> None:
        if not done:
            done.append(True)
            run(server, "ALTER TABLE d.moving ENCRYPTION='Y'", "DROP TABLE d.going", "CREATE TABLE d.coming (id INT)")
            written(server, "d.moving")

    found = by_name(prove(server, change))
    assert done
    assert found["d.moving"].verdict is Verdict.ENCRYPTED
    assert found["d.coming"].verdict is Verdict.IN_CLEAR
    assert found["d.going"].files[0].why == "the catalog names no file of it"


@pytest.mark.parametrize(("before", "after"), [("N", "Y"), ("Y", "N")])
def test_a_tablespace_that_is_altered_in_place_while_it_is_read(server: RunningServer, before: str, after: str) -> None:
    """It keeps its number and its name: what was read before is no contradiction, but read anew."""
    run(
        server,
        f"CREATE TABLESPACE inplace ADD DATAFILE 'inplace.ibd' ENCRYPTION='{before}'",
        f"CREATE TABLE d.inside (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20), b LONGTEXT)"
        f" TABLESPACE inplace ENCRYPTION='{before}'",
        f"INSERT INTO d.inside (v, b) {ROWS} LIMIT 50",
    )
    done: list[bool] = []

    def alter(_bytes: int) -> None:
        if not done:
            done.append(True)
            run(server, f"ALTER TABLESPACE inplace ENCRYPTION='{after}'")

    wish = Wish(look_again_seconds=0.0, wants=lambda table: table.name == "inside", everything=False)
    try:
        o = by_name(prove(server, alter, wish))["d.inside"]
        assert done
        assert (o.verdict, o.files[0].why) == (Verdict.ENCRYPTED if after == "Y" else Verdict.IN_CLEAR, "")
        assert (kinds(o) <= SEALED) == (after == "Y")
    finally:
        run(server, "DROP TABLE d.inside", "DROP TABLESPACE inplace")


def test_a_swap_while_it_is_read(server: RunningServer) -> None:
    """Two tables change their names: each is proved by its own file."""
    run(
        server,
        "CREATE TABLE d.a (id INT PRIMARY KEY)",
        "CREATE TABLE d.b (id INT PRIMARY KEY) ENCRYPTION='Y'",
    )
    done: list[bool] = []

    def swap(_bytes: int) -> None:
        if not done:
            done.append(True)
            run(server, "RENAME TABLE d.a TO d.a_retained, d.b TO d.a")

    found = by_name(prove(server, swap))
    assert (found["d.a"].verdict, found["d.a_retained"].verdict) == (Verdict.ENCRYPTED, Verdict.IN_CLEAR)
    assert found["d.a"].files[0].path == "d/a.ibd"


def test_after_a_rotation_the_older_key_is_a_note_until_the_page_is_written(server: RunningServer) -> None:
    """The key in the file is in the keyring all the same; once the first page is written it is the newest one."""
    run(server, "CREATE TABLE d.rotated (id INT PRIMARY KEY) ENCRYPTION='Y'")
    written(server, "d.rotated")
    uuid = server.value("SELECT @@server_uuid")
    older = prove(server).master_key
    run(server, "ALTER INSTANCE ROTATE INNODB MASTER KEY")

    def key() -> str:
        report = prove(server)
        (file,) = by_name(report)["d.rotated"].files
        assert file.verdict is Verdict.ENCRYPTED
        newest = report.master_key
        assert newest.startswith(f"INNODBKey-{uuid}-")
        assert newest != older
        assert bool(file.notes) == (file.key != newest)
        return file.key if file.key == newest else ""

    key()
    run(server, "SET GLOBAL innodb_max_dirty_pages_pct = 0", "SET GLOBAL innodb_max_dirty_pages_pct_lwm = 0")
    try:
        until(lambda: key() != "", "the first page is written with the newest key", seconds=60)
    finally:
        run(
            server,
            "SET GLOBAL innodb_max_dirty_pages_pct = DEFAULT",
            "SET GLOBAL innodb_max_dirty_pages_pct_lwm = DEFAULT",
        )


def test_without_the_right_to_see_keys_they_are_said_not_to_be_compared(server: RunningServer) -> None:
    """Nothing is taken for good that was not looked at."""
    run(
        server,
        "CREATE USER 'looks'@'%' IDENTIFIED BY 'no-secret'",
        "GRANT PROCESS, SELECT ON *.* TO 'looks'@'%'",
        "SET GLOBAL partial_revokes = ON",
        "REVOKE SELECT ON performance_schema.* FROM 'looks'@'%'",
    )
    try:
        to = server.server
        with closing(Session(Connect(host=to.host, port=to.port, user="looks", password="no-secret"))) as session:
            inventory = read_inventory(session)
            report = prove_files(session, replace(inventory, tables=()), Wish(look_again_seconds=0.0))
        assert not report.keys_readable
        assert report.master_key == ""
        assert report.objects
    finally:
        run(server, "DROP USER 'looks'@'%'", "SET GLOBAL partial_revokes = OFF")


def test_what_changes_too_fast_is_said_to_be_not_read(server: RunningServer) -> None:
    """A table that is rebuilt whenever a file is read is no proof of anything."""
    run(server, "CREATE TABLE d.restless (id INT PRIMARY KEY) ENCRYPTION='Y'")
    wish = Wish(wants=lambda table: table.name == "restless", everything=False)
    rebuilds: list[int] = []

    def rebuild(_bytes: int) -> None:
        rebuilds.append(_bytes)
        run(server, "ALTER TABLE d.restless ENGINE=InnoDB")

    report = prove(server, rebuild, wish)
    assert len(rebuilds) == proof_files.ROUNDS
    o = by_name(report)["d.restless"]
    assert (o.verdict, o.files[0].why) == (Verdict.UNREAD, "it changes too fast")
    assert files_exit_code(report) == 1
