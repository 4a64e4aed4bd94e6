"""The demonstration's own machinery can fail: its comparison, its checks and its numbers, without a server."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.demo import company, ledger, verdict
from tests.demo.estate import Estate, names
from tests.demo.facts import Facts, comparable, files_of
from tests.demo.latency import Sample, by_second, percentile, summary
from tests.demo.ledger import Difference, compare, compare_all, digests, expected
from tests.demo.migration import Migration, steps_in
from tests.demo.shapes import Account, Column, Row, Shape, quote
from tests.demo.traffic import ApplicationDied, Result, traffic
from tests.demo.values import completed, literal, new_value
from tests.demo.verdict import Step


def a_column(name: str, type: str = "int", **changes: object) -> Column:
    """A NOT NULL column; the data type follows from the type."""
    plain = Column(
        name=name,
        type=type,
        data_type=type.split("(")[0].split(" ")[0],
        nullable=False,
        length=20,
        precision=10,
        scale=0,
        charset="",
        collation="",
        srid=None,
        generated=False,
        auto_increment=False,
        set_by_update=False,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def a_shape(*, key: tuple[int, ...] = (0,), uniques: tuple[tuple[int, ...], ...] = ()) -> Shape:
    """A table with a nasty name and the columns a, b, c."""
    columns = (a_column("a"), a_column("b", "varchar(20)"), a_column("c", "varchar(20)"))
    return Shape('x.we`ird %s "näme"', "`x`.`t`", columns, key, (False,) * len(key), uniques)


ROWS: list[Row] = [(b"1", b"x", None), (b"2", b"y", b""), (b"3", b"x", b"z")]


def compared(now: list[Row], owned: ledger.Owned | None = None, *, key: tuple[int, ...] = (0,)) -> tuple[int, int, int]:
    """Missing, extra and different, where `ROWS` were there before."""
    shape = a_shape(key=key)
    must = expected(frozenset(digests(shape, ROWS)), owned or {})
    found = compare(shape.table, must, frozenset(digests(shape, now)))
    assert found.equal == (not any((found.missing, found.extra, found.different)))
    return found.missing, found.extra, found.different


# -- the comparison -------------------------------------------------------------------------------


def test_the_same_rows_in_another_order_are_equal() -> None:
    """Rows have no order."""
    assert compared(ROWS[::-1]) == (0, 0, 0)


def test_a_lost_row_is_missing() -> None:
    """A row that was there before and is not in the ledger must still be there."""
    assert compared(ROWS[:2]) == (1, 0, 0)


def test_an_added_row_is_extra() -> None:
    """A row that nobody wrote is found."""
    assert compared([*ROWS, (b"4", b"x", None)]) == (0, 1, 0)


@pytest.mark.parametrize("changed", [(b"2", b"Y", b""), (b"2", b"y", None), (b"2", b"y ", b"")])
def test_a_changed_value_is_different(changed: Row) -> None:
    """Case, NULL against an empty string, and a space at the end all count."""
    assert compared([ROWS[0], changed, ROWS[2]]) == (0, 0, 1)


def test_two_rows_that_swap_their_values_are_different() -> None:
    """Digests are not added up: what cancels out in a sum is seen."""
    assert compared([(b"1", b"y", b""), (b"2", b"x", None), ROWS[2]]) == (0, 0, 2)


def test_values_that_move_over_a_column_border_are_different() -> None:
    """`x` + `` and `` + `x` are two rows."""
    assert set(digests(a_shape(), [(b"1", b"x", b"")])) != set(digests(a_shape(), [(b"1", b"", b"x")]))


def test_without_a_key_equal_rows_are_counted() -> None:
    """Of two equal rows, losing one is a loss."""
    shape, twice = a_shape(key=()), [ROWS[0], ROWS[0]]
    must = frozenset(digests(shape, twice))
    assert compare("t", must, frozenset(digests(shape, twice[:1]))) == Difference("t", 1, 1, 0, 0)
    assert compare("t", must, must).equal


def test_the_ledger_wins_over_what_was_there_before() -> None:
    """A row that the application changed, deleted or added must be as it says."""
    owned: ledger.Owned = {(b"1",): (b"1", b"new", None), (b"2",): None, (b"9",): (b"9", b"", None)}
    assert compared([(b"1", b"new", None), ROWS[2], (b"9", b"", None)], owned) == (0, 0, 0)
    assert compared(ROWS, owned) == (1, 1, 1)


def test_a_table_that_is_gone_has_lost_all_its_rows() -> None:
    """A table missing from the second snapshot is not skipped."""
    before = {"x.t": frozenset(digests(a_shape(), ROWS))}
    assert compare_all(before, {}, {}) == (Difference("x.t", 0, 3, 0, 0),)


def test_the_ledger_survives_its_file(tmp_path: Path) -> None:
    """Bytes, NULL and deleted rows come back as they were, and the file is its owner's alone."""
    written: ledger.Ledger = {"x.t": {(b"\x00\xff", b"a"): (b"\x00\xff", b"a", None), (b"2", None): None}}
    ledger.write(tmp_path / "ledger.jsonl", written)
    assert ledger.read(tmp_path / "ledger.jsonl") == written
    assert (tmp_path / "ledger.jsonl").stat().st_mode & 0o077 == 0


# -- what the application owns --------------------------------------------------------------------


def test_a_deleted_row_leaves_its_key_and_its_unique_value() -> None:
    """Both can be used again by the same thread; NULL is no unique value."""
    estate = Estate(
        a_shape(uniques=((1,), (2,))), dict(zip([(r[0],) for r in ROWS], ROWS, strict=True)), spare=[[], []]
    )
    estate.remove((b"1",))
    assert estate.free() == [(b"1",)]
    assert estate.spare == [[(b"x",)], []]
    assert estate.owned()[(b"1",)] is None


def test_what_a_rollback_restores_is_a_copy() -> None:
    """Changes after `saved` do not reach what was saved."""
    estate = Estate(a_shape(), {(b"1",): ROWS[0]})
    before = estate.saved()
    estate.remove((b"1",))
    estate.respelled.add((b"2",))
    assert before.owned() == {(b"1",): ROWS[0]}


def test_an_application_that_dies_is_told_with_its_reason(tmp_path: Path) -> None:
    """It is never taken for one that saw no error."""
    (tmp_path / "app.cnf").write_text("[client]\nhost=127.0.0.1\nport=1\nuser=nobody\n")
    with traffic(tmp_path / "app.cnf", tmp_path) as load, pytest.raises(ApplicationDied, match="2003"):
        load.mark("run")


def test_unique_values_of_two_threads_and_two_runs_differ() -> None:
    """Twelve characters each, so that they fit into the shortest unique column."""
    made = [next(names(run, thread)) for run in (1, 2) for thread in (1, 2)]
    assert len(set(made)) == 4
    assert {len(name) for name in made} == {12}


# -- values ---------------------------------------------------------------------------------------


FITS: Mapping[str, Callable[[bytes], bool]] = {
    "decimal": lambda value: len(value.rsplit(b".")[1]) == 4,
    "datetime": lambda value: len(value) == len("2020-01-01 00:00:00.000"),
    "time": lambda value: value[-3:-2] == b".",
    "bit": lambda value: len(value) == 2 and int.from_bytes(value, "big") < 2**11,
    "char": lambda value: len(value.decode().encode("latin1")) <= 12 and not value.endswith(b" "),
    "binary": lambda value: len(value) == 16,
    "json": lambda value: json.dumps(json.loads(value), ensure_ascii=False).encode() == value,
    "set": lambda value: value in {b"", b"a", b"b", b"a,b"},
    "tinyint": lambda value: 0 <= int(value) <= 255,
    "point": lambda value: value[:4] == (4326).to_bytes(4, "little") and len(value) == 25,
}


@pytest.mark.parametrize(
    "column",
    [
        a_column("c", "decimal(12,4)", precision=12, scale=4),
        a_column("c", "datetime(3)", scale=3),
        a_column("c", "time(2)", scale=2),
        a_column("c", "bit(11)", precision=11),
        a_column("c", "char(12)", length=12, charset="latin1"),
        a_column("c", "binary(16)", length=16),
        a_column("c", "json"),
        a_column("c", "set('a','b')"),
        a_column("c", "tinyint unsigned"),
        a_column("c", "point", srid=4326),
    ],
    ids=lambda column: column.type,
)
def test_a_value_fits_its_column(column: Column) -> None:
    """Whatever is drawn has the length, the digits and the range that the column keeps."""
    chance = random.Random(1)
    for _ in range(300):
        value = new_value(column, chance)
        assert value is not None
        assert FITS[column.data_type](value)
        assert literal(column, value) is not None


def test_a_generated_column_is_computed_by_the_application() -> None:
    """The amount of an order line is quantity times price, with two digits."""
    columns = (
        a_column("quantity"),
        a_column("price", "decimal(10,2)"),
        a_column("amount", "decimal(14,2)", generated=True),
    )
    shape = Shape("shop.order_lines", "", columns, (0,), (False,), ())
    assert completed(shape, (b"3", b"1.10", None)) == (b"3", b"1.10", b"3.30")


# -- numbers --------------------------------------------------------------------------------------


def test_percentiles_are_of_the_nearest_rank() -> None:
    """The median of four values is the second, and p99 of a hundred is the ninety-ninth."""
    assert percentile([1, 2, 3, 4], 0.5) == 2
    assert percentile(range(1, 101), 0.99) == 99
    assert percentile([7], 0.5) == 7
    assert percentile([], 0.5) == 0


def test_a_summary_counts_by_outcome_and_by_second() -> None:
    """Failed transactions count as transactions; rates are of the seconds that a period lasted."""
    samples = [
        Sample("p", 0.5, 0.010, "committed"),
        Sample("p", 1.5, 0.030, "failed"),
        Sample("p", 1.6, 0.020, "rolled back"),
    ]
    found = summary(samples, 2.0)
    assert (found.transactions, found.committed, found.rolled_back, found.failed) == (3, 1, 1, 1)
    assert (found.per_second, found.p50_ms, found.max_ms) == (1.5, 20.0, 30.0)
    assert by_second(samples) == [(0, 1, 10.0, 10.0), (1, 2, 30.0, 30.0)]


# -- facts and definitions ------------------------------------------------------------------------

OPTIONS = (
    ") /*!50100 TABLESPACE `s` */ ENGINE=InnoDB{} DEFAULT CHARSET=utf8mb4 ROW_FORMAT=COMPACT{}"
    " COMMENT='AUTO_INCREMENT=3 ENCRYPTION=''Y'''"
)


def test_only_encryption_and_auto_increment_may_differ() -> None:
    """Both spellings are taken out of the options, and nothing out of comments."""
    plain = "CREATE TABLE `t` (\n  `id` int COMMENT 'AUTO_INCREMENT=3 ENCRYPTION=''Y'''\n" + OPTIONS.format("", "")
    assert comparable(plain) == plain
    for encryption in (" ENCRYPTION='Y'", " /*!80016 ENCRYPTION='Y' */"):
        assert (
            comparable(plain.replace(OPTIONS.format("", ""), OPTIONS.format(" AUTO_INCREMENT=7", encryption))) == plain
        )
    assert comparable(plain.replace("\n) ", "\n) /*!50100 TABLESPACE `innodb_file_per_table` */ ")) == plain
    assert comparable(plain.replace("\n) ", "\n) /*!50100 TABLESPACE `other` */ ")) != plain
    assert comparable(plain.replace("ROW_FORMAT=COMPACT ", "")) != plain
    assert comparable(plain.replace("''Y'''", "''N'''")) != plain


def test_every_file_behind_a_table_counts() -> None:
    """Partitions, full-text files and shared tablespaces belong to their table, whatever their names look like."""
    rows = [
        (1, "shop/50@0025_off", "shop/50%_off", "Single", 1),
        (2, "shop/a#p#p0", "shop/a#p#p0", "Single", 1),
        (3, "shop/a#p#p1", "shop/a#p#p1", "Single", 0),
        (10, "shop/r", "shop/r", "Single", 1),
        (11, "shop/fts_000000000000000a_0000000000000366_index_1", "shop/fts_000000000000000a_x", "Single", 0),
        (12, "shop/c", "company_reference", "General", 1),
    ]
    assert files_of(rows) == {
        "shop.50%_off": [True],
        "shop.a": [True, False],
        "shop.r": [True, False],
        "shop.c": [True],
    }


def test_the_companys_statements_are_split_and_scaled() -> None:
    """A semicolon ends a statement only at the end of a line; only the number of generated rows is scaled."""
    text = (
        "-- no; statement;\nSELECT 'a;b';\nINSERT INTO t\nSELECT n % 5000 FROM loading.n WHERE n <= 5000 ORDER BY 1;\n"
    )
    first, second = company.statements(text)
    assert first == "SELECT 'a;b'"
    assert company.scaled(second, 0.1) == second.replace("n <= 5000", "n <= 500")
    assert company.scaled(second, 0.001) == second.replace("n <= 5000", "n <= 100")


def test_names_are_quoted_for_statements_with_arguments() -> None:
    """The backtick for the server, the per cent sign for PyMySQL."""
    assert quote('we`ird %s "näme"') == '`we``ird %%s "näme"`'


def test_a_password_is_never_shown() -> None:
    """An account in a message or a traceback does not tell its password."""
    assert "secret" not in repr(Account("h", 1, "u", "secret"))


# -- the verdict ----------------------------------------------------------------------------------

REFUSED = next(iter(company.EXPECTED_REFUSED))


def facts(table: str, *, encrypted: bool | None = True, definition: str = "d") -> Facts:
    """A table's facts."""
    return Facts(table, "InnoDB", encrypted, definition, (), ())


def result(**changes: object) -> Result:
    """An application that was well."""
    during = summary([Sample("during", 0.1, 0.01, "committed")] * 60, 1.0)
    well = Result({"during": during}, {}, (), (), 3, {"shop.events": 5}, {}, {})
    return replace(well, **changes)  # type: ignore[arg-type]


def well(result: Result, *more: str) -> list[bool]:
    """What the checks on the application say, where one table was migrated, and `more`."""
    return passed(*verdict.application_is_well(result, "during", {"shop.events", *more}, str))


def passed(*checks: verdict.Check) -> list[bool]:
    """Of each check, whether it passed."""
    return [check.passed for check in checks]


def test_one_different_row_fails_the_demonstration() -> None:
    """And so does a comparison of nothing."""
    assert verdict.rows_are_equal([Difference("a.b", 5, 0, 0, 0)]).passed
    assert not verdict.rows_are_equal([Difference("a.b", 5, 0, 0, 0), Difference("a.c", 5, 0, 0, 1)]).passed
    assert not verdict.rows_are_equal([]).passed


def test_one_error_one_wrong_answer_or_one_idle_table_fails_the_demonstration() -> None:
    """Each by its own check."""
    trouble = {"number": 1213, "at": "2026-01-01T00:00:00.000+00:00", "table": "a.b", "doing": "write"}
    assert well(result()) == [True, True, True]
    assert well(result(troubles=[trouble])) == [False, True, True]
    assert well(result(wrong=["a.b"])) == [True, False, True]
    assert well(result(), "a.b") == [True, True, False]
    slow = {"during": replace(result().periods["during"], per_second=49.9)}
    assert well(result(periods=slow)) == [True, True, False]


def test_a_table_in_clear_a_changed_definition_or_a_leftover_fails_the_demonstration() -> None:
    """Refused tables may stay in clear, and a table in memory has no file."""
    before = {
        "shop.a": facts("shop.a", encrypted=False),
        "shop.m": facts("shop.m", encrypted=None),
        REFUSED: facts(REFUSED, encrypted=False),
    }
    after = before | {"shop.a": facts("shop.a")}
    assert passed(*verdict.encrypted_and_unchanged(before, after)) == [True, True, True]
    assert passed(*verdict.encrypted_and_unchanged(before, before)) == [False, True, True]
    changed = after | {REFUSED: facts(REFUSED, encrypted=False, definition="e")}
    assert passed(*verdict.encrypted_and_unchanged(before, changed)) == [True, False, True]
    left = after | {"shop._a_shadow": facts("shop._a_shadow")}
    assert passed(*verdict.encrypted_and_unchanged(before, left)) == [True, True, False]
    assert passed(*verdict.encrypted_and_unchanged(before, {"shop.a": after["shop.a"]})) == [True, True, False]


def test_a_histogram_may_be_lost_by_encryption_only() -> None:
    """The server keeps none of an encrypted table; any other one must have kept its own."""
    before = {"shop.a": replace(facts("shop.a", encrypted=False), histograms=("c",))}
    assert passed(*verdict.encrypted_and_unchanged(before, {"shop.a": facts("shop.a")})) == [True, True, True]
    lost = {"shop.a": facts("shop.a", encrypted=False)}
    assert passed(*verdict.encrypted_and_unchanged(before, lost)) == [False, False, True]


def test_what_the_run_did_at_a_moment_is_found(tmp_path: Path) -> None:
    """An error of the application is shown with the statement that the run was at."""
    seen = Migration(tmp_path)
    seen.heard({"event": "DdlStarting", "at": "T01", "subject": "a.b", "statement": "RENAME"})
    seen.heard({"event": "DdlDone", "at": "T03", "subject": "a.b", "statement": "RENAME"})
    found = [seen.doing(at) for at in ("T00", "T02", "T04")]
    assert found == ["before the run", "in a.b: RENAME", "after a.b: RENAME"]


def test_refused_tables_are_read_from_the_plan(tmp_path: Path) -> None:
    """Tables only, and those with their reason; no plan, no tables."""
    plan = tmp_path / "plan.yaml"
    assert Migration(tmp_path, planned=steps_in(plan)).refused == {}
    table = "  - {{kind: table, schema_name: a, table_name: {}, method: {}, why: because}}\n"
    plan.write_text("steps:\n" + table.format("b", "refuse") + table.format("c", "skip"))
    assert Migration(tmp_path, planned=steps_in(plan)).refused == {"a.b": "because"}


def test_a_plan_that_is_not_the_committed_one_fails_the_demonstration() -> None:
    """A step more, a step less, another method or statement: each is noticed, sizes are not."""
    step = {"kind": "table", "schema_name": "a", "table_name": "b", "method": "skip", "definition": ["engine: x"]}
    other = step | {"table_name": "c"}
    check = verdict.planned_as_committed
    assert check([step, other], [other, step | {"facts": {"rows": 7}}]).passed
    for wrong in ([step], [step, other, step | {"table_name": "d"}], [step, other | {"method": "refuse"}]):
        assert not check(wrong, [step, other]).passed
    assert not check([step | {"sql": ["DROP TABLE b"]}, other], [step, other]).passed


def test_a_log_in_clear_fails_the_demonstration() -> None:
    """And so does one that was encrypted before: it would prove nothing."""
    off = {"binlog_encryption": False, "new tables of shop": False}
    on = dict.fromkeys(off, True)
    check = verdict.logs_are_encrypted
    assert check(off, on).passed
    assert not check(off, off | {"binlog_encryption": True}).passed
    assert not check(on, on).passed
    assert not check({}, {}).passed


def test_one_table_refused_too_many_or_too_few_fails_the_demonstration() -> None:
    """The list is asserted exactly, and a refused table must be left alone."""
    before = {table: facts(table, encrypted=False) for table in company.EXPECTED_REFUSED}
    wanted = list(company.EXPECTED_REFUSED)
    assert verdict.refused_as_expected(wanted, before, before).passed
    assert not verdict.refused_as_expected([*wanted, "shop.events"], before, before).passed
    assert not verdict.refused_as_expected(wanted[1:], before, before).passed
    assert not verdict.refused_as_expected(wanted, before, before | {wanted[0]: facts(wanted[0])}).passed


def test_a_large_table_that_was_altered_directly_fails_the_demonstration() -> None:
    """A blocking statement on a large table is not what is shown."""
    steps = [Step(table, "shadow-copy", "done", 1, 1.0) for table in company.LARGE]
    assert verdict.large_ones_were_copied(steps).passed
    assert not verdict.large_ones_were_copied([*steps[1:], replace(steps[0], method="direct-alter")]).passed
    assert not verdict.large_ones_were_copied(steps[1:]).passed


def test_a_table_that_was_relayed_or_not_fails_the_demonstration() -> None:
    """The list is asserted exactly, and each of them must be done."""
    steps = [Step(table, "tablespace-relay", "done", 0, 1.0) for table in company.EXPECTED_RELAYED]
    assert verdict.relayed_as_expected(steps).passed
    assert not verdict.relayed_as_expected(steps[1:]).passed
    assert not verdict.relayed_as_expected([*steps, replace(steps[0], subject="shop.events")]).passed
    assert not verdict.relayed_as_expected([*steps[1:], replace(steps[0], outcome="failed")]).passed


def test_a_value_that_can_still_be_read_fails_the_demonstration() -> None:
    """And so does one that could not be read before: it would prove nothing."""
    assert verdict.unreadable_on_disk({"a.b": True}, {"a.b": False}).passed
    assert not verdict.unreadable_on_disk({"a.b": True}, {"a.b": True}).passed
    assert not verdict.unreadable_on_disk({"a.b": False}, {"a.b": False}).passed


def test_a_table_in_clear_is_seen() -> None:
    """One InnoDB table in clear fails the check, and so does a database in which nothing was in clear before."""
    was = {"shop/orders": False, "shop/carts": True}
    now = dict.fromkeys(was, True)
    check = verdict.nothing_in_clear
    assert passed(check(was, now), check(was, now | {"migrator/step": False}), check(now, now), check(was, {})) == [
        True,
        False,
        False,
        False,
    ]
