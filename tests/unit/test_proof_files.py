"""Files of pages made by hand, the search for a canary, and what is said of them; no server wrote these files."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.errors import UsageError
from migrator.inventory.files import DataFile, files_from
from migrator.model import TableName
from migrator.proof import reading
from migrator.proof.canary import Needle, needle_from, places_in, search_file
from migrator.proof.pages import Class
from migrator.proof.places import Datadir, NotHere, all_files, find_datadir
from migrator.proof.reading import Unreadable, Vanished, again, read_file, sampled_spans
from migrator.proof.verdict import judged, newest_key, unread
from migrator.report.files import Canary, CanaryHit, FileProof, FilesReport, ObjectFiles, Verdict, files_exit_code
from migrator.report.values import ServerId
from migrator.report.verify import Verification, verify_exit_code, verify_html, verify_json, verify_text
from tests.unit.handmade import UUID, a_first_page, a_page, a_sealed_page, an_empty_page

KEYS = frozenset({f"INNODBKey-{UUID}-1"})
FILE = DataFile(
    space=5, path="./d/t.ibd", tablespace="d/t", kind="Single", encrypted=True, page_bytes=16384,
    tables=(TableName("d", "t"),),
)  # fmt: skip
SEALED = [a_first_page(encrypted=True), *(a_sealed_page(16384, n) for n in range(1, 8)), an_empty_page(16384)]
SECRET = b"4111-1111-1111-1111"


def a_file(folder: Path, *pages: bytes) -> Path:
    """A file of these pages."""
    path = folder / "t.ibd"
    path.write_bytes(b"".join(pages))
    return path


def proof_of(folder: Path, *pages: bytes, file: DataFile = FILE, keys: frozenset[str] | None = KEYS) -> FileProof:
    """What is proved of a file of these pages."""
    return judged(file, read_file(a_file(folder, *pages), page_bytes=16384), keys)


# -- verdicts ---------------------------------------------------------------------------------


def test_an_encrypted_file_is_proved(tmp_path: Path) -> None:
    """Every page is counted, and the master key is named."""
    proof = proof_of(tmp_path, *SEALED)
    assert (proof.verdict, proof.why, proof.pages) == (Verdict.ENCRYPTED, "", 9)
    assert proof.kinds == {"encrypted": 7, "empty": 1, "header": 1}
    assert (proof.key, proof.notes) == (f"INNODBKey-{UUID}-1", ())


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (a_page(16384, 3, 17855, SECRET), "1 page with rows in clear"),
        (a_page(16384, 3, 3), "1 page without rows in clear"),
        (a_page(16384, 3, 15, SECRET), "1 page encrypted in name only"),
    ],
)
def test_a_page_in_clear_contradicts(tmp_path: Path, page: bytes, words: str) -> None:
    """Its place and kind are said, and nothing of what stands in it."""
    proof = proof_of(tmp_path, *SEALED[:3], page, *SEALED[4:])
    assert proof.verdict is Verdict.CONTRADICTION
    assert words in proof.why
    assert proof.first_plain == (3 * 16384,)
    assert SECRET.decode() not in repr(proof)


@pytest.mark.parametrize(
    ("change", "pages", "verdict", "words"),
    [
        ({"space": 6}, SEALED, Verdict.CONTRADICTION, "of tablespace 5, the catalog says 6"),
        ({"page_bytes": 8192}, SEALED, Verdict.CONTRADICTION, "the catalog says 8192"),
        ({"encrypted": False}, SEALED, Verdict.CONTRADICTION, "its header says encrypted, the catalog says not"),
        ({}, [a_first_page(), *SEALED[1:]], Verdict.CONTRADICTION, "its header says not"),
        ({}, [an_empty_page(16384), *SEALED[1:]], Verdict.CONTRADICTION, "the first page is empty"),
        ({"encrypted": False}, [a_first_page(), a_page(16384, 1, 17855, b"x")], Verdict.IN_CLEAR, ""),
        ({"kind": "Undo"}, [a_first_page(), a_page(16384, 1, 2, b"x")], Verdict.PARTLY, "until it is truncated"),
        ({"kind": "Undo"}, [a_first_page(), SEALED[1]], Verdict.ENCRYPTED, ""),
        ({"first": False}, SEALED[1:], Verdict.ENCRYPTED, ""),
    ],
    ids=["space", "size", "said plain", "header", "empty", "plain", "undo partly", "undo", "second file"],
)
def test_catalog_and_file_are_compared(
    tmp_path: Path, change: dict[str, object], pages: list[bytes], verdict: Verdict, words: str
) -> None:
    """What both say, and what only one of them says."""
    proof = proof_of(tmp_path, *pages, file=replace(FILE, **change))  # type: ignore[arg-type]
    assert proof.verdict is verdict
    assert words in proof.why


def test_keys_are_compared_with_the_keyring(tmp_path: Path) -> None:
    """One that is not there contradicts; an older one is a note; what we may not see is compared with nothing."""
    assert "is not in the keyring" in proof_of(tmp_path, *SEALED, keys=frozenset()).why
    rotated = frozenset({f"INNODBKey-{UUID}-{n}" for n in (1, 2, 10)})
    older = proof_of(tmp_path, *SEALED, keys=rotated)
    assert older.verdict is Verdict.ENCRYPTED
    assert f"the newest is INNODBKey-{UUID}-10" in older.notes[0]
    assert newest_key(rotated, UUID) == f"INNODBKey-{UUID}-10"
    assert proof_of(tmp_path, *SEALED, keys=None).verdict is Verdict.ENCRYPTED


def test_an_encryption_under_way_is_no_contradiction(tmp_path: Path) -> None:
    """The server says in the file itself that it has not come to the end."""
    first = bytearray(SEALED[0])
    first[10390 + 123] = 1
    proof = proof_of(tmp_path, bytes(first), a_page(16384, 1, 17855, b"x"))
    assert proof.verdict is Verdict.UNDER_WAY


# -- reading ----------------------------------------------------------------------------------


def test_a_page_that_is_encrypted_at_the_second_look_counts_as_that(tmp_path: Path) -> None:
    """As one that was read while it was written; one that stays counts on, and is said to be written if it changes."""
    path = a_file(tmp_path, *SEALED[:2], a_page(16384, 2, 17855, b"x"), a_page(16384, 3, 24, b"y"))
    read = read_file(path, page_bytes=16384)
    assert read.tally.in_clear == 2
    path.write_bytes(b"".join([*SEALED[:3], a_page(16384, 3, 24, b"z", lsn=1001)]))
    again(read)
    assert read.tally.classes == {Class.HEADER: 1, Class.SEALED: 2, Class.ROWS: 1}
    assert (read.tally.pages, read.written_meanwhile) == (4, 1)
    proof = judged(FILE, read, KEYS)
    assert "still being written" in proof.why
    path.write_bytes(b"".join(SEALED[:2]))
    again(read)
    assert (read.tally.in_clear, read.tally.pages) == (0, 3)


def test_a_name_that_belongs_to_another_file_is_no_proof(tmp_path: Path) -> None:
    """A swap puts another file in its place: neither the first look nor a second one mixes them up."""
    path = a_file(tmp_path, *SEALED)
    read = read_file(path, page_bytes=16384)
    (tmp_path / "other").write_bytes(b"".join(SEALED))
    (tmp_path / "other").replace(path)
    with pytest.raises(Vanished):
        again(read)
    with pytest.raises(Vanished):
        read_file(path, page_bytes=16384, tell=lambda done: path.unlink())
    with pytest.raises(Vanished):
        read_file(path, page_bytes=16384)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """A folder has no pages."""
    with pytest.raises(Unreadable):
        read_file(tmp_path, page_bytes=16384)


def test_a_torn_end_does_not_count(tmp_path: Path) -> None:
    """A file that is just being made longer."""
    read = read_file(a_file(tmp_path, *SEALED, b"x" * 1000), page_bytes=16384)
    assert (read.tally.pages, read.tally.in_clear) == (9, 0)


@pytest.mark.parametrize("buffer", [65536, 131072])
def test_pages_are_the_same_whatever_the_buffer_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, buffer: int
) -> None:
    """Numbers of pages go on from one buffer to the next."""
    monkeypatch.setattr(reading, "BUFFER_BYTES", buffer)
    pages = [SEALED[0], *(a_sealed_page(16384, n) for n in range(1, 20)), a_page(16384, 20, 17855, b"x")]
    read = read_file(a_file(tmp_path, *pages), page_bytes=16384)
    assert (read.tally.pages, [s.page for s in read.tally.suspects]) == (21, [20])


def test_a_sample_has_the_first_and_the_last_extent(tmp_path: Path) -> None:
    """And says that it is one; a file of two extents is read whole."""
    mib = 2**20
    assert sampled_spans(100 * mib, mib, 1) == [(0, mib), (99 * mib, mib)]
    assert [start // mib for start, _ in sampled_spans(100 * mib + 5, mib, 10)] == [*range(0, 100, 10), 100]
    assert sampled_spans(2 * mib, mib, 1) == [(0, 2 * mib)]
    pages = [SEALED[0], *(a_sealed_page(16384, n) for n in range(1, 300)), a_page(16384, 300, 17855, b"x")]
    read = read_file(a_file(tmp_path, *pages), page_bytes=16384, percent=10)
    assert (read.sampled, read.tally.pages, [s.page for s in read.tally.suspects]) == (True, 64 + 45, [300])
    assert "1 page of those that were read with rows in clear" in judged(FILE, read, KEYS).why


@given(st.integers(0, 10**10), st.sampled_from([2**20, 2**21, 2**22]), st.floats(0.1, 100))
def test_spans_lie_in_the_file_and_do_not_overlap(size: int, extent: int, percent: float) -> None:
    """Whatever the size; the beginning and the end are always among them."""
    size = size % (extent * 2000)
    spans = sampled_spans(size, extent, percent)
    assert spans[0][0] == 0
    assert sum(spans[-1]) == size
    assert all(start + length <= following for (start, length), (following, _) in itertools.pairwise(spans))


# -- the canary -------------------------------------------------------------------------------


@given(
    st.binary(min_size=8, max_size=12),
    st.lists(st.one_of(st.binary(max_size=30), st.just(None)), max_size=12),
    st.integers(1, 40),
)
def test_a_canary_is_found_across_borders(value: bytes, parts: list[bytes | None], chunk: int) -> None:
    """At the same places as in all the bytes at once, however they are cut."""
    data = b"".join(value if part is None else part for part in parts)
    chunks = [data[i : i + chunk] for i in range(0, len(data), chunk)]
    expected = [i for i in range(len(data)) if data.startswith(value, i)]
    assert list(places_in(chunks, Needle(value))) == expected


def test_a_canary_is_found_across_blocks_of_a_redo_log(tmp_path: Path) -> None:
    """The head and the check sum of a block lie in the middle of it."""
    log = bytearray(2048)
    log[512 + 500 : 512 + 508] = SECRET[:8]
    log[1024 + 12 : 1024 + 12 + len(SECRET) - 8] = SECRET[8:]
    path = tmp_path / "#ib_redo1"
    path.write_bytes(log)
    assert search_file(path, Needle(SECRET)) == ()
    assert search_file(path, Needle(SECRET), redo=True) == (512 + 500,)


def test_the_value_of_a_canary_is_nowhere_shown() -> None:
    """Not in its repr, not in the error about one that is too short."""
    assert SECRET.decode() not in repr(needle_from(SECRET + b"\n"))
    assert needle_from(SECRET + b"\r\n").value == SECRET
    for data in (b"short\n", b"x" * 5000):
        with pytest.raises(UsageError) as caught:
            needle_from(data)
        assert "short" not in caught.value.message.replace("too short", "")


# -- places -----------------------------------------------------------------------------------


def test_a_datadir_is_known_by_its_server_uuid(tmp_path: Path) -> None:
    """Never by its name: a folder of another server, or of none, is not read."""
    with pytest.raises(NotHere, match=r"no .*auto\.cnf"):
        find_datadir(str(tmp_path), UUID)
    (tmp_path / "auto.cnf").mkdir()
    with pytest.raises(NotHere, match="cannot be read here"):
        find_datadir(str(tmp_path), UUID)
    (tmp_path / "auto.cnf").rmdir()
    (tmp_path / "auto.cnf").write_text(f"[auto]\nserver-uuid={UUID}\n")
    assert find_datadir(str(tmp_path), UUID).path == tmp_path
    with pytest.raises(NotHere, match="another server"):
        find_datadir(str(tmp_path), UUID.replace("1", "9"))


def test_paths_of_the_server_are_found_where_its_datadir_is_here() -> None:
    """Names from the datadir, and from the root, inside of it and elsewhere."""
    here = Datadir(Path("/mnt/copy"), Path("/var/lib/mysql/"))
    assert here.resolve("./d/t.ibd") == Path("/mnt/copy/d/t.ibd")
    assert here.resolve("/var/lib/mysql/d/t.ibd") == Path("/mnt/copy/d/t.ibd")
    assert here.resolve("/data2/d/t.ibd") == Path("/data2/d/t.ibd")
    assert here.shown(Path("/mnt/copy/d/t.ibd")) == "d/t.ibd"


def test_every_file_is_searched_once(tmp_path: Path) -> None:
    """Tablespaces by their names in the catalog, logs elsewhere, links to folders followed, loops not."""
    data, logs = tmp_path / "data", tmp_path / "logs"
    for folder in (data / "d", data / "#innodb_redo", logs):
        folder.mkdir(parents=True)
    for file in (
        data / "d/t.ibd",
        data / "#innodb_redo/#ib_redo1",
        logs / "bin.000001",
        logs / "bin.index",
        logs / "x",
    ):
        file.write_text("x")
    (data / "loop").symlink_to(data)
    places = {"log_bin_basename": str(logs / "bin"), "tmpdir": str(logs)}
    found = list(all_files(Datadir(data, data), places, {data / "d/t.ibd": "tablespace d/t"}))
    assert sorted((str(path.relative_to(tmp_path)), what) for path, what in found) == [
        ("data/#innodb_redo/#ib_redo1", "redo log"),
        ("data/d/t.ibd", "tablespace d/t"),
        ("logs/bin.000001", "binary log"),
    ]


def test_files_meet_their_tables_by_the_number_of_the_tablespace() -> None:
    """Partitions, words of FULLTEXT indexes, several tables in one file; names of files decide nothing."""
    files = [
        (5, "./x.ibd", "TABLESPACE", "d/t#p#p0"),
        (6, "./y.ibd", "TABLESPACE", "d/fts"),
        (None, "g.ibd", "TABLESPACE", "g"),  # as seen on 9.7.4 while an ALTER TABLESPACE is at work
        (0, "i1", "TABLESPACE", "innodb_system"),
        (0, "i2", "TABLESPACE", "innodb_system"),
        (None, "h.ibd", "TABLESPACE", "dropped"),
    ]
    spaces = [
        (5, "d/t#p#p0", "Single", "Y", 16384, 0),
        (6, "d/fts", "Single", "N", 16384, 8192),
        (7, "g", "General", "Y", 16384, 0),
    ]
    tables = [(21, "d/t#p#p0", 5), (22, "d/fts_0000000000000015_config", 6), (23, "d/a", 7), (24, "d/b", 7)]
    one, two, three, four, five = files_from(files, spaces, tables, 16384)
    assert (one.tables, one.partition, one.encrypted, one.page_bytes) == ((TableName("d", "t"),), "p0", True, 16384)
    assert (two.tables, two.fulltext, two.encrypted, two.page_bytes) == ((TableName("d", "t"),), True, False, 8192)
    assert three.tables == (TableName("d", "a"), TableName("d", "b"))
    assert (four.tablespace, four.kind, four.first, five.first) == ("innodb_system", "System", True, False)


# -- what is said -----------------------------------------------------------------------------


def report_of(*verdicts: Verdict, kind: str = "table", canary: Canary | None = None, not_here: str = "") -> FilesReport:
    """A report of one file each."""
    objects = tuple(
        ObjectFiles(f"d.t{n}", kind, v, (FileProof(f"d/t{n}.ibd", n, v, why="it is so", first_plain=(16384,)),))
        for n, v in enumerate(verdicts)
    )
    return FilesReport("/var/lib/mysql", not_here=not_here, objects=objects, canary=canary)


def test_exit_codes_say_what_was_proved() -> None:
    """4: a person must look; 1: in clear, not read, not whole; 0: nothing but proofs."""
    hit = CanaryHit("binlog.000001", 2, (5,), "binary log")
    assert files_exit_code(report_of(Verdict.ENCRYPTED)) == 0
    for verdict in (Verdict.IN_CLEAR, Verdict.UNREAD, Verdict.UNDER_WAY, Verdict.PARTLY):
        assert files_exit_code(report_of(Verdict.ENCRYPTED, verdict)) == 1
        assert files_exit_code(report_of(verdict, kind="beside")) == 0
    assert files_exit_code(report_of(Verdict.IN_CLEAR, Verdict.CONTRADICTION)) == 4
    assert files_exit_code(report_of(Verdict.CONTRADICTION, kind="beside")) == 4
    assert files_exit_code(report_of(not_here="no")) == 1
    assert files_exit_code(report_of(canary=Canary(9, 3, 100, ()))) == 0
    assert files_exit_code(report_of(canary=Canary(9, 3, 100, (), ("undo_001 (no)",)))) == 1
    assert files_exit_code(report_of(canary=Canary(9, 3, 100, (hit,)))) == 1
    assert files_exit_code(report_of(canary=Canary(9, 3, 100, (replace(hit, contradicts=True),)))) == 4


def verification(files: FilesReport | None) -> Verification:
    """Nothing from the catalog but the server."""
    return Verification(ServerId(UUID, "9.7.4", "mysql", "db1:3306"), "2026-05-01T12:00:00Z", (), files)


def test_what_contradicts_is_said_first() -> None:
    """In text, HTML and JSON, with the place."""
    told = verification(report_of(Verdict.ENCRYPTED, Verdict.IN_CLEAR, Verdict.CONTRADICTION))
    text = verify_text(told)
    assert text.index("NOT as the catalog says, by the files: d.t2. A person must look.") < text.index("Files\n-----")
    assert "d/t2.ibd: it is so; first at offset 16384" in text
    assert text.index("d.t2  ") < text.index("d.t1  ") < text.index("d.t0  ")
    assert "NOT as the catalog says" in verify_html(told)
    files = json.loads(verify_json(told))["files"]
    assert [o["verdict"] for o in files["objects"]] == ["encrypted", "in clear", "contradiction"]
    assert (verify_exit_code(told), verify_exit_code(verification(None))) == (4, 0)


def test_where_files_cannot_be_read_the_way_to_do_it_is_said() -> None:
    """The catalog's word is not taken for more."""
    text = verify_text(verification(report_of(not_here="this machine has no /var/lib/mysql/auto.cnf")))
    assert "So the catalog's word is all there is." in text.replace("\n", " ")
    assert "sudo -u mysql migrator verify --files" in text
    assert unread(FILE, "d/t.ibd", "Permission denied").verdict is Verdict.UNREAD
