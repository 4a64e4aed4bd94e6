"""Copies of the data that the server does not know of: what to ask, and which command shows it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from migrator.model import Flavour, Inventory
from migrator.planner.posture.code import Code
from migrator.planner.posture.settings import MANAGED, said
from migrator.posture import Area, Place, Posture, State

_COPY: Final = "whoever gets the copy has the rows"

EXPORTS: Final = Code(
    "exports",
    Area.COPIES,
    "exports by the server",
    "`SELECT ... INTO OUTFILE` and `LOAD_FILE`: files in clear on the server's host, for accounts with `FILE`.",
    "an account with FILE can write rows to files in clear, and read files of the server",
    "`secure_file_priv = NULL` in the option file, restart; `REVOKE FILE`",
)
PHYSICAL: Final = Code(
    "physical-backups",
    Area.COPIES,
    "physical backups",
    "XtraBackup, MySQL Enterprise Backup, clone: pages are copied as they lie, so encrypted ones stay so. The keys are"
    " not in the backup. Backups made before the encryption are in clear.",
    "backups of before hold every row in clear; those of now cannot be restored without the keys",
    "a new backup, then no more of the old ones; `xtrabackup --encrypt` for what is not encrypted in the server",
)
LOGICAL: Final = Code(
    "logical-backups",
    Area.COPIES,
    "logical backups",
    "mysqldump, mydumper, `util.dumpInstance`: always in clear, also of encrypted tables.",
    _COPY,
    "encrypt the stream before it gets to a disk",
)
BINLOG_COPIES: Final = Code(
    "binary-log-copies",
    Area.COPIES,
    "copies of the binary log",
    "`mysqlbinlog --read-from-remote-server --raw`: in clear, also of encrypted files. Files that are copied from the"
    " datadir stay encrypted, and need the keyring.",
    _COPY,
    "encrypt the stream, or the disk that it is written to",
)
SNAPSHOTS: Final = Code(
    "snapshots",
    Area.COPIES,
    "snapshots",
    "Snapshots of the volume, of the virtual machine, of the cloud disk: with every file as it was then.",
    "tables as they were before the encryption, logs, and a keyring file that lies on the same volume",
    "let those of before expire; keep the keyring's file out",
)
OLD_BLOCKS: Final = Code(
    "old-blocks",
    Area.COPIES,
    "blocks of removed files",
    "A table that is dropped or swapped is only unlinked: its blocks stay on the disk until something else is written"
    " there. No statement erases them.",
    "rows of dropped tables can be read from the device",
    "an encrypted disk from the start; `fstrim` on an SSD; `blkdiscard` or destruction when the disk is given away",
)
MANAGED_STORAGE: Final = Code(
    "managed-storage",
    Area.COPIES,
    "storage of the service",
    "RDS and Aurora: encryption is a property of the instance or the cluster, with its logs, backups and snapshots;"
    " no query shows it. `ENCRYPTION='Y'` is not for you to say there.",
    "if it is not on, everything lies in clear",
    "snapshot, copy of it with a KMS key, restore, replication to catch up, switch over",
    "Amazon RDS, Amazon Aurora",
)
NDB_NODES: Final = Code(
    "ndb-data-nodes",
    Area.AT_REST,
    "data nodes of NDB",
    "`EncryptedFileSystem` of each data node: what tables of the engine NDB keep on disk. The keyring and `ENCRYPTION`"
    " are for InnoDB tables of the SQL nodes only.",
    "rows of NDB tables lie in clear on the data nodes",
    "`EncryptedFileSystem = 1` and a password for each data node, then a rolling initial restart",
    "NDB Cluster 8.0.31 and newer",
)
NDB_BACKUPS: Final = Code(
    "ndb-backups",
    Area.COPIES,
    "backups of NDB",
    "`RequireEncryptedBackup`: whether `START BACKUP` without a password is refused.",
    _COPY,
    "`RequireEncryptedBackup = 1`, and `START BACKUP ENCRYPT PASSWORD=...`",
    "NDB Cluster 8.0.22 and newer",
)
CODES: Final = (
    EXPORTS,
    PHYSICAL,
    LOGICAL,
    BINLOG_COPIES,
    SNAPSHOTS,
    OLD_BLOCKS,
    MANAGED_STORAGE,
    NDB_NODES,
    NDB_BACKUPS,
)

_AWS: Final = {
    Flavour.RDS: "$ aws rds describe-db-instances"
    " --query 'DBInstances[].[DBInstanceIdentifier,StorageEncrypted,KmsKeyId]'",
    Flavour.AURORA: "$ aws rds describe-db-clusters"
    " --query 'DBClusters[].[DBClusterIdentifier,StorageEncrypted,KmsKeyId]'",
}


def copies(inventory: Inventory, posture: Posture) -> Iterator[Place]:
    """Copies; of a server as a service what its provider has to be asked."""
    flavour = inventory.server.flavour
    if flavour in MANAGED:
        evidence = f"{flavour}: no query tells if the storage is encrypted"
        yield MANAGED_STORAGE.place(State.ASK, evidence, _AWS[flavour])
    else:
        yield _exports(posture)
    if flavour is Flavour.NDB:
        yield _ndb_nodes(posture)
        yield NDB_BACKUPS.place(
            State.ASK,
            "not to be seen in ndbinfo.config_values by every account",
            "$ grep -i RequireEncryptedBackup config.ini",
            "$ ndbxfrm -i BACKUP-1.1.Data",
        )
    yield PHYSICAL.place(
        State.ASK,
        "the server does not know its backups",
        "-- where are backups, since when, and is there one from before the encryption?",
        "$ xxd -s 54 -l 4 -p COPY/shop/orders.ibd  # bit 0x2000: 00006021 is encrypted, 00004021 in clear",
    )
    yield LOGICAL.place(
        State.ASK,
        "the server does not know its dumps",
        "-- which jobs dump, and where to? A dump in clear begins with:",
        "$ zcat -f DUMP | head -1  # -- MySQL dump",
        "$ mysqldump ... | openssl enc -aes-256-cbc -pbkdf2 -pass file:KEY -out dump.sql.enc",
    )
    yield BINLOG_COPIES.place(
        State.ASK,
        "the server does not know who copies its binary log",
        "SHOW PROCESSLIST;  -- a copier is seen as `Binlog Dump`",
        "$ head -c 4 COPY | xxd -p  # fe62696e is in clear, fd62696e is encrypted",
    )
    yield SNAPSHOTS.place(
        State.ASK,
        "the server does not know the snapshots of its disks",
        "-- who makes snapshots, how long are they kept, and are they encrypted?",
        "$ lvs -o lv_name,origin,lv_time  # LVM",
        "$ aws ec2 describe-snapshots --owner-ids self --query 'Snapshots[].[SnapshotId,StartTime,Encrypted]'",
    )
    if flavour not in MANAGED:
        yield _old_blocks(posture)


def _exports(posture: Posture) -> Place:
    accounts = posture.at_rest.file_accounts
    who = "which accounts have FILE is not readable" if accounts is None else f"{len(accounts)} accounts have FILE"
    where = posture.variables.get("secure_file_priv")
    if where is None or where.upper() == "NULL":
        return EXPORTS.place(State.OK, f"secure_file_priv=NULL; {who}")
    evidence = f"{said(posture, 'secure_file_priv')}; {who}"
    asked = "SELECT GRANTEE FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE = 'FILE';  -- REVOKE it"
    restart = "-- secure_file_priv = NULL in the option file, then restart"
    if where:
        return EXPORTS.place(State.ASK, evidence, f"$ ls -l '{where}'", asked, restart)
    return EXPORTS.place(State.BAD, evidence, asked, restart, restart=True)


def _ndb_nodes(posture: Posture) -> Place:
    nodes = posture.at_rest.ndb_encrypted
    if nodes is None:
        return NDB_NODES.place(
            State.UNKNOWN,
            "ndbinfo.config_values is not readable",
            "GRANT SELECT ON ndbinfo.* TO ...;  -- the account of the audit",
        )
    evidence = "; ".join(f"node {node}: EncryptedFileSystem={value}" for node, value in nodes)
    clear = [node for node, value in nodes if value != "1"]
    if not clear:
        return NDB_NODES.place(State.ENCRYPTED, evidence)
    state = State.CLEAR if len(clear) == len(nodes) else State.PARTLY
    closes = (
        "-- EncryptedFileSystem = 1 in config.ini, and the management server reloaded (--reload --initial)",
        "-- then each data node in turn: stop it with its angel (RESTART -i is not enough), and",
        "$ PASSWORD_TOOL | ndbmtd --initial --filesystem-password-from-stdin",
    )
    return NDB_NODES.place(state, evidence, *closes, restart=True)


def _old_blocks(posture: Posture) -> Place:
    disk = posture.host.disks.get("datadir")
    if disk is not None and disk.crypt:
        return OLD_BLOCKS.place(State.ENCRYPTED, f"{disk.mount} is on {disk.source} ({disk.crypt})")
    return OLD_BLOCKS.place(
        State.ASK,
        "no query can tell what a disk still holds",
        "-- is the disk encrypted below, and what becomes of it in the end?",
        "$ fstrim -v MOUNTPOINT  # on an SSD, after `migrator cleanup`",
    )
