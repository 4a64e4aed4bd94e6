"""Every code that a finding can have: what it means, whether it stops a run, and what can be done about it.

A finding itself says what was found just here: names, numbers, the GRANT for this account. What its code means
on every server stands here and nowhere else. The tables of docs/limits.md are made of it (`make docs`), so texts
are Markdown. A test holds it to the code: no code without its entry, no entry without its code, and each stops a
run as the code that finds it says.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Stops(StrEnum):
    """Does a finding with this code stop a run, or refuse its table?"""

    YES = "yes"
    NO = "no"
    DEPENDS = "it depends"


@dataclass(frozen=True, slots=True)
class Code:
    """One code, as people read it in square brackets; meaning and remedy hold for every finding that has it."""

    name: str
    stops: Stops
    meaning: str
    remedy: str = ""


def _stops(name: str, meaning: str, remedy: str) -> Code:
    return Code(name, Stops.YES, meaning, remedy)


def _depends(name: str, meaning: str, remedy: str) -> Code:
    return Code(name, Stops.DEPENDS, meaning, remedy)


def _goes_on(name: str, meaning: str, remedy: str = "") -> Code:
    return Code(name, Stops.NO, meaning, remedy)


CODES: Final[dict[str, tuple[Code, ...]]] = {
    "tables refused": (
        _stops(
            "generated-timestamp",
            "A generated column, a functional index or a CHECK constraint names a TIMESTAMP column (or is one, or "
            "uses `FROM_UNIXTIME` or `UNIX_TIMESTAMP`). The server computes it in the session's time zone. Ours is "
            'UTC, so an index of the copy would hold other values than the application looks for ("Record in index '
            'not found on update", seen on 9.7.4).',
            "by hand, in a session with the application's `time_zone`",
        ),
        _stops(
            "old-timestamp",
            "TIMESTAMP columns before MySQL 8.0.19: an instant cannot be said with its offset there, so the hour that "
            "comes twice could not be mirrored exactly.",
            "upgrade, or by hand",
        ),
        _stops(
            "spatial-key",
            "A SPATIAL index, and text in the primary key (or what stands for one): a copy could "
            "[end the server](#spatial-indexes-with-text-in-the-key), and so could an application after `--convert`.",
            "a primary key without text, or with `COLLATE utf8mb4_0900_bin`; or by hand (not with `--convert`)",
        ),
        _stops(
            "document-ids",
            "A FULLTEXT index with a column `FTS_DOC_ID` of one's own. InnoDB takes a row only if its number is larger "
            "than all before (error 182, seen on 9.7.4), and a copy brings changed rows again.",
            "by hand",
        ),
        _stops(
            "not-per-table",
            "RDS, Aurora and NDB encrypt the storage or the data nodes' file systems, and have no `ENCRYPTION='Y'` for"
            " their tables.",
            "the [runbook](runbooks.md): `migrator runbook rds`, `aurora` or `ndb`",
        ),
        _stops(
            "aria",
            "On MariaDB: Aria encrypts a table when it is made or rebuilt, and never in the background.",
            "the statement that is shown, in a maintenance window",
        ),
        _stops(
            "says-encrypted-no",
            "On MariaDB: it was made with `ENCRYPTED=NO`, so nothing in the background encrypts it.",
            "the statement that is shown, in a maintenance window",
        ),
        _stops("data-directory", "DATA DIRECTORY: `LIKE` does not keep it, the copy would lie elsewhere.", "by hand"),
        _stops(
            "not-innodb",
            "MyISAM, CSV, ARCHIVE, NDB and others cannot be encrypted as they are.",
            "plan again with `--convert` (MyISAM, CSV, ARCHIVE: [what changes](#converting)); `ALTER TABLE t "
            "ENGINE=InnoDB ENCRYPTION='Y'` in a window; `ignore_tables`; NDB: EncryptedFileSystem",
        ),
        _stops(
            "merged",
            "With `--convert`: MERGE tables read it, and can be opened no more when one of their tables is not MyISAM "
            "(1168).",
            "replace the MERGE table, then plan again",
        ),
        _stops(
            "early-foreign-key",
            "With `--convert`: foreign keys name it that were made with `foreign_key_checks=0`. Nobody keeps them "
            "while it is of another engine; they count, for rows that nobody has looked at, once it is InnoDB.",
            "drop them, or by hand",
        ),
        _stops(
            "auto-increment-inside",
            "With `--convert`: no index begins with its AUTO_INCREMENT column (MyISAM counts for each value of the "
            "columns before; InnoDB refuses it, 1075).",
            "an index on that column, if the application can do without such numbers",
        ),
        _stops(
            "engine-disabled",
            "With `--convert`: `disabled_storage_engines` names its engine, so no empty twin of it can be made (3161), "
            "on which a conversion is tried first.",
            "take the engine out of it (a restart); or by hand",
        ),
        _stops(
            "engine-unknown",
            "The server names no engine: the table is damaged or its engine is not loaded.",
            "see what `SHOW CREATE TABLE` says",
        ),
        _stops("unreadable", "The server shows no columns: no privilege on the table.", "the GRANT that is shown"),
        _stops("table-unreadable", "The same, found by its grants: SELECT is missing.", "the GRANT that is shown"),
        _stops(
            "triggers-unreadable",
            "Without TRIGGER its triggers are hidden. It could have some.",
            "the GRANT that is shown",
        ),
        _stops(
            "tablespace-unknown",
            "Its tablespace is not in the catalog, so nobody knows whether it is encrypted.",
            "grant PROCESS; else the error log",
        ),
        _stops(
            "tablespace-not-normal", "Its tablespace is discarded or missing.", "`IMPORT TABLESPACE`, or drop the table"
        ),
        _stops(
            "secondary-engine", "A secondary engine forbids ALTER.", "`SECONDARY_ENGINE=NULL`, encrypt, set it again"
        ),
        _stops(
            "name-taken",
            "`_t_shadow`, `_t_log`, `_t_retained` or a trigger name of ours exists, and the journal does not know it.",
            "find out whose it is; rename or drop it",
        ),
        _stops(
            "retained-in-the-way",
            "The table was encrypted by an earlier run and is in clear again; the old table of that run is still kept "
            "under the name that is needed.",
            "look which of the two has your rows; drop or rename the retained one by hand, then plan again",
        ),
        _stops(
            "left-by-policy",
            "The policy leaves its tablespace as it is.",
            "plan again with `--tablespaces` or `--mysql-tablespace`",
        ),
    ),
    "tables relayed": (
        _depends(
            "foreign-key",
            "The table has foreign keys. A copy has foreign keys of its own, with other names.",
            "by hand",
        ),
        _depends(
            "referenced",
            "Foreign keys of other tables refer to it. They would follow the old table when it is renamed.",
            "by hand",
        ),
        _depends("own-trigger", "Triggers of the application would stay with the old table.", "by hand"),
        _depends(
            "named-check",
            "CHECK constraints with names of their own: names are unique in a schema, a copy cannot have them.",
            "by hand",
        ),
        _depends(
            "check-numbers", "Generated CHECK names that `LIKE` numbers anew: more than nine, or with gaps.", "by hand"
        ),
        _depends(
            "check-name-length",
            "The server derives CHECK names from the copy's name, and they get too long.",
            "by hand",
        ),
        _depends(
            "no-usable-key",
            "No key names each row exactly: see [which keys](#which-keys-can-be-used).",
            "by hand; or add a PRIMARY KEY (an invisible AUTO_INCREMENT column does), and it is copied",
        ),
        _stops(
            "relay-impossible",
            "FULLTEXT, SPATIAL or multi-valued indexes (with these a move fails with 1034 under writes, seen on "
            "9.7.4), partitions, `ROW_FORMAT=COMPRESSED`, page compression, DATA DIRECTORY: the server does not "
            "move such a table online, or not unchanged. Without one of the above it is copied.",
            "by hand",
        ),
        _stops(
            "relay-off",
            "The policy says `relay: false`: what only a relay serves is refused.",
            "plan again with `--relay`, or by hand",
        ),
        _stops(
            "half-relayed",
            "A relay that is not finished has put it into a tablespace of ours, and this plan refuses the table.",
            "`cleanup --abandon` brings it home; or a plan that goes on with it (`--relay`)",
        ),
        _depends(
            "in-relay-tablespace",
            "Somebody has put it into a tablespace that a relay has made for another table. It stands in the way when"
            " that is to be dropped.",
            "`ALTER TABLE t TABLESPACE = innodb_file_per_table`, with `ENCRYPTION='Y'` if it is encrypted there",
        ),
        _goes_on(
            "relay-moments",
            "What the application can notice of a relay: [errors 1412 and 1213](#what-a-relay-costs), and waiting"
            " at the end of a leg.",
            "a quiet time, no long transactions on the table",
        ),
        _goes_on(
            "relay-lag",
            "Each leg is one DDL for every replica, which lags by about the time of the leg. A replica encrypts "
            "[without looking](#tablespaces): who has used the table there and stays open holds up its applier "
            "and everybody who wants the table there.",
            "a time at which replicas may lag, and have no long transactions; end the session that holds one up, never "
            "the applier's statement (`KILL` does not end the wait, and has ended a replica)",
        ),
        _goes_on(
            "relay-duplicates",
            "It has a secondary unique index. A statement that meets a duplicate there during a move makes the "
            "move fail with 1062, also if it is `INSERT IGNORE`, `REPLACE` or `ON DUPLICATE KEY UPDATE`, which "
            "are not hurt themselves (seen on 9.7.4: the server has logged the row before it finds the "
            "duplicate). The move is begun anew, three times in all; then the step ends with exit code 3, and the"
            " table is as it was.",
            "a time at which few statements meet duplicates",
        ),
        _goes_on(
            "relay-log",
            "What is written during a move is held in a log of at most `innodb_online_alter_log_max_size` "
            "(global; 128 MiB unless set). Beyond that the move fails (1799), and the table is as it was.",
            "`SET PERSIST innodb_online_alter_log_max_size`, if more than that is written while the table's size "
            "is copied",
        ),
    ),
    "nothing to do": (
        _goes_on("already-encrypted", "Every tablespace that holds rows of it is encrypted."),
        _goes_on("no-data-on-disk", "MEMORY, BLACKHOLE, FEDERATED, MERGE: no rows in files of their own."),
        _goes_on("ours", "The journal proves that it was made by `migrator` for a table that is being done."),
        _goes_on("ours-retained", "A retained table, in clear, until its deadline.", "`migrator cleanup`"),
    ),
    "good to know": (
        _goes_on(
            "partly-encrypted", "Some of its partitions or FULLTEXT files are encrypted, some are not. All get done."
        ),
        _goes_on(
            "in-system-tablespace",
            "It lies in `ibdata1`, which cannot be encrypted. It moves into a file of its own; `SHOW CREATE TABLE` "
            "then says so. `ibdata1` keeps the old pages, in clear, until they are used again.",
            "only a new data directory frees `ibdata1` of them",
        ),
        _goes_on(
            "fulltext",
            "FULLTEXT indexes are there from the start of the copy, which takes longer. Their own tables are "
            "encrypted too.",
        ),
        _goes_on(
            "spatial",
            "The same for SPATIAL indexes.",
        ),
        _goes_on(
            "histograms",
            "It has [histograms](#histograms). They are lost.",
            "look at the plans of queries on these columns",
        ),
        _goes_on(
            "autoinc-lock", "With `innodb_autoinc_lock_mode` below 2, workers take turns.", "`workers: 1` is as fast"
        ),
    ),
    "with --convert": (
        _goes_on(
            "fulltext-words",
            "Full-text searches find other rows in another order: other shortest words (`ft_min_word_len`, "
            "`innodb_ft_min_token_size`), other stopwords, other weights.",
            "try the application's searches on a copy",
        ),
        _goes_on(
            "options-dropped",
            "`ROW_FORMAT=FIXED` and `COMPRESSED`, `KEY_BLOCK_SIZE`: InnoDB refuses them or takes them for something "
            "else. They are left out of the new definition.",
            "a row format by hand afterwards",
        ),
        _goes_on(
            "converted-without-key",
            "It has no usable key (a CSV table never has one), so replicas scan it for each row that is changed.",
            "add a PRIMARY KEY afterwards",
        ),
        _goes_on(
            "grows", "ARCHIVE keeps rows compressed. The InnoDB table is several times as large.", "have disk free"
        ),
    ),
    "servers refused": (
        _stops(
            "flavour",
            "RDS, Aurora, NDB: encryption is not per table there, or not ours to do; for `rotate-key` MariaDB, too.",
            "the message has the way that works there",
        ),
        _stops("version", "The server is older than 8.0.16.", "upgrade"),
        _stops(
            "keyring-missing",
            "No keyring, so no table can be encrypted.",
            "a keyring component in `mysqld.my`, and a restart",
        ),
        _stops("keyring-unknown", "The account may not see whether there is one.", "the GRANT that is shown"),
        _stops(
            "keyring-inactive",
            "Loaded, but not active, or `keyring_operations` is OFF.",
            "`performance_schema.keyring_component_status`, the error log",
        ),
        _stops(
            "keyring-read-only",
            "Read-only, and without a master key yet.",
            "make it writable for the first encrypted table",
        ),
        _stops("keyring-several", "Several keyrings at once may lose data, as the manual says.", "keep exactly one"),
        _stops(
            "keyring-backup",
            "Nobody has said that the keyring is backed up. Without the keyring every encrypted table is lost.",
            "back it up, apart from the data; then `attestations.keyring_backup` in the plan, or "
            "`--attest-keyring-backup`",
        ),
        _stops(
            "read-only",
            "`read_only`, `super_read_only`, `innodb_read_only` or `offline_mode` is ON.",
            "use the server that takes the writes",
        ),
        _stops("force-recovery", "`innodb_force_recovery` is not 0.", "finish the rescue first"),
        _stops("replica", "This server is a replica.", "run it on the source"),
        _stops(
            "multi-primary",
            "Group Replication with several primaries: writes elsewhere would not pass our triggers in order.",
            "switch to single-primary for the time",
        ),
        _stops("group-not-primary", "This member is not the primary.", "run it on the primary"),
        _stops("wsrep", "Galera: every node takes writes, which this version cannot follow.", "not in this version"),
        _stops(
            "binlog-statement",
            "`binlog_format` is STATEMENT: replicas would repeat the copy by themselves, on other rows.",
            "`SET PERSIST binlog_format = 'ROW'`, and reconnect the applications",
        ),
        _stops(
            "replication-filter",
            "A filter could send a table and its shadow, or rows and RENAME, different ways. Filters that only leave "
            "system schemas out are fine.",
            "remove it for the time",
        ),
        _stops(
            "members-unknown",
            "There may be replicas or members that nobody can name.",
            "give the account the right to see them; `report_host` on replicas",
        ),
        _stops(
            "member-not-confirmed",
            "A replica or member whose keyring nobody has confirmed. Without one it stops at the first encrypted "
            "table. It is confirmed by a query, if our account can log in there with the same password, or by a "
            "person; not by a person if the query says that it has none.",
            "`attestations.members` in the plan, or `--attest-keyring`",
        ),
        _stops(
            "performance-schema",
            "It is OFF, so nobody can see who holds a metadata lock.",
            "`performance_schema=ON`, restart",
        ),
        _stops(
            "missing-privilege",
            "A right is missing: which, what for, on what.",
            "the GRANT that is shown; [privileges](privileges.md)",
        ),
        _stops(
            "extra-disk",
            "The plan needs more extra disk at one time than `max_extra_disk_bytes`.",
            "fewer tables a plan, or `cleanup` between them",
        ),
        _stops("blocker-backup-lock", "A backup lock or FLUSH TABLES WITH READ LOCK is held.", "wait"),
        _stops("blocker-clone", "The server is being cloned, or is a clone in the making.", "wait"),
        _depends(
            "blocker-unknown",
            "It cannot be seen who stands in the way. It stops unless only prepared XA transactions cannot be seen.",
            "the right, or the instrument `wait/lock/metadata/sql/mdl`",
        ),
    ),
    "warnings": (
        _goes_on(
            "blocker-prepared-xa",
            "A prepared XA transaction. If it has used a table of the plan, nothing can be done with that table.",
            "`XA RECOVER`, then commit or roll it back",
        ),
        _goes_on(
            "blocker-idle-transaction",
            "A transaction is open, and its session sleeps.",
            "end it before its tables' turn",
        ),
        _goes_on("blocker-long-transaction", "A transaction is older than a minute. The swap waits for it."),
        _goes_on(
            "plain-binlog",
            "The copy writes every row to the binlog, in clear.",
            "`SET PERSIST binlog_encryption = ON` before the first table",
        ),
        _goes_on(
            "plain-redo",
            "The same for the redo log.",
            "`SET PERSIST innodb_redo_log_encrypt = ON` before the first table",
        ),
        _goes_on(
            "plain-undo",
            "The same for the undo log.",
            "`SET PERSIST innodb_undo_log_encrypt = ON` before the first table",
        ),
        _goes_on(
            "keyring-in-datadir",
            "The keyring's file lies in the data directory: who copies the data has the key.",
            "move it",
        ),
        _goes_on(
            "default-plain", "Tables in new schemas are born in clear.", "`SET PERSIST default_table_encryption = ON`"
        ),
        _goes_on(
            "schema-default-plain",
            "New tables in these schemas are born in clear.",
            "`ALTER SCHEMA s DEFAULT ENCRYPTION = 'Y'`",
        ),
        _goes_on(
            "plain-transport",
            "Clients may connect without TLS.",
            "`SET PERSIST require_secure_transport = ON`, when all clients can",
        ),
        _goes_on(
            "non-default-roles",
            "Roles that are granted but not default are not used, because triggers run without them.",
        ),
        _goes_on(
            "member-unknown", "An attestation names a member that the server does not know.", "check its spelling"
        ),
        _goes_on(
            "transaction-size",
            "Group Replication refuses transactions above `group_replication_transaction_size_limit` (error 3100). Ours"
            " stay below it. Those of the application are twice as large while a table is mirrored, or kept current.",
            "raise it on all members, if the application comes near half of it",
        ),
        _goes_on(
            "tables-hidden",
            "Tables of other engines than InnoDB are seen only with a privilege on them. The audit may be incomplete.",
            "`GRANT SELECT ON *.*`, if you want to be sure",
        ),
    ),
    "on MariaDB": (
        _goes_on(
            "whole-server",
            "The server's threads encrypt every InnoDB table, in scope or not.",
            "edit the step to `skip`, if that is not wanted",
        ),
        _goes_on("age-is-zero", "`innodb_encryption_rotate_key_age` is 0, and the step sets it to 1."),
        _goes_on("key-id", "`innodb_default_encryption_key_id` is not 1: with which key tables are encrypted."),
        _goes_on(
            "harden-by-hand",
            "MariaDB's settings of logs and temporary files want a restart, so no step sets them.",
            "`migrator audit` has the lines for the option file",
        ),
    ),
    "with --harden": (
        _goes_on("already-on", "The setting is on, or new tables of the schema are born encrypted."),
        _goes_on(
            "needs-keyring",
            "With an encrypted redo, undo or binary log the server does not start without the keyring, as with the"
            " tablespace `mysql`. With encrypted tables alone it starts, and only they cannot be opened (3185; all seen"
            " on 9.7.4). [Switching off again](how-it-works.md#switching-off-again)",
            "have the keyring there at each start, and wherever the data are restored",
        ),
        _goes_on(
            "old-binlogs",
            "Binary logs that are there stay in clear.",
            "`PURGE BINARY LOGS` when no replica and no backup needs them; the summary has the statement",
        ),
        _goes_on(
            "old-undo",
            "Undo pages that are there stay in clear until their tablespace is emptied.",
            "`ALTER UNDO TABLESPACE ... SET INACTIVE`; the summary has the statements",
        ),
        _goes_on(
            "may-refuse-create",
            "With `table_encryption_privilege_check` nobody without TABLE_ENCRYPTION_ADMIN makes tables, schemas or"
            " tablespaces against the defaults (3826 to 3830).",
            "let applications leave `ENCRYPTION` out, or grant them that right; or edit the step to `skip`",
        ),
        _goes_on(
            "not-persisted",
            "The setting is on until the next start: `persisted_globals_load` is OFF, `mysqld-auto.cnf` could not be"
            " written, or somebody has said SET GLOBAL and no more.",
            "the line for my.cnf that is shown",
        ),
        _goes_on(
            "on-each-server",
            "`SET PERSIST` does not replicate: replicas and members of the group stay as they are.",
            "the statement that is shown, on each of them",
        ),
        _goes_on(
            "schema-moment",
            "`ALTER SCHEMA` takes the schema and all of its tables for itself, about so long.",
            "a quiet time; or edit the step to `skip`",
        ),
        _goes_on(
            "schema-on-replicas",
            "`ALTER SCHEMA` replicates. An applier takes the same locks, and whoever uses one of the tables there in an"
            " open transaction holds it up.",
            "a time without long transactions there",
        ),
        _goes_on(
            "schemas-left",
            "The plan is for certain tables (`--tables`), so it changes no schema's default.",
            "another scope",
        ),
    ),
    "drift": (
        _stops(
            "server-changed",
            "Another `server_uuid`.",
            "connect to the right server, or make a plan for this one; say so [after a"
            " failover](replication.md#after-a-failover)",
        ),
        _depends(
            "table-changed",
            "Its definition is another one now; the difference is shown. It stops if the plan would work on the table.",
            "plan again",
        ),
        _goes_on(
            "failover",
            "A person has confirmed (`--failover-from`) that this server has taken the place of another: [what is"
            " looked at, and what begins anew](replication.md#after-a-failover).",
        ),
        _goes_on(
            "old-source-silent",
            "After a failover the old source could not be asked whether it can still be written.",
            "make sure that it does not come back as a server that takes writes",
        ),
        _depends("tablespace-changed", "The same for a tablespace.", "plan again"),
        _stops(
            "method-does-not-fit",
            "The method of the plan is not the one for the table (any more). Also for a method that was edited into "
            "the file; `skip` is allowed.",
            "plan again",
        ),
        _goes_on("server-upgraded", "Another version than when the plan was made."),
        _goes_on("table-gone", "The table is not there any more."),
        _goes_on("tablespace-gone", "The tablespace is not there any more."),
        _goes_on("table-new", "A table in clear that the plan does not know.", "plan again to have it done"),
        _goes_on("tablespace-new", "A tablespace in clear that the plan does not know.", "plan again to have it done"),
        _goes_on("encrypted-meanwhile", "It is encrypted by now; of a setting: it is on."),
        _goes_on(
            "unique-from-the-start",
            "A unique index could not be built after the copy: the application hands its values from row to row, and"
            " the copy held one twice whenever it was tried. The table is copied anew, with its unique indexes in place"
            " from the start. That takes longer: a chunk that meets such a value waits for the drain.",
        ),
        _goes_on(
            "in-clear-now",
            "It was encrypted (a setting: on) when the plan was made, and is not now. The run ends with exit code 1.",
            "plan again",
        ),
        _goes_on(
            "setting-gone",
            "A variable or schema that the plan would set is not there any more, or (`log_bin`) not in use.",
        ),
        _depends(
            "setting-changed",
            "A setting of the plan would be made in another way now; the way is shown.",
            "plan again",
        ),
        _stops(
            "log-in-clear-now",
            "A log was encrypted when the plan with `harden` was made, and is not now: what is copied would be written"
            " to it in clear.",
            "find out why; plan again",
        ),
        _goes_on(
            "schema-new", "A schema that the plan does not know, whose new tables are born in clear.", "plan again"
        ),
        _goes_on(
            "skipped-in-clear",
            "The plan says to skip it, edited by a person, and it lies in clear. The run ends with exit code 1.",
            "plan again",
        ),
    ),
    "unfinished tables": (
        _goes_on(
            "parked-given-up",
            "Its log came to its bound before its turn, or the table was changed and this plan does nothing with it:"
            " triggers, shadow and log are removed.",
            "raise `log_max_entries` and `log_max_bytes`, or a quieter time; plan again",
        ),
        _goes_on(
            "parked-not-drained", "Its log cannot be drained meanwhile; the reason is shown. Its turn will say more."
        ),
    ),
    "tables kept current": (
        _goes_on(
            "no-rollback",
            "The swap is done and its rows are right, but the run died, or a trigger could not be made, in the moment"
            " of the swap: something may be missing in the old table. It cannot be rolled back.",
        ),
        _goes_on(
            "still-kept-current",
            "Its rollback time is over, or a rollback was interrupted, and the rest could not be done now; the reason"
            " is shown. The next run tries again.",
        ),
    ),
    "rotation": (
        _stops(
            "ddl-at-work",
            "A DDL statement is at work, on whatever table. The rotation of InnoDB's key would wait for it, and all"
            " other DDL behind the rotation.",
            "wait until it has ended",
        ),
        _stops(
            "keyring-backup-old",
            "The attested backup of the keyring is older than the newest rotation in the journal: it lacks that key."
            " Also for `dry-run` and `apply`.",
            "back the keyring up again, and attest that",
        ),
        _stops(
            "binlog-not-encrypted",
            "`binlog_encryption` is OFF, so the binary log has no master key to rotate (error 3805).",
            "`SET PERSIST binlog_encryption = ON`, which makes one; or without `--binlog`",
        ),
    ),
}
"""The codes in groups, each in the order in which they are told."""
