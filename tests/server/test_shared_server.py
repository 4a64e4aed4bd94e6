"""The fixtures that the other server tests share."""

from __future__ import annotations

from contextlib import closing

from tests.servers import Account, RunningServer


def test_the_fixtures_give_a_schema_and_an_account(server: RunningServer, schema: str, dba: Account) -> None:
    """The schema is fresh and empty, and the least-privileged account can make an encrypted table in it."""
    assert server.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = %s", schema) == []
    with closing(dba.connect(database=schema)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (a INT) ENCRYPTION='Y'")
    with closing(server.connect(database=schema)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_user(), ENCRYPTION FROM information_schema.innodb_tablespaces WHERE name LIKE %s",
            (f"{schema}/t",),
        )
        assert cursor.fetchall() == (("root@127.0.0.1", "Y"),)
