"""Facts: what was read from a server, as frozen values. Imported by all, imports nothing of ours.

`inventory/` makes them, `planner/` decides on them, `sql/` says statements about them. Sizes are
bytes, counts of rows are the server's estimates unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True, order=True)
class TableName:
    """A schema and a table, exactly as the server spells them; `sql.names.qualified` quotes them.

    Without a name: every table of the schema, for whoever waits until nobody uses one.
    """

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name or '*'}"


class Flavour(StrEnum):
    """Who made the server; decided by evidence, never by a version suffix."""

    MYSQL = "mysql"
    PERCONA = "percona"
    PXC = "pxc"
    MARIADB = "mariadb"
    RDS = "rds"
    AURORA = "aurora"
    NDB = "ndb"


class Family(StrEnum):
    """Whose catalogs and words a server has: which of the two it descends from."""

    MYSQL = "mysql"
    MARIADB = "mariadb"


class Method(StrEnum):
    """How a table gets encrypted (docs/how-it-works.md)."""

    SHADOW_COPY = "shadow-copy"
    TABLESPACE_RELAY = "tablespace-relay"
    DIRECT_ALTER = "direct-alter"
    TABLESPACE = "tablespace"
    CONVERT = "convert"
    SETTING = "setting"
    BACKGROUND = "background"
    SKIP = "skip"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact that matters for a decision.

    `subject` is empty for the server, else the table, tablespace or schema it is about.
    """

    code: str
    message: str
    remedy: str = ""
    blocks: bool = False
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column; `type` is COLUMN_TYPE (`int unsigned`, `enum('a')`), `data_type` the bare word (`int`)."""

    name: str
    type: str
    data_type: str
    nullable: bool
    charset: str | None = None
    collation: str | None = None
    generated: str = ""
    """'' | 'STORED' | 'VIRTUAL'; a generated column is computed, never copied."""
    invisible: bool = False
    auto_increment: bool = False
    srid: int | None = None
    expression: str = ""
    """What a generated column is computed by, as the catalog spells it (quotes of texts with a backslash)."""


@dataclass(frozen=True, slots=True)
class KeyPart:
    """One part of an index: a column (perhaps a prefix of it) or an expression."""

    column: str | None
    prefix: int | None = None
    descending: bool = False
    expression: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """An index, parts in order; `type` is BTREE, HASH, FULLTEXT or SPATIAL."""

    name: str
    parts: tuple[KeyPart, ...]
    unique: bool
    type: str = "BTREE"
    visible: bool = True


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key; `table` is the child, `parent` the referenced table."""

    name: str
    table: TableName
    parent: TableName
    on_delete: str = "NO ACTION"
    on_update: str = "NO ACTION"


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger on a table; `body_hash` is SHA-256 of its ACTION_STATEMENT."""

    schema: str
    name: str
    table: str
    timing: str
    event: str
    definer: str
    created: str
    body_hash: str


@dataclass(frozen=True, slots=True)
class Check:
    """A CHECK constraint; `generated_name` if the server made the name (`<table>_chk_<n>`)."""

    name: str
    generated_name: bool
    expression: str = ""


class TablespaceKind(StrEnum):
    """Where a table's rows lie."""

    FILE_PER_TABLE = "file-per-table"
    GENERAL = "general"
    MYSQL = "mysql"
    SYSTEM = "system"
    """ibdata1: cannot be encrypted on MySQL, tables must leave it."""
    UNDO = "undo"
    TEMPORARY = "temporary"


@dataclass(frozen=True, slots=True)
class Tablespace:
    """One InnoDB tablespace, read from the catalog by SPACE, never by name."""

    space: int
    name: str
    kind: TablespaceKind
    encrypted: bool
    file_bytes: int
    state: str = "normal"


@dataclass(frozen=True, slots=True)
class Segment:
    """One InnoDB table behind a table: itself, or one of its partitions."""

    table_id: int
    space: int
    tablespace: str
    kind: TablespaceKind
    encrypted: bool
    partition: str = ""
    file_bytes: int = 0
    """Of its tablespace, as large as it is on disk."""


@dataclass(frozen=True, slots=True)
class Table:
    """A base table and all that decides how it can be encrypted."""

    name: TableName
    engine: str
    rows: int
    data_bytes: int
    index_bytes: int
    row_format: str = ""
    create_options: str = ""
    create_time: str = ""
    columns: tuple[Column, ...] = ()
    keys: tuple[Key, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    referenced_by: tuple[ForeignKey, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    checks: tuple[Check, ...] = ()
    segments: tuple[Segment, ...] = ()
    partition_method: str = ""
    partitions: tuple[str, ...] = ()
    data_directory: bool = False
    histograms: tuple[str, ...] = ()
    """Columns that have a histogram."""
    merged_by: tuple[TableName, ...] = ()
    """MERGE tables that read this one."""

    @property
    def encrypted(self) -> bool:
        """True if every segment lies in an encrypted tablespace; False for engines without segments."""
        return bool(self.segments) and all(s.encrypted for s in self.segments)

    @property
    def size_bytes(self) -> int:
        """Data and indexes."""
        return self.data_bytes + self.index_bytes

    @property
    def tablespace_kind(self) -> TablespaceKind | None:
        """The kind of tablespace that holds the rows; None if the engine has none."""
        return self.segments[0].kind if self.segments else None


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema and whether tables born in it are encrypted."""

    name: str
    default_encryption: bool


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keyring; `usable` only if it is active and its master key operations are on."""

    name: str
    kind: str
    """'component' | 'plugin' | 'none'"""
    active: bool
    read_only: bool = False
    data_file: str = ""
    has_master_key: bool = False
    several: bool = False

    @property
    def usable(self) -> bool:
        """An encrypted table can be made, as far as queries can tell."""
        return self.active and not (self.read_only and not self.has_master_key)


@dataclass(frozen=True, slots=True)
class Member:
    """Another server that gets our statements: a replica, a Group Replication member or a wsrep node."""

    name: str
    """host:port, or the name that was given; what an attestation has to say."""
    kind: str
    """'replica' | 'group-member' | 'wsrep-node'"""
    server_uuid: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Blocker:
    """A session that stands in the way of DDL: who, since when, why. Never its statement's values."""

    session_id: int
    user: str
    seconds: int
    reason: str
    """'backup-lock' | 'clone' | 'prepared-xa' | 'idle-transaction' | 'long-transaction' | 'metadata-lock' | 'ddl'"""
    detail: str = ""
    host: str = ""
    """From where it is connected."""
    statement: str = ""
    """The text of its statement, or of its last one, as the server normalises it: with `?` for each value."""
    statement_seconds: int | None = None
    """For how long that runs; None if it has ended."""


@dataclass(frozen=True, slots=True)
class Server:
    """The server's facts that decide whether and how we may work."""

    server_uuid: str
    flavour: Flavour
    version: tuple[int, int, int]
    version_text: str
    version_comment: str
    host: str
    port: int
    datadir: str
    keyring: Keyring
    variables: dict[str, str] = field(default_factory=dict)
    """Global variables that matter, by name; absent if the server does not know them."""
    fleeting: frozenset[str] = frozenset()
    """Variables of encryption that were set while it runs and are not persisted: the next start forgets them."""
    privileges: frozenset[str] = frozenset()
    """Global privileges of our account, upper case, active roles included; 'ALL' where all are held."""
    schema_privileges: dict[str, frozenset[str]] = field(default_factory=dict)
    """Privileges on schemas by the pattern as granted (`shop`, `app\\_%`)."""
    account: str = ""
    roles: tuple[str, ...] = ()
    non_default_roles: tuple[str, ...] = ()
    is_replica: bool = False
    replica_detail: str = ""
    group_mode: str = ""
    """'' | 'single-primary' | 'multi-primary'"""
    group_role: str = ""
    """'' | 'PRIMARY' | 'SECONDARY'"""
    wsrep_on: bool = False
    members: tuple[Member, ...] = ()
    replication_filters: tuple[str, ...] = ()
    """Filters as text (`binlog-do-db=shop`)."""
    blockers: tuple[Blocker, ...] = ()

    def at_least(self, major: int, minor: int = 0, patch: int = 0) -> bool:
        """True if the version is this or newer."""
        return self.version >= (major, minor, patch)

    def variable_is_on(self, name: str) -> bool:
        """True if the variable exists and is ON, 1 or TRUE."""
        return self.variables.get(name, "").upper() in {"ON", "1", "TRUE"}


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything that was looked at, at one time."""

    server: Server
    schemas: tuple[Schema, ...]
    tables: tuple[Table, ...]
    tablespaces: tuple[Tablespace, ...]
    read_at: str
    """UTC, ISO 8601, by the server's clock."""
    names: frozenset[TableName] = frozenset()
    """What every table and view is called, in scope or not, outside of the server's own schemas."""


# -- for runbooks ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TableSize:
    """A base table, as much of it as every server says."""

    name: TableName
    engine: str
    size_bytes: int
    encrypted: bool = False
    """By its options; a server that encrypts below the tables says nothing here."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a runbook is filled with: what any server says, whichever it is."""

    host: str
    """As it was asked for: an endpoint of a managed service has names in it."""
    port: int
    flavour: Flavour
    version_text: str
    variables: dict[str, str] = field(default_factory=dict)
    tables: tuple[TableSize, ...] = ()
    nodes: dict[str, str] = field(default_factory=dict)
    """Other nodes: of NDB their EncryptedFileSystem by node id, of a Galera cluster their addresses."""
    read_at: str = ""
