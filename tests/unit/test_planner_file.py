"""The plan file: written for people, read strictly, the same in both directions."""

from __future__ import annotations

import datetime
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migrator.errors import PlanInvalid, UsageError
from migrator.model import Finding, Flavour, Member, Method
from migrator.planner.file import parse_plan, plan_hash, plan_text, read_plan, write_plan
from migrator.planner.make import make_plan
from migrator.planner.plan import (
    HARDEN,
    SCHEMA_DEFAULT,
    Attestation,
    Attestations,
    Defaults,
    Estimate,
    Facts,
    Plan,
    PlanServer,
    Policy,
    Scope,
    Step,
    fingerprint_of,
)
from migrator.sql.settings import VARIABLES
from tests.unit.builders import NAMES, NASTY, SMALL_DIRECTLY, a_server, a_small_table, a_table, an_inventory


def a_plan(**more: Any) -> Plan:
    return make_plan(an_inventory(a_table(), a_small_table(NASTY)), SMALL_DIRECTLY, {}, **more)


# -- any plan -------------------------------------------------------------------------------------

ODD = (
    *("yes", "null", "~", "true", "1", "1.5", "0x10", "1_000", "2026-05-01", "8 MiB", "- a", "a: b", "#", "a\nb", " a"),
    *("a ", "a\n\n  b\n", "\n", "\t", "%", "'", '"', "&a", "*a", "!a", "|", ">", "---", "...", "\x85", "\u2028"),
    *("\ufeff", "🐬", "<<", "=", "{", "[", "? a", "a #b", "1e5", ".inf", "12:30:45", "0o7", "+1", "a\r\nb", "\x00"),
    *("\x7f", "a\n b\n  c", "a\n# b", "@", "`a`"),
)
texts = st.text(max_size=30) | st.sampled_from(ODD)
names = texts.filter(bool)
sizes = st.integers(0, 2**50) | st.integers(0, 2**30).map(lambda n: n * 1024)
seconds = st.none() | st.floats(0, 1e12) | st.integers(0, 10**9).map(float)
findings = st.lists(
    st.builds(Finding, code=texts, message=texts, remedy=texts, blocks=st.booleans(), subject=texts), max_size=2
).map(tuple)
lines = st.lists(texts, max_size=3).map(tuple)
estimates = st.builds(
    Estimate,
    bytes_written=sizes,
    extra_disk_peak_bytes=sizes,
    binlog_bytes=sizes,
    seconds_low=seconds,
    seconds_high=seconds,
    calibration=texts,
)
facts = st.builds(
    Facts, engine=texts, rows=st.integers(0, 10**15), data_bytes=sizes, index_bytes=sizes, chunk_key=texts,
    foreign_keys=lines, triggers=lines, partitions=st.integers(0, 9999), tables=lines,
)  # fmt: skip


@st.composite
def steps(draw: st.DrawFn) -> Step:
    definition = draw(lines)
    common: dict[str, Any] = {
        "why": draw(texts),
        "facts": draw(facts),
        "findings": draw(findings),
        "estimate": draw(estimates),
        "sql": draw(lines),
        "definition": definition,
        "fingerprint": fingerprint_of(definition),
        "workers": draw(st.none() | st.integers(1, 64)),
        "chunk_time_seconds": draw(st.none() | st.floats(0.05, 30)),
    }
    if draw(st.booleans()):
        method = draw(st.sampled_from([Method.TABLESPACE, Method.SKIP, Method.REFUSE]))
        return Step(kind="tablespace", tablespace_name=draw(names), method=method, **common)
    if draw(st.booleans()):
        method = draw(st.sampled_from([Method.SETTING, Method.SKIP]))
        if draw(st.booleans()):
            return Step(kind="setting", setting_name=SCHEMA_DEFAULT, schema_name=draw(names), method=method, **common)
        return Step(kind="setting", setting_name=draw(st.sampled_from(VARIABLES)), method=method, **common)
    method = draw(st.sampled_from([one for one in Method if one is not Method.SETTING]))
    space = draw(names) if method is Method.TABLESPACE else ""
    return Step(
        kind="table",
        schema_name=draw(names),
        table_name=draw(names),
        tablespace_name=space,
        method=method,
        **common,
    )


def unique(found: list[Step]) -> tuple[Step, ...]:
    by_name = {
        (s.schema_name, s.table_name, s.tablespace_name if s.kind != "table" else "", s.setting_name): s for s in found
    }
    return tuple(by_name.values())


zones = st.sampled_from([datetime.UTC, datetime.timezone(datetime.timedelta(hours=5, minutes=45))])
attestations = st.builds(
    Attestation,
    by=texts.filter(bool),
    at=st.dates() | st.datetimes(timezones=zones),
    note=texts,
)
plans = st.builds(
    Plan,
    tool_version=texts,
    created_at=texts,
    server=st.builds(PlanServer, server_uuid=names, version=texts, flavour=st.sampled_from(list(Flavour)), where=texts),
    scope=st.builds(Scope, databases=st.lists(names, max_size=2).map(tuple)),
    policy=st.builds(
        Policy,
        direct_below_bytes=st.integers(0, 2**30),
        tablespaces=st.booleans(),
        harden=st.lists(st.sampled_from(HARDEN)).map(tuple),
    ),
    attestations=st.builds(
        Attestations, keyring_backup=st.none() | attestations, members=st.dictionaries(texts, attestations, max_size=2)
    ),
    defaults=st.builds(
        Defaults,
        workers=st.integers(1, 64),
        chunk_time_seconds=st.floats(0.05, 30),
        chunk_max_bytes=st.integers(2**16, 2**30),
        retain_days=st.integers(0, 3650),
        rollback_hours=st.integers(0, 3650 * 24),
        swap_wait_seconds=st.integers(1, 86400),
        max_extra_disk_bytes=st.none() | sizes,
    ),
    findings=findings,
    steps=st.lists(steps(), max_size=3).map(unique),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plans)
def test_any_plan_reads_back_as_it_was_written(plan: Plan) -> None:
    """Whatever characters, sizes and times are in it, the file gives exactly the same plan and hash."""
    again = parse_plan(plan_text(plan))
    assert again == plan
    assert plan_hash(again) == plan_hash(plan)


@pytest.mark.parametrize("name", ["bytes_1:3306", "all_bytes"])
def test_a_member_with_the_name_of_a_size(name: str) -> None:
    """What somebody says of a server called so is no size."""
    said = Attestation(by="Ann", at=date(2026, 5, 1))
    plan = make_plan(an_inventory(), Policy(), {}, attestations=Attestations(members={name: said}))
    assert parse_plan(plan_text(plan)).attestations.members == {name: said}


# -- writing --------------------------------------------------------------------------------------


def test_the_file_is_made_for_review() -> None:
    """It begins with what a reviewer has to know, sizes have units, each step is headed by its name."""
    text = plan_text(a_plan())
    assert text.startswith("# A plan of migrator")
    assert "\nformat: 1\n" in text
    assert "direct_below_bytes: 8 MiB\n" in text
    assert "chunk_time_seconds: 0.5 s\n" in text
    assert "retain_days: 7 d\n" in text
    assert "rollback_hours: 0 h\n" in text
    assert "\n  # shop.orders: shadow-copy\n  - kind: table\n" in text
    assert "keyring_backup: null\n" in text


def test_inexact_sizes_are_numbers_with_a_comment() -> None:
    """What has no exact unit is written in bytes, and said roughly beside it."""
    plan = make_plan(an_inventory(a_table(data_bytes=123456789)), SMALL_DIRECTLY, {})
    assert "data_bytes: 123456789 # 117.7 MiB\n" in plan_text(plan)
    plan = make_plan(an_inventory(a_table(data_bytes=20_000_000 * 1024)), SMALL_DIRECTLY, {})
    assert "data_bytes: 20000000 KiB # 19.1 GiB\n" in plan_text(plan)


def test_the_members_to_attest_are_in_the_example() -> None:
    """The comment above the attestations can be uncommented and filled in."""
    server = a_server(members=(Member("db2:3306", "replica"),))
    text = plan_text(make_plan(an_inventory(a_table(), server=server), SMALL_DIRECTLY, {}))
    begin = text.index("#   keyring_backup:")
    example = re.sub(r"^# ", "", text[begin : text.index("attestations:\n", begin)], flags=re.MULTILINE)
    filled = text.replace("attestations:\n  keyring_backup: null\n  members: {}\n", "attestations:\n" + example)
    plan = parse_plan(filled)
    assert plan.attestations.keyring_backup == Attestation(by="Ann Example", at=date(2026, 5, 1), note="CHG-1234")
    assert set(plan.attestations.members) == {"db2:3306"}


def test_statements_are_block_texts() -> None:
    """Statements of several lines stay readable, indentation included."""
    statement = "CREATE TABLE `t` (\n  `a` int\n)"
    plan = a_plan()
    step = plan.steps[0].model_copy(update={"sql": (statement,)})
    plan = plan.model_copy(update={"steps": (step,)})
    text = plan_text(plan)
    assert "      - |-\n        CREATE TABLE `t` (\n          `a` int\n        )\n" in text
    assert parse_plan(text) == plan


def test_the_hash_is_over_the_content_alone() -> None:
    """Comments, units and the order of keys do not change it; a changed setting does."""
    plan = a_plan()
    text = plan_text(plan)
    other = text.replace("direct_below_bytes: 8 MiB", "direct_below_bytes: 8388608   # the same")
    other = other.replace("  workers: 4\n", "").replace("\ndefaults:\n", "\ndefaults:\n  workers: 4\n")
    assert other != text
    assert plan_hash(parse_plan(other)) == plan_hash(plan)
    assert plan_hash(parse_plan(text.replace("workers: 4", "workers: 3"))) != plan_hash(plan)


@pytest.mark.parametrize("name", [n.name.replace("/", "") for n in NAMES])
def test_a_written_file_reads_back(tmp_path: Path, name: str) -> None:
    """Writing replaces what was there and leaves no other file behind."""
    path = tmp_path / f"{name}.yaml"
    path.write_text("old")
    write_plan(a_plan(), path)
    assert read_plan(path) == a_plan()
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_an_unwritable_place_is_said(tmp_path: Path) -> None:
    """A folder that does not exist is an error of use, with the path in it."""
    path = tmp_path / "nowhere" / "plan.yaml"
    with pytest.raises(UsageError, match=r"cannot write the plan to .*nowhere") as raised:
        write_plan(a_plan(), path)
    assert raised.value.remedy
    folder = tmp_path / "folder.yaml"
    folder.mkdir()
    with pytest.raises(UsageError):
        write_plan(a_plan(), folder)
    assert [p.name for p in tmp_path.iterdir()] == ["folder.yaml"]


# -- reading what is wrong ------------------------------------------------------------------------


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


BAD = [
    ("workers: 4\n", "workes: 2\n", "unknown key 'workes'", "did you mean 'workers'?"),
    ("workers: 4\n", "zzz: 2\n", "unknown key 'zzz'", "known here: windows, max_failures"),
    ("workers: 4\n", "workers: two\n", 'workers: should be a valid integer, but is "two"', ""),
    ("workers: 4\n", "workers: 2.5\n", "workers: should be a valid integer, but is 2.5", ""),
    ("workers: 4\n", "workers: 0\n", "workers: should be greater than or equal to 1, but is 0", ""),
    ("workers: 4\n", "workers: true\n", "workers: should be a valid integer, but is true", ""),
    ("workers: 4\n", "workers: [2]\n", "workers: should be a valid integer, but is a list", ""),
    ("workers: 4\n", "workers: 4\n  workers: 3\n", "the key 'workers' is given twice", "the first is in line"),
    (
        "  tablespaces: true",
        "  tablespaces: yes",
        'tablespaces: "yes" is neither true nor false',
        "write true or false",
    ),
    ("order: smallest-first", "order: smalest-first", 'order: "smalest-first" is not allowed', "'smallest-first'?"),
    ("order: smallest-first", "order: random", 'order: "random" is not allowed', "use 'smallest-first'"),
    ("chunk_max_bytes: 4 MiB", "chunk_max_bytes: 4 mb", "chunk_max_bytes: '4 mb' is not a size", ""),
    ("rollback_hours: 0 h", "rollback_hours: 90 min", "rollback_hours: '90 min' is not a whole number of hours", ""),
    ("retain_days: 7 d", "retain_days: 36 h", "retain_days: '36 h' is not a whole number of days", ""),
    ("format: 1\n", "format: 2\n", "format: 2 is not allowed", "use 1"),
    ("flavour: mysql", "flavour: mysqll", 'flavour: "mysqll" is not allowed', "did you mean 'mysql'?"),
    ("method: shadow-copy", "method: shadow-cpy", 'method: "shadow-cpy" is not allowed', "did you mean 'shadow-copy'?"),
    ("keyring_backup: null", "keyring_backup: {by: Ann}", "the key 'at' is missing", "add at"),
    ("keyring_backup: null", "keyring_backup: {by: Ann, at: soon}", "at: 'soon' is neither a date", ""),
    ("members: {}", "members: {db2: {bye: Ann, at: 2026-05-01}}", "unknown key 'bye'", "did you mean 'by'?"),
    ("kind: table", "kind: tabel", 'kind: "tabel" is not allowed', "did you mean 'table'"),
    ("engine: InnoDB", "engin: InnoDB", "unknown key 'engin'", "did you mean 'engine'?"),
    ("code: keyring-backup", "cod: keyring-backup", "unknown key 'cod'", "did you mean 'code'?"),
    ("server_uuid: 1", "server_uid: 1", "unknown key 'server_uid'", "did you mean 'server_uuid'?"),
    ("databases: []", "databases: [&a x]", "anchors and aliases", "write it out"),
    ("databases: []", "databases: [&a x, *a]", "anchors and aliases", "write it out"),
    ("databases: []", "databases: [!!python/object:os.system x]", "tags (!) are not allowed", "remove the tag"),
    ("databases: []", "databases: [*.orders]", "anchors and aliases", "put it in quotes"),
    ("databases: []", "databases: [x", "not YAML", "mend the file"),
    ("databases: []", "databases: [\tx]\n\t", "not YAML", "mend the file"),
    ("  tables: []", "  tables: [orders]", "'orders' names no schema", ""),
    ("format: 1\n", "format: 1\n---\n", "a second document begins here", "remove the ---"),
    ("format: 1\n", "# a\x85format: 1\n", "U+0085", "remove it"),
    ("format: 1\n", "%YAML 1.1\n---\nformat: 1\n", "directives", "remove the line"),
    ("format: 1\n", "? [a]\n: b\nformat: 1\n", "a key must be a name", "quotes"),
]


@pytest.mark.parametrize(("old", "new", "message", "remedy"), BAD, ids=[repr(b[1]) for b in BAD])
def test_each_mistake_is_named_with_its_line(old: str, new: str, message: str, remedy: str) -> None:
    """File, line, what is wrong and what to do; nothing of it is guessed over."""
    text = plan_text(a_plan())
    assert old in text
    broken = text.replace(old, new, 1)
    with pytest.raises(PlanInvalid) as raised:
        parse_plan(broken, source="prod.yaml")
    place = re.match(r"prod\.yaml:(\d+):(\d+): ", raised.value.message)
    assert place is not None, raised.value.message
    assert message in raised.value.message
    assert remedy in raised.value.remedy
    assert raised.value.remedy
    first = line_of(broken, new)
    assert first <= int(place[1]) <= first + new.count("\n") + 1
    assert raised.value.exit_code == 2


def test_the_line_is_the_one_with_the_mistake() -> None:
    """Line and column point at the key that is unknown, and at the value that is wrong."""
    text = "format: 1\ntool_version: x\ncreated_at: x\nserver:\n  server_uuid: u\n  version: 9\n  flavor: mysql\n"
    with pytest.raises(PlanInvalid) as raised:
        parse_plan(text, source="p")
    assert raised.value.message.split("\n") == [
        "p:6:12: version: should be a valid string, but is 9",
        "p:7:3: unknown key 'flavor' (did you mean 'flavour'?)",
    ]


def test_all_mistakes_are_told_at_once() -> None:
    """A reviewer mends them in one go; more than ten are counted."""
    text = plan_text(a_plan()).replace("workers: 4", "workers: 0").replace("7 d", "7 x")
    with pytest.raises(PlanInvalid) as raised:
        parse_plan(text)
    assert len(raised.value.message.split("\n")) == 2
    many = "".join(f"unknown_{n}: 1\n" for n in range(20))
    with pytest.raises(PlanInvalid) as raised:
        parse_plan(plan_text(a_plan()) + many)
    assert raised.value.message.split("\n")[-1] == "plan: and 10 more"


def test_an_edited_fact_is_noticed() -> None:
    """The definition that drift is measured against cannot be edited without its fingerprint."""
    text = plan_text(a_plan()).replace("'row format: Dynamic'", "'row format: Compact'", 1)
    with pytest.raises(PlanInvalid, match="do not belong together"):
        parse_plan(text)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"# only a comment\n", "the file is empty"),
        (b"- 1\n", "a plan is a map"),
        (b"hello", "a plan is a map"),
        (b"format: 1\nx: \xff\n", ":2: not UTF-8"),
        (b"format: \x00", "not YAML"),
        (b"a: " + b"[" * 100 + b"]" * 100, "nested more than"),
        (b"a: " + b"{b: " * 100 + b"}" * 100, "nested more than"),
        (b'a: "\\ud800"', "plan.yaml"),
        (b"format: " + b"9" * 5000, "format"),
        (b"format: 1e999", "format"),
    ],
    ids=["empty", "comment", "list", "text", "latin-1", "nul", "deep", "deep maps", "surrogate", "huge", "infinite"],
)
def test_what_is_no_plan_at_all(tmp_path: Path, content: bytes, message: str) -> None:
    """Any file gives a clear error, never a traceback."""
    path = tmp_path / "plan.yaml"
    path.write_bytes(content)
    with pytest.raises(PlanInvalid, match=re.escape(message)) as raised:
        read_plan(path)
    assert raised.value.remedy


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """The path is named, and how to make a plan."""
    with pytest.raises(PlanInvalid, match=r"cannot read the plan .*missing\.yaml") as raised:
        read_plan(tmp_path / "missing.yaml")
    assert "migrator plan -o" in raised.value.remedy
    with pytest.raises(PlanInvalid):
        read_plan(tmp_path)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's memory is filled by a file that is no plan."""
    monkeypatch.setattr("migrator.planner.file.MAX_BYTES", 1000)
    path = tmp_path / "plan.yaml"
    path.write_bytes(b"#" * 1001)
    with pytest.raises(PlanInvalid, match="larger than"):
        read_plan(path)
    path.write_bytes(b"#" * 1000)
    with pytest.raises(PlanInvalid, match="empty"):
        read_plan(path)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda t: t.encode("utf-8", "surrogatepass")))
def test_no_input_breaks_the_reader(content: bytes) -> None:
    """Whatever the bytes, the answer is a plan or a PlanInvalid."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return
    with pytest.raises(PlanInvalid):
        parse_plan(text)
