"""`plan --harden`: logs, defaults and the check of privileges as steps of a plan, on a server of its own.

Each test runs the installed command; what is so afterwards is asked of the server, and read in its files.
"""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from tests.server.cli.held import ddl
from tests.server.cli.kit import ALL_SHADOW, Desk, desk_on, edit
from tests.servers import NoServer, RunningServer, least_privileged, start, until

SCHEMA = "t_harden"
VARIABLES = (
    "binlog_encryption",
    "innodb_redo_log_encrypt",
    "innodb_undo_log_encrypt",
    "default_table_encryption",
    "table_encryption_privilege_check",
)
IN_ORDER = [
    "@@binlog_encryption",
    "@@innodb_redo_log_encrypt",
    "@@innodb_undo_log_encrypt",
    f"schema {SCHEMA}",
    "@@default_table_encryption",
    f"{SCHEMA}.small",
    f"{SCHEMA}.t",
    "@@table_encryption_privilege_check",
]
RIGHTS = "SYSTEM_VARIABLES_ADMIN, BINLOG_ENCRYPTION_ADMIN, SUPER"
ENCRYPTED_BINLOG, PLAIN_BINLOG = b"\xfd\x62\x69\x6e", b"\xfe\x62\x69\x6e"


@pytest.fixture(scope="module")
def own() -> Iterator[RunningServer]:
    """A server whose settings are ours to change."""
    options = ["--innodb-buffer-pool-size=64M", "--innodb-redo-log-capacity=64M"]
    with start(options=options, name="harden") as server:
        yield server


@pytest.fixture
def desk(own: RunningServer, tmp_path: Path) -> Iterator[Desk]:
    """An account that may also change settings, at a schema in clear, on a server where everything is off."""
    own.rows(f"CREATE DATABASE {SCHEMA}")
    try:
        with least_privileged(own) as account, desk_on(own, account, SCHEMA, tmp_path / "desk") as desk:
            desk.run(f"GRANT {RIGHTS} ON *.* TO '{account.user}'@'%'")
            yield desk
    finally:
        for variable in reversed(VARIABLES):
            own.rows(f"SET GLOBAL {variable} = OFF")
            own.rows(f"RESET PERSIST IF EXISTS {variable}")
        own.rows(f"DROP DATABASE {SCHEMA}")


def harden(desk: Desk, words: str = "all", *arguments: object, attest: bool = True) -> Path:
    """A plan with steps for settings, for two tables."""
    return desk.plan(*ALL_SHADOW, "--no-mysql-tablespace", f"--harden={words}", *arguments, attest=attest)


def values(desk: Desk) -> dict[str, int]:
    """The global values now."""
    return {one: int(desk.value(f"SELECT @@GLOBAL.{one}")) for one in VARIABLES}


def born_encrypted(desk: Desk, schema: str = SCHEMA) -> bool:
    """The schema's default."""
    query = "SELECT DEFAULT_ENCRYPTION FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s"
    return bool(desk.value(query, schema) == "YES")


def persisted(desk: Desk) -> set[str]:
    """What lasts over a restart, with ON."""
    query = "SELECT VARIABLE_NAME FROM performance_schema.persisted_variables WHERE VARIABLE_VALUE = 'ON'"
    return {str(one) for (one,) in desk.server.rows(query)}


def steps_of(plan: Path) -> list[str]:
    """The comments above the steps."""
    lines = plan.read_text().split("\nsteps:", 1)[1].splitlines()
    return [line.strip(" #") for line in lines if line.startswith("  # ")]


def in_order(subjects: Iterable[str]) -> list[str]:
    """The subjects, in their order; small tables are done side by side, so whichever of them was first."""
    found = list(subjects)
    tables = [n for n, one in enumerate(found) if one.startswith(f"{SCHEMA}.")]
    for n, one in zip(tables, sorted(found[n] for n in tables), strict=True):
        assert tables == list(range(tables[0], tables[-1] + 1)), "something came between tables"
        found[n] = one
    return found


def datadir_of(desk: Desk) -> Path:
    """Where its files are, if they are here."""
    if desk.server.server.datadir is None:
        pytest.skip("the server's files cannot be read from here")
    return desk.server.server.datadir


def tables(desk: Desk) -> None:
    """Two tables; the one that is larger is called `t`."""
    desk.table("small", rows=20)
    desk.table("t", rows=400)


# -- all of it --------------------------------------------------------------------------------------


def test_everything_is_switched_on_in_its_order(desk: Desk) -> None:
    """Logs, schema, default, tables, check; values before and after; persisted; verify and a second apply know it."""
    tables(desk)
    assert not any(values(desk).values())
    first_plain = str(desk.server.rows("SHOW BINARY LOGS")[-1][0])
    plan = harden(desk)
    ours = [one for one in steps_of(plan) if not one.startswith(f"{SCHEMA}_ledger")]
    assert [one.split(":")[0] for one in ours] == IN_ORDER
    ran = desk.migrator("apply", plan, "--events")
    assert ran.code == 0, ran
    assert in_order(event["subject"] for event in ran.of("StepStarted")) == IN_ORDER
    assert in_order(event["subject"] for event in ran.of("StepEnded") if event["outcome"] == "done") == IN_ORDER
    assert all(values(desk).values())
    assert persisted(desk) == set(VARIABLES)
    assert born_encrypted(desk)
    for table in ("small", "t"):
        desk.assert_equal(table)
        assert desk.encrypted(table)
    logs = {str(log): str(state) for log, _, state in desk.server.rows("SHOW BINARY LOGS")}
    assert logs[first_plain] == "No"
    assert list(logs.values())[-1] == "Yes"
    ran.says("By hand", "PURGE BINARY LOGS TO", "ALTER UNDO TABLESPACE `innodb_undo_001` SET INACTIVE")
    verified = desk.migrator("verify", "--format=json").json["proofs"]
    proofs = {one["name"]: one for one in verified if one["name"] in IN_ORDER}
    assert {one for one, proof in proofs.items() if proof["encrypted"] and proof["expected"]} >= {
        *(f"@@{variable}" for variable in VARIABLES)
    }
    status = desk.migrator("status", "--format=json").json["run"]["steps"]
    assert in_order(one["subject"] for one in status) == IN_ORDER
    assert {one["state"] for one in status} == {"done"}
    with desk.nothing_left(but=("table `migrator`.`runs`", "table `migrator`.`control`")):
        again = desk.migrator("apply", plan)
    assert again.code == 0, again


def test_new_plain_tables_are_refused_afterwards(desk: Desk) -> None:
    """What the finding `may-refuse-create` warns of: error 3826 for an account without the right."""
    tables(desk)
    plan = harden(desk)
    assert "may-refuse-create" in plan.read_text()
    assert desk.migrator("apply", plan).code == 0
    desk.run("CREATE USER app IDENTIFIED BY 'app'", f"GRANT ALL ON {SCHEMA}.* TO app")
    try:
        with closing(desk.server.connect(user="app", password="app", database=SCHEMA)) as app, app.cursor() as cursor:
            cursor.execute("CREATE TABLE born (id INT PRIMARY KEY)")
            with pytest.raises(Exception, match="3826"):
                cursor.execute("CREATE TABLE plain (id INT PRIMARY KEY) ENCRYPTION = 'N'")
        assert desk.encrypted("born")
    finally:
        desk.run("DROP USER app")


def found(canary: str, *files: Path) -> list[str]:
    """In which of the files it stands; one that the server has meanwhile taken away, as it does with redo, has none."""

    def has(file: Path) -> bool:
        with suppress(FileNotFoundError):
            return canary.encode() in file.read_bytes()
        return False

    return [file.name for file in files if has(file)]


def all_logs(desk: Desk) -> list[Path]:
    """Redo, undo, and the newest binary log."""
    datadir = datadir_of(desk)
    newest = str(desk.server.rows("SHOW BINARY LOGS")[-1][0])
    return [*(datadir / "#innodb_redo").iterdir(), *datadir.glob("undo_*"), datadir / newest]


def write_canary(desk: Desk, canary: str) -> None:
    """A row that was there with it, and was changed: it stands in binlog and redo, and its old value in undo."""
    desk.run(
        f"INSERT INTO t (id, n, note) VALUES ('x{canary}', {abs(hash(canary)) % 10**8}, '{canary}')",
        "SET GLOBAL innodb_max_dirty_pages_pct = 0",
    )
    with closing(desk.connect(autocommit=False)) as open_one, open_one.cursor() as cursor:
        cursor.execute(f"UPDATE t SET note = 'gone' WHERE note = '{canary}'")
        until(lambda: dirty(desk) == 0, "all pages are written")
    desk.run("SET GLOBAL innodb_max_dirty_pages_pct = 90")


def dirty(desk: Desk) -> int:
    """Pages that are not written yet."""
    ((_, number),) = desk.server.rows("SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'")
    return int(number)


def test_rows_are_in_no_log_any_more(desk: Desk) -> None:
    """Before, a row stands in clear in redo, undo and binlog; one that is written afterwards in none of them."""
    tables(desk)
    before, after = "before-it-was-hardened-4711", "after-it-was-hardened-4711"
    write_canary(desk, before)
    binlog = all_logs(desk)[-1]
    assert binlog.read_bytes()[:4] == PLAIN_BINLOG
    kinds = {one.rstrip("0123456789").rstrip("_.") for one in found(before, *all_logs(desk))}
    assert kinds >= {"#ib_redo", "undo", "binlog"}, kinds
    assert desk.migrator("apply", harden(desk, "binlog,redo,undo")).code == 0
    write_canary(desk, after)
    newest = all_logs(desk)[-1]
    assert newest.read_bytes()[:4] == ENCRYPTED_BINLOG
    assert found(after, *all_logs(desk)) == []
    value = desk.folder / "canary"
    value.write_text(after)
    whole = desk.migrator("verify", "--files", f"--canary={value}", f"--databases={SCHEMA}", "--format=json")
    assert whole.json["files"]["canary"]["hits"] == [], whole


def is_empty(desk: Desk, space: str) -> bool:
    """True when the server has emptied an undo tablespace that is inactive."""
    query = "SELECT STATE FROM information_schema.INNODB_TABLESPACES WHERE NAME = %s"
    return bool(desk.value(query, space) == "empty")


def test_what_is_left_by_hand(desk: Desk) -> None:
    """The statements of the summary, sent by a person, take away what was in clear; then nothing is said any more."""
    tables(desk)
    before = "before-it-was-hardened-4712"
    write_canary(desk, before)
    plan = harden(desk, "binlog,redo,undo")
    ran = desk.migrator("apply", plan, "--format=json")
    by_hand = ran.json["by_hand"]
    assert found(before, *datadir_of(desk).glob("undo_*"), *datadir_of(desk).glob("binlog.0*"))
    for statement in by_hand:
        desk.run(statement.partition("  -- ")[0])
        if "SET INACTIVE" in statement:
            space = statement.split()[3].strip("`")
            until(partial(is_empty, desk, space), f"{space} is empty")
    assert found(before, *datadir_of(desk).glob("undo_*"), *datadir_of(desk).glob("binlog.0*")) == []
    assert {str(state) for *_, state in desk.server.rows("SHOW BINARY LOGS")} == {"Yes"}
    assert desk.migrator("apply", plan, "--format=json").json["by_hand"] == []


# -- what was said before ---------------------------------------------------------------------------


def test_the_review_has_it(desk: Desk) -> None:
    """`dry-run` shows the statements, the locks, the notes, and changes nothing."""
    tables(desk)
    plan = harden(desk)
    with desk.nothing_left():
        ran = desk.migrator("dry-run", plan)
    assert ran.code == 0, ran
    for words in (
        "SET PERSIST binlog_encryption = ON;",
        "SET PERSIST table_encryption_privilege_check = ON;",
        f"ALTER SCHEMA `{SCHEMA}` DEFAULT ENCRYPTION = 'Y';",
        f"schema default  the schema {SCHEMA}",
        "PURGE BINARY LOGS TO",
        "needs-keyring",
        "may-refuse-create",
        "an instant was seen in which nobody used a table of the schema",
    ):
        assert words in ran.out or words in " ".join(ran.out.split()), words
    assert "plain-binlog" not in ran.out


def test_without_it_nothing_is_different(desk: Desk) -> None:
    """A plan without `--harden` has no such step, and one line says that there are some."""
    tables(desk)
    path = desk.folder / "plain.yaml"
    ran = desk.migrator("plan", "-o", path, f"--databases={SCHEMA}", "--no-mysql-tablespace")
    assert "kind: setting" not in path.read_text()
    ran.says("migrator plan --harden all")
    assert "--harden all" in desk.migrator("audit", f"--databases={SCHEMA}").out
    assert "--harden all" not in desk.migrator("plan", "--harden=binlog", f"--databases={SCHEMA}").err


def test_words_that_nobody_knows(desk: Desk) -> None:
    """A wrong word, in the option or in the file, is exit 2 and named."""
    with desk.untouched():
        ran = desk.migrator("plan", "--harden=binlog,everything")
    assert ran.code == 2, ran
    ran.says("'everything'", "privilege-check")
    plan = harden(desk, "binlog")
    edit(plan, "    - binlog\n", "    - bin-log\n")
    ran = desk.migrator("apply", plan)
    assert ran.code == 2, ran


@pytest.mark.parametrize(
    ("taken", "words", "named"),
    [
        ("SYSTEM_VARIABLES_ADMIN, SUPER", "redo", "GRANT SYSTEM_VARIABLES_ADMIN ON *.*"),
        ("BINLOG_ENCRYPTION_ADMIN, SUPER", "binlog", "GRANT BINLOG_ENCRYPTION_ADMIN ON *.*"),
        ("TABLE_ENCRYPTION_ADMIN", "default", "GRANT TABLE_ENCRYPTION_ADMIN ON *.*"),
        ("SUPER", "privilege-check", "GRANT SUPER ON *.*"),
    ],
)
def test_missing_rights(desk: Desk, taken: str, words: str, named: str) -> None:
    """Said by `plan`, refused by `apply` with the GRANT, nothing touched; with that GRANT it is done."""
    tables(desk)
    desk.run(f"REVOKE {taken} ON *.* FROM '{desk.account.user}'@'%'")
    path = desk.folder / "rights.yaml"
    planned = desk.migrator(
        "plan", "-o", path, f"--harden={words}", f"--databases={SCHEMA}", "--attest-keyring-backup=x, 2026-05-01"
    )
    planned.says(named, "missing-privilege")
    plan = harden(desk, words)
    with desk.untouched():
        refused = desk.migrator("apply", plan)
    assert refused.code == 3, refused
    refused.says(named)
    for statement in refused.grants():
        desk.run(statement)
    assert desk.migrator("apply", plan).code == 0


def test_alter_on_the_schema(own: RunningServer, tmp_path: Path) -> None:
    """A schema without tables to encrypt needs ALTER and nothing else; without it the plan is refused."""
    own.rows("CREATE DATABASE t_empty")
    try:
        with (
            least_privileged(own, schemas=["t\\_empty"]) as account,
            desk_on(own, account, "t_empty", tmp_path / "d") as desk,
        ):
            plan = desk.plan("--harden=schemas")
            desk.run(f"REVOKE ALTER ON `t\\_empty`.* FROM '{account.user}'@'%'")
            refused = desk.migrator("apply", plan)
            assert refused.code == 3, refused
            (statement,) = [one for one in refused.grants() if "t\\_empty" in one]
            assert statement.startswith("GRANT ALTER")
            desk.run(statement)
            assert desk.migrator("apply", plan).code == 0
            assert born_encrypted(desk, "t_empty")
    finally:
        own.rows("DROP DATABASE t_empty")


# -- what happens meanwhile -------------------------------------------------------------------------


def test_switched_on_meanwhile(desk: Desk) -> None:
    """What somebody has switched on since is no drift that stops: it is skipped."""
    tables(desk)
    plan = harden(desk, "redo,undo,schemas")
    desk.run("SET PERSIST innodb_redo_log_encrypt = ON", f"ALTER SCHEMA {SCHEMA} DEFAULT ENCRYPTION = 'Y'")
    ran = desk.migrator("apply", plan)
    assert ran.code == 0, ran
    ran.says("encrypted-meanwhile")
    assert values(desk)["innodb_undo_log_encrypt"] == 1


def test_switched_off_meanwhile(desk: Desk) -> None:
    """A plan that takes a log for encrypted is void when it is not (2); another setting is said (1)."""
    tables(desk)
    assert desk.migrator("apply", harden(desk, "redo,schemas")).code == 0
    plan = harden(desk, "redo,undo,schemas")
    assert "@@innodb_redo_log_encrypt: skip" in steps_of(plan)
    desk.run("SET GLOBAL innodb_redo_log_encrypt = OFF", f"ALTER SCHEMA {SCHEMA} DEFAULT ENCRYPTION = 'N'")
    with desk.untouched():
        ran = desk.migrator("apply", plan)
    assert ran.code == 2, ran
    ran.says("@@innodb_redo_log_encrypt: was on when the plan was made, and is off now")
    verified = desk.migrator("verify")
    assert verified.code == 1
    said = "In clear although a run encrypted it: @@innodb_redo_log_encrypt"
    assert said in " ".join(verified.out.split())
    desk.run("SET GLOBAL innodb_redo_log_encrypt = ON")
    again = desk.migrator("apply", plan)
    assert again.code == 1, again
    again.says("in-clear-now")


@pytest.mark.parametrize("at", ["SET PERSIST binlog_encryption", "ALTER SCHEMA", "SET PERSIST table_encryption"])
def test_killed_after_the_statement(desk: Desk, at: str) -> None:
    """Killed between the statement and its note, the next run sees that it is done, and goes on with the rest."""
    tables(desk)
    plan = harden(desk)
    held = desk.held(plan)
    held.hold(ddl(at, done=True))
    held.kill()
    desk.age_lease()
    ran = desk.migrator("apply", plan, "--events")
    assert ran.code == 0, ran
    sent = [event["statement"] for event in ran.of("DdlStarting")]
    assert not [statement for statement in sent if at in statement]
    assert all(values(desk).values())
    assert born_encrypted(desk)
    open_steps = "SELECT COUNT(*) FROM migrator.steps WHERE kind = 'setting' AND state = 'open'"
    assert desk.value(open_steps) == 0


def test_a_log_that_cannot_be_encrypted_ends_the_run(desk: Desk) -> None:
    """When the redo log stays in clear no table is copied: exit 3, and the reason is said."""
    tables(desk)
    plan = harden(desk, "redo,undo")
    held = desk.held(plan)
    held.hold(lambda event: event["event"] == "RunStarted")
    desk.run(f"REVOKE SYSTEM_VARIABLES_ADMIN, SUPER ON *.* FROM '{desk.account.user}'@'%'")
    for (session,) in desk.server.rows(
        "SELECT PROCESSLIST_ID FROM performance_schema.threads WHERE PROCESSLIST_USER = %s", desk.account.user
    ):
        desk.run(f"KILL {session}")
    ran = held.finish()
    assert ran.code == 3, ran
    ran.says("what is copied would be written in clear")
    assert not desk.encrypted("t")


def test_a_call_for_certain_tables(desk: Desk) -> None:
    """`apply --tables` encrypts the logs and leaves other settings to a call without it; `--max-tables` counts none."""
    tables(desk)
    plan = harden(desk)
    one = desk.migrator("apply", plan, f"--tables={SCHEMA}.small")
    assert one.code == 1, one
    assert [name for name, value in values(desk).items() if value] == list(VARIABLES[:3])
    assert not born_encrypted(desk)
    desk.table("u", rows=20)
    plan = harden(desk)
    first = desk.migrator("apply", plan, "--max-tables=1")
    assert first.code == 75, first
    assert [name for name, value in values(desk).items() if value] == list(VARIABLES[:4])
    assert born_encrypted(desk)
    assert [desk.encrypted(table) for table in ("small", "u", "t")] == [True, True, False]
    last = desk.migrator("apply", plan)
    assert last.code == 0, last
    assert all(values(desk).values())


def test_outside_of_a_window(desk: Desk) -> None:
    """Nothing is set outside of the plan's windows: exit 75; inside of one it is."""
    tables(desk)
    day = (datetime.now(UTC) + timedelta(days=3)).strftime("%a")
    assert desk.migrator("apply", harden(desk, "all", f"--window={day} 01:00-02:00 UTC")).code == 75
    assert not any(values(desk).values())
    assert desk.migrator("apply", harden(desk, "all", "--window=Mon 00:00-Sun 24:00 UTC")).code == 0
    assert all(values(desk).values())


def test_a_plan_for_certain_tables(desk: Desk) -> None:
    """With `plan --tables` no schema's default is changed, and the plan says so."""
    tables(desk)
    path = desk.folder / "some.yaml"
    ran = desk.migrator("plan", "-o", path, "--harden=redo,schemas", f"--tables={SCHEMA}.t")
    assert ran.code == 0, ran
    text = path.read_text()
    assert "schemas-left" in text
    assert [one.split(":")[0] for one in steps_of(path)] == ["@@innodb_redo_log_encrypt", f"{SCHEMA}.t"]


# -- ALTER SCHEMA -----------------------------------------------------------------------------------


def test_a_schema_in_use(desk: Desk) -> None:
    """While somebody has used one of its tables nothing is asked for, so nobody waits; when he has ended it is done."""
    tables(desk)
    plan = harden(desk, "schemas")
    with closing(desk.connect(autocommit=False)) as reader, reader.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM small")
        held = desk.held(plan)
        waits = held.hold(lambda event: event["event"] == "Waiting" and event["subject"] == f"schema {SCHEMA}")
        assert "metadata-lock" in str(waits["blockers"])
        locks = "SELECT LOCK_STATUS FROM performance_schema.metadata_locks WHERE OBJECT_SCHEMA = %s"
        assert {str(state) for (state,) in desk.server.rows(locks, SCHEMA)} == {"GRANTED"}
        cursor.execute("SELECT COUNT(*) FROM t")  # would be a deadlock's victim behind a request
        desk.run(
            "SET lock_wait_timeout = 1", "UPDATE t SET extra = 'x' WHERE n = 1", "UPDATE t SET extra = NULL WHERE n = 1"
        )
        assert not born_encrypted(desk)
        reader.rollback()
        ran = held.finish()
    assert ran.code == 0, ran
    assert born_encrypted(desk)
    (moment,) = [event for event in ran.of("Moment") if event["purpose"] == "schema default"]
    assert moment["held_seconds"] < 5
    desk.assert_equal("t")


def test_a_schema_under_load(desk: Desk) -> None:
    """Short transactions of several sessions on two tables go on meanwhile, without an error; then it is done."""
    tables(desk)
    plan = harden(desk, "schemas")
    over = threading.Event()
    done: list[int] = []

    def write(n: int) -> None:
        with closing(desk.connect(autocommit=False)) as connection, connection.cursor() as cursor:
            while not over.wait(0.02):
                cursor.execute(f"SELECT COUNT(*) FROM small WHERE n < {n}")
                cursor.execute(f"UPDATE t SET extra = 'w' WHERE n = {10 + n}")
                connection.commit()
                done.append(n)

    with ThreadPoolExecutor(3) as pool:
        application = [pool.submit(write, n) for n in range(3)]
        try:
            until(lambda: len(done) > 20, "the application is at work")
            ran = desk.migrator("apply", plan)
        finally:
            over.set()
        for one in application:
            one.result()
    assert ran.code == 0, ran
    assert born_encrypted(desk)


def test_a_schema_that_is_always_in_use(desk: Desk) -> None:
    """After `moment_wait_seconds` the step fails and names who is in the way; tables are done all the same (exit 3)."""
    tables(desk)
    plan = harden(desk, "schemas,privilege-check")
    desk.run("CREATE TABLE held (id INT PRIMARY KEY)")
    edit(plan, r"moment_wait_seconds: .*", "moment_wait_seconds: 1 s")
    with closing(desk.connect()) as reader, reader.cursor() as cursor:
        cursor.execute("LOCK TABLES held READ")
        ran = desk.migrator("apply", plan)
        assert ran.code == 3, ran
        ran.says(f"no free instant on {SCHEMA}.*", "metadata-lock")
        assert desk.encrypted("t")
        assert values(desk)["table_encryption_privilege_check"] == 0  # it comes when all else is done
    again = desk.migrator("apply", plan)
    assert again.code == 0, again
    assert born_encrypted(desk)
    assert values(desk)["table_encryption_privilege_check"] == 1


def test_a_schema_of_many_tables(desk: Desk) -> None:
    """How long it took, for the reader of a failing run: 200 tables, and every other statement goes on afterwards."""
    desk.run(*(f"CREATE TABLE m{n} (id INT PRIMARY KEY)" for n in range(200)))
    plan = desk.plan("--harden=schemas", f"--ignore-tables={SCHEMA}.m*")
    ran = desk.migrator("apply", plan, "--events")
    assert ran.code == 0, ran
    (moment,) = ran.of("Moment")
    assert moment["held_seconds"] < 10, moment
    assert "its 200 tables and views" in plan.read_text()


# -- where it does not last -------------------------------------------------------------------------


@pytest.fixture
def forgetful(tmp_path: Path) -> Iterator[Desk]:
    """A desk at a server that does not read what was persisted."""
    options = ["--innodb-buffer-pool-size=64M", "--persisted-globals-load=OFF"]
    with start(options=options, name="forgetful") as server, least_privileged(server) as account:
        server.rows(f"CREATE DATABASE {SCHEMA}")
        with desk_on(server, account, SCHEMA, tmp_path / "desk") as desk:
            desk.run(f"GRANT {RIGHTS} ON *.* TO '{account.user}'@'%'")
            yield desk


def test_persisted_settings_are_not_read(forgetful: Desk) -> None:
    """SET GLOBAL then, with the line for my.cnf; after a restart it is off, as was said."""
    plan = harden(forgetful, "undo")
    text = " ".join(plan.read_text().split())
    assert "SET GLOBAL innodb_undo_log_encrypt = ON" in text
    assert "not-persisted" in text
    assert "innodb_undo_log_encrypt = ON" in text
    assert forgetful.migrator("apply", plan).code == 0
    assert values(forgetful)["innodb_undo_log_encrypt"] == 1
    forgetful.server.restart()
    assert values(forgetful)["innodb_undo_log_encrypt"] == 0


def test_what_somebody_has_set_and_not_persisted(desk: Desk) -> None:
    """It is on, and the plan says that the next start forgets it; persisted, it does not."""
    desk.run("SET GLOBAL innodb_undo_log_encrypt = ON", "SET PERSIST innodb_redo_log_encrypt = ON")
    text = harden(desk, "redo,undo").read_text()
    assert text.count("code: not-persisted") == 1
    assert "innodb_undo_log_encrypt = ON" in text
    desk.run("SET PERSIST innodb_undo_log_encrypt = ON")
    assert "not-persisted" not in harden(desk, "redo,undo").read_text()


def test_settings_last_over_a_restart(desk: Desk) -> None:
    """What was persisted is on after a crash and a restart."""
    assert desk.migrator("apply", harden(desk, "binlog,redo,undo,default")).code == 0
    desk.server.kill()
    desk.server.start()
    assert [one for one, value in values(desk).items() if value] == list(VARIABLES[:4])


def test_a_file_that_cannot_be_written(desk: Desk) -> None:
    """Where mysqld-auto.cnf cannot be written the setting is on all the same, and the line for my.cnf is told."""
    blocked = datadir_of(desk) / "mysqld-auto.cnf"
    blocked.unlink(missing_ok=True)
    blocked.mkdir()
    (blocked / "in the way").touch()
    try:
        ran = desk.migrator("apply", harden(desk, "undo"))
        assert ran.code == 0, ran
        ran.says("not-persisted", "in my.cnf, under [mysqld]: innodb_undo_log_encrypt = ON")
        assert values(desk)["innodb_undo_log_encrypt"] == 1
    finally:
        shutil.rmtree(blocked)


def test_a_stop_between_settings(desk: Desk) -> None:
    """SIGTERM after the first setting: the rest is left, and the next call goes on."""
    tables(desk)
    plan = harden(desk)
    held = desk.held(plan)
    held.hold(lambda event: event["event"] == "StepEnded" and event["subject"] == "@@binlog_encryption")
    held.signal(signal.SIGTERM)
    ran = held.finish()
    assert ran.code == 143, ran
    assert values(desk)["table_encryption_privilege_check"] == 0
    assert not desk.encrypted("t")
    assert desk.migrator("apply", plan).code == 0
    assert all(values(desk).values())


@pytest.mark.parametrize("variable", VARIABLES[:3])
def test_the_server_needs_its_keyring(variable: str) -> None:
    """What `needs-keyring` says, for each log by itself: without the keyring the server does not start."""
    with start(options=["--innodb-buffer-pool-size=64M"], name="keyless") as server:
        if server.server.datadir is None:
            pytest.skip("the server's files cannot be reached from here")
        server.rows(f"SET PERSIST {variable} = ON")
        server.stop()
        manifest = server.server.datadir / "mysqld.my"
        manifest.rename(manifest.with_suffix(".away"))
        with pytest.raises(NoServer, match=r"(?i)keyring"):
            server.start()
        manifest.with_suffix(".away").rename(manifest)
        server.start()
        assert server.value(f"SELECT @@GLOBAL.{variable}") == 1
