"""A replica without a keyring, whatever anybody attests: found before anything is done, or once it can be asked."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import closing

import pytest

from migrator.engine import replicas
from migrator.engine.apply import ApplyOptions, apply
from migrator.errors import Refused
from migrator.events import ChunkCopied, Event
from migrator.planner.plan import Attestation, Attestations, Plan
from tests.server.engine.kit import VOUCHED, At, Ran
from tests.server.engine.kit import each as each_event
from tests.server.topology.kit import ROWS, TABLE, Pair, alone, pair
from tests.servers import caught_up, until
from tests.servers.replication import status

FILTER_ERROR = 1146
NO_KEY = 3185


def attesting(two: Pair) -> Attestations:
    """Somebody says that the replica has a keyring."""
    to = two.replica.server
    said = Attestation(by="somebody", at=VOUCHED.keyring_backup.at if VOUCHED.keyring_backup else "")  # type: ignore[arg-type]
    return VOUCHED.model_copy(update={"members": {f"{to.host}:{to.port}": said}})


def applied(two: Pair, plan: Plan, at: At | None = None) -> Ran:
    """Apply with that attestation."""
    events: list[Event] = []

    def listen(event: Event) -> None:
        events.append(event)
        if at is not None:
            at.meet(event)

    with closing(two.lab.session()) as session:
        # A replica that cannot be asked how far it is behind would hold the run.
        options = ApplyOptions(attestations=attesting(two), limits={"max_lag_seconds": 0.0})
        return Ran(apply(session, plan, options, listen, threading.Event()), events)


def test_an_attestation_that_the_replica_denies() -> None:
    """The replica can be asked and has no keyring: nothing is touched, though somebody has attested one."""
    with pair(keyring=False) as two:
        two.lab.table("t", TABLE, ROWS.format(rows=100))
        caught_up(two.replica, two.source)
        plan = two.lab.plan()
        before = two.source.value("SELECT @@gtid_executed")
        with pytest.raises(Refused, match="has no usable keyring, whatever is attested") as refused:
            applied(two, plan)
        assert "give it one" in refused.value.remedy
        assert two.source.value("SELECT @@gtid_executed") == before
        caught_up(two.replica, two.source)


def test_an_attestation_that_nobody_could_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """The replica did not know our account, and stopped at the first encrypted table: once it answers, the run stops.

    With exit code 75, and the replica, the error and what to do are named.
    """
    monkeypatch.setattr(replicas, "EVERY_SECONDS", 0.2)
    with pair(keyring=False) as two:
        two.lab.table("t", TABLE, ROWS.format(rows=2000))
        plan = two.lab.plan()
        caught_up(two.replica, two.source)
        user, password = two.lab.dba.user, two.lab.dba.password
        alone(two.replica, f"DROP USER '{user}'@'%'")

        def account_comes() -> None:
            until(lambda: status(two.replica)["Last_SQL_Errno"], "the replica has stopped")
            two.lab.run("UPDATE migrator.control SET paused = 1")  # else the run could end before it is seen
            alone(
                two.replica,
                f"CREATE USER '{user}'@'%' IDENTIFIED BY '{password}'",
                f"GRANT SELECT ON performance_schema.* TO '{user}'@'%'",
            )

        ran = applied(two, plan, At(each_event(ChunkCopied), account_comes, 2))
        assert ran.outcome.exit_code == 75, ran.step
        to = two.replica.server
        assert f"replica {to.host}:{to.port} has stopped applying changes with error {NO_KEY}" in ran.step.message
        assert "give it a usable keyring" in ran.step.remedy
        two.lab.assert_equal("t")


def test_a_replica_that_stops_for_another_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody has dropped the copy on the replica: its applier stops, and so does the run; mended, both go on."""
    monkeypatch.setattr(replicas, "EVERY_SECONDS", 0.2)
    with pair() as two:
        two.lab.table("t", TABLE, ROWS.format(rows=2000))
        plan = two.lab.plan()

        def drop() -> None:
            caught_up(two.replica, two.source)
            alone(two.replica, f"RENAME TABLE {two.lab.schema}._t_shadow TO {two.lab.schema}.away")
            two.lab.run("UPDATE migrator.control SET paused = 1")

        def write() -> None:
            drop()
            two.lab.run(
                f"INSERT INTO {two.lab.schema}._t_shadow (id) VALUES (-5)",
                f"DELETE FROM {two.lab.schema}._t_shadow WHERE id = -5",
            )

        ran = applied(two, plan, At(each_event(ChunkCopied), write, 2))
        assert ran.outcome.exit_code == 75, ran.step
        assert f"has stopped applying changes with error {FILTER_ERROR}" in ran.step.message
        assert "SHOW REPLICA STATUS" in ran.step.remedy
        alone(two.replica, f"RENAME TABLE {two.lab.schema}.away TO {two.lab.schema}._t_shadow")
        two.replica.rows("START REPLICA")
        two.lab.run("UPDATE migrator.control SET paused = 0")
        applied(two, plan).assert_outcome("done")
        two.lab.assert_done("t")
        caught_up(two.replica, two.source)
        assert two.there.contents("t") == two.lab.contents("t")


def test_a_replica_that_hangs_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replica that takes connections and never answers (stopped by a signal): the run comes to its end."""
    monkeypatch.setattr(replicas, "EVERY_SECONDS", 0.1)
    with pair() as two:
        two.lab.table("t", TABLE, ROWS.format(rows=2000))
        plan, pid = two.lab.plan(), two.replica.server.pid
        assert pid is not None
        try:
            ran = applied(two, plan, At(each_event(ChunkCopied), lambda: os.kill(pid, signal.SIGSTOP), 2))
        finally:
            os.kill(pid, signal.SIGCONT)
        ran.assert_outcome("done")
        two.lab.assert_done("t")
        caught_up(two.replica, two.source)
        assert two.there.contents("t") == two.lab.contents("t")
