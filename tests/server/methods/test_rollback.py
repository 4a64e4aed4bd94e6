"""A swap is taken back with everything that was written since, or it is said that it cannot be; no write ever fails."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pymysql
import pytest

from migrator.db import Session
from migrator.engine.cleanup import CleanupOptions, cleanup
from migrator.engine.journal import Journal
from migrator.engine.rollback import RollbackOptions, rollback
from migrator.engine.status import read_status
from migrator.errors import Failed, Mismatch, OwnerUnknown, Refused, Stopped, UsageError
from migrator.events import DdlDone, DdlStarting, Event, Moment, Noticed, Waiting
from migrator.planner.plan import Defaults
from migrator.report.status import status_text
from migrator.report.values import Cleaned, RetainedTable, TakenBack
from migrator.sql.table import comparable
from tests.server.engine.kit import SMALL, WEIRD, At, Beside, Crash, Lab, crash, ddl, phase
from tests.server.engine.test_application import MOST_VICTIMS, STATEMENTS, Shop, answers
from tests.server.engine.test_crash import Everywhere
from tests.server.engine.test_rows import BY_NUMBER, BY_TEXT, NUMBERS, everything_of
from tests.servers import least_privileged, until

CURRENT = SMALL.model_copy(update={"rollback_hours": 24})
BACK = ("_t_back_del", "_t_back_upd", "_t_back_ins")


@dataclass(frozen=True, slots=True)
class Back:
    """A rollback that came to its end."""

    taken: TakenBack
    events: list[Event]


def take_back(
    lab: Lab,
    table: str = "t",
    *,
    at: Sequence[At] = (),
    forget: bool = False,
    dry_run: bool = False,
    stop: threading.Event | None = None,
    session: Session | None = None,
) -> Back:
    """Roll a table back, or what is asked for."""
    events: list[Event] = []

    def listen(event: Event) -> None:
        events.append(event)
        for one in at:
            one.meet(event)

    options = RollbackOptions(f"{lab.schema}.{table}", forget=forget, dry_run=dry_run)
    with closing(session or lab.session()) as used:
        return Back(rollback(used, options, listen, stop), events)


def clean(lab: Lab, *, now: bool = False) -> tuple[Cleaned, ...]:
    """Run cleanup."""
    with closing(lab.session()) as session:
        return cleanup(session, CleanupOptions(now=now), lambda event: None)


def status_of(lab: Lab) -> str:
    """What `status` says, in one line."""
    with closing(lab.session()) as session:
        return " ".join(status_text(read_status(session)).split())


def swapped(lab: Lab, table: str = "t", shape: tuple[str, str] = BY_NUMBER, defaults: Defaults = CURRENT) -> None:
    """A table that was encrypted and whose old one is kept current."""
    lab.table(table, *shape)
    lab.apply(table, defaults=defaults).assert_outcome("done")


def retained(lab: Lab) -> RetainedTable:
    """What status says about the only retained table."""
    with closing(lab.session()) as session:
        report = read_status(session)
    assert report.run is not None
    (one,) = [step.retained for step in (*report.run.steps, *report.earlier) if step.retained is not None]
    return one


def marks(lab: Lab) -> int:
    """How many changes are marked as not made; the log's fences are at the beginnings of its stretches."""
    return int(lab.value("SELECT COUNT(*) FROM _t_log WHERE seq & ((1 << 55) - 1) > 0"))


def assert_rolled_back(lab: Lab, table: str = "t") -> None:
    """In clear, equal to its ledger, and nothing of ours is left."""
    assert not lab.encrypted(table)
    lab.assert_equal(table)
    assert {n for n in lab.names() if n.startswith("_")} == set()
    with closing(lab.session()) as session:
        assert [step.state for step in Journal().steps(session)][-1] == "rolled-back"
        assert Journal().owned(session) == []


# -- what was written since is there ------------------------------------------------------------------


@pytest.mark.parametrize(("table", "shape"), [("t", BY_NUMBER), (WEIRD, BY_TEXT)], ids=["plain", "weird"])
def test_a_swap_is_taken_back_with_what_was_written_since(lab: Lab, table: str, shape: tuple[str, str]) -> None:
    """Every kind of change between swap and rollback is in the old table; the definition is the old one; apply can begin anew."""
    lab.table(table, *shape)
    before = lab.show_create(table)
    everything = everything_of(shape[0])
    with lab.application(table) as app:
        ran = lab.apply(table, defaults=CURRENT, at=[At(phase("swap", ended=True), lambda: everything(app))])
        ran.assert_outcome("done")
        assert lab.encrypted(table)
        for _ in range(3):
            everything(app)
        assert lab.contents(f"_{table}_retained") == lab.contents(table, lab.ledger)
        at = At(phase("verify"), lambda: everything(app))
        back = take_back(lab, table, at=[at])
        assert at.seen == 1
        everything(app)
    assert back.taken.action == "rolled-back"
    assert back.taken.rows > 2000
    assert comparable(lab.show_create(table), table) == comparable(before, table)
    assert_rolled_back(lab, table)
    lab.apply(table).assert_outcome("done")
    lab.assert_done(table)


def test_a_busy_shop_sees_neither_the_swap_nor_the_rollback(lab: Lab) -> None:
    """100 transactions a second until after the rollback: no error but what an exclusive moment may, no lost row."""
    definition = BY_NUMBER[0].replace("VARCHAR(80)", "VARCHAR(120)")
    lab.table("t", definition, f"SELECT n, n, REPEAT('x', 100), n % 7 FROM ({NUMBERS.format(100_000)}) AS many")
    shops = [Shop(lab, "t", seed, 50, rows=100_000) for seed in (1, 2)]
    plan = lab.plan("t", defaults=Defaults(workers=2, chunk_time_seconds=0.2, rollback_hours=24))
    with Beside(shops[0].work), Beside(shops[1].work):
        try:
            lab.apply(plan=plan).assert_outcome("done")
            done = [len(shop.seconds) for shop in shops]
            until(lambda: all(len(s.seconds) > n + 50 for s, n in zip(shops, done, strict=True)), "it was written to")
            back = take_back(lab)
            done = [len(shop.seconds) for shop in shops]
            until(lambda: all(len(s.seconds) > n + 20 for s, n in zip(shops, done, strict=True)), "it is written to")
        finally:
            for shop in shops:
                shop.over.set()
    assert [e for shop in shops for e in shop.faults] == []
    assert sum(len(shop.errors) for shop in shops) <= MOST_VICTIMS
    assert back.taken.rows > 50_000
    assert_rolled_back(lab)


LOOK = "SELECT COUNT(*), SUM(id), SUM(w), SUM(CRC32(v)) FROM t"


def test_snapshots_see_their_rows_across_swap_and_rollback(lab: Lab) -> None:
    """Transactions that began before the swap, or between swap and rollback, read what was there when they began; nobody waits for them."""
    lab.table("t", *BY_NUMBER)
    with (
        closing(lab.connect()) as a,
        closing(lab.connect()) as b,
        closing(lab.connect()) as c,
        a.cursor() as before_both,
        b.cursor() as before_swap,
        c.cursor() as between,
    ):
        expected: list[object] = []

        def begin() -> None:
            # As old as can be: whoever is older than this the swap has waited for.
            for cursor in (before_both, before_swap):
                cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
            expected.append(lab.rows(LOOK.replace("FROM t", f"FROM {lab.in_ledger('t')}"))[0])

        def change(u: int) -> None:
            lab.run(f"UPDATE t SET w = w + 1 WHERE id % 100 = {u}", f"DELETE FROM t WHERE id % 100 = {u + 10}")
            lab.run(f"INSERT INTO t (u, v, w) VALUES ({900_000 + u}, 'new', 0)")
            lab.run(f"INSERT IGNORE INTO t (u, v, w) VALUES ({900_000 + u}, 'a number that no row gets', 0)")

        at = At(ddl(f"`{lab.schema}`.`t` TO"), begin)
        lab.apply("t", defaults=CURRENT, at=[at]).assert_outcome("done")
        change(10)
        before_swap.execute(LOOK)
        assert before_swap.fetchone() == expected[0]
        b.rollback()  # it has used the table: an exclusive moment waits for that, as any DDL does
        expected.append(lab.rows(LOOK)[0])
        between.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        change(30)
        expected.append(lab.rows(LOOK)[0])
        back = take_back(lab)
        assert "AUTO_INCREMENT" in " ".join(e.statement for e in back.events if isinstance(e, DdlDone))
        assert lab.rows(LOOK)[0] == expected[2]
        change(50)
        before_both.execute(LOOK)
        between.execute(LOOK)
        assert [before_both.fetchone(), between.fetchone()] == expected[:2]
        between.execute("SELECT COUNT(*) FROM t FORCE INDEX (u) WHERE u IS NOT NULL")
        assert between.fetchone() == (expected[1][0],)  # type: ignore[index]


def test_numbers_that_were_given_do_not_come_back(lab: Lab) -> None:
    """AUTO_INCREMENT goes on where the encrypted table was, also where its last rows are deleted."""
    swapped(lab)
    lab.run("INSERT INTO t (id, u, v) VALUES (800000, 800000, 'x')", "DELETE FROM t WHERE id = 800000")
    take_back(lab)
    lab.run("INSERT INTO t (u, v) VALUES (900000, 'y')")
    assert lab.value("SELECT id FROM t WHERE u = 900000") > 800_000


def test_the_application_gets_the_answers_that_it_would_get_without_us(lab: Lab) -> None:
    """Affected rows, LAST_INSERT_ID, warnings and errors are the same while the old table is kept current."""
    lab.table("plain", *BY_NUMBER)
    expected = answers(lab, "plain")
    swapped(lab)
    assert answers(lab, "t") == expected
    assert len(expected) == len(STATEMENTS)
    assert lab.contents("_t_retained") == lab.contents("t")
    assert marks(lab) == 0


def test_odd_values_are_written_back_as_they_are(lab: Lab) -> None:
    """Zero dates, invalid members of an ENUM, empty and longest values: no change is marked as one that could not be made."""
    columns = (
        "id INT NOT NULL PRIMARY KEY, d DATE NOT NULL, dt DATETIME(6), ts TIMESTAMP NULL, tm TIME(3), y YEAR,"
        " e ENUM('a','b') NOT NULL, s SET('x','y'), f FLOAT, g DOUBLE, n DECIMAL(30,10), b BIT(9), j JSON,"
        " bl LONGBLOB, c CHAR(5) NOT NULL, tx TEXT, p POINT, vb VARBINARY(5), u BIGINT UNSIGNED,"
        " ge INT AS (id * 2) STORED, gv INT AS (id * 3) VIRTUAL, dd INT NOT NULL DEFAULT (id + 1) INVISIBLE,"
        " CHECK (id > 0), KEY e (e)"
    )
    values = (
        "'0000-00-00', '2026-00-00 00:00:00.000001', '1970-01-01 00:00:01', '-838:59:59', 0, 'nothing', 'x,y', 1e-38,"
        " -0e0, 12345678901234567890.0123456789, b'111111111', '{\"a\": [1.0, null]}', REPEAT(x'00ff', 99999), 'é  ',"
        " '', ST_GeomFromText('POINT(1 2)'), x'0000', 18446744073709551615"
    )
    wanted = "(id, d, dt, ts, tm, y, e, s, f, g, n, b, j, bl, c, tx, p, vb, u)"
    lab.run(f"CREATE TABLE t ({columns})", f"CREATE TABLE {lab.in_ledger('t')} LIKE t")
    lab.apply("t", defaults=CURRENT).assert_outcome("done")
    for number in range(1, 9):
        for place in ("t", lab.in_ledger("t")):
            lab.force(f"INSERT INTO {place} {wanted} VALUES ({number}, {values})")
    for statement in ("UPDATE {t} SET tx = 'long' WHERE id < 4", "UPDATE {t} SET id = id + 100 WHERE id > 5"):
        for place in ("t", lab.in_ledger("t")):
            lab.force(statement.replace("{t}", place))
    assert marks(lab) == 0
    assert take_back(lab).taken.rows == 8
    assert_rolled_back(lab)


def test_instants_are_written_back_as_they_are(lab: Lab) -> None:
    """TIMESTAMPs in the hour that comes twice, with fractions, NULL, the zero date; invalid dates; in the application's time zone."""
    back = 1_700_000_000
    lab.table(
        "t",
        "(id INT PRIMARY KEY, ts TIMESTAMP NULL, fine TIMESTAMP(6) NULL, must TIMESTAMP(3) NOT NULL, d DATE,"
        " changed TIMESTAMP(2) NULL DEFAULT CURRENT_TIMESTAMP(2) ON UPDATE CURRENT_TIMESTAMP(2), v VARCHAR(60))",
        f"SELECT n, NULL, NULL, FROM_UNIXTIME({back}), NULL, NULL, '' FROM ({NUMBERS.format(50)}) AS many",
    )
    lab.apply("t", defaults=CURRENT).assert_outcome("done")
    with lab.zone_that_goes_back(back) as zone, lab.application("t") as app:
        app.query(f"SET time_zone = '{zone}', sql_mode = 'ALLOW_INVALID_DATES'")
        for n, now in enumerate((back - 1800.25, back + 1800.25)):
            app.query(f"SET timestamp = {now}")
            at = f"FROM_UNIXTIME({now})"
            app.write(f"INSERT INTO {{t}} (id, ts, fine, must, d) VALUES ({100 + n}, {at}, {at}, {at}, '2026-02-31')")
            app.write(f"UPDATE {{t}} SET ts = {at}, fine = {at}, must = {at}, v = 'u' WHERE id = {10 + n}")
            app.write(f"UPDATE {{t}} SET id = id + 200, ts = {at} WHERE id = {20 + n}")
        app.write("UPDATE {t} SET ts = '0000-00-00', fine = '1970-01-01 12:00:01', d = '0000-00-00' WHERE id = 30")
    assert marks(lab) == 0
    lab.assert_equal("t")
    take_back(lab)
    assert_rolled_back(lab)


def test_hidden_keys_and_partitions_are_written_back(lab: Lab) -> None:
    """A key that the server made and hides, and a table of partitions: rows keep their keys and their places."""
    lab.run("SET sql_generate_invisible_primary_key = ON", "CREATE TABLE t (u INT NOT NULL, v VARCHAR(60))")
    lab.run("CREATE TABLE p (u INT PRIMARY KEY, v VARCHAR(60)) PARTITION BY HASH (u) PARTITIONS 3")
    for table in ("t", "p"):
        lab.fill(table, f"INSERT INTO {table} (u, v) SELECT n, 'x' FROM ({NUMBERS.format(300)}) AS many")
        if table == "t":  # INSERT ... SELECT has reserved more numbers than it used
            lab.run(*(f"ALTER TABLE {one} AUTO_INCREMENT = 1000" for one in ("t", lab.in_ledger("t"))))
        lab.apply(table, defaults=CURRENT).assert_outcome("done")
        with lab.application(table) as app:
            app.write("UPDATE {t} SET u = u + 1000 ORDER BY u LIMIT 30", "DELETE FROM {t} ORDER BY u LIMIT 5")
            app.write(
                "INSERT INTO {t} (u, v) VALUES (5000, 'new'), (5001, 'newer')", "UPDATE {t} SET v = 'y' WHERE u > 290"
            )
            take_back(lab, table)
            app.write("INSERT INTO {t} (u, v) VALUES (6000, 'newest')")
        assert_rolled_back(lab, table)
    lab.run("DROP TABLE p")


# -- whatever dies meanwhile --------------------------------------------------------------------------


def test_a_crash_at_every_event_of_a_rollback(lab: Lab) -> None:
    """A rollback that dies at any event is begun or gone on with, the application writing in between, and no row is lost."""
    swapped(lab)
    everywhere, everything = Everywhere(), everything_of(BY_NUMBER[0])
    with lab.application("t") as app:
        while True:
            try:
                take_back(lab, at=[At(everywhere, crash, nth=0)])
                break
            except UsageError as error:
                assert "already" in error.message
                break
            except Crash:
                everything(app)
    words = " ".join(everywhere.places)
    for wanted in ("ChunkVerified", "Starting RENAME", "Done RENAME", "Done DROP TABLE", "StepEnded"):
        assert wanted in words, f"no rollback was ended at {wanted}"
    assert_rolled_back(lab)


@pytest.mark.parametrize("who", ["apply", "cleanup"])
def test_a_rollback_that_died_after_its_rename_is_finished_by_others(lab: Lab, who: str) -> None:
    """The next run of any kind drops the encrypted copy that a dead rollback left, with proof."""
    swapped(lab)
    lab.table("other", *BY_NUMBER)
    with pytest.raises(Crash):
        take_back(lab, at=[At(ddl("RENAME", done=True), crash)])
    if who == "apply":
        lab.apply("other").assert_outcome("done")
    else:
        clean(lab)
    assert not lab.encrypted("t")
    lab.assert_equal("t")
    assert not [n for n in lab.names() if n.startswith("_t_")]


def events_of_the_swap(lab: Lab) -> list[str]:
    """The statements of the moment in which the triggers are turned round, without the names."""
    q = f"`{lab.schema}`."
    drops = [f"DROP TRIGGER {q}`_t_mirror_{event}`" for event in ("del", "upd", "ins")]
    creates = [f"CREATE DEFINER = CURRENT_USER TRIGGER {q}`{trigger}`" for trigger in BACK]
    return [f"RENAME TABLE {q}`t` TO", *drops, *creates]


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(7))
def test_a_gap_is_no_rollback(lab: Lab, number: int, *, done: bool) -> None:
    """A run that dies between RENAME and the last trigger has lost nothing but the rollback; our triggers go; one that dies before or after has lost nothing."""
    lab.table("t", *BY_NUMBER)
    everything = everything_of(BY_NUMBER[0])
    statement = events_of_the_swap(lab)[number]
    with lab.application("t") as app:
        with pytest.raises(Crash):
            lab.apply("t", defaults=CURRENT, at=[At(ddl(statement, done=done), crash)])
        everything(app)
        ran = lab.apply("t", plan=lab.plan("t", defaults=CURRENT), defaults=CURRENT)
        assert ran.outcome.exit_code == 0
        everything(app)
    lab.assert_equal("t")
    assert lab.encrypted("t")
    told = [e for e in ran.of(Noticed) if e.finding.code == "no-rollback"]
    if (number, done) in {(0, False), (6, True)}:
        assert not told
        take_back(lab)
        assert_rolled_back(lab)
    else:
        assert told
        assert lab.names() == {"t", "_t_retained"}
        with pytest.raises(Refused, match="is not kept current"):
            take_back(lab)


def test_a_trigger_that_cannot_be_made_costs_the_rollback_alone(lab: Lab) -> None:
    """The swap is done, the run goes on and says so, and nothing but the stranger that took the name is left."""
    lab.table("t", *BY_NUMBER)
    lab.run("CREATE TABLE other (id INT PRIMARY KEY)")

    def take_name() -> None:
        lab.run("CREATE TRIGGER _t_back_upd AFTER INSERT ON other FOR EACH ROW SET @a = 1")

    ran = lab.apply("t", defaults=CURRENT, at=[At(ddl(events_of_the_swap(lab)[0]), take_name)])
    ran.assert_outcome("done")
    assert [e.finding.code for e in ran.of(Noticed)].count("no-rollback") == 2
    assert lab.names() == {"t", "other", "_t_retained", "_t_back_upd"}
    lab.assert_equal("t")


@pytest.mark.parametrize(("made", "current"), [(8, False), (9, True)], ids=["two of three", "all three"])
def test_a_process_that_is_killed_while_triggers_are_turned_round(
    lab: Lab, tmp_path: Path, made: int, *, current: bool
) -> None:
    """After SIGKILL the application goes on; what was made in the moment of the swap says whether there is a rollback."""
    lab.table("t", *BY_NUMBER)
    plan = lab.plan("t", defaults=CURRENT)
    with lab.process(plan, tmp_path, at="Done CREATE DEFINER", nth=made, lease=3.0) as run:
        assert run.wait(60) == -9, run.communicate()
    with lab.application("t") as app:
        everything_of(BY_NUMBER[0])(app)
    ran = lab.apply_when_free(plan=plan)
    assert ran.outcome.exit_code == 0
    assert ("no-rollback" in [e.finding.code for e in ran.of(Noticed)]) is not current
    lab.assert_equal("t")
    if current:
        take_back(lab)
        assert_rolled_back(lab)
    else:
        assert lab.names() == {"t", "_t_retained"}


def cut(lab: Lab) -> None:
    """End the session that holds the tables, and wait until the server has let it go."""
    session = lab.value(
        "SELECT DISTINCT t.PROCESSLIST_ID FROM performance_schema.metadata_locks m JOIN performance_schema.threads t"
        " ON t.THREAD_ID = m.OWNER_THREAD_ID WHERE m.OBJECT_SCHEMA = %s AND m.LOCK_TYPE = 'SHARED_NO_READ_WRITE'",
        lab.schema,
    )
    lab.run(f"KILL CONNECTION {session}")
    gone = "SELECT 1 FROM performance_schema.threads WHERE PROCESSLIST_ID = %s"
    until(lambda: not lab.rows(gone, session), "the session is gone")


@pytest.mark.parametrize("number", range(1, 7))
def test_a_connection_lost_while_triggers_are_turned_round(lab: Lab, number: int) -> None:
    """The swap is done, the same run says that there is a gap and goes on, and our triggers go."""
    lab.table("t", *BY_NUMBER)
    at = At(ddl(events_of_the_swap(lab)[number]), lambda: cut(lab))
    ran = lab.apply("t", defaults=CURRENT, at=[at])
    ran.assert_outcome("done")
    assert "no-rollback" in [e.finding.code for e in ran.of(Noticed)]
    assert lab.names() == {"t", "_t_retained"}
    lab.assert_done("t")


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
def test_a_connection_lost_at_the_rename(lab: Lab, *, done: bool) -> None:
    """What became of the RENAME is looked up: swapped back it is finished, else all is as it was and said to be."""
    swapped(lab)

    at = At(ddl("RENAME", done=done), lambda: cut(lab))
    if done:
        take_back(lab, at=[at])
    else:
        with pytest.raises(Failed, match="all is as it was"):
            take_back(lab, at=[at])
        assert lab.encrypted("t")
        take_back(lab)
    assert at.seen == 1
    assert_rolled_back(lab)


def test_a_rollback_is_stopped_at_a_safe_point(lab: Lab) -> None:
    """While rows are compared a person may stop it: all is as it was, and the table is still kept current."""
    swapped(lab)
    stop = threading.Event()
    with pytest.raises(Stopped, match="all is as it was"):
        take_back(lab, stop=stop, at=[At(phase("verify"), stop.set)])
    assert lab.encrypted("t")
    with lab.application("t") as app:
        everything_of(BY_NUMBER[0])(app)
    take_back(lab)
    assert_rolled_back(lab)


def test_what_was_encrypted_by_another_method_since_is_not_called_taken_back(lab: Lab) -> None:
    """Rolled back, then referred to, so moved by the server: there is no swap of it now, whatever was before."""
    swapped(lab)
    take_back(lab)
    lab.run("CREATE TABLE child (id INT PRIMARY KEY, t INT, FOREIGN KEY (id) REFERENCES t (id))")
    lab.apply("t").assert_outcome("done")
    with pytest.raises(UsageError, match="knows no swap"):
        take_back(lab)
    assert lab.encrypted("t")


# -- what people do meanwhile -------------------------------------------------------------------------

WRITES = (
    "INSERT INTO t (id, u, {v}) VALUES (20, 555555, {text}), (21, 555556, {text})",
    "UPDATE t SET u = 555557 WHERE id = 20",
    "UPDATE t SET id = 22 WHERE id = 20",
    "DELETE FROM t WHERE id = 21",
)

CHANGES: dict[str, tuple[str, str, str, str]] = {
    # what is done; the column v by then, a value for it; why it cannot be rolled back
    "truncated": ("TRUNCATE t", "v", "'a'", "truncated, rebuilt or replaced"),
    "rebuilt": ("ALTER TABLE t FORCE", "v", "'a'", "truncated, rebuilt or replaced"),
    "a column added": ("ALTER TABLE t ADD extra INT", "v", "'a'", "definition"),
    "a column dropped": ("ALTER TABLE t DROP COLUMN v", "w", "1", "not kept|definition|rebuilt"),
    "a column renamed": ("ALTER TABLE t RENAME COLUMN v TO vv", "vv", "'a'", "definition"),
    "a column wider": ("ALTER TABLE t MODIFY v VARCHAR(99) NOT NULL", "v", "REPEAT('x', 99)", "definition"),
    "a column nullable": ("ALTER TABLE t MODIFY v VARCHAR(80) NULL", "v", "NULL", "definition|rebuilt"),
    "a unique index dropped": ("ALTER TABLE t DROP INDEX u", "v", "'a'", "definition"),
    "a trigger added": ("CREATE TRIGGER mine BEFORE INSERT ON t FOR EACH ROW SET @a = 1", "v", "'a'", "mine"),
    "a trigger of ours dropped": ("DROP TRIGGER _t_back_upd", "v", "'a'", "as it was made"),
    "a foreign key": (
        "CREATE TABLE child (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES t (id))",
        "v",
        "'a'",
        "child",
    ),
    "the old table dropped": ("DROP TABLE _t_retained", "v", "'a'", "_t_retained was truncated"),
    "the old table altered": ("ALTER TABLE _t_retained DROP COLUMN v", "v", "'a'", "definition|rebuilt"),
    "the old table emptied": ("DELETE FROM _t_retained", "v", "'a'", ""),
    "the old table filled": (
        "INSERT INTO _t_retained (id, u, v) VALUES (20, 555555, 'stranger') AS n ON DUPLICATE KEY UPDATE u = n.u",
        "v",
        "'a'",
        "could not be made",
    ),
    "the log dropped": ("DROP TABLE _t_log", "v", "'a'", "_t_log"),
    "both dropped": ("DROP TABLE _t_log, _t_retained", "v", "'a'", "_t_retained was truncated"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_person_does_ends_the_rollback_and_no_write_fails(lab: Lab, change: str) -> None:
    """The application's writes go on without an error or a warning; the rollback is refused and says why; --forget ends it."""
    swapped(lab)
    lab.run("DELETE FROM t WHERE id BETWEEN 20 AND 22")
    statement, v, text, why = CHANGES[change]
    lab.run(statement)
    with closing(lab.connect(autocommit=True)) as app, app.cursor() as cursor:
        for write in WRITES:
            assert cursor.execute(write.format(v=v, text=text)) > 0
            cursor.execute("SHOW WARNINGS")
            assert cursor.fetchall() == ()
    rows = lab.rows("SELECT * FROM t ORDER BY id")
    assert (22, 555557) in [row[:2] for row in rows]
    if why:
        with pytest.raises(Refused, match=why):
            take_back(lab, dry_run=True)
        assert retained(lab).no_rollback
    with pytest.raises((Refused, Mismatch), match=why or "differ"):
        take_back(lab)
    assert lab.rows("SELECT * FROM t ORDER BY id") == rows
    take_back(lab, forget=True)
    assert not [n for n in lab.names() if n in {*BACK, "_t_log"}]
    with pytest.raises(Refused, match="not kept current"):
        take_back(lab)
    assert lab.rows("SELECT * FROM t ORDER BY id") == rows


def test_a_foreign_key_that_our_account_may_not_see_is_no_way_back(lab: Lab) -> None:
    """A child in a schema on which the account has no right would follow the encrypted table to its other name."""
    kid = f"kid_of_{lab.schema}"
    with least_privileged(lab.server) as account:
        # This right alone shows all foreign keys of the server.
        lab.run(f"REVOKE TABLE_ENCRYPTION_ADMIN ON *.* FROM '{account.user}'@'%'", f"CREATE DATABASE {kid}")
        try:
            swapped(other := replace(lab, dba=account))
            lab.run(f"CREATE TABLE {kid}.c (id INT PRIMARY KEY, t INT, FOREIGN KEY (t) REFERENCES {lab.schema}.t (id))")
            with pytest.raises(Refused, match=f"a foreign key of {kid}.c refers to"):
                take_back(other)
            assert f"REFERENCES `{lab.schema}`.`t`" in str(lab.rows(f"SHOW CREATE TABLE {kid}.c")[0][1])
            assert lab.encrypted("t")
            take_back(other, forget=True)
        finally:
            lab.run(f"DROP DATABASE {kid}")


def test_a_change_that_is_ignored_is_marked_too(lab: Lab) -> None:
    """INSERT IGNORE, UPDATE IGNORE and REPLACE are done in the table; what the old one cannot take is no warning, and is marked."""
    for statement in (
        "INSERT IGNORE INTO t (id, u, v) VALUES (20, 555555, 'a')",
        "UPDATE IGNORE t SET u = 555555 WHERE id = 30",
        "REPLACE INTO t (id, u, v) VALUES (30, 555555, 'a')",
        "INSERT INTO t (id, u, v) VALUES (30, 1, 'a') AS n ON DUPLICATE KEY UPDATE u = 555555",
    ):
        swapped(lab)
        lab.run("DELETE FROM t WHERE id = 20", "INSERT INTO _t_retained (id, u, v) VALUES (20, 555555, 'stranger')")
        with closing(lab.connect(autocommit=True)) as app, app.cursor() as cursor:
            assert cursor.execute(statement) > 0
            cursor.execute("SHOW WARNINGS")
            assert cursor.fetchall() == ()
        assert lab.value("SELECT COUNT(*) FROM t WHERE u = 555555") == 1
        assert marks(lab) == 1, statement
        clean(lab, now=True)
        lab.run("DROP TABLE t", f"DROP TABLE {lab.in_ledger('t')}")


def test_a_change_that_is_made_while_the_tables_are_being_locked_is_seen(lab: Lab) -> None:
    """What a person does after the comparison is seen at the last look, while both tables are held; nothing is swapped."""
    swapped(lab)
    for statement, why in (
        ("INSERT INTO _t_retained (id, u, v) VALUES (5, 5000005, 'stranger')", "could not be made"),
        ("ALTER TABLE t ADD extra INT, ALGORITHM = INSTANT", "definition"),
    ):

        def change(statement: str = statement) -> None:
            lab.run(statement)
            lab.run("INSERT INTO t (id, u, v) VALUES (5, 5000005, 'app') AS n ON DUPLICATE KEY UPDATE v = n.v")

        with pytest.raises(Refused, match=why):
            take_back(lab, at=[At(phase("rollback"), change)])
        assert lab.encrypted("t")
        assert lab.value("SELECT v FROM t WHERE id = 5") == "app"
        lab.run("DELETE FROM t WHERE id = 5", "TRUNCATE _t_log")


def test_a_person_renames_both_tables_back_after_a_rollback_was_refused(lab: Lab) -> None:
    """What was compared for the refused one does not count for the RENAME by hand: the encrypted table is not dropped."""
    swapped(lab)
    with pytest.raises(Refused, match="could not be made"):
        take_back(
            lab,
            at=[
                At(
                    phase("rollback"),
                    lambda: lab.run(
                        "INSERT INTO _t_retained (id, u, v) VALUES (5, 5000005, 'stranger')",
                        "INSERT INTO t (id, u, v) VALUES (5, 5000005, 'app')",
                    ),
                )
            ],
        )
    lab.run("RENAME TABLE t TO _t_shadow, _t_retained TO t")
    clean(lab)
    assert lab.names() == {"t", "_t_shadow"}
    assert lab.value("SELECT v FROM _t_shadow WHERE id = 5") == "app"


def test_a_table_of_somebody_else_under_the_name_of_the_copy(lab: Lab) -> None:
    """A person must look; nothing is changed, and the stranger stays."""
    swapped(lab)
    lab.run("CREATE TABLE _t_shadow (mine INT PRIMARY KEY)")
    with pytest.raises(OwnerUnknown, match="_t_shadow"):
        take_back(lab)
    assert lab.encrypted("t")
    lab.run("DROP TABLE _t_shadow")
    take_back(lab)
    assert_rolled_back(lab)


def test_a_deadlock_is_the_applications_to_see(lab: Lab) -> None:
    """The server has rolled its transaction back, so that must not be hidden; nothing is marked."""
    swapped(lab)
    with (
        closing(lab.connect()) as person,
        closing(lab.connect()) as app,
        person.cursor() as hers,
        app.cursor() as its,
    ):
        hers.execute("SELECT * FROM _t_retained WHERE id = 10 FOR UPDATE")
        hers.execute("UPDATE t SET w = w + 1 WHERE id > 1000")  # heavier: the other one is the victim
        its.execute("UPDATE t SET w = 5 WHERE id = 20")
        with Beside(lambda: hers.execute("UPDATE t SET w = 6 WHERE id = 20")):
            until(lambda: lab.waits_for_row("t"), "the person waits for the application")
            with pytest.raises(pymysql.err.OperationalError, match="1213"):
                its.execute("UPDATE t SET w = 5 WHERE id = 10")
        person.rollback()
    assert marks(lab) == 0
    assert take_back(lab).taken.action == "rolled-back"
    assert_rolled_back(lab)


def test_a_reader_is_waited_for_and_named(lab: Lab) -> None:
    """The exclusive moment of a rollback waits for whoever uses the table, as every other one."""
    swapped(lab)
    with closing(lab.connect()) as reader, reader.cursor() as cursor:
        at = At(phase("rollback"), lambda: cursor.execute("SELECT 1 FROM t WHERE FALSE"))
        free = At(lambda event: isinstance(event, Waiting) and bool(event.blockers), reader.rollback)
        back = take_back(lab, at=[at, free])
        named = {b.session_id for e in back.events if isinstance(e, Waiting) for b in e.blockers}
        assert reader.thread_id() in named
    assert_rolled_back(lab)


# -- not wanted, not there, over ----------------------------------------------------------------------


def test_without_the_setting_nothing_is_kept_current(lab: Lab) -> None:
    """By default there are no triggers after the swap, no log, and no rollback."""
    lab.table("t", *BY_NUMBER)
    lab.apply("t").assert_outcome("done")
    assert lab.names() == {"t", "_t_retained"}
    for dry_run in (True, False):
        with pytest.raises(Refused, match="not kept current"):
            take_back(lab, dry_run=dry_run)
    lab.assert_done("t")


def test_a_table_that_was_never_swapped(lab: Lab) -> None:
    """No journal, no such table, a table whose copy is not finished: wrong usage, nothing is touched."""
    lab.table("t", *BY_NUMBER)
    with pytest.raises(UsageError, match="knows no swap"):
        take_back(lab)
    with pytest.raises(Crash):
        lab.apply("t", defaults=CURRENT, at=[At(phase("verify"), crash)])
    with pytest.raises(UsageError, match="knows no swap"):
        take_back(lab)


def test_a_dry_run_changes_nothing(lab: Lab) -> None:
    """It says that it could be done."""
    swapped(lab)
    names = lab.names()
    assert take_back(lab, dry_run=True).taken.action == "would-roll-back"
    assert take_back(lab, dry_run=True, forget=True).taken.action == "would-stop"
    assert lab.names() == names
    assert lab.encrypted("t")


def test_a_swap_whose_run_died_can_be_taken_back_at_once(lab: Lab) -> None:
    """The run was killed right after the moment of the swap: rollback tidies up first, and no apply is needed."""
    lab.table("t", *BY_NUMBER)
    with pytest.raises(Crash):
        lab.apply("t", defaults=CURRENT, at=[At(lambda e: isinstance(e, Moment) and e.purpose == "swap", crash)])
    with lab.application("t") as app:
        everything_of(BY_NUMBER[0])(app)
    take_back(lab)
    assert_rolled_back(lab)


@pytest.mark.parametrize("who", ["apply", "cleanup"])
def test_when_the_time_is_over_the_triggers_go(lab: Lab, who: str) -> None:
    """The next run of any kind takes them off; the old table stays until its own deadline, and is not current any more."""
    swapped(lab)
    kept = retained(lab)
    assert kept.current_until
    assert not kept.no_rollback
    assert {c.action for c in clean(lab)} == {"kept"}
    assert {*BACK, "_t_log"} <= lab.names()
    assert "(over)" not in status_of(lab)
    lab.run("UPDATE migrator.steps SET current_until = UTC_TIMESTAMP() - INTERVAL 1 SECOND")
    assert "(over)" in status_of(lab)
    assert "migrator cleanup takes the triggers off; so does the next apply" in status_of(lab)
    if who == "apply":
        lab.apply("t").assert_outcome("skipped")
    else:
        assert [(c.kind, c.action) for c in clean(lab)] == [("retained", "kept")]
    assert lab.names() == {"t", "_t_retained"}
    assert not retained(lab).current_until
    assert "over" not in status_of(lab).lower()
    lab.run("UPDATE t SET v = 'later' WHERE id = 10")
    assert lab.value("SELECT COUNT(*) FROM _t_retained WHERE v = 'later'") == 0


def test_cleanup_at_once_takes_the_triggers_off_first(lab: Lab) -> None:
    """--now ends the keeping current and drops the old table; writes go on all the while."""
    swapped(lab)
    with lab.application("t") as app:
        clean(lab, now=True)
        everything_of(BY_NUMBER[0])(app)
    assert lab.names() == {"t"}
    lab.assert_equal("t")


def test_it_is_never_kept_current_for_longer_than_it_is_kept(lab: Lab) -> None:
    """A rollback time beyond the retention ends with it."""
    swapped(lab, defaults=CURRENT.model_copy(update={"retain_days": 1, "rollback_hours": 99}))
    kept = retained(lab)
    assert kept.current_until[:19] == kept.until[:19]


def test_the_moments_of_the_swap_are_one(lab: Lab) -> None:
    """All statements from RENAME to the last trigger are sent while the tables are held, and only there."""
    swapped(lab)
    lab.run("DROP TABLE t, _t_retained, _t_log", f"DROP TABLE {lab.in_ledger('t')}", "DROP SCHEMA migrator")
    lab.table("t", *BY_NUMBER)
    held: list[set[str]] = []

    def look() -> None:
        held.append(
            {
                str(table)
                for (table,) in lab.rows(
                    "SELECT OBJECT_NAME FROM performance_schema.metadata_locks WHERE OBJECT_SCHEMA = %s"
                    " AND LOCK_TYPE = 'SHARED_NO_READ_WRITE' AND LOCK_STATUS = 'GRANTED'",
                    lab.schema,
                )
            }
        )

    wanted = events_of_the_swap(lab)
    at = [At(ddl(statement, done=done), look) for statement in wanted for done in (False, True)]
    ran = lab.apply("t", defaults=CURRENT, at=at)
    ran.assert_outcome("done")
    assert all({"t"} < names for names in held)
    assert all(names >= {"t", "_t_retained"} for names in held[1:])
    assert len(held) == 14
    statements = ran.statements()
    first = next(n for n, s in enumerate(statements) if s.startswith(wanted[0]))
    assert [s.startswith(w) for s, w in zip(statements[first:], wanted, strict=False)] == [True] * 7
    moments = [e for e in ran.events if isinstance(e, Moment | DdlDone | DdlStarting)]
    last = max(n for n, e in enumerate(moments) if isinstance(e, DdlDone) and "_t_back_ins" in e.statement)
    assert isinstance(moments[last + 1], Moment)


# -- what people do by hand ---------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["apply", "cleanup", "forget"])
def test_without_the_old_table_the_triggers_go_before_their_time(lab: Lab, who: str) -> None:
    """A person drops the retained table, and rebuilds the one in use: the next run of any kind takes off what is left of ours."""
    swapped(lab)
    lab.run("DROP TABLE _t_retained", "ALTER TABLE t FORCE")
    with closing(lab.session()) as session:
        would = cleanup(session, CleanupOptions(dry_run=True), lambda event: None)
    assert {one.action for one in would} == {"would-drop", "would-forget"}
    if who == "apply":
        lab.apply("t").assert_outcome("skipped")
    elif who == "cleanup":
        clean(lab)
    else:
        assert take_back(lab, forget=True).taken.action == "stopped"
    assert lab.names() == {"t"}
    lab.assert_equal("t")
    clean(lab)
    with closing(lab.session()) as session:
        assert Journal().owned(session) == []


@pytest.mark.parametrize("aside", ["t_encrypted", "_t_shadow"])
def test_a_person_renames_both_tables_back(lab: Lab, aside: str) -> None:
    """It is no rollback of ours, no row was compared: the triggers go, the encrypted table stays, and it can be encrypted anew."""
    swapped(lab)
    lab.run(f"RENAME TABLE t TO {aside}, _t_retained TO t")
    clean(lab)
    assert lab.names() == {"t", aside}
    with closing(lab.session()) as session:
        assert Journal().owned(session) == []
    lab.run(f"DROP TABLE {aside}")
    lab.apply("t").assert_outcome("done")
    lab.assert_done("t")


@pytest.mark.parametrize("gone", ["_t_retained", "_t_log"])
def test_an_application_that_locks_its_tables(lab: Lab, gone: str) -> None:
    """LOCK TABLES locks what the triggers write to as well; only if a person has dropped that does its write fail, until --forget."""
    swapped(lab)
    with closing(lab.connect(autocommit=True)) as app, app.cursor() as cursor:

        def write(w: int) -> None:
            cursor.execute("LOCK TABLES t WRITE")
            try:
                assert cursor.execute(f"UPDATE t SET w = {w} WHERE id = 20") == 1
            finally:
                cursor.execute("UNLOCK TABLES")

        write(77)
        assert lab.value("SELECT w FROM _t_retained WHERE id = 20") == 77
        lab.run(f"DROP TABLE {gone}")
        with pytest.raises(pymysql.err.OperationalError, match="1100"):
            write(78)
        assert cursor.execute("UPDATE t SET w = 79 WHERE id = 20") == 1
        take_back(lab, forget=True)
        write(80)


# -- a lock comes within the moment -------------------------------------------------------------------


def test_a_backup_lock_while_triggers_are_turned_round(lab: Lab) -> None:
    """The tables are given back at once, the swap is done, and it is said that it cannot be taken back; nothing of ours is left."""
    lab.table("t", *BY_NUMBER)
    with closing(lab.connect()) as backup, backup.cursor() as cursor:
        held: list[float] = []

        def end(event: Event) -> bool:
            if isinstance(event, Moment) and event.purpose == "swap":
                held.append(event.held_seconds or 0)
                return True
            return False

        at = [
            At(ddl(events_of_the_swap(lab)[2]), lambda: cursor.execute("LOCK INSTANCE FOR BACKUP")),
            At(end, lambda: cursor.execute("UNLOCK INSTANCE")),
        ]
        ran = lab.apply("t", defaults=CURRENT, at=at)
    ran.assert_outcome("done")
    assert held[0] < 1
    assert [e.finding.code for e in ran.of(Noticed)].count("no-rollback") == 2
    assert lab.names() == {"t", "_t_retained"}
    lab.assert_done("t")


def test_a_backup_lock_in_the_moment_of_a_rollback(lab: Lab) -> None:
    """The tables are given back, and it is done as soon as the lock is free; what was written meanwhile is there."""
    swapped(lab)
    with closing(lab.connect()) as backup, backup.cursor() as cursor, lab.application("t") as app:

        def free(event: Event) -> bool:
            return isinstance(event, Waiting) and "given back" in event.reason

        def go_on() -> None:
            everything_of(BY_NUMBER[0])(app)
            cursor.execute("UNLOCK INSTANCE")

        at = [At(ddl("RENAME"), lambda: cursor.execute("LOCK INSTANCE FOR BACKUP")), At(free, go_on)]
        back = take_back(lab, at=at)
        assert at[1].seen
    assert [e.purpose for e in back.events if isinstance(e, Moment)].count("rollback") == 2
    assert_rolled_back(lab)
