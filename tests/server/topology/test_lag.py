"""Replicas that are behind, stopped, broken, filtered or not to be reached hold a run; what is lifted lets it go on."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass

import pytest

from migrator.engine import pace, ranges
from migrator.engine.journal import Journal
from migrator.events import ChunkCopied, RunStarted, Throttled
from migrator.inventory.signals import read_heartbeat
from migrator.planner.control import Wishes
from migrator.sql_errors import SqlError
from tests.server.engine.kit import At, Beside, Lab, Ran, each
from tests.server.engine.test_rows import BY_NUMBER
from tests.server.engine.test_throttle import ALONE, Running, running, told
from tests.servers import RunningServer, caught_up, least_privileged, replica, start, until
from tests.servers.replication import status

pytestmark = pytest.mark.timeout(180)

Lift = Callable[[], object]

OPTIONS = ["--innodb-buffer-pool-size=64M"]


@dataclass(slots=True)
class Pair:
    """A source with a laboratory, and its replica."""

    lab: Lab
    replica: RunningServer

    @property
    def name(self) -> str:
        """The replica, as the source shows it."""
        return f"{self.replica.server.host}:{self.replica.server.port}"

    def there(self, *statements: str) -> None:
        """Run statements on the replica that stay there."""
        self.replica.rows("SET GLOBAL super_read_only = OFF")
        with closing(self.replica.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("SET sql_log_bin = 0")
            for statement in statements:
                cursor.execute(statement)
        self.replica.rows("SET GLOBAL super_read_only = ON")

    def tables_are_equal(self) -> None:
        """The replica has the encrypted table with the source's rows."""
        caught_up(self.replica, self.lab.server)
        rows = f"SELECT * FROM `{self.lab.schema}`.t ORDER BY id"
        assert self.replica.rows(rows) == self.lab.server.rows(rows)
        self.lab.assert_done("t")


def behind(pair: Pair) -> float:
    """How old the newest heartbeat is that the replica has."""
    return float(
        pair.replica.value(
            "SELECT TIMESTAMPDIFF(MICROSECOND, heartbeat_at, UTC_TIMESTAMP(6)) / 1e6 FROM migrator.lease"
        )
    )


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[RunningServer, RunningServer]]:
    """A source without a past, and its replica."""
    with start(options=OPTIONS, name="source") as source, replica(source, options=OPTIONS) as second:
        yield source, second


@pytest.fixture
def pair(servers: tuple[RunningServer, RunningServer], monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    """Schemas and an account of its own for each test; afterwards the replica has all of the source's changes."""
    monkeypatch.setattr(ranges, "FEWEST_ROWS", 400)
    monkeypatch.setattr(pace, "FIRST_ROWS", 90)
    source, second = servers
    with least_privileged(source) as account:
        for schema in ("t_lag", "t_lag_ledger"):
            source.rows(f"CREATE DATABASE {schema}")
        lab = Lab(source, account, "t_lag", "t_lag_ledger")
        lab.table("t", *BY_NUMBER)
        caught_up(second, source)
        try:
            yield Pair(lab, second)
        finally:
            for schema in ("t_lag", "t_lag_ledger", "migrator"):
                source.rows(f"DROP DATABASE IF EXISTS {schema}")
    caught_up(second, source)


@contextmanager
def lagging(pair: Pair) -> Iterator[Lift]:
    """It applies everything ten minutes late, on purpose."""
    yield from _stopped(pair, "CHANGE REPLICATION SOURCE TO SOURCE_DELAY = 600; START REPLICA SQL_THREAD")


@contextmanager
def stopped(pair: Pair) -> Iterator[Lift]:
    """Its applier is stopped."""
    yield from _stopped(pair, "DO 0")


@contextmanager
def cut_off(pair: Pair) -> Iterator[Lift]:
    """Nothing comes from its source any more, and the source does not show it."""
    pair.replica.rows("STOP REPLICA IO_THREAD")
    yield lambda: pair.replica.rows("START REPLICA IO_THREAD")


def _stopped(pair: Pair, then: str) -> Iterator[Lift]:
    pair.replica.rows("STOP REPLICA SQL_THREAD")
    for statement in then.split("; "):
        pair.replica.rows(statement)

    def lift() -> None:
        pair.replica.rows("STOP REPLICA SQL_THREAD")
        pair.replica.rows("CHANGE REPLICATION SOURCE TO SOURCE_DELAY = 0")
        pair.replica.rows("START REPLICA SQL_THREAD")

    yield lift


@contextmanager
def broken(pair: Pair) -> Iterator[Lift]:
    """Its applier met a row that is not there, and has ended with an error."""
    pair.lab.run("CREATE TABLE other (n INT PRIMARY KEY)", "INSERT INTO other VALUES (1)")
    caught_up(pair.replica, pair.lab.server)
    pair.there("DELETE FROM t_lag.other")
    pair.lab.run("DELETE FROM other")
    until(lambda: status(pair.replica)["Last_SQL_Errno"], "the replica has stopped")

    def lift() -> None:
        pair.there("INSERT INTO t_lag.other VALUES (1)")
        pair.replica.rows("START REPLICA SQL_THREAD")

    yield lift


@contextmanager
def filtered(pair: Pair) -> Iterator[Lift]:
    """It leaves the heartbeat out: nobody can know how far it is."""

    def leave_out(what: str) -> None:
        pair.replica.rows("STOP REPLICA SQL_THREAD")
        pair.replica.rows(f"CHANGE REPLICATION FILTER REPLICATE_IGNORE_TABLE = ({what})")
        pair.replica.rows("START REPLICA SQL_THREAD")

    leave_out("migrator.lease")
    yield lambda: leave_out("")


@pytest.mark.parametrize("how", [lagging, stopped, broken])
def test_a_replica_holds_the_run(pair: Pair, how: Callable[[Pair], AbstractContextManager[Lift]]) -> None:
    """It is named with its lag, and nothing is begun. Lifted, the run is done."""
    journal = Journal()
    with closing(pair.lab.session()) as session:
        journal.open(session, "test")  # what the replica has from earlier runs
    caught_up(pair.replica, pair.lab.server)
    with how(pair) as lift:
        until(lambda: behind(pair) > 7, "what it has is old", seconds=60)
        with running(pair.lab) as run:
            try:
                run.is_held(pair.name)
                assert "s behind, the limit is 5 s" in told(pair.lab)
            finally:
                lift()
    run.ran[0].assert_outcome("done")
    assert {one.signal for one in run.ran[0].outcome.throttled} >= {f"lag of {pair.name}"}
    pair.tables_are_equal()


def test_a_replica_that_cannot_be_asked_holds_the_run(pair: Pair) -> None:
    """It takes our account no more: with why, and without a secret. When it does again, the run goes on."""
    user = f"'{pair.lab.dba.user}'@'%'"
    locks = At(each(RunStarted), lambda: pair.there(f"ALTER USER {user} ACCOUNT LOCK"))
    with running(pair.lab, at=[locks]) as run:
        try:
            run.is_held(f"how far replica {pair.name} is behind cannot be read")
            assert "cannot connect to" in told(pair.lab)
            assert pair.lab.dba.password not in told(pair.lab)
        finally:
            pair.there(f"ALTER USER {user} ACCOUNT UNLOCK")
    run.ran[0].assert_outcome("done")
    pair.tables_are_equal()


def test_a_replica_that_leaves_the_heartbeat_out_holds_the_run(pair: Pair) -> None:
    """Unreadable counts as exceeded; the run can be told to leave it out, by `set` as well as by the plan."""
    journal = Journal()
    with filtered(pair) as lift:
        try:
            with running(pair.lab) as run, closing(pair.lab.session()) as control:
                run.is_held(pair.name)
                assert "it has no journal" in told(pair.lab)
                journal.wish(control, Wishes(max_lag_seconds=0))
            run.ran[0].assert_outcome("done")
            pair.lab.run("CREATE TABLE second (id INT PRIMARY KEY)")
            ran = pair.lab.apply("second", defaults=ALONE.model_copy(update={"ignore_replicas": (pair.name,)}))
            ran.assert_outcome("done")
            assert not ran.of(Throttled)
        finally:
            pair.lab.server.rows("DROP DATABASE IF EXISTS migrator")
            caught_up(pair.replica, pair.lab.server)
            lift()
    pair.lab.assert_done("t")


def test_a_replica_that_is_cut_off_is_asked_all_the_same(pair: Pair) -> None:
    """What is named in the plan is asked though its source does not show it."""
    with cut_off(pair) as lift, running(pair.lab, replicas=(pair.name,)) as run:
        run.is_held(pair.name)
        lift()
    run.ran[0].assert_outcome("done")
    pair.tables_are_equal()


def test_the_server_itself_is_no_replica(pair: Pair) -> None:
    """Named by mistake it would never be behind."""
    own = f"{pair.lab.server.server.host}:{pair.lab.server.server.port}"
    stop, ran = threading.Event(), list[Ran]()
    plan = pair.lab.plan("t", defaults=ALONE.model_copy(update={"replicas": (own,)}))
    with Beside(lambda: ran.append(pair.lab.apply(plan=plan, stop=stop))):
        try:
            Running(pair.lab).is_held("it is the server itself")
        finally:
            stop.set()
    ran[0].assert_outcome("stopped")


def test_a_slow_replica_is_never_far_behind(pair: Pair) -> None:
    """It gets a fraction of the processor: the copy goes at its pace, and the lag stays below the limit and a margin.

    Its process is stopped for nine tenths of the time. The margin is what is under way when it begins to fall behind,
    and the second between two heartbeats.
    """
    rows = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 60000)"
    pair.lab.table(
        "wide",
        "(id INT PRIMARY KEY AUTO_INCREMENT, a VARCHAR(900) NOT NULL)",
        f"(a) {rows} SELECT REPEAT('x', 900) FROM n",
    )
    caught_up(pair.replica, pair.lab.server)
    pid = pair.replica.server.pid
    assert pid
    over, seen = threading.Event(), list[tuple[float, int]]()

    def slow() -> None:
        try:
            while not over.is_set():
                os.kill(pid, signal.SIGSTOP)
                over.wait(0.18)
                os.kill(pid, signal.SIGCONT)
                over.wait(0.02)
        finally:
            os.kill(pid, signal.SIGCONT)

    def watch() -> None:
        to = pair.replica.server
        with closing(pair.lab.session()) as ours, closing(pair.lab.session(host=to.host, port=to.port)) as theirs:
            while not over.wait(0.5):
                with suppress(SqlError):  # the journal is not there yet
                    source, second = read_heartbeat(ours, "migrator"), read_heartbeat(theirs, "migrator")
                    copied = sum(isinstance(event, ChunkCopied) for event in pair.lab.events)
                    if source and second and copied:
                        seen.append((source.now - second.beat, copied))

    defaults = ALONE.model_copy(update={"max_lag_seconds": 4.0, "chunk_max_bytes": 512 * 1024})
    ran = list[Ran]()
    with Beside(slow), Beside(watch):
        try:
            ran.append(pair.lab.apply("wide", defaults=defaults))
        finally:
            over.set()
    ran[0].assert_outcome("done")
    assert f"lag of {pair.name}" in {one.signal for one in ran[0].outcome.throttled}
    assert max(lag for lag, _ in seen) < 2 * 4
    assert len({copied for _, copied in seen}) > 3, "it went on, little by little"
    caught_up(pair.replica, pair.lab.server)
