"""The journal is locked when a run wants it: by another that makes it on a slow disk, by a backup. It waits some seconds."""

from __future__ import annotations

from contextlib import closing

import pytest

from migrator.sql.journal import create_schema, create_tables
from tests.server.engine.kit import Beside, Lab, Ran
from tests.server.engine.test_rows import BY_NUMBER
from tests.servers import until

GAVE_UP = (
    "SELECT SUM(SUM_ERROR_RAISED) FROM performance_schema.events_errors_summary_global_by_error"
    " WHERE ERROR_NUMBER = 1205"
)


@pytest.mark.parametrize("locked", ["meta", "runs"])
def test_somebody_has_it_locked(lab: Lab, locked: str) -> None:
    """A statement is given up after a second, and sent again: the table that is read first, and one that is made."""
    lab.table("t", *BY_NUMBER)
    made = [one.text for one in (create_schema("migrator"), *create_tables("migrator")[: 1 if locked == "meta" else 2])]
    lab.run(*made)
    plan = lab.plan("t")
    ran: list[Ran] = []
    with closing(lab.connect(autocommit=True)) as somebody, somebody.cursor() as cursor:
        cursor.execute(f"LOCK TABLES migrator.{locked} WRITE")
        before = lab.value(GAVE_UP)
        with Beside(lambda: ran.append(lab.apply(plan=plan))):
            try:
                until(lambda: lab.value(GAVE_UP) > before, "the run has waited for a second")
            finally:
                cursor.execute("UNLOCK TABLES")
    ran[0].assert_outcome("done")
    lab.assert_done("t")
