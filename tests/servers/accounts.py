"""Accounts with exactly the privileges that the documentation asks for."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.servers.running import RunningServer

if TYPE_CHECKING:
    from tests.servers.running import Connection

GRANTS = Path(__file__).with_name("grants.sql")
_ACCOUNT = "'migrator'@'%'"
_SCHEMA = "`shop`.*"


@dataclass(frozen=True, slots=True)
class Account:
    """A user of a running server."""

    server: RunningServer
    user: str
    password: str = field(repr=False)

    def connect(self, **options: Any) -> Connection:
        """A connection of this user; autocommit unless told otherwise."""
        return self.server.connect(user=self.user, password=self.password, **options)

    def option_file(self, path: Path) -> Path:
        """Write a [client] group for --defaults-file, readable by its owner only."""
        return self.server.option_file(path, user=self.user, password=self.password)


def grants() -> list[str]:
    """The statements of grants.sql, for the account 'migrator'@'%'."""
    lines = [line for line in GRANTS.read_text().splitlines() if line.strip() and not line.startswith("--")]
    return [statement.strip() for statement in "\n".join(lines).split(";") if statement.strip()]


def make(account: Account, *, schemas: Sequence[str] = ("t\\_%",)) -> None:
    """Create the user where there is none, and give it the privileges of grants.sql."""
    with closing(account.server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE USER IF NOT EXISTS %s@'%%' IDENTIFIED BY %s", (account.user, account.password))
        for statement in grants():
            assert _ACCOUNT in statement, f"{GRANTS.name} grants to somebody else: {statement}"
            ours = statement.replace(_ACCOUNT, f"'{account.user}'@'%'")
            for each in [ours.replace(_SCHEMA, f"`{name}`.*") for name in schemas] if _SCHEMA in ours else [ours]:
                cursor.execute(each)


@contextmanager
def least_privileged(server: RunningServer, *, schemas: Sequence[str] = ("t\\_%",)) -> Iterator[Account]:
    """A user with the privileges of grants.sql and no other, dropped after the block.

    `schemas`: what stands for `shop` there, names or patterns as GRANT has them; the journal's schema
    is always among them.
    """
    account = Account(server, f"migrator_{secrets.token_hex(4)}", secrets.token_urlsafe(18))
    make(account, schemas=schemas)
    try:
        yield account
    finally:
        if not server.owned:
            with closing(server.connect()) as connection, connection.cursor() as cursor:
                cursor.execute("DROP USER IF EXISTS %s@'%%'", (account.user,))
