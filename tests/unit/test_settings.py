"""The connection is settled as MySQL's clients settle it, and no password gets out."""

from __future__ import annotations

import os
import pwd
import socket as sockets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from migrator.errors import UsageError
from migrator.settings import Given, Settled, Surroundings, settle

SECRET = "open%sesame'\"#"


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    """A machine without any settings."""
    return Surroundings(environment={}, home=tmp_path, system_files=(), sockets=())


@pytest.fixture
def server_socket() -> Iterator[Path]:
    """A socket of the machine, where servers put theirs (a short path: sockets allow 107 bytes)."""
    with TemporaryDirectory(prefix="sock") as folder:
        path = Path(folder) / "mysqld.sock"
        with sockets.socket(sockets.AF_UNIX) as listening:
            listening.bind(str(path))
            yield path


def write(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    return file


def test_nothing_said_means_localhost_and_the_login_name(around: Surroundings) -> None:
    """Without settings: TCP to localhost where no socket is known, as the user of the operating system."""
    connect = settle(Given(), around).connect
    assert (connect.host, connect.port, connect.socket) == ("localhost", 3306, None)
    assert connect.user == pwd.getpwuid(os.geteuid()).pw_name
    assert (connect.password, connect.ssl_mode, connect.timeout_seconds) == ("", "PREFERRED", 10)


def test_the_command_line_beats_the_files_and_they_beat_the_environment(around: Surroundings) -> None:
    """MySQL's order; among files the later line wins, in [client] and [migrator] alike."""
    write(around.home / ".my.cnf", "[client]\nuser=file\nhost=file\nport=1\n[migrator]\nport=2\n")
    around = replace(around, environment={"MYSQL_HOST": "env", "MYSQL_TCP_PORT": "9", "MYSQL_PWD": "env"})
    connect = settle(Given(user="line"), around).connect
    assert (connect.user, connect.host, connect.port, connect.password) == ("line", "file", 2, "env")


def test_every_option_is_read_from_a_file(around: Surroundings) -> None:
    """All connection options that MySQL's clients know and we take, with underscores too."""
    for name in ("ca", "cert", "key"):
        write(around.home / name, "")
    text = f"""[client]
host = db1
port = 3307
user = joe
password = "{SECRET.replace('"', chr(92) + '"')}"
ssl_mode = verify_identity
ssl-ca = {around.home}/ca
ssl_cert = {around.home}/cert
ssl-key = {around.home}/key
connect_timeout = 3
default-character-set = utf8mb4
"""
    connect = settle(Given(defaults_file=write(around.home / "x.cnf", text)), around).connect
    assert (connect.host, connect.port, connect.user, connect.password) == ("db1", 3307, "joe", SECRET)
    assert (connect.ssl_mode, connect.timeout_seconds) == ("VERIFY_IDENTITY", 3)
    assert [connect.ssl_ca, connect.ssl_cert, connect.ssl_key] == [f"{around.home}/{n}" for n in ("ca", "cert", "key")]


@pytest.mark.parametrize("by_environment", [False, True])
def test_a_group_suffix_reads_the_groups_with_it_too(around: Surroundings, *, by_environment: bool) -> None:
    """--defaults-group-suffix=_prod reads [client], [client_prod], [migrator] and [migrator_prod]."""
    write(around.home / ".my.cnf", "[client]\nuser=a\nhost=a\n[client_prod]\nhost=b\n[client_test]\nhost=c\n")
    if by_environment:
        around = replace(around, environment={"MYSQL_GROUP_SUFFIX": "_prod"})
    connect = settle(Given(defaults_group_suffix=None if by_environment else "_prod"), around).connect
    assert (connect.user, connect.host) == ("a", "b")


def test_no_defaults_reads_no_file(around: Surroundings) -> None:
    """--no-defaults leaves the environment only."""
    write(around.home / ".my.cnf", "[client]\nhost=file\n")
    around = replace(around, environment={"MYSQL_HOST": "env"})
    assert settle(Given(no_defaults=True), around).connect.host == "env"


# -- socket or TCP ----------------------------------------------------------------------------

HERE = "/run/some.sock"


@pytest.mark.parametrize(
    ("file", "given", "expected"),
    [
        ("", Given(socket=HERE), HERE),
        ("", Given(host="localhost", socket=HERE), HERE),
        ("", Given(port=3307, socket=HERE), HERE),
        ("", Given(port=3307), None),
        ("", Given(host="127.0.0.1"), None),
        (f"socket={HERE}", Given(), HERE),
        (f"socket={HERE}\nport=3306", Given(), HERE),
        (f"socket={HERE}\nport=3306", Given(host="localhost"), HERE),
        (f"socket={HERE}", Given(port=3307), None),
        (f"socket={HERE}", Given(host="db1"), None),
        (f"socket={HERE}\nhost=db1", Given(), None),
        ("host=db1", Given(socket=HERE), HERE),
        (f"socket={HERE}\nprotocol=tcp", Given(), None),
        ("protocol=TCP", Given(), None),
        ("protocol=TCP", Given(socket=HERE), HERE),
        ("port=3306", Given(), None),
        ("port=3306\nprotocol=SOCKET", Given(), "known"),
        ("port=3306\nprotocol=SOCKET", Given(port=3307), None),
        ("", Given(), "known"),
        ("", Given(host="localhost"), "known"),
        ("", Given(host="db1"), None),
    ],
)
def test_socket_or_tcp(
    around: Surroundings, server_socket: Path, file: str, given: Given, expected: str | None
) -> None:
    """The socket for localhost without a port of its own, TCP for all else; what is nearer to the user counts more."""
    write(around.home / ".my.cnf", f"[client]\n{file}\n")
    around = replace(around, sockets=(Path("/nowhere/mysqld.sock"), server_socket))
    assert settle(given, around).connect.socket == (str(server_socket) if expected == "known" else expected)


def test_a_port_in_the_environment_means_tcp(around: Surroundings, server_socket: Path) -> None:
    """MYSQL_TCP_PORT alone is a port; MYSQL_UNIX_PORT beside it wins for localhost."""
    around = replace(around, sockets=(server_socket,), environment={"MYSQL_TCP_PORT": "3307"})
    assert settle(Given(), around).connect.socket is None
    around = replace(around, environment={"MYSQL_TCP_PORT": "3307", "MYSQL_UNIX_PORT": HERE})
    assert settle(Given(), around).connect.socket == HERE


def test_a_plain_file_is_no_socket(around: Surroundings) -> None:
    """Only what is a socket is taken for the server's."""
    plain = write(around.home / "mysqld.sock", "")
    assert settle(Given(), replace(around, sockets=(plain,))).connect.socket is None


# -- the password -----------------------------------------------------------------------------


def test_p_alone_asks_once(around: Surroundings) -> None:
    """`-p` beats the files' password, and asks."""
    asked: list[int] = []

    def ask() -> str:
        asked.append(1)
        return SECRET

    write(around.home / ".my.cnf", "[client]\npassword=file\n")
    assert settle(Given(ask_password=True), replace(around, ask=ask)).connect.password == SECRET
    assert asked == [1]


def test_a_password_without_value_in_a_file_asks(around: Surroundings) -> None:
    """A bare `password` line means what -p means."""
    write(around.home / ".my.cnf", "[client]\npassword\n")
    assert settle(Given(), replace(around, ask=lambda: SECRET)).connect.password == SECRET


def test_nobody_is_asked_without_a_terminal(around: Surroundings) -> None:
    """Without a terminal `-p` is an error that says what to do, at once."""
    with pytest.raises(UsageError, match="no terminal") as caught:
        settle(Given(ask_password=True), around)
    assert "--defaults-extra-file" in caught.value.remedy


def test_a_password_on_the_command_line_is_taken_with_a_warning(around: Surroundings) -> None:
    """As MySQL's clients: accepted, warned about; an empty one too, which beats the files'."""
    write(around.home / ".my.cnf", "[client]\npassword=file\n")
    settled = settle(Given(password=SECRET), around)
    assert settled.connect.password == SECRET
    assert "can be seen by others" in settled.warnings[0]
    assert settle(Given(password=""), around).connect.password == ""


def test_a_password_in_the_environment_is_discouraged_where_it_is_used(around: Surroundings) -> None:
    """MYSQL_PWD is named, in the environment or taken out of it; beaten by another password it is not spoken of."""
    seen = settle(Given(), replace(around, environment={"MYSQL_PWD": SECRET}))
    taken = settle(Given(inherited_password=SECRET), around)
    for settled in (seen, taken):
        assert settled.connect.password == SECRET
        assert [warning.split(" ")[0] for warning in settled.warnings] == ["MYSQL_PWD"]
    write(around.home / ".my.cnf", "[client]\npassword=x\n")
    assert settle(Given(inherited_password=SECRET), around).warnings == ()


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)])
def test_a_file_with_a_password_that_others_may_read_is_warned_of(
    around: Surroundings, mode: int, *, warned: bool
) -> None:
    """It is used, as MySQL's clients do, and the warning has the chmod; without a password there is none to give."""
    file = write(around.home / ".my.cnf", "[client]\npassword=x\n")
    file.chmod(mode)
    settled = settle(Given(), around)
    assert settled.connect.password == "x"
    said = (f"{file} has a password, and others may read it (chmod 600 {file})",) if warned else ()
    assert settled.warnings == said
    for text in (
        "[client]\nuser=x\n",
        "[client]\npassword=\n",
        "[client]\npassword\nuser=x\n",
        "[mysqld]\npassword=x\n",
    ):
        file.chmod(0o600)
        file.write_text(text)
        file.chmod(mode)
        assert settle(Given(), replace(around, ask=lambda: "")).warnings == ()


def test_an_included_file_with_a_password_is_looked_at_itself(around: Surroundings) -> None:
    """It is the file in which the password stands that must be closed."""
    included = write(around.home / "secret.cnf", "[client]\npassword=x\n")
    outer = write(around.home / ".my.cnf", f"!include {included}\n[client]\nuser=x\n")
    outer.chmod(0o644)
    assert settle(Given(), around).warnings == ()
    included.chmod(0o644)
    assert [w.split(" ")[0] for w in settle(Given(), around).warnings] == [str(included)]


# -- TLS --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "mode"),
    [
        (Given(), "PREFERRED"),
        (Given(ssl_mode="required"), "REQUIRED"),
        (Given(ssl_ca="ca"), "VERIFY_CA"),
        (Given(ssl_cert="cert", ssl_key="key"), "REQUIRED"),
        (Given(ssl_ca="ca", ssl_mode="VERIFY_IDENTITY"), "VERIFY_IDENTITY"),
        (Given(ssl_ca="ca", ssl_mode="PREFERRED"), "PREFERRED"),
    ],
)
def test_the_mode_of_tls(
    around: Surroundings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: Given, mode: str
) -> None:
    """A CA without a mode means that the server is checked, as MySQL's clients have it."""
    monkeypatch.chdir(tmp_path)
    for name in ("ca", "cert", "key"):
        write(tmp_path / name, "")
    settled = settle(given, around)
    assert settled.connect.ssl_mode == mode
    assert bool(settled.warnings) == (given.ssl_ca is not None and not mode.startswith("VERIFY"))


def test_tls_options_that_are_left_out_are_named(around: Surroundings) -> None:
    """Options of [client] that make the link safer and that we do not know are warned about; others are not ours."""
    write(around.home / ".my.cnf", "[client]\nssl-capath=/x\ntls-version=TLSv1.3\nprompt=x\nloose-z=1\n")
    assert [w.split(": ")[1] for w in settle(Given(), around).warnings] == [
        "ssl-capath is not supported and ignored",
        "tls-version is not supported and ignored",
    ]


def test_an_abbreviated_option_is_not_taken_but_said(around: Surroundings) -> None:
    """MySQL's clients would complete `pass`; we do not, and a warning says so, without the value."""
    write(around.home / ".my.cnf", "[client]\npass=opensesame\n")
    settled = settle(Given(), around)
    assert settled.connect.password == ""
    assert settled.warnings == (f"{around.home}/.my.cnf:2: pass is ignored: write password",)


# -- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[client]\nport=12three", "FILE:2: port is not a number from 0 to 65535"),
        ("[client]\nport=65536", "FILE:2: port is not a number from 0 to 65535"),
        ("[client]\nport=-1", "FILE:2: port is not a number from 0 to 65535"),
        ("[client]\nport=\u0663", "FILE:2: port is not a number from 0 to 65535"),
        ("[client]\nport", "FILE:2: port has no value"),
        ("[client]\nuser", "FILE:2: user has no value"),
        ("[client]\nconnect-timeout=soon", "FILE:2: connect-timeout is not a number from 0 to 86400"),
        ("[client]\nssl-mode=maybe", "FILE:2: unknown ssl-mode"),
        ("[client]\nssl-mode", "FILE:2: unknown ssl-mode"),
        ("[client]\nprotocol=pipe", "FILE:2: protocol is neither TCP nor SOCKET"),
        ("[client]\nssl-ca=/no/ca.pem", "cannot read /no/ca.pem (FILE:2): No such file or directory"),
        ("[client]\nssl-key=/dev/null", "ssl-key (FILE:2) without ssl-cert"),
        ("[migrator]\npasswort=oops", "FILE:2: [migrator] has an option that migrator does not take from option files"),
    ],
)
def test_a_bad_setting_is_refused_by_file_and_line(around: Surroundings, text: str, message: str) -> None:
    """Each says where and what, with a remedy, and without the value."""
    file = write(around.home / ".my.cnf", text + "\n")
    with pytest.raises(UsageError) as caught:
        settle(Given(), around)
    assert caught.value.message.replace(str(file), "FILE") == message
    assert caught.value.remedy
    assert caught.value.exit_code == 2


def test_a_bad_port_in_the_environment_is_named_by_its_variable(around: Surroundings) -> None:
    """The variable is named."""
    with pytest.raises(UsageError, match=r"^MYSQL_TCP_PORT: port is not a number"):
        settle(Given(), replace(around, environment={"MYSQL_TCP_PORT": "x"}))


def test_a_socket_and_a_host_elsewhere_cannot_both_be_meant(around: Surroundings) -> None:
    """Said together on the command line they contradict each other: nothing is guessed."""
    with pytest.raises(UsageError, match="only one of them"):
        settle(Given(host="db1", socket=HERE), around)


def test_loose_options_of_ours_may_be_unknown(around: Surroundings) -> None:
    """loose- makes an unknown option in [migrator] harmless, as with MySQL."""
    write(around.home / ".my.cnf", "[migrator]\nloose-frobnicate=1\nloose_user=joe\n")
    assert settle(Given(), around).connect.user == "joe"


def everything_that_shows(settled: Settled, given: Given, around: Surroundings) -> str:
    return "\n".join([repr(settled), str(settled), repr(given), repr(around)])


@pytest.mark.parametrize("source", ["file", "environment", "command line", "terminal"])
def test_no_value_shows_the_password(around: Surroundings, source: str) -> None:
    """Wherever the password came from, no repr and no warning holds it."""
    given = Given()
    if source == "file":
        write(around.home / ".my.cnf", "[client]\npassword=opensesame\n")
    elif source == "environment":
        around = replace(around, environment={"MYSQL_PWD": "opensesame"})
    elif source == "command line":
        given = Given(password="opensesame")
    else:
        given, around = Given(ask_password=True), replace(around, ask=lambda: "opensesame")
    settled = settle(given, around)
    assert settled.connect.password == "opensesame"
    assert "opensesame" not in everything_that_shows(settled, given, around)
