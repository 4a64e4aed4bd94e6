"""Every reason not to move a table, one by one, and all of them together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from migrator.model import Check, Finding, Key, KeyPart, Table, TableName, TablespaceKind
from migrator.planner.around import Around, look_around, real_bytes, shown
from migrator.planner.checks import CHECKS, SKIPS, TABLESPACE_CHECKS, examine
from migrator.planner.relay import RELAY_SERVES
from migrator.sql.names import log_of, retained_of, shadow_of, trigger_name
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
    checks,
)

OTHER = TableName("crm", "customers")


def around(*tables: Table, **changes: Any) -> Around:
    return replace(look_around(an_inventory(*tables)), **changes)


def findings(table: Table, where: Around | None = None) -> dict[str, Finding]:
    found = examine(table, where or around(table))
    assert len({f.code for f in found}) == len(found), "a code is given once"
    return {f.code: f for f in found}


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


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("derive", [shadow_of, log_of, retained_of])
def test_a_taken_name_blocks_unless_the_journal_owns_it(name: TableName, derive: object) -> None:
    """A table that bears a name of ours, and is not provably ours, is left alone, so the step is refused."""
    taken = derive(name)  # type: ignore[operator]
    table, other = a_table(name), a_table(taken)
    finding = findings(table, around(table, other))["name-taken"]
    assert finding.blocks
    assert str(taken) in finding.message
    assert "name-taken" not in findings(table, around(table, other, owned=frozenset({taken})))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("purpose", "event"), [("log", "insert"), ("mirror", "delete")])
def test_a_trigger_with_our_name_blocks_unless_the_journal_owns_the_work(
    name: TableName, purpose: str, event: str
) -> None:
    """Trigger names are unique in a schema: ours may be taken on the table itself or on another one."""
    ours = a_trigger(trigger_name(name, purpose, event), name)
    table, other = a_table(name, triggers=(ours,)), a_table(TableName(name.schema, "other"), triggers=(ours,))
    plain = a_table(name)
    assert set(findings(table)) == {"name-taken"}
    assert set(findings(plain, around(plain, other))) == {"name-taken"}
    assert findings(table, around(table, owned=frozenset({log_of(name)}))) == {}


def test_the_retained_table_of_an_earlier_run_is_in_the_way() -> None:
    """A table in clear whose retained copy is still kept needs that name again: cleanup comes first."""
    table, old = a_table(), a_table(retained_of(PLAIN))
    where = look_around(an_inventory(table, old), retained={old.name: "2026-05-08"})
    assert findings(table, where)["retained-in-the-way"].blocks


def test_generated_check_names_survive_up_to_nine_without_gaps() -> None:
    """LIKE numbers CHECK constraints anew in the order of their names, so ten or a gap would be renamed."""
    assert findings(a_table(checks=checks(PLAIN, *range(1, 10)))) == {}
    assert set(findings(a_table(checks=checks(PLAIN, *range(1, 11))))) == {"check-numbers"}
    assert set(findings(a_table(checks=checks(PLAIN, 1, 3)))) == {"check-numbers"}


def test_a_check_on_a_very_long_name_cannot_be_copied() -> None:
    """The server derives the constraint's name from the copy's, which must fit into 64 characters."""
    short, long = TableName("shop", "t" * 30), TableName("shop", "t" * 55)
    assert findings(a_table(short, checks=checks(short, 1))) == {}
    assert set(findings(a_table(long, checks=checks(long, 1)))) == {"check-name-length"}
    assert findings(a_table(long)) == {}


def test_a_keyless_table_says_why_its_keys_do_not_serve() -> None:
    """Each unique key is named with what is wrong with it."""
    columns = (a_column("a", nullable=True), a_column("b", "varchar(300)"))
    keys = (a_key("a", name="ua"), Key("ub", (KeyPart("b", prefix=10),), unique=True))
    message = findings(a_table(columns=columns, keys=keys))["no-usable-key"].message
    assert "ua allows NULL in a" in message
    assert "ub holds only a prefix of b" in message


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


# -- time zones -----------------------------------------------------------------------------------

AT = 'we`ird %s "at"'
IN_EXPRESSION = '`we``IRD %s "at"`'


def timed(**changes: Any) -> Table:
    return a_table(columns=(a_column(), a_column(AT, "timestamp(3)"), a_column("note", "varchar(10)")), **changes)


def test_a_timestamp_that_nothing_is_computed_from_is_no_finding() -> None:
    """Texts and other columns that only look like it are none either."""
    near = f"concat(_utf8mb4\\'{AT}\\',`note`,`from_unixtime`,`x{AT}`)"
    columns = (*timed().columns, a_column("g", "int", generated="STORED", expression=near))
    assert findings(replace(timed(), columns=columns)) == {}


@pytest.mark.parametrize("kind", ["STORED", "VIRTUAL"])
@pytest.mark.parametrize(
    ("type", "expression"),
    [("int", f"hour({IN_EXPRESSION})"), ("timestamp", "`note`"), ("datetime", "from_unixtime(`id`)")],
)
def test_columns_that_are_computed_in_a_time_zone_are_refused(kind: str, type: str, expression: str) -> None:
    """By a name in any case, by their own type, or by a function; the finding names the column."""
    columns = (*timed().columns, a_column("g", type, generated=kind, expression=expression))
    finding = findings(replace(timed(), columns=columns))["generated-timestamp"]
    assert finding.blocks
    assert finding.message.endswith(": column g")
    assert "time_zone" in finding.remedy


def test_indexes_and_checks_that_are_computed_in_a_time_zone_are_refused() -> None:
    """Both are named."""
    part = KeyPart(None, expression=f"cast({IN_EXPRESSION} as date)")
    table = timed(
        keys=(a_key(), a_key(part, name="by_day", unique=False)),
        checks=(Check("orders_chk_1", generated_name=True, expression=f"({IN_EXPRESSION} > _utf8mb4\\'2020\\')"),),
    )
    assert findings(table)["generated-timestamp"].message.endswith(": index by_day, check orders_chk_1")


def test_timestamps_need_a_server_that_knows_offsets() -> None:
    """Refused before 8.0.19, where a mirror trigger could not say an instant."""
    old, new = (around(timed(), server=a_server(version=version)) for version in ((8, 0, 18), (8, 0, 19)))
    assert set(findings(timed(), old)) == {"old-timestamp"}
    assert findings(timed(), new) == {}
    assert findings(a_table(), old) == {}


def test_document_ids_of_ones_own_are_refused() -> None:
    """Only together with a FULLTEXT index do their values have to grow."""
    columns = (a_column("id"), a_column("fts_doc_id", "bigint unsigned"), a_column("note", "text"))
    words = a_key("note", name="words", unique=False, type="FULLTEXT")
    for name in NAMES:
        assert findings(a_table(name, columns=columns, keys=(a_key("id"), words)))["document-ids"].blocks
        assert "document-ids" not in findings(a_table(name, columns=columns))
        assert "document-ids" not in findings(a_table(name, keys=(a_key("id"), words)))
