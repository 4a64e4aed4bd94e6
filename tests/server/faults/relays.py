"""Faults of a table that goes through a tablespace: those that any table can have, and those of the relay alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tests.server.engine.test_rows import BY_NUMBER
from tests.server.faults.machines import MACHINES
from tests.server.faults.persons import PERSONS, add_trigger
from tests.server.faults.scene import LEGS, Fault, Scene
from tests.server.faults.settings import SETTINGS

NO_TABLE: Final = frozenset({1146})

RELAYED: Final = (BY_NUMBER[0][:-1] + ", CONSTRAINT `few %s` CHECK (w < 100000))", BY_NUMBER[1])
"""A table that cannot be copied, since its CHECK has a name."""

SHARED: Final = (
    "server killed",
    "server killed in a statement",
    "server away",
    "server restarted",
    "link cut before",
    "link cut after",
    "all links cut",
    "sessions killed",
    "keyring gone at a restart",
    "stopped",
    "rights revoked",
    "read-only",
    "reader",
    "older snapshot",
    "prepared transaction",
    "backup lock",
    "second run",
)
"""Done to copied tables as well."""


def _the_space(scene: Scene) -> str:
    (space,) = scene.lab.spaces()
    return space


def move_in_with_it(scene: Scene) -> None:
    """A person puts a table of their own into our tablespace."""
    scene.after.callback(scene.lab.run, "DROP TABLE IF EXISTS guest")
    scene.lab.run(f"CREATE TABLE guest (a INT) TABLESPACE = {_the_space(scene)} ENCRYPTION = 'Y'")


def guest_leaves(scene: Scene) -> None:
    """And takes it away."""
    scene.lab.run("DROP TABLE guest")


def replace_space(scene: Scene) -> None:
    """A person drops our empty tablespace, and makes one of their own with its name."""
    space = scene.kept["space"] = _the_space(scene)
    scene.lab.run(f"DROP TABLESPACE {space}", f"CREATE TABLESPACE {space} ENCRYPTION = 'N'")


def drop_theirs(scene: Scene) -> None:
    """It is still there, and its owner drops it."""
    assert scene.lab.spaces() == [scene.kept["space"]], "somebody else's tablespace was dropped"
    scene.lab.run(f"DROP TABLESPACE {scene.kept['space']}")


def drop_space(scene: Scene) -> None:
    """A person drops our empty tablespace."""
    scene.lab.run(f"DROP TABLESPACE {_the_space(scene)}")


def move_elsewhere(scene: Scene) -> None:
    """A person moves the table out of our tablespace by hand, into a plain file."""
    scene.lab.run("ALTER TABLE t TABLESPACE = innodb_file_per_table ENCRYPTION = 'N', ALGORITHM = COPY")


RELAYS: Final[dict[str, Fault]] = {
    f"relay: {name}": replace(fault, where=LEGS, table=RELAYED)
    for name, fault in (MACHINES | SETTINGS).items()
    if name in SHARED
} | {
    "relay: column added": replace(PERSONS["column added"], where=LEGS, table=RELAYED),
    "relay: column added in a leg": replace(
        PERSONS["column added"],
        what="`ALTER TABLE t ADD COLUMN` right after the leg's statement",
        where=LEGS[:3],
        at="deep",
        table=RELAYED,
    ),
    "relay: trigger added in a leg": Fault(
        "`CREATE TRIGGER` on the table right after the leg's statement",
        add_trigger,
        lambda scene: scene.lab.run("DROP TRIGGER IF EXISTS own"),
        where=("move-in", "move-out"),
        at="deep",
        table=RELAYED,
    ),
    "relay: table dropped": replace(PERSONS["source dropped"], where=LEGS, table=RELAYED),
    "relay: table moved by hand": Fault(
        "`ALTER TABLE t TABLESPACE = innodb_file_per_table ENCRYPTION = 'N'`",
        move_elsewhere,
        where=("encrypt", "move-out", "settle"),
        table=RELAYED,
    ),
    "relay: guest": Fault(
        "somebody else's table is made in our tablespace",
        move_in_with_it,
        guest_leaves,
        where=("settle",),
        table=RELAYED,
    ),
    "relay: tablespace replaced": Fault(
        "our empty tablespace is dropped, and another one gets its name",
        replace_space,
        drop_theirs,
        where=("settle",),
        table=RELAYED,
    ),
    "relay: tablespace dropped": Fault("our empty tablespace is dropped", drop_space, where=("settle",), table=RELAYED),
}

RELAY_ROWS: Final[dict[str, tuple[str, frozenset[str]]]] = {
    "relay: tool killed": (
        "SIGKILL of `migrator` while the server works on the leg's statement",
        frozenset(("move-in", "encrypt", "move-out")),
    ),
    "relay: held at its end": (
        "a transaction uses the table while the server works, and stays open at the end of the leg",
        frozenset(("move-in", "encrypt", "move-out")),
    ),
    "relay: log full": (
        "more writes than `innodb_online_alter_log_max_size` holds while the server works (1799)",
        frozenset(("move-in", "move-out")),
    ),
    "relay: no room": (
        "no room for the moved table (RLIMIT_FSIZE of `mysqld`)",
        frozenset(("move-in", "move-out")),
    ),
} | {name: (fault.what, frozenset(fault.where)) for name, fault in RELAYS.items()}
"""Every row of the relay's table, in its order."""
