"""Nothing is taken for ours, changed or dropped without proof, and triggers go before what they write to."""

from __future__ import annotations

import pytest

from migrator.errors import OwnerUnknown
from migrator.events import ChunkCopied, StepStarted
from migrator.model import Method
from tests.server.engine.kit import WEIRD, At, Crash, Lab, crash, ddl, each, name, phase
from tests.server.engine.test_rows import BY_NUMBER

MINE = "(a INT PRIMARY KEY COMMENT 'mine')"


@pytest.mark.parametrize("suffix", ["shadow", "log", "retained"])
@pytest.mark.parametrize("table", ["t", WEIRD], ids=["plain", "weird"])
def test_a_table_of_somebody_else_with_our_name_is_refused_by_the_plan(lab: Lab, table: str, suffix: str) -> None:
    """A name that is taken refuses the table, and the stranger stays."""
    lab.table(table, *BY_NUMBER)
    other = f"_{table}_{suffix}"
    lab.run(f"CREATE TABLE {name(other)} {MINE}")
    step = next(s for s in lab.plan().steps if s.table_name == table)
    assert step.method is Method.REFUSE
    assert "mine" in lab.show_create(other)


@pytest.mark.parametrize("suffix", ["shadow", "log", "retained"])
def test_a_table_that_takes_our_name_after_the_review(lab: Lab, suffix: str) -> None:
    """A stranger that comes when the run has begun is not touched: a person must look; without it the next run is done."""
    lab.table("t", *BY_NUMBER)
    other = f"_t_{suffix}"

    def take() -> None:
        lab.run(f"CREATE TABLE {other} {MINE}", f"INSERT INTO {other} VALUES (1)")

    ran = lab.apply("t", at=[At(phase("verify") if suffix == "retained" else each(StepStarted), take)])
    ran.assert_outcome("person")
    assert ran.outcome.exit_code == OwnerUnknown.exit_code
    assert other in ran.step.message
    assert lab.value(f"SELECT COUNT(*) FROM {other}") == 1
    lab.assert_equal("t")
    lab.run(f"DROP TABLE {other}")
    lab.apply("t").assert_outcome("done")
    lab.assert_done("t")


def test_an_empty_table_of_somebody_else_with_our_name(lab: Lab) -> None:
    """To have intended a name proves nothing: an empty table that a person made under it is not dropped."""
    lab.table("t", *BY_NUMBER)
    with pytest.raises(Crash):
        lab.apply("t", at=[At(ddl("CREATE TABLE"), crash)])
    lab.run(f"CREATE TABLE _t_shadow {MINE}")
    ran = lab.apply("t", plan=lab.plan("t"))
    assert ran.step.outcome in {"person", "refused"}
    assert "mine" in lab.show_create("_t_shadow")


def test_a_shadow_that_was_replaced_is_not_dropped(lab: Lab) -> None:
    """A table that stands where our shadow was is somebody else's, whatever its name."""
    lab.table("t", *BY_NUMBER)
    with pytest.raises(Crash):
        lab.apply("t", at=[At(each(ChunkCopied), crash, 2)])
    lab.run("DROP TABLE _t_shadow", f"CREATE TABLE _t_shadow {MINE}")
    lab.apply("t").assert_outcome("person")
    assert "mine" in lab.show_create("_t_shadow")


@pytest.mark.parametrize("where", ["t", "other"])
@pytest.mark.parametrize("purpose", ["log", "mirror"])
def test_a_trigger_of_somebody_else_with_our_name(lab: Lab, where: str, purpose: str) -> None:
    """A trigger that bears our name, on this table or another, is neither taken for ours nor dropped."""
    lab.table("t", *BY_NUMBER)
    lab.run("CREATE TABLE other (id INT PRIMARY KEY)")
    with pytest.raises(Crash):
        lab.apply("t", at=[At(ddl(f"_t_{purpose}_del"), crash)])
    lab.run(f"CREATE TRIGGER _t_{purpose}_del AFTER DELETE ON {where} FOR EACH ROW SET @mine = 1")
    ran = lab.apply("t")
    ran.assert_outcome("person")
    body = "SELECT ACTION_STATEMENT FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s AND TRIGGER_NAME = %s"
    assert lab.value(body, lab.schema, f"_t_{purpose}_del") == "SET @mine = 1"
    lab.run(f"DROP TRIGGER _t_{purpose}_del")
    lab.apply("t").assert_outcome("done")
    lab.assert_done("t")


def test_triggers_go_before_what_they_write_to(lab: Lab) -> None:
    """A step that is given up drops its triggers first: the application never meets one without its table."""
    lab.table("t", *BY_NUMBER)
    with lab.application("t") as app:
        app.query("SELECT 1")

        def write() -> None:
            app.write("UPDATE {t} SET w = 5 WHERE id = 20")

        # Inside of the exclusive moment nobody can write; these are before, between and after.
        drops = [At(ddl("DROP TABLE"), write, 0), At(ddl("DROP TABLE", done=True), write, 0)]
        ran = lab.apply("t", at=[At(phase("index"), lambda: lab.run("ALTER TABLE t COMMENT 'new'")), *drops])
        ran.assert_outcome("failed")
        write()
    order = [s for s in ran.statements() if "DROP T" in s]
    assert [s.split()[1] for s in order] == ["TRIGGER"] * 3 + ["TABLE"] * 2
    assert lab.names() == {"t"}
    lab.assert_equal("t")


@pytest.mark.parametrize("where", ["mirror", "verify"])
def test_a_log_that_was_dropped_by_a_person(lab: Lab, where: str) -> None:
    """The log or shadow gone: the copy is void, the triggers are taken down so that the application can write again."""
    lab.table("t", *BY_NUMBER)
    gone = "_t_log" if where == "mirror" else "_t_shadow"
    ran = lab.apply("t", at=[At(phase(where), lambda: lab.run(f"DROP TABLE {gone}"))])
    ran.assert_outcome("failed")
    assert lab.names() == {"t"}
    with lab.application("t") as app:
        app.write("UPDATE {t} SET w = 5 WHERE id = 20")
    lab.apply("t").assert_outcome("done")
    lab.assert_done("t")


def test_a_table_that_is_called_like_a_partition(lab: Lab) -> None:
    """`t#p#q` is a table of its own and no partition of `t`, whatever is done to it meanwhile."""
    lab.run("CREATE TABLE `t#p#q` (id INT PRIMARY KEY)", "CREATE TABLE `t#P#q2` (id INT PRIMARY KEY)")
    lab.table("t", *BY_NUMBER)
    ran = lab.apply("t", at=[At(each(ChunkCopied), lambda: lab.run("TRUNCATE TABLE `t#p#q`"))])
    ran.assert_outcome("done")
    lab.assert_done("t")


def test_names_of_full_length(lab: Lab) -> None:
    """Two tables whose 64 characters differ only at the end get names of their own for everything."""
    first, second = "ä" * 63 + "1", "ä" * 63 + "2"
    lab.table(first, *BY_NUMBER)
    lab.table(second, *BY_NUMBER)
    ran = lab.apply()
    assert [s.outcome for s in ran.outcome.steps] == ["done", "done"]
    lab.assert_done(first)
    lab.assert_done(second)
    assert len(lab.names()) == 4


def test_decrypted_after_the_swap_is_not_called_encrypted(lab: Lab) -> None:
    """A table that a person has decrypted since is not reported as done or encrypted by an old plan."""
    lab.table("t", *BY_NUMBER)
    plan = lab.plan("t")
    lab.apply(plan=plan).assert_outcome("done")
    lab.run("ALTER TABLE t ENCRYPTION='N'")
    ran = lab.apply_or_error(plan)
    assert ran is None or ran.outcome.exit_code != 0, ran.step
    assert not lab.encrypted("t")
