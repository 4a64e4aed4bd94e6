"""What the audit looks at besides tables: logs, transport, host."""

from __future__ import annotations

from migrator.db import Session
from migrator.inventory.at_rest import VARIABLES, read_at_rest
from migrator.inventory.transport import VARIABLES as TRANSPORT_VARIABLES
from migrator.inventory.transport import read_transport
from migrator.model import Server
from migrator.posture import Host, Ours, Posture


def read_posture(session: Session, server: Server, *, host: Host | None = None, ours: Ours | None = None) -> Posture:
    """Read it with a few statements. Changes nothing, locks nothing, waits for nobody.

    What our account may not read is None or empty, and is never taken for good. `host` and `ours` come from
    elsewhere: see `read_host`, and the journal.
    """
    known = {str(name).lower(): str(value) for name, value in session.rows("SHOW GLOBAL VARIABLES")}
    return Posture(
        variables={name: known[name] for name in sorted((VARIABLES | TRANSPORT_VARIABLES) & known.keys())},
        at_rest=read_at_rest(session, server),
        transport=read_transport(session, server, known),
        host=host or Host(),
        ours=ours or Ours(),
    )
