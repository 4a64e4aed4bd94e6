"""Who stands in the way of DDL, found on a real server by making each of them stand there."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import TYPE_CHECKING

import pymysql
import pytest

from migrator.db import Session
from migrator.driver import Connect
from migrator.errors import Failed
from migrator.inventory import read_blockers
from migrator.inventory.transactions import read_transactions
from migrator.model import Blocker, TableName
from migrator.sql.names import quote
from tests.servers import RunningServer, start, until

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

    from tests.servers.running import Connection

WEIRD = TableName('we`ird %s "näme"', 'we`ird %s "näme"')
ORDERS = TableName("shop", "orders")
SECRET = "4000123456789010"


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    options = ["--innodb-buffer-pool-size=64M", "--plugin-load=mysql_clone.so"]
    with start(options=options, name="blockers") as running:
        with closing(running.connect()) as connection, connection.cursor() as cursor:
            for table in (ORDERS, WEIRD):
                cursor.execute(f"CREATE DATABASE {quote(table.schema)}", ())
                cursor.execute(f"CREATE TABLE {quote(table.schema)}.{quote(table.name)} (id INT PRIMARY KEY)", ())
            cursor.execute("INSERT INTO shop.orders VALUES (1)")
        yield running


def connect(server: RunningServer, user: str | None = None, password: str = "") -> Connect:
    to = server.server
    return Connect(host=to.host, port=to.port, user=user or to.user, password=password if user else to.password)


@pytest.fixture
def session(server: RunningServer) -> Iterator[Session]:
    with Session(connect(server)) as opened:
        yield opened


def session_id(connection: Connection) -> int:
    return int(connection.thread_id())


@contextmanager
def somebody(server: RunningServer, *statements: str) -> Iterator[tuple[int, Cursor]]:
    """Another session that has executed these statements: its number and its cursor."""
    with closing(server.connect()) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        yield session_id(connection), cursor


def reasons(session: Session, tables: Collection[TableName] = ()) -> dict[int, list[str]]:
    """Reasons by session, with every open transaction of a sleeping session counted as idle."""
    found: dict[int, list[str]] = {}
    for blocker in read_blockers(session, tables, idle_seconds=0):
        found.setdefault(blocker.session_id, []).append(blocker.reason)
    return found


def test_a_quiet_server_has_no_blockers(session: Session) -> None:
    """Nothing is reported, and nothing of our own."""
    session.run("SELECT * FROM shop.orders")
    assert read_blockers(session, [ORDERS, WEIRD], idle_seconds=0, long_seconds=0) == ()


def test_a_backup_lock(server: RunningServer, session: Session) -> None:
    """LOCK INSTANCE FOR BACKUP, as backup programs take it, with the session that holds it."""
    with somebody(server, "LOCK INSTANCE FOR BACKUP") as (number, _):
        (found,) = read_blockers(session)
        assert (found.session_id, found.user, found.reason) == (number, "root", "backup-lock")
        assert found.detail == "BACKUP LOCK: SHARED explicit"
    until(lambda: read_blockers(session) == (), "the lock is gone with its session")


def test_a_global_read_lock(server: RunningServer, session: Session) -> None:
    """FLUSH TABLES WITH READ LOCK is named as what it is."""
    with somebody(server, "FLUSH TABLES WITH READ LOCK") as (number, _):
        (found,) = read_blockers(session)
        assert (found.session_id, found.reason) == (number, "backup-lock")
        assert found.detail.startswith("FLUSH TABLES WITH READ LOCK")


def test_ddl_at_work_is_no_backup(server: RunningServer, session: Session) -> None:
    """DDL takes the backup lock too, in a mode that lets other DDL pass."""
    intention = "SELECT COUNT(*) FROM performance_schema.metadata_locks WHERE OBJECT_TYPE = 'BACKUP LOCK'"
    with somebody(server, "FLUSH TABLES shop.orders WITH READ LOCK"):
        assert server.value(intention) == 1
        assert read_blockers(session) == ()


@pytest.mark.parametrize("table", [ORDERS, WEIRD])
def test_holders_of_metadata_locks(server: RunningServer, session: Session, table: TableName) -> None:
    """LOCK TABLES and an open transaction on the table, each with its lock; not those on other tables."""
    name = f"{quote(table.schema)}.{quote(table.name)}".replace("%%", "%")
    with somebody(server, "BEGIN", f"SELECT * FROM {name}") as (reader, _):
        assert [r for r in reasons(session, [table])[reader] if r == "metadata-lock"] == ["metadata-lock"]
        assert "metadata-lock" not in reasons(session).get(reader, [])
        other = WEIRD if table == ORDERS else ORDERS
        assert "metadata-lock" not in reasons(session, [other]).get(reader, [])
    with somebody(server, f"LOCK TABLES {name} READ") as (locker, _):
        (found,) = (b for b in read_blockers(session, [table]) if b.session_id == locker)
        assert found.detail == f"{table}: SHARED_READ_ONLY transaction"


def test_our_own_sessions_do_not_count(server: RunningServer, session: Session) -> None:
    """Sessions that are named as ours are left out, whatever they hold."""
    with somebody(server, "BEGIN", "SELECT * FROM shop.orders") as (number, _):
        assert read_blockers(session, [ORDERS], ours=[number], idle_seconds=0) == ()
        session.run("BEGIN")
        session.run("SELECT * FROM shop.orders")
        assert read_blockers(session, [ORDERS], ours=[number], idle_seconds=0) == ()
        session.run("ROLLBACK")


def test_an_idle_transaction(server: RunningServer, session: Session) -> None:
    """Open and asleep: who, how long, and whether it has written; nothing of what it did."""
    with somebody(server, "BEGIN", f"INSERT INTO shop.orders VALUES ({SECRET[:9]})") as (number, cursor):
        until(lambda: any(b.seconds for b in read_blockers(session, idle_seconds=1)), "it is idle for a second")
        (found,) = read_blockers(session, idle_seconds=1)
        assert (found.session_id, found.user, found.reason) == (number, "root", "idle-transaction")
        assert "has written" in found.detail and SECRET[:9] not in repr(found)
        assert read_blockers(session, idle_seconds=3600) == ()
        cursor.execute("ROLLBACK")


def test_what_a_blocker_executes_is_told_without_values(server: RunningServer, session: Session) -> None:
    """The statement that runs, with its age, and the last one of a session that is idle: each value is a `?`."""
    idle = f"SELECT id FROM shop.orders WHERE id <> {SECRET} /* {SECRET} */"
    with somebody(server, "BEGIN", idle) as (number, cursor):
        until(lambda: reasons(session, [ORDERS]).get(number), "it is seen")
        found = next(b for b in read_blockers(session, [ORDERS]) if b.session_id == number)
        assert found.statement == "SELECT `id` FROM `shop` . `orders` WHERE `id` != ?"
        assert found.statement_seconds is None and found.host

        def sleep() -> None:
            with suppress(pymysql.err.OperationalError):  # it is ended
                cursor.execute(f"SELECT SLEEP(60), '{SECRET}' FROM shop.orders")

        long = threading.Thread(target=sleep)
        long.start()
        try:

            def seen() -> Blocker:
                return next(b for b in read_blockers(session, [ORDERS]) if b.session_id == number)

            until(lambda: (seen().statement_seconds or 0) >= 1, "its statement is a second old")
            assert seen().statement == "SELECT `SLEEP` (?) , ? FROM `shop` . `orders`"
            assert SECRET not in repr(seen())
        finally:
            server.rows(f"KILL QUERY {number}")
            long.join()


def test_a_long_transaction(server: RunningServer, session: Session) -> None:
    """Busy, and older than the bound."""
    running = "SELECT COUNT(*) FROM performance_schema.processlist WHERE STATE = 'User sleep'"
    with somebody(server, "BEGIN", "SELECT * FROM shop.orders") as (number, cursor):
        long = threading.Thread(target=cursor.execute, args=("SELECT SLEEP(60)",))
        long.start()
        try:
            until(lambda: server.value(running), "the statement runs")
            until(lambda: read_blockers(session, long_seconds=1), "it is a second old")
            (found,) = read_blockers(session, long_seconds=1)
            assert (found.session_id, found.reason) == (number, "long-transaction")
            assert "has only read" in found.detail
            assert read_blockers(session, long_seconds=3600) == ()
        finally:
            server.rows(f"KILL QUERY {number}")
            long.join()


@contextmanager
def prepared(server: RunningServer, *, detached: bool) -> Iterator[None]:
    """A prepared XA transaction; `detached` from its session, which has ended."""
    with ExitStack() as stack:
        preparer = stack.enter_context(closing(server.connect()))
        with preparer.cursor() as cursor:
            cursor.execute(f"SET xa_detach_on_prepare = {'ON' if detached else 'OFF'}")
            cursor.execute(f"XA START '{SECRET}'")
            cursor.execute("INSERT INTO shop.orders VALUES (77)")
            cursor.execute(f"XA END '{SECRET}'")
            cursor.execute(f"XA PREPARE '{SECRET}'")
            if detached:
                stack.pop_all().close()
            yield
            if detached:
                server.rows(f"XA ROLLBACK '{SECRET}'")
            else:
                cursor.execute(f"XA ROLLBACK '{SECRET}'")


@pytest.mark.parametrize("detached", [True, False])
def test_a_prepared_xa_transaction(server: RunningServer, session: Session, *, detached: bool) -> None:
    """It blocks DDL also when its session has ended; its identifier, which an application made up, is not shown."""
    with prepared(server, detached=detached):
        found = [b for b in read_blockers(session) if b.reason == "prepared-xa"]
        assert len(found) == 1 and found[0].session_id == 0
        assert SECRET not in repr(found)
    assert not [b for b in read_blockers(session) if b.reason == "prepared-xa"]


def test_xa_without_the_privilege(server: RunningServer) -> None:
    """Without XA_RECOVER_ADMIN a transaction without a session shows, and the rest is said to be unknown."""
    with closing(server.connect()) as root, root.cursor() as cursor:
        cursor.execute("CREATE USER IF NOT EXISTS noxa IDENTIFIED BY 'throwaway'")
        cursor.execute("GRANT PROCESS, SELECT ON *.* TO noxa")
    with Session(connect(server, "noxa", "throwaway")) as session:
        assert [b.reason for b in read_blockers(session)] == ["unknown"]
        with prepared(server, detached=True):
            found = read_blockers(session)
        assert sorted(b.reason for b in found) == ["prepared-xa", "unknown"]
        assert any("XA_RECOVER_ADMIN" in b.detail for b in found)


def test_a_clone_at_work(server: RunningServer, session: Session) -> None:
    """A clone that is being made, held up by a backup lock so that it is surely at work while we look."""
    assert server.folder is not None
    with somebody(server, "SET GLOBAL clone_block_ddl = ON", "LOCK INSTANCE FOR BACKUP") as (_, holder):
        with somebody(server) as (number, cloner):
            target = server.folder / "clone"
            clone = threading.Thread(target=cloner.execute, args=(f"CLONE LOCAL DATA DIRECTORY = '{target}'",))
            clone.start()
            try:
                until(lambda: "clone" in reasons(session).get(number, []), "the clone is seen")
            finally:
                holder.execute("UNLOCK INSTANCE")
                clone.join()
        until(lambda: read_blockers(session) == (), "it has ended")


def test_what_we_may_not_see_is_said_to_be_unknown(server: RunningServer) -> None:
    """Without a privilege nothing is taken for absent: each place that cannot be looked at is named."""
    with closing(server.connect()) as root, root.cursor() as cursor:
        cursor.execute("CREATE USER IF NOT EXISTS nothing IDENTIFIED BY 'throwaway'")
    with Session(connect(server, "nothing", "throwaway")) as session:
        found = read_blockers(session, [ORDERS])
    assert {b.reason for b in found} == {"unknown"}
    text = " ".join(b.detail for b in found)
    for missing in ("PROCESS", "metadata_locks", "clone_status", "XA_RECOVER_ADMIN"):
        assert missing in text


def test_a_switched_off_instrument_is_said(server: RunningServer, session: Session) -> None:
    """With the instrument off the table of metadata locks is empty, which does not mean that there are none."""
    switch = "UPDATE performance_schema.setup_instruments SET ENABLED = '{}' WHERE NAME = 'wait/lock/metadata/sql/mdl'"
    server.rows(switch.format("NO"))
    try:
        (found,) = read_blockers(session)
    finally:
        server.rows(switch.format("YES"))
    assert found == Blocker(
        0,
        "",
        0,
        "unknown",
        "not readable: metadata locks and backup locks: "
        "performance_schema or its instrument wait/lock/metadata/sql/mdl is off",
    )


# -- the list of transactions -------------------------------------------------------------------------


def test_a_transaction_that_has_just_begun_is_seen(server: RunningServer, session: Session) -> None:
    """The server's list is a copy up to 100 ms old, and older for who asks often: ours is not."""
    with closing(server.connect()) as other, other.cursor() as cursor:
        session.rows("SELECT * FROM information_schema.INNODB_TRX")
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        # That the trap is there: the copy that was just made does not have it.
        stale = session.rows("SELECT trx_mysql_thread_id FROM information_schema.INNODB_TRX")
        fresh = read_transactions(session)
    assert (session_id(other),) not in stale
    assert [(t.session_id, t.state, t.has_written) for t in fresh] == [(session_id(other), "RUNNING", False)]


def test_a_list_that_is_never_renewed_is_an_error(server: RunningServer, session: Session) -> None:
    """While somebody reads it all the time the server never renews it: we say so instead of believing it."""
    # Loops inside the server, since a client of ours might pause for long enough.
    loop = (
        "CREATE PROCEDURE shop.poll() LOOP"
        " SELECT COUNT(*) INTO @transactions FROM information_schema.INNODB_TRX; SET @rounds = @rounds + 1; END LOOP"
    )
    rounds = (
        "SELECT COUNT(*) FROM performance_schema.user_variables_by_thread"
        " WHERE VARIABLE_NAME = 'rounds' AND CAST(VARIABLE_VALUE AS SIGNED) > 1"
    )
    with somebody(server, loop), ExitStack() as stack:
        for _ in range(2):
            number, poller = stack.enter_context(somebody(server, "SET @rounds = 0"))
            thread = threading.Thread(target=killed, args=(poller, "CALL shop.poll()"))
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.rows, f"KILL {number}")
        until(lambda: server.value(rounds) == 2, "both read the list")
        with pytest.raises(Failed, match="INNODB_TRX"):
            read_transactions(session)
        assert [b.reason for b in read_blockers(session)] == ["unknown"]


def killed(cursor: Cursor, statement: str) -> None:
    """Execute what only ends with its session."""
    with pytest.raises(pymysql.err.OperationalError) as error:
        cursor.execute(statement)
    assert error.value.args[0] in {1317, 2013}
