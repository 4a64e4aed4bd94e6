"""Converting tables of other engines: when it is chosen, what is said, which definitions count as the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from migrator.model import Check, ForeignKey, Method, Table, TableName
from migrator.planner.around import Around
from migrator.planner.methods import Choice, choose
from migrator.planner.plan import Policy
from migrator.sql.convert import convert_table, digest, merged_tables, same_but_the_engine
from migrator.sql.names import qualified
from tests.unit.builders import NAMES, NASTY, PLAIN, a_column, a_key, a_server, a_table, a_trigger

CONVERT = Policy(convert=True)


def a_foreign_table(name: TableName = PLAIN, engine: str = "MyISAM", **changes: Any) -> Table:
    """A MyISAM table."""
    return replace(a_table(name, engine=engine, segments=()), **changes)


def chosen(table: Table, policy: Policy = CONVERT, **variables: str) -> Choice:
    """What is done with it."""
    server = a_server(variables=variables)
    return choose(table, server, policy, Around(server=server))


@pytest.mark.parametrize("engine", ["MyISAM", "CSV", "ARCHIVE"])
def test_it_is_chosen_where_the_policy_asks(engine: str) -> None:
    """And nowhere else."""
    for name in NAMES:
        assert chosen(a_foreign_table(name, engine)).method is Method.CONVERT
        assert chosen(a_foreign_table(name, engine), Policy()).method is Method.REFUSE


@pytest.mark.parametrize("engine", ["ndbcluster", "ROCKSDB", "EXAMPLE", ""])
def test_other_engines_stay_refused(engine: str) -> None:
    """What nobody has looked at is not converted."""
    assert chosen(a_foreign_table(engine=engine)).method is Method.REFUSE


def test_engines_without_rows_stay_skipped() -> None:
    """There is nothing to encrypt in them."""
    assert chosen(a_foreign_table(engine="MEMORY")).method is Method.SKIP


def test_innodb_tables_are_copied_as_ever() -> None:
    """The policy is about other engines only."""
    assert chosen(a_table()).method is Method.SHADOW_COPY


REFUSED: dict[str, dict[str, Any]] = {
    "merged": {"merged_by": (NASTY,)},
    "early-foreign-key": {"referenced_by": (ForeignKey("k", NASTY, PLAIN, "RESTRICT", "RESTRICT"),)},
    "auto-increment-inside": {
        "columns": (a_column("a", "int"), a_column("id", "int", auto_increment=True)),
        "keys": (a_key("a", "id"),),
    },
    "generated-timestamp": {
        "columns": (a_column("at", "timestamp"), a_column("d", "date", generated="STORED", expression="`at`"))
    },
    "unreadable": {"columns": (), "keys": ()},
}  # fmt: skip


@pytest.mark.parametrize("code", REFUSED)
def test_what_would_not_be_the_same_is_refused(code: str) -> None:
    """With the reason and a remedy."""
    choice = chosen(a_foreign_table(**REFUSED[code]))
    assert choice.method is Method.REFUSE
    (finding,) = [f for f in choice.findings if f.blocks]
    assert finding.code == code
    assert finding.remedy


def test_a_key_of_text_beside_a_spatial_index_is_refused() -> None:
    """As InnoDB it could end the server in a ROLLBACK; the remedy is not the statement that encrypts InnoDB tables."""
    columns = (a_column("code", "varchar(9)", charset="utf8mb4", collation="utf8mb4_bin"), a_column("place", "point"))
    place = a_key("place", name="place", unique=False, type="SPATIAL")
    for name in NAMES:
        choice = chosen(a_foreign_table(name, columns=columns, keys=(a_key("code"), place)))
        assert choice.method is Method.REFUSE
        (found,) = (f for f in choice.findings if f.code == "spatial-key")
        assert found.blocks
        assert "ENCRYPTION" not in found.remedy
        assert chosen(a_foreign_table(name, columns=columns, keys=(a_key("code"),))).method is Method.CONVERT


def test_what_changes_is_told() -> None:
    """Full-text words, dropped options, no key, growth: findings that stop nothing."""
    table = a_foreign_table(
        engine="ARCHIVE",
        keys=(a_key("note", name="words", unique=False, type="FULLTEXT"),),
        columns=(a_column("note", "text"),),
        create_options="row_format=FIXED KEY_BLOCK_SIZE=1024 pack_keys=1",
    )  # fmt: skip
    choice = chosen(table, ft_min_word_len="4", innodb_ft_min_token_size="3")
    assert choice.method is Method.CONVERT
    told = {f.code: f.message for f in choice.findings}
    assert set(told) == {"fulltext-words", "options-dropped", "converted-without-key", "grows"}
    assert "words of 3 letters count instead of 4" in told["fulltext-words"]
    assert told["options-dropped"].endswith("row_format=FIXED, KEY_BLOCK_SIZE=1024")


def test_own_triggers_and_checks_stand_in_nobodys_way() -> None:
    """An ALTER keeps them, unlike a copy."""
    choice = chosen(a_foreign_table(triggers=(a_trigger(),), checks=(Check("named", generated_name=False),)))
    assert choice.method is Method.CONVERT


@pytest.mark.parametrize("name", NAMES)
def test_the_statement_drops_what_it_must(name: TableName) -> None:
    """Options that mean something else to InnoDB are said away."""
    plain = f"ALTER TABLE {qualified(name)} ENGINE = InnoDB, ENCRYPTION = 'Y'"
    assert convert_table(a_foreign_table(name)).text == plain
    fixed = convert_table(a_foreign_table(name, create_options="row_format=FIXED KEY_BLOCK_SIZE=8"))
    assert fixed.text == plain.replace("InnoDB,", "InnoDB, ROW_FORMAT = DEFAULT, KEY_BLOCK_SIZE = 0,")


@pytest.mark.parametrize("name", NAMES)
def test_the_digest_reads_every_column_that_is_stored(name: TableName) -> None:
    """Each by itself, NULL apart; what is generated is not copied, so not read."""
    columns = (a_column("f", "float"), a_column("v", "varchar(9)"), a_column("g", "int", generated="VIRTUAL"))
    text = digest(a_foreign_table(name, columns=columns)).text
    assert f"SHA2(CAST({qualified(name)}.`f` AS DOUBLE), 256)" in text
    assert f"SHA2(CAST({qualified(name)}.`v` AS BINARY), 256)" in text
    assert "`g`" not in text


BEFORE = (
    "CREATE TABLE `t` (\n  `id` int NOT NULL COMMENT 'KEY_BLOCK_SIZE=8 ENGINE=MyISAM',\n  "
    "PRIMARY KEY (`id`) KEY_BLOCK_SIZE=1024\n"
    ") ENGINE=MyISAM AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb4 CHECKSUM=1"
    " ROW_FORMAT=FIXED KEY_BLOCK_SIZE=8 COMMENT='ENGINE=MyISAM'"
)  # fmt: skip
AFTER = (
    "CREATE TABLE `t` (\n  `id` int NOT NULL COMMENT 'KEY_BLOCK_SIZE=8 ENGINE=MyISAM',\n  PRIMARY KEY (`id`)\n"
    ") ENGINE=InnoDB AUTO_INCREMENT=9 DEFAULT CHARSET=utf8mb4 CHECKSUM=1"
    " /*!80016 ENCRYPTION='Y' */ COMMENT='ENGINE=MyISAM'"
)  # fmt: skip


def test_definitions_that_differ_only_by_the_engine_are_the_same() -> None:
    """Engine, encryption, counter and the dropped options may differ, and nothing else."""
    assert same_but_the_engine(BEFORE, AFTER, "t")
    for other in ("CHECKSUM=0", "COMMENT='ENGINE=InnoDB'", "ROW_FORMAT=COMPACT"):
        word = other.partition("=")[0]
        changed = AFTER.replace("CHECKSUM=1", other) if word != "COMMENT" else AFTER.replace("'ENGINE=MyISAM'", "'x'")
        assert not same_but_the_engine(BEFORE, changed, "t"), other
    assert not same_but_the_engine(BEFORE, AFTER.replace("(`id`)", "(`id`(5))"), "t")


def test_the_tables_of_a_merge_table_are_read() -> None:
    """With and without a schema, with odd names; what a comment says does not count."""
    create = "CREATE TABLE `m` (\n  `id` int COMMENT 'UNION=(`no`)'\n"
    create += ") ENGINE=MRG_MyISAM DEFAULT CHARSET=utf8mb4 UNION=(`a`,`o``s`.`b,)`)"
    assert merged_tables(create, "here") == (TableName("here", "a"), TableName("o`s", "b,)"))
    assert merged_tables("CREATE TABLE `m` (\n  `id` int\n) ENGINE=MRG_MyISAM", "here") == ()
