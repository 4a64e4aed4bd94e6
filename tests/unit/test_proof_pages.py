"""Pages made by hand (no server wrote them), and what they are taken for."""

from __future__ import annotations

import contextlib
import random
import struct
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.proof.header import EncryptionInfo, NoHeader, header_of, info_offset, page_sizes
from migrator.proof.pages import EMPTY, HOLLOW, Class, Tally, classify
from tests.unit.handmade import UUID, a_first_page, a_page, a_sealed_page, an_empty_page

SIZES = (1024, 2048, 4096, 8192, 16384, 32768, 65536)
SEED = random.Random(1)


def tally(*pages: bytes, first_page: int = 1, keep: int = 1000) -> Tally:
    """What pages of one size are."""
    return classify(b"".join(pages), page_bytes=len(pages[0]), first_page=first_page, keep=keep)


# -- pages ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_each_class_is_told_apart_in_every_size(size: int) -> None:
    """Sealed, empty, rows, bookkeeping and hollow, in pages of 1 to 64 KiB, by number and kind."""
    pages = [
        a_sealed_page(size, 1),
        a_sealed_page(size, 2, kind=17),
        a_sealed_page(size, 3, kind=16, used=300),
        an_empty_page(size),
        a_page(size, 5, 17855, b"row"),
        a_page(size, 6, 5),
        a_page(size, 7, 15, b"in clear and says it is not"),
    ]
    found = tally(*pages)
    assert found.pages == 7
    assert found.classes == {Class.SEALED: 3, Class.EMPTY: 1, Class.ROWS: 1, Class.OTHER: 1, Class.HOLLOW: 1}
    assert found.kinds == {
        "encrypted": 1, "encrypted RTREE": 1, "compressed and encrypted": 1, EMPTY: 1,
        "INDEX": 1, "change buffer bitmap": 1, HOLLOW: 1,
    }  # fmt: skip
    assert [(s.page, s.kind) for s in found.suspects] == [(5, "INDEX"), (6, "change buffer bitmap"), (7, HOLLOW)]
    assert found.in_clear == 3


@pytest.mark.parametrize("kind", [2, 10, 14, 17854, 17855, *range(22, 30)])
def test_pages_with_values_count_as_rows(kind: int) -> None:
    """Indexes, long values, compressed pages and old versions hold what somebody wrote."""
    assert tally(a_page(16384, 1, kind, b"x")).classes == {Class.ROWS: 1}


def test_an_unknown_type_is_in_clear() -> None:
    """What nobody knows is no proof of anything."""
    found = tally(a_page(16384, 1, 4711, b"x"))
    assert (found.classes, list(found.kinds)) == ({Class.OTHER: 1}, ["type 4711"])


def test_a_page_without_a_type_is_empty_only_if_all_of_it_is() -> None:
    """A page of which the beginning was not written yet is not taken for an empty one."""
    torn = bytearray(an_empty_page(16384))
    torn[9000:9010] = b"torn write"
    assert tally(bytes(torn)).classes == {Class.OTHER: 1}


def test_the_first_page_is_no_suspect_in_its_place_only() -> None:
    """A header in clear is as it must be at the beginning of the file, and nowhere else."""
    header = a_first_page(encrypted=True)
    assert tally(header, first_page=0).classes == {Class.HEADER: 1}
    assert tally(header, first_page=64).classes == {Class.OTHER: 1}


def test_what_is_kept_of_pages_in_clear_is_bounded_and_what_is_counted_is_not() -> None:
    """A table of a billion pages in clear needs no more memory than one of a thousand."""
    found = tally(*[a_page(1024, n, 17855, b"x") for n in range(1, 50)], keep=10)
    assert (found.classes[Class.ROWS], len(found.suspects)) == (49, 10)
    whole = Tally(keep=10)
    for _ in range(3):
        whole.add(found)
    assert (whole.classes[Class.ROWS], len(whole.suspects)) == (147, 10)


def test_cipher_text_is_not_taken_for_hollow() -> None:
    """No page of 20,000 random ones."""
    pages = b"".join(a_sealed_page(1024, n, kind=SEED.choice([15, 17])) for n in range(1, 20001))
    assert classify(pages, page_bytes=1024, first_page=1).classes == {Class.SEALED: 20000}


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.integers(1, 10**6), st.sampled_from(SIZES[:4]))
def test_one_page_in_clear_is_found_wherever_it_is(kinds: list[int], first: int, size: int) -> None:
    """Whatever lies around it: each page counts once, and those in clear are named by their own numbers."""
    make = (
        lambda n: a_sealed_page(size, n),
        lambda n: an_empty_page(size),
        lambda n: a_sealed_page(size, n, kind=16, used=200),
        lambda n: a_page(size, n, 17855, b"row"),
        lambda n: a_page(size, n, 24, b"long value"),
        lambda n: a_page(size, n, 3),
    )
    found = classify(b"".join(make[k](first + i) for i, k in enumerate(kinds)), page_bytes=size, first_page=first)
    assert found.pages == len(kinds) == sum(found.classes.values()) == sum(found.kinds.values())
    assert [s.page for s in found.suspects] == [first + i for i, k in enumerate(kinds) if k >= 3]


def test_other_commands_do_not_load_numpy() -> None:
    """Nor does the help of this one: who asks for the state waits for nothing."""
    program = "import sys, migrator.cli, migrator.proof.files; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# -- the first page ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("logical", "physical", "offset"),
    [
        (16384, 16384, 10390),
        (16384, 8192, 5270),
        (16384, 4096, 2710),
        (16384, 2048, 1430),
        (16384, 1024, 790),
        (4096, 4096, 1558),
        (8192, 8192, 3734),
        (32768, 32768, 20630),
        (65536, 65536, 41110),
    ],
)
def test_the_encryption_information_is_where_the_server_puts_it(logical: int, physical: int, offset: int) -> None:
    """And is read back from there, with pages of that size."""
    assert info_offset(logical, physical) == offset
    header = header_of(a_first_page(logical, physical, space=77, encrypted=True, key_id=3))
    assert (header.space, header.page_bytes, header.encrypted) == (77, physical, True)
    assert header.info == EncryptionInfo(3, UUID)
    assert header.info.key_name == f"INNODBKey-{UUID}-3"


def test_the_magic_counts_at_its_place_only() -> None:
    """Three letters stand in many a page by chance."""
    page = bytearray(a_first_page(encrypted=False))
    page[200:203] = b"lCC"
    assert header_of(page).info is None


def test_sizes_are_those_of_flags_that_servers_were_seen_to_write() -> None:
    """Dynamic, compressed 8 KiB and 1 KiB, general, dictionary; and of servers with larger and smaller pages."""
    for flags in (16417, 24609, 0x4800, 0x6800, 18432, 0):
        assert page_sizes(flags) == (16384, 16384)
    assert page_sizes(0x6029) == (16384, 8192)
    assert page_sizes(24611) == (16384, 1024)
    assert page_sizes(0x21 | 3 << 6) == (4096, 4096)
    assert page_sizes(0x21 | 7 << 6) == (65536, 65536)


@pytest.mark.parametrize(("operation", "word"), [(0, ""), (1, "encrypting"), (2, "decrypting")])
def test_an_unfinished_alter_tablespace_is_read(operation: int, word: str) -> None:
    """And how far it is."""
    page = bytearray(a_first_page(encrypted=True))
    struct.pack_into(">BI", page, 10390 + 123, operation, 640)
    header = header_of(page)
    assert (header.under_way, header.progress_page) == (word, 640 if operation else 0)


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"x" * 100,
        bytes(16384),
        b"not a page of InnoDB at all" * 1000,
        a_page(16384, 0, 17855, b"row"),
        a_page(16384, 9, 8),
        a_first_page(flags=0x21 | 15 << 6),
        a_first_page(space=5, space_in_header=6),
    ],
    ids=["nothing", "short", "empty", "text", "index", "page 9", "no such size", "two spaces"],
)
def test_what_is_no_header_is_said_to_be_none(page: bytes) -> None:
    """And the reason shows nothing of what stands there."""
    with pytest.raises(NoHeader) as caught:
        header_of(page)
    assert "row" not in str(caught.value)
    assert "InnoDB at" not in str(caught.value)


@given(st.binary(max_size=20000))
def test_any_bytes_have_a_header_or_none(data: bytes) -> None:
    """No other error, whatever the file is."""
    with contextlib.suppress(NoHeader):
        header_of(data)
