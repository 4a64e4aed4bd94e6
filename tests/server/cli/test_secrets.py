"""What a whole life prints, writes and shows: never the password, a key or a row.

The one place of keys is the journal, until a table is done: where ranges begin and end is where a run goes on. It lies
encrypted. And what we say to the server it can log, as with any client: the places of ranges are in statements.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.server.cli.held import each, phase
from tests.server.cli.kit import Desk
from tests.server.cli.search import LOGS, Search, family, forms

KEY, UNIQUE, ROW, PASSWORD = "kEy+CaNaRy4410", "uNi+CaNaRy5521", "rOw+CaNaRy6632", "pAs+CaNaRy7743"

TABLE = (
    "CREATE TABLE t (id VARCHAR(40) PRIMARY KEY, n INT NOT NULL, u VARCHAR(40) UNIQUE, v VARCHAR(500), KEY v (v(20)))",
    "INSERT INTO t WITH RECURSIVE r (i) AS (SELECT /*+ SET_VAR(cte_max_recursion_depth = 100000) */ 1"
    " UNION ALL SELECT i + 1 FROM r WHERE i < 3000)"
    f" SELECT CONCAT('{KEY}', LPAD(i, 8, '0')), i, CONCAT('{UNIQUE}', i), CONCAT('{ROW}', i, REPEAT('x', 380)) FROM r",
    "ANALYZE TABLE t",  # by its size the engine decides what is deferred, and how large chunks are
)

AT_WORK = {("journal at work: ranges", "key"), ("journal at work: steps", "key")}

MAY_BE_SEEN = AT_WORK | {(place, "key") for place in (*LOGS, "sessions", "the process list", "statements", "digests")}
"""Where places of the key are, and may be."""


@pytest.fixture
def search(desk: Desk) -> Search:
    """Looks for what is in `TABLE`, and for the password of the account."""
    desk.server.rows(f"ALTER USER '{desk.account.user}'@'%%' IDENTIFIED BY %s", PASSWORD)
    desk.options.write_text(desk.options.read_text().replace(desk.account.password, PASSWORD))
    desk.secrets.append(PASSWORD)
    desk.run(*TABLE)
    return Search({"password": PASSWORD, "key": KEY, "unique value": UNIQUE, "row": ROW})


@pytest.fixture(autouse=True)
def the_password_as_it_was(desk: Desk) -> Iterator[None]:
    """The account is others' too."""
    yield
    desk.server.rows(f"ALTER USER '{desk.account.user}'@'%%' IDENTIFIED BY %s", desk.account.password)


@pytest.fixture
def logged(desk: Desk) -> Iterator[None]:
    """The server logs every statement, and how long it took, into tables, and has forgotten those of others."""
    desk.server.rows("TRUNCATE performance_schema.events_statements_summary_by_digest")
    desk.server.rows("SET GLOBAL log_output = 'TABLE'")
    desk.server.rows("SET GLOBAL long_query_time = 0")
    settings = [f"SET GLOBAL {name} = %s" for name in LOGS[:1]] + ["SET GLOBAL slow_query_log = %s"]
    for log in LOGS:
        desk.server.rows(f"TRUNCATE mysql.{log}")
    for setting in settings:
        desk.server.rows(setting, 1)
    try:
        yield
    finally:
        for setting in settings:
            desk.server.rows(setting, 0)
        desk.server.rows("SET GLOBAL long_query_time = DEFAULT")
        desk.server.rows("SET GLOBAL log_output = DEFAULT")
        for log in LOGS:
            desk.server.rows(f"TRUNCATE mysql.{log}")


# -- the search itself ------------------------------------------------------------------------


def test_the_search_finds_every_form() -> None:
    """As it is, in other case, in hex, in base64 wherever it begins, in an address, in two bytes a character."""
    search = Search({"it": PASSWORD})
    for number, (form, _) in enumerate(sorted(forms(PASSWORD))):
        search.look(f"form {number}", b"before" + form + b"after")
    search.look("upper", f"... {PASSWORD.upper()} ...")
    search.look("hex", f"0x{PASSWORD.encode().hex().upper()}")
    for before in ("", "x", "xy", "xyz"):
        text = subprocess.run(
            ["base64", "-w0"], input=f"{before}{PASSWORD}yx", capture_output=True, text=True, check=True
        ).stdout
        search.look(f"base64 after {before}", text)
    assert {place for place, _ in search.found} == set(search.places)
    search.look("nothing", "pAs+CaNaRy774 pasXcanary7743")
    assert ("nothing", "it") not in search.found


def test_the_search_finds_what_is_planted(desk: Desk, search: Search, logged: None, tmp_path: Path) -> None:
    """In files, arguments and environments of a process and of its child, sessions, logs and the journal."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "report.html").write_text(f"<td>{ROW}17xxx</td>")
    search.look_at_files("files", tmp_path / "a")
    child = "import sys; print(flush=True); sys.stdin.read()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}, sys.stdin.readline()])"
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"SECRET": PASSWORD}
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(f"{KEY}\n".encode())
        process.stdin.flush()
        process.stdout.readline()
        assert len(family(process.pid)) == 2
        search.look_at_processes("processes", process.pid)
        process.stdin.close()
    desk.migrator("apply", desk.plan("--direct-below=0"))
    desk.server.rows("UPDATE migrator.steps SET message = %s", f"duplicate {UNIQUE}5")
    search.look_at_journal(desk.server)
    who = {"user": desk.account.user, "password": PASSWORD}
    with closing(desk.server.connect(**who, program_name=PASSWORD)) as session, session.cursor() as cursor:
        cursor.execute("SET @a = %s", (ROW,))
        search.look_at_sessions(desk.account)
    search.look_at_logs(desk.account)
    assert search.found >= {
        ("files", "row"),
        ("processes: arguments", "key"),
        ("processes: environment", "password"),
        ("journal: steps", "unique value"),
        ("attributes of sessions", "password"),
        ("variables of users", "row"),
        ("statements", "row"),
        ("general_log", "row"),
    }


# -- a whole life -----------------------------------------------------------------------------


@pytest.mark.timeout(900)  # some thirty commands
def test_a_whole_life(desk: Desk, search: Search, logged: None) -> None:
    """Every command in every format, a run that fails and those that go on, seen by processes, sessions and logs."""

    def say(command: str, *words: object, codes: frozenset[int] = frozenset({0, 1})) -> None:
        ran = desk.migrator(command, *words)
        assert ran.code in codes, ran
        search.look(command, ran.out)
        search.look(f"{command}: stderr", ran.err)

    scope = f"--databases={desk.schema}"
    for format in ("table", "json", "html"):
        say("audit", scope, f"--format={format}", "--debug")
    plan = desk.plan("--direct-below=0", "--rollback-hours=24h", "--debug")
    search.look("plan", plan.read_text())
    for format in ("text", "markdown", "html", "json"):
        say("dry-run", plan, f"--format={format}", "--debug")

    held = desk.held(plan, "--debug")
    held.hold(each("ChunkCopied"), 2)
    search.look_at_processes("apply", held.pid)
    search.look_at_sessions(desk.account)
    search.look_at_journal(desk.server, "journal at work")
    assert search.found >= AT_WORK
    for format in ("table", "json"):
        say("status", f"--format={format}", "--debug")
    say("pause", "--debug")
    say("unpause", "--debug")
    # A row that is in the way of another when the unique index is built, with its value in the server's message; its
    # key is below all others, so that no worker takes it for a place that it has come to.
    desk.run(f"INSERT INTO _t_shadow VALUES ('{KEY}00000000', -1, '{UNIQUE}2990', '{ROW}')")
    desk.run("UPDATE t SET v = CONCAT(v, '!') WHERE n % 7 = 0", "DELETE FROM t WHERE n % 101 = 0")
    held.hold(phase("verify"))  # of the copy that was begun anew, with the unique index from the start
    desk.run("UPDATE _t_shadow SET v = 'another' WHERE n = 1500")
    search.look_at_sessions(desk.account)
    ran = held.finish()
    ran.says("1062", "differ")
    assert ran.code == 3, ran
    search.look("apply with a difference", ran.out + ran.err)
    say("status", "--format=json")
    say("apply", plan, "--debug")
    for format in ("table", "json", "html"):
        say("verify", scope, f"--format={format}", "--debug")
    search.look_at_journal(desk.server)
    say("rollback", "--dry-run", "--format=json", f"{desk.schema}.t", "--debug")
    say("rollback", f"{desk.schema}.t", "--debug")
    say("apply", plan, "--debug", codes=frozenset({0, 1, 2, 3}))
    for format in ("table", "json"):
        say("cleanup", "--now", f"--format={format}", "--debug")
    search.look_at_journal(desk.server)
    search.look_at_logs(desk.account)
    search.look_at_sessions(desk.account)
    for place in ("audit", "audit: stderr", "apply: stderr", "apply: arguments", "apply: environment", *LOGS):
        assert search.places[place] > 20, f"nothing was looked at: {place}"
    assert search.found <= MAY_BE_SEEN


BUG = """
import migrator.db

real = migrator.db.Session.run_exact

def run_exact(session, statement, args=()):
    if "INSERT" in str(getattr(statement, "text", statement)):
        rows = session.rows("SELECT * FROM PLACE.t LIMIT 9")
        raise ValueError(repr(statement), repr(args), session._to.password, rows)
    return real(session, statement, args)

migrator.db.Session.run_exact = run_exact
"""


@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_a_bug_of_ours(desk: Desk, search: Search, debug: list[str]) -> None:
    """An error that nobody expected, with all there is in its text: its type and place are said, in a worker too."""
    plan = desk.plan("--direct-below=0")
    (desk.folder / "sitecustomize.py").write_text(BUG.replace("PLACE", desk.schema))
    path = os.pathsep.join([str(desk.folder), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    loud = {"PYTHONPATH": path, "PYTHONFAULTHANDLER": "1", "PYTHONDEVMODE": "1"}
    ran = desk.migrator("apply", plan, "--events", *debug, **loud)
    assert ran.code == 70, ran
    ran.says("ValueError at sitecustomize.py")
    search.look("stdout", ran.out)
    search.look("stderr", ran.err)
    assert not search.found


@pytest.mark.parametrize("way", ["option file", "-p", "--password", "MYSQL_PWD"])
def test_no_process_shows_the_password(desk: Desk, search: Search, way: str) -> None:
    """Neither the arguments of a run, once it works, nor the environment of anything that it starts."""
    plan = desk.plan("--direct-below=0")
    server = desk.server.server
    where: list[str] | None = ["--no-defaults", f"-h{server.host}", f"-P{server.port}", f"-u{desk.account.user}"]
    environment = {}
    if way == "option file":
        where = None
    elif way == "MYSQL_PWD":
        environment = {"MYSQL_PWD": PASSWORD}
    else:
        where = [*(where or ()), f"{way}={PASSWORD}" if way == "--password" else f"-p{PASSWORD}"]
    held = desk.held(plan, connection=where, **environment)
    held.hold(each("ChunkCopied"))
    # What somebody has put into the environment of the run itself is there, for this user; children have none of it.
    search.look_at_processes("run", held.pid, environment=way != "MYSQL_PWD")
    assert not search.found
    assert search.places["run: arguments"] > 20
    ran = held.finish()
    assert ran.code == 0, ran
    assert ("MYSQL_PWD can be read" in ran.err) is (way == "MYSQL_PWD")


def test_no_child_inherits_the_password() -> None:
    """MYSQL_PWD is out of the environment before a command begins, so that nothing that we start has it."""
    code = (
        "import subprocess, sys; from migrator.cli import main; sys.argv = ['migrator', '--version']; main();"
        " subprocess.run(['env'], check=True)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"MYSQL_PWD": PASSWORD, "OTHER": "is-there"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "is-there" in shown
    assert PASSWORD not in shown
