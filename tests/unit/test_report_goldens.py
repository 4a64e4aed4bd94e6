"""Each report, as a person or a program gets it, by value."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace

import pytest

from migrator.model import (
    Blocker,
    Finding,
    Flavour,
    Inventory,
    Keyring,
    Method,
    Schema,
    Segment,
    Server,
    Table,
    TableName,
    Tablespace,
    TablespaceKind,
)
from migrator.planner.make import make_plan
from migrator.planner.methods import Choice
from migrator.planner.plan import Estimate, Policy
from migrator.posture import Area, Place, State
from migrator.report.audit import audit_exit_code, audit_html, audit_json, audit_of, audit_text
from migrator.report.blocks import as_text
from migrator.report.cleaned import Cleanup, cleanup_exit_code, cleanup_json, cleanup_text
from migrator.report.planned import planned_lines
from migrator.report.review import review_exit_code, review_html, review_json, review_markdown, review_text
from migrator.report.rolled import rollback_json, rollback_text
from migrator.report.status import at_work, status_json, status_json_line, status_text
from migrator.report.summary import retained_grid, rollback_notes, summary_json, summary_text, way_out
from migrator.report.values import (
    Audit,
    BacklogStatus,
    Cleaned,
    ExclusiveMoment,
    Leftover,
    Outcome,
    Proof,
    Rehearsal,
    RetainedTable,
    Review,
    ReviewStep,
    RunStatus,
    ServerId,
    Span,
    StatusReport,
    StepOutcome,
    StepStatus,
    TakenBack,
    server_id,
)
from migrator.report.verify import Verification, verify_exit_code, verify_html, verify_json, verify_text
from migrator.sql.story import Said
from tests.unit.builders import a_table, an_inventory

MIB = 2**20
UUID = "c7b9c8ac-e629-11f1-86ad-02fc00000001"
HERE = ServerId(UUID, "9.7.4", "mysql", "db1:3306")
ORDERS = TableName("shop", "orders")
NASTY = TableName('we`ird %s "näme"', 'we`ird %s "näme"')
UNTIL = "2026-05-08T22:00:00Z"


def lines(text: str) -> list[str]:
    return text.splitlines()


def block(text: str, heading: str) -> list[str]:
    """The lines of one section, without its heading and empty lines."""
    after = text.split(f"{heading}\n{'-' * len(heading)}\n\n", 1)[1]
    section: list[str] = []
    for line in after.splitlines():
        if set(line) == {"-"}:
            return section[:-1]
        if line:
            section.append(line)
    return section


# -- audit ------------------------------------------------------------------------------------


def a_server(**changes: object) -> Server:
    server = Server(
        server_uuid=UUID,
        flavour=Flavour.MYSQL,
        version=(9, 7, 4),
        version_text="9.7.4",
        version_comment="",
        host="db1",
        port=3306,
        datadir="/var/lib/mysql/",
        keyring=Keyring("component_keyring_file", "component", active=True, has_master_key=True),
        variables={"log_bin": "ON", "binlog_encryption": "OFF", "innodb_redo_log_encrypt": "ON"},
    )
    return replace(server, **changes)  # type: ignore[arg-type]


def an_audit(server: Server) -> Audit:
    plain = Segment(1, 10, "shop/orders", TablespaceKind.FILE_PER_TABLE, encrypted=False)
    general = Segment(2, 11, "ts1", TablespaceKind.GENERAL, encrypted=False)
    crypt = Segment(3, 12, "shop/done", TablespaceKind.FILE_PER_TABLE, encrypted=True)
    tables = (
        Table(ORDERS, "InnoDB", rows=1234567, data_bytes=200 * MIB, index_bytes=0, segments=(plain,)),
        Table(NASTY, "InnoDB", rows=0, data_bytes=16384, index_bytes=0, segments=(general,)),
        Table(TableName("shop", "done"), "InnoDB", rows=1, data_bytes=16384, index_bytes=0, segments=(crypt,)),
        Table(TableName("shop", "cache"), "MEMORY", rows=5, data_bytes=0, index_bytes=0),
        Table(TableName("shop", "old"), "MyISAM", rows=5, data_bytes=1024, index_bytes=0),
    )
    choices = {
        ORDERS: Choice(Method.SHADOW_COPY, "copied", (), None),
        NASTY: Choice(Method.TABLESPACE, "with ts1", (), None),
        tables[2].name: Choice(Method.SKIP, "already encrypted", (), None),
        tables[3].name: Choice(Method.SKIP, "its rows live in memory", (), None),
        tables[4].name: Choice(Method.REFUSE, "engine MyISAM cannot encrypt", (), None),
    }
    space = Tablespace(11, "ts1", TablespaceKind.GENERAL, encrypted=False, file_bytes=114688)
    inventory = Inventory(server, (Schema("shop", False),), tables, (space,), "2026-05-01T22:00:00Z")  # noqa: FBT003
    finding = Finding("plain-binlog", "the binlog is in clear", "SET PERSIST binlog_encryption = ON")
    return audit_of(inventory, (finding,), choose=lambda t: choices[t.name], size_of=lambda t: t.size_bytes)


def test_audit_text() -> None:
    """What is in clear comes first, by size; memory tables are neither encrypted nor in clear."""
    assert (
        audit_text(an_audit(a_server()))
        == f"""\
Audit
=====

db1:3306, mysql 9.7.4, server_uuid {UUID}, read at
2026-05-01T22:00:00Z

3 tables of 5 in clear, 200.0 MiB.

Before a run
------------

- the binlog is in clear. Remedy: SET PERSIST binlog_encryption = ON. [plain-binlog]

logs, or tables to come, are in clear: migrator plan --harden all has steps for that.

Tables
------

table                             engine                     rows       size  encrypted  method
--------------------------------  --------------------  ---------  ---------  ---------  -----------
shop.orders                       InnoDB                1,234,567  200.0 MiB  NO         shadow-copy
we`ird %s "näme".we`ird %s        InnoDB (general ts1)          0   16.0 KiB  NO         tablespace
"näme"
shop.old                          MyISAM                        5    1.0 KiB  NO         refuse
shop.done                         InnoDB                        1   16.0 KiB  yes        skip
shop.cache                        MEMORY                        5    0 bytes  -          skip

Refused, so far
---------------

- shop.old: engine MyISAM cannot encrypt

Shared tablespaces
------------------

tablespace  kind          file  encrypted
----------  -------  ---------  ---------
ts1         general  112.0 KiB  NO
"""
    )


PLACES = (
    Place("keyring", Area.KEYS, "keyring", State.OK, "component component_keyring_file; active"),
    Place("backup", Area.KEYS, "backup of it", State.ASK, "nobody knows", "lost", ("-- where is it?", "$ ls KEYRING")),
    Place(
        "binary-log",
        Area.AT_REST,
        "binary log",
        State.PARTLY,
        "binlog_encryption=ON; SHOW BINARY LOGS: 2 of 3 files not encrypted, 1.5 GiB; the rest of this line is here so"
        " that it has to be broken",
        "rows can be read",
        ("-- first of all" + " some words that are longer than the line that they stand in" * 2, "PURGE BINARY LOGS;"),
    ),
    Place("ibdata", Area.AT_REST, "system tablespace", State.CLEAR, "12.0 MiB", "values", ("-- no way",), restart=True),
    Place("swap", Area.HOST, "swap", State.UNUSED, "/proc/swaps has none"),
)


def audited(*accepted: str, places: tuple[Place, ...] = PLACES) -> Audit:
    """The audit of a server without tables."""
    inventory = Inventory(a_server(), (), (), (), "2026-05-01T22:00:00Z")
    never = Choice(Method.SKIP, "", (), None)
    return audit_of(inventory, (), places, accepted=accepted, choose=lambda t: never, size_of=lambda t: 0)


def test_places_as_text() -> None:
    """All states at one look, then what is open with its way out, what is accepted, what to ask, and what was read."""
    text = audit_text(audited("ibdata", "swap"))
    assert (
        text.split("\n\n", 2)[2]
        == """\
1 place of 5 open: 1 partly; 1 accepted; 1 to ask people about.

No rows in clear in the 0 tables looked at.

Places
------

area     place              state               code
-------  -----------------  ------------------  ----------
keys     keyring            ok                  keyring
         backup of it       ask                 backup
at rest  binary log         PARTLY              binary-log
         system tablespace  in clear, accepted  ibdata
host     swap               unused              swap

Open
----

binary log: partly [binary-log]
  read   binlog_encryption=ON; SHOW BINARY LOGS: 2 of 3 files not encrypted, 1.5 GiB; the rest of
         this line is here so that it has to be broken
  risk   rows can be read
  close  -- first of all some words that are longer than the line that they stand in some words that
         -- are longer than the line that they stand in
         PURGE BINARY LOGS;

Accepted
--------

system tablespace: in clear, accepted [ibdata]
  read     12.0 MiB
  risk     values
  restart  closing it needs one
  close    -- no way

To ask people
-------------

backup of it: ask [backup]
  read  nobody knows
  risk  lost
  look  -- where is it?
        $ ls KEYRING

Accepted, though there is nothing to accept: swap.

Closed
------

place    state   read
-------  ------  ----------------------------------------
keyring  ok      component component_keyring_file; active
swap     unused  /proc/swaps has none
"""
    )


def test_what_is_accepted_does_not_count() -> None:
    """The exit code is of what is open; what is asked of people never counts, unknown always does."""
    assert audit_exit_code(audited()) == 1
    assert audit_exit_code(audited("ibdata")) == 1
    assert audit_exit_code(audited("ibdata", "binary-log")) == 0
    assert "No place open; 2 accepted; 1 to ask" in audit_text(audited("ibdata", "binary-log"))
    unknown = Place("x", Area.KEYS, "x", State.UNKNOWN, "not readable")
    assert audit_exit_code(audited(places=(unknown,))) == 1


def test_many_lines_are_cut_for_people_only() -> None:
    """JSON has all of what closes a place."""
    many = tuple(f"ALTER SCHEMA `s{n}` ENCRYPTION = 'Y';" for n in range(100))
    audit = audited(places=(Place("schemas", Area.DEFAULTS, "schemas", State.CLEAR, "100", "born", many),))
    text = audit_text(audit)
    assert "`s11`" in text and "`s12`" not in text
    assert "-- and 88 lines more: --format=json has them all" in text
    (place,) = json.loads(audit_json(audit))["places"]
    assert (len(place["closes"]), place["state"], place["area"]) == (100, "in clear", "new tables")
    assert (place["accepted"], place["restart"], place["risk"]) == (False, False, "born")


def test_places_as_html() -> None:
    """Colours by state, names as text, nothing loaded."""
    nasty = Place("x", Area.AT_REST, "<b>", State.CLEAR, "<script>", "<i>", ("DROP `<x>`;",))
    page = audit_html(audited(places=(*PLACES, nasty)))
    assert '<tr class="bad">' in page and '<section class="card note">' in page
    assert "&lt;script&gt;" in page and "<script>" not in page and "<i>" not in page
    assert "<dt>close</dt><dd><pre><code>DROP `&lt;x&gt;`;</code></pre></dd>" in page


def test_audit_exit_code() -> None:
    """1 as long as a table is in clear; encrypted and memory tables are not."""
    audit = an_audit(a_server())
    assert audit_exit_code(audit) == 1
    assert audit_exit_code(replace(audit, tables=tuple(t for t in audit.tables if not t.in_clear))) == 0


def test_audit_json_and_html() -> None:
    """Programs get every fact under its name; a browser gets the names as text."""
    audit = an_audit(a_server())
    document = json.loads(audit_json(audit))
    assert (document["report"], document["format"]) == ("audit", 1)
    assert document["tables"][0] == {
        "name": {"schema": "shop", "name": "orders"},
        "engine": "InnoDB",
        "rows": 1234567,
        "size_bytes": 200 * MIB,
        "place": "file-per-table",
        "encrypted": False,
        "in_clear": True,
        "method": "shadow-copy",
        "why": "copied",
    }
    assert document["server"]["keyring"]["has_master_key"] is True
    assert "we`ird %s &quot;näme&quot;" in audit_html(audit)


# -- review -----------------------------------------------------------------------------------


DDL = (
    Said("build", "CREATE TABLE `shop`.`_orders_shadow` LIKE `shop`.`orders`", "", ""),
    Said("log", "CREATE TRIGGER `shop`.`_orders_log_ins` ...", "exclusive on `shop`.`orders`", "5 ms a try"),
    Said("log", "CREATE TRIGGER `shop`.`_orders_log_upd` ...", "exclusive on `shop`.`orders`", "5 ms a try"),
    Said("swap", "RENAME TABLE `shop`.`orders` TO ...;", "exclusive on both", "an instant"),
)

COST = Estimate(bytes_written=200 * MIB, extra_disk_peak_bytes=500 * MIB, binlog_bytes=200 * MIB)


def a_review(**changes: object) -> Review:
    review = Review(
        server=HERE,
        made_at="2026-05-01T22:00:00Z",
        plan="plans/prod.yaml",
        plan_hash="ab" * 32,
        drift=(),
        gates=(Finding("plain-binlog", "the binlog is in clear", "encrypt it"),),
        steps=(
            ReviewStep(
                "shop.orders", Method.SHADOW_COPY, "200.0 MiB: copied while it is used.", (), DDL,
                Rehearsal("ok", "built and swapped on an empty twin"), COST, rows=1000,
            ),
            ReviewStep("shop.done", Method.SKIP, "already encrypted.", (), (), Rehearsal("nothing"), Estimate()),
        ),
        total=COST.model_copy(update={"seconds_low": 240.0, "seconds_high": 370.0, "calibration": "run of 2026-04-01"}),
    )  # fmt: skip
    return replace(review, **changes)  # type: ignore[arg-type]


REFUSED = ReviewStep(
    "shop.child", Method.REFUSE, "foreign keys of its own.",
    (Finding("foreign-keys", "foreign keys of its own", "later", blocks=True, subject="shop.child"),),
    (), Rehearsal("nothing"), Estimate(),
)  # fmt: skip

FAILED = replace(a_review().steps[0], rehearsal=Rehearsal("failed", "CREATE TRIGGER was denied", "GRANT TRIGGER"))


def test_review_text() -> None:
    """The whole review of a small plan."""
    assert (
        review_text(a_review())
        == f"""\
Review
======

what         value
-----------  ----------------------------------------------------------------
plan         plans/prod.yaml
plan's hash  {"ab" * 32}
server       db1:3306, mysql 9.7.4
server_uuid  {UUID}
reviewed at  2026-05-01T22:00:00Z

Ready to apply.

Since the plan was made
-----------------------

The server is as it was planned for.

Gates and warnings
------------------

- the binlog is in clear. Remedy: encrypt it. [plain-binlog]

In all
------

what                    value
----------------------  --------------------------------------------
steps                   1 shadow-copy, 1 skip
bytes written           200.0 MiB
extra disk at its peak  500.0 MiB
binary log              200.0 MiB
duration                4 min 00 s to 6 min 10 s (run of 2026-04-01)

Steps, in order
---------------

#  subject      method        rows  extra disk  rehearsal
-  -----------  -----------  -----  ----------  ---------
1  shop.orders  shadow-copy  1,000   500.0 MiB  ok
2  shop.done    skip                            -

1. shop.orders: shadow-copy

200.0 MiB: copied while it is used.

Rehearsal: built and swapped on an empty twin

Writes 200.0 MiB, needs 500.0 MiB of extra disk at its peak; duration: uncalibrated.

phase  locks                         for how long at most
-----  ----------------------------  --------------------
log    exclusive on `shop`.`orders`  5 ms a try
swap   exclusive on both             an instant

  -- build
  CREATE TABLE `shop`.`_orders_shadow` LIKE `shop`.`orders`;
  -- log
  CREATE TRIGGER `shop`.`_orders_log_ins` ...;
  CREATE TRIGGER `shop`.`_orders_log_upd` ...;
  -- swap
  RENAME TABLE `shop`.`orders` TO ...;
"""
    )


@pytest.mark.parametrize(
    ("changes", "code", "verdict"),
    [
        ({}, 0, "Ready to apply."),
        ({"steps": (REFUSED,)}, 1, "Ready to apply; 1 step is refused and stays in clear."),
        (
            {"drift": (Finding("server-changed", "another server", blocks=True),), "steps": (REFUSED, FAILED)},
            2,
            "apply would stop before anything is touched: the server has drifted.",
        ),
        (
            {"gates": (Finding("keyring-missing", "no keyring", blocks=True),), "steps": (REFUSED,)},
            3,
            "apply would refuse before anything is touched: see the gates.",
        ),
        ({"steps": (REFUSED, FAILED)}, 3, "The rehearsal failed for shop.orders."),
        ({"drift": (Finding("table-gone", "gone", subject="shop.x"),)}, 0, "Ready to apply."),
    ],
)
def test_review_verdict(changes: dict[str, object], code: int, verdict: str) -> None:
    """What apply would end with, as an exit code and as a sentence in every form."""
    review = a_review(**changes)
    assert review_exit_code(review) == code
    assert verdict in review_text(review)
    assert verdict in review_markdown(review)
    assert verdict in review_html(review)


def test_review_names_what_failed_and_its_remedy() -> None:
    """A failed rehearsal says what failed; a refusal says why and what to do."""
    text = " ".join(review_text(a_review(steps=(REFUSED, FAILED))).split())
    assert "Rehearsal failed: CREATE TRIGGER was denied Remedy: GRANT TRIGGER" in text
    assert "STOPS A RUN: shop.child: foreign keys of its own. Remedy: later. [foreign-keys]" in text


def test_review_json() -> None:
    """Statements come with their four fields, estimates with theirs."""
    document = json.loads(review_json(a_review()))
    step = document["steps"][0]
    assert step["statements"][1] == {
        "phase": "log",
        "text": "CREATE TRIGGER `shop`.`_orders_log_ins` ...",
        "locks": "exclusive on `shop`.`orders`",
        "longest": "5 ms a try",
    }
    assert step["rehearsal"] == {"result": "ok", "message": "built and swapped on an empty twin", "remedy": ""}
    assert document["total"]["seconds_low"] == 240.0


def test_review_markdown_keeps_nasty_names_in_their_place() -> None:
    """A name that is full of mark-up is shown as it is."""
    nasty = replace(a_review().steps[0], subject=str(NASTY))
    text = review_markdown(a_review(steps=(nasty,)))
    assert '| 1 | we\\`ird %s "näme".we\\`ird %s "näme" | shadow-copy |' in text


# -- summary ----------------------------------------------------------------------------------

DONE = StepOutcome(
    "shop.orders", Method.SHADOW_COPY, "done", seconds=75, rows=1234567, size_bytes=200 * MIB,
    moments=(ExclusiveMoment("log triggers", 1, 0.2, 0.032), ExclusiveMoment("swap", 3, 4.2, 0.0301)),
    retained=RetainedTable(TableName("shop", "_orders_retained"), UNTIL, 200 * MIB),
)  # fmt: skip
ENCRYPTED = StepOutcome("shop.done", Method.SKIP, "skipped", message="already encrypted")
NOT_POSSIBLE = StepOutcome("shop.child", Method.REFUSE, "refused", message="foreign keys of its own.", in_clear=True)


def test_summary_text() -> None:
    """Done, refused, exclusive moments, retained tables, what is in clear, and the next commands."""
    outcome = Outcome(1, (DONE, ENCRYPTED, NOT_POSSIBLE), run_id="r1", seconds=80)
    assert (
        summary_text(outcome, "my plan.yaml")
        == """\
Summary
=======

Run r1: 1 done, 1 skipped, 1 refused, 0 failed, in 1 min 20 s.

What was worked on
------------------

subject      method       outcome       rows       size        took
-----------  -----------  -------  ---------  ---------  ----------
shop.orders  shadow-copy  done     1,234,567  200.0 MiB  1 min 15 s

Why not
-------

- shop.child (refused): foreign keys of its own.

Exclusive moments
-----------------

exclusive moment  purpose       tries  waited   held
----------------  ------------  -----  ------  -----
shop.orders       log triggers      1   0.2 s  32 ms
shop.orders       swap              3   4.2 s  30 ms

No table was held for longer than 32 ms at a time.

Retained
--------

retained table, in clear  until                      size
------------------------  --------------------  ---------
shop._orders_retained     2026-05-08T22:00:00Z  200.0 MiB

Still in clear
--------------

- shop.child (refused)

Next
----

- migrator verify   proves what is encrypted now
- migrator cleanup   removes the retained tables when their time has come, from 2026-05-08T22:00:00Z
  on
"""
    )


def test_summary_of_what_was_not_measured() -> None:
    """Online DDL has no time for which a table was held, and the longest one is that of the others."""
    moved = replace(DONE, moments=(*DONE.moments, ExclusiveMoment("move in", 1, 0.2, None)))
    text = " ".join(summary_text(Outcome(0, (moved,), run_id="r1", seconds=80), "p.yaml").split())
    assert "move in 1 0.2 s online" in text
    assert "No table was held for longer than 32 ms at a time. Online DDL has its tables for itself" in text
    alone = replace(DONE, moments=(ExclusiveMoment("move in", 1, 0.2, None),))
    assert "No table was held" not in summary_text(Outcome(0, (alone,), run_id="r1", seconds=80), "p.yaml")


LEFTOVERS = (
    Leftover("log", TableName("shop", "_orders_log")),
    Leftover("retained", TableName("shop", "_orders_retained")),
    Leftover("shadow", TableName(NASTY.schema, "_we`ird %s_shadow")),
    Leftover("trigger", TableName("shop", "_orders_log_ins")),
)


@pytest.mark.parametrize(("code", "first"), [(3, "The source tables are intact"), (4, "Find out first who made")])
def test_the_manual_way_out_of_a_run_that_failed(code: int, first: str) -> None:
    """Triggers first, then shadow, then log, the retained table last, all quoted so that they can be pasted."""
    failed = StepOutcome(
        "shop.orders", Method.SHADOW_COPY, "failed", message="disk full", remedy="make room", leftovers=LEFTOVERS
    )
    text = summary_text(Outcome(code, (failed,)), "p.yaml")
    assert "- shop.orders (failed): disk full. Remedy: make room." in lines(text)
    section = block(text, "The manual way out")
    assert section[0].startswith(first)
    assert [line for line in section if line.startswith("  DROP")] == [
        "  DROP TRIGGER IF EXISTS `shop`.`_orders_log_ins`;",
        '  DROP TABLE IF EXISTS `we``ird %s "näme"`.`_we``ird %s_shadow`;',
        "  DROP TABLE IF EXISTS `shop`.`_orders_log`;",
        "  DROP TABLE IF EXISTS `shop`.`_orders_retained`;",
    ]
    assert "migrator apply p.yaml   goes on where this run ended" in text


def test_a_failure_that_left_nothing_needs_no_way_out() -> None:
    """A tablespace, for instance, leaves nothing behind: that is said instead."""
    failed = StepOutcome("mysql", Method.TABLESPACE, "failed", message="no", in_clear=True)
    text = summary_text(Outcome(3, (failed,)), "p.yaml")
    assert "Nothing that was made for the failed steps is left on the server." in lines(text)
    assert "manual way out" not in text


@pytest.mark.parametrize("code", [0, 1, 75, 130])
def test_no_way_out_where_none_is_needed(code: int) -> None:
    """Only exit codes 3 and 4 print it."""
    assert "manual way out" not in summary_text(Outcome(code, (DONE,)), "p.yaml")


def test_the_way_out_without_a_summary() -> None:
    """Where a run ended by an error, the kinds of objects and their order are named."""
    text = way_out(3)
    order = [text.index(name) for name in ("_TABLE_log_ins", "_TABLE_shadow", "the log", "_TABLE_retained")]
    assert order == sorted(order)


def test_a_run_that_was_stopped_says_so() -> None:
    """The reason is in the first sentence, and the next command goes on."""
    left = StepOutcome("shop.b", Method.SHADOW_COPY, "left", message="not begun", in_clear=True)
    text = summary_text(Outcome(75, (DONE, left), run_id="r1", seconds=3, stopped_by="paused by dba@%"), "p.yaml")
    assert "Run r1: 1 done, 0 failed, 1 left, in 3.0 s. Ended early: paused by dba@%." in lines(text)
    assert "- migrator apply p.yaml   goes on where this run ended" in lines(text)


def test_summary_json() -> None:
    """Every step with its moments, and the exit code."""
    document = json.loads(summary_json(Outcome(1, (DONE, NOT_POSSIBLE), run_id="r1", seconds=80)))
    assert document["exit_code"] == 1
    assert document["steps"][0]["moments"][1] == {
        "purpose": "swap", "tries": 3, "waited_seconds": 4.2, "held_seconds": 0.0301,
    }  # fmt: skip
    assert document["steps"][0]["retained"]["name"] == {"schema": "shop", "name": "_orders_retained"}


# -- status -----------------------------------------------------------------------------------

COPYING = StepStatus(
    "shop.orders", Method.SHADOW_COPY, "running", phase="copy", rows_done=500, rows_expected=2000,
    rows_per_second=90.4, eta=Span(15, 25), backlog=BacklogStatus(120, 4096, 0.4),
    waiting_for="an older transaction", blockers=(Blocker(12, "app@%", 200, "idle-transaction"),),
)  # fmt: skip
WAITING = StepStatus("shop.b", Method.DIRECT_ALTER, "waiting")
KEPT = StepStatus(
    "shop.c", Method.SHADOW_COPY, "done", retained=RetainedTable(TableName("shop", "_c_retained"), UNTIL, MIB)
)
STUCK = StepStatus("shop.d", Method.SHADOW_COPY, "person", message="_d_shadow is not ours")
RUN = RunStatus("r1", "ab" * 32, "running", "2026-05-01T22:00:00Z", "host1", 4711, 1.5, (COPYING, WAITING, KEPT, STUCK))


def a_report(run: RunStatus | None) -> StatusReport:
    return StatusReport(HERE, "2026-05-01T22:05:00Z", run)


def test_status_of_earlier_runs() -> None:
    """Steps of earlier runs have a heading of their own and are not counted with the run's."""
    run = dataclasses.replace(RUN, steps=(COPYING,))
    text = status_text(StatusReport(HERE, "2026-05-01T22:05:00Z", run, (KEPT,)))
    latest, heading, earlier = text.partition("Of earlier runs")
    assert heading
    assert "1 step: 1 running." in latest
    assert "_c_retained" not in latest
    assert "1 step: 1 done." in earlier
    assert "_c_retained" in earlier


def test_status_text() -> None:
    """The step at work with rate, range and backlog; who is waited for; what needs a person; what is kept."""
    assert (
        status_text(a_report(RUN))
        == f"""\
Status
======

db1:3306, server_uuid {UUID}, read at 2026-05-01T22:05:00Z

Run r1, started at 2026-05-01T22:00:00Z, is running on host1, process 4711, last sign of life 1.5 s
ago.

4 steps: 1 running, 1 waiting, 1 done, 1 person.

subject      method       phase   %  rows  rows/s  left          backlog
-----------  -----------  -----  --  ----  ------  ------------  -----------------------
shop.orders  shadow-copy  copy   25   500      90  15 s to 25 s  120, 4.0 KiB, 0.4 s old

shop.orders waits: an older transaction.

- shop.orders: session 12 (app@%): idle-transaction for 3 min 20 s

A person must look
------------------

- shop.d: _d_shadow is not ours

Retained
--------

retained table, in clear  until                    size
------------------------  --------------------  -------
shop._c_retained          2026-05-08T22:00:00Z  1.0 MiB
"""
    )


@pytest.mark.parametrize(
    ("state", "code", "text"),
    [
        ("paused", None, "is paused by dba@% on host1, process 4711, last sign of life 1.5 s ago."),
        ("silent", None, "is silent on host1, process 4711, last sign of life 1.5 s ago: `migrator apply` takes over"),
        ("ended", 1, "has ended with exit code 1."),
        ("ended", None, "has ended."),
    ],
)
def test_status_of_a_run(state: str, code: int | None, text: str) -> None:
    """Each state of a run is one sentence."""
    run = replace(RUN, state=state, exit_code=code, paused_by="dba@%" if state == "paused" else "")  # type: ignore[arg-type]
    assert text in " ".join(status_text(a_report(run)).split())


def test_status_without_a_run() -> None:
    """A server that was never touched says so, in each form."""
    assert lines(status_text(a_report(None)))[-1] == "No run has been recorded on this server."
    assert json.loads(status_json(a_report(None)))["run"] is None


def test_status_before_there_is_a_rate() -> None:
    """No rate and no duration is made up."""
    fresh = replace(COPYING, rows_per_second=None, eta=None, backlog=None, waiting_for="", blockers=())
    text = status_text(a_report(replace(RUN, steps=(fresh,))))
    assert "shop.orders  shadow-copy  copy   25   500          uncalibrated" in text


def test_watching_ends_with_the_run() -> None:
    """There is something to watch while a run runs or is paused."""
    states = {"running": True, "paused": True, "silent": False, "ended": False}
    assert {s: at_work(a_report(replace(RUN, state=s))) for s in states} == states  # type: ignore[arg-type]
    assert not at_work(a_report(None))


def test_status_lines_for_watching_programs() -> None:
    """One look is one line of JSON."""
    line = status_json_line(a_report(RUN))
    assert line.count("\n") == 1
    assert json.loads(line)["run"]["steps"][0]["backlog"] == {"entries": 120, "bytes": 4096, "age_seconds": 0.4}


# -- verify and cleanup -----------------------------------------------------------------------

GOOD = Proof("shop.orders", True, "space 23: ENCRYPTION Y", True)  # noqa: FBT003
PLAIN = Proof("shop.child", False, "space 24: ENCRYPTION N", False, "refused: foreign keys")  # noqa: FBT003
BROKEN = Proof("shop.x", False, "space 25: ENCRYPTION N", True)  # noqa: FBT003


def proved(*proofs: Proof) -> Verification:
    return Verification(HERE, "2026-05-01T22:05:00Z", proofs)


def test_verify_text() -> None:
    """What is in clear comes first, above all what should not be; then what is encrypted, with its evidence."""
    assert (
        verify_text(proved(GOOD, PLAIN, BROKEN))
        == f"""\
Verification
============

db1:3306, server_uuid {UUID}, read at 2026-05-01T22:05:00Z

In clear although a run encrypted it: shop.x. Somebody has changed it since.

In clear: 2 of 3.

name         encrypted  by us  evidence                why in clear
-----------  ---------  -----  ----------------------  ---------------------
shop.x       NO         yes    space 25: ENCRYPTION N
shop.child   NO         -      space 24: ENCRYPTION N  refused: foreign keys
shop.orders  yes        yes    space 23: ENCRYPTION Y
"""
    )


def test_verify_of_an_encrypted_server() -> None:
    """All encrypted: exit code 0 and one good sentence; one in clear is enough for 1."""
    assert verify_exit_code(proved(GOOD)) == 0
    assert verify_exit_code(proved(GOOD, PLAIN)) == 1
    assert "Encrypted: all of 1 object looked at." in verify_text(proved(GOOD))
    assert '<p class="good">' in verify_html(proved(GOOD))
    assert json.loads(verify_json(proved(GOOD)))["proofs"][0]["evidence"] == "space 23: ENCRYPTION Y"


def test_cleanup() -> None:
    """What was dropped and what is kept, and until when; a retained table that stays means exit code 1."""
    dropped = Cleaned(TableName("shop", "_a_retained"), "retained", "dropped", size_bytes=MIB)
    kept = Cleaned(TableName("shop", "_b_retained"), "retained", "kept", why=f"until {UNTIL}")
    cleanup = Cleanup((dropped, kept))
    assert (
        cleanup_text(cleanup)
        == """\
Cleanup
=======

Dropped 1 object, 1.0 MiB.

name              kind      action      size  why
----------------  --------  -------  -------  --------------------------
shop._a_retained  retained  dropped  1.0 MiB
shop._b_retained  retained  kept              until 2026-05-08T22:00:00Z
"""
    )
    assert [cleanup_exit_code(cleanup), cleanup_exit_code(Cleanup((dropped,)))] == [1, 0]
    assert json.loads(cleanup_json(cleanup))["objects"][1]["action"] == "kept"
    assert lines(cleanup_text(Cleanup(())))[-1] == "Nothing of ours is there."


def test_what_cleanup_forgets_is_not_kept() -> None:
    """A retained table that a person took away counts neither as dropped nor as still there."""
    gone = Cleaned(TableName("shop", "_a_retained"), "retained", "forgotten", why="it is not there any more")
    assert cleanup_exit_code(Cleanup((gone,))) == 0
    assert "Dropped 0 objects" in cleanup_text(Cleanup((gone,)))


def test_the_identity_of_a_server() -> None:
    """Reports name the server by its own address unless another one was used."""
    assert server_id(a_server()) == HERE
    assert server_id(a_server(), "/run/mysqld.sock").where == "/run/mysqld.sock"


# -- rollback ---------------------------------------------------------------------------------

CURRENT = RetainedTable(TableName("shop", "_a_retained"), UNTIL, MIB, "2026-05-02T22:00:00Z")
LOST = RetainedTable(TableName("shop", "_b_retained"), UNTIL, MIB, "2026-05-02T22:00:00Z", "a trigger was added")
OVER = replace(CURRENT, rollback_is_over=True)


def test_tables_that_can_be_rolled_back_are_told_with_what_to_do_before_they_are_altered() -> None:
    """Until when, or why not any more, and how it is ended; without such a table there is no word about it."""
    shown = as_text([retained_grid([CURRENT, LOST]), *rollback_notes([CURRENT, LOST])])
    assert "2026-05-02T22:00:00Z" in shown
    assert "NO: a trigger was added" in shown
    assert shown.count("migrator rollback TABLE --forget") == 2
    assert as_text(rollback_notes([CURRENT])).count("--forget") == 1
    assert "over" not in shown.lower()
    over = as_text([retained_grid([OVER, LOST]), *rollback_notes([OVER, LOST])])
    assert "2026-05-02T22:00:00Z (over)" in over
    assert "also to shop._a_retained. migrator cleanup takes the triggers off" in " ".join(over.split())
    plain = RetainedTable(TableName("shop", "_a_retained"), UNTIL, MIB)
    assert rollback_notes([plain]) == []
    assert "rollback" not in as_text([retained_grid([plain])])


def test_what_a_rollback_did_says_that_the_table_is_in_clear() -> None:
    """And what comes next; a dry run says what would be."""
    orders = TableName("shop", "orders")
    done = rollback_text(TakenBack(orders, "rolled-back", 12_000, 3.0))
    assert "IN CLEAR" in done
    assert "12,000 rows were compared and are equal" in done
    assert "migrator rollback shop.orders   compares" in rollback_text(TakenBack(orders, "would-roll-back"))
    assert "shop._orders_retained is not kept current any more" in rollback_text(TakenBack(orders, "stopped"))
    assert "--forget" in rollback_text(TakenBack(orders, "would-stop"))
    assert json.loads(rollback_json(TakenBack(orders, "stopped")))["action"] == "stopped"


def test_review_says_what_can_be_noticed_of_relays() -> None:
    """With relays the review says in its sums which errors they can give, and without them nothing of the kind."""
    relayed = replace(REFUSED, method=Method.TABLESPACE_RELAY)
    text = " ".join(review_text(a_review(steps=(relayed,))).split())
    assert "1 table by tablespace-relay" in text
    assert "error 1412 or 1213" in text
    assert "1412" not in review_text(a_review())


def test_plan_says_what_can_be_noticed_of_relays() -> None:
    """The summary of `plan` counts the relays and names the errors; without relays it has no such line."""
    with_one = make_plan(an_inventory(a_table(keys=()), a_table(NASTY)), Policy(), {})
    (line,) = (line for line in planned_lines(with_one, "plan.yaml") if "1412" in line)
    assert line.startswith("1 table by tablespace-relay")
    without = make_plan(an_inventory(a_table(NASTY)), Policy(), {})
    assert not any("1412" in line for line in planned_lines(without, "plan.yaml"))
