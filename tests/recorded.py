"""The page of `status --watch`, with screens of a real run: python -m tests.recorded writes docs/status.md anew.

A server of its own, three tables, the installed command on a terminal of 100 columns. Nothing of it is made up; so it
looks a little different each time.
"""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path
from typing import Final

from migrator.db import Session
from migrator.driver import Connect
from migrator.engine.journal import Journal
from migrator.planner.control import Wishes
from tests.server.cli.kit import Desk, desk_on, edit
from tests.server.cli.terminal import Terminal
from tests.servers import least_privileged, start

FILE: Final = Path(__file__).parents[1] / "docs" / "status.md"
BEGIN: Final = "<!-- recorded: {} -->\n```\n"
END: Final = "\n```\n<!-- end -->"
ROWS: Final = {"customers": 2_000, "orders": 40_000, "order_lines": 60_000}


def main() -> None:
    """Record, and write the page."""
    text = FILE.read_text(encoding="utf-8")
    for name, screen in recorded().items():
        before, found, rest = text.partition(BEGIN.format(name))
        _, ended, after = rest.partition(END)
        if not (found and ended):
            raise ValueError(f"{FILE.name} has no place for {name}")
        text = before + found + "\n".join(line.rstrip() for line in screen) + ended + after
    FILE.write_text(text, encoding="utf-8")


def recorded() -> dict[str, list[str]]:
    """The screens by name."""
    with (
        start(name="recorded") as server,
        least_privileged(server, schemas=["shop"]) as account,
        tempfile.TemporaryDirectory() as folder,
    ):
        server.rows("CREATE DATABASE shop")
        with desk_on(server, account, "shop", Path(folder) / "desk") as desk:
            return _recorded(desk)


def _recorded(desk: Desk) -> dict[str, list[str]]:
    for table, rows in ROWS.items():
        desk.table(table, rows=rows)
    plan = desk.plan()
    edit(plan, "small_tables_at_once: .*", "small_tables_at_once: 2")
    run = desk.start("apply", plan, "--postpone-swap")
    with closing(desk.connect(autocommit=False)) as reader, reader.cursor() as cursor:
        view = _view_of_a_run(desk)
        copying = view.until(lambda lines: _says(lines, "copy ", "rows/s", " left."), "a copy, and the time of all")
        cursor.execute("SELECT COUNT(*) FROM orders WHERE note = 'x'")
        waiting = view.until(lambda lines: _says(lines, "metadata-lock"), "who is in the way")
        reader.rollback()
    ready = view.until(lambda lines: _says(lines, "3 ready"), "all are ready")
    with _session(desk) as session:
        Journal().wish(session, Wishes(postpone_swap=False))
    assert run.wait(120) == 0
    assert view.end() == 0
    return {"copying": copying, "waiting": waiting, "ready": ready}


def _view_of_a_run(desk: Desk) -> Terminal:
    """A view that was begun when there was a run to see; one that was too early has ended at once."""
    while True:
        view = desk.on_terminal("status", "--watch", columns=100, lines=24)
        try:
            view.until(lambda lines: _says(lines, ": running on "), "the run")
        except AssertionError:
            view.close()
        else:
            return view


def _says(lines: list[str], *words: str) -> bool:
    text = "\n".join(lines)
    return all(word in text for word in words)


def _session(desk: Desk) -> Session:
    to = desk.server.server
    return Session(Connect(host=to.host, port=to.port, user=desk.account.user, password=desk.account.password))


if __name__ == "__main__":
    main()
