"""TIMESTAMPs stay the instants that they are, whatever time zone an application's session has."""

from __future__ import annotations

import pytest

from migrator.events import ChunkCopied
from migrator.model import Method
from tests.server.engine.kit import At, Lab, each, name, phase
from tests.server.engine.test_rows import NUMBERS

BACK = 1_700_000_000
"""The second at which clocks go back by an hour."""

MANY = f"({NUMBERS.format(1500)}) AS many"


@pytest.mark.parametrize("ts", ["ts", 'we`ird %s "ts"'], ids=["plain", "weird"])
def test_timestamps_that_allow_null_in_the_hour_that_comes_twice(lab: Lab, ts: str) -> None:
    """Seconds, fractions, NULL, the zero date, the first and the last second, defaults and ON UPDATE: while copied
    and while mirrored, by INSERT, UPDATE and by a key that moves."""
    instant = f"FROM_UNIXTIME({BACK} - 75000 + 100 * n)"
    edges = "ELT(n, '1970-01-01 00:00:01', '2038-01-19 03:14:07', '0000-00-00 00:00:00')"
    lab.table(
        "t",
        f"(id INT PRIMARY KEY, {name(ts)} TIMESTAMP NULL, fine TIMESTAMP(6) NULL, must TIMESTAMP(3) NOT NULL,"
        " changed TIMESTAMP(2) NULL DEFAULT CURRENT_TIMESTAMP(2) ON UPDATE CURRENT_TIMESTAMP(2), v VARCHAR(60),"
        f" KEY ({name(ts)}))",
        f"SELECT n, IF(n < 4, {edges}, {instant}), IF(n % 7, FROM_UNIXTIME({BACK} - 75000.654321 + 100 * n), NULL),"
        f" {instant}, {instant}, REPEAT('x', 50) FROM {MANY}",
    )
    with lab.zone_that_goes_back(BACK) as zone, lab.application("t") as app:
        app.query(f"SET time_zone = '{zone}', sql_mode = 'ALLOW_INVALID_DATES'")
        new_id = iter(range(10_000, 20_000, 10))

        def change() -> None:
            number = next(new_id)
            for now in (BACK - 1800.25, BACK + 1800.25):
                app.query(f"SET timestamp = {now}")
                app.write("UPDATE {t} SET v = CONCAT(v, 'u') WHERE id < 4 OR id BETWEEN 710 AND 790")
            app.write(f"UPDATE {{t}} SET id = id + {number} WHERE id IN (1, 2, 3) OR id BETWEEN 740 AND 742")
            app.write(f"UPDATE {{t}} SET id = id - {number} WHERE id > {number} AND v LIKE 'x%'")
            for after, at in enumerate(("2023-11-14 22:00:00.5+00:00", "2023-11-14 22:30:00.5+00:00")):
                row = f"({number + after}, '{at}', '{at}', '{at}', 'new')"
                app.write(f"INSERT INTO {{t}} (id, {name(ts)}, fine, must, v) VALUES {row}")

        ran = lab.apply(
            "t", at=[At(each(ChunkCopied), change, 8), At(phase("verify"), change), At(phase("swap"), change)]
        )
    ran.assert_outcome("done")
    lab.assert_done("t")


COMPUTED = {
    "a virtual column": "d DATE AS (DATE(TS))",
    "a virtual column with an index": "d DATE AS (DATE(ts)), KEY (d)",
    "a stored column": "h INT AS (HOUR(ts)) STORED",
    "a column of a column": "dt DATETIME, back TIMESTAMP AS (dt) STORED",
    "an index over an expression": "KEY f ((HOUR(ts)))",
    "a check": "CHECK (ts < '2030-01-01')",
    "a function that asks for the time zone": "n INT, said DATETIME AS (FROM_UNIXTIME(n))",
}


@pytest.mark.parametrize("computed", COMPUTED)
def test_what_is_computed_from_a_timestamp_is_refused(lab: Lab, computed: str) -> None:
    """Our sessions would compute it in UTC: other values than those that the application's sessions look for."""
    lab.run(f"CREATE TABLE t (id INT PRIMARY KEY, ts TIMESTAMP NULL, {COMPUTED[computed]})")
    (step,) = lab.plan("t").steps
    assert step.method is Method.REFUSE
    assert "time zone" in step.why


def test_what_is_computed_beside_a_timestamp_is_not_refused(lab: Lab) -> None:
    """Computed from other columns, with texts that look like the TIMESTAMP or like a function."""
    beside = "v VARCHAR(80) AS (CONCAT('ts 😀 it''s', id)), dt DATETIME, d DATE AS (DATE(dt)), KEY ((HOUR(dt))), CHECK (id > 0)"
    lab.run(f"CREATE TABLE t (id INT PRIMARY KEY, ts TIMESTAMP NULL, {beside})")
    assert lab.plan("t").steps[0].method is Method.SHADOW_COPY
