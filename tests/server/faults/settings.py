"""Faults of rights and settings, of those who hold locks, and of other servers and runs."""

from __future__ import annotations

from contextlib import closing
from typing import Final

from migrator.errors import LeaseHeld
from tests.server.engine.kit import SMALL
from tests.server.faults.scene import SHORT, Fault, Scene, attempted
from tests.servers import accounts

READ_ONLY: Final = frozenset({1290})
DENIED: Final = frozenset({1142, 1143, 1044, 1370})
NO_DEFINER: Final = frozenset({1449})
DUPLICATE: Final = frozenset({1062})
"""Follows from writes that failed before."""

UNTIL_SWAP: Final = ("build", "log", "copy", "index", "mirror", "verify", "swap")


def account(scene: Scene) -> str:
    """The account that migrates, as SQL."""
    return f"'{scene.lab.dba.user}'@'%'"


def grant_again(scene: Scene) -> None:
    """A person gives the account what the documentation says."""
    accounts.make(scene.lab.dba)


def revoke_schema(scene: Scene) -> None:
    """All rights on the schemas of tables are taken away."""
    scene.after.callback(grant_again, scene)
    scene.lab.run(f"REVOKE ALL PRIVILEGES ON `t\\_%`.* FROM {account(scene)}")


def revoke_journal(scene: Scene) -> None:
    """All rights on the journal are taken away."""
    scene.after.callback(grant_again, scene)
    scene.lab.run(f"REVOKE ALL PRIVILEGES ON migrator.* FROM {account(scene)}")


def drop_account(scene: Scene) -> None:
    """The account, which is the definer of the triggers, is dropped."""
    scene.after.callback(grant_again, scene)
    scene.lab.run(f"DROP USER {account(scene)}")


def other_password(scene: Scene) -> None:
    """Sessions that are open go on, and nobody can open another one."""
    scene.after.callback(old_password, scene)
    scene.lab.run(f"ALTER USER {account(scene)} IDENTIFIED BY 'another one'")


def old_password(scene: Scene) -> None:
    """The password of the option file is the right one again."""
    scene.lab.run(f"ALTER USER {account(scene)} IDENTIFIED BY '{scene.lab.dba.password}'")


def read_only(scene: Scene) -> None:
    """The server takes no writes any more."""
    scene.after.callback(read_write, scene)
    scene.lab.run("SET GLOBAL super_read_only = ON")


def read_write(scene: Scene) -> None:
    """It does again."""
    scene.lab.run("SET GLOBAL super_read_only = OFF")
    scene.lab.run("SET GLOBAL read_only = OFF")


def short_statements(scene: Scene) -> None:
    """New sessions may read for a millisecond only; all of ours are made anew."""
    scene.after.callback(scene.lab.run, "SET GLOBAL max_execution_time = 0")
    scene.lab.run("SET GLOBAL max_execution_time = 1")
    scene.proxy.cut_all()


# -- locks ------------------------------------------------------------------------------------------


def hold(scene: Scene, *statements: str) -> None:
    """A session that keeps what these statements give it, until it is mended."""
    connection = scene.kept["holder"] = scene.lab.connect()
    scene.after.callback(let_go, scene)
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def let_go(scene: Scene) -> bool:
    """The session ends."""
    if "holder" in scene.kept:
        scene.kept.pop("holder").close()
    return scene.first is not None and scene.first.code != 0


def prepare(scene: Scene) -> None:
    """A prepared transaction that has written the table, whose session is gone."""
    xid = f"'{scene.lab.schema}'"
    scene.after.callback(decide, scene)
    with closing(scene.lab.connect(autocommit=True)) as connection, connection.cursor() as cursor:
        for statement in (f"XA START {xid}", "UPDATE t SET w = w WHERE id = 60", f"XA END {xid}", f"XA PREPARE {xid}"):
            cursor.execute(statement)


def decide(scene: Scene) -> None:
    """A person rolls it back, unless somebody has."""
    if scene.lab.rows("XA RECOVER"):
        scene.lab.run(f"XA ROLLBACK '{scene.lab.schema}'")


# -- runs -------------------------------------------------------------------------------------------


def second_run(scene: Scene) -> None:
    """Somebody applies the same plan at the same time: refused, and nothing is changed."""
    before = scene.lab.names(), scene.lab.rows("SELECT COUNT(*), MAX(id) FROM migrator.steps")
    events = scene.lab.events
    second = attempted(scene, scene.lab.plan("t"))
    scene.lab.events = events
    assert second.code == LeaseHeld.exit_code, second
    assert before == (scene.lab.names(), scene.lab.rows("SELECT COUNT(*), MAX(id) FROM migrator.steps"))


def stop(scene: Scene) -> None:
    """A person wants the run to end."""
    scene.stop.set()


SETTINGS: Final[dict[str, Fault]] = {
    "stopped": Fault("a stop is asked for (as by Ctrl-C), in the process", stop, at="deep"),
    "rights revoked": Fault(
        "`REVOKE ALL` on the schema", revoke_schema, grant_again, ours=DENIED, of_its_own=DUPLICATE
    ),
    "rights on the journal revoked": Fault("`REVOKE ALL` on the journal's schema", revoke_journal, grant_again),
    "account dropped": Fault(
        "`DROP USER` of our account, the triggers' definer",
        drop_account,
        grant_again,
        ours=NO_DEFINER,
        of_its_own=DUPLICATE,
        patience_seconds=0.5,
    ),
    "password changed": Fault("our account gets another password", other_password, old_password, patience_seconds=0.5),
    "read-only": Fault("`SET GLOBAL super_read_only = ON`", read_only, read_write, of_its_own=READ_ONLY | DUPLICATE),
    "max_execution_time": Fault("`SET GLOBAL max_execution_time = 1`, and new connections", short_statements),
    "reader": Fault(
        "a transaction that has read the table stays open",
        lambda scene: hold(scene, "SELECT 1 FROM t WHERE FALSE"),
        let_go,
        defaults=SHORT,
    ),
    "older snapshot": Fault(
        "a transaction with an older snapshot stays open",
        lambda scene: hold(scene, "START TRANSACTION WITH CONSISTENT SNAPSHOT"),
        let_go,
        defaults=SHORT,
    ),
    "prepared transaction": Fault(
        "a prepared XA transaction that wrote the table stays",
        prepare,
        decide,
        defaults=SHORT,
        of_its_own=frozenset({1205}) | DUPLICATE,
    ),
    "backup lock": Fault(
        "`LOCK INSTANCE FOR BACKUP`", lambda scene: hold(scene, "LOCK INSTANCE FOR BACKUP"), let_go, defaults=SHORT
    ),
    "second run": Fault("a second `apply`", second_run, at="deep", defaults=SMALL),
}
