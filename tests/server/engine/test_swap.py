"""The swap: nobody is surprised by it, nobody waits for it, and whoever is in its way is named."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from time import monotonic

import pytest

from migrator.engine import moment
from migrator.events import Event, Moment, Waiting
from migrator.inventory import read_blockers
from tests.server.engine.kit import SMALL, WEIRD, At, Beside, Lab, When, ddl, name, phase
from tests.server.engine.test_rows import BY_NUMBER
from tests.servers import until

SHORT = SMALL.model_copy(update={"swap_wait_seconds": 1, "moment_wait_seconds": 1})


def waiting(words: str) -> When:
    """A Waiting event for this reason that names somebody."""
    return lambda event: isinstance(event, Waiting) and words in event.reason and bool(event.blockers)


def test_a_plain_rename_shows_an_empty_table_to_an_old_snapshot(lab: Lab) -> None:
    """Why the swap waits: without it a transaction that began before the copy reads 0 rows afterwards, without an error."""
    lab.run("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1), (2), (3)", "CREATE TABLE s LIKE t")
    with closing(lab.connect()) as old, old.cursor() as cursor:
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        lab.run("INSERT INTO s SELECT * FROM t", "RENAME TABLE t TO r, s TO t")
        cursor.execute("SELECT COUNT(*) FROM t")
        assert cursor.fetchone() == (0,)


def test_the_swap_waits_for_an_old_snapshot(lab: Lab) -> None:
    """A transaction that began before the tables were equal finds all rows of its snapshot; it is named while we wait."""
    lab.table("t", *BY_NUMBER)
    seen: list[int] = []
    with closing(lab.connect()) as old, old.cursor() as cursor:
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        lab.run("DELETE FROM t WHERE id < 100", f"DELETE FROM {lab.in_ledger('t')} WHERE id < 100")

        def read_and_end() -> None:
            cursor.execute("SELECT COUNT(*) FROM t")
            seen.append(int((cursor.fetchone() or (0,))[0]))
            old.rollback()

        ran = lab.apply("t", at=[At(waiting("older than the copy"), read_and_end)])
        waited = [e for e in ran.of(Waiting) if "older" in e.reason]
        assert old.thread_id() in {blocker.session_id for blocker in waited[0].blockers}
    ran.assert_outcome("done")
    assert seen == [2500]
    lab.assert_done("t")


def test_an_old_snapshot_that_does_not_end_holds_the_swap_off(lab: Lab) -> None:
    """After swap_wait_seconds the step fails, names the session, has swapped nothing, and the next run only swaps."""
    lab.table("t", *BY_NUMBER)
    with closing(lab.connect()) as old, old.cursor() as cursor:
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        ran = lab.apply("t", defaults=SHORT)
        ran.assert_outcome("failed")
        assert str(old.thread_id()) in ran.step.message
        assert not lab.encrypted("t")
        cursor.execute("SELECT COUNT(*) FROM t")
        assert cursor.fetchone() == (2500,)
    ran = lab.apply("t")
    ran.assert_outcome("done")
    assert not [s for s in ran.statements() if "CREATE" in s]
    lab.assert_done("t")


def test_a_transaction_that_writes_across_the_end_of_the_wait_is_still_an_old_one(lab: Lab) -> None:
    """A reader that turns into a writer gets another transaction number; it is waited for all the same."""
    lab.table("t", *BY_NUMBER)
    lab.run("CREATE TABLE other (id INT PRIMARY KEY)")
    swapped_before: list[bool] = []
    with closing(lab.connect()) as old, old.cursor() as cursor:
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")

        def end() -> None:
            swapped_before.append(lab.encrypted("t"))
            old.rollback()

        waits = waiting("older than the copy")
        write = At(waits, lambda: cursor.execute("INSERT INTO other VALUES (1)"))
        ran = lab.apply("t", at=[write, At(waits, end, nth=2)])
    ran.assert_outcome("done")
    assert swapped_before == [False]


def test_a_prepared_transaction_elsewhere_is_no_old_reader(lab: Lab) -> None:
    """A prepared XA transaction on another table can read no more, so nothing waits for it."""
    lab.table("t", *BY_NUMBER)
    lab.run("CREATE TABLE other (id INT PRIMARY KEY)")
    xid = f"'{lab.schema}'"
    lab.run(f"XA START {xid}", "INSERT INTO other VALUES (1)", f"XA END {xid}", f"XA PREPARE {xid}")
    try:
        lab.apply("t", defaults=SMALL.model_copy(update={"swap_wait_seconds": 5})).assert_outcome("done")
    finally:
        lab.run(f"XA ROLLBACK {xid}")


def test_an_error_right_after_the_rename_is_not_taken_for_a_failed_swap(lab: Lab) -> None:
    """The server refuses to note the moment: the table is swapped all the same, and is finished, not given up."""
    lab.table("t", *BY_NUMBER)
    away = At(ddl("`_t_retained`", done=True), lambda: lab.run("RENAME TABLE migrator.moments TO migrator.away"))
    back = At(phase("swap", ended=True), lambda: lab.run("RENAME TABLE migrator.away TO migrator.moments"))
    ran = lab.apply("t", at=[away, back])
    assert (away.seen > 0, back.seen) == (True, 1), ran.step.message
    ran.assert_outcome("done")
    lab.assert_done("t")


# -- metadata locks -----------------------------------------------------------------------------------


class Measured:
    """Another application, whose statements are timed: it writes and reads the table all the time."""

    def __init__(self, lab: Lab, table: str) -> None:
        self.longest_seconds = 0.0
        self.statements = 0
        self._over = threading.Event()
        self._lab = lab
        self._table = name(table)
        self._beside = Beside(self._work)

    def _work(self) -> None:
        with closing(self._lab.connect(autocommit=True)) as connection, connection.cursor() as cursor:
            while not self._over.wait(0.002):
                for statement in (
                    f"SELECT COUNT(*) FROM {self._table}",
                    f"UPDATE {self._table} SET w = w + 1 WHERE id = 500",
                ):
                    began = monotonic()
                    cursor.execute(statement)
                    self.longest_seconds = max(self.longest_seconds, monotonic() - began)
                    self.statements += 1

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Work beside the body."""
        with self._beside:
            try:
                yield
            finally:
                self._over.set()


@pytest.mark.parametrize(
    ("table", "where", "blind_after"),
    [("t", "log", 60.0), (WEIRD, "mirror", 60.0), ("t", "swap", 60.0), (WEIRD, "swap", 0.5)],
    ids=["log", "mirror", "swap", "swap, without looking first"],
)
def test_a_reader_in_an_open_transaction_is_waited_for_while_others_work(
    lab: Lab, table: str, where: str, blind_after: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every exclusive moment waits for a metadata lock without holding others up, and says whose it is."""
    monkeypatch.setattr(moment, "BLIND_AFTER_SECONDS", blind_after)
    lab.table(table, *BY_NUMBER)
    other = Measured(lab, table)
    with closing(lab.connect()) as reader, reader.cursor() as cursor:

        def read() -> None:
            # Reads no row, so it has no snapshot, which the swap would wait for first.
            cursor.execute(f"SELECT 1 FROM {name(table)} WHERE FALSE")

        begin = At(phase(where), read)
        free = At(waiting("free instant"), reader.rollback)
        with other.at_work():
            ran = lab.apply(table, at=[begin, free])
        named = [e for e in ran.of(Waiting) if "free instant" in e.reason and e.blockers]
        assert {b.session_id for e in named for b in e.blockers} >= {reader.thread_id()}
    ran.assert_outcome("done")
    assert begin.seen == 1
    assert other.statements > 100
    # A request that is not taken back waits for lock_wait_timeout, a second, and others behind it.
    assert other.longest_seconds < 0.8
    longest = max(ran.of(Moment), key=lambda m: m.waited_seconds)
    assert longest.waited_seconds > 1.5
    assert (longest.held_seconds or 0) < 1.0
    assert lab.encrypted(table)


def test_the_log_is_drained_while_an_instant_is_waited_for(lab: Lab) -> None:
    """Many changes while somebody keeps the table: when he is gone the first moment is enough for what is left."""
    lab.table("t", *BY_NUMBER)
    with closing(lab.connect()) as reader, reader.cursor() as cursor, lab.application("t") as app, ExitStack() as stack:

        def read() -> None:
            cursor.execute("SELECT 1 FROM t WHERE FALSE")

        def change() -> None:
            for _ in range(3):
                app.write("UPDATE {t} SET v = CONCAT(v, '.') WHERE id <= 10000")
            changed = "SELECT COUNT(*) FROM _t_shadow WHERE id <= 10000 AND v LIKE '%%...'"
            until(lambda: lab.value(changed) == lab.value("SELECT COUNT(*) FROM t WHERE id <= 10000"), "it is drained")
            reader.rollback()

        at = [At(phase("mirror"), read), At(waiting("free instant"), lambda: stack.enter_context(Beside(change)))]
        ran = lab.apply("t", at=at)
    ran.assert_outcome("done")
    assert [moment.purpose for moment in ran.of(Moment)].count("switch") == 1
    lab.assert_done("t")


@pytest.mark.parametrize("where", ["log", "mirror", "swap"])
def test_a_reader_that_does_not_end_is_named_and_nothing_is_changed(lab: Lab, where: str) -> None:
    """After its limit the step fails and names who is in the way; the next run goes on from there."""
    lab.table("t", *BY_NUMBER)
    with closing(lab.connect()) as reader, reader.cursor() as cursor:

        def read() -> None:
            cursor.execute("SELECT 1 FROM t WHERE FALSE")

        ran = lab.apply("t", defaults=SHORT, at=[At(phase(where), read)])
        ran.assert_outcome("failed")
        assert f"session {reader.thread_id()}" in ran.step.message
        assert not lab.encrypted("t")
    lab.apply("t").assert_outcome("done")
    lab.assert_done("t")


def test_a_reader_of_the_shadow_is_waited_for(lab: Lab) -> None:
    """A backup that has the shadow open when its indexes are built is waited for, and named."""
    lab.table("t", *BY_NUMBER)
    with closing(lab.connect()) as reader, reader.cursor() as cursor:

        def read() -> None:
            cursor.execute("SELECT COUNT(*) FROM _t_shadow")

        free = At(lambda event: isinstance(event, Waiting) and bool(event.blockers), reader.rollback)
        ran = lab.apply("t", at=[At(ddl("ADD UNIQUE"), read), free])
        assert reader.thread_id() in {b.session_id for e in ran.of(Waiting) for b in e.blockers}
    ran.assert_outcome("done")
    lab.assert_done("t")


def test_transactions_are_seen_beside_a_statement_with_an_emoji(lab: Lab) -> None:
    """The list of transactions cannot be read while such a statement runs (3854): it is read when that is over."""
    asleep = (
        "SELECT COUNT(*) FROM performance_schema.threads WHERE PROCESSLIST_DB = %s AND PROCESSLIST_STATE = 'User sleep'"
    )

    def sleep() -> None:
        with closing(lab.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT SLEEP(1) FROM DUAL WHERE 1 /* \N{GRINNING FACE} */")

    with closing(lab.session()) as session, Beside(sleep):
        until(lambda: lab.value(asleep, lab.schema), "the statement runs")
        assert not [b for b in read_blockers(session) if b.reason == "unknown"]


# -- backup locks ---------------------------------------------------------------------------------------


def backed_up_at(lab: Lab, when: When) -> None:
    """Migrate while a backup takes its lock at that event and keeps it until it is named for the second time.

    The table is encrypted then, the backup's session was named, and no statement of the application was held up.
    """
    lab.table("t", *BY_NUMBER)
    other = Measured(lab, "t")
    with closing(lab.connect()) as backup, backup.cursor() as cursor:

        def names_it(event: Event) -> bool:
            blockers = event.blockers if isinstance(event, Waiting) else ()
            return backup.thread_id() in {b.session_id for b in blockers if b.reason == "backup-lock"}

        begin = At(when, lambda: cursor.execute("LOCK INSTANCE FOR BACKUP"))
        end = At(names_it, lambda: cursor.execute("UNLOCK INSTANCE"), nth=2)
        with other.at_work():
            ran = lab.apply("t", at=[begin, end])
    ran.assert_outcome("done")
    assert begin.seen >= 1
    assert end.seen >= 2
    assert other.statements > 100
    assert other.longest_seconds < 0.5
    assert lab.encrypted("t")


@pytest.mark.parametrize("where", ["log", "mirror", "swap"])
def test_a_moment_is_not_begun_while_a_backup_has_its_lock(lab: Lab, where: str) -> None:
    """A backup lock that is there when a moment is wanted is waited for, while the application works."""
    backed_up_at(lab, phase(where))


def test_a_moment_is_not_begun_without_looking_for_a_backup(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no free instant was found, the tables are asked for without looking; a backup lock is still looked for."""
    monkeypatch.setattr(moment, "BLIND_AFTER_SECONDS", 0.5)
    backed_up_at(lab, phase("swap"))
    assert max(e.tries for e in lab.events if isinstance(e, Moment) and e.purpose == "swap") <= 2


@pytest.mark.parametrize(
    "words",
    [
        "CREATE DEFINER = CURRENT_USER TRIGGER `{}`.`_t_log_upd`",
        "TRIGGER `{}`.`_t_mirror_upd`",
        "DROP TRIGGER",
        "RENAME TABLE `{}`.`t`",
    ],
    ids=["log", "mirror", "mirror, log triggers off", "swap"],
)
def test_a_moment_is_given_back_when_a_backup_comes_within_it(lab: Lab, words: str) -> None:
    """A backup lock that comes while the tables are held ends the moment within milliseconds; it is done again."""
    backed_up_at(lab, ddl(words.format(lab.schema)))
    assert [e for e in lab.events if isinstance(e, Waiting) and "given back" in e.reason]
    assert max(e.held_seconds or 0 for e in lab.events if isinstance(e, Moment)) < 0.5


@pytest.mark.parametrize("when", [phase("index"), ddl("ADD UNIQUE", done=True)], ids=["indexes", "statistics"])
def test_indexes_and_statistics_wait_for_a_backup(lab: Lab, when: When) -> None:
    """DDL on the shadow, and ANALYZE after it, wait for a backup lock, which is named."""
    backed_up_at(lab, when)
