"""One fault at one place of the story: done, lived through, mended, and applied again until the table is encrypted.

Whatever the fault, the same must hold: the run ends by itself and says how; the source is whole and in use;
an application that writes all the time sees no error but those that the fault's row of the table names; and
the next runs finish, with every row as the ledger has it and nothing left behind. What happened becomes the
cell of the table in docs/faults.md.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import pymysql

from migrator.db import Session
from migrator.errors import LeaseHeld, MigratorError
from migrator.events import ChunkCopied, ChunkVerified, StepStarted
from migrator.planner.plan import Defaults, Plan
from migrator.sql_errors import SqlError
from tests.proxy import Proxy
from tests.server.engine.kit import SMALL, Application, At, Lab, When, ddl, each, name, phase
from tests.server.engine.test_rows import BY_NUMBER, Everything
from tests.servers import until

if TYPE_CHECKING:
    from tests.servers.running import Connection

PHASES: Final = ("build", "log", "copy", "index", "mirror", "verify", "swap", "clean")

LEGS: Final = ("move-in", "encrypt", "move-out", "settle")
"""The phases of a relay in which something changes."""

DOES_NOT_APPLY: Final = "–"
"""The cell of a phase in which there is nothing that the fault could hit."""

QUIET: Final[dict[str, tuple[When, int]]] = {
    "build": (ddl("RENAME TABLE `migrator`.", done=True), 1),
    "log": (phase("log"), 1),
    "copy": (each(ChunkCopied), 3),
    "index": (ddl(" ADD "), 1),
    "mirror": (phase("mirror"), 1),
    "verify": (each(ChunkVerified), 2),
    "swap": (phase("swap"), 1),
    "clean": (phase("clean"), 1),
    "move-in": (ddl(" TABLESPACE = `migrator_relay"), 1),
    "encrypt": (phase("encrypt"), 1),
    "move-out": (ddl(" TABLESPACE = innodb_file_per_table"), 1),
    "settle": (phase("settle"), 1),
}
"""In each phase a moment at which nothing of ours locks the table: a person and the application can work on it."""

DEEP: Final = QUIET | {
    "log": (ddl("AFTER UPDATE", done=True), 1),
    "mirror": (ddl("_t_mirror_upd` AFTER", done=True), 1),
    "swap": (ddl("_t_retained`"), 1),
    "clean": (ddl("DROP TRIGGER", done=True), 5),
    "move-in": (ddl(" TABLESPACE = `migrator_relay", done=True), 1),
    "encrypt": (ddl("ALTER TABLESPACE", done=True), 1),
    "move-out": (ddl(" TABLESPACE = innodb_file_per_table", done=True), 1),
    "settle": (ddl("DROP TABLESPACE", done=True), 1),
}
"""The same, and where there is an exclusive moment, in the midst of it: tables locked, triggers half made. Of a relay:
right after the leg's statement, before anything else."""

STATEMENT: Final[dict[str, tuple[str, int]]] = {
    "build": ("RENAME TABLE `migrator`", 1),
    "log": ("AFTER UPDATE ON", 1),
    "copy": ("INSERT INTO `{s}`.`_t_shadow`", 2),
    "index": ("ADD UNIQUE KEY", 1),
    "mirror": ("_t_mirror_upd`", 1),
    "verify": ("STRAIGHT_JOIN", 2),
    "swap": ("RENAME TABLE `{s}`.`t`", 1),
    "clean": ("DROP TABLE `{s}`.`_t_log`", 1),
    "move-in": ("ALTER TABLE `{s}`.`t` TABLESPACE = `migrator_relay", 1),
    "encrypt": ("ALTER TABLESPACE `migrator_relay", 1),
    "move-out": ("ALTER TABLE `{s}`.`t` TABLESPACE = innodb_file_per_table", 1),
    "settle": ("DROP TABLESPACE `migrator_relay", 1),
}
"""The statement of each phase that matters most, by which the proxy finds it, and which of them."""

SHORT: Final = SMALL.model_copy(update={"swap_wait_seconds": 1, "moment_wait_seconds": 1})
"""A plan that does not wait long for anybody."""

AFTER_THE_SWAP: Final = frozenset({"clean"})


# -- the application --------------------------------------------------------------------------------


class Patient(Application):
    """An application that counts its errors, rolls back, and goes on; with its connection lost it makes another.

    Each transaction writes the table and the ledger, so one that fails changes neither.
    """

    def __init__(self, lab: Lab, table: str) -> None:
        self._lab = lab
        self.errors: list[int] = []
        self._everything = Everything("id", "{n}0")
        super().__init__(self._connect(), name(table), lab.in_ledger(table))

    def _connect(self) -> Connection:
        connection = self._lab.connect()
        with connection.cursor() as cursor:
            cursor.execute("SET innodb_lock_wait_timeout = 1, lock_wait_timeout = 10")
        return connection

    def write(self, *statements: str, commit: bool = True) -> None:
        """A transaction; if it fails, its error is noted."""
        try:
            super().write(*statements, commit=commit)
        except pymysql.err.Error as error:
            self.errors.append(int(error.args[0]))
            self._roll_back()

    def _roll_back(self) -> None:
        try:
            self.connection.rollback()
        except pymysql.err.Error:
            if self.connection.open:
                self.connection.close()
            self.connection = self._connect()

    def join_again(self) -> None:
        """If its connection has died with the server, it has another one."""
        try:
            self.connection.ping(reconnect=False)
        except pymysql.err.Error:
            self.connection = self._connect()

    def end(self) -> None:
        """Its connection is closed."""
        if self.connection.open:
            self.connection.close()

    def work(self) -> set[int]:
        """Do all that an application does to rows; the errors that it saw."""
        before = len(self.errors)
        self._everything(self)
        return set(self.errors[before:])


# -- the scene --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one run ended."""

    code: int
    message: str = ""
    remedy: str = ""
    began: bool = False
    """It had something to do with the table."""
    resumed: bool = False
    """It went on with what an earlier run had done."""


@dataclass(slots=True)
class Scene:
    """What a fault may use: the laboratory, the application, a proxy, and a place for what must be ended afterwards."""

    lab: Lab
    phase: str
    app: Patient
    proxy: Proxy
    after: ExitStack
    """What is ended with the scene."""
    stop: threading.Event = field(default_factory=threading.Event)
    first: Attempt | None = None
    """How the first run ended."""
    kept: dict[str, Any] = field(default_factory=dict)
    """What the fault leaves for its mending."""

    def on_both(self, *statements: str) -> None:
        """Do to the table and to its ledger what a person does to the table; `{t}` stands for either."""
        for place in (name("t"), self.lab.in_ledger("t")):
            self.lab.run(*(statement.replace("{t}", place) for statement in statements))

    def statement(self) -> tuple[str, int]:
        """Words by which the proxy knows the statement of this phase, and which of them it is."""
        words, nth = STATEMENT[self.phase]
        return words.format(s=self.lab.schema), nth


Does = Callable[[Scene], object]

Place = Literal["quiet", "deep", "statement"]


def nothing(scene: Scene) -> bool:
    """Nobody has to do anything."""
    return False


@dataclass(frozen=True, slots=True)
class Fault:
    """A row of the table."""

    what: str
    """What is done, as the table says it."""
    do: Does
    mend: Does = nothing
    """What a person does when the first run has ended, before the next; gives False if there was nothing to do."""
    where: Sequence[str] = PHASES
    """The phases in which there is something for it to hit."""
    at: Place = "quiet"
    """At a quiet moment of the phase; in the midst of its exclusive moment; or by the proxy, at its statement."""
    of_its_own: frozenset[int] = frozenset()
    """Errors that the application would have seen without us."""
    ours: frozenset[int] = frozenset()
    """Errors that it sees because of us, until somebody mends it: documented in docs/what-if.md."""
    down: bool = False
    """The server does not answer until it is mended."""
    defaults: Defaults = SMALL
    patience_seconds: float = 60.0
    lease_seconds: float = 30.0
    table: tuple[str, str] = BY_NUMBER
    new_server: bool = False
    """The sizes of the server's files matter: its undo log must be small, and no binlog reach its limit."""
    gone: bool = False
    """The table itself is gone afterwards: there is nothing to encrypt any more."""


def live_through(lab: Lab, fault: Fault, where: str) -> str:
    """Do a fault in a phase; assert what must hold whatever happens; give the cell of the table."""
    lab.table("t", *fault.table)
    plan = lab.plan("t", defaults=fault.defaults)
    to = lab.server.server
    with ExitStack() as after, Proxy(to.host, to.port) as proxy:
        app = Patient(lab, "t")
        after.callback(app.end)
        scene = Scene(lab, where, app, proxy, after, kept={"plan": plan})
        scene.first = first = _first_run(scene, fault, plan)
        if not fault.down and first.code:
            app.work()
        seen = set(app.errors)
        assert seen <= fault.of_its_own | fault.ours, f"the application saw {sorted(seen)}"
        if first.code:
            _assert_said(first)
            if not fault.down and not fault.gone:
                _assert_source_whole(scene)
        mended = fault.mend(scene) is not False
        attempts = [first, *_until_done(scene, plan, fault, first)]
        if not fault.gone:
            app.join_again()
            assert not app.work(), "an error after everything was mended"
            lab.assert_done("t")
            assert not lab.spaces()
        else:
            assert not [n for n in lab.names() if n.startswith("_t_")]
            assert not lab.spaces()
    return _cell(attempts, seen & fault.ours, mended=mended, gone=fault.gone)


def _first_run(scene: Scene, fault: Fault, plan: Plan) -> Attempt:
    """Apply, with the application at work before the fault and, where it can be, right after it."""
    when, nth = (QUIET if fault.at == "quiet" else DEEP)[scene.phase]

    def inflict() -> None:
        fault.do(scene)
        if fault.at == "quiet" and not fault.down and not fault.gone:
            scene.app.work()

    moment = At(when, inflict, nth)
    if fault.at == "statement":
        moment = At(when, lambda: None, nth)
        fault.do(scene)
    busy = [] if scene.phase == "build" else [At(each(ChunkCopied), scene.app.work, 2)]
    session = through(scene.lab, scene.proxy, patience_seconds=fault.patience_seconds)
    attempt = attempted(scene, plan, at=[*busy, moment], session=session, lease_seconds=fault.lease_seconds)
    assert moment.seen >= nth or scene.proxy.cuts, f"the run never came to {scene.phase}: {attempt}"
    assert fault.at != "statement" or scene.proxy.cuts == 1, "the proxy did not meet the statement"
    return attempt


def through(lab: Lab, proxy: Proxy, *, patience_seconds: float = 60.0) -> Session:
    """A session by way of the proxy, in clear, so that the proxy can read statements."""
    to = lab.session(host=proxy.host, port=proxy.port, ssl_mode="DISABLED")
    with closing(to):
        return Session(to._to, patience_seconds=patience_seconds)


def attempted(
    scene: Scene,
    plan: Plan,
    *,
    at: Sequence[At] = (),
    session: Session | None = None,
    lease_seconds: float = 30.0,
) -> Attempt:
    """One run, and how it ended. What is not an error of ours (a bug) is raised."""
    try:
        ran = scene.lab.apply(plan=plan, at=at, session=session, stop=scene.stop, lease_seconds=lease_seconds)
        said = [(step.message, step.remedy) for step in ran.outcome.steps]
        code, (message, remedy) = ran.outcome.exit_code, said[0] if said else ("", "")
    except MigratorError as error:
        code, message, remedy = error.exit_code, error.message, error.remedy
    except SqlError as error:  # as the command line tells it
        code, message, remedy = 3, str(error), "mend what it says"
    assert code != 70, f"a bug: {message}"
    started = [event for event in scene.lab.events if isinstance(event, StepStarted)]
    return Attempt(code, message, remedy, bool(started), any(event.resumed for event in started))


def _until_done(scene: Scene, plan: Plan, fault: Fault, first: Attempt) -> list[Attempt]:
    """Apply again, planning again where a run says so, until it is done; at most three times."""
    attempts: list[Attempt] = []
    last = first
    while last.code and len(attempts) < 3:
        scene.stop.clear()
        if last.code == 2:
            plan = scene.lab.plan("t", defaults=fault.defaults)
        last = when_free(scene, plan)
        attempts.append(last)
    assert not last.code, f"still not done: {last}"
    return attempts


def when_free(scene: Scene, plan: Plan) -> Attempt:
    """A run as soon as the lease of one that died is over."""
    found: list[Attempt] = []

    def free() -> bool:
        attempt = attempted(scene, plan)
        if attempt.code == LeaseHeld.exit_code and "is at work on this server" in attempt.message:
            return False
        found.append(attempt)
        return True

    until(free, "the lease of the dead run is over", seconds=40)
    return found[0]


def _assert_said(first: Attempt) -> None:
    """A run that did not finish says what happened and what to do."""
    assert first.code in {1, 2, 3, 4, 75}, first
    assert first.message and first.remedy, first


def _assert_source_whole(scene: Scene) -> None:
    """The table is there, has every row, and is not swapped by half."""
    scene.lab.assert_equal("t")
    names = scene.lab.names()
    assert "t" in names
    if scene.phase not in {*AFTER_THE_SWAP, *LEGS}:
        assert scene.lab.encrypted("t") == ("_t_retained" in names)


def _cell(attempts: Sequence[Attempt], seen: set[int], *, mended: bool, gone: bool) -> str:
    """In words: how the first run ended, and what the next ones did."""
    *others, last = attempts
    if not others:
        text = "finishes"
    else:
        codes = ", ".join(str(one.code) for one in others)
        after = "goes on" if last.resumed else "anew" if last.began else "is done"
        text = f"{codes}; {'mend, ' * mended}{after}"
        if gone:
            text = f"{codes}; nothing left"
    return text + (f" (application: {', '.join(map(str, sorted(seen)))})" if seen else "")


def matrix(faults: dict[str, Fault]) -> list[tuple[str, str]]:
    """Fault and phase, for each cell that has something to try."""
    return [(fault, where) for fault in faults for where in faults[fault].where]
