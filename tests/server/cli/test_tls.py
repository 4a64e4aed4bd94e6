"""How the way to the server is guarded: what each --ssl-mode accepts, against certificates and against attackers.

Each test runs the installed command, but where what a single connection sends is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from migrator.db import Session
from migrator.driver import Connect
from migrator.errors import ServerUnreachable
from tests.certificates import Authority, Certificate
from tests.impostor import Impostor
from tests.proxy import Proxy
from tests.server.cli.held import Ran
from tests.server.cli.kit import desk_on, run_to_end
from tests.servers import RunningServer, least_privileged, start

MODES = ("DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")
SECRET = "0pen-sesame-31"


@dataclass(frozen=True, slots=True)
class Scene:
    """A server, and the authorities of a company."""

    server: RunningServer
    folder: Path
    ours: Authority
    other: Authority

    def serve(self, certificate: Certificate, authority: Authority) -> None:
        """Let the server show this certificate, and trust clients of this authority."""
        with closing(self.server.connect()) as connection, connection.cursor() as cursor:
            for variable, file in (("ca", authority.file), ("cert", certificate.file), ("key", certificate.key)):
                cursor.execute(f"SET GLOBAL ssl_{variable} = %s", (str(file),))
            cursor.execute("ALTER INSTANCE RELOAD TLS")

    def status(
        self, *options: object, host: str = "127.0.0.1", port: int | None = None, user: str = "root", **env: str
    ) -> Ran:
        """`migrator status` as root, or as a user of `SECRET`."""
        secret = self.folder / f"{user}.cnf"
        secret.touch(mode=0o600)
        secret.write_text(f"[client]\npassword={self.server.server.password if user == 'root' else SECRET}\n")
        words = [f"--defaults-file={secret}", "-h", host, "-P", port or self.server.server.port, "-u", user, *options]
        ran = run_to_end("status", *words, home=self.folder, **env)
        for password in (SECRET, self.server.server.password):
            assert password not in ran.out + ran.err
        assert "Traceback" not in ran.err
        return ran


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A server of its own: its certificates change."""
    folder = tmp_path_factory.mktemp("tls")
    with start(name="tls") as server:
        yield Scene(server, folder, Authority(folder, "ours"), Authority(folder, "other"))


@pytest.fixture(scope="module")
def plain() -> Iterator[RunningServer]:
    """A server that has no TLS."""
    with start(name="plain", options=["--tls-version="]) as server:
        assert server.value("SHOW STATUS LIKE 'Ssl_version'") == "Ssl_version"
        yield server


def refused(ran: Ran, *words: str) -> None:
    """Exit code 3, nothing on stdout, the words and a remedy on stderr."""
    assert (ran.code, ran.out) == (3, ""), ran
    ran.says(*words, "remedy: ")


# -- certificates -----------------------------------------------------------------------------


def test_the_servers_own_certificates(scene: Scene) -> None:
    """What the server made for itself passes each mode but VERIFY_IDENTITY: no host stands in it."""
    with start(name="tls-own") as server:
        assert server.server.datadir
        options = [f"--ssl-ca={server.server.datadir / 'ca.pem'}"]
        scene_there = Scene(server, scene.folder, scene.ours, scene.other)
        for mode in ("REQUIRED", "VERIFY_CA"):
            assert scene_there.status(f"--ssl-mode={mode}", *options).code == 0
        refused(scene_there.status("--ssl-mode=VERIFY_IDENTITY", *options), "VERIFY_CA")


@pytest.mark.parametrize("mode", ["VERIFY_CA", "VERIFY_IDENTITY"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_right_certificate(scene: Scene, mode: str, host: str) -> None:
    """A certificate of our authority with the name or the address that we connect to passes, whichever TLS it is."""
    scene.serve(scene.ours.certificate("both", ["localhost", "127.0.0.1"]), scene.ours)
    ran = scene.status(f"--ssl-mode={mode}", f"--ssl-ca={scene.ours.file}", host=host)
    assert (ran.code, ran.err) == (0, "")


@pytest.mark.parametrize("mode", ["VERIFY_CA", "VERIFY_IDENTITY"])
def test_another_authority(scene: Scene, mode: str) -> None:
    """A certificate that somebody else signed is refused, though the names in it are right."""
    scene.serve(scene.other.certificate("both", ["localhost", "127.0.0.1"]), scene.other)
    refused(scene.status(f"--ssl-mode={mode}", f"--ssl-ca={scene.ours.file}"), "CERTIFICATE_VERIFY_FAILED", "--ssl-ca")
    # Without --ssl-ca those of the system are trusted, and they know neither.
    refused(scene.status(f"--ssl-mode={mode}"), "CERTIFICATE_VERIFY_FAILED")


@pytest.mark.parametrize("mode", ["VERIFY_CA", "VERIFY_IDENTITY"])
def test_an_expired_certificate(scene: Scene, mode: str) -> None:
    """It is refused, and the remedy is to renew it. (MySQL takes none like that, but its certificate grows old.)"""
    old = scene.ours.certificate("old", ["127.0.0.1"], expired=True)
    with Impostor(asks_for="caching_sha2_password", tls=old) as there:
        ran = scene.status(f"--ssl-mode={mode}", f"--ssl-ca={scene.ours.file}", port=there.port)
    refused(ran, "expired", "renew", "RELOAD TLS")
    assert there.password is None


def test_a_certificate_of_another_host(scene: Scene) -> None:
    """VERIFY_IDENTITY refuses another name and another address; VERIFY_CA looks at neither."""
    for name in ("db2.example", "127.0.0.2"):
        scene.serve(scene.ours.certificate("another", [name]), scene.ours)
        for host in ("127.0.0.1", "localhost"):
            ran = scene.status("--ssl-mode=VERIFY_IDENTITY", f"--ssl-ca={scene.ours.file}", host=host)
            refused(ran, "remedy: connect to a name that the server's certificate has", host)
        assert scene.status("--ssl-mode=VERIFY_CA", f"--ssl-ca={scene.ours.file}").code == 0


def test_a_revoked_certificate(scene: Scene) -> None:
    """--ssl-crl refuses what is in the list, and lets the others pass."""
    good, bad = (scene.ours.certificate(name, ["127.0.0.1"]) for name in ("good", "bad"))
    options = ["--ssl-mode=VERIFY_CA", f"--ssl-ca={scene.ours.file}", f"--ssl-crl={scene.ours.revoked(bad)}"]
    scene.serve(good, scene.ours)
    assert scene.status(*options).code == 0
    scene.serve(bad, scene.ours)
    refused(scene.status(*options), "revoked")


def test_certificates_of_clients(scene: Scene) -> None:
    """An account that must have a certificate gets in with one that the server trusts, and with no other."""
    scene.serve(scene.ours.certificate("server", ["127.0.0.1"]), scene.ours)
    scene.server.rows("CREATE USER x@'%%' IDENTIFIED BY %s REQUIRE X509", SECRET)
    scene.server.rows("GRANT SELECT ON *.* TO x@'%%'")
    mine, theirs = (authority.certificate("client") for authority in (scene.ours, scene.other))
    for options in (["--ssl-mode=REQUIRED"], ["--ssl-mode=VERIFY_CA", f"--ssl-ca={scene.ours.file}"], []):
        ran = scene.status(*options, f"--ssl-cert={mine.file}", f"--ssl-key={mine.key}", user="x")
        assert ran.code == 0, ran
    refused(scene.status(user="x"), "Access denied")
    refused(scene.status(f"--ssl-cert={theirs.file}", f"--ssl-key={theirs.key}", user="x"))
    refused(scene.status(f"--ssl-cert={mine.file}", f"--ssl-key={theirs.key}", user="x"), "KEY_VALUES_MISMATCH")


def test_a_key_with_a_passphrase_is_not_asked_for(scene: Scene) -> None:
    """OpenSSL would ask on the terminal; we say at once what to do."""
    locked = scene.ours.certificate("locked", passphrase="hush")
    refused(scene.status(f"--ssl-cert={locked.file}", f"--ssl-key={locked.key}"), "has a passphrase", "openssl pkey")


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_versions_of_tls(scene: Scene, version: str) -> None:
    """Both versions that are safe today are spoken."""
    scene.serve(scene.ours.certificate("server", ["127.0.0.1"]), scene.ours)
    scene.server.rows("SET GLOBAL tls_version = %s", version)
    try:
        scene.server.rows("ALTER INSTANCE RELOAD TLS")
        to = Connect(
            host="127.0.0.1",
            port=scene.server.server.port,
            user="root",
            password=scene.server.server.password,
            ssl_mode="VERIFY_IDENTITY",
            ssl_ca=str(scene.ours.file),
        )
        with Session(to) as session:
            assert session.rows("SHOW SESSION STATUS LIKE 'Ssl_version'") == [("Ssl_version", version)]
    finally:
        scene.server.rows("SET GLOBAL tls_version = 'TLSv1.2,TLSv1.3'")
        scene.server.rows("ALTER INSTANCE RELOAD TLS")


@pytest.mark.parametrize("mode", ["REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"])
def test_no_keys_of_connections_are_written(scene: Scene, mode: str) -> None:
    """SSLKEYLOGFILE, by which others could read along, is not obeyed."""
    scene.serve(scene.ours.certificate("server", ["127.0.0.1"]), scene.ours)
    keys = scene.folder / "keys.log"
    ran = scene.status(f"--ssl-mode={mode}", f"--ssl-ca={scene.ours.file}", SSLKEYLOGFILE=str(keys))
    assert ran.code == 0
    assert not keys.exists()


# -- servers without TLS, and who takes it away ---------------------------------------------------


def test_a_server_without_tls(scene: Scene, plain: RunningServer) -> None:
    """Every mode that asks for TLS refuses it; PREFERRED goes on and says so in one line; DISABLED says nothing."""
    there = Scene(plain, scene.folder, scene.ours, scene.other)
    there.status("--ssl-mode=DISABLED", "--get-server-public-key")  # from now on the server has it in its cache
    for mode in ("REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"):
        refused(there.status(f"--ssl-mode={mode}", f"--ssl-ca={scene.ours.file}"), "offers no TLS", mode)
    preferred = there.status()
    assert preferred.code == 0, preferred
    assert preferred.err.count("\n") == 1
    preferred.says("warning: ", "offers no TLS", "--ssl-mode=REQUIRED", "--ssl-mode=DISABLED")
    disabled = there.status("--ssl-mode=DISABLED")
    assert (disabled.code, disabled.err) == (0, "")


def test_who_takes_tls_away(scene: Scene) -> None:
    """Somebody between who lets the server look as if it had no TLS is refused like one; PREFERRED names the danger."""
    scene.serve(scene.ours.certificate("server", ["127.0.0.1"]), scene.ours)
    assert scene.status().code == 0
    with Proxy(scene.server.server.host, scene.server.server.port) as proxy:
        assert scene.status("--ssl-mode=REQUIRED", port=proxy.port).code == 0
        proxy.without_tls = True
        for mode in ("REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"):
            ran = scene.status(f"--ssl-mode={mode}", f"--ssl-ca={scene.ours.file}", port=proxy.port)
            refused(ran, "or somebody between takes it away")
        scene.status(port=proxy.port).says("offers no TLS")


def test_a_session_that_was_encrypted_stays_so(scene: Scene, plain: RunningServer) -> None:
    """With PREFERRED too: a link that is lost is not mended in clear, and no other server is asked in clear.

    Nor is one asked in clear from a session on a socket, which needs no TLS itself.
    """
    to = scene.server.server
    assert to.socket
    with Session(Connect(socket=str(to.socket), user="root", password=to.password)) as local:
        assert not local.in_clear
        with pytest.raises(ServerUnreachable, match="SSL is required"):
            local.elsewhere(plain.server.host, plain.server.port, server_uuid="")
    with Proxy(to.host, to.port) as proxy:
        account = Connect(host=proxy.host, port=proxy.port, user="root", password=to.password, ssl_mode="PREFERRED")
        with Session(account, patience_seconds=0.0) as session:
            assert not session.in_clear
            proxy.without_tls = True
            proxy.cut_all()
            with pytest.raises(ServerUnreachable, match="SSL is required"):
                session.reconnect()
            with pytest.raises(ServerUnreachable, match="SSL is required"):
                session.another("other")
            with pytest.raises(ServerUnreachable, match="SSL is required"):
                session.elsewhere(plain.server.host, plain.server.port, server_uuid="")


# -- who answers in the server's place ------------------------------------------------------------

WAYS = ("mysql_clear_password", "dialog", "sha256_password", "caching_sha2_password")


def attempt(impostor: Impostor, mode: str, **more: Any) -> ServerUnreachable:
    """Connect to the impostor; how that ended."""
    to = Connect(host=impostor.host, port=impostor.port, user="joe", password=SECRET, ssl_mode=mode)
    try:
        Session(replace(to, **more))
    except ServerUnreachable as error:
        return error
    raise AssertionError("an impostor is no server")


@pytest.mark.parametrize("mode", ["DISABLED", "PREFERRED"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("first", ["caching_sha2_password", "sha256_password", "mysql_native_password"])
def test_nobody_is_told_the_password_in_clear(mode: str, way: str, first: str) -> None:
    """However it is asked for, without TLS neither the password nor anything that it can be computed from is sent."""
    with Impostor(asks_for=way, first=first) as impostor:
        error = attempt(impostor, mode)
    assert impostor.password is None
    assert impostor.heard
    assert SECRET.encode() not in impostor.heard
    assert "--ssl-mode=" in error.remedy
    assert SECRET not in error.message + error.remedy


@pytest.mark.parametrize("way", ["sha256_password", "caching_sha2_password"])
@pytest.mark.parametrize("first", ["caching_sha2_password", "sha256_password"])
def test_an_impostor_gets_the_password_of_who_trusts_its_key(way: str, first: str) -> None:
    """--get-server-public-key is what its help says: this test shows that the impostor of the others can do it."""
    with Impostor(asks_for=way, first=first) as impostor:
        attempt(impostor, "DISABLED", get_server_public_key=True)
    assert impostor.password == SECRET


def test_the_public_key_of_a_file_counts_and_not_that_of_an_impostor(scene: Scene, tmp_path: Path) -> None:
    """--server-public-key-path lets the real server in, without TLS; an impostor cannot read what is sent."""
    assert scene.server.server.datadir
    key = scene.server.server.datadir / "public_key.pem"
    for way in ("sha256_password", "caching_sha2_password"):
        with Impostor(asks_for=way) as impostor:
            attempt(impostor, "DISABLED", server_public_key_path=str(key))
        assert impostor.password is None
    scene.server.rows("CREATE USER keyed@'%%' IDENTIFIED BY %s", SECRET)
    scene.server.rows("GRANT SELECT ON *.* TO keyed@'%%'")
    refused(scene.status("--ssl-mode=DISABLED", user="keyed"), "not encrypted", "--server-public-key-path")
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("no key\n")
    ran = scene.status("--ssl-mode=DISABLED", f"--server-public-key-path={rubbish}", user="keyed")
    refused(ran, f"{rubbish} is not its public key")
    assert scene.status("--ssl-mode=DISABLED", f"--server-public-key-path={key}", user="keyed").code == 0
    # Now the server has it in its cache, and no more than a scrambled one is sent.
    assert scene.status("--ssl-mode=DISABLED", user="keyed").code == 0


@pytest.mark.parametrize("way", ["mysql_clear_password", "dialog"])
def test_the_password_itself_is_for_a_server_that_is_verified(scene: Scene, way: str) -> None:
    """With a certificate that nobody checked, it is refused; with one of our authority, it is sent."""
    certificate = scene.ours.certificate("server", ["127.0.0.1"])
    with Impostor(asks_for=way, tls=certificate) as impostor:
        for mode in ("PREFERRED", "REQUIRED"):
            error = attempt(impostor, mode)
            assert "VERIFY_IDENTITY" in error.remedy
    assert impostor.password is None
    assert SECRET.encode() not in impostor.heard
    if way == "mysql_clear_password":
        with Impostor(asks_for=way, tls=certificate) as verified:
            attempt(verified, "VERIFY_IDENTITY", ssl_ca=str(scene.ours.file))
        assert verified.password == SECRET


@pytest.mark.parametrize("mode", ["REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"])
def test_nothing_is_sent_before_tls_is_up(scene: Scene, mode: str) -> None:
    """The user's name is not in clear either, and a server with a wrong certificate does not get to know it."""
    with Impostor(asks_for="caching_sha2_password") as without:
        attempt(without, mode, ssl_ca=str(scene.ours.file))
    assert without.heard == b""
    with Impostor(asks_for="caching_sha2_password", tls=scene.other.certificate("server")) as wrong:
        attempt(wrong, mode, ssl_ca=str(scene.ours.file))
    assert (b"joe" in wrong.heard) is (mode == "REQUIRED")


# -- a whole run ----------------------------------------------------------------------------------


def test_every_connection_of_a_run_is_as_the_first(scene: Scene, tmp_path: Path) -> None:
    """plan, dry-run, apply with workers, status, verify and cleanup, for an account that must have a certificate."""
    scene.serve(scene.ours.certificate("server", ["127.0.0.1"]), scene.ours)
    client = scene.ours.certificate("client")
    schema = "t_tls"
    with (
        least_privileged(scene.server) as account,
        desk_on(scene.server, account, schema, tmp_path / "desk") as desk,
    ):
        scene.server.rows(f"CREATE DATABASE {schema}")
        scene.server.rows(f"ALTER USER '{account.user}'@'%%' REQUIRE X509")
        desk.table("t")
        settings = f"ssl-mode=VERIFY_IDENTITY\nssl-ca={scene.ours.file}\nssl-cert={client.file}\nssl-key={client.key}\n"
        desk.options.write_text(desk.options.read_text() + settings)
        plan = desk.plan("--direct-below=0")
        for command in (("dry-run", plan), ("apply", plan), ("status",), ("verify",), ("cleanup",)):
            ran = desk.migrator(*command)
            assert ran.code in {0, 1}, ran
        desk.assert_done()
