"""A schema to be migrated, one beside it for pools of values, and the account that migrates."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager

from tests.server.engine.kit import Lab
from tests.servers import Account, RunningServer


@contextmanager
def laboratory(server: RunningServer, dba: Account) -> Iterator[Lab]:
    """Both schemas, dropped afterwards, the journal too. Files of clients may be loaded for as long."""
    schema = f"t_{secrets.token_hex(6)}"
    lab = Lab(server, dba, schema, f"{schema}_ledger")
    with closing(server.connect(ssl_disabled=True)) as root, root.cursor() as cursor:
        cursor.execute("SELECT @@GLOBAL.local_infile")
        before = int((cursor.fetchone() or (0,))[0])
        cursor.execute("SET GLOBAL local_infile = ON")
        for name in (lab.schema, lab.ledger):
            cursor.execute(f"CREATE DATABASE {name}")
        try:
            yield lab
        finally:
            spaces = lab.spaces()
            for name in (lab.schema, lab.ledger):
                cursor.execute(f"DROP DATABASE {name}")
            cursor.execute("DROP DATABASE IF EXISTS migrator")
            for space in spaces:  # what a trial that failed has left
                cursor.execute(f"DROP TABLESPACE {space}")
            cursor.execute(f"SET GLOBAL local_infile = {before}")
