"""Safety gates: each one closes by itself, and an ordinary server passes them all."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from migrator.model import Blocker, Finding, Flavour, Member, Method, Schema, Server
from migrator.planner.gates import gates, needs
from migrator.planner.make import make_plan
from migrator.planner.plan import Attestation, Attestations, Step
from migrator.planner.privileges import Need
from tests.unit.builders import ALL_GLOBAL, NASTY, SMALL_DIRECTLY, a_keyring, a_server, a_table, an_inventory

ANN = Attestation(by="Ann Example", at=date(2026, 5, 1))
BACKED_UP = Attestations(keyring_backup=ANN)
COPY = Step(kind="table", schema_name="shop", table_name="orders", method=Method.SHADOW_COPY)
SPACE = Step(kind="tablespace", tablespace_name="archive", method=Method.TABLESPACE)
REPLICA = Member("db2:3306", "replica")


def asked(server: Server, attestations: Attestations = BACKED_UP, **more: Any) -> dict[str, Finding]:
    found = gates(server, attestations, **{"steps": (COPY,), **more})
    assert list(found) == sorted(found, key=lambda f: not f.blocks), "blocking findings come first"
    return {f.code: f for f in found}


def blocking(server: Server, attestations: Attestations = BACKED_UP, **more: Any) -> set[str]:
    found = asked(server, attestations, **more)
    assert all(f.remedy for f in found.values() if f.blocks), "who is stopped is told what to do"
    return {code for code, f in found.items() if f.blocks}


def test_an_ordinary_server_passes_without_a_word() -> None:
    """Where nothing is wrong, nothing is said."""
    assert asked(a_server()) == {}


CLOSED: dict[str, Server] = {
    "version": a_server(version=(8, 0, 15), version_text="8.0.15"),
    "keyring-missing": a_server(keyring=a_keyring(kind="none", active=False)),
    "keyring-unknown": a_server(keyring=a_keyring(kind="unknown", active=False)),
    "keyring-inactive": a_server(keyring=a_keyring(active=False)),
    "keyring-read-only": a_server(keyring=a_keyring(read_only=True, has_master_key=False)),
    "keyring-several": a_server(keyring=a_keyring(several=True)),
    "read-only": a_server(variables={"read_only": "ON"}),
    "force-recovery": a_server(variables={"innodb_force_recovery": "1"}),
    "replica": a_server(is_replica=True, replica_detail="follows db0:3306"),
    "multi-primary": a_server(group_mode="multi-primary", group_role="PRIMARY"),
    "group-not-primary": a_server(group_mode="single-primary", group_role="SECONDARY"),
    "wsrep": a_server(wsrep_on=True),
    "binlog-statement": a_server(variables={"binlog_format": "STATEMENT"}),
    "replication-filter": a_server(replication_filters=("binlog-do-db=shop",)),
    "member-not-confirmed": a_server(members=(REPLICA,)),
    "performance-schema": a_server(variables={"performance_schema": "OFF"}),
    "missing-privilege": a_server(privileges=ALL_GLOBAL - {"PROCESS"}),
    "blocker-backup-lock": a_server(blockers=(Blocker(7, "backup", 60, "backup-lock"),)),
    "blocker-clone": a_server(blockers=(Blocker(7, "clone", 60, "clone"),)),
}


@pytest.mark.parametrize("code", CLOSED)
def test_each_gate_closes_by_itself(code: str) -> None:
    """One thing wrong, one blocking finding, with a remedy."""
    assert blocking(CLOSED[code]) == {code}


@pytest.mark.parametrize("flavour", [Flavour.RDS, Flavour.AURORA, Flavour.NDB])
def test_other_flavours_get_their_runbook_and_nothing_else(flavour: Flavour) -> None:
    """Where ENCRYPTION='Y' does not exist, the keyring and the version do not matter."""
    server = a_server(flavour=flavour, version=(5, 7, 0), keyring=a_keyring(kind="none", active=False))
    assert blocking(server) == {"flavour"}
    assert len(asked(server)["flavour"].remedy) > 80


@pytest.mark.parametrize("flavour", [Flavour.MYSQL, Flavour.PERCONA, Flavour.PXC])
def test_mysqls_own_flavours_pass(flavour: Flavour) -> None:
    """Percona Server, also with Galera switched off, is served like MySQL."""
    assert blocking(a_server(flavour=flavour, version=(8, 0, 16))) == set()


def test_all_gates_are_asked() -> None:
    """Several things wrong at once are all said at once."""
    server = a_server(is_replica=True, variables={"super_read_only": "ON", "binlog_format": "STATEMENT"})
    assert blocking(server, Attestations()) == {"replica", "read-only", "binlog-statement", "keyring-backup"}


def test_the_keyrings_backup_is_attested_by_somebody() -> None:
    """Without an attestation nothing is done; with one the gate opens."""
    assert blocking(a_server(), Attestations()) == {"keyring-backup"}
    assert blocking(a_server(), BACKED_UP) == set()


def test_a_read_only_keyring_with_a_master_key_serves() -> None:
    """Tables are encrypted with the key that is there."""
    assert blocking(a_server(keyring=a_keyring(read_only=True))) == set()


def test_a_statement_binlog_matters_only_if_there_is_one() -> None:
    """Without a binlog its format says nothing; MIXED is served."""
    assert blocking(a_server(variables={"log_bin": "OFF", "binlog_format": "STATEMENT"})) == set()
    assert blocking(a_server(variables={"binlog_format": "MIXED"})) == set()


@pytest.mark.parametrize("name", ["db2:3306", NASTY.name])
@pytest.mark.parametrize("kind", ["replica", "group-member", "wsrep-node"])
def test_each_member_is_confirmed_by_name(name: str, kind: str) -> None:
    """A query or an attestation with exactly this name opens the gate; another name does not."""
    server = a_server(members=(Member(name, kind), Member("db3:3306", "replica")))
    third = {"db3:3306": ANN}
    finding = asked(server, BACKED_UP.model_copy(update={"members": third}))["member-not-confirmed"]
    assert finding.subject == name
    assert name in finding.message
    assert blocking(server, BACKED_UP.model_copy(update={"members": third}), confirmed={name}) == set()
    assert blocking(server, BACKED_UP.model_copy(update={"members": {name: ANN, **third}})) == set()


def test_members_that_nobody_can_name_cannot_be_attested() -> None:
    """Where the list of members is not known, no list of attestations can be complete."""
    server = a_server(members=(Member("unknown", "unknown", detail="REPLICATION SLAVE is missing"),))
    attested = BACKED_UP.model_copy(update={"members": {"unknown": ANN}})
    assert blocking(server, attested, confirmed={"unknown"}) == {"members-unknown"}
    assert "REPLICATION SLAVE" in asked(server)["members-unknown"].message


def test_an_attestation_for_a_stranger_is_noticed() -> None:
    """A name that the server does not know is probably misspelled."""
    found = asked(a_server(), Attestations(keyring_backup=ANN, members={"bd2:3306": ANN}))
    assert set(found) == {"member-unknown"}


@pytest.mark.parametrize(
    ("text", "closes"),
    [
        ("binlog-ignore-db=mysql", False),
        ("binlog_ignore_db=mysql,sys", False),
        ("replicate-ignore-db=performance_schema (channel c1)", False),
        ("binlog-ignore-db=mysql,shop", True),
        ("binlog-do-db=mysql", True),
        ("replicate-wild-ignore-table=mysql.%", True),
        ("replicate-do-table=shop.orders", True),
        ("not readable: REPLICATION CLIENT is missing", True),
    ],
)
def test_only_filters_that_leave_system_schemas_out_are_harmless(text: str, *, closes: bool) -> None:
    """Every other filter could let a table and its shadow, or rows and RENAME, go different ways."""
    assert ("replication-filter" in blocking(a_server(replication_filters=(text,)))) is closes


def test_a_step_for_a_tablespace_needs_its_right() -> None:
    """CREATE TABLESPACE is asked only if there is such a step."""
    finding = asked(a_server(), steps=(SPACE,))["missing-privilege"]
    assert finding.remedy.startswith("GRANT CREATE TABLESPACE ON *.*")
    assert blocking(a_server(privileges=ALL_GLOBAL | {"CREATE TABLESPACE"}), steps=(SPACE,)) == set()


def test_a_relay_needs_the_right_to_tablespaces() -> None:
    """CREATE TABLESPACE is a global right; where it is missing the finding has its GRANT. A copy does not need it."""
    relayed = make_plan(an_inventory(a_table(keys=())), SMALL_DIRECTLY, {}).steps
    assert asked(a_server(), steps=relayed)["missing-privilege"].remedy.startswith("GRANT CREATE TABLESPACE ON *.*")
    assert blocking(a_server(privileges=ALL_GLOBAL | {"CREATE TABLESPACE"}), steps=relayed) == set()
    assert Need.TABLESPACE not in needs(a_server(), make_plan(an_inventory(a_table()), SMALL_DIRECTLY, {}).steps)


def test_super_is_needed_for_triggers_only() -> None:
    """A plan without a shadow-copy makes no trigger."""
    server = a_server(privileges=ALL_GLOBAL - {"SUPER"})
    direct = COPY.model_copy(update={"method": Method.DIRECT_ALTER})
    assert blocking(server) == {"missing-privilege"}
    assert blocking(server, steps=(direct,)) == set()


@pytest.mark.parametrize(
    ("check", "server_default", "schema_default", "needed"),
    [
        ("OFF", "OFF", False, False),
        ("ON", "ON", True, True),
        ("ON", "ON", False, True),
        ("ON", "OFF", True, True),
    ],
)
def test_the_right_to_encrypt_against_the_default(
    check: str, server_default: str, *, schema_default: bool, needed: bool
) -> None:
    """Needed wherever the server checks it: the journal's schema is born in clear."""
    server = a_server(
        variables={"table_encryption_privilege_check": check, "default_table_encryption": server_default},
    )
    schemas = (Schema("shop", default_encryption=schema_default), Schema("untouched", default_encryption=False))
    refused = Step(kind="table", schema_name="untouched", table_name="t", method=Method.REFUSE)
    assert ("missing-privilege" in blocking(server, schemas=schemas, steps=(COPY, refused))) is needed


def test_rights_are_asked_on_the_schemas_of_steps_that_do_something() -> None:
    """A schema whose tables are all skipped or refused needs no rights; without steps none is asked for."""
    server = a_server(schema_privileges={k: v for k, v in a_server().schema_privileges.items() if k != "%"})
    subjects = {f.subject for f in gates(server, BACKED_UP, steps=(COPY,)) if f.code == "missing-privilege"}
    assert subjects == {"shop", "migrator"}
    for steps in ((COPY.model_copy(update={"method": Method.REFUSE}),), None):
        subjects = {f.subject for f in gates(server, BACKED_UP, steps=steps) if f.code == "missing-privilege"}
        assert subjects == {"migrator"}


def test_roles_that_are_not_default_are_only_mentioned() -> None:
    """They matter when a right is missing without them; else it is enough to say that they are not used."""
    assert set(asked(a_server(non_default_roles=("dba@%",)))) == {"non-default-roles"}
    lacking = a_server(non_default_roles=("dba@%",), privileges=frozenset())
    found = asked(lacking)
    assert "non-default-roles" not in found
    assert "SET DEFAULT ROLE" in found["missing-privilege"].remedy


@pytest.mark.parametrize("reason", ["prepared-xa", "idle-transaction", "long-transaction", "metadata-lock"])
def test_who_will_end_some_day_does_not_close_the_gate(reason: str) -> None:
    """Sessions in the way are named, but only what blocks all DDL closes the gate."""
    found = asked(a_server(blockers=(Blocker(7, "app", 60, reason, "since noon"),)))
    assert set(found) == {f"blocker-{reason}"}
    assert not found[f"blocker-{reason}"].blocks
    assert "since noon" in found[f"blocker-{reason}"].message


def test_what_cannot_be_looked_for_closes_the_gate() -> None:
    """Without metadata locks nobody knows when to strike; prepared XA transactions show among those as well."""
    locks = Blocker(0, "", 0, "unknown", "metadata locks and backup locks: the instrument is off")
    prepared = Blocker(0, "", 0, "unknown", "prepared XA transactions: XA_RECOVER_ADMIN is missing")
    assert blocking(a_server(blockers=(locks,))) == {"blocker-unknown"}
    assert blocking(a_server(blockers=(prepared,))) == set()
    assert "XA_RECOVER_ADMIN" in asked(a_server(blockers=(prepared,)))["blocker-unknown"].message


WARNED: dict[str, Server] = {
    "plain-binlog": a_server(variables={"binlog_encryption": "OFF"}),
    "plain-redo": a_server(variables={"innodb_redo_log_encrypt": "OFF"}),
    "plain-undo": a_server(variables={"innodb_undo_log_encrypt": "OFF"}),
    "default-plain": a_server(variables={"default_table_encryption": "OFF"}),
    "plain-transport": a_server(variables={"require_secure_transport": "OFF"}),
    "keyring-in-datadir": a_server(keyring=a_keyring(data_file="/var/lib/mysql/keyring")),
}


@pytest.mark.parametrize("code", WARNED)
def test_places_in_clear_are_warnings(code: str) -> None:
    """Where rows lie or travel in clear meanwhile is said, with the setting that closes it, and blocks nothing."""
    found = asked(WARNED[code])
    assert set(found) == {code}
    assert not found[code].blocks
    assert found[code].remedy


def test_a_binlog_that_is_off_is_not_in_clear() -> None:
    """Without a binlog there is no file of it."""
    assert asked(a_server(variables={"log_bin": "OFF", "binlog_encryption": "OFF"})) == {}


@pytest.mark.parametrize("schema", ["shop", NASTY.schema])
def test_schemas_that_give_birth_in_clear_are_named(schema: str) -> None:
    """Only schemas of the user's are named, and only plain ones."""
    schemas = (
        Schema(schema, default_encryption=False),
        Schema("crm", default_encryption=True),
        Schema("sys", default_encryption=False),
    )
    found = asked(a_server(), schemas=schemas)
    assert set(found) == {"schema-default-plain"}
    assert found["schema-default-plain"].message.endswith(f"in clear: {schema}")


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("/var/lib/mysql/keyring", True),
        ("/var/lib/mysql/../mysql/keyring", True),
        ("keyring", True),
        ("/var/lib/mysql-keyring/keyring", False),
        ("/var/lib/mysql/../keys/keyring", False),
    ],
)
def test_whether_the_keyring_lies_beside_the_data(path: str, *, inside: bool) -> None:
    """Paths are compared as paths: no prefix of a name, no dots in between, relative means inside."""
    assert ("keyring-in-datadir" in asked(a_server(keyring=a_keyring(data_file=path)))) is inside


def test_gates_do_not_depend_on_what_a_server_does_not_know() -> None:
    """A variable that a server does not have is no finding."""
    assert asked(replace(a_server(), variables={"log_bin": "ON", "log_bin_trust_function_creators": "ON"})) == {}


def test_a_member_that_denies_is_not_attested() -> None:
    """One that was asked and has no usable keyring blocks, whatever anybody attests."""
    server = a_server(members=(Member("10.0.0.7:3306", "replica", server_uuid="u"),))
    attested = BACKED_UP.model_copy(update={"members": {"10.0.0.7:3306": ANN}})
    assert blocking(server, attested) == set()
    assert blocking(server, attested, refuted={"10.0.0.7:3306"}) == {"member-not-confirmed"}


def test_the_limit_of_a_group_is_said() -> None:
    """It stops nothing; a group without one, and a server without a group, have nothing to say."""

    def said(limit: str, mode: str) -> bool:
        variables = {**a_server().variables, "group_replication_transaction_size_limit": limit}
        server = a_server(group_mode=mode, group_role="PRIMARY" if mode else "", variables=variables)
        return "transaction-size" in asked(server)

    assert said("150000000", "single-primary")
    assert not said("0", "single-primary")
    assert not said("150000000", "")
