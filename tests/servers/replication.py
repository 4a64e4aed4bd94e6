"""Real asynchronous replicas."""

from __future__ import annotations

import secrets
from contextlib import closing

import pymysql.cursors

from tests.servers.model import NoServer
from tests.servers.running import RunningServer, until


def follow(replica: RunningServer, source: RunningServer) -> None:
    """Make the fresh server `replica` replicate everything `source` has ever done; return when it runs.

    By GTID where the source has it, else from the start of its first binlog; `NoServer` if the source
    has purged that. The replica is super_read_only from then on, until it is restarted.
    """
    user, password = f"replica_{secrets.token_hex(4)}", secrets.token_urlsafe(18)
    gtid = source.value("SELECT @@gtid_mode") == "ON"
    if source.value("SELECT @@gtid_purged") or str(source.rows("SHOW BINARY LOGS")[0][0])[-7:] != ".000001":
        raise NoServer(f"{source!r} has purged its first binlog: make the replica before that")
    first = str(source.rows("SHOW BINARY LOGS")[0][0])
    with closing(source.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE USER %s@'%%' IDENTIFIED BY %s", (user, password))
        cursor.execute("GRANT REPLICATION SLAVE ON *.* TO %s@'%%'", (user,))
    place = "SOURCE_AUTO_POSITION = 1" if gtid else f"SOURCE_LOG_FILE = '{first}', SOURCE_LOG_POS = 4"
    with closing(replica.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST = %s, SOURCE_PORT = %s, SOURCE_USER = %s, SOURCE_PASSWORD = %s,"
            f" SOURCE_SSL = 1, SOURCE_CONNECT_RETRY = 1, SOURCE_HEARTBEAT_PERIOD = 1, {place}",
            (source.server.host, source.server.port, user, password),
        )
        cursor.execute("START REPLICA")
        cursor.execute("SET GLOBAL super_read_only = ON")
    until(lambda: status(replica)["Replica_IO_Running"] == "Yes", "the replica reaches its source")


def status(replica: RunningServer) -> dict[str, object]:
    """SHOW REPLICA STATUS as a dictionary; empty if the server is no replica."""
    with closing(replica.connect(cursorclass=pymysql.cursors.DictCursor)) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW REPLICA STATUS")
        found: object = cursor.fetchone()
        return dict(found) if isinstance(found, dict) else {}


def caught_up(replica: RunningServer, source: RunningServer, *, seconds: float = 60.0) -> None:
    """Return when the replica has applied all that `source` has committed by now.

    AssertionError with the replica's own complaint if it has stopped, or if it takes longer.
    """
    if source.value("SELECT @@gtid_mode") == "ON":
        wanted = source.value("SELECT @@gtid_executed")

        def done() -> object:
            return replica.value("SELECT GTID_SUBSET(%s, @@gtid_executed)", wanted)

    else:
        log, position = source.rows("SHOW BINARY LOG STATUS")[0][:2]

        def done() -> object:
            now = status(replica)
            return (str(now["Relay_Source_Log_File"]), int(str(now["Exec_Source_Log_Pos"]))) >= (log, position)

    def stopped_or_done() -> object:
        if status(replica)["Last_SQL_Errno"]:
            complaints = replica.rows(
                "SELECT last_error_number, last_error_message"
                " FROM performance_schema.replication_applier_status_by_worker WHERE last_error_number <> 0"
            )
            raise AssertionError(f"the replica has stopped: {complaints}")
        return done()

    until(stopped_or_done, "the replica has applied what its source has committed", seconds=seconds)
