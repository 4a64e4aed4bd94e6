"""Where data lies or travels in clear, besides the tables: what was read, and what is said of each place. Values.

`inventory/posture.py` reads the facts, `planner/posture/` makes the places of them, `report/audit.py` shows them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from migrator.model import TableName
from migrator.transport import Transport


class State(StrEnum):
    """How it is with one place."""

    ENCRYPTED = "encrypted"
    PARTLY = "partly"
    """What is written now is encrypted, what was written before is not."""
    CLEAR = "in clear"
    OK = "ok"
    """Nothing is encrypted here, and nothing has to be: a setting that is as it should be."""
    BAD = "bad"
    """A setting that is not as it should be, where no data lies or travels in clear by that alone."""
    UNUSED = "unused"
    """The server has it, and does not use it."""
    UNKNOWN = "unknown"
    """It could not be read: `evidence` says why."""
    ASK = "ask"
    """No query can tell: a person has to look, `closes` says where."""


OPEN = frozenset({State.CLEAR, State.PARTLY, State.BAD, State.UNKNOWN})
"""What is not closed: it decides the exit code of `audit`."""


class Area(StrEnum):
    """What kind of place it is; the order is that of the report."""

    KEYS = "keys"
    AT_REST = "at rest"
    DEFAULTS = "new tables"
    TRANSIT = "in transit"
    CLUSTER = "other servers"
    HOST = "host"
    COPIES = "copies"


@dataclass(frozen=True, slots=True)
class Place:
    """One line of the audit."""

    code: str
    """Its name for programs, and in docs/audit.md: `binary-log`."""
    area: Area
    what: str
    state: State
    evidence: str
    """What was read, with its name and value; never a secret, never a row's value."""
    risk: str = ""
    """Who could read what, or what could be lost; empty where the place is closed."""
    closes: tuple[str, ...] = ()
    """What closes it, line by line, to be copied: statements end with `;`, `$ ` begins a command of the shell, `-- `
    words. Empty where there is nothing to do, or nothing that could be done."""
    restart: bool = False
    """True if closing it needs a restart of the server."""
    accepted: bool = False
    """A person has said that it may stay as it is (`audit --accept`): it is shown, and does not count."""

    @property
    def open(self) -> bool:
        """True if it decides the exit code of `audit`."""
        return self.state in OPEN and not self.accepted


@dataclass(frozen=True, slots=True)
class LogFile:
    """A file of the binary log, as SHOW BINARY LOGS tells it."""

    name: str
    bytes: int
    encrypted: bool


@dataclass(frozen=True, slots=True)
class AtRest:
    """What lies on the server's disks besides tables, as the server says."""

    binary_logs: tuple[LogFile, ...] | None = None
    """None: our account may not ask."""
    general_log_rows: bool | None = None
    """True if the table mysql.general_log has rows; None: our account may not ask."""
    slow_log_rows: bool | None = None
    """The same of mysql.slow_log."""
    plugins: tuple[str, ...] = ()
    """Active plugins of the types AUDIT and KEYRING, by name."""
    installed_plugins: frozenset[str] | None = None
    """Names in mysql.plugin: loaded by INSTALL PLUGIN, after InnoDB. None: our account may not ask."""
    components: frozenset[str] | None = None
    """URNs in mysql.component: loaded by INSTALL COMPONENT, after InnoDB. None: our account may not ask."""
    histograms: int = 0
    """Columns that have a histogram, of the tables that our account sees."""
    file_accounts: tuple[str, ...] | None = None
    """Accounts with the privilege FILE. None: our account sees only itself."""
    master_keys: frozenset[str] | None = None
    """Names of InnoDB's master keys in the keyring, never keys. None: our account may not ask."""
    binlog_keys: int = 0
    """How many keys of the binary log the keyring has."""
    ndb_encrypted: tuple[tuple[int, str], ...] | None = None
    """Each data node of NDB with its EncryptedFileSystem; None where there is no NDB, or it may not be asked."""


@dataclass(frozen=True, slots=True)
class Disk:
    """What a path lies on."""

    path: str
    mount: str = ""
    """Where its file system is mounted; '' if that is not known."""
    file_system: str = ""
    source: str = ""
    """The device, as mountinfo names it."""
    crypt: str = ""
    """How every layer below is encrypted by the kernel (`CRYPT-LUKS2`), else ''."""

    @property
    def in_memory(self) -> bool:
        """True if it is no disk at all."""
        return self.file_system in {"tmpfs", "ramfs"}


@dataclass(frozen=True, slots=True)
class Swap:
    """A swap area that is in use."""

    name: str
    kind: str
    """'zram' | 'encrypted' | 'clear'"""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file of the server's, as the host shows it."""

    path: str
    bytes: int = 0
    mode: int = 0
    """Permission bits."""
    encrypted: bool | None = None
    """By its first bytes; None if they could not be read, or say nothing."""


@dataclass(frozen=True, slots=True)
class OldPart:
    """How much of the files of a log was written in clear and is still there, by reading all of them."""

    files: int
    blocks: int
    """Blocks or pages with something in them."""
    in_clear: int


@dataclass(frozen=True, slots=True)
class Host:
    """What the server's host is like; only where it is the host that we run on."""

    local: bool = False
    why: str = "it was not asked"
    """How this host is known to be the server's, or why it is not."""
    aes: bool | None = None
    """True if the processor has instructions for AES; None if it does not say."""
    disks: dict[str, Disk] = field(default_factory=dict)
    """By the variable that names the path: datadir, tmpdir, ..."""
    swaps: tuple[Swap, ...] | None = None
    core_limit: str | None = None
    """The server's own soft limit for core dumps, as the kernel says it; None if it may not be read."""
    core_pattern: str = ""
    hibernation: str = ""
    """The device that memory would be written to; '' if there is none."""
    datadir: FileFacts | None = None
    keyring_file: FileFacts | None = None
    relay_logs: tuple[FileFacts, ...] = ()
    logs: dict[str, FileFacts] = field(default_factory=dict)
    """Logs of statements that have something in them, by the variable that names the file."""
    unknown_files: tuple[FileFacts, ...] | None = None
    """Files of tables that the catalog does not name; None if the datadir cannot be listed."""
    redo: OldPart | None = None
    """None: not read (not readable, or too large)."""
    undo: OldPart | None = None


@dataclass(frozen=True, slots=True)
class Ours:
    """What migrator itself has made, by its journal."""

    retained: dict[TableName, str] = field(default_factory=dict)
    """Old tables in clear, and until when each is kept."""
    unfinished: tuple[TableName, ...] = ()
    """Shadows and logs of steps that are not finished."""
    keys: dict[str, str] = field(default_factory=dict)
    """Master keys, by name, and when each was made; only those of `rotate-key`."""


@dataclass(frozen=True, slots=True)
class Posture:
    """All that was read besides the inventory."""

    variables: dict[str, str] = field(default_factory=dict)
    """Global variables that a place depends on, by name; absent if the server does not know them. Never a secret:
    of those that hold one, `inventory/posture.py` says only whether they are set."""
    at_rest: AtRest = AtRest()
    transport: Transport = field(default_factory=Transport)
    host: Host = Host()
    ours: Ours = Ours()
