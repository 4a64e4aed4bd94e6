"""How to reach the server, and what is said when that fails. Each test runs the installed command."""

from __future__ import annotations

import os
import pty
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.server.cli.kit import MIGRATOR, Desk
from tests.servers.local import free_port

COMMANDS = ("audit", "plan", "status", "pause", "verify", "cleanup")


def to(desk: Desk, *options: str, password: str | None = None) -> list[str]:
    """Connection options for the desk's account that are not in an option file, but for the password."""
    secret = desk.folder / "secret.cnf"
    secret.touch(mode=0o600)
    secret.write_text(f"[client]\npassword={desk.account.password if password is None else password}\n")
    server = desk.server.server
    return [f"--defaults-file={secret}", "-h", server.host, "-P", str(server.port), "-u", desk.account.user, *options]


@pytest.fixture
def authority(desk: Desk) -> Path:
    """The certificate of the authority that the server made for itself."""
    path = desk.folder / "ca.pem"
    path.write_bytes(desk.server.value("SELECT LOAD_FILE(CONCAT(@@datadir, 'ca.pem'))"))
    return path


# -- unreachable ------------------------------------------------------------------------------------


def test_an_unreachable_server(desk: Desk) -> None:
    """Every command says which address does not answer, and what to check; exit 3, and no plan file is left."""
    port = free_port()
    plan = desk.folder / "plan.yaml"
    for command in COMMANDS:
        extra = ["-o", str(plan)] if command == "plan" else []
        ran = desk.migrator(command, *extra, connection=["--no-defaults", "-h127.0.0.1", f"-P{port}", "-ujoe"])
        assert (ran.code, ran.out) == (3, ""), ran
        ran.says(f"error: cannot connect to 127.0.0.1:{port} as joe", "remedy: ")
    assert not plan.exists()


def test_an_unknown_host(desk: Desk) -> None:
    """A name that no resolver knows is named; exit 3."""
    ran = desk.migrator("audit", connection=["--no-defaults", "--host=nobody.invalid", "--user=joe"])
    assert ran.code == 3
    ran.says("nobody.invalid:3306", "remedy: ")


def test_a_socket_that_is_not_there(desk: Desk) -> None:
    """The socket's path is named; exit 3."""
    ran = desk.migrator("audit", connection=["--no-defaults", f"--socket={desk.folder}/none.sock", "--user=joe"])
    assert ran.code == 3
    ran.says(f"{desk.folder}/none.sock", "remedy: ")


def test_a_wrong_password(desk: Desk) -> None:
    """Exit 3; the account is named, the password is not, and an apply has touched nothing."""
    desk.secrets.append("wr0ng-secret")
    desk.table("t", rows=5)
    plan = desk.plan()
    with desk.untouched():
        for command in (("audit",), ("apply", plan)):
            ran = desk.migrator(*command, connection=to(desk, password="wr0ng-secret"))
            assert ran.code == 3
            ran.says("Access denied for user", desk.account.user, "remedy: ")


def test_a_password_is_asked_for_on_a_terminal_only(desk: Desk) -> None:
    """`-p` without a terminal fails at once with exit 2 and says what to do instead; it never waits."""
    began = time.monotonic()
    ran = desk.migrator("audit", connection=["--no-defaults", "-h127.0.0.1", "-P1", "-ujoe", "-p"])
    assert ran.code == 2
    ran.says("no terminal", "--defaults-extra-file")
    assert time.monotonic() - began < 30


def test_a_password_is_typed_unseen(desk: Desk) -> None:
    """`-p` on a terminal asks, the terminal does not show what is typed, and the command goes on."""
    server = desk.server.server
    where = ["--no-defaults", f"-h{server.host}", f"-P{server.port}", f"-u{desk.account.user}", "-p"]
    terminal, theirs = pty.openpty()
    with subprocess.Popen(
        [MIGRATOR, "status", *where],
        env={key: value for key, value in os.environ.items() if not key.startswith("MYSQL_")},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        said, typed = b"", False
        with suppress(OSError):  # the end of a terminal is an error on Linux
            while more := os.read(terminal, 1024):
                said += more
                if not typed and b"Enter password: " in said:
                    os.write(terminal, desk.account.password.encode() + b"\n")
                    typed = True
        code = process.wait()
    os.close(terminal)
    assert (code, typed) == (0, True), said
    assert desk.account.password.encode() not in said


def test_a_password_on_the_command_line_works_and_is_warned_of(desk: Desk) -> None:
    """-pSECRET and MYSQL_PWD are read, each with a warning, and neither is shown."""
    where = ["--no-defaults", f"-h{desk.server.server.host}", f"-P{desk.server.server.port}", f"-u{desk.account.user}"]
    given = desk.migrator("status", connection=[*where, f"-p{desk.account.password}"])
    assert given.code == 0
    given.says("a password on the command line can be seen")
    inherited = desk.migrator("status", connection=where, MYSQL_PWD=desk.account.password)
    assert inherited.code == 0
    inherited.says("MYSQL_PWD can be read by other processes")


# -- option files -----------------------------------------------------------------------------------


def test_groups_with_a_suffix(desk: Desk) -> None:
    """--defaults-group-suffix reads [client_prod] over [client], and [migrator_prod] over both."""
    server = desk.server.server
    options = desk.folder / "groups.cnf"
    options.touch(mode=0o600)
    options.write_text(
        f"[client]\nhost = {server.host}\nport = 1\nuser = nobody\n"
        f"[client_prod]\nport = {server.port}\npassword = wrong\n"
        f"[migrator_prod]\nuser = {desk.account.user}\npassword = '{desk.account.password}'\n"
    )
    plain = desk.migrator("status", connection=[f"--defaults-file={options}"])
    assert plain.code == 3
    plain.says(f"{server.host}:1")
    suffixed = desk.migrator("status", connection=[f"--defaults-file={options}", "--defaults-group-suffix=_prod"])
    assert suffixed.code == 0, suffixed
    assert desk.migrator("status", connection=[f"--defaults-file={options}"], MYSQL_GROUP_SUFFIX="_prod").code == 0


def test_the_extra_file_counts_before_the_home_file(desk: Desk) -> None:
    """~/.my.cnf is read, and wins over --defaults-extra-file, as in MySQL's own clients."""
    extra = desk.folder / "extra.cnf"
    extra.write_text("[client]\nport = 1\nuser = nobody\n")
    desk.account.option_file(desk.folder / ".my.cnf")
    try:
        assert desk.migrator("status", connection=[f"--defaults-extra-file={extra}"]).code == 0
        assert desk.migrator("status", connection=["--no-defaults", "-h127.0.0.1", "-P1", "-ujoe"]).code == 3
    finally:
        (desk.folder / ".my.cnf").unlink()


def test_a_broken_option_file(desk: Desk) -> None:
    """File and line are named, the line's text is not; exit 2. So is a file that is not there."""
    broken = desk.folder / "broken.cnf"
    broken.write_text("[client]\nuser = joe\n[mi\npassword = hidden-secret\n")
    desk.secrets.append("hidden-secret")
    ran = desk.migrator("audit", connection=[f"--defaults-file={broken}"])
    assert ran.code == 2
    ran.says(f"{broken}:3", "remedy: ")
    none = desk.migrator("audit", connection=[f"--defaults-file={desk.folder}/none.cnf"])
    assert none.code == 2
    none.says(f"{desk.folder}/none.cnf")


# -- TLS --------------------------------------------------------------------------------------------


def test_tls_is_used_where_the_server_has_it(desk: Desk) -> None:
    """An account that must use TLS gets in without any option, and with REQUIRED; DISABLED is refused by the server."""
    desk.server.rows(f"ALTER USER '{desk.account.user}'@'%%' REQUIRE SSL")
    try:
        assert desk.migrator("status").code == 0
        assert desk.migrator("status", connection=to(desk, "--ssl-mode=REQUIRED")).code == 0
        plain = desk.migrator("status", connection=to(desk, "--ssl-mode=DISABLED"))
        assert plain.code == 3
        plain.says("remedy: ")
    finally:
        desk.server.rows(f"ALTER USER '{desk.account.user}'@'%%' REQUIRE NONE")


def test_the_servers_certificate_is_verified(desk: Desk, authority: Path) -> None:
    """VERIFY_CA succeeds with the server's authority; another authority, or a wrong name, is exit 3 and said."""
    assert desk.migrator("status", connection=to(desk, "--ssl-mode=VERIFY_CA", f"--ssl-ca={authority}")).code == 0
    # Without a mode, an authority means VERIFY_CA.
    assert desk.migrator("status", connection=to(desk, f"--ssl-ca={authority}")).code == 0
    other = desk.folder / "other-ca.pem"
    other.write_text(OTHER_AUTHORITY)
    wrong = desk.migrator("status", connection=to(desk, "--ssl-mode=VERIFY_CA", f"--ssl-ca={other}"))
    assert (wrong.code, wrong.out) == (3, "")
    wrong.says("certificate", "remedy: ", "--ssl-")
    # The server's certificate names no host.
    named = desk.migrator("status", connection=to(desk, "--ssl-mode=VERIFY_IDENTITY", f"--ssl-ca={authority}"))
    assert (named.code, named.out) == (3, "")
    named.says("certificate", "remedy: ", "--ssl-")


def test_a_file_for_tls_that_cannot_be_used(desk: Desk) -> None:
    """A missing file and an unknown mode are exit 2 and named; a file that is no certificate is named too."""
    missing = desk.migrator("status", connection=to(desk, "--ssl-ca=/nowhere/ca.pem"))
    assert missing.code == 2
    missing.says("/nowhere/ca.pem", "remedy: ")
    mode = desk.migrator("status", connection=to(desk, "--ssl-mode=SOMETIMES"))
    assert mode.code == 2
    mode.says("VERIFY_IDENTITY")
    rubbish = desk.folder / "rubbish.pem"
    rubbish.write_text("no certificate\n")
    ran = desk.migrator("status", connection=to(desk, f"--ssl-ca={rubbish}"))
    assert ran.code in {2, 3}
    ran.says("remedy: ")


OTHER_AUTHORITY = """\
-----BEGIN CERTIFICATE-----
MIIBOjCB4qADAgECAgEHMAoGCCqGSM49BAMCMBwxGjAYBgNVBAMMEUFub3RoZXIg
YXV0aG9yaXR5MCAXDTI2MDEwMTAwMDAwMFoYDzIxMjYwMTAxMDAwMDAwWjAcMRow
GAYDVQQDDBFBbm90aGVyIGF1dGhvcml0eTBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABOl7TWalPSUouwXwPZfp5LDxk5uOWbljMZCMa/cNtyF9bAebNw5JS+P4+nTL
Rz24uSmS8TnKxUxs9SocfJoIF9CjEzARMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZI
zj0EAwIDRwAwRAIgDUog9jETy9mXu/7p5/zyDny7kVuW2jD7ZaJUnJiOgZoCIBij
NZ4tAwJcyEbtlC80eDrSJukGnKfhjrKdNeWNEgbZ
-----END CERTIFICATE-----
"""
