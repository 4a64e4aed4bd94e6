"""Safety gates: a server on which nothing may be done is refused before anything is touched.

Each test runs the installed command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from tests.server.cli.held import Ran
from tests.server.cli.kit import ALL_SHADOW, Desk, desk_on, session_of
from tests.servers import least_privileged, start

OwnServer = Callable[..., Desk]


def said(ran: Ran) -> str:
    """All output, with lines of any width joined."""
    return " ".join((ran.out + ran.err).split())


def refused(desk: Desk, plan: Path, *words: str) -> None:
    """`dry-run` and `apply` are exit 3, say the words and a remedy, and nothing is touched."""
    with desk.untouched():
        for command in ("dry-run", "apply"):
            ran = desk.migrator(command, plan)
            assert ran.code == 3, ran
            text = said(ran)
            assert not [word for word in words if word not in text], ran
            assert "emedy: " in text, ran
        ran.says("nothing was touched")
    assert not desk.has_journal()


@contextmanager
def setting(desk: Desk, variable: str, value: str) -> Iterator[None]:
    """A global variable has another value meanwhile."""
    before = desk.value(f"SELECT @@GLOBAL.{variable}")
    desk.run(f"SET GLOBAL {variable} = {value}")
    try:
        yield
    finally:
        desk.run(f"SET GLOBAL {variable} = {before!r}")


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[OwnServer]:
    """Makes a server with options of its own, and a desk at its schema `t_own`."""
    with ExitStack() as stack:

        def make(options: Sequence[str] = (), *, keyring: bool = True) -> Desk:
            server = stack.enter_context(
                start(options=["--innodb-buffer-pool-size=64M", *options], keyring=keyring, name="gate")
            )
            account = stack.enter_context(least_privileged(server))
            server.rows("CREATE DATABASE t_own")
            return stack.enter_context(desk_on(server, account, "t_own", tmp_path / "own"))

        yield make


# -- what somebody has to vouch for -----------------------------------------------------------------


def test_a_keyring_backup_that_nobody_attested(desk: Desk) -> None:
    """Without an attestation nothing is done; said on the command line it goes on, and the journal has it."""
    desk.table("t", rows=20)
    plan = desk.plan(*ALL_SHADOW, attest=False)
    refused(desk, plan, "nobody has attested a backup of the keyring", "attestations.keyring_backup")
    vague = desk.migrator("apply", plan, "--attest-keyring-backup=yes")
    assert vague.code == 2
    vague.says("who and when", "Ann Example, 2026-05-01")
    ran = desk.migrator("apply", plan, "--attest-keyring-backup=Ann Example, 2026-05-01")
    assert ran.code == 0, ran
    assert "Ann Example" in str(desk.value("SELECT attested FROM migrator.runs"))
    desk.assert_done()


def test_too_little_extra_disk_allowed(desk: Desk) -> None:
    """`--max-extra-disk` below the plan's peak stops dry-run and apply with both sizes; above it the run is done."""
    desk.table("t", rows=20)
    small = desk.plan(*ALL_SHADOW, "--max-extra-disk=1MiB", file="small.yaml")
    refused(desk, small, "of extra disk at one time, more than the 1.0 MiB allowed")
    plan = desk.plan(*ALL_SHADOW)
    with desk.untouched():
        ran = desk.migrator("apply", plan, "--max-extra-disk=1MiB")
        assert ran.code == 3
        ran.says("more than the 1.0 MiB allowed", "remedy: ")
    assert desk.migrator("apply", small, "--max-extra-disk=200GiB").code == 0
    desk.assert_done()


# -- how the server is set --------------------------------------------------------------------------


def test_every_gate_is_named_at_once(desk: Desk) -> None:
    """Read-only, binlog_format=STATEMENT and a filter for the applier: each refuses, and all are told in one go.

    `audit` and `plan` still work there.
    """
    desk.table("t", rows=20)
    gates = {
        "read_only": ("super_read_only is ON", "set it OFF"),
        "binlog_format": ("binlog_format is STATEMENT", "SET PERSIST binlog_format = 'ROW'"),
        "filter": ("replication filter replicate-do-table", "remove the filter"),
    }
    desk.run(f"CHANGE REPLICATION FILTER REPLICATE_DO_TABLE = ({desk.schema}.t)")
    # super_read_only brings read_only with it, and does not take it away again.
    with (
        setting(desk, "binlog_format", "STATEMENT"),
        setting(desk, "read_only", "OFF"),
        setting(desk, "super_read_only", "ON"),
    ):
        try:
            plan = desk.plan(*ALL_SHADOW)
            refused(desk, plan, *(word for words in gates.values() for word in words))
            assert desk.migrator("audit", f"--databases={desk.schema}").code == 1
        finally:
            desk.run("CHANGE REPLICATION FILTER REPLICATE_DO_TABLE = ()")


def test_a_read_only_server(desk: Desk) -> None:
    """read_only alone refuses; OFF again, the same plan is done."""
    desk.table("t", rows=20)
    plan = desk.plan(*ALL_SHADOW)
    with setting(desk, "read_only", "ON"):
        refused(desk, plan, "read_only is ON")
    assert desk.migrator("apply", plan).code == 0
    desk.assert_done()


def test_a_backup_lock(desk: Desk) -> None:
    """LOCK INSTANCE FOR BACKUP is refused, its session named; when it is given back, the same plan is done."""
    desk.table("t", rows=20)
    plan = desk.plan(*ALL_SHADOW)
    with closing(desk.connect()) as backup, backup.cursor() as cursor:
        cursor.execute("LOCK INSTANCE FOR BACKUP")
        refused(desk, plan, f"session {session_of(backup)}", "root", "backup-lock")
        cursor.execute("UNLOCK INSTANCE")
    assert desk.migrator("apply", plan).code == 0
    desk.assert_done()


def test_a_binlog_filter(own_server: OwnServer) -> None:
    """A server that was started with --binlog-do-db is refused, by that option."""
    desk = own_server(["--binlog-do-db=other"])
    desk.table("t", rows=20)
    refused(desk, desk.plan(*ALL_SHADOW), "replication filter binlog-do-db=other")


def test_no_keyring(own_server: OwnServer) -> None:
    """Without a keyring `audit` and `plan` work and say so; `dry-run` and `apply` refuse, before a table could fail."""
    desk = own_server(keyring=False)
    desk.table("t", rows=20)
    audit = desk.migrator("audit", "--databases=t_own")
    assert (audit.code, "there is no keyring" in said(audit)) == (1, True)
    planned = desk.migrator("plan", "--databases=t_own", "-o", desk.folder / "p.yaml")
    planned.says("STOPS A RUN: there is no keyring")
    refused(desk, desk.plan(*ALL_SHADOW), "there is no keyring", "mysqld.my")


# -- names that are taken ---------------------------------------------------------------------------


def test_names_that_are_taken(desk: Desk) -> None:
    """Tables of somebody else with names of ours: each table is refused, by that name, and nothing is touched.

    Nor theirs, which have no key, since `--no-relay` leaves them."""
    for suffix in ("shadow", "log", "retained"):
        desk.table(suffix, rows=20)
        desk.run(f"CREATE TABLE _{suffix}_{suffix} (a INT)")
    planned = desk.migrator(
        "plan", f"--databases={desk.schema}", *ALL_SHADOW, "--no-relay", "-o", desk.folder / "p.yaml"
    )
    assert planned.code == 1
    plan = desk.plan(*ALL_SHADOW, "--no-relay")
    with desk.nothing_left():
        ran = desk.migrator("apply", plan)
        desk.server.rows("DROP DATABASE migrator")
    assert ran.code == 1, ran
    said_so = said(ran)
    for suffix in ("shadow", "log", "retained"):
        assert f"{desk.schema}.{suffix} (refused): names that migrator needs are taken" in said_so
        theirs = f"{desk.schema}._{suffix}_{suffix}"
        assert f"{theirs} (refused): a copy by triggers cannot serve it, and the policy does without" in said_so
        assert not desk.encrypted(suffix)


def test_a_name_that_a_view_has(desk: Desk) -> None:
    """A view is found when the plan is made, also where only the table is in scope; both stay as they are."""
    desk.table("t", rows=20)
    desk.run("CREATE VIEW _t_shadow AS SELECT 1 AS a")
    plan = desk.plan(*ALL_SHADOW, f"--tables={desk.schema}.t")
    with desk.nothing_left():
        ran = desk.migrator("apply", plan)
        desk.server.rows("DROP DATABASE migrator")
    assert ran.code == 1, ran
    assert f"{desk.schema}._t_shadow" in said(ran)
    assert desk.value("SELECT a FROM _t_shadow") == 1
    assert not desk.encrypted("t")


def test_a_name_that_is_taken_while_the_run_is_on(desk: Desk) -> None:
    """`_t_retained` appears during the copy: exit 4, table and stranger stay as they are, the way out is told."""
    desk.table("t", rows=300)
    held = desk.held(desk.plan(*ALL_SHADOW))
    held.hold(lambda event: event["event"] == "ChunkCopied")
    desk.run("CREATE TABLE _t_retained (mine INT)", "INSERT INTO _t_retained VALUES (7)")
    ran = held.finish()
    assert ran.code == 4, ran
    ran.says(f"{desk.schema}._t_retained", "The manual way out", "DROP TRIGGER IF EXISTS")
    assert desk.value("SELECT mine FROM _t_retained") == 7
    desk.assert_equal()
    assert not desk.encrypted("t")
    # A person looks, moves it away, and the run goes on.
    desk.run("RENAME TABLE _t_retained TO kept_by_a_person")
    assert desk.migrator("apply", desk.folder / "plan.yaml").code == 0
    assert desk.names() == {"t", "_t_retained", "kept_by_a_person"}
    desk.assert_equal()


def test_a_journal_schema_that_is_not_ours(desk: Desk) -> None:
    """A schema `migrator` with other tables in it is exit 4, and stays as it is."""
    desk.table("t", rows=20)
    plan = desk.plan(*ALL_SHADOW)
    desk.run("CREATE DATABASE migrator", "CREATE TABLE migrator.birds (a INT)")
    with desk.untouched():
        for command in (("dry-run", plan), ("apply", plan), ("cleanup", "--now"), ("status",)):
            ran = desk.migrator(*command)
            assert ran.code == 4, ran
            ran.says("migrator", "not the journal's", "remedy: ")
