"""What the audit looks at besides tables: logs, transport, host."""

from __future__ import annotations

from typing import Final

from migrator.db import Session
from migrator.inventory.ask import ask
from migrator.inventory.transport import VARIABLES as TRANSPORT_VARIABLES
from migrator.inventory.transport import read_transport
from migrator.model import Server
from migrator.posture import AtRest, Host, LogFile, Posture

_WANTED: Final = """
    log_bin binlog_encryption innodb_redo_log_encrypt innodb_undo_log_encrypt
    default_table_encryption table_encryption_privilege_check
"""
_VARIABLES: Final = frozenset(_WANTED.split())


def read_posture(session: Session, server: Server) -> Posture:
    """Read it with a few statements. Changes nothing, locks nothing, waits for nobody.

    What our account may not read is None or empty, and is never taken for good.
    """
    known = {str(name).lower(): str(value) for name, value in session.rows("SHOW GLOBAL VARIABLES")}
    return Posture(
        variables={name: known[name] for name in sorted((_VARIABLES | TRANSPORT_VARIABLES) & known.keys())},
        at_rest=AtRest(binary_logs=_binary_logs(session, server)),
        transport=read_transport(session, server, known),
        host=Host(),
    )


def _binary_logs(session: Session, server: Server) -> tuple[LogFile, ...] | None:
    if not server.variable_is_on("log_bin"):
        return ()
    rows = ask(session, "SHOW BINARY LOGS")
    return None if rows is None else tuple(LogFile(str(n), int(b), str(e).upper() == "YES") for n, b, e in rows)
