"""Login paths are read as MySQL's own clients read them: the files are made by the real mysql_config_editor.

What its clients make of the same files is what `mysql --print-defaults` 9.7.4 prints.
"""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from migrator.errors import UsageError
from migrator.settings import Given, Settled, Surroundings, settle
from tests.servers import debian

SECRET = "open \\x sesame'\" # é%"

Make = Callable[..., Path]


@pytest.fixture(scope="module")
def editor() -> Path:
    """The real mysql_config_editor."""
    return debian.config_editor()


@pytest.fixture
def make(editor: Path, tmp_path: Path) -> Make:
    """Adds a login path to ~/.mylogin.cnf; a password is typed on a terminal, as people do."""
    file = tmp_path / ".mylogin.cnf"

    def made(name: str, *words: str, password: str | None = None) -> Path:
        asked = ["--password"] if password is not None else []
        command = [str(editor), "set", f"--login-path={name}", "--skip-warn", *asked, *words]
        terminal, theirs = pty.openpty()
        with subprocess.Popen(
            command,
            env=os.environ | {"MYSQL_TEST_LOGIN_FILE": str(file)},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        ) as process:
            os.close(theirs)
            said = b""
            with suppress(OSError):  # the end of a terminal is an error on Linux
                while more := os.read(terminal, 1024):
                    said += more
                    if password is not None and b"password: " in said:
                        os.write(terminal, password.encode() + b"\n")
                        password = None
            status = process.wait()
        os.close(terminal)
        assert not status, said
        return file

    return made


def settled(home: Path, *, environment: dict[str, str] | None = None, given: Given | None = None) -> Settled:
    around = Surroundings(environment=environment or {}, home=home, system_files=(), sockets=())
    return settle(given or Given(), around)


def test_what_mysql_config_editor_writes_is_read(make: Make, tmp_path: Path) -> None:
    """Host, port, socket, user and a password with all that has a meaning somewhere come back as they were typed."""
    make("prod", "--host=db1", "--user=joe", "--port=3311", password=SECRET)
    connect = settled(tmp_path, given=Given(login_path="prod")).connect
    assert (connect.host, connect.port, connect.user, connect.password) == ("db1", 3311, "joe", SECRET)
    make("local", f"--socket={tmp_path}/x y.sock")
    assert settled(tmp_path, given=Given(login_path="local")).connect.socket == f"{tmp_path}/x y.sock"


def test_passwords_of_every_length_are_read(make: Make, tmp_path: Path) -> None:
    """Wherever the padding of a line falls."""
    for length in range(1, 34):
        make(f"p{length}", password="x" * length)
        assert settled(tmp_path, given=Given(login_path=f"p{length}")).connect.password == "x" * length


def test_other_login_paths_are_not_read(make: Make, tmp_path: Path) -> None:
    """Without --login-path [client] counts and no other path, as with MySQL's clients."""
    make("prod", "--host=db1", password="prod-secret")
    assert settled(tmp_path).connect.password == ""
    make("client", "--host=db2", password="client-secret")
    found = settled(tmp_path)
    assert (found.connect.host, found.connect.password, found.warnings) == ("db2", "client-secret", ())


def test_login_paths_beat_option_files_and_the_command_line_beats_them(make: Make, tmp_path: Path) -> None:
    """MySQL's order: environment, option files, login paths, command line."""
    own = tmp_path / ".my.cnf"
    own.touch(mode=0o600)
    own.write_text("[client]\nhost=file\nuser=file\nport=1\npassword=file\n[prod]\nport=9\n")
    make("prod", "--host=path", "--user=path", password="path")
    found = settled(tmp_path, environment={"MYSQL_PWD": "env"}, given=Given(login_path="prod", user="line")).connect
    assert (found.user, found.host, found.port, found.password) == ("line", "path", 1, "path")


@pytest.mark.parametrize("given", [Given(no_defaults=True), Given(defaults_file=Path("/dev/null"))])
def test_login_paths_are_read_whatever_is_said_of_other_files(make: Make, tmp_path: Path, given: Given) -> None:
    """--no-defaults and --defaults-file do not keep [client] of the login file out, as with MySQL's clients."""
    make("client", "--host=db2")
    assert settled(tmp_path, given=given).connect.host == "db2"


def test_what_stands_later_wins_and_is_said(make: Make, tmp_path: Path) -> None:
    """[client] below the login path counts, as mysql has it; a warning names what comes from there."""
    make("prod", "--host=h1", "--port=3311", "--user=u1")
    make("client", "--host=hc")
    found = settled(tmp_path, given=Given(login_path="prod"))
    assert (found.connect.host, found.connect.port, found.connect.user) == ("hc", 3311, "u1")
    assert [w.split(": ")[1].split(",")[0] for w in found.warnings] == ["host of [client] counts"]
    (tmp_path / ".mylogin.cnf").unlink()
    make("client", "--host=hc")
    make("prod", "--host=h1")
    found = settled(tmp_path, given=Given(login_path="prod"))
    assert (found.connect.host, found.warnings) == ("h1", ())


def test_the_group_suffix_counts_for_login_paths_too(make: Make, tmp_path: Path) -> None:
    """--defaults-group-suffix=_x reads [prod] and [prod_x]."""
    make("prod", "--host=h1", "--user=u1")
    make("prod_x", "--host=hx")
    connect = settled(tmp_path, given=Given(login_path="prod", defaults_group_suffix="_x")).connect
    assert (connect.host, connect.user) == ("hx", "u1")


def test_another_file_may_be_named(make: Make, tmp_path: Path) -> None:
    """MYSQL_TEST_LOGIN_FILE names the file, with an empty one there is none."""
    file = make("client", "--host=h1").rename(tmp_path / "elsewhere.cnf")
    assert settled(tmp_path).connect.host == "localhost"
    assert settled(tmp_path, environment={"MYSQL_TEST_LOGIN_FILE": str(file)}).connect.host == "h1"
    make("client", "--host=h2")
    assert settled(tmp_path, environment={"MYSQL_TEST_LOGIN_FILE": "/dev/null"}).connect.host == "localhost"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o700])
def test_a_file_that_others_may_use_is_ignored_or_an_error(make: Make, tmp_path: Path, mode: int) -> None:
    """As with MySQL's clients it is not read, and said with the chmod; where a path is named that is an error."""
    file = make("client", "--host=h1")
    file.chmod(mode)
    found = settled(tmp_path)
    assert found.connect.host == "localhost"
    assert len(found.warnings) == 1
    assert found.warnings[0].endswith(f"(chmod 600 {file})")
    with pytest.raises(UsageError, match="others than its owner") as caught:
        settled(tmp_path, given=Given(login_path="client"))
    assert caught.value.remedy == f"chmod 600 {file}"
    file.chmod(0o400)
    assert settled(tmp_path).connect.host == "h1"


def test_a_login_path_that_is_not_there_is_an_error(make: Make, tmp_path: Path) -> None:
    """MySQL's clients would go on, to whatever server the other files name; we do not."""
    with pytest.raises(UsageError, match="No such file") as missing:
        settled(tmp_path, given=Given(login_path="prod"))
    assert "mysql_config_editor set --login-path=prod" in missing.value.remedy
    make("client", "--host=h1")
    with pytest.raises(UsageError, match="has no login path 'prod'"):
        settled(tmp_path, given=Given(login_path="prod"))


@pytest.mark.parametrize("damage", ["short", "cut", "key", "length", "text"])
def test_a_damaged_file_is_refused_without_its_contents(make: Make, tmp_path: Path, damage: str) -> None:
    """The file is named, exit code 2, and neither the message nor what caused it holds a byte of it."""
    file = make("client", "--host=h1", password="opensesame")
    content = file.read_bytes()
    file.write_bytes(
        {
            "short": content[:20],
            "cut": content[:-3],
            "key": content[:4] + bytes(20) + content[24:],
            "length": content[:24] + b"\xff\xff\xff\xff" + content[28:],
            "text": b"[client]\nhost=h1\npassword=opensesame\n",
        }[damage]
    )
    with pytest.raises(UsageError, match=r"mylogin\.cnf is not a file of mysql_config_editor, or is damaged") as caught:
        settled(tmp_path)
    assert "opensesame" not in repr(caught.value) + caught.value.message + caught.value.remedy
    assert caught.value.__cause__ is None
    assert caught.value.exit_code == 2


def test_no_value_shows_a_password_of_a_login_path(make: Make, tmp_path: Path) -> None:
    """Neither in what is settled nor in a warning."""
    make("prod", password="opensesame")
    make("client", password="opensesame")
    found = settled(tmp_path, given=Given(login_path="prod"))
    assert found.connect.password == "opensesame"
    assert found.warnings
    assert "opensesame" not in repr(found)


def test_the_real_client_agrees(make: Make, tmp_path: Path, editor: Path) -> None:
    """mysql --print-defaults takes from the same file what we take."""
    file = make("prod", "--host=h1", "--port=3311", "--user=u1")
    make("client", "--host=hc")
    shown = subprocess.run(
        [editor.with_name("mysql"), "--defaults-file=/dev/null", "--login-path=prod", "--print-defaults"],
        env={"MYSQL_TEST_LOGIN_FILE": str(file)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    theirs = dict(word.removeprefix("--").split("=", 1) for word in shown.split() if word.startswith("--"))
    ours = settled(tmp_path, given=Given(login_path="prod")).connect
    assert theirs == {"host": ours.host, "port": str(ours.port), "user": ours.user}
