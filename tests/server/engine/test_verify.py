"""Verification compares every byte of every row: whatever differs is found, and nothing is swapped."""

from __future__ import annotations

import pytest

from migrator.events import ChunkCopied, ChunkVerified, PhaseStarted
from tests.server.engine.kit import SMALL, At, Lab, each, phase
from tests.server.engine.test_rows import NUMBERS

DEFINITION = """(
  id INT PRIMARY KEY, vc VARCHAR(40) COLLATE utf8mb4_0900_ai_ci, ch CHAR(10), j JSON, f FLOAT, d DOUBLE, de DECIMAL(20,5), bl BLOB,
  e ENUM('a','b'), s SET('x','y'), b BIT(8), ts TIMESTAMP(6) NULL, ti TIME(3), g POINT, n INT, kept INT AS (n + 1) STORED,
  vec VECTOR(2), tx TEXT COLLATE utf8mb4_general_ci, KEY (vc), UNIQUE KEY (n))"""
ROWS = (
    "(id, vc, ch, j, f, d, de, bl, e, s, b, ts, ti, g, n, vec, tx) SELECT n, CONCAT('v', n), 'c', '{\"a\": 1}', n / 3, n / 3, n / 3, 'b', 'a', 'x', 1,"
    f" '2024-01-01 00:00:00.000001', '10:00:00', POINT(n, 0), n, TO_VECTOR('[1, 2]'), 'T' FROM ({NUMBERS.format(900)}) AS many"
)

DIFFERENCES = {
    "a row is missing": "DELETE FROM {s} WHERE id = 450",
    "a row too many, beyond the last": "INSERT INTO {s} (id, n) VALUES (99999, NULL)",
    "a row too many, before the first": "INSERT INTO {s} (id, n) VALUES (-5, NULL)",
    "the last row is missing": "DELETE FROM {s} WHERE id = 900",
    "one instead of another": "UPDATE {s} SET id = 5000 WHERE id = 450",
    "a changed number": "UPDATE {s} SET n = n + 100000 WHERE id = 450",
    "two rows with swapped values": "UPDATE {s} AS x JOIN {s} AS y ON x.id + y.id = 901 SET x.vc = y.vc WHERE x.id IN (450, 451)",
    "equal by collation: case": "UPDATE {s} SET vc = UPPER(vc) WHERE id = 450",
    "equal by collation: accent": "UPDATE {s} SET tx = 'Ť' WHERE id = 450",
    "equal by padding: blank at the end": "UPDATE {s} SET tx = 'T ' WHERE id = 450",
    "another member of an enum": "UPDATE {s} SET e = 2 WHERE id = 450",
    "NULL instead of empty": "UPDATE {s} SET bl = NULL WHERE id = 450",
    "empty instead of a value": "UPDATE {s} SET ch = '' WHERE id = 450",
    # UPDATE alone finds 1.0 equal to 1 and writes nothing.
    "JSON 1.0 instead of 1": "UPDATE {s} SET j = NULL WHERE id = 450; UPDATE {s} SET j = '{\"a\": 1.0}' WHERE id = 450",
    "JSON text instead of a number": 'UPDATE {s} SET j = \'{"a": "1"}\' WHERE id = 450',
    "the last bit of a FLOAT": "UPDATE {s} SET f = f * 1.0000001e0 WHERE id = 450",
    "the last bit of a DOUBLE": "UPDATE {s} SET d = d * (1e0 + 3e-16) WHERE id = 450",
    "a microsecond": "UPDATE {s} SET ts = ts + INTERVAL 1 MICROSECOND WHERE id = 450",
    "a bit": "UPDATE {s} SET b = 3 WHERE id = 450",
    "a point": "UPDATE {s} SET g = POINT(450, -0e0) WHERE id = 450",
    "a component of a vector": "UPDATE {s} SET vec = TO_VECTOR('[1, 2.0000002]') WHERE id = 450",
}


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_a_planted_difference_is_found(lab: Lab, difference: str) -> None:
    """One row that differs in the shadow: the step fails, nothing is swapped, the table is as it was."""
    lab.table("t", DEFINITION, ROWS)

    def plant() -> None:
        for statement in DIFFERENCES[difference].replace("{s}", "_t_shadow").split("; "):
            assert lab.run_one(statement) > 0, "nothing was planted"

    ran = lab.apply("t", at=[At(phase("verify"), plant)])
    ran.assert_outcome("failed")
    assert "differ" in ran.step.message
    assert not [s for s in ran.statements() if "_t_retained" in s]
    assert lab.names() == {"t"}
    assert not lab.encrypted("t")
    lab.assert_equal("t")


def test_after_a_mismatch_the_next_run_copies_anew(lab: Lab) -> None:
    """What differed is not mended but made anew, and every row is compared again."""
    lab.table("t", DEFINITION, ROWS)
    lab.apply("t", at=[At(phase("verify"), lambda: lab.run("DELETE FROM _t_shadow WHERE id = 5"))]).assert_outcome(
        "failed"
    )
    ran = lab.apply("t")
    ran.assert_outcome("done")
    assert sum(e.rows for e in ran.of(ChunkCopied)) == 900
    assert ran.of(ChunkVerified)[-1].rows_done == 900
    lab.assert_done("t")


def test_a_difference_behind_the_place_where_a_run_was_stopped(lab: Lab) -> None:
    """A run that goes on with a verification compares every range that was not compared to its end."""
    lab.table("t", DEFINITION, ROWS)

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lab.apply("t", at=[At(each(ChunkVerified), stop, 2)], defaults=lab.alone)
    lab.run("DELETE FROM _t_shadow WHERE id = 890")
    lab.apply("t").assert_outcome("failed")
    lab.assert_equal("t")


def test_a_warning_on_copy_is_an_error(lab: Lab) -> None:
    """A row that the server copies with a warning is not copied at all: the warning could hide a lost value."""
    lab.run("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20), g INT AS (CAST(v AS SIGNED)) STORED)")
    lab.fill("t", "INSERT INTO t (id, v) VALUES (1, '5'), (2, '7 apples'), (3, '8')")
    ran = lab.apply("t")
    ran.assert_outcome("failed")
    assert "1292" in ran.step.message
    assert "apples" not in ran.step.message
    assert not lab.encrypted("t")
    assert lab.value("SELECT COUNT(*) FROM _t_shadow") == 0
    lab.assert_equal("t")


def test_a_copy_that_failed_in_one_range_is_not_taken_for_done(lab: Lab) -> None:
    """One row of many cannot be copied: whatever the other worker does, nothing that comes after the copy begins."""
    lab.run("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(80), g INT AS (CAST(v AS SIGNED)) STORED, KEY (v))")
    lab.fill("t", f"INSERT INTO t (id, v) SELECT n, IF(n = 1300, '7 apples', n) FROM ({NUMBERS.format(2500)}) AS many")
    for _ in range(2):  # nor does the next run take it for done
        ran = lab.apply("t")
        ran.assert_outcome("failed")
        assert "1292" in ran.step.message
        assert not [s for s in ran.statements() if "ADD " in s or "_t_mirror_" in s or "_t_retained" in s]
        assert {event.phase for event in ran.of(PhaseStarted)} <= {"build", "log", "copy"}
        assert 0 < lab.value("SELECT COUNT(*) FROM _t_shadow") < 2500
        lab.assert_equal("t")
    with lab.application("t") as app:
        app.write("UPDATE {t} SET v = '7' WHERE id = 1300")
    lab.apply("t").assert_outcome("done")
    lab.assert_done("t")


def test_every_row_is_compared(lab: Lab) -> None:
    """The comparison counts each row of the table once, the rows inserted behind the last range included."""
    lab.table("t", DEFINITION, ROWS)

    def insert() -> None:
        with lab.application("t") as app:
            app.write("INSERT INTO {t} (id, n) VALUES (5000, NULL), (5001, NULL), (-7, NULL)")

    ran = lab.apply("t", at=[At(phase("index"), insert)])
    ran.assert_outcome("done")
    assert ran.step.rows == 903
    lab.assert_done("t")


@pytest.mark.parametrize("chunk_bytes", [256 * 2**20, 64 * 2**10])
def test_the_comparison_takes_no_more_memory_than_the_server_has(lab: Lab, chunk_bytes: int) -> None:
    """Whatever the plan says, an eighth of the buffer pool for each worker at most; less where chunks are small."""
    lab.table("t", "(id INT PRIMARY KEY, v VARCHAR(20))", f"SELECT n, 'v' FROM ({NUMBERS.format(900)}) AS many")
    seen: set[int] = set()

    def look() -> None:
        values = lab.rows(
            "SELECT VARIABLE_VALUE FROM performance_schema.variables_by_thread"
            " WHERE VARIABLE_NAME = 'join_buffer_size' AND VARIABLE_VALUE <> @@GLOBAL.join_buffer_size"
        )
        seen.update(int(value) for (value,) in values)

    defaults = SMALL.model_copy(update={"chunk_max_bytes": chunk_bytes})
    lab.apply("t", defaults=defaults, at=[At(each(ChunkVerified), look, 1)]).assert_outcome("done")
    assert seen == {min(8 * chunk_bytes, int(lab.value("SELECT @@innodb_buffer_pool_size")) // 8)}
