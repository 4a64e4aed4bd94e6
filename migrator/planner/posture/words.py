"""What several places say alike: statements that set a variable, GRANTs, names in few words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from migrator.model import Flavour, Server
from migrator.planner.privileges import account_text

MANAGED = frozenset({Flavour.RDS, Flavour.AURORA})
"""Variables there are set by parameter groups."""

_SHOWN = 5


def set_variable(server: Server, name: str, value: str) -> str:
    """The statement that sets a global variable now and after a restart; `value` as SQL writes it."""
    if server.flavour in MANAGED:
        return f"in the parameter group: {name} = {value}"
    return f"SET PERSIST {name} = {value}"


READ_STATUS = "SELECT ON performance_schema.*"


def grant(server: Server, right: str) -> str:
    """The GRANT that gives our account the right, which names what it is on: `SELECT ON mysql.user`."""
    account = account_text(server.account) if server.account else "'migrator'@'%'"
    return f"GRANT {right} TO {account}"


def few(names: Sequence[object]) -> str:
    """The first five, and how many more there are."""
    shown = ", ".join(str(name) for name in names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def number(count: int, one: str, many: str = "") -> str:
    """`1 account`, `2 accounts`."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def now_of(read_at: str) -> datetime:
    """The instant of an inventory."""
    return datetime.fromisoformat(read_at).replace(tzinfo=UTC)


def end_of(text: str) -> datetime | None:
    """`Nov 20 07:12:03 2036 GMT` as the server shows it; None if it shows none."""
    try:
        return datetime.strptime(text, "%b %d %H:%M:%S %Y %Z").replace(tzinfo=UTC)
    except ValueError:
        return None
