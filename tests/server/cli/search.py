"""A search for what must not be seen, in every form in which a text is commonly written, wherever it could stand."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote_plus

from tests.server.cli.snapshot import JOURNAL, name
from tests.servers import Account, RunningServer

LOGS = ("general_log", "slow_log")

VIEWS = {
    "attributes of sessions": "performance_schema.session_connect_attrs",
    "variables of users": "performance_schema.user_variables_by_thread",
    "sessions": "performance_schema.threads",
    "the process list": "information_schema.PROCESSLIST",
    "statements": "performance_schema.events_statements_history",
    "digests": "performance_schema.events_statements_summary_by_digest",
    "prepared statements": "performance_schema.prepared_statements_instances",
    "errors": "performance_schema.error_log",
}
"""Where the server shows what its clients are and say."""


@dataclass(slots=True)
class Search:
    """Looks for secrets, by name, in whatever it is given."""

    secrets: Mapping[str, str]
    found: set[tuple[str, str]] = field(default_factory=set)
    """Place and name of each secret that was seen."""
    places: dict[str, int] = field(default_factory=dict)
    """Where it has looked, and at how many bytes."""

    def look(self, place: str, content: str | bytes) -> None:
        """Look through a text."""
        data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
        self.places[place] = self.places.get(place, 0) + len(data)
        lower = data.lower()
        for secret, text in self.secrets.items():
            if any(form in (data if exact else lower) for form, exact in forms(text)):
                self.found.add((place, secret))

    def look_at_files(self, place: str, folder: Path) -> None:
        """Look through every file of a folder and of those below it."""
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                self.look(place, file.read_bytes())

    def look_at_processes(self, place: str, pid: int, *, environment: bool = True) -> None:
        """Look at what every user (arguments) and this one (environment) can see of a process and its children."""
        for each in family(pid):
            self.look(f"{place}: arguments", Path(f"/proc/{each}/cmdline").read_bytes())
            if environment or each != pid:
                self.look(f"{place}: environment", Path(f"/proc/{each}/environ").read_bytes())

    def look_at_rows(self, server: RunningServer, place: str, statement: str, *args: object) -> None:
        """Look through what a statement of root's finds."""
        with closing(server.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(statement, args)
            for row in cursor.fetchall():
                for value in row:
                    self.look(place, value if isinstance(value, bytes) else str(value))

    def look_at_sessions(self, account: Account) -> None:
        """Look at what the server shows of an account's sessions and their statements."""
        ours = "(SELECT THREAD_ID FROM performance_schema.threads WHERE PROCESSLIST_USER = %s)"
        processes = "(SELECT PROCESSLIST_ID FROM performance_schema.threads WHERE PROCESSLIST_USER = %s)"
        conditions = {
            "attributes of sessions": f"PROCESSLIST_ID IN {processes}",
            "sessions": "PROCESSLIST_USER = %s",
            "the process list": "USER = %s",
            # These are nobody's; the tests speak of values only in a schema, and we never choose one.
            "digests": "%s <> '' AND SCHEMA_NAME IS NULL",
            "errors": "%s <> ''",
            "prepared statements": f"OWNER_THREAD_ID IN {ours}",
        }
        for place, view in VIEWS.items():
            where = conditions.get(place, f"THREAD_ID IN {ours}")
            self.look_at_rows(account.server, place, f"SELECT * FROM {view} WHERE {where}", account.user)

    def look_at_logs(self, account: Account) -> None:
        """Look at what an account said, by the server's logs in tables."""
        for log in LOGS:
            text = "argument" if log == "general_log" else "sql_text"
            statement = f"SELECT {text} FROM mysql.{log} WHERE user_host LIKE %s"
            self.look_at_rows(account.server, log, statement, f"%{account.user}%")

    def look_at_journal(self, server: RunningServer, place: str = "journal") -> None:
        """Look at every row of every table of the journal."""
        for (table,) in server.rows(
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s", JOURNAL
        ):
            self.look_at_rows(server, f"{place}: {table}", f"SELECT * FROM {name(JOURNAL)}.{name(str(table))}")


def forms(text: str) -> set[tuple[bytes, bool]]:
    """How a text may be written, and whether upper and lower case differ in it."""
    data = text.encode()
    found = {(data.lower(), False), (data.hex().encode(), False), (quote_plus(text).encode().lower(), False)}
    found.add((text.encode("utf-16-le").lower(), False))
    for shift in range(3):
        # Wherever it begins in what was encoded: the characters that hold bits of its neighbours are left out.
        encoded = base64.b64encode(bytes(shift) + data)
        found.add((encoded[-(-shift * 8 // 6) : (shift + len(data)) * 8 // 6], True))
    return found


def family(pid: int) -> set[int]:
    """A process and all that it has started, by now."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has ended
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found
