"""Tables of other engines become encrypted InnoDB tables, where the policy asks for it; nothing else of them changes."""

from __future__ import annotations

import re
import signal
import threading
from contextlib import closing
from pathlib import Path

import pytest

from migrator.cli_plan import read_and_plan
from migrator.engine.convert import UNCOMPARED
from migrator.engine.rehearse import rehearse
from migrator.model import Method
from migrator.planner.plan import Plan, Policy, Scope
from tests.proxy import Proxy
from tests.server.engine.kit import SMALL, VOUCHED, WEIRD, At, Beside, Lab, ddl
from tests.server.engine.test_rows import NUMBERS
from tests.servers import until

MANY = f"({NUMBERS.format(3000)}) AS many"
PLAIN = "(id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(80), f FLOAT, KEY (v)) ENGINE = MyISAM"
ROWS = f"(id, v, f) SELECT n - 1, REPEAT('x', n % 70), n / 7 FROM {MANY}"

BECOMES = {
    "MyISAM": (PLAIN, ROWS, ""),
    "a fixed row format, block sizes": (
        "(id INT PRIMARY KEY, v CHAR(20), KEY k (v) KEY_BLOCK_SIZE=2048) ENGINE=MyISAM ROW_FORMAT=FIXED KEY_BLOCK_SIZE=8",
        f"SELECT n, n FROM {MANY}",
        "options-dropped",
    ),
    "a packed row format": ("(id INT PRIMARY KEY) ENGINE=MyISAM ROW_FORMAT=COMPRESSED", "VALUES (1)", "options-dropped"),
    "all options, CHECKs, a generated column": (
        "(id INT PRIMARY KEY, v INT CHECK (v > 0), g INT AS (v + 1) STORED, CONSTRAINT named CHECK (v < 9999), KEY (g) INVISIBLE)"
        " ENGINE=MyISAM CHECKSUM=1 DELAY_KEY_WRITE=1 PACK_KEYS=1 AVG_ROW_LENGTH=9 MAX_ROWS=99 MIN_ROWS=1 STATS_PERSISTENT=0"
        " ROW_FORMAT=DYNAMIC COMMENT='ENGINE=MyISAM ROW_FORMAT=FIXED KEY_BLOCK_SIZE=1'",
        f"(id, v) SELECT n, n FROM {MANY}",
        "",
    ),
    "full-text and spatial indexes": (
        "(id INT PRIMARY KEY, c TEXT, g POINT NOT NULL SRID 0, FULLTEXT KEY (c), FULLTEXT KEY n (c) WITH PARSER ngram, SPATIAL KEY (g)) ENGINE=MyISAM",
        f"SELECT n, REPEAT('word ', n % 9), POINT(n, -n) FROM {MANY}",
        "fulltext-words",
    ),
    "no key, and rows that are equal": ("(v INT, w TEXT) ENGINE=MyISAM", f"SELECT n % 7, NULL FROM {MANY}", "converted-without-key"),
    "CSV": (
        "(a INT NOT NULL, b VARCHAR(60) NOT NULL, d DATETIME NOT NULL) ENGINE=CSV",
        f"SELECT n, CONCAT('it''s \"', n, '\", \\\\'), '2024-02-29' FROM {MANY}",
        "converted-without-key",
    ),
    "ARCHIVE": ("(id INT AUTO_INCREMENT PRIMARY KEY, b TEXT) ENGINE=ARCHIVE", f"SELECT n, REPEAT('y', n % 300) FROM {MANY}", "grows"),
    "zero dates, invalid ENUM": (
        "(id INT PRIMARY KEY, d DATE NOT NULL, dd DATETIME, e ENUM('a') NOT NULL, b BIT(9), j JSON) ENGINE=MyISAM",
        "VALUES (0, '0000-00-00', '2024-02-31', 'zz', b'101', '{\"a\": 1.0}'), (-1, '2024-00-00', NULL, 'a', NULL, NULL)",
        "",
    ),
}  # fmt: skip

REFUSED = {
    "auto-increment-inside": ["CREATE TABLE t (a INT, id INT AUTO_INCREMENT, PRIMARY KEY (a, id)) ENGINE=MyISAM"],
    "merged": [
        "CREATE TABLE t (id INT, KEY (id)) ENGINE=MyISAM",
        "CREATE TABLE `me``rge` (id INT, KEY (id)) ENGINE=MERGE UNION=(t) COMMENT='UNION=(x)'",
    ],
    "early-foreign-key": [
        "CREATE TABLE t (id INT PRIMARY KEY) ENGINE=MyISAM",
        "SET foreign_key_checks = 0",
        "CREATE TABLE child (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES t (id))",
    ],
    "generated-timestamp": ["CREATE TABLE t (id INT, at TIMESTAMP, d DATE AS (DATE(at)) STORED) ENGINE=MyISAM"],
}


def planned(lab: Lab, *tables: str, convert: bool = True) -> Plan:
    """A plan that may convert these tables."""
    scope = Scope(databases=(lab.schema,), tables=tuple(f"*.{table}" for table in tables))
    with closing(lab.session()) as session:
        return read_and_plan(session, Policy(convert=convert), scope=scope, defaults=SMALL, attestations=VOUCHED)[1]


def engine(lab: Lab, table: str = "t") -> str:
    """The engine of a table."""
    return str(
        lab.value(
            "SELECT ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s", lab.schema, table
        )
    )  # fmt: skip


def the_alter(lab: Lab) -> str:
    """How the ALTER of the table itself begins, not that of its twin."""
    return f"ALTER TABLE `{lab.schema}`.`t` ENGINE"


def as_before(create: str) -> str:
    """A definition without what a conversion is to change."""
    create = re.sub(r"\n\) ENGINE=\w+", "\n) ENGINE=", create).replace(" ENCRYPTION='Y'", "")
    create = re.sub(r" ROW_FORMAT=(FIXED|COMPRESSED)(?= |$)| KEY_BLOCK_SIZE=\d+(?= |,|\n|$)", "", create)
    return re.sub(r" AUTO_INCREMENT=\d+", "", create)


@pytest.mark.parametrize(("table", "kind"), [*(("t", kind) for kind in BECOMES), (WEIRD, "MyISAM")])
def test_it_is_converted_with_all_it_had(lab: Lab, table: str, kind: str) -> None:
    """Same rows by a reader of its own, same definition, InnoDB, encrypted; the finding of the plan has said what changes."""
    definition, rows, code = BECOMES[kind]
    lab.table(table, definition, rows)
    before = lab.show_create(table)
    plan = planned(lab, "t" if table == "t" else "*")
    (step,) = plan.steps
    assert step.method is Method.CONVERT
    assert {f.code for f in step.findings} >= ({code} - {""})
    ran = lab.apply(plan=plan)
    ran.assert_outcome("done")
    assert engine(lab, table) == "InnoDB"
    lab.assert_done(table)
    assert as_before(lab.show_create(table)) == as_before(before)
    assert [m.purpose for m in ran.step.moments] == ["convert"]


def test_own_triggers_stay(lab: Lab) -> None:
    """Triggers are the table's own, and an ALTER keeps them."""
    lab.table("t", PLAIN, ROWS)
    lab.run("CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.v = 'by trigger'")
    lab.apply(plan=planned(lab, "t")).assert_outcome("done")
    lab.run("INSERT INTO t (id) VALUES (99999)")
    assert lab.value("SELECT v FROM t WHERE id = 99999") == "by trigger"


@pytest.mark.parametrize("code", REFUSED)
def test_what_would_not_be_the_same_is_refused(lab: Lab, code: str) -> None:
    """Nothing is done to a table that InnoDB cannot serve as it was."""
    lab.run(*REFUSED[code])
    plan = planned(lab, "t")
    (step,) = plan.steps
    assert step.method is Method.REFUSE
    assert code in {f.code for f in step.findings if f.blocks}
    lab.apply(plan=plan).assert_outcome("refused")
    assert engine(lab) == "MyISAM"


def test_only_where_the_policy_asks(lab: Lab) -> None:
    """Without the policy it is refused, and the remedy names the option."""
    lab.table("t", PLAIN, ROWS)
    (step,) = planned(lab, "t", convert=False).steps
    assert step.method is Method.REFUSE
    assert "plan again with --convert" in step.findings[0].remedy
    lab.apply("t").assert_outcome("refused")
    assert engine(lab) == "MyISAM"


TOO_LONG = {
    1118: f"({', '.join(f'c{n} CHAR(200) CHARACTER SET latin1 NOT NULL' for n in range(60))}) ENGINE=MyISAM",
    1117: f"({', '.join(f'c{n} INT' for n in range(1018))}) ENGINE=MyISAM",
    1797: "(id INT PRIMARY KEY, fts_doc_id INT, c TEXT, FULLTEXT KEY (c)) ENGINE=MyISAM",
    1071: "(v VARCHAR(240), UNIQUE KEY (v)) ENGINE=MyISAM ROW_FORMAT=COMPACT",
}


@pytest.mark.parametrize("number", TOO_LONG)
def test_what_the_server_refuses_is_seen_in_the_rehearsal(lab: Lab, number: int) -> None:
    """A row, an index or a list of columns too long for InnoDB: the dry run says the number, the table is not touched."""
    lab.run(f"CREATE TABLE t {TOO_LONG[number]}")
    plan = planned(lab, "t")
    with closing(lab.session()) as session:
        review = rehearse(session, plan, attestations=VOUCHED, plan_name="p", listen=lambda event: None)
    (step,) = review.steps
    assert step.rehearsal.result == "failed"
    assert f"[{number}]" in step.rehearsal.message
    assert not lab.rows("SHOW TABLES LIKE '%twin%'") and not lab.rows("SHOW DATABASES LIKE 'migrator'")
    ran = lab.apply(plan=plan)
    ran.assert_outcome("failed")
    assert engine(lab) == "MyISAM"


def test_an_index_that_the_server_would_cut(lab: Lab) -> None:
    """The server shortens an index that is too long for a row format, with a warning: seen before anything is done."""
    lab.table("t", "(id INT PRIMARY KEY, v VARCHAR(240), KEY (v)) ENGINE=MyISAM ROW_FORMAT=COMPACT", "VALUES (1, 'x')")
    ran = lab.apply(plan=planned(lab, "t"))
    ran.assert_outcome("failed")
    assert "same definition" in ran.step.message
    assert engine(lab) == "MyISAM"
    assert not lab.rows("SHOW TABLES IN migrator LIKE 'step%shadow'")


def test_the_rehearsal_converts_an_empty_twin(lab: Lab) -> None:
    """The dry run says each statement and its locks, and converts nothing but the twin."""
    lab.table("t", PLAIN, ROWS)
    with closing(lab.session()) as session:
        review = rehearse(session, planned(lab, "t"), attestations=VOUCHED, plan_name="p", listen=lambda event: None)
    (step,) = review.steps
    assert (step.rehearsal.result, step.rehearsal.message) == ("ok", "converted on an empty twin")
    assert [said.text.split()[0] for said in step.statements] == [
        *["CREATE", "ALTER", "DROP", "LOCK", "SELECT", "ALTER", "SELECT", "UNLOCK"],
    ]
    assert engine(lab) == "MyISAM"
    assert not lab.rows("SHOW DATABASES LIKE 'migrator'")


def test_an_application_that_writes_loses_nothing(lab: Lab) -> None:
    """Its statements wait while the table is rewritten, and go on; none fails, none is lost."""
    lab.table("t", PLAIN, ROWS)
    over, written = threading.Event(), [0]

    def work() -> None:
        # Each statement by itself: with GTIDs the server allows nothing else on tables without transactions.
        with closing(lab.connect(autocommit=True)) as connection, connection.cursor() as cursor:
            while not over.is_set():
                n = written[0]
                for place in ("t", lab.in_ledger("t")):
                    cursor.execute(f"INSERT INTO {place} (id, v) VALUES ({5000 + n}, 'new')")
                    cursor.execute(f"UPDATE {place} SET f = {n} WHERE id = {n}")
                    cursor.execute(f"DELETE FROM {place} WHERE id = {1500 + n}")
                written[0] += 1

    def some_more() -> None:
        seen = written[0]
        until(lambda: written[0] > seen + 20, "the application writes")

    with Beside(work) as beside:
        some_more()
        ran = lab.apply(plan=planned(lab, "t"))
        some_more()
        over.set()
        beside.join()
    ran.assert_outcome("done")
    lab.assert_done("t")


@pytest.mark.parametrize(
    ("besides", "told"), [("MODIFY v VARCHAR(60)", "not what they were"), ("COMMENT = 'x'", "same definition")]
)
def test_a_difference_afterwards_is_told(lab: Lab, besides: str, told: str) -> None:
    """Something between us and the server rewrites the ALTER, which changes a value or the definition: it is not called
    done, a person must look."""
    lab.table("t", PLAIN, ROWS)
    with Proxy(lab.server.server.host, lab.server.server.port) as proxy:
        session = lab.session(host=proxy.host, port=proxy.port, ssl_mode="DISABLED")
        proxy.lengthen(the_alter(lab), f", {besides}")
        ran = lab.apply(plan=planned(lab, "t"), session=session)
        assert proxy.cuts == 1
    ran.assert_outcome("person")
    assert told in ran.step.message
    assert ran.outcome.exit_code == 4


@pytest.mark.parametrize("change", ["ADD KEY (v)", "COMMENT = 'another'"])
def test_a_table_that_is_altered_after_it_was_tried(lab: Lab, change: str) -> None:
    """A person alters it between the trial on the twin and the moment: the trial says nothing about it any more, and an
    index that is cut there could not be taken back; nothing is done, and a new plan is asked for."""
    lab.table("t", "(id INT PRIMARY KEY, v VARCHAR(240)) ENGINE=MyISAM ROW_FORMAT=COMPACT", "VALUES (1, 'x')")
    tried = At(ddl("DROP TABLE", done=True), lambda: lab.run(f"ALTER TABLE t {change}"))
    ran = lab.apply(plan=planned(lab, "t"), at=[tried])
    assert tried.seen == 1
    ran.assert_outcome("failed")
    assert "changed since its conversion was tried" in ran.step.message
    assert engine(lab) == "MyISAM"
    lab.assert_equal("t")
    assert not lab.rows("SELECT * FROM migrator.steps WHERE state = 'open'")
    lab.apply(plan=planned(lab, "t"))
    assert engine(lab) == ("MyISAM" if "KEY" in change else "InnoDB")


@pytest.mark.parametrize("executed", [False, True], ids=["before", "after"])
def test_the_connection_is_cut(lab: Lab, executed: bool) -> None:
    """The server is asked whether the ALTER happened; if it did, the report says that nobody compared the rows."""
    lab.table("t", PLAIN, ROWS)
    with Proxy(lab.server.server.host, lab.server.server.port) as proxy:
        session = lab.session(host=proxy.host, port=proxy.port, ssl_mode="DISABLED")
        proxy.cut(the_alter(lab), executed=executed)
        ran = lab.apply(plan=planned(lab, "t"), session=session)
        assert proxy.cuts == 1
    ran.assert_outcome("skipped" if executed else "done")
    assert ran.step.message == (UNCOMPARED if executed else "")
    assert engine(lab) == "InnoDB"
    lab.assert_done("t")


def test_the_connection_is_cut_while_it_copies(lab: Lab) -> None:
    """The server's ALTER goes on without us: it is waited for, and not sent again."""
    lab.table("t", PLAIN, ROWS)
    with Proxy(lab.server.server.host, lab.server.server.port) as proxy:
        session = lab.session(host=proxy.host, port=proxy.port, ssl_mode="DISABLED")
        proxy.meanwhile(the_alter(lab), proxy.cut_all)
        ran = lab.apply(plan=planned(lab, "t"), session=session)
        assert proxy.cuts == 1
    assert ran.step.outcome in {"done", "skipped"}, ran.step.message
    assert engine(lab) == "InnoDB"
    lab.assert_done("t")


def test_a_process_that_is_killed_before_its_alter(lab: Lab, tmp_path: Path) -> None:
    """Nothing of it is left but the step in the journal; the next run converts the table."""
    lab.table("t", PLAIN, ROWS)
    plan = planned(lab, "t")
    with lab.process(plan, tmp_path, at=the_alter(lab), lease=3) as process:
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert engine(lab) == "MyISAM"
    lab.apply_when_free(plan=plan).assert_outcome("done")
    lab.assert_done("t")
