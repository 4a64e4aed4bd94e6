"""Pausing a run from elsewhere, and what is told while it waits for somebody. Each test runs the installed command."""

from __future__ import annotations

from contextlib import closing

from tests.server.cli.held import Held, each, phase
from tests.server.cli.kit import ALL_SHADOW, CANARY, Desk, edit, session_of
from tests.server.cli.snapshot import JOURNAL
from tests.servers import until


def paused_by_person(desk: Desk, held: Held) -> None:
    """Pause from elsewhere, and come back when the run waits because of that."""
    ran = desk.migrator("pause")
    assert (ran.code, "pauses at its next safe point" in ran.err) == (0, True), ran
    # A run hears of it with its next heartbeat; it makes these also while it is held.
    heard = f"SELECT l.heartbeat_at > c.at FROM {JOURNAL}.lease l JOIN {JOURNAL}.control c"
    until(lambda: desk.value(heard), "the run has heard of the pause")
    assert held.hold(each("Waiting"))["reason"] == "paused by a person"


def entries(desk: Desk, condition: str) -> int:
    """Entries of the log whose keys fit."""
    return int(desk.value(f"SELECT COUNT(*) FROM _t_log WHERE {condition}"))


def test_a_paused_run_copies_nothing_and_drains_on(desk: Desk) -> None:
    """No row is copied, changes of copied rows reach the shadow, others stay in the log; `status` says who paused."""
    desk.table("t", rows=1500)
    held = desk.held(desk.plan(*ALL_SHADOW))
    copied = held.hold(each("ChunkCopied"), 3)["rows_done"]
    paused_by_person(desk, held)
    told = desk.migrator("status", "--format=json").json["run"]
    assert (told["state"], told["paused_by"].partition("@")[0]) == ("paused", desk.account.user)
    text = desk.migrator("status").out
    assert f"is paused by {desk.account.user}@" in text
    there = desk.value("SELECT COUNT(*) FROM _t_shadow")
    assert copied <= there < 1500
    desk.write(
        "UPDATE {t} SET extra = 'first rows' WHERE n <= 40",
        "DELETE FROM {t} WHERE n = 41",
        "UPDATE {t} SET extra = 'last rows' WHERE n > 1460",
    )
    held.until(lambda: not entries(desk, f"k1 <= '{CANARY}-00000041'"), "the log has no entry of a copied row any more")
    assert entries(desk, f"k1 > '{CANARY}-00001460'") == 40
    assert desk.value("SELECT COUNT(*) FROM _t_shadow WHERE extra = 'first rows'") == 40
    assert desk.value("SELECT COUNT(*) FROM _t_shadow") == there - 1
    assert desk.migrator("unpause").code == 0
    ran = held.finish()
    assert ran.code == 0, ran
    ran.says("paused by a person")
    desk.assert_done()


def test_a_pause_outlives_the_run(desk: Desk) -> None:
    """A run that begins while the pause stands waits at once; `unpause` lets it go on."""
    desk.table("t", rows=300)
    plan = desk.plan(*ALL_SHADOW)
    assert (
        desk.migrator("apply", desk.plan(*ALL_SHADOW, f"--ignore-tables={desk.schema}.*", file="none.yaml")).code == 0
    )
    assert desk.migrator("pause").code == 0
    held = desk.held(plan)
    assert held.hold(each("Waiting"))["reason"] == "paused by a person"
    assert "_t_shadow" not in desk.names()
    assert desk.migrator("unpause").code == 0
    assert held.finish().code == 0
    desk.assert_done()


def test_a_swap_that_waits_names_whom_for(desk: Desk) -> None:
    """Events, stderr and `status` name the session of a transaction that is older than the copy; then it swaps."""
    desk.table("t", rows=300)
    desk.run("CREATE TABLE elsewhere (a INT)")
    plan = desk.plan(*ALL_SHADOW, f"--tables={desk.schema}.t")
    held = desk.held(plan)
    held.hold(phase("verify"))
    with closing(desk.connect(autocommit=False)) as reader, reader.cursor() as cursor:
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        session = session_of(reader)
        waiting = held.hold(each("Waiting"))
        assert [blocker["session_id"] for blocker in waiting["blockers"]] == [session]
        assert "older than the copy" in waiting["reason"]
        step = desk.migrator("status", "--format=json").json["run"]["steps"][0]
        assert "older than the copy" in step["waiting_for"], step
        assert [blocker["session_id"] for blocker in step["blockers"]] == [session]
        text = desk.migrator("status").out
        assert f"session {session}" in text
        # The snapshot still sees all of the table, and nobody is held up.
        cursor.execute("SELECT COUNT(*) FROM t")
        assert cursor.fetchone() == (300,)
        desk.change_all_sorts()
        reader.rollback()
    ran = held.finish()
    assert ran.code == 0, ran
    ran.says(f"session {session}", "root")
    assert desk.names() == {"t", "_t_retained", "elsewhere"}
    desk.assert_equal()


def test_a_swap_that_waits_in_vain(desk: Desk) -> None:
    """After `swap_wait_seconds` the step fails and names the session; `apply` swaps later, without a new copy."""
    desk.table("t", rows=300)
    plan = desk.plan(*ALL_SHADOW)
    edit(plan, r"swap_wait_seconds: .*", "swap_wait_seconds: 1 s")
    held = desk.held(plan)
    held.hold(phase("verify"))
    with closing(desk.connect(autocommit=False)) as reader, reader.cursor() as cursor:
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        ran = held.finish()
        assert ran.code == 3, ran
        ran.says(f"session {session_of(reader)} (root)", "the swap is all that is left", "The manual way out")
        reader.rollback()
    desk.change_all_sorts()
    again = desk.migrator("apply", plan, "--events")
    assert again.code == 0, again
    assert not again.of("ChunkCopied")
    desk.assert_done()


def test_triggers_that_wait_in_vain(desk: Desk) -> None:
    """No free instant for the triggers within `moment_wait_seconds`: exit 3, and the session is named."""
    desk.table("t", rows=300)
    plan = desk.plan(*ALL_SHADOW)
    edit(plan, r"moment_wait_seconds: .*", "moment_wait_seconds: 1 s")
    with closing(desk.connect(autocommit=False)) as reader, reader.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM t")
        ran = desk.migrator("apply", plan)
        assert ran.code == 3, ran
        assert f"session {session_of(reader)} (root, metadata-lock" in " ".join(ran.out.split())
        cursor.execute("UPDATE t SET extra = 'x' WHERE n = 1")
        reader.rollback()
    assert not [name for name in desk.names() if name.endswith(("_ins", "_upd", "_del"))]
    assert desk.migrator("apply", plan).code == 0
    desk.assert_done()


def test_watching_ends_with_the_run(desk: Desk) -> None:
    """`status --watch` ends by itself when there is nothing to watch, and shows JSON lines to programs."""
    desk.table("t", rows=50)
    assert desk.migrator("status", "--watch").code == 0
    assert desk.migrator("apply", desk.plan(*ALL_SHADOW)).code == 0
    watched = desk.migrator("status", "--watch", "--format=json")
    (line,) = watched.out.splitlines()
    assert watched.code == 0
    assert '"exit_code": 0' in line
