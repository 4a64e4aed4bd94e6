"""Rights: what is held, what is missing, and the GRANT that mends it."""

from __future__ import annotations

import pytest

from migrator.planner.privileges import RIGHTS, Level, Need, account_text, grant, grants, holds, missing, needs_super
from tests.unit.builders import ALL_SCHEMA, NASTY, a_server

EVERYDAY = frozenset({Need.READ, Need.COPY})


def test_the_builders_account_lacks_nothing() -> None:
    """The rights that the tests' ordinary account has are exactly enough."""
    assert missing(a_server(), {"shop", NASTY.schema}, EVERYDAY | {Need.TRIGGERS}) == ()


@pytest.mark.parametrize("right", [r for r in RIGHTS if r.level is Level.GLOBAL and r.need is Need.READ])
def test_each_global_right_is_missed_by_name(right: object) -> None:
    """Leaving one right out gives one blocking finding with the very GRANT."""
    name = right.name  # type: ignore[attr-defined]
    server = a_server(privileges=a_server().privileges - {name})
    (finding,) = missing(server, {"shop"}, EVERYDAY)
    assert finding.blocks
    assert finding.remedy == f"GRANT {name} ON *.* TO 'migrator'@'10.0.%'"


@pytest.mark.parametrize("name", sorted(ALL_SCHEMA))
def test_each_schema_right_is_missed_by_name_and_schema(name: str) -> None:
    """A right that is missing on one schema is named with that schema alone."""
    server = a_server(
        schema_privileges={
            "performance_schema": frozenset({"SELECT"}),
            "migrator": ALL_SCHEMA,
            "shop": ALL_SCHEMA - {name},
            "crm": ALL_SCHEMA,
        }
    )
    (finding,) = missing(server, {"shop", "crm"}, EVERYDAY)
    assert finding.subject == "shop"
    assert finding.remedy == f"GRANT {name} ON `shop`.* TO 'migrator'@'10.0.%'"


def test_all_covers_everything() -> None:
    """ALL on everything holds each right, also under the name that ALL has in older lists."""
    for name in ("ALL", "ALL PRIVILEGES"):
        server = a_server(privileges=frozenset({name}), schema_privileges={})
        assert missing(server, {"shop"}, frozenset(Need)) == ()


@pytest.mark.parametrize(
    ("pattern", "schema", "held"),
    [
        ("shop", "shop", True),
        ("shop", "shop2", False),
        (r"app\_eu", "app_eu", True),
        (r"app\_eu", "appxeu", False),
        ("app_eu", "appxeu", True),
        ("app%", "app_eu", True),
        ("%", 'we`ird %s "näme"', True),
        ("`shop`.`orders`", "shop", False),
    ],
)
def test_patterns_of_grants(pattern: str, schema: str, *, held: bool) -> None:
    """`_` and `%` are wild in a GRANT unless escaped; a grant on one table is not one on the schema."""
    server = a_server(privileges=frozenset(), schema_privileges={pattern: frozenset({"SELECT"})})
    assert holds(server, "SELECT", schema=schema) is held


def test_the_most_exact_pattern_decides_alone() -> None:
    """The server takes one row of mysql.db, not the union of all that fit."""
    server = a_server(
        privileges=frozenset(),
        schema_privileges={
            "app%": frozenset({"SELECT", "DROP"}),
            "app_%": frozenset({"DROP"}),
            r"app\_eu": frozenset({"SELECT"}),
        },
    )
    assert holds(server, "SELECT", schema="app_eu")
    assert not holds(server, "DROP", schema="app_eu")
    assert holds(server, "DROP", schema="apples")
    assert not holds(server, "SELECT", schema="apples"), "of two that are equally exact only what both give"


def test_partial_revokes_take_rights_away_and_make_patterns_literal() -> None:
    """With partial_revokes a schema can be taken out of a global right, and `%` means itself."""
    server = a_server(
        variables={"partial_revokes": "ON"},
        privileges=frozenset({"SELECT"}),
        schema_privileges={"shop": frozenset({"-SELECT"}), "app%": frozenset({"DROP"})},
    )
    assert not holds(server, "SELECT", schema="shop")
    assert holds(server, "SELECT", schema="crm")
    assert not holds(server, "DROP", schema="apples")
    assert grant(server, ["DROP"], schema="a_b").startswith("GRANT DROP ON `a_b`.* ")


def test_grants_quote_schemas_and_accounts() -> None:
    """Backticks are doubled, wild characters escaped, quotes in accounts doubled."""
    server = a_server(account="o'hara@%")
    assert grant(server, ["SELECT", "DROP"], schema=NASTY.schema) == (
        r"""GRANT SELECT, DROP ON `we``ird \%s "näme"`.* TO 'o''hara'@'%'"""
    )
    assert account_text("migrator@2001:db8::1") == "'migrator'@'2001:db8::1'"
    assert account_text("migrator") == "'migrator'@'%'"


def test_super_is_asked_only_where_create_trigger_asks_for_it() -> None:
    """With the binlog off, or its function creators trusted, CREATE TRIGGER needs TRIGGER alone."""
    assert needs_super(a_server())
    assert not needs_super(a_server(variables={"log_bin": "OFF"}))
    assert not needs_super(a_server(variables={"log_bin_trust_function_creators": "ON"}))
    server = a_server(privileges=a_server().privileges - {"SUPER"})
    (finding,) = missing(server, set(), frozenset({Need.TRIGGERS}))
    assert "log_bin_trust_function_creators" in finding.remedy


def test_a_role_that_is_not_default_is_offered_as_remedy() -> None:
    """Rights in a role that triggers would not have do not count; making it default would mend that."""
    server = a_server(privileges=frozenset(), non_default_roles=("dba@%",))
    remedy = missing(server, set(), frozenset({Need.READ}))[0].remedy
    assert "SET DEFAULT ROLE ALL TO 'migrator'@'10.0.%'" in remedy


def test_the_grants_of_an_account_that_may_do_just_this() -> None:
    """One statement a level and schema, and what they grant is enough."""
    given = grants(a_server(), {"shop", "crm"}, EVERYDAY)
    assert given[0] == "GRANT PROCESS, REPLICATION CLIENT, REPLICATION SLAVE ON *.* TO 'migrator'@'10.0.%'"
    assert [g.split(" ON ")[1].split(" TO ")[0] for g in given] == [
        "*.*", "`performance_schema`.*", "`crm`.*", "`shop`.*", "`migrator`.*"
    ]  # fmt: skip
    assert all("SUPER" not in g and "TABLESPACE" not in g for g in given)


def test_every_right_says_what_it_is_for() -> None:
    """No right is listed twice for one need, and none without a purpose."""
    assert len({(r.name, r.level, r.need) for r in RIGHTS}) == len(RIGHTS)
    assert all(r.purpose for r in RIGHTS)
