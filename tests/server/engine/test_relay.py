"""Tables that a copy by triggers cannot serve are encrypted by way of a tablespace, and nothing else about them changes."""

from __future__ import annotations

import threading
from contextlib import closing
from itertools import cycle
from time import monotonic

import pytest

from migrator.engine.cleanup import CleanupOptions, cleanup
from migrator.events import LegProgress
from migrator.model import Method
from tests.server.engine.kit import WEIRD, At, Crash, Lab, crash, ddl, each, name
from tests.server.engine.test_crash import Everywhere

SOME = f"(WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 900) SELECT n FROM c) AS many"


def family(lab: Lab, child: str = "child") -> None:
    """A parent and a child of it, which has nothing that a copy could keep."""
    lab.table("parent", "(id INT PRIMARY KEY, v INT)", f"SELECT n, n FROM {SOME}")
    lab.run(
        f"CREATE TABLE {name(child)} (p INT, note INT, twice INT AS (note * 2) VIRTUAL, n BIGINT NOT NULL AUTO_INCREMENT,"
        " KEY (n), KEY (twice), CONSTRAINT `positive %s` CHECK (note > 0),"
        " CONSTRAINT `fk %s` FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE ON UPDATE SET NULL) COMMENT='x %s'",
        f"CREATE TRIGGER `own %s` BEFORE INSERT ON {name(child)} FOR EACH ROW SET NEW.note = NEW.note + 1",
        f"ALTER TABLE {name(child)} ADD COLUMN late INT DEFAULT 7, ALGORITHM=INSTANT",
    )
    lab.run(f"INSERT INTO {name(child)} (p, note) SELECT n, n FROM {SOME}")
    lab.run(f"CREATE TABLE {lab.in_ledger(child)} AS SELECT p, note, twice, n, late FROM {name(child)}")


def big(lab: Lab) -> None:
    """A table without a key that the server moves for some seconds."""
    many = "n < 30000"
    with closing(lab.connect(autocommit=True)) as connection, connection.cursor() as cursor:
        cursor.execute("SET cte_max_recursion_depth = 1000000")
        cursor.execute("CREATE TABLE t (n INT, v VARCHAR(2000))")
        cursor.execute(f"INSERT INTO t SELECT n, REPEAT('x', 2000) FROM {SOME}".replace("n < 900", many))


def bare(create: str) -> str:
    """SHOW CREATE TABLE without what a relay may change."""
    return create.replace("/*!50100 TABLESPACE `innodb_file_per_table` */ ", "").replace(" ENCRYPTION='Y'", "")


@pytest.mark.parametrize("child", ["child", WEIRD], ids=["plain", "weird"])
def test_foreign_keys_triggers_checks_and_no_key(lab: Lab, child: str) -> None:
    """Parent and child come out encrypted; definitions, constraints, triggers and rows are what they were."""
    family(lab, child)
    before = {t: lab.show_create(t) for t in ("parent", child)}
    plan = lab.plan()
    assert {step.method for step in plan.steps} == {Method.TABLESPACE_RELAY}
    ran = lab.apply(plan=plan)
    assert ran.outcome.exit_code == 0, ran.outcome
    for table, create in before.items():
        assert lab.encrypted(table)
        assert bare(lab.show_create(table)) == create
    assert lab.contents(child) == lab.contents(child, lab.ledger)
    lab.run("DELETE FROM parent WHERE id = 5")
    assert not lab.rows(f"SELECT * FROM {name(child)} WHERE p = 5")
    assert lab.spaces() == []


def test_a_crash_and_a_stop_at_every_event(lab: Lab) -> None:
    """Whenever a run dies or is stopped, the next one goes on from where the table lies, and nothing is left behind."""
    family(lab)
    plan, everywhere, stop = lab.plan(), Everywhere(), threading.Event()
    ends = cycle((crash, stop.set))

    def end() -> None:
        next(ends)()

    while True:
        stop.clear()
        try:
            if lab.apply(plan=plan, at=[At(everywhere, end, nth=0)], stop=stop).outcome.exit_code == 0:
                break
        except Crash:
            pass
        lab.run(
            "INSERT INTO child (p, note) VALUES (1, 50)",
            f"INSERT INTO {lab.in_ledger('child')} (p, note, twice, n, late) SELECT p, note, twice, n, late FROM child WHERE n = (SELECT MAX(n) FROM child)",
        )
    words = " ".join(everywhere.places)
    for wanted in (
        "Starting CREATE TABLESPACE",
        "Done ALTER TABLESPACE",
        "innodb_file_per_table",
        "Done DROP TABLESPACE",
    ):
        assert wanted in words, wanted
    assert lab.encrypted("child")
    assert lab.encrypted("parent")
    assert lab.contents("child") == lab.contents("child", lab.ledger)
    assert lab.spaces() == []


@pytest.mark.parametrize(
    ("leg", "encrypted"), [("CREATE TABLESPACE", False), (" TABLESPACE = `migrator", False), ("ALTER TABLESPACE", True)]
)
def test_a_relay_that_is_abandoned(lab: Lab, leg: str, encrypted: bool) -> None:  # noqa: FBT001
    """The table lies in a file of its own again, as it was or encrypted by then, and the tablespace is gone."""
    family(lab)
    before = lab.show_create("child")
    with pytest.raises(Crash):
        lab.apply("child", at=[At(ddl(leg, done=True), crash)])
    assert lab.spaces() != []
    with closing(lab.session()) as session:
        (done,) = cleanup(session, CleanupOptions(abandon=(f"{lab.schema}.child",)), lambda event: None)
    assert done.action == "dropped"
    assert lab.spaces() == []
    assert lab.encrypted("child") is encrypted
    assert bare(lab.show_create("child")) == before
    assert lab.contents("child") == lab.contents("child", lab.ledger)


def test_a_new_plan_goes_on_with_a_relay(lab: Lab) -> None:
    """A plan made while a table lies in our tablespace, or was moved out of it already, finishes the relay."""
    family(lab)
    for end in (ddl("ALTER TABLESPACE"), ddl("innodb_file_per_table"), ddl("DROP TABLESPACE")):
        with pytest.raises(Crash):
            lab.apply("child", at=[At(end, crash)])
        assert all(step.kind == "table" for step in lab.plan("child").steps)
    lab.apply("child").assert_outcome("done")
    assert lab.encrypted("child")
    assert lab.spaces() == []


def test_the_end_of_a_move_waits_for_nobody_for_long(lab: Lab) -> None:
    """A transaction that stays open on the table when the server is ready: the work is thrown away, others go on."""
    big(lab)
    plan = lab.plan("t")
    with closing(lab.connect()) as holder, holder.cursor() as cursor:
        ran = lab.apply(plan=plan, at=[At(each(LegProgress), lambda: cursor.execute("SELECT * FROM t LIMIT 1"))])
        assert ran.step.outcome == "failed", ran.step
        assert "did not get the table" in ran.step.message
        began = monotonic()
        lab.run("INSERT INTO t VALUES (1, 'x')")
        assert monotonic() - began < 1.0
    assert not lab.encrypted("t")
    assert lab.apply(plan=plan).outcome.exit_code == 0
    assert lab.encrypted("t")
