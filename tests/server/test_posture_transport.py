"""What the audit says of what travels, on servers that are made bad on purpose; and that what it says closes them.

Each test looks, executes the statements that the place itself gives, and looks again.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pymysql
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from migrator.db import Session
from migrator.driver import Connect
from migrator.inventory import read_inventory
from migrator.inventory.posture import read_posture
from migrator.planner.posture import places
from migrator.planner.posture.certificates import FOLDER
from migrator.posture import Place, State
from tests.certificates import Authority, Certificate
from tests.servers import RunningServer, start, until
from tests.servers.local import free_port

SECRET = "0pen-sesame-47"
SMALL = ("--innodb-buffer-pool-size=64M", "--innodb-redo-log-capacity=64M")


def connect_to(server: RunningServer, **changes: Any) -> Connect:
    """As root over TCP, unless told otherwise."""
    to = server.server
    return replace(Connect(host=to.host, port=to.port, user=to.user, password=to.password), **changes)


def look(server: RunningServer, **changes: Any) -> dict[str, Place]:
    """Every place by its code, as root over TCP unless told otherwise; no password is in any of them."""
    with Session(connect_to(server, **changes)) as session:
        inventory = read_inventory(session)
        found = places(inventory, read_posture(session, inventory.server))
    for secret in (SECRET, server.server.password):
        assert secret not in repr(found)
    return {place.code: place for place in found}


def close(server: RunningServer, place: Place, **substitutes: str) -> None:
    """Execute what closes it: statements as root; in paths the folder of the manual is ours."""
    assert place.closes, place
    with closing(server.connect()) as connection, connection.cursor() as cursor:
        for statement in place.closes:
            if statement.split()[0].isupper():
                cursor.execute(statement.replace(FOLDER, substitutes.get("folder", FOLDER)))


def states(found: dict[str, Place], *codes: str) -> list[State]:
    return [found[code].state for code in codes]


@dataclass(frozen=True, slots=True)
class Scene:
    """A server whose certificates change, and an authority."""

    server: RunningServer
    folder: Path
    ours: Authority

    def serve(self, certificate: Certificate, authority: Path | None = None) -> None:
        """Let the server show this certificate."""
        with closing(self.server.connect()) as connection, connection.cursor() as cursor:
            for name, file in (
                ("ca", authority or self.ours.file),
                ("cert", certificate.file),
                ("key", certificate.key),
            ):
                cursor.execute(f"SET GLOBAL ssl_{name} = %s", (str(file),))
            cursor.execute("ALTER INSTANCE RELOAD TLS")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A server of its own: certificates and accounts change."""
    folder = tmp_path_factory.mktemp("posture")
    with start(name="posture", options=SMALL) as server:
        yield Scene(server, folder, Authority(folder, "ours"))


# -- TLS or not ---------------------------------------------------------------------------------------


def test_a_server_as_it_is_installed(scene: Scene) -> None:
    """It offers TLS and asks nobody to use it; its certificate is of its own making, with a key in the data folder."""
    with start(name="posture-new", options=SMALL) as server:
        found = look(server)
        socket = look(server, socket=str(server.server.socket))
    good = ("tls", "tls-versions", "tls-ciphers", "own-connection", "certificate-dates", "certificate-key")
    assert states(found, *good) == [State.ENCRYPTED, State.OK, State.OK, State.ENCRYPTED, State.OK, State.OK]
    bad = ("secure-transport", "certificate-authority", "certificate-names", "tls-key-file")
    assert states(found, *bad) == [State.BAD] * 4
    assert "Auto_Generated" in found["certificate-authority"].evidence
    assert states(found, "certificate-common-name", "certificate-signature") == [State.OK, State.OK]
    unused = ("admin-tls", "x-plugin-tls", "channel-tls", "replicas-tls", "clone")
    assert states(found, *unused) == [State.UNUSED] * 5
    # By the socket our own connection has no TLS; the certificate is seen all the same.
    assert states(socket, "own-connection", "certificate-dates") == [State.UNUSED, State.OK]
    assert socket["certificate-names"] == found["certificate-names"]


def test_without_tls() -> None:
    """No TLS is in clear; the statements bring it without a restart, and connections of before stay in clear."""
    with start(name="posture-plain", options=[*SMALL, "--tls-version="]) as server:
        found = look(server)
        codes = ("tls", "own-connection", "sessions-in-clear", "certificate")
        assert states(found, *codes) == [State.CLEAR, State.CLEAR, State.CLEAR, State.UNUSED]
        assert not found["tls"].restart
        # An account without a right on performance_schema is told the same.
        server.rows("CREATE USER little@'%%' IDENTIFIED WITH sha256_password BY %s", SECRET)
        server.rows("GRANT PROCESS ON *.* TO little@'%%'")
        little = look(server, user="little", password=SECRET, get_server_public_key=True)
        assert states(little, "tls", "certificate") == [State.CLEAR, State.UNUSED]
        with closing(server.connect()) as old:
            close(server, found["tls"])
            found = look(server)
            assert states(found, "tls", "own-connection", "sessions-in-clear") == [
                State.ENCRYPTED,
                State.ENCRYPTED,
                State.CLEAR,
            ]
            assert "root@127.0.0.1 1" in found["sessions-in-clear"].evidence
            old.ping(reconnect=False)
        until(lambda: look(server)["sessions-in-clear"].state is State.ENCRYPTED, "the old connection has ended")
        server.restart()
        assert look(server)["tls"].state is State.ENCRYPTED


def test_sessions_in_clear(scene: Scene) -> None:
    """Each session without TLS is counted, as the server's own status says of each; what it executes is not shown."""
    server = scene.server
    with closing(server.connect(ssl_disabled=True)) as clear, clear.cursor() as cursor:
        cursor.execute("SELECT %s", (SECRET,))
        by_status = server.value(
            "SELECT COUNT(*) FROM performance_schema.status_by_thread JOIN performance_schema.threads USING (THREAD_ID)"
            " WHERE VARIABLE_NAME = 'Ssl_cipher' AND VARIABLE_VALUE = '' AND TYPE = 'FOREGROUND'"
            " AND PROCESSLIST_COMMAND <> 'Daemon'"
        )
        place = look(server)["sessions-in-clear"]
        assert (place.state, by_status) == (State.CLEAR, 1)
        assert "TCP/IP 1," in place.evidence
    until(lambda: look(server)["sessions-in-clear"].state is State.ENCRYPTED, "the session has ended")


def test_tls_is_required(scene: Scene) -> None:
    """One statement, and who comes without TLS gets 3159; then accounts without REQUIRE SSL are no matter."""
    server = scene.server
    server.rows("CREATE USER open@'%%' IDENTIFIED BY %s", SECRET)
    try:
        found = look(server)
        assert states(found, "secure-transport", "accounts-without-tls", "password-exchange") == [State.BAD] * 3
        close(server, found["secure-transport"])
        found = look(server)
        assert states(found, "secure-transport", "accounts-without-tls", "password-exchange") == [State.OK] * 3
        with pytest.raises(pymysql.err.OperationalError, match="3159"):
            server.connect(ssl_disabled=True)
    finally:
        server.rows("SET PERSIST require_secure_transport = OFF")
        server.rows("DROP USER open@'%%'")


def test_ciphers(scene: Scene) -> None:
    """A cipher without forward secrecy is bad; the list that the audit gives is taken by the server, and is good."""
    server = scene.server
    server.rows("SET GLOBAL ssl_cipher = 'AES256-GCM-SHA384'")
    server.rows("ALTER INSTANCE RELOAD TLS")
    found = look(server)
    assert found["tls-ciphers"].state is State.BAD
    assert "ssl_cipher=AES256-GCM-SHA384" in found["tls-ciphers"].evidence
    close(server, found["tls-ciphers"])
    assert look(server)["tls-ciphers"].state is State.OK
    with closing(server.connect()) as connection:
        assert connection._secure  # type: ignore[attr-defined]


def test_other_ways_in() -> None:
    """The administrative interface and the X protocol, with TLS and without."""
    options = [*SMALL, "--admin-address=127.0.0.1", "--mysqlx=ON", "--mysqlx-bind-address=127.0.0.1"]

    def ports() -> list[str]:
        return [f"--admin-port={free_port()}", f"--mysqlx-port={free_port()}"]

    socket = "--mysqlx-socket="
    with start(name="posture-ways", options=[*options, *ports(), socket]) as server:
        found = look(server)
        assert states(found, "admin-tls", "x-plugin-tls") == [State.ENCRYPTED, State.ENCRYPTED]
        assert "the main interface's settings" in found["admin-tls"].evidence
        server.rows("SET GLOBAL admin_ssl_ca = @@ssl_ca")
        server.rows("SET GLOBAL admin_ssl_cert = @@ssl_cert")
        server.rows("SET GLOBAL admin_ssl_key = @@ssl_key")
        server.rows("ALTER INSTANCE RELOAD TLS FOR CHANNEL mysql_admin")
        assert "settings of its own" in look(server)["admin-tls"].evidence
    with start(
        name="posture-ways", options=[*options, *ports(), socket, "--tls-version=", "--admin-tls-version="]
    ) as server:
        found = look(server)
        assert states(found, "admin-tls", "x-plugin-tls") == [State.CLEAR, State.CLEAR]
        close(server, found["tls"])
        assert look(server)["admin-tls"].state is State.ENCRYPTED
        assert found["x-plugin-tls"].restart
        server.restart()
        assert look(server)["x-plugin-tls"].state is State.ENCRYPTED


# -- accounts -----------------------------------------------------------------------------------------


def test_accounts(scene: Scene) -> None:
    """Those that can come from other hosts without TLS are told, with the statement for each; others are not."""
    server = scene.server
    nasty = r"o''brien\\%%"
    users = {
        "open@'%%'": "",
        f"'{nasty}'@'10.%%'": "",
        "strict@'%%'": "REQUIRE SSL",
        "certified@'%%'": "REQUIRE X509",
        "locked@'%%'": "ACCOUNT LOCK",
        "here@localhost": "",
        "also_here@'127.0.0.1'": "",
    }
    for user, how in users.items():
        server.rows(f"CREATE USER {user} IDENTIFIED BY %s {how}", SECRET)
    try:
        found = look(server)["accounts-without-tls"]
        assert found.state is State.BAD
        assert found.closes == (
            r"ALTER USER 'o''brien\\%'@'10.%' REQUIRE SSL",
            "ALTER USER 'open'@'%' REQUIRE SSL",
        )
        assert "2 of" in found.evidence
        assert "strict" not in found.evidence
        with closing(server.connect(user="open", password=SECRET, ssl_disabled=True)):
            marked = look(server)["accounts-without-tls"].closes[1]
            assert marked == "ALTER USER 'open'@'%' REQUIRE SSL  -- 1 session of this name in clear now"
        for statement in found.closes:
            server.rows(statement.replace("%", "%%"))
        assert look(server)["accounts-without-tls"].state is State.OK
        with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
            server.connect(user="open", password=SECRET, ssl_disabled=True)
    finally:
        for user in users:
            server.rows(f"DROP USER {user}")


def test_bad_accounts(scene: Scene) -> None:
    """No name, no password, an old way to log in: each is told, and closed by its statement."""
    server = scene.server
    server.rows("CREATE USER ''@'%%' IDENTIFIED BY %s REQUIRE SSL", SECRET)
    server.rows("CREATE USER nopass@'%%' REQUIRE SSL")
    server.rows("CREATE USER by_certificate@'%%' REQUIRE X509")
    server.rows("CREATE USER old@'%%' IDENTIFIED WITH sha256_password BY %s REQUIRE SSL", SECRET)
    try:
        found = look(server)
        codes = ("anonymous-accounts", "empty-passwords", "old-authentication")
        assert states(found, *codes) == [State.BAD] * 3
        assert found["empty-passwords"].evidence == "1: nopass@%"
        for code in codes:
            for statement in found[code].closes:
                server.rows(statement.replace("%", "%%").replace("'...'", f"'{SECRET}'"))
        assert states(look(server), *codes) == [State.OK] * 3
        assert not server.rows("SELECT 1 FROM mysql.user WHERE User = ''")
    finally:
        for user in ("''@'%%'", "nopass@'%%'", "by_certificate@'%%'", "old@'%%'"):
            server.rows(f"DROP USER IF EXISTS {user}")


def test_an_account_without_rights(scene: Scene) -> None:
    """What it may not read is unknown, with the GRANT; with exactly that it is known, but for passwords."""
    server = scene.server
    server.rows("CREATE USER little@'%%' IDENTIFIED BY %s REQUIRE SSL", SECRET)
    server.rows("GRANT PROCESS ON *.* TO little@'%%'")
    who = {"user": "little", "password": SECRET}
    try:
        found = look(server, **who)
        codes = ["accounts-without-tls", "old-authentication", "anonymous-accounts", "password-exchange"]
        others = ["sessions-in-clear", "replicas-tls", "channel-tls"]
        assert states(found, *codes, *others) == [State.UNKNOWN] * 7
        assert states(found, "tls-versions", "tls-ciphers") == [State.OK, State.OK]
        assert states(found, "tls", "certificate-dates", "own-connection") == [
            State.ENCRYPTED,
            State.OK,
            State.ENCRYPTED,
        ]
        for code in (codes[0], others[0]):
            server.rows(found[code].closes[0].replace("%", "%%"))
        found = look(server, **who)
        assert State.UNKNOWN not in states(found, *codes, *others)
        assert found["empty-passwords"].state is State.UNKNOWN
        with (
            closing(server.connect(**who)) as connection,
            connection.cursor() as cursor,
            pytest.raises(pymysql.err.OperationalError, match="1143"),
        ):
            cursor.execute("SELECT authentication_string FROM mysql.user")
    finally:
        server.rows("DROP USER little@'%%'")


# -- certificates -------------------------------------------------------------------------------------


def test_a_good_certificate(scene: Scene) -> None:
    """Of our authority, with a name, in a folder of its own: every place of it is closed."""
    scene.serve(scene.ours.certificate("good", ["localhost"], valid_for=timedelta(days=40)))
    found = look(scene.server)
    codes = ("dates", "authority", "common-name", "key", "signature", "names")
    assert states(found, *(f"certificate-{code}" for code in codes)) == [State.OK] * 6
    assert found["tls-key-file"].state is State.OK
    assert found["certificate-key"].evidence == "EC 256 bits"


def test_the_end_of_a_certificate(scene: Scene) -> None:
    """Near, it is told; passed, too: the server goes on showing it."""
    scene.serve(scene.ours.certificate("near", ["localhost"], valid_for=timedelta(days=29)))
    place = look(scene.server)["certificate-dates"]
    assert place.state is State.BAD
    assert "28 days left" in place.evidence
    scene.serve(scene.ours.certificate("short-lived", ["localhost"], valid_for=timedelta(seconds=3)))

    def ended() -> bool:
        return look(scene.server)["certificate-dates"].evidence.startswith("ended ")

    until(ended, "the certificate has ended")
    assert look(scene.server)["certificate-dates"].state is State.BAD


def test_the_common_name_of_the_authority(scene: Scene) -> None:
    """With that authority in ssl_ca MySQL refuses the certificate; where it has another one there, the audit tells."""
    same = scene.ours.certificate("same", ["localhost"], common_name="authority ours")
    with pytest.raises(pymysql.err.Error) as refused:
        scene.serve(same)
    assert refused.value.args[0] == 3888
    other = Authority(scene.folder, "other")
    scene.serve(same, other.file)
    found = look(scene.server)
    assert states(found, "certificate-common-name", "certificate-authority") == [State.BAD, State.OK]
    assert "3888" in found["certificate-common-name"].risk


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl program")
def test_a_weak_signature_and_no_names(scene: Scene, tmp_path: Path) -> None:
    """SHA-1 is told, and a certificate in which no host stands."""
    for command in (
        "req -newkey rsa:2048 -nodes -x509 -days 30 -keyout ca-key.pem -out ca.pem -subj /CN=authority",
        "req -newkey rsa:2048 -nodes -keyout key.pem -out req.pem -subj /CN=server",
        "x509 -req -in req.pem -CA ca.pem -CAkey ca-key.pem -set_serial 7 -sha1 -days 30 -out cert.pem",
    ):
        subprocess.run(["openssl", *command.split()], cwd=tmp_path, check=True, capture_output=True)
    scene.serve(Certificate(tmp_path / "cert.pem", tmp_path / "key.pem", 7), tmp_path / "ca.pem")
    found = look(scene.server)
    assert states(found, "certificate-signature", "certificate-names") == [State.BAD, State.BAD]
    assert found["certificate-signature"].evidence == "sha1"


def test_a_short_key(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """1024 bits are told, where OpenSSL has been told to take them."""
    settings = tmp_path / "openssl.cnf"
    settings.write_text(
        "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nCipherString = DEFAULT@SECLEVEL=0\n"
    )
    monkeypatch.setenv("OPENSSL_CONF", str(settings))
    weak = scene.ours.certificate("weak", ["localhost"], key=rsa.generate_private_key(65537, 1024))  # noqa: S505 on purpose
    with start(name="posture-weak", options=SMALL) as server:
        Scene(server, tmp_path, scene.ours).serve(weak)
        place = look(server)["certificate-key"]
    assert (place.state, place.evidence) == (State.BAD, "RSA 1024 bits")


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl program")
def test_a_new_certificate(scene: Scene, tmp_path: Path) -> None:
    """The procedure that the audit gives, command by command: afterwards certificate and key are closed, no restart."""
    with start(name="posture-renew", options=SMALL) as server:
        found = look(server)
        codes = ("certificate-authority", "certificate-names", "tls-key-file")
        assert states(found, *codes) == [State.BAD] * 3
        authority = (
            "openssl req -newkey rsa:2048 -nodes -x509 -days 30 -keyout ca-key.pem -out ca.pem -subj /CN=authority"
        )
        commands = [each for each in found["certificate-authority"].closes if each.startswith("openssl ")]
        assert len(commands) == 2
        for command in (authority, *commands):
            subprocess.run(command, cwd=tmp_path, shell=True, check=True, capture_output=True)  # noqa: S602 as a person would
        close(server, found["certificate-authority"], folder=str(tmp_path))
        found = look(server)
        assert states(found, *codes) == [State.OK] * 3
        assert states(found, "certificate-dates", "certificate-common-name") == [State.OK, State.OK]
        checked = look(server, ssl_mode="VERIFY_CA", ssl_ca=str(tmp_path / "ca.pem"))
        assert checked["own-connection"].state is State.ENCRYPTED
