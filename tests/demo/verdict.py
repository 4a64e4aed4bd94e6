"""What must be true at the end. Pure: facts in, checks out; the demonstration fails if one of them does."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.demo import company
from tests.demo.facts import Facts
from tests.demo.ledger import Difference
from tests.demo.traffic import Result

LEAST_PER_SECOND = 50.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be true."""

    what: str
    failures: tuple[str, ...]
    """Empty if it is true."""
    seen: str = ""
    """What was seen when it is true: numbers."""

    @property
    def passed(self) -> bool:
        """True if nothing is wrong."""
        return not self.failures


@dataclass(frozen=True, slots=True)
class Step:
    """What the run said about one table or tablespace."""

    subject: str
    method: str
    outcome: str
    rows: int
    seconds: float
    message: str = ""


def rows_are_equal(differences: Sequence[Difference]) -> Check:
    """No row is lost, extra or different."""
    failures = tuple(
        f"{d.table}: {d.missing} rows missing, {d.extra} extra, {d.different} different"
        for d in differences
        if not d.equal
    )
    rows = sum(d.rows for d in differences)
    return Check(
        "every row of every table is as the application's ledger and the rows from before say",
        failures or (("nothing was compared",) if not rows else ()),
        f"{rows:,} rows in {len(differences)} tables: 0 missing, 0 extra, 0 different",
    )


def application_is_well(
    result: Result, period: str, tables: Collection[str], doing: Callable[[str], str]
) -> tuple[Check, ...]:
    """No error, no wrong answer, enough transactions against every table that is migrated.

    `doing` says what the run did at a moment.
    """
    during = result.periods[period]
    errors = tuple(
        f"error {t['number']} at {t['at']}: {t['table'] or 'no table'}, {t['doing']}; the run was {doing(t['at'])[:90]}"
        for t in result.troubles
    )
    idle = sorted(table for table in tables if not result.tables.get(table))
    slow = during.per_second < LEAST_PER_SECOND
    return (
        Check(
            "the application saw no error",
            errors,
            f"{sum(p.transactions for p in result.periods.values()):,} transactions",
        ),
        Check(
            "whatever it read was what it had written, whatever it changed was there",
            tuple(result.wrong),
            f"{result.reports} reports from old snapshots among them",
        ),
        Check(
            f"it wrote all the while, at least {LEAST_PER_SECOND:g} transactions a second, to every table migrated",
            tuple(f"nothing was written to {table}" for table in idle)
            + ((f"only {during.per_second:g} a second",) if slow else ()),
            f"{during.per_second:g} a second on {len(tables)} tables",
        ),
    )


def encrypted_and_unchanged(before: Mapping[str, Facts], after: Mapping[str, Facts]) -> tuple[Check, ...]:
    """What should be encrypted is, what was refused is as it was, and every definition is what it was."""
    clear = [
        f"{table} is still in clear" for table in _wanted(before) if not (table in after and after[table].encrypted)
    ]
    definitions = [
        f"{table}: {what} changed"
        for table in sorted({*before} & {*after})
        # The server keeps no histogram of an encrypted table: it would hold values in clear (manual, ANALYZE TABLE).
        for what in ("engine", "definition", "triggers", *(() if after[table].encrypted else ("histograms",)))
        if getattr(before[table], what) != getattr(after[table], what)
    ]
    names = [f"{table} is gone" for table in sorted({*before} - {*after})]
    names += [f"{table} was left behind" for table in sorted({*after} - {*before})]
    return (
        Check(
            "every table that is not refused is encrypted, in the server's own catalog",
            tuple(clear),
            f"{len(_wanted(before))} tables",
        ),
        Check(
            "SHOW CREATE TABLE is what it was, apart from ENCRYPTION, AUTO_INCREMENT and `innodb_file_per_table`",
            tuple(definitions),
            f"{len(before)} tables, and their triggers",
        ),
        Check("the same tables as before, none more, none less", tuple(names), f"{len(after)} tables"),
    )


def nothing_in_clear(before: Mapping[str, bool], after: Mapping[str, bool]) -> Check:
    """Of all InnoDB tables of all schemas none is in clear, by InnoDB's own catalog; before, most were."""
    failures = [f"{name} is in clear" for name, encrypted in after.items() if not encrypted]
    if all(before.values()):
        failures.append("nothing was in clear before, so this proves nothing")
    were = sum(not encrypted for encrypted in before.values())
    return Check(
        "no InnoDB table of any schema is in clear",
        tuple(failures) or (() if after else ("there are no tables",)),
        f"{len(after)} tables and partitions encrypted; before, {were} of {len(before)} were in clear",
    )


def logs_are_encrypted(before: Mapping[str, bool], after: Mapping[str, bool]) -> Check:
    """Binary log, redo, undo, and how new tables are born: in clear before, encrypted now, by the server's word."""
    failures = [f"{name} was on before, so this proves nothing" for name, on in before.items() if on]
    failures += [f"{name} is in clear" for name in before if not after.get(name)]
    return Check(
        "logs are encrypted, and new tables are born so",
        tuple(failures) or (() if before else ("nothing was looked at",)),
        f"{len(after)} settings; before, none was on",
    )


def refused_as_expected(refused: Iterable[str], before: Mapping[str, Facts], after: Mapping[str, Facts]) -> Check:
    """Exactly the expected tables are refused, and refused tables are not touched."""
    found = {*refused}
    failures = [f"{table} is refused, and should not be" for table in sorted(found - {*company.EXPECTED_REFUSED})]
    failures += [f"{table} is not refused, and should be" for table in sorted({*company.EXPECTED_REFUSED} - found)]
    failures += [
        f"{table} was refused, but is now encrypted"
        for table in sorted(found)
        if table in after and after[table].encrypted and not before[table].encrypted
    ]
    return Check(
        "exactly these are refused: what cannot be encrypted as it is", tuple(failures), f"{len(found)} tables"
    )


def planned_as_committed(planned: Sequence[Mapping[str, Any]], committed: Sequence[Mapping[str, Any]]) -> Check:
    """The plan that people read in plans/ is the plan of this database: same steps, methods and statements."""
    now, then = ({_name(step): step for step in steps} for steps in (planned, committed))
    failures = [f"{name} is in one of them only" for name in sorted({*now} ^ {*then})]
    failures += [
        f"{name}: {what} differs"
        for name in sorted({*now} & {*then})
        for what in ("method", "definition", "sql")
        if now[name].get(what) != then[name].get(what)  # what is empty is not in the file
    ]
    return Check("plans/demo.yaml is the plan of this database", tuple(failures), f"{len(now)} steps")


def _name(step: Mapping[str, Any]) -> str:
    if step["kind"] == "setting":
        return f"{step.get('schema_name', '')} {step['setting_name']}"
    return f"{step['schema_name']}.{step['table_name']}" if step["kind"] == "table" else str(step["tablespace_name"])


def large_ones_were_copied(steps: Iterable[Step]) -> Check:
    """The large tables were copied online, not altered in one blocking statement."""
    methods = {step.subject: step.method for step in steps}
    failures = tuple(
        f"{table}: {methods.get(table, 'no step')}"
        for table in sorted(company.LARGE)
        if methods.get(table) != "shadow-copy"
    )
    return Check("the large tables were copied online", failures, f"{len(company.LARGE)} tables by shadow-copy")


def relayed_as_expected(steps: Iterable[Step]) -> Check:
    """Exactly the tables that a copy by triggers cannot serve were moved by the server itself."""
    found = {step.subject for step in steps if step.method == "tablespace-relay" and step.outcome == "done"}
    failures = [f"{table} was relayed, and should not be" for table in sorted(found - {*company.EXPECTED_RELAYED})]
    failures += [f"{table} was not relayed, and should be" for table in sorted({*company.EXPECTED_RELAYED} - found)]
    what = "exactly these went through a tablespace: foreign keys, triggers, CHECK names, no key"
    return Check(what, tuple(failures), f"{len(found)} tables")


def unreadable_on_disk(before: Mapping[str, bool], after: Mapping[str, bool]) -> Check:
    """Values that could be read in the files before can be read no more."""
    failures = [
        f"{table}: the value was not in the file before, so this proves nothing"
        for table, seen in before.items()
        if not seen
    ]
    failures += [f"{table}: the value can still be read in its file" for table, seen in after.items() if seen]
    return Check(
        "what could be read in the files can be read no more", tuple(failures), f"{len(after)} values looked for"
    )


def _wanted(before: Mapping[str, Facts]) -> list[str]:
    return sorted(
        table
        for table, facts in before.items()
        if table not in company.EXPECTED_REFUSED and facts.encrypted is not None
    )
