"""The rights that migrator needs, what each is for, and the GRANT that gives it.

Pure. docs/privileges.md is checked against `RIGHTS`. Seen on MySQL 9.7.4, by leaving out one right at
a time and running the statement that needs it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from migrator.model import Finding, Server
from migrator.sql.names import quote

JOURNAL_SCHEMA: Final = "migrator"
"""The schema of the journal, unless it is given another name."""

SYSTEM_SCHEMAS: Final = frozenset({"mysql", "information_schema", "performance_schema", "sys"})


class Level(StrEnum):
    """On what a right is granted."""

    GLOBAL = "*.*"
    STATISTICS = "performance_schema.*"
    SCHEMA = "each schema with tables to encrypt"
    JOURNAL = "the journal's schema"


class Need(StrEnum):
    """When a right is needed."""

    READ = "read"
    """For audit, plan, verify and everything else."""
    COPY = "copy"
    """For dry-run and apply."""
    TRIGGERS = "triggers"
    """For shadow-copy, if the binlog is on and log_bin_trust_function_creators is OFF."""
    TABLESPACE = "tablespace"
    """If the plan has a step for a tablespace, or one by tablespace-relay."""
    ENCRYPTION_ADMIN = "encryption-admin"
    """If table_encryption_privilege_check is ON."""
    SETTING = "setting"
    """If the plan sets a variable of the server's (`harden`)."""
    BINLOG_SETTING = "binlog-setting"
    """If one of them is binlog_encryption."""
    PRIVILEGE_CHECK = "privilege-check"
    """If one of them is table_encryption_privilege_check."""
    SCHEMA_DEFAULT = "schema-default"
    """If the plan has new tables of a schema born encrypted."""
    KILL = "kill"
    """For apply, if sessions that are in the way are to be ended (`--kill-blockers-after`)."""
    ROTATE = "rotate"
    """For rotate-key."""
    ROTATE_BINLOG = "rotate-binlog"
    """For rotate-key, if it rotates the binary log's key (`--binlog`, `--only-binlog`)."""
    OPTIONAL = "optional"
    """Nothing fails without it; less is seen."""


@dataclass(frozen=True, slots=True)
class Right:
    """One privilege, on what, when, and what for."""

    name: str
    level: Level
    need: Need
    purpose: str
    also: Need | None = None
    """Another reason to need it."""
    or_super: bool = False
    """SUPER does, too."""

    def is_needed(self, needs: Collection[Need]) -> bool:
        """True if one of these reasons is one for this right."""
        return self.need in needs or (self.also is not None and self.also in needs)


RIGHTS: Final[tuple[Right, ...]] = (
    Right("PROCESS", Level.GLOBAL, Need.READ, "see tablespaces, open transactions and who holds a lock"),
    Right(
        "REPLICATION CLIENT", Level.GLOBAL, Need.READ, "see whether this server is a replica, and its binlog filters"
    ),
    Right("REPLICATION SLAVE", Level.GLOBAL, Need.READ, "list the replicas (SHOW REPLICAS)"),
    Right("SELECT", Level.STATISTICS, Need.READ, "see the keyring's state, the group's members and metadata locks"),
    Right("SELECT", Level.SCHEMA, Need.READ, "see the tables, read the rows to copy and to compare"),
    Right(
        "TRIGGER", Level.SCHEMA, Need.READ, "see triggers of the application (they are hidden without it), make our own"
    ),
    Right("INSERT", Level.SCHEMA, Need.COPY, "write the shadow and the log, RENAME, ANALYZE"),
    Right("UPDATE", Level.SCHEMA, Need.COPY, "mirror changes into the shadow"),
    Right("DELETE", Level.SCHEMA, Need.COPY, "mirror deletions into the shadow, empty the log"),
    Right("CREATE", Level.SCHEMA, Need.COPY, "create the shadow and the log, RENAME"),
    Right(
        "ALTER",
        Level.SCHEMA,
        Need.COPY,
        "ENCRYPTION='Y', build indexes, RENAME; ALTER SCHEMA",
        also=Need.SCHEMA_DEFAULT,
    ),
    Right("DROP", Level.SCHEMA, Need.COPY, "RENAME; drop the log and, when its time has come, the retained table"),
    Right("LOCK TABLES", Level.SCHEMA, Need.COPY, "the exclusive moments of milliseconds, direct-alter, convert"),
    Right("SELECT", Level.JOURNAL, Need.COPY, "read the journal"),
    Right("INSERT", Level.JOURNAL, Need.COPY, "write the journal"),
    Right("UPDATE", Level.JOURNAL, Need.COPY, "write the journal"),
    Right("DELETE", Level.JOURNAL, Need.COPY, "write the journal"),
    Right("CREATE", Level.JOURNAL, Need.COPY, "create the journal, and tables to rehearse on"),
    Right("ALTER", Level.JOURNAL, Need.COPY, "rehearse; build shadow and log, then move them to their place"),
    Right("DROP", Level.JOURNAL, Need.COPY, "drop what was rehearsed on"),
    Right("TRIGGER", Level.JOURNAL, Need.COPY, "rehearse the triggers"),
    Right("LOCK TABLES", Level.JOURNAL, Need.COPY, "rehearse the exclusive moments"),
    Right(
        "SUPER",
        Level.GLOBAL,
        Need.TRIGGERS,
        "CREATE TRIGGER while the binlog is on (error 1419); SET PERSIST table_encryption_privilege_check",
        also=Need.PRIVILEGE_CHECK,
    ),
    Right(
        "CREATE TABLESPACE",
        Level.GLOBAL,
        Need.TABLESPACE,
        "encrypt tablespaces; make, encrypt and drop those of relays",
    ),
    Right(
        "TABLE_ENCRYPTION_ADMIN",
        Level.GLOBAL,
        Need.ENCRYPTION_ADMIN,
        "make encrypted tables, and the journal's schema and relays' tablespaces in clear, whatever the defaults are",
    ),
    Right("SYSTEM_VARIABLES_ADMIN", Level.GLOBAL, Need.SETTING, "SET PERSIST, SET GLOBAL", or_super=True),
    Right("BINLOG_ENCRYPTION_ADMIN", Level.GLOBAL, Need.BINLOG_SETTING, "SET PERSIST binlog_encryption", or_super=True),
    Right("CONNECTION_ADMIN", Level.GLOBAL, Need.KILL, "end sessions of other accounts that are in the way"),
    Right("ENCRYPTION_KEY_ADMIN", Level.GLOBAL, Need.ROTATE, "rotate InnoDB's master key"),
    Right("BINLOG_ENCRYPTION_ADMIN", Level.GLOBAL, Need.ROTATE_BINLOG, "rotate the binary log's master key"),
    Right("XA_RECOVER_ADMIN", Level.GLOBAL, Need.OPTIONAL, "name prepared XA transactions that hold a lock"),
)


# -- GRANTs ---------------------------------------------------------------------------------------


def account_text(account: str) -> str:
    """`'migrator'@'10.0.%'` from the server's `migrator@10.0.%`."""
    user, at, host = account.rpartition("@")
    if not at:
        user, host = account, "%"
    return "@".join("'" + part.replace("\\", "\\\\").replace("'", "''") + "'" for part in (user, host))


def _on(schema: str | None, *, literal: bool) -> str:
    if schema is None:
        return "*.*"
    # In a GRANT, _ and % in a schema's name are wildcards unless partial_revokes is on.
    name = schema if literal or schema in SYSTEM_SCHEMAS else re.sub(r"([\\_%])", r"\\\1", schema)
    return quote(name).replace("%%", "%") + ".*"


def grant(server: Server, privileges: Iterable[str], *, schema: str | None = None) -> str:
    """The GRANT that gives our account these privileges on a schema, or on everything."""
    on = _on(schema, literal=server.variable_is_on("partial_revokes"))
    account = account_text(server.account) if server.account else "'migrator'@'%'"
    return f"GRANT {', '.join(privileges)} ON {on} TO {account}"


def grants(
    server: Server, schemas: Collection[str], needs: Collection[Need], *, journal_schema: str = JOURNAL_SCHEMA
) -> tuple[str, ...]:
    """All GRANTs for an account that does exactly this, one statement for each level and schema."""

    def wanted(level: Level) -> list[str]:
        return [r.name for r in RIGHTS if r.level is level and r.is_needed(needs)]

    found: list[str] = []
    for level, on in (
        (Level.GLOBAL, [None]),
        (Level.STATISTICS, ["performance_schema"]),
        (Level.SCHEMA, sorted(schemas)),
        (Level.JOURNAL, [journal_schema]),
    ):
        names = wanted(level)
        if names:
            found += [grant(server, names, schema=schema) for schema in on]
    return tuple(found)


# -- what is held ---------------------------------------------------------------------------------

_ALL: Final = frozenset({"ALL", "ALL PRIVILEGES"})
_PIECE: Final = re.compile(r"\\.|.", flags=re.DOTALL)


def _fixed(pattern: str) -> int:
    """Characters before the first wild one, as the server sorts its patterns; no wild one comes first of all."""
    pieces = _PIECE.findall(pattern)
    wild = next((i for i, piece in enumerate(pieces) if piece in {"%", "_"}), None)
    return 2**16 if wild is None else sum(map(len, pieces[:wild]))


def _covers(pattern: str, schema: str) -> bool:
    wild = {"%": ".*", "_": "."}
    expression = "".join(wild.get(p) or re.escape(p[-1]) for p in _PIECE.findall(pattern))
    return re.fullmatch(expression, schema, flags=re.DOTALL) is not None


def _of_schema(server: Server, schema: str) -> frozenset[str]:
    """What is held on a schema: of all patterns that fit, the server takes the most exact one, that one alone."""
    held = {pattern: names for pattern, names in server.schema_privileges.items() if not pattern.startswith("`")}
    if server.variable_is_on("partial_revokes"):
        return held.get(schema, frozenset())
    fitting = [pattern for pattern in held if _covers(pattern, schema)]
    if not fitting:
        return frozenset()
    best = max(map(_fixed, fitting))
    first, *others = (held[pattern] for pattern in fitting if _fixed(pattern) == best)
    return first.intersection(*others)


def holds(server: Server, privilege: str, *, schema: str | None = None) -> bool:
    """True if our account has the privilege on everything, or on the whole schema.

    Grants on single tables do not count: a shadow is a new table. A privilege with a minus before it is
    one that a partial REVOKE takes out of the schema.
    """
    of_schema = _of_schema(server, schema) if schema is not None else frozenset()
    wanted = {privilege} | _ALL
    if wanted & server.privileges and not {f"-{name}" for name in wanted} & of_schema:
        return True
    return bool(wanted & of_schema)


def needs_super(server: Server) -> bool:
    """True if CREATE TRIGGER asks for SUPER here: binlog on, its function creators not trusted."""
    return server.variable_is_on("log_bin") and not server.variable_is_on("log_bin_trust_function_creators")


def _besides(server: Server, names: Collection[str], schema: str | None) -> list[str]:
    """What a pattern gives on the schema by now: a GRANT on the schema itself would hide the pattern's."""
    exact = {schema, re.sub(r"([\\_%])", r"\\\1", schema)} if schema is not None else set()
    if schema is None or exact & set(server.schema_privileges):
        return []
    return sorted(name for name in _of_schema(server, schema) - set(names) if not name.startswith("-"))


def missing(
    server: Server, schemas: Collection[str], needs: Collection[Need], *, journal_schema: str = JOURNAL_SCHEMA
) -> tuple[Finding, ...]:
    """One blocking finding for each level and schema where a needed right is not held, with the GRANT that mends it."""
    places: list[tuple[Level, str | None]] = [(Level.GLOBAL, None), (Level.STATISTICS, "performance_schema")]
    places += [(Level.SCHEMA, s) for s in sorted(set(schemas) - SYSTEM_SCHEMAS)] + [(Level.JOURNAL, journal_schema)]
    found: list[Finding] = []
    for level, schema in places:
        lacking = [
            r
            for r in RIGHTS
            if r.level is level
            and r.is_needed(needs)
            and not holds(server, r.name, schema=schema)
            and not (r.or_super and holds(server, "SUPER"))
        ]
        if not lacking:
            continue
        names = [r.name for r in lacking]
        what = "; ".join(f"{r.name}: {r.purpose}" for r in lacking)
        remedy = grant(server, [*names, *_besides(server, names, schema)], schema=schema)
        if "SUPER" in names and Need.PRIVILEGE_CHECK in needs:
            remedy += "; instead of SUPER: plan without privilege-check, and have root set it at the end"
        if "SUPER" in names and Need.TRIGGERS in needs:
            remedy += "; instead of SUPER: SET PERSIST log_bin_trust_function_creators = ON"
        if server.non_default_roles:
            roles = ", ".join(server.non_default_roles)
            remedy += f"; or, if {roles} has it: SET DEFAULT ROLE ALL TO {account_text(server.account)}"
        found.append(
            Finding(
                code="missing-privilege",
                message=f"missing on {_on(schema, literal=True)}: {what}",
                remedy=remedy,
                blocks=True,
                subject=schema or "",
            )
        )
    return tuple(found)
