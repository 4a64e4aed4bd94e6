"""InnoDB's spelling of names, read back; tests/server/test_inventory_names.py has the server prove the letters."""

from __future__ import annotations

import pytest

from migrator.inventory.filenames import LETTERS, InnodbName, decode, innodb_name
from migrator.model import TableName

SEEN = {
    "orders": "orders",
    "we@0020ird": "we ird",
    "we@0060ird@0020@0025s@0020@0022n@0kme@0022": 'we`ird %s "näme"',
    "dots@002ein@002ename": "dots.in.name",
    "sl@002fash": "sl/ash",
    "@0023p@0023p0": "#p#p0",
    "a@0040b": "a@b",
    "@0040@0040": "@@",
    "a@00400020b": "a@0020b",
    "@0K@1I@1O": "ÄÖÜ",
    "@0k@1i@1o@1j": "äöüß",
    "@V0@w0@o0@i0@l0@y0": "Привет",
    "@6P@6V@6V@6R@6X": "ΕΛΛΗΝ",
    "@65e5@672c@8a9e": "日本語",
    "@0130stanbul": "İstanbul",
    "@A@": "Ａ",
    "@@A": "Ⓐ",
    "CON@@@": "CON",
    "@nx@Nx": "ᾳᾼ",
    "@mr@Mr": "ỳỲ",
    "@H7@I7": "ԱԲ",
    "@a640@a641": "Ꙁꙁ",
    "1e5": "1e5",
}
"""Observed on MySQL 9.7.4."""


@pytest.mark.parametrize(("encoded", "name"), SEEN.items())
def test_a_name_is_read_back(encoded: str, name: str) -> None:
    """Each spelling that a server was seen to use stands for the name it was made from."""
    assert decode(encoded) == name


def test_every_letter_has_one_code() -> None:
    """The table has the 1510 letters that MySQL 9.7.4 gave two-character codes to, each once."""
    assert len(LETTERS) == len(set(LETTERS.values())) == 1510


def test_an_unknown_code_stays_as_it_is() -> None:
    """A code that stands for nothing is not guessed at."""
    assert decode("a@zzb") == "a@zzb"


def test_partitions_are_told_apart_from_names_with_a_hash() -> None:
    """A bare # is the server's, an encoded one belongs to the name; upper case is older servers'."""
    table = TableName("shop", "t#p#")
    assert innodb_name("shop/t@0023p@0023#p#p0") == InnodbName(table, "p0")
    assert innodb_name("shop/t@0023p@0023#p#a#sp#s@00232") == InnodbName(table, "s#2")
    assert innodb_name("shop/t@0023p@0023#P#p0#SP#p0sp1") == InnodbName(table, "p0sp1")
    assert innodb_name("shop/con@@@#p#p0") == InnodbName(TableName("shop", "con"), "p0")


def test_schema_and_table_are_told_apart() -> None:
    """A slash in a name is encoded, so the first bare one ends the schema."""
    assert innodb_name("p@002f2/ch@002fild") == InnodbName(TableName("p/2", "ch/ild"))


@pytest.mark.parametrize("name", ["shop/#sql-ib1063-3467", "shop/#sql2-1e-8", "SYS_FOREIGN"])
def test_what_is_no_table_of_a_user_is_left_out(name: str) -> None:
    """Tables of a running ALTER and of InnoDB itself have no name that a user could give."""
    assert innodb_name(name) is None


def test_fulltext_tables_name_their_owner() -> None:
    """The number in the name of an auxiliary table is its owner's table_id."""
    aux = innodb_name("shop/fts_00000000000004fb_0000000000000176_index_1")
    assert aux is not None and aux.fulltext_of == 0x4FB
    common = innodb_name("shop/fts_00000000000004fb_being_deleted_cache")
    assert common is not None and common.fulltext_of == 0x4FB


@pytest.mark.parametrize("name", ["fts_orders", "fts_00000000000004fb_mine", "fts_4fb_config", "fts_00000000000004fb"])
def test_other_names_that_begin_like_them_are_tables(name: str) -> None:
    """MySQL 9.7.4 lets users have these names."""
    mine = innodb_name(f"shop/{name}")
    assert mine == InnodbName(TableName("shop", name))
