"""Names on a real server: InnoDB's spelling of every letter, and tables with the nastiest names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from migrator.db import Session
from migrator.driver import Connect
from migrator.inventory import read_tables
from migrator.inventory.filenames import LETTERS, innodb_name
from migrator.model import TableName, TablespaceKind
from migrator.sql.names import qualified, quote
from tests.servers import RunningServer, start

NASTY = [
    'we`ird %s "näme"',
    "dots.in.name",
    "sl/ash",
    "ha#sh",
    "#p#p0",
    "t#P#p1#SP#x",
    "#sql-ib1-2",
    "a@b",
    "@@",
    "@@@",
    "a@0020b",
    "@0k",
    "%s%%d",
    "it's",
    "back\\slash",
    "CON",
    "con",
    "Nul",
    "lpt1",
    "0",
    "1e5",
    "tab\tx",
    "*?:<>|",
    "x" * 64,
    "ü" * 64,
    "日" * 40,
    "Привет",
    "ПРИВЕТ",
    "ελληνικά",
    "ΕΛΛΗΝ",
    "İstanbul ıI",
    "ſß",
    "Ａⓐ",
    "\ue000",
    "fts_orders",
    "fts_00000000000004fb_mine",
    "fts_00000000000004fb_0000000000000176_index_7",
]
SCHEMA = "sch`ema/ %s ä.#@"


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with start(options=["--innodb-buffer-pool-size=64M"], name="names") as running:
        yield running


@pytest.fixture
def session(server: RunningServer) -> Iterator[Session]:
    to = server.server
    with Session(Connect(host=to.host, port=to.port, user=to.user, password=to.password)) as opened:
        yield opened


def test_the_server_spells_every_letter_as_we_read_it(server: RunningServer) -> None:
    """All characters of the blocks that have codes of two characters, and their neighbours, are read back."""
    blocks = [(0x80, 0x600), (0x1E00, 0x2000), (0x2150, 0x2190), (0x24A0, 0x2500), (0xFF10, 0xFF70)]
    letters = [chr(number) for low, high in blocks for number in range(low, high)]
    assert set(LETTERS.values()) <= set(letters)
    names = ["".join(letters[place : place + 40]) for place in range(0, len(letters), 40)]
    with closing(server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE letters")
        for name in names:
            cursor.execute(f"CREATE TABLE letters.{quote(name)} (id INT)", ())
    spelled = server.rows("SELECT NAME FROM information_schema.INNODB_TABLES WHERE NAME LIKE 'letters/%%'")
    assert len(spelled) == len(names)
    found = {what.table.name for (name,) in spelled if (what := innodb_name(str(name)))}
    assert found == set(names)


@pytest.mark.parametrize("place", ["", " TABLESPACE names_gts"])
def test_tables_with_nasty_names_are_read(server: RunningServer, session: Session, place: str) -> None:
    """Each has its columns, its key and its one segment, in a file of its own and in a shared tablespace."""
    wanted = [TableName(SCHEMA, name) for name in NASTY]
    with closing(server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {quote(SCHEMA)}", ())
        if place:
            cursor.execute("CREATE TABLESPACE names_gts ADD DATAFILE 'names_gts.ibd'")
        try:
            for table in wanted:
                cursor.execute(f"CREATE TABLE {qualified(table)} ({quote(table.name)} INT PRIMARY KEY){place}", ())
            found = read_tables(session, wanted)
        finally:
            cursor.execute(f"DROP DATABASE {quote(SCHEMA)}", ())
    assert [table.name for table in found] == sorted(wanted)
    kind = TablespaceKind.GENERAL if place else TablespaceKind.FILE_PER_TABLE
    for facts in found:
        assert [column.name for column in facts.columns] == [facts.name.name]
        assert [key.parts[0].column for key in facts.keys] == [facts.name.name]
        assert [segment.kind for segment in facts.segments] == [kind]


def test_partitions_with_nasty_names_are_read(server: RunningServer, session: Session) -> None:
    """Segments carry the names of partitions and subpartitions as they were given, in the table's order."""
    table = TableName(SCHEMA, "t#p#p0")
    with closing(server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {quote(SCHEMA)}", ())
        try:
            cursor.execute(
                f"CREATE TABLE {qualified(table)} (id INT, d DATE, PRIMARY KEY (id, d))"
                " PARTITION BY RANGE (YEAR(d)) SUBPARTITION BY HASH (id) ("
                " PARTITION `Z%%` VALUES LESS THAN (2000) (SUBPARTITION `İ#1`, SUBPARTITION `B/ä`),"
                " PARTITION `A.#sp#` VALUES LESS THAN MAXVALUE (SUBPARTITION `C@@`, SUBPARTITION `Aa a`))",
                (),
            )
            (found,) = read_tables(session, [table])
        finally:
            cursor.execute(f"DROP DATABASE {quote(SCHEMA)}", ())
    assert found.partition_method == "RANGE/HASH"
    assert found.partitions == ("Z%", "A.#sp#")
    assert [segment.partition for segment in found.segments] == ["İ#1", "B/ä", "C@@", "Aa a"]
    assert len({segment.space for segment in found.segments}) == 4


def test_letters_outside_of_identifiers_find_nothing(session: Session) -> None:
    """A name that no table can have (identifiers have no letters beyond U+FFFF) is simply not there."""
    assert read_tables(session, [TableName("😀", "😀"), TableName("a", "b")]) == ()
