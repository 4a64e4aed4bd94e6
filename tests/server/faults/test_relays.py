"""The matrix of faults of a relay; docs/faults.md is made of what happens here."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from migrator.events import Event, LegProgress, Waiting
from tests.server.engine.kit import At, Lab, ddl, name
from tests.server.faults.machines import file_sizes, limit_file_size
from tests.server.faults.relays import RELAYS
from tests.server.faults.scene import SHORT, live_through, matrix

Record = Callable[[str, object], None]

EVENT_LEG: Final = {"move-in": "move in", "encrypt": "tablespace", "move-out": "move out"}
"""What events call the legs at which the server works for long."""

ROWS: Final = 20_000


@pytest.mark.parametrize(("fault", "where"), matrix(RELAYS))
def test_fault(lab: Lab, fault: str, where: str, record_property: Record) -> None:
    """The run ends by itself and says how, the table is whole, and the next runs finish, with nothing left behind."""
    record_property(f"{fault} | {where}", live_through(lab, RELAYS[fault], where))


# -- while the server works -------------------------------------------------------------------------


@pytest.fixture
def big(lab: Lab) -> Lab:
    """A laboratory with a table that the server moves for about a second, and its ledger."""
    return _with_big_table(lab)


@pytest.fixture
def new_big(new_lab: Lab) -> Lab:
    """The same on a new server: its files are smaller than the table."""
    return _with_big_table(new_lab)


def _with_big_table(lab: Lab) -> Lab:
    lab.table(
        "t",
        "(n INT, v VARCHAR(2000))",
        f"WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < {ROWS})"
        " SELECT n, REPEAT(CHAR(65 + n % 26), 2000) FROM r",
    )
    return lab


def at_work(where: str) -> Callable[[Event], bool]:
    """The moments at which the server works on a leg."""
    return lambda event: isinstance(event, LegProgress) and event.leg == EVENT_LEG[where]


def on_both(lab: Lab, statement: str) -> None:
    """Do something to the table and to its ledger."""
    for place in (name("t"), lab.in_ledger("t")):
        lab.run(statement.replace("{t}", place))


def assert_all_done(lab: Lab) -> None:
    """Encrypted, every row as the ledger has it, and nothing of ours left."""
    lab.assert_done("t")
    assert not lab.spaces()


@pytest.mark.parametrize("where", EVENT_LEG)
def test_kill_9(big: Lab, where: str, tmp_path: Path, record_property: Record) -> None:
    """SIGKILL of the tool while the server works: the application goes on, and the next run finishes."""
    plan = big.plan("t")
    with big.process(plan, tmp_path, at=f"LegProgress {EVENT_LEG[where]}", lease=3.0) as run:
        assert run.wait(60) == -9, run.communicate()
    on_both(big, "UPDATE {t} SET n = -1 WHERE n = 7")
    ran = big.apply_when_free(plan=plan)
    ran.assert_outcome("done")
    assert_all_done(big)
    record_property(f"relay: tool killed | {where}", "killed; goes on")


@pytest.mark.parametrize("where", EVENT_LEG)
def test_a_transaction_that_stays_open_at_the_end(big: Lab, where: str, record_property: Record) -> None:
    """The server's last lock does not come: a move is thrown away and the run ends, the table as it was
    before; the end of the encryption waits for it, whoever it is is named, and the run finishes."""
    plan = big.plan("t", defaults=SHORT)
    over = threading.Event()
    with closing(big.connect()) as holder, holder.cursor() as cursor:
        use = At(at_work(where), lambda: cursor.execute("SELECT 1 FROM t LIMIT 1"))

        def end() -> None:
            over.set()
            holder.rollback()

        # In the encryption nobody but its owner can end it.
        named = At(
            lambda event: isinstance(event, Waiting) and "nothing but the end of these sessions" in event.reason
            and bool(event.blockers),
            end,
            nth=2,
        )  # fmt: skip
        ran = big.apply(plan=plan, at=[use, named])
        assert use.seen, "the server was never seen at work"
        assert over.is_set() == (where == "encrypt")
        cell = "finishes"
        if where != "encrypt":
            ran.assert_outcome("failed")
            assert "session" in ran.step.message
            assert big.encrypted("t") == (where == "move-out")
            big.assert_equal("t")
            cell = "3; mend, goes on"
    if where != "encrypt":
        ran = big.apply(plan=plan)
    ran.assert_outcome("done")
    assert_all_done(big)
    record_property(f"relay: held at its end | {where}", cell)


@pytest.mark.parametrize("where", ["move-in", "move-out"])
def test_the_log_of_a_move_is_full(big: Lab, where: str, record_property: Record) -> None:
    """More writes than it holds: the move fails, the table is as it was before the leg, and the remedy is named."""
    plan = big.plan("t")
    before = big.value("SELECT @@GLOBAL.innodb_online_alter_log_max_size")
    big.run("SET GLOBAL innodb_online_alter_log_max_size = 65536")
    many = "INSERT INTO {t} SELECT -n, REPEAT('z', 1900) FROM {t} WHERE n BETWEEN 1 AND 5000"
    try:
        ran = big.apply(plan=plan, at=[At(at_work(where), lambda: on_both(big, many))])
    finally:
        big.run(f"SET GLOBAL innodb_online_alter_log_max_size = {before}")
    ran.assert_outcome("failed")
    assert "SET PERSIST innodb_online_alter_log_max_size" in ran.step.remedy
    assert big.encrypted("t") == (where == "move-out")
    big.assert_equal("t")
    big.apply(plan=plan).assert_outcome("done")
    assert_all_done(big)
    record_property(f"relay: log full | {where}", "3; mend, goes on")


@pytest.mark.parametrize("where", ["move-in", "move-out"])
def test_no_room(new_big: Lab, where: str, record_property: Record) -> None:
    """The new file cannot grow: the move fails, the table is as it was before the leg, and with room it goes on."""
    plan, server = new_big.plan("t"), new_big.server.server

    def limit() -> None:
        for table in (name("t"), new_big.in_ledger("t")):
            new_big.flush(table)  # nobody wants to write to them any more
        sizes = file_sizes(server)
        own = [file for file in sizes if file.suffix != ".ibd" or file.name == "mysql.ibd"]
        limit_file_size(server, max(sizes[file] for file in own))

    begin = {"move-in": " TABLESPACE = `migrator", "move-out": " TABLESPACE = innodb_file_per_table"}[where]
    try:
        ran = new_big.apply(plan=plan, at=[At(ddl(begin), limit)])
    finally:
        limit_file_size(server, None)
    ran.assert_outcome("failed")
    assert ran.step.remedy
    assert new_big.encrypted("t") == (where == "move-out")
    new_big.assert_equal("t")
    new_big.apply(plan=plan).assert_outcome("done")
    assert_all_done(new_big)
    record_property(f"relay: no room | {where}", "3; mend, goes on")
