"""What is said of replication channels: those by which this server reads, and those who read from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from migrator.model import Inventory, Server
from migrator.planner.posture.words import MANAGED, READ_STATUS, few, grant
from migrator.posture import Area, Place, Posture, State
from migrator.transport import Channel

_ROWS: Final = "every changed row can be read on the network, whatever is encrypted on disks"


def replication(inventory: Inventory, posture: Posture) -> Iterator[Place]:
    """For each channel its TLS and what it verifies, where its password is, and who is sent the binary log."""
    channels = posture.transport.channels
    if channels is None:
        why, closes = "replication_connection_configuration is not readable", (grant(inventory.server, READ_STATUS),)
        yield Place("channel-tls", Area.TRANSIT, "replication channels", State.UNKNOWN, why, _ROWS, closes)
    elif not channels:
        yield Place("channel-tls", Area.TRANSIT, "replication channels", State.UNUSED, "none: not a replica")
    for channel in channels or ():
        yield _tls(inventory.server, channel)
        if channel.tls:
            yield _verify(inventory.server, channel)
    if channels:
        yield _credentials(inventory, channels)
    yield _replicas(inventory, posture)


def _called(channel: Channel) -> str:
    name = f"channel '{channel.name}'" if channel.name else "replication channel"
    return f"{name} from {channel.host}:{channel.port}"


def changed(server: Server, name: str, *settings: str) -> tuple[str, ...]:
    """The statements that change a channel in the words of this version: its receiver rests for a moment."""
    if server.flavour in MANAGED:
        by = "mysql.rds_set_external_" + ("source" if server.at_least(8, 4) else "master")
        return (
            "CALL mysql.rds_stop_replication",
            f"CALL {by}(...)  -- as it was set up (with auto position: {by}_with_auto_position), ssl_encryption = 1",
            "CALL mysql.rds_start_replication",
        )
    new = server.at_least(8, 0, 23)
    stop, start, change = (
        ("STOP REPLICA IO_THREAD", "START REPLICA IO_THREAD", "CHANGE REPLICATION SOURCE TO")
        if new
        else ("STOP SLAVE IO_THREAD", "START SLAVE IO_THREAD", "CHANGE MASTER TO")
    )
    words = ", ".join(settings)
    if not new:
        words = words.replace("GET_SOURCE_PUBLIC_KEY", "GET_MASTER_PUBLIC_KEY").replace("SOURCE_", "MASTER_")
    text = "'" + name.replace("\\", "\\\\").replace("'", "''") + "'"
    return tuple(f"{each} FOR CHANNEL {text}" for each in (stop, f"{change} {words}", start))


def _tls(server: Server, channel: Channel) -> Place:
    code, what = "channel-tls", _called(channel)
    evidence = f"SSL_ALLOWED={'YES' if channel.tls else 'NO'}"
    if channel.tls:
        return Place(code, Area.TRANSIT, what, State.ENCRYPTED, evidence)
    risk = _ROWS
    settings = ["SOURCE_SSL = 1"]
    if channel.takes_public_key:
        evidence += ", GET_PUBLIC_KEY=YES"
        risk += "; its password goes to whoever answers in the source's place"
        settings.append("GET_SOURCE_PUBLIC_KEY = 0")
    return Place(code, Area.TRANSIT, what, State.CLEAR, evidence, risk, changed(server, channel.name, *settings))


def _verify(server: Server, channel: Channel) -> Place:
    code, what = "channel-verify", f"who answers on the {_called(channel)}"
    evidence = f"SSL_CA_FILE {'set' if channel.ca else 'not set'}, SSL_VERIFY_SERVER_CERTIFICATE="
    evidence += "YES" if channel.verifies else "NO"
    if channel.ca and channel.verifies:
        return Place(code, Area.TRANSIT, what, State.OK, evidence)
    risk = "somebody who answers in the source's place is believed: gets the password, and gives rows"
    settings = ("SOURCE_SSL_CA = '/etc/mysql/certs/ca.pem'", "SOURCE_SSL_VERIFY_SERVER_CERT = 1")
    note = f"the source's certificate has to name {channel.host}: see certificate-names there"
    return Place(code, Area.TRANSIT, what, State.BAD, evidence, risk, (*changed(server, channel.name, *settings), note))


def _credentials(inventory: Inventory, channels: tuple[Channel, ...]) -> Place:
    code, what = "channel-credentials", "passwords of channels"
    kept = [channel for channel in channels if channel.user]
    if not kept:
        return Place(code, Area.TRANSIT, what, State.OK, "no channel keeps a user: START REPLICA names it")
    space = next((each for each in inventory.tablespaces if each.name == "mysql"), None)
    where = f"{len(kept)} with a user; a password that was set is in mysql.slave_master_info"
    risk = "who has the file mysql.ibd or a copy of it can read the password, as can who may SELECT that table"
    if space is None:
        return Place(code, Area.TRANSIT, what, State.UNKNOWN, f"{where}; that tablespace is not readable", risk)
    if space.encrypted:
        return Place(code, Area.TRANSIT, what, State.ENCRYPTED, f"{where}; the tablespace mysql is encrypted")
    closes = ("ALTER TABLESPACE mysql ENCRYPTION = 'Y'  -- on the source: every replica does it, and needs a keyring",)
    evidence = f"{where}; the tablespace mysql is not encrypted"
    return Place(code, Area.TRANSIT, what, State.CLEAR, evidence, risk, closes)


def _replicas(inventory: Inventory, posture: Posture) -> Place:
    code, what = "replicas-tls", "readers of the binary log"
    connected = posture.transport.connected
    if connected is None:
        why = "performance_schema.threads is not readable, or performance_schema is OFF"
        return Place(code, Area.TRANSIT, what, State.UNKNOWN, why, _ROWS, (grant(inventory.server, READ_STATUS),))
    dumps = [each for each in connected if each.sent_binlog]
    if not dumps:
        return Place(code, Area.TRANSIT, what, State.UNUSED, "no session is being sent it now")
    clear = [each for each in dumps if each.way == "TCP/IP"]
    total = sum(each.count for each in dumps)
    if not clear:
        return Place(code, Area.TRANSIT, what, State.ENCRYPTED, f"{total} sessions, none over TCP without TLS")
    names = [f"{each.user}@{each.host}" for each in clear]
    evidence = f"{sum(each.count for each in clear)} of {total} sessions without TLS: {few(names)}"
    closes = (
        "on that server:",
        *(statement.removesuffix(" FOR CHANNEL ''") for statement in changed(inventory.server, "", "SOURCE_SSL = 1")),
        "mysqlbinlog and change feeds: --ssl-mode=VERIFY_IDENTITY; then, here, REQUIRE SSL for their accounts",
    )
    return Place(code, Area.TRANSIT, what, State.CLEAR, evidence, _ROWS, closes)
