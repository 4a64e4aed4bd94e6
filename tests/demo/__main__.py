"""`make demo`: a company's database is encrypted while its application writes, and that is proved.

    python -m tests.demo [--seconds-before 10] [--seconds-after 6] [--rate 80]
        [--direct-below 0] [--output FOLDER] [--write-plan] [--keep]

Starts a server, loads the company, starts the application, and does what a DBA does: audit, plan, review,
dry-run, apply, verify, cleanup, with the installed command line and a least-privileged account. Then
every row is compared with the application's own ledger. Exit code 0 only if everything is as it must be.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.demo import company, ledger, verdict
from tests.demo.commands import MIGRATOR
from tests.demo.facts import innodb_tables, read_facts, readable_in, switched_on
from tests.demo.migration import migrate, steps_in
from tests.demo.screen import heading, say
from tests.demo.shapes import Account, Shape, read_shapes
from tests.demo.telling import Seen, tell, write_summary
from tests.demo.traffic import traffic
from tests.servers import RunningServer, start
from tests.servers.accounts import least_privileged

OPTIONS: Final = ("--innodb-buffer-pool-size=512M",)
SETTINGS: Final = "SYSTEM_VARIABLES_ADMIN, BINLOG_ENCRYPTION_ADMIN, TABLE_ENCRYPTION_ADMIN"
"""What the account may do besides, for `plan --harden` (docs/privileges.md)."""
OUTPUTS: Final = Path("demo-output")
COMMITTED: Final = Path(__file__).parents[2] / "plans" / "demo.yaml"
"""The plan of the company's database, for people to read without running anything."""

WARM_UP_SECONDS: Final = 3.0
LEFT: Final = {
    "audit.txt": "what lay in clear",
    "plan.yaml": "the plan, with the reviewer's attestation",
    "review.md": "the review: every statement, every lock",
    "events.jsonl": "what happened, as it happened",
    "evidence.html": "for an auditor, with its checksum",
    "application.json": "the application's errors and latencies",
    "ledger.jsonl": "the rows that it answers for",
    "summary.md": "all results",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Show it all; 0 if everything is as it must be, 1 if not, 130 if interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.demo", description="Encrypt a company's database while its application writes."
    )
    parser.add_argument("--seconds-before", type=float, default=10.0, help="of load before the migration (default 10)")
    parser.add_argument("--seconds-after", type=float, default=6.0, help="of load after it (default 6)")
    parser.add_argument("--rate", type=float, default=80.0, help="transactions a second (default 80)")
    parser.add_argument("--direct-below", default="0", help="as for plan (default 0: nothing is altered directly)")
    parser.add_argument("--output", type=Path, help="folder for what is left (default demo-output/<time>)")
    parser.add_argument("--write-plan", action="store_true", help="keep the plan of this run in plans/demo.yaml")
    parser.add_argument("--keep", action="store_true", help="leave the server running until Ctrl-C")
    options = parser.parse_args(arguments)
    if not MIGRATOR.exists():
        print(f"the command line is not installed beside this Python: {MIGRATOR}", file=sys.stderr)
        return 1
    output: Path = options.output or OUTPUTS / f"{datetime.now(UTC):%Y-%m-%d_%H%M%S}"
    output.mkdir(parents=True, exist_ok=True)
    if options.output is None:
        # What is left here is for its reader, not for the repository.
        (OUTPUTS / ".gitignore").write_text("*\n", encoding="utf-8")
    # SIGTERM ends the server and the application as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return demonstrate(options, output.resolve())
    except KeyboardInterrupt:
        print("\ninterrupted: the server and the application are ended", file=sys.stderr)
        return 130


def demonstrate(options: argparse.Namespace, output: Path) -> int:
    """The whole story; 1 if something is not as it must be."""
    began = time.monotonic()
    with ExitStack() as stack:
        heading("A server")
        server = stack.enter_context(start(options=OPTIONS, name="demo"))
        say(f"MySQL {server.server.version} on {server.server.host}:{server.server.port}; {server.server.source}.")
        root = Account(server.server.host, server.server.port, server.server.user, server.server.password)
        shapes = load_company(server, root)
        dba = stack.enter_context(least_privileged(server, schemas=company.SCHEMAS))
        server.rows(f"GRANT {SETTINGS} ON *.* TO '{dba.user}'@'%%'")
        stack.callback(dba.option_file(output / "dba.cnf").unlink, missing_ok=True)
        option_file = application_account(server, output)
        stack.callback(option_file.unlink, missing_ok=True)

        heading("An application")
        say(
            f"{options.rate:g} transactions a second over six connections, under REPEATABLE READ: read, think for 5 to "
            "10 ms, write. Beside that 30 statements a second over two connections, each a transaction of its own, "
            "against the tables that cannot be copied (foreign keys with cascades, a trigger, no key). "
            "It may read and write the company's tables and nothing else, counts every error, tries "
            "nothing again, and keeps a ledger of what it was told is committed. Before it starts, every row of every "
            "table is read and remembered."
        )
        company.write_out(server.connect, list(company.CANARIES))
        readable = canaries(server)
        load = stack.enter_context(traffic(option_file, output, rate=options.rate))
        rows_before = ledger.snapshot(root, shapes.values())
        before, innodb_before = read_facts(server.connect), innodb_tables(server.connect)
        logs_before = switched_on(server.connect)
        load.mark("warm-up")
        print(
            f"\n  {sum(map(len, rows_before.values())):,} rows remembered; the application writes from now on.",
            flush=True,
        )
        time.sleep(WARM_UP_SECONDS)
        load.mark("before")
        time.sleep(options.seconds_before)

        load.mark("during")
        migration = migrate(output, server, load, direct_below=options.direct_below)
        load.mark("after")
        time.sleep(options.seconds_after)
        result = load.stop()

        heading("The proof")
        say("The application has stopped. Every row is read again and compared, value by value.")
        rows_after = ledger.snapshot(root, shapes.values())
        after = read_facts(server.connect)
        differences = ledger.compare_all(rows_before, result.ledger, rows_after)
        checks = [
            *migration.checks,
            verdict.rows_are_equal(differences),
            *verdict.application_is_well(result, "during", {*before} - company.QUIET, migration.doing),
            *verdict.encrypted_and_unchanged(before, after),
            verdict.nothing_in_clear(innodb_before, innodb_tables(server.connect)),
            verdict.logs_are_encrypted(logs_before, switched_on(server.connect)),
            verdict.refused_as_expected(migration.refused, before, after),
            verdict.planned_as_committed(migration.planned, steps_in(COMMITTED)),
            verdict.large_ones_were_copied(migration.steps.values()),
            verdict.relayed_as_expected(migration.steps.values()),
            *([verdict.unreadable_on_disk(readable, canaries(server))] if readable else []),
        ]
        seen = Seen(
            before=before,
            after=after,
            differences=differences,
            steps=migration.steps,
            refused=migration.refused,
            result=result,
            checks=checks,
            commands=migration.commands,
        )
        tell(seen)
        seconds = time.monotonic() - began
        write_summary(output, seen, seconds=seconds)
        close(checks, output, seconds)
        if options.write_plan:
            shutil.copy(output / "plan.yaml", COMMITTED)
            say(f"Its plan is in {COMMITTED} now, for the next run to be compared with.")
        if options.keep:
            keep(server, output)
    return 0 if all(check.passed for check in checks) else 1


def load_company(server: RunningServer, root: Account) -> Mapping[str, Shape]:
    """Load the company; the shape of each of its tables."""
    heading("A company")
    began = time.monotonic()
    company.load(server.connect)
    seconds = time.monotonic() - began
    size = server.value(
        "SELECT SUM(data_length + index_length) FROM information_schema.tables WHERE table_schema IN %s",
        company.SCHEMAS,
    )
    shapes = read_shapes(root, company.SCHEMAS)
    say(
        f"{len(shapes)} tables in the schemas {', '.join(company.SCHEMAS)}, {int(size) / 2**20:,.0f} MiB, loaded in "
        f"{seconds:.1f} s: orders, ledgers, events and carts, under keys of every kind; partitions, BLOBs, JSON, "
        "generated columns, a shared tablespace; and tables that cannot be copied by triggers."
    )
    return shapes


def application_account(server: RunningServer, output: Path) -> Path:
    """An account that may read and write each of the company's tables, and nothing else; its option file.

    Its rights are granted table by table: it has none on whatever else appears in the schemas meanwhile.
    """
    password = secrets.token_urlsafe(18)
    with closing(server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE USER 'application'@'%%' IDENTIFIED BY %s", (password,))
        for name in company.tables(server.connect):
            cursor.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {company.quoted(name)} TO 'application'@'%'")
    return server.option_file(output / "application.cnf", user="application", password=password)


def canaries(server: RunningServer) -> dict[str, bool]:
    """Which known values can be read in the tables' files; nothing where the files are not this machine's."""
    datadir = server.server.datadir
    return readable_in(datadir, company.CANARIES) if datadir else {}


def close(checks: Sequence[verdict.Check], output: Path, seconds: float) -> None:
    """The last words."""
    failed = sum(not check.passed for check in checks)
    heading("FAILED" if failed else "PASSED")
    say(f"{len(checks) - failed} of {len(checks)} checks passed, in {seconds:.0f} s. In {output}:")
    for name, what in LEFT.items():
        if (output / name).exists():
            print(f"  {name:<18}{what}")


def keep(server: RunningServer, output: Path) -> None:
    """Leave the server running until Ctrl-C."""
    print(
        f"\nThe server runs until Ctrl-C. As the DBA:\n  migrator audit --defaults-file {output / 'dba.cnf'}",
        flush=True,
    )
    if server.server.socket:
        print(
            f"As root, password {server.server.password}:\n  mysql -uroot -p --socket={server.server.socket}",
            flush=True,
        )
    with suppress(KeyboardInterrupt):
        threading.Event().wait()


if __name__ == "__main__":
    sys.exit(main())
