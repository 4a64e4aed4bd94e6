"""The method for one table, and why, in one sentence.

Pure. The cheapest safe method wins; nothing is chosen that a finding forbids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from migrator.model import Finding, Key, Method, Server, Table, TablespaceKind
from migrator.planner.around import Around, real_bytes
from migrator.planner.background import encrypts_in_background
from migrator.planner.checks import CHECKS, CONVERTIBLE, SKIPS, TABLESPACE_CHECKS, examine, not_per_table
from migrator.planner.convert import CONVERT_CHECKS
from migrator.planner.keys import key_text, usable_key
from migrator.planner.plan import Policy
from migrator.planner.relay import (
    RELAY_NEEDS_NO_NAME,
    RELAY_SERVES,
    at_home,
    guest,
    half_relayed,
    relay_findings,
    relay_impossible,
    relay_off,
)
from migrator.planner.units import about

DIRECT_ALTER_IN_SPITE_OF: Final[frozenset[str]] = frozenset()
"""Codes of findings that block a copy, but not a direct-alter of a small table.

None: what a copy cannot serve is refused at any size, so that the answer does not change as a table
grows. On MySQL 9.7.4 a direct ALTER under LOCK TABLES keeps foreign keys of both sides, own triggers,
CHECK names and tables without a key (tests/server/test_planner_facts.py).
"""


_RELAY_SAYS_BETTER: Final = frozenset({"data-directory"})
"""Codes that block both, where the relay gives all reasons at once."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What is done with a table. `key` is the one to walk it by, where there is one."""

    method: Method
    why: str
    findings: tuple[Finding, ...]
    key: Key | None
    tablespace: str = ""
    """For the method tablespace: the one whose step encrypts this table."""


def choose(table: Table, server: Server, policy: Policy, around: Around | None = None) -> Choice:
    """The method for a table. Without `around`, nothing is known of other names, tablespaces' sizes and states."""
    around = around or Around(server=server)
    choice = _by_what_it_has(at_home(table, around), server, policy, around)
    if choice.method is not Method.REFUSE or table.name not in around.away:
        return choice
    found = (half_relayed(table, around), *choice.findings)
    return replace(choice, why=_refusal([f for f in found if f.blocks]), findings=found)


def _by_what_it_has(table: Table, server: Server, policy: Policy, around: Around) -> Choice:
    key = usable_key(table)
    stays = guest(table, around)
    for skip in SKIPS:
        reason = skip(table, around)
        if reason is not None:
            return Choice(Method.SKIP, f"{reason.message}.", (reason, *((stays,) if stays else ())), key)
    below = not_per_table(table, around)
    if below:
        return Choice(Method.REFUSE, f"{below.message}.", (below,), key)
    if encrypts_in_background(around.server):
        return Choice(Method.BACKGROUND, "with the server's step: in place, while it is used.", (), key)
    if stays:
        return Choice(Method.REFUSE, f"{stays.message}.", (stays,), key)
    if table.tablespace_kind in {TablespaceKind.GENERAL, TablespaceKind.MYSQL}:
        return _with_its_tablespace(table, policy, around, key)
    if policy.convert and table.engine in CONVERTIBLE:
        return _by_conversion(table, around, key)
    findings = examine(table, around, CHECKS)
    blocking = [f for f in findings if f.blocks]
    size = real_bytes(table, around)
    direct = size < policy.direct_below_bytes and _has_own_file(table)
    if needs_relay(findings):
        return _by_relay(table, policy, around, findings, key, size)
    if blocking and not (direct and {f.code for f in blocking} <= DIRECT_ALTER_IN_SPITE_OF):
        return Choice(Method.REFUSE, _refusal(blocking), findings, key)
    if direct:
        why = f"{about(size)}, less than {about(policy.direct_below_bytes)}: one ALTER, nobody uses it meanwhile."
        return Choice(Method.DIRECT_ALTER, why, findings, key)
    by = key_text(key) if key else "no key"
    return Choice(Method.SHADOW_COPY, f"{about(size)}, walked by {by}: copied while it is used.", findings, key)


def needs_relay(findings: Sequence[Finding]) -> bool:
    """True if something keeps the table from being copied that a relay serves, and nothing else than a copy minds."""
    blocking = {f.code for f in findings if f.blocks}
    served = any(f.code in RELAY_SERVES for f in findings)
    return served and blocking <= RELAY_SERVES | RELAY_NEEDS_NO_NAME | _RELAY_SAYS_BETTER


def _by_relay(
    table: Table, policy: Policy, around: Around, findings: tuple[Finding, ...], key: Key | None, size: int
) -> Choice:
    impossible = relay_impossible(table, around)
    if impossible is not None:
        found = (*findings, impossible)
        return Choice(Method.REFUSE, _refusal([f for f in found if f.blocks]), found, key)
    if not policy.relay:
        found = (relay_off(table), *findings)
        return Choice(Method.REFUSE, _refusal([f for f in found if f.blocks]), found, key)
    served = tuple(
        replace(f, remedy="") if f.code in RELAY_SERVES else f for f in findings if f.code not in RELAY_NEEDS_NO_NAME
    )
    reasons = ", ".join(f.code for f in served if f.code in RELAY_SERVES)
    why = f"{about(size)}, {reasons}: moved by the server itself, while it is used, through an encrypted tablespace."
    return Choice(Method.TABLESPACE_RELAY, why, (*served, *relay_findings(table, around)), key)


def _has_own_file(table: Table) -> bool:
    # ALTER ... ENCRYPTION='Y' of a table in ibdata1 is refused with 3825; a copy leaves ibdata1.
    return bool(table.segments) and all(s.kind is TablespaceKind.FILE_PER_TABLE for s in table.segments)


def _by_conversion(table: Table, around: Around, key: Key | None) -> Choice:
    findings = examine(table, around, CONVERT_CHECKS)
    blocking = [f for f in findings if f.blocks]
    if blocking:
        return Choice(Method.REFUSE, _refusal(blocking), findings, key)
    why = f"{about(real_bytes(table, around))} of {table.engine}: one ALTER to InnoDB, nobody uses it meanwhile."
    return Choice(Method.CONVERT, why, findings, key)


def _with_its_tablespace(table: Table, policy: Policy, around: Around, key: Key | None) -> Choice:
    name = table.segments[0].tablespace
    findings = examine(table, around, TABLESPACE_CHECKS)
    blocking = [f for f in findings if f.blocks]
    if blocking:
        return Choice(Method.REFUSE, _refusal(blocking), findings, key)
    of_mysql = table.tablespace_kind is TablespaceKind.MYSQL
    if not (policy.mysql_tablespace if of_mysql else policy.tablespaces):
        option = "mysql-tablespace" if of_mysql else "tablespaces"
        left = Finding(
            code="left-by-policy",
            message=f"lies in tablespace {name}, which the policy leaves as it is",
            remedy=f"plan again with --{option}",
            blocks=True,
            subject=str(table.name),
        )
        return Choice(Method.REFUSE, f"{left.message}.", (*findings, left), key)
    why = f"lies in tablespace {name}, whose step encrypts all its tables in place."
    return Choice(Method.TABLESPACE, why, findings, key, tablespace=name)


def _refusal(blocking: list[Finding]) -> str:
    more = len(blocking) - 1
    return blocking[0].message + (f" (and {more} more {'reason' if more == 1 else 'reasons'})" if more else "") + "."
