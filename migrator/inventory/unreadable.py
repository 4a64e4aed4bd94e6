"""What our account may not see, as findings with the GRANT that mends it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from migrator.inventory.grants import ALL, grants_of
from migrator.inventory.segments import account_sql
from migrator.model import Finding, Server, Table
from migrator.sql.names import quote


def unreadable(server: Server, tables: Iterable[Table]) -> tuple[Finding, ...]:
    """Findings about what is missing in `tables` because our account may not see it.

    They block where a plan would rest on it: columns that are not there, triggers that could be.
    """
    grants = grants_of(server)
    to = account_sql(server.account)
    found = []
    if not {"SELECT", ALL} & grants.everywhere:
        message = f"{server.account} sees tables that it has no privilege on only if they are InnoDB tables"
        found.append(Finding("tables-hidden", message, f"GRANT SELECT ON *.* TO {to}"))
    for table in tables:
        # In a GRANT, _ and % in a schema's name are wildcards.
        where = quote(re.sub(r"([\\_%])", r"\\\1", table.name.schema)).replace("%%", "%") + ".*"
        if not grants.hold("SELECT", table.name):
            found.append(
                Finding(
                    code="table-unreadable",
                    message=f"{table.name} exists, but {server.account} may not read it: SELECT is missing",
                    remedy=f"GRANT SELECT ON {where} TO {to}",
                    blocks=True,
                    subject=str(table.name),
                )
            )
        elif not grants.hold("TRIGGER", table.name):
            found.append(
                Finding(
                    code="triggers-unreadable",
                    message=f"{table.name} may have triggers that {server.account} cannot see: TRIGGER is missing",
                    remedy=f"GRANT TRIGGER ON {where} TO {to}",
                    blocks=True,
                    subject=str(table.name),
                )
            )
    return tuple(found)
