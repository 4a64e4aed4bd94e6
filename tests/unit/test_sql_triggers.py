"""The triggers: what each says, for a plain table and for one with names that are hard to quote."""

from __future__ import annotations

import pytest

from migrator.model import Table, TableName
from migrator.sql.copy import (
    compare_part,
    copy_part,
    drain_delete,
    drain_forget,
    drain_insert,
    lock_for_switch,
    read_log,
)
from migrator.sql.keys import KeyColumn
from migrator.sql.names import log_of, retained_of, shadow_of
from migrator.sql.statement import Sql
from migrator.sql.swap import after_probe, rename, rename_back
from migrator.sql.triggers import EVENTS, back_trigger, drop_trigger, log_trigger, mirror_trigger
from tests.unit.builders import NAMES, NASTY, PLAIN, a_column, a_key, a_table

HEAD = "CREATE DEFINER = CURRENT_USER TRIGGER"
IF_GONE = "BEGIN DECLARE EXIT HANDLER FOR 1146 BEGIN END;"
MARKING = "BEGIN DECLARE EXIT HANDLER FOR SQLEXCEPTION INSERT INTO `shop`.`_orders_log` () VALUES ();"
NASTY_KEY = 'k`y %s "ä"'


TABLE = a_table(
    columns=(
        a_column("a", "int"),
        a_column("b", "varchar(9)", charset="utf8mb4", collation="utf8mb4_0900_ai_ci"),
        a_column("v", "json"),
        a_column("g", "int", generated="STORED"),
    ),
    keys=(a_key("a", "b"),),
)
KEY = tuple(KeyColumn(c, descending=False) for c in TABLE.columns[:2])

ODD = a_table(NASTY, columns=(a_column(NASTY_KEY, "int"), a_column("v%", "int")), keys=(a_key(NASTY_KEY),))
ODD_KEY = (KeyColumn(ODD.columns[0], descending=True),)
ODD_SCHEMA, ODD_NAME = '`we``ird %s "näme"`', 'tä``ble.%s "x"'
ODD_COLUMN = '`k``y %s "ä"`'


def test_log_triggers_append_the_key() -> None:
    """The key of what changed; after an update the new key too, if it is another one for the server."""
    log = log_of(PLAIN)
    assert log_trigger(PLAIN, log, KEY, "INSERT").shown == (
        f"{HEAD} `shop`.`_orders_log_ins` AFTER INSERT ON `shop`.`orders` FOR EACH ROW {IF_GONE}"
        " INSERT INTO `shop`.`_orders_log` (k1, k2) VALUES (NEW.`a`, NEW.`b`); END"
    )
    assert log_trigger(PLAIN, log, KEY, "DELETE").shown == (
        f"{HEAD} `shop`.`_orders_log_del` AFTER DELETE ON `shop`.`orders` FOR EACH ROW {IF_GONE}"
        " INSERT INTO `shop`.`_orders_log` (k1, k2) VALUES (OLD.`a`, OLD.`b`); END"
    )
    assert log_trigger(PLAIN, log, KEY, "UPDATE").shown == (
        f"{HEAD} `shop`.`_orders_log_upd` AFTER UPDATE ON `shop`.`orders` FOR EACH ROW {IF_GONE}"
        " INSERT INTO `shop`.`_orders_log` (k1, k2) VALUES (OLD.`a`, OLD.`b`);"
        " IF NOT (NEW.`a` <=> OLD.`a` AND NEW.`b` <=> OLD.`b`) THEN"
        " INSERT INTO `shop`.`_orders_log` (k1, k2) VALUES (NEW.`a`, NEW.`b`); END IF; END"
    )


def test_log_triggers_of_a_nasty_name() -> None:
    """Backticks doubled, per cent signs single, dots and quotes as they are."""
    assert log_trigger(NASTY, log_of(NASTY), ODD_KEY, "INSERT").shown == (
        f"{HEAD} {ODD_SCHEMA}.`_{ODD_NAME}_log_ins` AFTER INSERT ON {ODD_SCHEMA}.`{ODD_NAME}` FOR EACH ROW {IF_GONE}"
        f" INSERT INTO {ODD_SCHEMA}.`_{ODD_NAME}_log` (k1) VALUES (NEW.{ODD_COLUMN}); END"
    )


def test_mirror_triggers_write_by_key() -> None:
    """UPDATE by key; DELETE and INSERT only when the key changes. Generated columns are not named."""
    shadow, log = shadow_of(PLAIN), log_of(PLAIN)
    assert mirror_trigger(TABLE, shadow, log, KEY, "INSERT").shown.partition(" ROW ")[2] == (
        f"{MARKING} INSERT INTO `shop`.`_orders_shadow` (`a`, `b`, `v`) VALUES (NEW.`a`, NEW.`b`, NEW.`v`); END"
    )
    assert mirror_trigger(TABLE, shadow, log, KEY, "DELETE").shown.partition(" ROW ")[2] == (
        f"{MARKING} DELETE FROM `shop`.`_orders_shadow` WHERE `a` = OLD.`a` AND `b` = OLD.`b`; END"
    )
    assert mirror_trigger(TABLE, shadow, log, KEY, "UPDATE").shown.partition(" ROW ")[2] == (
        f"{MARKING} IF NEW.`a` <=> OLD.`a` AND NEW.`b` <=> OLD.`b` THEN"
        " UPDATE `shop`.`_orders_shadow` SET `a` = NEW.`a`, `b` = NEW.`b`, `v` = NEW.`v`"
        " WHERE `a` = OLD.`a` AND `b` = OLD.`b`;"
        " ELSE DELETE FROM `shop`.`_orders_shadow` WHERE `a` = OLD.`a` AND `b` = OLD.`b`;"
        " INSERT INTO `shop`.`_orders_shadow` (`a`, `b`, `v`) VALUES (NEW.`a`, NEW.`b`, NEW.`v`); END IF; END"
    )


def test_mirror_triggers_of_a_nasty_name() -> None:
    """Every name in them is quoted."""
    assert mirror_trigger(ODD, shadow_of(NASTY), log_of(NASTY), ODD_KEY, "UPDATE").shown == (
        f"{HEAD} {ODD_SCHEMA}.`_{ODD_NAME}_mirror_upd` AFTER UPDATE ON {ODD_SCHEMA}.`{ODD_NAME}` FOR EACH ROW"
        f" BEGIN DECLARE EXIT HANDLER FOR SQLEXCEPTION INSERT INTO {ODD_SCHEMA}.`_{ODD_NAME}_log` () VALUES ();"
        f" IF NEW.{ODD_COLUMN} <=> OLD.{ODD_COLUMN} THEN UPDATE {ODD_SCHEMA}.`_{ODD_NAME}_shadow`"
        f" SET {ODD_COLUMN} = NEW.{ODD_COLUMN}, `v%` = NEW.`v%` WHERE {ODD_COLUMN} = OLD.{ODD_COLUMN};"
        f" ELSE DELETE FROM {ODD_SCHEMA}.`_{ODD_NAME}_shadow` WHERE {ODD_COLUMN} = OLD.{ODD_COLUMN};"
        f" INSERT INTO {ODD_SCHEMA}.`_{ODD_NAME}_shadow` ({ODD_COLUMN}, `v%`)"
        f" VALUES (NEW.{ODD_COLUMN}, NEW.`v%`); END IF; END"
    )


@pytest.mark.parametrize(("name", "quoted"), [("at", "`at`"), (NASTY_KEY, ODD_COLUMN)], ids=["plain", "nasty"])
def test_an_instant_is_mirrored_with_its_offset(name: str, quoted: str) -> None:
    """A TIMESTAMP, wherever it is written, NULL or not; other columns are assigned as they are."""
    table = a_table(
        columns=(
            a_column("id", "int"),
            a_column(name, "timestamp(3)", nullable=True),
            a_column("must", "timestamp"),
            a_column("day", "datetime", nullable=True),
        )
    )
    key = (KeyColumn(table.columns[0], descending=False),)
    instant, must = (
        f"IF(UNIX_TIMESTAMP(NEW.{column}) = 0, '0000-00-00 00:00:00', CONCAT(TIMESTAMP'1970-01-01 00:00:00'"
        f" + INTERVAL UNIX_TIMESTAMP(NEW.{column}) SECOND, '+00:00'))"
        for column in (quoted, "`must`")
    )
    insert = (
        f"INSERT INTO `shop`.`_orders_shadow` (`id`, {quoted}, `must`, `day`)"
        f" VALUES (NEW.`id`, {instant}, {must}, NEW.`day`)"
    )
    update = f"SET `id` = NEW.`id`, {quoted} = {instant}, `must` = {must}, `day` = NEW.`day` WHERE"
    assert mirror_trigger(table, shadow_of(PLAIN), log_of(PLAIN), key, "INSERT").shown.endswith(
        f" ROW {MARKING} {insert}; END"
    )
    moved = mirror_trigger(table, shadow_of(PLAIN), log_of(PLAIN), key, "UPDATE").shown
    assert update in moved
    assert moved.endswith(f"; {insert}; END IF; END")


def test_a_half_made_set_is_harmless() -> None:
    """INSERT comes last: until then the shadow holds only rows that the source holds."""
    assert EVENTS[-1] == "INSERT"
    assert sorted(EVENTS) == ["DELETE", "INSERT", "UPDATE"]


@pytest.mark.parametrize("name", NAMES)
def test_a_trigger_is_dropped_by_its_full_name(name: TableName) -> None:
    """In its schema, and an error if it is not there."""
    schema = name.schema.replace("`", "``")
    assert drop_trigger(name.schema, "_x_log_ins").shown == f"DROP TRIGGER `{schema}`.`_x_log_ins`"


@pytest.mark.parametrize(("subject", "key"), [(TABLE, KEY), (ODD, ODD_KEY)], ids=["plain", "nasty"])
def test_every_statement_has_a_value_for_each_place(subject: Table, key: tuple[KeyColumn, ...]) -> None:
    """The driver can put the arguments into every statement that moves rows, whatever the names are."""
    shadow, log = shadow_of(subject.name), log_of(subject.name)
    part = Sql("`a` > %s", (1,))
    statements = [
        copy_part(subject, shadow, "PRIMARY", key, part, 5),
        drain_delete(shadow, log, "PRIMARY", key, [1, 2]),
        drain_insert(subject, shadow, log, "PRIMARY", key, [1, 2]),
        drain_forget(log, [1, 2]),
        read_log(log, part, after=3, limit=9),
        compare_part(subject, shadow, "PRIMARY", key, part, part, part, by_hash=True),
        compare_part(subject, shadow, "PRIMARY", key, part, part, part, by_hash=False),
        after_probe([subject.name, shadow], Sql(lock_for_switch(subject, shadow, log))),
        after_probe([subject.name, shadow], rename(subject.name, shadow, retained_of(subject.name))),
    ]
    for statement in statements:
        sent = statement.text % tuple("✓" for _ in statement.args)
        assert "%%" not in sent
        assert sent.count("✓") == len(statement.args)


def test_no_statement_hides_a_loss() -> None:
    """Plain INSERT in the copy and in the drain: no IGNORE, no REPLACE, no ON DUPLICATE KEY."""
    part = Sql("TRUE")
    for statement in (
        copy_part(TABLE, shadow_of(PLAIN), "PRIMARY", KEY, part, 5),
        drain_insert(TABLE, shadow_of(PLAIN), log_of(PLAIN), "PRIMARY", KEY, [1]),
    ):
        assert statement.text.startswith("INSERT INTO ")
        assert not {"IGNORE", "REPLACE", "DUPLICATE"} & set(statement.text.split())


def test_values_are_compared_by_their_bytes() -> None:
    """What a collation, JSON or geometry would call equal is compared as bytes; NULL equals NULL only."""
    table = a_table(
        columns=(
            a_column("id", "int"),
            a_column("t", "text", charset="utf8mb4"),
            a_column("l", "text", charset="latin1"),
            a_column("g", "text", charset="gb18030"),
            a_column("e", "enum('a')", charset="utf8mb4"),
            a_column("j", "json"),
            a_column("p", "point"),
            a_column("s", "int", generated="STORED"),
            a_column("x", "int", generated="VIRTUAL"),
        )
    )
    part, key = Sql("TRUE"), (KeyColumn(table.columns[0], descending=False),)
    text = compare_part(table, shadow_of(PLAIN), "PRIMARY", key, part, part, part, by_hash=True).text
    assert "origin.`t` <=> copied.`t` COLLATE utf8mb4_0900_bin AND origin.`l`" in text
    assert "origin.`l` <=> copied.`l` COLLATE latin1_bin AND LENGTH(origin.`l`) <=> LENGTH(copied.`l`)" in text
    older = compare_part(table, shadow_of(PLAIN), "PRIMARY", key, part, part, part, by_hash=False).text
    assert "origin.`t` <=> copied.`t` COLLATE utf8mb4_bin AND LENGTH(origin.`t`) <=> LENGTH(copied.`t`)" in older
    assert "CAST(origin.`g` AS BINARY) <=> CAST(copied.`g` AS BINARY)" in text
    assert "CAST(origin.`e` AS BINARY) <=> CAST(copied.`e` AS BINARY)" in text
    assert "CAST(CAST(origin.`j` AS CHAR) AS BINARY) <=> CAST(CAST(copied.`j` AS CHAR) AS BINARY)" in text
    assert "CAST(origin.`p` AS BINARY) <=> CAST(copied.`p` AS BINARY)" in text
    assert "origin.`s` <=> copied.`s`" in text
    assert "`x`" not in text


@pytest.mark.parametrize("name", NAMES)
def test_the_swap_is_one_statement(name: TableName) -> None:
    """Both names change in it, so nobody ever sees neither."""
    schema, table = name.schema.replace("`", "``"), name.name.replace("`", "``")
    assert rename(name, shadow_of(name), retained_of(name)).shown == (
        f"RENAME TABLE `{schema}`.`{table}` TO `{schema}`.`_{table}_retained`,"
        f" `{schema}`.`_{table}_shadow` TO `{schema}`.`{table}`"
    )


def marking(log: str) -> str:
    """How a back trigger's body begins."""
    return (
        "BEGIN DECLARE EXIT HANDLER FOR SQLEXCEPTION, SQLWARNING"
        f" BEGIN DECLARE EXIT HANDLER FOR 1146 BEGIN END; INSERT INTO {log} () VALUES (); END; "
    )


def test_back_triggers_do_what_mirror_triggers_do_and_mark_what_they_cannot() -> None:
    """The same change by key, in the retained table; whatever goes wrong is a row in the log."""
    retained, log = retained_of(PLAIN), log_of(PLAIN)
    for event in EVENTS:
        mirror = mirror_trigger(TABLE, retained, log, KEY, event).shown.partition(" ROW ")[2]
        change = mirror.removeprefix(MARKING).removesuffix("; END").lstrip()
        back = back_trigger(TABLE, retained, log, KEY, event).shown
        assert back == (
            f"{HEAD} `shop`.`_orders_back_{event[:3].lower()}` AFTER {event} ON `shop`.`orders` FOR EACH ROW"
            f" {marking('`shop`.`_orders_log`')}{change}; END"
        )


def test_back_triggers_of_a_nasty_name() -> None:
    """Quoted in each place."""
    back = back_trigger(ODD, retained_of(NASTY), log_of(NASTY), ODD_KEY, "DELETE").shown
    assert back.partition(" ROW ")[2] == (
        f"{marking(f'{ODD_SCHEMA}.`_{ODD_NAME}_log`')}"
        f"DELETE FROM {ODD_SCHEMA}.`_{ODD_NAME}_retained` WHERE {ODD_COLUMN} = OLD.{ODD_COLUMN}; END"
    )


def test_the_rollback_is_the_swap_the_other_way_round() -> None:
    """One statement with both names."""
    assert rename_back(PLAIN, retained_of(PLAIN), shadow_of(PLAIN)).shown == (
        "RENAME TABLE `shop`.`orders` TO `shop`.`_orders_shadow`, `shop`.`_orders_retained` TO `shop`.`orders`"
    )
