"""Places of the audit from hand-written catalogs: servers that cannot be started here, and what may not be read."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from migrator.cli_audit import accepted_of, host_of
from migrator.errors import UsageError
from migrator.inventory.log_files import LARGEST_READ_BYTES, log_file, old_redo, old_undo, tablespace_file
from migrator.model import Flavour, Inventory, Keyring, Member, Schema, Tablespace, TablespaceKind
from migrator.planner.posture import CODES, places
from migrator.planner.posture.settings import SETTINGS
from migrator.posture import (
    Area,
    AtRest,
    Disk,
    FileFacts,
    Host,
    LogFile,
    OldPart,
    Ours,
    Place,
    Posture,
    State,
    Swap,
)
from tests.unit.builders import MIB, NASTY, PLAIN, a_keyring, a_server, a_table, an_encrypted_table, an_inventory

UUID = a_server().server_uuid
KEY = f"INNODBKey-{UUID}-"
SPACES = (
    Tablespace(0, "innodb_system", TablespaceKind.SYSTEM, encrypted=False, file_bytes=12 * MIB),
    Tablespace(1, "mysql", TablespaceKind.MYSQL, encrypted=True, file_bytes=26 * MIB),
    Tablespace(2, "innodb_undo_001", TablespaceKind.UNDO, encrypted=True, file_bytes=16 * MIB),
)
VARIABLES = {
    "log_bin": "ON",
    "binlog_encryption": "ON",
    "innodb_redo_log_encrypt": "ON",
    "innodb_redo_log_capacity": "104857600",
    "innodb_undo_log_encrypt": "ON",
    "innodb_doublewrite": "ON",
    "innodb_change_buffering": "none",
    "default_table_encryption": "ON",
    "table_encryption_privilege_check": "ON",
    "log_output": "FILE",
    "general_log": "OFF",
    "slow_query_log": "OFF",
    "innodb_print_all_deadlocks": "OFF",
    "innodb_status_output": "OFF",
    "log_raw": "OFF",
    "core_file": "OFF",
    "innodb_buffer_pool_in_core_file": "ON",
    "secure_file_priv": "NULL",
    "keyring_operations": "ON",
    "tmpdir": "/scratch",
    "datadir": "/var/lib/mysql/",
}
READ = AtRest(
    binary_logs=(LogFile("binlog.000009", 100, encrypted=True),),
    general_log_rows=False,
    slow_log_rows=False,
    installed_plugins=frozenset(),
    components=frozenset(),
    file_accounts=(),
    master_keys=frozenset({KEY + "2", KEY + "10", "INNODBKey-other-99"}),
    binlog_keys=1,
)


def found(
    inventory: Inventory | None = None,
    posture: Posture | None = None,
    *,
    server: dict[str, Any] | None = None,
    **settings: str | None,
) -> dict[str, Place]:
    """Places by their codes; `settings` change variables, None takes one away."""
    looked = inventory or an_inventory(an_encrypted_table(), tablespaces=SPACES)
    looked = replace(looked, server=replace(looked.server, **(server or {})), schemas=(Schema("shop", True),))  # noqa: FBT003
    read = posture or Posture(at_rest=READ)
    changed = {name.replace("__", "."): value for name, value in settings.items()}
    variables = {name: value for name, value in (VARIABLES | changed).items() if value is not None}
    made = places(looked, replace(read, variables=variables))
    made = tuple(place for place in made if place.area not in {Area.TRANSIT, Area.CLUSTER})  # test_posture_transport.py
    assert len({place.code for place in made}) == len(made)
    assert {place.code for place in made} <= CODES.keys()
    return {place.code: place for place in made}


def states(made: dict[str, Place], *codes: str) -> list[str]:
    return [str(made[code].state) for code in codes]


# -- a MySQL on which all is done --------------------------------------------------------------------


def test_what_is_left_on_a_good_mysql() -> None:
    """Only what no setting of MySQL closes, and the keyring in a file."""
    made = found()
    assert {code for code, place in made.items() if place.open} == {
        "keyring-kind",
        "system-tablespace",
        "temporary-tablespace",
        "session-temporary-tablespaces",
        "temporary-files",
        "online-alter-files",
    }
    assert made["key-rotation"].evidence == "the newest key has the number 10; no query tells since when"
    for place in made.values():
        told = place.open or place.state is State.ASK
        assert bool(place.closes) == told, place
        assert place.evidence, place
    assert [place.area for place in made.values()] == sorted((p.area for p in made.values()), key=list(Area).index)


def test_an_encrypted_disk_closes_what_the_server_cannot() -> None:
    """Seen below datadir and tmpdir, or in memory without swap in clear; not elsewhere."""
    luks = Disk("/var/lib/mysql", "/var/lib/mysql", "xfs", "/dev/mapper/m", "CRYPT-LUKS2")
    memory = Disk("/scratch", "/scratch", "tmpfs", "tmpfs")
    left = ("system-tablespace", "temporary-tablespace", "session-temporary-tablespaces")
    host = Host(local=True, why="here", disks={"datadir": luks, "tmpdir": memory}, swaps=(), aes=True)
    made = found(posture=Posture(at_rest=READ, host=host))
    assert set(states(made, *left, "temporary-files", "online-alter-files", "old-blocks")) == {"encrypted"}
    assert "/dev/mapper/m (CRYPT-LUKS2)" in made["system-tablespace"].evidence
    made = found(posture=Posture(at_rest=READ, host=replace(host, swaps=(Swap("/dev/sda2", "clear"),))))
    assert states(made, "temporary-files", "swap") == ["in clear", "in clear"]
    assert found(posture=Posture(at_rest=READ, host=replace(host, disks={"tmpdir": memory})))[
        "system-tablespace"
    ].state is State.CLEAR  # fmt: skip


# -- flavours and versions ---------------------------------------------------------------------------


def test_percona_has_settings_that_mysql_has_not() -> None:
    """Absent: no setting. OFF: in clear, with the statement. ON: encrypted."""
    codes = ("temporary-tablespace", "session-temporary-tablespaces", "temporary-files", "online-alter-files")
    names = ("innodb_temp_tablespace_encrypt", "encrypt_tmp_files", "innodb_encrypt_online_alter_logs")
    percona = {"flavour": Flavour.PERCONA, "version": (8, 0, 36)}
    all_off: Any = dict.fromkeys((*names, "innodb_sys_tablespace_encrypt"), "OFF")
    all_on: Any = dict.fromkeys(all_off, "ON")
    off = found(server=percona, **all_off)
    assert set(states(off, *codes, "system-tablespace")) == {"in clear"}
    assert off["temporary-tablespace"].closes == ("SET PERSIST innodb_temp_tablespace_encrypt = ON;",)
    assert (off["temporary-files"].restart, off["online-alter-files"].restart) == (True, False)
    assert "dump, make, load" in " ".join(off["system-tablespace"].closes)
    on = found(server=percona, **all_on)
    assert set(states(on, *codes, "system-tablespace")) == {"encrypted"}
    mysql = found()
    assert "there is no encrypt_tmp_files: no setting of this server" in mysql["temporary-files"].evidence
    assert "An encrypted disk below" in mysql["temporary-files"].closes[-1]


@pytest.mark.parametrize(
    ("version", "flavour", "setting", "state"),
    [
        ((8, 0, 22), Flavour.MYSQL, None, "in clear"),
        ((8, 0, 23), Flavour.MYSQL, None, "encrypted"),
        ((8, 0, 22), Flavour.PERCONA, "ON", "encrypted"),
        ((8, 0, 22), Flavour.PERCONA, "OFF", "in clear"),
        ((8, 0, 19), Flavour.PERCONA, "ON", "in clear"),
        ((9, 7, 4), Flavour.MYSQL, None, "encrypted"),
    ],
)
def test_doublewrite_by_version(
    version: tuple[int, int, int], flavour: Flavour, setting: str | None, state: str
) -> None:
    """Since 8.0.23 as the tablespace; before, only Percona's own setting for its files of 8.0.20 to 8.0.22."""
    made = found(server={"version": version, "flavour": flavour}, innodb_parallel_dblwr_encrypt=setting)
    assert made["doublewrite"].state == state
    assert found(innodb_doublewrite="DETECT_ONLY")["doublewrite"].state is State.UNUSED


@pytest.mark.parametrize(
    ("settings", "plugins", "state"),
    [
        ({}, (), "unused"),
        ({"audit_log_encryption": "AES"}, ("audit_log",), "encrypted"),
        ({"audit_log_encryption": "NONE"}, ("audit_log",), "in clear"),
        ({"audit_log_filter__encryption": "AES"}, (), "encrypted"),
        ({"audit_log_filter_encryption": "NONE"}, ("audit_log_filter",), "in clear"),
        ({}, ("audit_log",), "in clear"),
        ({}, ("mysqlx_cache_cleaner",), "unused"),
    ],
)
def test_audit_logs(settings: dict[str, Any], plugins: tuple[str, ...], state: str) -> None:
    """Plugins and components of Oracle and Percona; those without encryption are in clear."""
    posture = Posture(at_rest=replace(READ, plugins=plugins))
    assert found(posture=posture, **settings)["audit-log"].state == state


@pytest.mark.parametrize("flavour", [Flavour.RDS, Flavour.AURORA])
def test_a_service_is_asked_about(flavour: Flavour) -> None:
    """No statement is proposed that such a server does not take; the provider's command is."""
    made = found(server={"flavour": flavour})
    assert {place.area for place in made.values()} == {Area.COPIES}
    assert made["managed-storage"].closes[0].startswith("$ aws rds describe-db-")


def test_data_nodes_of_ndb() -> None:
    """Each has its own setting; what may not be read is unknown."""
    ndb = {"flavour": Flavour.NDB}
    read = replace(READ, ndb_encrypted=((1, "1"), (2, "0")))
    place = found(server=ndb, posture=Posture(at_rest=read))["ndb-data-nodes"]
    assert (place.state, place.evidence) == ("partly", "node 1: EncryptedFileSystem=1; node 2: EncryptedFileSystem=0")
    assert "--initial" in place.closes[-1]
    assert found(server=ndb)["ndb-data-nodes"].state is State.UNKNOWN
    read = replace(READ, ndb_encrypted=((1, "1"),))
    assert found(server=ndb, posture=Posture(at_rest=read))["ndb-data-nodes"].state is State.ENCRYPTED
    assert "ndb-backups" in found(server=ndb)


def test_each_setting_has_its_page_and_its_meaning() -> None:
    """Data, so that nobody has to read the code."""
    assert all(s.page.startswith("https://") and s.absent and s.since >= (8, 0, 0) for s in SETTINGS)


# -- keys --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ring", "state", "closes"),
    [
        (Keyring("", "none", active=False), "bad", "mysqld.my"),
        (Keyring("not readable: SELECT is missing", "unknown", active=False), "unknown", "grant"),
        (a_keyring(active=False), "bad", "RELOAD KEYRING"),
        (a_keyring(read_only=True, has_master_key=False), "bad", "read_only"),
        (a_keyring(read_only=True), "ok", ""),
        (a_keyring(), "ok", ""),
    ],
)
def test_keyrings(ring: Keyring, state: str, closes: str) -> None:
    """Loaded is not active, and active is not usable."""
    place = found(server={"keyring": ring})["keyring"]
    assert place.state == state
    assert closes in " ".join(place.closes)


def test_traps_of_keyrings() -> None:
    """Several, switched off, loaded too late, in the datadir, readable by everybody, elsewhere."""
    assert "keyring-several" in found(server={"keyring": a_keyring(several=True)})
    off = found(server={"keyring": a_keyring(active=False)}, keyring_operations="OFF")["keyring"]
    assert off.closes == ("SET GLOBAL keyring_operations = ON;",)
    late = Posture(at_rest=replace(READ, components=frozenset({"file://component_keyring_file"})))
    place = found(posture=late)["keyring-loading"]
    assert (place.state, place.restart) == ("bad", True)
    assert "UNINSTALL COMPONENT 'file://component_keyring_file';" in place.closes
    plugin = a_keyring(kind="plugin", name="keyring_file")
    late = Posture(at_rest=replace(READ, installed_plugins=frozenset({"keyring_file"})))
    assert "UNINSTALL PLUGIN keyring_file;" in found(server={"keyring": plugin}, posture=late)["keyring-loading"].closes
    inside = found(server={"keyring": a_keyring(data_file="keyring"), "datadir": "/var/lib/mysql/"})["keyring-file"]
    assert (inside.state, "/var/lib/mysql/keyring" in inside.evidence) == ("bad", True)
    beside = found(server={"keyring": a_keyring(data_file="/var/lib/mysql-keyring/k"), "datadir": "/var/lib/mysql/"})
    assert beside["keyring-file"].state is State.OK
    wide = Host(local=True, keyring_file=FileFacts("/keys/keyring", 100, 0o644))
    place = found(posture=Posture(at_rest=READ, host=wide))["keyring-file"]
    assert (place.state, place.restart, place.closes) == ("bad", False, ("$ chmod 600 /keys/keyring",))
    for name, state in (("component_keyring_kmip", "ok"), ("keyring_vault", "ok"), ("component_x", "ask")):
        assert found(server={"keyring": a_keyring(name=name)})["keyring-kind"].state == state


def test_master_keys() -> None:
    """Encrypted tablespaces whose key the keyring does not have are the worst that can be."""
    none = Posture(at_rest=replace(READ, master_keys=frozenset({"INNODBKey-other-1"})))
    place = found(posture=none)["master-keys"]
    assert (place.state, "no key for the tablespaces" in place.evidence) == ("bad", True)
    assert "do not stop the server" in place.closes[0]
    place = found(posture=Posture(at_rest=replace(READ, binlog_keys=0)))["master-keys"]
    assert "no key for the binary log" in place.evidence
    assert found(posture=Posture(at_rest=replace(READ, master_keys=None)))["master-keys"].state is State.UNKNOWN


def test_keyrings_of_members() -> None:
    """Each is named with the query to ask it; what cannot be listed is unknown."""
    members = (Member("r1:3306", "replica"), Member("r2:3306", "group-member"))
    place = found(server={"members": members})["keyring-members"]
    assert (place.state, "-- on r2:3306:" in place.closes) == ("ask", True)
    assert any("keyring_component_status" in line for line in place.closes)
    hidden = (Member("not readable", "unknown"),)
    assert found(server={"members": hidden})["keyring-members"].state is State.UNKNOWN


# -- logs, tables, defaults --------------------------------------------------------------------------


def test_what_may_not_be_read_is_unknown_and_never_good() -> None:
    """An account that may nothing: each place says what is missing."""
    made = found(posture=Posture())
    unknown = {code for code, place in made.items() if place.state is State.UNKNOWN}
    assert unknown == {"keyring-loading", "master-keys", "binary-log", "general-log", "slow-log"}
    assert all("GRANT" in " ".join(made[code].closes) for code in unknown)


@pytest.mark.parametrize(
    ("files", "closes"),
    [
        ("nnE", ("PURGE BINARY LOGS TO 'binlog.000003';",)),
        ("nEnE", ("PURGE BINARY LOGS TO 'binlog.000004';",)),
        ("En", ("FLUSH BINARY LOGS;", "PURGE BINARY LOGS BEFORE NOW() + INTERVAL 1 SECOND;")),
    ],
)
def test_purges(files: str, closes: tuple[str, ...]) -> None:
    """To the first file after the last one in clear; where that is the newest, a new one first."""
    logs = tuple(LogFile(f"binlog.{n:06}", 10, encrypted=sign == "E") for n, sign in enumerate(files, 1))
    place = found(posture=Posture(at_rest=replace(READ, binary_logs=logs)))["binary-log"]
    assert (place.state, place.closes[1:]) == ("partly", closes)


@pytest.mark.parametrize(
    ("settings", "rows", "state", "closes"),
    [
        ({}, False, "unused", ()),
        ({"general_log": "ON", "log_output": "NONE"}, False, "unused", ()),
        ({}, True, "in clear", ("TRUNCATE TABLE mysql.general_log;",)),
        (
            {"general_log": "ON", "log_output": "TABLE"},
            True,
            "in clear",
            ("SET PERSIST general_log = OFF;", "TRUNCATE TABLE mysql.general_log;"),
        ),
        ({}, None, "unknown", None),
    ],
)
def test_logs_of_statements(
    *, settings: dict[str, Any], rows: bool | None, state: str, closes: tuple[str, ...] | None
) -> None:
    """Where it goes now, and what is left of before."""
    place = found(posture=Posture(at_rest=replace(READ, general_log_rows=rows)), **settings)["general-log"]
    assert place.state == state
    assert closes is None or place.closes[: len(closes)] == closes


def test_a_file_that_a_log_left() -> None:
    """Switched off, and its file is still there: seen on the host."""
    host = Host(local=True, logs={"slow_query_log_file": FileFacts("/data/slow 1.log", 100)})
    place = found(posture=Posture(at_rest=READ, host=host))["slow-log"]
    assert (place.state, place.closes) == ("in clear", ("$ rm '/data/slow 1.log'",))


def test_relay_logs() -> None:
    """Not used, encrypted by the setting, or in part, by the files."""
    assert found()["relay-log"].state is State.UNUSED
    replica = {"is_replica": True}
    assert found(server=replica)["relay-log"].state is State.ENCRYPTED
    assert found(server=replica, binlog_encryption="OFF")["relay-log"].state is State.CLEAR
    old = Host(local=True, relay_logs=(FileFacts("r.1", 5, 0, encrypted=False), FileFacts("r.2", 5, 0, encrypted=True)))
    assert found(server=replica, posture=Posture(at_rest=READ, host=old))["relay-log"].state is State.PARTLY
    assert found(server=replica)["load-data-files"].state is State.ASK


def test_schemas_are_named_and_quoted() -> None:
    """A few in the evidence, all in the statements; the journal's is not counted."""
    schemas = (*(Schema(f"s{n}", False) for n in range(9)), Schema(NASTY.schema, False), Schema("migrator", False))  # noqa: FBT003
    inventory = replace(an_inventory(), schemas=schemas)
    made = {place.code: place for place in places(inventory, Posture(at_rest=READ, variables=VARIABLES))}
    place = made["schemas"]
    assert place.evidence == "DEFAULT ENCRYPTION is NO in 10 of 10: s0, s1, s2, s3, s4 and 5 more"
    assert len(place.closes) == 10
    assert "ALTER SCHEMA `we``ird %s \"näme\"` ENCRYPTION = 'Y';" in place.closes


def test_tables_by_engine_and_what_is_left_of_them() -> None:
    """In clear by engine; retained and unfinished tables by the journal; unknown files by the host."""
    inventory = an_inventory(an_encrypted_table(), a_table(NASTY), a_table(replace(PLAIN, name="m"), engine="MyISAM"))
    ours = Ours({PLAIN: "2026-05-08"}, (NASTY,))
    files = (FileFacts("d/a.ibd", 10, 0, encrypted=True), FileFacts("d/#sql-1.ibd", 10, 0, encrypted=False))
    host = Host(local=True, unknown_files=files)
    made = found(inventory, Posture(at_rest=READ, ours=ours, host=host))
    assert made["tables"].evidence == "2 of 3 in clear: 1 InnoDB, 1 MyISAM"
    assert states(made, "retained-tables", "unfinished-tables", "unknown-files") == ["in clear", "bad", "in clear"]
    sealed = Posture(at_rest=READ, host=replace(host, unknown_files=files[:1]))
    assert found(posture=sealed)["unknown-files"].state is State.BAD


def test_old_parts() -> None:
    """By what the files say; not read is asked, never taken for good."""
    for code, field in (("undo-log-before", "undo"), ("redo-log-before", "redo")):
        assert found()[code].state is State.ASK
        some: Any = {field: OldPart(2, 100, 7)}
        none: Any = {field: OldPart(2, 100, 0)}
        partly = found(posture=Posture(at_rest=READ, host=replace(Host(local=True), **some)))[code]
        assert (partly.state, partly.evidence.split()[0]) == ("partly", "7")
        clean = found(posture=Posture(at_rest=READ, host=replace(Host(local=True), **none)))[code]
        assert (clean.state, clean.closes) == ("encrypted", ())


def test_how_long_the_old_redo_log_stays() -> None:
    """By its capacity; before 8.0.30 by its files, which no statement changes."""
    new = found()["redo-log-before"]
    assert "when 100.0 MiB more are written" in " ".join(new.closes)
    assert "SET GLOBAL innodb_redo_log_capacity = 8388608;" in new.closes
    files = {"innodb_log_file_size": str(48 * MIB), "innodb_log_files_in_group": "2"}
    old = found(server={"variables": files, "version": (8, 0, 28)}, innodb_redo_log_capacity=None)["redo-log-before"]
    assert "when 96.0 MiB more are written" in " ".join(old.closes)
    assert not [line for line in old.closes if line.endswith(";")]


# -- the host ----------------------------------------------------------------------------------------


def test_a_host_that_is_not_ours() -> None:
    """One line says why; nothing of it is guessed."""
    made = found(posture=Posture(at_rest=READ, host=Host(why="this is a, the server is on b")))
    assert made["host"].evidence == "not looked at: this is a, the server is on b"
    assert not {"swap", "aes-instructions", "datadir-disk"} & made.keys()
    elsewhere = a_server(host="elsewhere.example")
    assert host_of(cast(Any, None), elsewhere) == Host(
        why=f"this is {socket.gethostname()}, the server is on elsewhere.example"
    )
    nowhere = a_server(host=socket.gethostname(), datadir="/nowhere/at/all")
    assert "auto.cnf" in host_of(cast(Any, None), nowhere).why


def test_the_datadir_of_another_server_is_not_looked_at(tmp_path: Path) -> None:
    """The same path on the same host, with another server_uuid in it."""
    (tmp_path / "auto.cnf").write_text("[auto]\nserver-uuid=99999999-2222-3333-4444-555555555555\n")
    server = a_server(host=socket.gethostname(), datadir=str(tmp_path))
    assert "is the datadir of another server" in host_of(cast(Any, None), server).why


def test_a_bad_host() -> None:
    """No AES, swap in clear, everybody reads, memory goes to a disk."""
    host = Host(
        local=True,
        why="here",
        aes=False,
        disks={"datadir": Disk("/d", "/", "ext4", "/dev/sda1")},
        swaps=(Swap("/dev/sda2", "clear"), Swap("/dev/zram0", "zram")),
        core_limit="unlimited",
        core_pattern="|/usr/lib/systemd/systemd-coredump",
        hibernation="8:2",
        datadir=FileFacts("/d", 0, 0o755),
    )
    made = found(posture=Posture(at_rest=READ, host=host), core_file="ON")
    bad = states(made, "aes-instructions", "swap", "datadir-permissions", "hibernation", "core-dumps")
    assert bad == ["bad", "in clear", "bad", "bad", "bad"]
    assert made["datadir-disk"].state is State.UNUSED
    assert made["datadir-permissions"].closes == ("$ chmod o= '/d'",)
    assert made["core-dumps"].closes[0] == "SET PERSIST innodb_buffer_pool_in_core_file = OFF;"
    zfs = replace(host, disks={"datadir": Disk("/d", "/tank", "zfs", "tank/mysql")})
    assert found(posture=Posture(at_rest=READ, host=zfs))["datadir-disk"].state is State.ASK


# -- files by their own marks (made by hand) ----------------------------------------------------------


def test_files_by_their_marks(tmp_path: Path) -> None:
    """The first bytes of logs and tablespaces; what says nothing is not judged."""
    path = tmp_path / "f"
    for head, encrypted in ((b"\xfebin..", False), (b"\xfdbin..", True), (b"", None)):
        path.write_bytes(head)
        facts = log_file(path)
        assert facts and facts.encrypted is encrypted
    for flags, encrypted in ((0x4021, False), (0x6021, True)):
        path.write_bytes(bytes(54) + flags.to_bytes(4, "big") + bytes(100))
        facts = tablespace_file(path)
        assert facts and facts.encrypted is encrypted
    assert log_file(tmp_path / "none") is None


def test_blocks_of_the_redo_log(tmp_path: Path) -> None:
    """Blocks with a length count; the highest bit of it says encrypted. Spare files count, too."""
    folder = tmp_path / "#innodb_redo"
    folder.mkdir()

    def a_block(length: int) -> bytes:
        return bytes(4) + length.to_bytes(2, "big") + bytes(506)

    (folder / "#ib_redo1").write_bytes(bytes(2048) + a_block(512 | 0x8000) + a_block(512) + a_block(0))
    (folder / "#ib_redo2_tmp").write_bytes(bytes(2048) + a_block(100))
    assert old_redo(tmp_path) == OldPart(2, 3, 2)
    assert old_redo(tmp_path / "none") is None


def test_pages_of_the_undo_log(tmp_path: Path) -> None:
    """Undo pages in clear are found by their type; what is too large to read is not judged."""
    path = tmp_path / "undo_001"
    kinds = (8, 2, 15, 0, 6, 2)
    path.write_bytes(b"".join(bytes(24) + kind.to_bytes(2, "big") + bytes(16384 - 26) for kind in kinds))
    assert old_undo([path], 16384) == OldPart(1, 3, 2)
    large = tmp_path / "undo_002"
    with large.open("wb") as stream:
        stream.truncate(LARGEST_READ_BYTES + 1)
    assert old_undo([path, large], 16384) is None


# -- what may stay open ------------------------------------------------------------------------------


def test_accepting() -> None:
    """By code, several in one word too; unknown codes and the tables are refused."""
    assert accepted_of(None) == frozenset()
    assert accepted_of(["swap", "host, undo-log"]) == {"swap", "host", "undo-log"}
    for given, words in ((["swp"], "no place of the audit is called swp"), (["tables"], "cannot be accepted")):
        with pytest.raises(UsageError, match=words):
            accepted_of(given)
