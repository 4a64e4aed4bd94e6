"""Faults that a person makes with a client: to our objects, to the source, to the journal."""

from __future__ import annotations

from typing import Final

from tests.server.engine.kit import name
from tests.server.engine.test_rows import NUMBERS
from tests.server.faults.scene import Fault, Scene

UNTIL_SWAP: Final = ("build", "log", "copy", "index", "mirror", "verify", "swap")
LOGGED: Final = ("copy", "index", "mirror")
MIRRORED: Final = ("verify", "swap")
NO_TABLE: Final = frozenset({1146})
DUPLICATE: Final = frozenset({1062})


def purpose(scene: Scene) -> str:
    """Which triggers there are."""
    return "log" if scene.phase in LOGGED else "mirror"


def drop_what_is_said(scene: Scene) -> bool:
    """Exit code 4 says that the shadow or the log is not provably ours any more: a person drops both."""
    if scene.first is None or scene.first.code != 4:
        return False
    scene.lab.run("DROP TABLE IF EXISTS _t_shadow, _t_log")
    return True


def drop_trigger(scene: Scene) -> None:
    """A trigger is dropped, and right away a row is deleted that nobody logs or mirrors."""
    scene.lab.run(f"DROP TRIGGER _t_{purpose(scene)}_del")
    scene.on_both("DELETE FROM {t} WHERE id = 300")


def add_trigger(scene: Scene) -> None:
    """The application gets a trigger of its own, which does nothing."""
    scene.lab.run("CREATE TRIGGER own BEFORE INSERT ON t FOR EACH ROW SET NEW.w = NEW.w")


def one_partition(scene: Scene) -> None:
    """One partition is emptied: no trigger fires, and the time of creation stays."""
    scene.on_both("ALTER TABLE {t} TRUNCATE PARTITION p1")


def other_table(scene: Scene) -> None:
    """Another table gets the name, with other rows."""
    ledger = name(scene.lab.ledger)
    scene.lab.run(
        "CREATE TABLE x LIKE t", "INSERT INTO x SELECT * FROM t WHERE id < 200", "RENAME TABLE t TO y, x TO t"
    )
    scene.lab.run(f"DELETE FROM {ledger}.t WHERE id >= 200")


def drop_y(scene: Scene) -> None:
    """The table that had the name goes away."""
    scene.lab.run("DROP TABLE y")


PARTITIONED: Final = (
    "(id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, u INT, v VARCHAR(80) NOT NULL, w INT, KEY w (w))"
    " PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (9000),"
    " PARTITION p1 VALUES LESS THAN (18000), PARTITION p2 VALUES LESS THAN MAXVALUE)",
    f"SELECT 10 * n, n, REPEAT('x', n % 70), n % 7 FROM ({NUMBERS.format(2500)}) AS many",
)

PERSONS: Final[dict[str, Fault]] = {
    "trigger dropped": Fault("one of our triggers is dropped", drop_trigger, where=(*LOGGED, *MIRRORED)),
    "shadow dropped": Fault(
        "`DROP TABLE _t_shadow`",
        lambda scene: scene.lab.run("DROP TABLE _t_shadow"),
        where=UNTIL_SWAP,
        of_its_own=DUPLICATE,
    ),
    "log dropped": Fault(
        "`DROP TABLE _t_log`",
        lambda scene: scene.lab.run("DROP TABLE _t_log"),
        where=(*UNTIL_SWAP[1:], "clean"),
        of_its_own=DUPLICATE,
    ),
    "shadow altered": Fault(
        "`ALTER TABLE _t_shadow ADD COLUMN`",
        lambda scene: scene.lab.run("ALTER TABLE _t_shadow ADD COLUMN extra INT"),
        drop_what_is_said,
        where=UNTIL_SWAP,
    ),
    "shadow truncated": Fault(
        "`TRUNCATE TABLE _t_shadow`",
        lambda scene: scene.lab.run("TRUNCATE TABLE _t_shadow"),
        drop_what_is_said,
        where=UNTIL_SWAP,
    ),
    "row of the shadow changed": Fault(
        "`UPDATE _t_shadow` (one row)",
        lambda scene: scene.lab.run("UPDATE _t_shadow SET v = 'x y' ORDER BY id LIMIT 1"),
        where=("copy", "index", "mirror"),
    ),
    "log truncated": Fault(
        "`TRUNCATE TABLE _t_log`",
        lambda scene: scene.lab.run("TRUNCATE TABLE _t_log"),
        drop_what_is_said,
        where=("log", *LOGGED, *MIRRORED, "clean"),
    ),
    "source truncated": Fault(
        "`TRUNCATE TABLE t`", lambda scene: scene.on_both("TRUNCATE TABLE {t}"), where=UNTIL_SWAP
    ),
    "partition truncated": Fault(
        "`ALTER TABLE t TRUNCATE PARTITION`", one_partition, where=UNTIL_SWAP, table=PARTITIONED
    ),
    "source rebuilt": Fault(
        "`ALTER TABLE t FORCE`", lambda scene: scene.on_both("ALTER TABLE {t} FORCE"), where=UNTIL_SWAP
    ),
    "column added": Fault(
        "`ALTER TABLE t ADD COLUMN`",
        lambda scene: scene.on_both("ALTER TABLE {t} ADD COLUMN z INT DEFAULT 5, ALGORITHM=INSTANT"),
        where=UNTIL_SWAP,
    ),
    "trigger added": Fault(
        "`CREATE TRIGGER` on the source",
        add_trigger,
        lambda scene: scene.lab.run("DROP TRIGGER IF EXISTS own"),
        where=UNTIL_SWAP,
    ),
    "another table in its place": Fault("`RENAME TABLE t TO y, x TO t`", other_table, drop_y, where=UNTIL_SWAP),
    "source dropped": Fault(
        "`DROP TABLE t`", lambda scene: scene.lab.run("DROP TABLE t"), where=UNTIL_SWAP, of_its_own=NO_TABLE, gone=True
    ),
}
