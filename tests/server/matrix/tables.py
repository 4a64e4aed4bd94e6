"""Rows of the matrix about where a table lies, how it is cut, indexed, computed, referred to, named and filled."""

from __future__ import annotations

from typing import Final

from tests.server.matrix.feature import MANY, Feature, numbers

ID: Final = "id INT PRIMARY KEY, n INT"
FILL: Final = f"(id, n) SELECT n, n FROM {MANY}"
WITH_V: Final = f"(id, n, v) SELECT n, n, CONCAT('word ', n) FROM {MANY}"


def _in(group: str, *rows: tuple[str, str] | tuple[str, str, str]) -> tuple[Feature, ...]:
    """Features of one group: name, definition after the columns `id` and `n` (with `)` and options), rows."""
    return tuple(
        Feature(group, name, f"({ID}{rest}", more[0] if more else FILL) for name, rest, *more in rows
    )  # fmt: skip


NOT_TABLES: Final = (
    Feature("Not tables of the application", "view", "CREATE VIEW {t} AS SELECT 1 AS id, 2 AS n", changes=(), alone=True),
    Feature("Not tables of the application", "temporary table", "CREATE TEMPORARY TABLE {t} (id INT PRIMARY KEY, n INT)", FILL, alone=True),
    Feature("Not tables of the application", "system schemas: `mysql`, with `general_log` and `slow_log` (CSV); `sys`", "", changes=(), table="general_log", alone=True),
)  # fmt: skip

PLACES: Final = (
    *_in(
        "Places and partitions",
        ("file of its own", ")"),
        ("general tablespace", ") TABLESPACE `{s}_ts`"),
        ("`ibdata1`", ") TABLESPACE innodb_system"),
        ("partitioned by RANGE", ") PARTITION BY RANGE (id) (PARTITION p1 VALUES LESS THAN (10), PARTITION `p``2 %` VALUES LESS THAN (MAXVALUE) COMMENT 'it''s')"),
        ("partitioned by LIST", ") PARTITION BY LIST (id % 3) (PARTITION p0 VALUES IN (0), PARTITION p12 VALUES IN (1, 2))"),
        ("partitioned by HASH", ") PARTITION BY LINEAR HASH (id) PARTITIONS 3"),
        ("partitioned by KEY", ") PARTITION BY KEY (id) PARTITIONS 3"),
        ("subpartitioned", ") PARTITION BY RANGE (id) SUBPARTITION BY HASH (id) SUBPARTITIONS 2 (PARTITION p1 VALUES LESS THAN (10), PARTITION p2 VALUES LESS THAN (MAXVALUE))"),
    ),
    Feature(
        "Places and partitions", "partitions partly encrypted",
        f"({ID}) PARTITION BY RANGE (id) (PARTITION p1 VALUES LESS THAN (20), PARTITION p2 VALUES LESS THAN (MAXVALUE))", FILL,
        after=(f"CREATE TABLE {{s}}.apart ({ID}) ENCRYPTION='Y'", "ALTER TABLE {t} EXCHANGE PARTITION p1 WITH TABLE {s}.apart WITHOUT VALIDATION", "DROP TABLE {s}.apart"),
    ),
    Feature("Places and partitions", "encrypted already", f"({ID}) ENCRYPTION='Y'", FILL),
    *_in(
        "Row formats",
        *((f"ROW_FORMAT={f}", f", v VARCHAR(200), t TEXT) ROW_FORMAT={f}", f"(id, n, v, t) SELECT n, n, REPEAT('v', n), REPEAT('t', 500 * n) FROM {MANY}") for f in ("COMPACT", "REDUNDANT", "DYNAMIC")),
        *((f"ROW_FORMAT=COMPRESSED, KEY_BLOCK_SIZE={k}", f", v VARCHAR(200)) ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE={k}", WITH_V) for k in (1, 2, 4, 8, 16)),
        ("page compression (`COMPRESSION='zlib'`)", ", v VARCHAR(200)) COMPRESSION='zlib'", WITH_V),
        ("options: COMMENT, STATS_*, MAX_ROWS, AVG_ROW_LENGTH, CHECKSUM ...", ") COMMENT='ENCRYPTION=''N'' AUTO_INCREMENT=5 %s' STATS_PERSISTENT=1 STATS_AUTO_RECALC=0 STATS_SAMPLE_PAGES=33 AVG_ROW_LENGTH=77 MAX_ROWS=999 MIN_ROWS=3 PACK_KEYS=1 CHECKSUM=1 DELAY_KEY_WRITE=1"),
    ),
)  # fmt: skip

_ALL: Final = (
    "z_first (n), KEY down (n DESC, v), FULLTEXT KEY words (t), KEY prefix_ (v(5), n), UNIQUE KEY y_unique (d, id), SPATIAL KEY place (g),"
    " KEY unseen (d) INVISIBLE, KEY functional ((n * 2), (LOWER(v))), UNIQUE KEY x (v, id), KEY last (d) COMMENT 'it''s \"50 %\" `x`, (y',"
    ' FULLTEXT KEY more (v, t) WITH PARSER ngram, UNIQUE KEY w_prefix (v(10), id), KEY `k``%s "n"` (n, d) USING BTREE'
)
INDEXES: Final = (
    *_in(
        "Indexes",
        ("secondary, unique", ", v VARCHAR(60), UNIQUE KEY (v), KEY (n))", WITH_V),
        ("DESC", ", KEY k (n DESC, id))"),
        ("prefix", ", v VARCHAR(60), t TEXT, KEY (v(3)), KEY (t(7)), UNIQUE KEY (v(9), id))", WITH_V),
        ("invisible", ", KEY k (n) INVISIBLE)"),
        ("functional", ", KEY k ((n * 2)), KEY l ((n + 1), n))"),
        ("functional, unique", ", UNIQUE KEY k ((id * 2 + n), n))"),
        ("multi-valued", ", j JSON, KEY k ((CAST(j->'$.a' AS UNSIGNED ARRAY))))", f"(id, n, j) SELECT n, n, JSON_OBJECT('a', JSON_ARRAY(n, n + 1)) FROM {MANY}"),
        ("FULLTEXT", ", v TEXT, FULLTEXT KEY (v))", WITH_V),
        ("FULLTEXT with a parser", ", v TEXT, FULLTEXT KEY (v) WITH PARSER ngram)", WITH_V),
        ("FULLTEXT with FTS_DOC_ID", ", v TEXT, FTS_DOC_ID BIGINT UNSIGNED NOT NULL, UNIQUE KEY FTS_DOC_ID_INDEX (FTS_DOC_ID), FULLTEXT KEY (v))", f"(id, n, v, FTS_DOC_ID) SELECT n, n, 'x', n FROM {MANY}"),
        ("SPATIAL", ", g POINT NOT NULL SRID 4326, SPATIAL KEY (g))", f"(id, n, g) SELECT n, n, ST_SRID(POINT(n, -n), 4326) FROM {MANY}"),
        ("many kinds in one table, in their order", f", v VARCHAR(60), t TEXT, g GEOMETRY NOT NULL SRID 0, d INT, KEY {_ALL})", f"SELECT n, n % 7, CONCAT('w', n), CONCAT('some words ', n), POINT(n, n), n FROM {MANY}"),
    ),
    Feature(
        "Indexes", "SPATIAL, text in the primary key",
        "(id INT, n INT, v VARCHAR(9), g POINT NOT NULL SRID 4326, PRIMARY KEY (v, id), SPATIAL KEY (g))",
        f"(id, n, v, g) SELECT n, n, 'v', ST_SRID(POINT(n, -n), 4326) FROM {MANY}",
    ),
)  # fmt: skip

COLUMNS: Final = (
    *_in(
    "Columns",
    ("generated, VIRTUAL", ", g INT AS (n * 2) VIRTUAL COMMENT 'x', KEY (g))"),
    ("generated, STORED", ", g VARCHAR(90) AS (CONCAT('n', n, '%s`')) STORED, KEY (g))"),
    ("generated from a TIMESTAMP", ", at TIMESTAMP NULL, g DATE AS (DATE(at)) STORED)"),
    ("invisible", ", h INT INVISIBLE DEFAULT 7, g INT AS (n + 1) VIRTUAL INVISIBLE)"),
    ("DEFAULT expressions, ON UPDATE", ", j JSON DEFAULT (JSON_OBJECT('a', 1)), d INT DEFAULT (1 + 2), b BIT(9) DEFAULT b'101', at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3), v VARCHAR(9) NOT NULL DEFAULT 'a''b,(c')", f"(id, n, at) SELECT n, n, '2024-01-01' FROM {MANY}"),
    ("comments, character sets", ", v VARCHAR(9) CHARACTER SET latin1 COMMENT 'x, KEY `y` (`z`)', w CHAR(5) COLLATE utf8mb4_bin) DEFAULT CHARSET=utf16"),
    ("CHECK, names by the server", ", CHECK (n > -5), v INT CHECK (v <> 13))"),
    ("CHECK, more than nine or with gaps", ", " + ", ".join(f"CHECK (n > -{i})" for i in range(1, 12)) + ")"),
    ("CHECK, named", ", CONSTRAINT `chk {s}` CHECK (n > -5))"),
    ("CHECK, NOT ENFORCED", ", CHECK (n < 13) NOT ENFORCED)"),
    ),
    Feature("Columns", "INSTANT-added", f"({ID})", FILL, after=("ALTER TABLE {t} ADD COLUMN late VARCHAR(9) DEFAULT 'new' FIRST, ADD COLUMN l2 INT DEFAULT 5, ALGORITHM=INSTANT",)),
    Feature("Columns", "INSTANT-dropped", f"({ID}, gone VARCHAR(9) DEFAULT 'old', v INT)", FILL, after=("ALTER TABLE {t} DROP COLUMN gone, ALGORITHM=INSTANT", "INSERT INTO {t} (id, n) VALUES (9000, 1)")),
    Feature("Columns", "histograms", f"({ID})", FILL, after=("ANALYZE TABLE {t} UPDATE HISTOGRAM ON n WITH 4 BUCKETS",)),
    Feature("Columns", "column privileges", f"({ID}, secret INT)", FILL, before=("CREATE USER IF NOT EXISTS `{s}`",), after=("GRANT SELECT (id, n), UPDATE (n) ON {t} TO `{s}`", "GRANT DELETE ON {t} TO `{s}`")),
)  # fmt: skip

RELATIONS: Final = (
    Feature("Relations", "foreign key: parent", f"({ID})", FILL, changes=("UPDATE {t} SET n = n + 1 WHERE id % 3 = 0",), table="parent"),
    Feature("Relations", "foreign key: child, cascades", f"({ID}, p INT, CONSTRAINT `{{s}} p` FOREIGN KEY (p) REFERENCES {{s}}.parent (id) ON DELETE CASCADE ON UPDATE SET NULL)", f"SELECT n, n, n FROM {MANY}"),
    Feature("Relations", "foreign key: to itself", f"({ID}, p INT, FOREIGN KEY (p) REFERENCES {{t}} (id) ON DELETE SET NULL)", f"SELECT n, n, NULLIF(n - 1, 0) FROM {MANY} ORDER BY n", changes=("UPDATE {t} SET n = n + 1", "DELETE FROM {t} WHERE id = 40 - {c}")),
    Feature("Relations", "foreign key: a cycle", f"({ID}, p INT)", FILL, table="ring",
            after=("CREATE TABLE {s}.ring2 (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES {s}.ring (id))", "ALTER TABLE {s}.ring ADD FOREIGN KEY (p) REFERENCES {s}.ring2 (id)")),
    Feature("Relations", "foreign key: parent in another schema", f"({ID}, p INT, FOREIGN KEY (p) REFERENCES {{o}}.parent (id))", FILL, before=("CREATE TABLE {o}.parent (id INT PRIMARY KEY)",)),
    Feature("Relations", "own triggers (definer, sql_mode, FOLLOWS)", f"({ID}, v INT)", FILL, after=(
        "CREATE USER IF NOT EXISTS `{s}`", "GRANT TRIGGER, SELECT, UPDATE ON {s}.* TO `{s}`",
        "SET sql_mode = 'ANSI_QUOTES'", "CREATE DEFINER=`{s}` TRIGGER {s}.`z 1` BEFORE UPDATE ON {t} FOR EACH ROW SET NEW.v = 1",
        "SET sql_mode = ''", "CREATE TRIGGER {s}.a2 BEFORE UPDATE ON {t} FOR EACH ROW FOLLOWS `z 1` SET NEW.v = NEW.v * 10 + 2")),
    Feature("Relations", "read by a view", f"({ID})", FILL, after=("CREATE VIEW {s}.looks AS SELECT id, n FROM {t} WHERE n > 3",)),
)  # fmt: skip


def _named(what: str, table: str) -> Feature:
    return Feature("Names", what, f"({ID}, v INT, KEY (v))", FILL, table=table)


NAMES: Final = (
    _named("backtick, `%`, quotes, letters outside of ASCII", "we`ird %s \"näme\" it's"),
    _named("64 characters", "l" * 64),
    _named("64 characters outside of ASCII", "ä" * 64),
    _named("a keyword", "select"),
    _named("`a.b/c\\d`, `#`, `@`", "a.b/c\\d#p#x@0041"),
    _named("upper case", "Case"),
    _named("the same in lower case", "case"),
    _named("emoji (the server makes `?` of it)", "t?"),
    Feature("Names", "columns and indexes with odd names", "(id INT, n INT, `k``1 %s \"x\"` INT, `v%d ``;'` VARCHAR(60), `Order` INT, `漢` INT, PRIMARY KEY (id, `k``1 %s \"x\"`), KEY `%(i)s``` (`v%d ``;'`), UNIQUE KEY `u%` (`漢`, id))",
            f"SELECT n, n, n, 'x', n, n FROM {MANY}"),
)  # fmt: skip

AMOUNTS: Final = (
    Feature("Rows", "0 rows", f"({ID}, KEY (n))", changes=()),
    Feature("Rows", "1 row", f"({ID}, KEY (n))", "VALUES (1, 1)", changes=("UPDATE {t} SET n = n + 1", "UPDATE {t} SET id = id + 1")),
    Feature("Rows", "AUTO_INCREMENT with a row 0 and negative ones", "(id INT AUTO_INCREMENT PRIMARY KEY, n INT)", f"SELECT n - 20, n FROM {MANY}",
            changes=("UPDATE {t} SET n = n + 1", "DELETE FROM {t} WHERE id = 3 * {c}", "INSERT INTO {t} (n) VALUES (7)")),
    Feature("Rows", "AUTO_INCREMENT, exhausted", "(id TINYINT AUTO_INCREMENT PRIMARY KEY, n INT)", f"SELECT n + 87, n FROM {MANY}",
            changes=("UPDATE {t} SET n = n + 1", "DELETE FROM {t} WHERE id = 90 + {c}")),
    Feature("Rows", "AUTO_INCREMENT, ahead of its rows", "(id INT AUTO_INCREMENT PRIMARY KEY, n INT) AUTO_INCREMENT=5000", f"SELECT n, n FROM {MANY}",
            changes=("INSERT INTO {t} (n) VALUES (7)",)),
    Feature("Rows", "rows of 64 KiB", "(id INT PRIMARY KEY, n INT, v VARCHAR(65500) CHARACTER SET latin1)", f"SELECT n, n, REPEAT(CHAR(64 + n), 65500) FROM {numbers(24)}"),
    Feature("Rows", "LONGBLOB rows larger than a chunk's limit", "(id INT PRIMARY KEY, n INT, b LONGBLOB)", f"SELECT n, n, REPEAT(UNHEX(SHA2(n, 256)), 30000) FROM {numbers(8)}"),
    Feature("Rows", "schema with default encryption, table in clear", f"({ID}) ENCRYPTION='N'", FILL, elsewhere=True),
)  # fmt: skip

ENGINES: Final = (
    Feature("Engines", "MyISAM", f"({ID}, v CHAR(30), KEY (v)) ENGINE=MyISAM", WITH_V),
    Feature("Engines", "MyISAM, ROW_FORMAT=FIXED, KEY_BLOCK_SIZE", f"({ID}, v CHAR(30), KEY (v) KEY_BLOCK_SIZE=2048) ENGINE=MyISAM ROW_FORMAT=FIXED KEY_BLOCK_SIZE=1024", WITH_V),
    Feature("Engines", "MyISAM, AUTO_INCREMENT behind another column", "(n INT, id INT AUTO_INCREMENT, PRIMARY KEY (n, id)) ENGINE=MyISAM", f"(n) SELECT n % 3 FROM {MANY}", changes=()),
    Feature("Engines", "MyISAM, read by a MERGE table", "(id INT, n INT, KEY (id)) ENGINE=MyISAM", FILL, table="merged"),
    Feature("Engines", "MERGE", "(id INT, n INT, KEY (id)) ENGINE=MERGE UNION=({s}.merged)", changes=()),
    Feature("Engines", "CSV", "(id INT NOT NULL, n INT NOT NULL, v VARCHAR(60) NOT NULL) ENGINE=CSV", f"SELECT n, n, CONCAT('a,\"', n) FROM {MANY}"),
    Feature("Engines", "ARCHIVE", "(id INT AUTO_INCREMENT PRIMARY KEY, n INT) ENGINE=ARCHIVE", FILL, changes=("INSERT INTO {t} (id, n) VALUES (500 + {c}, 1)",)),
    Feature("Engines", "MEMORY", f"({ID}) ENGINE=MEMORY", FILL),
    Feature("Engines", "BLACKHOLE", f"({ID}) ENGINE=BLACKHOLE", changes=()),
    Feature("Engines", "FEDERATED", f"({ID}) ENGINE=FEDERATED CONNECTION='mysql://nobody@127.0.0.1:1/x/y'", changes=()),
)  # fmt: skip

TABLES: Final = (
    *NOT_TABLES,
    *PLACES,
    *INDEXES,
    *COLUMNS,
    *RELATIONS,
    *NAMES,
    *AMOUNTS,
    *ENGINES,
)
