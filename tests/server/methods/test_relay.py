"""Tables that a copy by triggers cannot serve are encrypted by way of a tablespace, and nothing else about them changes."""

from __future__ import annotations

import threading
from contextlib import closing
from itertools import cycle
from pathlib import Path
from time import monotonic

import pymysql
import pytest

from migrator.engine.cleanup import CleanupOptions, cleanup
from migrator.engine.rehearse import rehearse
from migrator.engine.status import read_status
from migrator.errors import Refused
from migrator.events import LegProgress, Waiting
from migrator.model import Method
from tests.server.engine.kit import VOUCHED, WEIRD, At, Crash, Lab, Row, crash, ddl, each, name, phase
from tests.server.engine.test_crash import Everywhere

SOME = "(WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 900) SELECT n FROM c) AS many"


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


def test_a_relay_that_was_begun_is_finished_whatever_a_new_plan_says(lab: Lab) -> None:
    """Its foreign key is dropped while it lies in our tablespace: the new plan would copy it, the run brings it home."""
    lab.run("CREATE TABLE parent (id INT PRIMARY KEY)")
    lab.run("CREATE TABLE t (id INT PRIMARY KEY, p INT, CONSTRAINT k FOREIGN KEY (p) REFERENCES parent (id))")
    with pytest.raises(Crash):
        lab.apply("t", at=[At(ddl(" TABLESPACE = `migrator", done=True), crash)])
    lab.run("ALTER TABLE t DROP FOREIGN KEY k")
    plan = lab.plan("t")
    assert [step.method for step in plan.steps] == [Method.SHADOW_COPY]
    ran = lab.apply(plan=plan)
    ran.assert_outcome("person")
    assert "its definition is not what it was when the step began" in ran.step.message
    assert lab.encrypted("t")
    assert lab.spaces() == []


def test_a_relay_that_was_begun_waits_where_a_person_says_skip(lab: Lab) -> None:
    """The plan is edited while the table lies in our tablespace, in clear: nothing is done with it until a plan wants it."""
    lab.run("CREATE TABLE t (v INT)")
    plan = lab.plan("t")
    with pytest.raises(Crash):
        lab.apply(plan=plan, at=[At(ddl(" TABLESPACE = `migrator", done=True), crash)])
    skip = plan.model_copy(update={"steps": tuple(s.model_copy(update={"method": Method.SKIP}) for s in plan.steps)})
    ran = lab.apply(plan=skip)
    ran.assert_outcome("left")
    assert ran.statements() == []
    assert not lab.encrypted("t")
    lab.apply(plan=plan).assert_outcome("done")
    assert lab.encrypted("t")
    assert lab.spaces() == []


@pytest.mark.parametrize("default", ["ON", "OFF"])
def test_a_right_for_what_is_not_as_the_default_says(lab: Lab, default: str) -> None:
    """Where it is checked TABLE_ENCRYPTION_ADMIN is asked for before anything is made, and is then all that is needed."""
    lab.run(f"ALTER SCHEMA {lab.schema} DEFAULT ENCRYPTION = 'Y'", "CREATE TABLE t (v INT) ENCRYPTION = 'N'")
    account = f"'{lab.dba.user}'@'%'"
    lab.run(
        f"SET GLOBAL default_table_encryption = {default}",
        "SET GLOBAL table_encryption_privilege_check = ON",
        f"REVOKE TABLE_ENCRYPTION_ADMIN ON *.* FROM {account}",
    )
    try:
        with pytest.raises(Refused, match="TABLE_ENCRYPTION_ADMIN"):
            lab.apply("t")
        assert lab.rows("SHOW DATABASES LIKE 'migrator'") == []
        lab.run(f"GRANT TABLE_ENCRYPTION_ADMIN ON *.* TO {account}")
        lab.apply("t").assert_outcome("done")
    finally:
        lab.run(
            "SET GLOBAL default_table_encryption = OFF",
            "SET GLOBAL table_encryption_privilege_check = OFF",
            f"GRANT TABLE_ENCRYPTION_ADMIN ON *.* TO {account}",
        )
    assert lab.encrypted("t")
    assert lab.spaces() == []


@pytest.mark.parametrize(
    ("leg", "encrypted"), [("CREATE TABLESPACE", False), (" TABLESPACE = `migrator", False), ("ALTER TABLESPACE", True)]
)
def test_a_relay_that_is_abandoned(lab: Lab, leg: str, encrypted: bool) -> None:
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
    """A transaction that is open on the table when the server is ready: the move is thrown away, others go on, and when
    it has ended the table is moved anew."""
    big(lab)
    with closing(lab.connect()) as holder, holder.cursor() as cursor:

        def others_go_on() -> None:
            began = monotonic()
            lab.run("INSERT INTO t VALUES (1, 'x')")
            assert monotonic() - began < 1.0
            holder.rollback()

        at = [
            At(each(LegProgress), lambda: cursor.execute("SELECT * FROM t LIMIT 1")),
            At(lambda event: isinstance(event, Waiting) and "begins anew" in event.reason, others_go_on),
        ]
        ran = lab.apply("t", at=at)
    ran.assert_outcome("done")
    assert at[1].seen == 1
    assert lab.encrypted("t")


def test_a_stop_ends_a_move_at_once(lab: Lab) -> None:
    """Ctrl-C within a move: the server takes the move back, the run ends as stopped, the next one begins it anew."""
    big(lab)
    stop, plan = threading.Event(), lab.plan("t")
    began: list[float] = []

    def end() -> None:
        began.append(monotonic())
        stop.set()

    ran = lab.apply(plan=plan, at=[At(each(LegProgress), end)], stop=stop)
    assert monotonic() - began[0] < 2.0
    ran.assert_outcome("stopped")
    assert not lab.encrypted("t")
    lab.apply(plan=plan).assert_outcome("done")
    assert lab.encrypted("t")


def test_too_many_writes_during_a_move(lab: Lab) -> None:
    """More writes than the server's log of a move holds: the move fails, the table is as it was, and the remedy is named."""
    big(lab)
    plan = lab.plan("t")
    before = lab.value("SELECT @@GLOBAL.innodb_online_alter_log_max_size")
    lab.run("SET GLOBAL innodb_online_alter_log_max_size = 65536")
    try:
        ran = lab.apply(
            plan=plan,
            at=[At(each(LegProgress), lambda: lab.run("INSERT INTO t SELECT n, REPEAT('z', 1900) FROM t LIMIT 8000"))],
        )
    finally:
        lab.run(f"SET GLOBAL innodb_online_alter_log_max_size = {before}")
    ran.assert_outcome("failed")
    assert "innodb_online_alter_log_max_size" in ran.step.message
    assert "SET PERSIST innodb_online_alter_log_max_size" in ran.step.remedy
    assert not lab.encrypted("t")
    lab.apply(plan=plan).assert_outcome("done")


def test_a_transaction_that_is_older_is_waited_for(lab: Lab) -> None:
    """A transaction that was open before the move reads the table as it was; after its end the move begins."""
    family(lab)
    with closing(lab.connect()) as reader, reader.cursor() as cursor:
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        seen: list[Row] = []

        def read_and_end() -> None:
            cursor.execute("SELECT COUNT(*) FROM child")
            seen.extend(cursor.fetchall())
            reader.rollback()

        at = [At(lambda event: isinstance(event, Waiting) and "older" in event.reason, read_and_end)]
        ran = lab.apply("child", at=at)
    ran.assert_outcome("done")
    assert seen == [(900,)]


def test_progress_is_told_and_noted(lab: Lab) -> None:
    """The stage of a move is told as events and in `status`; with the consumer enabled, so is how much is done."""
    big(lab)
    statuses: list[str] = []

    def look() -> None:
        with closing(lab.session()) as session:
            run = read_status(session).run
            assert run is not None
            statuses.extend(step.doing for step in run.steps)

    lab.run("UPDATE performance_schema.setup_consumers SET ENABLED = 'YES' WHERE NAME = 'events_stages_current'")
    try:
        ran = lab.apply("t", at=[At(each(LegProgress), look, nth=2)])
    finally:
        lab.run("UPDATE performance_schema.setup_consumers SET ENABLED = 'NO' WHERE NAME = 'events_stages_current'")
    ran.assert_outcome("done")
    told = ran.of(LegProgress)
    assert any(event.leg == "move in" and event.stage for event in told)
    assert any(event.work_done is not None and event.work_expected for event in told)
    assert statuses
    assert all("move" in one for one in statuses), statuses


def test_a_process_that_is_killed_in_a_move(lab: Lab, tmp_path: Path) -> None:
    """After SIGKILL within a move the next run ends what is left of it on the server and begins the leg anew."""
    big(lab)
    plan = lab.plan("t")
    with lab.process(plan, tmp_path, at="LegProgress", nth=1, lease=3.0) as run:
        assert run.wait(60) == -9, run.communicate()
    lab.apply_when_free(plan=plan).assert_outcome("done")
    assert lab.encrypted("t")
    assert lab.spaces() == []


def test_a_rehearsal_leaves_nothing(lab: Lab) -> None:
    """The three legs are played on an empty twin, also of a table whose name is too long for a copy with its CHECKs."""
    long = "n" * 58
    family(lab)
    lab.run(f"CREATE TABLE {long} (id INT PRIMARY KEY, a INT, CHECK (a > 0))")
    with closing(lab.session()) as session:
        review = rehearse(session, lab.plan(), attestations=VOUCHED, plan_name="plan", listen=lambda event: None)
    assert {step.method for step in review.steps} == {Method.TABLESPACE_RELAY}
    assert {step.rehearsal.result for step in review.steps} == {"ok"}, [step.rehearsal for step in review.steps]
    assert lab.spaces() == []
    assert not lab.rows("SHOW DATABASES LIKE 'migrator'")


def test_a_right_that_is_missing(lab: Lab) -> None:
    """Without CREATE TABLESPACE nothing is touched, and the GRANT is named."""
    family(lab)
    plan = lab.plan()
    lab.run(f"REVOKE CREATE TABLESPACE ON *.* FROM '{lab.dba.user}'@'%'")
    try:
        with pytest.raises(Refused, match="CREATE TABLESPACE") as refused:
            lab.apply(plan=plan)
        assert "GRANT CREATE TABLESPACE ON *.*" in refused.value.remedy
    finally:
        lab.run(f"GRANT CREATE TABLESPACE ON *.* TO '{lab.dba.user}'@'%'")
    assert not lab.encrypted("parent")


def test_families_of_all_kinds(lab: Lab) -> None:
    """Self-referencing, in a cycle, across schemas, with a parent in ibdata1: names, actions and rows stay."""
    lab.run(
        "CREATE TABLE tree (id INT PRIMARY KEY, up INT, CONSTRAINT t_up FOREIGN KEY (up) REFERENCES tree (id) ON DELETE SET NULL)",
        "INSERT INTO tree VALUES (1, NULL), (2, 1), (3, 2)",
        "CREATE TABLE a (id INT PRIMARY KEY, b INT)",
        "CREATE TABLE b (id INT PRIMARY KEY, a INT, CONSTRAINT b_a FOREIGN KEY (a) REFERENCES a (id) ON UPDATE CASCADE)",
        "ALTER TABLE a ADD CONSTRAINT a_b FOREIGN KEY (b) REFERENCES b (id)",
        "INSERT INTO a VALUES (1, NULL)",
        "INSERT INTO b VALUES (1, 1)",
        "UPDATE a SET b = 1",
        "CREATE TABLE old (id INT PRIMARY KEY) TABLESPACE innodb_system",
        "INSERT INTO old VALUES (1)",
        f"CREATE TABLE {lab.in_ledger('far')} (id INT PRIMARY KEY, CONSTRAINT far_old FOREIGN KEY (id)"
        f" REFERENCES {name(lab.schema)}.old (id) ON DELETE CASCADE)",
        f"INSERT INTO {lab.in_ledger('far')} VALUES (1)",
        "CREATE TABLE grow (a INT) AUTOEXTEND_SIZE=4M ROW_FORMAT=COMPACT",
    )
    tables = ("tree", "a", "b", "old", "grow")
    before = {t: lab.show_create(t) for t in tables}
    ran = lab.apply()
    assert ran.outcome.exit_code == 0, ran.outcome
    for table in tables:
        assert lab.encrypted(table)
        after = lab.show_create(table)
        assert bare(after) == before[table].replace("/*!50100 TABLESPACE `innodb_system` */ ", ""), after
    lab.run("DELETE FROM tree WHERE id = 2", "DELETE FROM old")
    assert lab.rows("SELECT id, up FROM tree") == [(1, None), (3, None)]
    assert lab.rows(f"SELECT * FROM {lab.in_ledger('far')}") == []
    with pytest.raises(pymysql.err.IntegrityError):
        lab.run("DELETE FROM b")


def test_a_table_that_somebody_moved_into_a_tablespace_of_theirs(lab: Lab) -> None:
    """Between two legs a person moves the table elsewhere: nothing more is done to it, and what is ours goes away."""
    family(lab)
    theirs = f"theirs_{lab.schema}"
    encrypted = "SELECT 1 FROM information_schema.INNODB_TABLESPACES WHERE NAME = %s AND ENCRYPTION = 'Y'"
    lab.run(f"CREATE TABLESPACE {theirs}")
    try:
        move = At(phase("encrypt"), lambda: lab.run(f"ALTER TABLE child TABLESPACE = {theirs}"))
        ran = lab.apply("child", at=[move])
        ran.assert_outcome("failed")
        assert theirs in ran.step.message
        assert not lab.rows(encrypted, theirs)
        with closing(lab.session()) as session:
            cleanup(session, CleanupOptions(abandon=(f"{lab.schema}.child",)), lambda event: None)
        assert lab.spaces() == []
        lab.run("ALTER TABLE child TABLESPACE = innodb_file_per_table")
        lab.apply("child").assert_outcome("done")
    finally:
        lab.run("DROP TABLE child", f"DROP TABLESPACE {theirs}")


def test_a_definition_that_is_not_what_it_was(lab: Lab) -> None:
    """Altered while the table was in our tablespace and no run was at work: encrypted all the same, and said with exit
    code 4, once; afterwards there is nothing left to do."""
    family(lab)
    with pytest.raises(Crash):
        lab.apply("child", at=[At(ddl("ALTER TABLESPACE", done=True), crash)])
    lab.run("ALTER TABLE child COMMENT = 'another one'")
    plan = lab.plan("child")
    ran = lab.apply(plan=plan)
    ran.assert_outcome("person")
    assert "not what it was when the step began" in ran.step.message
    assert lab.encrypted("child")
    assert lab.spaces() == []
    lab.apply("child").assert_outcome("skipped")


@pytest.mark.parametrize("often", [False, True], ids=["once", "again and again"])
def test_a_duplicate_during_a_move(lab: Lab, often: bool) -> None:
    """INSERT IGNORE of a duplicate in a unique index throws the move away, and is not hurt itself: the move is begun
    anew; three times in vain, and the run ends with the table as it was, and says why."""
    big(lab)
    lab.run("ALTER TABLE t ADD UNIQUE KEY (n)")
    answers: list[int] = []

    def meet() -> None:
        answers.append(lab.run_one("INSERT IGNORE INTO t VALUES (5, 'x')"))

    plan = lab.plan("t")
    assert any(finding.code == "relay-duplicates" for finding in plan.steps[0].findings)
    ran = lab.apply(plan=plan, at=[At(each(LegProgress), meet, nth=0 if often else 1)])
    assert set(answers) == {0}
    begun = [event for event in ran.of(Waiting) if "1062" in event.reason]
    assert len(begun) == (3 if often else 1)
    assert lab.encrypted("t") is not often
    if often:
        ran.assert_outcome("failed")
        assert "1062" in ran.step.message
        assert "INSERT IGNORE" in ran.step.remedy
        ran = lab.apply(plan=plan)
    ran.assert_outcome("done")
    assert lab.rows("SELECT COUNT(*) = COUNT(DISTINCT n) FROM t") == [(1,)]


def test_a_multi_valued_index_is_refused(lab: Lab) -> None:
    """The server's online move of such a table fails under writes (1034), so it is not begun; without what needs a relay
    the table is copied."""
    lab.run(
        "CREATE TABLE m (id INT PRIMARY KEY, j JSON, KEY ((CAST(j->'$.b' AS UNSIGNED ARRAY))))",
        "INSERT INTO m VALUES (1, '{\"b\": [1, 2]}')",
    )
    assert lab.plan("m").steps[0].method is Method.SHADOW_COPY
    lab.run("CREATE TRIGGER own BEFORE INSERT ON m FOR EACH ROW SET @own = 1")
    (step,) = lab.plan("m").steps
    assert step.method is Method.REFUSE
    assert any("multi-valued" in finding.message for finding in step.findings)


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TRIGGER theirs AFTER DELETE ON child FOR EACH ROW SET @a = 1",
        "ALTER TABLE child COMMENT = 'another one'",
        "ALTER TABLE child DROP FOREIGN KEY `fk %s`",
    ],
    ids=["trigger", "definition", "foreign key"],
)
def test_somebody_changes_the_table_within_a_leg(lab: Lab, change: str) -> None:
    """As soon as the server lets others at the table: the leg is done, and the run ends and says that."""
    family(lab)
    ran = lab.apply("child", at=[At(ddl(" TABLESPACE = `migrator", done=True), lambda: lab.run(change))])
    ran.assert_outcome("failed")
    assert "something else than its tablespace changed during move in" in ran.step.message
    assert not lab.encrypted("child")
