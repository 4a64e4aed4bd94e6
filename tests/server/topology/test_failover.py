"""A run goes on where a replica has become the source: nothing is lost, nothing guessed, and a person confirms it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from migrator.engine.apply import ApplyOptions, apply
from migrator.engine.cleanup import CleanupOptions, cleanup
from migrator.engine.rehearse import rehearse
from migrator.engine.rollback import RollbackOptions, rollback
from migrator.errors import MigratorError, OwnerUnknown, PlanDrifted, Refused
from migrator.events import ChunkCopied, ChunkVerified, Event, Noticed, RangeCopied
from migrator.planner.failover import Former
from migrator.planner.file import write_plan
from migrator.planner.plan import Plan
from tests.server.cli.held import Ran as Told
from tests.server.cli.kit import run_to_end
from tests.server.engine.kit import SMALL, VOUCHED, At, Meets, Ran, When, ddl, each, phase
from tests.server.topology.kit import ROWS, TABLE, Pair, applied, pair
from tests.servers import RunningServer, caught_up, until


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
    ids = two.there.value("SELECT source_ids FROM migrator.steps")
    with two.there.application("t") as app:
        app.write("UPDATE {t} SET b = 'between' WHERE a % 89 = 7", "DELETE FROM {t} WHERE a % 103 = 9")
    ran = go_on(two, plan, Former(uuid))
    ran.assert_outcome("done")
    assert [one.finding.code for one in ran.of(Noticed)][:2] == ["old-source-silent", "failover"]
    two.there.assert_done("t")
    assert two.there.value("SELECT source_ids FROM migrator.steps WHERE id = 1") != ids, "the ids are this server's"
    assert two.there.value("SELECT server_uuid FROM migrator.meta") == two.replica.value("SELECT @@server_uuid")
    again = go_on(two, plan, None)
    assert again.step.outcome == "skipped", "the plan holds here from now on, without a word"


@pytest.mark.parametrize("dies", ["index built", "compared in part", "after the RENAME", "before the log goes"])
def test_the_last_transactions_are_lost(two: Pair, dies: str) -> None:
    """The replica stopped receiving while the rows were copied, and the source went on, to the swap and beyond.

    What the replica has is a beginning of what happened: the chunks that it lacks are copied there, from its own rows.
    """
    plan, uuid = filled(two), uuid_of(two)
    two.lab.table("gone", "(id INT PRIMARY KEY)")
    when, nth = MOMENTS[dies]

    def cut() -> None:
        change(two, 3)
        caught_up(two.replica, two.source)
        two.replica.rows("STOP REPLICA IO_THREAD")

    class Both:
        """Cut off at the fifth chunk, killed later."""

        first, second = At(each(ChunkCopied), cut, 5), At(when, two.source.kill, nth)

        def meet(self, event: Event) -> None:
            """Look at an event."""
            self.first.meet(event)
            if self.first.seen == 6:
                change(two, 5)
            self.second.meet(event)

    run_until_killed(two, plan, Both())
    two.promote()
    ran = go_on(two, plan, Former(uuid))
    ran.assert_outcome("done")
    two.there.assert_done("t")
    assert two.there.value("SELECT COUNT(*) FROM t WHERE b = 'changed 3'"), "what came before the cut is there"
    assert not two.there.value("SELECT COUNT(*) FROM t WHERE b = 'changed 5'"), "what came after it is lost"


def stopped_in_the_middle(two: Pair, plan: Plan, at: When | None = None, nth: int = 4) -> None:
    """A run that was asked to stop, and a replica that has all of it."""
    stop = threading.Event()
    ran = two.lab.apply(plan=plan, at=[At(at or each(ChunkCopied), stop.set, nth)], stop=stop)
    ran.assert_outcome("stopped")
    caught_up(two.replica, two.source)


def test_a_planned_switchover(two: Pair) -> None:
    """Stopped, the old source read-only, the replica promoted: it goes on there, and needs no word from then on.

    While the old one can be written, or has what the new one lacks, it is refused, and nothing is changed.
    """
    plan, uuid, to = filled(two), uuid_of(two), two.source.server
    former = Former(uuid, to.host, to.port)
    stopped_in_the_middle(two, plan)
    two.promote()
    before = two.replica.value("SELECT @@gtid_executed")
    with pytest.raises(Refused, match=r"answers at .* and can be written"):
        go_on(two, plan, former)
    two.lab.run("CREATE TABLE later (id INT PRIMARY KEY)")
    two.source.rows("SET GLOBAL super_read_only = ON")
    with pytest.raises(Refused, match="has committed what this server does not have"):
        go_on(two, plan, former)
    assert two.replica.value("SELECT @@gtid_executed") == before, "nothing was changed"
    with closing(two.replica.connect()) as connection, connection.cursor() as cursor:  # as if it had been replicated
        cursor.execute(f"SET gtid_next = '{last_gtid(two)}'")
        cursor.execute(f"CREATE TABLE {two.lab.schema}.later (id INT PRIMARY KEY)")
    ran = go_on(two, plan, former)
    ran.assert_outcome("done")
    assert ran.of(Noticed)[0].finding.code == "failover", "the old source was asked"
    two.there.assert_done("t")


def test_the_new_source_shows_where_the_old_one_was(two: Pair, tmp_path: Path) -> None:
    """Before anybody has confirmed anything `status` says what was done, and whose journal that is."""
    plan, uuid = filled(two), uuid_of(two)
    stopped_in_the_middle(two, plan)
    on_source = read(two.source, tmp_path)
    two.promote()
    found = read(two.replica, tmp_path)
    assert found["journal_of"] == uuid
    (there,), (here,) = found["run"]["steps"], on_source["run"]["steps"]
    assert {name: there[name] for name in ("subject", "state", "phase")} == {
        name: here[name] for name in ("subject", "state", "phase")
    }
    assert on_source["journal_of"] == ""
    text = command(two.replica, tmp_path, "status")
    assert f"migrator apply PLAN --failover-from {uuid}" in " ".join(text.out.split())
    assert command(two.replica, tmp_path, "pause").code == 4
    assert command(two.replica, tmp_path, "audit").code == 1
    two.source.rows("SET GLOBAL super_read_only = ON")
    go_on(two, plan, Former(uuid)).assert_outcome("done")
    assert read(two.replica, tmp_path)["journal_of"] == ""


def command(server: RunningServer, folder: Path, *words: str) -> Told:
    """The command at one of the servers, as root."""
    to = server.server
    options = server.option_file(folder / f"{to.port}.cnf", user=to.user, password=to.password)
    return run_to_end(*words, f"--defaults-file={options}", home=folder)


def read(server: RunningServer, folder: Path) -> dict[str, Any]:
    """What `status` says there."""
    told = command(server, folder, "status", "--format=json")
    assert told.code == 0, told
    return dict(json.loads(told.out))


def last_gtid(two: Pair) -> str:
    """The source's last transaction, which the replica lacks."""
    source, there = (one.value("SELECT @@gtid_executed") for one in (two.source, two.replica))
    return str(two.source.value("SELECT GTID_SUBTRACT(%s, %s)", source, there))


def test_a_server_that_keeps_us_out_is_no_silence(two: Pair) -> None:
    """The old source answers, but not to this account: nobody knows whether it can be written, so it is refused."""
    plan, uuid, to = filled(two, 300), uuid_of(two), two.source.server
    stopped_in_the_middle(two, plan, nth=2)
    two.promote()
    with closing(two.source.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(f"ALTER USER '{two.lab.dba.user}'@'%' ACCOUNT LOCK")
    with pytest.raises(Refused, match="lets nobody look"):
        go_on(two, plan, Former(uuid, to.host, to.port))
    assert two.there.value("SELECT server_uuid FROM migrator.meta") == uuid


def test_a_replica_that_still_is_one(two: Pair) -> None:
    """It is refused while it replicates, while it has changes to apply, and while it is set up as a replica at all."""
    plan, uuid = filled(two, 600), uuid_of(two)
    stopped_in_the_middle(two, plan, nth=2)
    with pytest.raises(Refused, match="still replicates from"):
        go_on(two, plan, Former(uuid))
    two.replica.rows("STOP REPLICA SQL_THREAD")
    two.lab.run("CREATE TABLE later (id INT PRIMARY KEY)")
    wanted = two.source.value("SELECT @@gtid_executed")
    received = "SELECT GTID_SUBSET(%s, CONCAT(RECEIVED_TRANSACTION_SET, ',', @@gtid_executed)) FROM performance_schema"
    until(
        lambda: two.replica.value(f"{received}.replication_connection_status WHERE CHANNEL_NAME = ''", wanted),
        "the replica has received the last change",
    )
    two.replica.rows("STOP REPLICA")
    with pytest.raises(Refused, match=r"has received changes .* not applied"):
        go_on(two, plan, Former(uuid))
    two.replica.rows("START REPLICA SQL_THREAD")
    until(lambda: applied(two.replica), "the last change is applied")
    two.replica.rows("STOP REPLICA")
    with pytest.raises(Refused, match="still set up as a replica"):
        go_on(two, plan, Former(uuid))
    assert two.there.value("SELECT server_uuid FROM migrator.meta") == uuid


def test_what_is_not_as_the_journal_says_is_left(two: Pair) -> None:
    """A trigger and a shadow that somebody replaced on the replica are named; nothing is changed, nothing dropped."""
    plan, uuid = filled(two, 600), uuid_of(two)
    stopped_in_the_middle(two, plan, nth=2)
    two.source.kill()
    two.promote()
    two.there.run(
        "DROP TRIGGER _t_log_ins",
        f"CREATE DEFINER = '{two.lab.dba.user}'@'%' TRIGGER _t_log_ins AFTER INSERT ON t FOR EACH ROW SET @seen = 1",
        "RENAME TABLE _t_shadow TO my_shadow",
        "CREATE TABLE _t_shadow (precious INT PRIMARY KEY) ENCRYPTION = 'Y'",
    )
    with pytest.raises(OwnerUnknown, match="not as the journal says") as refused:
        go_on(two, plan, Former(uuid))
    assert f"{two.lab.schema}._t_log_ins: " in refused.value.message
    assert f"{two.lab.schema}._t_shadow: " in refused.value.message
    assert refused.value.exit_code == 4
    assert two.there.value("SELECT server_uuid FROM migrator.meta") == uuid
    assert {"_t_log_ins", "_t_shadow", "_t_log", "_t_log_upd"} <= two.there.names()
    two.there.run("DROP TRIGGER _t_log_ins", "DROP TABLE _t_shadow, my_shadow")
    two.there.run("DELETE FROM t WHERE a = 7", f"DELETE FROM {two.there.in_ledger('t')} WHERE a = 7")
    first = go_on(two, plan, Former(uuid))
    assert first.step.outcome == "failed", "the copy is void"
    go_on(two, plan, None).assert_outcome("done")
    two.there.assert_done("t")


def test_a_shadow_in_clear_is_not_taken_over(two: Pair) -> None:
    """A replica on which somebody has decrypted the copy: it is named, and left."""
    plan, uuid = filled(two, 600), uuid_of(two)
    stopped_in_the_middle(two, plan, nth=2)
    two.source.kill()
    two.promote()
    two.there.run("ALTER TABLE _t_shadow ENCRYPTION = 'N'")
    with pytest.raises(OwnerUnknown, match="_t_shadow: it is in clear here"):
        go_on(two, plan, Former(uuid))


def test_another_server_is_not_taken_for_the_former(two: Pair) -> None:
    """With a wrong server_uuid, without a journal, or on the server itself nothing goes on."""
    plan, uuid = filled(two, 300), uuid_of(two)
    wrong = Former("00000000-0000-0000-0000-000000000001")
    with pytest.raises(Refused, match="no journal"):
        two_apply(two, plan, Former(uuid))
    stopped_in_the_middle(two, plan, nth=2)
    with pytest.raises(Refused, match="was made on this server"):
        two_apply(two, plan, wrong)
    two.promote()
    with pytest.raises(OwnerUnknown, match=uuid):
        go_on(two, plan, wrong)


def two_apply(two: Pair, plan: Plan, former: Former) -> None:
    """Apply on the source itself."""
    options = ApplyOptions(attestations=VOUCHED, failover_from=former)
    with closing(two.lab.session()) as session:
        apply(session, plan, options, lambda _: None, threading.Event())


def test_a_row_that_differs_after_a_failover_is_found(two: Pair) -> None:
    """What was compared on the old source is compared again: a copy that differs on the replica is not swapped in."""
    plan, uuid = filled(two, 2000), uuid_of(two)
    stopped_in_the_middle(two, plan, phase("verify", ended=True), 1)
    assert two.lab.value("SELECT phase FROM migrator.steps") == "verify"
    two.source.kill()
    two.promote()
    two.there.run("UPDATE _t_shadow SET b = 'rotten' WHERE id = 3")
    ran = go_on(two, plan, Former(uuid))
    assert ran.step.outcome == "failed", ran.step
    assert "differ in one range" in ran.step.message
    two.there.assert_equal("t")
    assert "_t_shadow" not in two.there.names(), "the copy is taken away"


def test_a_dry_run_after_a_failover(two: Pair) -> None:
    """Without the confirmation it is refused; with it the review is whole, and the journal still is the old one's."""
    plan, uuid = filled(two, 600), uuid_of(two)
    stopped_in_the_middle(two, plan, nth=2)
    two.source.kill()
    two.promote()
    with closing(two.there.session()) as session, pytest.raises(OwnerUnknown, match=uuid):
        rehearse(session, plan, attestations=VOUCHED, plan_name="plan", listen=lambda _: None)
    before = {
        table: two.there.rows(f"SELECT * FROM migrator.{table}") for table in ("meta", "steps", "objects", "runs")
    }
    told: list[Event] = []
    with closing(two.there.session()) as session:
        review = rehearse(
            session, plan, attestations=VOUCHED, plan_name="plan", listen=told.append, failover_from=Former(uuid)
        )
    assert {step.subject.partition(".")[2]: step.rehearsal.result for step in review.steps}["t"] == "ok"
    assert not [one for one in (*review.drift, *review.gates) if one.blocks]
    assert before == {table: two.there.rows(f"SELECT * FROM migrator.{table}") for table in before}
    go_on(two, plan, Former(uuid)).assert_outcome("done")


def test_a_swap_is_taken_back_after_a_failover(two: Pair) -> None:
    """A retained table that is kept current replicates, too: after the failover the rollback brings every row."""
    two.lab.table("t", TABLE, ROWS.format(rows=800))
    plan, uuid = two.lab.plan(defaults=SMALL.model_copy(update={"rollback_hours": 24})), uuid_of(two)
    two.lab.apply(plan=plan).assert_outcome("done")
    change(two, 3)
    caught_up(two.replica, two.source)
    two.source.kill()
    two.promote()
    with two.there.application("t") as app:
        app.write("UPDATE {t} SET b = 'after the failover' WHERE a % 50 = 1")
    with closing(two.there.session()) as session, pytest.raises(OwnerUnknown, match=uuid):
        rollback(session, RollbackOptions(f"{two.lab.schema}.t"), lambda _: None)
    assert go_on(two, plan, Former(uuid)).step.outcome == "skipped"
    with two.there.application("t") as app:
        app.write("UPDATE {t} SET b = 'and confirmed' WHERE a % 50 = 2")
    with closing(two.there.session()) as session:
        done = rollback(session, RollbackOptions(f"{two.lab.schema}.t"), lambda _: None)
    assert done.action == "rolled-back"
    assert not two.there.encrypted("t")
    two.there.assert_equal("t")
    assert two.there.names() == {"t"}


def test_retained_tables_are_cleaned_up_after_a_failover(two: Pair) -> None:
    """Once confirmed, cleanup drops the retained table, which is told by its new id; before that it refuses."""
    plan, uuid = filled(two, 300), uuid_of(two)
    two.lab.apply(plan=plan).assert_outcome("done")
    caught_up(two.replica, two.source)
    two.source.kill()
    two.promote()
    with closing(two.there.session()) as session, pytest.raises(OwnerUnknown):
        cleanup(session, CleanupOptions(now=True), lambda _: None)
    go_on(two, plan, Former(uuid))
    with closing(two.there.session()) as session:
        done = cleanup(session, CleanupOptions(now=True), lambda _: None)
    assert [one.action for one in done] == ["dropped"]
    assert two.there.names() == {"t"}


@pytest.mark.parametrize("leg", ["move-in", "encrypt", "move-out"])
def test_a_relay_goes_on_after_a_failover(two: Pair, leg: str) -> None:
    """A table with a foreign key, killed after any leg of its relay: the replica has the tablespace, and goes on."""
    two.lab.table("parent", "(id INT PRIMARY KEY, b VARCHAR(400))", "VALUES (1, 'one'), (2, 'two')")
    two.lab.run("CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id))")
    two.lab.run("INSERT INTO child VALUES (1, 1), (2, 2)")
    plan, uuid = two.lab.plan(), uuid_of(two)

    def kill() -> None:
        caught_up(two.replica, two.source)
        two.source.kill()

    with suppress(MigratorError), closing(two.impatient()) as session:
        two.lab.apply(plan=plan, at=[At(phase(leg, ended=True), kill)], session=session)
    two.promote()
    ran = go_on(two, plan, Former(uuid))
    assert {one.outcome for one in ran.outcome.steps} <= {"done", "skipped"}, ran.outcome.steps
    assert two.there.encrypted("parent")
    assert two.there.encrypted("child")
    assert two.there.rows("SELECT * FROM parent JOIN child ON child.p = parent.id ORDER BY 1") == [
        (1, "one", 1, 1),
        (2, "two", 2, 2),
    ]
    assert two.there.spaces() == []


def test_without_gtids() -> None:
    """The same where the servers have no GTIDs: killed while rows are copied, and gone on with."""
    options = ["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"]
    with pair(source=options, second=options) as two:
        plan, uuid = filled(two), uuid_of(two)

        def kill() -> None:
            change(two, 3)
            caught_up(two.replica, two.source)
            two.source.kill()

        run_until_killed(two, plan, At(each(ChunkCopied), kill, 4))
        until(lambda: applied(two.replica), "the replica has applied its relay logs")
        two.replica.rows("STOP REPLICA")
        with pytest.raises(Refused, match="without GTIDs nobody can see"):
            go_on(two, plan, Former(uuid))
        two.replica.rows("START REPLICA SQL_THREAD")
        two.promote()
        go_on(two, plan, Former(uuid)).assert_outcome("done")
        two.there.assert_done("t")


def test_the_command_line(two: Pair, tmp_path: Path) -> None:
    """`apply` names the option, `apply --failover-from` goes on, and the same line again has nothing to do."""
    plan, uuid = filled(two, 900), uuid_of(two)
    stopped_in_the_middle(two, plan, nth=2)
    two.source.kill()
    two.promote()
    file = tmp_path / "plan.yaml"
    write_plan(plan, file)
    options = f"--defaults-file={two.there.dba.option_file(tmp_path / 'dba.cnf')}"
    attest = "--attest-keyring-backup=the tests, 2026-05-01"
    refused = run_to_end("apply", options, file, attest, home=tmp_path)
    assert refused.code == 4, refused
    refused.says(uuid, f"--failover-from {uuid}")
    nonsense = run_to_end("apply", options, file, attest, "--failover-from=primary", home=tmp_path)
    assert nonsense.code == 2, nonsense
    nonsense.says("this is no server_uuid")
    for _ in range(2):
        done = run_to_end("apply", options, file, attest, f"--failover-from={uuid.upper()}", home=tmp_path)
        assert done.code == 0, done
    status = run_to_end("status", options, home=tmp_path)
    assert status.code == 0, status
    two.there.assert_done("t")
