"""`migrator rollback`: a swap taken back, refused, or not there; as a DBA sees it."""

from __future__ import annotations

import json
import re
import signal
from contextlib import closing

import pytest

from tests.server.cli.kit import Desk

FOR_A_DAY = ("--rollback-hours=24h",)


@pytest.fixture
def kept(desk: Desk) -> Desk:
    """A desk with a table that is encrypted and whose old one is kept current."""
    desk.table()
    ran = desk.migrator("apply", desk.plan(*FOR_A_DAY))
    assert ran.code == 0, ran
    desk.change_all_sorts()
    return desk


def test_a_swap_is_taken_back(desk: Desk) -> None:
    """Planned, reviewed, applied, written to, taken back with what was written, in clear, and encrypted again."""
    desk.table()
    plan = desk.plan(*FOR_A_DAY)
    assert "rollback_hours: 24 h" in plan.read_text()
    assert "_t_back_ins" in plan.read_text()
    review = desk.migrator("dry-run", plan, "--format=json")
    assert review.code == 0, review
    assert "each change is written twice for 24 h" in review.out
    applied = desk.migrator("apply", plan)
    assert applied.code == 0, applied
    for words in ("rollback until", "migrator rollback TABLE --forget"):
        assert words in applied.out
        assert words in desk.migrator("status").out
    assert desk.migrator("apply", plan).code == 0  # the triggers of ours are no drift
    desk.change_all_sorts()
    subject = f"{desk.schema}.t"
    before = desk.names()
    could = desk.migrator("rollback", "--dry-run", subject)
    assert (could.code, desk.names()) == (0, before), could
    assert "can be taken back" in could.out
    ran = desk.migrator("rollback", subject)
    assert ran.code == 0, ran
    assert "IN CLEAR" in ran.out
    assert desk.names() == {"t"}
    assert not desk.encrypted()
    desk.assert_equal()
    proof = desk.migrator("verify", f"--databases={desk.schema}")
    assert proof.code == 1
    assert "rolled back by a person" in proof.out
    assert "Somebody has changed it since" not in proof.out
    assert "Rolled back" in desk.migrator("status").out
    again = desk.migrator("rollback", subject)
    assert again.code == 2, again
    assert "already" in again.err
    assert desk.migrator("apply", plan).code == 0
    desk.assert_equal()
    assert desk.encrypted()


def test_what_cannot_be_taken_back_is_refused(desk: Desk) -> None:
    """3 for a table that is not kept current, 2 for one that was never swapped; nothing is changed."""
    desk.table()
    assert desk.migrator("rollback", f"{desk.schema}.t").code == 2
    assert desk.migrator("apply", desk.plan()).code == 0
    for arguments in ((), ("--dry-run",)):
        ran = desk.migrator("rollback", f"{desk.schema}.t", *arguments)
        assert ran.code == 3, ran
        assert "is not kept current" in ran.err
    for table in ("t", f"{desk.schema}.other"):
        ran = desk.migrator("rollback", table)
        assert ran.code == 2, ran
        assert "remedy: look at: migrator status" in ran.err
    assert desk.migrator("rollback").code == 2
    desk.assert_done()


def test_a_table_that_was_altered_meanwhile(kept: Desk) -> None:
    """Its writes go on, status and rollback say why it cannot be taken back, and --forget ends it."""
    kept.run("ALTER TABLE t DROP COLUMN extra", "UPDATE t SET note = 'after it' WHERE n = 900001")
    assert kept.value("SELECT note FROM t WHERE n = 900001") == "after it"
    status = kept.migrator("status")
    assert "NO: the definition" in status.out, status
    told = json.loads(kept.migrator("status", "--format=json").out)
    assert "definition" in json.dumps(told)
    ran = kept.migrator("rollback", f"{kept.schema}.t")
    assert ran.code == 3, ran
    assert f"migrator rollback {kept.schema}.t --forget" in ran.err
    ended = kept.migrator("rollback", f"{kept.schema}.t", "--forget", "--format=json")
    assert ended.code == 0, ended
    assert json.loads(ended.out)["action"] == "stopped"
    assert kept.names() == {"t", "_t_retained"}
    assert kept.encrypted()
    kept.run("UPDATE t SET note = 'still' WHERE n = 900001")


def test_a_rollback_that_is_killed(kept: Desk) -> None:
    """kill -9 while it waits for its moment changes nothing; the same command again is done."""
    with closing(kept.connect(autocommit=False)) as reader, reader.cursor() as cursor:
        cursor.execute("SELECT 1 FROM t WHERE FALSE")
        ran = kept.stopped_at_line("rollback", f"{kept.schema}.t", line="t: rollback", number=signal.SIGKILL)
        assert ran.code == -signal.SIGKILL, ran
        assert kept.encrypted()
        reader.rollback()
    kept.change_all_sorts(mark="2")
    kept.age_lease()
    ran = kept.migrator("rollback", f"{kept.schema}.t")
    assert ran.code == 0, ran
    kept.assert_equal()
    assert kept.names() == {"t"}


def test_ctrl_c_before_the_rename(kept: Desk) -> None:
    """SIGINT ends it at a safe point with 130: all is as it was."""
    with closing(kept.connect(autocommit=False)) as reader, reader.cursor() as cursor:
        cursor.execute("SELECT 1 FROM t WHERE FALSE")
        ran = kept.stopped_at_line("rollback", f"{kept.schema}.t", line="t: rollback", number=signal.SIGINT)
        assert ran.code == 130, ran
        assert "all is as it was" in ran.err
        reader.rollback()
    assert kept.encrypted()
    assert kept.migrator("rollback", f"{kept.schema}.t").code == 0
    kept.assert_equal()


def test_cleanup_keeps_and_ends_it(kept: Desk) -> None:
    """Before its time nothing is touched, and it is said what stays for what; --now takes the triggers off first."""
    shown = kept.migrator("cleanup")
    assert shown.code == 1, shown
    assert "current until" in re.sub(r"\s+", " ", shown.out)
    assert len(kept.names()) == 6
    assert kept.migrator("cleanup", "--now").code == 0
    assert kept.names() == {"t"}
    kept.assert_equal()
