"""Group Replication: the primary is migrated, its members end equal; nowhere else anything is touched."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace

import pytest

from migrator.db import Session
from migrator.driver import Connect
from migrator.engine.apply import ApplyOptions, apply
from migrator.errors import MigratorError, OwnerUnknown, Refused
from migrator.events import ChunkCopied, ChunkVerified, Event, Noticed
from migrator.planner.failover import Former
from migrator.planner.plan import Plan
from tests.server.engine.kit import SMALL, VOUCHED, At, Lab, Meets, Ran, each, phase
from tests.server.topology.kit import ROWS, SMALL_SERVER, TABLE, assert_same_everywhere, laboratory
from tests.servers import RunningServer, until
from tests.servers.group import Group, group

LIMIT = 600_000
"""Bytes that a transaction may have in the tests of that."""

WIDE = 60_000
"""Bytes of a wide row; ten of them are too many for a transaction."""


@pytest.fixture(scope="module")
def trio() -> Iterator[Group]:
    """Three members, one of them the primary; for tests that leave all three at work."""
    with group(options=SMALL_SERVER) as made:
        yield made


@pytest.fixture
def lab(trio: Group) -> Iterator[Lab]:
    """A schema on the primary; the journal is taken away afterwards."""
    with laboratory(trio.primary) as made:
        try:
            yield made
        finally:
            primary = trio.primary
            for schema in (made.schema, made.ledger, "migrator"):
                primary.rows(f"DROP DATABASE IF EXISTS {schema}")
            trio.caught_up(primary)


def on(lab: Lab, server: RunningServer) -> Lab:
    """The same schemas on another member."""
    return Lab(server, replace(lab.dba, server=server), lab.schema, lab.ledger)


def applied(lab: Lab, plan: Plan, former: Former | None = None, at: Sequence[Meets] = ()) -> Ran:
    """Apply, with what a person says about a failover."""
    events: list[Event] = []

    def listen(event: Event) -> None:
        events.append(event)
        for one in at:
            one.meet(event)

    options = ApplyOptions(attestations=VOUCHED, failover_from=former)
    with closing(lab.session()) as session:
        return Ran(apply(session, plan, options, listen, threading.Event()), events)


def test_a_group_is_migrated(trio: Group, lab: Lab) -> None:
    """On the primary every method works while the application writes; afterwards all members hold the same."""
    lab.table("t", TABLE, ROWS.format(rows=3000))
    lab.table("parent", "(id INT PRIMARY KEY, b VARCHAR(400))", "VALUES (1, 'one'), (2, 'two')")
    lab.run("CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id))")
    lab.run("INSERT INTO child VALUES (1, 1), (2, 2)")

    def change(mark: int) -> None:
        with lab.application("t") as app:
            app.write(
                f"UPDATE {{t}} SET b = 'changed {mark}' WHERE a % 97 = {mark}", "DELETE FROM {t} WHERE a % 101 = 5"
            )

    at = [At(each(ChunkCopied), lambda: change(3), 4), At(each(ChunkVerified), lambda: change(4), 2)]
    ran = lab.apply(at=at)
    assert {one.outcome for one in ran.outcome.steps} == {"done"}, ran.outcome.steps
    assert "transaction-size" in {one.finding.code for one in ran.of(Noticed)}
    lab.assert_done("t")
    trio.caught_up(lab.server)
    assert_same_everywhere(lab.server, *trio.others(lab.server))
    assert all(on(lab, one).encrypted(table) for one in trio.servers for table in ("t", "parent", "child"))


def test_a_secondary_is_refused(trio: Group, lab: Lab) -> None:
    """With a plan of its own, a member that is not the primary refuses, and says where to run it."""
    lab.table("t", TABLE, ROWS.format(rows=100))
    trio.caught_up(lab.server)
    second = trio.others(lab.server)[0]
    there = on(lab, second)
    plan = there.plan()
    before = second.value("SELECT @@gtid_executed")
    with pytest.raises(Refused, match="is SECONDARY, not PRIMARY") as refused:
        there.apply(plan=plan)
    assert "calls PRIMARY" in refused.value.remedy
    assert second.value("SELECT @@gtid_executed") == before, "nothing was touched"


def test_several_primaries_are_refused(trio: Group, lab: Lab) -> None:
    """In multi-primary mode nothing is done; back in single-primary mode it is."""
    lab.table("t", TABLE, ROWS.format(rows=100))
    plan, primary = lab.plan(), str(lab.server.value("SELECT @@server_uuid"))
    lab.server.rows("SELECT group_replication_switch_to_multi_primary_mode()")
    try:
        with pytest.raises(Refused, match="multi-primary"):
            lab.apply(plan=plan)
        assert not lab.rows("SHOW DATABASES LIKE 'migrator'")
    finally:
        lab.server.rows("SELECT group_replication_switch_to_single_primary_mode(%s)", primary)
    until(lambda: trio.primary is lab.server, "the group has one primary again", seconds=60)
    lab.apply(plan=plan).assert_outcome("done")


def _wide(lab: Lab) -> None:
    """A table of 2,000 narrow rows, with a stretch of 40 wide ones in the middle: the average says little."""
    lab.table("t", "(id INT PRIMARY KEY, a INT, b MEDIUMTEXT, UNIQUE KEY a (a))")
    narrow = "SELECT i * 10, i, REPEAT('n', 100) FROM r"
    numbers = "WITH RECURSIVE r (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < {})"
    for place in ("t", lab.in_ledger("t")):
        lab.run(f"INSERT INTO {place} {numbers.format(900)} {narrow}")
        for first in range(0, 40, 2):
            wide = ", ".join(f"({10_001 + n}, {5_000 + n}, REPEAT('w', {WIDE}))" for n in (first, first + 1))
            lab.run(f"INSERT INTO {place} VALUES {wide}")
        lab.run(f"INSERT INTO {place} {numbers.format(900)} SELECT i * 10 + 20000, i + 10000, REPEAT('n', 100) FROM r")
    lab.run("ANALYZE TABLE t")


@pytest.mark.parametrize("unique_waits", [True, False])
def test_a_limit_of_transactions(trio: Group, lab: Lab, *, unique_waits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wide rows where the average is narrow, changed again and again: no chunk and no batch of the drain is too large.

    Each change of the application fits; all of them together, or a stretch of the table, are several times too large.
    """
    _wide(lab)
    for server in trio.servers:
        server.rows("SET GLOBAL group_replication_transaction_size_limit = %s", LIMIT)

    def change(mark: str, *, also_moved: bool = True) -> None:
        with lab.application("t") as app:
            for n in range(40):
                app.write(f"UPDATE {{t}} SET b = CONCAT('{mark}', SUBSTR(b, 2)) WHERE id = {10_001 + n}")
            if also_moved:  # keys that are there twice, and a unique value that is handed on
                app.write("DELETE FROM {t} WHERE id = 10001")
                app.write(f"INSERT INTO {{t}} VALUES (10001, 7777, REPEAT('{mark}', {WIDE}))")
                app.write("UPDATE {t} SET a = 7778 WHERE id = 10001")
                app.write("UPDATE {t} SET a = 7777 WHERE id = 10002", "UPDATE {t} SET a = 5001 WHERE id = 10001")
                app.write("UPDATE {t} SET a = 5000 WHERE id = 10001", "UPDATE {t} SET a = 5001 WHERE id = 10002")

    defaults = SMALL.model_copy(update={"chunk_max_bytes": 16 * 2**20, "chunk_time_seconds": 5.0})
    plan = lab.plan(defaults=defaults)
    if not unique_waits:
        monkeypatch.setattr("migrator.engine.shadow.left_out_at_first", lambda *_, **__: ())
    try:
        at: list[Meets] = [
            At(phase("copy", ended=True), lambda: change("p")),
            At(phase("mirror"), lambda: change("q")),
            At(each(ChunkVerified), lambda: change("r", also_moved=False), 1),
        ]
        ran = lab.apply(plan=plan, at=at)
        ran.assert_outcome("done")
        lab.assert_done("t")
        trio.caught_up(lab.server)
        assert_same_everywhere(lab.server, *trio.others(lab.server))
    finally:
        for server in trio.servers:
            server.rows("SET GLOBAL group_replication_transaction_size_limit = DEFAULT")


def test_a_row_larger_than_the_limit(trio: Group, lab: Lab) -> None:
    """It cannot be copied: the step fails with the two settings named, and the table is as it was."""
    lab.table("t", "(id INT PRIMARY KEY, b MEDIUMTEXT)", f"VALUES (1, 'a'), (2, REPEAT('w', {2 * LIMIT})), (3, 'c')")
    plan = lab.plan()
    for server in trio.servers:
        server.rows("SET GLOBAL group_replication_transaction_size_limit = %s", LIMIT)
    try:
        ran = lab.apply(plan=plan)
        ran.assert_outcome("failed")
        assert "with a single row" in ran.step.message
        assert "group_replication_transaction_size_limit" in ran.step.remedy
        lab.assert_equal("t")
    finally:
        for server in trio.servers:
            server.rows("SET GLOBAL group_replication_transaction_size_limit = DEFAULT")
    lab.apply(plan=plan).assert_outcome("done")
    lab.assert_done("t")


def test_another_member_becomes_primary(trio: Group, lab: Lab) -> None:
    """A planned change of the primary stops the run with a word; it goes on there once that is confirmed."""
    lab.table("t", TABLE, ROWS.format(rows=3000))
    plan, old = lab.plan(), lab.server
    new = trio.others(old)[0]
    uuid, chosen = (str(one.value("SELECT @@server_uuid")) for one in (old, new))

    def change_over() -> None:
        trio.servers[0].rows("SELECT group_replication_set_as_primary(%s)", chosen)
        until(lambda: old.value("SELECT @@super_read_only"), "the old primary is read-only")

    ran = lab.apply(plan=plan, at=[At(each(ChunkCopied), change_over, 3)])
    assert ran.outcome.exit_code == 75, ran.step
    assert "does not take writes any more" in ran.step.message
    assert f"--failover-from {uuid}" in ran.step.remedy
    trio.caught_up(old, new)
    there = on(lab, new)
    with pytest.raises(OwnerUnknown, match=uuid):
        there.apply(plan=plan)
    to = old.server
    applied(there, plan, Former(uuid, to.host, to.port)).assert_outcome("done")
    there.assert_done("t")
    trio.caught_up(new)
    assert_same_everywhere(new, *trio.others(new))


def test_the_primary_dies() -> None:
    """The run ends with its server; on the member that took over it refuses, until the failover is confirmed."""
    options = [*SMALL_SERVER, "--loose-group-replication-member-expel-timeout=0"]
    with group(options=options) as trio, laboratory(trio.primary) as lab:
        lab.table("t", TABLE, ROWS.format(rows=3000))
        plan, old = lab.plan(), lab.server
        uuid, to = str(old.value("SELECT @@server_uuid")), old.server
        connect = Connect(host=to.host, port=to.port, user=lab.dba.user, password=lab.dba.password)

        def die() -> None:
            with lab.application("t") as app:
                app.write("UPDATE {t} SET b = 'before' WHERE a % 97 = 3", "DELETE FROM {t} WHERE a % 101 = 5")
            old.kill()

        with suppress(MigratorError), closing(Session(connect, patience_seconds=0.5)) as session:
            ran = lab.apply(plan=plan, at=[At(each(ChunkCopied), die, 4)], session=session)
            assert ran.step.outcome != "done"
        there = on(lab, trio.wait_for_another_primary(old))
        with pytest.raises(OwnerUnknown, match=uuid):
            there.apply(plan=plan)
        applied(there, plan, Former(uuid)).assert_outcome("done")
        there.assert_done("t")
        (third,) = (one for one in trio.servers if one not in {old, there.server})
        trio.caught_up(there.server, third)
        assert_same_everywhere(there.server, third)
