"""How to reach the server, settled as MySQL's own clients settle it: environment < option files < command line.

The only reader of the environment, but for `cli_password`. Option files are those of `option_files`, groups
[client] and [migrator], and after them those of `login_path`. No message and no `repr` holds the password.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from migrator.driver import Connect
from migrator.errors import UsageError
from migrator.login_path import read_login_paths
from migrator.option_files import SYSTEM_FILES, Entry, read_option_files

OPTIONS: Final = frozenset(
    {"host", "port", "socket", "user", "password", "protocol", "connect-timeout"}
    | {"ssl-mode", "ssl-ca", "ssl-cert", "ssl-key", "ssl-crl", "server-public-key-path", "get-server-public-key"}
)
"""What is taken from option files; [client] may hold more, which is for other clients."""

SSL_MODES: Final = ("DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")

SOCKETS: Final = (Path("/var/run/mysqld/mysqld.sock"), Path("/var/lib/mysql/mysql.sock"), Path("/tmp/mysql.sock"))  # noqa: S108 - only looked at
"""Where servers put their socket if nobody says otherwise."""

_VARIABLES: Final = {
    "MYSQL_HOST": "host",
    "MYSQL_TCP_PORT": "port",
    "MYSQL_UNIX_PORT": "socket",
    "MYSQL_PWD": "password",
}

_NOWHERE, _ENVIRONMENT, _FILE, _COMMAND_LINE = range(4)


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line says about the connection; None where it says nothing."""

    defaults_file: Path | None = None
    defaults_extra_file: Path | None = None
    defaults_group_suffix: str | None = None
    no_defaults: bool = False
    host: str | None = None
    port: int | None = None
    socket: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    inherited_password: str | None = field(default=None, repr=False)
    """MYSQL_PWD, taken out of the environment."""
    ask_password: bool = False
    login_path: str | None = None
    ssl_mode: str | None = None
    ssl_ca: str | None = None
    ssl_cert: str | None = None
    ssl_key: str | None = None
    ssl_crl: str | None = None
    server_public_key_path: str | None = None
    get_server_public_key: bool = False


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is around the process: tests bring their own."""

    environment: Mapping[str, str] = field(repr=False)
    home: Path
    system_files: tuple[Path, ...] = SYSTEM_FILES
    sockets: tuple[Path, ...] = SOCKETS
    ask: Callable[[], str] | None = None
    """Asks for the password; None where there is no terminal to ask on."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The connection, and what its user should know."""

    connect: Connect
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Value:
    text: str | None = field(repr=False)
    where: str
    source: int


def surroundings(ask: Callable[[], str] | None) -> Surroundings:
    """The process's own."""
    return Surroundings(environment=os.environ, home=Path.home(), ask=ask)


def settle(given: Given, around: Surroundings) -> Settled:
    """The connection that `given`, the option files and the environment ask for; asks for a password at most once.

    Raises `UsageError` naming file and line, variable or option; never with the value.
    """
    warnings: list[str] = []
    values = _from_environment(around.environment, given.inherited_password)
    values |= _from_files(given, around, warnings)
    values |= _from_command_line(given)
    password = _password(values, given, around, warnings)
    ssl_mode = _ssl_mode(values, warnings)
    for name in ("ssl-ca", "ssl-cert", "ssl-key", "ssl-crl", "server-public-key-path"):
        _check_readable(values.get(name))
    if "ssl-key" in values and "ssl-cert" not in values:
        raise UsageError(f"ssl-key ({values['ssl-key'].where}) without ssl-cert", remedy="give both or neither")
    socket = _socket(values, around)
    connect = Connect(
        host=_text(values, "host") or "localhost",
        port=_number(values, "port", 65535) or 3306,
        socket=socket,
        user=_text(values, "user") or _login_name(around.environment),
        password=password,
        ssl_mode=ssl_mode,
        ssl_ca=_path(values, "ssl-ca"),
        ssl_cert=_path(values, "ssl-cert"),
        ssl_key=_path(values, "ssl-key"),
        ssl_crl=_path(values, "ssl-crl"),
        server_public_key_path=_path(values, "server-public-key-path"),
        get_server_public_key=_flag(values, "get-server-public-key"),
        timeout_seconds=_number(values, "connect-timeout", 86400) or 10,
    )
    return Settled(connect, tuple(warnings))


# -- sources ----------------------------------------------------------------------------------


def _from_environment(environment: Mapping[str, str], inherited_password: str | None) -> dict[str, _Value]:
    found = {name: environment.get(variable) for variable, name in _VARIABLES.items()}
    if inherited_password is not None:
        found["password"] = inherited_password
    variables = {name: variable for variable, name in _VARIABLES.items()}
    return {name: _Value(text, variables[name], _ENVIRONMENT) for name, text in found.items() if text is not None}


def _from_files(given: Given, around: Surroundings, warnings: list[str]) -> dict[str, _Value]:
    suffix = given.defaults_group_suffix
    if suffix is None:
        suffix = around.environment.get("MYSQL_GROUP_SUFFIX", "")
    own = {"migrator", f"migrator{suffix}"}
    groups = own | {"client", f"client{suffix}"}
    values: dict[str, _Value] = {}
    if not given.no_defaults:
        files = read_option_files(
            groups,
            only=given.defaults_file,
            extra=given.defaults_extra_file,
            home=around.home,
            system=around.system_files,
        )
        warnings += [*files.warnings, *_too_open(files.entries)]
        _take(files.entries, own, values, warnings)
    # As in MySQL's clients, whatever is said of the other files: who wants none names none that is there.
    login_file = around.environment.get("MYSQL_TEST_LOGIN_FILE")
    file = Path(login_file) if login_file else around.home / ".mylogin.cnf"
    paths = read_login_paths(file, path=given.login_path, groups=groups, suffix=suffix)
    warnings += paths.warnings
    _take(paths.entries, own, values, warnings)
    return values


def _take(entries: Iterable[Entry], own: Collection[str], values: dict[str, _Value], warnings: list[str]) -> None:
    for entry in entries:
        if entry.name in OPTIONS:
            values[entry.name] = _Value(entry.value, entry.where, _FILE)
        elif entry.group in own and not entry.loose:
            raise UsageError(
                f"{entry.where}: [{entry.group}] has an option that migrator does not take from option files",
                remedy=f"it takes {', '.join(sorted(OPTIONS))}; loose- before a name makes it optional",
            )
        else:
            warnings += _unheeded(entry)


def _too_open(entries: Iterable[Entry]) -> list[str]:
    """MySQL's clients read a password that others can read, too; unlike them, we say so."""
    found = dict.fromkeys(entry.file for entry in entries if entry.name == "password" and entry.value)
    return [f"{file} has a password, and others may read it (chmod 600 {file})" for file in found if _others_read(file)]


def _others_read(file: Path) -> bool:
    try:
        mode = file.stat().st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) and bool(mode & (stat.S_IRGRP | stat.S_IROTH))


def _unheeded(entry: Entry) -> list[str]:
    """Options for other clients are none of our business, unless ignoring one could surprise its writer."""
    if entry.name.startswith(("ssl-", "tls-")):
        return [f"{entry.where}: {entry.name} is not supported and ignored"]
    meant = sorted(name for name in OPTIONS if name.startswith(entry.name)) if len(entry.name) >= 3 else []
    return [f"{entry.where}: {entry.name} is ignored: write {' or '.join(meant)}"] if meant else []


def _from_command_line(given: Given) -> dict[str, _Value]:
    said = {
        "host": given.host,
        "port": None if given.port is None else str(given.port),
        "socket": given.socket,
        "user": given.user,
        "password": given.password,
        "ssl-mode": given.ssl_mode,
        "ssl-ca": given.ssl_ca,
        "ssl-cert": given.ssl_cert,
        "ssl-key": given.ssl_key,
        "ssl-crl": given.ssl_crl,
        "server-public-key-path": given.server_public_key_path,
        "get-server-public-key": "1" if given.get_server_public_key else None,
    }
    values = {name: _Value(text, f"--{name}", _COMMAND_LINE) for name, text in said.items() if text is not None}
    if given.ask_password:
        values["password"] = _Value(None, "--password", _COMMAND_LINE)
    return values


# -- meanings ---------------------------------------------------------------------------------


def _password(values: Mapping[str, _Value], given: Given, around: Surroundings, warnings: list[str]) -> str:
    if given.password is not None:
        warnings.append("a password on the command line can be seen by others on this machine: an option file hides it")
    value = values.get("password")
    if value is None:
        return ""
    if value.source == _ENVIRONMENT:
        warnings.append(
            f"{value.where} can be read by other processes of yours: an option file or --login-path hides it"
        )
    if value.text is not None:
        return value.text
    if around.ask is None:
        raise UsageError(
            f"a password is to be asked for ({value.where}), but there is no terminal to ask on",
            remedy="put it into an option file that only you can read, and name that with --defaults-extra-file",
        )
    return around.ask()


def _ssl_mode(values: Mapping[str, _Value], warnings: list[str]) -> str:
    """As MySQL's clients: without --ssl-mode, a CA means VERIFY_CA, and a certificate means REQUIRED."""
    value = values.get("ssl-mode")
    if value is None:
        if "ssl-ca" in values:
            return "VERIFY_CA"
        return "REQUIRED" if "ssl-cert" in values else "PREFERRED"
    mode = (value.text or "").upper()
    if mode not in SSL_MODES:
        raise UsageError(f"{value.where}: unknown ssl-mode", remedy=f"it is one of {', '.join(SSL_MODES)}")
    if "ssl-ca" in values and not mode.startswith("VERIFY"):
        warnings.append(f"with ssl-mode {mode} the server's certificate is not checked, in spite of ssl-ca")
    return mode


def _socket(values: Mapping[str, _Value], around: Surroundings) -> str | None:
    """The socket, or None for TCP.

    What is said later counts more, and at the same place a socket counts more than a port, as in
    MySQL's clients; unlike there, `-P` alone on the command line does mean TCP.
    """
    protocol = (_text(values, "protocol") or "").upper()
    if protocol not in {"", "TCP", "SOCKET"}:
        raise UsageError(f"{values['protocol'].where}: protocol is neither TCP nor SOCKET", remedy="write one of them")
    host, port, socket = (values[n].source if n in values else _NOWHERE for n in ("host", "port", "socket"))
    is_local = (_text(values, "host") or "localhost") == "localhost"
    if not is_local and host == socket == _COMMAND_LINE:
        raise UsageError("--socket and a --host elsewhere: only one of them can be meant", remedy="leave one out")
    if not is_local:
        wins = socket > host
    elif protocol == "TCP":
        wins = socket == _COMMAND_LINE
    else:
        wins = socket >= port
    path = _path(values, "socket")
    if path and wins:
        return path
    nothing_said = port == _NOWHERE and protocol != "TCP"
    asked_for = protocol == "SOCKET" and port < _COMMAND_LINE
    if is_local and (nothing_said or asked_for):
        return next((str(s) for s in around.sockets if _is_socket(s)), None)
    return None


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False


def _text(values: Mapping[str, _Value], name: str) -> str | None:
    value = values.get(name)
    if value is None:
        return None
    if value.text is None:
        raise UsageError(f"{value.where}: {name} has no value", remedy=f"write {name}=...")
    return value.text


def _path(values: Mapping[str, _Value], name: str) -> str | None:
    text = _text(values, name)
    return str(Path(text).expanduser()) if text else None


def _flag(values: Mapping[str, _Value], name: str) -> bool:
    value = values.get(name)
    if value is None:
        return False
    if value.text is None or value.text.lower() in {"1", "on", "true"}:
        return True
    if value.text.lower() not in {"0", "off", "false"}:
        raise UsageError(f"{value.where}: {name} is neither ON nor OFF", remedy="write one of them")
    return False


def _number(values: Mapping[str, _Value], name: str, largest: int) -> int | None:
    text = _text(values, name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and int(text) <= largest):
        raise UsageError(
            f"{values[name].where}: {name} is not a number from 0 to {largest}", remedy="write digits only"
        )
    return int(text)


def _check_readable(value: _Value | None) -> None:
    if value is None or not value.text:
        return
    try:
        with Path(value.text).expanduser().open("rb"):
            pass
    except OSError as error:
        raise UsageError(
            f"cannot read {value.text} ({value.where}): {error.strerror}", remedy="check the path and its rights"
        ) from None


def _login_name(environment: Mapping[str, str]) -> str:
    """The user of the operating system, as MySQL's clients take it."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return environment.get("USER", "")
