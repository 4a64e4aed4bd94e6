"""The demonstration's application and its comparison, on a server that nobody migrates.

Without the tool there must be no error and no difference, or neither would prove anything with it; and
whatever is done to the data or to the server must be seen.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.demo import company, ledger
from tests.demo.application import estates_of
from tests.demo.estate import names
from tests.demo.facts import read_facts, readable_in
from tests.demo.habits import HABITS, delete
from tests.demo.ledger import Difference
from tests.demo.shapes import Account, Shape, read_shapes
from tests.demo.singles import FAMILY, OTHERS
from tests.demo.statements import Work, read_back
from tests.demo.traffic import traffic
from tests.servers import RunningServer, start, until

OTHER_SESSIONS = """
SELECT processlist_id FROM performance_schema.threads
WHERE processlist_user = 'root' AND processlist_id <> CONNECTION_ID()
"""

IN_COMMIT = "SELECT 1 FROM performance_schema.threads WHERE processlist_state = 'waiting for handler commit'"


@pytest.fixture(scope="module")
def loaded() -> Iterator[RunningServer]:
    """A server with the company, a fiftieth of its size."""
    with start(options=["--innodb-buffer-pool-size=128M"], name="company") as server:
        company.load(server.connect, scale=0.02)
        yield server


@pytest.fixture
def account(loaded: RunningServer) -> Account:
    """Root, as the application's kind of account."""
    return Account(loaded.server.host, loaded.server.port, loaded.server.user, loaded.server.password)


@pytest.fixture
def shapes(account: Account) -> dict[str, Shape]:
    """The shapes of the company's tables."""
    return dict(read_shapes(account, company.SCHEMAS))


def one(account: Account, shape: Shape) -> frozenset[bytes]:
    """The rows of one table."""
    return ledger.snapshot(account, [shape], processes=1)[shape.table]


def test_the_company_is_what_its_lists_say(loaded: RunningServer, shapes: dict[str, Shape]) -> None:
    """Every list names tables that exist, and keys, triggers, engines and files are as they are said to be."""
    found = read_facts(loaded.connect)
    assert len(found) >= 30
    named = {*company.EXPECTED_REFUSED, *company.EXPECTED_RELAYED}
    assert named | {*company.LARGE, *company.IN_TABLESPACE, *company.SKIPPED, *company.QUIET} <= {*found}
    assert [table for table, facts in found.items() if facts.encrypted] == ["billing.card_vault"]
    assert [table for table, facts in found.items() if facts.encrypted is None] == ["warehouse.pick_queue"]
    assert [table for table, facts in found.items() if facts.triggers] == ["warehouse.stock_levels"]
    assert found["shop.customers"].histograms == ("born_on", "country")
    assert [table for table, shape in shapes.items() if not shape.key] == ["archive.import_log", "archive.legacy_codes"]


def test_loading_twice_is_refused(loaded: RunningServer) -> None:
    """A company that is there already is not loaded over."""
    with pytest.raises(RuntimeError, match="there already"):
        company.load(loaded.connect, scale=0.05)


SINGLE = {f"single {deed}" for deed in ("add", "update", "delete", "read", "read_family")}
"""What is done to the tables that are relayed."""


def test_an_untouched_server_gives_no_error_and_no_difference(
    loaded: RunningServer, account: Account, shapes: dict[str, Shape], tmp_path: Path
) -> None:
    """The application alone, on all tables at once: no error, no wrong answer, and its ledger is what is stored."""
    options = loaded.option_file(tmp_path / "app.cnf")
    with traffic(options, tmp_path, rate=150, more=["--report-every", "0.5", "--report-held", "0.1"]) as load:
        before = ledger.snapshot(account, shapes.values(), processes=1)
        load.mark("run")
        wanted = {*shapes} - company.QUIET

        def has_done_all() -> bool:
            count = load.count()
            return count["transactions"] > 600 and {*count["tables"]} >= wanted and {*count["habits"]} >= SINGLE

        until(has_done_all, "600 transactions, every table, every single statement", seconds=120)
        result = load.stop()
    differences = ledger.compare_all(before, result.ledger, ledger.snapshot(account, shapes.values(), processes=1))
    assert [d for d in differences if not d.equal] == []
    assert (result.errors, result.wrong) == ({}, [])
    assert result.reports > 0
    assert {*result.tables} == wanted
    assert len(result.periods) == 1
    assert result.periods["run"].rolled_back > 0
    rows = ledger.snapshot(account, shapes.values(), processes=1)
    changed = {table for table in shapes if rows[table] != before[table]}
    assert changed <= {*shapes} - company.QUIET
    assert len(changed) > 30  # of 41; what was changed in a table can be as it was again, by chance


@pytest.mark.parametrize(
    ("tampering", "difference"),
    [
        ("UPDATE shop.order_lines SET engraving = UPPER(engraving) WHERE order_id = 7 AND line_no = 1", (0, 0, 1)),
        ("DELETE FROM shop.order_lines WHERE order_id = 8", (3, 0, 0)),
        (
            "INSERT INTO shop.order_lines (order_id, line_no, product_id, quantity, price) VALUES (9, 99, 1, 1, 1)",
            (0, 1, 0),
        ),
        ("UPDATE shop.order_lines SET line_no = 50 WHERE order_id = 10 AND line_no = 1", (1, 1, 0)),
    ],
)
def test_tampering_is_caught(
    loaded: RunningServer, account: Account, shapes: dict[str, Shape], tampering: str, difference: tuple[int, int, int]
) -> None:
    """One row changed, deleted, added or moved behind the application's back is counted exactly."""
    shape = shapes["shop.order_lines"]
    before = one(account, shape)
    loaded.rows(tampering)
    now = one(account, shape)
    assert ledger.compare(shape.table, before, now) == Difference(shape.table, len(now), *difference)


def test_every_habit_is_kept_somewhere(account: Account) -> None:
    """Each kind of change is possible on some table, and its transaction rolled back leaves the estate as it was."""
    _, (estates,) = estates_of(account, owners=1)
    kept = set()
    with closing(account.connect()) as connection:
        for table in estates:
            for habit in HABITS:
                work = Work(connection.cursor(), random.Random(1), estates, names(0xABCDEF, 1))
                estate = work.estate(table)
                owned = dict(estate.owned())
                for first in (habit, delete, habit):
                    if first(work, estate):
                        kept.add(first)
                for key in estate.known():
                    read_back(work, estate, key)
                assert work.wrong == []
                connection.rollback()
                for name, before in work.touched.items():
                    estates[name] = before
                assert estates[table].owned() == owned
    assert kept == {*HABITS}


def test_what_is_read_wrong_is_counted(loaded: RunningServer, account: Account) -> None:
    """A row that changed behind the thread's back is a wrong answer, and so is a row that is gone."""
    _, (estates,) = estates_of(account, owners=1)
    estate = estates["shop.settings"]
    with closing(account.connect()) as connection:
        work = Work(connection.cursor(), random.Random(1), estates, names(0, 1))
        for statement in ("UPDATE shop.settings SET value = 'tampered'", "DELETE FROM shop.settings"):
            read_back(work, estate, next(iter(estate.rows)))
            loaded.rows(statement)
            connection.rollback()
            read_back(work, estate, next(iter(estate.rows)))
            connection.rollback()
    assert work.wrong == ["shop.settings: a row was read that is not what was written"] * 3


def test_every_error_is_counted_raw(
    loaded: RunningServer, account: Account, shapes: dict[str, Shape], tmp_path: Path
) -> None:
    """A table that is away, a session that is killed: counted by number, at once, and never tried again.

    Its COMMIT, of which the client does not hear any more, happens half a second later.
    """
    options = loaded.option_file(tmp_path / "app.cnf")
    with traffic(options, tmp_path, rate=100, more=["--report-every", "0"]) as load:
        before = ledger.snapshot(account, shapes.values(), processes=1)
        load.mark("run")
        until(lambda: load.count()["transactions"] > 50, "transactions")
        loaded.rows("RENAME TABLE shop.events TO shop.away")
        until(lambda: load.count()["errors"].get("1146"), "a missing table is seen")
        loaded.rows("RENAME TABLE shop.away TO shop.events")
        loaded.rows("SET GLOBAL binlog_group_commit_sync_delay = 500000")
        until(lambda: loaded.rows(IN_COMMIT), "a COMMIT that takes its time")
        for (session,) in loaded.rows(OTHER_SESSIONS):
            loaded.rows(f"KILL {session}")
        until(lambda: load.count()["errors"].keys() & {"2013", "2006", "0", "4031"}, "a lost connection is seen")
        loaded.rows("SET GLOBAL binlog_group_commit_sync_delay = 0")
        at_once = load.count()["transactions"]
        until(lambda: load.count()["transactions"] > at_once + 100, "it goes on")
        result = load.stop()
    assert not result.clean
    assert result.errors[1146] == sum(trouble["number"] == 1146 for trouble in result.troubles)
    assert {trouble["table"] for trouble in result.troubles if trouble["number"] == 1146} == {"shop.events"}
    assert sum(p.failed for p in result.periods.values()) <= sum(result.errors.values())
    differences = ledger.compare_all(before, result.ledger, ledger.snapshot(account, shapes.values(), processes=1))
    found = {one.table: one for one in differences if not one.equal}
    # Who sends one statement at a time does not look whether one without an answer happened.
    assert found.keys() <= {*FAMILY, *OTHERS}
    assert sum(one.missing + one.extra + one.different for one in found.values()) <= result.errors[2013]


def test_a_readable_value_is_found_in_a_file(tmp_path: Path) -> None:
    """The search looks into the table's own file."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "orders.ibd").write_bytes(b"\x00" * 5000 + b"ORD-1" + b"\x00")
    assert readable_in(tmp_path, {"shop.orders": b"ORD-1"}) == {"shop.orders": True}
    assert readable_in(tmp_path, {"shop.orders": b"ORD-2"}) == {"shop.orders": False}
