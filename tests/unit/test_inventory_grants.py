"""What SHOW GRANTS says, read into facts; lines as MySQL 9.7.4 prints them."""

from __future__ import annotations

import pytest

from migrator.errors import Failed
from migrator.inventory.grants import Grants, grants_of, parse_grants, table_key
from migrator.inventory.unreadable import unreadable
from migrator.model import Column, Flavour, Keyring, Server, Table, TableName

WEIRD = TableName('we`ird %s "näme"', 'we`ird %s "näme"')
ORDERS = TableName("shop", "orders")


def parsed(*lines: str, literal: bool = False) -> Grants:
    return parse_grants(lines, account="lp@%", literal=literal)


def test_static_and_dynamic_privileges_everywhere() -> None:
    """Both kinds of global privileges are collected, and USAGE is none."""
    found = parsed(
        "GRANT USAGE ON *.* TO `lp`@`%`",
        "GRANT SELECT, CREATE TEMPORARY TABLES, REPLICATION CLIENT ON *.* TO `lp`@`%`",
        "GRANT GROUP_REPLICATION_ADMIN,XA_RECOVER_ADMIN ON *.* TO `lp`@`%` WITH GRANT OPTION",
    )
    assert found.everywhere == {
        "SELECT",
        "CREATE TEMPORARY TABLES",
        "REPLICATION CLIENT",
        "GROUP_REPLICATION_ADMIN",
        "XA_RECOVER_ADMIN",
        "GRANT OPTION",
    }


def test_all_privileges_is_all() -> None:
    """ALL PRIVILEGES, as printed for schemas and tables, holds every privilege on a table."""
    found = parsed("GRANT ALL PRIVILEGES ON `shop`.* TO `lp`@`%`")
    assert found.within == {"shop": {"ALL"}}
    assert found.hold("TRIGGER", ORDERS)
    assert not found.hold("TRIGGER", TableName("shop2", "orders"))


def test_a_pattern_with_escaped_underscore_fits_only_an_underscore() -> None:
    """`app\\_%` fits app_1 and not apple; `a_c` fits abc."""
    found = parsed("GRANT SELECT ON `app\\_%`.* TO `lp`@`%`", "GRANT SELECT ON `a_c`.* TO `lp`@`%`")
    assert found.hold("SELECT", TableName("app_1", "t"))
    assert not found.hold("SELECT", TableName("apple", "t"))
    assert found.hold("SELECT", TableName("abc", "t"))


def test_the_most_specific_pattern_counts_alone() -> None:
    """The server takes one entry for a schema, not the sum of those that fit."""
    found = parsed(
        "GRANT SELECT, TRIGGER ON `app\\_%`.* TO `lp`@`%`",
        "GRANT SELECT ON `app\\_eu\\_%`.* TO `lp`@`%`",
        "GRANT INSERT ON `app\\_eu\\_1`.* TO `lp`@`%`",
    )
    assert found.hold("TRIGGER", TableName("app_us", "t"))
    assert found.hold("SELECT", TableName("app_eu_2", "t"))
    assert not found.hold("TRIGGER", TableName("app_eu_2", "t"))
    assert found.hold("INSERT", TableName("app_eu_1", "t"))
    assert not found.hold("SELECT", TableName("app_eu_1", "t"))


def test_with_partial_revokes_names_are_literal() -> None:
    """partial_revokes switches wildcards off."""
    found = parsed("GRANT SELECT ON `app%`.* TO `lp`@`%`", literal=True)
    assert not found.hold("SELECT", TableName("apple", "t"))
    assert found.hold("SELECT", TableName("app%", "t"))


def test_a_partial_revoke_takes_a_privilege_out_of_a_schema() -> None:
    """A global privilege does not hold in a schema that it was revoked for, and a table grant gives it back."""
    found = parsed(
        "GRANT SELECT, INSERT ON *.* TO `lp`@`%`",
        "REVOKE INSERT ON `shop`.* FROM `lp`@`%`",
        "GRANT INSERT ON `shop`.`basket` TO `lp`@`%`",
        literal=True,
    )
    assert found.hold("SELECT", ORDERS)
    assert not found.hold("INSERT", ORDERS)
    assert found.hold("INSERT", TableName("shop", "basket"))
    assert found.hold("INSERT", TableName("crm", "orders"))


def test_a_grant_on_columns_is_no_grant_on_the_table() -> None:
    """SELECT (`id`) does not let us read the table; a privilege beside it still counts."""
    found = parsed("GRANT SELECT (`id`, `, ON x TO`), INSERT ON `shop`.`orders` TO `lp`@`%`")
    assert not found.hold("SELECT", ORDERS)
    assert found.hold("INSERT", ORDERS)


def test_grants_on_routines_and_proxies_say_nothing_about_tables() -> None:
    """EXECUTE on a routine and PROXY leave no trace."""
    found = parsed(
        "GRANT EXECUTE ON FUNCTION `sys`.`format_time` TO `lp`@`%`",
        "GRANT EXECUTE, ALTER ROUTINE ON PROCEDURE `sys`.`diagnostics` TO `lp`@`%`",
        "GRANT PROXY ON `app`@`%` TO `lp`@`%`",
        "GRANT PROXY ON ''@'' TO 'root'@'localhost' WITH GRANT OPTION",
    )
    assert (found.everywhere, dict(found.within), found.roles) == (frozenset(), {}, ())


def test_roles_are_listed() -> None:
    """Lines without ON grant roles, several in a line, with their hosts."""
    found = parsed(
        "GRANT `r1`@`%`,`r``3 TO`@`localhost` TO `lp`@`%`",
        "GRANT `r2`@`localhost` TO `lp`@`%` WITH ADMIN OPTION",
    )
    assert found.roles == ("r1@%", "r2@localhost", "r`3 TO@localhost")


@pytest.mark.parametrize("names", [ORDERS, WEIRD])
def test_names_are_read_as_they_are(names: TableName) -> None:
    """A grant on a table is found again by its names, whatever is in them."""
    quoted = table_key(names)
    found = parsed(f"GRANT SELECT ON {quoted} TO `lp`@`%`")
    assert found.hold("SELECT", names)
    assert not found.hold("SELECT", TableName(names.schema, names.name + "x"))
    schema = quoted.split(".")[0]
    assert parsed(f"GRANT SELECT ON {schema}.* TO `lp`@`%`").hold("SELECT", names)


def test_a_line_that_cannot_be_read_is_an_error() -> None:
    """A line of an unknown form stops us: it could be a REVOKE."""
    with pytest.raises(Failed, match="REVOKE SOMETHING"):
        parsed("REVOKE SOMETHING NEW")


def server(**facts: object) -> Server:
    known: dict[str, object] = {
        "server_uuid": "u",
        "flavour": Flavour.MYSQL,
        "version": (9, 7, 4),
        "version_text": "9.7.4",
        "version_comment": "",
        "host": "db1",
        "port": 3306,
        "datadir": "/d",
        "keyring": Keyring("", "none", active=False),
        "account": "o'hara@%",
    }
    return Server(**(known | facts))  # type: ignore[arg-type]


def test_the_facts_of_a_server_answer_like_the_grants_they_came_from() -> None:
    """Nothing is lost on the way through `Server`."""
    grants = parsed(
        "GRANT SELECT ON *.* TO `lp`@`%`",
        "REVOKE SELECT ON `crm`.* FROM `lp`@`%`",
        "GRANT TRIGGER ON `shop`.`orders` TO `lp`@`%`",
        literal=True,
    )
    again = grants_of(
        server(
            account=grants.account,
            privileges=grants.everywhere,
            schema_privileges=dict(grants.within),
            variables={"partial_revokes": "ON"},
        )
    )
    assert again == grants


def test_what_cannot_be_read_is_named_with_its_grant() -> None:
    """A table without SELECT, and one whose triggers cannot be seen, each block with the GRANT that mends it."""
    column = Column("id", "int", "int", nullable=False)
    tables = [Table(ORDERS, "InnoDB", 1, 1, 1, columns=(column,)), Table(WEIRD, "InnoDB", 0, 0, 0)]
    found = unreadable(server(schema_privileges={"shop": frozenset({"SELECT"})}), tables)
    assert [(f.code, f.subject, f.blocks) for f in found] == [
        ("tables-hidden", "", False),
        ("triggers-unreadable", "shop.orders", True),
        ("table-unreadable", str(WEIRD), True),
    ]
    assert found[1].remedy == "GRANT TRIGGER ON `shop`.* TO 'o''hara'@'%'"
    assert found[2].remedy == "GRANT SELECT ON `we``ird \\%s \"näme\"`.* TO 'o''hara'@'%'"
    assert unreadable(server(privileges=frozenset({"SELECT", "TRIGGER"})), tables) == ()


# As 11.8.6 shows them; the hashes are made up.
OF_MARIADB = (
    "GRANT `reader` TO `dba`@`%`",
    "GRANT PROCESS, BINLOG MONITOR ON *.* TO `dba`@`%` IDENTIFIED BY PASSWORD '*0123' REQUIRE SSL WITH GRANT OPTION",
    "GRANT SELECT ON *.* TO `reader`",
    "GRANT ALL PRIVILEGES ON `app\\_%`.* TO `dba`@`%`",
    "GRANT EXECUTE ON PACKAGE `d`.`p` TO `dba`@`%`",
    "GRANT PROXY ON ''@'%' TO 'dba'@'%' WITH GRANT OPTION",
    "SET DEFAULT ROLE `reader` FOR `dba`@`%`",
)


def test_lines_of_mariadb() -> None:
    """How an account logs in stands among its grants there, and which role it begins with."""
    grants = parse_grants(OF_MARIADB, account="dba@%", active_roles=("reader",))
    assert grants.everywhere == {"PROCESS", "BINLOG MONITOR", "SELECT", "GRANT OPTION"}
    assert grants.within == {"app\\_%": {"ALL"}}
    assert (grants.roles, grants.active_roles) == (("reader",), ("reader",))


def test_a_hash_is_never_shown() -> None:
    """A line that cannot be read is shown without what a password is checked against."""
    with pytest.raises(Failed) as error:
        parse_grants(["GRANT NONSENSE IDENTIFIED BY PASSWORD '*0123'"], account="dba@%")
    assert "*0123" not in str(error.value)
