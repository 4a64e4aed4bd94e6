"""Which master key files and other servers have: looked at before a rotation, and again until all have the new one."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from migrator.clock import Clock
from migrator.db import Session
from migrator.engine.members import address_of
from migrator.errors import MigratorError
from migrator.inventory.files import read_key_names
from migrator.model import Member, Server
from migrator.proof.first_pages import UNWRITTEN, await_key, read_locked_files
from migrator.proof.places import NotHere
from migrator.report.rotated import FileKeys, KeyChange, LockedFile, MemberKey, behind
from migrator.sql.rotate import Which, newest_key
from migrator.sql_errors import SqlError

_ASK_EVERY_SECONDS: Final = 0.5


def file_keys(session: Session, server: Server, which: Sequence[Which], datadir: Path | None) -> FileKeys:
    """The key of each encrypted file as it is now; why none was read, if so. Reads only."""
    place = str(datadir or server.datadir)
    try:
        return FileKeys(place, before=tuple(read_locked_files(session, server, which, datadir)))
    except NotHere as error:
        return FileKeys(place, why=str(error))


def await_files(
    session: Session,
    server: Server,
    before: FileKeys,
    changes: Sequence[KeyChange],
    datadir: Path | None,
    *,
    seconds: float,
    clock: Clock,
    stop: threading.Event,
) -> FileKeys:
    """Look until every file has the new key, the time is over, or somebody says stop. Reads only."""
    if before.why:
        return before
    newest = {change.which: change.key_to for change in changes}

    def done(file: LockedFile) -> bool:
        return file.key == newest[file.which] or file.why not in {"", UNWRITTEN}

    began = clock.monotonic()
    after = await_key(
        lambda: read_locked_files(session, server, tuple(newest), datadir),
        done,
        seconds=seconds,
        clock=clock,
        stop=stop,
    )
    return FileKeys(before.datadir, before.before, tuple(after), waited_seconds=clock.monotonic() - began)


def member_keys(session: Session, server: Server) -> tuple[MemberKey, ...]:
    """The newest InnoDB key of each replica and member, asked with this account at the address that it reports."""
    return tuple(_member_key(session, member) for member in server.members if member.server_uuid != server.server_uuid)


def await_members(
    session: Session,
    server: Server,
    before: tuple[MemberKey, ...],
    *,
    seconds: float,
    clock: Clock,
    stop: threading.Event,
) -> tuple[MemberKey, ...]:
    """Ask those that answered before until each has another key, the time is over, or somebody says stop."""
    until = clock.monotonic() + seconds
    known = {member.name: member for member in server.members}
    while True:
        now = tuple(_now(session, known[one.name], one) for one in before)
        left = until - clock.monotonic()
        if not any(map(behind, now)) or left <= 0 or clock.wait(stop, min(_ASK_EVERY_SECONDS, left)):
            return now


def _member_key(session: Session, member: Member) -> MemberKey:
    at = address_of(member)
    if at is None:
        return MemberKey(member.name, member.kind, why="it does not say where it can be asked")
    try:
        with session.elsewhere(*at, server_uuid=member.server_uuid) as other:
            keys = read_key_names(other, "innodb")
    except (MigratorError, SqlError):
        return MemberKey(member.name, member.kind, why="it does not answer this account there")
    if keys is None:
        return MemberKey(member.name, member.kind, why="this account may not see its keys")
    newest = newest_key(keys, "innodb", member.server_uuid)
    return MemberKey(member.name, member.kind, key_from=newest, key_to=newest)


def _now(session: Session, member: Member, before: MemberKey) -> MemberKey:
    if before.why:
        return before
    now = _member_key(session, member)
    return MemberKey(before.name, before.kind, before.key_from, now.key_to, now.why)
