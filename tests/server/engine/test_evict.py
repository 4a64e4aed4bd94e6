"""Sessions that are in the way, ended where a person has asked for that: who is, and who never is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from migrator.engine import moment, older
from migrator.errors import Refused
from migrator.events import Event, Evicted, Waiting
from tests.server.engine.kit import SMALL, Lab
from tests.server.engine.test_rows import BY_NUMBER, NUMBERS

if TYPE_CHECKING:
    from tests.servers.running import Connection

pytestmark = pytest.mark.timeout(120)

FEW = (BY_NUMBER[0], f"SELECT 10 * n, n, 'few', n FROM ({NUMBERS.format(300)}) AS some")
KILLING = SMALL.model_copy(update={"kill_blockers_after_seconds": 2})
READ = "SELECT COUNT(*) FROM t WHERE v <> 'cAnArY7391'"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is in the way is looked at each half second."""
    monkeypatch.setattr(moment, "TELL_EVERY_SECONDS", 0.5)
    monkeypatch.setattr(older, "TELL_EVERY_SECONDS", 0.5)


@pytest.fixture
def may_kill(lab: Lab) -> Iterator[Lab]:
    """The account that migrates may end sessions of others; the application has an account of its own."""
    lab.run(
        f"GRANT CONNECTION_ADMIN ON *.* TO '{lab.dba.user}'@'%'",
        "CREATE USER 'application'@'%' IDENTIFIED BY 'throwaway'",
        f"GRANT ALL ON `{lab.schema}`.* TO 'application'@'%'",
        "GRANT XA_RECOVER_ADMIN, BACKUP_ADMIN, RELOAD ON *.* TO 'application'@'%'",
    )
    try:
        yield lab
    finally:
        lab.run(f"REVOKE CONNECTION_ADMIN ON *.* FROM '{lab.dba.user}'@'%'", "DROP USER 'application'@'%'")


@contextmanager
def somebody(lab: Lab, *statements: str, **options: Any) -> Iterator[Connection]:
    """A session of the application that has executed these statements."""
    account = {"user": "application", "password": "throwaway"}
    with closing(lab.connect(**(account | options))) as connection:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        yield connection


def lives(connection: Connection) -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("DO 1")
    except pymysql.Error:
        return False
    return True


def test_nobody_is_ended_by_default(may_kill: Lab) -> None:
    """Without the option a session that is in the way is waited for until the step fails."""
    may_kill.table("t", *FEW)
    with somebody(may_kill, READ) as reader:
        ran = may_kill.apply("t", defaults=SMALL.model_copy(update={"moment_wait_seconds": 4}))
        assert lives(reader)
    ran.assert_outcome("failed")
    assert not ran.of(Evicted)


def test_who_keeps_a_moment_waiting_is_ended(may_kill: Lab) -> None:
    """An idle transaction on the table is ended after the time that the plan says: who it was is told, without a value."""
    may_kill.table("t", *FEW)
    with somebody(may_kill, READ) as reader:
        number = reader.thread_id()
        ran = may_kill.apply("t", defaults=KILLING)
        assert not lives(reader)
    ran.assert_outcome("done")
    (ended,) = ran.of(Evicted)
    assert ended.waited_seconds >= 2
    assert (ended.blocker.session_id, ended.blocker.user) == (number, "application")
    assert ended.blocker.host and ended.blocker.statement == "SELECT COUNT ( * ) FROM `t` WHERE `v` != ?"
    assert ran.step.evicted == (ended.blocker,)
    assert "cAnArY7391" not in repr(ran.events)
    may_kill.assert_done("t")


def test_who_is_older_than_the_copy_is_ended(may_kill: Lab) -> None:
    """A transaction that began before the copy, on another table, keeps the swap waiting and is ended; nobody else is."""
    may_kill.table("t", *FEW)
    may_kill.run("CREATE TABLE other (id INT PRIMARY KEY)")
    with somebody(may_kill, "SELECT COUNT(*) FROM other") as old, somebody(may_kill) as bystander:
        ran = may_kill.apply("t", defaults=KILLING)
        assert not lives(old) and lives(bystander)
    ran.assert_outcome("done")
    assert len(ran.of(Evicted)) == 1
    may_kill.assert_done("t")


def told(events: list[Event], why: str) -> bool:
    return any(why in blocker.detail for event in events if isinstance(event, Waiting) for blocker in event.blockers)


SPARED: dict[str, tuple[tuple[str, ...], dict[str, Any], str]] = {
    "LOCK TABLES": (("LOCK TABLES t READ",), {"autocommit": True}, "holds LOCK TABLES"),
    "a user lock": (("SELECT GET_LOCK('mine', 1)", READ), {}, "GET_LOCK"),
    "FLUSH TABLES": ((READ, "FLUSH TABLES t WITH READ LOCK"), {}, "LOCK TABLES"),
    "a backup's program": ((READ,), {"program_name": "mysqldump"}, "it is a backup"),
    "an XA transaction at its end": (("XA START 'x'", READ, "XA END 'x'"), {"autocommit": True}, "XA"),
    "SYSTEM_USER": ((READ,), {"user": "root"}, "does not let this account"),
}


@pytest.mark.parametrize("name", SPARED)
def test_who_is_never_ended(may_kill: Lab, name: str) -> None:
    """It is told why, the session lives, and what waits for it ends by its own bound."""
    statements, options, why = SPARED[name]
    may_kill.table("t", *FEW)
    if options.get("user") == "root":
        options = {"user": may_kill.server.server.user, "password": may_kill.server.server.password}
    with somebody(may_kill, *statements, **options) as user:
        defaults = KILLING.model_copy(update={"moment_wait_seconds": 5})
        ran = may_kill.apply("t", defaults=defaults)
        assert lives(user)
    ran.assert_outcome("failed")
    assert not ran.of(Evicted)
    assert told(ran.events, why), ran.of(Waiting)[-1:]


def test_traffic_is_not_ended(may_kill: Lab) -> None:
    """Transactions that are younger than the plan's time are left alone, however long the moment is waited for."""
    may_kill.table("t", *FEW)
    with ExitStack() as stack:
        first, second = (stack.enter_context(somebody(may_kill)) for _ in range(2))

        def read(connection: Connection) -> None:
            with connection.cursor() as cursor:
                cursor.execute(READ)

        turn = [first, second]

        def take_turns(event: Event) -> None:
            if not isinstance(event, Waiting) or event.seconds > 5:
                return
            turn.reverse()
            read(turn[0])
            turn[1].rollback()

        class Turns:
            def meet(self, event: Event) -> None:
                take_turns(event)
                if isinstance(event, Waiting) and event.seconds > 5:
                    first.rollback()
                    second.rollback()

        read(first)
        ran = may_kill.apply("t", defaults=KILLING, at=[Turns()])
        assert lives(first) and lives(second)
    ran.assert_outcome("done")
    assert not ran.of(Evicted)
    assert told(ran.events, "younger")


def test_without_the_right_nothing_is_begun(lab: Lab) -> None:
    """The option without CONNECTION_ADMIN is refused before anything is touched, with the GRANT."""
    lab.table("t", *FEW)
    plan = lab.plan("t", defaults=KILLING)
    with pytest.raises(Refused) as error:
        lab.apply(plan=plan)
    assert "GRANT CONNECTION_ADMIN ON *.*" in error.value.remedy
    assert lab.names() == {"t"}
