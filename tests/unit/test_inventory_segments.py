"""Putting InnoDB's catalog together: rows as MySQL 9.7.4 gives them, unless a test says otherwise."""

from __future__ import annotations

import pytest

from migrator.inventory.foreign_keys import foreign_keys_from
from migrator.inventory.parts import Partition, partitioned
from migrator.inventory.segments import innodb_from
from migrator.model import ForeignKey, Segment, TableName, Tablespace, TablespaceKind

ORDERS = TableName("shop", "orders")
WEIRD = TableName('we`ird %s "näme"', 'we`ird %s "näme"')
WEIRD_ENCODED = "we@0060ird@0020@0025s@0020@0022n@0kme@0022/we@0060ird@0020@0025s@0020@0022n@0kme@0022"

SPACES = [
    (4294967294, "mysql", "General", "N", "normal", 29360128),
    (4294967293, "innodb_temporary", "System", "N", "normal", 12582912),
    (4294967279, "innodb_undo_001", "Undo", "N", "active", 16777216),
    (7, "shop/orders", "Single", "Y", "normal", 114688),
    (8, "gts", "General", "N", "normal", 131072),
]


@pytest.mark.parametrize(("encoded", "table"), [("shop/orders", ORDERS), (WEIRD_ENCODED, WEIRD)])
def test_a_table_finds_its_tablespace_by_number(encoded: str, table: TableName) -> None:
    """SPACE decides: general, file-per-table and system tablespaces are told apart, encrypted or not."""
    for space, kind, encrypted in (
        (7, TablespaceKind.FILE_PER_TABLE, True),
        (8, TablespaceKind.GENERAL, False),
        (0, TablespaceKind.SYSTEM, False),
    ):
        found = innodb_from([(1270, encoded, 33, space)], SPACES, 12582912)
        (segment,) = found.segments[table]
        assert (segment.table_id, segment.kind, segment.encrypted) == (1270, kind, encrypted)


def test_every_shared_tablespace_has_its_kind() -> None:
    """The server's own are told from those of users, and ibdata1, which the catalog leaves out, is there."""
    kinds = {t.name: t.kind for t in innodb_from([], SPACES, 12582912).tablespaces}
    assert kinds == {
        "innodb_system": "system",
        "shop/orders": "file-per-table",
        "gts": "general",
        "innodb_undo_001": "undo",
        "innodb_temporary": "temporary",
        "mysql": "mysql",
    }
    (system,) = (t for t in innodb_from([], SPACES, 12582912).tablespaces if t.space == 0)
    assert system == Tablespace(0, "innodb_system", TablespaceKind.SYSTEM, encrypted=False, file_bytes=12582912)


def test_a_table_whose_tablespace_is_missing_is_not_encrypted() -> None:
    """A tablespace that is not in the catalog proves nothing."""
    (segment,) = innodb_from([(1, "shop/lost", 33, 99)], SPACES, 0).segments[TableName("shop", "lost")]
    assert (segment.encrypted, segment.tablespace) == (False, "")


def test_data_directory_is_a_bit_of_the_flag() -> None:
    """Bit 6: 97 has it, 33 and, for a table in a general tablespace, 161 have not."""
    rows = [(1, "shop/a", 33, 7), (2, "shop/b", 97, 7), (3, "shop/c", 161, 8)]
    assert innodb_from(rows, SPACES, 0).data_directories == {TableName("shop", "b")}


def test_words_in_clear_beside_an_encrypted_table_show() -> None:
    """Hand-written after the 5.7 manual: auxiliary FULLTEXT tables in clear make the table count as in clear."""
    aux = "shop/fts_00000000000004f6_0000000000000176_index_1"
    rows = [(1270, "shop/orders", 33, 7), (1271, aux, 33, 9)]
    plain = [*SPACES, (9, aux, "Single", "N", "normal", 114688)]
    assert [s.encrypted for s in innodb_from(rows, plain, 0).segments[ORDERS]] == [True, False]
    encrypted = [*SPACES, (9, aux, "Single", "Y", "normal", 114688)]
    assert [s.encrypted for s in innodb_from(rows, encrypted, 0).segments[ORDERS]] == [True]


def test_partitions_get_the_names_and_the_order_of_the_table() -> None:
    """InnoDB has them in lower case, by its own rule for letters such as İ, and in order of their ids."""
    kinds = TablespaceKind.FILE_PER_TABLE
    segments = [Segment(i, i, "", kinds, encrypted=False, partition=p) for i, p in enumerate(["p0", "ix", "pä r#t"])]
    partitions = [Partition(name, "", "RANGE") for name in ("İx", "Pä r#t", "P0")]
    assert [(s.table_id, s.partition) for s in partitioned(segments, partitions)] == [
        (1, "İx"),
        (2, "Pä r#t"),
        (0, "P0"),
    ]


CHILD = TableName("p/2", "ch/ild ü")
PARENT = TableName("p1", "par")


def test_a_foreign_key_that_our_account_does_not_see_comes_from_innodb() -> None:
    """With its rules, by the bits of TYPE, and names that are told apart although they have slashes."""
    rows = [
        ("p/2/fk/1 ü", "p/2/ch/ild ü", "p1/par", 9),
        ("p/2/ch/ild ü_ibfk_1", "p/2/ch/ild ü", "p1/par", 32),
    ]
    assert foreign_keys_from([], rows, [CHILD, PARENT]) == (
        ForeignKey("ch/ild ü_ibfk_1", CHILD, PARENT, "RESTRICT", "NO ACTION"),
        ForeignKey("fk/1 ü", CHILD, PARENT, "CASCADE", "SET NULL"),
    )


def test_a_foreign_key_that_our_account_sees_is_listed_once() -> None:
    """InnoDB's row about it adds nothing."""
    seen = ForeignKey("fk/1 ü", CHILD, PARENT, "CASCADE", "SET NULL")
    assert foreign_keys_from([seen], [("p/2/fk/1 ü", "p/2/ch/ild ü", "p1/par", 9)], [CHILD, PARENT]) == (seen,)


def test_an_ambiguous_name_stands_for_every_table_it_fits() -> None:
    """`a/b/c` can be a table of `a` or of `a/b`: both are taken for the parent."""
    one, other = TableName("a", "b/c"), TableName("a/b", "c")
    found = foreign_keys_from([], [("p1/fk", "p1/par", "a/b/c", 0)], [PARENT, one, other])
    assert {key.parent for key in found} == {one, other}


def test_a_parent_that_is_gone_keeps_its_name() -> None:
    """foreign_key_checks=0 lets the parent be dropped; its name is still known."""
    found = foreign_keys_from([], [("p1/fk", "p1/par", "shop/gone", 0)], [PARENT])
    assert [key.parent for key in found] == [TableName("shop", "gone")]
