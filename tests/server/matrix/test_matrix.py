"""The matrix features x methods: each table is migrated while it is used, and compared with one that is not.

docs/matrix.md is made of what happens here.
"""

from __future__ import annotations

import os
import re
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Final

import pymysql
import pytest

from migrator.cli_plan import read_and_plan
from migrator.engine import pace, ranges
from migrator.engine.apply import ApplyOptions, apply
from migrator.events import ChunkCopied, ChunkVerified, Event, PhaseEnded, PhaseStarted, RangeCopied, StepStarted
from migrator.inventory import read_tables
from migrator.model import Method
from migrator.planner.plan import Plan, Scope, Step
from migrator.report.values import StepOutcome
from tests.server.engine.kit import VOUCHED, Lab
from tests.server.matrix.feature import Feature
from tests.server.matrix.table import written_cells
from tests.server.matrix.ways import FEATURES, WAYS, Way, row_of, table_of
from tests.server.matrix.world import Facts, World, refusal
from tests.servers import Account, RunningServer, until

WRITING: Final = "MIGRATOR_WRITE_MATRIX"
"""In the environment: the page is about to be written, so what it says does not count."""

EQUAL: Final = "encrypted, all equal"
_NOT_ENCRYPTION: Final = {"COLUMN_STATISTICS": "histograms"}
_OF_ANOTHER_ENGINE: Final = r"\bENGINE=\w+| ROW_FORMAT=(FIXED|COMPRESSED)| KEY_BLOCK_SIZE=\d+"


@pytest.fixture
def worlds(server: RunningServer, dba: Account, schema: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worlds]:
    """Two worlds alike; small ranges and chunks, so that a hundred rows have many of both."""
    monkeypatch.setattr(ranges, "FEWEST_ROWS", 40)
    monkeypatch.setattr(pace, "FIRST_ROWS", 12)
    made = [f"{schema}_o", f"{schema}_l", f"{schema}_lo"]
    with closing(server.connect(autocommit=True, ssl_disabled=True)) as one, one.cursor() as root:
        root.execute("SET time_zone = '+00:00', cte_max_recursion_depth = 100000")
        for name in made:
            encryption = "ENCRYPTION = 'Y'" if name.endswith("o") else ""
            root.execute(f"CREATE DATABASE {name} {encryption}")
        for name in (schema, f"{schema}_l"):
            root.execute(f"CREATE TABLESPACE `{name}_ts` ADD DATAFILE '{name}_ts.ibd'")
        try:
            lab = Lab(server, dba, schema, made[1])
            yield Worlds(lab, World(one, schema, made[0]), World(one, made[1], made[2]))
        finally:
            for name in (schema, *made, "migrator"):
                root.execute(f"DROP DATABASE IF EXISTS {name}")
            for name in (schema, f"{schema}_l"):
                root.execute(f"DROP TABLESPACE `{name}_ts`")
                root.execute(f"DROP USER IF EXISTS `{name}`")
            root.execute(f"CREATE DATABASE {schema}")


class Worlds:
    """The one that is migrated, the other one, and what became of each feature that the server does not allow."""

    def __init__(self, lab: Lab, live: World, still: World) -> None:
        self.lab = lab
        self.live = live
        self.still = still
        self.cells: dict[Feature, str] = {}
        self.told: Counter[tuple[str, type[Event]]] = Counter()
        self.phases: dict[str, list[str]] = defaultdict(list)

    def make(self, way: Way) -> None:
        """Make every feature's table in both worlds, where the method can serve it."""
        for feature in FEATURES:
            if feature.table == "general_log":
                continue
            table = table_of(feature)
            first = next(f for f in FEATURES if table_of(f) == table)
            if first is not feature:
                continue  # columns of one table
            innodb = "ENGINE" not in feature.definition and not feature.alone
            for world in (self.live, self.still):
                try:
                    world.make(feature, table, way.besides if innodb else ())
                except pymysql.MySQLError as error:
                    self.cells[feature] = refusal(error)
                    world.made.pop(table, None)

    def use(self, feature: Feature, count: int) -> None:
        """What the application does, in both worlds."""
        for world in (self.live, self.still):
            world.use(feature, table_of(feature), count)

    def plan(self, way: Way) -> Plan:
        """A plan for every table that was made, and for whatever lies in the server's own schemas."""
        literal = [re.sub(r"([\\*?])", r"\\\1", table) for table in self.live.made]
        places = (self.live.schema, self.live.other)
        tables = [f"{place}.{table}" for place in places for table in literal]
        scope = Scope(tables=(*tables, "mysql.*", "sys.*", "performance_schema.*", "information_schema.*"))
        with closing(self.lab.session(ssl_mode="DISABLED")) as session:
            return read_and_plan(session, way.policy, scope=scope, defaults=way.defaults, attestations=VOUCHED)[1]

    def apply(self, plan: Plan, way: Way) -> dict[str, StepOutcome]:
        """Apply it, while each table is used at every turn of its step; the outcomes by the table's full name."""
        if way.at_rest:
            until(self._rest, "all tables are at rest")
        by_name = {f"{self.live.place(f)}.{t}": f for t, f in self.live.made.items() if not f.alone}
        met: Counter[str] = Counter()

        def listen(event: Event) -> None:
            subject = getattr(event, "subject", "")
            self.told[subject, type(event)] += 1
            if isinstance(event, PhaseStarted):
                self.phases[subject].append(event.phase)
            if way.at_rest:
                return
            turns = {ChunkCopied: (2, 5), ChunkVerified: (2,)}.get(type(event), ())
            turn = self.told[subject, type(event)] in turns
            match event:
                case StepStarted() | PhaseEnded(phase="copy" | "mirror") | PhaseStarted(phase="swap"):
                    turn = True
                case _:
                    pass
            if turn and (subject in by_name or isinstance(event, StepStarted)):
                met[subject] += 1
                for name, feature in by_name.items():
                    if name == subject or (subject not in by_name and feature not in self.cells):
                        self.use(feature, met[subject])

        options = ApplyOptions(attestations=VOUCHED)
        with closing(self.lab.session(ssl_mode="DISABLED")) as session:
            outcome = apply(session, plan, options, listen, threading.Event())
        return {step.subject: step for step in outcome.steps}

    def _rest(self) -> bool:
        """True if the last change of each table lies in a second that is over."""
        connect = self.lab.connect
        with closing(connect(init_command="SET information_schema_stats_expiry = 0")) as one, one.cursor() as cursor:
            cursor.execute(
                "SELECT COALESCE(MAX(UPDATE_TIME) < NOW(), TRUE) FROM information_schema.TABLES"
                " WHERE TABLE_SCHEMA IN (%s, %s)",
                (self.live.schema, self.live.other),
            )
            return bool((cursor.fetchone() or (0,))[0])

    # -- what became of a feature

    def cell(self, feature: Feature, way: Way, plan: Plan, ended: dict[str, StepOutcome], facts: Both) -> str:
        """What the page says; raises if anything is not as it must be."""
        table = table_of(feature)
        name = f"{self.live.place(feature)}.{table}"
        step = next((s for s in plan.steps if s.name == name), None)
        if feature.table == "general_log":
            assert not [s for s in plan.steps if s.schema_name in {"mysql", "sys"}]
            return "left alone (no step)"
        same = self.differences(feature, table, way, facts)
        if step is None:
            assert feature.alone, "no step in the plan"
            assert not same, same
            return "left alone (no step)"
        codes = ", ".join(f"`{f.code}`" for f in step.findings if f.blocks or step.method is Method.SKIP)
        if step.method in {Method.REFUSE, Method.SKIP}:
            assert not same, same
            assert ended[name].outcome == ("refused" if step.method is Method.REFUSE else "skipped")
            return f"{'refused' if step.method is Method.REFUSE else 'left alone'} ({codes})"
        return self._done(feature, way, step, ended[name], same)

    def _done(self, feature: Feature, way: Way, step: Step, ended: StepOutcome, same: list[str]) -> str:
        told = {f.code for f in step.findings}
        on_the_twin = re.search(r"\[(\d{4})\].*`migrator`\.`step_\d+_shadow` ENGINE", ended.message)
        if on_the_twin:
            assert not same, same
            return f"fails on its twin ({on_the_twin[1]}), untouched"
        if step.changes_something:
            assert ended.outcome == "done", ended.message
        assert set(same) <= told, f"not told: {same}"
        assert self.encrypted(step)
        if way.at_rest and step.method is Method.SHADOW_COPY:
            small = self.phases[step.name] == ["one moment"]
            return ("" if small else "with triggers: ") + EQUAL + (f" but {', '.join(same)} (told)" if same else "")
        if feature.group == "Keys" and step.method is Method.SHADOW_COPY and "160" in feature.rows:
            assert self.told[step.name, RangeCopied] >= 3, "the key was not walked in ranges"
            assert self.told[step.name, ChunkCopied] >= 6, "the key was not walked in chunks"
        by = "" if step.method is way.method else f"by {step.method}: "
        return by + EQUAL + (f" but {', '.join(same)} (told)" if same else "")

    def differences(self, feature: Feature, table: str, way: Way, facts: Both) -> list[str]:
        """Codes of findings that tell of a difference, or the names of what differs."""
        ours, theirs = self.live.contents(feature, table), self.still.contents(feature, table)
        assert ours == theirs, f"rows: {len(ours)} and {len(theirs)}; {set(ours) ^ set(theirs)!r:.2000}"
        assert feature.alone or not feature.rows or theirs, "no rows"
        ours_, theirs_ = self.live.definition(feature, table), self.still.definition(feature, table)
        found = []
        if way.method is Method.CONVERT:
            if re.search(r" ROW_FORMAT=(FIXED|COMPRESSED)| KEY_BLOCK_SIZE=\d+", theirs_) and theirs_ != ours_:
                found.append("options-dropped")
            ours_, theirs_ = (re.sub(_OF_ANOTHER_ENGINE, "", text) for text in (ours_, theirs_))
        assert ours_ == theirs_
        live, still = facts[0].get(table, {}), facts[1].get(table, {})
        for view in sorted(set(live) | set(still)):
            if way.method is Method.CONVERT and view == "TABLES":
                continue  # engine, its version, row format and options: all are in SHOW CREATE TABLE
            if way.method is Method.CONVERT and view == "STATISTICS" and "ARCHIVE" in feature.definition:
                continue  # its index is SE_SPECIFIC
            if live.get(view) != still.get(view):
                found.append(_NOT_ENCRYPTION.get(view, f"{view}: {live.get(view)} != {still.get(view)}"))
        return found

    def encrypted(self, step: Step) -> bool:
        """True if every file of the table is encrypted, by the catalog joined by SPACE."""
        with closing(self.lab.session(ssl_mode="DISABLED")) as session:
            (table,) = read_tables(session, [step.table]) if step.table else ()
        return table.encrypted


Both = tuple[dict[str, Facts], dict[str, Facts]]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("method", WAYS)
def test_every_feature(worlds: Worlds, method: str, record_property: Callable[[str, object], None]) -> None:
    """Migrated in one run while it is used, each table has the rows, the definition and all metadata of its twin.

    And the page says so.
    """
    way = WAYS[method]
    worlds.make(way)
    plan = worlds.plan(way)
    ended = worlds.apply(plan, way)
    facts = (worlds.live.facts(), worlds.still.facts())
    wrong: dict[str, str] = {}
    cells: dict[str, str] = {}
    by_table = {table_of(feature): cell for feature, cell in worlds.cells.items()}
    for feature in FEATURES:
        table = table_of(feature)
        try:
            cell = by_table[table] = by_table.get(table) or worlds.cell(feature, way, plan, ended, facts)
        except AssertionError as error:
            wrong[row_of(feature)] = str(error)[:3000]
        else:
            cells[row_of(feature)] = cell
            record_property(f"{row_of(feature)} | {method}", cell)
    assert not wrong, "\n\n".join(f"{row}:\n{what}" for row, what in wrong.items())
    if not os.environ.get(WRITING):
        told = written_cells()
        assert {row: told.get(row, {}).get(method) for row in cells} == cells, (
            "run `make test-matrix` and review the page"
        )


def test_the_comparison_sees_a_difference(worlds: Worlds) -> None:
    """One byte of one row, one comment, one privilege: each is seen."""
    feature = next(f for f in FEATURES if f.name == "DESC")
    table = table_of(feature)
    for world in (worlds.live, worlds.still):
        world.make(feature, table, ())
    for spoil in (
        "UPDATE {t} SET n = 77 WHERE id = 5",
        "ALTER TABLE {t} COMMENT 'x'",
        "CREATE TRIGGER {s}.more BEFORE INSERT ON {t} FOR EACH ROW SET NEW.n = 1",
    ):
        worlds.live.run(worlds.live.say(spoil, feature, table))
        with pytest.raises(AssertionError):
            facts = (worlds.live.facts(), worlds.still.facts())
            assert not worlds.differences(feature, table, WAYS[Method.SHADOW_COPY], facts)
        worlds.still.run(worlds.still.say(spoil, feature, table))
        facts = (worlds.live.facts(), worlds.still.facts())
        assert not worlds.differences(feature, table, WAYS[Method.SHADOW_COPY], facts)
