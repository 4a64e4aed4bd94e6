"""What can go wrong with a rollback, and in the moment that makes it possible: killed, cut off, the server gone.

Whatever it is, one of the two tables is in use, and has every row; the same command again goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from migrator.errors import LeaseHeld, MigratorError, UsageError
from migrator.events import ChunkVerified, Noticed
from migrator.sql_errors import SqlError
from tests.proxy import Proxy
from tests.server.engine.kit import WEIRD, At, Lab, When, ddl, each
from tests.server.engine.test_rows import BY_NUMBER, everything_of
from tests.server.faults.machines import SERVER_GONE
from tests.server.faults.scene import Patient, through
from tests.server.faults.test_statements import CutEachKind
from tests.server.methods.test_rollback import (
    CURRENT,
    assert_rolled_back,
    events_of_the_swap,
    swapped,
    take_back,
)
from tests.servers import until

FEWEST_KINDS: Final = 60
"""Of statements that a rollback sends; so many were met at least when this was written."""

MOMENTS: Final[dict[str, When]] = {
    "compare": each(ChunkVerified),
    "before RENAME": ddl("RENAME"),
    "after RENAME": ddl("RENAME", done=True),
    "before the copy is dropped": ddl("DROP TABLE"),
    "after the copy is dropped": ddl("DROP TABLE", done=True),
    "after the log is dropped": ddl("_t_log", done=True),
}


@pytest.fixture
def app(lab: Lab) -> Iterator[Patient]:
    """A table whose old one is kept current, and the application that writes it."""
    swapped(lab)
    app = Patient(lab, "t")
    try:
        app.work()
        yield app
    finally:
        app.end()


def again(lab: Lab, table: str = "t") -> None:
    """The same command, as soon as the lease of the dead one is over."""

    def free() -> bool:
        try:
            take_back(lab, table)
        except LeaseHeld:
            return False
        except UsageError as error:
            assert "already" in error.message
        return True

    until(free, "the lease of the dead rollback is over", seconds=40)


def kill_sessions(lab: Lab) -> None:
    """A person ends every session of ours."""
    ours = "SELECT PROCESSLIST_ID FROM performance_schema.threads WHERE PROCESSLIST_USER = %s"
    for (session,) in lab.rows(ours, lab.dba.user):
        lab.run(f"KILL {session}")


def kill_server(lab: Lab) -> None:
    """As after a power cut with a watchdog."""
    lab.server.kill()
    lab.server.start()


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("fault", [kill_server, kill_sessions], ids=["server killed", "sessions killed"])
def test_a_rollback_whose_connections_are_lost(
    lab: Lab, app: Patient, fault: Callable[[Lab], None], moment: str
) -> None:
    """It ends by itself, the table in use is whole, the application goes on, and the same command finishes."""
    at = At(MOMENTS[moment], lambda: fault(lab))
    try:
        take_back(lab, at=[at])
    except SqlError as error:
        assert error.link_lost
    except MigratorError as error:
        assert error.exit_code == 3
        assert error.remedy
    assert at.seen
    app.join_again()
    assert not app.work() - SERVER_GONE
    lab.assert_equal("t")
    again(lab)
    app.work()
    assert set(app.errors) <= SERVER_GONE
    assert_rolled_back(lab)


@pytest.mark.parametrize("moment", [moment for moment in MOMENTS if moment != "compare"])
def test_a_rollback_that_is_killed(lab: Lab, app: Patient, moment: str, tmp_path: Path) -> None:
    """SIGKILL at each statement: the application sees no error, no row is lost, the same command finishes."""
    words, nth = {
        "before RENAME": ("DdlStarting RENAME", 1),
        "after RENAME": ("DdlDone RENAME", 1),
        "before the copy is dropped": ("DdlStarting DROP TABLE", 1),
        "after the copy is dropped": ("DdlDone DROP TABLE", 1),
        "after the log is dropped": ("DdlDone DROP TABLE", 2),
    }[moment]
    table = f"{lab.schema}.t"
    with lab.process(lab.plan("t"), tmp_path, at=words, nth=nth, rollback=table) as run:
        assert run.wait(60) == -9, run.communicate()
    assert lab.encrypted("t") == (moment == "before RENAME")
    app.work()
    lab.assert_equal("t")
    again(lab)
    app.work()
    assert app.errors == []
    assert_rolled_back(lab)


@pytest.mark.parametrize("number", range(7))
def test_the_server_dies_while_triggers_are_turned_round(lab: Lab, number: int) -> None:
    """Swapped and current, swapped and said not to be, or not swapped yet: the run finishes, and no row is lost."""
    lab.table("t", *BY_NUMBER)
    at = At(ddl(events_of_the_swap(lab)[number], done=True), lambda: kill_server(lab))
    ran = lab.apply("t", defaults=CURRENT, at=[at])
    assert at.seen
    ran.assert_outcome("done")
    with lab.application("t") as app:
        everything_of(BY_NUMBER[0])(app)
    lab.assert_equal("t")
    gap = "no-rollback" in [e.finding.code for e in ran.of(Noticed)]
    assert gap is (number < 6)
    if not gap:
        take_back(lab)
        assert_rolled_back(lab)
    else:
        lab.assert_done("t")


def test_an_answer_that_never_comes_is_looked_up(lab: Lab, app: Patient) -> None:
    """The server has done the RENAME, and the link is gone before it says so: the same command finishes."""
    to = lab.server.server
    with Proxy(to.host, to.port) as proxy, closing(through(lab, proxy)) as session:
        proxy.cut("RENAME TABLE", executed=True)
        assert take_back(lab, session=session).taken.action == "rolled-back"
        assert proxy.cuts == 1
    app.work()
    assert app.errors == []
    assert_rolled_back(lab)


@pytest.mark.parametrize("executed", [False, True], ids=["before", "after"])
def test_each_kind_of_statement_of_a_rollback_is_cut(lab: Lab, *, executed: bool) -> None:
    """Again and again, once at each kind of statement: the same command goes on from there, and no row is lost."""
    swapped(lab, WEIRD)
    everything, to, tries = everything_of(BY_NUMBER[0]), lab.server.server, 0
    proxy = CutEachKind(to.host, to.port, executed=executed)
    with proxy, lab.application(WEIRD) as app:
        while True:
            tries += 1
            assert tries < 300, "it never finishes"
            try:
                with closing(through(lab, proxy)) as session:
                    take_back(lab, WEIRD, session=session)
                break
            except UsageError as error:
                assert "already" in error.message
                break
            except (SqlError, MigratorError) as error:
                assert not isinstance(error, MigratorError) or error.exit_code in {3, 75}, error
                everything(app)
    assert len(proxy.kinds) > FEWEST_KINDS, sorted(proxy.kinds)
    assert_rolled_back(lab, WEIRD)
