"""What a person does to the table meanwhile is noticed: nothing is swapped, the table stays as it was made, the next run is done."""

from __future__ import annotations

from contextlib import closing

import pymysql
import pytest

from migrator.events import ChunkCopied, ChunkVerified, Waiting
from tests.server.engine.kit import At, Crash, Lab, When, crash, ddl, each, phase
from tests.server.engine.test_rows import BY_NUMBER, NUMBERS

CHANGES = {
    "truncate": ["TRUNCATE TABLE {t}"],
    "rebuild": ["ALTER TABLE {t} FORCE"],
    "new column": ["ALTER TABLE {t} ADD COLUMN z INT DEFAULT 5, ALGORITHM=INSTANT"],
    "new default": ["ALTER TABLE {t} ALTER COLUMN v SET DEFAULT 'x'"],
    "new index": ["CREATE INDEX zz ON {t} (v)"],
    "index gone": ["DROP INDEX w ON {t}"],
    "emptied by a new table": ["CREATE TABLE {x} LIKE {t}", "RENAME TABLE {t} TO {y}, {x} TO {t}"],
}

MOMENTS: dict[str, When] = {
    "copy": each(ChunkCopied),
    "indexes": ddl("ADD UNIQUE"),
    "verify": each(ChunkVerified),
    "swap": phase("swap"),
}


@pytest.mark.parametrize(
    ("change", "moment"),
    [(change, moment) for change in CHANGES for moment in ("copy", "verify")] + [("truncate", "indexes")],
)
def test_a_change_of_the_table(lab: Lab, change: str, moment: str) -> None:
    """DDL on the source while it is copied, indexed, verified or about to be swapped."""
    lab.table("t", *BY_NUMBER)
    statements = CHANGES[change]

    def do() -> None:
        lab.run(*(s.format(t="t", x="x", y="y") for s in statements))
        there = {"t": lab.in_ledger("t"), "x": f"{lab.ledger}.x", "y": f"{lab.ledger}.y"}
        lab.run(*(s.format(**there) for s in statements))

    ran = lab.apply("t", at=[At(MOMENTS[moment], do)])
    ran.assert_outcome("failed")
    assert ran.outcome.exit_code == 3
    assert not [s for s in ran.statements() if "_t_retained" in s]
    assert not lab.encrypted("t")
    lab.assert_equal("t")
    assert not lab.value("SELECT COUNT(*) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s", lab.schema)
    if change.startswith("emptied"):
        lab.run("DROP TABLE y")
    lab.apply("t").assert_outcome("done")
    lab.assert_done("t")


@pytest.mark.parametrize("other", ["UNIQUE KEY other (u)", "KEY other (u)"], ids=["another key", "no key"])
@pytest.mark.parametrize("moment", ["build", "log", "index", "verify"])
def test_the_key_is_dropped_while_no_run_is_there(lab: Lab, moment: str, other: str) -> None:
    """The next run gives the copy up, with its triggers, whatever the new plan does with the table; the one after does it."""
    lab.table(
        "t", f"(id INT PRIMARY KEY, u INT NOT NULL, {other})", f"SELECT n, n FROM ({NUMBERS.format(300)}) AS some"
    )
    with pytest.raises(Crash):
        lab.apply("t", at=[At(phase(moment), crash)])
    lab.run("ALTER TABLE t DROP PRIMARY KEY")
    ran = lab.apply("t")
    ran.assert_outcome("failed")
    assert lab.names() == {"t"}
    lab.apply("t").assert_outcome("done")
    lab.assert_done("t")


@pytest.mark.parametrize("change", ["truncate", "new index", "rebuild"])
def test_a_change_in_the_last_moment(lab: Lab, change: str) -> None:
    """DDL that comes while the swap waits for its instant, after everything was checked, is noticed in that instant."""
    lab.table("t", *BY_NUMBER)
    statements = CHANGES[change]
    with closing(lab.connect()) as reader, reader.cursor() as cursor:

        def hold() -> None:
            cursor.execute("SELECT 1 FROM t WHERE FALSE")

        def do() -> None:
            reader.rollback()
            lab.run(*(s.format(t="t") for s in statements), *(s.format(t=lab.in_ledger("t")) for s in statements))

        waits = At(lambda event: isinstance(event, Waiting) and "free instant" in event.reason, do)
        ran = lab.apply("t", at=[At(phase("swap"), hold), waits])
    assert waits.seen
    ran.assert_outcome("failed")
    assert not [s for s in ran.statements() if "_t_retained" in s]
    lab.assert_equal("t")
    lab.apply("t").assert_outcome("done")
    lab.assert_done("t")


@pytest.mark.parametrize("how", ["TRUNCATE PARTITION p1", "DROP PARTITION p1", "EXCHANGE PARTITION p1 WITH TABLE {x}"])
def test_a_change_of_one_partition(lab: Lab, how: str) -> None:
    """TRUNCATE, DROP and EXCHANGE PARTITION fire no trigger and leave CREATE_TIME alone, and are noticed all the same."""
    partitions = "PARTITION p0 VALUES LESS THAN (1000), PARTITION p1 VALUES LESS THAN (2000), PARTITION p2 VALUES LESS THAN (9000)"
    lab.table(
        "t",
        f"(id INT NOT NULL PRIMARY KEY, v VARCHAR(80)) PARTITION BY RANGE (id) ({partitions})",
        f"SELECT n, REPEAT('x', 70) FROM ({NUMBERS.format(2500)}) AS many",
    )
    lab.run("CREATE TABLE x (id INT NOT NULL PRIMARY KEY, v VARCHAR(80))", f"CREATE TABLE {lab.ledger}.x LIKE x")

    def do() -> None:
        lab.run(f"ALTER TABLE t {how.format(x='x')}")
        lab.run(f"ALTER TABLE {lab.in_ledger('t')} {how.format(x=lab.ledger + '.x')}")

    lab.apply("t", at=[At(each(ChunkCopied), do, 2)]).assert_outcome("failed")
    lab.assert_equal("t")
    lab.apply("t").assert_outcome("done")
    lab.assert_done("t")


def test_a_table_in_the_system_tablespace_is_truncated(lab: Lab) -> None:
    """In ibdata1 TRUNCATE leaves the tablespace's number alone; it is noticed all the same."""
    lab.server.rows("SET GLOBAL innodb_file_per_table = OFF")
    try:
        lab.table("t", *BY_NUMBER)
    finally:
        lab.server.rows("SET GLOBAL innodb_file_per_table = ON")

    def do() -> None:
        lab.run("TRUNCATE TABLE t", f"TRUNCATE TABLE {lab.in_ledger('t')}")

    lab.apply("t", at=[At(each(ChunkCopied), do)]).assert_outcome("failed")
    lab.apply("t").assert_outcome("done")
    lab.assert_done("t")


@pytest.mark.parametrize("moment", ["copy", "verify", "swap"])
@pytest.mark.parametrize("again", [False, True], ids=["dropped", "made anew"])
def test_a_trigger_is_dropped(lab: Lab, moment: str, again: bool) -> None:
    """A trigger of ours that was dropped, or dropped and made again from its own text, voids the copy."""
    lab.table("t", *BY_NUMBER)
    trigger = f"_t_{'log' if moment == 'copy' else 'mirror'}_del"
    body = "SELECT ACTION_STATEMENT FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s AND TRIGGER_NAME = %s"

    def do() -> None:
        text = lab.value(body, lab.schema, trigger)
        lab.run(
            f"DROP TRIGGER {trigger}",
            "DELETE FROM t WHERE id = 300",
            f"DELETE FROM {lab.in_ledger('t')} WHERE id = 300",
        )
        if again:
            lab.run(f"CREATE TRIGGER {trigger} AFTER DELETE ON t FOR EACH ROW {text}")

    ran = lab.apply("t", at=[At(MOMENTS[moment], do)])
    ran.assert_outcome("person" if again else "failed")
    assert not lab.encrypted("t")
    lab.assert_equal("t")
    if again:  # it is not provably ours, so it is a person who drops it
        lab.run(f"DROP TRIGGER {trigger}")
        lab.apply("t").assert_outcome("failed")
    lab.apply("t").assert_outcome("done")
    lab.assert_done("t")


@pytest.mark.parametrize("how", ["DROP TABLE {t}", "RENAME TABLE {t} TO {y}"])
@pytest.mark.parametrize("moment", ["copy", "verify"])
def test_the_source_goes_away(lab: Lab, how: str, moment: str) -> None:
    """A table that is dropped or gets another name: the step fails, and triggers, shadow and log are taken away."""
    lab.table("t", *BY_NUMBER)
    ran = lab.apply("t", at=[At(MOMENTS[moment], lambda: lab.run(how.format(t="t", y="y")))])
    ran.assert_outcome("failed")
    assert "t is gone" in ran.step.message
    assert lab.names() == ({"y"} if "RENAME" in how else set())


def test_the_application_may_alter_another_table(lab: Lab) -> None:
    """DDL on other tables of the schema is nobody's business."""
    lab.table("t", *BY_NUMBER)
    lab.table("u", *BY_NUMBER)
    ran = lab.apply("t", at=[At(each(ChunkCopied), lambda: lab.run("ALTER TABLE u FORCE", "TRUNCATE TABLE u"))])
    ran.assert_outcome("done")
    lab.assert_done("t")


MIRRORED_ANYWAY = {
    "a row that is in the shadow already": ("INSERT INTO _t_shadow (id, u, v, w) VALUES (99999, 99999, 'x', 1)",),
    "a shadow that is gone": ("DROP TABLE _t_shadow",),
    "a shadow that lies elsewhere for a while": ("RENAME TABLE _t_shadow TO z",),
    "rows from before a TRUNCATE": ("TRUNCATE TABLE t",),
}


@pytest.mark.parametrize("change", MIRRORED_ANYWAY)
def test_what_cannot_be_mirrored_is_marked(lab: Lab, change: str) -> None:
    """The application's writes go on, without an error or a warning, and what they answer is right; nothing is swapped.

    It happens when all was checked but for the last look, within the swap's exclusive moment.
    """
    lab.table("t", *BY_NUMBER)
    answers: list[tuple[int, int, int]] = []
    upsert = (
        "INSERT INTO {t} (id, u, v, w) VALUES (99999, 99999, 'y', 2), (10, -1, 'z', 3) ON DUPLICATE KEY UPDATE w = 4"
    )
    with closing(lab.connect()) as reader, reader.cursor() as reading:

        def hold() -> None:
            reading.execute("SELECT 1 FROM t WHERE FALSE")

        def do() -> None:
            reader.rollback()
            lab.run(*MIRRORED_ANYWAY[change])
            if "TRUNCATE" in change:
                lab.run(f"TRUNCATE TABLE {lab.in_ledger('t')}")
            for table in ("t", lab.in_ledger("t")):
                with closing(lab.connect()) as application, application.cursor() as cursor:
                    made = cursor.execute(upsert.format(t=table))
                    answers.append((made, int(cursor.warning_count), int(cursor.lastrowid or 0)))
                    application.commit()
            if "for a while" in change:
                lab.run("RENAME TABLE z TO _t_shadow")

        waits = At(lambda event: isinstance(event, Waiting) and "free instant" in event.reason, do)
        ran = lab.apply("t", at=[At(phase("swap"), hold), waits])
    assert waits.seen
    ran.assert_outcome("failed")
    assert not [s for s in ran.statements() if "_t_retained" in s]
    assert answers[0] == answers[1]
    assert not lab.encrypted("t")
    lab.assert_equal("t")
    lab.apply("t").assert_outcome("done")
    lab.assert_done("t")


@pytest.mark.parametrize("moment", ["copy", "swap"])
def test_an_application_that_locks_its_tables(lab: Lab, moment: str) -> None:
    """LOCK TABLES locks what our triggers write to as well; only once that is dropped its write fails, until the run looks."""
    lab.table("t", *BY_NUMBER)
    answers: list[int] = []

    def write() -> None:
        with closing(lab.connect(autocommit=True)) as application, application.cursor() as cursor:
            cursor.execute("LOCK TABLES t WRITE")
            try:
                cursor.execute("UPDATE t SET w = w + 1 WHERE id = 20")
                answers.append(0)
            except pymysql.err.OperationalError as error:
                answers.append(int(error.args[0]))
            cursor.execute("UNLOCK TABLES")

    def do() -> None:
        write()
        lab.run(f"DROP TABLE _t_{'log' if moment == 'copy' else 'shadow'}")
        write()

    lab.apply("t", at=[At(MOMENTS[moment], do)]).assert_outcome("failed")
    write()
    assert answers == [0, 1100, 0]


def test_a_log_that_is_gone(lab: Lab) -> None:
    """Dropped while the copy runs: the application's writes go on, and the copy is begun anew."""
    lab.table("t", *BY_NUMBER)

    def do() -> None:
        lab.run("DROP TABLE _t_log")
        for table in ("t", lab.in_ledger("t")):
            lab.run(f"UPDATE {table} SET w = 5 WHERE id = 300", f"DELETE FROM {table} WHERE id = 310")

    lab.apply("t", at=[At(each(ChunkCopied), do)]).assert_outcome("failed")
    lab.assert_equal("t")
    lab.apply("t").assert_outcome("done")
    lab.assert_done("t")
