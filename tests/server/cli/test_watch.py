"""`status --watch` beside a run that is held: on a terminal, into a file, as JSON lines. The installed command."""

from __future__ import annotations

import json
import signal
from contextlib import closing

from tests.server.cli.held import Held, each, phase
from tests.server.cli.kit import ALL_SHADOW, CANARY, Desk, edit, session_of
from tests.server.cli.snapshot import JOURNAL
from tests.server.cli.terminal import Terminal
from tests.servers import until


def copying(desk: Desk, *tables: str) -> Held:
    """A run that is held in the copy of its first table."""
    for table in tables:
        desk.table(table, rows=1500)
    plan = desk.plan(*ALL_SHADOW)
    edit(plan, "small_tables_at_once: .*", "small_tables_at_once: 1")
    held = desk.held(plan)
    held.hold(each("ChunkCopied"), 5)
    heard = f"SELECT l.heartbeat_at > s.started_at AND l.told <> '' FROM {JOURNAL}.lease l JOIN {JOURNAL}.steps s"
    until(lambda: desk.value(heard), "the run has told of itself")
    return held


def test_a_run_on_a_terminal(desk: Desk) -> None:
    """Its bar, its rows, what comes next, in lines that fit the terminal; `q` ends the view, and the run goes on."""
    held = copying(desk, "a", "b")
    view = desk.on_terminal("status", "--watch", columns=90, lines=20)
    seen = view.until(lambda lines: any("[" in line and f"{desk.schema}.a" in line for line in lines), "a bar")
    text = "\n".join(seen)
    assert ": running on " in text and "0 of 2 steps" in text and f"Next: {desk.schema}.b" in text
    assert "0 done, 0 failed, 1 not begun, 1 running" in text
    assert len(seen) <= 20 and max(map(len, seen)) <= 90
    assert seen[-1].startswith("q: leave")
    view.until(lambda _: len(view.screens()) >= 3, "it is drawn again and again")
    assert "\x1b[2J" not in view.raw  # never cleared, so nothing flickers
    view.press("q")
    assert view.end() == 0
    assert view.raw.count("\x1b[?1049h") == view.raw.count("\x1b[?1049l") == 1
    assert view.raw.rindex("\x1b[?25h") > view.raw.rindex("\x1b[?25l")  # the cursor is back
    assert held.process.poll() is None
    ran = held.finish()
    assert ran.code == 0, ran
    assert CANARY not in view.raw


def test_a_narrow_terminal(desk: Desk) -> None:
    """Lines and names are cut to it, tables that have no room are counted, and the last line stays."""
    held = copying(desk, "a_table_with_a_name_that_is_rather_long_for_most_terminals", "b")
    view = desk.on_terminal("status", "--watch", columns=44, lines=8)
    seen = view.until(lambda lines: len(lines) > 4, "a screen")
    assert len(seen) <= 8 and max(map(len, seen)) <= 44
    assert any("for_most_terminals" in line or "more lines" in line for line in seen)
    view.press("q")
    assert view.end() == 0
    assert held.finish().code == 0


def test_control_c_ends_the_view_alone(desk: Desk) -> None:
    """The terminal is as it was, the exit code is that of an interruption, and the run goes on."""
    held = copying(desk, "a")
    view = desk.on_terminal("status", "--watch", columns=100, lines=24)
    view.until(lambda lines: any(": running on " in line for line in lines), "the view")
    view.process.send_signal(signal.SIGINT)
    assert view.end() == 130
    assert view.raw.count("\x1b[?1049l") == 1
    assert held.process.poll() is None
    assert held.finish().code == 0


def who_waits(view: Terminal) -> list[str]:
    return view.until(lambda lines: any("metadata-lock" in line for line in lines), "who is in the way")


def test_who_is_in_the_way_is_shown(desk: Desk) -> None:
    """Session, user, age and what it executed last, without a value."""
    desk.table("a", rows=300)
    held = desk.held(desk.plan(*ALL_SHADOW))
    held.hold(phase("build", ended=True))
    with closing(desk.connect(autocommit=False)) as reader, reader.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM a WHERE note <> '{CANARY}'")
        held.hold(each("Waiting"))
        view = desk.on_terminal("status", "--watch", columns=200, lines=24)
        text = "\n".join(who_waits(view))
        assert f"session {session_of(reader)} (root@" in text
        assert "ran last: SELECT COUNT ( * ) FROM `a` WHERE `note` != ?" in text
        assert CANARY not in view.raw
        reader.rollback()
        assert held.finish().code == 0
    assert view.end() == 0  # by itself, with the run
    assert "has ended with exit code 0" in " ".join(view.raw.split())


def test_what_was_asked_and_told_is_shown(desk: Desk) -> None:
    """What people asked of the run, and what it says of itself."""
    held = copying(desk, "a")
    desk.run(f"""UPDATE {JOURNAL}.control SET wishes = '{{"workers": 2, "postpone_swap": false}}'""")
    view = desk.on_terminal("status", "--watch", columns=100, lines=24)
    view.until(lambda lines: "asked for: workers=2, postpone-swap=off" in lines, "what was asked for")
    view.press("q")
    assert view.end() == 0
    text = desk.migrator("status").out
    assert "asked for: workers=2, postpone-swap=off" in text
    assert held.finish().code == 0


def test_into_a_file_and_for_programs(desk: Desk) -> None:
    """Without a terminal plain lines with the time, no control character; as JSON a line a look, to the run's end."""
    held = copying(desk, "a")
    out = desk.folder / "watched"
    with out.open("wb") as file:
        plain = desk.start("status", "--watch", stdout=file)
        until(lambda: f"{desk.schema}.a: copy" in out.read_text(), "a line of the table")
    with (desk.folder / "json").open("wb") as file:
        lines = desk.start("status", "--watch", "--format=json", stdout=file)
        until(lambda: (desk.folder / "json").read_text().count("\n"), "a line of JSON")
    assert held.finish().code == 0
    assert (plain.wait(60), lines.wait(60)) == (0, 0)
    text = out.read_text()
    assert "\x1b" not in text and "0 of 1 step" in text
    assert text.rstrip().splitlines()[-1]
    documents = [json.loads(line) for line in (desk.folder / "json").read_text().splitlines()]
    assert documents[0]["run"]["ahead"]["steps"] == 1
    assert documents[0]["run"]["state"] == "running"
    assert documents[-1]["run"]["exit_code"] == 0
