"""Every reason not to move a table, one by one, and all of them together."""

from __future__ import annotations

from typing import Any

import pytest

from migrator.model import Check, TableName, TablespaceKind
from migrator.planner.around import look_around, real_bytes, shown
from migrator.planner.checks import CHECKS, SKIPS, TABLESPACE_CHECKS, examine
from migrator.planner.relay import RELAY_SERVES
from migrator.sql.names import retained_of, shadow_of
from tests.unit.builders import (
    MIB,
    NAMES,
    PLAIN,
    a_column,
    a_foreign_key,
    a_key,
    a_segment,
    a_server,
    a_table,
    a_tablespace,
    a_trigger,
    an_encrypted_table,
    an_inventory,
    around,
    checks,
    findings,
)

OTHER = TableName("crm", "customers")


@pytest.mark.parametrize("name", NAMES)
def test_an_ordinary_table_has_no_findings(name: TableName) -> None:
    """Nothing is said about a table where there is nothing to say."""
    assert findings(a_table(name)) == {}


BLOCKED: dict[str, dict[str, Any]] = {
    "not-innodb": {"engine": "MyISAM", "segments": ()},
    "engine-unknown": {"engine": "", "segments": ()},
    "unreadable": {"columns": (), "keys": ()},
    "tablespace-unknown": {"segments": (a_segment(tablespace=""),)},
    "secondary-engine": {"create_options": 'SECONDARY_ENGINE="rapid"'},
    "foreign-key": {"foreign_keys": (a_foreign_key(PLAIN, OTHER),)},
    "referenced": {"referenced_by": (a_foreign_key(OTHER, PLAIN),)},
    "own-trigger": {"triggers": (a_trigger(),)},
    "named-check": {"checks": (Check("positive", generated_name=False),)},
    "check-numbers": {"checks": checks(PLAIN, 2)},
    "generated-timestamp": {"checks": (Check("orders_chk_1", generated_name=True, expression="from_unixtime(`id`)"),)},
    "no-usable-key": {"keys": ()},
    "data-directory": {"data_directory": True},
}


@pytest.mark.parametrize("code", BLOCKED)
def test_each_reason_blocks_by_itself(code: str) -> None:
    """Each reason is found alone, blocks (unless a relay serves it), names its table and says what to do."""
    found = findings(a_table(**BLOCKED[code]))
    assert set(found) == {code}
    assert found[code].blocks is (code not in RELAY_SERVES)
    if code in RELAY_SERVES:
        assert findings(a_table(**BLOCKED[code], row_format="Compressed"))[code].blocks
    assert found[code].subject == str(PLAIN)
    assert found[code].remedy


def test_a_table_without_any_tablespace_is_not_taken_for_done() -> None:
    """Where the catalog shows no file at all nothing proves that it is encrypted."""
    assert set(findings(a_table(segments=()))) == {"tablespace-unknown"}


def test_all_reasons_are_collected_in_display_order() -> None:
    """A table with several reasons shows all of them at once, in the order of CHECKS."""
    table = a_table(
        foreign_keys=(a_foreign_key(PLAIN, OTHER),),
        referenced_by=(a_foreign_key(OTHER, PLAIN),),
        triggers=(a_trigger(),),
        checks=(Check("positive", generated_name=False),),
        keys=(a_key("note", name="ft", unique=False, type="FULLTEXT"),),
        data_directory=True,
    )
    codes = [f.code for f in examine(table, around(table))]
    expected = [
        "foreign-key",
        "referenced",
        "own-trigger",
        "named-check",
        "no-usable-key",
        "data-directory",
        "fulltext",
    ]
    assert codes == expected


@pytest.mark.parametrize("engine", ["MyISAM", "CSV", "ARCHIVE", "ROCKSDB"])
def test_other_engines_are_refused_with_the_conversion(engine: str) -> None:
    """The remedy is the very statement that converts the table."""
    for name in NAMES:
        finding = findings(a_table(name, engine=engine, segments=()))["not-innodb"]
        assert f"ALTER TABLE {shown(name)} ENGINE=InnoDB ENCRYPTION='Y'" in finding.remedy


def test_ndb_is_pointed_to_its_own_encryption() -> None:
    """NDB has another way, so no conversion is proposed."""
    finding = findings(a_table(engine="ndbcluster", segments=()))["not-innodb"]
    assert finding.blocks
    assert "EncryptedFileSystem" in finding.remedy
    assert "ALTER TABLE" not in finding.remedy


@pytest.mark.parametrize("engine", ["MEMORY", "BLACKHOLE", "FEDERATED", "MRG_MYISAM"])
def test_engines_without_rows_on_disk_are_skipped(engine: str) -> None:
    """Where no rows lie in files there is nothing to encrypt."""
    table = a_table(engine=engine, segments=())
    assert [f.code for f in examine(table, around(table), SKIPS)] == ["no-data-on-disk"]


def test_an_encrypted_table_is_skipped_only_if_all_of_it_is() -> None:
    """One plain partition among encrypted ones is not done."""
    half = a_table(segments=(a_segment(encrypted=True, partition="p0"), a_segment(partition="p1")))
    done = an_encrypted_table()
    assert [f.code for f in examine(done, around(done), SKIPS)] == ["already-encrypted"]
    assert examine(half, around(half), SKIPS) == ()
    assert findings(done) == {}
    finding = findings(half)["partly-encrypted"]
    assert not finding.blocks
    assert "1 of its 2 files" in finding.message


@pytest.mark.parametrize("name", NAMES)
def test_our_own_tables_are_skipped_by_the_journals_word(name: TableName) -> None:
    """A retained table says until when it is kept; shadow and log are ours while a table is being done."""
    kept = a_table(retained_of(name))
    where = look_around(an_inventory(kept), retained={kept.name: "2026-05-08T00:00:00Z"})
    (finding,) = examine(kept, where, SKIPS)
    assert finding.message == "retained by migrator until 2026-05-08T00:00:00Z, in clear"
    shadow = a_table(shadow_of(name))
    assert [f.code for f in examine(shadow, look_around(an_inventory(shadow), owned=[shadow.name]), SKIPS)] == ["ours"]
    assert examine(shadow, around(shadow), SKIPS) == ()


@pytest.mark.parametrize("state", ["discarded", "missing"])
def test_a_tablespace_without_rows_blocks(state: str) -> None:
    """A discarded tablespace has nothing to encrypt and must not be copied as if it were empty."""
    table = a_table()
    spaces = {100: a_tablespace(TablespaceKind.FILE_PER_TABLE, space=100, state=state)}
    assert findings(table, around(table, tablespaces=spaces))["tablespace-not-normal"].blocks
    spaces = {100: a_tablespace(TablespaceKind.FILE_PER_TABLE, space=100, state="normal")}
    assert findings(table, around(table, tablespaces=spaces)) == {}


NOTES: dict[str, dict[str, Any]] = {
    "in-system-tablespace": {"segments": (a_segment(TablespaceKind.SYSTEM, space=0, tablespace="innodb_system"),)},
    "fulltext": {"keys": (a_key(), a_key("note", name="ft", unique=False, type="FULLTEXT"))},
    "spatial": {"keys": (a_key(), a_key("note", name="sp", unique=False, type="SPATIAL"))},
}


@pytest.mark.parametrize("code", NOTES)
def test_notes_do_not_block(code: str) -> None:
    """What is only good to know stands in the plan and blocks nothing."""
    found = findings(a_table(**NOTES[code]))
    assert set(found) == {code}
    assert not found[code].blocks


def test_the_autoinc_lock_is_a_note_for_tables_that_count() -> None:
    """Only AUTO_INCREMENT tables on servers that serialise such inserts are noted."""
    server = a_server(variables={"innodb_autoinc_lock_mode": "1"})
    counting, plain = a_table(), a_table(columns=(a_column(),))
    assert "autoinc-lock" in findings(counting, around(counting, server=server))
    assert "autoinc-lock" not in findings(plain, around(plain, server=server))
    assert "autoinc-lock" not in findings(counting)


def test_a_table_is_as_large_as_its_file() -> None:
    """Stale statistics say 32 KiB where the file has a gigabyte: the larger one decides."""
    table = a_table(data_bytes=16384, index_bytes=16384)
    space = a_tablespace(TablespaceKind.FILE_PER_TABLE, space=100, file_bytes=1024 * MIB)
    assert real_bytes(table, around(table, tablespaces={100: space})) == 1024 * MIB
    assert real_bytes(table, around(table)) == 32768
    shared = a_table(segments=(a_segment(TablespaceKind.GENERAL, space=200),), data_bytes=5, index_bytes=5)
    assert real_bytes(shared, around(shared, tablespaces={200: a_tablespace()})) == 10


def test_every_check_has_its_place() -> None:
    """The checks for tables in a tablespace are some of all, and no check is listed twice."""
    assert set(TABLESPACE_CHECKS) < set(CHECKS)
    assert len(set(CHECKS)) == len(CHECKS)
    assert not set(SKIPS) & set(CHECKS)
