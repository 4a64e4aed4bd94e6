"""`verify --files` and `--canary` as a DBA runs them: files of a real server, and copies with a planted page.

A copy is a datadir as far as `verify` can tell: the server's auto.cnf and the files of the tables that are
asked for. No page in it is made by hand: each was written by the server, at another time.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.server.cli.held import Ran
from tests.server.cli.kit import CANARY, Desk, edit
from tests.server.cli.snapshot import name
from tests.servers import until

PAGE = 16384


@pytest.fixture
def datadir(desk: Desk) -> Path:
    """The server's datadir, if it is here."""
    if desk.server.server.datadir is None:
        pytest.skip("the server's files cannot be read from here")
    return desk.server.server.datadir


def written(desk: Desk, *tables: str) -> None:
    """Have the server write all pages of tables to their files."""
    for table in tables:
        connection = desk.connect()
        with connection, connection.cursor() as cursor:
            cursor.execute(f"FLUSH TABLES {name(table)} FOR EXPORT")
            cursor.execute("UNLOCK TABLES")


def copied(desk: Desk, datadir: Path, *tables: str) -> Path:
    """A copy of the datadir with the files of these tables only."""
    folder = desk.folder / "copy"
    (folder / desk.schema).mkdir(parents=True, exist_ok=True)
    shutil.copy(datadir / "auto.cnf", folder)
    for table in tables:
        for file in (datadir / desk.schema).glob(f"{table}*.ibd"):
            shutil.copy(file, folder / desk.schema)
    return folder


def verify(desk: Desk, table: str, *options: str) -> Ran:
    """`verify --files` of one table, as JSON."""
    return desk.migrator("verify", "--files", f"--tables={desk.schema}.{table}", "--format=json", *options)


def the_object(ran: Ran) -> Any:
    """The one object of a report on files."""
    (found,) = ran.json["files"]["objects"]
    return found


def kinds(ran: Ran) -> set[str]:
    """All kinds of pages that were seen."""
    return {kind for o in ran.json["files"]["objects"] for file in o["files"] for kind in file["kinds"]}


SEALED = {"header", "encrypted", "encrypted RTREE", "compressed and encrypted", "empty"}


def test_before_and_after_a_run(desk: Desk, datadir: Path) -> None:
    """Every file of every table: in clear before, and nothing but encrypted pages after the run and its cleanup."""
    desk.table("t")
    desk.table(
        "parts",
        definition="(id VARCHAR(40), n INT NOT NULL, note VARCHAR(500), extra VARCHAR(40), PRIMARY KEY (id, n))"
        " PARTITION BY HASH (n) PARTITIONS 3",
    )
    desk.table(
        "words",
        definition="(id VARCHAR(40) NOT NULL PRIMARY KEY, n INT NOT NULL, note VARCHAR(500), extra VARCHAR(40),"
        " FULLTEXT KEY note (note))",
    )
    desk.table(
        "packed",
        definition="(id VARCHAR(40) NOT NULL PRIMARY KEY, n INT NOT NULL, note VARCHAR(500), extra VARCHAR(40))"
        " ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=4",
    )
    names = ("t", "parts", "words", "packed")
    here = f"--databases={desk.schema}"
    written(desk, *names)

    before = desk.migrator("verify", "--files", here, "--format=json")
    assert before.code == 1
    found = {o["name"].partition(".")[2]: o for o in before.json["files"]["objects"]}
    assert {n: (o["verdict"], len(o["files"])) for n, o in found.items()} == {
        "t": ("in clear", 1), "parts": ("in clear", 3), "words": ("in clear", 12), "packed": ("in clear", 1),
    }  # fmt: skip
    assert all(sum(f["plain_with_rows"] for f in o["files"]) > 1 for o in found.values())
    assert {f["page_bytes"] for f in found["packed"]["files"]} == {4096}

    plan = desk.plan()
    edit(plan, r"retain_days: .*", "retain_days: 0 d")
    assert desk.migrator("apply", plan).code == 0
    retained = desk.migrator("verify", "--files", here, "--format=json")
    assert retained.code == 1
    assert {o["name"].partition(".")[2] for o in retained.json["files"]["objects"] if o["verdict"] == "in clear"} == {
        f"_{n}_retained" for n in names
    }
    assert desk.migrator("cleanup").code == 0

    after = desk.migrator("verify", "--files", here, "--format=json")
    assert after.code == 0, after
    found = {o["name"].partition(".")[2]: o for o in after.json["files"]["objects"]}
    assert {n: (o["verdict"], len(o["files"])) for n, o in found.items()} == {
        "t": ("encrypted", 1), "parts": ("encrypted", 3), "words": ("encrypted", 12), "packed": ("encrypted", 1),
    }  # fmt: skip
    assert kinds(after) <= SEALED
    keys = {f["key"] for o in found.values() for f in o["files"]}
    assert keys == {after.json["files"]["master_key"]}
    text = desk.migrator("verify", "--files", here)
    assert (text.code, "Encrypted, every page of it: 4 of 4 objects." in text.out) == (0, True)
    desk.migrator("verify", "--files", here, "--format=html", "-o", desk.folder / "page.html")
    assert "Encrypted, every page of it" in (desk.folder / "page.html").read_text()


def encrypted_with_a_page_before(desk: Desk, datadir: Path) -> bytes:
    """A table that was in clear and is encrypted; gives back one of the pages with rows that it had."""
    desk.table("t", rows=2000)
    written(desk, "t")
    before = (datadir / desk.schema / "t.ibd").read_bytes()
    pages = [before[at : at + PAGE] for at in range(0, len(before), PAGE)]
    page = next(page for page in pages[5:] if page[24:26] == b"\x45\xbf" and CANARY.encode() in page)
    desk.run("ALTER TABLE t ENCRYPTION = 'Y'")
    written(desk, "t")
    return page


def test_a_planted_page_is_found(desk: Desk, datadir: Path) -> None:
    """One page of the table as it was in clear, among some hundred: exit code 4, its offset, and no byte of it."""
    page = encrypted_with_a_page_before(desk, datadir)
    copy = copied(desk, datadir, "t")
    file = copy / desk.schema / "t.ibd"
    assert verify(desk, "t", f"--datadir={copy}").code == 0
    at = 17 * PAGE
    with file.open("r+b") as stream:
        stream.seek(at)
        stream.write(page)

    ran = verify(desk, "t", f"--datadir={copy}", "--look-again=0.1s")
    assert ran.code == 4
    (proof,) = the_object(ran)["files"]
    assert (proof["verdict"], proof["plain_with_rows"], proof["first_plain"]) == ("contradiction", 1, [at])
    text = desk.migrator("verify", "--files", f"--tables={desk.schema}.t", f"--datadir={copy}", "--look-again=0.1s").out
    assert text.index(f"NOT as the catalog says, by the files: {desk.schema}.t.") < text.index("Encrypted: all of 1")
    assert f"1 page with rows in clear; first at offset {at}" in " ".join(text.split())
    evidence = desk.folder / "evidence.html"
    told = ("--files", f"--tables={desk.schema}.t", f"--datadir={copy}", "--look-again=0.1s", "-o", evidence)
    assert desk.migrator("report", *told).code == 4
    assert f"NOT as the catalog says, by the files: {desk.schema}.t." in evidence.read_text()
    assert verify(desk, "t").code == 0

    relabelled = bytearray(page)
    relabelled[24:26] = b"\x00\x0f"
    with file.open("r+b") as stream:
        stream.seek(at)
        stream.write(relabelled)
    ran = verify(desk, "t", f"--datadir={copy}", "--look-again=0.1s")
    assert (ran.code, the_object(ran)["files"][0]["hollow"]) == (4, 1)


def test_a_sample_says_that_it_is_one(desk: Desk, datadir: Path) -> None:
    """Fewer pages, the first and the last extent among them; a page in clear between them is not seen."""
    page = encrypted_with_a_page_before(desk, datadir)
    desk.run(*["INSERT INTO t (id, n, note) SELECT UUID(), n + (SELECT MAX(n) FROM t AS m), note FROM t"] * 3)
    written(desk, "t")
    copy = copied(desk, datadir, "t")
    file = copy / desk.schema / "t.ibd"
    size = file.stat().st_size
    assert size > 4 * 2**20
    for at, code in ((2 * 2**20, 0), (size - PAGE, 4)):
        with file.open("r+b") as stream:
            stream.seek(at)
            was = stream.read(PAGE)
            stream.seek(at)
            stream.write(page)
        ran = verify(desk, "t", f"--datadir={copy}", "--look-again=0.1s", "--sample=1%")
        assert ran.code == code
        (proof,) = the_object(ran)["files"]
        assert (proof["sampled"], ran.json["files"]["percent"]) == (True, 1.0)
        assert proof["pages"] < size / PAGE / 2
        with file.open("r+b") as stream:
            stream.seek(at)
            stream.write(was)
    text = desk.migrator("verify", "--files", "--sample=1%", f"--tables={desk.schema}.t", f"--datadir={copy}").out
    assert "A sample: 1 % of the extents" in text.replace("\n", " ")


def test_a_partition_in_clear_is_found(desk: Desk, datadir: Path) -> None:
    """One of three: the catalog says so, and the file."""
    desk.run(
        "CREATE TABLE parts (id INT PRIMARY KEY, v VARCHAR(40)) ENCRYPTION='Y' PARTITION BY HASH (id) PARTITIONS 3",
        f"INSERT INTO parts VALUES (1, '{CANARY}'), (2, 'b'), (3, 'c')",
        "CREATE TABLE plain (id INT PRIMARY KEY, v VARCHAR(40))",
        f"INSERT INTO plain VALUES (4, '{CANARY}')",
    )
    written(desk, "parts", "plain")
    assert verify(desk, "parts").code == 0
    copy = copied(desk, datadir, "parts", "plain")
    here = copy / desk.schema
    # Another file in the place of a partition's: told by the number of its tablespace.
    (here / "parts#p#p1.ibd").write_bytes((here / "plain.ibd").read_bytes())
    ran = verify(desk, "parts", f"--datadir={copy}", "--look-again=0.1s")
    assert ran.code == 4
    assert "the file is of tablespace" in ran.out
    # The same with that number in it: in clear by its own word.
    forged = bytearray((here / "plain.ibd").read_bytes())
    original = (datadir / desk.schema / "parts#p#p1.ibd").read_bytes()
    forged[34:42] = original[34:42]
    (here / "parts#p#p1.ibd").write_bytes(forged)
    ran = verify(desk, "parts", f"--datadir={copy}", "--look-again=0.1s")
    files = {f["partition"]: f for f in the_object(ran)["files"]}
    assert (ran.code, {p: f["verdict"] for p, f in files.items()}) == (
        4,
        {"p0": "encrypted", "p1": "contradiction", "p2": "encrypted"},
    )
    assert (files["p1"]["plain_with_rows"], files["p0"]["plain_with_rows"]) == (1, 0)


def test_partitions_are_proved_one_by_one(desk: Desk, datadir: Path) -> None:
    """EXCHANGE PARTITION leaves a table of which only a part is encrypted: each file says what it is."""
    desk.run(
        "CREATE TABLE mixed (id INT PRIMARY KEY, v VARCHAR(40)) PARTITION BY RANGE (id)"
        " (PARTITION p1 VALUES LESS THAN (20), PARTITION p2 VALUES LESS THAN (MAXVALUE))",
        f"INSERT INTO mixed VALUES (1, '{CANARY}'), (30, 'b')",
        "CREATE TABLE apart (id INT PRIMARY KEY, v VARCHAR(40)) ENCRYPTION='Y'",
        f"INSERT INTO apart VALUES (2, '{CANARY}')",
        "ALTER TABLE mixed EXCHANGE PARTITION p1 WITH TABLE apart WITHOUT VALIDATION",
    )
    written(desk, "mixed")
    ran = verify(desk, "mixed")
    files = {f["partition"]: f for f in the_object(ran)["files"]}
    assert (ran.code, the_object(ran)["verdict"]) == (1, "in clear")
    assert {p: (f["verdict"], f["plain_with_rows"]) for p, f in files.items()} == {
        "p1": ("encrypted", 0),
        "p2": ("in clear", 1),
    }


def test_a_key_that_the_keyring_does_not_have_is_found(desk: Desk, datadir: Path) -> None:
    """Such a file could be opened by nobody after a restart."""
    desk.run("CREATE TABLE t (id INT PRIMARY KEY) ENCRYPTION='Y'")
    written(desk, "t")
    copy = copied(desk, datadir, "t")
    file = copy / desk.schema / "t.ibd"
    page = bytearray(file.read_bytes())
    assert page[10390:10393] == b"lCC"
    page[10393:10397] = (4711).to_bytes(4, "big")
    file.write_bytes(page)
    ran = verify(desk, "t", f"--datadir={copy}", "--look-again=0.1s")
    assert ran.code == 4
    assert f"INNODBKey-{desk.value('SELECT @@server_uuid')}-4711 is not in the keyring" in ran.out


def test_a_canary_is_found_before_and_not_in_the_table_after(desk: Desk, datadir: Path) -> None:
    """The value itself is told nowhere. What was written to the binary log in clear is found there, after as before."""
    desk.table("t", rows=200)
    written(desk, "t")
    value = desk.folder / "value"
    value.write_text(f"{CANARY}-00000123\n")
    here = f"--tables={desk.schema}.t"
    before = desk.migrator("verify", here, "--canary", value, "--format=json")
    hits = {hit["path"]: hit for hit in before.json["files"]["canary"]["hits"]}
    table = hits[f"{desk.schema}/t.ibd"]
    data = (datadir / desk.schema / "t.ibd").read_bytes()
    assert before.code == 1
    assert table["where"] == f"tablespace {desk.schema}/t, in clear"
    assert all(data[at:].startswith(f"{CANARY}-00000123".encode()) for at in table["first"])
    assert table["times"] == data.count(f"{CANARY}-00000123".encode())

    desk.run("ALTER TABLE t ENCRYPTION = 'Y'")
    written(desk, "t")
    after = desk.migrator("verify", here, "--canary", value, "--format=json")
    paths = {hit["path"] for hit in after.json["files"]["canary"]["hits"]}
    assert after.code == 1
    assert f"{desk.schema}/t.ibd" not in paths
    assert any("binlog" in path for path in paths)
    assert after.json["files"]["canary"]["unread"] == []
    text = desk.migrator("verify", here, "--canary", value)
    assert "binary" in text.out


def test_a_canary_in_an_encrypted_tablespace_is_a_contradiction(desk: Desk, datadir: Path) -> None:
    """A planted page is found by what stands in it, too."""
    page = encrypted_with_a_page_before(desk, datadir)
    copy = copied(desk, datadir, "t")
    with (copy / desk.schema / "t.ibd").open("r+b") as stream:
        stream.seek(17 * PAGE)
        stream.write(page)
    value = desk.folder / "value"
    start = page.index(CANARY.encode())
    value.write_bytes(page[start : start + 19])
    ran = desk.migrator("verify", f"--tables={desk.schema}.t", "--canary", value, f"--datadir={copy}", "--format=json")
    (hit,) = (h for h in ran.json["files"]["canary"]["hits"] if h["path"] == f"{desk.schema}/t.ibd")
    assert (ran.code, hit["contradicts"], hit["first"][0]) == (4, True, 17 * PAGE + start)


def test_elsewhere_the_catalogs_word_is_all_there_is(desk: Desk, datadir: Path) -> None:
    """Where the files are not, or are another server's, it is said, with the way to do it; exit code 1."""
    desk.run("CREATE TABLE t (id INT PRIMARY KEY) ENCRYPTION='Y'")
    away = desk.folder / "away"
    away.mkdir()
    here = f"--tables={desk.schema}.t"
    assert desk.migrator("verify", here).code == 0
    ran = desk.migrator("verify", "--files", here, f"--datadir={away}")
    assert ran.code == 1
    assert "So the catalog's word is all there is." in ran.out.replace("\n", " ")
    (away / "auto.cnf").write_text("[auto]\nserver-uuid=11111111-2222-3333-4444-555555555555\n")
    assert "is the datadir of another server" in desk.migrator(
        "verify", "--files", here, f"--datadir={away}"
    ).out.replace("\n", " ")
    shutil.copy(datadir / "auto.cnf", away)
    gone = verify(desk, "t", f"--datadir={away}")
    assert (gone.code, the_object(gone)["verdict"]) == (1, "not read")


def test_options_that_do_not_fit_are_refused(desk: Desk) -> None:
    """Nothing is asked of the server."""
    value = desk.folder / "value"
    value.write_text("short")
    for options in (
        ("--sample=1%",),
        ("--datadir=/tmp",),
        ("--files", "--sample=0%"),
        ("--canary", value),
        ("--files", "--sample=2"),
    ):
        assert desk.migrator("verify", *options).code == 2, options


def test_a_file_that_the_server_is_writing_is_proved(desk: Desk, datadir: Path) -> None:
    """An application writes all the while: no page of it is ever seen in clear."""
    desk.table("t", rows=1000)
    desk.run("ALTER TABLE t ENCRYPTION = 'Y'")
    writer = desk.connect()
    with writer, writer.cursor() as cursor:
        for turn in range(5):
            cursor.execute("UPDATE t SET note = CONCAT(%s, note) WHERE n %% 3 = %s", (str(turn), turn % 3))
            cursor.execute(
                "INSERT INTO t (id, n, note) SELECT UUID(), n + %s, note FROM t WHERE n < 1001", (turn * 9000 + 5000,)
            )
            ran = verify(desk, "t")
            assert ran.code == 0, ran
            assert kinds(ran) <= SEALED
    until(lambda: desk.value("SELECT COUNT(*) FROM t") == 6000, "all rows are there")
