"""Plans that cannot be used, or not any more: what is said, and that nothing is touched. Runs the installed command."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.server.cli.kit import ALL_SHADOW, Desk, edit, run_to_end
from tests.server.cli.snapshot import name

EXAMPLE = Path(__file__).parents[3] / "plans" / "example.yaml"

# -- the file ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "replacement", "words"),
    [
        ("workers: 4", "wrokers: 2", ["unknown key 'wrokers'", "did you mean 'workers'?"]),
        ("workers: 4", "workers: many", ["workers", '"many"']),
        ("workers: 4", "workers: 0", ["workers", "greater than or equal to 1"]),
        ("workers: 4", "workers: '2'", ["workers", "valid integer"]),
        ("retain_days: 7 d", "retain_days: 7 parsecs", ["retain_days", "7 parsecs"]),
        ("method: direct-alter", "method: direct-atler", ["method", "did you mean 'direct-alter'?"]),
        ("method: direct-alter", "method: direct-alter\n    method: skip", ["method"]),
        ("format: 1\n", "format: 2\n", ["format"]),
        ("    table_name: countries\n", "", ["table_name"]),
        ("server:\n", "server: [\n", []),
        ("workers: 4", "workers: !!python/object/apply:os.system ['true']", []),
    ],
    ids=["unknown-key", "word", "too-small", "wrong-type", "bad-unit", "bad-choice", "twice", "version", "missing",
         "no-yaml", "tag"],
)  # fmt: skip
def test_a_mistake_in_the_file(tmp_path: Path, pattern: str, replacement: str, words: list[str]) -> None:
    """Exit 2 with file, line, what is wrong and a remedy, before any server is asked."""
    plan = tmp_path / "plan.yaml"
    plan.write_text(EXAMPLE.read_text())
    edit(plan, rf"(?m){re.escape(pattern)}", replacement)
    at = plan.read_text().split(replacement, 1)[0].count("\n") + 1 if replacement else 1
    ran = run_to_end("apply", "--no-defaults", "-h127.0.0.1", "-P1", "-ujoe", plan, home=tmp_path)
    assert (ran.code, ran.out) == (2, ""), ran
    ran.says(f"error: {plan}:", "remedy: ", *words)
    lines = [int(number) for number in re.findall(rf"{re.escape(str(plan))}:(\d+)", ran.err)]
    if words and replacement:
        assert any(at <= line <= at + replacement.count("\n") for line in lines), (at, ran.err)


def test_a_file_that_is_no_plan(desk: Desk) -> None:
    """A missing file, a folder, an empty file, binary rubbish: exit 2, and the file is named."""
    rubbish = desk.folder / "rubbish.yaml"
    rubbish.write_bytes(b"\xff\xfe\x00rubbish")
    empty = desk.folder / "empty.yaml"
    empty.touch()
    for file in (desk.folder / "none.yaml", desk.folder, empty, rubbish):
        ran = desk.migrator("apply", file)
        assert (ran.code, ran.out) == (2, ""), ran
        ran.says(str(file), "remedy: ")


# -- where a plan is written ------------------------------------------------------------------------


def test_output_that_cannot_be_written(desk: Desk) -> None:
    """A missing folder, a folder that may not be written to, a folder itself: exit 2 at once, the path named."""
    desk.table("t", rows=5)
    locked = desk.folder / "locked"
    locked.mkdir(mode=0o500)
    # root may write everywhere but where the kernel itself lets nobody make files.
    unwritable = Path("/sys/kernel") if os.geteuid() == 0 else locked
    plan = desk.plan()
    with desk.untouched():
        for file in (desk.folder / "none" / "p.yaml", unwritable / "p.yaml", desk.folder):
            ran = desk.migrator("plan", "-o", file)
            assert (ran.code, ran.out) == (2, ""), ran
            ran.says(f"cannot write {file}", "remedy: ")
        review = desk.migrator("dry-run", plan, "-o", unwritable / "review.txt")
        assert review.code == 2
        review.says(f"cannot write {unwritable}/review.txt")


# -- another server, other facts --------------------------------------------------------------------


def test_the_plan_of_another_server(desk: Desk) -> None:
    """Exit 2; both server_uuids are named, and nothing is touched."""
    desk.table("t", rows=5)
    plan = desk.plan()
    ours = desk.value("SELECT @@server_uuid")
    edit(plan, f"server_uuid: {ours}", "server_uuid: 00000000-1111-2222-3333-444444444444")
    with desk.untouched():
        ran = desk.migrator("apply", plan)
        assert (ran.code, ran.out) == (2, ""), ran
        ran.says("another server", ours, "00000000-1111-2222-3333-444444444444", "remedy: ")
        assert desk.migrator("dry-run", plan).code == 2


DRIFT = {
    "grown": ("ALTER TABLE {t} ADD COLUMN born DATE", "column `born` is new (date NULL)"),
    "shrunk": ("ALTER TABLE {t} DROP COLUMN extra", "column `extra` is gone"),
    "retyped": ("ALTER TABLE {t} MODIFY note VARCHAR(501)", "column `note` was varchar(500)"),
    "unindexed": ("ALTER TABLE {t} DROP INDEX note", "key `note` is gone"),
    "watched": ("CREATE TRIGGER mine BEFORE INSERT ON {t} FOR EACH ROW SET @a = 1", "trigger `mine` is new"),
    "parent": ("CREATE TABLE child (a VARCHAR(40), FOREIGN KEY (a) REFERENCES {t} (id))", "child"),
    "shadowed": ("CREATE TABLE _{t}_shadow (a INT)", "_shadowed_shadow"),
    "logged": ("CREATE TRIGGER _{t}_log_ins BEFORE INSERT ON {t} FOR EACH ROW SET @a = 1", "_logged_log_ins"),
}
"""What a person does to a table after the review, and what is said of it."""


def test_drifted_facts(desk: Desk) -> None:
    """Tables that are not as they were reviewed stop the run before anything: exit 2, each with what differs.

    The review shows the same, and rehearses nothing.
    """
    for table in DRIFT:
        desk.table(table, rows=3)
    plan = desk.plan(*ALL_SHADOW)
    desk.run(*(change.format(t=table) for table, (change, _) in DRIFT.items()))
    with desk.untouched():
        ran = desk.migrator("apply", plan)
        review = desk.migrator("dry-run", plan)
    assert (ran.code, ran.out) == (2, ""), ran
    ran.says("the server is not as it was when the plan was made", "remedy: ", "plan again")
    listed = [line for line in ran.err.splitlines() if line.startswith("  - ")]
    for table, (_, words) in DRIFT.items():
        assert [line for line in listed if line.startswith(f"  - {desk.schema}.{table}: ") and words in line], (
            table,
            ran,
        )
    assert review.code == 2, review
    assert "apply would stop before anything is touched: the server has drifted" in " ".join(review.out.split())


def test_growth_and_new_tables_are_no_drift(desk: Desk) -> None:
    """A table that has grown a hundredfold is done; a table that is new is said, and left."""
    desk.table("t", rows=20)
    plan = desk.plan(*ALL_SHADOW)
    desk.run(
        "INSERT INTO t (id, n, note) WITH RECURSIVE r (i) AS (SELECT 21 UNION ALL SELECT i + 1 FROM r WHERE i < 1000)"
        " SELECT i, i, 'grown' FROM r",
        "ANALYZE TABLE t",
    )
    desk.run(f"DROP TABLE {name(desk.ledger)}.t", f"CREATE TABLE {name(desk.ledger)}.t AS SELECT * FROM t")
    desk.table("later", rows=5)
    ran = desk.migrator("apply", plan)
    assert ran.code == 0, ran
    ran.says(f"{desk.schema}.later: is not in the plan")
    assert desk.encrypted("t")
    assert not desk.encrypted("later")
    desk.assert_equal()


def test_a_dropped_table_is_left_out(desk: Desk) -> None:
    """A table that was dropped since is said; the others are done, and the run does not count as failed."""
    desk.table("t", rows=20)
    desk.table("gone", rows=20)
    plan = desk.plan(*ALL_SHADOW)
    desk.run("DROP TABLE gone")
    ran = desk.migrator("apply", plan)
    ran.says(f"{desk.schema}.gone: is not there any more")
    assert ran.code == 0, ran
    assert desk.encrypted("t")
    desk.assert_equal()


def test_a_step_edited_to_skip(desk: Desk) -> None:
    """A reviewer's `method: skip` is kept to, the other table is done, and it is said what stays in clear."""
    desk.table("t", rows=20)
    desk.table("u", rows=20)
    plan = desk.plan(*ALL_SHADOW)
    edit(plan, r"(?s)(table_name: t\n    method: )shadow-copy", "table_name: t\n    method: skip")
    before = desk.server.rows(f"SHOW CREATE TABLE {name(desk.schema)}.t")
    ran = desk.migrator("apply", plan, "--format=json")
    assert ran.code == 1, ran
    ran.says(f"{desk.schema}.t: lies in clear, and the plan says to skip it")
    assert {step["subject"].rpartition(".")[2]: step["outcome"] for step in ran.json["steps"]} == {
        "t": "left",
        "u": "done",
    }
    assert [step["subject"].rpartition(".")[2] for step in ran.json["steps"] if step["in_clear"]] == ["t"]
    assert desk.server.rows(f"SHOW CREATE TABLE {name(desk.schema)}.t") == before
    assert desk.names() == {"t", "u", "_u_retained"}
    assert desk.encrypted("u")
    assert desk.migrator("verify", f"--databases={desk.schema}").code == 1


def test_a_tablespace_that_is_skipped(desk: Desk) -> None:
    """It stays in clear and so do the tables in it: that is said of each, and the run ends with 1."""
    space = f"s_{desk.schema}"
    desk.run(f"CREATE TABLESPACE {space} ADD DATAFILE '{space}.ibd'")
    try:
        desk.run(f"CREATE TABLE inside (id INT PRIMARY KEY) TABLESPACE {space}")
        plan = desk.plan(*ALL_SHADOW)
        skips = f"kind: tablespace\n    tablespace_name: {space}\n    method: "
        edit(plan, f"{skips}tablespace", f"{skips}skip")
        ran = desk.migrator("apply", plan, "--format=json")
        assert ran.code == 1, ran
        left = {step["subject"] for step in ran.json["steps"] if step["outcome"] == "left"}
        assert left == {space, f"{desk.schema}.inside"}
        assert not desk.encrypted("inside")
    finally:
        desk.run("DROP TABLE IF EXISTS inside", f"DROP TABLESPACE {space}")


def test_a_method_that_was_edited_to_something_unsafe(desk: Desk) -> None:
    """`direct-alter` written into the plan for a large table, or over a refusal, is held against the facts: exit 2."""
    desk.table("t", rows=20)
    desk.run("CREATE TABLE nokey (a INT)", "CREATE TABLE isam (a INT) ENGINE=MyISAM")
    plan = desk.plan(*ALL_SHADOW)
    edit(plan, r"method: shadow-copy", "method: direct-alter")
    with desk.untouched():
        ran = desk.migrator("apply", plan)
        assert ran.code == 2, ran
        ran.says("direct-alter does not fit", "plan again")
    forced = desk.plan(*ALL_SHADOW, file="forced.yaml")
    edit(forced, r"method: refuse", "method: shadow-copy")
    with desk.untouched():
        ran = desk.migrator("apply", forced)
        assert ran.code == 2, ran
        ran.says("shadow-copy does not fit", "cannot encrypt")
    forced = desk.plan(*ALL_SHADOW, file="relayed.yaml")
    edit(forced, r"method: tablespace-relay", "method: shadow-copy")
    with desk.untouched():
        ran = desk.migrator("apply", forced)
        assert ran.code == 2, ran
        ran.says("shadow-copy does not fit", "no-usable-key")


# -- what was asked for is not there ----------------------------------------------------------------


def test_an_unknown_table_or_schema(desk: Desk) -> None:
    """A name in --tables or --databases that fits nothing is exit 2 and named, for every command that takes it."""
    desk.table("t", rows=5)
    with desk.untouched():
        for command in ("audit", "plan", "verify"):
            table = desk.migrator(command, f"--tables={desk.schema}.t,{desk.schema}.tt")
            assert (table.code, table.out) == (2, ""), table
            table.says("--tables", f"{desk.schema}.tt", "remedy: ")
            schema = desk.migrator(command, "--databases=no_such_schema")
            assert (schema.code, schema.out) == (2, ""), schema
            schema.says("--databases", "no_such_schema")
        bare = desk.migrator("plan", "--tables=t")
        assert bare.code == 2
        bare.says("names no schema", "*.t")


def test_pause_where_nothing_ever_ran(desk: Desk) -> None:
    """`pause` and `unpause` without a journal are exit 2 and make none."""
    with desk.untouched():
        for command in ("pause", "unpause"):
            ran = desk.migrator(command)
            assert ran.code == 2
            ran.says("no run was ever recorded", "remedy: ")
