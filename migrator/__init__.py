"""migrator encrypts the tables of a live MySQL server online, and proves that it did.

The story, in the order in which to read it:

    cli.py         one function a command: parse, call, render, exit code
    settings.py    how to reach the server; db.py talks to it, through driver.py alone
    inventory/     LOOK    what is there: the server, its tables, who stands in the way
    planner/       DECIDE  what to do with each table, and why: pure, ends in a plan that people review
    sql/           SAY     every statement that changes anything: pure, to be reviewed on its own
    engine/        DO      apply.py the plan, migrate.py one table, then one module a phase
    report/        TELL    what is to be shown, as values, and how it looks

model.py holds the facts, events.py what becomes true, errors.py what can go wrong, clock.py time.
"""

from typing import Final

__version__: Final = "0.1.0"
