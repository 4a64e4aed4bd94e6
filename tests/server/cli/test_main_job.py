"""The main job as a DBA does it: audit, plan, dry-run, apply, verify, cleanup. Each test runs the installed command."""

from __future__ import annotations

import re
from pathlib import Path

from tests.server.cli.held import Ran, ddl, each, phase
from tests.server.cli.kit import ALL_SHADOW, CANARY, Desk, edit
from tests.server.cli.snapshot import JOURNAL

NASTY = 'we`ird %s "näme"'


def story(ran: Ran, subject: str) -> list[str]:
    """Phases of a subject in order, as they began and ended."""
    return [
        f"{event['phase']} {'begins' if event['event'] == 'PhaseStarted' else 'ends'}"
        for event in ran.events
        if event["subject"] == subject and event["event"] in {"PhaseStarted", "PhaseEnded"}
    ]


def test_the_whole_path(desk: Desk) -> None:
    """Four commands encrypt a schema: exit codes say at each step what is in clear, rows stay as they were."""
    desk.table("t")
    desk.table("tiny", rows=3)
    desk.table(NASTY, rows=5)
    desk.run("CREATE TABLE nokey (a INT)", "INSERT INTO nokey VALUES (1), (1)")
    desk.run("CREATE TABLE isam (a INT) ENGINE=MyISAM")
    here = f"--databases={desk.schema}"

    with desk.untouched():
        audit = desk.migrator("audit", here, "--format=json")
        assert (audit.code, audit.err) == (1, "")
        in_clear = {table["name"]["name"] for table in audit.json["tables"] if table["in_clear"]}
        assert in_clear == {"t", "tiny", NASTY, "nokey", "isam"}
        assert desk.migrator("audit", here).code == 1
        page = desk.folder / "audit.html"
        assert desk.migrator("audit", here, "--format=html", "-o", page).code == 1
        assert page.read_text().startswith("<!doctype html>")
        plan = desk.plan("--direct-below=1MiB")
        desk.migrator("plan", here).says("next: review it, then migrator dry-run PLAN")
        assert desk.migrator("verify", here).code == 1
        no_run = desk.migrator("status")
        assert (no_run.code, "No run has been recorded" in no_run.out) == (0, True)

    reviewed = desk.migrator("dry-run", plan)
    assert reviewed.code == 1, reviewed
    assert "refused and stays in clear" in reviewed.out

    applied = desk.migrator("apply", plan)
    assert applied.code == 1, applied
    assert f"{desk.schema}.isam (refused): engine MyISAM cannot encrypt" in applied.out
    for table in ("t", "tiny", NASTY):
        desk.assert_equal(table)
    assert desk.names() == {"t", "_t_retained", "tiny", f"_{NASTY}_retained", NASTY, "nokey", "isam"} - {
        f"_{NASTY}_retained"
    }
    told = desk.migrator("status", "--format=json").json["run"]
    assert (told["state"], told["exit_code"]) == ("ended", 1)
    assert {step["subject"]: step["state"] for step in told["steps"]} == {
        f"{desk.schema}.{table}": "done" for table in ("t", "tiny", NASTY, "nokey")
    }
    assert "has ended with exit code 1" in desk.migrator("status").out

    verified = desk.migrator("verify", here, "--format=json")
    assert verified.code == 1
    assert {proof["name"].partition(".")[2]: proof["encrypted"] for proof in verified.json["proofs"]} == {
        "t": True, "tiny": True, NASTY: True, "nokey": True, "isam": False, "_t_retained": False,
    }  # fmt: skip
    assert desk.migrator("verify", f"--tables={desk.schema}.t,{desk.schema}.tiny").code == 0


def test_a_second_apply_does_nothing(desk: Desk) -> None:
    """`apply` of a plan that is done is exit 0 and changes no table; with a refused table it stays 1."""
    desk.table("t", rows=50)
    plan = desk.plan()
    assert desk.migrator("apply", plan).code == 0
    desk.run("CREATE TABLE isam (a INT) ENGINE=MyISAM")
    refusing = desk.plan(file="refusing.yaml")
    with desk.nothing_left(but=[f"table `{JOURNAL}`.`runs`"]):
        again = desk.migrator("apply", plan)
    assert (again.code, "0 done, 1 skipped, 0 failed" in again.out) == (0, True), again
    assert desk.migrator("apply", refusing).code == 1


def test_cleanup_keeps_until_the_deadline(desk: Desk) -> None:
    """`cleanup`, dry or not, keeps a retained table (exit 1), `--now` drops it, and nothing else is ever touched."""
    desk.table("t")
    plan = desk.plan(*ALL_SHADOW)
    assert desk.migrator("apply", plan).code == 0
    desk.assert_done()
    with desk.nothing_left():
        for arguments in ((), ("--dry-run",), ("--now", "--dry-run")):
            kept = desk.migrator("cleanup", *arguments)
            assert (kept.code, f"{desk.schema}._t_retained" in kept.out) == (1, True), kept
        unknown = desk.migrator("cleanup", "--now", f"--table={desk.schema}.nothing")
        assert unknown.code == 2
        unknown.says("the journal knows no table", "migrator status")
    assert "would-drop" in desk.migrator("cleanup", "--now", "--dry-run").out
    dropped = desk.migrator("cleanup", "--now", "--format=json")
    assert (dropped.code, [thing["action"] for thing in dropped.json["objects"]]) == (0, ["dropped"])
    assert desk.names() == {"t"}
    desk.assert_equal()
    assert desk.migrator("cleanup", "--now").out.endswith("Nothing of ours is there.\n")
    assert desk.migrator("verify", f"--databases={desk.schema}").code == 0


def test_memory_stays_flat(desk: Desk) -> None:
    """A table larger than the bound is copied and compared with a peak below 100 MiB: no row comes to the process."""
    numbers = "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 45000) SELECT n FROM r"
    desk.run(
        "CREATE TABLE big (id INT PRIMARY KEY, note TEXT)",
        "SET cte_max_recursion_depth = 50000",
        f"INSERT INTO big SELECT n, REPEAT('x', 2500) FROM ({numbers}) AS many",
    )
    held = desk.held(desk.plan(*ALL_SHADOW, small_chunks=False))
    held.hold(each("RunEnded"))
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{held.pid}/status").read_text())
    ran = held.finish()
    assert ran.code == 0, ran
    assert sum(event["rows"] for event in ran.of("ChunkVerified")) == 45000
    assert peak is not None
    assert int(peak[1]) < 100 * 1024, f"{int(peak[1]) / 1024:.0f} MiB"


def test_a_general_tablespace(desk: Desk) -> None:
    """It is encrypted as one step, with every table in it; a table's own step only says so."""
    desk.run(f"CREATE TABLESPACE {desk.schema} ADD DATAFILE '{desk.schema}.ibd'")
    try:
        desk.table("t", rows=50, definition=f"(id VARCHAR(40) PRIMARY KEY, n INT, note TEXT) TABLESPACE {desk.schema}")
        left = desk.migrator("apply", desk.plan("--no-tablespaces"), "--format=json")
        assert (left.code, [step["outcome"] for step in left.json["steps"]]) == (1, ["refused", "refused"])
        assert {step["remedy"] for step in left.json["steps"]} == {"plan again with --tablespaces"}
        plan = desk.plan()
        with desk.nothing_left():
            assert desk.migrator("dry-run", plan).code == 0
        ran = desk.migrator("apply", plan, "--events")
        assert ran.code == 0, ran
        assert [event["subject"] for event in ran.of("StepEnded")] == [desk.schema]
        assert desk.migrator("verify", f"--databases={desk.schema}").code == 0
        desk.assert_equal()
        assert desk.migrator("apply", plan).code == 0
    finally:
        desk.run("DROP TABLE IF EXISTS t", f"DROP TABLESPACE {desk.schema}")


def test_a_tablespace_of_a_server_that_takes_no_writes_any_more(desk: Desk) -> None:
    """Another server may have taken its place: the run stops, as with tables, and goes on where it is taken back."""
    desk.run(f"CREATE TABLESPACE {desk.schema} ADD DATAFILE '{desk.schema}.ibd'")
    try:
        desk.table("t", rows=50, definition=f"(id VARCHAR(40) PRIMARY KEY, n INT, note TEXT) TABLESPACE {desk.schema}")
        plan = desk.plan()
        held = desk.held(plan)
        held.hold(ddl("ALTER TABLESPACE"))
        desk.run("SET GLOBAL super_read_only = ON")
        try:
            ran = held.finish()
        finally:
            desk.run("SET GLOBAL super_read_only = OFF", "SET GLOBAL read_only = OFF")
        assert ran.code == 75, ran
        assert {event["outcome"] for event in ran.of("StepEnded")} <= {"stopped"}
        assert "does not take writes any more" in ran.err
        ran = desk.migrator("apply", plan)
        assert ran.code == 0, ran
        assert desk.migrator("verify", f"--databases={desk.schema}").code == 0
    finally:
        desk.run("DROP TABLE IF EXISTS t", f"DROP TABLESPACE {desk.schema}")


def test_a_conversion(desk: Desk) -> None:
    """Only `plan --convert` asks for it; the dry run shows it and leaves nothing; then the table is an InnoDB one."""
    desk.table("t", rows=500, definition="(id VARCHAR(40) PRIMARY KEY, n INT, note TEXT) ENGINE=MyISAM")
    left = desk.migrator("apply", desk.plan(), "--format=json")
    assert (left.code, [step["outcome"] for step in left.json["steps"]]) == (1, ["refused"])
    assert "plan again with --convert" in left.json["steps"][0]["remedy"]
    plan = desk.plan("--convert")
    with desk.nothing_left():
        review = desk.migrator("dry-run", plan)
        assert review.code == 0, review
    assert "ENGINE = InnoDB, ENCRYPTION = 'Y'" in review.out
    assert "converted on an empty twin" in review.out
    ran = desk.migrator("apply", plan, "--events")
    assert ran.code == 0, ran
    assert desk.names() == {"t"}
    assert desk.encrypted()
    desk.assert_equal()
    assert desk.migrator("verify", f"--databases={desk.schema}").code == 0
    assert desk.migrator("apply", plan).code == 0


def test_a_deadline_of_now_is_past(desk: Desk) -> None:
    """With `--retain-days 0` the next `cleanup` drops the old table without `--now`; the JSON summary has named it."""
    desk.table("t", rows=50)
    summary = desk.migrator("apply", desk.plan(*ALL_SHADOW, "--retain-days=0"), "--format=json").json
    (step,) = summary["steps"]
    assert (summary["exit_code"], step["outcome"], step["rows"]) == (0, "done", 50)
    assert step["retained"]["name"] == {"schema": desk.schema, "name": "_t_retained"}
    assert desk.migrator("cleanup").code == 0
    assert desk.names() == {"t"}


# -- dry-run ----------------------------------------------------------------------------------------


def test_dry_run_leaves_nothing_behind(desk: Desk) -> None:
    """In all four formats: no journal, no table, no trigger, no changed setting; every statement is named."""
    desk.table("t", rows=200)
    desk.table("tiny", rows=3)
    plan = desk.plan(*ALL_SHADOW)
    edit(plan, r"(?s)(table_name: tiny\n.*?)method: shadow-copy", "table_name: tiny\n    method: skip")
    desk.server.rows("SELECT 1")
    with desk.nothing_left():
        text = desk.migrator("dry-run", plan)
        page = desk.folder / "review.html"
        assert desk.migrator("dry-run", plan, "--format=html", "-o", page).code == 0
        markdown = desk.migrator("dry-run", plan, "--format=markdown")
        document = desk.migrator("dry-run", plan, "--format=json")
        assert not desk.has_journal()
    assert text.code == markdown.code == document.code == 0, text
    desk.check(page.read_text())
    assert page.read_text().startswith("<!doctype html>")
    (step,) = [step for step in document.json["steps"] if step["statements"]]
    assert (step["subject"], step["rehearsal"]["result"]) == (f"{desk.schema}.t", "ok")
    said = "\n".join(one["text"] for one in step["statements"])
    for words in (
        "LIKE",
        "ENCRYPTION = 'Y'",
        "_t_log_ins",
        "_t_mirror_upd",
        "ADD UNIQUE KEY",
        "RENAME TABLE",
        "DROP TABLE",
    ):
        assert words in said
    for one in step["statements"]:
        # Every statement is in every form of the review (HTML escapes it, and wraps nothing).
        assert one["text"] in text.out
        assert one["text"] in markdown.out


def test_dry_run_beside_an_earlier_journal(desk: Desk) -> None:
    """Where a run has been, `dry-run` leaves its journal and its retained table as they were."""
    desk.table("t", rows=200)
    desk.table("u", rows=200)
    assert desk.migrator("apply", desk.plan(*ALL_SHADOW, f"--tables={desk.schema}.t")).code == 0
    plan = desk.plan(*ALL_SHADOW)
    with desk.nothing_left():
        assert desk.migrator("dry-run", plan).code == 0
    assert desk.migrator("status", "--format=json").json["run"]["state"] == "ended"
    assert desk.migrator("apply", plan).code == 0
    desk.assert_equal("u")
    assert desk.encrypted("u")


# -- events -----------------------------------------------------------------------------------------


def test_events_tell_the_story(desk: Desk) -> None:
    """Each line is one JSON document, in order, from RunStarted to RunEnded; the summary goes to stderr."""
    desk.table("t")
    desk.table("tiny", rows=3)
    plan = desk.plan("--direct-below=1MiB")
    ran = desk.migrator("apply", plan, "--events")
    assert ran.code == 0, ran
    assert "Summary\n=======" in ran.err
    kinds = [event["event"] for event in ran.events if event["event"] != "Noticed"]
    assert (kinds[0], kinds[-1], kinds.count("StepStarted")) == ("RunStarted", "RunEnded", 2)
    assert [event["at"] for event in ran.events] == sorted(event["at"] for event in ran.events)
    phases = ["build", "log", "copy", "index", "mirror", "verify", "swap", "clean"]
    assert story(ran, f"{desk.schema}.t") == [f"{phase} {what}" for phase in phases for what in ("begins", "ends")]
    statements = [event["statement"] for event in ran.of("DdlStarting")]
    assert statements == [event["statement"] for event in ran.of("DdlDone")]
    for chunks in ("ChunkCopied", "ChunkVerified"):
        assert sum(event["rows"] for event in ran.of(chunks)) == ran.of(chunks)[-1]["rows_done"] == 3000
    (kept,) = ran.of("Retained")
    assert kept["table"] == f"{desk.schema}._t_retained"
    end = ran.events[-1]
    assert (end["exit_code"], end["done"], end["failed"], end["left"]) == (0, 2, 0, 0)
    order = [event["subject"] for event in ran.of("StepStarted")]
    assert order == [f"{desk.schema}.tiny", f"{desk.schema}.t"]


# -- nothing leaks ----------------------------------------------------------------------------------


def test_no_row_and_no_password_anywhere(desk: Desk) -> None:
    """Neither --debug nor any file that was written holds a value of a row or a password, also where the copy fails.

    The kit looks at every stream of every test; here also at the files and at the most talkative way to run.
    """
    desk.table(
        "t", rows=200, definition="(id VARCHAR(40) PRIMARY KEY, n INT, note VARCHAR(500), extra INT, UNIQUE (note))"
    )
    plan = desk.plan(*ALL_SHADOW)
    review = desk.folder / "review.txt"
    assert desk.migrator("dry-run", plan, "-o", review, "--debug").code == 0
    # A person puts a second row with the same unique text into the shadow: error 1062 says its value.
    held = desk.held(plan, "--debug")
    held.hold(phase("index"))
    desk.run("INSERT INTO _t_shadow (id, n, note) SELECT 'other', n, note FROM t LIMIT 1")
    # So the copy is made anew; then the person changes a row of that.
    held.hold(phase("mirror", ended=True))
    desk.run("UPDATE _t_shadow SET note = CONCAT(note, '!') LIMIT 1")
    failed = held.finish()
    assert failed.code == 3, failed
    failed.says("1062", "unique-from-the-start", "differ in one range of the key")
    assert desk.migrator("status", "--format=json", "--debug").code == 0
    assert desk.migrator("cleanup", f"--abandon={desk.schema}.t", "--debug").code == 0
    for file in desk.folder.iterdir():
        if file != desk.options:
            desk.check(file.read_text())
    assert CANARY in str(desk.value("SELECT note FROM t LIMIT 1"))
    desk.assert_equal()
    assert desk.names() == {"t"}
