"""What the audit says of replication channels and of a group that are in clear; and that what it says closes them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from migrator.posture import Place, State
from tests.certificates import Authority
from tests.server.test_posture_transport import Scene, close, look, states
from tests.server.topology.kit import SMALL_SERVER
from tests.servers import RunningServer, replica, start, until
from tests.servers.group import group
from tests.servers.replication import status

EVERYWHERE = "on every member: "
ON_PRIMARY = "on the primary: "
ON_OTHERS = "on every other member: "


def at_work(server: RunningServer) -> bool:
    """True if the replica is connected to its source."""
    return status(server)["Replica_IO_Running"] == "Yes"


def test_a_channel(tmp_path: Path) -> None:
    """In clear it is told on both servers; the statements give it TLS, then a source that is checked."""
    ours = Authority(tmp_path, "ours")
    with (
        start(name="source", options=SMALL_SERVER) as source,
        replica(source, options=SMALL_SERVER) as there,
    ):
        assert states(look(there), "channel-tls", "channel-verify") == [State.ENCRYPTED, State.BAD]
        there.rows("STOP REPLICA IO_THREAD")
        there.rows("CHANGE REPLICATION SOURCE TO SOURCE_SSL = 0, GET_SOURCE_PUBLIC_KEY = 1")
        there.rows("START REPLICA IO_THREAD")
        until(lambda: look(source)["replicas-tls"].state is State.CLEAR, "the replica reads in clear")
        found = look(there)
        assert found["channel-tls"].state is State.CLEAR
        assert "channel-verify" not in found
        assert "GET_PUBLIC_KEY=YES" in found["channel-tls"].evidence
        assert f"{source.server.port}" in found["channel-tls"].what
        assert found["source"].state is State.ASK

        on_source = look(source)["replicas-tls"]
        assert on_source.closes[2] == "CHANGE REPLICATION SOURCE TO SOURCE_SSL = 1"
        member = look(source)["member"]
        assert (member.state, member.what) == (State.ASK, f"replica 127.0.0.1:{there.server.port}")
        for statement in member.closes[2:]:
            there.rows(statement)

        close(there, found["channel-tls"])
        until(lambda: look(source)["replicas-tls"].state is State.ENCRYPTED, "the replica reads through TLS")
        found = look(there)
        assert states(found, "channel-tls", "channel-verify") == [State.ENCRYPTED, State.BAD]

        # A source whose certificate names it, and a replica that asks for that.
        Scene(source, tmp_path, ours).serve(ours.certificate("source", ["127.0.0.1"]))
        (tmp_path / "ca.pem").write_bytes(ours.file.read_bytes())
        close(there, found["channel-verify"], folder=str(tmp_path))
        until(lambda: at_work(there), "the replica has believed its source")
        assert states(look(there), "channel-tls", "channel-verify") == [State.ENCRYPTED, State.OK]

        # And one that is of somebody else is refused, so it was really checked.
        other = Authority(tmp_path, "other")
        Scene(source, tmp_path, other).serve(other.certificate("source", ["127.0.0.1"]))
        there.rows("STOP REPLICA IO_THREAD")
        there.rows("START REPLICA IO_THREAD")
        until(lambda: "certificate verify failed" in str(status(there)["Last_IO_Error"]), "the replica refuses it")


def test_the_password_of_a_channel() -> None:
    """It lies in the tablespace mysql: in clear until that is encrypted."""
    with start(name="source", options=SMALL_SERVER) as source, replica(source, options=SMALL_SERVER) as there:
        found = look(there)["channel-credentials"]
        assert found.state is State.CLEAR
        close(source, found)
        until(lambda: look(there)["channel-credentials"].state is State.ENCRYPTED, "the replica has done the same")


def _on(servers: Iterable[RunningServer], place: Place, prefix: str) -> None:
    for server in servers:
        for statement in place.closes:
            if statement.startswith(prefix):
                server.rows(statement.removeprefix(prefix))


def test_a_group() -> None:
    """Its members speak in clear; the procedure brings TLS, and the group is whole again."""
    in_clear = ("--loose-group-replication-ssl-mode=DISABLED", "--loose-group-replication-recovery-use-ssl=OFF")
    with group(members=2, options=[*SMALL_SERVER, *in_clear]) as pair:
        first, second = pair.servers
        found = look(first)
        assert states(found, "group-tls", "group-recovery-tls") == [State.CLEAR, State.CLEAR]
        assert "group_replication_recovery_get_public_key=ON" in found["group-recovery-tls"].evidence
        assert found["member"].what == f"group-member 127.0.0.1:{second.server.port}"

        _on(pair.servers, found["group-recovery-tls"], EVERYWHERE)
        _on(pair.servers, found["group-tls"], EVERYWHERE)
        for server in (second, first):
            server.rows("STOP GROUP_REPLICATION")
        _on([first], found["group-tls"], ON_PRIMARY)
        _on([second], found["group-tls"], ON_OTHERS)
        until(lambda: pair.primary is first, "the group is whole", seconds=90)
        online = "SELECT COUNT(*) FROM performance_schema.replication_group_members WHERE MEMBER_STATE = 'ONLINE'"
        until(lambda: first.value(online) == 2, "both members are in the group", seconds=90)
        for server in pair.servers:
            found = look(server)
            assert states(found, "group-tls", "group-recovery-tls") == [State.ENCRYPTED, State.ENCRYPTED]
        with closing(first.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE t_after")
        pair.caught_up(first)


def test_a_clone() -> None:
    """A server that may clone from others, without an authority named, is told; it is closed when it may no more."""
    with start(name="clone", options=[*SMALL_SERVER, "--plugin-load-add=mysql_clone.so"]) as server:
        assert look(server)["clone"].state is State.OK
        server.rows("SET GLOBAL clone_valid_donor_list = '127.0.0.1:3306'")
        found = look(server)["clone"]
        assert found.state is State.BAD
        for statement in found.closes[2:]:
            server.rows(statement)
        assert look(server)["clone"].state is State.OK
