"""Rotation of master keys: look, refuse what must be refused, note, rotate, look again.

Under the lease, so never beside a run. Before the statement a row in the journal says that it begins, and
afterwards what came of it. Where the process ends between the two, the next call sees by the keyring whether a
key was made since, and says so: a statement that was sent is not taken back by the end of its sender.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from migrator import __version__
from migrator.clock import Clock, SystemClock
from migrator.db import Session
from migrator.engine.allowed import refused
from migrator.engine.journal import Journal
from migrator.engine.journal_rotations import RotationRow
from migrator.engine.keys_seen import await_files, await_members, file_keys, member_keys
from migrator.engine.lease import Lease, new_run_id, purpose_of
from migrator.engine.members import Asked as AskedMembers
from migrator.engine.members import ask_members
from migrator.errors import Failed, OwnerUnknown, Refused
from migrator.inventory import read_server
from migrator.inventory.ddl import read_ddl
from migrator.inventory.files import read_key_names
from migrator.model import Blocker, Server
from migrator.planner.plan import Attestations
from migrator.planner.rotation import Asked, ddl_at_work, rotation_gates
from migrator.report.rotated import KeyChange, Rotation
from migrator.report.values import server_id
from migrator.sql.rotate import WHAT, Which, newest_key, rotate
from migrator.sql.statement import Sql
from migrator.sql_errors import INTERRUPTED, LOCK_WAIT, SqlError

LOCKS: Final[dict[Which, str]] = {
    "innodb": "Waits 1 s at most until no DDL is at work; new DDL waits behind it as long. Rows are read and written.",
    "binlog": "Nobody waits for it, but for the instant in which a new binlog begins.",
}


@dataclass(frozen=True, slots=True)
class RotationOptions:
    """What is wanted."""

    which: tuple[Which, ...] = ("innodb",)
    attestations: Attestations = field(default_factory=Attestations)
    files: bool = False
    datadir: Path | None = None
    """Where the server's datadir is here; None: where the server says."""
    wait_seconds: float = 10.0
    """How long files and members are looked at, until they have the new key."""
    dry_run: bool = False


def rotate_keys(
    session: Session,
    options: RotationOptions,
    stop: threading.Event | None = None,
    *,
    clock: Clock | None = None,
    journal: Journal | None = None,
) -> Rotation:
    """Make new master keys, and show that the files and the replicas have them.

    Raises `Refused` if a gate says no, `LeaseHeld` if a run is at work: then nothing was touched. `Failed` if a
    statement did not succeed, or nobody knows. Takes no lock on tables; see `sql.rotate` for what waits. Not
    idempotent: every call makes one more key, also after one that was ended half-way.
    """
    clock, journal, stop = clock or SystemClock(), journal or Journal(), stop or threading.Event()
    at, account = str(session.value("SELECT UTC_TIMESTAMP(6)")), str(session.value("SELECT CURRENT_USER()"))
    server = read_server(session)
    members = ask_members(session, server) if "innodb" in options.which else AskedMembers(frozenset(), frozenset())
    asked = Asked(
        server,
        options.which,
        options.attestations,
        rotated_at=_rotated_at(session, journal, server),
        ddl=_ddl(session) if "innodb" in options.which else (),
        confirmed=members.confirmed,
        refuted=members.refuted,
        journal_schema=journal.schema,
    )
    findings = rotation_gates(asked)
    if blocking := [finding for finding in findings if finding.blocks]:
        raise refused(blocking)
    files = file_keys(session, server, options.which, options.datadir) if options.files else None
    members_now = member_keys(session, server)
    backup = options.attestations.keyring_backup
    settled: tuple[str, ...] = ()
    if options.dry_run:
        changes = tuple(_would(session, server, which) for which in options.which)
    elif not asked.noted:
        changes = _each(options.which, lambda which: _rotate(session, server, which, clock))
    else:
        with _leased(session, journal, clock) as (own, run_id):
            settled = _settle(own, journal, server)
            changes = _each(options.which, lambda which: _noted(own, journal, server, which, run_id, options, clock))
    if not options.dry_run:
        patience = options.wait_seconds
        if files is not None:
            files = await_files(
                session, server, files, changes, options.datadir, seconds=patience, clock=clock, stop=stop
            )
        if "innodb" in options.which:
            members_now = await_members(session, server, members_now, seconds=patience, clock=clock, stop=stop)
    return Rotation(
        action="would-rotate" if options.dry_run else "rotated",
        server=server_id(server),
        at=at,
        account=account,
        changes=changes,
        attested=f"{backup.by}, {backup.at}" if backup else "",
        noted=asked.noted and not options.dry_run,
        settled=settled,
        files=files,
        members=members_now,
        findings=findings,
    )


_NO_MASTER_KEY: Final = 3185
_TIMES: Final = 2
"""So often the statement is sent until it makes a new key."""


# -- before -----------------------------------------------------------------------------------


def _rotated_at(session: Session, journal: Journal, server: Server) -> datetime | None:
    """When the newest rotation that the journal knows was done; of this server's journal, or of its source's."""
    try:
        return journal.rotated_at(session) if journal.exists(session) else None
    except OwnerUnknown:
        if server.is_replica or server.group_mode:
            return None  # the journal is that of another server, as it must be
        raise


def _ddl(session: Session) -> tuple[Blocker, ...]:
    return read_ddl(session) or ()


def _keys(session: Session, which: Which) -> frozenset[str]:
    keys = read_key_names(session, which)
    if keys is None:
        raise Refused(
            "the names of the keys in the keyring cannot be read",
            remedy="grant SELECT on performance_schema.keyring_keys; nothing was touched",
        )
    return keys


def _newest(session: Session, server: Server, which: Which) -> str:
    return newest_key(_keys(session, which), which, server.server_uuid)


def _would(session: Session, server: Server, which: Which) -> KeyChange:
    return KeyChange(which, rotate(which).shown, LOCKS[which], _newest(session, server, which))


# -- doing ------------------------------------------------------------------------------------


def _each(which: Sequence[Which], rotated: Callable[[Which], KeyChange]) -> tuple[KeyChange, ...]:
    """One after the other; what was done before one that fails is said with its error."""
    done: list[KeyChange] = []
    for one in which:
        try:
            done.append(rotated(one))
        except (Refused, Failed) as error:
            if not done:
                raise
            said = ", ".join(f"the {WHAT[change.which]} was rotated: {change.key_to}" for change in done)
            raise Failed(
                f"{said}; but then: {error.message}",
                remedy=f"back the keyring up now; {error.remedy or 'the same command again'}",
            ) from None
    return tuple(done)


@contextmanager
def _leased(session: Session, journal: Journal, clock: Clock) -> Iterator[tuple[Session, str]]:
    """A session under the lease, and the run's id; the journal is made where there is none."""
    journal.open(session, __version__)
    run_id = new_run_id()
    with session.another(purpose_of(run_id)) as own, Lease(journal, own, run_id=run_id, clock=clock):
        yield own, run_id


def _settle(session: Session, journal: Journal, server: Server) -> tuple[str, ...]:
    """Note what became of rotations whose processes ended before they could; as sentences. Under the lease."""
    said = []
    for row in journal.rotations(session):
        if row.state != "begun":
            continue
        now = _newest(session, server, row.which)
        journal.end_rotation(session, row.id, key_to=now, state="not-done" if now == row.key_from else "done")
        said.append(_settled(row, now))
    return tuple(said)


def _settled(row: RotationRow, now: str) -> str:
    what = f"A rotation of the {WHAT[row.which]} was begun at {row.began_at:%Y-%m-%d %H:%M:%S} UTC by {row.account}"
    if now == row.key_from:
        return f"{what}, and its process ended before the server had done it."
    return f"{what}, and its process ended before it could say so: its key was made. {row.key_from or 'None'} -> {now}."


def _noted(
    session: Session,
    journal: Journal,
    server: Server,
    which: Which,
    run_id: str,
    options: RotationOptions,
    clock: Clock,
) -> KeyChange:
    """Rotate one key, with a note in the journal before and afterwards."""
    if which == "innodb" and (blocking := list(ddl_at_work(_ddl(session)))):
        raise refused(blocking)
    before = _newest(session, server, which)
    row = journal.begin_rotation(
        session,
        which,
        key_from=before,
        run_id=run_id,
        version=__version__,
        attested=options.attestations.model_dump_json(),
    )
    try:
        change = _rotate(session, server, which, clock)
    except Refused:
        journal.end_rotation(session, row, key_to=before, state="not-done")
        raise
    journal.end_rotation(session, row, key_to=change.key_to, state="done")
    return change


def _rotate(session: Session, server: Server, which: Which, clock: Clock) -> KeyChange:
    """Send the statement, and see by the keyring that it did what it says.

    After a crash in a rotation the keyring can have a key that no file was given yet. Then the next rotation takes that
    one, and no new one is seen; the one after it makes one (9.7.4).
    """
    before, statement = _newest(session, server, which), rotate(which)
    began = clock.monotonic()
    for _ in range(_TIMES):
        _send(session, which, statement)
        after = _newest(session, server, which)
        if after != before:
            return KeyChange(which, statement.shown, LOCKS[which], before, after, clock.monotonic() - began)
    raise Failed(
        f"the server says that the {WHAT[which]} is rotated, and the keyring's newest key is still {before}",
        remedy="look at the keyring and at the server's error log; nothing else was changed",
    )


def _send(session: Session, which: Which, statement: Sql) -> None:
    try:
        session.run(statement)
    except SqlError as error:
        if error.link_lost:
            raise Failed(
                f"the connection was lost while the {WHAT[which]} was rotated: nobody knows whether it was",
                remedy="the same command again: it looks at the keyring first, says what became of this one, and makes"
                " one more key, which does no harm",
            ) from None
        if error.number in INTERRUPTED | {LOCK_WAIT}:
            raise Refused(
                f"the {WHAT[which]} was not rotated: DDL, a backup or a person came in between",
                remedy="the same command again",
            ) from None
        raise Refused(f"the server does not rotate the {WHAT[which]}: {error}", remedy=_after(error)) from None


def _after(error: SqlError) -> str:
    if error.number == _NO_MASTER_KEY:
        return "make the keyring usable: see performance_schema.keyring_component_status and the error log"
    return "mend what it says, then the same command again"
