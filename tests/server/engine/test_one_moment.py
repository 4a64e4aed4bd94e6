"""A small table that nobody writes to: compared and swapped in within one moment, or else copied like a large one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from migrator.engine import one_moment
from migrator.engine.journal import Journal
from migrator.events import ChunkCopied, DdlStarting, Moment, PhaseStarted, StepEnded, Waiting
from tests.proxy import Proxy
from tests.server.engine.kit import SMALL, WEIRD, At, Beside, Crash, Lab, Ran, When, crash, ddl, each, name
from tests.server.engine.test_crash import Everywhere
from tests.server.engine.test_link import through
from tests.server.engine.test_rows import NUMBERS
from tests.servers import until

BRIEF = SMALL.model_copy(update={"one_moment_bytes": 2 * 2**20})
"""Small tables in one moment, as a plan has it by default."""

DEFINITION = (
    "(id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, v VARCHAR(40) COLLATE utf8mb4_0900_ai_ci, n INT, b TEXT,"
    " twice INT AS (n * 2) STORED, UNIQUE KEY (n), KEY (v, n), FULLTEXT KEY (b))"
)
ROWS = f"(id, v, n, b) SELECT n, CONCAT('v', n), -n, 'some words' FROM ({NUMBERS.format(700)}) AS many"

COPIED: When = each(ChunkCopied)
"""The copy is committed, nothing is locked."""


OLDER: When = lambda event: isinstance(event, Waiting) and "older than the copy" in event.reason  # noqa: E731
"""The copy is all made, and a transaction is in its way."""


def resting(lab: Lab, table: str) -> None:
    """Return when the last change of the table lies in a second that is over."""
    with closing(lab.connect(init_command="SET information_schema_stats_expiry = 0")) as looker:

        def rests() -> bool:
            with looker.cursor() as cursor:
                cursor.execute(
                    "SELECT COALESCE(MAX(UPDATE_TIME) < NOW(), TRUE) FROM information_schema.TABLES"
                    " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s",
                    (table,),
                )
                return bool((cursor.fetchone() or (0,))[0])

        until(rests, "the table is at rest")


def into_both(lab: Lab, rows: str) -> tuple[str, str]:
    """Statements that fill table and ledger behind the back of the table's statistics."""
    insert = "INSERT /*+ SET_VAR(cte_max_recursion_depth = 100000) */ INTO"
    return f"{insert} t {rows}", f"{insert} {lab.in_ledger('t')} {rows}"


def in_one_moment(ran: Ran) -> bool:
    """Nothing else was tried, or needed."""
    return {event.phase for event in ran.of(PhaseStarted)} == {"one moment"}


def like_a_large_one(ran: Ran) -> bool:
    """It was tried, nothing came of it, and the table was copied with triggers."""
    phases = [event.phase for event in ran.of(PhaseStarted)]
    return phases[:2] == ["one moment", "build"] and phases[-1] == "clean"


@pytest.mark.parametrize("table", ["t", WEIRD])
def test_no_trigger_and_one_moment(lab: Lab, table: str) -> None:
    """The copy, one exclusive moment with the comparison and the RENAME, and nothing else that anybody could notice."""
    lab.table(table, DEFINITION, ROWS)
    lab.run(f"DELETE FROM {name(table)} WHERE id > 690", f"DELETE FROM {lab.in_ledger(table)} WHERE id > 690")
    counter = lab.value("SELECT 1 FROM information_schema.TABLES LIMIT 1") and lab.show_create(table)
    resting(lab, table)
    ran = lab.apply(table, defaults=BRIEF)
    ran.assert_outcome("done")
    assert in_one_moment(ran)
    assert not [s for s in ran.statements() if "TRIGGER" in s]
    (moment,) = ran.of(Moment)
    assert moment.purpose == "compare and swap"
    assert ran.step.rows == 690
    assert ran.step.retained is not None
    assert "AUTO_INCREMENT=701" in counter
    assert "AUTO_INCREMENT=701" in lab.show_create(table)
    assert lab.rows("SELECT * FROM migrator.objects WHERE kind <> 'retained'") == []
    lab.assert_done(table)


def test_statistics_are_fresh(lab: Lab) -> None:
    """The first query after the swap gets a plan from the whole table."""
    lab.table("t", DEFINITION, ROWS)
    resting(lab, "t")
    assert in_one_moment(lab.apply("t", defaults=BRIEF))
    statistics = "SELECT n_rows FROM mysql.innodb_table_stats WHERE database_name = DATABASE() AND table_name = 't'"
    assert lab.value(statistics) == 700


CHANGES = {
    "an update": ("UPDATE {t} SET v = 'changed' WHERE id = 5",),
    "an insert": ("INSERT INTO {t} (v, n) VALUES ('new', 5)",),
    "a delete": ("DELETE FROM {t} WHERE id = 300",),
    "changed and changed back": ("UPDATE {t} SET v = 'x' WHERE id = 5", "UPDATE {t} SET v = 'v5' WHERE id = 5"),
    "a letter's case": ("UPDATE {t} SET v = 'V5' WHERE id = 5",),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whoever_writes_meanwhile_loses_nothing(lab: Lab, change: str) -> None:
    """What is written after the copy is not in it: nothing is swapped, and the table is copied with triggers."""
    lab.table("t", DEFINITION, ROWS)
    resting(lab, "t")
    with lab.application("t") as app:
        ran = lab.apply("t", defaults=BRIEF, at=[At(COPIED, lambda: app.write(*CHANGES[change]))])
    ran.assert_outcome("done")
    assert like_a_large_one(ran)
    lab.assert_done("t")


def test_what_is_written_in_the_same_second_counts_as_written_meanwhile(lab: Lab) -> None:
    """The server knows the time of the last change in seconds: a table that was written to right now is no small one."""
    lab.table("t", DEFINITION, ROWS)
    with lab.application("t") as app:
        writing = At(
            lambda event: isinstance(event, PhaseStarted) and event.phase == "one moment",
            lambda: app.write("UPDATE {t} SET v = 'right now' WHERE id = 5"),
        )
        ran = lab.apply("t", defaults=BRIEF, at=[writing])
    ran.assert_outcome("done")
    assert like_a_large_one(ran)
    assert not [s for s in ran.statements() if "_moment` LIKE" in s]
    lab.assert_done("t")


@pytest.mark.parametrize("zone", ["-11:00", "+00:00", "+13:00"])
def test_the_time_of_a_change_is_in_the_zone_of_who_asks(lab: Lab, zone: str) -> None:
    """Whatever zone the server is in, the last change and the present are told in ours."""
    lab.table("t", DEFINITION, ROWS)
    with closing(lab.connect(init_command="SET information_schema_stats_expiry = 0")) as one, one.cursor() as cursor:
        cursor.execute(f"SET time_zone = '{zone}'")
        cursor.execute("UPDATE t SET v = 'now' WHERE id = 5")
        one.commit()
        cursor.execute(
            "SELECT TIMESTAMPDIFF(SECOND, UPDATE_TIME, NOW()) FROM information_schema.TABLES"
            " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 't'"
        )
        assert cursor.fetchone() in {(0,), (1,), (2,)}


def test_who_began_between_a_change_and_its_taking_back_reads_what_was_true_then(lab: Lab) -> None:
    """The comparison alone would call the tables equal, and this transaction would read a value of another time.

    It began after those that the swap waits for, and has not used the table yet: nothing else keeps the swap off.
    """
    lab.table("t", DEFINITION, ROWS)
    resting(lab, "t")
    with ExitStack() as stack:
        app = stack.enter_context(lab.application("t"))
        old, other = (stack.enter_context(closing(lab.connect())) for _ in range(2))
        cursor = stack.enter_context(other.cursor())
        old.query("START TRANSACTION WITH CONSISTENT SNAPSHOT")

        def change_and_back() -> None:
            app.write("UPDATE {t} SET v = 'between' WHERE id = 5")
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
            app.write("UPDATE {t} SET v = 'v5' WHERE id = 5")
            old.rollback()

        def look() -> None:
            cursor.execute("SELECT v FROM t WHERE id = 5")
            assert cursor.fetchone() == ("between",)
            other.rollback()

        mirrored = At(lambda event: isinstance(event, PhaseStarted) and event.phase == "mirror", look)
        ran = lab.apply("t", defaults=BRIEF, at=[At(OLDER, change_and_back), mirrored])
        if not mirrored.seen:  # it was swapped in one moment, and must read the same
            look()
    ran.assert_outcome("done")
    assert like_a_large_one(ran)
    lab.assert_done("t")


PLANTED = {
    "a row is missing": "DELETE FROM {s} WHERE id = 450",
    "a row too many": "INSERT INTO {s} (id, n) VALUES (9999, 1)",
    "another value": "UPDATE {s} SET v = UPPER(v) WHERE id = 450",
    "another default": "ALTER TABLE {s} ALTER COLUMN n SET DEFAULT 7",
}


@pytest.mark.parametrize("planted", PLANTED)
def test_a_copy_that_is_not_the_table_is_not_swapped_in(lab: Lab, planted: str) -> None:
    """Whatever is wrong with the copy, the comparison under the lock finds it."""
    lab.table("t", DEFINITION, ROWS)
    resting(lab, "t")

    def plant() -> None:
        shadow = lab.value("SELECT CONCAT('migrator.', name) FROM migrator.objects WHERE kind = 'shadow'")
        lab.run_one(PLANTED[planted].replace("{s}", shadow))

    with closing(lab.connect()) as old, old.cursor() as cursor:
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        ran = lab.apply("t", defaults=BRIEF, at=[At(OLDER, plant), At(OLDER, old.rollback)])
    ran.assert_outcome("done")
    assert like_a_large_one(ran)
    lab.assert_done("t")


DEFINED = {
    "a default": "ALTER TABLE t ALTER COLUMN n SET DEFAULT 7",
    "a trigger": "CREATE TRIGGER theirs BEFORE UPDATE ON t FOR EACH ROW SET NEW.v = NEW.v",
    "a child": "CREATE TABLE child (n INT, FOREIGN KEY (n) REFERENCES t (n))",
}


@pytest.mark.parametrize("what", DEFINED)
def test_a_table_that_is_altered_meanwhile_is_not_swapped(lab: Lab, what: str) -> None:
    """A column, a trigger or a foreign key that came after the copy would be lost with the old table."""
    lab.table("t", DEFINITION, ROWS)
    resting(lab, "t")
    ran = lab.apply("t", defaults=BRIEF, at=[At(COPIED, lambda: lab.run(DEFINED[what]))])
    ran.assert_outcome("failed")
    assert not [s for s in ran.statements() if "_t_retained" in s]
    assert not lab.encrypted("t")
    assert lab.names() - {"child", "theirs"} == {"t"}


def test_a_definition_that_is_changed_while_the_copy_waits(lab: Lab) -> None:
    """A default that came after the copy was made, and nothing else: the copy with the old one is not swapped in."""
    lab.table("t", DEFINITION, ROWS)
    resting(lab, "t")
    with closing(lab.connect()) as old, old.cursor() as cursor:
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        at = [At(OLDER, lambda: lab.run(DEFINED["a default"])), At(OLDER, old.rollback)]
        ran = lab.apply("t", defaults=BRIEF, at=at)
    ran.assert_outcome("failed")
    assert not lab.encrypted("t")
    assert "DEFAULT '7'" in lab.show_create("t")
    lab.assert_equal("t")


def test_a_number_that_was_given_while_the_copy_waits_is_not_given_again(lab: Lab) -> None:
    """An INSERT that was rolled back has used its number up, as it would have without us."""
    lab.table("t", DEFINITION, ROWS)
    resting(lab, "t")

    def insert_and_roll_back() -> None:
        with closing(lab.connect()) as app, app.cursor() as cursor:
            cursor.execute("INSERT INTO t (v, n) VALUES ('a', 1), ('b', 2), ('c', 3)")
            app.rollback()

    with closing(lab.connect()) as old, old.cursor() as cursor:
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        ran = lab.apply("t", defaults=BRIEF, at=[At(OLDER, insert_and_roll_back), At(OLDER, old.rollback)])
    ran.assert_outcome("done")
    assert "AUTO_INCREMENT=704" in lab.show_create("t")
    lab.assert_done("t")


def test_the_number_of_rows_is_counted_not_believed(lab: Lab) -> None:
    """Statistics that call a table small do not make it small: it is copied with triggers, and nobody waits."""
    lab.table("t", "(id INT PRIMARY KEY, v VARCHAR(10)) STATS_AUTO_RECALC = 0")
    for n in range(3):
        rows = f"SELECT n + {n * 9000}, 'v' FROM ({NUMBERS.format(9000)}) AS many"
        lab.run(*into_both(lab, rows))
    lab.run(
        "UPDATE mysql.innodb_table_stats SET n_rows = 5 WHERE database_name = DATABASE() AND table_name = 't'",
        "FLUSH TABLES t",
    )
    resting(lab, "t")
    ran = lab.apply("t", defaults=BRIEF)
    ran.assert_outcome("done")
    assert like_a_large_one(ran)
    assert ran.of(Moment)[0].purpose == "log triggers"
    lab.assert_done("t")


def test_the_size_of_the_file_is_believed_more_than_statistics(lab: Lab) -> None:
    """A few rows of megabytes each: it is not even tried."""
    lab.table("t", "(id INT PRIMARY KEY, v LONGTEXT) STATS_AUTO_RECALC = 0")
    rows = f"SELECT n, REPEAT('x', 1500000) FROM ({NUMBERS.format(14)}) AS many"
    lab.run(*into_both(lab, rows))
    resting(lab, "t")
    ran = lab.apply("t", defaults=BRIEF)
    ran.assert_outcome("done")
    assert not [s for s in ran.statements() if "_moment`" in s]
    lab.assert_done("t")


def test_a_comparison_that_takes_too_long_is_ended(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the reason, others wait no longer than that: the moment is given back, and the table copied with triggers."""
    monkeypatch.setattr(one_moment, "LONGEST_COMPARISON_SECONDS", 0.001)
    lab.table("t", "(id INT PRIMARY KEY, v VARCHAR(100)) STATS_AUTO_RECALC = 0")
    rows = f"SELECT n, REPEAT('v', 60) FROM ({NUMBERS.format(19_000)}) AS many"
    lab.run("SET cte_max_recursion_depth = 100000", *into_both(lab, rows))
    resting(lab, "t")
    ran = lab.apply("t", defaults=BRIEF)
    ran.assert_outcome("done")
    assert like_a_large_one(ran)
    assert ran.of(Moment)[0].purpose == "compare and swap"
    lab.assert_done("t")


@pytest.mark.parametrize("off", [{"one_moment_bytes": 0}, {"one_moment_bytes": 16384}, {"rollback_hours": 1}])
def test_the_plan_decides(lab: Lab, off: dict[str, int]) -> None:
    """0 turns it off, a larger table has its triggers, and so has one whose old table is to be kept current."""
    lab.table("t", DEFINITION, ROWS)
    resting(lab, "t")
    ran = lab.apply("t", defaults=BRIEF.model_copy(update=off))
    ran.assert_outcome("done")
    assert [s for s in ran.statements() if "_t_mirror_upd" in s]
    assert not [s for s in ran.statements() if "_moment`" in s]
    lab.apply("t", defaults=BRIEF)


def test_the_swap_waits_for_an_old_snapshot(lab: Lab) -> None:
    """A transaction that began before the copy finds all of its rows, and not an empty table."""
    lab.table("t", DEFINITION, ROWS)
    resting(lab, "t")
    seen: list[object] = []
    with closing(lab.connect()) as old, old.cursor() as cursor:
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")

        def read_and_end() -> None:
            cursor.execute("SELECT COUNT(*) FROM t")
            seen.append(cursor.fetchone())
            old.rollback()

        ran = lab.apply("t", defaults=BRIEF, at=[At(OLDER, read_and_end)])
    ran.assert_outcome("done")
    assert seen == [(700,)]
    assert in_one_moment(ran)
    lab.assert_done("t")


def test_a_crash_at_every_event(lab: Lab) -> None:
    """A run that dies at any event is gone on with, the application writing in between, and no row is lost."""
    lab.table("t", DEFINITION, ROWS)
    everywhere, plan = Everywhere(), lab.plan("t", defaults=BRIEF)
    with lab.application("t") as app:
        while True:
            resting(lab, "t")
            try:
                ran = lab.apply(plan=plan, at=[At(everywhere, crash, nth=0)])
                break
            except Crash:
                n = len(everywhere.places)
                app.write(
                    f"UPDATE {{t}} SET v = 'after run {n}' WHERE id = {n}", f"DELETE FROM {{t}} WHERE id = {600 + n}"
                )
    assert ran.outcome.exit_code == 0
    words = " ".join(everywhere.places)
    for wanted in ("Done CREATE TABLE", "ChunkCopied", "Starting RENAME", "Done RENAME", "Retained"):
        assert wanted in words, f"no run was ended at {wanted}"
    assert "TRIGGER" not in words
    assert lab.rows("SELECT * FROM migrator.objects WHERE kind <> 'retained'") == []
    assert lab.value("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_NAME LIKE 'step\\_%'") == 0
    lab.assert_done("t")


@pytest.fixture
def proxy(lab: Lab) -> Iterator[Proxy]:
    """A proxy before the server."""
    with Proxy(lab.server.server.host, lab.server.server.port) as running:
        yield running


CUTS = {
    "begin of the copy": "CREATE TABLE `migrator`.`step_",
    "the rows": "INSERT INTO `migrator`.`step_",
    "locks": "AS origin READ",
    "the comparison": "MAX_EXECUTION_TIME",
    "RENAME": "RENAME TABLE `{s}`.`t`",
    "unlock": "UNLOCK TABLES",
    "what is noted of the old table": "DELETE FROM `migrator`.objects WHERE step_id",
    "how long the old table is kept": "INTERVAL 604800 SECOND",
}


@pytest.mark.parametrize("executed", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("cut", CUTS)
def test_the_connection_is_cut(lab: Lab, proxy: Proxy, cut: str, executed: bool) -> None:
    """Cut right before a statement reaches the server, or right after it was executed: the run goes on by itself."""
    lab.table("t", DEFINITION, ROWS)
    resting(lab, "t")
    proxy.cut(CUTS[cut].format(s=lab.schema), executed=executed, nth=1)
    ran = lab.apply("t", session=through(lab, proxy), defaults=BRIEF)
    assert proxy.cuts == 1, "nothing was cut"
    ran.assert_outcome("done")
    lab.assert_done("t")


def test_a_run_that_dies_between_its_notes(lab: Lab) -> None:
    """A run ends before its notes, the next one between the two that it has: the third one only closes the step."""
    lab.table("t", DEFINITION, ROWS)
    resting(lab, "t")
    lab.apply("t9", defaults=BRIEF)  # of no tables: makes the journal
    lab.run(
        "CREATE TRIGGER migrator.no_end BEFORE UPDATE ON migrator.steps FOR EACH ROW"
        " IF NEW.state = 'swapped' THEN SIGNAL SQLSTATE '45000'; END IF"
    )
    for noted in ("shadow", "retained"):
        lab.apply("t", defaults=BRIEF).assert_outcome("failed")
        with lab.session() as session:
            assert [one.kind for one in Journal().owned(session)] == [noted]
    lab.run("DROP TRIGGER migrator.no_end")
    assert lab.encrypted("t")
    ran = lab.apply("t", defaults=BRIEF)
    ran.assert_outcome("done")
    assert not ran.of(PhaseStarted)
    assert ran.step.retained is not None
    lab.assert_done("t")


def test_a_run_that_dies_after_it_dropped_its_copy(lab: Lab) -> None:
    """It ends before it has noted that the copy is gone: the next run takes the table for neither swapped nor lost."""
    lab.table("t", DEFINITION, ROWS)
    resting(lab, "t")
    lab.apply("t9", defaults=BRIEF)  # of no tables: makes the journal
    lab.run(
        "CREATE TRIGGER migrator.no_forgetting BEFORE UPDATE ON migrator.steps FOR EACH ROW"
        " IF OLD.shadow_ids <> '' AND NEW.shadow_ids = '' THEN SIGNAL SQLSTATE '45000'; END IF"
    )
    with lab.application("t") as app:
        write = At(COPIED, lambda: app.write("UPDATE {t} SET v = 'changed' WHERE id = 5"))
        lab.apply("t", defaults=BRIEF, at=[write]).assert_outcome("failed")
    assert write.seen
    assert lab.value("SELECT COUNT(*) FROM migrator.steps WHERE shadow_ids <> ''") == 1
    assert lab.value("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_NAME LIKE 'step\\_%'") == 0
    lab.run("DROP TRIGGER migrator.no_forgetting")
    resting(lab, "t")
    ran = lab.apply("t", defaults=BRIEF)
    ran.assert_outcome("done")
    assert in_one_moment(ran)
    lab.assert_done("t")


def test_a_source_that_is_truncated_after_an_attempt_in_vain(lab: Lab) -> None:
    """Nothing that the attempt left makes the next run ask for a person."""
    lab.table("t", DEFINITION, ROWS)
    resting(lab, "t")
    with lab.application("t") as app:
        write = At(COPIED, lambda: app.write("UPDATE {t} SET v = 'changed' WHERE id = 5"))
        end = At(lambda event: isinstance(event, PhaseStarted) and event.phase == "build", crash)
        with pytest.raises(Crash):
            lab.apply("t", defaults=BRIEF, at=[write, end])
    lab.run("TRUNCATE t", f"TRUNCATE {lab.in_ledger('t')}")
    for _ in range(2):  # the first finds that it has changed, and begins anew at the latest with the second
        ran = lab.apply("t", defaults=BRIEF)
        assert ran.step.outcome in {"done", "failed"}, ran.step.message
    ran.assert_outcome("done")
    lab.assert_done("t")


def test_a_paused_run_begins_no_small_table(lab: Lab) -> None:
    """A pause holds for what is done in one moment, too: not even a copy is made; afterwards it goes on."""
    for table in ("t1", "t2", "t3"):
        lab.table(table, DEFINITION, ROWS)
    for table in ("t1", "t2", "t3"):
        resting(lab, table)
    encrypted: list[bool] = []
    begun: list[int] = []
    with closing(lab.session()) as control, ExitStack() as stack:

        def pause() -> None:
            Journal().pause(control, paused=True)
            until(lab.pause_is_noticed, "the pause is noticed")

        def look_and_go_on() -> None:
            encrypted.extend(lab.encrypted(table) for table in ("t1", "t2", "t3"))
            begun.append(lab.value("SELECT COUNT(*) FROM migrator.objects WHERE kind = 'shadow'"))
            with closing(lab.session()) as other:
                Journal().pause(other, paused=False)

        ended = At(each(StepEnded), pause)
        paused = At(
            lambda event: isinstance(event, Waiting) and "paused" in event.reason,
            lambda: stack.enter_context(Beside(look_and_go_on)),
        )
        ran = lab.apply("t1", "t2", "t3", defaults=BRIEF, at=[ended, paused])
    assert [step.outcome for step in ran.outcome.steps] == ["done"] * 3
    assert encrypted == [True, False, False]
    assert begun == [0]
    for table in ("t1", "t2", "t3"):
        lab.assert_done(table)


def test_a_run_that_goes_on_with_another_plan(lab: Lab) -> None:
    """What a run left of a copy for one moment is taken away when the next plan wants none."""
    lab.table("t", DEFINITION, ROWS)
    resting(lab, "t")
    with pytest.raises(Crash):
        lab.apply("t", defaults=BRIEF, at=[At(COPIED, crash)])
    assert lab.value("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_NAME LIKE 'step\\_%'") == 1
    ran = lab.apply("t")
    ran.assert_outcome("done")
    assert "build" in {event.phase for event in ran.of(PhaseStarted)}
    assert lab.value("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_NAME LIKE 'step\\_%'") == 0
    lab.assert_done("t")


def test_a_copy_with_triggers_is_not_begun_anew(lab: Lab) -> None:
    """A table that an earlier run had begun to copy with triggers goes on so, small or not."""
    lab.table("t", DEFINITION, ROWS)
    with pytest.raises(Crash):
        lab.apply("t", at=[At(ddl("`_t_log`", done=True), crash)])
    resting(lab, "t")
    ran = lab.apply("t", defaults=BRIEF)
    ran.assert_outcome("done")
    assert "one moment" not in {event.phase for event in ran.of(PhaseStarted)}
    lab.assert_done("t")


def test_tables_side_by_side(lab: Lab) -> None:
    """Several at a time, one of them written to: each is what it was, encrypted."""
    tables = [f"t{n}" for n in range(6)]
    for table in tables:
        lab.table(table, DEFINITION, ROWS)
    for table in tables:
        resting(lab, table)
    over = threading.Event()
    with lab.application("t3") as app:
        ran = lab.apply(
            *tables,
            defaults=BRIEF.model_copy(update={"small_tables_at_once": 4}),
            at=[
                At(
                    lambda event: isinstance(event, ChunkCopied) and event.subject.endswith(".t3"),
                    lambda: app.write("UPDATE {t} SET v = 'changed' WHERE id = 5"),
                )
            ],
        )
    over.set()
    assert [step.outcome for step in ran.outcome.steps] == ["done"] * 6
    triggers = {event.subject for event in ran.of(DdlStarting) if "TRIGGER" in event.statement}
    assert triggers == {f"{lab.schema}.t3"}
    for table in tables:
        lab.assert_done(table)
