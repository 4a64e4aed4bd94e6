"""One trial: a table is made from a seed, used with hostility and migrated; then everything is compared.

The seed decides the definition, the values and what each thread wants to do; when threads and server meet
is chance. So a definition that cannot be migrated fails each time, and a race when it is met again.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter as Counted
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from migrator.engine import pace, ranges
from migrator.engine.rollback import RollbackOptions, rollback
from migrator.errors import MigratorError
from migrator.events import ChunkCopied, Event, RangeCopied
from tests.oracle.hand import Hand, Seen, UnexpectedAnswer
from tests.oracle.ledger import difference, read, strange
from tests.oracle.pools import SQL_MODE
from tests.oracle.scene import Scene, make_scene
from tests.oracle.schemas import Schema
from tests.oracle.stage import Stage
from tests.oracle.threads import Cutter, Reader, Thread, Witness
from tests.oracle.writers import Counter, Writer
from tests.server.engine.kit import SMALL, Lab

MOST_COLLISIONS: Final = 2
MOST_AGAIN: Final = 5
IN_THE_WAY: Final = (
    "did not get the table for itself", "transactions that began before the leg", "no free instant", "met a duplicate",
)  # fmt: skip
"""How a relay ends that the application stood in the way of: the table is as it was, and `apply` goes on."""


@dataclass(slots=True)
class Told:
    """What a trial found, and what it did."""

    seed: int
    schema: Schema
    seen: Seen
    wrong: list[str] = field(default_factory=list)
    rows: int = 0
    seconds: float = 0.0
    ranges: int = 0
    chunks: int = 0
    reads: int = 0
    numbers_set_back: int = 0
    again: int = 0
    """How often a relay had to be applied again, since transactions stood in its way."""
    writers: int = 0
    taken_back: int = 0
    """Rows that the old table had when the swap was taken back."""

    @property
    def failures(self) -> list[str]:
        """All that must not be."""
        found = [*self.wrong, *self.seen.errors, *self.seen.wrong]
        if len(self.seen.collisions) > MOST_COLLISIONS:
            found.append(f"{len(self.seen.collisions)} transactions were made victims of exclusive moments")
        return found

    def latency_ms(self, share: float) -> float:
        """So many milliseconds were enough for this share of the transactions."""
        ordered = sorted(self.seen.seconds) or [0.0]
        return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))]

    def __str__(self) -> str:
        done = f"{self.rows} rows, {self.chunks} chunks, {len(self.seen.seconds)} transactions, p95 {self.latency_ms(0.95):.0f} ms"
        if self.taken_back:
            done += f", taken back with {self.taken_back} rows"
        if self.seen.collisions:
            done += f", {len(self.seen.collisions)} met an exclusive moment ({', '.join(self.seen.collisions)})"
        if self.seen.by_themselves:
            done += f", {len(self.seen.by_themselves)} deadlocks in the hidden index of FULLTEXT"
        if self.schema.relayed:
            met = ", ".join(f"{count} x {what}" for what, count in sorted(Counted(self.seen.met_relay).items()))
            done += f", relayed: {met or 'nobody noticed'}, {self.again} times again"
        return f"seed {self.seed}: {', '.join(self.schema.features) or 'plain'}; {done}, {self.seconds:.1f} s"


@contextmanager
def small_pieces() -> Iterator[None]:
    """Ranges and first chunks so small that a table of some hundred rows has many of both."""
    fewest, first = ranges.FEWEST_ROWS, pace.FIRST_ROWS
    ranges.FEWEST_ROWS, pace.FIRST_ROWS = 80, 25  # type: ignore[misc]
    try:
        yield
    finally:
        ranges.FEWEST_ROWS, pace.FIRST_ROWS = fewest, first  # type: ignore[misc]


def definition(create: str) -> str:
    """SHOW CREATE TABLE without what may differ: ENCRYPTION, AUTO_INCREMENT, and TABLESPACE after a relay."""
    head, bracket, options = create.rpartition("\n)")
    # In the options of a partitioned table the brackets of its partitions come last.
    if "PARTITION BY" in create:
        head, bracket, options = create.partition("\n) ")
    options = re.sub(r" AUTO_INCREMENT=\d+", "", options, count=1)
    options = options.replace(" /*!50100 TABLESPACE `innodb_file_per_table` */", "", 1)
    return head + bracket + re.sub(r" (/\*!80016 )?ENCRYPTION='[YN]'( \*/)?", "", options, count=1)


# -- the trial --------------------------------------------------------------------------------------


def run_trial(
    lab: Lab,
    seed: int,
    schema: Schema | None = None,
    *,
    relayed: bool = False,
    migrate: bool = True,
    back: bool = False,
    cut: bool = False,
    seconds: float = 0.3,
) -> Told:
    """Make, use, migrate, compare. With `migrate=False` nobody migrates: what is told then is the oracle's own mistake.

    With `relayed` the seed's table is one that cannot be copied.
    With `back` the swap is taken back after a while, the application going on all the time.
    """
    began = time.monotonic()
    scene = make_scene(lab, seed, schema, relayed=relayed)
    before = lab.show_create(scene.schema.table)
    told = Told(seed, scene.schema, Seen(), writers=len(scene.estates))
    told.seen.deadlocks_before = int(
        lab.value("SELECT COUNT FROM information_schema.INNODB_METRICS WHERE NAME = 'lock_deadlocks'")
    )
    stage = Stage()
    try:
        with _application(lab, seed, scene, stage, told, cut=cut):
            stage.hold(seconds)
            if migrate:
                _migrate(lab, scene, stage, told, rollback_hours=24 if back else 0)
            if back and not told.wrong:
                stage.hold(seconds)
                _take_back(lab, scene, stage, told)
            stage.over()
            stage.hold(seconds, moments=1)
    except UnexpectedAnswer as answer:
        told.wrong.append(str(answer))
    _compare(lab, scene, before, told, encrypted=migrate and not back)
    told.seconds = time.monotonic() - began
    return told


def run_quietly(lab: Lab, seed: int, schema: Schema) -> Told:
    """Make, migrate with nobody beside, compare."""
    scene = make_scene(lab, seed, schema)
    before = lab.show_create(schema.table)
    told = Told(seed, schema, Seen())
    _migrate(lab, scene, Stage(), told)
    _compare(lab, scene, before, told, encrypted=True)
    return told


@contextmanager
def _application(lab: Lab, seed: int, scene: Scene, stage: Stage, told: Told, *, cut: bool) -> Iterator[None]:
    """The application at work; what its threads raise is raised at the end."""
    connect = partial(lab.connect, autocommit=True, local_infile=True)
    cutting = threading.Event()
    if cut:
        cutting.set()
    chance = [random.Random(f"{seed}.{n}") for n in range(len(scene.estates) + 2)]
    with ExitStack() as stack:
        hands = [Hand(connect, told.seen, cut_on_purpose=cutting) for _ in scene.estates]
        for hand in hands:
            stack.callback(hand.close)
        threads: list[Thread] = []
        for n, (hand, estate) in enumerate(zip(hands, scene.estates, strict=True)):
            if not estate.keys:
                found = re.search(r"AUTO_INCREMENT=(\d+)", lab.show_create(scene.schema.table).rpartition("\n)")[2])
                threads.append(Counter(n, hand, estate, chance[n], stage, next_id=int(found[1]) if found else 1))
            else:
                threads.append(Writer(n, hand, estate, chance[n], stage, patient=n == 0))
        reader = Reader(connect, scene.fence, chance[-1], stage, told.seen)
        witness = Witness(connect, scene.fence, chance[-1], stage, told.seen)
        for one in (reader, witness):
            stack.callback(one.connection.close)
            threads.append(one)
        if cut:
            writers = [t.hand for t in threads if isinstance(t, Writer) and not isinstance(t, Counter)]
            threads.append(Cutter(connect, writers, chance[-2], stage, told.seen))
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            errors: list[BaseException] = []
            for thread in reversed(threads):
                thread.ending.set()
            for thread in reversed(threads):
                try:
                    thread.finish()
                except BaseException as error:  # noqa: BLE001 - the first is raised when all have ended
                    errors.append(error)
            told.reads = reader.reads + witness.reads
            told.numbers_set_back = sum(t.set_back for t in threads if isinstance(t, Counter))
            if errors:
                raise errors[0]


def _migrate(lab: Lab, scene: Scene, stage: Stage, told: Told, *, rollback_hours: int = 0) -> None:
    counted: Counted[type[Event]] = Counted()

    class Listening:
        """Hands each event on."""

        def meet(self, event: Event) -> None:
            """Note an event."""
            counted[type(event)] += 1
            stage.meet(event)

    defaults = {"rollback_hours": rollback_hours, "one_moment_bytes": 2**21 if told.seed % 3 == 0 else 0}
    plan = lab.plan(scene.schema.table, defaults=SMALL.model_copy(update=defaults))
    (step,) = plan.steps
    if step.method is not scene.schema.method:
        told.wrong.append(f"method {step.method}, not {scene.schema.method}: {step.why}")
        return
    with small_pieces():
        ran = lab.apply(plan=plan, at=[Listening()])
        while scene.schema.relayed and ran.step.outcome == "failed" and told.again < MOST_AGAIN:
            if not any(reason in ran.step.message for reason in IN_THE_WAY):
                break
            told.again += 1
            stage.calm |= "met a duplicate" in ran.step.message
            ran = lab.apply(plan=plan, at=[Listening()])
    told.chunks, told.ranges = counted[ChunkCopied], counted[RangeCopied]
    if ran.step.outcome != "done":
        told.wrong.append(f"{ran.step.outcome}: {ran.step.message}")


def _take_back(lab: Lab, scene: Scene, stage: Stage, told: Told) -> None:
    """The old table is in use again, with all that was written since; anything else is wrong."""
    options = RollbackOptions(f"{lab.schema}.{scene.schema.table}")
    try:
        with small_pieces(), closing(lab.session()) as session:
            told.taken_back = rollback(session, options, stage.meet).rows
    except MigratorError as error:
        told.wrong.append(f"not rolled back: {error}")


def _compare(lab: Lab, scene: Scene, before: str, told: Told, *, encrypted: bool) -> None:
    """Rows against the ledger, the definition against what it was, indexes against rows; and nothing of ours is left."""
    schema = scene.schema
    with closing(lab.connect(autocommit=True)) as connection, connection.cursor() as cursor:
        cursor.execute(f"SET sql_mode = '{SQL_MODE}'")
        expected = scene.expected()
        told.rows = len(expected)
        if odd := difference(expected, read(cursor, schema)):
            told.wrong.append(f"rows are not as the ledger says: {odd}")
        if count := strange(cursor, schema):
            told.wrong.append(f"{count} rows with generated columns or defaults that are not what they must be")
        cursor.execute(f"CHECK TABLE {schema.sql}")
        told.wrong += [f"CHECK TABLE: {row[2]} {row[3]}" for row in cursor.fetchall() if row[3] != "OK"]
    after = lab.show_create(schema.table)
    if definition(after) != definition(before):
        told.wrong.append(f"the definition is another one:\n{before}\n{after}")
    if encrypted != lab.encrypted(schema.table):
        told.wrong.append(f"it is {'not ' if encrypted else ''}encrypted")
    if left := [n for n in lab.names() if n.endswith(("_shadow", "_log", "_ins", "_upd", "_del"))]:
        told.wrong.append(f"left behind: {left}")
    if lab.spaces():
        told.wrong.append(f"left behind: {lab.spaces()}")
    if told.numbers_set_back > 1:
        told.wrong.append(f"AUTO_INCREMENT went back {told.numbers_set_back} times")
