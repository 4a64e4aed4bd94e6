"""Keys: rows are walked, followed and compared exactly, in the server's own order; each type is in the matrix."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

import pytest

from migrator.events import ChunkCopied, ChunkVerified, RangeCopied
from migrator.model import Method
from tests.server.engine.kit import At, Lab, each, name, phase
from tests.server.engine.test_rows import NUMBERS

MANY = f"({NUMBERS.format(1500)}) AS many"


@dataclass(frozen=True, slots=True)
class Kind:
    """A table's key: its columns, the values of the n-th row, and the key's definition."""

    columns: str
    values: str
    key: str = "PRIMARY KEY (k)"
    names: str = "k"
    order: str = "k"
    """ORDER BY, first to last."""
    backwards: str = "k DESC"


def with_second(column: str, values: str) -> Kind:
    """For types with few values: the key has an integer behind."""
    return Kind(f"{column}, j INT", values, "PRIMARY KEY (k, j)", "k, j", "k, j", "k DESC, j DESC")


def text(definition: str, letters: str) -> Kind:
    """Words that begin with different letters."""
    return Kind(f"k {definition}", f"CONCAT(ELT(1 + n % 4, {letters}), n * 7 % 1501)")


KINDS = {
    "int, negative": Kind("k INT", "n * 977 - 700000"),
    "utf8mb4_0900_ai_ci": text("VARCHAR(40) COLLATE utf8mb4_0900_ai_ci", "'ä', 'Z', 'ß', ' '"),
    "enum": with_second("k ENUM('z', 'a', 'it''s %s', 'b')", "1 + n % 4, n"),
    "impossible dates": with_second(
        "k DATETIME",
        "ELT(1 + n DIV 500, '0000-00-00 00:00:00', '2024-00-00 00:00:00', '2024-02-31 00:00:00', '2024-03-01 00:00:00'), n",
    ),
    "float": Kind("k FLOAT", "(n - 750) / 7"),
    "double": Kind("k DOUBLE", "(n - 750) / 7e100"),
    "descending first": Kind(
        "a INT, k INT", "n DIV 40, n % 40", "PRIMARY KEY (a DESC, k)", "a, k", "a DESC, k", "a, k DESC"
    ),
    "three columns, one descending": Kind(
        "a SMALLINT, k INT, c VARCHAR(10)",
        "n DIV 300, n DIV 20 % 15, CONCAT('c', n % 20)",
        "PRIMARY KEY (a, k DESC, c)",
        "a, k, c",
        "a, k DESC, c",
        "a DESC, k, c DESC",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_of_many_chunks(lab: Lab, kind: str) -> None:
    """Copied in several ranges and chunks, with rows changed, removed and moved from one end to the other beside."""
    key = KINDS[kind]
    lab.run(f"CREATE TABLE t (v VARCHAR(80), {key.columns}, {key.key})")
    lab.fill("t", f"INSERT IGNORE INTO t (v, {key.names}) SELECT REPEAT('x', 60), {key.values} FROM {MANY}")
    assert lab.value("SELECT COUNT(*) FROM t") > 1400, "the values are not distinct"
    names = [n.strip() for n in key.names.split(",")]
    variables = ", ".join(f"@{n}" for n in names)
    moved = ", ".join(f"{n} = @{n}" for n in names)
    with lab.application("t") as app:
        app.query("SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'")

        def change() -> None:
            app.write(f"UPDATE {{t}} SET v = CONCAT(v, 'u') ORDER BY {key.order} LIMIT 5")
            app.write(f"DELETE FROM {{t}} ORDER BY {key.order} LIMIT 1")
            last_to_first = f"UPDATE {{t}} SET {moved} ORDER BY {key.order} LIMIT 1"
            app.write(
                f"SELECT {key.names} INTO {variables} FROM {{t}} ORDER BY {key.backwards} LIMIT 1",
                f"DELETE FROM {{t}} ORDER BY {key.backwards} LIMIT 1",
                last_to_first,
            )

        moments = [(each(ChunkCopied), n) for n in (1, 2, 4, 6)]
        moments += [(phase("index"), 1), (phase("mirror", ended=True), 1), (each(ChunkVerified), 2), (phase("swap"), 1)]
        ran = lab.apply("t", at=[At(when, change, nth) for when, nth in moments])
    ran.assert_outcome("done")
    assert len(ran.of(RangeCopied)) >= 3
    assert len(ran.of(ChunkCopied)) >= 6
    lab.assert_done("t")


def test_a_float_that_is_the_key_is_followed(lab: Lab) -> None:
    """FLOAT keys that no literal equals are changed, moved and removed while copied and while mirrored."""
    lab.table("t", "(k FLOAT PRIMARY KEY, v VARCHAR(60))", f"SELECT n / 3, REPEAT('x', 50) FROM {MANY}")
    with lab.application("t") as app:

        def change() -> None:
            app.write("UPDATE {t} SET v = 'new' WHERE k BETWEEN 10 AND 12", "DELETE FROM {t} WHERE k BETWEEN 13 AND 14")
            app.write("UPDATE {t} SET k = k + 0.1 WHERE k BETWEEN 20 AND 22", "UPDATE {t} SET k = -k WHERE k > 499")

        ran = lab.apply("t", at=[At(each(ChunkCopied), change, 3), At(phase("verify"), change)])
    ran.assert_outcome("done")
    lab.assert_done("t")


def test_a_key_over_a_timestamp_is_not_followed(lab: Lab) -> None:
    """In a session with daylight saving two different TIMESTAMPs are equal, so no trigger can follow such a key: it is relayed."""
    lab.run("CREATE TABLE t (k TIMESTAMP PRIMARY KEY, v INT)", "INSERT INTO t VALUES ('2024-01-01', 1)")
    assert lab.plan("t").steps[0].method is Method.TABLESPACE_RELAY


def test_a_timestamp_beside_the_key_in_the_hour_that_comes_twice(lab: Lab) -> None:
    """A TIMESTAMP that is no key keeps its instant, whatever time zone the application's session has."""
    back = 1_700_000_000
    lab.table(
        "t",
        "(id INT PRIMARY KEY, ts TIMESTAMP NOT NULL, v VARCHAR(60), KEY (ts))",
        f"SELECT n, FROM_UNIXTIME({back} - 75000 + 100 * n), REPEAT('x', 50) FROM {MANY}",
    )
    with lab.zone_that_goes_back(back) as zone, lab.application("t") as app:
        app.query(f"SET time_zone = '{zone}'")

        def change() -> None:
            app.write(
                "UPDATE {t} SET v = CONCAT(v, 'u') WHERE id BETWEEN 740 AND 790",
                "DELETE FROM {t} WHERE id IN (745, 765)",
            )
            app.write("INSERT INTO {t} SELECT id + 10000, ts, 'again' FROM {t} WHERE id IN (741, 761, 781)")
            app.write("DELETE FROM {t} WHERE id > 10000")

        ran = lab.apply(
            "t", at=[At(each(ChunkCopied), change, 8), At(phase("verify"), change), At(phase("swap"), change)]
        )
    ran.assert_outcome("done")
    lab.assert_done("t")


@pytest.mark.parametrize(
    "kind", ["int, negative", "descending first", "three columns, one descending", "utf8mb4_0900_ai_ci", "enum"]
)
def test_a_chunk_reads_what_it_copies(lab: Lab, kind: str) -> None:
    """To copy and to compare reads a few index entries for each row, however many chunks there are."""
    key = KINDS[kind]
    lab.run(f"CREATE TABLE t (v VARCHAR(200), {key.columns}, {key.key})")
    values = key.values.replace("% 1501", "% 12001")
    lab.fill(
        "t",
        f"INSERT IGNORE INTO t (v, {key.names}) SELECT REPEAT('x', 180), {values} FROM ({NUMBERS.format(6000)}) AS many",
    )
    copied, compared = reads_of_each_row(lab)
    # The walk to the range's end and the chunk itself; the comparison reads both tables twice and walks one.
    assert copied < 4
    assert compared < 8


TYPES = {
    "BIGINT UNSIGNED": "18446744073709551615 - n * 1000000007",
    "DECIMAL(30,10)": "n / 7 - 50",
    "FLOAT": "n / 7 - 50",
    "DOUBLE": "n / 7e100",
    "YEAR": "1901 + n % 200",
    "DATE": "'1000-02-01' + INTERVAL n DAY",
    "DATETIME(6)": "'2024-02-01' + INTERVAL n MICROSECOND",
    "TIME(6)": "SEC_TO_TIME(n / 1e6)",
    "BIT(20)": "n * 3",
    "ENUM('z', 'a', 'é', '1')": "1 + n % 4",
    "BINARY(8)": "LEFT(SHA2(n, 256), 8)",
    "VARBINARY(8)": "UNHEX(LEFT(SHA2(n, 256), 2 + 2 * (n % 7)))",
    "CHAR(8) CHARACTER SET latin1": "CONCAT(CHAR(192 + n % 60), n)",
    "VARCHAR(8) CHARACTER SET ascii": "n",
    "VARCHAR(8) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin": "CONCAT(IF(n % 2, 'ß', 'ü'), n)",
    "VARCHAR(8) CHARACTER SET gb18030": "CONCAT('ü', n)",
}


@pytest.mark.parametrize("kind", TYPES)
def test_a_chunk_reads_what_it_copies_by_every_type(lab: Lab, kind: str) -> None:
    """Each type of a key is walked, and compared, by the index: no chunk reads what others have copied."""
    lab.run(f"CREATE TABLE t (v VARCHAR(200), k {kind}, j INT, PRIMARY KEY (k, j))")
    lab.fill(
        "t", f"INSERT INTO t (v, k, j) SELECT REPEAT('x', 180), {TYPES[kind]}, n FROM ({NUMBERS.format(2500)}) AS many"
    )
    copied, compared = reads_of_each_row(lab, rows_at_least=2500, chunks_at_least=8)
    assert copied < 4
    assert compared < 8


def test_a_chunk_reads_what_it_copies_where_statistics_lie(lab: Lab) -> None:
    """The copy walks its key also where the optimizer would scan the table, whose statistics say that it has 5 rows."""
    key = Kind("k INT NOT NULL, j BIGINT NOT NULL", "n * 3, 2000 - n", "UNIQUE KEY (j), UNIQUE KEY u (k)", "k, j")
    lab.run(f"CREATE TABLE t (v VARCHAR(200), {key.columns}, {key.key}) STATS_PERSISTENT=1 STATS_AUTO_RECALC=0")
    lab.fill(
        "t",
        f"INSERT INTO t (v, {key.names}) SELECT REPEAT('x', 180), {key.values} FROM ({NUMBERS.format(6000)}) AS many",
    )
    of_t = f"WHERE database_name = '{lab.schema}' AND table_name = 't'"
    lab.run(
        f"UPDATE mysql.innodb_table_stats SET n_rows = 5, clustered_index_size = 1 {of_t}",
        f"UPDATE mysql.innodb_index_stats SET stat_value = IF(stat_name LIKE 'n_diff%', 5, 1) {of_t}",
        "FLUSH TABLE t",
    )
    tree = "EXPLAIN FORMAT=TREE SELECT v FROM t WHERE k > 600 ORDER BY k LIMIT 90"
    assert "Table scan on t" in str(lab.rows(tree)), "the optimizer is not deceived"
    copied, _ = reads_of_each_row(lab)
    assert copied < 6  # a table scan for each of the chunks would be hundreds


def reads_of_each_row(lab: Lab, *, rows_at_least: int = 5500, chunks_at_least: int = 20) -> tuple[float, float]:
    """Migrate the table `t` in many chunks; how many index entries are read for each row, to copy and to compare."""
    rows = lab.value("SELECT COUNT(*) FROM t")
    reads: list[int] = []

    def look() -> None:
        reads.append(lab.index_reads())

    ends = [phase("copy"), phase("copy", ended=True), phase("verify"), phase("verify", ended=True)]
    ran = lab.apply("t", at=[At(when, look) for when in ends], defaults=lab.alone)
    ran.assert_outcome("done")
    copied, compared = (reads[1] - reads[0]) / rows, (reads[3] - reads[2]) / rows
    chunks, stretches = len(ran.of(ChunkCopied)), len(ran.of(ChunkVerified))
    print(rows, chunks, stretches, copied, compared)
    assert rows >= rows_at_least
    assert chunks >= chunks_at_least
    return copied, compared


def test_names_are_quoted_where_they_are_columns_too(lab: Lab) -> None:
    """Keys, columns and indexes with backticks, per cent signs and quotes in their names."""
    bad, worse = name('k`1 %s "x"'), name("v%d `;'")
    index, unique = name("%(i)s`"), name("u%")
    definition = f"({bad} INT, k1 VARCHAR(20), {worse} VARCHAR(60), PRIMARY KEY ({bad}, k1), KEY {index} ({worse}), UNIQUE KEY {unique} (k1))"
    lab.table("seq", definition, f"SELECT n, CONCAT('k', n), REPEAT('x', 50) FROM {MANY}")

    def change() -> None:
        with closing(lab.connect(autocommit=True)) as connection, connection.cursor() as cursor:
            for place in ("seq", lab.in_ledger("seq")):
                cursor.execute(f"UPDATE {place} SET {worse} = 'it''s %s' WHERE {bad} % 10 = 0")
                cursor.execute(f"UPDATE {place} SET {bad} = {bad} + 5000 WHERE {bad} % 20 = 0 AND {bad} < 5000")

    ran = lab.apply("seq", at=[At(each(ChunkCopied), change, 2), At(phase("verify"), change)])
    ran.assert_outcome("done")
    lab.assert_done("seq")
