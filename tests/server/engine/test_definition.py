"""After the swap SHOW CREATE TABLE says what it said before, apart from ENCRYPTION='Y'."""

from __future__ import annotations

import re

import pytest

from migrator.events import ChunkCopied
from tests.server.engine.kit import SMALL, WEIRD, At, Lab, ddl, each, name, phase
from tests.server.engine.test_rows import BY_NUMBER, NUMBERS

SOME = f"({NUMBERS.format(700)}) AS many"

INDEXES = """(
  id INT UNSIGNED NOT NULL AUTO_INCREMENT, a INT NOT NULL, b VARCHAR(60) NOT NULL, c TEXT, g GEOMETRY NOT NULL SRID 0, d INT,
  KEY z_first (a), KEY desc_ (a DESC, b), FULLTEXT KEY words (c), KEY prefix_ (b(5), a), UNIQUE KEY y_unique (d, id),
  SPATIAL KEY place (g), KEY unseen (d) INVISIBLE, KEY functional ((a * 2), (LOWER(b))), UNIQUE KEY x_not_null (b, id),
  PRIMARY KEY (id), KEY a_last (d) COMMENT 'it''s "50 %" `x`, (y', FULLTEXT KEY more (b, c) WITH PARSER ngram,
  UNIQUE KEY w_prefix (b(10), id), KEY `k``%s "n"` (a, d) USING BTREE
) COMMENT='one ''quoted'' and a \\\\ and ENCRYPTION=''N'' AUTO_INCREMENT=5 %s' """

COLUMNS = """(
  id BIGINT NOT NULL, hidden INT INVISIBLE DEFAULT 7, v VARCHAR(60) CHARACTER SET latin1 NOT NULL DEFAULT 'a''b,(c' COMMENT 'x, KEY `y` (`z`)',
  kept INT GENERATED ALWAYS AS (id + 1) STORED COMMENT 'kept', computed VARCHAR(80) GENERATED ALWAYS AS (CONCAT(v, '%s`')) VIRTUAL INVISIBLE,
  j JSON DEFAULT (JSON_OBJECT('a', 1)), e ENUM('a,b','c)','it''s') NOT NULL DEFAULT 'a,b', u BINARY(16) DEFAULT (UUID_TO_BIN(UUID())),
  at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3), b BIT(9) DEFAULT b'101', d DECIMAL(10,3) UNSIGNED ZEROFILL,
  PRIMARY KEY (id), KEY (kept), KEY (computed), UNIQUE KEY (v, id)
) ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8 STATS_PERSISTENT=1 STATS_AUTO_RECALC=0 STATS_SAMPLE_PAGES=33 COLLATE utf8mb4_general_ci"""

PARTITIONS = """(
  id INT NOT NULL, at DATE NOT NULL, v VARCHAR(60), PRIMARY KEY (id, at), KEY at (at)
) ROW_FORMAT=DYNAMIC PARTITION BY RANGE COLUMNS (at) SUBPARTITION BY HASH (id) SUBPARTITIONS 2 (
  PARTITION `p``1 %s` VALUES LESS THAN ('2020-01-01') COMMENT = 'it''s, (old)', PARTITION p2 VALUES LESS THAN ('2021-01-01'),
  PARTITION rest VALUES LESS THAN (MAXVALUE))"""

CHECKS = """(
  id INT PRIMARY KEY, v INT CHECK (v > 0), w INT, CHECK (w < v * 1000), CHECK (v <> 13) NOT ENFORCED
) AVG_ROW_LENGTH=77 MAX_ROWS=99999 MIN_ROWS=3 PACK_KEYS=1 CHECKSUM=1 DELAY_KEY_WRITE=1"""

COMPUTED = """(
  id INT PRIMARY KEY, a INT, j JSON, v INT AS (a + 1) VIRTUAL, UNIQUE KEY u ((a * 3), id),
  KEY first_ ((a * 2)), KEY second_ (v), KEY third_ ((a * 4)), KEY fourth_ (v, a), KEY plain (a)
)"""

PLAIN = COMPUTED.replace("UNIQUE KEY", "KEY")
MANY = PLAIN.replace("KEY second_ (v)", "KEY second_ ((CAST(j AS UNSIGNED ARRAY)))")

CASES = {
    "computed": (COMPUTED, "(id, a, j) SELECT n, n, JSON_ARRAY(n, n + 1)"),
    "computed, none unique": (PLAIN, "(id, a, j) SELECT n, n, JSON_ARRAY(n, n + 1)"),
    "computed, multi-valued": (MANY, "(id, a, j) SELECT n, n, JSON_ARRAY(n, n + 1)"),
    "computed, partitions": (
        PLAIN + " PARTITION BY KEY (id) PARTITIONS 2",
        "(id, a, j) SELECT n, n, JSON_ARRAY(n, n + 1)",
    ),
    "indexes": (INDEXES, "(a, b, c, g, d) SELECT n % 50, CONCAT('word', n), CONCAT('some words ', n), POINT(n, n), n"),
    "columns": (COLUMNS, "(id, v, d) SELECT n * 1000, CONCAT('v', n), n / 7"),
    "partitions": (PARTITIONS, "SELECT n, '2019-06-01' + INTERVAL n DAY, 'x'"),
    "checks": (CHECKS, "SELECT n, n, n + 1"),
}


def comparable(create: str) -> str:
    """SHOW CREATE TABLE without what may differ."""
    head, _, options = create.rpartition("\n)")
    options = re.sub(r" AUTO_INCREMENT=\d+", "", options, count=1)
    return head + re.sub(r" (/\*!80016 )?ENCRYPTION='Y'( \*/)?", "", options, count=1)


@pytest.mark.parametrize(("table", "case"), [*(("t", case) for case in CASES), (WEIRD, "indexes"), (WEIRD, "checks")])
def test_the_definition_stays(lab: Lab, case: str, table: str) -> None:
    """Indexes in their order, columns, comments, partitions, checks and options come out as they were."""
    definition, rows = CASES[case]
    lab.run(f"CREATE TABLE {name(table)} {definition}")
    lab.fill(table, f"INSERT IGNORE INTO {name(table)} {rows} FROM {SOME}")
    before = lab.show_create(table)
    ran = lab.apply(table)
    ran.assert_outcome("done")
    after = lab.show_create(table)
    assert "ENCRYPTION='Y'" in after
    assert comparable(after) == comparable(before)
    lab.assert_done(table)


def test_histograms_are_lost_and_the_plan_says_so(lab: Lab) -> None:
    """The server keeps no histogram for an encrypted table: a reviewer reads that in the plan, and the step still succeeds."""
    lab.table("t", "(id INT PRIMARY KEY, a INT, b INT)", f"SELECT n, n % 20, n FROM {SOME}")
    lab.run("ANALYZE TABLE t UPDATE HISTOGRAM ON a, b WITH 8 BUCKETS")
    plan = lab.plan("t")
    assert any("histogram" in finding.message for finding in plan.steps[0].findings)
    lab.apply(plan=plan).assert_outcome("done")
    lab.assert_done("t")


def test_statistics_are_of_the_whole_table(lab: Lab) -> None:
    """The first query after the swap is planned on statistics of the copied rows, not of an empty table."""
    lab.table("t", "(id INT PRIMARY KEY, a INT, KEY (a))", f"SELECT n, n % 20 FROM {SOME}")
    lab.apply("t").assert_outcome("done")
    stats = "SELECT n_rows FROM mysql.innodb_table_stats WHERE database_name = %s AND table_name = 't'"
    assert lab.value(stats, lab.schema) > 600
    cardinality = "SELECT CARDINALITY FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = %s AND INDEX_NAME = 'a' AND TABLE_NAME = 't'"
    assert 10 <= lab.value(cardinality, lab.schema) <= 40


@pytest.mark.parametrize(
    ("table", "comment"), [("t", ""), (WEIRD, "COMMENT ') ENGINE=InnoDB AUTO_INCREMENT=7 x'")], ids=["plain", "weird"]
)
def test_auto_increment_goes_on(lab: Lab, table: str, comment: str) -> None:
    """Numbers of rows that were deleted, also rolled back ones and those taken while mirrored, never come back."""
    lab.table(
        table, f"(id INT NOT NULL AUTO_INCREMENT PRIMARY KEY {comment}, v VARCHAR(60))", f"SELECT n, 'x' FROM {SOME}"
    )
    lab.run(f"DELETE FROM {name(table)} WHERE id > 600", f"DELETE FROM {lab.in_ledger(table)} WHERE id > 600")
    last = [700]

    def take_and_delete() -> None:
        with lab.application(table) as app:
            app.query("INSERT INTO {t} (v) VALUES ('rolled back')")
            app.connection.rollback()
            app.query("INSERT INTO {t} (v) VALUES ('deleted')")
            last.append(int(app.query("SELECT LAST_INSERT_ID()")[0][0]))
            app.query("DELETE FROM {t} WHERE v = 'deleted'")
            app.connection.commit()

    moments = [phase("copy"), phase("mirror"), phase("mirror", ended=True), phase("swap"), phase("clean")]
    ran = lab.apply(table, at=[At(when, take_and_delete) for when in moments])
    ran.assert_outcome("done")
    take_and_delete()
    assert last == sorted(set(last)), "a number came back"
    assert len(last) == 7
    lab.assert_done(table)


def test_a_table_that_was_empty_keeps_its_counter(lab: Lab) -> None:
    """A table whose rows are all deleted goes on counting where it was."""
    lab.table("t", "(id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, v INT)", f"SELECT n, n FROM {SOME}")
    lab.run("DELETE FROM t", f"DELETE FROM {lab.in_ledger('t')}")
    lab.apply("t").assert_outcome("done")
    lab.run("INSERT INTO t (v) VALUES (1)")
    assert lab.value("SELECT id FROM t") == 701


def test_a_comment_sets_no_counter(lab: Lab) -> None:
    """AUTO_INCREMENT in the comment of a table that never had a row is only a word."""
    lab.table(
        "t", "(id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, v INT) COMMENT='was AUTO_INCREMENT=5000000 before'", ""
    )
    lab.apply("t").assert_outcome("done")
    lab.run("INSERT INTO t (v) VALUES (1)")
    assert lab.value("SELECT id FROM t") == 1


def test_a_primary_key_that_the_server_made_and_hides_keeps_its_values(lab: Lab) -> None:
    """Rows keep their `my_row_id`, also where the server shows nobody that there is such a column."""
    lab.run(
        "SET sql_generate_invisible_primary_key = ON",
        "CREATE TABLE t (u INT NOT NULL, v VARCHAR(60))",
        "ALTER TABLE t ADD UNIQUE KEY u (u)",
    )
    lab.fill("t", f"INSERT INTO t (u, v) SELECT n * 7 % 701, 'x' FROM {SOME}")
    lab.run("DELETE FROM t WHERE u % 3 = 0", f"DELETE FROM {lab.in_ledger('t')} WHERE u % 3 = 0")
    lab.run("SET GLOBAL show_gipk_in_create_table_and_information_schema = OFF")
    try:
        with lab.application("t") as app:

            def change() -> None:
                app.write("UPDATE {t} SET u = u + 1000 ORDER BY u LIMIT 3", "DELETE FROM {t} ORDER BY u LIMIT 1")

            ran = lab.apply("t", at=[At(each(ChunkCopied), change, 2), At(phase("verify"), change)])
    finally:
        lab.run("SET GLOBAL show_gipk_in_create_table_and_information_schema = ON")
    ran.assert_outcome("done")
    assert [column for column, _, _ in lab.columns("t")] == ["my_row_id", "u", "v"]
    lab.assert_done("t")


@pytest.mark.parametrize("wanted", [4 * 2**30, 3 * 2**20])
def test_the_index_build_takes_no_more_memory_than_the_server_has(lab: Lab, wanted: int) -> None:
    """Whatever the plan says, an eighth of the buffer pool at most; less if the plan says so."""
    lab.table("t", *BY_NUMBER)
    seen: list[int] = []

    def look() -> None:
        values = lab.rows(
            "SELECT VARIABLE_VALUE FROM performance_schema.variables_by_thread"
            " WHERE VARIABLE_NAME = 'innodb_ddl_buffer_size' AND VARIABLE_VALUE <> @@GLOBAL.innodb_ddl_buffer_size"
        )
        seen.extend(int(value) for (value,) in values)

    defaults = SMALL.model_copy(update={"index_build_memory_bytes": wanted})
    lab.apply("t", defaults=defaults, at=[At(ddl("ADD UNIQUE KEY"), look)]).assert_outcome("done")
    assert seen == [min(wanted, int(lab.value("SELECT @@innodb_buffer_pool_size")) // 8)]
