"""The pages for people say what the code does: commands, links, codes, rights, names, locks, settings, the map."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import typer

from migrator.cli import app
from migrator.cli_options import CONNECTION
from migrator.engine import drain, lease, mirror, moment, older, online
from migrator.engine.relay import LEGS
from migrator.engine.work import limits_of
from migrator.model import Column, Key, KeyPart, Method, TableName
from migrator.planner.file import plan_text
from migrator.planner.findings import CODES, Code, Stops
from migrator.planner.make import make_plan
from migrator.planner.plan import Defaults, Policy
from migrator.planner.posture import ACCEPTABLE
from migrator.planner.posture import CODES as PLACES_OF_THE_AUDIT
from migrator.planner.privileges import JOURNAL_SCHEMA, RIGHTS, Level
from migrator.sql.names import log_of, retained_of, shadow_of, trigger_name
from migrator.sql.settings import VARIABLES
from migrator.sql.story import Said, conversion, direct, relayed, schema_default, setting, shadow_copy, tablespace
from migrator.sql.swap import LOOKS
from tests.audited import audit_text, transit_text
from tests.limits import groups_in, limits_text
from tests.servers.accounts import grants
from tests.unit.builders import a_key, a_table, an_inventory

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
PAGES: Final = tuple(
    sorted([ROOT / "README.md", ROOT / "AGENTS.md", ROOT / "CHANGELOG.md", *DOCS.glob("*.md")], key=str)
)


def text_of(name: str) -> str:
    """A page by its name in docs/, or in the root."""
    path = DOCS / name if (DOCS / name).exists() else ROOT / name
    return path.read_text(encoding="utf-8")


def section(name: str, heading: str) -> str:
    """What stands under a heading of a page, up to the next one of its rank."""
    _, found, rest = text_of(name).partition(f"\n## {heading}\n")
    assert found, f"{name} has no heading {heading!r}"
    return rest.partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of all table rows in a text, without headings' rulers."""
    lines = [line for line in text.splitlines() if line.startswith("|") and not re.match(r"\|[ :|-]+\|$", line)]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def codes_in(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


# -- links ----------------------------------------------------------------------------------------


def anchors(text: str) -> set[str]:
    """The anchors that a page's headings have on GitHub."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {word.strip().replace(" ", "-") for word in words}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """Files exist, and headings that are linked to are there."""
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    broken = []
    for link in links:
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            broken.append(link)
    assert broken == []


def test_every_page_can_be_found_from_the_readme() -> None:
    """No page lies hidden."""
    linked = set(re.findall(r"\]\((docs/[a-z-]+\.md)", text_of("README.md")))
    assert linked == {f"docs/{page.name}" for page in DOCS.glob("*.md")}


# -- commands -------------------------------------------------------------------------------------


def commands() -> dict[str, Any]:
    """The parsed commands by name."""
    found: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return found


def options_of(command: Any) -> set[str]:
    """All spellings of a command's options."""
    return {spelling for parameter in command.params for spelling in parameter.opts if spelling.startswith("-")}


def lines_with_commands() -> Iterator[tuple[str, list[str]]]:
    """Each `migrator ...` in a page, as words."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        shown = re.findall(r"^(?:\$ | {4})?(?:\S*/)?migrator (.+)$", text, flags=re.MULTILINE)
        inline = re.findall(r"`(?:\S*/)?migrator ([^`]+)`", text)
        for line in (*shown, *inline):
            words = re.sub(r"'[^']*'", "TEXT", line.split(" #")[0]).split()
            if words[0] in commands() or words[0].startswith("-"):
                yield page.name, words


def test_every_command_in_the_pages_exists_with_its_options() -> None:
    """Nobody copies a line that does not work."""
    seen = 0
    for page, words in lines_with_commands():
        known = options_of(commands()[words[0]]) if words[0] in commands() else {"--help", "--version"}
        unknown = {w.split("=")[0] for w in words if w.startswith("-") and w.split("=")[0] not in known | {"--help"}}
        assert unknown == set(), f"{page}: migrator {' '.join(words)}"
        seen += 1
    assert seen > 20


def test_every_command_is_told_outside_of_the_reference() -> None:
    """A command that only the reference knows is one that nobody finds."""
    told = {words[0] for page, words in lines_with_commands() if page != "reference.md"}
    assert set(commands()) <= told


def test_every_option_is_in_the_reference() -> None:
    """All spellings, those of the connection as well."""
    reference = text_of("reference.md")
    shared = {p.name for p in CONNECTION}
    for name, command in commands().items():
        own = reference.partition(f"## migrator {name}\n")[2].partition("\n## ")[0]
        for parameter in command.params:
            place = reference if parameter.name in shared else own
            for spelling in parameter.opts:
                if spelling.startswith("-") and spelling != "--help":
                    assert spelling in place, f"{name} {spelling}"


def test_every_make_target_in_the_pages_exists_and_is_described() -> None:
    """And the page about testing has them all."""
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        named = re.findall(r"(?:^ {4}|`|^\$ )make ([a-z-]+)", text, flags=re.MULTILINE)
        assert set(named) <= targets, page.name
    assert {
        words[5:] for row in rows(text_of("testing.md")) for words in codes_in(row[0]) if "make " in words
    } == targets


# -- findings -------------------------------------------------------------------------------------

MAKERS: Final = {"Finding": 0, "finding": 1, "_blocks": 0}
"""What makes a finding, and the place of its code among the arguments."""


def findings_in_the_code() -> dict[str, set[str]]:
    """Each code with how it stops a run: yes, no, it depends. A code that is put together gives all it can be."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "migrator").rglob("*.py")):
        if "report" in path.parts:
            continue  # there `_blocks` are parts of a page
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(function, ast.FunctionDef) or function.name in MAKERS:
                continue
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in MAKERS:
                    for code in _codes(call, function):
                        found.setdefault(code, set()).add(_stops(call))
    return found


def _codes(call: ast.Call, function: ast.FunctionDef) -> list[str]:
    assert isinstance(call.func, ast.Name)
    place = MAKERS[call.func.id]
    named = [k.value for k in call.keywords if k.arg == "code"]
    match named[0] if named else call.args[place]:
        case ast.Constant(value=str(code)):
            return [code]
        case ast.Name():  # one of a list in the same function
            words = [n.value for n in ast.walk(function) if isinstance(n, ast.Constant)]
            return [w for w in words if isinstance(w, str) and re.fullmatch(r"[a-z]+(-[a-z]+)+", w)]
        case ast.JoinedStr(values=[ast.Constant(value=str(head)), *_]):
            return [head + reason for reason in reasons_of_blockers() - {"metadata-lock"}]
        case other:
            raise AssertionError(f"a code that this test cannot read: {ast.unparse(other)}")


def _stops(call: ast.Call) -> str:
    given = [k.value for k in call.keywords if k.arg == "blocks"]
    if isinstance(call.func, ast.Name) and call.func.id == "_blocks":
        return "yes"
    if not given:
        return "no"
    return ("yes" if given[0].value else "no") if isinstance(given[0], ast.Constant) else "it depends"


def reasons_of_blockers() -> set[str]:
    """Why a session can stand in the way; a lock on the very table is only asked for while somebody waits."""
    tree = ast.parse((ROOT / "migrator" / "inventory" / "blockers.py").read_text(encoding="utf-8"))
    words = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    return {w for w in words if re.fullmatch(r"[a-z]+-[a-z]+|clone", w)}


def known_codes() -> dict[str, Code]:
    """Every code by its name; none is there twice."""
    codes = [code for group in CODES.values() for code in group]
    assert len({code.name for code in codes}) == len(codes)
    return {code.name: code for code in codes}


def test_every_code_of_a_finding_is_known() -> None:
    """Each has its entry, with a meaning, and there is none that no finding can have."""
    found = findings_in_the_code()
    assert {"blocker-clone", "plain-redo", "foreign-key", "missing-privilege"} <= set(found)
    assert sorted(known_codes()) == sorted(found)
    assert all(len(code.meaning) > 20 for code in known_codes().values())


def test_codes_stop_a_run_as_they_say() -> None:
    """As the code does; where it says so in different ways, it depends (on the session that stands in the way)."""
    told = {name: {str(code.stops)} for name, code in known_codes().items()}
    blockers = {f"blocker-{reason}" for reason in reasons_of_blockers()}
    found = {code: stops for code, stops in findings_in_the_code().items() if code not in blockers}
    assert {code: told[code] for code in found} == found
    assert {code for code in told if code in blockers and told[code] == {"yes"}} == {
        "blocker-backup-lock",
        "blocker-clone",
    }


def test_the_limits_have_every_code() -> None:
    """The page is what `make docs` would write now, and has a place for each group, none for others."""
    assert text_of("limits.md") == limits_text(), "run `make docs`"
    assert groups_in(text_of("limits.md")) == list(CODES)


def test_the_audit_has_every_place() -> None:
    """The pages are what `make docs` would write now; each code is there once, and every option of it exists."""
    assert text_of("audit-transit.md") == transit_text(), "run `make docs`"
    assert text_of("audit.md") == audit_text(), "run `make docs`"
    told = [codes_in(row[0])[0] for row in rows(text_of("audit.md")) if len(row) == 5 and codes_in(row[0])]
    assert sorted(told) == sorted(PLACES_OF_THE_AUDIT)
    accepted = re.findall(r"--accept=([a-z-]+)", text_of("audit.md"))
    assert accepted and set(accepted) <= ACCEPTABLE


def test_every_reason_of_a_blocker_is_in_the_limits() -> None:
    """People see these words while they wait."""
    assert all(reason in text_of("limits.md") for reason in reasons_of_blockers())


def test_what_is_stopped_has_a_remedy() -> None:
    """Nobody is left alone with a no."""
    assert [code.name for code in known_codes().values() if code.stops is not Stops.NO and not code.remedy] == []


# -- rights ---------------------------------------------------------------------------------------


def _granted(statements: list[str]) -> set[tuple[str, str]]:
    """Privilege and place of each GRANT."""
    found: set[tuple[str, str]] = set()
    for statement in statements:
        match = re.fullmatch(r"GRANT ([A-Z_, ]+) ON (\S+) TO 'migrator'@'%'", statement)
        assert match is not None, statement
        found |= {(privilege, match[2].replace("`", "")) for privilege in match[1].split(", ")}
    return found


def documented_grants() -> list[str]:
    """The GRANTs of the page that a reader copies."""
    block = text_of("privileges.md").partition("```sql\n")[2].partition("```")[0]
    lines = [line for line in block.splitlines() if not line.startswith("--")]
    return [s.strip() for s in "\n".join(lines).split(";") if s.strip().startswith("GRANT")]


PLACES: Final = {
    Level.GLOBAL: "*.*",
    Level.STATISTICS: "performance_schema.*",
    Level.SCHEMA: "shop.*",
    Level.JOURNAL: f"{JOURNAL_SCHEMA}.*",
}


def test_the_documented_grants_are_the_rights_that_the_gates_ask_for() -> None:
    """All but those with a better way, and those of options and a command that few need; the page has them apart."""
    rights = {(right.name, PLACES[right.level]) for right in RIGHTS}
    rights -= {("SUPER", "*.*"), ("CONNECTION_ADMIN", "*.*")}
    for_rotation = {("ENCRYPTION_KEY_ADMIN", "*.*"), ("BINLOG_ENCRYPTION_ADMIN", "*.*")}
    assert all(f"GRANT {right} ON *.*" in section("privileges.md", "Rotating keys") for right, _ in for_rotation)
    rights -= for_rotation | {("SYSTEM_VARIABLES_ADMIN", "*.*")}
    settings = "GRANT SYSTEM_VARIABLES_ADMIN, BINLOG_ENCRYPTION_ADMIN, TABLE_ENCRYPTION_ADMIN ON *.*"
    assert settings in section("privileges.md", "Settings")
    assert "GRANT CONNECTION_ADMIN ON *.*" in section("privileges.md", "Ending sessions of others")
    assert _granted(documented_grants()) == rights
    assert "log_bin_trust_function_creators = ON" in text_of("privileges.md")


def test_the_tests_run_with_the_documented_grants() -> None:
    """What the engine's tests show, they show for an account that has these rights and no more."""
    assert _granted(documented_grants()) == _granted(grants())


def test_each_right_has_its_reason() -> None:
    """One row a privilege and place, optional ones included."""
    places = {
        "everything": Level.GLOBAL,
        "`performance_schema`": Level.STATISTICS,
        "each schema": Level.SCHEMA,
        "journal": Level.JOURNAL,
    }
    table = [row for row in rows(section("privileges.md", "What each is for")) if row[0].startswith("`")]
    told = [(codes_in(row[0])[0], places[row[1]]) for row in table]
    assert sorted(told) == sorted((right.name, right.level) for right in RIGHTS)


# -- how it works ---------------------------------------------------------------------------------

TABLE: Final = TableName("shop", "t")
STATEMENTS: Final = (
    "SET PERSIST",
    "ALTER SCHEMA",
    "PURGE BINARY LOGS",
    "CREATE UNDO TABLESPACE",
    "ALTER UNDO TABLESPACE",
    "DROP UNDO TABLESPACE",
    "CREATE TABLESPACE",
    "CREATE TABLE",
    "ALTER TABLESPACE",
    "ALTER TABLE",
    "RENAME TABLE",
    "LOCK TABLES",
    "UNLOCK TABLES",
    "CREATE TRIGGER",
    "DROP TRIGGER",
    "DROP TABLESPACE",
    "DROP TABLE",
    "ANALYZE TABLE",
    "INSERT",
    "DELETE",
    "SELECT",
)


def story() -> tuple[Said, ...]:
    """Every statement of every method, for a table that has all that makes a difference."""
    columns = (
        Column("id", "bigint", "bigint", nullable=False, auto_increment=True),
        Column("a", "int", "int", nullable=True),
    )
    index = Key("a", (KeyPart("a"),), unique=False)
    table = a_table(TABLE, columns=columns, keys=(a_key("id"), index))
    create = "CREATE TABLE `t` (\n  `id` bigint NOT NULL AUTO_INCREMENT,\n  PRIMARY KEY (`id`),\n  KEY `a` (`a`)\n)"
    copies = (
        *shadow_copy(table, a_key("id"), create, one_moment=True),
        *shadow_copy(table, a_key("id"), create, rollback_hours=24),
    )
    others = (*direct(table), *conversion(table), *tablespace("ts", 2), *relayed(table, create))
    settings = [said for variable in VARIABLES for said in setting(variable, persist=True)]
    return (*copies, *others, *settings, *schema_default("shop"))


def kind_of(said: Said) -> str:
    """The first words of a statement."""
    text = said.text.replace("CREATE DEFINER = CURRENT_USER TRIGGER", "CREATE TRIGGER")
    return next(kind for kind in STATEMENTS if text.startswith(kind))


def test_every_statement_is_in_the_table_of_locks() -> None:
    """Whatever plan and review show, the page has a row for it: in its phase, with what it locks."""
    table = [row for row in rows(section("how-it-works.md", "Every lock")) if row[0] != "phase"]
    assert len({said.phase for said in story()}) == 21
    for said in story():
        cells = [row[1] for row in table if row[0] == said.phase]
        assert any(re.search(rf"\b{kind_of(said)}\b", cell) for cell in cells), f"{said.phase}: {said.text[:60]}"


def test_a_statement_that_locks_is_not_said_to_lock_nothing() -> None:
    """Rows of statements that keep everybody else out say so."""
    for row in rows(section("how-it-works.md", "Every lock")):
        if "the whole" in row[2] and "LOCK TABLES" in row[1] and "UNLOCK" not in row[1][:8]:
            assert "wait" in row[4], row


def test_every_method_and_phase_is_told() -> None:
    """Each method has its row, each phase of the story its heading, in the story's order."""
    methods = {codes_in(row[0])[0] for row in rows(section("how-it-works.md", "The methods")) if codes_in(row[0])}
    assert methods == set(Method)
    headings = re.findall(r"^### \d\. (\w+)$", text_of("how-it-works.md"), flags=re.MULTILINE)
    beside = {"alter", "cleanup", "end of rollback", "twin", "convert", "one moment"}
    beside |= {"setting", "schema default", "by hand"}
    legs = [name for name, _ in LEGS if not name.endswith("-wait")]
    phases = list(dict.fromkeys(said.phase for said in story() if said.phase not in {*beside, *legs}))
    assert [heading.lower() for heading in headings] == phases
    told = [row[0] for row in rows(section("how-it-works.md", "tablespace-relay"))[1:]]
    assert [*told, "settle"] == legs == list(dict.fromkeys(said.phase for said in story() if said.phase in legs))


def test_the_names_are_those_that_are_made() -> None:
    """The table of names, and the example of a long one."""
    page = section("how-it-works.md", "Names of everything it makes")
    told = {code for row in rows(page) for code in codes_in(row[0])}
    made = {shadow_of(TABLE).name, log_of(TABLE).name, retained_of(TABLE).name}
    made |= {trigger_name(TABLE, p, e) for p in ("log", "mirror", "back") for e in ("insert", "update", "delete")}
    assert told == made
    long = "customer_communication_preferences_by_channel_and_country_2026"
    assert f"`{long}`" in page
    assert f"`{shadow_of(TableName('shop', long)).name}`" in page


def test_the_settings_have_their_defaults() -> None:
    """As a new plan has them, in the plan's order."""
    plan = make_plan(an_inventory(), Policy(), {})
    lines = plan_text(plan).partition("\ndefaults:\n")[2].splitlines()
    fresh = [tuple(line.strip().split(": ", 1)) for line in lines[: len(Defaults.model_fields)]]
    table = rows(section("how-it-works.md", "Settings of a plan"))[1:]
    assert [(codes_in(row[0])[0], row[1]) for row in table] == fresh


def test_the_figures_are_those_of_the_code() -> None:
    """Patience, bounds and times that the pages name."""
    page, limits = text_of("how-it-works.md"), limits_of(Defaults())
    for figure in (
        f"granted within {moment.FIRST_PATIENCE_SECONDS * 1000:.0f} ms",
        f"{moment.LONGEST_PATIENCE_SECONDS * 1000:.0f} ms at most",
        f"was found in {moment.BLIND_AFTER_SECONDS:.0f} s",
        f"was found in {moment.A_READER_MORE_AFTER_SECONDS:.0f} s",
        f"for up to {moment.READERS_PATIENCE_SECONDS * 1000:.0f} ms",
        f"no more than {drain.NEARLY_NOTHING} entries",
        f"more than {mirror.RESIDUE} entries",
        f"drained every {drain.NOW_AND_THEN_SECONDS:g} s",
        f"up to {LOOKS} times",
        f"good for {lease.LEASE_SECONDS:.0f} s",
        "After {:g} s it ends the statement ({:g} s and {:g} s in".format(*online.END_PATIENCE_SECONDS),
        f"looks every {older.LOOK_EVERY_SECONDS:g} s",
        f"`swap_wait_seconds` ({limits.swap_wait_seconds:.0f})",
        f"`moment_wait_seconds` ({limits.moment_wait_seconds:.0f})",
        f"`retain_days` ({Defaults().retain_days:.0f})",
    ):
        assert figure in page, figure
    assert f"`policy.direct_below_bytes`, default `{Policy().direct_below_bytes}`" in text_of("limits.md")


# -- the map of the code --------------------------------------------------------------------------

LAYERS: Final = {
    "model": set[str](),
    "transport": set[str](),
    "posture": {"model", "transport"},
    "sql": {"model"},
    "sql_errors": set[str](),
    "driver": {"sql_errors", "errors"},
    "db": {"model", "sql", "driver", "sql_errors", "clock", "errors"},
    "inventory": {"model", "posture", "transport", "sql", "db", "sql_errors", "errors", "option_files"},
    "planner": {"model", "posture", "transport", "sql", "errors"},
    "report": {"model", "posture", "sql", "planner", "events", "clock"},
    "proof": {"model", "sql", "db", "inventory", "report", "clock", "errors"},
    "engine": {
        "model",
        "sql",
        "db",
        "sql_errors",
        "inventory",
        "planner",
        "report",
        "events",
        "clock",
        "errors",
        "proof",
    },
}
"""What each part may import."""


def test_every_module_is_on_the_map() -> None:
    """One line a module, and none that does not exist."""
    listed = re.findall(r"^- `(migrator/[a-z_/0-9]+\.py)`: \S", text_of("AGENTS.md"), flags=re.MULTILINE)
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "migrator").rglob("*.py")}
    assert sorted(listed) == sorted(modules)


def test_imports_point_one_way() -> None:
    """As the map says."""
    for part, allowed in LAYERS.items():
        place = ROOT / "migrator" / part
        for path in place.rglob("*.py") if place.is_dir() else [place.with_suffix(".py")]:
            imported = {
                name.split(".")[1]
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                if isinstance(node, ast.ImportFrom)
                for name in (f"{node.module}.{alias.name}" for alias in node.names)
                if name.startswith("migrator.")
            }
            assert imported - {part, "__version__"} <= allowed, path.name
