"""Real groups: Group Replication with one primary, or several."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

import pymysql

from tests.servers.local import free_port
from tests.servers.running import RunningServer, until

_OPTIONS = ("--plugin-load-add=group_replication.so", "--loose-group-replication-start-on-boot=OFF")
_MEMBERS = "SELECT MEMBER_ID, MEMBER_STATE, MEMBER_ROLE FROM performance_schema.replication_group_members"


@dataclass(frozen=True, slots=True)
class Group:
    """Servers that replicate to each other; the first one began it."""

    servers: tuple[RunningServer, ...]

    @property
    def primary(self) -> RunningServer:
        """The member that takes the writes, as the living members say."""
        for server in self.servers:
            try:
                rows = server.rows(_MEMBERS)
            except pymysql.err.OperationalError:
                continue  # it was killed
            primaries = {str(row[0]) for row in rows if row[1:] == ("ONLINE", "PRIMARY")}
            if len(primaries) == 1 and all(row[1] == "ONLINE" for row in rows):
                return self._by_uuid(primaries.pop())
        raise AssertionError("no member knows a primary")

    def _by_uuid(self, wanted: str) -> RunningServer:
        for server in self.servers:
            try:
                if server.value("SELECT @@server_uuid") == wanted:
                    return server
            except pymysql.err.OperationalError:
                continue
        raise AssertionError("the primary is gone")

    def wait_for_another_primary(self, old: RunningServer) -> RunningServer:
        """The member that has taken over from one that was killed, when it takes writes."""
        found: list[RunningServer] = []

        def taken_over() -> bool:
            try:
                now = self.primary
                found[:] = [now] if now is not old and now.value("SELECT @@super_read_only") == 0 else []
            except (AssertionError, pymysql.err.OperationalError):
                return False
            return bool(found)

        until(taken_over, "another member has become primary", seconds=90)
        return found[0]

    def others(self, server: RunningServer) -> tuple[RunningServer, ...]:
        """All members but this one."""
        return tuple(one for one in self.servers if one is not server)

    def caught_up(self, source: RunningServer, *others: RunningServer, seconds: float = 60.0) -> None:
        """Return when these members have applied all that `source` has executed by now."""
        wanted = source.value("SELECT @@gtid_executed")
        for other in others or self.others(source):
            until(
                lambda other=other: other.value("SELECT GTID_SUBSET(%s, @@gtid_executed)", wanted),  # type: ignore[misc]
                f"{other!r} has applied what {source!r} has committed",
                seconds=seconds,
            )


@contextmanager
def group(*, members: int = 3, options: Sequence[str] = (), multi_primary: bool = False) -> Iterator[Group]:
    """Running servers in one group, all ONLINE; the first is the primary, the others (unless all are) read-only."""
    from tests.servers import start  # it imports us

    user, password = f"group_{secrets.token_hex(4)}", secrets.token_urlsafe(18)
    with ExitStack() as stack:
        servers = tuple(
            stack.enter_context(start(options=[*_OPTIONS, *options], name=f"member{n}")) for n in range(members)
        )
        addresses = [f"127.0.0.1:{free_port()}" for _ in servers]
        name = str(uuid.uuid4())
        for n, (server, address) in enumerate(zip(servers, addresses, strict=True)):
            with closing(server.connect()) as connection, connection.cursor() as cursor:
                for variable, value in (
                    ("group_name", name),
                    ("local_address", address),
                    ("group_seeds", ",".join(addresses)),
                    ("recovery_get_public_key", "ON"),
                    ("single_primary_mode", "OFF" if multi_primary else "ON"),
                    ("enforce_update_everywhere_checks", "ON" if multi_primary else "OFF"),
                    ("bootstrap_group", "OFF" if n else "ON"),
                ):
                    cursor.execute(f"SET GLOBAL group_replication_{variable} = %s", (value,))
                cursor.execute("SET sql_log_bin = 0")
                cursor.execute("CREATE USER %s@'%%' IDENTIFIED BY %s", (user, password))
                rights = "REPLICATION SLAVE, BACKUP_ADMIN, GROUP_REPLICATION_STREAM, CONNECTION_ADMIN"
                cursor.execute(f"GRANT {rights} ON *.* TO %s@'%%'", (user,))
                cursor.execute("SET sql_log_bin = 1")
                cursor.execute(
                    "CHANGE REPLICATION SOURCE TO SOURCE_USER = %s, SOURCE_PASSWORD = %s"
                    " FOR CHANNEL 'group_replication_recovery'",
                    (user, password),
                )
                cursor.execute("START GROUP_REPLICATION")
                cursor.execute("SET GLOBAL group_replication_bootstrap_group = OFF")
            until(
                lambda server=server, n=n: sum(row[1] == "ONLINE" for row in server.rows(_MEMBERS)) == n + 1,  # type: ignore[misc]
                "the member is in the group",
                seconds=90,
            )
        yield Group(servers)
