"""MariaDB: one step for the server, whose own threads encrypt everything in place, and what keeps a table out of it.

Pure. Manual: InnoDB Background Encryption Threads, Data-at-Rest Encryption Variables; tried on 10.11.18 and 11.8.6.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from migrator.model import Finding, Flavour, Inventory, Method, Server, Table, TablespaceKind
from migrator.planner.around import shown
from migrator.planner.plan import Estimate, Facts, Scope, Step, fingerprint_of
from migrator.planner.units import about
from migrator.sql.background import AGE, IOPS, TABLES, option_file_lines
from migrator.sql.story import in_background

_KEY: Final = "innodb_default_encryption_key_id"
_ON: Final = frozenset({"ON", "FORCE", "1", "2"})


def encrypts_in_background(server: Server) -> bool:
    """True if the server's own threads do it."""
    return server.flavour is Flavour.MARIADB


def says_no(table: Table) -> bool:
    """True if it was made with ENCRYPTED=NO: nothing in the background encrypts it."""
    return "`encrypted`=no" in table.create_options.lower()


def out_of_reach(table: Table) -> Finding | None:
    """Why the server's threads leave a table as it is; None if they do not."""
    subject, name = str(table.name), shown(table.name)
    if table.engine == "Aria":
        remedy = f"SET GLOBAL aria_encrypt_tables = ON; then ALTER TABLE {name} ENGINE = Aria ROW_FORMAT = PAGE"
        message = "Aria encrypts a table when it is made or rebuilt, and never in the background"
        return Finding(
            "aria", message, f"in a maintenance window: {remedy} (writes wait)", blocks=True, subject=subject
        )
    if table.engine != "InnoDB":
        remedy = f"in a maintenance window: ALTER TABLE {name} ENGINE = InnoDB (writes wait while it copies)"
        return Finding("not-innodb", f"engine {table.engine} cannot encrypt", remedy, blocks=True, subject=subject)
    if says_no(table):
        remedy = f"in a maintenance window: ALTER TABLE {name} ENCRYPTED = DEFAULT (it is rebuilt, and writes wait)"
        return Finding("says-encrypted-no", "was made with ENCRYPTED=NO", remedy, blocks=True, subject=subject)
    return None


def is_on(server: Server) -> bool:
    """True if new tables are encrypted, and those that are there may be."""
    return server.variables.get(TABLES, "OFF").upper() in _ON


def background_definition(server: Server) -> tuple[str, ...]:
    """What must still be so when the plan is run."""
    return (f"key: {server.variables.get(_KEY, '1')}",)


def all_in_background(inventory: Inventory) -> bool:
    """True if it is on, and nothing is in clear any more that the server's threads can encrypt."""
    return is_on(inventory.server) and not _in_clear(inventory)


def _in_clear(inventory: Inventory) -> bool:
    spaces = {space.space for space in inventory.tablespaces if not space.encrypted and _has_pages(space.kind)}
    kept_out = {s.space for table in inventory.tables if out_of_reach(table) for s in table.segments}
    return bool(spaces - kept_out)


def background_steps(inventory: Inventory, scope: Scope, workers: int) -> Iterator[Step]:
    """The step of the server, if its threads do it."""
    server = inventory.server
    if not encrypts_in_background(server):
        return
    lines = background_definition(server)
    clear = [s for s in inventory.tablespaces if not s.encrypted and _has_pages(s.kind)]
    size = sum(space.file_bytes for space in clear)
    done = all_in_background(inventory)
    findings = () if done else tuple(_findings(server, scope))
    why = "already encrypted." if done else f"{len(clear)} tablespaces, {about(size)}: in place, while they are used."
    yield Step(
        kind="setting",
        setting_name=TABLES,
        method=Method.SKIP if done else Method.BACKGROUND,
        why=why,
        facts=Facts(engine="InnoDB", data_bytes=0 if done else size),
        findings=(Finding("already-on", "all is encrypted", subject=f"@@{TABLES}"),) if done else findings,
        estimate=Estimate() if done else _estimate(server, size),
        sql=() if done else tuple(said.text for said in in_background(workers)),
        definition=lines,
        fingerprint=fingerprint_of(lines),
    )


def _estimate(server: Server, size: int) -> Estimate:
    """At most as long as it takes to read every page from disk, as many a second as the server allows itself."""
    iops, page = (int(server.variables.get(name) or 0) for name in (IOPS, "innodb_page_size"))
    if not iops or not page:
        return Estimate(bytes_written=size)
    basis = f"{IOPS} = {iops}: so many pages a second are read, those that are in memory do not count"
    return Estimate(bytes_written=size, seconds_low=0.0, seconds_high=round(size / page / iops, 1), calibration=basis)


def _has_pages(kind: TablespaceKind) -> bool:
    return kind is not TablespaceKind.TEMPORARY


def _findings(server: Server, scope: Scope) -> Iterator[Finding]:
    subject = f"@@{TABLES}"
    if scope != Scope():
        message = "the server encrypts every InnoDB table, in scope or not: it cannot be told which"
        yield Finding("whole-server", message, "edit this step to skip, if that is not wanted", subject=subject)
    remedy = f"in the option file: {'; '.join(option_file_lines(4))}"
    yield Finding("not-persisted", "a restart forgets it: MariaDB has no SET PERSIST", remedy, subject=subject)
    if server.members:
        names = ", ".join(sorted(member.name or "replicas that nobody can name" for member in server.members))
        message = f"does not replicate: {names} stay as they are"
        yield Finding("on-each-server", message, "plan and apply on each of them", subject=subject)


# -- may it be done ---------------------------------------------------------------------------------


def may_not(server: Server, steps: Collection[Step]) -> Iterator[Finding]:
    """What speaks against a run on this server, besides what speaks against one on any."""
    if not server.keyring.active:
        remedy = (
            "plugin_load_add = file_key_management, or better a plugin with a key server, in the option file; restart"
        )
        yield Finding(
            "keyring-missing", "no encryption plugin is active, so nothing can be encrypted", remedy, blocks=True
        )
    key = server.variables.get(_KEY, "1")
    age = server.variables.get(AGE, "1")
    if age == "0" and any(step.method is Method.BACKGROUND for step in steps):
        yield Finding("age-is-zero", f"{AGE} is 0, and becomes 1: with 0 nothing that is there is encrypted")
    if key != "1":
        yield Finding("key-id", f"tables without a key of their own are encrypted with key {key}")
