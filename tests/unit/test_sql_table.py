"""Definitions are cut where their grammar cuts, compared without what may differ, and indexes wait in their order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.model import Key, KeyPart, Table, TableName, TablespaceKind
from migrator.sql.keys import KeyColumn
from migrator.sql.names import quote, shadow_of
from migrator.sql.table import (
    add_indexes,
    auto_increment,
    comparable,
    create_log,
    deferred_indexes,
    encrypt_shadow,
    parse_definition,
    set_auto_increment,
    stored_columns,
)
from tests.unit.builders import NAMES, NASTY, PLAIN, a_column, a_key, a_table

# -- cutting ------------------------------------------------------------------------------------------

words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    (
        "(",
        ")",
        ",",
        "`",
        "'",
        '"',
        "\\",
        "\\'",
        "),\n  `x`",
        "\n) ENGINE=MyISAM",
        "KEY `k` (`a`)",
        "AUTO_INCREMENT=5",
        "''",
    )
)


def name_of(text: str) -> str:
    """A name as SHOW CREATE TABLE spells it."""
    return "`" + text.replace("`", "``") + "`"


def string_of(text: str) -> str:
    """A string as SHOW CREATE TABLE spells it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n") + "'"


named = words.filter(bool)
columns = st.builds(
    lambda n, d, c: f"{name_of(n)} varchar(10) DEFAULT {string_of(d)} COMMENT {string_of(c)}", named, words, words
)
enums = st.builds(
    lambda n, members: f"{name_of(n)} enum({','.join(map(string_of, members))}) NOT NULL",
    named,
    st.lists(words, min_size=1, max_size=3),
)
indexes = st.builds(
    lambda kind, n, c, t: f"{kind}KEY {name_of(n)} ({name_of(c)},((`a` * (1 + 2)))) COMMENT {string_of(t)}",
    st.sampled_from(("", "UNIQUE ", "FULLTEXT ", "SPATIAL ")),
    named,
    named,
    words,
)
checks = st.builds(lambda n, t: f"CONSTRAINT {name_of(n)} CHECK ((`a` <> _utf8mb4{string_of(t)}))", named, words)


@given(named, st.lists(columns | enums | indexes | checks, min_size=1, max_size=6), words)
def test_a_definition_is_cut_into_its_items(table: str, items: list[str], comment: str) -> None:
    """Whatever stands in names, defaults, comments and expressions, the items come out whole and in order."""
    options = f"ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT={string_of(comment)}"
    body = ",\n  ".join(items)
    found = parse_definition(f"CREATE TABLE {name_of(table)} (\n  {body}\n) {options}")
    assert list(found.items) == items
    assert found.options == options


@given(st.lists(st.tuples(named, words), min_size=1, max_size=5, unique_by=lambda pair: pair[0]))
def test_indexes_are_found_by_name_in_order(pairs: list[tuple[str, str]]) -> None:
    """Index names come out as they are, in the order of the definition, with their own text."""
    items = [f"KEY {name_of(n)} (`a`) COMMENT {string_of(c)}" for n, c in pairs]
    create = "CREATE TABLE `t` (\n  `a` int,\n  PRIMARY KEY (`a`),\n  " + ",\n  ".join(items) + "\n) ENGINE=InnoDB"
    found = parse_definition(create).indexes
    assert list(found) == ["PRIMARY", *(n for n, _ in pairs)]
    assert list(found.values())[1:] == items


def test_a_column_that_is_called_key_is_no_index() -> None:
    """Only what begins as an index does is one."""
    create = "CREATE TABLE `t` (\n  `KEY `` x` int COMMENT 'KEY `no` (`a`)',\n  UNIQUE KEY `yes` (`a`)\n) ENGINE=InnoDB"
    assert list(parse_definition(create).indexes) == ["yes"]


# -- comparing ----------------------------------------------------------------------------------------


def definition(table: str, *, options: str = "", item: str = "") -> str:
    """A definition with a CHECK whose name the server made."""
    check = name_of(f"{table}_chk_1")
    items = f"  `a` int,\n  CONSTRAINT {check} CHECK ((`a` > 0))" + (f",\n  {item}" if item else "")
    return f"CREATE TABLE {name_of(table)} (\n{items}\n) {options}ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"


@pytest.mark.parametrize("source", NAMES)
@pytest.mark.parametrize(
    "changes",
    [
        " ENCRYPTION='Y'",
        " /*!80016 ENCRYPTION='Y' */",
        " AUTO_INCREMENT=77",
        " AUTO_INCREMENT=77 ENCRYPTION='N'",
        "",
    ],
)
def test_what_may_differ_is_left_out(source: TableName, changes: str) -> None:
    """The shadow of a table is comparable to it: name, generated CHECK names, counter, encryption, tablespace aside."""
    shadow = shadow_of(source).name
    place = "/*!50100 TABLESPACE `innodb_file_per_table` */ "
    assert comparable(definition(shadow, options=place) + changes, shadow) == comparable(
        definition(source.name), source.name
    )


@pytest.mark.parametrize(
    "other",
    [
        definition("t") + " ROW_FORMAT=COMPRESSED",
        definition("t") + " COMMENT='AUTO_INCREMENT=5'",
        definition("t", item="`b` int"),
        definition("t", item="KEY `a` (`a`)"),
        definition("t").replace("`a` > 0", "`a` > 1"),
        definition("t").replace("t_chk_1", "t_chk_2"),
        definition("t").replace("t_chk_1", "other_chk_1"),
    ],
)
def test_what_may_not_differ_differs(other: str) -> None:
    """Options, columns, indexes, and expressions and numbers of CHECKs count."""
    assert comparable(other, "t") != comparable(definition("t"), "t")


@pytest.mark.parametrize(
    ("one", "another"),
    [
        ("COMMENT='a AUTO_INCREMENT=5 b'", "COMMENT='a AUTO_INCREMENT=6 b'"),
        ("COMMENT='x ENCRYPTION=''Y'''", "COMMENT='x ENCRYPTION=''N'''"),
        ("COMMENT='/*!50100 TABLESPACE `a` */ '", "COMMENT='/*!50100 TABLESPACE `b` */ '"),
        (
            "/*!50100 PARTITION BY HASH (`a`) (PARTITION p COMMENT = 'ENCRYPTION=''Y''') */",
            "/*!50100 PARTITION BY HASH (`a`) (PARTITION p COMMENT = 'ENCRYPTION=''N''') */",
        ),
    ],
)
def test_words_in_comments_are_only_words(one: str, another: str) -> None:
    """What looks like an option inside of a comment is compared like any other text."""
    assert comparable(f"{definition('t')} {one}", "t") != comparable(f"{definition('t')} {another}", "t")


def test_the_order_of_items_counts() -> None:
    """Columns and indexes in another order are another definition."""
    one = "CREATE TABLE `t` (\n  `a` int,\n  `b` int\n) ENGINE=InnoDB"
    other = "CREATE TABLE `t` (\n  `b` int,\n  `a` int\n) ENGINE=InnoDB"
    assert comparable(one, "t") != comparable(other, "t")


# -- which indexes wait -------------------------------------------------------------------------------


def with_keys(*keys: Key, name: TableName = PLAIN) -> tuple[Table, str]:
    """A table with these keys, listed by name as the catalog does, and its definition, where they keep their order."""
    items = [
        f"{'UNIQUE ' if k.unique and k.name != 'PRIMARY' else ''}{'FULLTEXT ' if k.type == 'FULLTEXT' else ''}"
        + ("PRIMARY KEY" if k.name == "PRIMARY" else f"KEY {name_of(k.name)}")
        + " (`c`)"
        for k in keys
    ]
    named_columns = (a_column("id", auto_increment=True), a_column("a", "int"), a_column("b", "int", nullable=True))
    table = a_table(name, columns=named_columns, keys=tuple(sorted(keys, key=lambda k: k.name)))
    return table, "CREATE TABLE `t` (\n  " + ",\n  ".join(["`id` int", *items]) + "\n) ENGINE=InnoDB"


def plain(name: str, column: str = "a", **changes: object) -> Key:
    """A secondary index."""
    return Key(name, (KeyPart(column),), unique=False, **changes)  # type: ignore[arg-type]


def unique(name: str, column: str = "a") -> Key:
    """A unique one."""
    return Key(name, (KeyPart(column),), unique=True)


@pytest.mark.parametrize(("first", "second"), [("z", "a"), ('z`%s "', "ä`%d")])
def test_all_secondary_indexes_wait_in_the_order_of_the_definition(first: str, second: str) -> None:
    """Their order is that of SHOW CREATE TABLE and not of the alphabet."""
    table, create = with_keys(a_key("id"), unique("u"), plain(first), plain(second))
    assert deferred_indexes(table, "PRIMARY", create) == ("u", first, second)


def test_the_key_that_is_copied_by_is_there_from_the_start() -> None:
    """And so is one of its group that stands before it: indexes that are added come last in their group."""
    table, create = with_keys(unique("before"), unique("copied"), unique("after"), plain("other"))
    columns = tuple(a_column(c.name, c.type) for c in table.columns)
    table = a_table(columns=columns, keys=table.keys)
    assert deferred_indexes(table, "copied", create) == ("after", "other")


def test_an_index_that_auto_increment_needs_stays() -> None:
    """Without PRIMARY KEY (id) another index has to begin with the AUTO_INCREMENT column (1075)."""
    table, create = with_keys(a_key("a"), plain("before"), plain("by_id", "id"), plain("after"))
    assert deferred_indexes(table, "PRIMARY", create) == ("after",)


def test_fulltext_and_spatial_stay() -> None:
    """Their online builds have limits of their own; FULLTEXT is listed behind all others, so they can wait."""
    table, create = with_keys(
        a_key("id"), plain("a"), plain("place", type="SPATIAL"), plain("b"), plain("words", type="FULLTEXT")
    )
    assert deferred_indexes(table, "PRIMARY", create) == ("b",)


def test_nothing_waits_where_there_is_only_a_primary_key() -> None:
    """No secondary index, no second statement."""
    table, create = with_keys(a_key("id"))
    assert deferred_indexes(table, "PRIMARY", create) == ()


# -- statements ---------------------------------------------------------------------------------------


def test_the_shadow_leaves_a_shared_tablespace() -> None:
    """LIKE keeps the source's tablespace, where an encrypted table cannot be; a file of its own stays as it is."""
    shadow = shadow_of(PLAIN)
    assert encrypt_shadow(shadow, kind=TablespaceKind.SYSTEM, drop_indexes=["a"]).text == (
        "ALTER TABLE `shop`.`_orders_shadow` DROP INDEX `a`, TABLESPACE = innodb_file_per_table, ENCRYPTION = 'Y'"
    )
    assert "TABLESPACE" not in encrypt_shadow(shadow, kind=TablespaceKind.FILE_PER_TABLE, drop_indexes=[]).text


def test_index_definitions_are_added_verbatim() -> None:
    """What SHOW CREATE TABLE said reaches the server unchanged, per cent signs too."""
    said = "KEY `k%s` (`a`) COMMENT '50 %% `x` %d'"
    made = add_indexes(shadow_of(NASTY), [said])
    assert f"ADD {said}" in made.text % ()
    assert made.args == ()


def test_the_log_has_the_keys_exact_types() -> None:
    """Type, character set and collation of each key column, and encryption whatever the schema's default is."""
    key = (
        KeyColumn(a_column("a", "enum('x','%s')", charset="latin1", collation="latin1_bin"), descending=True),
        KeyColumn(a_column("b", "bigint unsigned"), descending=False),
    )
    text = create_log(TableName("s", "l"), key).text
    assert "k1 enum('x','%%s') CHARACTER SET latin1 COLLATE latin1_bin NULL, k2 bigint unsigned NULL" in text
    assert text.endswith("ENGINE = InnoDB TABLESPACE = innodb_file_per_table ENCRYPTION = 'Y'")


def test_generated_columns_are_not_copied_and_invisible_ones_are() -> None:
    """The server computes the former itself; the latter need to be named."""
    table = a_table(
        columns=(
            a_column("a", "int"),
            a_column("kept", "int", generated="STORED"),
            a_column("computed", "int", generated="VIRTUAL"),
            a_column("hidden", "int", invisible=True),
        )
    )
    assert [c.name for c in stored_columns(table)] == ["a", "hidden"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "comment", ["was AUTO_INCREMENT=5 before", "it''s \\\\'' AUTO_INCREMENT=5", ") AUTO_INCREMENT=5"]
)
def test_the_counter_is_an_option_and_no_comment(name: TableName, comment: str) -> None:
    """It is found outside of quotes only, in the options of the table."""
    head = f"CREATE TABLE {quote(name.name)} (\n  `id` int NOT NULL AUTO_INCREMENT COMMENT 'AUTO_INCREMENT=3'\n)"
    assert auto_increment(f"{head} ENGINE=InnoDB COMMENT='{comment}'") is None
    assert auto_increment(f"{head} ENGINE=InnoDB AUTO_INCREMENT=701 COMMENT='{comment}'") == 701


def test_the_counter_is_set() -> None:
    """Metadata only."""
    assert set_auto_increment(shadow_of(PLAIN), 7).text == "ALTER TABLE `shop`.`_orders_shadow` AUTO_INCREMENT = 7"
