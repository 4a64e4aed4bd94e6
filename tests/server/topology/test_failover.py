"""A run goes on where a replica has become the source: nothing is lost, nothing is guessed, and a person confirms it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from migrator.db import Session
from migrator.engine.apply import ApplyOptions, apply
from migrator.errors import MigratorError, OwnerUnknown, PlanDrifted, Refused
from migrator.events import ChunkCopied, ChunkVerified, Event, Noticed, RangeCopied
from migrator.planner.failover import Former
from migrator.planner.plan import Plan
from tests.server.engine.kit import SMALL, VOUCHED, At, Meets, Ran, When, ddl, each, phase
from tests.server.topology.kit import ROWS, TABLE, Pair, applied, assert_same_everywhere, pair
from tests.servers import caught_up, until


@pytest.fixture
def two() -> Iterator[Pair]:
    """A source with a replica that follows it, by GTID."""
    with pair() as made:
        yield made


def uuid_of(two: Pair) -> str:
    """Of the source."""
    return str(two.source.value("SELECT @@server_uuid"))


def filled(two: Pair, rows: int = 3000) -> Plan:
    """A table with a ledger, and a plan that was made on the source."""
    two.lab.table("t", TABLE, ROWS.format(rows=rows))
    return two.lab.plan()


def change(two: Pair, mark: int) -> None:
    """All sorts of changes all over the table, on the source."""
    with two.lab.application("t") as app:
        app.write(
            f"UPDATE {{t}} SET b = 'changed {mark}' WHERE a % 97 = {mark}",
            f"DELETE FROM {{t}} WHERE a % 101 = {mark}",
            f"INSERT INTO {{t}} (id, a, b) VALUES ({mark} * 3 + 1, {mark}, 'new'), (NULL, {mark}, 'new at the end')",
            f"UPDATE {{t}} SET id = id + 1 WHERE a % 211 = {mark + 20}",
        )


def run_until_killed(two: Pair, plan: Plan, at: Meets) -> None:
    """Apply on the source until `at` kills it; whatever that run says in the end."""
    with suppress(MigratorError), closing(two.impatient()) as session:
        ran = two.lab.apply(plan=plan, at=[at], session=session)
        assert ran.step.outcome != "done", "the source was not killed before the end"


def go_on(two: Pair, plan: Plan, former: Former | None, at: tuple[Meets, ...] = ()) -> Ran:
    """Apply on what was the replica."""
    events: list[Event] = []

    def listen(event: Event) -> None:
        events.append(event)
        for one in at:
            one.meet(event)

    options = ApplyOptions(attestations=VOUCHED, failover_from=former)
    with closing(two.there.session()) as session:
        return Ran(apply(session, plan, options, listen, threading.Event()), events)


MOMENTS: dict[str, tuple[When, int]] = {
    "log table not made": (ddl("CREATE TABLE `migrator`.`step_1_log`"), 1),
    "shadow not at its place": (ddl("RENAME TABLE `migrator`.`step_1_shadow`"), 1),
    "second log trigger": (ddl("TRIGGER", done=True), 2),
    "third chunk": (each(ChunkCopied), 3),
    "second range": (each(RangeCopied), 2),
    "index built": (phase("index", ended=True), 1),
    "second mirror trigger": (ddl("_mirror_", done=True), 2),
    "mirrored": (phase("mirror", ended=True), 1),
    "compared in part": (each(ChunkVerified), 3),
    "before the RENAME": (ddl("_retained`"), 1),
    "after the RENAME": (ddl("_retained`", done=True), 1),
    "before the log goes": (ddl("DROP TABLE"), 1),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_source_dies(two: Pair, moment: str) -> None:
    """Killed at any moment: the promoted replica refuses until it is confirmed, then the run goes on and ends right.

    The application has written before the source died and writes on the new one; every row is compared with its ledger.
    """
    plan, uuid = filled(two), uuid_of(two)
    when, nth = MOMENTS[moment]

    def kill() -> None:
        if "RENAME" not in moment and "trigger" not in moment:  # nobody can write while the table is locked
            change(two, 3)
        caught_up(two.replica, two.source)
        two.source.kill()

    run_until_killed(two, plan, At(when, kill, nth))
    two.promote()
    with pytest.raises((OwnerUnknown, PlanDrifted), match=uuid) as refused:
        go_on(two, plan, None)
    assert f"--failover-from {uuid}" in refused.value.remedy
    before = two.there.rows("SELECT * FROM migrator.meta")
    assert before[0][3] == uuid
    with two.there.application("t") as app:
        app.write("UPDATE {t} SET b = 'between' WHERE a % 89 = 7", "DELETE FROM {t} WHERE a % 103 = 9")
    ran = go_on(two, plan, Former(uuid))
    ran.assert_outcome("done")
    assert [one.finding.code for one in ran.of(Noticed)][:2] == ["old-source-silent", "failover"]
    two.there.assert_done("t")
    assert two.there.value("SELECT server_uuid FROM migrator.meta") == two.replica.value("SELECT @@server_uuid")
    again = go_on(two, plan, None)
    assert again.step.outcome == "skipped", "the plan holds here from now on, without a word"
