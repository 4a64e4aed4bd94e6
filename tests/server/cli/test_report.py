"""`report` as a DBA runs it: before anything was run, after runs of several kinds, and as an auditor gets it."""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path
from typing import Any

from tests.server.cli.held import each
from tests.server.cli.kit import ALL_SHADOW, CANARY, Desk
from tests.server.cli.snapshot import JOURNAL


def evidence(desk: Desk, *options: str, code: int) -> Any:
    """The report on the desk's schema, for programs."""
    ran = desk.migrator("report", f"--databases={desk.schema}", "--format=json", *options)
    assert ran.code == code, ran
    return ran.json


def of(report: Any, part: str, name: str) -> Any:
    """What a part of the report says of one object."""
    (found,) = (one for one in report[part] if name in (one.get("name"), one.get("subject")))
    return found


def test_before_any_run(desk: Desk) -> None:
    """Without a journal the state is told all the same; exit code 1, since a table is in clear; nothing is changed."""
    desk.table("t")
    with desk.untouched():
        report = evidence(desk, code=1)
    assert report["journal"] == "none"
    assert report["runs"] == []
    found = of(report, "objects", f"{desk.schema}.t")
    assert not found["encrypted"]
    assert "shadow-copy" in found["why"]


def test_after_runs(desk: Desk) -> None:
    """A run that was killed, the one that went on, a refused table, one that is rolled back: all is in the report."""
    desk.table("t")
    desk.table("back")
    desk.run("CREATE TABLE old (id INT PRIMARY KEY) ENGINE=MyISAM")
    plan = desk.plan(*ALL_SHADOW, "--rollback-hours=24")
    first = desk.held(plan)
    first.hold(each("ChunkCopied"), 1)
    first.kill()
    desk.age_lease()
    assert desk.migrator("apply", plan).code == 1
    assert desk.migrator("rollback", f"{desk.schema}.back").code == 0
    report = evidence(desk, code=1)
    killed, gone_on = report["runs"]
    assert (killed["exit_code"], killed["ended_at"]) == (None, "")
    assert gone_on["exit_code"] == 1
    assert killed["plan_hash"] == gone_on["plan_hash"]
    assert killed["account"].startswith(desk.account.user)
    assert killed["found"]["tables"] == 3
    assert killed["found"]["tables_encrypted"] == 0
    assert report["attestations"][0]["by"] == "the tests"
    step = of(report, "steps", f"{desk.schema}.t")
    assert (step["state"], step["method"]) == ("swapped", "shadow-copy")
    assert step["rows_verified"] >= 3000
    assert step["longest_hold_seconds"] > 0
    assert of(report, "steps", f"{desk.schema}.back")["state"] == "rolled-back"
    assert of(report, "objects", f"{desk.schema}.back")["why"] == "rolled back by a person"
    assert "retained" in of(report, "objects", f"{desk.schema}._t_retained")["why"]
    refused = of(report, "not_done", f"{desk.schema}.old")
    assert refused["outcome"] == "refused"
    assert refused["why"] in of(report, "objects", f"{desk.schema}.old")["why"]
    assert sum(one["rows_copied"] for one in report["progress"]) > 0
    ended = step["ended_at"]
    assert desk.migrator("cleanup", "--now").code == 0
    step = of(evidence(desk, code=1), "steps", f"{desk.schema}.t")
    assert (step["state"], step["ended_at"]) == ("done", ended), "to clean up does not change when it was encrypted"


def test_the_file(desk: Desk) -> None:
    """HTML with names escaped, nothing loaded, no row in it; its checksum holds; never over another file; mode 0600."""
    desk.run('CREATE TABLE `we``ird <b>%s "näme"` (id INT PRIMARY KEY)')
    desk.table("t")
    page = desk.folder / "evidence.html"
    ran = desk.migrator("report", f"--databases={desk.schema}", "-o", page)
    assert ran.code == 1, ran
    text = page.read_text(encoding="utf-8")
    assert "we`ird &lt;b&gt;%s &quot;näme&quot;" in text
    assert "<b>" not in text
    assert not re.search(r"(src|href)=|<script|url\(|@import", text)
    assert CANARY not in text
    assert "compliant" not in text
    checksum = Path(f"{page}.sha256")
    assert checksum.read_text() == f"{hashlib.sha256(page.read_bytes()).hexdigest()}  evidence.html\n"
    subprocess.run(["sha256sum", "-c", checksum.name], cwd=desk.folder, check=True, capture_output=True)
    assert {one.stat().st_mode & 0o777 for one in (page, checksum)} == {0o600}
    again = desk.migrator("report", "-o", page)
    assert again.code == 2
    assert page.read_text(encoding="utf-8") == text


def test_progress_that_cannot_be_written(desk: Desk) -> None:
    """A run does not depend on it: it ends well where nobody can write the samples, nor what was not done."""
    desk.table("t")
    desk.run("CREATE TABLE old (id INT PRIMARY KEY) ENGINE=MyISAM")
    plan = desk.plan(*ALL_SHADOW)
    held = desk.held(plan)
    held.hold(each("ChunkCopied"), 1)
    for table in ("progress", "outcomes"):
        desk.run(f"ALTER TABLE {JOURNAL}.{table} ADD COLUMN more INT NOT NULL CHECK (more > 0)")
    assert held.finish().code == 1
    desk.assert_equal()
    assert desk.encrypted()
    assert desk.server.rows(f"SELECT COUNT(*) FROM {JOURNAL}.progress") == [(0,)]


def test_progress_stays_small(desk: Desk) -> None:
    """At the bound neighbours are put together: no more rows than half of it, the sums as they were."""
    desk.table("t")
    plan = desk.plan(*ALL_SHADOW)
    assert desk.migrator("apply", plan).code == 0
    at = f"{JOURNAL}.progress"
    desk.run(f"DELETE FROM {at}")
    values = ", ".join(
        f"('r', '2026-01-01' + INTERVAL {n} MINUTE, 60, 60, {n}, 1, 2, 3, 4, 5, 'lag')" for n in range(2000)
    )
    desk.run(
        f"INSERT INTO {at} (run_id, at, every, seconds, rows_copied, rows_compared, paused, held, slowed, closed,"
        f" reason) VALUES {values}"
    )
    desk.table("next")
    assert desk.migrator("apply", desk.plan(*ALL_SHADOW, file="next.yaml")).code == 0
    ((many, every, seconds, copied, paused),) = desk.server.rows(
        f"SELECT COUNT(*), MAX(every), SUM(seconds), SUM(rows_copied), SUM(paused) FROM {at} WHERE at < '2026-02-01'"
    )
    assert many <= 1000
    assert every == 240, "1000 of before and the one of now are one too many"
    assert seconds == 120_000
    assert copied == sum(range(2000))
    assert paused == 4000
