"""Faults of the journal: rows deleted, tables dropped, values altered, another version; and runs given up for good."""

from __future__ import annotations

from contextlib import closing
from typing import Final

from migrator.engine.cleanup import CleanupOptions, cleanup
from migrator.sql.journal import FORMAT
from tests.server.faults.scene import Attempt, Does, Fault, Scene, attempted, when_free

DUPLICATE: Final = frozenset({1062})


def sql(*statements: str) -> Does:
    """A person's statements on the journal."""
    return lambda scene: scene.lab.run(*statements)


def by_hand(scene: Scene) -> bool:
    """What docs/what-if.md says for getting rid of everything by hand: triggers first. Nothing where all went well."""
    _again(scene)
    if not scene.lab.names() - {"t", "_t_retained"}:
        return False
    for kind in ("log", "mirror"):
        scene.lab.run(*(f"DROP TRIGGER IF EXISTS _t_{kind}_{event}" for event in ("del", "ins", "upd")))
    scene.lab.run("DROP TABLE IF EXISTS _t_shadow", "DROP TABLE IF EXISTS _t_log", "DROP DATABASE IF EXISTS migrator")
    return True


def _again(scene: Scene) -> Attempt | None:
    """How the next run ends, if the first did not finish."""
    assert scene.first is not None
    return None if scene.first.code == 0 else when_free(scene, scene.lab.plan("t"))


def stop_and(statement: str) -> Does:
    """The run is stopped, and somebody alters the journal."""

    def do(scene: Scene) -> None:
        scene.lab.run(statement)
        scene.stop.set()

    return do


def refused_until(statement: str) -> Does:
    """The next run is refused with exit code 4, whatever is left to do; then a person takes the change back."""

    def mend(scene: Scene) -> None:
        scene.stop.clear()
        refused = attempted(scene, scene.kept["plan"])
        assert refused.code == 4, refused
        scene.lab.run(statement)

    return mend


def stop(scene: Scene) -> None:
    """The run is stopped, for good."""
    scene.stop.set()


def abandon(scene: Scene) -> bool:
    """`cleanup --abandon`: nothing is left but what was finished, and the application does not notice."""
    scene.stop.clear()
    assert scene.first is not None
    with closing(scene.lab.session()) as session:
        cleanup(session, CleanupOptions(abandon=(f"{scene.lab.schema}.t",)), lambda event: None)
    assert scene.lab.names() <= {"t", "_t_retained"}
    assert not scene.app.work()
    return scene.first.code != 0


def abandon_if_refused(scene: Scene) -> bool:
    """The next run does not believe the ranges either; then `cleanup --abandon`."""
    again = _again(scene)
    return again is not None and bool(again.code) and abandon(scene)


LEASE: Final = "INSERT INTO migrator.lease VALUES (1, 1000, '', '', 0, '', UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), 1, '')"

JOURNALS: Final[dict[str, Fault]] = {
    "abandoned": Fault("the run is stopped for good; `cleanup --abandon`", stop, abandon, at="deep"),
    "journal dropped": Fault("`DROP DATABASE migrator`", sql("DROP DATABASE migrator"), by_hand),
    "journal without a table": Fault("`DROP TABLE migrator.objects`", sql("DROP TABLE migrator.objects"), by_hand),
    "steps deleted": Fault("`DELETE FROM migrator.steps`", sql("DELETE FROM migrator.steps"), by_hand),
    "objects deleted": Fault("`DELETE FROM migrator.objects`", sql("DELETE FROM migrator.objects"), by_hand),
    "ranges deleted": Fault(
        "`DELETE FROM migrator.ranges` (the first one)",
        sql("DELETE FROM migrator.`ranges` ORDER BY no LIMIT 1"),
        abandon_if_refused,
        where=("copy", "index", "mirror", "verify"),
    ),
    "ranges called copied": Fault(
        "`UPDATE migrator.ranges SET copied = 1`",
        sql("UPDATE migrator.`ranges` SET copied = 1"),
        abandon,
        where=("copy",),
    ),
    "ranges called compared": Fault(
        "`UPDATE migrator.ranges SET copied = 1, verified = 1`",
        sql("UPDATE migrator.`ranges` SET copied = 1, verified = 1"),
        abandon,
        where=("copy",),
    ),
    "phase altered": Fault(
        "`UPDATE migrator.steps SET phase = 'verify'`, and stopped",
        stop_and("UPDATE migrator.steps SET phase = 'verify'"),
        where=("build", "log", "copy", "index"),
    ),
    "lease deleted": Fault(
        "`DELETE FROM migrator.lease`", sql("DELETE FROM migrator.lease"), lambda scene: put_lease_back(scene)
    ),
    "journal of another version": Fault(
        "`UPDATE migrator.meta SET format = 99`, and stopped",
        stop_and("UPDATE migrator.meta SET format = 99"),
        refused_until(f"UPDATE migrator.meta SET format = {FORMAT}"),
    ),
    "journal of another server": Fault(
        "`UPDATE migrator.meta SET server_uuid`, and stopped",
        stop_and("UPDATE migrator.meta SET server_uuid = UUID()"),
        refused_until("UPDATE migrator.meta SET server_uuid = @@server_uuid"),
    ),
}


def put_lease_back(scene: Scene) -> bool:
    """Without the row no run begins; a person puts it back, with a token that no run has had."""
    again = _again(scene)
    if again is not None and not again.code:
        return False
    if scene.lab.value("SELECT COUNT(*) FROM migrator.lease"):
        return False
    scene.lab.run(LEASE)
    return True
