"""Settings on a source with a replica: what replicates, and what is left to each server."""

from __future__ import annotations

from contextlib import closing

from migrator.cli_plan import read_and_plan
from migrator.engine.verify_state import verify
from migrator.inventory import read_inventory
from migrator.planner.plan import Attestation, Attestations, Policy, Scope
from tests.server.engine.kit import SMALL, VOUCHED, Lab
from tests.server.topology.kit import ROWS, TABLE, pair
from tests.servers import RunningServer, caught_up

LOGS = "SELECT @@GLOBAL.binlog_encryption, @@GLOBAL.innodb_redo_log_encrypt, @@GLOBAL.innodb_undo_log_encrypt"


def born_encrypted(server: RunningServer, schema: str) -> bool:
    """The schema's default."""
    query = "SELECT DEFAULT_ENCRYPTION FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s"
    return server.rows(query, schema) == [("YES",)]


def test_what_replicates() -> None:
    """ALTER SCHEMA reaches the replica, SET PERSIST does not; the plan has said so, with the statements."""
    with pair() as two:
        lab = two.lab
        lab.table("t", TABLE, ROWS.format(rows=300))
        lab.run(f"GRANT SYSTEM_VARIABLES_ADMIN, BINLOG_ENCRYPTION_ADMIN ON *.* TO '{lab.dba.user}'@'%'")
        policy = Policy(mysql_tablespace=False, harden=("binlog", "redo", "undo", "schemas"))
        scope = Scope(databases=(lab.schema,))
        with closing(lab.session()) as session:
            inventory, _ = read_and_plan(session, policy, scope=scope, defaults=SMALL, attestations=VOUCHED)
            (member,) = inventory.server.members
            sure = Attestation(by="the tests", at=VOUCHED.keyring_backup.at)  # type: ignore[union-attr]
            vouched = Attestations(keyring_backup=VOUCHED.keyring_backup, members={member.name: sure})
            _, plan = read_and_plan(session, policy, scope=scope, defaults=SMALL, attestations=vouched)
        notes = {f.code: f for step in plan.steps for f in step.findings if step.kind == "setting"}
        assert member.name in notes["on-each-server"].message
        assert "SET PERSIST" in notes["on-each-server"].remedy
        assert member.name in notes["schema-on-replicas"].message
        ran = lab.apply(plan=plan)
        assert ran.outcome.exit_code == 0, ran.outcome
        caught_up(two.replica, two.source)
        assert two.source.rows(LOGS) == [(1, 1, 1)]
        assert two.replica.rows(LOGS) == [(0, 0, 0)]
        assert born_encrypted(two.source, lab.schema)
        assert born_encrypted(two.replica, lab.schema)
        assert {"@@binlog_encryption", f"schema {lab.schema}"} <= proved(lab)
        # As after a failover: the journal has moved, and what it says of variables holds where they were set.
        two.source.rows(
            "UPDATE migrator.steps SET definition = 'elsewhere' WHERE kind = 'setting' AND definition <> ''"
        )
        assert proved(lab) == {f"schema {lab.schema}"}


def proved(lab: Lab) -> set[str]:
    """The settings of which `verify` says that a run has switched them on, and they are."""
    with closing(lab.session()) as session:
        proofs = verify(session, Scope(), read_inventory(session))
    return {one.name for one in proofs if one.expected and one.encrypted and one.name.startswith(("@@", "schema "))}
