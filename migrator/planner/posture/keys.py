"""The keyring: is it there, how was it loaded, where does it lie, what is in it, who else has one. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Final

from migrator.model import Inventory, Keyring
from migrator.planner.posture.code import Code
from migrator.planner.posture.settings import is_on, said
from migrator.posture import Area, Place, Posture, State

_LOST: Final = "without it every encrypted table, log and backup is lost"

KEYRING: Final = Code(
    "keyring",
    Area.KEYS,
    "keyring",
    "The master keys, by which the keys of tablespaces and logs are locked.",
    _LOST,
    "load a component by a manifest (`mysqld.my` beside mysqld), restart; `SET GLOBAL keyring_operations = ON`",
)
SEVERAL: Final = Code(
    "keyring-several",
    Area.KEYS,
    "several keyrings",
    "More than one keyring is active, which MySQL and Percona Server do not support. Told only where it is so.",
    "which keyring a new key goes to is not defined: data can be lost",
    "keep one: move the keys into it with `mysql_migrate_keyring`, take the other out of the configuration, restart",
)
LOADING: Final = Code(
    "keyring-loading",
    Area.KEYS,
    "how the keyring is loaded",
    "A keyring has to be there before InnoDB: by a manifest, or by `early-plugin-load`. `INSTALL COMPONENT` and"
    " `INSTALL PLUGIN` work at once, and load it too late at the next start.",
    "after a crash the server cannot recover encrypted tablespaces",
    "a manifest or `early-plugin-load`; then `UNINSTALL COMPONENT` or `UNINSTALL PLUGIN`",
)
KIND: Final = Code(
    "keyring-kind",
    Area.KEYS,
    "where keys are kept",
    "A keyring that is a file on the server's host: the keys lie in clear beside the data, or their password does."
    " The manuals of MySQL and Percona Server say that it is not meant as a solution for regulatory compliance.",
    "whoever can copy the host's disks has the data and the keys",
    "a keyring on another host (KMIP, Vault, OCI, AWS KMS); `mysql_migrate_keyring` moves the keys",
)
FILE: Final = Code(
    "keyring-file",
    Area.KEYS,
    "the keyring's file",
    "The file of a keyring that is one. In the datadir every copy of the data has the keys with it. Its mode is looked"
    " at only on the server's host.",
    "a copy or a backup of the datadir can be read by whoever has it",
    "another folder that only the server's user may read: stop, move, change the configuration, start",
)
MASTER_KEYS: Final = Code(
    "master-keys",
    Area.KEYS,
    "master keys",
    "The names of the keys in the keyring: `INNODBKey-<server_uuid>-<n>`, and those of the binary log.",
    "encrypted tablespaces cannot be opened after the next restart",
    "bring back the keyring that has the keys, before the server stops",
)
ROTATION: Final = Code(
    "key-rotation",
    Area.KEYS,
    "rotation of the master key",
    "How old the newest master key is. No query tells; migrator's journal has those that `rotate-key` made.",
    "a key that was copied once opens everything that is written until it is rotated",
    "`migrator rotate-key`, and a backup of the keyring before and after",
)
BACKUP: Final = Code(
    "keyring-backup",
    Area.KEYS,
    "backup of the keyring",
    "A copy of the keys, apart from the data. No query tells if there is one, or if it opens anything.",
    _LOST,
    "back it up after the first encrypted table and after each rotation; try it, as the audit says how",
)
MEMBERS: Final = Code(
    "keyring-members",
    Area.KEYS,
    "keyrings of other servers",
    "Replicas, members of a group and nodes of a cluster need a keyring of their own before the first encrypted table.",
    "a member without a keyring stops at the first statement that makes an encrypted table (error 3185)",
    "the query of the report on each; `plan --attest-keyring`",
)
CODES: Final = (KEYRING, SEVERAL, LOADING, KIND, FILE, MASTER_KEYS, ROTATION, BACKUP, MEMBERS)

_FILES: Final = frozenset(
    {
        "keyring_file",
        "component_keyring_file",
        "keyring_encrypted_file",
        "component_keyring_encrypted_file",
        "component_percona_keyring_encrypted_file",
    }
)
_ELSEWHERE: Final = ("kmip", "vault", "oci", "aws", "kms", "okv", "hashicorp")
_OTHERS: Final = 0o007
_ASK_STATUS: Final = "SELECT STATUS_KEY, STATUS_VALUE FROM performance_schema.keyring_component_status;"
_ASK_PLUGIN: Final = "SELECT PLUGIN_NAME, PLUGIN_STATUS FROM information_schema.PLUGINS WHERE PLUGIN_TYPE = 'KEYRING';"


def keys(inventory: Inventory, posture: Posture) -> Iterator[Place]:
    """The keyring's places."""
    ring = inventory.server.keyring
    yield _keyring(ring, posture)
    if ring.several:
        yield SEVERAL.place(State.BAD, f"{ring.kind} {ring.name}, and others beside it", "-- keep one", restart=True)
    if ring.kind in {"component", "plugin"}:
        yield _loading(ring, posture)
        yield _kind(ring)
        if ring.data_file:
            yield _file(inventory, posture)
    yield _master_keys(inventory, posture)
    yield _rotation(inventory, posture)
    yield _backup(inventory, posture)
    yield _members(inventory)


def _keyring(ring: Keyring, posture: Posture) -> Place:
    operations = said(posture, "keyring_operations") if "keyring_operations" in posture.variables else ""
    what = "; ".join(filter(None, [f"{ring.kind} {ring.name}", operations]))
    if ring.kind == "none":
        return KEYRING.place(
            State.BAD,
            "neither a component nor a plugin of a keyring is active",
            '-- write mysqld.my beside mysqld (or in the datadir): {"components": "file://component_keyring_file"}',
            "-- and the component's own .cnf file; a keyring on another host is better; restart",
            restart=True,
            risk="nothing can be encrypted",
        )
    if ring.kind not in {"component", "plugin"}:
        return KEYRING.place(State.UNKNOWN, ring.name, "-- grant what is missing, and look again")
    if not ring.active:
        if not is_on(posture, "keyring_operations") and operations:
            return KEYRING.place(State.BAD, what, "SET GLOBAL keyring_operations = ON;", risk="no key can be made")
        return KEYRING.place(
            State.BAD,
            f"{what}; Component_status is not Active",
            "-- mend the component's configuration, then",
            "ALTER INSTANCE RELOAD KEYRING;",
        )
    if not ring.usable:
        return KEYRING.place(
            State.BAD,
            f"{what}; active, read-only, and without a master key",
            "-- set read_only to false in the component's configuration, then",
            "ALTER INSTANCE RELOAD KEYRING;",
            risk="no table can be encrypted",
        )
    note = "; read-only: no key can be rotated" if ring.read_only else ""
    return KEYRING.place(State.OK, f"{what}; active{note}")


def _loading(ring: Keyring, posture: Posture) -> Place:
    component = ring.kind == "component"
    table, names = ("component", posture.at_rest.components), ("plugin", posture.at_rest.installed_plugins)
    where, found = table if component else names
    if found is None:
        return LOADING.place(
            State.UNKNOWN,
            f"mysql.{where} is not readable",
            f"GRANT SELECT ON mysql.{where} TO ...;  -- the account of the audit",
        )
    mine = sorted(name for name in found if "keyring" in name.lower())
    if not mine:
        how = "by a manifest" if component else "by early-plugin-load or plugin-load: the option file tells which"
        return LOADING.place(State.OK, f"mysql.{where} names no keyring, so it is loaded {how}")
    undo = f"UNINSTALL COMPONENT '{mine[0]}';" if component else f"UNINSTALL PLUGIN {mine[0]};"
    how = "a manifest (mysqld.my) that names it" if component else "early-plugin-load in the option file"
    return LOADING.place(
        State.BAD,
        f"mysql.{where} names {', '.join(mine)}: loaded by INSTALL {where.upper()}, after InnoDB",
        f"-- write {how}; in a maintenance window:",
        undo,
        "-- and restart at once",
        restart=True,
    )


def _kind(ring: Keyring) -> Place:
    names = {name.strip().lower() for name in ring.name.split(",")}
    if names & _FILES:
        return KIND.place(
            State.BAD,
            f"{ring.name} keeps keys in a file on the server's host",
            "-- choose a keyring on another host; with the server stopped:",
            "$ mysql_migrate_keyring --component-dir=DIR --source-keyring=OLD --destination-keyring=NEW",
            restart=True,
        )
    if any(word in name for name in names for word in _ELSEWHERE):
        return KIND.place(State.OK, f"{ring.name} keeps keys elsewhere")
    return KIND.place(State.ASK, f"{ring.name} is not known here", "-- where does it keep the keys?")


def _file(inventory: Inventory, posture: Posture) -> Place:
    path, datadir = inventory.server.keyring.data_file, inventory.server.datadir
    full = posixpath.normpath(posixpath.join(datadir, path))
    here = posture.host.keyring_file
    seen = f", mode {here.mode:03o}" if here else "; its mode was not looked at"
    evidence = f"{full}; datadir={datadir}{seen}"
    wrong = []
    if full.startswith(posixpath.normpath(datadir) + "/"):
        wrong += ["-- stop the server, move the file out of the datadir, change the path in the configuration, start"]
    if here and here.mode & _OTHERS:
        wrong += [f"$ chmod 600 {here.path}"]
    if not wrong:
        return FILE.place(State.OK, evidence)
    risk = FILE.risk if len(wrong) > 1 or "chmod" not in wrong[0] else "every user of the host can read the keys"
    return FILE.place(State.BAD, evidence, *wrong, restart=any("stop" in line for line in wrong), risk=risk)


def _master_keys(inventory: Inventory, posture: Posture) -> Place:
    names, own = posture.at_rest.master_keys, f"INNODBKey-{inventory.server.server_uuid}-"
    spaces = sum(space.encrypted for space in inventory.tablespaces)
    if names is None:
        return MASTER_KEYS.place(
            State.UNKNOWN,
            "performance_schema.keyring_keys is not readable",
            "GRANT SELECT ON performance_schema.keyring_keys TO ...;  -- the account of the audit",
        )
    mine = sorted((name for name in names if name.startswith(own)), key=lambda name: (len(name), name))
    logs = is_on(posture, "binlog_encryption") and is_on(posture, "log_bin")
    missing = [*(["the tablespaces"] if spaces and not mine else [])]
    missing += ["the binary log"] if logs and not posture.at_rest.binlog_keys else []
    if missing:
        return MASTER_KEYS.place(
            State.BAD,
            f"the keyring has no key for {' and '.join(missing)} ({spaces} tablespaces are encrypted)",
            "-- do not stop the server: bring back the keyring that has the keys, then",
            "ALTER INSTANCE RELOAD KEYRING;",
        )
    if not mine:
        return MASTER_KEYS.place(State.UNUSED, "no master key, and no tablespace is encrypted")
    newest = f"{len(mine)} of InnoDB, the newest {mine[-1]}"
    return MASTER_KEYS.place(State.OK, f"{newest}; {posture.at_rest.binlog_keys} of the binary log")


def _rotation(inventory: Inventory, posture: Posture) -> Place:
    own = f"INNODBKey-{inventory.server.server_uuid}-"
    numbers = [name.removeprefix(own) for name in posture.at_rest.master_keys or () if name.startswith(own)]
    known = [int(number) for number in numbers if number.isdecimal()]
    if not known:
        return ROTATION.place(State.UNUSED, "no master key of InnoDB is known in the keyring")
    made = posture.ours.keys.get(f"{own}{max(known)}")
    since = f"made at {made}, as migrator has noted" if made else "no query tells since when"
    record = "is that as often as your policy asks for?" if made else "when was it rotated, by your records?"
    return ROTATION.place(
        State.ASK,
        f"the newest key has the number {max(known)}; {since}",
        f"-- {record} To rotate it, on this server, with a note of when:",
        "$ migrator rotate-key",
        "-- back the keyring up before and after; nodes of a PXC cluster: on each of them",
    )


def _backup(inventory: Inventory, posture: Posture) -> Place:
    ring = inventory.server.keyring
    if ring.kind == "none":
        return BACKUP.place(State.UNUSED, "there is no keyring")
    source = ring.data_file or "the keyring, by the tool of its own server"
    return BACKUP.place(
        State.ASK,
        f"{ring.kind} {ring.name}: who has a copy of it, apart from the data, and when was it tried?",
        f"-- 1. copy {source} to a place where no backup of the data lies; keep its mode 600",
        "-- 2. the drill: restore a backup of the data on another host, with that copy as its keyring, then there:",
        "SELECT SPACE, NAME FROM information_schema.INNODB_TABLESPACES WHERE ENCRYPTION = 'Y';",
        "-- 3. read a row of an encrypted table: SELECT ... LIMIT 1. Error 3185 says that the copy is not good",
        "-- 4. note who did it and when: migrator plan --attest-keyring-backup='Ann Example, 2026-05-01'",
    )


def _members(inventory: Inventory) -> Place:
    members = inventory.server.members
    if not members:
        return MEMBERS.place(State.UNUSED, "no replica, member of a group or node of a cluster is connected")
    unknown = [member for member in members if member.kind == "unknown"]
    names = ", ".join(f"{member.name} ({member.kind})" for member in members)
    if unknown:
        return MEMBERS.place(State.UNKNOWN, names, "-- grant what is missing: REPLICATION SLAVE, PROCESS")
    asked = [f"-- on {member.name}:" for member in members]
    return MEMBERS.place(State.ASK, names, *asked, _ASK_STATUS, _ASK_PLUGIN)
