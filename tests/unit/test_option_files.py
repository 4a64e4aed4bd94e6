"""Option files are read as MySQL's own clients read them; expectations are what my_print_defaults 9.7.4 prints."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.errors import UsageError
from migrator.option_files import OptionFiles, read_option_files, unescaped


def write(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    return file


def read(folder: Path, text: str, *groups: str) -> OptionFiles:
    file = write(folder / "my.cnf", text)
    return read_option_files(groups or ("client",), only=file, home=folder, system=())


def values(files: OptionFiles) -> dict[str, str | None]:
    return {e.name: e.value for e in files.entries}


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("user=joe", "user", "joe"),
        ("  user \t=  joe  \r", "user", "joe"),
        ("user", "user", None),
        ("user # who", "user", None),
        ("user=", "user", ""),
        ("port = 3307 # why", "port", "3307"),
        ("hash=a#b", "hash", "a"),
        ('password="a#b"', "password", "a#b"),
        ("password='a # b' # c", "password", "a # b"),
        ('password="a\\"#b"', "password", 'a"#b'),
        ("password='it\"s'", "password", 'it"s'),
        ('password="unclosed', "password", '"unclosed'),
        ('password=""', "password", ""),
        ("password=a=b", "password", "a=b"),
        ("password=\\sa\\tb\\n\\r\\b\\\\", "password", " a\tb\n\r\b\\"),
        ("password=a\\qb\\", "password", "a\\qb\\"),
        ("ssl_ca=/x", "ssl-ca", "/x"),
        ("loose_ssl_ca=/x", "ssl-ca", "/x"),
    ],
)
def test_a_line_means_what_it_means_to_mysql(tmp_path: Path, line: str, name: str, value: str | None) -> None:
    """Space, quotes, escapes and comments around a value are taken off; what is left is the value."""
    assert values(read(tmp_path, f"[client]\n{line}\n")) == {name: value}


def test_only_the_groups_asked_for_are_read_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Groups count by their place in the file, not by the order of their names; comments and empty lines do nothing."""
    text = "# c\n; c\n\n[migrator]\nuser=m\n[mysqld]\nuser=s\n[client] and nothing else\nuser=c\n[client_x]\nuser=x\n"
    found = read(tmp_path, text, "client", "migrator")
    assert [(e.group, e.value, e.line) for e in found.entries] == [("migrator", "m", 5), ("client", "c", 9)]


def test_the_files_are_read_in_the_order_of_mysql(tmp_path: Path) -> None:
    """System files, then the extra file, then ~/.my.cnf; what is missing is passed over."""
    system = write(tmp_path / "system.cnf", "[client]\nuser=system\n")
    extra = write(tmp_path / "extra.cnf", "[client]\nuser=extra\n")
    write(tmp_path / ".my.cnf", "[client]\nuser=own\n")
    found = read_option_files({"client"}, extra=extra, home=tmp_path, system=(tmp_path / "missing.cnf", system))
    assert [e.value for e in found.entries] == ["system", "extra", "own"]
    assert found.warnings == ()


def test_a_defaults_file_is_the_only_one(tmp_path: Path) -> None:
    """With --defaults-file neither the system's files nor ~/.my.cnf nor the extra file are read."""
    write(tmp_path / ".my.cnf", "[client]\nuser=own\n")
    extra = write(tmp_path / "extra.cnf", "[client]\nuser=extra\n")
    only = write(tmp_path / "only.cnf", "[client]\nuser=only\n")
    found = read_option_files({"client"}, only=only, extra=extra, home=tmp_path, system=(extra,))
    assert [e.value for e in found.entries] == ["only"]


def test_included_files_stand_where_they_are_included(tmp_path: Path) -> None:
    """!include is read at its place, !includedir takes *.cnf in order of names, and the group goes on after both."""
    folder = tmp_path / "conf.d"
    folder.mkdir()
    write(folder / "b.cnf", "[client]\nuser=b\n")
    write(folder / "a.cnf", "[client]\nuser=a\n")
    write(folder / "c.txt", "[client]\nuser=txt\n")
    one = write(tmp_path / "one.cnf", "[client]\nuser=one\n")
    found = read(tmp_path, f"[client]\nuser=1\n!include {one}\n!  includedir {folder}\nuser=2\n")
    assert [e.value for e in found.entries] == ["1", "one", "a", "b", "2"]


def test_files_that_include_each_other_end(tmp_path: Path) -> None:
    """A circle of includes is followed to MySQL's depth and then warned about."""
    found = read(tmp_path, f"[client]\nuser=1\n!include {tmp_path}/my.cnf\n")
    assert len(found.entries) == 11
    assert len(found.warnings) == 1
    assert "not followed" in found.warnings[0]


def test_an_unknown_directive_and_a_missing_include_only_warn(tmp_path: Path) -> None:
    """MySQL's clients go on there, and so do we, but say so."""
    found = read(tmp_path, f"[client]\n!frobnicate x\n!include {tmp_path}/none.cnf\nuser=1\n")
    assert values(found) == {"user": "1"}
    assert [w.split(": ")[0] for w in found.warnings] == [f"{tmp_path}/my.cnf:2", f"{tmp_path}/my.cnf:3"]


@pytest.mark.parametrize("required", [True, False])
def test_a_file_that_everybody_may_write_is_ignored(tmp_path: Path, *, required: bool) -> None:
    """As MySQL does, also where the file was named; readable by everybody is no reason."""
    file = write(tmp_path / ".my.cnf", "[client]\nuser=evil\n")
    file.chmod(0o646)
    found = read_option_files({"client"}, only=file if required else None, home=tmp_path, system=())
    assert found.entries == ()
    assert f"{file} is ignored" in found.warnings[0]
    file.chmod(0o644)
    assert len(read_option_files({"client"}, home=tmp_path, system=()).entries) == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("user=secret\n", 1),
        ("\n[client\nuser=secret\n", 2),
        ("[client]\n!include\n", 2),
        ("[client]\n!includedir /nowhere/at/all\n", 2),
    ],
)
def test_a_malformed_file_is_refused_by_file_and_line(tmp_path: Path, text: str, line: int) -> None:
    """What stops MySQL's clients stops us: the message names file and line and holds no value."""
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text)
    assert caught.value.message.startswith(f"{tmp_path}/my.cnf:{line}: ")
    assert caught.value.remedy
    assert "secret" not in caught.value.message


def test_a_file_that_is_not_utf8_is_refused_without_its_bytes(tmp_path: Path) -> None:
    """A password in another encoding could not be sent as it was meant; its bytes stay out of the message."""
    file = tmp_path / "my.cnf"
    file.write_bytes(b"[client]\npassword=s\xe9same\n")
    file.chmod(0o600)
    with pytest.raises(UsageError, match=r"my\.cnf:2: not UTF-8") as caught:
        read_option_files({"client"}, only=file, home=tmp_path, system=())
    assert "same" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("argument", ["only", "extra"])
def test_a_named_file_must_exist(tmp_path: Path, argument: str) -> None:
    """--defaults-file and --defaults-extra-file are errors when they are missing."""
    missing = tmp_path / "missing.cnf"
    with pytest.raises(UsageError, match=r"missing\.cnf: No such file"):
        if argument == "only":
            read_option_files({"client"}, only=missing, home=tmp_path, system=())
        else:
            read_option_files({"client"}, extra=missing, home=tmp_path, system=())


def test_no_entry_shows_its_value(tmp_path: Path) -> None:
    """An entry may be a password: its repr leaves the value out."""
    found = read(tmp_path, "[client]\npassword=opensesame\n")
    assert values(found) == {"password": "opensesame"}
    assert "opensesame" not in repr(found)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\0"), max_size=30)


def quoted(value: str) -> str:
    """A value as the manual tells people to write it."""
    escapes = {"\\": "\\\\", '"': '\\"', "'": "\\'", "\t": "\\t", "\r": "\\r", "\b": "\\b"}
    return '"' + "".join(escapes.get(c, c) for c in value) + '"'


@given(TEXT)
def test_a_quoted_value_comes_back_as_it_was(value: str) -> None:
    """Whatever the password is, writing it in quotes with escapes gives it back, `#` and quotes included."""
    with TemporaryDirectory() as folder:
        found = read(Path(folder), f"[client]\npassword = {quoted(value)} # comment\n")
    assert values(found) == {"password": value}


@given(TEXT)
def test_no_value_grows(value: str) -> None:
    """Any text at all is a value: nothing raises, and taking off quotes and escapes never adds."""
    assert len(unescaped(value)) <= len(value)
